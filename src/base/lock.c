/*
 * lock.c -- advisory locks on files.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pitr/file.h"
#include "pitr/lock.h"
#include "pitr/mem.h"

/* How often, and how long apart, a lock is tried. */
#define LOOKS 10
#define LOOK_US 20000

struct lock {
    int fd;
};

/* The holder writes "PID what" into the file it has locked. */
static int
name_holder(int fd, const char *path)
{
    char text[160];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    err_set(ERR_LOCKED, "%s is held by %s%s", path,
        text[0] != '\0' ? "process " : "another process", text);
    return err_hint("wait until it has ended; the lock goes with the process, "
                    "there is no file to remove");
}

/* 0, 1 held by another, -1.  Who only looks at it (lock_is_held) has it for a
 * moment. */
static int
lock_fd(int fd, const char *path, int how)
{
    for (unsigned i = 0; i < LOOKS; i++) {
        int rc;

        while ((rc = flock(fd, how | LOCK_NB)) < 0 && errno == EINTR)
            continue;
        if (rc == 0)
            return 0;
        if (errno != EWOULDBLOCK)
            return err_sys(ERR_FAILED, "cannot lock %s", path);
        if (i + 1 < LOOKS)
            usleep(LOOK_US);
    }
    return 1;
}

/* Takes fd.  Only for the message: a full disk does not forbid to lock, nor
 * does a file that is not open for writing. */
static struct lock *
lock_new(int fd, const char *what)
{
    char *text = xasprintf("%ld (%s)\n", (long)getpid(), what);
    struct lock *l = xmalloc(sizeof(*l));

    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, strlen(text), 0);
    free(text);
    l->fd = fd;
    return l;
}

/* Its holder may have removed it: the next one then makes another. */
static bool
is_removed(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

struct lock *
lock_take(const char *path, const char *what)
{
    /* A link put there by another account must not lead to another file. */
    const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    int rc = 0, fd = -1;

    for (unsigned i = 0; i < LOOKS && rc == 0; i++) {
        if ((fd = open(path, flags, 0600)) < 0) {
            err_sys(ERR_FAILED, "cannot open lock %s", path);
            if (errno == EROFS)
                err_hint("In a unit of systemd, ReadWritePaths= lets it write "
                         "elsewhere than below /var/lib/pitr.");
            return NULL;
        }
        file_give(fd, path);
        rc = lock_fd(fd, path, LOCK_EX);
        if (rc == 0 && !is_removed(fd))
            return lock_new(fd, what);
        if (rc == 1 || i + 1 == LOOKS)
            name_holder(fd, path);
        close(fd);
    }
    return NULL;
}

/* Made only where its owner can go on with it: the folder's, or root. */
static int
share_file(const char *path)
{
    const int flags = O_NOFOLLOW | O_CLOEXEC;
    int fd = open(path, O_RDWR | flags);
    struct stat st;
    char *dir;

    if (fd >= 0)
        return fd;
    if (errno != ENOENT)
        return open(path, O_RDONLY | flags);
    dir = file_folder(path);
    if (stat(dir, &st) == 0 && (geteuid() == 0 || geteuid() == st.st_uid))
        fd = open(path, O_RDWR | O_CREAT | flags, 0600);
    free(dir);
    if (fd >= 0)
        file_give(fd, path);
    return fd;
}

int
lock_share(const char *path, const char *what, struct lock **out)
{
    int rc, fd = share_file(path);

    *out = NULL;
    if (fd < 0)
        return 1;
    if ((rc = lock_fd(fd, path, LOCK_SH)) == 0) {
        *out = lock_new(fd, what);
        return 0;
    }
    if (rc == 1)
        name_holder(fd, path);
    else
        err_clear(); /* a file system without locks */
    close(fd);
    return rc == 1 ? -1 : 1;
}

int
lock_is_held(const char *path)
{
    int rc, fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_sys(ERR_FAILED, "cannot open lock %s", path);
    while ((rc = flock(fd, LOCK_SH | LOCK_NB)) < 0 && errno == EINTR)
        continue;
    if (rc < 0 && errno != EWOULDBLOCK)
        err_sys(ERR_FAILED, "cannot look at lock %s", path);
    else
        rc = rc < 0;
    close(fd);
    return rc;
}

void
lock_free(struct lock *l)
{
    if (l == NULL)
        return;
    (void)!ftruncate(l->fd, 0);
    close(l->fd);
    free(l);
}
