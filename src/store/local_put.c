/*
 * local_put.c -- writing an object of the local store.
 *
 * Atomic: into a file of tmp/ that is synced, linked to its name (which fails
 * where the name exists) and made durable there.  Growing: under its name from
 * the start, in append mode.  Both files are read-only from their creation.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "local.h"
#include "pitr/file.h"
#include "pitr/mem.h"

#define WRITE_BYTES ((size_t)256 * 1024)
/* Writing back starts every so many bytes, so that the last sync is short. */
#define WRITEBACK_BYTES (UINT64_C(8) << 20)
/* A folder may be pruned between being made and being used (store_remove). */
#define RACE_TRIES 100
#define LEFTOVER_SECONDS 3600

struct writer {
    struct local *store; /* borrowed: the store outlives its sinks */
    enum store_put how;
    char *name;
    char tmp[64]; /* in tmp/, "" where there is none */
    int fd;
    uint8_t *data;
    size_t len;
    uint64_t written, writeback; /* bytes in the file; handed to the disk */
    bool failed;
};

static int
sys_failed(struct writer *w, const char *verb)
{
    int saved = errno;

    w->failed = true;
    err_sys(ERR_FAILED, "cannot %s %s/%s", verb, w->store->path, w->name);
    if (saved == ENOSPC || saved == EDQUOT)
        err_hint("make room on the file system of %s ('pitr expire' removes "
                 "what the retention no longer keeps), then run it again",
            w->store->path);
    else if (saved == EFBIG)
        err_hint("a limit on the size of files is in force (ulimit -f, "
                 "LimitFSIZE= of the unit)");
    else if (saved == EIO)
        err_hint("the disk under %s may be failing: look at the kernel log",
            w->store->path);
    return -1;
}

static int
sync_dir(int dir)
{
    return fsync(dir) < 0 && errno != EINVAL ? -1 : 0;
}

/* Out of the buffer into the file; nothing is durable after it. */
static int
write_out(struct writer *w, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(w->fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return sys_failed(w, "write");
        p += done;
        n -= (size_t)done;
        w->written += (uint64_t)done;
    }
    if (w->written - w->writeback >= WRITEBACK_BYTES) {
        /* Only a head start: fdatasync() is what counts, and what fails. */
        sync_file_range(w->fd, (off_t)w->writeback,
            (off_t)(w->written - w->writeback), SYNC_FILE_RANGE_WRITE);
        w->writeback = w->written;
    }
    return 0;
}

static int
empty_buffer(struct writer *w)
{
    size_t n = w->len;

    w->len = 0;
    return write_out(w, w->data, n);
}

static int
writer_write(void *impl, const void *p, size_t n)
{
    struct writer *w = impl;

    if (n >= WRITE_BYTES - w->len) {
        if (empty_buffer(w) < 0)
            return -1;
        if (n >= WRITE_BYTES)
            return write_out(w, p, n);
    }
    memcpy(w->data + w->len, p, n);
    w->len += n;
    return 0;
}

static int
make_durable(struct writer *w)
{
    if (empty_buffer(w) < 0)
        return -1;
    if (fdatasync(w->fd) < 0)
        return sys_failed(w, "sync");
    return 0;
}

static int
writer_flush(void *impl)
{
    struct writer *w = impl;

    if (w->how != STORE_GROWING)
        return err_set(ERR_FAILED, "%s/%s is not a growing object",
            w->store->path, w->name);
    return make_durable(w);
}

static int
exists_already(struct local *l, const char *name)
{
    return err_set(ERR_FAILED, "%s/%s exists already", l->path, name);
}

static int
publish(struct writer *w)
{
    const char *leaf;
    int dir = -1, rc = -1;

    for (int i = 0; i < RACE_TRIES && rc < 0; i++) {
        if ((dir = local_walk(w->store, w->name, 1, &leaf)) >= 0 &&
            (rc = file_publish_at(w->store->tmp_fd, w->tmp, dir, leaf)) == 0)
            break;
        rc = errno;
        if (dir >= 0)
            close(dir);
        errno = rc;
        rc = -1;
        if (errno != ENOENT)
            break;
    }
    if (rc < 0 && errno == EEXIST)
        return exists_already(w->store, w->name);
    if (rc < 0)
        return sys_failed(w, "publish");
    w->tmp[0] = '\0';
    if (sync_dir(dir) < 0) {
        rc = sys_failed(w, "sync the folder of");
        unlinkat(dir, leaf, 0); /* what failed is not to be seen */
    }
    close(dir);
    return rc;
}

