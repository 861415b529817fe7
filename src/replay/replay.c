/*
 * replay.c -- apply the plan's log: the feed on one side, the target on the
 * other, and this thread watching both.
 */
#include <stdlib.h>
#include <string.h>
#include "feed.h"
#include "pitr/log.h"
#include "pitr/progress.h"
#include "pitr/stop.h"
#include "pitr/times.h"

#define NO_SUCH_TABLE 1146
#define UNKNOWN_TIME_ZONE 1298
#define POLL_US 200000u
#define POLL_END_US 20000u
#define CONNECT_MAX_US 60000000u   /* of the I/O thread, in vain */
#define CONNECT_FIRST_US 15000000u /* the first time */
#define AHEAD_MIN (16u << 20)

/* -1 with what the target's applier said, and where it stands. */
static int
applier_failed(
    struct target *t, const char *what, unsigned number, const char *text)
{
    struct gtid_pos pos = {0};
    char *at;

    if (target_position(t, &pos) < 0)
        err_clear();
    at = gtid_pos_text(&pos);
    gtid_pos_free(&pos);
    err_set(ERR_FAILED, "the target's %s stopped: %u: %s (it stands after %s)",
        what, number, text == NULL ? "" : text, at[0] == '\0' ? "nothing" : at);
    free(at);
    if (number == UNKNOWN_TIME_ZONE)
        return err_hint("Its tables of time zones lack that one.  Run "
                        "mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb "
                        "mysql on the target, then start the restore again.");
    if (number == NO_SUCH_TABLE)
        return err_hint("The log lacks what made that table: a restore into "
                        "the running server, or a session with sql_log_bin=0. "
                        " Begin with a backup that was made after it, "
                        "--backup ID, or end before it, --until.");
    return err_hint("The target is not at the moment asked for.  Its error log "
                    "may tell more; after the cause is removed start the "
                    "restore again from the beginning.");
}

/* The target never reached the feed, or not again. */
static int
connection_failed(const struct target_status *st)
{
    err_set(ERR_FAILED, "the target cannot connect to the replay: %u: %s",
        st->io_errno, st->io_error == NULL ? "" : st->io_error);
    return err_hint("It replicates from a port on 127.0.0.1: it has to run on "
                    "this machine, in the same network namespace, and be "
                    "allowed to connect to a local port.");
}

/* Is all well?  *since: when the I/O thread began to fail to connect. */
static int
check_status(struct target *t, const struct feed *f,
    const struct target_status *st, uint64_t *since)
{
    uint64_t max_us =
        atomic_load(&f->admitted) == 0 ? CONNECT_FIRST_US : CONNECT_MAX_US;

    if (st->sql_errno != 0 && !st->sql_running)
        return applier_failed(t, "applier", st->sql_errno, st->sql_error);
    if (st->io_errno != 0 && !st->io_running)
        return applier_failed(t, "replication", st->io_errno, st->io_error);
    if (!st->sql_running || !st->io_running)
        return applier_failed(t, "replication", 0, "somebody stopped it");
    if (st->io_errno == 0)
        *since = 0;
    else if (*since == 0)
        *since = time_mono_us();
    else if (time_mono_us() - *since > max_us)
        return connection_failed(st);
    return 0;
}

/* How far the feed may go, by what the target's relay log takes. */
static void
set_pace(struct feed *f, const struct target_status *st, uint64_t ahead)
{
    uint64_t sent = atomic_load(&f->sent);
    uint64_t used = st->idle ? 0 : st->relay_bytes;

    feed_allow(f, sent + (used >= ahead ? 0 : ahead - used));
}

/* 1 everything is applied, 0 not yet, -1. */
static int
all_applied(struct target *t, const struct feed *f)
{
    struct gtid_pos pos = {0};
    int rc;

    if (!atomic_load(&f->ended))
        return 0;
    rc = target_position(t, &pos);
    if (rc == 0)
        rc = gtid_pos_equal(&pos, &f->final) ? 1 : 0;
    gtid_pos_free(&pos);
    return rc;
}

static int
replay_watch(struct target *t, struct feed *f, uint64_t ahead)
{
    uint64_t since = 0;

    for (;;) {
        struct target_status st;
        int rc;

        if (stop_asked())
            return stop_error();
        if (atomic_load(&f->failed))
            return feed_stop(f);
        if ((rc = all_applied(t, f)) != 0)
            return rc < 0 ? -1 : 0;
        if (target_status(t, &st) < 0) {
            target_status_free(&st);
            return -1;
        }
        set_pace(f, &st, ahead);
        rc = check_status(t, f, &st, &since);
        target_status_free(&st);
        if (rc < 0) {
            /* The feed knows better why, if it was its fault. */
            return atomic_load(&f->failed) ? feed_stop(f) : -1;
        }
        stop_sleep_us(atomic_load(&f->ended) ? POLL_END_US : POLL_US);
    }
}

