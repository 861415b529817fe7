/*
 * scope.c -- which part of a server is restored, and under which names.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "pitr/buf.h"
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/scope.h"

/* A name up to the end or the character stop, out of its back-ticks. */
static char *
take_name(const struct scope *s, const char **p, char stop)
{
    struct buf b = {0};

    if (**p == '`') {
        for ((*p)++; **p != '\0'; (*p)++) {
            if (**p == '`' && (*p)[1] != '`')
                break;
            *p += **p == '`';
            buf_u8(&b, (uint8_t) * *p);
        }
        *p += **p == '`';
    } else {
        for (; **p != '\0' && **p != stop; (*p)++)
            buf_u8(&b, (uint8_t) * *p);
    }
    for (size_t i = 0; s->fold && i < b.len; i++)
        b.data[i] = (uint8_t)tolower(b.data[i]);
    return buf_take(&b);
}

bool
scope_same(const struct scope *s, const char *a, const char *b)
{
    return (s->fold ? strcasecmp(a, b) : strcmp(a, b)) == 0;
}

static int
bad(const char *text, const char *want)
{
    return err_set(ERR_USAGE, "\"%s\" is not %s", text, want);
}

static int
add_name(const struct scope *s, struct scope_name **v, size_t *n, size_t *cap,
    const char *text)
{
    const char *p = text;
    struct scope_name x = {.schema = take_name(s, &p, '.')};

    if (*p == '.') {
        p++;
        x.table = take_name(s, &p, '\0');
    }
    if (*p != '\0' || x.schema[0] == '\0' ||
        (x.table != NULL && x.table[0] == '\0')) {
        free(x.schema);
        free(x.table);
        return bad(text, "a schema or schema.table");
    }
    *v = xgrow(*v, *n, cap, sizeof **v);
    (*v)[(*n)++] = x;
    return 0;
}

int
scope_only(struct scope *s, const char *text)
{
    return add_name(s, &s->only, &s->onlys, &s->only_cap, text);
}

int
scope_exclude(struct scope *s, const char *text)
{
    return add_name(s, &s->exclude, &s->excludes, &s->exclude_cap, text);
}

int
scope_rename(struct scope *s, const char *text)
{
    const char *p = text;
    struct scope_rename x = {.from = take_name(s, &p, '=')};

    if (*p == '=') {
        p++;
        x.to = take_name(s, &p, '\0');
    }
    if (*p != '\0' || x.to == NULL || x.from[0] == '\0' || x.to[0] == '\0') {
        free(x.from);
        free(x.to);
        return bad(text, "old=new");
    }
    s->rename = xgrow(s->rename, s->renames, &s->rename_cap, sizeof x);
    s->rename[s->renames++] = x;
    return 0;
}

void
scope_know(struct scope *s, const char *schema)
{
    if (scope_knows(s, schema))
        return;
    s->known = xgrow(s->known, s->knowns, &s->known_cap, sizeof *s->known);
    s->known[s->knowns++] = xstrdup(schema);
}

bool
scope_knows(const struct scope *s, const char *schema)
{
    for (size_t i = 0; i < s->knowns; i++)
        if (scope_same(s, s->known[i], schema))
            return true;
    for (size_t i = 0; i < s->onlys; i++)
        if (scope_same(s, s->only[i].schema, schema))
            return true;
    return false;
}

static void
free_names(struct scope_name *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(v[i].schema);
        free(v[i].table);
    }
    free(v);
}

void
scope_free(struct scope *s)
{
    free_names(s->only, s->onlys);
    free_names(s->exclude, s->excludes);
    for (size_t i = 0; i < s->renames; i++) {
        free(s->rename[i].from);
        free(s->rename[i].to);
    }
    free(s->rename);
    scope_foreign_free(s);
    for (size_t i = 0; i < s->knowns; i++)
        free(s->known[i]);
    free(s->known);
    *s = (struct scope){0};
}

bool
scope_active(const struct scope *s)
{
    return s != NULL && s->onlys + s->excludes + s->renames > 0;
}

static bool
named(const struct scope *s, const struct scope_name *v, size_t n,
    const char *schema, const char *table)
{
    for (size_t i = 0; i < n; i++)
        if (scope_same(s, v[i].schema, schema) &&
            (v[i].table == NULL ||
                (table != NULL && scope_same(s, v[i].table, table))))
            return true;
    return false;
}

bool
scope_is_system(const struct scope *s, const char *schema)
{
    static const struct scope exact;
    static const char *const names[] = {
        "mysql", "sys", "information_schema", "performance_schema"};

    for (size_t i = 0; i < NELEM(names); i++)
        if (scope_same(s == NULL ? &exact : s, names[i], schema))
            return true;
    return false;
}

enum scope_part
scope_schema(const struct scope *s, const char *schema)
{
    if (!scope_active(s))
        return SCOPE_WHOLE;
    if (scope_is_system(s, schema) ||
        named(s, s->exclude, s->excludes, schema, NULL))
        return SCOPE_NONE;
    if (s->onlys == 0 || named(s, s->only, s->onlys, schema, NULL))
        return SCOPE_WHOLE;
    for (size_t i = 0; i < s->onlys; i++)
        if (scope_same(s, s->only[i].schema, schema))
            return SCOPE_SOME;
    return SCOPE_NONE;
}

bool
scope_table(const struct scope *s, const char *schema, const char *table)
{
    if (!scope_active(s))
        return true;
    if (scope_is_system(s, schema) ||
        named(s, s->exclude, s->excludes, schema, table))
        return false;
    return s->onlys == 0 || named(s, s->only, s->onlys, schema, table);
}

const char *
scope_to(const struct scope *s, const char *schema)
{
    for (size_t i = 0; s != NULL && i < s->renames; i++)
        if (scope_same(s, s->rename[i].from, schema))
            return s->rename[i].to;
    return schema;
}
