/*
 * stream_store.c -- events into segments: begin, append, flush, close.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "stream_impl.h"

const struct gtid_pos *
stream_gtid(const struct stream *s)
{
    return s->writer != NULL ? &segment_now(s->writer)->gtid : &s->from.gtid;
}

/* Where the position from which the segment starts is in the file with which
 * it starts; 0 where that cannot be told. */
static uint64_t
start_pos(const struct stream *s)
{
    if (s->from.cause == SEGMENT_NEXT &&
        !identity_same(&s->server, &s->tail.start))
        return 0; /* another server's file, whatever its name is; what is in it
                     before is skipped */
    return strcmp(s->from.file, repl_file(s->repl)) == 0 ? s->from.pos : 4;
}

static void
gap_tell(struct stream *s, const struct segment_start *start)
{
    s->report->gaps++;
    log_warn("GAP in the binary log: %s.  Nothing can be restored to a moment "
             "in it; the log goes on as epoch %" PRIu32
             ".  A backup made from now on is covered again.",
        start->why, start->epoch);
}

/* From here on the next segment goes on where this one ends. */
static void
origin_next(struct stream *s)
{
    s->from.cause = SEGMENT_NEXT;
    free(s->from.why);
    s->from.why = xstrdup("");
    free(s->gap);
    s->gap = NULL;
}

int
stream_store_begin(struct stream *s, uint32_t created)
{
    struct segment_start start = {.cause = s->from.cause,
        .why = xstrdup(s->from.why),
        .started_us = time_now_us(),
        .server_version = xstrdup(s->server.version),
        .source_file = xstrdup(repl_file(s->repl)),
        .source_pos = start_pos(s),
        .source_created = created,
        .server_id = s->server.server_id,
        .server_uid = xstrdup(s->server.uid)};
    int rc = -1;

    gtid_pos_copy(&start.gtid, &s->from.gtid);
    memset(&s->group, 0, sizeof s->group);
    s->writer = segment_begin(s->conf->repo, &s->tail, &start,
        repl_format_event(s->repl), s->conf->level);
    if (s->writer == NULL)
        goto out;
    s->report->segments++;
    if (start.cause != SEGMENT_NEXT)
        s->stored = false;
    s->begun_us = s->flushed_us = time_mono_us();
    s->dirty_since_us = 0;
    if (segment_is_gap(&start))
        gap_tell(s, &start);
    log_debug("segment %" PRIu64 " of %s begun", start.seq, start.source_file);
    origin_next(s);
    rc = 0;

out:
    segment_start_free(&start);
    return rc;
}

int
stream_store_event(struct stream *s, const struct event *e, int step)
{
    if (segment_event(
            s->writer, e, step, &s->group.gtid, repl_offset(s->repl)) < 0)
        return -1;
    if (s->dirty_since_us == 0)
        s->dirty_since_us =
            s->pace.since_us != 0 ? s->pace.since_us : time_mono_us();
    s->report->bytes += e->size;
    if (step == GROUP_END) {
        s->report->groups++;
        s->stored = true;
        caught_group(&s->caught, &s->group.gtid.gtid);
    }
    return 0;
}

int
stream_store_flush(struct stream *s)
{
    if (segment_flush(s->writer, s->caught.known_us) < 0)
        return -1;
    s->flushed_us = time_mono_us();
    s->dirty_since_us = 0;
    return 0;
}

/* Of many segments, now and then; the log goes on without it. */
static void
index_log(struct stream *s)
{
    if (s->tail.last_seq < s->index_due ||
        segment_index_update(s->conf->repo, &s->index_due) == 0)
        return;
    s->index_due = s->tail.last_seq + 100; /* later again */
    if (!stop_asked())
        log_warn("an index of the log was not written, which costs readers "
                 "time and no more: %s",
            err_text());
    err_clear();
}

int
stream_store_close(struct stream *s)
{
    struct segment_writer *w = s->writer;

    if (w == NULL)
        return 0;
    /* The final mark shall tell it as well. */
    if (s->caught.known_us > segment_now(w)->complete_until_us &&
        stream_store_flush(s) < 0)
        return -1;
    s->writer = NULL;
    s->dirty_since_us = 0;
    if (segment_close(w, &s->tail) < 0)
        return -1;
    index_log(s);
    gtid_pos_copy(&s->from.gtid, &s->tail.state.gtid);
    free(s->from.file);
    s->from.file = xstrdup(s->tail.state.source_file);
    s->from.pos = s->tail.state.source_pos;
    return 0;
}
