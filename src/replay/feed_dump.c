/*
 * feed_dump.c -- sending events, as a primary's dump thread does.
 *
 * Source: MariaDB sql/sql_repl.cc (mysql_binlog_send, fake_rotate_event,
 * send_format_descriptor_event, send_heartbeat_event); what the other side
 * makes of it: sql/slave.cc (queue_event).
 *
 * A new file is announced only where the format changes or the replica's
 * position gets large, not for each segment, since every announcement makes the
 * replica begin a relay log.
 */
#include <stdio.h>
#include <string.h>
#include "feed.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/progress.h"
#include "pitr/times.h"

#define FILE_BYTES_MAX (1u << 30) /* positions in heartbeats are 32 bits */
#define HEARTBEAT_DEFAULT_US 5000000u
#define FORMAT_CREATED_AT (EVENT_HEADER_SIZE + 2 + 50)
#define HEADER_SERVER 5
#define HEADER_POS 13
#define HEADER_FLAGS 17
#define LOG_EVENT_BINLOG_IN_USE 1

static void
put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t
get_u32(const uint8_t *p)
{
    struct cur c = cur_of(p, 4);

    return cur_u32(&c);
}

enum feed_state
feed_flush(struct feed *f)
{
    for (;;) {
        int rc = feed_conn_write(&f->conn);
        enum feed_state st;

        if (rc < 0)
            return FEED_LOST;
        if (rc == 1)
            return FEED_GO;
        if ((st = feed_wait(f, true, 1000)) != FEED_GO)
            return st;
    }
}

/* A packet of 0x00 and the event, split where it is too long for one. */
static enum feed_state
send_event(struct feed *f, const uint8_t *p, size_t n)
{
    size_t left = n + 1;
    bool lead = true;

    for (;;) {
        size_t chunk = MIN(left, FEED_PACKET_MAX);
        size_t rest = chunk;

        feed_packet_head(&f->conn, chunk);
        if (lead) {
            buf_u8(&f->conn.out, 0);
            rest--;
            lead = false;
        }
        while (rest > 0) {
            size_t part = MIN(rest, FEED_FLUSH);
            enum feed_state st;

            buf_add(&f->conn.out, p, part);
            p += part;
            rest -= part;
            if (f->conn.out.len >= FEED_FLUSH &&
                (st = feed_flush(f)) != FEED_GO)
                return st;
        }
        left -= chunk;
        if (chunk < FEED_PACKET_MAX)
            return FEED_GO;
    }
}

/* An event of our own: header with timestamp 0, body, checksum. */
static enum feed_state
send_own(struct feed *f, uint8_t type, uint32_t pos, uint16_t flags,
    const void *body, size_t n)
{
    struct buf b = {0};
    enum feed_state st;

    buf_u32(&b, 0);
    buf_u8(&b, type);
    buf_u32(&b, f->server_id);
    buf_u32(&b, (uint32_t)(EVENT_HEADER_SIZE + n + (f->checksum ? 4 : 0)));
    buf_u32(&b, pos);
    buf_u16(&b, flags);
    buf_add(&b, body, n);
    if (f->checksum)
        buf_u32(&b, event_crc32(0, b.data, b.len));
    st = send_event(f, b.data, b.len);
    buf_free(&b);
    return st;
}

/* "The following is in this file, from byte 4 on." */
static enum feed_state
send_rotate(struct feed *f)
{
    struct buf b = {0};
    enum feed_state st;

    buf_u64(&b, 4);
    buf_str(&b, f->file);
    st = send_own(f, EV_ROTATE, 0, EVENT_FLAG_ARTIFICIAL, b.data, b.len);
    buf_free(&b);
    f->file_pos = 4;
    return st;
}

/*
 * The segment's Format_description, as of a file that is read from its middle.
 * `created` tells the replica to drop temporary tables: it stays only where
 * the server was started anew before these events.
 */
static enum feed_state
send_format(struct feed *f, const struct buf *format, bool restarted)
{
    struct buf b = {0};
    uint16_t flags;
    enum feed_state st;

    buf_add(&b, format->data, format->len);
    flags = (uint16_t)(b.data[HEADER_FLAGS] & ~LOG_EVENT_BINLOG_IN_USE);
    b.data[HEADER_FLAGS] = (uint8_t)flags;
    put_u32(b.data + HEADER_SERVER, f->server_id);
    put_u32(b.data + HEADER_POS, 0);
    if (!restarted)
        put_u32(b.data + FORMAT_CREATED_AT, 0);
    if (get_u32(b.data + b.len - 4) != 0 || b.data[b.len - 5] == 1)
        put_u32(b.data + b.len - 4, event_crc32(0, b.data, b.len - 4));
    f->checksum = b.data[b.len - 5] == 1;
    st = send_event(f, b.data, b.len);
    buf_reset(&f->format);
    buf_add(&f->format, format->data, format->len);
    buf_free(&b);
    return st;
}

