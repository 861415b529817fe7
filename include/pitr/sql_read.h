/*
 * sql_read.h -- the words, names and strings of a statement, one after another.
 *
 * For those who have to tell what a statement of the log does by its first
 * words and by what it names.  No parser of SQL.  Comments are skipped; what
 * stands in executable ones counts, whatever version they ask for.  Pure; never
 * fails: what does not end, ends with the statement.
 *
 * Source: MariaDB sql/sql_lex.cc (Lex_input_stream::lex_token and below).
 */
#ifndef PITR_SQL_READ_H
#define PITR_SQL_READ_H

#include "pitr/buf.h"

#define SQL_MODE_ANSI_QUOTES (UINT64_C(1) << 2)
#define SQL_MODE_NO_BACKSLASH_ESCAPES (UINT64_C(1) << 20)

enum sql_token {
    SQL_END,
    SQL_WORD,   /* a keyword or a name; also a number */
    SQL_NAME,   /* in quotes: no keyword */
    SQL_STRING, /* in quotes, not a name in this mode */
    SQL_OTHER,  /* any other byte */
};

struct sql_read {
    struct cur c; /* what follows */
    uint64_t mode;
    enum sql_token kind; /* of the token at hand */
    struct buf text;     /* of it, without its quotes; not of SQL_OTHER */
    char other;          /* SQL_OTHER: the byte */
    int depth;           /* of parentheses */
};

/* At the first token.  mode: the bits of the session's sql_mode, as the log has
 * them.  sql is borrowed. */
void sql_read_begin(
    struct sql_read *r, const char *sql, size_t n, uint64_t mode);
void sql_read_free(struct sql_read *r); /* content */
void sql_read_next(struct sql_read *r);

/* Is this word at hand, in whatever case?  This byte? */
bool sql_at_word(const struct sql_read *r, const char *word);
bool sql_at(const struct sql_read *r, char other);
/* Past the word, if it is the one at hand. */
bool sql_take_word(struct sql_read *r, const char *word);
/* The token's text, owned by the caller. */
char *sql_text(const struct sql_read *r);

/* Past each "SET STATEMENT name = value, ... FOR" at hand: the statement behind
 * it is what is done.  The word FOR can stand in no value. */
void sql_read_past_set(struct sql_read *r);

#endif
