/*
 * feed_group.c -- what was begun and not yet completed: XA transactions that
 * are prepared, ALTERs of which only the start is logged.
 *
 * Source: MariaDB sql/log_event.cc, Gtid_log_event.
 */
#include <stdlib.h>
#include <string.h>
#include "feed.h"
#include "pitr/mem.h"

static bool
is_xa(const struct event_gtid *g, uint8_t flags)
{
    return (g->flags & flags) != 0;
}

static bool
same_xid(const struct event_xid *a, const struct event_xid *b)
{
    return a->format == b->format && a->gtrid_size == b->gtrid_size &&
        a->bqual_size == b->bqual_size &&
        memcmp(a->data, b->data, (size_t)a->gtrid_size + a->bqual_size) == 0;
}

/* Does g complete or repeat what o is? */
static bool
ends(const struct event_gtid *o, const struct event_gtid *g)
{
    if (is_xa(o, GTID_FL_PREPARED_XA))
        return is_xa(g, GTID_FL_PREPARED_XA | GTID_FL_COMPLETED_XA) &&
            same_xid(&o->xid, &g->xid);
    return o->gtid.domain == g->gtid.domain &&
        ((g->end_alter && o->gtid.seq == g->alter_seq) ||
            (g->start_alter && gtid_equal(&o->gtid, &g->gtid)));
}

void
feed_opens_note(struct feed_opens *o, const struct event_gtid *g)
{
    bool begins = is_xa(g, GTID_FL_PREPARED_XA) || g->start_alter;

    if (!begins && !is_xa(g, GTID_FL_COMPLETED_XA) && !g->end_alter)
        return;
    for (size_t i = 0; i < o->n; i++) {
        if (!ends(&o->v[i], g))
            continue;
        memmove(o->v + i, o->v + i + 1, (o->n - i - 1) * sizeof(*o->v));
        o->n--;
        break;
    }
    if (!begins)
        return;
    o->v = xgrow(o->v, o->n, &o->cap, sizeof(*o->v));
    o->v[o->n++] = *g;
}

static void
xid_part(struct buf *out, const uint8_t *p, size_t n)
{
    buf_str(out, "X'");
    for (size_t i = 0; i < n; i++)
        buf_fmt(out, "%02x", (unsigned)p[i]);
    buf_str(out, "'");
}

void
feed_xid_sql(const struct event_xid *x, struct buf *out)
{
    xid_part(out, x->data, x->gtrid_size);
    buf_str(out, ",");
    xid_part(out, x->data + x->gtrid_size, x->bqual_size);
    buf_fmt(out, ",%u", (unsigned)x->format);
}

char *
feed_opens_text(const struct feed_opens *o)
{
    struct buf b = {0};

    if (o->n == 0)
        return NULL;
    for (size_t i = 0; i < o->n; i++) {
        char gtid[GTID_TEXT];

        buf_str(&b, i == 0 ? "" : "; ");
        if (is_xa(&o->v[i], GTID_FL_PREPARED_XA)) {
            buf_str(&b, "XA transaction ");
            feed_xid_sql(&o->v[i].xid, &b);
            buf_fmt(&b, ", prepared by %s and not completed: rolled back",
                gtid_text(&o->v[i].gtid, gtid));
        } else {
            buf_fmt(&b, "ALTER that %s began, not completed: not done",
                gtid_text(&o->v[i].gtid, gtid));
        }
    }
    return buf_take(&b);
}
