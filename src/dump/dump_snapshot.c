/*
 * dump_snapshot.c -- one snapshot over all connections, and its place in the
 * log.
 *
 * START TRANSACTION WITH CONSISTENT SNAPSHOT fixes a place in the log together
 * with what InnoDB shows (sql/log.cc, binlog_start_consistent_snapshot), and
 * the status variables binlog_snapshot_* tell it: where they are equal, the
 * snapshots are, and nobody had to wait.  Where commits come faster than the
 * statements can be sent, BLOCK_COMMIT holds them for that moment.
 */
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"

#define TRIES_UNLOCKED 8
#define TRIES_XA 20
#define TRIES_WHOLE 20
#define TRIES_LOCK 4
#define ACCESS_DENIED 1227
/* Who only reads holds up nobody by waiting, but it has to end. */
#define READER_WAIT "SET SESSION lock_wait_timeout=600"

/*
 * While the log is on for a session, going back to a savepoint keeps the
 * metadata locks (sql/transaction.cc, trans_rollback_to_savepoint).  Turning
 * it off needs BINLOG ADMIN, which is much; without it LOCK TABLES ... WRITE
 * of others waits for the end of the backup on tables that have been read, and
 * no savepoint is made, which the server would log as a transaction.
 */
static int
connect_reader(struct dump *d, struct db **db)
{
    if ((*db = db_open(d->conf->source, "source")) == NULL ||
        db_exec(*db,
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE "
            "READ") < 0 ||
        db_exec(*db, READER_WAIT) < 0)
        return -1;
    if (db_exec(*db, "SET SESSION sql_log_bin=0") == 0)
        return 0;
    if (db_errno(*db) != ACCESS_DENIED)
        return -1;
    err_clear();
    d->logged = true;
    return 0;
}

int
dump_connect(struct dump *d)
{
    const struct dump_conf *c = d->conf;

    d->conn = xcalloc(c->jobs, sizeof(struct db *));
    for (unsigned i = 0; i < c->jobs; i++)
        if (connect_reader(d, &d->conn[i]) < 0)
            return -1;
    return db_exec(d->main, READER_WAIT) < 0 ? -1 : dump_guard_open(d);
}

/* All in one go: the fewer commits in between, the better. */
static int
start_all(struct dump *d)
{
    for (unsigned i = 0; i < d->conf->jobs; i++)
        if (db_exec(d->conn[i],
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY") < 0)
            return -1;
    return 0;
}

static int
position_of(struct db *db, struct dump_pos *out)
{
    struct db_result r;
    const char *file = NULL, *offset = NULL;

    if (db_query(db, &r, "SHOW STATUS LIKE 'binlog_snapshot_%%'") < 0)
        return -1;
    for (size_t i = 0; i < r.rows; i++)
        if (strcasecmp(db_text(&r, i, 0), "Binlog_snapshot_file") == 0)
            file = db_cell(&r, i, 1);
        else
            offset = db_cell(&r, i, 1);
    if (file == NULL || offset == NULL || *file == '\0') {
        db_result_free(&r);
        return err_set(
            ERR_FAILED, "the server tells no binlog_snapshot_position");
    }
    dump_pos_set(out, file, strtoull(offset, NULL, 10));
    db_result_free(&r);
    return 0;
}

/* 1 where all snapshots are at one place of the log, 0 if not, -1. */
static int
all_equal(struct dump *d)
{
    struct dump_pos p = {0};
    int rc = 1;

    if (position_of(d->conn[0], &d->snapshot) < 0)
        return -1;
    for (unsigned i = 1; rc == 1 && i < d->conf->jobs; i++) {
        if (position_of(d->conn[i], &p) < 0)
            rc = -1;
        else if (strcmp(p.file, d->snapshot.file) != 0 ||
            p.offset != d->snapshot.offset)
            rc = 0;
    }
    dump_pos_free(&p);
    return rc;
}

static int
snapshot_unlocked(struct dump *d)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < TRIES_UNLOCKED; i++)
        if (start_all(d) < 0 || (rc = all_equal(d)) < 0)
            return -1;
    return rc;
}

/* Commits are held while the transactions are started, and no longer. */
static int
snapshot_locked(struct dump *d)
{
    bool kept = d->guard_held;
    uint64_t asked = time_mono_us(), since;
    char text[TIME_TEXT];
    int rc;

    if (!kept && dump_stages(d) < 0)
        goto blocked;
    d->guard_held = true;
    if (db_exec(d->guard, "BACKUP STAGE BLOCK_COMMIT") < 0)
        goto blocked;
    since = time_mono_us();
    rc = start_all(d);
    dump_guard_release(d);
    log_debug("commits were held for %s, after waiting %s",
        time_span(time_mono_us() - since, text),
        time_span(since - asked, text));
    if (rc < 0)
        return -1;
    if (time_mono_us() - since > d->conf->lock_wait_us) {
        err_set(ERR_FAILED,
            "starting the snapshots took longer than commits "
            "may be held");
        return err_hint("Raise lock_wait, or use fewer jobs.");
    }
    if ((rc = all_equal(d)) < 0)
        return -1;
    if (rc == 0)
        return err_set(
            ERR_FAILED, "the snapshots differ although commits were held");
    /* Stages do not go back, the guard is taken anew; but not where writers
     * wait for our table locks: they would keep it from being granted. */
    return kept && d->locked_tables == 0 ? dump_guard_take(d) : 0;

blocked:
    err_wrap("holding commits for the snapshots");
    if (db_errno(d->guard) == LOCK_WAIT_TIMEOUT)
        dump_hint_blocker(d);
    d->guard_held = true;
    dump_guard_release(d);
    return -1;
}

