/*
 * health_judge.c -- from what there is to what somebody has to look at.  Pure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/health.h"
#include "pitr/mem.h"
#include "pitr/times.h"

/* A stream or a transfer that is at work tells so more often than this. */
#define SILENT_US (UINT64_C(120) * 1000000)
/* An acknowledgement that takes longer holds up the server's clients. */
#define ACK_US (UINT64_C(5) * 1000000)
/* A stream that was just started, or lost its server for a moment. */
#define GRACE_US (UINT64_C(30) * 1000000)
/* So long after a failure, a line that is up again has proven nothing. */
#define FAILS_US (UINT64_C(60) * 1000000)
/* A backup of next to nothing may lose all of it and tell nothing. */
#define SHRINK_ROWS 100
#define SHRINK_BYTES 65536

static void PRINTF(4, 5) found(struct health *h, enum err_kind kind,
    const char *code, const char *fmt, ...)
{
    struct health_finding f = {.kind = kind, .code = code};
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    f.text = xstrdup(text);
    h->finding = xgrow(h->finding, h->findings, &h->cap_findings, sizeof f);
    h->finding[h->findings++] = f;
}

static uint64_t
age(uint64_t now_us, uint64_t us)
{
    return now_us > us ? now_us - us : 0;
}

static bool
shrank(uint64_t is, uint64_t was, uint64_t least, unsigned percent)
{
    return was >= least && is < was &&
        (double)(was - is) * 100 > (double)was * percent;
}

/* Until a verify finds nothing any more. */
static void
judge_verify(struct health *h, uint64_t now_us)
{
    char old[TIME_TEXT];

    if (h->damaged > 0)
        found(h, ERR_VERIFY, "verify_failed",
            "verify found %" PRIu64 " damaged object%s %s ago: %s", h->damaged,
            h->damaged == 1 ? "" : "s",
            time_span(age(now_us, h->verify_us), old),
            h->damage != NULL ? h->damage : "");
}

static void
judge_shrink(struct health *h, const struct health_limits *l)
{
    const struct health_backup *n = &h->newest, *b = &h->before;
    char is[TIME_TEXT], was[TIME_TEXT];

    if (l->shrink_percent == 0 || b->id == NULL)
        return;
    if (shrank(n->rows, b->rows, SHRINK_ROWS, l->shrink_percent))
        found(h, ERR_WARNINGS, "backup_shrank",
            "the newest backup has %" PRIu64 " rows, the one before had "
            "%" PRIu64,
            n->rows, b->rows);
    else if (shrank(
                 n->row_bytes, b->row_bytes, SHRINK_BYTES, l->shrink_percent))
        found(h, ERR_WARNINGS, "backup_shrank",
            "the rows of the newest backup are %s, those of the one before "
            "were %s",
            size_text(n->row_bytes, is), size_text(b->row_bytes, was));
    if (n->tables < b->tables && l->shrink_percent <= 100 &&
        shrank(n->tables, b->tables, 1, l->shrink_percent))
        found(h, ERR_WARNINGS, "backup_shrank",
            "the newest backup has %" PRIu64 " tables, the one before had "
            "%" PRIu64,
            n->tables, b->tables);
}

static void
judge_backups(struct health *h, const struct health_limits *l, uint64_t now_us)
{
    const struct health_backup *b = &h->newest;
    char old[TIME_TEXT];

    if (b->id == NULL) {
        found(h, ERR_FAILED, "no_backup", "there is no backup");
        return;
    }
    if (l->backup_age_us != 0 && age(now_us, b->snapshot_us) > l->backup_age_us)
        found(h, ERR_FAILED, "backup_old", "the newest backup is %s old",
            time_span(age(now_us, b->snapshot_us), old));
    if (b->snapshot_us > now_us + GRACE_US)
        found(h, ERR_WARNINGS, "clock",
            "the newest backup is of the future: a clock was set back");
    if (h->unfinished_id != NULL)
        found(h, ERR_WARNINGS, "backup_failed",
            "the last backup (%s) did not come to its end", h->unfinished_id);
    if (b->warnings > 0)
        found(h, ERR_WARNINGS, "backup_warned",
            "the newest backup warned of %" PRIu64 " thing%s", b->warnings,
            b->warnings == 1 ? "" : "s");
    if (l->verify_age_us != 0 &&
        (b->verified == VERIFY_NONE ||
            age(now_us, b->verified_us) > l->verify_age_us) &&
        (h->before.id == NULL || h->before.verified == VERIFY_NONE ||
            age(now_us, h->before.verified_us) > l->verify_age_us))
        found(h, ERR_WARNINGS, "not_verified",
            "none of the two newest backups was verified within %s",
            time_span(l->verify_age_us, old));
    judge_shrink(h, l);
}

