/*
 * segment_write.c -- the writer of a growing segment.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/segment.h"

struct segment_writer {
    struct sink *chain, *seal;
    char *name;
    struct segment_start start; /* own copy */
    struct segment_state state;
    uint64_t last_seq;
    bool open; /* inside of a transaction */
};

static char *
dup_text(const char *s)
{
    return xstrdup(s == NULL ? "" : s);
}

/* Number the segment and link it to the one before. */
static int
start_link(struct segment_start *start, const struct segment_tail *tail)
{
    bool first = tail == NULL || tail->name == NULL;

    if (first != (start->cause == SEGMENT_FIRST))
        return err_set(
            ERR_FAILED, "a segment's cause does not fit what is before it");
    start->seq = tail == NULL ? 1 : tail->last_seq + 1;
    free(start->prev_name);
    start->prev_name = dup_text(first ? NULL : tail->name);
    start->epoch = 1;
    start->prev_size = 0;
    memset(start->prev_digest, 0, DIGEST_SIZE);
    start->linked = !first && tail->linked;
    memset(start->prev_link, 0, DIGEST_SIZE);
    if (first)
        return 0;
    memcpy(start->prev_link, tail->link, DIGEST_SIZE);
    start->epoch = tail->start.epoch + (start->cause == SEGMENT_GAP);
    start->prev_size = tail->size;
    memcpy(start->prev_digest, tail->digest, DIGEST_SIZE);
    return 0;
}

/* What holds before the first transaction: in a chain, what held at the end of
 * the segment before; but a place in a file is one server's. */
static void
state_begin(struct segment_writer *w, const struct segment_tail *tail)
{
    const struct segment_start *start = &w->start;
    bool next = start->cause == SEGMENT_NEXT;
    bool same = next && start->server_id == tail->start.server_id &&
        strcmp(start->server_uid, tail->start.server_uid) == 0;

    gtid_pos_copy(&w->state.gtid, &start->gtid);
    w->state.source_file =
        xstrdup(same ? tail->state.source_file : start->source_file);
    w->state.source_pos = same ? tail->state.source_pos : start->source_pos;
    w->state.complete_until_us = next ? tail->state.complete_until_us : 0;
}

static int
append(struct segment_writer *w, const void *p, size_t n)
{
    if (sink_write(w->chain, p, n) < 0)
        return err_wrap("%s", w->name);
    w->state.bytes += n;
    return 0;
}

static void
set_note(struct segment_writer *w)
{
    struct buf note = {0};

    segment_state_format(&w->state, &note);
    seal_set_meta(w->seal, note.data, note.len);
    buf_free(&note);
}

struct segment_writer *
segment_begin(struct repo *r, const struct segment_tail *tail,
    struct segment_start *start, const struct buf *format, int level)
{
    struct segment_writer *w = NULL;
    struct buf note = {0};

    if (start_link(start, tail) < 0)
        goto fail;
    segment_start_format(start, &note);
    w = xcalloc(1, sizeof *w);
    if (segment_start_parse(note.data, note.len, &w->start) < 0)
        goto fail;
    w->last_seq = start->seq;
    w->name = segment_name(start->epoch, start->seq, start->started_us);
    state_begin(w, tail);
    w->chain = repo_put(
        r, SEAL_SEGMENT, w->name, &note, level, STORE_GROWING, &w->seal);
    if (w->chain == NULL) {
        err_wrap("%s", w->name);
        goto fail;
    }
    if (append(w, BINLOG_MAGIC, strlen(BINLOG_MAGIC)) < 0 ||
        append(w, format->data, format->len) < 0)
        goto fail;
    w->state.complete_bytes = w->state.bytes;
    if (segment_flush(w, 0) < 0)
        goto fail;
    buf_free(&note);
    return w;

fail:
    segment_abort(w);
    buf_free(&note);
    return NULL;
}

/* A transaction is whole. */
static void
group_done(
    struct segment_writer *w, const struct event_gtid *gtid, uint64_t pos)
{
    struct segment_state *s = &w->state;

    if (s->groups++ == 0)
        s->first_us = gtid->time_us;
    s->newest_us = MAX(s->newest_us, gtid->time_us);
    gtid_pos_set(&s->gtid, &gtid->gtid);
    if (strcmp(s->source_file, w->start.source_file) != 0) {
        free(s->source_file);
        s->source_file = xstrdup(w->start.source_file);
    }
    s->source_pos = pos;
}

int
segment_event(struct segment_writer *w, const struct event *e, int step,
    const struct event_gtid *gtid, uint64_t pos)
{
    if (append(w, e->raw, e->size) < 0)
        return -1;
    if (step == GROUP_BEGIN)
        w->open = true;
    if (step == GROUP_END) {
        w->open = false;
        group_done(w, gtid, pos);
    }
    if (!w->open)
        w->state.complete_bytes = w->state.bytes;
    return 0;
}

int
segment_flush(struct segment_writer *w, uint64_t complete_until_us)
{
    w->state.complete_until_us =
        MAX(w->state.complete_until_us, complete_until_us);
    set_note(w);
    if (sink_flush(w->chain) < 0)
        return err_wrap("%s", w->name);
    return 0;
}

const char *
segment_place(const struct segment_writer *w, uint64_t *size)
{
    const struct seal_mark *m = seal_last_mark(w->seal);

    *size = m->offset + m->size;
    return w->name;
}

uint64_t
segment_bytes(const struct segment_writer *w)
{
    return w->state.bytes;
}

const struct segment_state *
segment_now(const struct segment_writer *w)
{
    return &w->state;
}

int
segment_close(struct segment_writer *w, struct segment_tail *tail)
{
    const struct seal_mark *m;
    struct buf note = {0};
    int rc = -1;

    set_note(w);
    if (sink_finish(w->chain) < 0) {
        err_wrap("%s", w->name);
        goto out;
    }
    m = seal_last_mark(w->seal);
    segment_tail_free(tail);
    tail->last_seq = w->last_seq;
    tail->start = w->start;
    tail->state = w->state;
    tail->name = w->name;
    tail->size = m->offset + m->size;
    memcpy(tail->digest, m->digest, DIGEST_SIZE);
    segment_start_format(&w->start, &note);
    segment_link(w->name, seal_header_digest(w->seal), note.data, note.len,
        m->self, tail->link);
    tail->linked = true;
    buf_free(&note);
    memset(&w->start, 0, sizeof w->start);
    memset(&w->state, 0, sizeof w->state);
    w->name = NULL;
    rc = 0;

out:
    segment_abort(w);
    return rc;
}

void
segment_abort(struct segment_writer *w)
{
    if (w == NULL)
        return;
    sink_free(w->chain);
    segment_start_free(&w->start);
    segment_state_free(&w->state);
    free(w->name);
    free(w);
}
