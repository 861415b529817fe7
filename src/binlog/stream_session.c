/*
 * stream_session.c -- one connection, from its begin to its end.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/log_mark.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "stream_impl.h"

#define WAIT_US 250000  /* for an event, so that a stop is seen soon */
#define QUIET_US 100000 /* without an event: what is pending is flushed */
#define ASK_US 3000000  /* between questions for the server's clock */
#define ASK_SEMISYNC_US 1000000 /* and whether it waits */
#define ACK_US 5000 /* longest wait for more, while the server waits */
#define STALL_MAX_US 600000000 /* see stall_check() */
#define LATER_MAX_US 30000000  /* for the server's files, with `once` */
#define IDLE_MARK_US 10000000  /* between marks that only tell the time */

/* Begin a new segment within the server's file. */
static int
cut(struct stream *s)
{
    uint32_t created;

    if (stream_store_close(s) < 0)
        return -1;
    created = s->tail.start.source_created;
    return stream_store_begin(s, created);
}

/* Takes why.  pos: where the next transaction can begin. */
static int
cut_for_gap(struct stream *s, char *why, uint64_t pos)
{
    uint32_t created;

    if (stream_store_close(s) < 0) {
        free(why);
        return -1;
    }
    s->from.cause = SEGMENT_GAP;
    free(s->from.why);
    s->from.why = why;
    free(s->from.file);
    s->from.file = xstrdup(repl_file(s->repl));
    s->from.pos = pos;
    created = s->tail.start.source_created;
    return stream_store_begin(s, created);
}

/*
 * The server tells that events are missing from its log.  The gap begins before
 * this event: so it is on record even if we die now, for until it is, the event
 * comes again.
 */
static int
incident(struct stream *s, const struct event *e)
{
    const struct segment_state *now = segment_now(s->writer);
    const char *file = repl_file(s->repl);
    uint64_t pos = repl_offset(s->repl);
    char *why = xasprintf("the server reported an incident in %s before byte "
                          "%" PRIu64 ": events are missing from its log there",
        file, pos);

    /* After a reconnect what is not part of a transaction comes again. */
    bool known = strcmp(now->source_file, file) == 0 && pos <= now->source_pos;

    /* The place is after the event, so that it is known when it comes again. */
    if (!known && cut_for_gap(s, why, pos) < 0)
        return -1;
    if (known)
        free(why);
    return stream_store_event(s, e, GROUP_OUTSIDE);
}

static void
note_gtid(struct stream *s, const struct event *e)
{
    s->gtid_event = *e;
    buf_reset(&s->gtid_raw);
    buf_add(&s->gtid_raw, e->raw, e->size);
    s->gtid_at = repl_offset(s->repl) - e->size;
}

/* Of a restore into another server its replicas have nothing.  While a restore
 * is at work the server has another number. */
static bool
is_own(struct stream *s, uint32_t id)
{
    uint64_t now = id;

    if (id == s->server.server_id)
        return true;
    if (s->side == NULL ||
        db_value_u64(s->side, &now, "SELECT @@global.server_id") < 0)
        err_clear();
    return now == id;
}

/*
 * Something was restored into the server, which its log does not have
 * (log_mark.h).  The gap begins before the transaction that tells so, and it is
 * on record even if we die now.  The Gtid with which that one begins is stored
 * already: it ends the segment as a part that counts as nothing, and is stored
 * again.
 */
static int
restored(struct stream *s)
{
    struct event gtid = s->gtid_event;
    char *why =
        xasprintf("a restore into the server was begun or done in %s at "
                  "byte %" PRIu64 ", and what it changed is not in "
                  "the server's log",
            repl_file(s->repl), s->gtid_at);
    int step;

    if (cut_for_gap(s, why, s->gtid_at) < 0)
        return -1;
    gtid.raw = s->gtid_raw.data;
    gtid.body = gtid.raw + EVENT_HEADER_SIZE;
    if ((step = group_next(&s->group, &gtid)) < 0)
        return -1;
    return stream_store_event(s, &gtid, step);
}

/* The server begins with a file, or with the next one. */
static enum outcome
format_event(struct stream *s, const struct event *e)
{
    char *why = NULL;

    if (!s->checked && s->from.cause == SEGMENT_NEXT &&
        !identity_check_file(
            &s->server, &s->tail, repl_file(s->repl), e->timestamp, &why)) {
        err_set(ERR_GAP, "%s", why);
        free(why);
        return OUTCOME_SOURCE;
    }
    if (!s->checked && ack_before(s, e->timestamp) < 0)
        return OUTCOME_SOURCE;
    s->checked = true;
    stream_is_back(s);
    if (stream_store_close(s) < 0 || stream_store_begin(s, e->timestamp) < 0)
        return OUTCOME_FAULT;
    stream_tell(s, true);
    return OUTCOME_GO_ON;
}