/*
 * A prepared XA transaction is in the log before the snapshot, its rows are
 * not in the snapshot, and its commit will be logged after it: there is no
 * place to start a replay from.  1 where there is none, 0, -1.
 */
static int
no_prepared_xa(struct dump *d, bool fail)
{
    struct db_result r;
    int rc = 1;

    if (db_query(d->main, &r, "XA RECOVER FORMAT='SQL'") < 0)
        return -1;
    if (r.rows > 0 && fail) {
        rc = err_set(ERR_FAILED,
            "%zu XA transactions are prepared and neither "
            "committed nor rolled back, one of them is %s",
            r.rows, db_text(&r, 0, 3));
        err_hint("End it with XA COMMIT or XA ROLLBACK, then run the backup "
                 "again.");
    } else if (r.rows > 0) {
        rc = 0;
    }
    db_result_free(&r);
    return rc;
}

static int
wait_for_xa(struct dump *d)
{
    for (int i = 1; i <= TRIES_XA; i++) {
        int rc = no_prepared_xa(d, i == TRIES_XA);

        if (rc != 0)
            return rc < 0 ? -1 : 0;
        if (stop_sleep_us(100000))
            return stop_error();
    }
    return -1;
}

/* The snapshots, and the server's time after the last of them. */
static int
take(struct dump *d)
{
    int rc = 0;

    if (!d->log_incomplete && (rc = snapshot_unlocked(d)) < 0)
        return -1;
    if (rc == 0 && snapshot_locked(d) < 0)
        return -1;
    return db_value_u64(d->main, &d->m->info.snapshot_us,
               "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)") < 0
        ? -1
        : 0;
}

/*
 * Has nothing been logged from before the catalogue was read until now, after
 * the snapshot?  Then the GTIDs of that time are the snapshot's.  The server
 * counts a group as logged before it is committed, so the snapshot's own place
 * would not tell: they could have been read in between.  1, 0, -1.
 */
static int
log_is_quiet(struct dump *d)
{
    struct dump_pos now = {0};
    int rc;

    if (!dump_pos_same(&d->before_at, &d->snapshot))
        return 0;
    if (dump_pos_now(d->main, &now) < 0)
        return -1;
    rc = dump_pos_same(&d->before_at, &now);
    dump_pos_free(&now);
    return rc;
}

/* The server reads its file from the beginning for this, which may be a second
 * for a file of a gigabyte. */
static int
gtid_of_snapshot(struct dump *d)
{
    struct buf file = {0};
    char *text = NULL;
    int rc = log_is_quiet(d);

    if (rc < 0)
        return -1;
    if (rc == 1) {
        gtid_pos_copy(&d->m->info.gtid, &d->before);
        return 0;
    }
    rc = -1;
    db_quote(&file, d->snapshot.file, strlen(d->snapshot.file));
    if (db_value(d->main, &text, "SELECT BINLOG_GTID_POS(%s, %llu)",
            buf_cstr(&file), (unsigned long long)d->snapshot.offset) < 0)
        goto out;
    if (text == NULL) {
        err_set(ERR_FAILED,
            "the server has no GTID for the snapshot's place "
            "in the log, %s:%llu",
            d->snapshot.file, (unsigned long long)d->snapshot.offset);
        err_hint("Was the log purged or reset meanwhile?  Run the backup "
                 "again.");
        goto out;
    }
    if ((rc = gtid_pos_parse(text, &d->m->info.gtid)) == 0)
        log_debug("snapshot at %s:%llu, GTID %s", d->snapshot.file,
            (unsigned long long)d->snapshot.offset, text);

out:
    free(text);
    buf_free(&file);
    return rc;
}

/* Where the log is: the GTIDs, and their place where it stood still. */
static int
note_before(struct dump *d)
{
    struct dump_pos after = {0};
    char *text = NULL;
    int rc = -1;

    if (dump_pos_now(d->main, &d->before_at) == 0 &&
        db_value(d->main, &text, "SELECT @@global.gtid_binlog_pos") >= 0 &&
        dump_pos_now(d->main, &after) == 0)
        rc = gtid_pos_parse(text != NULL ? text : "", &d->before);
    if (!dump_pos_same(&d->before_at, &after))
        dump_pos_free(&d->before_at);
    dump_pos_free(&after);
    free(text);
    return rc;
}

