/*
 * status_json.c -- health for scripts.  A moment that is not known is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/json.h"
#include "status.h"

static void
put_time(struct json *j, const char *key, uint64_t us)
{
    if (us != 0)
        json_time(j, key, us);
}

static void
put_age(struct json *j, const char *key, uint64_t now_us, uint64_t us)
{
    if (us != 0)
        json_u64(j, key, (now_us > us ? now_us - us : 0) / 1000000);
}

static void
put_backup(struct json *j, const char *key, const struct health_backup *b,
    uint64_t now_us)
{
    static const char *const levels[] = {[VERIFY_NONE] = "no",
        [VERIFY_SIGNATURES] = "signatures",
        [VERIFY_CONTENT] = "content"};

    if (b->id == NULL)
        return;
    json_object(j, key);
    json_str(j, "id", b->id);
    json_time(j, "snapshot", b->snapshot_us);
    put_age(j, "age_seconds", now_us, b->snapshot_us);
    json_u64(j, "tables", b->tables);
    json_u64(j, "rows", b->rows);
    json_u64(j, "row_bytes", b->row_bytes);
    json_u64(j, "stored_bytes", b->stored_bytes);
    json_u64(j, "warnings", b->warnings);
    json_str(j, "verified", levels[b->verified]);
    put_time(j, "verified_at", b->verified_us);
    json_end_object(j);
}

static void
put_stream(struct json *j, const struct health *h)
{
    static const char *const words[] = {[HEALTH_STREAM_UNKNOWN] = "unknown",
        [HEALTH_STREAM_NEVER] = "never",
        [HEALTH_STREAM_STOPPED] = "stopped",
        [HEALTH_STREAM_ONCE] = "once",
        [HEALTH_STREAM_RUNS] = "running"};

    json_object(j, "stream");
    json_str(j, "state", words[h->stream]);
    if (h->stream == HEALTH_STREAM_RUNS) {
        json_bool(j, "connected", h->connected);
        json_u64(j, "pid", h->pid);
        put_time(j, "started", h->started_us);
        put_time(j, "lost", h->lost_us);
        if (h->error != NULL && *h->error != '\0')
            json_str(j, "error", h->error);
        json_str(j, "acknowledge", h->acknowledge);
        if (h->semisync_known)
            json_bool(j, "semisync", h->semisync_on);
        put_time(j, "asynchronous_since", h->semisync_off_us);
        put_time(j, "acknowledgement_due_since", h->ack_us);
    }
    json_end_object(j);
}

static void
put_vault(struct json *j, const struct health_vault *v, uint64_t now_us)
{
    json_object(j, NULL);
    json_str(j, "vault", v->url);
    json_bool(j, "running", v->runs);
    json_bool(j, "connected", v->runs && v->connected);
    put_time(j, "log_until", v->log_us);
    put_time(j, "synced", v->synced_us);
    put_age(j, "lag_seconds", now_us, v->synced_us);
    json_u64(j, "objects_to_ship", v->objects);
    json_u64(j, "bytes_to_ship", v->bytes);
    if (v->fsync_known)
        json_bool(j, "durable", !v->no_fsync);
    if (v->error_us != 0) {
        json_time(j, "last_failure", v->error_us);
        json_str(j, "error", v->error);
    }
    json_end_object(j);
}

static void
put_one(struct json *j, const struct health *h, uint64_t now_us)
{
    json_object(j, NULL);
    json_str(j, "server", h->server);
    json_u64(j, "code", (uint64_t)health_kind(h));
    json_array(j, "findings");
    for (size_t i = 0; i < h->findings; i++) {
        json_object(j, NULL);
        json_str(j, "code", h->finding[i].code);
        json_u64(j, "exit", (uint64_t)h->finding[i].kind);
        json_str(j, "text", h->finding[i].text);
        json_end_object(j);
    }
    json_end_array(j);
    if (h->readable) {
        json_u64(j, "backups", h->backups);
        put_backup(j, "newest", &h->newest, now_us);
        put_backup(j, "before", &h->before, now_us);
        json_u64(j, "unfinished", h->unfinished);
        put_time(j, "restorable_from", h->oldest_us);
        put_time(j, "restorable_to", h->recoverable_us);
        json_u64(j, "segments", h->segments);
        json_str(j, "gtid", h->gtid);
        put_time(j, "whole_until", h->whole_until_us);
        json_u64(j, "gaps", h->gaps);
        json_bool(j, "gap_open", h->gap_open);
        put_stream(j, h);
        json_array(j, "vaults");
        for (size_t i = 0; i < h->vaults; i++)
            put_vault(j, &h->vault[i], now_us);
        json_end_array(j);
        json_u64(j, "disk_free_bytes", h->disk_free);
        json_u64(j, "disk_size_bytes", h->disk_size);
        json_u64(j, "repository_bytes", h->stored_bytes);
        json_str(j, "head", h->head);
    }
    json_end_object(j);
}

void
status_json(const struct health *h, size_t n, uint64_t now_us, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j, NULL);
    json_time(&j, "now", now_us);
    json_array(&j, "servers");
    for (size_t i = 0; i < n; i++)
        put_one(&j, &h[i], now_us);
    json_end_array(&j);
    json_end_object(&j);
    buf_str(out, "\n");
}
