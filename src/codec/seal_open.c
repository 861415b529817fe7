/*
 * seal_open.c -- the source that opens a sealed object.
 *
 * Plaintext leaves it frame by frame, each only after it was authenticated;
 * the end is reported only after the last mark, which covers every byte, has
 * been checked.
 */
#include <stdlib.h>
#include <string.h>
#include "keys_impl.h"
#include "seal_format.h"
#include "pitr/mem.h"

typedef crypto_secretstream_xchacha20poly1305_state stream_state;

struct open {
    struct seal_walk w;
    struct source *src;   /* owned; w borrows it */
    stream_state *stream; /* locked memory */
    uint64_t length;      /* 0: up to the final mark */
    bool has_digest;
    uint8_t digest[DIGEST_SIZE];
    uint8_t *plain; /* SEAL_FRAME_PLAIN bytes */
    size_t at, len; /* what of them is not yet handed out */
    bool final;     /* the final frame was seen */
    bool done;
};

static int
damaged(const char *what, uint64_t at)
{
    err_set(ERR_VERIFY, "%s at byte %llu", what, (unsigned long long)at);
    seal_hint_damaged();
    return -1;
}

static int
frame_open(struct open *o)
{
    const struct buf *rec = &o->w.rec;
    uint8_t ad[SEAL_FRAME_AD], tag = 0;
    unsigned long long n = 0;

    if (o->final)
        return damaged("a frame follows the final one", o->w.at);
    seal_frame_ad(o->w.h.digest, o->w.frames - 1, ad);
    if (crypto_secretstream_xchacha20poly1305_pull(o->stream, o->plain, &n,
            &tag, rec->data + SEAL_FRAME_HEAD, rec->len - SEAL_FRAME_HEAD, ad,
            sizeof(ad)) != 0)
        return damaged("a frame was changed or exchanged", o->w.at);
    o->final = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    if (!o->final &&
        (n == 0 || tag != crypto_secretstream_xchacha20poly1305_TAG_MESSAGE))
        return damaged("a frame is not valid", o->w.at);
    o->at = 0;
    o->len = (size_t)n;
    return 0;
}

/* The end of what is to be read: nothing may be left open. */
static int
end_check(struct open *o, const struct seal_mark *m)
{
    int end;

    if (m->final) {
        if ((end = seal_walk_at_end(&o->w)) < 0)
            return -1;
        if (end == 0)
            return damaged("bytes were added after its end", o->w.pos);
    }
    if (o->length != 0 && o->w.pos != o->length)
        return damaged("it ends too early,", o->w.pos);
    if (o->has_digest && memcmp(o->digest, m->digest, DIGEST_SIZE) != 0) {
        err_set(ERR_VERIFY,
            "it is another object than was recorded: the "
            "digest does not match");
        seal_hint_damaged();
        return -1;
    }
    o->done = true;
    return 0;
}

static int
mark_read(struct open *o)
{
    struct seal_mark m;
    int rc = 0;

    if (seal_walk_mark(&o->w, &m) < 0)
        return -1;
    if (m.final != o->final)
        rc = damaged("the final mark and the final frame disagree", o->w.at);
    else if (m.final || (o->length != 0 && o->w.pos == o->length))
        rc = end_check(o, &m);
    seal_mark_free(&m);
    return rc;
}

static int
record_read(struct open *o)
{
    switch (seal_walk_next(&o->w)) {
    case SEAL_STEP_FRAME:
        return frame_open(o);
    case SEAL_STEP_MARK:
        return mark_read(o);
    case SEAL_STEP_END:
        return damaged(o->length != 0 ? "it has no mark at its end,"
                                      : "it is not complete: it ends without "
                                        "its final mark,",
            o->w.pos);
    case SEAL_STEP_FAULT:
    case SEAL_STEP_BROKEN:
        break;
    }
    return -1;
}

static long
open_read(void *impl, void *p, size_t n)
{
    struct open *o = impl;
    size_t take;

    while (o->len == 0 && !o->done)
        if (record_read(o) < 0)
            return seal_wrap(NULL, &o->w.h);
    take = MIN(n, o->len);
    memcpy(p, o->plain + o->at, take);
    o->at += take;
    o->len -= take;
    return (long)take;
}

static void
open_free(void *impl)
{
    struct open *o = impl;

    source_free(o->src);
    seal_walk_free(&o->w);
    locked_free(o->stream);
    if (o->plain != NULL)
        secret_wipe(o->plain, SEAL_FRAME_PLAIN);
    free(o->plain);
    free(o);
}

static const struct source_ops open_ops = {
    .read = open_read,
    .free = open_free,
};

static int
no_slot(const struct seal_walk *w, const uint8_t id[KEY_ID_SIZE])
{
    struct buf list = {0};
    char *own = base32_text(id, KEY_ID_SIZE);

    for (unsigned i = 0; i < w->slots.n; i++) {
        char *text = base32_text(w->slots.v[i].id, KEY_ID_SIZE);

        buf_fmt(&list, "%s%s", i > 0 ? ", " : "", text);
        free(text);
    }
    err_set(ERR_KEY, "it is not sealed to the key %s", own);
    err_hint("it opens with the recovery key of one of: %s; who has one can "
             "let another open it with \"pitr rewrap\"",
        buf_cstr(&list));
    buf_free(&list);
    free(own);
    return -1;
}

