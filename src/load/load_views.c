/*
 * load_views.c -- views, in whatever order they can be made.
 *
 * Who makes a view on another one does so with the rights of that one's
 * definer, who may be gone, or has nothing yet (grants come last, as some are
 * on views); and a view may refer to a table, a column or a function that is no
 * longer there.  The server keeps such views but does not let them be made.  So
 * where some are left, all are made once more with us as the definer, what is
 * missing is stood in for, and then each gets its own definer again, the last
 * one first: what it is made of is still ours at that moment.
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
    char *why;   /* it could not be made the last time */
    char *tried; /* a reason for which something was done about it */
};

struct todo {
    struct todo_view *v;
    size_t n;
    const struct schema_object **made; /* in this order */
    size_t mades;
    bool ours; /* with us as the definer */
    struct stand_ins stand_ins;
};

static int
make(struct db *db, const struct load *l, const struct schema_object *o,
    bool ours)
{
    char *sql = ddl_view_replace(o->sql, ours);
    int rc = load_object_create(db, l, o, sql);

    free(sql);
    return rc;
}

/* One pass over what is left.  Returns how many were made, or -1. */
static long
pass(struct db *db, const struct load *l, struct todo *t)
{
    size_t left = 0;
    long made = 0;

    for (size_t i = 0; i < t->n; i++) {
        struct todo_view v = t->v[i];
        int rc = -1;

        free(v.why);
        v.why = NULL;
        if (stop_asked())
            stop_error();
        else
            rc = make(db, l, v.o, t->ours);
        if (rc == 0) {
            t->made[t->mades++] = v.o;
            free(v.tried);
            made++;
            continue;
        }
        v.why = xstrdup(err_text());
        t->v[left++] = v;
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

/* Until nothing more can be made. */
static int
passes(struct db *db, const struct load *l, struct todo *t)
{
    long made = 1;

    while (t->n > 0 && made > 0)
        made = pass(db, l, t);
    return made < 0 ? -1 : 0;
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

/* Every name of the views that name it could be one of its columns. */
static int
for_table(struct db *db, const struct load *l, struct todo *t,
    const struct todo_view *v)
{
    char *schema, *name;
    struct ddl_names names;
    struct buf all = {0};
    int rc = 0;

    if (!missing_table(v->why, &schema, &name))
        return 0;
    /* Of a part: nothing is made where the target's own things are. */
    if (!is_todo(t, schema, name) &&
        (!scope_active(l->conf->scope) || load_has_schema(l, schema))) {
        for (size_t i = 0; i < t->n; i++)
            if (strstr(t->v[i].o->sql, name) != NULL)
                buf_str(&all, t->v[i].o->sql);
        ddl_names(buf_cstr(&all), &names);
        rc = stand_in_table(db, &t->stand_ins, schema, name, &names) < 0 ? -1
                                                                         : 1;
        ddl_names_free(&names);
    }
    if (rc > 0)
        log_info("view %s.%s refers to %s.%s, which does not exist, as at the "
                 "source",
            v->o->schema, v->o->name, schema, name);
    buf_free(&all);
    free(schema);
    free(name);
    return rc;
}

/* A view on a view that has no such column any more: nobody looks into that
 * one until it is made as it is. */
static int
widen_view(struct db *db, struct todo *t, const struct schema_object *o,
    const char *column)
{
    struct ddl_names names;
    struct buf all = {0}, b = {0};
    int rc;

    for (size_t i = 0; i < t->mades; i++)
        if (strstr(t->made[i]->sql, o->name) != NULL)
            buf_str(&all, t->made[i]->sql);
    for (size_t i = 0; i < t->n; i++)
        buf_str(&all, t->v[i].o->sql);
    ddl_names(buf_cstr(&all), &names);
    buf_str(&b, "CREATE OR REPLACE VIEW ");
    db_ident(&b, o->schema);
    buf_str(&b, ".");
    db_ident(&b, o->name);
    for (size_t i = 0; i < names.n; i++) {
        buf_str(&b, i == 0 ? " AS SELECT 1 AS " : ", 1 AS ");
        db_ident(&b, names.v[i]);
    }
    rc = load_name_in(names.v, names.n, column)
        ? db_exec_bytes(db, (char *)b.data, b.len)
        : 0;
    ddl_names_free(&names);
    buf_free(&all);
    buf_free(&b);
    return rc < 0 ? -1 : 1;
}

static int
for_column(struct db *db, const struct load *l, struct todo *t,
    const struct todo_view *v)
{
    char *missing = missing_column(v->why), *dot, *of;
    char *schema = NULL, *name = NULL;
    int rc = 0;

    /* schema.table.column, table.column or alias.column */
    if (missing == NULL || (dot = strrchr(missing, '.')) == NULL)
        goto out;
    *dot++ = '\0';
    of = strrchr(missing, '.') != NULL ? strrchr(missing, '.') + 1 : missing;
    if (!ddl_view_table(v->o->sql, of, &schema, &name) ||
        !load_has_schema(l, schema))
        goto out;
    for (size_t i = 0; i < t->mades && rc == 0; i++)
        if (strcmp(t->made[i]->schema, schema) == 0 &&
            strcmp(t->made[i]->name, name) == 0)
            rc = widen_view(db, t, t->made[i], dot);
    if (rc == 0)
        rc = stand_in_column(db, &t->stand_ins, schema, name, dot) < 0 ? -1 : 1;
    if (rc > 0)
        log_info("view %s.%s refers to %s.%s.%s, which does not exist, as at "
                 "the source",
            v->o->schema, v->o->name, schema, name, dot);

out:
    free(missing);
    free(schema);
    free(name);
    return rc;
}

static int
for_function(struct db *db, const struct load *l, struct todo *t,
    const struct todo_view *v)
{
    char *schema, *name;
    size_t arguments;
    int rc = 0;

    if (!missing_function(v->why, &schema, &name))
        return 0;
    if (ddl_view_calls(v->o->sql, schema, name, &arguments) &&
        (!scope_active(l->conf->scope) || load_has_schema(l, schema)))
        rc = stand_in_routine(
                 db, &t->stand_ins, true, schema, name, arguments) < 0
            ? -1
            : 1;
    if (rc > 0)
        log_info("view %s.%s refers to the function %s.%s, which does not "
                 "exist, as at the source",
            v->o->schema, v->o->name, schema, name);
    free(schema);
    free(name);
    return rc;
}

/* Make one stand-in.  1 if one was made, 0 if none helps, -1. */
static int
stand_in(struct db *db, const struct load *l, struct todo *t)
{
    int rc = 0;

    for (size_t i = 0; i < t->n && rc == 0; i++) {
        struct todo_view *v = &t->v[i];

        if (v->why == NULL ||
            (v->tried != NULL && strcmp(v->tried, v->why) == 0))
            continue; /* that was no help */
        if ((rc = for_table(db, l, t, v)) == 0 &&
            (rc = for_column(db, l, t, v)) == 0)
            rc = for_function(db, l, t, v);
        if (rc < 0 && err_kind() != ERR_UNREACHABLE && !stop_asked()) {
            log_debug("%s", err_text());
            err_clear();
            rc = 0;
        }
        if (rc > 0) {
            free(v->tried);
            v->tried = xstrdup(v->why);
        }
    }
    return rc;
}

/* Each as it is, the last one first. */
static int
give_back(struct db *db, const struct load *l, struct todo *t)
{
    int rc = 0;

    for (size_t i = t->mades; i-- > 0 && rc == 0;) {
        const struct schema_object *o = t->made[i];

        if (stop_asked())
            return stop_error();
        if (make(db, l, o, false) == 0)
            continue;
        if ((rc = load_skip(db, o)) == 0) {
            char *name = db_name2(o->schema, o->name);

            rc = db_exec(db, "DROP VIEW IF EXISTS %s", name);
            free(name);
        }
    }
    return rc;
}

static int
make_the_rest(struct db *db, const struct load *l, struct todo *t)
{
    int rc = 0;

    t->ours = true;
    for (size_t i = 0; i < t->mades; i++) {
        if (stop_asked())
            return stop_error();
        if (make(db, l, t->made[i], true) < 0) {
            if (err_kind() == ERR_UNREACHABLE)
                return -1;
            err_clear();
        }
    }
    do {
        if (passes(db, l, t) < 0)
            return -1;
    } while (t->n > 0 && (rc = stand_in(db, l, t)) > 0);
    return rc < 0 ? -1 : give_back(db, l, t);
}

static int
skip_the_rest(struct db *db, struct todo *t)
{
    int rc = 0;

    for (size_t i = 0; i < t->n; i++) {
        if (rc == 0 && t->v[i].why != NULL) {
            err_set(ERR_FAILED, "%s", t->v[i].why);
            rc = load_skip(db, t->v[i].o);
        }
    }
    return rc;
}

int
load_views(struct db *db, struct load *l)
{
    struct todo t = {
        .v = xcalloc(l->objects + 1, sizeof *t.v),
        .made = xcalloc(l->objects + 1, sizeof *t.made),
    };
    struct err_saved *e = NULL;
    int rc;

    for (size_t i = 0; i < l->objects; i++) {
        if (l->object[i].kind == SCHEMA_VIEW)
            t.v[t.n++].o = &l->object[i];
    }
    rc = passes(db, l, &t);
    if (rc == 0 && t.n > 0)
        rc = make_the_rest(db, l, &t);
    if (rc == 0)
        rc = skip_the_rest(db, &t);
    if (rc < 0)
        e = err_take();
    rc = stand_ins_end(db, &t.stand_ins, rc, e);
    for (size_t i = 0; i < t.n; i++) {
        free(t.v[i].why);
        free(t.v[i].tried);
    }
    free(t.v);
    free(t.made);
    return rc;
}
