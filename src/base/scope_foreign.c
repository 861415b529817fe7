/*
 * scope_foreign.c -- foreign keys between what is restored and what is left
 * out.
 *
 * What a server changes by ON DELETE and ON UPDATE is in no log: whoever
 * applies the log does it again, if the table that is referred to is there.
 */
#include <stdlib.h>

#include "pitr/mem.h"
#include "pitr/scope.h"

static void
foreign_free(struct scope_foreign *f)
{
    free(f->schema);
    free(f->table);
    free(f->to_schema);
    free(f->to_table);
}

void
scope_foreign_free(struct scope *s)
{
    for (size_t i = 0; i < s->foreigns; i++)
        foreign_free(&s->foreign[i]);
    free(s->foreign);
    s->foreign = NULL;
    s->foreigns = s->foreign_cap = 0;
}

void
scope_foreign_add(struct scope *s, struct scope_foreign *f)
{
    s->foreign =
        xgrow(s->foreign, s->foreigns, &s->foreign_cap, sizeof *s->foreign);
    s->foreign[s->foreigns++] = *f;
}

static bool
refers_to(const struct scope *s, const struct scope_foreign *f,
    const char *schema, const char *table)
{
    return scope_same(s, f->to_schema, schema) &&
        scope_same(s, f->to_table, table);
}

static bool
child_wanted(const struct scope *s, const struct scope_foreign *f)
{
    return scope_table(s, f->schema, f->table);
}

static bool
parent_wanted(const struct scope *s, const struct scope_foreign *f)
{
    return scope_table(s, f->to_schema, f->to_table);
}

/* Do changes of the rows that refer come to rows that are wanted? */
static bool
goes_on(const struct scope *s, const struct scope_foreign *f)
{
    if (child_wanted(s, f))
        return true;
    for (size_t i = 0; i < s->foreigns; i++)
        if (s->foreign[i].reaches &&
            refers_to(s, &s->foreign[i], f->schema, f->table))
            return true;
    return false;
}

/* Only those that matter stay. */
void
scope_foreign_settle(struct scope *s)
{
    bool more = true;
    size_t n = 0;

    while (more) {
        more = false;
        for (size_t i = 0; i < s->foreigns; i++) {
            struct scope_foreign *f = &s->foreign[i];

            if (f->reaches || (!f->on_delete && !f->on_update) ||
                !goes_on(s, f))
                continue;
            f->reaches = more = true;
        }
    }
    for (size_t i = 0; i < s->foreigns; i++) {
        struct scope_foreign *f = &s->foreign[i];

        if (f->reaches || (child_wanted(s, f) && !parent_wanted(s, f)))
            s->foreign[n++] = *f;
        else
            foreign_free(f);
    }
    s->foreigns = n;
}

const struct scope_foreign *
scope_foreign_from(
    const struct scope *s, const char *schema, const char *table, bool deleted)
{
    for (size_t i = 0; i < s->foreigns; i++) {
        const struct scope_foreign *f = &s->foreign[i];

        if (f->reaches && (deleted ? f->on_delete : f->on_update) &&
            refers_to(s, f, schema, table) &&
            !(child_wanted(s, f) && parent_wanted(s, f)))
            return f;
    }
    return NULL;
}

bool
scope_is_orphan(const struct scope *s, const char *schema, const char *table)
{
    for (size_t i = 0; i < s->foreigns; i++) {
        const struct scope_foreign *f = &s->foreign[i];

        if (scope_same(s, f->schema, schema) &&
            scope_same(s, f->table, table) && !parent_wanted(s, f))
            return true;
    }
    return false;
}

bool
scope_is_followed(const struct scope *s, const char *schema, const char *table)
{
    for (size_t i = 0; i < s->foreigns; i++) {
        const struct scope_foreign *f = &s->foreign[i];

        if (f->on_update && child_wanted(s, f) &&
            refers_to(s, f, schema, table))
            return true;
    }
    return false;
}
