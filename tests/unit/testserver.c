/*
 * testserver.c -- see testserver.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nftw */
#endif
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pitr/err.h"
#include "pitr/mem.h"
#include "testserver.h"

#define ARGS_MAX 64

static char mariadbd[64];

bool
testserver_installed(void)
{
    static const char *const path[] = {"/usr/sbin/mariadbd",
        "/usr/local/sbin/mariadbd", "/usr/bin/mariadbd", "/usr/sbin/mysqld"};

    for (size_t i = 0; i < NELEM(path); i++)
        if (access(path[i], X_OK) == 0) {
            snprintf(mariadbd, sizeof mariadbd, "%s", path[i]);
            return true;
        }
    return false;
}

/* Starts argv with its output in the directory's log. */
static pid_t
spawn(const struct testserver *ts, char *const *argv)
{
    pid_t pid = fork();

    if (pid == 0) {
        char log[96];
        int fd;

        /* A test that dies leaves no server. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(log, sizeof log, "%s/log", ts->dir);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
            _exit(127);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static void
show_log(const struct testserver *ts)
{
    char line[512], log[96];
    FILE *f;

    snprintf(log, sizeof log, "%s/log", ts->dir);
    if ((f = fopen(log, "r")) == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL)
        fputs(line, stderr);
    fclose(f);
}

static int
run(const struct testserver *ts, char *const *argv)
{
    int status;
    pid_t pid;

    if ((pid = spawn(ts, argv)) < 0 || waitpid(pid, &status, 0) != pid ||
        status != 0) {
        show_log(ts);
        return err_set(ERR_FAILED, "%s failed", argv[0]);
    }
    return 0;
}

/* An empty data directory: a copy of the one in $PITR_TEMPLATE, which
 * scripts/test has made, or a new one, which takes seconds. */
static int
install(const struct testserver *ts)
{
    const char *template = getenv("PITR_TEMPLATE");
    char datadir[96], tmpdir[96], from[256];
    char *copy[] = {"cp", "-a", "--sparse=always", from, datadir, NULL};
    char *argv[] = {"mariadb-install-db", "--no-defaults",
        "--auth-root-authentication-method=normal", "--skip-test-db",
        "--user=root", datadir, tmpdir, NULL};

    if (template != NULL &&
        (size_t)snprintf(from, sizeof from, "%s/data", template) <
            sizeof from &&
        access(from, R_OK) == 0) {
        snprintf(datadir, sizeof datadir, "%s/data", ts->dir);
        return run(ts, copy);
    }
    snprintf(datadir, sizeof datadir, "--datadir=%s/data", ts->dir);
    snprintf(tmpdir, sizeof tmpdir, "--tmpdir=%s/tmp", ts->dir);
    return run(ts, argv);
}

static int
await(struct testserver *ts)
{
    for (int i = 0; i < 600; i++) {
        struct db *db = testserver_open(ts, "test");
        if (db != NULL) {
            db_close(db);
            return 0;
        }
        if (waitpid(ts->pid, NULL, WNOHANG) == ts->pid) {
            ts->pid = 0;
            break;
        }
        usleep(50000);
    }
    show_log(ts);
    return -1;
}

int
testserver_again(struct testserver *ts, const char *const *options)
{
    char datadir[96], tmpdir[96], socket[128], pidfile[96];
    char *argv[ARGS_MAX] = {mariadbd, "--no-defaults", "--user=root", datadir,
        tmpdir, socket, pidfile, "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=32M", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-use-native-aio=0", "--debug-no-sync=1", "--skip-name-resolve",
        "--loose-feedback=OFF"};
    size_t n = 14;

    snprintf(datadir, sizeof datadir, "--datadir=%s/data", ts->dir);
    snprintf(tmpdir, sizeof tmpdir, "--tmpdir=%s/tmp", ts->dir);
    snprintf(socket, sizeof socket, "--socket=%s", ts->socket);
    snprintf(pidfile, sizeof pidfile, "--pid-file=%s/pid", ts->dir);
    if (ts->port == 0)
        argv[n++] = "--skip-networking";
    for (; options != NULL && *options != NULL && n < ARGS_MAX - 1; options++)
        argv[n++] = (char *)*options;
    argv[n] = NULL;
    if ((ts->pid = spawn(ts, argv)) < 0)
        return err_sys(ERR_FAILED, "fork");
    return await(ts);
}

int
testserver_start(struct testserver *ts, const char *const *options)
{
    const char *tmp = getenv("TMPDIR");
    char tmp_path[96];

    if (!testserver_installed())
        return err_set(ERR_FAILED, "no mariadbd on this machine");
    /* A socket's path has to be short. */
    snprintf(ts->dir, sizeof ts->dir, "%s/pitr-test-XXXXXX",
        tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    if (mkdtemp(ts->dir) == NULL)
        return err_sys(ERR_FAILED, "%s", ts->dir);
    snprintf(ts->socket, sizeof ts->socket, "%s/sock", ts->dir);
    /* A server that starts sweeps temporary tables out of its tmpdir, also
     * those of another server: each has its own. */
    snprintf(tmp_path, sizeof tmp_path, "%s/tmp", ts->dir);
    if (mkdir(tmp_path, 0700) < 0)
        return err_sys(ERR_FAILED, "%s", tmp_path);
    ts->pid = 0;
    if (install(ts) < 0 || testserver_again(ts, options) < 0) {
        testserver_remove(ts);
        return -1;
    }
    return 0;
}

void
testserver_halt(struct testserver *ts, int sig)
{
    if (ts->pid <= 0)
        return;
    kill(ts->pid, sig);
    waitpid(ts->pid, NULL, 0);
    ts->pid = 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
testserver_remove(struct testserver *ts)
{
    testserver_halt(ts, SIGKILL);
    if (ts->dir[0] != '\0')
        nftw(ts->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    ts->dir[0] = '\0';
}

struct db_conf
testserver_conf(const struct testserver *ts)
{
    struct db_conf conf = {.socket = ts->socket, .user = "root"};

    return conf;
}

struct db *
testserver_open(const struct testserver *ts, const char *role)
{
    struct db_conf conf = testserver_conf(ts);

    /* A limit of its own, and so no thread that looks after it: a process that
     * tests fork off has to be of one thread, or a sanitizer can hang there. */
    conf.read_timeout_s = 600;
    return db_open(&conf, role);
}