static void
judge_gaps(struct health *h)
{
    const char *why =
        *h->gap_why == '\0' ? "it does not go on from the backup" : h->gap_why;

    if (h->gap_open)
        found(h, ERR_GAP, "gap",
            "a gap in the log after the newest backup: nothing newer can be "
            "restored until another is made (%s)",
            why);
    else if (h->gaps > 0)
        found(h, ERR_WARNINGS, "gap_before",
            "%zu gap%s in the log, covered again by a newer backup: %s",
            h->gaps, h->gaps == 1 ? "" : "s", why);
}

static void
judge_lag(struct health *h, const struct health_limits *l, uint64_t now_us)
{
    uint64_t until = h->whole_until_us;
    char lag[TIME_TEXT];

    /* What a mark has told stays.  The stream tells what the server's clock is
     * now: only its word can say that the log lags. */
    if (h->segments > 0 && until > now_us + GRACE_US) {
        found(h, ERR_WARNINGS, "clock",
            "the log is of %s from now: the server's clock or this host's is "
            "wrong, or was once. Until then, or in a new repository, do not "
            "go by the end of what can be restored: a moment that the log has "
            "not reached is taken as a cutoff",
            time_span(until - now_us, lag));
        if (h->known_us != 0)
            until = MIN(until, h->known_us);
    }
    if (l->lag_us == 0 || h->segments == 0 || until == 0 ||
        age(now_us, until) <= l->lag_us)
        return;
    found(h, ERR_FAILED, "log_behind",
        "the log in the repository is known to be whole only until %s ago",
        time_span(age(now_us, until), lag));
}

static void
judge_stream(struct health *h, const struct health_limits *l, uint64_t now_us)
{
    char text[TIME_TEXT];

    switch (h->stream) {
    case HEALTH_STREAM_NEVER:
        found(h, ERR_FAILED, "no_stream",
            "no stream: the binary log is not captured");
        return;
    case HEALTH_STREAM_STOPPED:
        found(h, ERR_FAILED, "stream_stopped",
            "the stream has stopped: the binary log is not captured");
        return;
    case HEALTH_STREAM_ONCE:
    case HEALTH_STREAM_UNKNOWN:
        judge_lag(h, l, now_us);
        return;
    case HEALTH_STREAM_RUNS:
        break;
    }
    if (h->told_us != 0 && age(now_us, h->told_us) > SILENT_US)
        found(h, ERR_WARNINGS, "stream_silent",
            "the stream runs, but has told nothing for %s",
            time_span(age(now_us, h->told_us), text));
    if (!h->connected && h->lost_us != 0)
        found(h,
            age(now_us, h->lost_us) > l->lag_us && l->lag_us != 0
                ? ERR_FAILED
                : ERR_WARNINGS,
            "stream_interrupted", "the stream is interrupted for %s: %s",
            time_span(age(now_us, h->lost_us), text), h->error);
    if (age(now_us, h->started_us) > GRACE_US)
        judge_lag(h, l, now_us);
}

static void
judge_semisync(struct health *h, uint64_t now_us)
{
    char text[TIME_TEXT];

    if (h->stream != HEALTH_STREAM_RUNS || h->acknowledge == NULL ||
        *h->acknowledge == '\0' || strcmp(h->acknowledge, "no") == 0)
        return;
    if (h->connected && h->semisync_known && !h->semisync_on)
        found(h, ERR_WARNINGS, "semisync_off",
            "the server does not wait for acknowledgements, or has fallen "
            "back to asynchronous: what it confirms may be lost with it");
    else if (h->ack_us != 0 && age(now_us, h->ack_us) > ACK_US)
        found(h, ERR_WARNINGS, "ack_late",
            "an acknowledgement is due for %s (acknowledge = %s)",
            time_span(age(now_us, h->ack_us), text), h->acknowledge);
}

/* Between two attempts that fail there is a line up for a moment: that is no
 * news of the vault's. */
