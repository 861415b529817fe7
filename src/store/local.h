/*
 * local.h -- what the files of the local store share.
 *
 * Names are walked a folder at a time from the store's own descriptor and
 * never through a symbolic link: on a vault, other accounts write here.
 */
#ifndef PITR_STORE_LOCAL_H
#define PITR_STORE_LOCAL_H

#include <pthread.h>
#include "extents.h"
#include "pitr/store_driver.h"

#define LOCAL_TMP "tmp"

struct local {
    int fd; /* of the store's directory */
    char *path;
    pthread_mutex_t lock; /* for tmp_fd */
    int tmp_fd;           /* of tmp/, -1 until it is needed */
    /* One makes folders at a time, so that who finds one can rely on its
     * having been synced. */
    pthread_mutex_t make_lock;
    struct local_folder *folders; /* local_extents.c; under lock */
};

/*
 * Open the folder that holds the object (a new descriptor, the caller closes
 * it) and set *leaf to its last component.  With make, folders that are
 * missing are made and synced.  -1 with errno set, and no err.
 */
int local_walk(struct local *l, const char *name, int make, const char **leaf);

/* --- local_extents.c: objects of several files, on a vault seen locally --- */

/* All files of the object, in order, added to out; dir is its folder, name
 * the whole name.  0, or -1 with errno. */
int local_lookup(
    struct local *l, int dir, const char *name, struct extents *out);
/* A source over x, which is not empty.  Takes dir. */
struct source *local_get_many(struct local *l, int dir, const char *name,
    const char *leaf, const struct extents *x, uint64_t offset);
/* What a folder has is remembered from who reads it anyway: begun before the
 * first name (NULL with errno), told of each, and taken after the last. */
struct local_folder *local_folder_new(int dir, const char *name);
void local_folder_see(struct local_folder *f, const char *file);
void local_folder_take(struct local *l, struct local_folder *f);
void local_folder_free(struct local_folder *f); /* instead of that */
/* Put the objects of the folder that have extents into the list, with their
 * size as a whole.  0, or -1 with errno. */
int local_list_extents(
    struct local *l, int dir, const char *prefix, struct store_list *out);
/* As store_written(). */
int local_written(void *impl, const char *name, uint64_t *us);
void local_forget(struct local *l);

struct sink *local_put(void *impl, const char *name, enum store_put how);

#endif
