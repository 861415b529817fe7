/*
 * dump_holder.c -- who comes too late waits, but not for long.
 *
 * BLOCK_DDL lets an ALTER come as far as its last phase, where it holds its
 * table exclusively and waits for our guard; a worker that wants this table
 * then waits for the ALTER, and so does every writer.  So:
 *
 *   - once the guard is there, one connection opens every table in a
 *     transaction: where that fails, somebody is in that phase already, and
 *     all is done again; where it succeeds, nobody can get there any more (of
 *     very many tables each is let go again: who gets there later waits for
 *     the guard in either case, and the thread below ends that);
 *   - while the backup reads (the catalogue too, where the guard is taken
 *     before), or waits for a lock, a thread looks for connections that wait
 *     for longer than a lock may hold up writers; then guard and tables are
 *     let go.  From there on the log tells whether DDL has spoiled the backup.
 *
 * The thread uses the guard's and the holder's connection: nobody else does,
 * without the mutex, before dump_hold_unwatch().
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"

#define PERIOD_US 250000
#define HOLD_MANY 50
/* For each lock the server looks through all that the transaction has, one by
 * one (sql/mdl.cc, MDL_context::find_ticket()): of 4,000 tables that was a
 * third of its work for the whole backup, and grew with the square. */
#define HOLD_ALL 1000 /* tables, of more none is kept */
#define HOLD_AT_ONCE 250

/*
 * From *i on, as many tables as one statement takes (a join has 61 at most):
 * the lock of each is kept until the transaction ends, no row is read.
 */
static int
hold_tables(struct dump *d, size_t *i)
{
    struct buf from = {0};
    unsigned n = 0;
    int rc = 0;

    for (; *i < d->tables && n < HOLD_MANY; (*i)++) {
        const struct dump_table *t = &d->table[*i];
        char *name;

        if (t->locked || t->number == UINT32_MAX)
            continue;
        name = db_name2(t->schema, t->name);
        buf_fmt(&from, "%s%s t%u", n > 0 ? ", " : "", name, n);
        free(name);
        n++;
    }
    if (n > 0)
        rc = db_exec(d->holder,
            "DO (SELECT COUNT(*) FROM (SELECT 1 FROM %s LIMIT 0) t)",
            buf_cstr(&from));
    buf_free(&from);
    return rc;
}

static int
holder_open(struct dump *d)
{
    if (d->holder != NULL)
        return 0;
    if ((d->holder = db_open(d->conf->source, "source")) == NULL)
        return -1;
    return db_exec(d->holder, "SET SESSION lock_wait_timeout=1");
}

/* A transaction begins by ending the one before. */
static int
hold_begin(struct dump *d)
{
    if (db_exec(d->holder, "START TRANSACTION READ ONLY") < 0)
        return -1;
    d->held = true;
    return 0;
}

/* 1 all tables are held, or were all to be had; 0 one is not now; -1. */
int
dump_hold_take(struct dump *d)
{
    bool many = d->tables > HOLD_ALL;
    size_t since = 0;

    if (!d->guard_held)
        return 1;
    if (holder_open(d) < 0 || hold_begin(d) < 0)
        return -1;
    for (size_t i = 0; i < d->tables;) {
        if (many && i - since >= HOLD_AT_ONCE) {
            since = i;
            if (hold_begin(d) < 0)
                return -1;
        }
        if (hold_tables(d, &i) == 0)
            continue;
        if (db_errno(d->holder) != LOCK_WAIT_TIMEOUT &&
            db_errno(d->holder) != DEADLOCK &&
            db_errno(d->holder) != NO_SUCH_TABLE)
            return -1;
        log_debug("a table is being altered, or gone: %s", err_text());
        err_clear();
        dump_hold_release(d);
        return 0;
    }
    if (many)
        dump_hold_release(d);
    return 1;
}

void
dump_hold_release(struct dump *d)
{
    struct err_saved *saved;

    if (!d->held)
        return;
    saved = err_take();
    d->held = false;
    if (db_exec(d->holder, "COMMIT") < 0)
        log_debug("letting go of the tables: %s", err_text());
    err_clear();
    if (saved != NULL)
        err_put(saved);
}

/* Does anybody wait for a lock on definitions for longer than may be? */
static bool
somebody_waits(struct dump *d)
{
    struct db_result r;
    bool found;

    if (db_query(d->holder, &r,
            "SELECT ID, STATE, LEFT(INFO, 100) FROM"
            " information_schema.PROCESSLIST WHERE TIME_MS > %" PRIu64
            " AND STATE IN ('Waiting for backup lock',"
            " 'Waiting for table metadata lock') LIMIT 1",
            d->conf->lock_wait_us / 1000) < 0) {
        log_debug("looking for who waits: %s", err_text());
        err_clear();
        return false;
    }
    found = r.rows > 0;
    if (found)
        log_info("DDL is no longer kept out, connection %s would wait too "
                 "long (%s): %s; the log is watched instead",
            db_text(&r, 0, 0), db_text(&r, 0, 1),
            db_cell(&r, 0, 2) != NULL ? db_cell(&r, 0, 2) : "");
    db_result_free(&r);
    return found;
}

static void *
watch_for_waiting(void *arg)
{
    struct dump *d = arg;
    struct timespec until;

    pthread_mutex_lock(&d->mutex);
    while (!d->holding_over && (d->guard_held || d->held)) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PERIOD_US * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&d->holding, &d->mutex, &until);
        if (d->holding_over)
            break;
        pthread_mutex_unlock(&d->mutex);
        bool waits = somebody_waits(d);
        pthread_mutex_lock(&d->mutex);
        if (waits) {
            dump_guard_release(d);
            dump_hold_release(d);
        }
    }
    pthread_mutex_unlock(&d->mutex);
    return NULL;
}

int
dump_hold_watch(struct dump *d)
{
    int n;

    if (d->holding_watched || (!d->guard_held && !d->held))
        return 0;
    if (holder_open(d) < 0)
        return -1;
    pthread_cond_init(&d->holding, NULL);
    if ((n = pthread_create(&d->holding_thread, NULL, watch_for_waiting, d))) {
        pthread_cond_destroy(&d->holding);
        return err_set(ERR_FAILED, "cannot start a thread: %s", strerror(n));
    }
    d->holding_watched = true;
    return 0;
}

void
dump_hold_unwatch(struct dump *d)
{
    if (!d->holding_watched)
        return;
    pthread_mutex_lock(&d->mutex);
    d->holding_over = true;
    pthread_cond_signal(&d->holding);
    pthread_mutex_unlock(&d->mutex);
    pthread_join(d->holding_thread, NULL);
    pthread_cond_destroy(&d->holding);
    d->holding_watched = d->holding_over = false;
}

void
dump_hold_end(struct dump *d)
{
    dump_hold_unwatch(d);
    dump_hold_release(d);
}
