/*
 * testserver.h -- a private mariadbd for a test: its own directory, a socket,
 * no network unless asked for.  Nothing of it stays.
 */
#ifndef PITR_TESTSERVER_H
#define PITR_TESTSERVER_H

#include <stdbool.h>
#include <sys/types.h>
#include "pitr/db.h"

struct testserver { /* zero it to start; set port to have a network */
    char dir[64];
    char socket[96];
    unsigned port; /* 0: no network; else also give --port=... and
                      --bind-address=127.0.0.1 as options */
    pid_t pid;
};

/* Is there a mariadbd on this machine? */
bool testserver_installed(void);

/*
 * Make a data directory and start; `options` is a NULL-terminated list of
 * further ones for mariadbd, or NULL.  root has no password.  0, or -1 with
 * the end of the server's log on standard error.
 */
int testserver_start(struct testserver *ts, const char *const *options);
/* Start again over the same directory, after testserver_halt(). */
int testserver_again(struct testserver *ts, const char *const *options);
void testserver_halt(struct testserver *ts, int signal); /* and wait */
void testserver_remove(struct testserver *ts); /* halts, removes all */

/* As root over the socket; NULL with err set. */
struct db *testserver_open(const struct testserver *ts, const char *role);
struct db_conf testserver_conf(const struct testserver *ts);

#endif
