/*
 * scope_rename.c -- a schema's other name in the text of a definition of
 * tables: wherever its own stands before a dot.  scope_text.c has seen that it
 * can be nothing else.
 */
#include <stdlib.h>
#include <string.h>
#include "feed.h"
#include "pitr/mem.h"
#include "pitr/sql_read.h"

static bool
is_definition(const struct sql_read *r)
{
    static const char *const words[] = {
        "CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE"};

    for (size_t i = 0; i < NELEM(words); i++)
        if (sql_at_word(r, words[i]))
            return true;
    return false;
}

/* The token at hand, if it is a name: owned.  Its first byte, and the one
 * behind it. */
static char *
take_name(const struct sql_read *r, const uint8_t **from, const uint8_t **to)
{
    if (r->kind != SQL_WORD && r->kind != SQL_NAME)
        return NULL;
    *to = r->c.p;
    *from = *to - r->text.len - (r->kind == SQL_NAME ? 2 : 0);
    return sql_text(r);
}

bool
scope_rename_text(const struct scope *s, const char *sql, size_t n,
    uint64_t sql_mode, struct buf *out)
{
    const uint8_t *done = (const uint8_t *)sql, *end = done + n, *from, *to;
    struct sql_read r;
    bool any = false;

    buf_reset(out);
    sql_read_begin(&r, sql, n, sql_mode);
    sql_read_past_set(&r);
    for (bool go = is_definition(&r); go && r.kind != SQL_END;) {
        char *name = take_name(&r, &from, &to);

        sql_read_next(&r);
        if (name != NULL && sql_at(&r, '.') && scope_knows(s, name) &&
            scope_to(s, name) != name) {
            buf_add(out, done, (size_t)(from - done));
            db_ident(out, scope_to(s, name));
            done = to;
            any = true;
        }
        free(name);
    }
    buf_add(out, done, (size_t)(end - done));
    sql_read_free(&r);
    return any;
}
