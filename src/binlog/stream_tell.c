/*
 * stream_tell.c -- .state-stream: what the stream says of itself, for `pitr
 * status`; and whether the server waits for its acknowledgements.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/state.h"
#include "pitr/times.h"
#include "stream_impl.h"

#define TELL_US UINT64_C(1000000)

/* Moments of the monotonic clock by that of the wall; 0 stays. */
static uint64_t
by_the_wall(uint64_t mono_us)
{
    uint64_t now = time_now_us(), ago = time_mono_us() - mono_us;

    return mono_us == 0 ? 0 : now > ago ? now - ago : 1;
}

static void
put_semisync(const struct semisync *m, struct buf *text)
{
    if (!m->known)
        return;
    state_put_u64(text, "semisync_on", m->on);
    state_put_u64(text, "semisync_clients", m->clients);
    if (m->off_us != 0)
        state_put_u64(text, "semisync_off_us", m->off_us);
}

void
stream_tell(struct stream *s, bool now)
{
    struct buf text = {0};
    char *gtid;

    if (!now && time_mono_us() - s->told_us < TELL_US)
        return;
    s->told_us = time_mono_us();
    gtid = gtid_pos_text(stream_gtid(s));
    state_begin(&text);
    state_put_u64(&text, "pid", (uint64_t)getpid());
    state_put_u64(&text, "started_us", s->started_us);
    state_put_u64(&text, "told_us", time_now_us());
    state_put_u64(&text, "once", s->conf->once);
    state_put_u64(&text, "failed", s->failed);
    state_put_u64(&text, "connected", s->writer != NULL);
    state_put_u64(&text, "lost_us", by_the_wall(s->lost_us));
    if (s->lost_us != 0 && s->lost_why != NULL)
        state_put(&text, "error", s->lost_why);
    state_put(&text, "gtid", gtid);
    state_put_u64(&text, "known_us", s->caught.known_us);
    state_put_u64(&text, "transactions", s->report->groups);
    state_put_u64(&text, "bytes", s->report->bytes);
    state_put_u64(&text, "gaps", s->report->gaps);
    state_put_u64(&text, "reconnects", s->report->reconnects);
    state_put(&text, "acknowledge",
        !s->conf->semisync     ? "no"
            : s->conf->durable ? "vault"
                               : "local");
    state_put_u64(&text, "ack_us", by_the_wall(stream_ack_since(s)));
    put_semisync(&s->semi, &text);
    state_store(s->conf->repo->local_path, "stream", &text);
    free(gtid);
    buf_free(&text);
}

/* Told once each time that it changes. */
static void
semisync_is(struct stream *s, bool on)
{
    struct semisync *m = &s->semi;

    if (m->known && m->on == on)
        return;
    if (!on)
        log_warn("the server does not wait for acknowledgements: %s",
            !m->enabled ? "rpl_semi_sync_master_enabled is off"
                : !repl_acknowledges(s->repl)
                ? "they begin when the vaults have caught up"
                : "it has fallen back to asynchronous after its timeout");
    else if (m->known)
        log_info("the server waits for acknowledgements again");
    m->off_us = on ? 0 : time_now_us();
    m->known = true;
    m->on = on;
    stream_tell(s, true);
}

/* -1: the side connection's error. */
int
semisync_ask(struct stream *s)
{
    struct db_result r = {0};
    bool on = false;

    if (db_query(s->side, &r,
            "SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_master_enabled'") < 0)
        return -1;
    s->semi.enabled = strcasecmp(db_text(&r, 0, 1), "ON") == 0;
    db_result_free(&r);
    if (db_query(s->side, &r,
            "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_%%'") < 0)
        return -1;
    for (size_t i = 0; i < r.rows; i++) {
        const char *name = db_text(&r, i, 0), *value = db_text(&r, i, 1);

        if (strcasecmp(name, "Rpl_semi_sync_master_status") == 0)
            on = strcasecmp(value, "ON") == 0;
        if (strcasecmp(name, "Rpl_semi_sync_master_clients") == 0)
            s->semi.clients = strtoull(value, NULL, 10);
    }
    db_result_free(&r);
    semisync_is(s, on && s->semi.enabled && repl_acknowledges(s->repl));
    return 0;
}
