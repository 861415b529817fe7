/*
 * dump_guard.c -- what is kept from changing while the backup is taken: DDL by
 * BACKUP STAGE, tables without transactions and the accounts by LOCK TABLES.
 *
 * Every wait for a lock is bounded by conf->lock_wait_us, because who waits
 * for one makes others wait.  BLOCK_DDL also holds up writes to tables without
 * transactions; so where there are such tables, it is kept only as long as
 * they are locked and read, and the log is watched for the time after that
 * (dump_watch.c).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dump_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"

#define TRIES_DEADLOCK 10

static bool
is_one_of(const char *const *list, size_t n, const char *engine)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(list[i], engine) == 0)
            return true;
    return false;
}

bool
dump_engine_transactional(const char *engine)
{
    static const char *const list[] = {"InnoDB", "ROCKSDB", "TokuDB"};

    return is_one_of(list, NELEM(list), engine);
}

bool
dump_engine_without_rows(const char *engine)
{
    static const char *const list[] = {"MRG_MyISAM", "FEDERATED", "CONNECT",
        "SPIDER", "BLACKHOLE", "SEQUENCE", "OQGRAPH", "SPHINX", "S3",
        "PERFORMANCE_SCHEMA", "MROONGA_WRAPPER"};

    return is_one_of(list, NELEM(list), engine);
}

static int
bounded(struct db *db, uint64_t us)
{
    return db_exec(db, "SET SESSION lock_wait_timeout=%llu",
        (unsigned long long)MAX((us + 999999) / 1000000, 1));
}

int
dump_guard_open(struct dump *d)
{
    const struct dump_conf *c = d->conf;

    if ((d->guard = db_open(c->source, "source")) == NULL ||
        (d->lock = db_open(c->source, "source")) == NULL)
        return -1;
    if (bounded(d->guard, c->lock_wait_us) < 0 ||
        bounded(d->lock, c->lock_wait_us) < 0)
        return -1;
    return 0;
}

void
dump_hint_gone(const struct db *db)
{
    /* Table, its definition, column, database, routine, trigger, event,
     * sequence. */
    static const unsigned gone[] = {
        NO_SUCH_TABLE, 1412, 1054, 1049, 1305, 1360, 1539, 4091};

    for (size_t i = 0; i < NELEM(gone); i++)
        if (db_errno(db) == gone[i])
            err_hint("Somebody changed definitions meanwhile: run the backup "
                     "again.");
}

void
dump_hint_blocker(struct dump *d)
{
    struct err_saved *saved = err_take();
    struct db_result r;
    char *hint = NULL;

    /* Without the metadata_lock_info plugin nobody tells who holds a lock; the
     * oldest transaction or statement is nearly always the one. */
    if (db_query(d->main, &r,
            "SELECT p.ID, p.USER, p.HOST, p.TIME, IFNULL(LEFT(p.INFO, 120),"
            " 'idle in a transaction')"
            " FROM information_schema.PROCESSLIST p LEFT JOIN"
            " information_schema.INNODB_TRX t ON t.trx_mysql_thread_id = p.ID"
            " WHERE p.ID NOT IN (CONNECTION_ID(), %lu, %lu)"
            " AND p.COMMAND NOT IN ('Binlog Dump', 'Daemon', 'Slave_IO',"
            " 'Slave_SQL', 'Slave_worker')"
            " AND (t.trx_id IS NOT NULL OR p.COMMAND <> 'Sleep')"
            " AND p.USER <> 'system user'"
            " ORDER BY IFNULL(t.trx_started, NOW() - INTERVAL p.TIME SECOND)"
            " LIMIT 1",
            d->guard ? db_thread_id(d->guard) : 0,
            d->lock ? db_thread_id(d->lock) : 0) == 0) {
        if (r.rows == 1)
            hint = xasprintf("The oldest transaction is probably in the way: "
                             "connection %s of %s@%s, %s s, %s.",
                db_text(&r, 0, 0), db_text(&r, 0, 1), db_text(&r, 0, 2),
                db_text(&r, 0, 3), db_text(&r, 0, 4));
        db_result_free(&r);
    }
    err_clear();
    if (saved != NULL)
        err_put(saved);
    err_hint("%s",
        hint != NULL ? hint : "Run the backup again, or raise lock_wait.");
    free(hint);
}

/*
 * The server ends the wait of one of those that wait for each other, which is
 * us where somebody who has a table waits for the backup lock, too.
 */
int
dump_stages(struct dump *d)
{
    static const char *const stage[] = {"START", "FLUSH", "BLOCK_DDL"};
    size_t i = 0;

    for (int tries = 0; i < NELEM(stage);) {
        if (db_exec(d->guard, "BACKUP STAGE %s", stage[i]) == 0) {
            i++;
            continue;
        }
        if (db_errno(d->guard) != DEADLOCK || ++tries == TRIES_DEADLOCK)
            return -1;
        err_clear();
        if (db_exec(d->guard, "BACKUP STAGE END") < 0)
            return -1;
        if (stop_sleep_us(50000))
            return stop_error();
        i = 0;
    }
    return 0;
}

