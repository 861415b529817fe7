/*
 * dump.c -- one backup from its first look at the server to its manifest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dump_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/progress.h"
#include "pitr/stop.h"
#include "pitr/times.h"

#define ROOM_US 200000 /* between looks */
#define PACE_US 200000 /* the same, whether to stop */

int
dump_fail(struct dump *d)
{
    pthread_mutex_lock(&d->mutex);
    if (d->first == NULL)
        d->first = err_take();
    pthread_mutex_unlock(&d->mutex);
    atomic_store(&d->failed, true);
    return -1;
}

bool
dump_stopping(const struct dump *d)
{
    return atomic_load(&d->failed) || stop_asked();
}

int
dump_stop_error(void)
{
    return stop_asked() ? stop_error()
                        : err_set(ERR_FAILED, "another worker failed");
}

int
dump_room(const struct dump *d)
{
    int rc = 1;

    while (
        d->conf->room != NULL && (rc = d->conf->room(d->conf->room_arg)) == 0) {
        if (dump_stopping(d) || stop_sleep_us(ROOM_US))
            return dump_stop_error();
    }
    return rc < 0 ? -1 : 0;
}

int
dump_pace(const struct dump *d, uint64_t bytes)
{
    int64_t us = 0;

    while (d->conf->pace != NULL &&
        (us = d->conf->pace(d->conf->pace_arg, bytes)) > 0) {
        bytes = 0;
        for (; us > 0; us -= PACE_US)
            if (dump_stopping(d) || stop_sleep_us(MIN((uint64_t)us, PACE_US)))
                return dump_stop_error();
    }
    return us < 0 ? -1 : 0;
}

void
dump_warn(struct dump *d, const char *fmt, ...)
{
    struct manifest *m = d->m;
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_warn("%s", text);
    pthread_mutex_lock(&d->mutex);
    m->warning =
        xgrow(m->warning, m->warnings, &d->cap_warnings, sizeof *m->warning);
    m->warning[m->warnings++] = xstrdup(text);
    pthread_mutex_unlock(&d->mutex);
}

void
dump_pos_free(struct dump_pos *p)
{
    free(p->file);
    p->file = NULL;
}

void
dump_pos_set(struct dump_pos *p, const char *file, uint64_t offset)
{
    char *copy = xstrdup(file);

    dump_pos_free(p);
    p->file = copy;
    p->offset = offset;
}

/* Files of one log differ in the number at their end. */
static uint64_t
file_number(const char *file)
{
    const char *dot = strrchr(file, '.');

    return dot == NULL ? 0 : strtoull(dot + 1, NULL, 10);
}

bool
dump_pos_upto(const struct dump_pos *a, const struct dump_pos *b)
{
    uint64_t fa, fb;

    if (a->file == NULL || b->file == NULL)
        return true;
    fa = file_number(a->file);
    fb = file_number(b->file);
    return fa != fb ? fa < fb : a->offset <= b->offset;
}

bool
dump_pos_same(const struct dump_pos *a, const struct dump_pos *b)
{
    return a->file != NULL && b->file != NULL &&
        strcmp(a->file, b->file) == 0 && a->offset == b->offset;
}

int
dump_pos_now(struct db *db, struct dump_pos *out)
{
    struct db_result r;

    if (db_query(db, &r, "SHOW MASTER STATUS") < 0)
        return -1;
    if (r.rows != 1 || db_cell(&r, 0, 0) == NULL) {
        db_result_free(&r);
        return err_set(ERR_FAILED, "the server writes no binary log");
    }
    dump_pos_set(out, db_cell(&r, 0, 0), strtoull(db_text(&r, 0, 1), NULL, 10));
    db_result_free(&r);
    return 0;
}

/* A name that no backup has had yet: two within a second must not mix. */
static int
choose_id(struct dump *d)
{
    for (int tries = 0; tries < 5; tries++) {
        struct store_list l = {0};
        char text[TIME_TEXT], *prefix;
        size_t n;

        d->m->info.begun_us = time_now_us();
        prefix =
            xasprintf("backup/%s/", time_compact(d->m->info.begun_us, text));
        if (store_list(d->conf->repo->store, prefix, false, &l) < 0) {
            free(prefix);
            return -1;
        }
        n = l.n;
        store_list_free(&l);
        free(prefix);
        if (n == 0) {
            d->m->info.id = xstrdup(text);
            return 0;
        }
        if (stop_sleep_us(1000000 - d->m->info.begun_us % 1000000))
            return stop_error();
    }
    return err_set(ERR_FAILED,
        "no free name for this backup: its second is "
        "taken; is the clock standing still?");
}

static int
require_log(struct dump *d)
{
    uint64_t on = 0;
    const char *why;
    int rc;

    if (db_value_u64(d->main, &on, "SELECT @@global.log_bin") < 0)
        return -1;
    if (on == 0) {
        err_set(ERR_FAILED,
            "%s: the server writes no binary log (log_bin is "
            "off)",
            db_where(d->main));
        return err_hint("Set log_bin in the server's configuration and restart "
                        "it: without it there is no moment to restore to.");
    }
    if ((rc = dump_log_lacks(d->main, &why)) > 0) {
        d->log_incomplete = true;
        dump_warn(d, "%s", why);
    }
    return rc < 0 ? -1 : 0;
}

static int
require_log_unfiltered(struct dump *d)
{
    struct db_result r;
    const char *only, *but;

    if (db_query(d->main, &r, "SHOW MASTER STATUS") < 0)
        return -1;
    only = db_cell_by(&r, 0, "Binlog_Do_DB");
    but = db_cell_by(&r, 0, "Binlog_Ignore_DB");
    if ((only != NULL && *only != '\0') || (but != NULL && *but != '\0')) {
        d->log_incomplete = true;
        dump_warn(d,
            "the binary log leaves databases out (binlog_do_db, "
            "binlog_ignore_db): their changes after this backup "
            "cannot be restored");
    }
    db_result_free(&r);
    return 0;
}

