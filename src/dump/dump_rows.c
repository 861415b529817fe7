/*
 * dump_rows.c -- the workers: each takes a unit of work, reads its rows in the
 * snapshot and appends them to the part that it has open.
 *
 * A part goes on over several small tables and ends at PART_ROWS_MAX at last;
 * what a worker holds is one row and the buffers of its chain.
 */
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/mem.h"
#include "pitr/part.h"
#include "pitr/pool.h"
#include "pitr/progress.h"
#include "pitr/stop.h"

#define REPORT_BYTES                                                           \
    (1u << 20) /* how often progress is told, and asked                        \
                  whether to stop */

/* With so many bytes in a part, another table begins a new one: a restore then
 * fills each table by one worker at a time. */
#define PART_TABLE_BYTES (16u << 20)

struct worker {
    struct dump *d;
    struct db *db;
    bool locked; /* reads the locked tables, on the connection that locks */
    struct part_writer *out;   /* NULL: no part is open */
    struct sink *seal;         /* of its chain */
    struct manifest_part part; /* what is known of it so far */
    size_t cap_table, cap_rows;
    uint64_t paced; /* bytes that dump_pace() has not been told of */
};

struct unit_sum { /* of one unit */
    struct rowsum sum;
    uint64_t bytes, told_rows, told_bytes;
};

static int
part_begin(struct worker *w)
{
    struct dump *d = w->d;
    unsigned number;

    /* Writers wait for tables that are locked, not those for room. */
    if (!w->locked && dump_room(d) < 0)
        return -1;
    pthread_mutex_lock(&d->mutex);
    number = ++d->part_number;
    pthread_mutex_unlock(&d->mutex);
    memset(&w->part, 0, sizeof w->part);
    w->cap_table = w->cap_rows = 0;
    w->part.name = xasprintf("backup/%s/part-%06u", d->m->info.id, number);
    w->out = part_writer_new(repo_put(d->conf->repo, SEAL_ROWS, w->part.name,
        NULL, d->conf->level, STORE_ATOMIC, &w->seal));
    return w->out == NULL ? -1 : 0;
}

static void
part_drop(struct worker *w)
{
    part_writer_free(w->out);
    w->out = NULL;
    free(w->part.name);
    free(w->part.table);
    free(w->part.rows);
    memset(&w->part, 0, sizeof w->part);
}

/* Published, and from now on in the manifest. */
static int
part_end(struct worker *w)
{
    struct dump *d = w->d;
    struct manifest *m = d->m;
    const struct seal_mark *mark;

    if (w->out == NULL)
        return 0;
    if (part_writer_finish(w->out) < 0) {
        err_wrap("%s", w->part.name);
        part_drop(w);
        return -1;
    }
    mark = seal_last_mark(w->seal);
    w->part.size = mark->offset + mark->size;
    memcpy(w->part.digest, mark->digest, DIGEST_SIZE);
    pthread_mutex_lock(&d->mutex);
    m->part = xgrow(m->part, m->parts, &d->cap_parts, sizeof *m->part);
    m->part[m->parts++] = w->part;
    pthread_mutex_unlock(&d->mutex);
    memset(&w->part, 0, sizeof w->part);
    part_writer_free(w->out);
    w->out = NULL;
    return 0;
}

static void
part_count(struct worker *w, uint32_t table)
{
    struct manifest_part *p = &w->part;

    if (p->tables > 0 && p->table[p->tables - 1] == table) {
        p->rows[p->tables - 1]++;
        return;
    }
    /* Two ranges of a table may have another table's rows between them. */
    for (size_t i = 0; i < p->tables; i++)
        if (p->table[i] == table) {
            uint64_t rows = p->rows[i];

            memmove(&p->table[i], &p->table[i + 1],
                (p->tables - i - 1) * sizeof *p->table);
            memmove(&p->rows[i], &p->rows[i + 1],
                (p->tables - i - 1) * sizeof *p->rows);
            p->table[p->tables - 1] = table;
            p->rows[p->tables - 1] = rows + 1;
            return;
        }
    p->table = xgrow(p->table, p->tables, &w->cap_table, sizeof *p->table);
    p->rows = xgrow(p->rows, p->tables, &w->cap_rows, sizeof *p->rows);
    p->table[p->tables] = table;
    p->rows[p->tables++] = 1;
}

