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
#include "pitr/io.h"

struct store;

/* Opens a directory; it must exist (ERR_NOREPO). */
struct store *store_open_local(const char *path);
void store_close(struct store *s);
const char *store_where(const struct store *s); /* for messages; borrowed */

enum store_put {
    STORE_ATOMIC, /* visible, whole and durable, at sink_finish() */
    STORE_GROWING /* visible from the start; durable at each sink_flush() */
};
/* NULL if an object of that name exists already (ERR_FAILED), or on error. */
struct sink *store_put(struct store *s, const char *name, enum store_put how);
/* NULL with ERR_VERIFY where there is no such object. */
struct source *store_get(struct store *s, const char *name);
/* From an offset on, bytes. */
struct source *store_get_from(struct store *s, const char *name,
    uint64_t offset);
/* 1 with *size in bytes, 0 if there is none, -1. */
int store_stat(struct store *s, const char *name, uint64_t *size);
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
int store_list(struct store *s, const char *prefix, bool flat,
    struct store_list *out);
void store_list_free(struct store_list *l);

#endif
