/*
 * check.c -- is everything in place?  The server's settings, the account's
 * grants, the keys, the repository; others look at the stream and the vaults.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>

#include "check.h"
#include "cmd.h"
#include "pitr/dump.h"
#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"

struct check {
    struct common common;
    bool grants;
    uint64_t wait_us;
};

/* max_lag, as of `status`. */
#define LAG_US (UINT64_C(300) * 1000000)

#define FIELD(f) offsetof(struct check, f)
static const struct opt check_opts[] = {
    {"grants", 0, OPT_FLAG, FIELD(grants), NULL, 0, 0, NULL,
        "only print the statements that make the account, for an "
        "administrator to run",
        NULL},
    {"wait", 0, OPT_DURATION, FIELD(wait_us), "15s", 0, 3600000000ull, "TIME",
        "how long the marker may take to arrive", NULL},
    {0}};

void
check_good(struct findings *f, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (!log_quiet())
        buf_fmt(&f->text, "ok    %s\n", line);
}

void
check_doubt(struct findings *f, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_fmt(&f->text, "warn  %s\n", line);
    f->warnings++;
}

void
check_fault(struct findings *f)
{
    buf_fmt(&f->text, "FAIL  %s\n", err_text());
    if (*err_hint_text() != '\0')
        buf_fmt(&f->text, "      %s\n", err_hint_text());
    if (f->faults++ == 0)
        f->kind = err_kind();
    err_clear();
}

/* --- the server's settings --- */

static bool
is_on(const char *v)
{
    return strcmp(v, "1") == 0 || strcasecmp(v, "ON") == 0;
}

/* A setting with a wanted value: rows of a table. */
static const struct setting {
    const char *name;
    const char *want;   /* compared without case */
    const char *advice; /* when it is another */
} settings[] = {
    {"binlog_format", "ROW",
        "other formats log statements, of which some do not give the same "
        "rows again; set binlog_format=ROW"},
    {"binlog_row_image", "FULL",
        "it is restored exactly, but is of less use to look into"},
    {"sync_binlog", "1",
        "after a power failure the log may lack what was committed; set "
        "sync_binlog=1"},
    {"innodb_flush_log_at_trx_commit", "1",
        "after a power failure the data may lack what is in the log; set it "
        "to 1"},
    {"binlog_checksum", "CRC32",
        "faults of the disk under the log stay unseen; set "
        "binlog_checksum=CRC32"},
};

int
check_variable(struct db *db, const char *name, char **out)
{
    int rc = db_value(db, out, "SELECT @@GLOBAL.%s", name);

    if (rc == 0 || (rc == 1 && *out == NULL))
        return err_set(ERR_FAILED, "the server has no variable %s", name);
    return rc < 0 ? -1 : 0;
}

static void
check_log_bin(struct db *db, struct findings *f)
{
    char *on = NULL;

    if (check_variable(db, "log_bin", &on) < 0) {
        check_fault(f);
    } else if (!is_on(on)) {
        err_set(ERR_FAILED, "the server writes no binary log (log_bin=OFF)");
        err_hint("Set log_bin in its configuration, e.g. [mariadb] log_bin, "
                 "server_id=1, and restart it.");
        check_fault(f);
    } else {
        check_good(f, "log_bin is on");
    }
    free(on);
}

static void
check_settings(struct db *db, struct findings *f)
{
    char *v;

    for (size_t i = 0; i < NELEM(settings); i++) {
        const struct setting *s = &settings[i];

        v = NULL;
        if (check_variable(db, s->name, &v) < 0)
            check_fault(f);
        else if (strcasecmp(v, s->want) != 0)
            check_doubt(f, "%s=%s: %s", s->name, v, s->advice);
        else
            check_good(f, "%s=%s", s->name, v);
        free(v);
    }
}

