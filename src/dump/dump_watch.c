/*
 * dump_watch.c -- reads the log from the snapshot to the end of the backup and
 * refuses the backup where it shows what must not have happened meanwhile:
 *
 *   - DDL before all definitions were read, or on a table before its rows were
 *     (the guard is not always there, and a lost connection ends it);
 *   - the end of an XA transaction that was prepared before the snapshot;
 *   - a transaction that had changed a table without transactions before those
 *     were locked, and was logged after the snapshot.
 *
 * In doubt the backup fails: it can be run again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dump_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/repl.h"
#include "pitr/stop.h"
#include "pitr/utf8.h"

#define IDLE_MAX 6 /* times 10 s without an event: not the end of the log */

struct watch {
    struct dump *d;
    struct event_gtid gtid; /* of the group being read */
    bool in_group;
    bool old;     /* an event of it began before the tables were locked */
    bool early;   /* only definitions, and then only told */
    bool changed; /* early: something was */
    const struct dump_pos *end;
    char **xa; /* prepared or started since the snapshot */
    size_t n_xa, cap_xa;
    uint64_t events;
};

static int
refuse(const struct watch *w, const char *why, const char *sql, size_t n)
{
    char gtid[GTID_TEXT];

    err_set(ERR_FAILED, "%s: %s%s%.*s", gtid_text(&w->gtid.gtid, gtid), why,
        n > 0 ? ": " : "", (int)MIN(n, 200), sql);
    return err_hint("Nothing is wrong with the server; run the backup again.");
}

/* Does the statement name this table, or its whole database? */
static bool
names_table(const struct dump_words *words, const struct dump_table *t)
{
    bool database = words->n > 1 &&
        (strcmp(words->v[1], "database") == 0 ||
            strcmp(words->v[1], "schema") == 0);

    for (size_t i = 0; i < words->n; i++)
        /* What is not UTF-8 is a name as its client spells it: any, perhaps. */
        if (strcasecmp(words->v[i], database ? t->schema : t->name) == 0 ||
            !utf8_valid(words->v[i]))
            return true;
    return false;
}

static int
check_ddl(
    struct watch *w, const struct event_query *q, const struct dump_pos *at)
{
    struct dump *d = w->d;
    struct dump_words words;
    int rc = 0;

    dump_words_of(q->sql, q->sql_size, q->sql_mode, &words);
    if (dump_words_harmless(&words))
        goto out;
    if (w->early) {
        log_debug("%.*s", (int)MIN(q->sql_size, 200), q->sql);
        w->changed = true;
        goto out;
    }
    if (words.n == 0 || dump_pos_upto(at, &d->schema_at)) {
        rc = refuse(w,
            "a definition may have changed after the snapshot and "
            "before it was read",
            q->sql, q->sql_size);
        goto out;
    }
    if (dump_words_create_new(&words))
        goto out;
    for (size_t i = 0; rc == 0 && i < d->tables; i++) {
        const struct dump_table *t = &d->table[i];
        const struct dump_pos *read =
            t->read_at.file != NULL ? &t->read_at : &d->end_at;

        if (t->number != UINT32_MAX && names_table(&words, t) &&
            dump_pos_upto(at, read)) {
            rc = refuse(w, "a table was changed before its rows were read",
                q->sql, q->sql_size);
            err_wrap("table %s.%s", t->schema, t->name);
        }
    }

out:
    dump_words_free(&words);
    return rc;
}

static char **
xa_find(struct watch *w, const char *id)
{
    for (size_t i = 0; i < w->n_xa; i++)
        if (strcmp(w->xa[i], id) == 0)
            return &w->xa[i];
    return NULL;
}

/* "XA START X'..',X'..',1": the rest of the text identifies it. */
static int
check_xa(struct watch *w, const struct event_query *q)
{
    static const char start[] = "XA START ", commit[] = "XA COMMIT ",
                      rollback[] = "XA ROLLBACK ";
    size_t n = q->sql_size, skip = 0;
    bool begins = false;
    char *id, **have;

    if (n > sizeof start && memcmp(q->sql, start, sizeof start - 1) == 0) {
        skip = sizeof start - 1;
        begins = true;
    } else if (n > sizeof commit &&
        memcmp(q->sql, commit, sizeof commit - 1) == 0) {
        skip = sizeof commit - 1;
    } else if (n > sizeof rollback &&
        memcmp(q->sql, rollback, sizeof rollback - 1) == 0) {
        skip = sizeof rollback - 1;
    }
    if (skip == 0)
        return 0;
    id = xstrndup(q->sql + skip, n - skip);
    have = xa_find(w, id);
    if (begins && have == NULL) {
        w->xa = xgrow(w->xa, w->n_xa, &w->cap_xa, sizeof *w->xa);
        w->xa[w->n_xa++] = id;
        return 0;
    }
    free(id);
    if (begins)
        return 0;
    if (have == NULL)
        return refuse(w,
            "an XA transaction that was prepared before the "
            "snapshot ended after it",
            q->sql, n);
    free(*have);
    *have = w->xa[--w->n_xa];
    return 0;
}

