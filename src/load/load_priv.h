/*
 * load_priv.h -- what the files of src/load share.
 *
 * A load works on the backup's schema objects, read whole into memory, and on
 * one struct load_table a table of the manifest.  Counters of a load_table are
 * changed only under the lock of load_rows.c.
 */
#ifndef PITR_LOAD_PRIV_H
#define PITR_LOAD_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include "pitr/digest.h"
#include "pitr/load.h"
#include "pitr/pool.h"
#include "pitr/schema.h"

/* --- load_ddl.c: pure functions on statements that the server printed --- */

/* A CREATE TABLE taken apart. */
struct ddl_table {
    char *create;     /* without what comes later */
    char *engine;     /* "" where the statement names none */
    char **add_index; /* "ADD KEY ...", each fit for an ALTER TABLE */
    bool *alone;      /* needs an ALTER TABLE of its own */
    size_t indexes;
    char **add_foreign; /* "ADD CONSTRAINT ... FOREIGN KEY ..." */
    size_t foreigns;
    bool disable_keys; /* ALTER TABLE ... DISABLE KEYS pays */
    bool refers;       /* has its foreign keys in `create` */
    bool directory;    /* names a DATA or INDEX DIRECTORY */
};

/* Past the quoted string or name, or the byte, at p. */
const char *ddl_step(const char *p);
bool ddl_has_directory(const char *sql);
/* What is not understood stays whole in `create`; never fails.  A table of few
 * rows is created with its indexes, but for FULLTEXT and SPATIAL ones. */
enum ddl_indexes { DDL_INDEXES_LATER, DDL_INDEXES_FEW_ROWS, DDL_INDEXES_STAY };
void ddl_table_split(
    const char *sql, enum ddl_indexes how, struct ddl_table *out);
/* Does a CREATE TABLE in schema `own` have REFERENCES to that table?  May say
 * so where it has not. */
bool ddl_table_refers(
    const char *sql, const char *own, const char *schema, const char *name);
void ddl_table_free(struct ddl_table *t);
/* A CREATE TABLE without what may differ in an equal table: AUTO_INCREMENT=n,
 * DATA DIRECTORY and INDEX DIRECTORY, and the mark of a time in the format of
 * MariaDB 5.3, which becomes today's when it is stored again.  Owned. */
char *ddl_table_comparable(const char *sql);
/* Can it only be made after others, its members? */
bool ddl_table_is_merge(const char *sql);
/* CREATE USER or CREATE ROLE as CREATE OR REPLACE; else a copy.  Owned. */
char *ddl_or_replace(const char *sql);
/* A GRANT without its IDENTIFIED clause; with `plain` also without REQUIRE and
 * resource limits, WITH GRANT OPTION kept.  Owned. */
char *ddl_grant_strip(const char *sql, bool plain);
/* What a GRANT ... ON `schema`.`name` is on; false where it is on more, or on
 * nothing.  The names are owned. */
struct ddl_grant {
    const char *on; /* in the statement */
    char *schema, *name;
};
bool ddl_grant_on(const char *sql, struct ddl_grant *out);
/* All distinct back-ticked names in a statement, unquoted. */
struct ddl_names {
    char **v;
    size_t n, cap;
};
void ddl_names(const char *sql, struct ddl_names *out);
void ddl_names_free(struct ddl_names *n);
/* A CREATE VIEW as CREATE OR REPLACE; `ours`: with the session's user as the
 * definer.  Owned. */
char *ddl_view_replace(const char *sql, bool ours);
/* The table that a view calls so; both names are owned. */
bool ddl_view_table(
    const char *sql, const char *alias, char **schema, char **name);
/* Does a view call the function, and with how many arguments? */
bool ddl_view_calls(
    const char *sql, const char *schema, const char *name, size_t *arguments);

/* --- the work --- */

struct load_table {
    const struct schema_object *object; /* NULL: none in the backup */
    struct ddl_table ddl;
    uint32_t parts, parts_left, busy; /* busy: workers in it just now */
    bool made;                        /* under the lock of load_tables.c */
    bool compared, defined;           /* its rows, its definition, with the
                                         backup's */
    uint64_t rows;                    /* stored so far */
    uint64_t warnings;                /* that the server counted */
    struct rowsum minus, plus;        /* rows with -0.0: so, and with 0 */
};