/* Equal but for the moment, the place and the checksum of those? */
static bool
same_format(const struct buf *a, const struct buf *b)
{
    const size_t from = FORMAT_CREATED_AT + 4;

    return a->len == b->len && a->len > from + 4 &&
        memcmp(a->data + EVENT_HEADER_SIZE, b->data + EVENT_HEADER_SIZE,
            FORMAT_CREATED_AT - EVENT_HEADER_SIZE) == 0 &&
        memcmp(a->data + from, b->data + from, a->len - from - 4) == 0;
}

/* Rotate and Format_description belong together: nothing in between. */
static enum feed_state
send_file(struct feed *f, bool next)
{
    const struct buf *format = feed_source_format(f->source);
    enum feed_state st;

    if (next || f->file_no == 0)
        snprintf(f->file, sizeof(f->file), "pitr.%06u", ++f->file_no);
    if ((st = send_rotate(f)) != FEED_GO)
        return st;
    return send_format(f, format, feed_source_restarted(f->source));
}

static enum feed_state
send_heartbeat(struct feed *f)
{
    enum feed_state st;

    /* "Not less than where you are." */
    st = send_own(f, EV_HEARTBEAT, UINT32_MAX, 0, f->file, strlen(f->file));
    if (st == FEED_GO)
        st = feed_flush(f);
    f->sent_us = time_mono_us();
    return st;
}

/* Wait a little; keep the replica's connection alive. */
static enum feed_state
idle(struct feed *f)
{
    uint64_t period = f->session.heartbeat_us;
    uint64_t now = time_mono_us(), due;
    enum feed_state st;

    if ((st = feed_flush(f)) != FEED_GO)
        return st;
    due = f->sent_us + (period == 0 ? HEARTBEAT_DEFAULT_US : period);
    if (now >= due && f->format.len > 0)
        return send_heartbeat(f);
    return feed_wait(
        f, false, now >= due ? 1000 : (int)MIN((due - now) / 1000 + 1, 1000u));
}

/* Between two groups: not further ahead of the applier than is allowed. */
static enum feed_state
pace(struct feed *f)
{
    bool waited = false;
    enum feed_state st = FEED_GO;

    while (atomic_load(&f->sent) >= atomic_load(&f->limit) && st == FEED_GO) {
        waited = true;
        st = idle(f);
    }
    if (waited)
        f->sent_us = time_mono_us();
    return st;
}

/* Does what is read now need the announcement of a file? */
static bool
needs_file(const struct feed *f)
{
    return f->format.len == 0 || f->file_pos > FILE_BYTES_MAX ||
        !same_format(feed_source_format(f->source), &f->format) ||
        feed_source_restarted(f->source);
}

static enum feed_state
send_wanted(struct feed *f, const struct event *e)
{
    enum feed_state st = send_event(f, e->raw, e->size);

    if (st != FEED_GO)
        return st;
    atomic_fetch_add(&f->sent, e->size);
    f->file_pos += e->size;
    if (f->file_pos < e->end_pos)
        f->file_pos = e->end_pos; /* as the replica does */
    return FEED_GO;
}

static enum feed_state
send_events(struct feed *f, const struct buf *b)
{
    struct event e;
    size_t at = 0;

    while (feed_fold_event(b, &at, &e)) {
        enum feed_state st = send_wanted(f, &e);

        if (st != FEED_GO)
            return st;
    }
    return FEED_GO;
}

/* What was gathered goes out, as one group. */
static int
fold_flush(struct feed *f)
{
    struct feed_fold *o = &f->fold;
    const struct buf *body;
    enum feed_state st;

    if (o->groups == 0)
        return FEED_GO;
    if (feed_fold_body(o, f->checksum, &body) < 0)
        return -1;
    if ((st = pace(f)) != FEED_GO ||
        (st = send_events(f, &o->gtid)) != FEED_GO ||
        (st = send_events(f, body)) != FEED_GO ||
        (st = send_events(f, &o->end)) != FEED_GO)
        return (int)st;
    o->groups = 0;
    buf_reset(&o->body);
    return FEED_GO;
}

/* The group that is being read goes by itself, and so does its rest. */
static int
fold_none(struct feed *f)
{
    struct feed_fold *o = &f->fold;
    int rc;

    o->gathering = false;
    if ((rc = fold_flush(f)) != FEED_GO || (rc = (int)pace(f)) != FEED_GO ||
        (rc = (int)send_events(f, &o->next_gtid)) != FEED_GO)
        return rc;
    return (int)send_events(f, &o->next);
}

