/*
 * stream_pace.c -- where nobody waits for us, the log is read in bursts.
 *
 * For each commit the server's thread that sends us the log is woken, and so
 * are we: on a busy machine that costs its clients more than all the rest of
 * the stream.  Between two bursts we do not look; on a UNIX socket the server's
 * thread soon finds it full and sleeps in its write, so that commits do not
 * wake it either.
 *
 * A burst ends where the socket is empty.  After more than fits into a socket
 * that proves nothing, as the server's thread may have stopped for breath; then
 * the server is asked for its position, and the burst ends when all up to there
 * has come.  So a backlog is read without a rest.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* SCHED_BATCH */
#endif
#include <sched.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "stream_impl.h"

#define REST_MAX_US UINT64_C(250000)
#define REST_MIN_US UINT64_C(10000) /* less is not worth it */
#define FULL_BYTES ((uint64_t)64 * 1024)

/* A connection begins. */
void
pace_begin(struct stream *s)
{
    const struct stream_conf *conf = s->conf;
    uint64_t rest_us = MIN(conf->flush_us / 4, REST_MAX_US);
    bool in_bursts = !conf->once && !conf->semisync && rest_us >= REST_MIN_US;
    const struct sched_param none = {0};

    s->pace = (struct pace){
        .rest_us = in_bursts ? rest_us : 0, .bytes = s->report->bytes};
    /* Being woken, we let run who is at it; our share stays what it was.
     * Where that is not allowed it goes without. */
    if (in_bursts)
        (void)sched_setscheduler(0, SCHED_BATCH, &none);
}

/* Does the burst end here?  Then *since_us is when all that was committed
 * before had been read. */
static bool
burst_ends(struct stream *s, bool idle, uint64_t *since_us)
{
    struct pace *p = &s->pace;
    uint64_t bytes = s->report->bytes - p->bytes;

    *since_us = p->full ? s->caught.asked_us : time_mono_us();
    if (bytes == 0)
        return false;
    if (!p->full && bytes >= FULL_BYTES)
        p->full = p->ask = true;
    if (p->full)
        return !p->ask && s->side != NULL && s->caught.moment_us == 0;
    return idle;
}

/*
 * After each event; idle: none is there.  What is read after the rest may have
 * waited since before it: the flush counts from there.
 */
void
pace(struct stream *s, bool idle)
{
    struct pace *p = &s->pace;
    uint64_t now, since, until;

    if (p->rest_us == 0 || s->writer == NULL)
        return;
    if (!burst_ends(s, idle, &since)) {
        if (idle && !p->full)
            p->since_us = 0;
        return;
    }
    now = time_mono_us();
    until = now + p->rest_us;
    if (s->dirty_since_us != 0)
        until = MIN(until, s->dirty_since_us + s->conf->flush_us);
    if (until > now)
        stop_sleep_us(until - now);
    p->since_us = since;
    p->full = p->ask = false;
    p->bytes = s->report->bytes;
}