struct load {
    const struct load_conf *conf;
    struct schema_object *object;
    size_t objects;
    struct load_table *table; /* conf->manifest->tables of them */
    struct load_table *bare;  /* tables that have no rows stored */
    size_t bares;
    atomic_uint_least64_t differ; /* definitions, from the backup's */
    uint64_t event_s; /* clock at which events are created, s since 1970 */
    char **stays;     /* schemas of the target that get tables, and stay */
    size_t stay, stay_cap;
    char *account; /* whom the target takes us for: `user`@`host` */
    /* Of the source and of the target: is the end of time in 2106? */
    bool late_end[2];
};

/* load_schema.c */
int load_read_schema(struct load *l);
void load_free(struct load *l); /* content only */
struct db *load_connect(const struct load_conf *conf);
/* Make it the default schema of the session. */
int load_use(struct db *db, const char *schema);
/* The name of a SCHEMA_DATABASE. */
const char *load_database(const struct schema_object *o);
bool load_has_schema(const struct load *l, const char *schema);
char *load_quoted(const char *s); /* 'string' for SQL; owned */

/* load_mark.c: the mark of a restore that is under way, in the target */
#define LOAD_MARK_SCHEMA "pitr_restore"
struct load_mark {
    bool present;
    char *repository, *backup;
    char **schema; /* that the restore makes */
    size_t schemas, schema_cap;
    char **table; /* that it makes in schemas that stay: `a`.`b` */
    size_t tables, table_cap;
    char **kept_schema; /* that were there before it */
    size_t kept_schemas, kept_schema_cap;
    char **kept_account;
    size_t kept_accounts, kept_account_cap;
};
int load_mark_read(struct db *db, struct load_mark *out);
void load_mark_free(struct load_mark *m);
int load_mark_write(struct db *db, const struct load *l);
int load_mark_remove(struct db *db);
int load_mark_schema_drop(struct db *db); /* if nothing is in it */
/* All accounts and roles, as load_account_plain() gives them. */
#define LOAD_ACCOUNTS_SQL                                                      \
    "SELECT IF(is_role='Y', User, CONCAT(User, '@', Host)) FROM mysql.user"
bool load_name_in(char *const *v, size_t n, const char *name);

/* load_scope.c */
/* false: it is left out; else it is called as the scope says. */
bool load_scope_object(const struct scope *s, struct schema_object *o);
bool load_scope_stays(const struct load *l, const char *schema);
/* `a`.`b` where o is made in a schema that stays; else NULL.  Owned. */
char *load_scope_beside(const struct load *l, const struct schema_object *o);
/* Schemas of which only tables are restored stay, where they are there. */
int load_scope_target(struct db *db, struct load *l, const struct load_mark *m);

/* load_check.c */
/* 1011 of "10.11.19-MariaDB"; 0 where it is nothing of the kind. */
unsigned load_major_minor(const char *text);
int load_check_target(struct db *db, struct load *l);

/* load_objects.c */
/* An object that the server refused is warned of and left out: 0.  -1 where
 * the failure is not about the object. */
int load_skip(struct db *db, const struct schema_object *o);
int load_databases(struct db *db, struct load *l, const struct load_mark *old);
int load_sequences(struct db *db, struct load *l);
int load_code(struct db *db, struct load *l); /* routines ... events */

/* An event is created at this second instead, where its time was over at the
 * snapshot already. */
#define LOAD_EVENT_PAST 1

/* load_finish.c */
/* What the backup says of each event. */
void load_event_states(const struct load *l, struct sql_event_states *out);

/* load_session.c: an object in the session it was created in */
int load_object_create(struct db *db, const struct load *l,
    const struct schema_object *o, const char *sql);

/*
 * load_stand_in.c: what is missing is made, until stand_ins_drop(); -1 where
 * that fails.
 */