static int
one_row(struct worker *w, uint32_t number, const uint8_t *row, size_t size,
    struct unit_sum *s)
{
    if (w->out == NULL && part_begin(w) < 0)
        return -1;
    if (part_write_row(w->out, number, row, size) < 0)
        return err_wrap("%s", w->part.name);
    part_count(w, number);
    rowsum_add(&s->sum, row, size);
    s->bytes += size;
    return part_writer_bytes(w->out) >= PART_ROWS_MAX ? part_end(w) : 0;
}

static void
tell(struct worker *w, struct unit_sum *s)
{
    w->paced += s->bytes - s->told_bytes;
    progress_add(s->sum.rows - s->told_rows, s->bytes - s->told_bytes);
    s->told_rows = s->sum.rows;
    s->told_bytes = s->bytes;
}

/* Writers wait for tables that are locked, whatever the machine has to do. */
static int
pace(struct worker *w)
{
    uint64_t bytes = w->paced;

    if (w->locked || bytes < REPORT_BYTES)
        return 0;
    w->paced = 0;
    return dump_pace(w->d, bytes);
}

/* What the columns are on the wire; every unit of a table has to agree. */
static int
note_wire(struct dump *d, struct dump_table *t, struct db_rows *rows)
{
    struct manifest_table *mt = &d->m->table[t->number];
    const struct row_col *wire;
    size_t n = db_rows_columns(rows, &wire);
    bool same = n == mt->cols;

    pthread_mutex_lock(&d->mutex);
    for (size_t i = 0; same && i < n; i++) {
        struct row_col *have = &mt->col[i].wire;

        if (!t->wire_known)
            *have = wire[i];
        else
            same = have->type == wire[i].type &&
                have->is_unsigned == wire[i].is_unsigned;
    }
    t->wire_known = true;
    pthread_mutex_unlock(&d->mutex);
    return same ? 0
                : err_set(ERR_FAILED,
                      "its columns are not those that the "
                      "catalogue showed");
}

static int
copy_rows(struct worker *w, struct dump_table *t, struct db_rows *rows,
    struct unit_sum *s)
{
    const uint8_t *row;
    size_t size;
    bool keep;
    int rc;

    while ((rc = db_rows_next(rows, &row, &size)) > 0) {
        if (dump_history_row(w->d, t, row, size, &keep) < 0 ||
            (keep && one_row(w, t->number, row, size, s) < 0))
            return -1;
        if (s->bytes - s->told_bytes < REPORT_BYTES)
            continue;
        tell(w, s);
        if (pace(w) < 0)
            return -1;
        if (dump_stopping(w->d))
            return dump_stop_error();
    }
    tell(w, s);
    return rc;
}

static int
select_rows(struct worker *w, const struct dump_unit *u, struct dump_table *t,
    struct unit_sum *s)
{
    struct buf sql = {0};
    char *name = db_name2(t->schema, t->name);
    struct db_rows *rows;
    int rc = -1;

    buf_fmt(&sql, "SELECT SQL_NO_CACHE %s FROM %s", t->select, name);
    if (t->history)
        buf_str(&sql, " FOR SYSTEM_TIME ALL");
    if (u->where != NULL)
        buf_fmt(&sql, " FORCE INDEX (PRIMARY) WHERE %s", u->where);
    rows = db_rows_open(w->db, (const char *)sql.data, sql.len);
    if (rows != NULL && note_wire(w->d, t, rows) == 0)
        rc = copy_rows(w, t, rows, s);
    db_rows_close(rows);
    buf_free(&sql);
    free(name);
    return rc;
}

/*
 * Note where the log is, for the tables of which the last row has been read.
 * Somebody still holds a metadata lock on them, the reader or LOCK TABLES: DDL
 * on a table that comes later is logged later.
 */
static int
note_read(struct dump *d, struct db *db, struct dump_table *t, bool all)
{
    struct dump_pos now = {0};

    if (dump_pos_now(db, &now) < 0)
        return -1;
    for (size_t i = 0; all && i < d->tables; i++)
        if (d->table[i].units_left == 0 && d->table[i].read_at.file == NULL)
            dump_pos_set(&d->table[i].read_at, now.file, now.offset);
    if (!all)
        dump_pos_set(&t->read_at, now.file, now.offset);
    dump_pos_free(&now);
    return 0;
}

