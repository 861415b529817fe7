/*
 * sandbox_leftover.c -- a directory is taken for a sandbox: it is empty, or
 * what an interrupted restore has left there gives way.
 *
 * A mark is written while the directory is still empty and removed when the
 * restore has succeeded: so all that lies beside it is of a sandbox that was
 * never finished.  A lock tells whether its restore is still at work; the
 * server does not inherit it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "pitr/file.h"
#include "pitr/lock.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "sandbox_priv.h"

#define MARK "incomplete"
#define LOCK "pitr.lock"
#define MARK_TEXT "A restore of pitr into this directory was not finished.\n"
#define STOP_TRIES 1200 /* of 50 ms each */
#define POLL_US UINT64_C(50000)

/* Where the system's headers are older than these calls. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open -1
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal -1
#endif

static char *
mark_path(const struct sandbox_place *p)
{
    return xasprintf("%s/%s", p->dir, MARK);
}

static int
mark(const struct sandbox_place *p)
{
    char *path = mark_path(p);
    int rc = file_create(path, 0600, MARK_TEXT, strlen(MARK_TEXT));

    free(path);
    return rc;
}

static bool
is_marked(const struct sandbox_place *p)
{
    char *path = mark_path(p);
    struct buf text = {0};
    bool marked = file_read(path, 4096, &text) == 0 &&
        strcmp(buf_cstr(&text), MARK_TEXT) == 0;

    err_clear();
    buf_free(&text);
    free(path);
    return marked;
}

/* The path is the process's own: in a container it may lead elsewhere. */
static bool
is_its_datadir(const struct sandbox_place *p, pid_t pid, const char *datadir)
{
    static const char name[] = "/data";
    size_t n = strlen(datadir), end = sizeof name - 1;
    struct stat its, ours;
    bool same;
    char *path;

    if (n < end || datadir[0] != '/' || strcmp(datadir + n - end, name) != 0)
        return false;
    /* The folder above: that one is there before the server's own is. */
    path = xasprintf("/proc/%ld/root%.*s/", (long)pid, (int)(n - end), datadir);
    same = stat(path, &its) == 0 && stat(p->dir, &ours) == 0 &&
        its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
    free(path);
    return same;
}

/* Is it at work in this very data directory, whatever it calls it? */
static bool
is_its_server(const struct sandbox_place *p, pid_t pid)
{
    static const char option[] = "--datadir=";
    char *path = xasprintf("/proc/%ld/cmdline", (long)pid);
    struct buf args = {0};
    bool found = false;

    if (file_read(path, 1 << 20, &args) == 0) {
        const char *s = buf_cstr(&args), *end = s + args.len;

        for (; s < end && !found; s += strlen(s) + 1)
            found = strncmp(s, option, sizeof option - 1) == 0 &&
                is_its_datadir(p, pid, s + sizeof option - 1);
    }
    err_clear();
    buf_free(&args);
    free(path);
    return found;
}

/* A process of the sandbox, its server or the program that made its tables;
 * 0 where none runs. */
static pid_t
find_process(const struct sandbox_place *p)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    pid_t found = 0;

    while (d != NULL && found == 0 && (e = readdir(d)) != NULL) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

        if (pid > 0 && is_its_server(p, pid))
            found = pid;
    }
    if (d != NULL)
        closedir(d);
    return found;
}

/* The number may be another's by now: what is opened before the last look is
 * the process that is looked at. */
static void
end_process(const struct sandbox_place *p, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (is_its_server(p, pid) &&
        (fd < 0 ||
            (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 &&
                errno != ESRCH)))
        kill(pid, SIGKILL);
    if (fd >= 0)
        close(fd);
}

