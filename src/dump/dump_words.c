/*
 * dump_words.c -- the words and names of a statement, to tell what it can
 * touch.  Not a parser of SQL: strings are left out, the inside of executable
 * comments is taken, everything is lower case.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/mem.h"

static bool
is_word(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

static void
add(struct dump_words *w, const struct buf *word)
{
    char *s = xstrndup((const char *)word->data, word->len);

    for (char *p = s; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    w->v = xgrow(w->v, w->n, &w->cap, sizeof *w->v);
    w->v[w->n++] = s;
}

/* After the opening quote: up to after the closing one. */
static void
quoted(struct cur *c, uint8_t quote, struct buf *word)
{
    while (cur_left(c) > 0) {
        uint8_t ch = cur_u8(c);

        if (ch == '\\' && quote != '`' && cur_left(c) > 0) {
            ch = cur_u8(c);
        } else if (ch == quote) {
            if (cur_left(c) == 0 || *c->p != quote)
                return;
            cur_u8(c);
        }
        buf_u8(word, ch);
    }
}

static void
skip_line(struct cur *c)
{
    while (cur_left(c) > 0 && cur_u8(c) != '\n')
        ;
}

/* At the star of an opening: executable ones are gone into. */
static void
comment(struct cur *c)
{
    cur_u8(c);
    if (cur_left(c) > 0 && *c->p == '!') {
        cur_u8(c);
    } else if (cur_left(c) > 1 && c->p[0] == 'M' && c->p[1] == '!') {
        cur_bytes(c, 2);
    } else {
        while (cur_left(c) > 1 && !(c->p[0] == '*' && c->p[1] == '/'))
            cur_u8(c);
        cur_bytes(c, MIN(cur_left(c), 2));
        return;
    }
    while (cur_left(c) > 0 && isdigit(*c->p))
        cur_u8(c);
}

/* "SET STATEMENT name = value, ... FOR statement" does what the statement does;
 * no value can have the word FOR in it. */
static void
see_through(struct dump_words *w)
{
    while (w->n > 1 && strcmp(w->v[0], "set") == 0 &&
        strcmp(w->v[1], "statement") == 0) {
        size_t gone = 2;

        while (gone < w->n && strcmp(w->v[gone], "for") != 0)
            gone++;
        gone += gone < w->n;
        for (size_t i = 0; i < gone; i++)
            free(w->v[i]);
        memmove(w->v, w->v + gone, (w->n - gone) * sizeof *w->v);
        w->n -= gone;
    }
}

void
dump_words_of(const char *sql, size_t n, struct dump_words *out)
{
    struct cur c = cur_of(sql, n);
    struct buf word = {0};

    memset(out, 0, sizeof *out);
    while (cur_left(&c) > 0) {
        uint8_t ch = cur_u8(&c);
        uint8_t next = cur_left(&c) > 0 ? *c.p : 0;

        buf_reset(&word);
        if (ch == '`' || ch == '"') { /* " quotes names in ANSI mode */
            quoted(&c, ch, &word);
            add(out, &word);
        } else if (ch == '\'') {
            quoted(&c, ch, &word);
        } else if (ch == '#' || (ch == '-' && next == '-')) {
            skip_line(&c);
        } else if (ch == '/' && next == '*') {
            comment(&c);
        } else if (is_word(ch)) {
            buf_u8(&word, ch);
            while (cur_left(&c) > 0 && is_word(*c.p))
                buf_u8(&word, cur_u8(&c));
            add(out, &word);
        }
    }
    buf_free(&word);
    see_through(out);
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
