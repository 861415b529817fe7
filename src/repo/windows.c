/*
 * windows.c -- which log goes on from which backup, and the spans of time to
 * any moment of which can be restored.  Pure functions of the catalogue.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/catalog.h"
#include "pitr/mem.h"
#include "pitr/times.h"

#define DAY_US (UINT64_C(86400) * 1000000)

/* A server's clock may be so far ahead of the host's and still be believed. */
#define AHEAD_US (UINT64_C(2) * 1000000)

/*
 * Any client may say SET TIMESTAMP, and a transaction of next year vouches for
 * nothing: what is later than the mark that tells of it is not believed.
 */
uint64_t
segment_whole_until(const struct segment_state *s)
{
    if (s->marked_us != 0 && s->newest_us > s->marked_us + AHEAD_US)
        return s->complete_until_us;
    return segment_newest(s);
}

uint64_t
segment_newest(const struct segment_state *s)
{
    return MAX(s->complete_until_us, s->newest_us);
}

uint64_t
catalog_whole_until(const struct catalog *c, size_t first, size_t n)
{
    uint64_t until = 0;

    /* A segment that was just begun may know less than the one before. */
    for (size_t i = first; i < first + n; i++)
        until = MAX(until, segment_whole_until(&c->segment[i].state));
    return until;
}

size_t
catalog_run_end(const struct catalog *c, size_t first)
{
    size_t i = first + 1;

    while (i < c->segments && c->segment[i].broken == NULL &&
        c->segment[i].start.epoch == c->segment[first].start.epoch)
        i++;
    return i;
}

const struct segment_info *
catalog_break(const struct catalog *c, size_t i)
{
    for (; i < c->segments; i++)
        if (c->segment[i].broken != NULL)
            return &c->segment[i];
    return NULL;
}

/* Is binlog file a a later one than b?  `unknown` where they have different
 * base names. */
static bool
file_is_later(const char *a, const char *b, bool unknown)
{
    const char *x = strrchr(a, '.'), *y = strrchr(b, '.');

    if (x == NULL || y == NULL || x - a != y - b ||
        strncmp(a, b, (size_t)(x - a)) != 0)
        return unknown;
    return strtoull(x + 1, NULL, 10) > strtoull(y + 1, NULL, 10);
}

/*
 * The file of this segment existed at the snapshot: one of the same name that
 * was begun later is another file.  When it was begun is told by the statement
 * that caused it, which may have said SET TIMESTAMP: not so far in the future.
 */
static bool
was_begun(const struct segment_info *s, const struct backup_info *b)
{
    uint64_t begun_us = s->start.source_created * UINT64_C(1000000);

    if (begun_us > s->start.started_us + DAY_US)
        begun_us = s->start.started_us;
    return begun_us <= b->snapshot_us;
}

static bool
holds_numbers(const struct segment_info *s, const struct backup_info *b)
{
    return gtid_pos_covered(&s->start.gtid, &b->gtid) &&
        gtid_pos_covered(&b->gtid, &s->state.gtid);
}

/* Is the snapshot's place in the server's file within this segment? */
static bool
holds_place(const struct segment_info *s, const struct backup_info *b)
{
    const struct segment_state *end = &s->state;

    if (s->start.server_id != b->server_id || !holds_numbers(s, b) ||
        strcmp(s->start.source_file, b->source_file) != 0 || !was_begun(s, b))
        return false;
    /* Between two transactions are other events, and places among them. */
    if (gtid_pos_equal(&s->start.gtid, &b->gtid))
        return true;
    /* Positions in events have 32 bits. */
    if (b->source_pos > UINT32_MAX)
        return true;
    return b->source_pos >= s->start.source_pos &&
        (b->source_pos <= end->source_pos ||
            gtid_pos_equal(&end->gtid, &b->gtid));
}

/* Does the snapshot's place, in a file of which there is no segment, lie right
 * before segment i of the run [first, end)?  Or at its end, for i == end. */
static bool
is_before(const struct catalog *c, size_t first, size_t end, size_t i,
    const struct backup_info *b)
{
    const struct segment_info *before = i > first ? &c->segment[i - 1] : NULL;
    const struct segment_info *after = i < end ? &c->segment[i] : NULL;
    const struct gtid_pos *gtid =
        after != NULL ? &after->start.gtid : &before->state.gtid;

    return gtid_pos_equal(gtid, &b->gtid) &&
        (before == NULL ||
            (was_begun(before, b) &&
                file_is_later(
                    b->source_file, before->start.source_file, true))) &&
        (after == NULL ||
            file_is_later(after->start.source_file, b->source_file, true));
}

/* How well an epoch goes on from a backup. */
enum fit {
    FIT_NOT,
    FIT_NUMBERS, /* by its GTID, in the log of another server */
    FIT_BEGUN,   /* the same, and the file was there at the snapshot */
    FIT_BESIDE,  /* by its GTID and the order of the files */
    FIT_PLACE,   /* by its GTID and its place in the file */
};