static int
writer_finish(void *impl)
{
    struct writer *w = impl;

    if (make_durable(w) < 0)
        return -1;
    return w->how == STORE_ATOMIC ? publish(w) : 0;
}

static void
writer_free(void *impl)
{
    struct writer *w = impl;

    if (w->how == STORE_GROWING && !w->failed)
        (void)!write(w->fd, w->data, w->len);
    if (w->fd >= 0)
        close(w->fd);
    if (w->tmp[0] != '\0')
        unlinkat(w->store->tmp_fd, w->tmp, 0);
    free(w->name);
    free(w->data);
    free(w);
}

/*
 * Remove what writers that died have left.  A living one holds a lock on its
 * file; the age is for the moment in which it has none yet.
 */
static void
sweep_tmp(int dir)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    time_t now = time(NULL);
    struct dirent *e;
    struct stat st;

    if (d == NULL) {
        if (copy >= 0)
            close(copy);
        return;
    }
    while ((e = readdir(d)) != NULL) {
        if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode) || now - st.st_mtime < LEFTOVER_SECONDS)
            continue;
        fd = openat(dir, e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dir, e->d_name, 0);
        close(fd);
    }
    closedir(d);
}

/* tmp/ is opened once a store.  -1 with errno. */
static int
open_tmp(struct local *l)
{
    const char *leaf;

    pthread_mutex_lock(&l->lock);
    if (l->tmp_fd < 0) {
        l->tmp_fd = local_walk(l, LOCAL_TMP "/", 1, &leaf);
        if (l->tmp_fd >= 0)
            sweep_tmp(l->tmp_fd);
    }
    pthread_mutex_unlock(&l->lock);
    return l->tmp_fd < 0 ? -1 : 0;
}

static bool
already_there(const struct writer *w)
{
    const char *leaf;
    struct stat st;
    int dir = local_walk(w->store, w->name, 0, &leaf);
    bool there;

    if (dir < 0)
        return false;
    there = fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0;
    close(dir);
    return there;
}

static int
create_atomic(struct writer *w)
{
    uint64_t random;

    /* For certain only at the end, but worth hours if known now. */
    if (already_there(w))
        return exists_already(w->store, w->name);
    if (open_tmp(w->store) < 0)
        return sys_failed(w, "make a temporary file for");
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return sys_failed(w, "get a random number for");
    snprintf(w->tmp, sizeof(w->tmp), "%ld-%016" PRIx64, (long)getpid(), random);
    w->fd = openat(w->store->tmp_fd, w->tmp,
        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (w->fd < 0) {
        w->tmp[0] = '\0';
        return sys_failed(w, "make a temporary file for");
    }
    /* For sweep_tmp(); without locks, leftovers stay. */
    (void)flock(w->fd, LOCK_EX | LOCK_NB);
    return 0;
}

static int
create_growing(struct writer *w)
{
    const char *leaf;
    int dir = -1, saved;

    for (int i = 0; i < RACE_TRIES; i++) {
        dir = local_walk(w->store, w->name, 1, &leaf);
        if (dir < 0 && errno == ENOENT)
            continue;
        if (dir < 0)
            break;
        w->fd = openat(dir, leaf,
            O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
            0400);
        if (w->fd >= 0 || errno != ENOENT)
            break;
        close(dir);
        dir = -1;
        errno = ENOENT;
    }
    if (w->fd >= 0 && sync_dir(dir) < 0) {
        saved = errno;
        unlinkat(dir, leaf, 0);
        close(w->fd);
        w->fd = -1;
        errno = saved;
    }
    saved = errno;
    if (dir >= 0)
        close(dir);
    errno = saved;
    if (w->fd < 0 && errno == EEXIST)
        return exists_already(w->store, w->name);
    return w->fd < 0 ? sys_failed(w, "create") : 0;
}

struct sink *
local_put(void *impl, const char *name, enum store_put how)
{
    static const struct sink_ops ops = {.write = writer_write,
        .flush = writer_flush,
        .finish = writer_finish,
        .free = writer_free};
    struct writer *w = xcalloc(1, sizeof(*w));

    w->store = impl;
    w->how = how;
    w->name = xstrdup(name);
    w->fd = -1;
    w->data = xmalloc(WRITE_BYTES);
    if ((how == STORE_ATOMIC ? create_atomic(w) : create_growing(w)) < 0) {
        w->failed = true;
        writer_free(w);
        return NULL;
    }
    return sink_new(&ops, w);
}