/* Logs that are purged too early cannot be captured after an outage. */
static void
check_expiry(struct db *db, struct findings *f)
{
    char *v = NULL;
    uint64_t s;

    if (check_variable(db, "expire_logs_days", &v) < 0) {
        check_fault(f);
        return;
    }
    s = (uint64_t)(strtod(v, NULL) * 86400);
    free(v);
    v = NULL;
    if (db_version(db) >= 100601 &&
        check_variable(db, "binlog_expire_logs_seconds", &v) == 0 &&
        strtoull(v, NULL, 10) > 0)
        s = strtoull(v, NULL, 10);
    free(v);
    err_clear();
    if (s == 0)
        check_doubt(f,
            "binary logs are never purged: watch the disk, or set "
            "expire_logs_days");
    else if (s < 2 * 86400)
        check_doubt(f,
            "binary logs are purged after %.1f hours: a stream that "
            "stands still for longer leaves a gap; keep 2 days or more",
            (double)s / 3600);
    else
        check_good(f, "binary logs are kept for %.1f days", (double)s / 86400);
}

/* What is filtered out of the log cannot be restored from it. */
static void
check_filters(struct db *db, struct findings *f)
{
    struct db_result r;
    const char *db_do, *db_ignore;

    if (db_query(db, &r, "SHOW MASTER STATUS") < 0) {
        check_fault(f);
        return;
    }
    if (r.rows > 0) {
        db_do = db_cell_by(&r, 0, "Binlog_Do_DB");
        db_ignore = db_cell_by(&r, 0, "Binlog_Ignore_DB");
        if ((db_do != NULL && *db_do) || (db_ignore != NULL && *db_ignore))
            check_doubt(f,
                "binlog_do_db/binlog_ignore_db are set: writes to some "
                "schemas are not in the log and only as new as the last "
                "backup");
        else
            check_good(f, "the log has writes to every schema");
    }
    db_result_free(&r);
}

static void
check_updates(struct db *db, struct findings *f)
{
    const char *why;
    int rc = dump_log_lacks(db, &why);

    if (rc < 0)
        check_fault(f);
    else if (rc > 0)
        check_doubt(f, "%s; set log_slave_updates and restart it", why);
    else
        check_good(f, "the log has what is changed on this server");
}

static void
check_server_id(struct db *db, struct findings *f)
{
    uint64_t id;

    if (db_value_u64(db, &id, "SELECT @@GLOBAL.server_id") < 0)
        check_fault(f);
    else if (id <= 1)
        check_doubt(f,
            "server_id=%" PRIu64 " is the default: servers that share it "
            "cannot be told apart; give each its own",
            id);
    else
        check_good(f, "server_id=%" PRIu64, id);
}

static void
check_grants(struct db *db, struct findings *f)
{
    struct buf missing = {0};
    int rc = dump_missing_grants(db, &missing);

    if (rc == 0 && missing.len > 0) {
        err_set(
            ERR_FAILED, "the account lacks privileges: %s", buf_cstr(&missing));
        err_hint("\"pitr check --grants\" prints the statements to run.");
        rc = -1;
    }
    if (rc < 0)
        check_fault(f);
    else
        check_good(f, "the account has the privileges that it needs");
    buf_free(&missing);
}

/* --- the repository --- */

static void
check_space(const struct repo *r, struct findings *f)
{
    struct statvfs v;
    char text[TIME_TEXT];
    uint64_t left;

    if (statvfs(r->local_path, &v) != 0) {
        err_sys(ERR_FAILED, "%s", r->local_path);
        check_fault(f);
        return;
    }
    left = (uint64_t)v.f_bavail * v.f_frsize;
    if (left < v.f_blocks * v.f_frsize / 20)
        check_doubt(f, "only %s are left on the repository's disk",
            size_text(left, text));
    else
        check_good(
            f, "%s are left on the repository's disk", size_text(left, text));
}

