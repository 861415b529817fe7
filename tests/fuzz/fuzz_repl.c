/*
 * fuzz_repl.c -- what a server sends to a replica: packets, each after its
 * length (u16); and what the replay makes of the events in them, with a part of
 * the server wanted.
 *
 * First byte: 1 events have a CRC before a Format says so, 2 semi-synchronous,
 * 4 until the end of the log.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/db/repl_internal.h"
#include "../../src/replay/feed.h"
#include "pitr/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct replay_side {
    struct group_state group;
    struct scope scope;
    struct feed_scope part;
    struct feed_fold fold;
    struct feed_opens opens;
};

static void
fold_flush(struct feed_fold *f, bool checksum)
{
    const struct buf *body;
    struct event e;
    size_t at = 0;

    if (feed_fold_body(f, checksum, &body) == 0)
        while (feed_fold_event(body, &at, &e))
            if (at > body->len)
                abort();
    feed_fold_reset(f);
}

static void
replay_fold(struct feed_fold *f, const struct event *e, int step)
{
    bool checksum = e->size > EVENT_HEADER_SIZE + e->body_size;

    if (!f->gathering && (step != GROUP_BEGIN || !feed_fold_begins(f, e, 1)))
        return;
    switch (feed_fold_take(f, e, step)) {
    case FOLD_TAKEN:
        break;
    case FOLD_WHOLE:
        if (!feed_fold_fits(f))
            fold_flush(f, checksum);
        feed_fold_join(f, e);
        if ((e->raw[e->size - 1] & 7) == 0)
            fold_flush(f, checksum);
        break;
    default:
        feed_fold_reset(f);
    }
}

static void
replay(struct replay_side *s, const struct event *e)
{
    int step = group_next(&s->group, e);

    feed_fold_query(&s->fold, e, 1);
    if (step < 0 || step == GROUP_OUTSIDE)
        return;
    if (step == GROUP_BEGIN)
        feed_opens_note(&s->opens, &s->group.gtid);
    feed_scope_take(&s->part, e, step);
    replay_fold(&s->fold, e, step);
}

static void
packets(struct repl *r, struct replay_side *s, struct cur *in)
{
    while (cur_left(in) > 2) {
        size_t n = cur_u16(in);
        struct event e;
        enum repl_got got;
        uint8_t *packet;
        int rc;

        n = MIN(n, cur_left(in));
        if (n == 0)
            continue;
        packet = xmemdup(in->p, n);
        cur_bytes(in, n);
        rc = repl_take(r, packet, n, &got, &e);
        if (rc == 0 && got == REPL_EVENT)
            replay(s, &e);
        free(packet);
        if (rc == 0 && got == REPL_END)
            break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char role[] = "source", where[] = "here";
    struct db db = {.role = role, .where = where};
    struct repl r = {.db = &db, .wake_fd = -1};
    struct replay_side s = {.fold = {.on = true,
                                .off_at = UINT64_MAX,
                                .batch = {.on = true, .off_at = UINT64_MAX}}};
    struct cur in = cur_of(data, size);
    uint8_t how = cur_u8(&in);

    r.fmt.checksum = (how & 1) != 0;
    r.semisync = (how & 2) != 0;
    r.until_end = (how & 4) != 0;
    scope_only(&s.scope, "shop");
    scope_rename(&s.scope, "shop=other");
    s.part.scope = &s.scope;
    packets(&r, &s, &in);
    (void)repl_file(&r);
    feed_scope_free(&s.part);
    feed_fold_free(&s.fold);
    scope_free(&s.scope);
    free(s.opens.v);
    buf_free(&r.file);
    buf_free(&r.format_event);
    err_clear();
    return 0;
}
