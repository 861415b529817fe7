/*
 * health_look.c -- what there is to tell of a server's protection.
 *
 * The repository is what counts.  The files .state-NAME only tell who is at
 * work; that somebody is, is told by the lock, which ends with its process.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "pitr/health.h"
#include "pitr/mem.h"
#include "pitr/ship.h"
#include "pitr/state.h"
#include "pitr/times.h"

#define DAY_US (UINT64_C(86400) * 1000000)

static char *
text_of(const struct state *s, const char *key)
{
    const char *text = state_get(s, key);

    return xstrdup(text == NULL ? "" : text);
}

static bool
is_held(const struct repo *r, const char *name)
{
    bool held = repo_is_locked(r, name) > 0;

    err_clear();
    return held;
}

/* --- backups --- */

static void
backup_set(struct health_backup *b, const struct backup_info *i, struct repo *r,
    const struct verified *v)
{
    b->id = xstrdup(i->id);
    b->snapshot_us = i->snapshot_us;
    b->tables = i->tables;
    b->rows = i->rows;
    b->row_bytes = i->row_bytes;
    b->stored_bytes = i->stored_bytes;
    b->warnings = i->warnings;
    if (v == NULL)
        return;
    b->verified = verified_backup(v, r, i->id, &b->verified_us);
    err_clear();
}

/* Has anything been added to it within a day?  By the vault's clock. */
static bool
is_arriving(struct repo *r, const struct store_list *l)
{
    uint64_t us, now = time_now_us();

    return l->n > 0 && store_written(r->store, l->v[l->n - 1].name, &us) > 0 &&
        (us > now ? us - now : now - us) < DAY_US;
}

/*
 * Is there nothing to be said of a backup without a manifest?  One that ran
 * when the catalogue was read, and runs no more, may have come to its end
 * since, or have been taken back; and to a vault it comes as slowly as its line
 * is.
 */
static bool
is_no_failure(struct repo *r, const char *id)
{
    char *name = manifest_name(id), *folder = xasprintf("backup/%s/", id);
    struct store_list l = {0};
    uint64_t size;
    bool fine = store_stat(r->store, name, &size) > 0 ||
        (store_list(r->store, folder, false, &l) == 0 && l.n == 0) ||
        (r->local_path == NULL && is_arriving(r, &l));

    err_clear();
    store_list_free(&l);
    free(folder);
    free(name);
    return fine;
}

static void
look_backups(struct health *h, struct repo *r, const struct catalog *c)
{
    struct verified *v = r->local_path != NULL ? verified_load(r) : NULL;

    h->backups = c->backups;
    if (c->backups > 0)
        backup_set(&h->newest, &c->backup[c->backups - 1], r, v);
    if (c->backups > 1)
        backup_set(&h->before, &c->backup[c->backups - 2], r, v);
    verified_free(v);
    h->backup_runs = h->local && is_held(r, "backup");
    /* The newest of them is what runs. */
    h->unfinished = c->n_broken;
    if (c->n_broken > 0 &&
        (h->backup_runs || is_no_failure(r, c->broken[c->n_broken - 1])))
        h->unfinished--;
    if (h->unfinished > 0 &&
        (h->newest.id == NULL ||
            strcmp(c->broken[h->unfinished - 1], h->newest.id) > 0))
        h->unfinished_id = xstrdup(c->broken[h->unfinished - 1]);
}

/* --- the log --- */

static void
look_log(struct health *h, const struct catalog *c)
{
    const struct segment_info *last;
    size_t first = 0;

    if (c->segments == 0)
        return;
    for (size_t i = 0; i < c->segments; i++) {
        const struct segment_start *s = &c->segment[i].start;

        if (!segment_is_gap(s) || (i == 0 && s->cause == SEGMENT_GAP))
            continue;
        h->gaps++;
        free(h->gap_why);
        h->gap_why = xstrdup(s->why);
    }
    last = &c->segment[c->segments - 1];
    for (first = c->segments;
         first > 0 && c->segment[first - 1].start.epoch == last->start.epoch;
         first--)
        continue;
    h->whole_until_us = catalog_whole_until(c, first, c->segments - first);
    free(h->gtid);
    h->gtid = gtid_pos_text(&last->state.gtid);
    h->gap_open = catalog_gap_is_open(c);
}

static void
look_windows(struct health *h, const struct catalog *c)
{
    struct windows w;

    catalog_windows(c, &w);
    for (size_t i = 0; i < w.n; i++) {
        if (h->oldest_us == 0 || w.v[i].from_us < h->oldest_us)
            h->oldest_us = w.v[i].from_us;
        h->recoverable_us = MAX(h->recoverable_us, w.v[i].to_us);
    }
    windows_free(&w);
}

static void
look_head(struct health *h, struct repo *r, const struct catalog *c)
{
    struct head head;

    if (head_of(r, c, &head) == 0)
        head_text(&head, h->head);
    err_clear();
}

/* --- who is at work --- */

