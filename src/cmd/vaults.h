/*
 * vaults.h -- the vaults of a section: how to reach them, and shipping to
 * several at once.
 */
#ifndef PITR_CMD_VAULTS_H
#define PITR_CMD_VAULTS_H

#include "pitr/conf.h"
#include "pitr/ship.h"

/* How to reach the vaults of a section (NULL: nothing is said). */
struct store_sftp_conf vaults_ssh(const struct conf_server *s);

/* The next of a list with blanks or commas between, owned; NULL at its end. */
char *vaults_next(const char **p);

struct vaults_conf {
    const struct conf_server *section;
    const char *only; /* URLs instead of the section's; may be NULL */
    bool once;
    bool background; /* faults are warned of, and tried again */
    uint64_t limit;  /* bytes a second, to each */
    struct ship_watch *watch; /* all join it; may be NULL */
};

/* "URL: ", or "" where the text of the error at hand has it; owned. */
char *vaults_prefix(const char *url);

/* The URLs of a section, each once; the caller frees them and the list. */
char **vaults_list(const struct conf_server *s, size_t *n);
/* Does the section, or `only`, name any? */
bool vaults_any(const struct vaults_conf *c);

/* Ship to each in a thread of its own.  NULL with err.  c is copied. */
struct vaults;
struct vaults *vaults_start(const struct vaults_conf *c);
void vaults_stop(struct vaults *v); /* asks them to end */
/* Wait for all, add up, free v (NULL is fine).  -1 with the first vault's
 * error; further ones are warned of. */
int vaults_join(struct vaults *v, struct ship_report *sum);

#endif
