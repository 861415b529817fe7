/*
 * sftp_url.h -- sftp://[user@]host[:port]/path.
 */
#ifndef PITR_STORE_SFTP_URL_H
#define PITR_STORE_SFTP_URL_H

#include <stdbool.h>

struct sftp_url {
    char *user;    /* NULL where none is given */
    char *host;    /* without the brackets of an IPv6 address */
    unsigned port; /* 0 where none is given */
    /* Absolute; or relative to the login directory, and then without the
     * leading "/~/".  Ends without a "/". */
    char *path;
    bool relative;
    char *shown; /* the same, spelled one way; for messages */
};

/* -1 with ERR_USAGE and what is wrong. */
int sftp_url_parse(const char *text, struct sftp_url *out);
void sftp_url_free(struct sftp_url *u);

#endif
