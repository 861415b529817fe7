/*
 * schema.h -- the content of a backup's "schema" object: a sequence of objects
 * of the server, in the order in which they have to be created.
 */
#ifndef PITR_SCHEMA_H
#define PITR_SCHEMA_H

#include "pitr/repo.h"

enum schema_kind { /* in the order in which they are stored and created */
    SCHEMA_DATABASE = 1,
    SCHEMA_ROLE,     /* sql: CREATE ROLE */
    SCHEMA_USER,     /* sql: CREATE USER ..., as SHOW CREATE USER gives it */
    SCHEMA_SEQUENCE, /* sql: CREATE SEQUENCE; extra: SELECT SETVAL(...) */
    SCHEMA_TABLE,    /* sql: SHOW CREATE TABLE, whole; table: its number */
    SCHEMA_FUNCTION,
    SCHEMA_PROCEDURE,
    SCHEMA_PACKAGE,
    SCHEMA_PACKAGE_BODY,
    SCHEMA_VIEW,
    SCHEMA_TRIGGER,  /* in the order in which they fire */
    SCHEMA_EVENT,
    SCHEMA_GRANT,    /* one statement of SHOW GRANTS; name: whose */
};

struct schema_object {
    enum schema_kind kind;
    uint32_t table; /* of SCHEMA_TABLE: its number in the manifest, or
                       UINT32_MAX where it has no rows stored */
    char *schema;   /* "" where it has none */
    char *name;     /* for accounts: 'user'@'host' or 'role', quoted for SQL */
    char *sql;      /* the statement that creates it, utf8mb4 */
    char *extra;    /* triggers: the table; events: status; sequences: SQL;
                       users: when the password was set, seconds since 1970;
                       routines: the comment */
    /* What has to be set in the session that creates it; "" if nothing: */
    char *sql_mode, *charset_client, *collation_connection, *collation_database;
    char *time_zone; /* events */
    char *definer;   /* user@host as the catalogue has it */
};
void schema_object_free(struct schema_object *o); /* content only */

struct schema_writer; /* owns the sink */
struct schema_writer *schema_writer_new(struct sink *out);
int schema_write(struct schema_writer *w, const struct schema_object *o);
int schema_writer_finish(struct schema_writer *w);
void schema_writer_free(struct schema_writer *w);

struct schema_reader; /* owns the source */
struct schema_reader *schema_reader_new(struct source *in);
/* 1 with *o filled in (free its content), 0 at the end, -1. */
int schema_read(struct schema_reader *r, struct schema_object *o);
void schema_reader_free(struct schema_reader *r);

#endif