static int
require_grants(struct dump *d)
{
    struct buf missing = {0};
    int rc = dump_missing_grants(d->main, &missing);

    if (rc == 0 && missing.len > 0) {
        for (size_t i = 0; i < missing.len; i++)
            if (missing.data[i] == '\n')
                missing.data[i] = i + 1 < missing.len ? ',' : ' ';
        rc = err_set(ERR_FAILED,
            "the account lacks privileges for a backup: "
            "%s",
            buf_cstr(&missing));
        err_hint("\"pitr check --grants\" prints the statements to run.");
    }
    buf_free(&missing);
    return rc;
}

static int
preflight(struct dump *d)
{
    struct backup_info *i = &d->m->info;
    uint64_t id = 0, lower_case = 0;

    if (require_log(d) < 0 || require_grants(d) < 0 ||
        require_log_unfiltered(d) < 0)
        return -1;
    if (db_value(d->main, &i->server_version, "SELECT VERSION()") < 0 ||
        db_value_u64(d->main, &id, "SELECT @@global.server_id") < 0 ||
        db_value_u64(
            d->main, &lower_case, "SELECT @@global.lower_case_table_names") < 0)
        return -1;
    i->server_id = (uint32_t)id;
    i->lower_case_table_names = (int)lower_case;
    return 0;
}

static void
remove_all(struct dump *d)
{
    struct store *s = d->conf->repo->store;
    struct err_saved *saved = err_take();
    char *name = manifest_name(d->m->info.id);

    /* The manifest goes first: what it lists must not be missing. */
    store_remove(s, name);
    for (size_t i = 0; i < d->m->parts; i++)
        store_remove(s, d->m->part[i].name);
    if (d->schema_name != NULL)
        store_remove(s, d->schema_name);
    free(name);
    err_clear();
    if (saved != NULL)
        err_put(saved);
}

static void
sum_up(struct dump *d)
{
    struct manifest *m = d->m;
    struct backup_info *i = &m->info;

    i->tables = m->tables;
    i->parts = m->parts;
    i->warnings = m->warnings;
    i->stored_bytes = m->schema_size;
    for (size_t t = 0; t < m->tables; t++) {
        i->rows += m->table[t].sum.rows;
        i->row_bytes += m->table[t].bytes;
    }
    for (size_t p = 0; p < m->parts; p++) {
        i->stored_bytes += m->part[p].size;
        for (size_t t = 0; t < m->part[p].tables; t++)
            m->table[m->part[p].table[t]].parts++;
    }
    i->ended_us = time_now_us();
}

static void
dump_free(struct dump *d)
{
    dump_hold_unwatch(d);
    dump_lock_release(d);
    dump_guard_release(d);
    dump_hold_release(d);
    db_close(d->holder);
    for (unsigned i = 0; d->conn != NULL && i < d->conf->jobs; i++)
        db_close(d->conn[i]);
    free(d->conn);
    db_close(d->main);
    db_close(d->guard);
    db_close(d->lock);
    dump_units_free(d);
    dump_tables_free(d);
    dump_objects_free(&d->accounts);
    dump_objects_free(&d->grants);
    gtid_pos_free(&d->before);
    dump_pos_free(&d->before_at);
    dump_pos_free(&d->snapshot);
    dump_pos_free(&d->schema_at);
    dump_pos_free(&d->end_at);
    err_saved_free(d->first);
    free(d->schema_name);
    pthread_mutex_destroy(&d->mutex);
}

/* From the snapshot to the last look at the log. */
static int
capture(struct dump *d)
{
    uint64_t total = 0;
    int rc;

    for (size_t i = 0; i < d->tables; i++)
        total += d->table[i].est_bytes;
    progress_start("backup", total);
    rc = dump_hold_watch(d) < 0 ? -1 : dump_rows_run(d);
    progress_stop();
    dump_hold_end(d);
    if (rc < 0)
        return -1;
    dump_history_tell(d);
    if (dump_settings_note(d) < 0 || dump_rest_warn(d) < 0 ||
        dump_pos_now(d->main, &d->end_at) < 0)
        return -1;
    dump_guard_release(d);
    return dump_watch(d);
}

int
dump_run(const struct dump_conf *conf, struct manifest **out)
{
    struct dump d = {.conf = conf, .m = xcalloc(1, sizeof *d.m)};
    int rc = -1;

    pthread_mutex_init(&d.mutex, NULL);
    atomic_init(&d.failed, false);
    if (dump_room(&d) < 0 || choose_id(&d) < 0)
        goto out;
    if ((d.main = db_open(conf->source, "source")) == NULL ||
        preflight(&d) < 0 || dump_connect(&d) < 0 || dump_snapshot(&d) < 0 ||
        capture(&d) < 0 || dump_doubts_ask(&d) < 0 || dump_zoned_ask(&d) < 0)
        goto undo;
    sum_up(&d);
    d.m->info.source_file = xstrdup(d.snapshot.file);
    d.m->info.source_pos = d.snapshot.offset;
    if (manifest_store(conf->repo, d.m) < 0)
        goto undo;
    *out = d.m;
    d.m = NULL;
    rc = 0;
    goto out;

undo:
    remove_all(&d);
out:
    if (rc < 0)
        err_wrap("backup");
    dump_free(&d);
    manifest_free(d.m);
    return rc;
}
