/*
 * store.h -- named write-once objects, in a local directory or on a vault.
 *
 * Names are relative paths of [A-Za-z0-9._-] and "/", at most 255 bytes, no
 * component starting with a dot.  An object that has been published is never
 * rewritten, renamed or truncated; only store_remove() ends it.  A driver is
 * one table of functions (store_driver.h).  Calls on one store may come from
 * several threads; a sink or source belongs to one.
 */
#ifndef PITR_STORE_H
#define PITR_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include "pitr/io.h"

struct store;

/*
 * Opens a directory, which must exist (ERR_NOREPO): a local path, or a vault,
 *
 *   sftp://[user@]host[:port]/path
 *
 * where the path is absolute, "/~/path" starts at the login directory, an IPv6
 * address stands in brackets and %XX is decoded in user and path.
 */
struct store *store_open(const char *where);
struct store *store_open_local(const char *path);

/* How to reach a vault; NULL and 0 stand for what is said there. */
struct store_sftp_conf {
    const char *ssh_config;  /* ~/.ssh/config and /etc/ssh/ssh_config; "none" */
    const char *identity;    /* agent, and the keys of the configuration */
    const char *known_hosts; /* the configuration's */
    const char *proxy_jump;  /* the configuration's; [user@]host[:port],... */
    unsigned connections;    /* 4; at most 16 */
    /* 0: the newest.  Otherwise files that were written to after it, by the
     * vault's clock in whole seconds, are not there: what an intruder added
     * (FORMAT.md, "Extents on a vault").  For reading only. */
    uint64_t as_of_us;
    uint64_t connect_us; /* 15 s; for each step of connecting */
    uint64_t timeout_us; /* 60 s without any answer: lost */
    uint64_t retry_us;   /* 3 min; how long reading tries to go on */
};
/* conf may be NULL and is copied.  Connects; ERR_UNREACHABLE where that fails
 * (host, host key, authentication). */
struct store *store_open_sftp(
    const char *url, const struct store_sftp_conf *conf);
void store_close(struct store *s);
/* So many threads are going to read at once: on a vault, connections for them
 * are made from now on, while the first is in use.  A hint. */
void store_warm(struct store *s, unsigned threads);
const char *store_where(const struct store *s); /* for messages; borrowed */
bool store_is_vault(const struct store *s); /* objects can be gone on with */

/* The file system below, as far as it can be asked. */
struct store_room {
    bool syncs; /* what is said to be durable is (a vault: the server has
                   fsync@openssh.com) */
    bool known; /* the rest is told */
    bool read_only;
    uint64_t free, size; /* bytes */
};
int store_room(struct store *s, struct store_room *out);
/*
 * May what a vault has be removed or renamed by who writes there?  Asked by
 * requests for a name that does not exist: 1; 0 where such requests are refused
 * as such; -1.  ERR_FAILED on a local store.
 */
int store_may_remove(struct store *s);

enum store_put {
    STORE_ATOMIC, /* visible, whole and durable, at sink_finish() */
    STORE_GROWING /* visible from the start; durable at each sink_flush() */
};
/* NULL if an object of that name exists already (ERR_FAILED), or on error. */
struct sink *store_put(struct store *s, const char *name, enum store_put how);
/*
 * Go on with an object of a vault, of which offset bytes are there (store_stat
 * tells; they are made durable first).  The sink is like one of STORE_GROWING.
 * ERR_FAILED where fewer are there, and on a local store.
 *
 * On a vault every object is visible from the start, STORE_ATOMIC too.  A sink
 * whose connection is lost fails with ERR_UNREACHABLE; what it wrote may be
 * there in part.
 */
struct sink *store_append(struct store *s, const char *name, uint64_t offset);
/*
 * err says that an object could not be read: is it not there any more?  A listing
 * is no snapshot, and expire removes while others read.  err stays as it is.
 */
bool store_is_gone(struct store *s, const char *name);
/* NULL with ERR_VERIFY where there is no such object.  On a vault the source
 * outlives lost connections. */
struct source *store_get(struct store *s, const char *name);
/*
 * The beginnings and ends of these objects are read next, with repo_peek() or
 * so: on a vault they are fetched together, and kept until the same thread's
 * next call.  What fails is found by who reads.
 */
#define STORE_PREFETCH_MAX 128
void store_prefetch(struct store *s, const char *const *name, size_t n);
/* From an offset on, bytes. */
struct source *store_get_from(
    struct store *s, const char *name, uint64_t offset);
/* 1 with *size in bytes, 0 if there is none, -1.  On a vault, what another
 * process did may show some seconds later; what was done through s, at once. */
int store_stat(struct store *s, const char *name, uint64_t *size);
/* 1 with when it was last written to, by the clock of where it lies, in whole
 * seconds; 0 if there is none; -1. */
int store_written(struct store *s, const char *name, uint64_t *us);
/* Removing what is not there is fine. */
int store_remove(struct store *s, const char *name);

struct store_entry {
    char *name; /* full name of the object */
    uint64_t size;
};
struct store_list {
    struct store_entry *v; /* sorted by name, as bytes */
    size_t n, cap;
};
/*
 * All objects whose name starts with prefix (which ends with "/" or is "").
 * With `flat`, only those directly in that folder, and folders as entries
 * whose name ends with "/".
 */
int store_list(
    struct store *s, const char *prefix, bool flat, struct store_list *out);
void store_list_free(struct store_list *l);
/* The entry with this name of a list that is sorted; NULL; borrowed. */
const struct store_entry *store_list_find(
    const struct store_list *l, const char *name);

#endif
