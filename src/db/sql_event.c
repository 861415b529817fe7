/*
 * sql_event.c -- CREATE, ALTER and DROP EVENT: whose, and on or off?
 *
 * Source: MariaDB sql/sql_yacc.yy (event_tail, alter_event), sql/events.cc.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "pitr/mem.h"
#include "pitr/sql_event.h"
#include "pitr/sql_read.h"

static char *
take_ident(struct sql_read *r)
{
    char *s = NULL;

    if (r->kind == SQL_WORD || r->kind == SQL_NAME || r->kind == SQL_STRING)
        s = sql_text(r);
    sql_read_next(r);
    return s;
}

/* [schema.]name; false where there is none. */
static bool
take_name(struct sql_read *r, char **schema, char **name)
{
    free(*name); /* a clause that comes twice: the last one counts */
    free(*schema);
    *schema = NULL;
    *name = take_ident(r);
    if (!sql_at(r, '.'))
        return *name != NULL;
    sql_read_next(r);
    *schema = *name;
    *name = take_ident(r);
    return *name != NULL;
}

/* DEFINER = user[@host], CURRENT_USER[()] */
static void
skip_definer(struct sql_read *r)
{
    if (!sql_take_word(r, "DEFINER"))
        return;
    if (sql_at(r, '='))
        sql_read_next(r);
    sql_read_next(r);
    if (sql_at(r, '@') || sql_at(r, '(')) {
        sql_read_next(r);
        sql_read_next(r);
    }
}

/* Up to the body: the status, a new name. */
static void
read_clauses(struct sql_read *r, struct sql_event *out)
{
    while (r->kind != SQL_END && !(r->depth == 0 && sql_at_word(r, "DO"))) {
        bool top = r->depth == 0;

        if (top && sql_take_word(r, "ENABLE")) {
            out->status = SQL_EVENT_ENABLED;
        } else if (top && sql_take_word(r, "DISABLE")) {
            out->status = SQL_EVENT_DISABLED;
            if (sql_take_word(r, "ON") &&
                (sql_take_word(r, "SLAVE") || sql_take_word(r, "REPLICA")))
                out->status = SQL_EVENT_SLAVESIDE;
        } else if (top && sql_take_word(r, "RENAME")) {
            sql_take_word(r, "TO");
            take_name(r, &out->to_schema, &out->to_name);
        } else {
            sql_read_next(r);
        }
    }
}

static bool
read_create_or_alter(struct sql_read *r, struct sql_event *out)
{
    if (sql_take_word(r, "OR"))
        sql_take_word(r, "REPLACE");
    skip_definer(r);
    if (!sql_take_word(r, "EVENT"))
        return false;
    if (sql_take_word(r, "IF")) {
        out->if_not_exists = sql_take_word(r, "NOT");
        sql_take_word(r, "EXISTS");
    }
    if (!take_name(r, &out->schema, &out->name))
        return false;
    read_clauses(r, out);
    return true;
}

static bool
read_drop(struct sql_read *r, struct sql_event *out)
{
    bool database = sql_at_word(r, "DATABASE") || sql_at_word(r, "SCHEMA");

    if (!database && !sql_at_word(r, "EVENT"))
        return false;
    out->kind = database ? SQL_EVENT_DROP_DATABASE : SQL_EVENT_DROP;
    sql_read_next(r);
    if (sql_take_word(r, "IF"))
        sql_take_word(r, "EXISTS");
    if (!database)
        return take_name(r, &out->schema, &out->name);
    out->schema = take_ident(r);
    return out->schema != NULL;
}

static bool
read_statement(struct sql_read *r, struct sql_event *out)
{
    sql_read_past_set(r);
    if (sql_take_word(r, "CREATE"))
        out->kind = SQL_EVENT_CREATE;
    else if (sql_take_word(r, "ALTER"))
        out->kind = SQL_EVENT_ALTER;
    else
        return sql_take_word(r, "DROP") && read_drop(r, out);
    return read_create_or_alter(r, out);
}

