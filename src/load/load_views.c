/*
 * load_views.c -- views, in whatever order they can be made.
 *
 * A view may refer to a table that is no longer there; the server keeps such a
 * view but does not let it be made.  So where nothing else goes on, a stand-in
 * for a missing table is made, with every name in the views' statements as a
 * column, and dropped when all views are there.  What the server stores of a
 * view is its text, which is then the recorded one.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"

struct todo_view {
    const struct schema_object *o;
    char *why; /* it could not be made the last time */
};

struct todo {
    struct todo_view *v;
    size_t n;
    struct buf *drop; /* statements that end the stand-ins */
    size_t drops, drop_cap;
};

/* One pass over what is left.  Returns how many were made, or -1. */
static long
pass(struct db *db, const struct load *l, struct todo *t)
{
    size_t left = 0;
    long made = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct schema_object *o = t->v[i].o;
        int rc = -1;

        free(t->v[i].why);
        t->v[i].why = NULL;
        if (stop_asked())
            stop_error();
        else
            rc = load_object_create(db, l, o, o->sql);
        if (rc == 0) {
            made++;
            continue;
        }
        t->v[left].o = o;
        t->v[left++].why = xstrdup(err_text());
        if (err_kind() != ERR_UNREACHABLE && !stop_asked()) {
            err_clear();
            continue;
        }
        while (++i < t->n)
            t->v[left++] = t->v[i];
        t->n = left;
        return -1;
    }
    t->n = left;
    return made;
}

/* Schema and name of "... Table 'schema.name' doesn't exist".  The schema is
 * taken to end at the first dot. */
static bool
missing_table(const char *text, char **schema, char **name)
{
    const char *p = text == NULL ? NULL : strstr(text, "Table '"), *dot, *end;

    if (p == NULL)
        return false;
    p += strlen("Table '");
    dot = strchr(p, '.');
    end = strstr(p, "' doesn't exist");
    if (dot == NULL || end == NULL || dot > end)
        return false;
    *schema = xstrndup(p, (size_t)(dot - p));
    *name = xstrndup(dot + 1, (size_t)(end - dot - 1));
    return true;
}

static void
add_drop(struct todo *t, const char *what, const char *schema, const char *name)
{
    struct buf b = {0};

    buf_fmt(&b, "DROP %s IF EXISTS ", what);
    db_ident(&b, schema);
    if (name != NULL) {
        buf_str(&b, ".");
        db_ident(&b, name);
    }
    t->drop = xgrow(t->drop, t->drops, &t->drop_cap, sizeof *t->drop);
    t->drop[t->drops++] = b;
}

static int
make_schema(struct db *db, const char *schema, struct todo *t)
{
    char *q = load_quoted(schema);
    struct buf b = {0};
    uint64_t there = 0;
    int rc = db_value_u64(db, &there,
        "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME=%s",
        q);

    if (rc > 0 && there == 0) {
        add_drop(t, "DATABASE", schema, NULL);
        buf_str(&b, "CREATE DATABASE ");
        db_ident(&b, schema);
        rc = db_exec_bytes(db, (char *)b.data, b.len);
    }
    free(q);
    buf_free(&b);
    return rc < 0 ? -1 : 0;
}

static int
make_table(struct db *db, const char *schema, const char *name, struct todo *t)
{
    struct ddl_names names;
    struct buf b = {0}, all = {0};
    int rc;

    for (size_t i = 0; i < t->n; i++) {
        if (strstr(t->v[i].o->sql, name) != NULL)
            buf_str(&all, t->v[i].o->sql);
    }
    ddl_names(buf_cstr(&all), &names);
    buf_str(&b, "CREATE TABLE ");
    db_ident(&b, schema);
    buf_str(&b, ".");
    db_ident(&b, name);
    buf_str(&b, " (");
    for (size_t i = 0; i < names.n; i++) {
        buf_str(&b, i == 0 ? "" : ", ");
        db_ident(&b, names.v[i]);
        buf_str(&b, " INT");
    }
    buf_str(&b, ") ENGINE=MyISAM");
    add_drop(t, "TABLE", schema, name);
    rc = db_exec_bytes(db, (char *)b.data, b.len);
    ddl_names_free(&names);
    buf_free(&all);
    buf_free(&b);
    return rc;
}

/* A view that is still to be made, and therefore missing? */
static bool
is_todo(const struct todo *t, const char *schema, const char *name)
{
    for (size_t i = 0; i < t->n; i++) {
        if (strcasecmp(t->v[i].o->schema, schema) == 0 &&
            strcasecmp(t->v[i].o->name, name) == 0)
            return true;
    }
    return false;
}

/* Make one stand-in.  1 if one was made, 0 if none helps, -1. */
static int
stand_in(struct db *db, const struct load *l, struct todo *t)
{
    bool part = scope_active(l->conf->scope);
    int rc = 0;

    for (size_t i = 0; i < t->n && rc == 0; i++) {
        char *schema = NULL, *name = NULL;
        if (!missing_table(t->v[i].why, &schema, &name))
            continue;
        /* Of a part: nothing is made where the target's own things are. */
        if (!is_todo(t, schema, name) &&
            (!part || load_has_schema(l, schema))) {
            if (make_schema(db, schema, t) == 0 &&
                make_table(db, schema, name, t) == 0)
                rc = 1;
            else if (err_kind() == ERR_UNREACHABLE)
                rc = -1;
            err_clear();
        }
        if (rc > 0)
            log_info("view %s.%s refers to %s.%s, which does not exist, as at "
                     "the source",
                t->v[i].o->schema, t->v[i].o->name, schema, name);
        free(schema);
        free(name);
    }
    return rc;
}

static int
drop_stand_ins(struct db *db, struct todo *t)
{
    int rc = 0;

    while (t->drops > 0) {
        struct buf *b = &t->drop[--t->drops];
        if (rc == 0 && db_exec_bytes(db, (char *)b->data, b->len) < 0)
            rc = -1;
        buf_free(b);
    }
    return rc;
}

static int
make_all(struct db *db, const struct load *l, struct todo *t)
{
    long made;
    int rc = 0;

    while (t->n > 0) {
        if ((made = pass(db, l, t)) < 0)
            return -1;
        if (made == 0 && (rc = stand_in(db, l, t)) <= 0)
            return rc;
    }
    return 0;
}

int
load_views(struct db *db, struct load *l)
{
    struct todo t = {.v = xcalloc(l->objects + 1, sizeof *t.v)};
    int rc;

    for (size_t i = 0; i < l->objects; i++) {
        if (l->object[i].kind == SCHEMA_VIEW)
            t.v[t.n++].o = &l->object[i];
    }
    rc = make_all(db, l, &t);
    for (size_t i = 0; i < t.n; i++) {
        if (rc == 0) {
            err_set(ERR_FAILED, "%s", t.v[i].why);
            rc = load_skip(db, t.v[i].o);
        }
        free(t.v[i].why);
    }
    if (rc == 0)
        rc = drop_stand_ins(db, &t);
    else
        for (size_t i = 0; i < t.drops; i++)
            buf_free(&t.drop[i]);
    free(t.drop);
    free(t.v);
    return rc;
}
