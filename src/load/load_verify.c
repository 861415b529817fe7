/*
 * load_verify.c -- every table is read back and its checksum compared with the
 * one taken at the source; definitions are compared as the server prints them.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/progress.h"
#include "pitr/rows.h"
#include "pitr/stop.h"

struct checking {
    struct load *l;
    struct pool_work *order;
    size_t tables, next;
    pthread_mutex_t lock;
    bool failed;
};

static void
select_text(const struct manifest_table *t, struct buf *b)
{
    buf_str(b, "SELECT ");
    for (size_t i = 0; i < t->cols; i++) {
        buf_str(b, i == 0 ? "" : ", ");
        row_select_expr(b, t->col[i].name, t->col[i].data_type);
    }
    buf_str(b, " FROM ");
    db_ident(b, t->schema);
    buf_str(b, ".");
    db_ident(b, t->name);
    if (t->history)
        buf_str(b, " FOR SYSTEM_TIME ALL");
}

static bool
same_version(struct db *db, const struct manifest *m)
{
    char *prefix =
        xasprintf("%u.%u.", db_version(db) / 10000, db_version(db) / 100 % 100);
    bool same = strncmp(m->info.server_version, prefix, strlen(prefix)) == 0;

    free(prefix);
    return same;
}

#define TELL_ROWS 16384

struct reading { /* of one table */
    struct load *l;
    bool (*stop)(void *arg);
    void *arg;
    bool tells; /* its rows are progress */
};

static int
sum_rows(const struct reading *c, const struct manifest_table *t,
    struct db_rows *r, struct rowsum *sum)
{
    struct buf space = {0};
    uint64_t rows = 0, bytes = 0;
    const uint8_t *row;
    size_t size;
    int rc;

    while ((rc = db_rows_next(r, &row, &size)) > 0) {
        rowsum_add(
            sum, load_history_row(c->l, t, row, size, true, &space), size);
        bytes += size;
        if (++rows < TELL_ROWS)
            continue;
        if (c->tells)
            progress_add(rows, bytes);
        rows = bytes = 0;
        if (stop_asked()) {
            rc = stop_error();
            break;
        }
        if (c->stop(c->arg)) {
            rc = 1;
            break;
        }
    }
    if (c->tells)
        progress_add(rows, bytes);
    buf_free(&space);
    return rc;
}

/* 0, 1 if broken off, -1. */
static int
compare_table(const struct reading *c, struct db *db, size_t table)
{
    const struct manifest_table *t = &c->l->conf->manifest->table[table];
    struct load_table *lt = &c->l->table[table];
    struct rowsum sum = {0};
    struct db_rows *r;
    struct buf sql = {0};
    int rc = -1;

    if (t->cols == 0 || t->left_out)
        return 0;
    select_text(t, &sql);
    r = db_rows_open(db, (char *)sql.data, sql.len);
    if (r != NULL)
        rc = sum_rows(c, t, r, &sum);
    db_rows_close(r);
    buf_free(&sql);
    if (rc != 0)
        return rc < 0 ? err_wrap("reading back %s.%s", t->schema, t->name) : rc;
    lt->compared = true;
    if (sum.rows != t->sum.rows)
        rc = err_set(ERR_VERIFY,
            "table %s.%s has %" PRIu64 " rows, the backup has %" PRIu64,
            t->schema, t->name, sum.rows, t->sum.rows);
    else if (sum.a == t->sum.a && sum.b == t->sum.b)
        return 0;
    else if (load_zero_equal(&t->sum, &sum, &lt->minus, &lt->plus))
        log_warn("table %s.%s: in %" PRIu64 " rows the target has 0 where the "
                 "backup has the negative zero, which it does not store",
            t->schema, t->name, lt->minus.rows);
    else
        rc = err_set(ERR_VERIFY,
            "table %s.%s has %" PRIu64 " rows like the backup, but with other "
            "content",
            t->schema, t->name, sum.rows);
    if (rc < 0 && same_version(db, c->l->conf->manifest))
        err_hint("the target does not hold what was backed up: do not use it; "
                 "restore into another server, and report this");
    else if (rc < 0)
        err_hint("the target is of another version than the source (%s) and "
                 "stores it otherwise, as FLOAT(M,D) and DOUBLE(M,D) are "
                 "rounded otherwise: restore into the source's version; with "
                 "--no-verify it is taken as it is",
            c->l->conf->manifest->info.server_version);
    return rc;
}

