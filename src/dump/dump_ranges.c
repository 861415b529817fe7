/*
 * dump_ranges.c -- the units of work: whole tables, and ranges of the first
 * column of a big table's primary key.
 *
 * A range is cut in halves by value until the server's estimate (EXPLAIN) says
 * that it is small enough: keys may be sparse, or lie in heaps far apart.
 * Keys are handled in an order-preserving image in uint64_t: a signed key with
 * its top bit flipped.  The first and the last range are open, every other one
 * is half-open, so each row is in exactly one, whatever the estimates say.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/mem.h"
#include "pitr/pool.h"

#define UNIT_LEAST (16ull << 20) /* bytes, by the server's estimates */
#define UNIT_MOST (64ull << 20)
#define EXPLAINS_MAX 4096 /* per table */
#define SIGN (1ull << 63)

struct key {
    char *ident; /* back-ticked */
    bool is_unsigned;
    uint64_t min, max; /* images */
};

struct range {
    uint64_t lo, hi; /* images, both included */
    uint64_t rows;   /* estimate */
};

struct ranges {
    struct range *v;
    size_t n, cap;
};

static void
add_unit(struct dump *d, size_t table, char *where, uint64_t bytes)
{
    struct dump_units *u = &d->units;

    u->v = xgrow(u->v, u->n, &u->cap, sizeof *u->v);
    u->v[u->n].table = (uint32_t)table;
    u->v[u->n].locked = d->table[table].locked;
    u->v[u->n].where = where;
    u->v[u->n++].bytes = bytes;
    d->table[table].units_left++;
}

static uint64_t
image_of(const char *text, bool is_unsigned)
{
    return is_unsigned ? strtoull(text, NULL, 10)
                       : (uint64_t)strtoll(text, NULL, 10) ^ SIGN;
}

static void
key_value(struct buf *out, const struct key *k, uint64_t image)
{
    if (k->is_unsigned)
        buf_fmt(out, "%" PRIu64, image);
    else if (image == 0) /* its absolute value is no signed literal */
        buf_str(out, "(-9223372036854775807 - 1)");
    else
        buf_fmt(out, "%" PRId64, (int64_t)(image ^ SIGN));
}

/* 1 with the key's column, 0 where the table has none that can be cut. */
static int
key_find(struct dump *d, const struct dump_table *t, struct key *k)
{
    struct db_result r;
    struct buf schema = {0}, name = {0}, ident = {0};
    int rc = -1;

    db_quote(&schema, t->schema, strlen(t->schema));
    db_quote(&name, t->name, strlen(t->name));
    /* Both names stand for either table: where one is joined by them, the
     * server opens all tables that there are, each time. */
    if (db_query(d->main, &r,
            "SELECT c.COLUMN_NAME, c.COLUMN_TYPE LIKE '%%unsigned%%'"
            " FROM information_schema.STATISTICS s"
            " JOIN information_schema.COLUMNS c"
            " ON c.COLUMN_NAME = s.COLUMN_NAME"
            " WHERE s.TABLE_SCHEMA = %s AND s.TABLE_NAME = %s"
            " AND c.TABLE_SCHEMA = %s AND c.TABLE_NAME = %s"
            " AND s.INDEX_NAME = 'PRIMARY' AND s.SEQ_IN_INDEX = 1"
            " AND c.DATA_TYPE IN ('tinyint', 'smallint', 'mediumint', 'int',"
            " 'bigint')",
            buf_cstr(&schema), buf_cstr(&name), buf_cstr(&schema),
            buf_cstr(&name)) < 0)
        goto out;
    rc = 0;
    if (r.rows == 1) {
        db_ident(&ident, db_text(&r, 0, 0));
        k->ident = buf_take(&ident);
        k->is_unsigned = strcmp(db_text(&r, 0, 1), "1") == 0;
        rc = 1;
    }
    db_result_free(&r);

out:
    buf_free(&schema);
    buf_free(&name);
    buf_free(&ident);
    return rc;
}

/* 1, 0 where the table is empty. */
static int
key_bounds(struct dump *d, const char *table, struct key *k)
{
    struct db_result r;
    int rc = 0;

    if (db_query(d->main, &r, "SELECT MIN(%s), MAX(%s) FROM %s", k->ident,
            k->ident, table) < 0)
        return -1;
    if (db_cell(&r, 0, 0) != NULL) {
        k->min = image_of(db_cell(&r, 0, 0), k->is_unsigned);
        k->max = image_of(db_text(&r, 0, 1), k->is_unsigned);
        rc = 1;
    }
    db_result_free(&r);
    return rc;
}

static int
estimate(
    struct dump *d, const char *table, const struct key *k, struct range *x)
{
    struct buf sql = {0};
    struct db_result r;
    const char *rows;

    buf_fmt(&sql,
        "EXPLAIN SELECT * FROM %s FORCE INDEX (PRIMARY) WHERE %s BETWEEN ",
        table, k->ident);
    key_value(&sql, k, x->lo);
    buf_str(&sql, " AND ");
    key_value(&sql, k, x->hi);
    if (db_query(d->main, &r, "%s", buf_cstr(&sql)) < 0) {
        buf_free(&sql);
        return -1;
    }
    rows = r.rows > 0 ? db_cell_by(&r, 0, "rows") : NULL;
    x->rows = rows != NULL ? strtoull(rows, NULL, 10) : 0;
    db_result_free(&r);
    buf_free(&sql);
    return 0;
}

/* Append the ranges of x that are small enough, in order.  The deepest
 * recursion is the number of bits of a key. */