/* Segment i of the run [first, end), or its end. */
static enum fit
fit_at(const struct catalog *c, size_t first, size_t end, size_t i,
    const struct backup_info *b)
{
    const struct segment_info *s = &c->segment[MIN(i, end - 1)];

    /* Whatever is asked below, this is part of it; and it is all that there is
     * to ask of most of a long log. */
    if (i < end && !gtid_pos_covered(&s->start.gtid, &b->gtid))
        return FIT_NOT;
    if (i < end && holds_place(s, b))
        return FIT_PLACE;
    if (s->start.server_id == b->server_id)
        return is_before(c, first, end, i, b) ? FIT_BESIDE : FIT_NOT;
    if (i == end || !holds_numbers(s, b))
        return FIT_NOT;
    return was_begun(s, b) ? FIT_BEGUN : FIT_NUMBERS;
}

/* Does the log reach up to that moment?  Mostly the newest segment tells; one
 * of a false time may have been a backlog, and reaches to its mark at most. */
static bool
reaches_until(const struct catalog *c, size_t first, size_t end, uint64_t us)
{
    for (size_t i = end; i-- > first;) {
        const struct segment_state *s = &c->segment[i].state;

        if (segment_newest(s) >= us &&
            (segment_whole_until(s) >= us || s->marked_us >= us))
            return true;
    }
    return false;
}

/*
 * Does the run [first, end) go on from the backup, and from which segment?
 *
 * After RESET MASTER the same numbers come again with other content, in files
 * of the same names.  So for the same server the snapshot's place has to lie
 * in the log too, in a file that was there at that time; and a log that has
 * more than the snapshot has to reach beyond its time.
 */
static enum fit
epoch_fit(const struct catalog *c, size_t first, size_t end,
    const struct backup_info *b, size_t *at)
{
    enum fit best = FIT_NOT;

    if (!gtid_pos_equal(&c->segment[end - 1].state.gtid, &b->gtid) &&
        b->snapshot_us >= 1000000 &&
        !reaches_until(c, first, end, b->snapshot_us - 1000000 + 1))
        return FIT_NOT;
    /* Of equal ones the newest, and none is better than a place. */
    for (size_t i = end + 1; i-- > first && best < FIT_PLACE;) {
        enum fit is = fit_at(c, first, end, i, b);

        if (is <= best)
            continue;
        best = is;
        *at = MIN(i, end - 1);
    }
    return best;
}

int
catalog_chain(const struct catalog *c, size_t backup, size_t *first, size_t *n)
{
    enum fit best = FIT_NOT;

    if (c->backup[backup].stray)
        return false;
    for (size_t i = 0, end; i < c->segments; i = end) {
        size_t at = i;
        enum fit is;

        end = catalog_run_end(c, i);
        is = epoch_fit(c, i, end, &c->backup[backup], &at);
        if (is == FIT_NOT || is < best)
            continue;
        best = is; /* of equal ones the newest */
        *first = at;
        *n = end - at;
    }
    return best != FIT_NOT;
}

bool
catalog_gap_is_open(const struct catalog *c)
{
    for (size_t i = c->backups; i-- > 0 && c->segments > 0;) {
        size_t first, n;

        if (catalog_chain(c, i, &first, &n))
            return first + n != c->segments;
        if (gtid_pos_covered(
                &c->backup[i].gtid, &c->segment[c->segments - 1].state.gtid))
            return true;
    }
    return false;
}

void
catalog_windows(const struct catalog *c, struct windows *out)
{
    size_t cap = 0;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < c->backups; i++) {
        const struct backup_info *b = &c->backup[i];
        struct window w = {.backup = i, .backups = 1};
        struct window *last = out->n > 0 ? &out->v[out->n - 1] : NULL;
        size_t first, n;

        w.from_us = w.to_us = b->snapshot_us;
        gtid_pos_copy(&w.to, &b->gtid);
        if (catalog_chain(c, i, &first, &n)) {
            const struct segment_state *s = &c->segment[first + n - 1].state;

            w.to_us = MAX(b->snapshot_us, catalog_whole_until(c, first, n));
            gtid_pos_copy(&w.to, &s->gtid);
        }
        if (last != NULL && w.to_us > w.from_us && w.to_us == last->to_us &&
            gtid_pos_equal(&w.to, &last->to)) { /* the same log */
            last->backups++;
            gtid_pos_free(&w.to);
            continue;
        }
        out->v = xgrow(out->v, out->n, &cap, sizeof w);
        out->v[out->n++] = w;
    }
}

void
windows_free(struct windows *w)
{
    for (size_t i = 0; i < w->n; i++)
        gtid_pos_free(&w->v[i].to);
    free(w->v);
    memset(w, 0, sizeof *w);
}

void
windows_text(const struct catalog *c, const struct windows *w, struct buf *out)
{
    char from[TIME_BOTH], to[TIME_BOTH];

    if (w->n == 0)
        buf_str(out, "  nothing: there is no whole backup\n");
    for (size_t i = w->n; i-- > 0;) { /* the newest is what is looked for */
        const struct window *v = &w->v[i];

        if (v->to_us > v->from_us)
            buf_fmt(out, "  from %s\n    to %s\n", time_both(v->from_us, from),
                time_both(v->to_us, to));
        else
            buf_fmt(out, "  only %s (backup %s, without log)\n",
                time_both(v->from_us, from), c->backup[v->backup].id);
    }
}
