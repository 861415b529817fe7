/*
 * local.h -- what the files of the local store share.
 *
 * Names are walked a folder at a time from the store's own descriptor and
 * never through a symbolic link: on a vault, other accounts write here.
 */
#ifndef PITR_STORE_LOCAL_H
#define PITR_STORE_LOCAL_H

#include <pthread.h>
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
};

/*
 * Open the folder that holds the object (a new descriptor, the caller closes
 * it) and set *leaf to its last component.  With make, folders that are
 * missing are made and synced.  -1 with errno set, and no err.
 */
int local_walk(struct local *l, const char *name, int make, const char **leaf);

struct sink *local_put(void *impl, const char *name, enum store_put how);

#endif
