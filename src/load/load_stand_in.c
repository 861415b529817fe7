/*
 * load_stand_in.c -- what a view or a grant names and what is no longer there.
 *
 * A server keeps a view whose table, column or function is gone, and a grant on
 * a table that was dropped, but lets neither be made.  So what is missing is
 * made for as long as they are, and goes again: what the server stores of them
 * is their text.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"

static void
add_drop(struct stand_ins *s, struct buf *sql)
{
    s->drop = xgrow(s->drop, s->n, &s->cap, sizeof *s->drop);
    s->drop[s->n++] = buf_take(sql);
}

static void
drop_what(
    struct stand_ins *s, const char *what, const char *schema, const char *name)
{
    struct buf b = {0};

    buf_fmt(&b, "DROP %s IF EXISTS ", what);
    db_ident(&b, schema);
    if (name != NULL) {
        buf_str(&b, ".");
        db_ident(&b, name);
    }
    add_drop(s, &b);
}

static int
run(struct db *db, struct buf *b)
{
    int rc = db_exec_bytes(db, (char *)b->data, b->len);

    buf_free(b);
    return rc;
}

static int
make_schema(struct db *db, struct stand_ins *s, const char *schema)
{
    char *q = load_quoted(schema);
    struct buf b = {0};
    uint64_t there = 0;
    int rc = db_value_u64(db, &there,
        "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME=%s",
        q);

    free(q);
    if (rc < 0 || there > 0)
        return rc < 0 ? -1 : 0;
    buf_str(&b, "CREATE DATABASE ");
    db_ident(&b, schema);
    if (run(db, &b) < 0)
        return -1;
    drop_what(s, "DATABASE", schema, NULL);
    return 0;
}

int
stand_in_table(struct db *db, struct stand_ins *s, const char *schema,
    const char *name, const struct ddl_names *columns)
{
    struct buf b = {0};

    if (make_schema(db, s, schema) < 0)
        return -1;
    buf_str(&b, "CREATE TABLE ");
    db_ident(&b, schema);
    buf_str(&b, ".");
    db_ident(&b, name);
    buf_str(&b, " (");
    for (size_t i = 0; i < columns->n; i++) {
        buf_str(&b, i == 0 ? "" : ", ");
        db_ident(&b, columns->v[i]);
        buf_str(&b, " INT");
    }
    buf_str(&b, ") ENGINE=MyISAM");
    if (run(db, &b) < 0)
        return -1;
    drop_what(s, "TABLE", schema, name);
    return 0;
}

static void
alter_column(struct buf *b, const char *schema, const char *name,
    const char *how, const char *column)
{
    buf_str(b, "ALTER TABLE ");
    db_ident(b, schema);
    buf_str(b, ".");
    db_ident(b, name);
    buf_fmt(b, " %s COLUMN ", how);
    db_ident(b, column);
}

int
stand_in_column(struct db *db, struct stand_ins *s, const char *schema,
    const char *name, const char *column)
{
    struct buf b = {0};

    alter_column(&b, schema, name, "ADD", column);
    buf_str(&b, " INT INVISIBLE");
    if (run(db, &b) < 0)
        return -1;
    alter_column(&b, schema, name, "DROP", column);
    add_drop(s, &b);
    return 0;
}

int
stand_in_routine(struct db *db, struct stand_ins *s, bool function,
    const char *schema, const char *name, size_t arguments)
{
    struct buf b = {0};
    size_t before = s->n;

    if (make_schema(db, s, schema) < 0)
        return -1;
    buf_fmt(&b, "CREATE %s ", function ? "FUNCTION" : "PROCEDURE");
    db_ident(&b, schema);
    buf_str(&b, ".");
    db_ident(&b, name);
    buf_str(&b, "(");
    for (size_t i = 0; i < arguments; i++)
        buf_fmt(&b, "%sa%zu INT", i == 0 ? "" : ", ", i);
    buf_str(&b, function ? ") RETURNS INT NO SQL RETURN 1" : ") BEGIN END");
    if (run(db, &b) < 0)
        return -1;
    /* With its schema it goes as the lost one has gone, and keeps grants. */
    if (s->n == before)
        drop_what(s, function ? "FUNCTION" : "PROCEDURE", schema, name);
    return 0;
}

static int
drop_all(struct db *db, struct stand_ins *s)
{
    int rc = 0;

    while (s->n > 0) {
        char *sql = s->drop[--s->n];

        if (rc == 0 && db_exec_bytes(db, sql, strlen(sql)) < 0)
            rc = -1;
        free(sql);
    }
    free(s->drop);
    *s = (struct stand_ins){0};
    return rc;
}

int
stand_ins_end(struct db *db, struct stand_ins *s, int rc, struct err_saved *e)
{
    if (drop_all(db, s) < 0 && rc == 0)
        rc = -1;
    if (e == NULL)
        return rc;
    err_clear();
    return err_put(e);
}

/* What stands between `before` and `after` in a message; NULL where they do
 * not.  Owned. */
static char *
between(const char *text, const char *before, const char *after)
{
    const char *p = text == NULL ? NULL : strstr(text, before), *end;

    if (p == NULL)
        return NULL;
    p += strlen(before);
    end = strstr(p, after);
    return end == NULL ? NULL : xstrndup(p, (size_t)(end - p));
}

/* a.b in two, at the first dot. */
static bool
in_two(char *both, char **schema, char **name)
{
    char *dot = both == NULL ? NULL : strchr(both, '.');

    if (dot != NULL) {
        *schema = xstrndup(both, (size_t)(dot - both));
        *name = xstrdup(dot + 1);
    }
    free(both);
    return dot != NULL;
}

bool
missing_table(const char *text, char **schema, char **name)
{
    return in_two(between(text, "Table '", "' doesn't exist"), schema, name);
}

bool
missing_function(const char *text, char **schema, char **name)
{
    return in_two(between(text, "FUNCTION ", " does not exist"), schema, name);
}

char *
missing_column(const char *text)
{
    return between(text, "Unknown column '", "' in ");
}
