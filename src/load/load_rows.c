/*
 * load_rows.c -- the workers that fill the tables: the parts of the backup are
 * handed out (load_order.c); when the last part of a table is in, its indexes
 * are work for whoever is free next.  Who finds nothing else to do reads back
 * what is done.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/part.h"
#include "pitr/pool.h"
#include "pitr/progress.h"
#include "pitr/stop.h"
#include "pitr/times.h"

struct work {
    struct load *l;
    struct load_making *making;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct load_order order;
    size_t parts_under_way;
    size_t *ready; /* tables whose rows are in, their indexes to be made */
    size_t ready_n, ready_taken;
    size_t *whole; /* tables with their indexes, to be read back */
    size_t whole_n, whole_taken;
    uint64_t rows, bytes, index_us;
    bool failed;
};

/* One worker's connection and the table it is filling. */
struct filler {
    struct work *w;
    struct db *db;
    struct db *reader; /* of what is read back; NULL until there is any */
    struct db_bulk *bulk;
    uint32_t table;
    uint64_t *rows;            /* of each table of the part */
    uint64_t uncommitted;      /* bytes */
    struct buf space;          /* of load_history_row() */
    struct rowsum minus, plus; /* of load_zero_row() */
};

/*
 * A commit for each batch costs a tenth more, and a sync where the target's
 * durability is not relaxed.
 */
#define COMMIT_BYTES (16u << 20)

/* --- filling --- */

/* See goes_as_null() in rows_bulk.c.  What IGNORE hides besides is seen all the
 * same: fewer rows are stored, or others than were backed up. */
static bool
has_geometry(const struct manifest_table *t)
{
    static const char *const types[] = {"geometry", "point", "linestring",
        "polygon", "multipoint", "multilinestring", "multipolygon",
        "geometrycollection"};

    for (size_t i = 0; i < t->cols; i++)
        for (size_t k = 0; k < NELEM(types); k++)
            if (strcasecmp(t->col[i].data_type, types[k]) == 0)
                return true;
    return false;
}

static void
insert_text(const struct manifest_table *t, struct buf *b)
{
    buf_str(b, has_geometry(t) ? "INSERT IGNORE INTO " : "INSERT INTO ");
    db_ident(b, t->schema);
    buf_str(b, ".");
    db_ident(b, t->name);
    buf_str(b, " (");
    for (size_t i = 0; i < t->cols; i++) {
        buf_str(b, i == 0 ? "" : ", ");
        db_ident(b, t->col[i].name);
    }
    buf_str(b, ") VALUES (");
    for (size_t i = 0; i < t->cols; i++)
        buf_str(b, i == 0 ? "?" : ",?");
    buf_str(b, ")");
}

static int
commit(struct filler *f)
{
    f->uncommitted = 0;
    if (db_bulk_flush(f->bulk) < 0)
        return -1;
    return db_exec(f->db, "COMMIT");
}

static int
bulk_close(struct filler *f)
{
    struct work *w = f->w;
    int rc;

    if (f->bulk == NULL)
        return 0;
    rc = commit(f);
    if (rc == 0) {
        pthread_mutex_lock(&w->lock);
        w->l->table[f->table].warnings += db_bulk_warnings(f->bulk);
        rowsum_merge(&w->l->table[f->table].minus, &f->minus);
        rowsum_merge(&w->l->table[f->table].plus, &f->plus);
        pthread_mutex_unlock(&w->lock);
    } else {
        const struct manifest_table *t = &w->l->conf->manifest->table[f->table];
        err_wrap("table %s.%s", t->schema, t->name);
    }
    f->minus = f->plus = (struct rowsum){0};
    db_bulk_close(f->bulk);
    f->bulk = NULL;
    return rc;
}

