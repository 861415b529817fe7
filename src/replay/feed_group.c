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

#define FL_EXTRA_MULTI_ENGINE 1
#define FL_EXTRA_START_ALTER 2
#define FL_EXTRA_COMMIT_ALTER 4
#define FL_EXTRA_ROLLBACK_ALTER 8

static void
take_xid(struct cur *c, struct feed_gtid_extra *x)
{
    const uint8_t *data;
    size_t n;

    x->xid_format = cur_u32(c);
    x->gtrid_size = cur_u8(c);
    x->bqual_size = cur_u8(c);
    n = (size_t)x->gtrid_size + x->bqual_size;
    if (n > FEED_XID_MAX) {
        c->bad = true;
        return;
    }
    data = cur_bytes(c, n);
    if (data != NULL)
        memcpy(x->xid, data, n);
}

int
feed_gtid_extra(const struct event *e, struct feed_gtid_extra *out)
{
    struct cur c = cur_of(e->body, e->body_size);
    uint8_t flags, extra = 0;

    memset(out, 0, sizeof(*out));
    cur_u64(&c); /* sequence number */
    cur_u32(&c); /* domain */
    flags = cur_u8(&c);
    if ((flags & GTID_FL_GROUP_COMMIT_ID) != 0)
        cur_u64(&c);
    out->xa_prepare = (flags & GTID_FL_PREPARED_XA) != 0;
    out->xa_complete = (flags & GTID_FL_COMPLETED_XA) != 0;
    if (out->xa_prepare || out->xa_complete)
        take_xid(&c, out);
    if (!c.bad && cur_left(&c) > 0)
        extra = cur_u8(&c);
    if ((extra & FL_EXTRA_MULTI_ENGINE) != 0)
        cur_u8(&c);
    out->alter_start = (extra & FL_EXTRA_START_ALTER) != 0;
    out->alter_end =
        (extra & (FL_EXTRA_COMMIT_ALTER | FL_EXTRA_ROLLBACK_ALTER)) != 0;
    if (out->alter_end)
        out->alter_seq = cur_u64(&c);
    if (c.bad)
        return err_set(ERR_VERIFY, "a Gtid event is cut short");
    return 0;
}

static bool
same_xid(const struct feed_gtid_extra *a, const struct feed_gtid_extra *b)
{
    return a->xid_format == b->xid_format && a->gtrid_size == b->gtrid_size &&
        a->bqual_size == b->bqual_size &&
        memcmp(a->xid, b->xid, (size_t)a->gtrid_size + a->bqual_size) == 0;
}

/* Does x, of the group g, complete or repeat what o is? */
static bool
ends(const struct feed_open *o, const struct gtid *g,
    const struct feed_gtid_extra *x)
{
    if (o->what.xa_prepare)
        return (x->xa_prepare || x->xa_complete) && same_xid(&o->what, x);
    return o->gtid.domain == g->domain &&
        ((x->alter_end && o->gtid.seq == x->alter_seq) ||
            (x->alter_start && gtid_equal(&o->gtid, g)));
}

void
feed_opens_note(
    struct feed_opens *o, const struct gtid *g, const struct feed_gtid_extra *x)
{
    if (!x->xa_prepare && !x->xa_complete && !x->alter_start && !x->alter_end)
        return;
    for (size_t i = 0; i < o->n; i++) {
        if (!ends(&o->v[i], g, x))
            continue;
        memmove(o->v + i, o->v + i + 1, (o->n - i - 1) * sizeof(*o->v));
        o->n--;
        break;
    }
    if (!x->xa_prepare && !x->alter_start)
        return;
    o->v = xgrow(o->v, o->n, &o->cap, sizeof(*o->v));
    o->v[o->n++] = (struct feed_open){.gtid = *g, .what = *x};
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
feed_xid_sql(const struct feed_gtid_extra *x, struct buf *out)
{
    xid_part(out, x->xid, x->gtrid_size);
    buf_str(out, ",");
    xid_part(out, x->xid + x->gtrid_size, x->bqual_size);
    buf_fmt(out, ",%u", (unsigned)x->xid_format);
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
        if (o->v[i].what.xa_prepare) {
            buf_str(&b, "XA transaction ");
            feed_xid_sql(&o->v[i].what, &b);
            buf_fmt(&b, ", prepared by %s and not completed: rolled back",
                gtid_text(&o->v[i].gtid, gtid));
        } else {
            buf_fmt(&b, "ALTER that %s began, not completed: not done",
                gtid_text(&o->v[i].gtid, gtid));
        }
    }
    return buf_take(&b);
}
