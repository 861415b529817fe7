/*
 * ship_priv.h -- what the files of shipping share.
 *
 *   ship.c           one vault, over lost connections and faults
 *   ship_session.c   one connection: the workers and what they do next
 *   ship_object.c    one object: from where, whether the same, its bytes
 *   ship_table.c     which object is due; pure
 *   ship_confirm.c   reading back what is on the vault
 *   ship_confirmed.c the file .confirmed-HASH
 *   ship_memory.c    the file .shipped-HASH
 *   ship_state.c     the file .state-ship-HASH
 *   ship_watch.c     what the writer of the log waits for
 */
#ifndef PITR_SHIP_PRIV_H
#define PITR_SHIP_PRIV_H

#include <pthread.h>

#include "pitr/rate.h"
#include "pitr/repo.h"
#include "pitr/ship.h"

/* --- ship_table.c: under the lock of struct ship --- */

enum ship_state { SHIP_WAITING, SHIP_ACTIVE, SHIP_DONE };
enum ship_look { SHIP_UNSEEN, SHIP_SEEN }; /* read back, or nothing to read */

struct ship_item {
    char *name;
    uint64_t local; /* bytes, when last looked at */
    uint64_t there; /* bytes on the vault, when connected */
    bool on_vault;
    bool fresh; /* of the latest look only */
    enum ship_state state;
    enum ship_look look;
};

/* All objects of the local repository that are shipped, sorted by name. */
struct ship_table {
    struct ship_item **v;
    size_t n, cap;
    struct store_list vault; /* what was there, when connected */
    const char *low;         /* the vault's first segment; NULL */
    const char *recent;      /* its last but one; NULL */
    char **shipped;          /* ids of backups, sorted */
    size_t n_shipped, shipped_cap;
};

/* Takes the list. */
void ship_table_vault(struct ship_table *t, struct store_list *vault);
/* What there is here now; new ones are added, what is gone is done. */
void ship_table_local(struct ship_table *t, const struct store_list *local);
/* The segment that is due; *last: none follows.  NULL. */
struct ship_item *ship_table_segment(struct ship_table *t, bool *last);
/* Any other object that is due; NULL. */
struct ship_item *ship_table_object(struct ship_table *t);
/* Are objects other than segments still to be shipped? */
bool ship_table_busy(const struct ship_table *t);
bool ship_table_log_busy(const struct ship_table *t); /* segments? */
/* One that is complete on the vault and not read back yet; NULL. */
struct ship_item *ship_table_unseen(struct ship_table *t);
/* Segments on the vault that are not here, and newer than the oldest here: how
 * many, and the newest (borrowed) or NULL. */
const char *ship_table_foreign(const struct ship_table *t, size_t *n);
struct ship_item *ship_table_find(const struct ship_table *t, const char *name);
bool ship_table_knows(const struct ship_table *t, const char *id);
void ship_table_learn(struct ship_table *t, const char *id);
void ship_table_forget(struct ship_table *t); /* all that was learnt */
void ship_table_free(struct ship_table *t);

/* The id of the backup that an object is of, or NULL; caller owns. */
char *ship_backup_id(const char *name);
bool ship_is_manifest(const char *name);
bool ship_is_segment(const char *name);

/* --- ship_confirmed.c: one thread at a time --- */

struct confirmed;
/* Never fails: what cannot be used is an empty one, with a warning. */
struct confirmed *confirmed_load(const struct repo *r, const char *vault);
bool confirmed_has(const struct confirmed *c, const char *name, uint64_t size);
void confirmed_add(struct confirmed *c, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE]);
/* What is not here any more need not be remembered. */
void confirmed_keep(struct confirmed *c, const struct ship_table *here);
int confirmed_forget(struct confirmed *c); /* the vault is a new one */
void confirmed_free(struct confirmed *c);

/* --- ship_state.c --- */

/* What is told of a vault; moments by the host's clock. */
struct ship_told {
    bool connected, fsync_known, no_fsync;
    uint64_t log_us;    /* all of the log up to then is there */
    uint64_t synced_us; /* all that there was then is there */
    uint64_t error_us;
    char *error;
    uint64_t unlike_was; /* of an earlier process, until all was looked at */
    char *unlike_name;
    uint64_t written_us; /* monotonic */
};

