/*
 * lock.h -- locks between processes of one machine (flock).
 */
#ifndef PITR_LOCK_H
#define PITR_LOCK_H

#include "pitr/err.h"

/*
 * An advisory lock on a file, created if need be, and the folder's owner's then.
 * It ends with the process that holds it, however that ends.  NULL with
 * ERR_LOCKED names the holder's process id and what it does.
 */
struct lock;
struct lock *lock_take(const char *path, const char *what);
/*
 * The same, shared: any number may have it so, and nobody takes it meanwhile.
 * 0; 1 where it cannot be had, whatever the reason (*out is NULL: another
 * account's file, a disk that is only read or full, a file system without locks);
 * -1 with ERR_LOCKED.
 */
int lock_share(const char *path, const char *what, struct lock **out);
void lock_free(struct lock *l); /* releases it; NULL is fine */
/* Does anybody hold it?  1, 0, -1 where it may not be looked at.  Nobody is
 * kept from taking it. */
int lock_is_held(const char *path);

#endif
