/*
 * stream.c -- the stream as a whole: connections, one after the other.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "stream_impl.h"

#define PAUSE_US 200000 /* the first one between attempts */
#define ANSWER_S 60     /* time limit for an answer of the server */
#define BARREN_MAX 20   /* attempts without any transaction in between */
#define SAME_ID_TEXT "same server_uuid/server_id"

#define LASTED_US 30000000 /* a connection that was of use */

/*
 * A connection that is silent for some heartbeats and a minute is given up
 * (repl.h).  But a server that looks for our position in a very large file is
 * silent, too: where nothing else was gained, wait longer the next time.
 */
#define HEARTBEAT_US 10000000
#define HEARTBEAT_MAX_US 300000000
#define STALL_US 10000000

/* Attempts to hold a connection. */
struct tries {
    uint64_t pause_us;
    unsigned barren; /* in a row, that failed otherwise than by being lost */
    uint64_t groups; /* of the report, at the last attempt */
};

static void
outage_begins(struct stream *s)
{
    if (s->lost_us != 0) {
        log_debug("%s", err_text());
        return;
    }
    s->lost_us = time_mono_us();
    free(s->lost_why);
    s->lost_why = xstrdup(err_text());
    log_warn("the stream is interrupted: %s; trying again", err_text());
}

void
stream_is_back(struct stream *s)
{
    char span[TIME_TEXT];

    s->streamed = true;
    if (s->lost_us == 0)
        return;
    log_info("the stream is back after %s",
        time_span(time_mono_us() - s->lost_us, span));
    s->lost_us = 0;
}

/* Why there is a gap; of another server's refusal more than it can know. */
static char *
gap_text(const struct stream *s)
{
    uint32_t was = s->tail.start.server_id, is = s->server.server_id;

    if (s->tail.name == NULL || is == was)
        return xstrdup(err_text());
    return xasprintf("server %" PRIu32 " does not have all that was read of "
                     "server %" PRIu32 ", which it follows: that was lost with "
                     "it, or is another log (%s)",
        is, was, err_text());
}

/*
 * The connection failed; err says how.  0: try again, after the pause; -1: it
 * is of no use.
 */
static int
source_failed(struct stream *s, struct tries *t, bool moved)
{
    bool may_retry = ++t->barren <= BARREN_MAX;

    if (err_kind() == ERR_UNREACHABLE && (!s->conf->once || moved)) {
        t->barren--;
        outage_begins(s);
        return 0;
    }
    if (err_kind() == ERR_GAP && may_retry) {
        if (s->gap == NULL)
            s->gap = gap_text(s);
        return 0;
    }
    if (strstr(err_text(), SAME_ID_TEXT) != NULL && s->conf->server_id == 0 &&
        may_retry) {
        log_info("another replica has server_id %" PRIu32 "; taking another",
            s->server_id);
        s->server_id = 0;
        return 0;
    }
    /* Bytes that were damaged on their way come right the next time; and so
     * may what was refused now, but was not before. */
    if ((err_kind() == ERR_VERIFY || s->streamed) && may_retry) {
        outage_begins(s);
        return 0;
    }
    return -1;
}

/* With `once`: the log ended before the position that the server told. */
static int
again(struct tries *t)
{
    t->pause_us = PAUSE_US;
    if (++t->barren <= BARREN_MAX)
        return 0;
    return err_set(ERR_FAILED,
        "the server's log ends before its position (@@gtid_binlog_pos)");
}

static void
pause_between(struct stream *s, struct tries *t)
{
    stream_tell(s, true);
    stop_sleep_us(t->pause_us);
    t->pause_us = MIN(t->pause_us * 2, MAX(s->conf->retry_us, PAUSE_US));
}

static void
patience_reset(struct stream *s)
{
    s->heartbeat_us = HEARTBEAT_US;
    s->stall_us = STALL_US;
}

static int
attempts(struct stream *s)
{
    struct tries t = {.pause_us = PAUSE_US};

    patience_reset(s);
    while (!stop_asked()) {
        uint64_t began = time_mono_us();
        enum outcome what = session_run(s);
        bool moved =
            s->report->groups != t.groups || time_mono_us() - began > LASTED_US;

        if (s->report->groups != t.groups)
            patience_reset(s);
        else if (moved)
            s->heartbeat_us = MIN(2 * s->heartbeat_us, HEARTBEAT_MAX_US);
        t.groups = s->report->groups;
        if (moved) {
            t.pause_us = PAUSE_US;
            t.barren = 0;
        }
        if (what == OUTCOME_FAULT)
            return -1;
        if (what == OUTCOME_END || stop_asked())
            return 0;
        if (what == OUTCOME_SOURCE && source_failed(s, &t, moved) < 0)
            return -1;
        if (what == OUTCOME_AGAIN && again(&t) < 0)
            return -1;
        err_clear();
        s->report->reconnects++;
        pause_between(s, &t);
    }
    return 0;
}

static void
stream_free(struct stream *s)
{
    stream_disconnect(s);
    segment_abort(s->writer);
    segment_tail_free(&s->tail);
    identity_free(&s->server);
    origin_free(&s->from);
    free(s->gap);
    buf_free(&s->gtid_raw);
    gtid_pos_free(&s->caught.missing);
    free(s->ack.file);
    free(s->ack.name);
    free(s->before.file);
    for (size_t i = 0; i < ACKS_MAX; i++) {
        free(s->acks.v[i].file);
        free(s->acks.v[i].name);
    }
    free(s->lost_why);
}

int
stream_run(const struct stream_conf *conf, struct stream_report *out)
{
    struct stream s = {.conf = conf,
        .report = out,
        .source = *conf->source,
        .started_us = time_now_us()};
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (s.source.read_timeout_s == 0)
        s.source.read_timeout_s = ANSWER_S;
    if (segment_tail_find(conf->repo, &s.tail) >= 0 &&
        segment_tail_sync(conf->repo, &s.tail) == 0) {
        s.stored =
            s.tail.name != NULL && segment_tail_stored(conf->repo, &s.tail);
        rc = attempts(&s);
    }
    s.failed = rc < 0;
    stream_tell(&s, true);
    if (rc == 0 && conf->once && out->gaps > 0) {
        rc = err_set(ERR_GAP, "the binary log had %" PRIu64 " gap%s", out->gaps,
            out->gaps == 1 ? "" : "s");
        err_hint("All that is there is in now; \"pitr list\" shows what can be "
                 "restored.  Make a backup soon.");
    }
    stream_free(&s);
    return rc;
}
