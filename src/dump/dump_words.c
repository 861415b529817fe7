/*
 * dump_words.c -- the words and names of a statement, to tell what it can
 * touch.  Strings are left out, SET STATEMENT ... FOR is seen through,
 * everything is lower case.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/mem.h"
#include "pitr/sql_read.h"

static void
add(struct dump_words *w, char *s)
{
    for (char *p = s; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    w->v = xgrow(w->v, w->n, &w->cap, sizeof *w->v);
    w->v[w->n++] = s;
}

void
dump_words_of(
    const char *sql, size_t n, uint64_t sql_mode, struct dump_words *out)
{
    struct sql_read r;

    memset(out, 0, sizeof *out);
    sql_read_begin(&r, sql, n, sql_mode);
    for (sql_read_past_set(&r); r.kind != SQL_END; sql_read_next(&r))
        if (r.kind == SQL_WORD || r.kind == SQL_NAME)
            add(out, sql_text(&r));
    sql_read_free(&r);
}

void
dump_words_free(struct dump_words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i]);
    free(w->v);
    memset(w, 0, sizeof *w);
}

static bool
among(const char *word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

bool
dump_words_harmless(const struct dump_words *w)
{
    static const char *const first[] = {"analyze", "optimize", "flush", "check",
        "repair", "cache", "reset", "kill", "grant", "revoke", "set"};
    static const char *const verb[] = {"create", "alter", "drop", "rename"};
    static const char *const object[] = {"user", "role", "temporary", "server"};
    size_t i = 1;

    if (w->n == 0)
        return false;
    if (among(w->v[0], first, NELEM(first)))
        return true;
    if (!among(w->v[0], verb, NELEM(verb)))
        return false;
    while (i < w->n &&
        (strcmp(w->v[i], "or") == 0 || strcmp(w->v[i], "replace") == 0))
        i++;
    return i < w->n && among(w->v[i], object, NELEM(object));
}

bool
dump_words_create_new(const struct dump_words *w)
{
    static const char *const object[] = {"table", "database", "schema", "view",
        "sequence", "procedure", "function", "event", "package"};

    return w->n > 1 && strcmp(w->v[0], "create") == 0 &&
        among(w->v[1], object, NELEM(object));
}
