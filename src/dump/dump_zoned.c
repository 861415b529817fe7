/*
 * dump_zoned.c -- generated columns that go by the session's time zone: those
 * made of a TIMESTAMP.
 *
 * A restore gives TIMESTAMPs in UTC, so that none is ambiguous, and the target
 * computes what is made of them: DATE(created) of an evening would be another
 * day.  Where a column is stored, or in an index, that would stay so; a table
 * that has one is therefore computed anew in the source's time zone
 * (load_zoned.c).  Which zone that is, its own (where sessions leave it as it
 * is) or UTC, the stored values tell.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dump_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"

#define SLOW_S 30 /* for one column */

struct dump_zoned_column {
    uint32_t table; /* index in dump.table */
    char *name, *expression;
    bool stored;
};

/* --- while the catalogue is read --- */

void
dump_zoned_note(struct dump *d, const struct dump_table *t, const char *name,
    const char *data_type, const char *expression, bool stored)
{
    struct dump_zoned *z = &d->zoned;
    struct buf ident = {0};
    bool depends =
        expression == NULL && strcasecmp(data_type, "timestamp") == 0;

    if (z->of != t) {
        buf_reset(&z->names);
        z->of = t;
    }
    /* Names of columns with a zero byte behind each. */
    for (size_t i = 0; expression != NULL && i < z->names.len;) {
        const char *one = (const char *)z->names.data + i;

        depends = depends || strstr(expression, one) != NULL;
        i += strlen(one) + 1;
    }
    if (!depends)
        return;
    db_ident(&ident, name);
    buf_add(&z->names, buf_cstr(&ident), strlen(buf_cstr(&ident)) + 1);
    buf_free(&ident);
    if (expression == NULL)
        return;
    z->v = xgrow(z->v, z->n, &z->cap, sizeof *z->v);
    z->v[z->n++] = (struct dump_zoned_column){
        .table = (uint32_t)(t - d->table),
        .name = xstrdup(name),
        .expression = xstrdup(expression),
        .stored = stored,
    };
}

void
dump_zoned_free(struct dump *d)
{
    struct dump_zoned *z = &d->zoned;

    for (size_t i = 0; i < z->n; i++) {
        free(z->v[i].name);
        free(z->v[i].expression);
    }
    free(z->v);
    buf_free(&z->names);
    *z = (struct dump_zoned){0};
}

/* --- at the end --- */

struct found { /* of one table */
    bool stored, indexed, unknown;
    uint64_t here, utc; /* values that are others in the zone */
};

/* Values that the expression does not give now. */
static int
count(struct dump *d, const struct dump_zoned_column *c, uint64_t *out)
{
    const struct dump_table *t = &d->table[c->table];
    uint64_t seconds = MAX(d->conf->lock_wait_us / 1000000, 1);
    char *table = db_name2(t->schema, t->name);
    struct buf sql = {0};
    int rc;

    /* Who writes to a table without transactions waits for a SELECT. */
    if (dump_engine_transactional(t->engine))
        seconds = SLOW_S;
    buf_fmt(&sql, "SELECT COUNT(*) FROM %s%s WHERE NOT (", table,
        t->history ? " FOR SYSTEM_TIME ALL" : "");
    db_ident(&sql, c->name);
    buf_fmt(&sql, " <=> (%s))", c->expression);
    rc = db_value_u64(d->main, out,
        "SET STATEMENT max_statement_time=%" PRIu64 " FOR %s", seconds,
        buf_cstr(&sql));
    buf_free(&sql);
    free(table);
    if (rc >= 0 || err_kind() == ERR_UNREACHABLE)
        return rc;
    log_debug("table %s.%s, column %s was not looked at: %s", t->schema,
        t->name, c->name, err_text());
    err_clear();
    return 0;
}

static int
set_zone(struct dump *d, const char *zone)
{
    return db_exec(d->main, "SET SESSION time_zone=%s", zone);
}

static int
ask_stored(struct dump *d, const struct dump_zoned_column *c, struct found *f)
{
    uint64_t here = 0, utc = 0;
    int a, b;

    f->stored = true;
    if (set_zone(d, "@@global.time_zone") < 0)
        return -1;
    a = count(d, c, &here);
    if (set_zone(d, "'+00:00'") < 0 || a < 0 || (b = count(d, c, &utc)) < 0)
        return -1;
    f->unknown = f->unknown || a == 0 || b == 0;
    f->here += here;
    f->utc += utc;
    return 0;
}

static int
ask_index(struct dump *d, const struct dump_zoned_column *c, struct found *f)
{
    const struct dump_table *t = &d->table[c->table];
    struct buf where = {0};
    uint64_t n = 0;
    int rc;

    buf_str(&where, "TABLE_SCHEMA=");
    db_quote(&where, t->schema, strlen(t->schema));
    buf_str(&where, " AND TABLE_NAME=");
    db_quote(&where, t->name, strlen(t->name));
    buf_str(&where, " AND COLUMN_NAME=");
    db_quote(&where, c->name, strlen(c->name));
    rc = db_value_u64(d->main, &n,
        "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE %s",
        buf_cstr(&where));
    f->indexed = f->indexed || n > 0;
    buf_free(&where);
    return rc < 0 ? -1 : 0;
}

static void
judge(
    struct dump *d, uint32_t table, const struct found *f, struct buf *numbers)
{
    const struct dump_table *t = &d->table[table];
    bool here =
        f->unknown || f->here < f->utc || (f->here == f->utc && f->indexed);

    if (!f->stored && !f->indexed)
        return;
    if (here)
        buf_fmt(numbers, "%s%u", numbers->len > 0 ? " " : "", t->number);
    if (!f->unknown && MIN(f->here, f->utc) > 0)
        dump_warn(d,
            "table %s.%s: %" PRIu64 " values of its generated columns are not "
            "what their expressions give in the server's time zone; a restore "
            "computes them anew",
            t->schema, t->name, MIN(f->here, f->utc));
}

/* Is the server's zone UTC?  What the settings say of it. */
static bool
is_utc(const struct manifest *m)
{
    const char *zone = manifest_setting(m, "time_zone");
    const char *system = manifest_setting(m, "system_time_zone");

    if (zone == NULL || strcmp(zone, "+00:00") == 0 ||
        strcasecmp(zone, "UTC") == 0)
        return true;
    if (strcasecmp(zone, "SYSTEM") != 0 || system == NULL)
        return false;
    system += strcspn(system, " ");
    return strcmp(system, " 0") == 0;
}

int
dump_zoned_ask(struct dump *d)
{
    struct dump_zoned *z = &d->zoned;
    struct buf numbers = {0};
    int rc = 0;

    if (is_utc(d->m))
        return 0;
    for (size_t i = 0; rc == 0 && i < z->n;) {
        uint32_t table = z->v[i].table;
        struct found f = {0};

        for (; rc == 0 && i < z->n && z->v[i].table == table; i++) {
            rc = z->v[i].stored ? ask_stored(d, &z->v[i], &f)
                                : ask_index(d, &z->v[i], &f);
            if (rc == 0 && stop_asked())
                rc = stop_error();
        }
        if (rc == 0)
            judge(d, table, &f, &numbers);
    }
    if (rc == 0 && numbers.len > 0)
        manifest_set(d->m, "zoned_tables", buf_cstr(&numbers));
    buf_free(&numbers);
    return rc < 0 ? err_wrap("generated columns") : 0;
}
