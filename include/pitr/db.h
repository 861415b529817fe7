/*
 * db.h -- a connection to a MariaDB server.  With db_rows.h, db_bulk.h and
 * repl.h the only place that knows Connector/C.
 *
 * A connection belongs to one thread at a time.  Errors carry the server's
 * number and text: what says that the server is not there (2002, 2003, 2006,
 * 2013, 1053 ...) is ERR_UNREACHABLE, everything else ERR_FAILED; the usual
 * ones (access denied, missing grant, lock wait timeout) have a hint.
 */
#ifndef PITR_DB_H
#define PITR_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pitr/buf.h"
#include "pitr/secret.h"

struct db_conf {
    const char *host, *socket; /* socket wins; both NULL: the default socket */
    unsigned port;             /* 0: 3306 */
    const char *user;          /* NULL: the name of the process's user */
    const struct secret *password; /* NULL: none */
    const char *ssl_ca, *ssl_cert, *ssl_key;
    bool ssl;        /* require TLS */
    bool ssl_verify; /* and the server's name */
    unsigned connect_timeout_s, read_timeout_s; /* 0: 10, 0: none */
    /* Without read_timeout_s: where an answer is waited for, and for so long
     * the server answers nobody else either, it is given up: ERR_UNREACHABLE.
     * 0: two minutes. */
    uint64_t patience_us;
};

struct db;

/*
 * Connect.  Every session is set alike: utf8mb4 names for statements and their
 * results, time_zone '+00:00', sql_mode '' + ALLOW_INVALID_DATES +
 * NO_AUTO_VALUE_ON_ZERO (so that all that is there can be read and stored
 * again), long net timeouts, and no statement time limit.  A line that breaks
 * before anything was asked is tried again.  `role` is shown in
 * the server's process list as an attribute program_name=pitr, and in errors
 * ("source", "target").
 */
struct db *db_open(const struct db_conf *conf, const char *role);
void db_close(struct db *db); /* NULL is fine */

unsigned long db_thread_id(const struct db *db);
/* 10.11.19 is 101119. */
unsigned db_version(const struct db *db);
const char *db_version_text(const struct db *db); /* borrowed */
const char *db_where(const struct db *db); /* "socket /run/x" or "host:port" */

/* The server's number of the last failure of this connection; 0 if none. */
unsigned db_errno(const struct db *db);

/* Statements are printf formats; quote names with db_ident(), strings with
 * db_quote().  0 or -1. */
int db_exec(struct db *db, const char *fmt, ...) PRINTF(2, 3);
/* A statement as it is, of any length and with any byte. */
int db_exec_bytes(struct db *db, const char *sql, size_t n);
/* After db_exec(): warnings the server counted. */
unsigned db_warnings(const struct db *db);

/* A result read whole into memory: for small ones (catalogue, status). */
struct db_result {
    size_t rows, cols;
    char **cell;   /* rows x cols; NULL for NULL; NUL-terminated */
    size_t *len;   /* bytes of each */
    char **name;   /* of the columns */
};
int db_query(struct db *db, struct db_result *out, const char *fmt, ...)
    PRINTF(3, 4);
void db_result_free(struct db_result *r);
const char *db_cell(const struct db_result *r, size_t row, size_t col);
/* Where a server has no reason to say NULL: then, and beyond the end, "". */
const char *db_text(const struct db_result *r, size_t row, size_t col);
/* Column by its name (case-insensitive); NULL if NULL or no such column. */
const char *db_cell_by(const struct db_result *r, size_t row,
    const char *column);

/*
 * One value of one row.  1 with *out (owned) or *out NULL for SQL NULL; 0
 * where there is no row; -1.
 */
int db_value(struct db *db, char **out, const char *fmt, ...) PRINTF(3, 4);
/* The same as a number. */
int db_value_u64(struct db *db, uint64_t *out, const char *fmt, ...)
    PRINTF(3, 4);
/* A global variable or session variable, e.g. "@@global.log_bin". */

/* A result row by row, in the text protocol, for long catalogues. */
struct db_cursor;
struct db_cursor *db_cursor_open(struct db *db, const char *fmt, ...)
    PRINTF(2, 3);
/* 1 with borrowed cells until the next call, 0 at the end, -1. */
int db_cursor_next(struct db_cursor *c, const char *const **cells,
    const size_t **lens);
void db_cursor_close(struct db_cursor *c); /* reads off what is left */

/* `name` with back-ticks doubled, appended; and 'string' escaped. */
void db_ident(struct buf *out, const char *name);
void db_quote(struct buf *out, const char *s, size_t n);
/* `a`.`b`, owned. */
char *db_name2(const char *schema, const char *name);

/* From another thread, while db is open: whatever is or will be waited for on
 * it fails (ERR_UNREACHABLE). */
void db_interrupt(struct db *db);

/* Ask another connection's statement to end (KILL QUERY); errors ignored. */
void db_kill_query(const struct db_conf *conf, unsigned long thread_id);

#endif
