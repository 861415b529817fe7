/*
 * db_internal.h -- what the files of src/db share: the connection's own state.
 */
#ifndef PITR_DB_INTERNAL_H
#define PITR_DB_INTERNAL_H

#include <mysql.h>
#include <stdatomic.h>
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
    /* db_alive.c */
    struct db *next;
    struct peer *peer;  /* NULL: not watched */
    int fd;             /* a copy of the socket; -1 */
    atomic_uint waits;  /* > 0: its thread waits for the server */
    atomic_uint heard;  /* another number whenever something came */
    unsigned seen;      /* heard, as it was since since_us */
    uint64_t since_us;  /* monotonic */
    uint64_t silent_us; /* before it was given up */
    atomic_bool given_up;
};

/* Look after a connection that was made, until forgotten.  Goes through with
 * one that is not (any more).  -1: no descriptor is left. */
int db_alive_watch(struct db *db, const struct db_conf *conf);
void db_alive_forget(struct db *db);
/* Was it given up?  Then err says so. */
bool db_alive_fail(const struct db *db);
/* Does the server answer a new connection in any way?  err is not set. */
bool db_answers(const struct db_conf *conf, unsigned seconds);

/* Around what may wait for the server; may be nested.  Only the connection's
 * thread writes, so nothing has to be locked. */
static inline void
db_wait(struct db *db, unsigned more)
{
    atomic_store_explicit(&db->heard,
        atomic_load_explicit(&db->heard, memory_order_relaxed) + 1,
        memory_order_relaxed);
    atomic_store_explicit(&db->waits,
        atomic_load_explicit(&db->waits, memory_order_relaxed) + more,
        memory_order_relaxed);
}

static inline void
db_wait_begin(struct db *db)
{
    db_wait(db, 1);
}

static inline void
db_wait_end(struct db *db)
{
    db_wait(db, (unsigned)-1);
}

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