/* 0, 1 if the work is to be broken off, -1. */
static int
bulk_open(struct filler *f, uint32_t table)
{
    const struct manifest *m = f->w->l->conf->manifest;
    const struct manifest_table *t;
    struct row_col *cols;
    struct buf sql = {0};

    int rc;

    if (bulk_close(f) < 0)
        return -1;
    if (table >= m->tables)
        return err_set(ERR_VERIFY,
            "rows of table number %" PRIu32
            ", which the manifest does not have",
            table);
    if ((rc = load_tables_wait(f->w->making, table)) != 0)
        return rc;
    t = &m->table[table];
    cols = xcalloc(t->cols + 1, sizeof *cols);
    for (size_t i = 0; i < t->cols; i++)
        cols[i] = t->col[i].wire;
    insert_text(t, &sql);
    f->bulk = db_bulk_open(f->db, (char *)sql.data, sql.len, cols, t->cols);
    f->table = table;
    buf_free(&sql);
    free(cols);
    if (f->bulk == NULL)
        return err_wrap("table %s.%s", t->schema, t->name);
    return 0;
}

/* 0, 1 if the work is to be broken off, -1. */
static int
add_row(struct filler *f, uint32_t table, const void *row, size_t size)
{
    const struct manifest *m = f->w->l->conf->manifest;
    const struct manifest_table *t;
    int rc;

    if (table < m->tables && m->table[table].left_out) {
        f->rows[table]++;
        return 0;
    }
    if ((f->bulk == NULL || f->table != table) &&
        (rc = bulk_open(f, table)) != 0)
        return rc;
    f->rows[table]++;
    f->uncommitted += size;
    t = &f->w->l->conf->manifest->table[table];
    if (load_zero_row(t, row, size, &f->minus, &f->plus) < 0)
        return err_wrap("table %s.%s", t->schema, t->name);
    row = load_history_row(f->w->l, t, row, size, false, &f->space);
    if (db_bulk_row(f->bulk, row, size) == 0 &&
        (f->uncommitted < COMMIT_BYTES || commit(f) == 0))
        return 0;
    return err_wrap("table %s.%s", t->schema, t->name);
}

#define TELL_ROWS 4096 /* between looks at stop and progress */
#define TELL_BYTES (4u << 20)

/* Count rows that are on their way.  True if the work is to be broken off. */
static bool
tell(struct work *w, uint64_t *rows, uint64_t *bytes)
{
    bool stop;

    progress_add(*rows, *bytes);
    pthread_mutex_lock(&w->lock);
    w->rows += *rows;
    w->bytes += *bytes;
    stop = w->failed || stop_asked();
    pthread_mutex_unlock(&w->lock);
    *rows = *bytes = 0;
    return stop;
}

static int
read_rows(struct filler *f, struct part_reader *r)
{
    uint64_t rows = 0, bytes = 0;
    const uint8_t *row;
    uint32_t table;
    size_t size;
    int rc;

    while ((rc = part_read_row(r, &table, &row, &size)) > 0) {
        if ((rc = add_row(f, table, row, size)) != 0)
            return rc;
        rows += !f->w->l->conf->manifest->table[table].left_out;
        bytes += size;
        if ((rows >= TELL_ROWS || bytes >= TELL_BYTES) &&
            tell(f->w, &rows, &bytes))
            return 1;
    }
    tell(f->w, &rows, &bytes);
    return rc;
}

static bool
left_out(const struct manifest *m, const struct manifest_part *p)
{
    for (size_t i = 0; i < p->tables; i++)
        if (!m->table[p->table[i]].left_out)
            return false;
    return true;
}

/* What came has to be what the manifest says of this part. */
static int
check_counts(struct filler *f, const struct manifest_part *p)
{
    const struct manifest *m = f->w->l->conf->manifest;

    for (size_t i = 0; i < p->tables; i++) {
        const struct manifest_table *t = &m->table[p->table[i]];
        if (f->rows[p->table[i]] != p->rows[i])
            return err_set(ERR_VERIFY,
                "%s has %" PRIu64 " rows of %s.%s, the manifest says %" PRIu64,
                p->name, f->rows[p->table[i]], t->schema, t->name, p->rows[i]);
        f->rows[p->table[i]] = 0;
    }
    for (size_t i = 0; i < m->tables; i++) {
        if (f->rows[i] != 0)
            return err_set(ERR_VERIFY,
                "%s has rows of %s.%s, the manifest says none", p->name,
                m->table[i].schema, m->table[i].name);
    }
    return 0;
}

