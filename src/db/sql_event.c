/*
 * sql_event.c -- CREATE, ALTER and DROP EVENT: whose, and on or off?
 *
 * Source: MariaDB sql/sql_yacc.yy (event_tail, alter_event), sql/events.cc.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "pitr/buf.h"
#include "pitr/mem.h"
#include "pitr/sql_event.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_OTHER };

struct reader {
    struct cur c;
    uint64_t mode;
    enum token_kind kind; /* of the token at hand */
    struct buf text;      /* of a word, a name or a string */
    char other;
    int depth; /* of parentheses */
};

static bool
is_word(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

static void
skip_line(struct cur *c)
{
    while (cur_left(c) > 0 && cur_u8(c) != '\n')
        continue;
}

/* Behind the opening; what is in an executable one counts. */
static void
skip_comment(struct cur *c)
{
    size_t executable = 0;

    if (cur_left(c) > 0 && c->p[0] == '!')
        executable = 1;
    else if (cur_left(c) > 1 && c->p[0] == 'M' && c->p[1] == '!')
        executable = 2;
    cur_bytes(c, executable);
    if (executable > 0) {
        while (cur_left(c) > 0 && isdigit(*c->p))
            cur_u8(c);
        return;
    }
    while (cur_left(c) > 1 && !(c->p[0] == '*' && c->p[1] == '/'))
        cur_u8(c);
    cur_bytes(c, MIN(cur_left(c), 2));
}

static void
take_quoted(struct reader *r, uint8_t quote)
{
    struct cur *c = &r->c;
    bool name =
        quote == '`' || (quote == '"' && (r->mode & SQL_MODE_ANSI_QUOTES) != 0);
    bool escapes = !name && (r->mode & SQL_MODE_NO_BACKSLASH_ESCAPES) == 0;

    r->kind = TOKEN_QUOTED;
    while (cur_left(c) > 0) {
        uint8_t ch = cur_u8(c);

        if (ch == '\\' && escapes && cur_left(c) > 0) {
            ch = cur_u8(c);
        } else if (ch == quote) {
            if (cur_left(c) == 0 || *c->p != quote)
                return;
            cur_u8(c);
        }
        buf_u8(&r->text, ch);
    }
}

static void
next(struct reader *r)
{
    struct cur *c = &r->c;

    buf_reset(&r->text);
    r->kind = TOKEN_END;
    while (cur_left(c) > 0 && r->kind == TOKEN_END) {
        uint8_t ch = cur_u8(c);
        uint8_t after = cur_left(c) > 0 ? *c->p : 0;

        if (isspace(ch) || (ch == '*' && after == '/')) {
            cur_bytes(c, ch == '*');
        } else if (ch == '#' || (ch == '-' && after == '-')) {
            skip_line(c);
        } else if (ch == '/' && after == '*') {
            cur_u8(c);
            skip_comment(c);
        } else if (ch == '`' || ch == '"' || ch == '\'') {
            take_quoted(r, ch);
        } else if (is_word(ch)) {
            r->kind = TOKEN_WORD;
            buf_u8(&r->text, ch);
            while (cur_left(c) > 0 && is_word(*c->p))
                buf_u8(&r->text, cur_u8(c));
        } else {
            r->kind = TOKEN_OTHER;
            r->other = (char)ch;
            r->depth += ch == '(' ? 1 : ch == ')' ? -1 : 0;
        }
    }
}

static bool
at_word(struct reader *r, const char *word)
{
    return r->kind == TOKEN_WORD && strcasecmp(buf_cstr(&r->text), word) == 0;
}

static bool
at_other(const struct reader *r, char c)
{
    return r->kind == TOKEN_OTHER && r->other == c;
}

/* Past the word, if it is the one at hand. */
static bool
take_word(struct reader *r, const char *word)
{
    if (!at_word(r, word))
        return false;
    next(r);
    return true;
}

static char *
take_ident(struct reader *r)
{
    char *s = NULL;

    if (r->kind == TOKEN_WORD || r->kind == TOKEN_QUOTED)
        s = xstrndup((const char *)r->text.data, r->text.len);
    next(r);
    return s;
}

/* [schema.]name; false where there is none. */
static bool
take_name(struct reader *r, char **schema, char **name)
{
    *name = take_ident(r);
    if (!at_other(r, '.'))
        return *name != NULL;
    next(r);
    free(*schema);
    *schema = *name;
    *name = take_ident(r);
    return *name != NULL;
}

/* DEFINER = user[@host], CURRENT_USER[()] */
static void
skip_definer(struct reader *r)
{
    if (!take_word(r, "DEFINER"))
        return;
    if (at_other(r, '='))
        next(r);
    next(r);
    if (at_other(r, '@')) {
        next(r);
        next(r);
    } else if (at_other(r, '(')) {
        next(r);
        next(r);
    }
}

/* Up to the body: the status, a new name. */
static void
read_clauses(struct reader *r, struct sql_event *out)
{
    while (r->kind != TOKEN_END && !(r->depth == 0 && at_word(r, "DO"))) {
        if (r->depth > 0) {
            next(r);
        } else if (take_word(r, "ENABLE")) {
            out->status = SQL_EVENT_ENABLED;
        } else if (take_word(r, "DISABLE")) {
            out->status = SQL_EVENT_DISABLED;
            if (take_word(r, "ON") &&
                (take_word(r, "SLAVE") || take_word(r, "REPLICA")))
                out->status = SQL_EVENT_SLAVESIDE;
        } else if (take_word(r, "RENAME")) {
            take_word(r, "TO");
            take_name(r, &out->to_schema, &out->to_name);
        } else {
            next(r);
        }
    }
}

static bool
read_create_or_alter(struct reader *r, struct sql_event *out)
{
    if (take_word(r, "OR"))
        take_word(r, "REPLACE");
    skip_definer(r);
    if (!take_word(r, "EVENT"))
        return false;
    if (take_word(r, "IF")) {
        out->if_not_exists = take_word(r, "NOT");
        take_word(r, "EXISTS");
    }
    if (!take_name(r, &out->schema, &out->name))
        return false;
    read_clauses(r, out);
    return true;
}

static bool
read_drop(struct reader *r, struct sql_event *out)
{
    bool database = at_word(r, "DATABASE") || at_word(r, "SCHEMA");

    if (!database && !at_word(r, "EVENT"))
        return false;
    out->kind = database ? SQL_EVENT_DROP_DATABASE : SQL_EVENT_DROP;
    next(r);
    if (take_word(r, "IF"))
        take_word(r, "EXISTS");
    if (!database)
        return take_name(r, &out->schema, &out->name);
    out->schema = take_ident(r);
    return out->schema != NULL;
}

static bool
read_statement(struct reader *r, struct sql_event *out)
{
    if (take_word(r, "SET") && take_word(r, "STATEMENT"))
        while (r->kind != TOKEN_END && !take_word(r, "FOR"))
            next(r);
    if (take_word(r, "CREATE"))
        out->kind = SQL_EVENT_CREATE;
    else if (take_word(r, "ALTER"))
        out->kind = SQL_EVENT_ALTER;
    else
        return take_word(r, "DROP") && read_drop(r, out);
    return read_create_or_alter(r, out);
}

void
sql_event_parse(
    const char *sql, size_t n, uint64_t sql_mode, struct sql_event *out)
{
    struct reader r = {.c = cur_of(sql, n), .mode = sql_mode};

    *out = (struct sql_event){0};
    next(&r);
    if (!read_statement(&r, out))
        sql_event_free(out);
    buf_free(&r.text);
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
    *x = s->v[--s->n];
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
alter(struct sql_event_states *s, const struct sql_event *e, const char *schema,
    const char *session, bool elsewhere)
{
    struct sql_event_state *x = find(s, schema, e->name);
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
    struct sql_event_state *x =
        e->name == NULL ? NULL : find(s, schema, e->name);

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
        alter(s, e, schema, session, elsewhere);
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
    while (s->n > 0)
        forget(s, &s->v[0]);
    free(s->v);
    *s = (struct sql_event_states){0};
}