/* Their restore is gone, and what they write is removed. */
static int
stop_processes(const struct sandbox_place *p)
{
    pid_t pid = 0;

    for (int i = 0; i < STOP_TRIES; i++) {
        if ((pid = find_process(p)) == 0)
            return 0;
        end_process(p, pid);
        if (stop_sleep_us(POLL_US))
            return stop_error();
    }
    return err_set(ERR_FAILED,
        "the server of the earlier sandbox (process %ld) does not end",
        (long)pid);
}

/* Whatever is mounted there is not of the sandbox. */
static int
remove_entry(DIR *d, const struct sandbox_place *p, const char *name)
{
    char *path = xasprintf("%s/%s", p->dir, name);
    struct stat dir, st;
    int rc;

    if (fstat(dirfd(d), &dir) < 0 || lstat(path, &st) < 0)
        rc = err_sys(ERR_FAILED, "cannot remove %s", path);
    else if (st.st_dev != dir.st_dev)
        rc = err_set(ERR_FAILED, "%s is on another file system", path);
    else
        rc = dir_remove(path);
    free(path);
    return rc;
}

static bool
is_named(const struct dirent *e, const char *name)
{
    return strcmp(e->d_name, name) == 0;
}

/* All but the mark and the lock: who is interrupted now has left that again. */
static int
clear_leftover(const struct sandbox_place *p)
{
    struct dirent *e;
    int rc = 0;
    DIR *d;

    log_info("removing the sandbox that an interrupted restore has left in %s",
        p->dir);
    if (stop_processes(p) < 0)
        return -1;
    if ((d = opendir(p->dir)) == NULL)
        return err_sys(ERR_FAILED, "%s", p->dir);
    while (rc == 0 && (e = readdir(d)) != NULL) {
        if (!is_named(e, ".") && !is_named(e, "..") && !is_named(e, MARK) &&
            !is_named(e, LOCK))
            rc = remove_entry(d, p, e->d_name);
    }
    closedir(d);
    return rc;
}

/* Absent or empty, but for the lock. */
static int
check_empty(const struct sandbox_place *p)
{
    DIR *d = opendir(p->dir);
    struct dirent *e;
    int rc = 0;

    if (d == NULL)
        return errno == ENOENT ? 0 : err_sys(ERR_FAILED, "%s", p->dir);
    while (rc == 0 && (e = readdir(d)) != NULL) {
        if (!is_named(e, ".") && !is_named(e, "..") && !is_named(e, LOCK)) {
            rc = err_set(ERR_FAILED, "%s is not empty", p->dir);
            err_hint("give a directory that does not exist yet; or remove what "
                     "an earlier sandbox left there, after stopping its server "
                     "(see README in it)");
        }
    }
    closedir(d);
    return rc;
}

static int
remove_lock(const struct sandbox_place *p)
{
    char *path = xasprintf("%s/%s", p->dir, LOCK);
    int rc = 0;

    if (unlink(path) < 0 && errno != ENOENT)
        rc = err_sys(ERR_FAILED, "%s", path);
    free(path);
    return rc;
}

int
sandbox_claim(struct sandbox_place *p)
{
    char *path;

    /* A lock in what is somebody's would be one file too many. */
    if ((!is_marked(p) && check_empty(p) < 0) || dir_make(p->dir, 0700) < 0)
        return -1;
    path = xasprintf("%s/%s", p->dir, LOCK);
    p->lock = lock_take(path, "restore");
    free(path);
    if (p->lock == NULL)
        return -1;
    /* Who had it until now may have finished. */
    if (is_marked(p))
        return clear_leftover(p);
    if (check_empty(p) < 0) {
        struct err_saved *e = err_take();

        remove_lock(p);
        err_put(e);
        return -1;
    }
    return mark(p);
}

int
sandbox_unmark(const struct sandbox_place *p)
{
    char *path = mark_path(p);
    int rc = 0;

    if (unlink(path) < 0 && errno != ENOENT)
        rc = err_sys(ERR_FAILED, "%s", path);
    free(path);
    return rc < 0 ? -1 : remove_lock(p);
}