/* 0 also where it was not to be had in time: then the log alone tells. */
int
dump_guard_take(struct dump *d)
{
    uint64_t start = time_mono_us();
    char text[TIME_TEXT];

    if (dump_stages(d) == 0) {
        d->guard_held = true;
        d->guard_since = time_mono_us();
        log_debug("DDL is kept out; it took %s to get there",
            time_span(d->guard_since - start, text));
        return 0;
    }
    if (db_errno(d->guard) != LOCK_WAIT_TIMEOUT &&
        db_errno(d->guard) != DEADLOCK)
        return -1;
    dump_hint_blocker(d);
    log_info("DDL is not kept out, the log is watched for it instead: %s. %s",
        err_text(), err_hint_text());
    err_clear();
    db_exec(d->guard, "BACKUP STAGE END");
    err_clear();
    return 0;
}

void
dump_guard_release(struct dump *d)
{
    struct err_saved *saved;
    char text[TIME_TEXT];

    if (!d->guard_held)
        return;
    saved = err_take();
    d->guard_held = false;
    /* Where the connection was lost, DDL got in: the log will show it. */
    if (db_exec(d->guard, "BACKUP STAGE END") < 0)
        log_debug("ending BACKUP STAGE: %s", err_text());
    log_debug("DDL was kept out for %s",
        time_span(time_mono_us() - d->guard_since, text));
    err_clear();
    if (saved != NULL)
        err_put(saved);
}

/* The tables to lock: accounts, and what has no transactions. */
static size_t
lock_statement(struct dump *d, struct buf *sql)
{
    static const char *const accounts[] = {"global_priv", "db", "tables_priv",
        "columns_priv", "procs_priv", "proxies_priv", "roles_mapping"};
    size_t n = 0;

    buf_str(sql, "LOCK TABLES ");
    for (size_t i = 0; i < NELEM(accounts); i++)
        buf_fmt(sql, "%smysql.%s READ", i ? ", " : "", accounts[i]);
    for (size_t i = 0; i < d->tables; i++) {
        if (!d->table[i].locked)
            continue;
        buf_str(sql, ", ");
        db_ident(sql, d->table[i].schema);
        buf_str(sql, ".");
        db_ident(sql, d->table[i].name);
        buf_str(sql, " READ");
        n++;
    }
    return n;
}

/*
 * A transaction that changed a table without transactions and an InnoDB table
 * is logged when it commits, its change to the former is there at once, and
 * LOCK TABLES does not wait for it.  So wait, for a while, for those that were
 * open when the lock was had; what remains is for the watch to judge.
 */
static int
wait_for_open_transactions(struct dump *d)
{
    uint64_t until = time_mono_us() + MIN(d->conf->lock_wait_us / 2, 2000000);
    uint64_t now_s;
    char *ids = NULL;
    int rc = -1;

    /* The view is filled anew at most every 0.1 s. */
    if (db_value_u64(d->main, &now_s, "SELECT UNIX_TIMESTAMP()") < 0 ||
        db_exec(d->main, "DO SLEEP(0.12)") < 0)
        return -1;
    if (db_value(d->main, &ids,
            "SELECT GROUP_CONCAT(trx_id) FROM information_schema.INNODB_TRX"
            " WHERE trx_rows_modified > 0") < 0)
        goto out;
    d->doubt_s = 0;
    while (ids != NULL) {
        uint64_t n = 0;

        if (db_value_u64(d->main, &n,
                "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE"
                " FIND_IN_SET(trx_id, '%s')",
                ids) < 0)
            goto out;
        if (n == 0)
            break;
        if (time_mono_us() > until) {
            d->doubt_s = now_s;
            break;
        }
        if (db_exec(d->main, "DO SLEEP(0.12)") < 0)
            goto out;
    }
    rc = 0;

out:
    free(ids);
    return rc;
}

int
dump_lock_take(struct dump *d)
{
    struct buf sql = {0};
    size_t user_tables;
    uint64_t start;
    char text[TIME_TEXT];
    int rc = -1;

    user_tables = lock_statement(d, &sql);
    start = time_mono_us();
    if (db_exec_bytes(d->lock, buf_cstr(&sql), sql.len) < 0) {
        err_wrap("locking the tables without transactions");
        if (db_errno(d->lock) == LOCK_WAIT_TIMEOUT)
            dump_hint_blocker(d);
        goto out;
    }
    d->lock_held = true;
    d->lock_since = time_mono_us();
    d->locked_tables = user_tables;
    log_debug("locked %zu tables without transactions, after %s", user_tables,
        time_span(d->lock_since - start, text));
    rc = user_tables > 0 ? wait_for_open_transactions(d) : 0;

out:
    buf_free(&sql);
    return rc;
}

void
dump_lock_release(struct dump *d)
{
    struct err_saved *saved;
    char text[TIME_TEXT];

    if (!d->lock_held)
        return;
    saved = err_take();
    d->lock_held = false;
    if (db_exec(d->lock, "UNLOCK TABLES") < 0)
        log_debug("UNLOCK TABLES: %s", err_text());
    if (d->locked_tables == 0)
        log_debug("account changes were held for %s",
            time_span(time_mono_us() - d->lock_since, text));
    else
        log_info("tables without transactions were locked for writing for %s",
            time_span(time_mono_us() - d->lock_since, text));
    err_clear();
    if (saved != NULL)
        err_put(saved);
}

void
dump_locked_done(struct dump *d)
{
    dump_lock_release(d);
    if (d->locked_tables > 0)
        dump_guard_release(d);
}
