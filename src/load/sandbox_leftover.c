/*
 * sandbox_leftover.c -- what a restore that was interrupted has left of its
 * sandbox, known by a mark in the directory, gives way to the next one.
 *
 * The mark is written while the directory is still empty and removed when the
 * restore has succeeded: so all that lies beside it is of a sandbox that was
 * never finished.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "sandbox_priv.h"

#define MARK "incomplete"
#define MARK_TEXT "A restore of pitr into this directory was not finished.\n"
#define STOP_TRIES 1200 /* of 50 ms each */
#define POLL_US UINT64_C(50000)

static char *
mark_path(const struct sandbox_place *p)
{
    return xasprintf("%s/%s", p->dir, MARK);
}

int
sandbox_mark(const struct sandbox_place *p)
{
    char *path = mark_path(p);
    int rc = file_create(path, 0600, MARK_TEXT, strlen(MARK_TEXT));

    free(path);
    return rc;
}

int
sandbox_unmark(const struct sandbox_place *p)
{
    char *path = mark_path(p);
    int rc = 0;

    if (unlink(path) < 0 && errno != ENOENT)
        rc = err_sys(ERR_FAILED, "%s", path);
    free(path);
    return rc;
}

bool
sandbox_is_marked(const struct sandbox_place *p)
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

/* Is it at work in this very data directory? */
static bool
is_its_server(const struct sandbox_place *p, pid_t pid)
{
    char *path = xasprintf("/proc/%ld/cmdline", (long)pid);
    char *want = xasprintf("--datadir=%s", p->datadir);
    struct buf args = {0};
    bool found = false;

    if (file_read(path, 1 << 20, &args) == 0) {
        const char *s = buf_cstr(&args), *end = s + args.len;

        for (; s < end && !found; s += strlen(s) + 1)
            found = strcmp(s, want) == 0;
    }
    err_clear();
    buf_free(&args);
    free(path);
    free(want);
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

/* Their restore is gone, and what they write is removed. */
static int
stop_processes(const struct sandbox_place *p)
{
    pid_t pid = 0;

    for (int i = 0; i < STOP_TRIES; i++) {
        if ((pid = find_process(p)) == 0)
            return 0;
        kill(pid, SIGKILL);
        if (stop_sleep_us(POLL_US))
            return stop_error();
    }
    return err_set(ERR_FAILED,
        "the server of the earlier sandbox (process %ld) does not end",
        (long)pid);
}

int
sandbox_clear_leftover(const struct sandbox_place *p)
{
    log_info("removing the sandbox that an interrupted restore has left in %s",
        p->dir);
    return stop_processes(p) < 0 ? -1 : dir_remove(p->dir);
}