static int
on_query(struct watch *w, const struct event *e, const struct dump_pos *at)
{
    struct event_query q;
    struct buf space = {0};
    int rc = 0;

    if (event_query(e, &q) < 0 || event_query_expand(&q, &space) < 0)
        rc = -1;
    else if (w->in_group &&
        w->gtid.flags & (GTID_FL_PREPARED_XA | GTID_FL_COMPLETED_XA))
        rc = w->early ? 0 : check_xa(w, &q);
    else if ((w->in_group && w->gtid.flags & GTID_FL_DDL) ||
        sql_is_ddl(q.sql, q.sql_size, q.sql_mode))
        rc = check_ddl(w, &q, at);
    buf_free(&space);
    return rc;
}

/*
 * Such a group lacks the flag that says it could be rolled back, and is
 * completed by an XID, or a ROLLBACK that could not undo all of it.
 */
static int
check_mixed(struct watch *w, const struct event *e)
{
    struct event_query q;

    if (w->early || w->d->doubt_s == 0 || !w->in_group ||
        w->gtid.flags & (GTID_FL_TRANSACTIONAL | GTID_FL_STANDALONE))
        return 0;
    if (e->type == EV_XID)
        return w->old ? refuse(w,
                            "a transaction that changed a table without "
                            "transactions was open at the snapshot",
                            "", 0)
                      : 0;
    if (e->type == EV_QUERY && event_query(e, &q) == 0 && w->old &&
        q.sql_size == 8 && strncasecmp(q.sql, "ROLLBACK", 8) == 0)
        return refuse(w,
            "a transaction that changed a table without "
            "transactions was open at the snapshot",
            "", 0);
    if (e->timestamp != 0 && e->timestamp <= w->d->doubt_s)
        w->old = true;
    return 0;
}

/* 1 where the end of the backup has been passed. */
static int
on_event(struct watch *w, const struct repl *r, const struct event *e)
{
    struct dump_pos at = {
        .file = (char *)repl_file(r), .offset = repl_offset(r)};

    if (e->type == EV_HEARTBEAT || e->flags & EVENT_FLAG_ARTIFICIAL)
        return 0;
    w->events++;
    if (w->changed || !dump_pos_upto(&at, w->end))
        return 1;
    if (e->type == EV_GTID) {
        w->in_group = true;
        w->old = false;
        return event_gtid(e, &w->gtid);
    }
    if (check_mixed(w, e) < 0)
        return -1;
    if (e->type == EV_QUERY || e->type == EV_QUERY_COMPRESSED)
        return on_query(w, e, &at);
    return 0;
}

static int
read_log(struct watch *w, struct repl *r)
{
    unsigned idle = 0;

    for (;;) {
        enum repl_got got;
        struct event e;
        int rc;

        if (stop_asked())
            return stop_error();
        if (repl_next(r, 10000000, &got, &e) < 0)
            return -1;
        if (got == REPL_END)
            return 0;
        if (got == REPL_IDLE) {
            if (++idle >= IDLE_MAX)
                return err_set(ERR_FAILED, "the server sends no events");
            continue;
        }
        idle = 0;
        if ((rc = on_event(w, r, &e)) != 0)
            return rc < 0 ? -1 : 0;
    }
}

static int
watch_run(struct watch *w, const struct gtid_pos *start)
{
    struct repl_conf conf = {.until_end = true};
    struct db *db = db_open(w->d->conf->source, "source");
    struct repl *r = NULL;
    int rc = -1;

    if (db == NULL)
        goto out;
    /* High, so as to be unlike what people give to replicas. */
    random_bytes(&conf.server_id, sizeof conf.server_id);
    conf.server_id |= 0x80000000u;
    gtid_pos_copy(&conf.start, start);
    if ((r = repl_open(db, &conf)) == NULL || read_log(w, r) < 0)
        goto out;
    log_debug("the log was read: %" PRIu64 " events", w->events);
    rc = 0;

out:
    if (rc < 0)
        err_wrap("the log since the snapshot");
    for (size_t i = 0; i < w->n_xa; i++)
        free(w->xa[i]);
    free(w->xa);
    gtid_pos_free(&conf.start);
    repl_close(r);
    return rc;
}

/* The server looks for the place of a GTID in its file from the beginning, up
 * to half a second and more: where nothing was logged there is nothing to read.
 */
int
dump_watch(struct dump *d)
{
    struct watch w = {.d = d, .end = &d->end_at};

    if (dump_pos_same(&d->snapshot, &d->end_at))
        return 0;
    return watch_run(&w, &d->m->info.gtid);
}

int
dump_watch_early(struct dump *d)
{
    struct dump_pos now = {0};
    struct watch w = {.d = d, .early = true, .end = &now};
    int rc = -1;

    if (dump_pos_now(d->main, &now) < 0)
        return -1;
    if (dump_pos_same(&d->before_at, &now))
        rc = 1;
    else if (watch_run(&w, &d->before) == 0)
        rc = w.changed ? 0 : 1;
    dump_pos_free(&now);
    return rc;
}
