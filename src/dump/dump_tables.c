/*
 * dump_tables.c -- the catalogue: which tables there are, which columns of
 * them are stored, and what to SELECT.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dump_priv.h"
#include "pitr/mem.h"

static uint64_t
number(const char *s)
{
    return s == NULL ? 0 : strtoull(s, NULL, 10);
}

/*
 * A table of an engine without rows of its own is kept as a definition; what
 * that leaves out is said, except where nothing is: a MERGE table's rows are
 * in its members, a BLACKHOLE has none.
 */
static bool
stores_rows(struct dump *d, const struct dump_table *t)
{
    if (!dump_engine_without_rows(t->engine))
        return true;
    if (strcasecmp(t->engine, "MRG_MyISAM") != 0 &&
        strcasecmp(t->engine, "BLACKHOLE") != 0)
        dump_warn(d,
            "table %s.%s: engine %s keeps its rows elsewhere, only "
            "its definition is in the backup",
            t->schema, t->name, t->engine);
    return false;
}

static void
add_table(struct dump *d, const char *const *cell)
{
    struct manifest *m = d->m;
    struct dump_table *t;
    struct manifest_table *mt;

    if (cell[3] == NULL && cell[6] != NULL &&
        strncasecmp(cell[6], "Lock wait timeout", 17) == 0) {
        d->table_busy = true; /* somebody's DDL: looked at again */
        return;
    }
    if (cell[3] == NULL) {
        dump_warn(d,
            "table %s.%s cannot be opened and is not in the backup: "
            "%s",
            cell[0], cell[1],
            cell[6] ? cell[6]
                    : "no reason "
                      "given");
        return;
    }
    d->table = xgrow(d->table, d->tables, &d->table_cap, sizeof *d->table);
    t = &d->table[d->tables++];
    memset(t, 0, sizeof *t);
    t->schema = xstrdup(cell[0]);
    t->name = xstrdup(cell[1]);
    t->engine = xstrdup(cell[3]);
    t->versioned = strcasecmp(cell[2], "SYSTEM VERSIONED") == 0;
    t->number = UINT32_MAX;
    if (!stores_rows(d, t))
        return;
    t->locked = !dump_engine_transactional(t->engine);
    t->est_rows = number(cell[4]);
    t->est_bytes = number(cell[5]);
    t->number = (uint32_t)m->tables;
    m->table = xgrow(m->table, m->tables, &d->cap_tables, sizeof *m->table);
    mt = &m->table[m->tables++];
    memset(mt, 0, sizeof *mt);
    mt->schema = xstrdup(t->schema);
    mt->name = xstrdup(t->name);
    mt->engine = xstrdup(t->engine);
}

static int
read_tables(struct dump *d)
{
    struct db_cursor *c = db_cursor_open(d->main,
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS,"
        " DATA_LENGTH, TABLE_COMMENT FROM information_schema.TABLES WHERE"
        " TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') "
        "AND " DUMP_NOT_SYSTEM(
            "TABLE_SCHEMA") " ORDER BY CAST(TABLE_SCHEMA AS BINARY), "
                            "CAST(TABLE_NAME AS BINARY)");
    const char *const *cell;
    const size_t *len;
    int rc;

    if (c == NULL)
        return -1;
    while ((rc = db_cursor_next(c, &cell, &len)) > 0)
        add_table(d, cell);
    db_cursor_close(c);
    return rc;
}

