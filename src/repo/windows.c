/*
 * windows.c -- which log goes on from which backup, and the spans of time to
 * any moment of which can be restored.  Pure functions of the catalogue.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/catalog.h"
#include "pitr/mem.h"
#include "pitr/times.h"

uint64_t
segment_whole_until(const struct segment_state *s)
{
    return MAX(s->complete_until_us, s->newest_us);
}

/* One past the last segment of the run that starts an epoch at `first`. */
static size_t
epoch_end(const struct catalog *c, size_t first)
{
    size_t i = first + 1;

    while (i < c->segments &&
        c->segment[i].start.epoch == c->segment[first].start.epoch)
        i++;
    return i;
}

/* Is the snapshot's place in the server's file within this segment? */
static bool
holds_place(const struct segment_info *s, const struct backup_info *b)
{
    if (strcmp(s->start.source_file, b->source_file) != 0)
        return false;
    if (b->source_pos > s->state.source_pos)
        return false;
    return b->source_pos >= s->start.source_pos ||
        gtid_pos_equal(&s->start.gtid, &b->gtid);
}

/*
 * Does the epoch [first, end) go on from the backup?  By its GTID position;
 * and, for the same server, the snapshot's place in the server's binlog has to
 * lie in one of the segments too, since after RESET MASTER the same numbers
 * come again with other content.
 */
static bool
epoch_covers(const struct catalog *c, size_t first, size_t end,
    const struct backup_info *b)
{
    if (!gtid_pos_covered(&c->segment[first].start.gtid, &b->gtid) ||
        !gtid_pos_covered(&b->gtid, &c->segment[end - 1].state.gtid))
        return false;
    for (size_t i = first; i < end; i++) {
        const struct segment_info *s = &c->segment[i];

        if (s->start.server_id != b->server_id || holds_place(s, b))
            return true;
    }
    /* The snapshot may stand at the very start of a file of which nothing has
     * been streamed yet, or at the place where the run begins. */
    return gtid_pos_equal(&c->segment[end - 1].state.gtid, &b->gtid) ||
        gtid_pos_equal(&c->segment[first].start.gtid, &b->gtid);
}

int
catalog_chain(const struct catalog *c, size_t backup, size_t *first, size_t *n)
{
    const struct backup_info *b = &c->backup[backup];

    for (size_t i = 0; i < c->segments;) {
        size_t end = epoch_end(c, i), at = i;

        if (!epoch_covers(c, i, end, b)) {
            i = end;
            continue;
        }
        /* The last segment that starts at or before the snapshot. */
        while (at + 1 < end &&
            gtid_pos_covered(&c->segment[at + 1].start.gtid, &b->gtid))
            at++;
        *first = at;
        *n = end - at;
        return 1;
    }
    return 0;
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

            w.to_us = MAX(b->snapshot_us, segment_whole_until(s));
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
    for (size_t i = 0; i < w->n; i++) {
        const struct window *v = &w->v[i];

        if (v->to_us > v->from_us)
            buf_fmt(out, "  from %s\n    to %s\n", time_both(v->from_us, from),
                time_both(v->to_us, to));
        else
            buf_fmt(out, "  only %s (backup %s, without log)\n",
                time_both(v->from_us, from), c->backup[v->backup].id);
    }
}
