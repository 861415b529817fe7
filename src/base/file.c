/*
 * file.c -- whole small files, durable writes, directories.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pitr/file.h"
#include "pitr/mem.h"

/* Takes fd. */
static int
read_all(int fd, const char *path, size_t max, struct buf *out)
{
    size_t total = 0;
    int rc = -1;

    for (;;) {
        size_t room = MIN(max - total, 65535) + 1;
        ssize_t got;

        buf_reserve(out, room);
        got = read(fd, out->data + out->len, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            err_sys(ERR_FAILED, "cannot read %s", path);
            goto out;
        }
        if (got == 0)
            break;
        if ((size_t)got > max - total) {
            err_set(ERR_FAILED, "%s: larger than %zu bytes", path, max);
            goto out;
        }
        out->len += (size_t)got;
        total += (size_t)got;
    }
    rc = 0;

out:
    close(fd);
    return rc;
}

int
file_read(const char *path, size_t max, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 1;
    if (fd < 0)
        return err_sys(ERR_FAILED, "cannot open %s", path);
    return read_all(fd, path, max, out);
}

static int
read_regular(const char *path, size_t max, bool own, struct buf *out)
{
    /* O_NONBLOCK: a FIFO put there must not hold us up. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return 1;
    if (fd < 0)
        return err_sys(ERR_FAILED, "cannot open %s", path);
    if (fstat(fd, &st) < 0)
        err_sys(ERR_FAILED, "%s", path);
    else if (!S_ISREG(st.st_mode))
        err_set(ERR_FAILED, "%s is not a regular file", path);
    else if (own &&
        ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022) != 0))
        err_set(ERR_FAILED,
            "%s: another account than this one could have written it", path);
    else
        return read_all(fd, path, max, out);
    close(fd);
    return -1;
}

int
file_read_own(const char *path, size_t max, struct buf *out)
{
    return read_regular(path, max, true, out);
}

int
file_read_regular(const char *path, size_t max, struct buf *out)
{
    return read_regular(path, max, false, out);
}

static int
write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

static char *
parent_of(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n > 0 ? xstrndup(path, n) : xstrdup(".");
}

static int
sync_parent(const char *path)
{
    char *parent = parent_of(path);
    int rc = dir_sync(parent);

    free(parent);
    return rc;
}

int
file_publish_at(int tmp_dir, const char *tmp, int dir, const char *name)
{
    if (linkat(tmp_dir, tmp, dir, name, 0) == 0) {
        unlinkat(tmp_dir, tmp, 0);
        return 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -1;
    /* No hard links here: a rename that replaces nothing does the same. */
    return renameat2(tmp_dir, tmp, dir, name, RENAME_NOREPLACE);
}

int
file_create(const char *path, mode_t mode, const void *p, size_t n)
{
    uint64_t id;
    char *tmp;
    int rc = -1, fd;

    /* No process id: of two containers the same one may be at work here. */
    if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
        return err_sys(ERR_FAILED, "getrandom");
    tmp = xasprintf("%s.tmp-%016" PRIx64, path, id);
    fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        err_sys(ERR_FAILED, "cannot create %s", tmp);
        free(tmp);
        return -1;
    }
    /* A stick with FAT knows no modes; elsewhere a umask may have taken some
     * that open() was told, but none were added. */
    if ((fchmod(fd, mode) < 0 && errno != EPERM && errno != EOPNOTSUPP) ||
        write_all(fd, p, n) < 0 || fsync(fd) < 0) {
        err_sys(ERR_FAILED, "cannot write %s", tmp);
        unlink(tmp);
        goto out;
    }
    if (file_publish_at(AT_FDCWD, tmp, AT_FDCWD, path) < 0) {
        bool there = errno == EEXIST;

        err_sys(ERR_FAILED, "cannot create %s", path);
        if (there)
            err_hint("It is never overwritten: name another file, or move "
                     "that one away.");
        unlink(tmp);
        goto out;
    }
    if ((rc = sync_parent(path)) < 0)
        unlink(path);

out:
    close(fd);
    free(tmp);
    return rc;
}

static int
check_private(const struct stat *st, const char *path)
{
    if ((st->st_mode & 077) != 0) {
        err_set(ERR_KEY, "%s can be read by others (mode %04o)", path,
            (unsigned)(st->st_mode & 07777));
        return err_hint(
            "chmod 600 '%s', and think about who may have read it", path);
    }
    if (st->st_uid != geteuid()) {
        err_set(ERR_KEY, "%s belongs to user id %ld, not to %ld", path,
            (long)st->st_uid, (long)geteuid());
        return err_hint("run pitr as its owner, or chown the file");
    }
    return 0;
}

