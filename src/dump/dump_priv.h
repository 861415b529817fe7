/*
 * dump_priv.h -- what the files of src/dump share: one backup being taken.
 *
 * Order of a backup, and which file does it:
 *
 *   dump.c           the steps, cleaning up
 *   dump_grants.c    may we?
 *   dump_guard.c     keep DDL out; lock what has no transactions
 *   dump_snapshot.c  one snapshot over all connections, its GTID
 *   dump_tables.c    the tables and their columns
 *   dump_ranges.c    cut big tables into units of work
 *   dump_rows.c      workers: units into parts
 *   dump_accounts.c, dump_objects.c, dump_schema.c   all that is not rows
 *   dump_doubts.c    what the server does not show as it is
 *   dump_zoned.c     generated columns that go by a time zone
 *   dump_watch.c     did the log show DDL that the guard did not keep out?
 */
#ifndef PITR_DUMP_PRIV_H
#define PITR_DUMP_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pitr/dump.h"
#include "pitr/rows.h"
#include "pitr/schema.h"

/* Numbers of the server's errors, as db_errno() gives them. */
#define LOCK_WAIT_TIMEOUT 1205
#define NO_SUCH_TABLE 1146
#define DEADLOCK 1213

/* A place in the server's log, to tell what came first. */
struct dump_pos {
    char *file; /* NULL: not known */
    uint64_t offset;
};

struct dump_table { /* a base table, whether its rows are stored or not */
    char *schema, *name, *engine;
    uint32_t number; /* in the manifest; UINT32_MAX: structure only */
    bool locked;     /* has no transactions: read under LOCK TABLES */
    bool history;
    bool versioned;
    char *select;   /* the columns' expressions */
    char *computed; /* its first column that is not stored; NULL: none */
    uint64_t est_rows, est_bytes;
    bool wire_known;
    unsigned units_left;
    struct dump_pos read_at; /* the log, after its last row was read */
    uint64_t lost;           /* rows that dump_history_row() left out */
};

struct dump_unit {  /* what one worker reads at a time */
    uint32_t table; /* index in dump.table */
    bool locked;    /* the table's */
    char *where;    /* NULL: the whole table */
    uint64_t bytes; /* estimate */
};

struct dump_units {
    struct dump_unit *v;
    size_t n, cap;
};

struct dump_objects {
    struct schema_object *v;
    size_t n, cap;
};

struct dump_zoned { /* dump_zoned.c */
    struct dump_zoned_column *v;
    size_t n, cap;
    const struct dump_table *of; /* whose columns are being read */
    struct buf names;            /* of that: they go by the zone */
};

struct dump {
    const struct dump_conf *conf;
    struct manifest *m;
    size_t cap_tables, cap_parts, cap_warnings;

    struct db *main;  /* catalogue and SHOW CREATE; no snapshot */
    struct db **conn; /* conf->jobs of them, each in the snapshot */
    struct db *guard; /* BACKUP STAGE */
    struct db *lock;  /* LOCK TABLES */
    bool guard_held, lock_held;
    bool logged;       /* the readers' sessions write the log: no savepoints */
    bool table_busy;   /* the catalogue could not be read because of DDL */
    struct db *holder; /* has all tables open, and looks around */
    bool held, holding_over, holding_watched;
    pthread_t holding_thread;
    pthread_cond_t holding;
    size_t locked_tables; /* those without transactions */
    unsigned lock_timeouts;
    bool log_incomplete; /* equal positions do not mean equal snapshots */
    uint64_t guard_since, lock_since;
    uint64_t doubt_s; /* not 0: a transaction was open when tables without
                         transactions were locked at that second */

    struct gtid_pos before;    /* the log, before the catalogue was read */
    struct dump_pos before_at; /* its place; unknown if the log went on then */
    struct dump_pos snapshot, schema_at, end_at;

    struct dump_table *table;
    size_t tables, table_cap;
    struct dump_units units;
    size_t locked_units; /* of those in units, the first ones */
    size_t next_unit, next_locked, locked_left;
    struct dump_objects accounts, grants;
    struct dump_doubt *doubt; /* dump_doubts.c */
    size_t doubts, cap_doubts;
    struct dump_zoned zoned;

    pthread_mutex_t mutex; /* of all below, the guard, and the units */
    unsigned part_number;
    atomic_bool failed;
    struct err_saved *first; /* the error that ended it */
    char *schema_name;       /* of the object, once it may exist */
};

/* Did the last statement fail because DDL had come first?  Then the error gets
 * a hint. */
void dump_hint_gone(const struct db *db);

/* dump_history.c: *keep is false for a row that is to be left out; told at the
 * end, together. */
int dump_history_row(struct dump *d, struct dump_table *t, const void *row,
    size_t size, bool *keep);
void dump_history_tell(struct dump *d);

/* Note the thread's error as the one that ends the backup, if it is the first
 * one; everybody stops soon.  Returns -1. */
