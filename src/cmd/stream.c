/*
 * stream.c -- capture the binary log.
 */
#include <inttypes.h>
#include <string.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/stream.h"
#include "pitr/times.h"
#include "spool.h"
#include "vaults.h"

enum acknowledge { ACK_NO, ACK_LOCAL, ACK_VAULT };

struct stream {
    struct common common;
    bool once;
    const char *acknowledge;
    unsigned level, server_id;
    uint64_t flush_us, segment_bytes, segment_us, retry_us;
};

#define FIELD(f) offsetof(struct stream, f)
static const struct opt stream_opts[] = {
    {"once", 0, OPT_FLAG, FIELD(once), NULL, 0, 0, NULL,
        "end when the log as it is now is in the repository (for cron)", NULL},
    {"acknowledge", 0, OPT_WORD, FIELD(acknowledge), "no", 0, 0,
        "local|vault|no",
        "be a semi-synchronous replica, and acknowledge what is on stable "
        "storage here, or on the vaults",
        "acknowledge"},
    {"flush", 0, OPT_DURATION, FIELD(flush_us), "1s", 10000, 60000000, "TIME",
        "a transaction is durable after this at the latest", "flush"},
    {"segment-size", 0, OPT_SIZE, FIELD(segment_bytes), "256M", 65536,
        1ull << 40, "SIZE", "log after which a segment is closed",
        "segment_size"},
    {"segment-age", 0, OPT_DURATION, FIELD(segment_us), "1h", 1000000,
        7 * 86400000000ull, "TIME", "age after which it is closed",
        "segment_age"},
    {"retry", 0, OPT_DURATION, FIELD(retry_us), "30s", 100000, 3600000000ull,
        "TIME", "longest pause before connecting again", "retry"},
    {"level", 0, OPT_AUTO, FIELD(level), "auto", 1, 19, "N",
        "compression level of zstd", "level"},
    {"server-id", 0, OPT_UINT, FIELD(server_id), NULL, 1, UINT32_MAX, "N",
        "as a replica (chosen)", "server_id"},
    {0}};

static int
report(const struct stream_report *r)
{
    char bytes[TIME_TEXT];
    struct buf text = {0};
    int rc;

    buf_fmt(&text,
        "captured %" PRIu64 " transactions, %s, in %" PRIu64 " segment%s\n",
        r->groups, size_text(r->bytes, bytes), r->segments,
        r->segments == 1 ? "" : "s");
    if (r->gaps > 0)
        buf_fmt(&text,
            "%" PRIu64 " gap%s: \"pitr list\" shows what cannot be "
            "restored\n",
            r->gaps, r->gaps == 1 ? "" : "s");
    rc = report_news(&text);
    buf_free(&text);
    return rc;
}

static int
get_acknowledge(
    const struct stream *o, const struct vaults_conf *to, enum acknowledge *how)
{
    static const char *const names[] = {
        [ACK_NO] = "no", [ACK_LOCAL] = "local", [ACK_VAULT] = "vault"};

    *how = ACK_VAULT; /* one of these: OPT_WORD */
    while (*how != ACK_NO && strcmp(o->acknowledge, names[*how]) != 0)
        (*how)--;
    if (*how == ACK_VAULT && !vaults_any(to))
        return err_set(ERR_USAGE,
            "acknowledge = vault, and section [%s] names no vault",
            to->section->name);
    if (*how != ACK_NO && o->once) {
        err_set(ERR_USAGE, "--once does not stay to acknowledge");
        return err_hint("With --acknowledge no it captures what is there.");
    }
    return 0;
}

/* With --once: after the capture.  What goes wrong with a vault has been
 * warned of, and is no failure of the capture. */
static void
ship_once(const struct vaults_conf *c)
{
    struct ship_report sum = {0};

    if (vaults_join(vaults_start(c), &sum) < 0)
        err_clear();
}

/* The capture's own error is the one that counts. */
static void
end_shipping(struct vaults *v)
{
    struct err_saved *e = err_take();

    vaults_stop(v);
    if (vaults_join(v, NULL) < 0)
        err_clear();
    if (e != NULL)
        err_put(e);
}

/* From cron: that the last run is still at it is for nobody's mail. */
static struct lock *
take_lock(const struct stream *o, const struct repo *repo)
{
    struct lock *lock = repo_lock(repo, "stream");

    if (lock == NULL && o->once)
        cmd_busy();
    return lock;
}

static int
stream_cmd_run(void *arg)
{
    struct stream *o = arg;
    const struct conf_server *s = cmd_section(&o->common);
    struct cmd_conn conn = {0};
    struct stream_report r = {0};
    struct repo *repo = NULL;
    struct lock *lock = NULL;
    struct vaults *vaults = NULL;
    struct spool *spool = NULL;
    struct spool_watch *watch = NULL;
    struct vaults_conf to = {.section = s, .once = o->once, .background = true};
    enum acknowledge ack = ACK_NO;
    int rc = -1;

    mem_for_long();
    if (s == NULL || get_acknowledge(o, &to, &ack) < 0 ||
        (ack == ACK_VAULT && (to.watch = ship_watch_new()) == NULL) ||
        (repo = cmd_repo_write(s)) == NULL ||
        (lock = take_lock(o, repo)) == NULL || cmd_conn_open(s, &conn) < 0)
        goto out;
    struct stream_conf conf = {.source = &conn.conf,
        .repo = repo,
        .server_id = o->server_id,
        .once = o->once,
        .flush_us = o->flush_us,
        .segment_bytes = o->segment_bytes,
        .segment_us = o->segment_us,
        .level = (int)o->level,
        .semisync = ack != ACK_NO,
        .durable = to.watch,
        .retry_us = o->retry_us};
    to.limit = s->ship_limit;
    if (!o->once && vaults_any(&to) && (vaults = vaults_start(&to)) == NULL)
        goto out;
    spool = spool_new(s, repo);
    watch = spool_watch_start(spool);
    rc = stream_run(&conf, &r);
    /* Shipping may take long: the next run can capture meanwhile. */
    if (rc == 0 && o->once) {
        lock_free(lock);
        lock = NULL;
    }
    if (rc == 0 && o->once && vaults_any(&to))
        ship_once(&to);
    if (rc == 0)
        rc = report(&r);

out:
    end_shipping(vaults);
    spool_watch_end(watch);
    spool_free(spool);
    ship_watch_free(to.watch);
    cmd_conn_free(&conn);
    lock_free(lock);
    repo_close(repo);
    return rc;
}

const struct command cmd_stream = {
    .name = "stream",
    .help = "capture the binary log without end",
    .usage = "",
    .opts = stream_opts,
    .size = sizeof(struct stream),
    .run = stream_cmd_run,
};
