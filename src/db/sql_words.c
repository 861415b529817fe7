/*
 * sql_words.c -- what a statement does, by its first words.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "pitr/event.h"
#include "pitr/mem.h"

struct text {
    const char *p, *end;
};

static bool
starts(const struct text *t, const char *s)
{
    size_t n = strlen(s);

    return (size_t)(t->end - t->p) >= n && memcmp(t->p, s, n) == 0;
}

static void
skip_past(struct text *t, const char *what)
{
    size_t n = strlen(what);

    while (t->p < t->end && !starts(t, what))
        t->p++;
    t->p += MIN(n, (size_t)(t->end - t->p));
}

/*
 * Spaces, comments, and the brackets of executable comments: what is in those
 * counts, whatever version they ask for.
 */
static void
skip_blank(struct text *t)
{
    for (;;) {
        if (t->p < t->end &&
            (isspace((unsigned char)*t->p) || *t->p == '(' || *t->p == ';'))
            t->p++;
        else if (starts(t, "/*!") || starts(t, "/*M!")) {
            t->p += starts(t, "/*!") ? 3 : 4;
            while (t->p < t->end && isdigit((unsigned char)*t->p))
                t->p++;
        } else if (starts(t, "*/"))
            t->p += 2;
        else if (starts(t, "/*"))
            skip_past(t, "*/");
        else if (starts(t, "#") || starts(t, "-- "))
            skip_past(t, "\n");
        else
            return;
    }
}

static bool
is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' ||
        (unsigned char)c >= 0x80;
}

/* The next word's size at *word; 0 at the end or where something else comes,
 * which is skipped; a quoted name or string is skipped whole. */
static size_t
next_word(struct text *t, const char **word)
{
    char quote;

    skip_blank(t);
    *word = t->p;
    if (t->p == t->end)
        return 0;
    if (is_word_char(*t->p)) {
        while (t->p < t->end && is_word_char(*t->p))
            t->p++;
        return (size_t)(t->p - *word);
    }
    quote = *t->p++;
    if (quote == '\'' || quote == '"' || quote == '`') {
        while (t->p < t->end && *t->p != quote)
            t->p += *t->p == '\\' && quote != '`' && t->p + 1 < t->end ? 2 : 1;
        if (t->p < t->end)
            t->p++;
    }
    return 0;
}

static bool
word_is(const char *word, size_t n, const char *s)
{
    return n == strlen(s) && strncasecmp(word, s, n) == 0;
}

/* CREATE [OR REPLACE] TEMPORARY and DROP TEMPORARY touch nothing that lasts. */
static bool
is_temporary(struct text t)
{
    const char *word;
    size_t n = next_word(&t, &word);

    if (word_is(word, n, "OR")) {
        next_word(&t, &word);
        n = next_word(&t, &word);
    }
    return word_is(word, n, "TEMPORARY");
}

/* Behind SET: passwords and roles, and SET STATEMENT ... FOR a statement. */
static bool
set_is_ddl(struct text t)
{
    const char *word;
    size_t n = next_word(&t, &word);

    if (word_is(word, n, "PASSWORD"))
        return true;
    if (word_is(word, n, "DEFAULT")) {
        n = next_word(&t, &word);
        return word_is(word, n, "ROLE");
    }
    if (!word_is(word, n, "STATEMENT"))
        return false;
    while (t.p < t.end) {
        n = next_word(&t, &word);
        if (word_is(word, n, "FOR"))
            return sql_is_ddl(t.p, (size_t)(t.end - t.p));
    }
    return false;
}

bool
sql_is_ddl(const char *sql, size_t n)
{
    static const char *const ddl[] = {"ALTER", "RENAME", "TRUNCATE", "GRANT",
        "REVOKE", "INSTALL", "UNINSTALL"};
    /* The words that count come early; this also bounds the recursion. */
    struct text t = {sql, sql + MIN(n, (size_t)65536)};
    const char *word;
    size_t size = next_word(&t, &word);

    for (size_t i = 0; i < NELEM(ddl); i++)
        if (word_is(word, size, ddl[i]))
            return true;
    if (word_is(word, size, "CREATE") || word_is(word, size, "DROP"))
        return !is_temporary(t);
    return word_is(word, size, "SET") && set_is_ddl(t);
}
