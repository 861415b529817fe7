/*
 * backup.c -- one consistent logical backup.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cmd.h"
#include "gentle.h"
#include "pitr/dump.h"
#include "pitr/err.h"
#include "pitr/times.h"
#include "spool.h"

struct backup {
    struct common common;
    unsigned jobs, level;
    uint64_t lock_wait_us;
    struct gentle_conf gentle;
};

#define FIELD(f) offsetof(struct backup, f)
static const struct opt backup_opts[] = {
    {"jobs", 'j', OPT_AUTO, FIELD(jobs), NULL, 1, 64, "N",
        "connections that read (auto: as many as processors)", "jobs"},
    {"level", 0, OPT_AUTO, FIELD(level), "auto", 1, 19, "N",
        "compression level of zstd; auto: what pays, by samples", "level"},
    {"lock-wait", 0, OPT_DURATION, FIELD(lock_wait_us), "2s", 100000,
        3600000000ull, "TIME", "how long a lock may hold up writers at most",
        "lock_wait"},
    {"nice", 0, OPT_UINT, FIELD(gentle.nice), NULL, 1, 19, "N",
        "priority of this process: 19 is the lowest", "backup_nice"},
    {"rate", 0, OPT_SIZE, FIELD(gentle.rate), NULL, 65536, 1ull << 40, "SIZE",
        "bytes of rows a second at most", "backup_rate"},
    {"max-load", 0, OPT_UINT, FIELD(gentle.max_load), NULL, 1, 100000, "N",
        "wait while the server runs more statements of others",
        "backup_max_load"},
    {"max-lag", 0, OPT_DURATION, FIELD(gentle.max_lag_us), NULL, 1000000,
        86400000000ull, "TIME",
        "wait while the server, a replica, is further behind",
        "backup_max_lag"},
    {0}};

static int
report(const struct manifest *m)
{
    const struct backup_info *i = &m->info;
    char when[TIME_BOTH], rows[TIME_TEXT], stored[TIME_TEXT], took[TIME_TEXT];
    char *gtid = gtid_pos_text(&i->gtid);
    struct buf text = {0};
    int rc;

    buf_fmt(&text,
        "backup %s: %" PRIu64 " tables, %" PRIu64 " rows, %s; %s stored in "
        "%s\nas of %s\nGTID position %s\n",
        i->id, i->tables, i->rows, size_text(i->row_bytes, rows),
        size_text(i->stored_bytes, stored),
        time_span(i->ended_us - i->begun_us, took),
        time_both(i->snapshot_us, when), *gtid ? gtid : "(empty)");
    rc = report_news(&text);
    buf_free(&text);
    free(gtid);
    return rc;
}

static int
backup_run(void *arg)
{
    struct backup *o = arg;
    const struct conf_server *s = cmd_section(&o->common);
    struct cmd_conn conn = {0};
    struct repo *repo = NULL;
    struct lock *lock = NULL;
    struct spool *spool = NULL;
    struct gentle *gentle = NULL;
    struct manifest *m = NULL;
    int rc = -1;

    if (s == NULL || (repo = cmd_repo_write(s)) == NULL ||
        (lock = repo_lock(repo, "backup")) == NULL ||
        cmd_conn_open(s, &conn) < 0 ||
        gentle_new(&o->gentle, &conn.conf, &gentle) < 0)
        goto out;
    struct dump_conf conf = {.source = &conn.conf,
        .repo = repo,
        .jobs = cmd_jobs(o->jobs),
        .level = (int)o->level,
        .lock_wait_us = o->lock_wait_us};
    if ((spool = spool_new(s, repo)) != NULL) {
        conf.room = spool_room;
        conf.room_arg = spool;
    }
    if (gentle != NULL) {
        conf.pace = gentle_pace;
        conf.pace_arg = gentle;
    }
    if (dump_run(&conf, &m) == 0)
        rc = report(m);

out:
    gentle_free(gentle);
    spool_free(spool);
    manifest_free(m);
    cmd_conn_free(&conn);
    lock_free(lock);
    repo_close(repo);
    return rc;
}

const struct command cmd_backup = {
    .name = "backup",
    .help = "one consistent logical backup",
    .usage = "",
    .opts = backup_opts,
    .size = sizeof(struct backup),
    .run = backup_run,
};