struct ship;
/* What an earlier process has told. */
void ship_tell_begin(struct ship *s);
/* Write it, at most once a second unless that matters now. */
void ship_tell(struct ship *s, bool now);
/* The thread's error is the last failure. */
void ship_tell_error(struct ship *s);
/* The vault has all of the log that there was at that moment; and everything
 * else, if nothing else is to be shipped. */
void ship_tell_log(struct ship *s, uint64_t at_us);

/* --- ship.c --- */

/* An object that has other bytes there. */
struct ship_unlike {
    char *name;
    uint64_t looked_us; /* monotonic; 0: not in this session yet */
    bool foreign;       /* is not here at all, see ship_foreign() */
};

struct ship {
    const struct ship_conf *conf;
    struct repo *repo; /* local, opened for reading */
    uint64_t poll_us;
    unsigned jobs;
    char *memory_path;
    struct rate rate, rate_back; /* there, and reading back */
    struct confirmed *confirmed;
    struct ship_unlike *unlike; /* each was warned of */
    size_t n_unlike, unlike_cap;

    /* Of a session. */
    struct store *vault;
    atomic_bool ended; /* workers return */

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t changed;
    struct ship_table table;
    struct ship_report report;
    bool worked; /* has been connected to the right vault */
    bool outage; /* warned of; nothing got there since */
    uint64_t outage_us;
    unsigned tries;       /* since something got there */
    uint64_t bytes_there; /* of all objects, when connected */
    struct ship_told told;
};

/* Is it time to end, by a signal, the caller, or another worker's error? */
bool ship_ending(struct ship *s);
/* With the lock held: until something has changed, or a while has passed. */
void ship_wait(struct ship *s);
/* Sleep, but wake for that. */
void ship_sleep(struct ship *s, uint64_t us);
/* Something was made durable on the vault, or all is. */
void ship_got_on(struct ship *s, uint64_t bytes);

/* --- ship_session.c --- */

/* Connect and ship until the end; -1 with err where it failed. */
int ship_session(struct ship *s);
/* Between two looks at the repository, of which the last took so long. */
uint64_t ship_look_pause(uint64_t poll_us, uint64_t took_us);

/* --- ship_confirm.c --- */

/* With the listings of both sides: note segments there that another one made.
 */
void ship_foreign(struct ship *s);

/* --- ship_memory.c --- */

/* "REPOSITORY/.WHAT-HASH" of a vault's URL; caller owns. */
char *ship_file_path(
    const char *repository, const char *what, const char *vault);
/* Was the backup whole on any vault once? */
bool ship_was_shipped(const char *repository, const char *id);
/* 0, or -1; a file that is not one is warned of and left alone. */
int ship_memory_load(struct ship *s);
/* A backup is whole on the vault. */
int ship_memory_add(struct ship *s, const char *id);
/* The vault is a new one. */
int ship_memory_forget(struct ship *s);

/* --- ship_confirm.c --- */

/* A worker: reads back what is complete on the vault. */
int ship_confirm(struct ship *s);
/* A session begins: what was another one before may have been mended. */
void ship_confirm_begin(struct ship *s);
/* The object was written there anew: if it was another one, it is looked at
 * again. */
void ship_confirm_anew(struct ship *s, const char *name);
/* With the lock held: what is not here any more is no other one there. */
void ship_confirm_here(struct ship *s);

/* --- ship_object.c --- */

struct ship_transfer {
    struct ship *s;
    struct ship_item *item;
    int fd; /* of the local file */
    struct sink *sink;
    uint64_t at; /* bytes that are on the vault */
    bool urgent, on_vault;
    bool sure; /* what is there is known to be durable */
};

/* Wait until n bytes may go; r is one of the ship's. */
void ship_pace(struct ship *s, struct rate *r, size_t n, bool urgent);
/* "repository": first of all, and it tells whose vault this is. */
int ship_repository_file(struct ship *s, bool others_there);
/* 1; 0 where the object is not here any more, or is longer there; -1. */
int ship_transfer_open(
    struct ship_transfer *t, struct ship *s, struct ship_item *item);
/* Bring the vault to what is here now: 1 if something was sent, 0, -1. */
int ship_transfer_step(struct ship_transfer *t);
/* Close it; with finish it has to succeed. */
int ship_transfer_close(struct ship_transfer *t, bool finish);

#endif
