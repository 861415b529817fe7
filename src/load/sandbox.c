/*
 * sandbox.c -- a private mariadbd: its directory, its process, its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pitr/mem.h"
#include "pitr/sandbox.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "sandbox_priv.h"

#define READY_US UINT64_C(120000000)
#define POLL_US UINT64_C(50000)
/* An empty server needs about as much. */
#define ROOM ((uint64_t)256 << 20)

struct sandbox {
    struct sandbox_place place;
    struct db_conf conf;
    pid_t pid; /* 0: not running */
};

/* --- processes --- */

/*
 * Start a program away from this one's terminal, so that Ctrl-C does not
 * reach it, with its output added to a file.
 */
static pid_t
start(const char *const *argv, const char *zone, const char *log)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    long max = sysconf(_SC_OPEN_MAX);
    pid_t pid;

    if (fd < 0)
        return err_sys(ERR_FAILED, "%s", log);
    if (max < 0 || max > 65536)
        max = 65536;
    if ((pid = fork()) < 0)
        err_sys(ERR_FAILED, "fork");
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        sigset_t none;
        setsid();
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGXFSZ, SIG_DFL);
        if (dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
            _exit(126);
        for (int i = 3; i < max; i++)
            close(i);
        if (zone != NULL && setenv("TZ", zone, 1) < 0)
            _exit(126);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(fd);
    return pid;
}

/* 1 ended, with *status; 0 not yet; waits if told to. */
static int
ended(pid_t pid, int *status, bool wait)
{
    pid_t p;

    do
        p = waitpid(pid, status, wait ? 0 : WNOHANG);
    while (p < 0 && errno == EINTR);
    return p == 0 ? 0 : 1;
}

static void
end_process(pid_t pid)
{
    int status;

    kill(pid, SIGTERM);
    for (uint64_t us = 0; us < READY_US; us += POLL_US) {
        if (ended(pid, &status, false))
            return;
        usleep(POLL_US);
    }
    kill(pid, SIGKILL);
    ended(pid, &status, true);
}

/* With all that it has started: what they write is of no use any more. */
static void
end_group(pid_t leader)
{
    int status;

    kill(-leader, SIGKILL);
    kill(leader, SIGKILL); /* that may be no leader yet */
    ended(leader, &status, true);
}

/* The error is about a program that wrote its reasons to log. */
static void
add_log_tail(const char *log)
{
    char *tail = sandbox_log_tail(log), text[TIME_TEXT];
    struct statvfs v;
    uint64_t left = UINT64_MAX;

    if (statvfs(log, &v) == 0)
        left = (uint64_t)v.f_bavail * v.f_frsize;
    if (left < ROOM)
        err_hint("Only %s are left on that disk. In %s:\n%s",
            size_text(left, text), log, tail);
    else
        err_hint("In %s:\n%s", log, tail);
    free(tail);
}

/* --- initializing --- */