/* Before a group: its file, where it is another one. */
static int
begin_group(struct feed *f, const struct event *e)
{
    const struct buf *format = feed_source_format(f->source);
    bool next = f->format.len > 0;
    int rc;

    if (format->len < FORMAT_CREATED_AT + 4 + 5)
        return err_set(ERR_VERIFY, "a segment without Format_description");
    if (needs_file(f) &&
        ((rc = fold_flush(f)) != FEED_GO ||
            (rc = (int)send_file(f, next)) != FEED_GO))
        return rc;
    f->fold.gathering =
        feed_fold_begins(&f->fold, e, feed_source_bytes(f->source));
    if (f->fold.gathering)
        return FEED_GO;
    rc = fold_flush(f);
    return rc != FEED_GO ? rc : (int)pace(f);
}

static int
gather(struct feed *f, const struct event *e, int step)
{
    struct feed_fold *o = &f->fold;
    int rc;

    switch (feed_fold_take(o, e, step)) {
    case FOLD_TAKEN:
        return FEED_GO;
    case FOLD_NOT:
        rc = fold_none(f);
        return rc != FEED_GO ? rc : (int)send_wanted(f, e);
    case FOLD_WHOLE:
        break;
    }
    if (!feed_fold_fits(o) && (rc = fold_flush(f)) != FEED_GO)
        return rc;
    feed_fold_join(o, e);
    return FEED_GO;
}

/* What is wanted of it. */
static int
send_part(struct feed *f, const struct event *e, int step)
{
    const struct buf *out = &f->part.out;

    if (feed_scope_take(&f->part, e, step) < 0 ||
        (f->part.took_query && feed_kept_check(&f->kept, e) < 0))
        return -1;
    return (int)send_events(f, out);
}

static void
tell_directory(struct feed *f)
{
    if (!f->directories)
        log_warn(
            "the log has a table with a DATA or INDEX DIRECTORY: it is now "
            "in the target's own data directory");
    f->directories = true;
}

static int
one_event(struct feed *f, const struct event *e, int step)
{
    struct event without;
    int rc = feed_directory(e, &f->changed, &without);

    if (rc < 0)
        return -1;
    if (rc == 1) {
        tell_directory(f);
        e = &without;
    }
    if (step == GROUP_BEGIN && (rc = begin_group(f, e)) != FEED_GO)
        return rc;
    feed_fold_query(&f->fold, e, feed_source_bytes(f->source));
    if (e->type == EV_ANNOTATE_ROWS && !f->session.annotated)
        return FEED_GO; /* as a primary does: most of a log's bytes, at times */
    if (e->server_id == f->target_id)
        return err_set(ERR_FAILED,
            "the log has events of server %u, which is the id that the target "
            "has for the time of the replay",
            (unsigned)e->server_id);
    if (f->part.scope != NULL)
        return send_part(f, e, step);
    if (feed_kept_check(&f->kept, e) < 0)
        return -1;
    return f->fold.gathering ? gather(f, e, step) : (int)send_wanted(f, e);
}

/* All was sent: keep the connection until the end is asked for. */
static int
dump_end(struct feed *f)
{
    enum feed_state st;
    int rc = fold_flush(f);

    if (rc != FEED_GO)
        return rc;
    if ((st = feed_flush(f)) != FEED_GO)
        return (int)st;
    if (!atomic_load(&f->ended)) {
        gtid_pos_copy(&f->final, feed_source_state(f->source));
        atomic_store(&f->ended, true);
    }
    f->sent_us = time_mono_us();
    while ((st = idle(f)) == FEED_GO)
        continue;
    return (int)st;
}

int
feed_dump(struct feed *f)
{
    uint64_t shown = feed_source_bytes(f->source);
    struct event e;
    int step, rc;

    if (feed_source_seek(f->source, &f->session.state) < 0)
        return -1;
    f->conn.seq = 1;
    f->sent_us = time_mono_us();
    buf_reset(&f->format);
    feed_fold_reset(&f->fold);
    feed_scope_reset(&f->part);
    while ((rc = feed_source_next(f->source, &e, &step)) == 1) {
        if ((rc = one_event(f, &e, step)) != FEED_GO)
            return rc;
        if (step == GROUP_END &&
            feed_source_bytes(f->source) >= shown + FEED_FLUSH) {
            progress_add(0, feed_source_bytes(f->source) - shown);
            shown = feed_source_bytes(f->source);
        }
    }
    return rc < 0 ? -1 : dump_end(f);
}
