/*
 * stream_ack.c -- semi-synchronous: what the server waits for is acknowledged
 * when it is durable; here, or on the vaults.
 *
 * One flush is for all that the server has sent by then, and one
 * acknowledgement for all that a flush, or a vault, has made durable: the
 * server's group commit is kept.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "stream_impl.h"

#define CATCH_UP_US UINT64_C(3000000)

static void
set_text(char **to, const char *text)
{
    if (*to != NULL && strcmp(*to, text) == 0)
        return;
    free(*to);
    *to = xstrdup(text);
}

/* The event that was stored last, and all before it, is to be acknowledged. */
void
ack_note(struct stream *s)
{
    struct ack *a = &s->ack;

    if (!repl_wants_ack(s->repl))
        return;
    if (a->since_us == 0)
        a->since_us = time_mono_us();
    set_text(&a->file, repl_file(s->repl));
    a->pos = repl_offset(s->repl);
}

/* Until the vaults have it.  Where there are too many, the newest stands for
 * the one before it. */
static void
wait_for_vaults(struct stream *s)
{
    struct acks *q = &s->acks;
    struct ack *a;
    uint64_t since_us = s->ack.since_us;
    const char *name;

    if (q->n == ACKS_MAX)
        since_us = q->v[--q->n].since_us;
    a = &q->v[q->n++];
    a->since_us = since_us;
    set_text(&a->file, s->ack.file);
    a->pos = s->ack.pos;
    name = segment_place(s->writer, &a->size);
    set_text(&a->name, name);
}

/*
 * A connection that was lost may have taken acknowledgements with it, and what
 * they were for is not sent again: it is before our position.  So the end of
 * what is durable is acknowledged once more, unasked.  The server compares a
 * place only with what it waits for (sql/semisync_master.cc,
 * report_reply_binlog()): one that is behind is passed over, and one that is
 * not in its log counts as well, for all that ever comes before it.  Therefore
 * only a place of which this server has told that its log has it, in the file
 * with which it begins now, and that was begun when ours was.  Where it begins
 * with a later file it takes all before for acknowledged by itself.
 */
int
ack_before(struct stream *s, uint32_t created)
{
    const struct segment_tail *t = &s->tail;
    const char *file = repl_file(s->repl);

    if (!repl_acknowledges(s->repl) || s->from.cause != SEGMENT_NEXT ||
        !s->stored || t->state.source_pos == 0 ||
        !identity_same(&s->server, &t->start) ||
        strcmp(t->state.source_file, file) != 0 ||
        strcmp(t->start.source_file, file) != 0 ||
        t->start.source_created != created)
        return 0;
    set_text(&s->before.file, file);
    s->before.pos = t->state.source_pos;
    s->before.since_us = time_mono_us();
    return ack_before_settle(s);
}

int
ack_before_settle(struct stream *s)
{
    struct ack *a = &s->before;

    if (a->since_us == 0 || !s->agrees)
        return 0;
    a->since_us = 0;
    log_debug("acknowledging %s up to byte %" PRIu64 " again", a->file, a->pos);
    return repl_ack(s->repl, a->file, a->pos);
}

int
ack_flushed(struct stream *s)
{
    uint64_t size;
    const char *name;

    if (s->conf->durable != NULL) {
        name = segment_place(s->writer, &size);
        ship_watch_grown(s->conf->durable, name, size);
    }
    if (s->ack.since_us == 0)
        return 0;
    if (s->conf->durable != NULL)
        wait_for_vaults(s);
    else if (repl_ack(s->repl, s->ack.file, s->ack.pos) < 0)
        return -1;
    s->ack.since_us = 0;
    return 0;
}

/*
 * A server takes it for acknowledged that a semi-synchronous replica has what
 * is before the place from where it asks (sql/semisync_master.cc,
 * dump_start()). So with vaults it is only asked as such a replica when they
 * have all that is here.  Nothing new comes while we wait.
 */
bool
ack_may_begin(struct stream *s)
{
    const struct segment_tail *t = &s->tail;
    uint64_t until = time_mono_us() + CATCH_UP_US;

    if (s->conf->durable == NULL || t->name == NULL)
        return true;
    while (!ship_watch_reached(s->conf->durable, t->name, t->size))
        if (time_mono_us() > until || stop_sleep_us(20000))
            return false;
    return true;
}

/*
 * This connection does not acknowledge, though the server would wait: it was
 * switched on later, or the vaults were behind.  Is it time to connect again?
 * Under load they never have all: it is enough that they have what was here a
 * moment ago.
 */
bool
ack_wants_to_begin(struct stream *s)
{
    const char *name;

    if (!s->semi.enabled || repl_acknowledges(s->repl))
        return false;
    if (s->conf->durable == NULL)
        return true;
    if (s->ack.name != NULL &&
        ship_watch_reached(s->conf->durable, s->ack.name, s->ack.size))
        return true;
    if (s->ack.name == NULL) {
        name = segment_place(s->writer, &s->ack.size);
        set_text(&s->ack.name, name);
    }
    return false;
}

/* The first n are done with; their texts are kept for the next ones. */
static void
drop(struct acks *q, size_t n)
{
    struct ack gone[ACKS_MAX];

    memcpy(gone, q->v, n * sizeof *gone);
    memmove(q->v, q->v + n, (ACKS_MAX - n) * sizeof *q->v);
    memcpy(q->v + ACKS_MAX - n, gone, n * sizeof *gone);
    q->n -= n;
}

int
ack_settle(struct stream *s)
{
    struct acks *q = &s->acks;
    size_t n = 0;

    if (s->conf->durable == NULL)
        return 0;
    ship_watch_drain(s->conf->durable);
    while (n < q->n &&
        ship_watch_reached(s->conf->durable, q->v[n].name, q->v[n].size))
        n++;
    if (n == 0)
        return 0;
    if (repl_ack(s->repl, q->v[n - 1].file, q->v[n - 1].pos) < 0)
        return -1;
    drop(q, n);
    return 0;
}

void
ack_forget(struct stream *s)
{
    s->ack.since_us = s->before.since_us = 0;
    free(s->ack.name);
    s->ack.name = NULL;
    s->acks.n = 0;
}

uint64_t
stream_ack_since(const struct stream *s)
{
    return s->acks.n > 0 ? s->acks.v[0].since_us : s->ack.since_us;
}
