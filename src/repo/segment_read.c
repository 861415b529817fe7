/*
 * segment_read.c -- the events of a sealed segment, up to its last whole
 * transaction.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/compress.h"
#include "pitr/mem.h"
#include "pitr/segment.h"

struct segment_reader {
    const struct segment_info *info; /* borrowed */
    struct source *src;
    struct buf event; /* the one that was returned */
    uint64_t pos;     /* in the plaintext */
    struct event_format format;
    struct group_state group;
    struct gtid_pos gtid; /* after the last whole transaction read */
    uint64_t groups;
    bool ended;
};

/* Errors of the seal start with the object's name already. */
static int
wrapped(const struct segment_reader *r)
{
    size_t n = strlen(r->info->name);

    return strncmp(err_text(), r->info->name, n) == 0
        ? -1
        : err_wrap("%s", r->info->name);
}

static struct source *
chain_open(
    struct repo *r, const struct segment_info *s, const struct secret_key *key)
{
    if (s->closed)
        return repo_get(r, SEAL_SEGMENT, s->name, key, s->digest);
    return unzstd_source(
        repo_open_object(r, SEAL_SEGMENT, s->name, key, s->size, s->digest),
        UNZSTD_GROWING);
}

/* The next n bytes, which have to be there. */
static int
take(struct segment_reader *r, void *p, size_t n)
{
    int rc = source_read_full(r->src, p, n);

    if (rc == 0)
        rc = err_set(ERR_VERIFY, "ends at byte %" PRIu64 " of %" PRIu64, r->pos,
            r->info->state.complete_bytes);
    if (rc < 0)
        return -1;
    r->pos += n;
    return 0;
}

struct segment_reader *
segment_open(struct repo *repo, const struct segment_info *s,
    const struct secret_key *key)
{
    struct segment_reader *r = xcalloc(1, sizeof *r);
    uint8_t magic[4];

    r->info = s;
    gtid_pos_copy(&r->gtid, &s->start.gtid);
    if ((r->src = chain_open(repo, s, key)) == NULL ||
        take(r, magic, sizeof magic) < 0) {
        wrapped(r);
        goto fail;
    }
    if (memcmp(magic, BINLOG_MAGIC, sizeof magic) != 0) {
        err_set(ERR_VERIFY, "%s: its content is not a binary log", s->name);
        goto fail;
    }
    return r;

fail:
    segment_reader_free(r);
    return NULL;
}

/* After the last whole transaction: read on, so that what was returned is known
 * to be all of it, and see whether it is what the marks said. */
static int
end_check(struct segment_reader *r)
{
    uint8_t *rest;
    long n;

    if (r->pos != r->info->state.complete_bytes || r->group.open ||
        r->groups != r->info->state.groups ||
        !gtid_pos_equal(&r->gtid, &r->info->state.gtid)) {
        char *is = gtid_pos_text(&r->gtid);
        char *noted = gtid_pos_text(&r->info->state.gtid);

        err_set(ERR_VERIFY, "%s: its transactions end at %s, its mark says %s",
            r->info->name, is, noted);
        free(is);
        free(noted);
        return -1;
    }
    rest = xmalloc(SEAL_FRAME_PLAIN);
    while ((n = source_read(r->src, rest, SEAL_FRAME_PLAIN)) > 0)
        r->pos += (uint64_t)n;
    free(rest);
    if (n == 0 && r->pos != r->info->state.bytes)
        n = err_set(ERR_VERIFY, "it has %" PRIu64 " bytes, not %" PRIu64,
            r->pos, r->info->state.bytes);
    if (n < 0)
        return wrapped(r);
    r->ended = true;
    return 0;
}

/* The size of the event that starts with this header. */
static int
event_size(struct segment_reader *r, const uint8_t head[EVENT_HEADER_SIZE],
    uint32_t *size)
{
    struct cur c = cur_of(head, EVENT_HEADER_SIZE);
    uint64_t left = r->info->state.complete_bytes - r->pos;

    cur_bytes(&c, 9); /* timestamp, type, server id */
    *size = cur_u32(&c);
    if (*size >= EVENT_HEADER_SIZE && *size / 2 <= EVENT_SIZE_MAX &&
        *size - EVENT_HEADER_SIZE <= left)
        return 0;
    return err_set(ERR_VERIFY, "an event of %" PRIu32 " bytes at byte %" PRIu64,
        *size, r->pos - EVENT_HEADER_SIZE);
}

static int
event_take(struct segment_reader *r, struct event *e, int *step)
{
    uint8_t head[EVENT_HEADER_SIZE];
    uint32_t size;

    if (r->info->state.complete_bytes - r->pos < EVENT_HEADER_SIZE)
        return err_set(
            ERR_VERIFY, "a part of an event at byte %" PRIu64, r->pos);
    if (take(r, head, sizeof head) < 0 || event_size(r, head, &size) < 0)
        return -1;
    buf_reset(&r->event);
    buf_reserve(&r->event, size);
    buf_add(&r->event, head, sizeof head);
    if (take(r, r->event.data + sizeof head, size - sizeof head) < 0)
        return -1;
    r->event.len = size;
    if (event_parse(&r->format, r->event.data, size, e) < 0)
        return err_wrap("at byte %" PRIu64, r->pos - size);
    if ((*step = group_next(&r->group, e)) < 0)
        return err_wrap("at byte %" PRIu64, r->pos - size);
    return 0;
}

int
segment_read(struct segment_reader *r, struct event *e, int *step)
{
    if (r->ended)
        return 0;
    if (r->pos >= r->info->state.complete_bytes)
        return end_check(r);
    if (event_take(r, e, step) < 0)
        return wrapped(r);
    if (*step == GROUP_END) {
        gtid_pos_set(&r->gtid, &r->group.gtid.gtid);
        r->groups++;
    }
    return 1;
}

const struct event_gtid *
segment_group(const struct segment_reader *r)
{
    return &r->group.gtid;
}

void
segment_reader_free(struct segment_reader *r)
{
    if (r == NULL)
        return;
    source_free(r->src);
    buf_free(&r->event);
    gtid_pos_free(&r->gtid);
    free(r);
}
