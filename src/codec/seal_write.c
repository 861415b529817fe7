/*
 * seal_write.c -- the sink that seals: header, frames, marks.
 */
#include <stdlib.h>
#include <string.h>
#include "keys_impl.h"
#include "seal_format.h"
#include "pitr/mem.h"
#include "pitr/times.h"

typedef crypto_secretstream_xchacha20poly1305_state stream_state;

struct seal {
    struct sink *next;
    const struct signing_key *signer; /* borrowed */
    stream_state *stream;             /* locked memory */
    struct digest *run;               /* of all bytes written */
    uint8_t header[DIGEST_SIZE];
    uint64_t pos, frames;
    uint8_t *plain; /* SEAL_FRAME_PLAIN bytes, of which pending are used */
    size_t pending;
    uint8_t *frame;  /* room for one record */
    struct buf meta; /* of the next mark */
    bool meta_too_big;
    struct seal_mark last;
};

static int
record_write(struct seal *s, const void *p, size_t n)
{
    digest_add(s->run, p, n);
    s->pos += n;
    return sink_write(s->next, p, n);
}

static int
frame_write(struct seal *s, const uint8_t *plain, size_t n, uint8_t tag)
{
    uint8_t ad[SEAL_FRAME_AD];
    uint32_t len = (uint32_t)(n + SEAL_ABYTES);

    seal_frame_ad(s->header, s->frames, ad);
    s->frame[0] = SEAL_REC_FRAME;
    for (unsigned i = 0; i < 4; i++)
        s->frame[1 + i] = (uint8_t)(len >> (8 * i));
    if (crypto_secretstream_xchacha20poly1305_push(s->stream,
            s->frame + SEAL_FRAME_HEAD, NULL, plain, n, ad, sizeof(ad),
            tag) != 0)
        return err_set(ERR_FAILED, "a frame could not be encrypted");
    s->frames++;
    return record_write(s, s->frame, SEAL_FRAME_HEAD + len);
}

static int
pending_write(struct seal *s, uint8_t tag)
{
    size_t n = s->pending;

    s->pending = 0;
    return frame_write(s, s->plain, n, tag);
}

static int
mark_write(struct seal *s, bool final)
{
    struct seal_mark *m = &s->last;
    struct buf out = {0};
    int rc;

    if (s->meta_too_big)
        return err_set(ERR_FAILED, "the note of a mark is too large");
    m->offset = s->pos;
    m->frames = s->frames;
    digest_get(s->run, m->digest);
    m->made_us = time_now_us();
    m->final = final;
    buf_reset(&m->meta);
    buf_add(&m->meta, s->meta.data, s->meta.len);
    seal_mark_encode(m, s->header, s->signer, &out);
    rc = record_write(s, out.data, out.len);
    buf_free(&out);
    return rc;
}

static int
seal_write(void *impl, const void *p, size_t n)
{
    struct seal *s = impl;
    const uint8_t *from = p;

    while (n > 0) {
        size_t take = MIN(n, SEAL_FRAME_PLAIN - s->pending);

        if (s->pending == 0 && n >= SEAL_FRAME_PLAIN) {
            /* A whole frame needs no copy. */
            if (frame_write(s, from, take,
                    crypto_secretstream_xchacha20poly1305_TAG_MESSAGE) < 0)
                return -1;
        } else {
            memcpy(s->plain + s->pending, from, take);
            s->pending += take;
            if (s->pending == SEAL_FRAME_PLAIN &&
                pending_write(
                    s, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE) < 0)
                return -1;
        }
        from += take;
        n -= take;
    }
    return 0;
}

static int
seal_flush(void *impl)
{
    struct seal *s = impl;

    if (s->pending > 0 &&
        pending_write(s, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE) < 0)
        return -1;
    if (mark_write(s, false) < 0)
        return -1;
    return sink_flush(s->next);
}

static int
seal_finish(void *impl)
{
    struct seal *s = impl;

    if (pending_write(s, crypto_secretstream_xchacha20poly1305_TAG_FINAL) < 0 ||
        mark_write(s, true) < 0)
        return -1;
    return sink_finish(s->next);
}

static void
seal_free(void *impl)
{
    struct seal *s = impl;

    sink_free(s->next);
    locked_free(s->stream);
    digest_free(s->run);
    if (s->plain != NULL)
        secret_wipe(s->plain, SEAL_FRAME_PLAIN);
    free(s->plain);
    free(s->frame);
    buf_free(&s->meta);
    seal_mark_free(&s->last);
    free(s);
}

static const struct sink_ops seal_ops = {
    .write = seal_write,
    .flush = seal_flush,
    .finish = seal_finish,
    .free = seal_free,
};

void
seal_set_meta(struct sink *seal, const void *meta, size_t n)
{
    struct seal *s = sink_impl(seal);

    buf_reset(&s->meta);
    s->meta_too_big = n > SEAL_META_MAX;
    if (!s->meta_too_big)
        buf_add(&s->meta, meta, n);
}

const struct seal_mark *
seal_last_mark(struct sink *seal)
{
    struct seal *s = sink_impl(seal);

    return &s->last;
}

const uint8_t *
seal_header_digest(struct sink *seal)
{
    struct seal *s = sink_impl(seal);

    return s->header;
}

/* A fresh file key: start the stream with it and seal it to each recipient.
 * It is used for this object only and forgotten here. */
static int
key_make(struct seal *s, const struct public_key *recipients, size_t n,
    struct seal_slots *slots)
{
    const size_t size = crypto_secretstream_xchacha20poly1305_KEYBYTES;
    uint8_t *key = locked_new(size);
    int rc = -1;

    crypto_secretstream_xchacha20poly1305_keygen(key);
    slots->n = (unsigned)n;
    for (size_t i = 0; i < n; i++) {
        public_key_id(&recipients[i], slots->v[i].id);
        if (crypto_box_seal(slots->v[i].key, key, size, recipients[i].box) !=
            0) {
            err_set(ERR_KEY, "recipient %zu is not a usable public key", i + 1);
            goto out;
        }
    }
    if (crypto_secretstream_xchacha20poly1305_init_push(
            s->stream, slots->stream, key) != 0) {
        err_set(ERR_FAILED, "encryption could not be started");
        goto out;
    }
    rc = 0;

out:
    locked_free(key);
    return rc;
}

struct sink *
seal_sink(struct sink *next, struct seal_header *h,
    const struct signing_key *signer, const struct public_key *recipients,
    size_t n)
{
    struct seal_slots slots = {0};
    struct buf out = {0};
    struct seal *s;

    if (next == NULL)
        return NULL;
    s = xcalloc(1, sizeof(*s));
    s->next = next;
    s->signer = signer;
    if (n < 1 || n > SEAL_RECIPIENTS_MAX) {
        err_set(ERR_KEY, "an object has 1 to %d recipients, not %zu",
            SEAL_RECIPIENTS_MAX, n);
        goto fail;
    }
    s->stream = locked_new(sizeof(*s->stream));
    s->run = digest_new();
    s->plain = xmalloc(SEAL_FRAME_PLAIN);
    s->frame = xmalloc(SEAL_FRAME_HEAD + SEAL_CIPHER_MAX);
    h->created_us = time_now_us();
    if (key_make(s, recipients, n, &slots) < 0 ||
        seal_header_encode(h, &slots, signer, &out) < 0)
        goto fail;
    memcpy(s->header, h->digest, DIGEST_SIZE);
    if (record_write(s, out.data, out.len) < 0)
        goto fail;
    buf_free(&out);
    return sink_new(&seal_ops, s);

fail:
    buf_free(&out);
    seal_free(s);
    return NULL;
}
