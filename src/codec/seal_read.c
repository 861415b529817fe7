/*
 * seal_read.c -- reading a sealed object record by record, without its secret.
 *
 * Every size is bounded before memory is taken for it, and a header is not
 * looked into before its signature has been checked.
 */
#include <stdlib.h>
#include <string.h>
#include "seal_format.h"
#include "pitr/mem.h"

/* Read n bytes, less where the source or the limit ends.  -1 on error. */
static long
fill(struct seal_walk *w, void *p, size_t n)
{
    uint8_t *to = p;
    size_t got = 0;

    if (w->limit != 0)
        n = (size_t)MIN((uint64_t)n, w->limit - w->pos);
    while (got < n) {
        long r = source_read(w->src, to + got, n - got);

        if (r < 0)
            return -1;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    w->pos += got;
    return (long)got;
}

static int
header_cut(void)
{
    err_set(ERR_VERIFY, "it ends inside its header");
    seal_hint_damaged();
    return -1;
}

static int
header_read(struct seal_walk *w, const struct seal_expect *want)
{
    uint32_t size = 0;
    long got;

    buf_reserve(&w->rec, SEAL_PREFIX_SIZE);
    if ((got = fill(w, w->rec.data, SEAL_PREFIX_SIZE)) < 0)
        return -1;
    if (got < SEAL_PREFIX_SIZE)
        return header_cut();
    if (seal_prefix_decode(w->rec.data, &size) < 0)
        return -1;
    w->rec.len = SEAL_PREFIX_SIZE;
    buf_reserve(&w->rec, size - SEAL_PREFIX_SIZE);
    got = fill(w, w->rec.data + SEAL_PREFIX_SIZE, size - SEAL_PREFIX_SIZE);
    if (got < 0)
        return -1;
    if ((size_t)got < size - SEAL_PREFIX_SIZE)
        return header_cut();
    w->rec.len = size;
    return seal_header_decode(w->rec.data, w->rec.len, want, &w->h, &w->slots);
}

int
seal_wrap(const struct seal_expect *want, const struct seal_header *h)
{
    const char *name =
        want != NULL && want->name != NULL ? want->name : h->name;

    /* Errors of the store name the object themselves. */
    if (name != NULL && (err_kind() == ERR_VERIFY || err_kind() == ERR_KEY))
        err_wrap("%s", name);
    return -1;
}

int
seal_walk_start(struct seal_walk *w, struct source *src,
    const struct seal_expect *want, uint64_t limit)
{
    memset(w, 0, sizeof(*w));
    w->src = src;
    w->limit = limit;
    if (header_read(w, want) < 0)
        return -1;
    w->run = digest_new();
    digest_add(w->run, w->rec.data, w->rec.len);
    return 0;
}

void
seal_walk_free(struct seal_walk *w)
{
    seal_header_free(&w->h);
    digest_free(w->run);
    buf_free(&w->rec);
    w->run = NULL;
}

/* Append n bytes to the record.  1, 0 where they are not all there, -1. */
static int
rec_more(struct seal_walk *w, size_t n)
{
    long got;

    buf_reserve(&w->rec, n);
    if ((got = fill(w, w->rec.data + w->rec.len, n)) < 0)
        return -1;
    w->rec.len += (size_t)got;
    return (size_t)got == n;
}

static enum seal_step
rec_broken(const struct seal_walk *w, const char *what)
{
    err_set(ERR_VERIFY, "%s at byte %llu", what, (unsigned long long)w->at);
    seal_hint_damaged();
    return SEAL_STEP_BROKEN;
}

static enum seal_step
rec_frame(struct seal_walk *w)
{
    struct cur c = cur_of(w->rec.data + 1, 4);
    uint32_t len = cur_u32(&c);
    int rc;

    if (len < SEAL_ABYTES || len > SEAL_CIPHER_MAX)
        return rec_broken(w, "a frame's length is out of bounds");
    if ((rc = rec_more(w, len)) <= 0)
        return rc < 0 ? SEAL_STEP_FAULT : rec_broken(w, "it is cut short");
    digest_add(w->run, w->rec.data, w->rec.len);
    w->frames++;
    return SEAL_STEP_FRAME;
}

static enum seal_step
rec_mark(struct seal_walk *w)
{
    struct cur c;
    uint32_t size;
    int rc;

    if ((rc = rec_more(w, SEAL_MARK_HEAD - SEAL_FRAME_HEAD)) <= 0)
        return rc < 0 ? SEAL_STEP_FAULT : rec_broken(w, "it is cut short");
    c = cur_of(w->rec.data + 2, 4);
    size = cur_u32(&c);
    if (size < SEAL_MARK_FIXED || size > SEAL_MARK_MAX)
        return rec_broken(w, "a mark's size is out of bounds");
    if ((rc = rec_more(w, size - SEAL_MARK_HEAD)) <= 0)
        return rc < 0 ? SEAL_STEP_FAULT : rec_broken(w, "it is cut short");
    return SEAL_STEP_MARK;
}

enum seal_step
seal_walk_next(struct seal_walk *w)
{
    int rc;

    w->at = w->pos;
    buf_reset(&w->rec);
    /* As much as the shorter head has: reads of a vault are not free. */
    if ((rc = rec_more(w, SEAL_FRAME_HEAD)) < 0)
        return SEAL_STEP_FAULT;
    if (w->rec.len == 0)
        return SEAL_STEP_END;
    if (w->rec.data[0] != SEAL_REC_FRAME && w->rec.data[0] != SEAL_REC_MARK)
        return rec_broken(w, "there is no record of an object");
    if (rc == 0)
        return rec_broken(w, "it is cut short");
    return w->rec.data[0] == SEAL_REC_FRAME ? rec_frame(w) : rec_mark(w);
}

int
seal_walk_mark(struct seal_walk *w, struct seal_mark *out)
{
    uint8_t digest[DIGEST_SIZE];

    memset(out, 0, sizeof(*out));
    if (seal_mark_decode(w->rec.data, w->rec.len, out) < 0 ||
        seal_mark_check(&w->h, w->rec.data, w->rec.len) < 0)
        goto fail;
    digest_get(w->run, digest);
    if (out->offset != w->at || out->frames != w->frames) {
        err_set(ERR_VERIFY,
            "frames are missing or were added before byte "
            "%llu",
            (unsigned long long)w->at);
        goto fail;
    }
    if (memcmp(digest, out->digest, DIGEST_SIZE) != 0) {
        err_set(ERR_VERIFY,
            "bytes were changed before byte %llu: the digest "
            "does not match",
            (unsigned long long)w->at);
        goto fail;
    }
    digest_add(w->run, w->rec.data, w->rec.len);
    return 0;

fail:
    seal_hint_damaged();
    seal_mark_free(out);
    return -1;
}

int
seal_walk_at_end(struct seal_walk *w)
{
    uint8_t byte;
    long got = source_read(w->src, &byte, 1);

    return got < 0 ? -1 : got == 0;
}

int
seal_read_header(
    struct source *src, const struct seal_expect *want, struct seal_header *out)
{
    struct seal_walk w;
    int rc = -1;

    memset(out, 0, sizeof(*out));
    memset(&w, 0, sizeof(w));
    w.src = src;
    if (header_read(&w, want) < 0) {
        seal_wrap(want, &w.h);
    } else {
        *out = w.h; /* takes what it holds */
        memset(&w.h, 0, sizeof(w.h));
        rc = 0;
    }
    seal_walk_free(&w);
    return rc;
}
