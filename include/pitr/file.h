/*
 * file.h -- whole small files, durable writes.
 */
#ifndef PITR_FILE_H
#define PITR_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "pitr/buf.h"

/* Append a file's content to out.  0; 1 if it does not exist; -1. */
int file_read(const char *path, size_t max, struct buf *out);
/*
 * The same for a file that is believed: -1 where an account other than root and
 * this process's could have written it (one that ships to a vault may add
 * files), or where it is no regular file; a link is not followed.
 */
int file_read_own(const char *path, size_t max, struct buf *out);
/* The same, whoever has written it: nothing there can hold us up. */
int file_read_regular(const char *path, size_t max, struct buf *out);
/*
 * Create a file that must not exist, with this mode; whole from the moment it
 * is there, and durable (file and directory synced) when 0 is returned.  -1
 * leaves nothing.
 */
int file_create(const char *path, mode_t mode, const void *p, size_t n);
/*
 * Give the file tmp in the directory tmp_dir a second and only name in
 * another directory of the same file system; AT_FDCWD as in openat(2).
 * Replaces nothing: -1 with errno EEXIST.  -1 sets errno, not err.  Syncs
 * nothing.
 */
int file_publish_at(int tmp_dir, const char *tmp, int dir, const char *name);
/* -1 with ERR_KEY if group or others can read it or another user owns it. */
int file_check_private(const char *path);
/* The same for an open file; path is for the message. */
int file_check_private_fd(int fd, const char *path);
/* For keys that others hand to libraries, and that a group may read: -1 with
 * ERR_KEY where all can.  0 where it cannot be looked at: its reader tells. */
int file_check_not_public(const char *path);
int dir_sync(const char *path);
/* mkdir -p with this mode for what is missing, each synced. */
int dir_make(const char *path, mode_t mode);
/* The sizes of all regular files below it, added up. */
int dir_bytes(const char *path, uint64_t *bytes);
/* Remove a directory and all below it; what is absent is fine. */
int dir_remove(const char *path);

/* The folder that a path is in, "." where it has none.  Owned. */
char *file_folder(const char *path);
/* Where root has made the file, it becomes its folder's owner's, who is to go on
 * with it. */
void file_give(int fd, const char *path);

/*
 * Replace a whole file through PATH.new, which a process that died may have
 * left: one at a time, so under a lock.  The folder is not synced.  what: of the
 * error, where the new one cannot be written.  0; -1 with errno, too.
 */
int file_replace(const char *path, mode_t mode, const void *p, size_t n,
    const char *what);

#endif
