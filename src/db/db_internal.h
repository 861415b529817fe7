/*
 * db_internal.h -- what the files of src/db share: the connection's own state.
 */
#ifndef PITR_DB_INTERNAL_H
#define PITR_DB_INTERNAL_H

#include <mysql.h>
#include "pitr/db.h"

struct db {
    MYSQL *mysql;
    char *role;  /* "source", "target" */
    char *where; /* "socket /run/x", "host:port" */
    unsigned version;
    unsigned last_errno;
    unsigned warnings;
    bool raw_results;    /* character_set_results is NULL */
    uint64_t max_packet; /* the server's max_allowed_packet; 0 unknown */
};

/* From Connector/C's last error: sets err with a kind and a hint, remembers
 * the number.  `what` may be NULL.  Returns -1. */
int db_fail(struct db *db, const char *what);
/* The same from a number and a text (a statement handle has its own). */
int db_fail_with(
    struct db *db, unsigned number, const char *text, const char *what);
/* The same for a statement: its beginning is shown, without secrets. */
int db_fail_sql(struct db *db, const char *sql, size_t n);

/* Is this number one of "the server is not there (any more)"? */
bool db_errno_is_lost(unsigned number);

/* A result of which rows were left on the wire: no further use. */
void db_break(struct db *db);

/* Send a command of the protocol and read one answer: OK, or an error.
 * *affected and *warnings may be NULL.  0 or -1. */
int db_command(struct db *db, unsigned command, const void *p, size_t n,
    uint64_t *affected, unsigned *warnings, const char *what);

#endif