static struct dump_table *
table_find(struct dump *d, const char *schema, const char *name)
{
    size_t lo = 0, hi = d->tables;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(d->table[mid].schema, schema);

        if (c == 0)
            c = strcmp(d->table[mid].name, name);
        if (c == 0)
            return &d->table[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static void
add_column(
    struct dump *d, struct dump_table *t, const char *name, const char *type)
{
    struct manifest_table *mt = &d->m->table[t->number];
    struct buf select = {0};

    /* A column more is seldom; doubling is done at the powers of two. */
    if ((mt->cols & (mt->cols - 1)) == 0)
        mt->col = xrealloc(mt->col, MAX(mt->cols * 2, 1) * sizeof *mt->col);
    memset(&mt->col[mt->cols], 0, sizeof *mt->col);
    mt->col[mt->cols].name = xstrdup(name);
    mt->col[mt->cols++].data_type = xstrdup(type);
    if (t->select != NULL)
        buf_fmt(&select, "%s, ", t->select);
    row_select_expr(&select, name, type);
    free(t->select);
    t->select = buf_take(&select);
}

/*
 * The two columns that hold the times of a row's validity.  Where the table
 * does not name them they are row_start and row_end, and hidden.
 */
static void
add_period(
    struct dump *d, struct dump_table *t, const char *start, const char *end)
{
    if (!t->history)
        return;
    add_column(d, t, start, "timestamp");
    add_column(d, t, end, "timestamp");
}

struct period { /* of the table whose columns are being read */
    struct dump_table *table;
    char *start, *end;
    bool by_transaction; /* BIGINT: transaction numbers instead of times */
};

static void
period_done(struct dump *d, struct period *p)
{
    struct dump_table *t = p->table;

    if (t != NULL && t->versioned && t->number != UINT32_MAX) {
        t->history = !p->by_transaction && db_version(d->main) >= 101100;
        d->m->table[t->number].history = t->history;
        if (!t->history)
            dump_warn(d,
                "table %s.%s: only its current rows are in the "
                "backup, history that %s cannot be stored again",
                t->schema, t->name,
                p->by_transaction ? "goes by transaction numbers"
                                  : "this version keeps");
        add_period(d, t, p->start ? p->start : "row_start",
            p->end ? p->end : "row_end");
    }
    free(p->start);
    free(p->end);
    memset(p, 0, sizeof *p);
}

static void
one_column(struct dump *d, struct period *p, const char *const *cell)
{
    const char *expression = cell[4];

    dump_zoned_note(d, p->table, cell[2], cell[5],
        strcmp(cell[3], "NEVER") == 0 ? NULL : expression,
        cell[9] != NULL && strcasestr(cell[9], "STORED") != NULL);
    if (strcmp(cell[3], "NEVER") == 0) {
        add_column(d, p->table, cell[2], cell[5]);
        dump_doubts_note(d, p->table,
            &(struct dump_column){.name = cell[2],
                .data_type = cell[5],
                .type = cell[6],
                .charset = cell[7],
                .preset = cell[8]});
        return;
    }
    if (p->table->computed == NULL)
        p->table->computed = xstrdup(cell[2]);
    if (expression == NULL)
        return;
    if (strcasecmp(expression, "ROW START") == 0) {
        free(p->start);
        p->start = xstrdup(cell[2]);
        p->by_transaction = strcasecmp(cell[5], "bigint") == 0;
    } else if (strcasecmp(expression, "ROW END") == 0) {
        free(p->end);
        p->end = xstrdup(cell[2]);
    }
}

static int
read_columns(struct dump *d)
{
    struct db_cursor *c = db_cursor_open(d->main,
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, IS_GENERATED,"
        " GENERATION_EXPRESSION, DATA_TYPE, COLUMN_TYPE,"
        " CHARACTER_SET_NAME, COLUMN_DEFAULT, EXTRA"
        " FROM information_schema.COLUMNS WHERE " DUMP_NOT_SYSTEM(
            "TABLE_SCHEMA") " ORDER BY CAST(TABLE_SCHEMA AS BINARY), "
                            "CAST(TABLE_NAME AS BINARY),"
                            " ORDINAL_POSITION");
    struct period p = {0};
    const char *const *cell;
    const size_t *len;
    int rc;

    if (c == NULL)
        return -1;
    while ((rc = db_cursor_next(c, &cell, &len)) > 0) {
        if (p.table == NULL || strcmp(p.table->name, cell[1]) != 0 ||
            strcmp(p.table->schema, cell[0]) != 0) {
            period_done(d, &p);
            p.table = table_find(d, cell[0], cell[1]);
        }
        if (p.table != NULL && p.table->number != UINT32_MAX)
            one_column(d, &p, cell);
    }
    period_done(d, &p);
    db_cursor_close(c);
    return rc;
}

/* Of an attempt before this one. */
static void
forget_tables(struct manifest *m)
{
    for (size_t i = 0; i < m->tables; i++) {
        struct manifest_table *t = &m->table[i];

        for (size_t k = 0; k < t->cols; k++) {
            free(t->col[k].name);
            free(t->col[k].data_type);
        }
        free(t->col);
        free(t->schema);
        free(t->name);
        free(t->engine);
    }
    m->tables = 0;
}

int
dump_tables_read(struct dump *d)
{
    forget_tables(d->m);
    if (read_tables(d) < 0 || read_columns(d) < 0)
        return err_wrap("reading the catalogue");
    for (size_t i = 0; i < d->tables; i++)
        if (d->table[i].number == UINT32_MAX || d->table[i].select != NULL) {
            continue;
        } else if (d->table[i].computed != NULL) {
            /* Rows of nothing but computed columns: how many there are. */
            add_column(d, &d->table[i], d->table[i].computed, "null");
        } else {
            d->table_busy = true; /* dropped between the two questions? */
            return err_set(ERR_FAILED,
                "table %s.%s has no columns that could be read",
                d->table[i].schema, d->table[i].name);
        }
    return 0;
}

void
dump_tables_free(struct dump *d)
{
    dump_doubts_free(d);
    dump_zoned_free(d);
    for (size_t i = 0; i < d->tables; i++) {
        struct dump_table *t = &d->table[i];

        free(t->schema);
        free(t->name);
        free(t->engine);
        free(t->select);
        free(t->computed);
        dump_pos_free(&t->read_at);
    }
    free(d->table);
    d->table = NULL;
    d->tables = d->table_cap = 0;
}
