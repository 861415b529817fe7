/*
 * replay.h -- the archived log into the target, through the target's own
 * replication applier: pitr is a small primary on a loopback port.
 */
#ifndef PITR_REPLAY_H
#define PITR_REPLAY_H

#include "pitr/catalog.h"
#include "pitr/db.h"
#include "pitr/manifest.h"
#include "pitr/scope.h"
#include "pitr/sql_event.h"

struct replay_conf {
    const struct db_conf *target;
    struct repo *repo;
    const struct secret_key *key;
    const struct manifest *source; /* its settings are given to the target for
                                      the time; NULL: the target's own */
    const struct catalog *catalog;
    const struct plan *plan;
    uint64_t ahead_bytes;      /* how far to stay ahead of the applier at most:
                                  relay log on the target's disk */
    const struct scope *scope; /* NULL: all of the log */
    struct sql_event_states *events; /* what becomes of them in the log is
                                        noted here; may be NULL */
};

struct replay_report {
    uint64_t groups, bytes;
    struct event_gtid last, first_out;
    bool any_last, any_out;
    bool stray; /* of a preview that failed: the log has not the backup's
                   position */
    size_t segments; /* of a preview: of the plan, up to the cutoff */
    uint64_t early;  /* of a preview: struct cutoff_state */
    /* Of a preview of a part: statements that change rows of what is not
     * wanted.  What their triggers did to what is wanted is not in the log. */
    uint64_t left_out;
    /* Likewise events of rows with which the server changed rows that are
     * wanted, by a foreign key over what is not; the first one's is borrowed.
     */
    uint64_t cascaded;
    const struct scope_foreign *cascade;
    uint64_t replay_us;
    char *unfinished; /* XA or ALTER that was prepared before the cutoff and not
                         completed: for people; NULL if none.  Owned. */
};

/*
 * Read the segments of a plan through its cutoff without applying anything:
 * what would be the last transaction in and the first one out.  With
 * `boundary_only` only the segments are opened in which the cutoff can be.
 */
int replay_preview(const struct replay_conf *conf, bool boundary_only,
    struct replay_report *out);

/* Ends the replication connection of a replay that was killed, which else goes
 * on to apply what it has.  To be called before the target is looked at. */
int replay_end_leftover(const struct db_conf *target);

/*
 * Is the target fit for a replay?  It is no replica, skips no errors, filters
 * nothing, and reaches pitr's loopback port, which is tried.  To be called
 * before hours are spent on loading; leaves nothing behind.
 */
int replay_check(const struct replay_conf *conf);

/*
 * Apply.  The target must be loaded at the backup's position.  On return its
 * replication connection is removed and its GTID position is that of the last
 * transaction.  -1 says what the target's applier said.
 */
int replay_run(const struct replay_conf *conf, struct replay_report *out);

#endif