static struct repo *
check_repository(const struct conf_server *s, struct findings *f)
{
    struct repo *r = cmd_repo_write(s);
    struct catalog *c;

    if (r == NULL) {
        check_fault(f);
        return NULL;
    }
    check_good(
        f, "repository %s, signing key %s", s->repository, s->signing_key);
    check_space(r, f);
    if ((c = catalog_load(r)) == NULL)
        check_fault(f);
    else if (c->backups == 0)
        check_doubt(f, "there is no backup yet: run \"pitr backup\"");
    else if (c->breaks > 0) {
        err_set(
            ERR_VERIFY, "the log is broken: %s", catalog_break(c, 0)->broken);
        check_fault(f);
    } else
        check_good(f, "%zu backup%s, %zu segment%s, every link holds",
            c->backups, c->backups == 1 ? "" : "s", c->segments,
            c->segments == 1 ? "" : "s");
    catalog_free(c);
    return r;
}

static int
print_grants(const struct conf_server *s)
{
    struct buf text = {0};
    struct cmd_conn conn;
    struct db *db = NULL;
    unsigned version = 101100; /* where the server cannot be asked yet */
    char *account, *grants;
    bool local = s->host == NULL || strcmp(s->host, "localhost") == 0;
    int rc;

    if (cmd_conn_open(s, &conn) == 0 &&
        (db = db_open(&conn.conf, "source")) != NULL)
        version = db_version(db);
    err_clear();
    account = xasprintf("'%s'@'%s'", s->user == NULL ? "pitr" : s->user,
        local ? "localhost" : "%");
    grants = dump_grants(version, account);
    buf_fmt(&text,
        "-- give it a password: IDENTIFIED BY '...', or, over the "
        "socket, IDENTIFIED VIA unix_socket\n"
        "CREATE USER IF NOT EXISTS %s;\n%s;\n",
        account, grants);
    rc = report_out(&text);
    free(account);
    free(grants);
    buf_free(&text);
    db_close(db);
    cmd_conn_free(&conn);
    return rc;
}

static struct db *
check_connection(
    const struct conf_server *s, struct cmd_conn *conn, struct findings *f)
{
    struct db *db;

    if (cmd_conn_open(s, conn) < 0 ||
        (db = db_open(&conn->conf, "source")) == NULL) {
        check_fault(f);
        return NULL;
    }
    check_good(f, "MariaDB %s at %s", db_version_text(db), db_where(db));
    return db;
}

static int
conclude(struct findings *f)
{
    int rc = report_out(&f->text);

    if (rc == 0 && f->faults > 0)
        rc = err_set(f->kind == ERR_NONE ? ERR_FAILED : f->kind,
            "%u fault%s, %u warning%s", f->faults, f->faults == 1 ? "" : "s",
            f->warnings, f->warnings == 1 ? "" : "s");
    else if (rc == 0 && f->warnings > 0)
        log_warn(
            "%u thing%s to look at", f->warnings, f->warnings == 1 ? "" : "s");
    buf_free(&f->text);
    return rc;
}

static int
check_run(void *arg)
{
    struct check *o = arg;
    const struct conf_server *s = cmd_section(&o->common);
    struct findings f = {0};
    struct cmd_conn conn = {0};
    struct check_marker marker = {.wait_us = o->wait_us};
    struct repo *repo;
    struct db *db;

    if (s == NULL)
        return -1;
    if (o->grants)
        return print_grants(s);
    if ((db = check_connection(s, &conn, &f)) != NULL) {
        check_log_bin(db, &f);
        check_server_id(db, &f);
        check_settings(db, &f);
        check_expiry(db, &f);
        check_filters(db, &f);
        check_updates(db, &f);
        check_grants(db, &f);
        check_semisync(db, s, &f);
    }
    repo = check_repository(s, &f);
    if (db != NULL && repo != NULL)
        check_stream(
            db, repo, s->max_lag_us != 0 ? s->max_lag_us : LAG_US, &f, &marker);
    check_vaults(s, &marker, &f);
    db_close(db);
    repo_close(repo);
    cmd_conn_free(&conn);
    return conclude(&f);
}

const struct command cmd_check = {
    .name = "check",
    .help = "is everything in place? settings, grants, keys, repository",
    .usage = "",
    .opts = check_opts,
    .size = sizeof(struct check),
    .run = check_run,
};
