/*
 * dump.h -- one consistent logical backup into a repository.
 */
#ifndef PITR_DUMP_H
#define PITR_DUMP_H

#include "pitr/db.h"
#include "pitr/manifest.h"
#include "pitr/repo.h"

struct dump_conf {
    const struct db_conf *source;
    struct repo *repo; /* opened for writing, locked by the caller */
    unsigned jobs;     /* connections that read; at least 1 */
    int level;         /* of zstd */
    uint64_t lock_wait_us; /* bound for every lock that can hold up writers */
    /* Is there room for more?  Asked at the start and before each part, but not
     * of tables that are locked.  1: yes.  0: not yet, ask again.  -1 with err:
     * the backup fails.  Any thread.  NULL: always. */
    int (*room)(void *arg);
    void *room_arg;
    /* Asked after each MiB or so of rows, but not of tables that are locked:
     * microseconds to wait before the next, after which it is asked again with
     * 0 bytes; 0: go on.  -1 with err: the backup fails.  Any thread.  NULL: no
     * wait. */
    int64_t (*pace)(void *arg, uint64_t bytes);
    void *pace_arg;
};

/*
 * Needs jobs + 4 connections at the most.  Changes of accounts wait until they
 * have been read, writes to tables without transactions until those tables
 * have been.
 *
 * Returns 0 with the manifest as published (caller owns), or -1: then nothing
 * is listed and the objects written so far were removed as far as possible.
 * What could not be captured exactly is warned of (log_warn) and is in the
 * manifest's warnings.
 */
int dump_run(const struct dump_conf *conf, struct manifest **out);

/*
 * The privileges that a backup and a stream need, as a GRANT statement for this
 * server's version.  account: "'pitr'@'localhost'".  Owned.  BINLOG ADMIN is
 * not among them; with it a backup gives the metadata lock of a table back
 * once it is read, instead of at its end (who waits for one: LOCK TABLES ...
 * WRITE, and DDL where it is not kept out).
 */
char *dump_grants(unsigned version, const char *account);
/* Is something changed on the server that its log does not have, as it is a
 * replica, or a node of a cluster?  1 with why, for people; 0; -1. */
int dump_log_lacks(struct db *db, const char **why);
/* Which of them the connection's account lacks: one a line, "" if none. */
int dump_missing_grants(struct db *db, struct buf *out);

#endif