static void
look_stream(struct health *h, const struct repo *r)
{
    struct state *s = state_load(r->local_path, "stream");
    const char *on = state_get(s, "semisync_on");

    h->stream = HEALTH_STREAM_NEVER;
    if (h->segments > 0 || s != NULL)
        h->stream = HEALTH_STREAM_STOPPED;
    if (state_get_u64(s, "once") != 0)
        h->stream = HEALTH_STREAM_ONCE;
    if (is_held(r, "stream"))
        h->stream = HEALTH_STREAM_RUNS;
    h->connected = state_get_u64(s, "connected") != 0;
    h->pid = state_get_u64(s, "pid");
    h->started_us = state_get_u64(s, "started_us");
    h->told_us = state_get_u64(s, "told_us");
    h->lost_us = state_get_u64(s, "lost_us");
    h->known_us = state_get_u64(s, "known_us");
    h->error = text_of(s, "error");
    h->acknowledge = text_of(s, "acknowledge");
    h->semisync_known = on != NULL;
    h->semisync_on = state_get_u64(s, "semisync_on") != 0;
    h->semisync_clients = state_get_u64(s, "semisync_clients");
    h->semisync_off_us = state_get_u64(s, "semisync_off_us");
    h->ack_us = state_get_u64(s, "ack_us");
    state_free(s);
}

static void
look_vault(struct health_vault *v, const struct repo *r, const char *url)
{
    char *name = ship_state_name(url);
    struct state *s = state_load(r->local_path, name);

    v->url = xstrdup(url);
    v->known = s != NULL;
    v->runs = is_held(r, name);
    v->once = state_get_u64(s, "once") != 0;
    v->connected = state_get_u64(s, "connected") != 0;
    v->told_us = state_get_u64(s, "told_us");
    v->log_us = state_get_u64(s, "log_us");
    v->synced_us = state_get_u64(s, "synced_us");
    v->objects = state_get_u64(s, "objects");
    v->bytes = state_get_u64(s, "bytes");
    v->error_us = state_get_u64(s, "error_us");
    v->error = text_of(s, "error");
    v->fsync_known = state_get(s, "no_fsync") != NULL;
    v->no_fsync = state_get_u64(s, "no_fsync") != 0;
    v->unlike = state_get_u64(s, "unlike");
    v->unlike_name = text_of(s, "unlike_name");
    state_free(s);
    free(name);
}

static void
look_verify(struct health *h, const struct repo *r)
{
    struct state *s = state_load(r->local_path, "verify");
    const char *object = state_get(s, "object"), *why = state_get(s, "why");

    h->damaged = state_get_u64(s, "damaged");
    h->verify_us = state_get_u64(s, "told_us");
    h->damage = object == NULL || why == NULL
        ? xstrdup("")
        : xasprintf("%s: %s", object, why);
    state_free(s);
}

static void
look_disk(struct health *h, const struct repo *r)
{
    struct statvfs v;

    if (statvfs(r->local_path, &v) != 0)
        return;
    h->disk_free = (uint64_t)v.f_bavail * v.f_frsize;
    h->disk_size = (uint64_t)v.f_blocks * v.f_frsize;
}

static void
look_stored(struct health *h, const struct repo *r)
{
    struct store_list l = {0};

    if (store_list(r->store, "", false, &l) < 0)
        err_clear();
    for (size_t i = 0; i < l.n; i++)
        h->stored_bytes += l.v[i].size;
    store_list_free(&l);
}

static void
cannot_read(struct health *h)
{
    const char *hint = err_hint_text();
    struct health_finding f = {.kind = err_kind(), .code = "repository"};

    f.text = xasprintf("%s%s%s", err_text(), *hint == '\0' ? "" : ". ", hint);
    h->finding = xgrow(h->finding, h->findings, &h->cap_findings, sizeof f);
    h->finding[h->findings++] = f;
    err_clear();
}

void
health_look(struct repo *r, const char *server, char *const *vault, size_t n,
    struct health *out)
{
    struct catalog *c = NULL;

    *out = (struct health){
        .server = xstrdup(server), .gap_why = xstrdup(""), .gtid = xstrdup("")};
    if (r != NULL) {
        out->local = r->local_path != NULL;
        c = catalog_load(r);
    }
    if (c == NULL)
        cannot_read(out);
    if (c != NULL) {
        out->readable = true;
        out->segments = c->segments;
        out->breaks = c->breaks;
        look_backups(out, r, c);
        look_log(out, c);
        look_windows(out, c);
        look_head(out, r, c);
        look_stored(out, r);
    }
    if (r != NULL && out->local) {
        look_stream(out, r);
        look_verify(out, r);
        look_disk(out, r);
        out->vault = xcalloc(MAX(n, 1), sizeof *out->vault);
        for (out->vaults = 0; out->vaults < n; out->vaults++)
            look_vault(&out->vault[out->vaults], r, vault[out->vaults]);
    }
    catalog_free(c);
}

void
health_free(struct health *h)
{
    free(h->newest.id);
    free(h->before.id);
    for (size_t i = 0; i < h->vaults; i++) {
        free(h->vault[i].url);
        free(h->vault[i].error);
        free(h->vault[i].unlike_name);
    }
    for (size_t i = 0; i < h->findings; i++)
        free(h->finding[i].text);
    free(h->vault);
    free(h->damage);
    free(h->finding);
    free(h->server);
    free(h->gap_why);
    free(h->gtid);
    free(h->unfinished_id);
    free(h->error);
    free(h->acknowledge);
    *h = (struct health){0};
}
