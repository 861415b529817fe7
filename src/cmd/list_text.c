/*
 * list_text.c -- the catalogue for people.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cmd.h"
#include "pitr/mem.h"
#include "pitr/times.h"

static void
put_backups(const struct catalog *c, const struct pins *pins, struct buf *out)
{
    char when[TIME_BOTH], size[TIME_TEXT];

    buf_str(out, "\nbackups\n");
    if (c->backups == 0)
        buf_str(out, "  none\n");
    for (size_t i = 0; i < c->backups; i++) {
        const struct backup_info *b = &c->backup[i];
        char *gtid = gtid_pos_text(&b->gtid);

        buf_fmt(out,
            "  %s  as of %s\n    %" PRIu64 " tables, %" PRIu64 " rows, %s "
            "stored, MariaDB %s, GTID %s\n",
            b->id, time_both(b->snapshot_us, when), b->tables, b->rows,
            size_text(b->stored_bytes, size), b->server_version,
            *gtid ? gtid : "(empty)");
        if (b->warnings > 0)
            buf_fmt(out, "    with %" PRIu64 " warning%s\n", b->warnings,
                b->warnings == 1 ? "" : "s");
        if (pins_has(pins, b->id))
            buf_str(out, "    pinned: it does not expire\n");
        free(gtid);
    }
    for (size_t i = 0; i < c->n_broken; i++)
        buf_fmt(out,
            "  %s  not whole: running, or it failed; it does not "
            "count\n",
            c->broken[i]);
}

/* What is caught up on is older than the segment that it is in. */
static uint64_t
begin_us(const struct segment_info *s)
{
    uint64_t first_us = s->state.first_us;

    return first_us != 0 && first_us < s->start.started_us
        ? first_us
        : s->start.started_us;
}

/* The segments [i, end), a run. */
static void
put_run(const struct catalog *c, size_t i, size_t end, struct buf *out)
{
    const struct segment_info *first = &c->segment[i];
    const struct segment_info *last = &c->segment[end - 1];
    char from[TIME_BOTH], to[TIME_BOTH], size[TIME_TEXT];
    char *begin = gtid_pos_text(&first->start.gtid);
    char *stop = gtid_pos_text(&last->state.gtid);
    uint64_t until = catalog_whole_until(c, i, end - i), bytes = 0, groups = 0;
    uint64_t from_us = begin_us(first);

    for (size_t k = i; k < end; k++) {
        bytes += c->segment[k].size;
        groups += c->segment[k].state.groups;
    }
    if (first->broken != NULL)
        buf_fmt(out, "  BROKEN: %s\n", first->broken);
    else if (segment_is_gap(&first->start))
        buf_fmt(out, "  GAP: %s\n", first->start.why);
    /* The server's clock tells the end, and this host's the beginning. */
    if (until != 0)
        from_us = MIN(from_us, until);
    buf_fmt(out, "  from %s, after GTID %s\n", time_both(from_us, from),
        *begin ? begin : "(empty)");
    buf_fmt(out, "    to %s, GTID %s%s\n",
        until == 0 ? "(nothing yet)" : time_both(until, to),
        *stop ? stop : "(empty)", last->closed ? "" : ", still growing");
    buf_fmt(out, "    %" PRIu64 " transactions in %zu segment%s, %s stored\n",
        groups, end - i, end - i == 1 ? "" : "s", size_text(bytes, size));
    free(begin);
    free(stop);
}

void
list_text(const struct repo *r, const struct catalog *c,
    const struct pins *pins, const struct head *head, struct buf *out)
{
    struct windows w;
    char text[HEAD_TEXT];

    buf_fmt(out, "repository %s, server \"%s\"\n", store_where(r->store),
        r->server);
    report_recipients(r, out);
    put_backups(c, pins, out);
    buf_str(out, "\nlog\n");
    if (c->segments == 0)
        buf_str(out, "  none\n");
    for (size_t i = 0, end; i < c->segments; i = end) {
        end = catalog_run_end(c, i);
        put_run(c, i, end, out);
    }
    catalog_windows(c, &w);
    buf_str(out, "\nwhat can be restored\n");
    windows_text(c, &w, out);
    windows_free(&w);
    buf_fmt(out, "\nhead\n  %s\n", head_text(head, text));
}