/* The first transaction that comes after a place that is known. */
static enum outcome
first_group(struct stream *s, const struct event *e)
{
    char *why = NULL;

    s->placed = true;
    if (identity_check_place(&s->tail, repl_file(s->repl), e, &why))
        return OUTCOME_GO_ON;
    err_set(ERR_GAP, "%s", why);
    free(why);
    return OUTCOME_SOURCE;
}

/*
 * What the server did not tell when we connected, now that it does.  If it is
 * not the log that the repository has, transactions of it are there by now; the
 * gap that follows them says so.
 */
static enum outcome
later_settle(struct stream *s, uint64_t wait_us)
{
    char *why = NULL, *since;
    int rc =
        s->later == NULL ? LATER_OPEN : later_result(s->later, wait_us, &why);

    if (rc == LATER_OPEN)
        return OUTCOME_GO_ON;
    if (rc == 0) {
        since = gtid_pos_text(later_since(s->later));
        err_set(ERR_GAP,
            "%s; this was not known at once: what follows '%s' in the segment "
            "before may be of another log",
            why, since);
        free(since);
    }
    free(why);
    later_free(s->later);
    s->later = NULL;
    s->agrees = rc == 1;
    if (rc <= 0 || ack_before_settle(s) < 0)
        return OUTCOME_SOURCE;
    return OUTCOME_GO_ON;
}

static enum outcome
event(struct stream *s, const struct event *e)
{
    int step;

    if (e->type == EV_FORMAT)
        return format_event(s, e);
    /* Not in the server's file; or, the last, only of use in it. */
    if (e->type == EV_HEARTBEAT || (e->flags & EVENT_FLAG_ARTIFICIAL) != 0 ||
        (e->type == EV_ROTATE && e->timestamp == 0) ||
        e->type == EV_START_ENCRYPTION)
        return OUTCOME_GO_ON;
    s->event_us = time_mono_us();
    if (s->writer == NULL) {
        err_set(ERR_VERIFY, "the server sent %s before Format_description",
            event_type_text(e->type));
        return OUTCOME_SOURCE;
    }
    if (e->type == EV_GTID && !s->placed && first_group(s, e) != OUTCOME_GO_ON)
        return OUTCOME_SOURCE;
    if (e->type == EV_INCIDENT)
        return incident(s, e) < 0 ? OUTCOME_FAULT : OUTCOME_GO_ON;
    if (e->type == EV_GTID)
        note_gtid(s, e);
    else if (s->group.open && s->group.standalone && log_mark_is(e) &&
        is_own(s, e->server_id) && restored(s) < 0)
        return OUTCOME_FAULT;
    if ((step = group_next(&s->group, e)) < 0) {
        err_wrap("%s, before byte %" PRIu64, repl_file(s->repl),
            repl_offset(s->repl));
        return OUTCOME_SOURCE;
    }
    return stream_store_event(s, e, step) < 0 ? OUTCOME_FAULT : OUTCOME_GO_ON;
}

/* Ask for the server's clock, and whether it waits for us.  The connection for
 * questions may be lost while the other lives: then it is made again, or the
 * answer is missed. */
static void
ask(struct stream *s, uint64_t now)
{
    bool clock = s->caught.moment_us == 0 &&
        (s->pace.ask || now - s->caught.asked_us >= ASK_US);
    bool semi = s->conf->semisync && now - s->semi.asked_us >= ASK_SEMISYNC_US;

    s->pace.ask = false;
    if (!clock && !semi)
        return;
    if (clock)
        s->caught.asked_us = now; /* also where it fails */
    if (semi)
        s->semi.asked_us = now;
    if (s->side == NULL)
        s->side = db_open(&s->source, "source");
    if (s->side != NULL && (!clock || caught_ask(s) == 0) &&
        (!semi || semisync_ask(s) == 0))
        return;
    log_debug("asking the server: %s", err_text());
    err_clear();
    db_close(s->side);
    s->side = NULL;
}

static bool
cut_is_due(const struct stream *s, uint64_t now)
{
    return !s->group.open &&
        (segment_bytes(s->writer) >= s->conf->segment_bytes ||
            now - s->begun_us >= s->conf->segment_us);
}

/*
 * The server has told of a transaction some time ago, and sends nothing.  After
 * a RESET MASTER it does so for ever: its thread waits at the end of a file
 * that is not there any more.  A new connection will tell.
 */
