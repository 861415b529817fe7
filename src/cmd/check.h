/*
 * check.h -- what the files of `check` share: findings.
 */
#ifndef PITR_CMD_CHECK_H
#define PITR_CMD_CHECK_H

#include "pitr/buf.h"
#include "pitr/conf.h"
#include "pitr/db.h"
#include "pitr/err.h"
#include "pitr/gtid.h"
#include "pitr/repo.h"

/* What was found so far. */
struct findings {
    struct buf text;
    unsigned faults, warnings;
    enum err_kind kind; /* of the first fault */
};
void check_good(struct findings *f, const char *fmt, ...) PRINTF(2, 3);
void check_doubt(struct findings *f, const char *fmt, ...) PRINTF(2, 3);
void check_fault(struct findings *f); /* the thread's error as a finding */

/* A global variable's value, owned; -1 where the server has none. */
int check_variable(struct db *db, const char *name, char **out);

/* check_semisync.c: does the server wait, and for whom? */
void check_semisync(
    struct db *db, const struct conf_server *s, struct findings *f);
/* What was written to the server's log, and has to get everywhere. */
struct check_marker {
    struct gtid gtid;
    bool arrived; /* in the repository */
    uint64_t wait_us;
};
/* check_stream.c: write it, and see it arrive.  lag_us: a stream that is run
 * from time to time has to have come to its end within so long. */
void check_stream(struct db *db, struct repo *r, uint64_t lag_us,
    struct findings *f, struct check_marker *m);
/* Has the log of r it, within its time?  1, 0, -1. */
int check_arrives(struct repo *r, const struct check_marker *m);

/* check_vaults.c */
void check_vaults(const struct conf_server *s, const struct check_marker *m,
    struct findings *f);

#endif