/* Everything about the tables that can be read before anything is locked. */
static int
look_around(struct dump *d)
{
    int rc = -1;

    if (note_before(d) < 0)
        return -1;
    d->table_busy = false;
    if (dump_tables_read(d) == 0 && !d->table_busy)
        rc = dump_units_make(d);
    if (rc < 0 &&
        (db_errno(d->main) == LOCK_WAIT_TIMEOUT ||
            db_errno(d->main) == NO_SUCH_TABLE))
        d->table_busy = true;
    if (rc < 0 && err_kind() == ERR_NONE) {
        err_set(ERR_FAILED, "definitions of tables change all the time");
        err_hint("Run the backup at a quieter time.");
    }
    return rc;
}

/* The same with DDL kept out, as long as nobody waits for too long. */
static int
look_guarded(struct dump *d)
{
    int rc = look_around(d);

    dump_hold_unwatch(d);
    if (rc == 0)
        rc = db_exec(d->main,
            "SET SESSION lock_wait_timeout=@@global.lock_wait_timeout");
    return rc;
}

/*
 * Nothing keeps DDL out yet, so a table may go while it is looked at; then the
 * log has DDL since, and it was not for another reason that this failed.
 * Returns 0 for another try, -1 with the error as it was.
 */
static int
look_again(struct dump *d)
{
    struct err_saved *error = err_take();

    if (d->table_busy || dump_watch_early(d) == 0) {
        err_saved_free(error);
        return 0;
    }
    err_clear();
    return err_put(error);
}

/*
 * A table was dropped since the catalogue was read; or somebody who wants to
 * lock two tables for writing has one that we want, and waits for one that we
 * hold.  All is let go, so that he goes on, and done again; a few times, as
 * writers wait each time.  Returns 0 for another try, -1.
 */
static int
lock_again(struct dump *d)
{
    unsigned error = db_errno(d->lock);

    if (error != NO_SUCH_TABLE && error != DEADLOCK &&
        (error != LOCK_WAIT_TIMEOUT || ++d->lock_timeouts == TRIES_LOCK))
        return -1;
    log_debug("%s", err_text());
    err_clear();
    return 0;
}

/*
 * 1 done, 0 to be tried again, -1.
 *
 * The catalogue is read before the locks are taken, for a writer may hold one
 * of its tables while it waits for our locks.  DDL that comes in between is
 * seen in the log, and then all is done again: with DDL kept out first, in
 * case there is always some; then a wait for a table has to be bounded.
 */
static int
attempt(struct dump *d, bool again, bool last)
{
    int rc;

    if (wait_for_xa(d) < 0)
        return -1;
    if (again &&
        (dump_guard_take(d) < 0 ||
            db_exec(d->main, "SET SESSION lock_wait_timeout=%llu",
                (unsigned long long)MAX(d->conf->lock_wait_us / 1000000, 1)) <
                0 ||
            dump_hold_watch(d) < 0))
        return -1;
    if ((again ? look_guarded(d) : look_around(d)) < 0)
        return last ? -1 : look_again(d);
    if (!again && dump_guard_take(d) < 0)
        return -1;
    if ((rc = dump_hold_take(d)) <= 0)
        return rc;
    if (dump_hold_watch(d) < 0)
        return -1;
    rc = dump_lock_take(d);
    dump_hold_unwatch(d);
    if (rc < 0)
        return last ? -1 : lock_again(d);
    if (take(d) < 0)
        return -1;
    if ((rc = no_prepared_xa(d, false)) <= 0)
        return rc;
    if (gtid_of_snapshot(d) < 0 || dump_accounts_read(d) < 0)
        return -1;
    return dump_watch_early(d);
}

static void
forget(struct dump *d, size_t warnings)
{
    struct manifest *m = d->m;

    dump_lock_release(d);
    dump_guard_release(d);
    dump_hold_release(d);
    dump_units_free(d);
    dump_tables_free(d);
    dump_objects_free(&d->accounts);
    dump_objects_free(&d->grants);
    while (m->warnings > warnings)
        free(m->warning[--m->warnings]);
}

int
dump_snapshot(struct dump *d)
{
    size_t warnings = d->m->warnings;

    for (int i = 0; i < TRIES_WHOLE; i++) {
        int rc = attempt(d, i > 0, i + 1 == TRIES_WHOLE);

        if (rc < 0)
            return -1;
        if (rc == 1) {
            for (unsigned k = 0; k < d->conf->jobs && !d->logged; k++)
                if (db_exec(d->conn[k], "SAVEPOINT pitr") < 0)
                    return -1;
            if (d->locked_tables == 0)
                dump_lock_release(d);
            return 0;
        }
        log_debug("the snapshot is taken again");
        forget(d, warnings);
        if (stop_sleep_us(100000 + (uint64_t)i * 20000))
            return stop_error();
    }
    err_set(ERR_FAILED,
        "no quiet moment for the snapshot in %d tries: tables are created or "
        "changed, or XA transactions prepared, all the time",
        TRIES_WHOLE);
    return err_hint("Run the backup at a quieter time.");
}
