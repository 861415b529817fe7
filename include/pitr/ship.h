/*
 * ship.h -- a vault brought up to date from a local repository.
 *
 * Sealed bytes are copied as they are, so no key is needed.  The file
 * "repository" goes first, then, at the same time, the log in its order and
 * the objects of the backups, the oldest backup first; a backup's manifest goes
 * when all of its other objects are there in full, for it makes the backup
 * count.
 *
 * Bytes are made durable here before they go there, and there (fsync) before
 * they count as shipped.  So a vault never has more of an object than the local
 * disk will have after a power cut.  Nothing is ever removed or written over;
 * where an object stops on the vault is where it is gone on with, after a look
 * at whether what is there is the same.
 *
 * What is complete there is read back, when nothing but the log is left to be
 * shipped, and compared with what is here; the file .confirmed-HASH remembers
 * it.  Only what was confirmed may go from here (expire.h).  An object that is
 * another there is warned of, and the others are shipped all the same; it is
 * looked at again now and then, as its owner may have put it right.
 *
 * What the vault's own `expire` has removed is not sent again: segments before
 * the first that the vault has, and backups that the file .shipped-HASH in the
 * local repository names.  That file is a memory only: without it such backups
 * are sent once more.
 */
#ifndef PITR_SHIP_H
#define PITR_SHIP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pitr/store.h"

struct ship_conf {
    const char *repository;            /* local path */
    const char *server;                /* whose it has to be; NULL: anyone's */
    const char *vault;                 /* URL */
    const struct store_sftp_conf *ssh; /* may be NULL */
    bool once;         /* end when all that is there now is shipped */
    unsigned jobs;     /* transfers of backups at once; 0: 3 */
    uint64_t rate;     /* bytes a second, of all transfers, there as well as
                          back; 0: no limit */
    uint64_t poll_us;  /* between looks at what has grown; 0: 200 ms */
    uint64_t retry_us; /* longest pause before trying again; 0: 1 min */
    uint64_t again_us; /* between looks at what is another there; 0: 1 h */
    const atomic_bool *stop; /* ends it in good order; may be NULL */
    struct ship_watch *watch; /* of who writes the log; may be NULL */
    unsigned watch_vault;     /* of ship_watch_join() */
};

struct ship_report {
    uint64_t objects; /* brought to their end */
    uint64_t bytes;
    uint64_t backups;                    /* that count on the vault since */
    uint64_t confirmed, confirmed_bytes; /* read back, and found the same */
    uint64_t lost;    /* connections, that came back at once or not */
    uint64_t outages; /* that were warned of */
};

/*
 * Runs until a stop is asked for (0), with `once` until the vault is up to date
 * (0), or a fault that trying again does not mend: ERR_NOREPO where the vault
 * holds another repository or is no folder, ERR_VERIFY where an object stands
 * there with other bytes (with `once` also where that was seen when it was read
 * back; after all else), ERR_LOCKED where somebody else ships there.  Other
 * faults are tried again, warned of once an outage; with `once` only
 * connections that were lost under way, and only as long as that gets further.
 * Several may run at once, each with a vault of its own.
 */
int ship_run(const struct ship_conf *conf, struct ship_report *out);

/*
 * For who writes the log, and has to know when it is durable on the vaults
 * (fsync@openssh.com; a vault without it never says so).  Any thread.
 */
struct ship_watch *ship_watch_new(void);
void ship_watch_free(struct ship_watch *w); /* NULL is fine */
/* One more vault; which one.  Before anybody ships. */
unsigned ship_watch_join(struct ship_watch *w);
/* The segment of that name has so many bytes now, durable here. */
void ship_watch_grown(struct ship_watch *w, const char *name, uint64_t size);
/* Have all vaults so much, and all of the log before it?  False without any. */
bool ship_watch_reached(
    struct ship_watch *w, const char *name, uint64_t size);
/* Readable when a vault has more, until it is drained. */
int ship_watch_fd(const struct ship_watch *w);
void ship_watch_drain(struct ship_watch *w);
/* The other side: that vault has so much; wait, for us at most, until there is
 * more than that here, in this segment or in a later one. */
void ship_watch_has(
    struct ship_watch *w, unsigned vault, const char *name, uint64_t size);
enum ship_watch_saw {
    SHIP_WATCH_NOTHING,
    SHIP_WATCH_GREW,
    SHIP_WATCH_NEXT /* another segment has begun */
};
enum ship_watch_saw ship_watch_wait(
    struct ship_watch *w, const char *name, uint64_t size, uint64_t us);

/* What ship_run() tells of itself (state.h), and its lock, have this name; the
 * caller frees it. */
char *ship_state_name(const char *vault);

#endif