int
file_check_private(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return err_sys(ERR_KEY, "%s", path);
    return check_private(&st, path);
}

int
file_check_private_fd(int fd, const char *path)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(ERR_KEY, "%s", path);
    return check_private(&st, path);
}

int
file_check_not_public(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || (st.st_mode & 07) == 0)
        return 0;
    err_set(ERR_KEY, "%s can be read by everybody (mode %04o)", path,
        (unsigned)(st.st_mode & 07777));
    return err_hint(
        "chmod 600 '%s', and think about who may have read it", path);
}

int
dir_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return err_sys(ERR_FAILED, "cannot open %s", path);
    /* EINVAL: a file system that has nothing to sync for a directory. */
    rc = fsync(fd) < 0 && errno != EINVAL
        ? err_sys(ERR_FAILED, "cannot sync %s", path)
        : 0;
    close(fd);
    return rc;
}

static int
make_one(const char *path, mode_t mode)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return sync_parent(path);
    if (errno != EEXIST)
        return err_sys(ERR_FAILED, "cannot make directory %s", path);
    if (stat(path, &st) < 0)
        return err_sys(ERR_FAILED, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(ERR_FAILED, "%s is not a directory", path);
    return 0;
}

int
dir_make(const char *path, mode_t mode)
{
    char *copy = xstrdup(path);
    int rc = 0;

    for (char *p = copy + 1; *copy != '\0' && *p != '\0' && rc == 0; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        rc = make_one(copy, mode);
        *p = '/';
    }
    if (rc == 0)
        rc = make_one(copy, mode);
    free(copy);
    return rc;
}

int
dir_bytes(const char *path, uint64_t *bytes)
{
    char *own = xstrdup(path), *paths[] = {own, NULL};
    FTS *f = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *e = NULL;
    int rc = 0;

    *bytes = 0;
    errno = 0;
    while (f != NULL && (e = fts_read(f)) != NULL) {
        if (e->fts_info == FTS_F)
            *bytes += (uint64_t)e->fts_statp->st_size;
        else if (e->fts_info == FTS_DNR && e->fts_errno != ENOENT) {
            errno = e->fts_errno;
            break;
        }
        errno = 0; /* what is gone meanwhile is fine */
    }
    if (f == NULL || e != NULL || errno != 0)
        rc = err_sys(ERR_FAILED, "cannot tell the size of %s", path);
    if (f != NULL)
        fts_close(f);
    free(own);
    return rc;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    if (remove(path) < 0 && errno != ENOENT)
        return err_sys(ERR_FAILED, "cannot remove %s", path);
    return 0;
}

int
dir_remove(const char *path)
{
    int rc;

    err_clear();
    rc = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    if (rc == 0 || (errno == ENOENT && err_kind() == ERR_NONE))
        return 0;
    if (err_kind() == ERR_NONE)
        err_sys(ERR_FAILED, "cannot remove %s", path);
    return -1;
}

char *
file_folder(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return xstrdup(".");
    return xasprintf("%.*s", (int)MAX(slash - path, 1), path);
}

/* One that has another name, too, is none that was made here. */
void
file_give(int fd, const char *path)
{
    char *dir = geteuid() == 0 ? file_folder(path) : NULL;
    struct stat st, in;

    if (dir != NULL && fstat(fd, &st) == 0 && stat(dir, &in) == 0 &&
        S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == 0 &&
        in.st_uid != 0)
        (void)!fchown(fd, in.st_uid, in.st_gid);
    free(dir);
}

/* The file itself is durable, its folder's entry is not. */
static int
write_new(const char *path, mode_t mode, const void *p, size_t n)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int rc = 0, saved, fd = open(path, flags, mode);

    if (fd < 0)
        return err_sys(ERR_FAILED, "cannot create %s", path);
    if (fchmod(fd, mode) < 0 || write_all(fd, p, n) < 0 || fsync(fd) < 0)
        rc = err_sys(ERR_FAILED, "cannot write %s", path);
    saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

int
file_replace(
    const char *path, mode_t mode, const void *p, size_t n, const char *what)
{
    char *fresh = xasprintf("%s.new", path);
    int rc = -1, saved;

    if (unlink(fresh) < 0 && errno != ENOENT)
        err_sys(ERR_FAILED, "cannot replace %s", fresh);
    else if (write_new(fresh, mode, p, n) < 0)
        err_wrap("%s", what);
    else if (rename(fresh, path) < 0)
        err_sys(ERR_FAILED, "cannot replace %s", path);
    else
        rc = 0;
    saved = errno;
    if (rc < 0)
        unlink(fresh);
    errno = saved;
    free(fresh);
    return rc;
}