/* --- definitions --- */

/* As soon as a table's rows are: the server has it open then. */
static int
compare_one(struct db *db, struct load *l, struct load_table *t)
{
    const struct schema_object *o = t->object;
    char *name = db_name2(o->schema, o->name), *here, *there;
    struct db_result r = {0};
    int rc = db_query(db, &r, "SHOW CREATE TABLE %s", name);

    free(name);
    if (rc < 0)
        return err_wrap("definition of %s.%s", o->schema, o->name);
    here = ddl_table_comparable(db_text(&r, 0, 1));
    there = ddl_table_comparable(o->sql);
    if (strcmp(here, there) != 0) {
        if (atomic_fetch_add(&l->differ, 1) < 20)
            log_warn("the definition of table %s.%s is not quite the recorded "
                     "one",
                o->schema, o->name);
        log_debug("recorded: %s", there);
        log_debug("restored: %s", here);
    }
    t->defined = true;
    free(here);
    free(there);
    db_result_free(&r);
    return 0;
}

bool
load_compares_early(const struct load *l, size_t table)
{
    return l->conf->verify && l->table[table].object != NULL &&
        l->table[table].ddl.foreigns == 0;
}

int
load_compare_table(struct load *l, struct db *db, size_t table,
    bool (*stop)(void *arg), void *arg)
{
    struct reading r = {.l = l, .stop = stop, .arg = arg};
    int rc = compare_table(&r, db, table);

    if (rc != 0 || !same_version(db, l->conf->manifest))
        return rc;
    return compare_one(db, l, &l->table[table]);
}

static bool
checking_failed(void *arg)
{
    struct checking *c = arg;
    bool failed;

    pthread_mutex_lock(&c->lock);
    failed = c->failed;
    pthread_mutex_unlock(&c->lock);
    return failed;
}

static int
verify_some(void *arg, unsigned index)
{
    struct checking *c = arg;
    struct reading r = {
        .l = c->l, .stop = checking_failed, .arg = c, .tells = true};
    struct db *db = load_connect(c->l->conf);
    int rc = db == NULL ? -1 : 0;

    (void)index;
    while (rc == 0) {
        size_t i = c->tables;
        pthread_mutex_lock(&c->lock);
        if (!c->failed && !stop_asked() && c->next < c->tables)
            i = c->next++;
        pthread_mutex_unlock(&c->lock);
        if (i == c->tables)
            break;
        rc = compare_table(&r, db, c->order[i].index);
        pthread_mutex_lock(&c->lock);
        if (rc < 0)
            c->failed = true;
        pthread_mutex_unlock(&c->lock);
    }
    db_close(db);
    return rc < 0 ? -1 : 0;
}

int
load_verify(struct load *l, struct load_report *out)
{
    const struct manifest *m = l->conf->manifest;
    struct checking c = {.l = l};
    uint64_t bytes = 0;
    int rc = 0;

    c.order = xcalloc(m->tables + 1, sizeof *c.order);
    for (size_t i = 0; i < m->tables; i++)
        if (!l->table[i].compared) {
            c.order[c.tables++] = (struct pool_work){i, m->table[i].bytes};
            bytes += m->table[i].bytes;
        }
    pool_largest_first(c.order, c.tables);
    if (c.tables > 0) {
        progress_start("comparing", bytes);
        pthread_mutex_init(&c.lock, NULL);
        rc = pool_join(pool_start(MAX(l->conf->jobs, 1u), verify_some, &c));
        pthread_mutex_destroy(&c.lock);
    }
    /* A worker that was stopped has nothing to say of it. */
    if (rc == 0 && stop_asked())
        rc = stop_error();
    out->verified_tables = m->tables;
    free(c.order);
    return rc;
}

int
load_compare_definitions(struct db *db, struct load *l)
{
    uint64_t differ;

    if (!same_version(db, l->conf->manifest))
        return 0; /* servers of other versions print other things */
    for (size_t i = 0; i < l->conf->manifest->tables; i++) {
        if (stop_asked())
            return stop_error();
        if (l->table[i].object != NULL && !l->table[i].defined &&
            compare_one(db, l, &l->table[i]) < 0)
            return -1;
    }
    differ = atomic_load(&l->differ);
    if (differ > 20)
        log_warn("%" PRIu64 " definitions of tables differ in all", differ);
    return 0;
}
