/*
 * ship_state.c -- .state-ship-HASH: how far a vault is, for `pitr status`.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/state.h"
#include "pitr/times.h"
#include "ship_priv.h"

#define TELL_US UINT64_C(1000000)

char *
ship_state_name(const char *vault)
{
    char *path = ship_file_path("", "state", vault);
    char *name = xasprintf("ship-%s", strrchr(path, '-') + 1);

    free(path);
    return name;
}

static void
behind(const struct ship *s, uint64_t *objects, uint64_t *bytes)
{
    *objects = *bytes = 0;
    for (size_t i = 0; i < s->table.n; i++) {
        const struct ship_item *it = s->table.v[i];

        if (it->state == SHIP_DONE || it->there >= it->local)
            continue;
        ++*objects;
        *bytes += it->local - it->there;
    }
}

void
ship_tell(struct ship *s, bool now)
{
    struct ship_told *t = &s->told;
    struct buf text = {0};
    char *name;
    uint64_t objects, bytes;

    if (!now && time_mono_us() - t->written_us < TELL_US)
        return;
    t->written_us = time_mono_us();
    state_begin(&text);
    state_put(&text, "vault", s->conf->vault);
    state_put_u64(&text, "pid", (uint64_t)getpid());
    state_put_u64(&text, "told_us", time_now_us());
    state_put_u64(&text, "once", s->conf->once);
    pthread_mutex_lock(&s->lock);
    behind(s, &objects, &bytes);
    state_put_u64(&text, "connected", t->connected);
    state_put_u64(&text, "log_us", t->log_us);
    state_put_u64(&text, "synced_us", t->synced_us);
    state_put_u64(&text, "objects", objects);
    state_put_u64(&text, "bytes", bytes);
    state_put_u64(&text, "shipped", s->report.bytes);
    state_put_u64(&text, "lost", s->report.lost);
    state_put_u64(&text, "outages", s->report.outages);
    state_put_u64(&text, "unlike", MAX(s->n_unlike, t->unlike_was));
    if (s->n_unlike > 0 || t->unlike_name != NULL)
        state_put(&text, "unlike_name",
            s->n_unlike > 0 ? s->unlike[0].name : t->unlike_name);
    if (t->fsync_known)
        state_put_u64(&text, "no_fsync", t->no_fsync);
    if (t->error != NULL) {
        state_put_u64(&text, "error_us", t->error_us);
        state_put(&text, "error", t->error);
    }
    pthread_mutex_unlock(&s->lock);
    name = ship_state_name(s->conf->vault);
    state_store(s->repo->local_path, name, &text);
    free(name);
    buf_free(&text);
}

void
ship_tell_error(struct ship *s)
{
    const char *hint = err_hint_text();

    pthread_mutex_lock(&s->lock);
    free(s->told.error);
    s->told.error =
        xasprintf("%s%s%s", err_text(), *hint == '\0' ? "" : ". ", hint);
    s->told.error_us = time_now_us();
    s->told.connected = false;
    pthread_mutex_unlock(&s->lock);
    ship_tell(s, true);
}

void
ship_tell_log(struct ship *s, uint64_t at_us)
{
    pthread_mutex_lock(&s->lock);
    s->told.log_us = at_us;
    if (!ship_table_busy(&s->table))
        s->told.synced_us = at_us;
    pthread_mutex_unlock(&s->lock);
}

/* What an earlier process has told is still true: until when it was in sync,
 * and its last failure. */
void
ship_tell_begin(struct ship *s)
{
    char *name = ship_state_name(s->conf->vault);
    struct state *was = state_load(s->repo->local_path, name);
    const char *error = state_get(was, "error");

    s->told.log_us = state_get_u64(was, "log_us");
    s->told.synced_us = state_get_u64(was, "synced_us");
    s->told.error_us = state_get_u64(was, "error_us");
    s->told.fsync_known = state_get(was, "no_fsync") != NULL;
    s->told.no_fsync = state_get_u64(was, "no_fsync") != 0;
    if (error != NULL)
        s->told.error = xstrdup(error);
    s->told.unlike_was = state_get_u64(was, "unlike");
    if (state_get(was, "unlike_name") != NULL)
        s->told.unlike_name = xstrdup(state_get(was, "unlike_name"));
    state_free(was);
    free(name);
}