/* The slot of key: in the header, or else in more. */
static int
slot_find(const struct seal_walk *w, const struct secret_key *key,
    const struct seal_more *more, uint8_t slot[SEAL_SLOT_KEY])
{
    uint8_t id[KEY_ID_SIZE];
    int rc;

    public_key_id(&key->pub, id);
    for (unsigned i = 0; i < w->slots.n; i++)
        if (memcmp(w->slots.v[i].id, id, KEY_ID_SIZE) == 0) {
            memcpy(slot, w->slots.v[i].key, SEAL_SLOT_KEY);
            return 0;
        }
    rc = more == NULL ? 0 : more->find(more->arg, w->h.digest, id, slot);
    if (rc == 0)
        return no_slot(w, id);
    return rc < 0 ? -1 : 0;
}

/* The file key of the object, in locked memory; NULL. */
static uint8_t *
file_key_open(const struct seal_walk *w, const struct secret_key *key,
    const struct seal_more *more)
{
    uint8_t slot[SEAL_SLOT_KEY], *file_key;

    if (slot_find(w, key, more, slot) < 0)
        return NULL;
    file_key = locked_new(crypto_secretstream_xchacha20poly1305_KEYBYTES);
    if (crypto_box_seal_open(
            file_key, slot, SEAL_SLOT_KEY, key->pub.box, key->box_secret) == 0)
        return file_key;
    locked_free(file_key);
    err_set(ERR_VERIFY,
        "its header is signed, but the file key in it does not open");
    err_hint("it was written by a faulty pitr; use another backup");
    return NULL;
}

static int
stream_start(
    struct open *o, const struct secret_key *key, const struct seal_more *more)
{
    uint8_t *file_key = file_key_open(&o->w, key, more);
    int rc = 0;

    if (file_key == NULL)
        return -1;
    if (crypto_secretstream_xchacha20poly1305_init_pull(
            o->stream, o->w.slots.stream, file_key) != 0)
        rc = err_set(ERR_VERIFY, "decryption could not be started");
    locked_free(file_key);
    return rc;
}

/* A copy of the header for the caller. */
static void
header_copy(const struct seal_header *h, struct seal_header *out)
{
    *out = *h;
    out->server = xstrdup(h->server);
    out->name = xstrdup(h->name);
    memset(&out->meta, 0, sizeof(out->meta));
    buf_add(&out->meta, h->meta.data, h->meta.len);
}

struct source *
open_source_more(struct source *src, const struct seal_expect *want,
    const struct secret_key *key, uint64_t length,
    const uint8_t digest[DIGEST_SIZE], struct seal_header *header_out,
    const struct seal_more *more)
{
    struct open *o;

    if (header_out != NULL)
        memset(header_out, 0, sizeof(*header_out));
    if (src == NULL)
        return NULL;
    o = xcalloc(1, sizeof(*o));
    o->src = src;
    o->length = length;
    o->stream = locked_new(sizeof(*o->stream));
    if (seal_walk_start(&o->w, src, want, length) < 0 ||
        stream_start(o, key, more) < 0) {
        seal_wrap(want, &o->w.h);
        open_free(o);
        return NULL;
    }
    if (digest != NULL) {
        o->has_digest = true;
        memcpy(o->digest, digest, DIGEST_SIZE);
    }
    o->plain = xmalloc(SEAL_FRAME_PLAIN);
    if (header_out != NULL)
        header_copy(&o->w.h, header_out);
    return source_new(&open_ops, o);
}

struct source *
open_source(struct source *src, const struct seal_expect *want,
    const struct secret_key *key, uint64_t length,
    const uint8_t digest[DIGEST_SIZE], struct seal_header *header_out)
{
    return open_source_more(src, want, key, length, digest, header_out, NULL);
}

/* --- for other recipients --- */

/* 1 where this one has a slot already, 0, -1. */
static int
has_slot(const struct seal_walk *w, const struct seal_more *more,
    const uint8_t id[KEY_ID_SIZE])
{
    uint8_t slot[SEAL_SLOT_KEY];

    for (unsigned i = 0; i < w->slots.n; i++)
        if (memcmp(w->slots.v[i].id, id, KEY_ID_SIZE) == 0)
            return 1;
    return more == NULL ? 0 : more->find(more->arg, w->h.digest, id, slot);
}

static int
rewrap(const struct seal_walk *w, const struct secret_key *key,
    const struct seal_more *more, const struct public_key *to, size_t n,
    struct seal_rewrapped *out)
{
    uint8_t *file_key = file_key_open(w, key, more);
    int rc = file_key == NULL ? -1 : 0;

    memcpy(out->header, w->h.digest, DIGEST_SIZE);
    for (size_t i = 0; i < n && rc == 0; i++) {
        public_key_id(&to[i], out->v[out->n].id);
        if ((rc = has_slot(w, more, out->v[out->n].id)) == 1) {
            rc = 0;
            continue;
        }
        if (rc == 0 &&
            crypto_box_seal(out->v[out->n].slot, file_key,
                crypto_secretstream_xchacha20poly1305_KEYBYTES, to[i].box) != 0)
            rc = err_set(
                ERR_KEY, "recipient %zu is not a usable public key", i + 1);
        out->n += rc == 0;
    }
    locked_free(file_key);
    return rc;
}

int
seal_rewrap(struct source *src, const struct seal_expect *want,
    const struct secret_key *key, const struct seal_more *more,
    const struct public_key *to, size_t n, struct seal_rewrapped *out)
{
    struct seal_walk w;
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (n > SEAL_RECIPIENTS_MAX)
        return err_set(ERR_USAGE, "there are more than %d recipients",
            SEAL_RECIPIENTS_MAX);
    if (seal_walk_start(&w, src, want, 0) == 0)
        rc = rewrap(&w, key, more, to, n, out);
    if (rc < 0)
        seal_wrap(want, &w.h);
    seal_walk_free(&w);
    return rc;
}