int dump_fail(struct dump *d);
bool dump_stopping(const struct dump *d);
/* What a worker that stops for that has to say; -1. */
int dump_stop_error(void);
/* Wait until there is room; -1 with err. */
int dump_room(const struct dump *d);
/* So many bytes have been read: wait where somebody asks for it. */
int dump_pace(const struct dump *d, uint64_t bytes);
/* To the log and into the manifest. */
void dump_warn(struct dump *d, const char *fmt, ...) PRINTF(2, 3);

void dump_pos_set(struct dump_pos *p, const char *file, uint64_t offset);
void dump_pos_free(struct dump_pos *p);
/* Are both known, and one place? */
bool dump_pos_same(const struct dump_pos *a, const struct dump_pos *b);
/* Is a at or before b?  Also true where b is not known. */
bool dump_pos_upto(const struct dump_pos *a, const struct dump_pos *b);
/* Where the server's log ends now. */
int dump_pos_now(struct db *db, struct dump_pos *out);

/* dump_guard.c */
int dump_guard_open(struct dump *d);
int dump_guard_take(struct dump *d);
int dump_stages(struct dump *d); /* up to BLOCK_DDL */
void dump_guard_release(struct dump *d);
int dump_lock_take(struct dump *d);
void dump_lock_release(struct dump *d);
/* Both, once the tables without transactions have been read. */
void dump_locked_done(struct dump *d);
/* Engines: rows under a lock, or no rows of their own. */
bool dump_engine_transactional(const char *engine);
bool dump_engine_without_rows(const char *engine);
/* A hint that names who may stand in the way. */
void dump_hint_blocker(struct dump *d);

/* dump_snapshot.c */
int dump_connect(struct dump *d);
int dump_snapshot(struct dump *d);

/* dump_holder.c */
int dump_hold_take(struct dump *d);
void dump_hold_release(struct dump *d);
int dump_hold_watch(struct dump *d); /* where there is anything to let go */
void dump_hold_unwatch(struct dump *d);
void dump_hold_end(struct dump *d);

/* dump_tables.c */
/* As bytes: a schema `SYS` or `Mysql` is somebody's own.  A folder that is no
 * schema's, such as lost+found, is shown with the prefix; no server makes one.
 */
#define DUMP_NOT_SYSTEM(column)                                                \
    "CAST(" column " AS BINARY) NOT IN ('information_schema',"                 \
    "'performance_schema','mysql','sys') AND LEFT(" column                     \
    ", 9) <> '#mysql50#'"
int dump_tables_read(struct dump *d);
void dump_tables_free(struct dump *d);

/* dump_rest.c */
int dump_settings_note(struct dump *d);
int dump_rest_warn(struct dump *d);

/* dump_doubts.c: columns whose definition or values may not be what is shown;
 * noted by the catalogue, asked for when all else is done. */
struct dump_column {
    const char *name, *data_type, *type, *charset, *preset;
};
void dump_doubts_note(
    struct dump *d, const struct dump_table *t, const struct dump_column *c);
int dump_doubts_ask(struct dump *d);
void dump_doubts_free(struct dump *d);

/* dump_zoned.c: generated columns made of a TIMESTAMP.  `expression` is NULL of
 * a column that is not generated. */
void dump_zoned_note(struct dump *d, const struct dump_table *t,
    const char *name, const char *data_type, const char *expression,
    bool stored);
int dump_zoned_ask(struct dump *d);
void dump_zoned_free(struct dump *d);

/* dump_ranges.c */
int dump_units_make(struct dump *d);
void dump_units_free(struct dump *d);

/* dump_rows.c */
int dump_rows_run(struct dump *d); /* also writes the schema meanwhile */

/* dump_schema.c, dump_objects.c, dump_accounts.c */
int dump_schema_run(struct dump *d);
int dump_objects_write(struct dump *d, struct schema_writer *w);
int dump_views_write(struct dump *d, struct schema_writer *w);
int dump_triggers_write(struct dump *d, struct schema_writer *w);
int dump_events_write(struct dump *d, struct schema_writer *w);
int dump_sequences_write(struct dump *d, struct schema_writer *w);
/* The second cell of SHOW CREATE ...; owned. */
int dump_definition(const struct db_result *r, const char *name, char **sql);
int dump_accounts_read(struct dump *d);
void dump_objects_free(struct dump_objects *o);

/* dump_watch.c */
int dump_watch(struct dump *d);
/* The same from the reading of the catalogue to now, for definitions only: 1
 * where nothing has changed, 0 where something has, -1. */
int dump_watch_early(struct dump *d);
/* Words and names of a statement, lower case; see dump_words.c. */
struct dump_words {
    char **v;
    size_t n, cap;
};
void dump_words_of(
    const char *sql, size_t n, uint64_t sql_mode, struct dump_words *out);
void dump_words_free(struct dump_words *w);
/* Can a statement change the definition or the rows of something dumped at
 * all?  Not: accounts, temporary tables, ANALYZE and such. */
bool dump_words_harmless(const struct dump_words *w);
/* Does it only make what was not there before? */
bool dump_words_create_new(const struct dump_words *w);

#endif