static int
install(const struct sandbox_place *p)
{
    const char *argv[16];
    char *datadir = xasprintf("--datadir=%s", p->datadir);
    char *tmpdir = xasprintf("--tmpdir=%s", p->tmpdir);
    char *user = xasprintf("--user=%s", p->user);
    char *root = xasprintf("--auth-root-socket-user=%s", p->user);
    char *base =
        p->basedir == NULL ? NULL : xasprintf("--basedir=%s", p->basedir);
    char *page = p->page_size == NULL
        ? NULL
        : xasprintf("--innodb-page-size=%s", p->page_size);
    int n = 0, status = 0;
    pid_t pid;

    argv[n++] = p->install_db;
    argv[n++] = "--no-defaults";
    if (base != NULL)
        argv[n++] = base;
    argv[n++] = datadir;
    argv[n++] = tmpdir;
    argv[n++] = user;
    argv[n++] = root;
    argv[n++] = "--auth-root-authentication-method=socket";
    argv[n++] = "--skip-test-db";
    argv[n++] = "--skip-name-resolve";
    if (page != NULL)
        argv[n++] = page;
    argv[n] = NULL;
    pid = start(argv, NULL, p->install_log);
    free(datadir);
    free(tmpdir);
    free(user);
    free(root);
    free(base);
    free(page);
    if (pid < 0)
        return -1;
    while (!ended(pid, &status, false)) {
        if (stop_sleep_us(POLL_US)) {
            end_group(pid);
            return stop_error();
        }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    err_set(ERR_FAILED, "%s failed", p->install_db);
    add_log_tail(p->install_log);
    return -1;
}

/* --- running --- */

static int
died(struct sandbox *s, int status)
{
    s->pid = 0;
    if (WIFSIGNALED(status))
        err_set(ERR_FAILED, "%s ended by signal %d while starting",
            s->place.mariadbd, WTERMSIG(status));
    else
        err_set(ERR_FAILED, "%s did not start (exit code %d)",
            s->place.mariadbd, WEXITSTATUS(status));
    add_log_tail(s->place.error_log);
    return -1;
}

/* Wait until it lets somebody in. */
static struct db *
wait_ready(struct sandbox *s)
{
    uint64_t until = time_mono_us() + READY_US;
    struct db *db;
    int status;

    for (;;) {
        if (access(s->place.socket, F_OK) == 0 &&
            (db = db_open(&s->conf, "sandbox")) != NULL)
            return db;
        if (ended(s->pid, &status, false)) {
            died(s, status);
            return NULL;
        }
        if (stop_sleep_us(POLL_US)) {
            stop_error();
            return NULL;
        }
        if (time_mono_us() > until)
            break;
    }
    if (err_kind() == ERR_NONE)
        err_set(ERR_FAILED, "%s made no socket", s->place.mariadbd);
    err_wrap("sandbox is not ready after two minutes");
    add_log_tail(s->place.error_log);
    return NULL;
}

static int
run(struct sandbox *s)
{
    char **argv = sandbox_argv(&s->place);
    struct db *db;
    int rc = -1;

    s->pid =
        start((const char *const *)argv, s->place.zone, s->place.error_log);
    sandbox_argv_free(argv);
    if (s->pid < 0) {
        s->pid = 0;
        return -1;
    }
    if ((db = wait_ready(s)) != NULL)
        rc = sandbox_clean_accounts(db);
    db_close(db);
    return rc;
}

/* What a server can have; no other text from a backup becomes an option. */
static const char *const page_sizes[] = {
    "4096", "8192", "16384", "32768", "65536"};

struct sandbox *
sandbox_start(
    const char *dir, const char *mariadbd, const struct manifest *like)
{
    const char *page_size = manifest_setting(like, "innodb_page_size");
    struct sandbox *s = xcalloc(1, sizeof *s);
    struct err_saved *e;

    if (sandbox_place_make(&s->place, dir, mariadbd) < 0)
        goto fail;
    if (like != NULL)
        s->place.lower_case = like->info.lower_case_table_names;
    for (size_t i = 0; page_size != NULL && i < NELEM(page_sizes); i++)
        if (strcmp(page_size, page_sizes[i]) == 0)
            s->place.page_size = xstrdup(page_sizes[i]);
    sandbox_zone_choose(&s->place, like);
    if (install(&s->place) < 0)
        goto fail;
    s->conf = (struct db_conf){.socket = s->place.socket,
        .user = s->place.user,
        .connect_timeout_s = 30};
    if (run(s) < 0 || sandbox_zones_fill(&s->place, like) < 0 ||
        sandbox_readme(&s->place) < 0)
        goto fail;
    err_clear();
    return s;

fail:
    err_wrap("sandbox in %s", dir);
    e = err_take();
    sandbox_stop(s);
    err_put(e);
    return NULL;
}

const struct db_conf *
sandbox_conf(const struct sandbox *s)
{
    return &s->conf;
}

pid_t
sandbox_pid(const struct sandbox *s)
{
    return s->pid;
}

static void
sandbox_free(struct sandbox *s)
{
    sandbox_place_free(&s->place);
    free(s);
}

int
sandbox_stop(struct sandbox *s)
{
    if (s == NULL)
        return 0;
    if (s->pid > 0)
        end_process(s->pid);
    sandbox_free(s);
    return 0;
}

int
sandbox_leave(struct sandbox *s)
{
    int rc;

    if (s == NULL)
        return 0;
    rc = sandbox_unmark(&s->place);
    sandbox_free(s);
    return rc;
}