void
sql_event_parse(
    const char *sql, size_t n, uint64_t sql_mode, struct sql_event *out)
{
    struct sql_read r;

    *out = (struct sql_event){0};
    sql_read_begin(&r, sql, n, sql_mode);
    if (!read_statement(&r, out))
        sql_event_free(out);
    sql_read_free(&r);
}

void
sql_event_free(struct sql_event *s)
{
    free(s->schema);
    free(s->name);
    free(s->to_schema);
    free(s->to_name);
    *s = (struct sql_event){0};
}

/* --- the states --- */

/* Names of events are the same in either case. */
static struct sql_event_state *
find(const struct sql_event_states *s, const char *schema, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i].schema, schema) == 0 &&
            strcasecmp(s->v[i].name, name) == 0)
            return &s->v[i];
    return NULL;
}

static void
forget(struct sql_event_states *s, struct sql_event_state *x)
{
    free(x->schema);
    free(x->name);
    s->n--;
    memmove(x, x + 1, (size_t)(s->v + s->n - x) * sizeof *x);
}

void
sql_event_states_set(struct sql_event_states *s, const char *schema,
    const char *name, enum sql_event_status status)
{
    struct sql_event_state *x = find(s, schema, name);

    if (x == NULL) {
        s->v = xgrow(s->v, s->n, &s->cap, sizeof *s->v);
        x = &s->v[s->n++];
        *x = (struct sql_event_state){
            .schema = xstrdup(schema), .name = xstrdup(name)};
    }
    x->status = status;
}

enum sql_event_status
sql_event_states_get(
    const struct sql_event_states *s, const char *schema, const char *name)
{
    const struct sql_event_state *x = find(s, schema, name);

    return x == NULL ? SQL_EVENT_SAME : x->status;
}

static void
alter(struct sql_event_states *s, const struct sql_event *e,
    struct sql_event_state *x, const char *schema, const char *session,
    bool elsewhere)
{
    enum sql_event_status status = x == NULL ? SQL_EVENT_SAME : x->status;

    if (e->status != SQL_EVENT_SAME)
        status = e->status;
    if (elsewhere)
        status = SQL_EVENT_SLAVESIDE;
    if (e->to_name != NULL) {
        if (x != NULL)
            forget(s, x);
        sql_event_states_set(s, e->to_schema != NULL ? e->to_schema : session,
            e->to_name, status);
    } else {
        sql_event_states_set(s, schema, e->name, status);
    }
}

void
sql_event_states_apply(struct sql_event_states *s, const struct sql_event *e,
    const char *session, bool elsewhere)
{
    const char *schema = e->schema != NULL ? e->schema : session;
    struct sql_event_state *x = NULL;

    if (e->name != NULL)
        x = find(s, schema, e->name);
    else if (e->kind != SQL_EVENT_DROP_DATABASE)
        return; /* of no event */
    switch (e->kind) {
    case SQL_EVENT_NONE:
        break;
    case SQL_EVENT_CREATE:
        if (x == NULL || !e->if_not_exists)
            sql_event_states_set(s, schema, e->name,
                elsewhere                         ? SQL_EVENT_SLAVESIDE
                    : e->status == SQL_EVENT_SAME ? SQL_EVENT_ENABLED
                                                  : e->status);
        break;
    case SQL_EVENT_ALTER:
        alter(s, e, x, schema, session, elsewhere);
        break;
    case SQL_EVENT_DROP:
        if (x != NULL)
            forget(s, x);
        break;
    case SQL_EVENT_DROP_DATABASE:
        for (size_t i = s->n; i-- > 0;)
            if (strcmp(s->v[i].schema, schema) == 0)
                forget(s, &s->v[i]);
        break;
    }
}

void
sql_event_states_free(struct sql_event_states *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].schema);
        free(s->v[i].name);
    }
    free(s->v);
    *s = (struct sql_event_states){0};
}