static int
stall_check(struct stream *s, uint64_t now)
{
    if (s->caught.moment_us == 0 || now - s->caught.asked_us < s->stall_us ||
        now - s->event_us < s->stall_us)
        return 0;
    s->stall_us = MIN(2 * s->stall_us, STALL_MAX_US);
    return err_set(ERR_UNREACHABLE,
        "the server has transactions that it does not send (RESET MASTER?)");
}

/* quiet: no event is there. */
static bool
flush_is_due(const struct stream *s, uint64_t now, bool quiet)
{
    uint64_t flush_us = s->conf->flush_us;

    /* One flush for all that the server has sent by now. */
    if (s->ack.since_us != 0 && (quiet || now - s->ack.since_us >= ACK_US))
        return true;
    if (s->dirty_since_us != 0 &&
        (now - s->dirty_since_us >= flush_us ||
            (quiet && now - s->flushed_us >= flush_us)))
        return true;
    return s->caught.known_us >=
        segment_now(s->writer)->complete_until_us + IDLE_MARK_US;
}

static enum outcome
flush(struct stream *s)
{
    if (stream_store_flush(s) < 0)
        return OUTCOME_FAULT;
    return ack_flushed(s) < 0 ? OUTCOME_SOURCE : OUTCOME_GO_ON;
}

/* What is due by the clock. */
static enum outcome
tick(struct stream *s, bool quiet)
{
    uint64_t now = time_mono_us();
    enum outcome what = OUTCOME_GO_ON;

    if (s->writer == NULL)
        return OUTCOME_GO_ON;
    if (s->ack.since_us == 0)
        ask(s, now);
    if (flush_is_due(s, now, quiet))
        what = flush(s);
    if (what == OUTCOME_GO_ON && cut_is_due(s, now) && cut(s) < 0)
        what = OUTCOME_FAULT;
    if (what == OUTCOME_GO_ON)
        what = later_settle(s, 0);
    if (what == OUTCOME_GO_ON && ack_settle(s) < 0)
        what = OUTCOME_SOURCE;
    if (what == OUTCOME_GO_ON && ack_wants_to_begin(s)) {
        log_info("connecting again, to acknowledge");
        what = OUTCOME_AGAIN;
    }
    stream_tell(s, false);
    return what;
}

static uint64_t
wait_us(const struct stream *s)
{
    uint64_t since;

    if (s->ack.since_us != 0)
        return 0;
    if (s->dirty_since_us == 0)
        return WAIT_US;
    since = time_mono_us() - s->dirty_since_us;
    if (since >= s->conf->flush_us)
        return 0;
    return MIN(QUIET_US, s->conf->flush_us - since);
}

/* The log's end, with `once`. */
static enum outcome
end(struct stream *s)
{
    if (later_settle(s, LATER_MAX_US) != OUTCOME_GO_ON)
        return OUTCOME_SOURCE;
    if (s->later != NULL) {
        err_set(ERR_UNREACHABLE, "the server does not tell its files");
        return OUTCOME_SOURCE;
    }
    /* A position is told a moment before its events are in the file. */
    if (s->caught.moment_us != 0)
        return OUTCOME_AGAIN;
    return OUTCOME_END;
}

static enum outcome
stream_events(struct stream *s)
{
    enum outcome what = OUTCOME_GO_ON;

    while (what == OUTCOME_GO_ON) {
        struct event e;
        enum repl_got got;

        if (stop_asked())
            return OUTCOME_END;
        if (repl_next(s->repl, wait_us(s), &got, &e) < 0)
            return OUTCOME_SOURCE;
        if (got == REPL_END)
            return end(s);
        if (got == REPL_EVENT) {
            what = event(s, &e);
            ack_note(s);
            /* The rest of a transaction is here: nothing is due before. */
            if (what == OUTCOME_GO_ON && s->group.open && repl_more(s->repl))
                continue;
        } else if (stall_check(s, time_mono_us()) < 0) {
            what = OUTCOME_SOURCE;
        }
        if (what == OUTCOME_GO_ON)
            what = tick(s, got == REPL_IDLE);
        if (what == OUTCOME_GO_ON)
            pace(s, got == REPL_IDLE);
    }
    return what;
}

enum outcome
session_run(struct stream *s)
{
    enum outcome what = OUTCOME_SOURCE;
    struct err_saved *why;

    pace_begin(s);
    if (stream_connect(s) == 0)
        what = stream_events(s);
    if (what == OUTCOME_FAULT) {
        segment_abort(s->writer);
        s->writer = NULL;
    }
    why = err_take();
    if (s->writer != NULL && stream_store_close(s) < 0) {
        err_saved_free(why);
        why = NULL;
        what = OUTCOME_FAULT;
    }
    stream_disconnect(s);
    if (why != NULL)
        err_put(why);
    return what;
}