static bool
vault_fails(const struct health_vault *v, uint64_t now_us)
{
    if (!v->runs) /* from time to time: the last one */
        return v->once && v->error_us > v->synced_us;
    return v->error_us != 0 &&
        (!v->connected ||
            (v->error_us > v->synced_us &&
                age(now_us, v->error_us) < FAILS_US));
}

static void
judge_vault(struct health *h, const struct health_vault *v,
    const struct health_limits *l, uint64_t now_us)
{
    char text[TIME_TEXT];
    uint64_t lag = age(now_us, v->synced_us);
    bool behind = l->vault_lag_us != 0 && lag > l->vault_lag_us;

    if (!v->known)
        found(h, ERR_WARNINGS, "vault_never", "%s: nothing was shipped there",
            v->url);
    else if (!v->runs && !v->once)
        found(h, ERR_WARNINGS, "ship_stopped",
            "%s: nobody ships there any more", v->url);
    else if (vault_fails(v, now_us))
        found(h, behind ? ERR_FAILED : ERR_WARNINGS, "vault_away", "%s%s%s",
            strstr(v->error, v->url) != NULL ? "" : v->url,
            strstr(v->error, v->url) != NULL ? "" : ": ", v->error);
    if (v->known && behind)
        found(h, ERR_FAILED, "vault_behind",
            "%s: not up to date for %s; %" PRIu64 " object%s to ship", v->url,
            v->synced_us == 0 ? "ever" : time_span(lag, text), v->objects,
            v->objects == 1 ? "" : "s");
    if (v->unlike > 0)
        found(h, ERR_VERIFY, "vault_differs",
            "%s: %" PRIu64 " object%s there with other bytes than here: %s",
            v->url, v->unlike, v->unlike == 1 ? " is" : "s are",
            v->unlike_name != NULL ? v->unlike_name : "");
    if (v->no_fsync)
        found(h, ERR_WARNINGS, "vault_no_fsync",
            "%s: it cannot promise that what it has is durable (no "
            "fsync@openssh.com)",
            v->url);
}

static void
judge_disk(struct health *h, const struct health_limits *l)
{
    char left[TIME_TEXT];

    if (h->disk_size == 0 || l->free_percent == 0 ||
        (double)h->disk_free * 100 >= (double)h->disk_size * l->free_percent)
        return;
    found(h, ERR_WARNINGS, "disk_full",
        "only %s (%.1f %%) are left on the repository's disk",
        size_text(h->disk_free, left),
        (double)h->disk_free * 100 / (double)h->disk_size);
}

/* Backups wait from there on. */
static void
judge_spool(struct health *h, const struct health_limits *l)
{
    char is[TIME_TEXT], most[TIME_TEXT];

    if (l->spool_bytes == 0 || !h->local || h->stored_bytes < l->spool_bytes)
        return;
    found(h, ERR_WARNINGS, "spool_full",
        "the repository has %s, and spool_limit is %s: backups wait",
        size_text(h->stored_bytes, is), size_text(l->spool_bytes, most));
}

void
health_judge(struct health *h, const struct health_limits *l, uint64_t now_us)
{
    if (!h->readable)
        return;
    judge_backups(h, l, now_us);
    judge_verify(h, now_us);
    judge_gaps(h);
    if (h->breaks > 0)
        found(h, ERR_VERIFY, "damaged",
            "the log is broken in %zu place%s: \"pitr verify\" tells more",
            h->breaks, h->breaks == 1 ? "" : "s");
    judge_stream(h, l, now_us);
    judge_semisync(h, now_us);
    for (size_t i = 0; i < h->vaults; i++)
        judge_vault(h, &h->vault[i], l, now_us);
    judge_disk(h, l);
    judge_spool(h, l);
}

enum err_kind
health_kind(const struct health *h)
{
    /* The gravest first; anything else is about reading the repository. */
    static const enum err_kind order[] = {ERR_GAP, ERR_FAILED, ERR_WARNINGS};

    for (size_t i = 0; i < h->findings; i++)
        if (h->finding[i].kind != ERR_GAP && h->finding[i].kind != ERR_FAILED &&
            h->finding[i].kind != ERR_WARNINGS)
            return h->finding[i].kind;
    for (size_t k = 0; k < NELEM(order); k++)
        for (size_t i = 0; i < h->findings; i++)
            if (h->finding[i].kind == order[k])
                return order[k];
    return ERR_NONE;
}
