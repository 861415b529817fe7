/*
 * status_text.c -- health for people: what is wrong first, then what there is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/times.h"
#include "status.h"

#define NAMED "%-11s"

static const char *
ago(uint64_t now_us, uint64_t us, char out[TIME_TEXT])
{
    return time_span(now_us > us ? now_us - us : 0, out);
}

static const char *
grade(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE:
        return "fine";
    case ERR_WARNINGS:
        return "warning";
    case ERR_GAP:
        return "GAP";
    default:
        return "FAILED";
    }
}

static void
put_backup(const struct health *h, uint64_t now_us, struct buf *out)
{
    const struct health_backup *b = &h->newest;
    char text[TIME_TEXT], when[TIME_BOTH];

    if (b->id == NULL) {
        buf_fmt(out, NAMED "none\n", "backup");
        return;
    }
    buf_fmt(out, NAMED "%s, %s old; %" PRIu64 " tables, %" PRIu64 " rows, ",
        "backup", b->id, ago(now_us, b->snapshot_us, text), b->tables, b->rows);
    buf_fmt(out, "%s stored\n", size_text(b->stored_bytes, text));
    if (b->verified == VERIFY_NONE)
        buf_fmt(out, NAMED "not verified here\n", "");
    else
        buf_fmt(out, NAMED "its %s verified %s ago\n", "",
            b->verified == VERIFY_CONTENT ? "content was" : "signatures were",
            ago(now_us, b->verified_us, text));
    if (h->oldest_us != 0)
        buf_fmt(out, NAMED "from %s\n", "restorable",
            time_both(h->oldest_us, when));
    if (h->recoverable_us != 0)
        buf_fmt(out, NAMED "to   %s, %s ago\n", "",
            time_both(h->recoverable_us, when),
            ago(now_us, h->recoverable_us, text));
    if (h->unfinished > 0 || h->backup_runs)
        buf_fmt(out, NAMED "%zu unfinished%s\n", "leftovers", h->unfinished,
            h->backup_runs ? "; a backup is running" : "");
}

static void
put_log(const struct health *h, uint64_t now_us, struct buf *out)
{
    char text[TIME_TEXT];

    if (h->segments == 0) {
        buf_fmt(out, NAMED "none\n", "log");
        return;
    }
    buf_fmt(out, NAMED "%zu segment%s to GTID %s", "log", h->segments,
        h->segments == 1 ? "" : "s", *h->gtid == '\0' ? "(empty)" : h->gtid);
    if (h->whole_until_us != 0)
        buf_fmt(
            out, ", whole until %s ago", ago(now_us, h->whole_until_us, text));
    if (h->gaps > 0)
        buf_fmt(out, "; %zu gap%s", h->gaps, h->gaps == 1 ? "" : "s");
    buf_str(out, "\n");
}

static void
put_stream(const struct health *h, uint64_t now_us, struct buf *out)
{
    static const char *const words[] = {
        [HEALTH_STREAM_UNKNOWN] = NULL,
        [HEALTH_STREAM_NEVER] = "there was none",
        [HEALTH_STREAM_STOPPED] = "stopped",
        [HEALTH_STREAM_ONCE] = "run from time to time (--once)",
        [HEALTH_STREAM_RUNS] = "running",
    };
    char text[TIME_TEXT];

    if (words[h->stream] == NULL)
        return;
    buf_fmt(out, NAMED "%s", "stream", words[h->stream]);
    if (h->stream == HEALTH_STREAM_RUNS)
        buf_fmt(out, " for %s, process %" PRIu64 ", %s",
            ago(now_us, h->started_us, text), h->pid,
            h->connected ? "connected" : "NOT connected");
    buf_str(out, "\n");
    if (h->stream != HEALTH_STREAM_RUNS || h->acknowledge == NULL ||
        strcmp(h->acknowledge, "no") == 0)
        return;
    buf_fmt(out, NAMED "acknowledge = %s: %s\n", "semi-sync", h->acknowledge,
        !h->semisync_known   ? "not known yet"
            : h->semisync_on ? "the server waits for it"
                             : "ASYNCHRONOUS, the server does not wait");
}

static void
put_vault(const struct health_vault *v, uint64_t now_us, struct buf *out)
{
    char text[TIME_TEXT];

    buf_fmt(out, NAMED "%s: ", "vault", v->url);
    if (!v->known) {
        buf_str(out, "nothing was shipped there\n");
        return;
    }
    if (v->synced_us == 0)
        buf_str(out, "never up to date");
    else
        buf_fmt(out, "up to date %s ago", ago(now_us, v->synced_us, text));
    if (v->objects > 0)
        buf_fmt(out, ", %" PRIu64 " object%s (%s) to ship", v->objects,
            v->objects == 1 ? "" : "s", size_text(v->bytes, text));
    if (v->no_fsync)
        buf_str(out, ", NOT DURABLE (no fsync@openssh.com)");
    buf_fmt(out, "%s\n",
        v->runs       ? v->connected ? "" : ", NOT connected"
            : v->once ? ""
                      : ", NOBODY SHIPS");
    if (v->error_us != 0)
        buf_fmt(out, NAMED "last failure %s ago: %s\n", "",
            ago(now_us, v->error_us, text), v->error);
}

static void
put_disk(const struct health *h, struct buf *out)
{
    char left[TIME_TEXT], size[TIME_TEXT], stored[TIME_TEXT];

    if (h->disk_size == 0)
        return;
    buf_fmt(out, NAMED "%s of %s free; the repository has %s\n", "disk",
        size_text(h->disk_free, left), size_text(h->disk_size, size),
        size_text(h->stored_bytes, stored));
}

void
status_text(const struct health *h, uint64_t now_us, struct buf *out)
{
    if (out->len > 0)
        buf_str(out, "\n");
    buf_fmt(out, "%s: %s\n", h->server, grade(health_kind(h)));
    for (size_t i = 0; i < h->findings; i++)
        buf_fmt(
            out, "  %-7s %s\n", grade(h->finding[i].kind), h->finding[i].text);
    if (!h->readable)
        return;
    put_backup(h, now_us, out);
    put_log(h, now_us, out);
    put_stream(h, now_us, out);
    for (size_t i = 0; i < h->vaults; i++)
        put_vault(&h->vault[i], now_us, out);
    put_disk(h, out);
    if (*h->head != '\0')
        buf_fmt(out, NAMED "%s\n", "head", h->head);
}