struct stand_ins {
    char **drop; /* statements */
    size_t n, cap;
};
int stand_in_table(struct db *db, struct stand_ins *s, const char *schema,
    const char *name, const struct ddl_names *columns);
int stand_in_column(struct db *db, struct stand_ins *s, const char *schema,
    const char *name, const char *column);
int stand_in_routine(struct db *db, struct stand_ins *s, bool function,
    const char *schema, const char *name, size_t arguments);
/* Drops them.  rc is what came of their use; e the error of that, or NULL,
 * which is err again afterwards.  rc, or -1. */
int stand_ins_end(
    struct db *db, struct stand_ins *s, int rc, struct err_saved *e);
/* Is that what a server's message says?  The names are owned. */
bool missing_table(const char *text, char **schema, char **name);
bool missing_function(const char *text, char **schema, char **name);
char *missing_column(const char *text); /* as it says; NULL */

/* load_grant.c: also on what is no longer there. */
int load_grant(struct db *db, const struct load *l, const char *sql);

/* load_views.c */
int load_views(struct db *db, struct load *l);

/* load_accounts.c */
/* 'user'@'host' in any kind of quotes as user@host, a role as its name.
 * Owned. */
char *load_account_plain(const char *quoted);
bool load_has_account(const struct load *l, const char *plain);
void load_drop_account(struct buf *b, const char *plain); /* " DROP ...;" */
int load_accounts(struct db *db, struct load *l);
int load_grants(struct db *db, struct load *l);

/* load_history.c: rows of system-versioned tables, between servers of which
 * one has another end of time */
int load_history_init(struct load *l, struct db *db);
/* The row as the target has to have it; `loaded`: a row of the target as the
 * source had it.  The row itself where nothing is to be changed, else made in
 * space. */
const void *load_history_row(const struct load *l,
    const struct manifest_table *t, const void *row, size_t size, bool loaded,
    struct buf *space);

/* load_zero.c: a row with a negative zero is added to minus, and to plus as it
 * is with 0 instead. */
int load_zero_row(const struct manifest_table *t, const void *row, size_t size,
    struct rowsum *minus, struct rowsum *plus);
bool load_zero_equal(const struct rowsum *want, const struct rowsum *have,
    const struct rowsum *minus, const struct rowsum *plus);

/*
 * load_tables.c: tables are created in the background, in this order of those
 * with rows (taken), and then the others.
 */
struct load_making;
struct load_making *load_tables_start(struct load *l, size_t *order);
/* 0: it is there; 1: it will not be, another thread fails or was stopped. */
int load_tables_wait(struct load_making *m, size_t table);
void load_tables_break_off(struct load_making *m);
/* Wait for all; frees m.  -1 with the first error. */
int load_tables_end(struct load_making *m);

/* load_order.c: under the lock of the workers */
struct load_order {
    struct load *l;
    struct pool_work *v; /* parts; those before `next` were handed out */
    size_t next;
    bool *in; /* it has been loaded; by its number in the manifest */
};
void load_order_begin(struct load_order *o, struct load *l);
void load_order_free(struct load_order *o);
/* False: there is none, or all that are left have to wait for others. */
bool load_order_take(struct load_order *o, size_t *part);
void load_order_done(
    struct load_order *o, const struct manifest_part *p, bool ok);

/* load_rows.c: tables, rows, indexes */
int load_rows(struct load *l, struct load_report *out);

/* load_index.c */
int load_index(struct db *db, const struct load_table *t);
int load_foreign_keys(struct db *db, struct load *l);

/* load_zoned.c: once rows and indexes are in. */
int load_zoned(struct db *db, struct load *l);

/* load_verify.c: rows are read back.  A table that gets no foreign keys is
 * compared as soon as it is done, by who is free (load_rows.c), the others at
 * the end. */
bool load_compares_early(const struct load *l, size_t table);
/* 0, 1 if broken off because stop(arg) said so, -1. */
int load_compare_table(struct load *l, struct db *db, size_t table,
    bool (*stop)(void *arg), void *arg);
int load_verify(struct load *l, struct load_report *out);
int load_compare_definitions(struct db *db, struct load *l);

#endif
