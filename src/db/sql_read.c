/*
 * sql_read.c -- the words, names and strings of a statement.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "pitr/mem.h"
#include "pitr/sql_read.h"

#define VERSION_MIN 5 /* digits of an executable comment's version */
#define VERSION_MAX 6

static bool
is_word(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

/* The byte that follows, i further on; NUL at the end. */
static uint8_t
peek(const struct cur *c, size_t i)
{
    return i < cur_left(c) ? c->p[i] : 0;
}

/* "a--1" is arithmetic: a comment has a space behind its dashes, or the end. */
static bool
is_line_comment(const struct cur *c, uint8_t ch)
{
    uint8_t after = peek(c, 1);

    return ch == '#' ||
        (ch == '-' && peek(c, 0) == '-' && (isspace(after) || iscntrl(after)));
}

static void
skip_line(struct cur *c)
{
    while (cur_left(c) > 0 && cur_u8(c) != '\n')
        continue;
}

/* Behind the opening.  Of an executable one only the version is skipped. */
static void
skip_comment(struct cur *c)
{
    size_t executable = peek(c, 0) == '!'        ? 1
        : peek(c, 0) == 'M' && peek(c, 1) == '!' ? 2
                                                 : 0;
    size_t digits = 0;

    if (executable > 0) {
        cur_bytes(c, executable);
        while (digits < VERSION_MAX && isdigit(peek(c, digits)))
            digits++;
        if (digits >= VERSION_MIN)
            cur_bytes(c, digits);
        return;
    }
    while (cur_left(c) > 1 && !(c->p[0] == '*' && c->p[1] == '/'))
        cur_u8(c);
    cur_bytes(c, MIN(cur_left(c), 2));
}

static void
take_quoted(struct sql_read *r, uint8_t quote)
{
    struct cur *c = &r->c;
    bool name =
        quote == '`' || (quote == '"' && (r->mode & SQL_MODE_ANSI_QUOTES) != 0);
    bool escapes = !name && (r->mode & SQL_MODE_NO_BACKSLASH_ESCAPES) == 0;

    r->kind = name ? SQL_NAME : SQL_STRING;
    while (cur_left(c) > 0) {
        uint8_t ch = cur_u8(c);

        if (ch == '\\' && escapes && cur_left(c) > 0) {
            ch = cur_u8(c);
        } else if (ch == quote) {
            if (peek(c, 0) != quote)
                return;
            cur_u8(c);
        }
        buf_u8(&r->text, ch);
    }
}

static void
take_plain(struct sql_read *r, uint8_t ch)
{
    r->kind = SQL_WORD;
    buf_u8(&r->text, ch);
    while (is_word(peek(&r->c, 0)))
        buf_u8(&r->text, cur_u8(&r->c));
}

void
sql_read_next(struct sql_read *r)
{
    struct cur *c = &r->c;

    buf_reset(&r->text);
    r->kind = SQL_END;
    while (cur_left(c) > 0 && r->kind == SQL_END) {
        uint8_t ch = cur_u8(c), after = peek(c, 0);

        if (isspace(ch))
            continue;
        if (ch == '*' && after == '/') { /* of an executable comment */
            cur_u8(c);
        } else if (is_line_comment(c, ch)) {
            skip_line(c);
        } else if (ch == '/' && after == '*') {
            cur_u8(c);
            skip_comment(c);
        } else if (ch == '`' || ch == '"' || ch == '\'') {
            take_quoted(r, ch);
        } else if (is_word(ch)) {
            take_plain(r, ch);
        } else {
            r->kind = SQL_OTHER;
            r->other = (char)ch;
            r->depth += ch == '(' ? 1 : ch == ')' ? -1 : 0;
        }
    }
}

void
sql_read_begin(struct sql_read *r, const char *sql, size_t n, uint64_t mode)
{
    *r = (struct sql_read){.c = cur_of(sql, n), .mode = mode};
    sql_read_next(r);
}

void
sql_read_free(struct sql_read *r)
{
    buf_free(&r->text);
}

bool
sql_at_word(const struct sql_read *r, const char *word)
{
    size_t n = strlen(word);

    return r->kind == SQL_WORD && r->text.len == n &&
        strncasecmp((const char *)r->text.data, word, n) == 0;
}

bool
sql_at(const struct sql_read *r, char other)
{
    return r->kind == SQL_OTHER && r->other == other;
}

bool
sql_take_word(struct sql_read *r, const char *word)
{
    if (!sql_at_word(r, word))
        return false;
    sql_read_next(r);
    return true;
}

char *
sql_text(const struct sql_read *r)
{
    return r->text.len == 0 ? xstrdup("")
                            : xstrndup((const char *)r->text.data, r->text.len);
}

void
sql_read_past_set(struct sql_read *r)
{
    while (sql_at_word(r, "SET")) {
        const struct cur back = r->c;

        sql_read_next(r);
        if (!sql_take_word(r, "STATEMENT")) {
            r->c = back;
            r->kind = SQL_WORD;
            buf_reset(&r->text);
            buf_str(&r->text, "SET");
            r->depth = 0; /* "SET" begins the statement */
            return;
        }
        while (r->kind != SQL_END && !sql_take_word(r, "FOR"))
            sql_read_next(r);
    }
}
