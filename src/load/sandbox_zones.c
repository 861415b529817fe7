/*
 * sandbox_zones.c -- the time zones of a sandbox are those of the source.
 *
 * Statements in a log say SYSTEM, or a zone's name, and mean what that is at
 * the source; so do events of the scheduler.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/zone.h"
#include "sandbox_priv.h"

#define ZONES "/usr/share/zoneinfo"
#define NAME "INSERT INTO time_zone_name (Name, Time_zone_id) VALUES ('"

void
sandbox_zone_choose(struct sandbox_place *p, const struct manifest *like)
{
    const char *zone = manifest_setting(like, "system_time_zone");
    char *name;

    if (zone == NULL)
        return;
    name = zone_here(zone);
    if (name == NULL)
        log_warn("no time zone of this machine is the one that the source has "
                 "as SYSTEM: what the log has as statements that tell the "
                 "time, and when events run, will be off; is tzdata "
                 "installed?");
    else if (name[0] != '\0') {
        log_info("the sandbox's time zone is %s, as the source's", name);
        p->zone = xstrdup(name);
    }
    free(name);
}

static bool
begins(const struct buf *sql, const char *with)
{
    return sql->len >= strlen(with) &&
        memcmp(sql->data, with, strlen(with)) == 0;
}

/*
 * A zone is an INSERT INTO time_zone, a SET of its number and an INSERT of its
 * name, in that order, and what it does.  Each zone comes three times, and two
 * of these nobody uses: posix/NAME is the same as NAME, right/NAME has leap
 * seconds.
 */
static bool
is_wanted(const struct buf *sql, bool *skip)
{
    if (begins(sql, NAME))
        *skip = begins(sql, NAME "posix/") || begins(sql, NAME "right/");
    else if (!begins(sql, "INSERT INTO time_zone_transition"))
        *skip = false;
    return !*skip;
}

#define BATCH_BYTES 65536u

static int
run_batch(struct db *db, struct buf *batch)
{
    int rc = 0;

    if (batch->len > 0) {
        buf_str(batch, "END");
        rc = db_exec_bytes(db, (char *)batch->data, batch->len);
    }
    buf_reset(batch);
    return rc;
}

/* With thousands of statements, the ways there and back are what takes time. */
static int
run_one(struct db *db, const struct buf *sql, struct buf *batch)
{
    if (!begins(sql, "INSERT ") && !begins(sql, "SET @time_zone_id"))
        return run_batch(db, batch) < 0
            ? -1
            : db_exec_bytes(db, (char *)sql->data, sql->len - 2);
    if (batch->len == 0)
        buf_str(batch, "BEGIN NOT ATOMIC ");
    buf_add(batch, sql->data, sql->len);
    return batch->len > BATCH_BYTES ? run_batch(db, batch) : 0;
}

/* Each statement as it ends: with ";" at the end of a line. */
static int
run_statements(struct db *db, FILE *f)
{
    struct buf sql = {0}, batch = {0};
    char *line = NULL;
    size_t cap = 0;
    bool skip = false;
    ssize_t n;
    int rc = 0;

    while (rc == 0 && (n = getline(&line, &cap, f)) > 0) {
        buf_add(&sql, line, (size_t)n);
        if (n < 2 || line[n - 2] != ';')
            continue;
        if (stop_asked())
            rc = stop_error();
        else if (is_wanted(&sql, &skip))
            rc = run_one(db, &sql, &batch);
        buf_reset(&sql);
    }
    if (rc == 0)
        rc = run_batch(db, &batch);
    free(line);
    buf_free(&sql);
    buf_free(&batch);
    return rc;
}

/* The program's output into the server. */
static int
pipe_zones(struct db *db, char *program)
{
    char *argv[] = {program, xstrdup(ZONES), NULL};
    posix_spawn_file_actions_t act;
    int fd[2], rc = -1, status = 0;
    pid_t pid;
    FILE *f;

    if (pipe2(fd, O_CLOEXEC) < 0) {
        free(argv[1]);
        return err_sys(ERR_FAILED, "pipe");
    }
    posix_spawn_file_actions_init(&act);
    posix_spawn_file_actions_adddup2(&act, fd[1], 1);
    posix_spawn_file_actions_addclose(&act, fd[0]);
    posix_spawn_file_actions_addopen(&act, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid, program, &act, NULL, argv, environ) != 0) {
        err_set(ERR_FAILED, "%s cannot be run", program);
        pid = 0;
    }
    posix_spawn_file_actions_destroy(&act);
    close(fd[1]);
    f = fdopen(fd[0], "r");
    if (f == NULL)
        abort();
    if (pid > 0)
        rc = run_statements(db, f);
    fclose(f); /* what it still has to say, it cannot */
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        rc = err_set(ERR_FAILED, "%s failed", program);
    free(argv[1]);
    return rc;
}

/* A statement is synced in Aria, and there are thousands. */
static int
zones_engine(struct db *db, const char *engine)
{
    static const char *const tables[] = {"time_zone", "time_zone_name",
        "time_zone_transition", "time_zone_transition_type",
        "time_zone_leap_second"};

    for (size_t i = 0; i < NELEM(tables); i++)
        if (db_exec(db, "ALTER TABLE mysql.%s ENGINE=%s", tables[i], engine) <
            0)
            return -1;
    return 0;
}

int
sandbox_zones_fill(const struct sandbox_place *p, const struct manifest *like)
{
    static const char *const names[] = {
        "mariadb-tzinfo-to-sql", "mysql_tzinfo_to_sql", NULL};
    const char *wanted = manifest_setting(like, "named_time_zones");
    struct db_conf conf = {.socket = p->socket, .user = p->user};
    char *more, *program;
    struct db *db;
    int rc = -1;

    if (wanted == NULL || strcmp(wanted, "0") == 0)
        return 0;
    more = p->basedir == NULL ? xstrdup("") : xasprintf("%s/bin:", p->basedir);
    program = sandbox_program(names, more);
    db = db_open(&conf, "sandbox");
    if (db != NULL && program == NULL)
        err_set(ERR_FAILED, "there is no program %s", names[0]);
    else if (db != NULL && db_exec(db, "USE mysql") == 0 &&
        zones_engine(db, "MyISAM") == 0 && pipe_zones(db, program) == 0)
        rc = zones_engine(db, "Aria TRANSACTIONAL=1");
    if (rc < 0 && !stop_asked()) {
        log_warn("the source knows time zones by name, the sandbox does not "
                 "(%s): events in such a zone are left out, and statements of "
                 "the log that were made in one stop the replay; on Debian "
                 "mariadb-client and tzdata have what is needed",
            err_text());
        err_clear();
        rc = 0;
    }
    db_close(db);
    free(program);
    free(more);
    return rc;
}