static bool
begins_part(const struct worker *w, const struct dump_table *t)
{
    const struct manifest_part *p = &w->part;

    return w->out != NULL && part_writer_bytes(w->out) >= PART_TABLE_BYTES &&
        p->table[p->tables - 1] != t->number;
}

/* Sums are merged; what the end of the locked tables lets go, is let go. */
static int
unit_done(struct worker *w, const struct dump_unit *u, struct dump_table *t,
    const struct unit_sum *s)
{
    struct dump *d = w->d;
    struct manifest_table *mt = &d->m->table[t->number];
    bool last;
    int rc = 0;

    pthread_mutex_lock(&d->mutex);
    rowsum_merge(&mt->sum, &s->sum);
    mt->bytes += s->bytes;
    t->units_left--;
    last = u->locked && --d->locked_left == 0;
    if (last || (!d->guard_held && t->units_left == 0))
        rc = note_read(d, w->db, t, last);
    if (last)
        dump_locked_done(d);
    pthread_mutex_unlock(&d->mutex);
    return rc;
}

static int
read_unit(struct worker *w, const struct dump_unit *u)
{
    struct dump_table *t = &w->d->table[u->table];
    struct unit_sum s = {0};

    /* Where the server lets it (dump_snapshot.c), going back to the savepoint
     * gives the metadata lock back and keeps the snapshot. */
    if (begins_part(w, t) && part_end(w) < 0)
        return -1;
    if (select_rows(w, u, t, &s) < 0 || unit_done(w, u, t, &s) < 0 ||
        (!u->locked && !w->d->logged &&
            db_exec(w->db, "ROLLBACK TO SAVEPOINT pitr") < 0)) {
        dump_hint_gone(w->db);
        return err_wrap("table %s.%s", t->schema, t->name);
    }
    return 0;
}

/* Those of the locked tables come first, and are one worker's. */
static const struct dump_unit *
take_unit(struct worker *w)
{
    struct dump *d = w->d;
    const struct dump_unit *u = NULL;
    size_t *next = w->locked ? &d->next_locked : &d->next_unit;
    size_t end = w->locked ? d->locked_units : d->units.n;

    pthread_mutex_lock(&d->mutex);
    if (*next < end)
        u = &d->units.v[(*next)++];
    pthread_mutex_unlock(&d->mutex);
    return u;
}

/*
 * Tables that are locked are read by the connection that locked them: another
 * one would wait behind a writer that waits for that lock.
 */
static int
worker_run(void *arg, unsigned index)
{
    struct dump *d = arg;
    bool locked = index == d->conf->jobs;
    struct worker w = {
        .d = d, .db = locked ? d->lock : d->conn[index], .locked = locked};
    const struct dump_unit *u;
    int rc = 0;

    while (rc == 0 && !dump_stopping(d) && (u = take_unit(&w)) != NULL)
        if ((rc = read_unit(&w, u)) == 0)
            rc = pace(&w);
    if (rc == 0 && !dump_stopping(d))
        rc = part_end(&w);
    /* The others may have hours to go: give back the metadata locks. */
    if (rc == 0 && !locked)
        rc = db_exec(w.db, "COMMIT");
    if (rc < 0)
        dump_fail(d);
    part_drop(&w);
    return 0;
}

static int
by_name(const void *a, const void *b)
{
    const struct manifest_part *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* The first to fail is the one to be told of. */
int
dump_rows_run(struct dump *d)
{
    unsigned n = d->conf->jobs + (d->locked_units > 0);
    struct pool *p = pool_start(n, worker_run, d);
    int rc;

    if (p == NULL)
        return -1;
    if (dump_schema_run(d) < 0)
        dump_fail(d);
    rc = pool_join(p);
    if (d->first != NULL) {
        rc = err_put(d->first);
        d->first = NULL;
    }
    if (rc == 0 && d->m->parts > 1)
        qsort(d->m->part, d->m->parts, sizeof *d->m->part, by_name);
    return rc;
}