static int
bisect(struct dump *d, const char *table, const struct key *k, struct range x,
    uint64_t enough, unsigned *explains, struct ranges *out)
{
    struct range lower = x, upper = x;

    if (x.rows <= enough || x.lo == x.hi || *explains >= EXPLAINS_MAX) {
        out->v = xgrow(out->v, out->n, &out->cap, sizeof *out->v);
        out->v[out->n++] = x;
        return 0;
    }
    lower.hi = x.lo + (x.hi - x.lo) / 2;
    upper.lo = lower.hi + 1;
    *explains += 2;
    if (estimate(d, table, k, &lower) < 0 || estimate(d, table, k, &upper) < 0)
        return -1;
    return bisect(d, table, k, lower, enough, explains, out) < 0
        ? -1
        : bisect(d, table, k, upper, enough, explains, out);
}

/* Neighbours that together are still small enough become one unit. */
static void
units_of_ranges(struct dump *d, size_t table, const struct key *k,
    const struct ranges *r, uint64_t enough, uint64_t row_bytes)
{
    size_t i = 0;

    while (i < r->n) {
        struct buf where = {0};
        uint64_t rows = r->v[i].rows, lo = r->v[i].lo;
        bool first = i == 0, last;

        for (i++; i < r->n && rows + r->v[i].rows <= enough; i++)
            rows += r->v[i].rows;
        last = i == r->n;
        if (!first) {
            buf_fmt(&where, "%s >= ", k->ident);
            key_value(&where, k, lo);
        }
        if (!last) {
            buf_fmt(&where, "%s%s < ", first ? "" : " AND ", k->ident);
            key_value(&where, k, r->v[i].lo);
        }
        add_unit(d, table, where.len > 0 ? buf_take(&where) : NULL,
            rows * row_bytes);
        buf_free(&where);
    }
}

/* 1 where the table's units were made, 0 where it cannot be cut so. */
static int
cut_by_integer(struct dump *d, size_t table, uint64_t unit_bytes)
{
    const struct dump_table *t = &d->table[table];
    char *name = db_name2(t->schema, t->name);
    struct key k = {0};
    struct ranges r = {0};
    struct range all = {.rows = t->est_rows};
    uint64_t row_bytes = MAX(t->est_bytes / MAX(t->est_rows, 1), 1);
    uint64_t enough = MAX(unit_bytes / row_bytes, 1);
    unsigned explains = 0;
    int rc = key_find(d, t, &k);

    if (rc == 1)
        rc = key_bounds(d, name, &k);
    if (rc != 1)
        goto out;
    all.lo = k.min;
    all.hi = k.max;
    if (bisect(d, name, &k, all, enough, &explains, &r) < 0) {
        rc = -1;
        goto out;
    }
    units_of_ranges(d, table, &k, &r, enough, row_bytes);

out:
    free(r.v);
    free(k.ident);
    free(name);
    return rc;
}

/*
 * Units of at most so many bytes; 0: the table as a whole.  Another way to cut
 * (strings, second columns) would be tried here too.
 */
static int
cut(struct dump *d, size_t table, uint64_t unit_bytes)
{
    const struct dump_table *t = &d->table[table];
    int rc = 0;

    if (unit_bytes > 0 && t->est_bytes > unit_bytes &&
        dump_engine_transactional(t->engine))
        rc = cut_by_integer(d, table, unit_bytes);
    if (rc < 0)
        return err_wrap("table %s.%s: cutting into ranges", t->schema, t->name);
    if (rc == 0)
        add_unit(d, table, NULL, t->est_bytes);
    return 0;
}

/*
 * The server takes a tenth longer for rows of a range, since it compares each
 * with the bounds.  So a table that is no more than what is left for each of
 * the other workers is read as a whole (a quarter more: estimates of tables
 * that are alike differ).  The largest come first, and what is cut makes them
 * all end together: by the eighth of what each worker still has to do.
 */
static uint64_t
unit_for(const struct dump *d, uint64_t size, uint64_t left)
{
    unsigned jobs = d->conf->jobs;

    if (jobs == 1 || size <= (left + left / 4) / (jobs - 1))
        return 0;
    return MAX(UNIT_LEAST, MIN(UNIT_MOST, (size + left) / jobs / 8));
}

static int
cut_tables(struct dump *d, struct pool_work *v, size_t n)
{
    uint64_t left = 0;
    int rc = 0;

    for (size_t i = 0; i < n; i++)
        left += v[i].size;
    pool_largest_first(v, n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        left -= v[i].size;
        rc = cut(d, v[i].index, unit_for(d, v[i].size, left));
    }
    return rc;
}

/* Locked tables first, they have a worker of their own; then the largest. */
static int
by_order(const void *a, const void *b)
{
    const struct dump_unit *x = a, *y = b;

    if (x->locked != y->locked)
        return x->locked ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->table < y->table ? -1 : x->table > y->table;
}

int
dump_units_make(struct dump *d)
{
    struct pool_work *v = xcalloc(d->tables + 1, sizeof *v);
    size_t n = 0;
    int rc;

    for (size_t i = 0; i < d->tables; i++)
        if (d->table[i].number != UINT32_MAX)
            v[n++] = (struct pool_work){i, d->table[i].est_bytes};
    rc = cut_tables(d, v, n);
    free(v);
    if (rc < 0)
        return -1;
    d->locked_left = 0;
    if (d->units.n > 1)
        qsort(d->units.v, d->units.n, sizeof *d->units.v, by_order);
    for (size_t i = 0; i < d->units.n; i++)
        d->locked_left += d->units.v[i].locked;
    d->locked_units = d->next_unit = d->locked_left;
    return 0;
}

void
dump_units_free(struct dump *d)
{
    for (size_t i = 0; i < d->units.n; i++)
        free(d->units.v[i].where);
    free(d->units.v);
    memset(&d->units, 0, sizeof d->units);
}