/* 0, 1 if it was broken off because another worker failed, -1. */
static int
load_part(struct filler *f, const struct manifest_part *p)
{
    const struct load_conf *c = f->w->l->conf;
    struct part_reader *r;
    int rc = -1;

    if (left_out(c->manifest, p))
        return 0;
    r = part_reader_new(
        repo_get(c->repo, SEAL_ROWS, p->name, c->key, p->digest));
    if (r != NULL)
        rc = read_rows(f, r);
    if (rc == 0)
        rc = bulk_close(f);
    if (rc == 0)
        rc = check_counts(f, p);
    part_reader_free(r);
    return rc < 0 ? err_wrap("%s", p->name) : rc;
}

/* --- handing out --- */

enum job { JOB_NONE, JOB_PART, JOB_INDEX, JOB_COMPARE };

/* The next piece of work; waits while others may still make some. */
static enum job
take_job(struct work *w, size_t *which)
{
    enum job job = JOB_NONE;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        if (w->failed || stop_asked())
            break;
        if (w->ready_taken < w->ready_n) {
            *which = w->ready[w->ready_taken++];
            job = JOB_INDEX;
            break;
        }
        if (load_order_take(&w->order, which)) {
            w->parts_under_way++;
            job = JOB_PART;
            break;
        }
        if (w->whole_taken < w->whole_n) {
            *which = w->whole[w->whole_taken++];
            job = JOB_COMPARE;
            break;
        }
        if (w->parts_under_way == 0)
            break;
        pthread_cond_wait(&w->wake, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void
table_whole(struct work *w, size_t table)
{
    if (load_compares_early(w->l, table))
        w->whole[w->whole_n++] = table;
}

/* Has this part's end made tables complete? */
static void
part_done(struct work *w, const struct manifest_part *p, bool ok)
{
    pthread_mutex_lock(&w->lock);
    w->parts_under_way--;
    load_order_done(&w->order, p, ok);
    for (size_t i = 0; ok && i < p->tables; i++) {
        struct load_table *t = &w->l->table[p->table[i]];
        t->rows += p->rows[i];
        if (--t->parts_left > 0)
            continue;
        if (t->ddl.indexes > 0 || t->ddl.disable_keys)
            w->ready[w->ready_n++] = p->table[i];
        else
            table_whole(w, p->table[i]);
    }
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static int
do_index(struct filler *f, size_t table)
{
    uint64_t from;
    int rc;

    if (load_tables_wait(f->w->making, table) != 0)
        return 1;
    from = time_mono_us();
    rc = load_index(f->db, &f->w->l->table[table]);

    pthread_mutex_lock(&f->w->lock);
    f->w->index_us += time_mono_us() - from;
    if (rc == 0)
        table_whole(f->w, table);
    pthread_mutex_unlock(&f->w->lock);
    return rc;
}

static bool
work_failed(void *arg)
{
    struct work *w = arg;
    bool failed;

    pthread_mutex_lock(&w->lock);
    failed = w->failed;
    pthread_mutex_unlock(&w->lock);
    return failed;
}

/* Over a connection without the settings of one that stores. */
static int
do_compare(struct filler *f, size_t table)
{
    if (f->reader == NULL && (f->reader = load_connect(f->w->l->conf)) == NULL)
        return -1;
    return load_compare_table(f->w->l, f->reader, table, work_failed, f->w);
}

static int
work_on(struct filler *f)
{
    const struct manifest *m = f->w->l->conf->manifest;
    enum job job;
    size_t which;
    int rc = 0;

    while (rc == 0 && (job = take_job(f->w, &which)) != JOB_NONE) {
        if (job == JOB_INDEX) {
            rc = do_index(f, which);
            continue;
        }
        if (job == JOB_COMPARE) {
            rc = do_compare(f, which);
            continue;
        }
        rc = load_part(f, &m->part[which]);
        part_done(f->w, &m->part[which], rc == 0);
    }
    return rc < 0 ? -1 : 0;
}

static int
fill_some(void *arg, unsigned index)
{
    struct work *w = arg;
    struct filler f = {.w = w, .db = load_connect(w->l->conf)};
    int rc = -1;

    (void)index;
    f.rows = xcalloc(w->l->conf->manifest->tables + 1, sizeof *f.rows);
    if (f.db != NULL && db_bulk_setup(f.db) == 0 &&
        db_exec(f.db, "SET SESSION autocommit=0") == 0)
        rc = work_on(&f);
    if (rc < 0) {
        pthread_mutex_lock(&w->lock);
        w->failed = true;
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->lock);
        load_tables_break_off(w->making);
    }
    db_bulk_close(f.bulk);
    db_close(f.db);
    db_close(f.reader);
    buf_free(&f.space);
    free(f.rows);
    return rc;
}

static int
prepare(struct work *w)
{
    const struct manifest *m = w->l->conf->manifest;

    w->ready = xcalloc(m->tables + 1, sizeof *w->ready);
    w->whole = xcalloc(m->tables + 1, sizeof *w->whole);
    for (size_t i = 0; i < m->parts; i++) {
        for (size_t k = 0; k < m->part[i].tables; k++) {
            if (m->part[i].table[k] >= m->tables)
                return err_set(ERR_VERIFY, "%s: no such table in the manifest",
                    m->part[i].name);
            w->l->table[m->part[i].table[k]].parts++;
        }
    }
    for (size_t i = 0; i < m->tables; i++) {
        struct load_table *t = &w->l->table[i];
        t->parts_left = t->parts;
        if (t->parts == 0 && (t->ddl.indexes > 0 || t->ddl.disable_keys))
            w->ready[w->ready_n++] = i;
    }
    load_order_begin(&w->order, w->l);
    return 0;
}

/* Tables are needed as they are filled, and first of all by who has them
 * `ready` already.  Owned. */
static size_t *
making_order(const struct work *w)
{
    const struct manifest *m = w->l->conf->manifest;
    size_t *order = xcalloc(m->tables + 1, sizeof *order), n = 0;
    bool *seen = xcalloc(m->tables + 1, sizeof *seen);

    for (size_t i = 0; i < w->ready_n; i++) {
        seen[w->ready[i]] = true;
        order[n++] = w->ready[i];
    }
    for (size_t i = 0; i < m->parts; i++) {
        const struct manifest_part *p = &m->part[w->order.v[i].index];
        for (size_t k = 0; k < p->tables; k++) {
            if (!seen[p->table[k]])
                order[n++] = p->table[k];
            seen[p->table[k]] = true;
        }
    }
    for (size_t i = 0; i < m->tables; i++)
        if (!seen[i])
            order[n++] = i;
    free(seen);
    return order;
}

/* While some are created, others are filled. */
static int
make_and_fill(struct work *w)
{
    struct err_saved *e = NULL;
    int rc;

    progress_note("tables, rows and indexes");
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->making = load_tables_start(w->l, making_order(w));
    rc = pool_join(pool_start(MAX(w->l->conf->jobs, 1u), fill_some, w));
    if (rc < 0) {
        e = err_take();
        load_tables_break_off(w->making);
    }
    if (load_tables_end(w->making) < 0)
        rc = -1;
    if (e != NULL)
        rc = err_put(e); /* the first one */
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    return rc;
}

int
load_rows(struct load *l, struct load_report *out)
{
    struct work w = {.l = l};
    int rc = prepare(&w);

    if (rc == 0)
        rc = make_and_fill(&w);
    /* A worker that was stopped has nothing to say of it. */
    if (rc == 0 && stop_asked())
        rc = stop_error();
    if (rc == 0 &&
        (w.order.next < l->conf->manifest->parts || w.ready_taken < w.ready_n))
        rc = err_set(ERR_FAILED, "not all rows were loaded");
    out->rows = w.rows;
    out->bytes = w.bytes;
    out->index_us += w.index_us;
    load_order_free(&w.order);
    free(w.ready);
    free(w.whole);
    return rc;
}
