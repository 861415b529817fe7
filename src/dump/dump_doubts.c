/*
 * dump_doubts.c -- what a server does not show as it is, or takes back:
 *
 *   - Names of ENUM and SET values, and literal defaults, go through utf8mb3 in
 *     SHOW CREATE TABLE: characters beyond it, and the bytes that ALTER ...
 *     CONVERT TO leaves in such names, come out as "?".
 *   - A COMPRESSED column takes bytes that are no text of its character set
 *     from a client that speaks that one, and in no other way.
 *
 * Columns that may be such are noted while the catalogue is read (there is a
 * "?" in few of them); when all else is done they are looked at, which holds
 * up nobody for longer than lock_wait.  What is found is said.
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

enum doubt { LABELS, DEFAULT_TEXT, COMPRESSED };

struct dump_doubt {
    enum doubt kind;
    uint32_t table; /* index in dump.table */
    char *column, *charset;
};

static void
add(struct dump *d, const struct dump_table *t, enum doubt kind,
    const char *column, const char *charset)
{
    d->doubt = xgrow(d->doubt, d->doubts, &d->cap_doubts, sizeof *d->doubt);
    d->doubt[d->doubts++] = (struct dump_doubt){
        .kind = kind,
        .table = (uint32_t)(t - d->table),
        .column = xstrdup(column),
        .charset = xstrdup(charset),
    };
}

void
dump_doubts_note(
    struct dump *d, const struct dump_table *t, const struct dump_column *c)
{
    bool labels = strcasecmp(c->data_type, "enum") == 0 ||
        strcasecmp(c->data_type, "set") == 0;

    if (c->charset == NULL)
        return;
    if (labels && strchr(c->type, '?') != NULL)
        add(d, t, LABELS, c->name, c->charset);
    if (!labels && c->preset != NULL && c->preset[0] == '\'' &&
        strchr(c->preset, '?') != NULL)
        add(d, t, DEFAULT_TEXT, c->name, c->charset);
    if (strstr(c->type, "COMPRESSED") != NULL &&
        strncmp(c->charset, "utf8", 4) == 0)
        add(d, t, COMPRESSED, c->name, c->charset);
}

void
dump_doubts_free(struct dump *d)
{
    for (size_t i = 0; i < d->doubts; i++) {
        free(d->doubt[i].column);
        free(d->doubt[i].charset);
    }
    free(d->doubt);
    d->doubt = NULL;
    d->doubts = d->cap_doubts = 0;
}

/* A SELECT that gives a row where the doubt is right. */
static void
question(
    const struct dump_table *t, const struct dump_doubt *q, struct buf *sql)
{
    char *table = db_name2(t->schema, t->name);
    struct buf c = {0};
    const char *column;

    db_ident(&c, q->column);
    column = buf_cstr(&c);
    if (q->kind == LABELS)
        buf_fmt(sql,
            "SELECT 1 FROM %s WHERE HEX(%s) <>"
            " HEX(CONVERT(CONVERT(%s USING utf8mb3) USING %s)) LIMIT 1",
            table, column, column, q->charset);
    else if (q->kind == COMPRESSED)
        buf_fmt(sql,
            "SELECT 1 FROM %s WHERE HEX(%s) <>"
            " HEX(CONVERT(BINARY %s USING %s)) LIMIT 1",
            table, column, column, q->charset);
    else
        buf_fmt(sql,
            "SELECT 1 FROM (SELECT HEX(DEFAULT(t.%s)) AS is_,"
            " HEX(CONVERT(CONVERT(DEFAULT(t.%s) USING utf8mb3) USING %s))"
            " AS shown FROM (SELECT 1) x LEFT JOIN %s t ON FALSE) y"
            " WHERE is_ <> shown",
            column, column, q->charset, table);
    buf_free(&c);
    free(table);
}

static void
tell(struct dump *d, const struct dump_table *t, const struct dump_doubt *q)
{
    static const char *const what[] = {
        [LABELS] = "the names of its values, which the server shows with \"?\" "
                   "in them, are another text, and are restored as shown",
        [DEFAULT_TEXT] = "its default, which the server shows with \"?\" in "
                         "it, is another text, and is restored as shown",
        [COMPRESSED] = "has values that are no text of its character set, "
                       "which no server can be given again: a restore finds "
                       "other content",
    };

    dump_warn(d, "table %s.%s, column %s: %s", t->schema, t->name, q->column,
        what[q->kind]);
}

/* 1, 0, -1. */
static int
ask(struct dump *d, const struct dump_table *t, const struct dump_doubt *q)
{
    uint64_t seconds = MAX(d->conf->lock_wait_us / 1000000, 1), one;
    struct buf sql = {0};
    int rc;

    /* Who writes to a table without transactions waits for a SELECT. */
    if (dump_engine_transactional(t->engine))
        seconds = SLOW_S;
    question(t, q, &sql);
    rc = db_value_u64(d->main, &one,
        "SET STATEMENT max_statement_time=%" PRIu64 " FOR %s", seconds,
        buf_cstr(&sql));
    buf_free(&sql);
    if (rc >= 0 || err_kind() == ERR_UNREACHABLE)
        return rc;
    log_debug("table %s.%s, column %s was not looked at: %s", t->schema,
        t->name, q->column, err_text());
    err_clear();
    return 0;
}

int
dump_doubts_ask(struct dump *d)
{
    for (size_t i = 0; i < d->doubts; i++) {
        const struct dump_table *t = &d->table[d->doubt[i].table];
        int rc = ask(d, t, &d->doubt[i]);

        if (rc < 0)
            return err_wrap("looking at table %s.%s", t->schema, t->name);
        if (rc > 0)
            tell(d, t, &d->doubt[i]);
        if (stop_asked())
            return stop_error();
    }
    return 0;
}