static void
report_fill(struct replay_report *out, const struct feed_source *s)
{
    const struct cutoff_state *c = feed_source_cutoff(s);

    out->groups = c->groups;
    out->bytes = feed_source_bytes(s);
    out->last = c->last;
    out->first_out = c->first_out;
    out->any_last = c->any_last;
    out->any_out = c->any_out;
    out->unfinished = feed_opens_text(feed_source_opens(s));
}

static uint64_t
plan_bytes(const struct replay_conf *conf)
{
    uint64_t n = 0;

    for (size_t i = 0; i < conf->plan->segments; i++)
        n += conf->catalog->segment[conf->plan->first_segment + i]
                 .state.complete_bytes;
    return n;
}

/* The target is ready: feed it, and wait until it has applied everything. */
static int
replay_feed(struct target *t, const struct replay_conf *conf, struct feed **out)
{
    struct feed_fold fold = {0};
    struct feed_kept kept = {0};
    struct feed *f = NULL;

    if (target_may_fold(t, &fold) < 0 ||
        feed_kept_read(target_db(t), conf->scope, &kept) < 0) {
        feed_fold_free(&fold);
        feed_kept_free(&kept);
    } else {
        f = feed_start(conf, target_server_id(t), &fold, &kept);
    }
    *out = f;
    if (f == NULL || target_connect(t, f->port, f->password, "") < 0 ||
        replay_watch(t, f, conf->ahead_bytes) < 0)
        return -1;
    return feed_stop(f);
}

/* Everything put back, whatever happened; the first error is the one told. */
static int
replay_finish(struct target *t, struct feed *f, int rc)
{
    struct err_saved *first = rc < 0 ? err_take() : NULL;
    const struct feed_opens *opens = NULL;
    const struct gtid_pos *pos = NULL;
    int end;

    if (rc < 0 && f != NULL) /* nothing more is wanted of it */
        feed_stop(f);
    err_clear();
    if (rc == 0 && f != NULL) {
        opens = feed_source_opens(f->source);
        pos = &feed_source_cutoff(f->source)->done;
    }
    end = target_finish(t, opens, pos);
    if (rc == 0)
        return end;
    if (end < 0)
        log_warn("the target is not as it was: %s", err_text());
    return err_put(first);
}

int
replay_run(const struct replay_conf *given, struct replay_report *out)
{
    struct replay_conf conf = *given;
    uint64_t begun_us = time_mono_us();
    struct target *t;
    struct feed *f = NULL;
    int rc;

    memset(out, 0, sizeof(*out));
    if (conf.ahead_bytes < AHEAD_MIN)
        conf.ahead_bytes = AHEAD_MIN;
    if ((t = target_open(&conf)) == NULL)
        return err_wrap("replay");
    progress_start("replay", plan_bytes(&conf));
    rc = target_prepare(t);
    if (rc == 0 && conf.plan->segments > 0)
        rc = replay_feed(t, &conf, &f);
    rc = replay_finish(t, f, rc);
    progress_stop();
    if (f != NULL)
        report_fill(out, f->source);
    out->replay_us = time_mono_us() - begun_us;
    feed_free(f);
    target_close(t);
    return rc < 0 ? err_wrap("replay") : 0;
}

/* Until the target's I/O thread has logged in; what it makes of the rest is
 * seen when its settings are those of a replay. */
static int
check_connect(struct target *t, struct feed *f)
{
    uint64_t end_us = time_mono_us() + CONNECT_FIRST_US;

    while (atomic_load(&f->admitted) == 0) {
        struct target_status st;
        int rc = 0;

        if (stop_sleep_us(POLL_END_US))
            return stop_error();
        if (target_status(t, &st) < 0)
            rc = -1;
        else if (atomic_load(&f->admitted) == 0 &&
            (time_mono_us() > end_us || (st.io_errno != 0 && !st.io_running)))
            rc = connection_failed(&st);
        target_status_free(&st);
        if (rc < 0)
            return -1;
    }
    return 0;
}

int
replay_end_leftover(const struct db_conf *target)
{
    struct replay_conf conf = {.target = target};
    struct target *t = target_open(&conf);
    int rc = t == NULL ? -1 : target_end_leftover(t);

    target_close(t);
    return rc < 0 ? err_wrap("replay") : 0;
}

int
replay_check(const struct replay_conf *given)
{
    struct replay_conf conf = *given;
    struct err_saved *first = NULL;
    struct target *t;
    struct feed *f = NULL;
    int rc = -1;

    if (conf.plan->segments == 0)
        return 0;
    conf.ahead_bytes = 0; /* nothing is sent */
    if ((t = target_open(&conf)) == NULL)
        return err_wrap("replay");
    if (target_check(t) == 0 &&
        (f = feed_start(&conf, 0, NULL, NULL)) != NULL &&
        target_connect(t, f->port, f->password, "IO_THREAD") == 0 &&
        check_connect(t, f) == 0)
        rc = 0;
    if (rc < 0)
        first = err_take();
    if (target_disconnect(t) < 0 && rc == 0)
        rc = -1;
    else if (first != NULL)
        err_put(first);
    feed_free(f);
    target_close(t);
    return rc < 0 ? err_wrap("replay") : 0;
}
