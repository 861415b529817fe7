/*
 * seal_format.c -- the bytes of headers and marks, written and taken apart
 * (FORMAT.md, "Sealed object").
 */
#include <stdlib.h>
#include <string.h>
#include "seal_format.h"
#include "pitr/mem.h"

#define SIGNER_AT (SEAL_PREFIX_SIZE + REPO_ID_SIZE)
#define HEADER_MIN                                                             \
    (SIGNER_AT + 32 + 8 + 4 + 4 + 4 + 1 + KEY_ID_SIZE + SEAL_SLOT_KEY +        \
        SEAL_STREAM_HEADER + SEAL_SIGNATURE)

static const struct {
    enum seal_kind kind;
    const char *text;
} kinds[] = {
    {SEAL_MANIFEST, "manifest"},
    {SEAL_SCHEMA, "schema"},
    {SEAL_ROWS, "row part"},
    {SEAL_SEGMENT, "binlog segment"},
};

const char *
seal_kind_text(enum seal_kind kind)
{
    for (size_t i = 0; i < NELEM(kinds); i++)
        if (kinds[i].kind == kind)
            return kinds[i].text;
    return "object of an unknown kind";
}

static bool
kind_known(unsigned kind)
{
    for (size_t i = 0; i < NELEM(kinds); i++)
        if ((unsigned)kinds[i].kind == kind)
            return true;
    return false;
}

/* Names go into messages, so they hold no control characters. */
static bool
name_valid(const char *s)
{
    size_t n = s != NULL ? strlen(s) : 0;

    if (n == 0 || n > SEAL_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return false;
    return true;
}

void
seal_header_free(struct seal_header *h)
{
    free(h->server);
    free(h->name);
    buf_free(&h->meta);
    memset(h, 0, sizeof(*h));
}

void
seal_mark_free(struct seal_mark *m)
{
    buf_free(&m->meta);
    memset(m, 0, sizeof(*m));
}

void
seal_hint_damaged(void)
{
    err_hint("what is stored is not what was written: take this object from "
             "another copy of the repository; pitr verify names all that are "
             "damaged");
}

int
seal_header_encode(struct seal_header *h, const struct seal_slots *slots,
    const struct signing_key *signer, struct buf *out)
{
    size_t start = out->len;
    uint8_t sig[SEAL_SIGNATURE];

    if (!name_valid(h->server) || !name_valid(h->name) ||
        !kind_known(h->kind) || h->meta.len > SEAL_META_MAX)
        return err_set(ERR_FAILED,
            "the header of an object is out of bounds: server \"%.40s\", "
            "name \"%.80s\", kind %d, note of %zu bytes",
            h->server != NULL ? h->server : "", h->name != NULL ? h->name : "",
            (int)h->kind, h->meta.len);
    memcpy(h->signer, signing_key_public(signer), 32);
    h->slots = slots->n;
    h->size = (uint32_t)(HEADER_MIN + strlen(h->server) + strlen(h->name) +
        h->meta.len + (slots->n - 1) * sizeof(slots->v[0]));

    buf_add(out, SEAL_MAGIC, SEAL_MAGIC_SIZE);
    buf_u16(out, SEAL_VERSION);
    buf_u16(out, (uint16_t)h->kind);
    buf_u32(out, h->size);
    buf_add(out, h->repo_id, REPO_ID_SIZE);
    buf_add(out, h->signer, 32);
    buf_u64(out, h->created_us);
    buf_lstr(out, h->server);
    buf_lstr(out, h->name);
    buf_lbytes(out, h->meta.data, h->meta.len);
    buf_u8(out, (uint8_t)slots->n);
    for (unsigned i = 0; i < slots->n; i++) {
        buf_add(out, slots->v[i].id, KEY_ID_SIZE);
        buf_add(out, slots->v[i].key, SEAL_SLOT_KEY);
    }
    buf_add(out, slots->stream, SEAL_STREAM_HEADER);
    sign_make(
        signer, SEAL_HEADER_CONTEXT, out->data + start, out->len - start, sig);
    buf_add(out, sig, sizeof(sig));
    digest_of(out->data + start, out->len - start, h->digest);
    return 0;
}

int
seal_prefix_decode(const uint8_t p[SEAL_PREFIX_SIZE], uint32_t *size)
{
    struct cur c = cur_of(p, SEAL_PREFIX_SIZE);
    const uint8_t *magic = cur_bytes(&c, SEAL_MAGIC_SIZE);
    unsigned version = cur_u16(&c);

    if (memcmp(magic, SEAL_MAGIC, SEAL_MAGIC_SIZE) != 0) {
        err_set(ERR_VERIFY,
            "this is not an object of pitr, or its first "
            "bytes were changed");
        seal_hint_damaged();
        return -1;
    }
    if (version != SEAL_VERSION) {
        err_set(ERR_VERIFY, "version %u of the object's format is not known",
            version);
        return err_hint("read it with a newer pitr; if none wrote it, the "
                        "object was changed: take it from another copy");
    }
    cur_u16(&c);
    *size = cur_u32(&c);
    if (*size < HEADER_MIN || *size > SEAL_HEADER_MAX) {
        err_set(ERR_VERIFY, "the header's size is out of bounds");
        seal_hint_damaged();
        return -1;
    }
    return 0;
}

bool
seal_is_begun(const void *p, size_t n)
{
    const uint8_t *bytes = p;
    uint32_t size = 0;
    bool begun;

    while (n > 0 && bytes[n - 1] == 0)
        n--;
    if (memcmp(bytes, SEAL_MAGIC, MIN(n, (size_t)SEAL_MAGIC_SIZE)) != 0)
        return false;
    if (n < SEAL_PREFIX_SIZE)
        return true;
    begun = seal_prefix_decode(bytes, &size) == 0 && n < size;
    err_clear();
    return begun;
}

/* Who signed it, and that it is what was signed. */
static int
header_check_signature(
    const uint8_t *p, size_t n, const struct seal_expect *want)
{
    const uint8_t *signer = p + SIGNER_AT;
    size_t body = n - SEAL_SIGNATURE;

    if (want != NULL && want->signer != NULL &&
        memcmp(signer, want->signer, 32) != 0) {
        char *is = signer_text(signer), *should = signer_text(want->signer);

        err_set(ERR_VERIFY, "it is signed by %s, not by %s", is, should);
        err_hint("the repository names who may sign for this server; do not "
                 "use the object unless you know that other key");
        free(is);
        free(should);
        return -1;
    }
    if (sign_check(signer, SEAL_HEADER_CONTEXT, p, body, p + body) < 0) {
        err_wrap("its header was changed");
        seal_hint_damaged();
        return -1;
    }
    return 0;
}

static int
header_parse(
    const uint8_t *p, size_t n, struct seal_header *h, struct seal_slots *slots)
{
    struct cur c = cur_of(p, n - SEAL_SIGNATURE);
    const uint8_t *b;
    uint32_t len;

    cur_bytes(&c, SEAL_MAGIC_SIZE + 2);
    h->kind = (enum seal_kind)cur_u16(&c);
    h->size = cur_u32(&c);
    if ((b = cur_bytes(&c, REPO_ID_SIZE)) != NULL)
        memcpy(h->repo_id, b, REPO_ID_SIZE);
    if ((b = cur_bytes(&c, 32)) != NULL)
        memcpy(h->signer, b, 32);
    h->created_us = cur_u64(&c);
    h->server = cur_lstr(&c, SEAL_NAME_MAX);
    h->name = cur_lstr(&c, SEAL_NAME_MAX);
    len = cur_u32(&c);
    if (len > SEAL_META_MAX)
        return -1;
    if ((b = cur_bytes(&c, len)) != NULL)
        buf_add(&h->meta, b, len);
    slots->n = h->slots = cur_u8(&c);
    if (slots->n < 1 || slots->n > SEAL_RECIPIENTS_MAX)
        return -1;
    for (unsigned i = 0; i < slots->n; i++) {
        if ((b = cur_bytes(&c, KEY_ID_SIZE)) != NULL)
            memcpy(slots->v[i].id, b, KEY_ID_SIZE);
        if ((b = cur_bytes(&c, SEAL_SLOT_KEY)) != NULL)
            memcpy(slots->v[i].key, b, SEAL_SLOT_KEY);
    }
    if ((b = cur_bytes(&c, SEAL_STREAM_HEADER)) != NULL)
        memcpy(slots->stream, b, SEAL_STREAM_HEADER);
    if (c.bad || cur_left(&c) != 0 || h->size != n || !kind_known(h->kind) ||
        !name_valid(h->server) || !name_valid(h->name))
        return -1;
    return 0;
}

static int
header_compare(const struct seal_header *h, const struct seal_expect *want)
{
    int rc = 0;

    if (want->repo_id != NULL &&
        memcmp(h->repo_id, want->repo_id, REPO_ID_SIZE) != 0)
        rc = err_set(ERR_VERIFY, "it belongs to another repository");
    else if (want->server != NULL && strcmp(h->server, want->server) != 0)
        rc = err_set(ERR_VERIFY, "it is of server \"%s\", not of \"%s\"",
            h->server, want->server);
    else if (want->kind != 0 && h->kind != want->kind)
        rc = err_set(ERR_VERIFY, "it is a %s where a %s belongs",
            seal_kind_text(h->kind), seal_kind_text(want->kind));
    else if (want->name != NULL && strcmp(h->name, want->name) != 0)
        rc = err_set(
            ERR_VERIFY, "it was written under another name: \"%s\"", h->name);
    if (rc < 0)
        err_hint("somebody moved or exchanged objects in the store: put the "
                 "right one back from another copy of the repository");
    return rc;
}

int
seal_header_take(const uint8_t *p, size_t n, const struct seal_expect *want,
    struct seal_header *out, struct seal_slots *slots)
{
    memset(out, 0, sizeof(*out));
    memset(slots, 0, sizeof(*slots));
    if (n < HEADER_MIN)
        return err_set(ERR_VERIFY, "its header is too short");
    if (header_parse(p, n, out, slots) < 0) {
        err_set(ERR_VERIFY, "its header is signed, but not valid");
        err_hint("it was written by another version of pitr, or by a faulty "
                 "one");
        goto fail;
    }
    if (want != NULL && header_compare(out, want) < 0)
        goto fail;
    digest_of(p, n, out->digest);
    return 0;

fail:
    seal_header_free(out);
    return -1;
}

int
seal_header_decode(const uint8_t *p, size_t n, const struct seal_expect *want,
    struct seal_header *out, struct seal_slots *slots)
{
    memset(out, 0, sizeof(*out));
    if (n < HEADER_MIN)
        return err_set(ERR_VERIFY, "its header is too short");
    if (header_check_signature(p, n, want) < 0)
        return -1;
    return seal_header_take(p, n, want, out, slots);
}

/* What a mark's signature is over: the header's digest, then the mark. */
static void
mark_message(const uint8_t header[DIGEST_SIZE], const uint8_t *p, size_t n,
    struct buf *out)
{
    buf_reserve(out, DIGEST_SIZE + n);
    buf_add(out, header, DIGEST_SIZE);
    buf_add(out, p, n);
}

void
seal_mark_encode(struct seal_mark *m, const uint8_t header[DIGEST_SIZE],
    const struct signing_key *signer, struct buf *out)
{
    size_t start = out->len;
    struct buf message = {0};
    uint8_t sig[SEAL_SIGNATURE];

    m->size = SEAL_MARK_FIXED + m->meta.len;
    buf_u8(out, SEAL_REC_MARK);
    buf_u8(out, m->final);
    buf_u32(out, (uint32_t)m->size);
    buf_u64(out, m->offset);
    buf_u64(out, m->frames);
    buf_add(out, m->digest, DIGEST_SIZE);
    buf_u64(out, m->made_us);
    buf_lbytes(out, m->meta.data, m->meta.len);
    mark_message(header, out->data + start, out->len - start, &message);
    sign_make(signer, SEAL_MARK_CONTEXT, message.data, message.len, sig);
    buf_add(out, sig, sizeof(sig));
    buf_u32(out, (uint32_t)m->size);
    digest_of(out->data + start, out->len - start, m->self);
    buf_free(&message);
}

int
seal_mark_take(const uint8_t *p, size_t n, struct seal_mark *out)
{
    struct cur c = cur_of(p, n);
    const uint8_t *b;
    unsigned type = cur_u8(&c), flags = cur_u8(&c);
    uint32_t len;

    memset(out, 0, sizeof(*out));
    out->size = cur_u32(&c);
    out->offset = cur_u64(&c);
    out->frames = cur_u64(&c);
    if ((b = cur_bytes(&c, DIGEST_SIZE)) != NULL)
        memcpy(out->digest, b, DIGEST_SIZE);
    out->made_us = cur_u64(&c);
    len = cur_u32(&c);
    out->final = (flags & 1) != 0;
    if (type != SEAL_REC_MARK || flags > 1 || c.bad || len > SEAL_META_MAX ||
        out->size != n || n != SEAL_MARK_FIXED + (size_t)len)
        return err_set(ERR_VERIFY, "a mark in it is not valid");
    b = cur_bytes(&c, len);
    cur_bytes(&c, SEAL_SIGNATURE);
    if (cur_u32(&c) != n || c.bad)
        return err_set(ERR_VERIFY, "a mark in it is not valid");
    buf_add(&out->meta, b, len);
    return 0;
}

int
seal_mark_decode(const uint8_t *p, size_t n, struct seal_mark *out)
{
    if (seal_mark_take(p, n, out) < 0)
        return -1;
    digest_of(p, n, out->self);
    return 0;
}

int
seal_mark_check(const struct seal_header *h, const uint8_t *p, size_t n)
{
    size_t body = n - SEAL_SIGNATURE - 4;
    struct buf message = {0};
    int rc;

    mark_message(h->digest, p, body, &message);
    rc = sign_check(
        h->signer, SEAL_MARK_CONTEXT, message.data, message.len, p + body);
    buf_free(&message);
    if (rc < 0)
        err_wrap("a mark in it was changed, or is of another object");
    return rc;
}

void
seal_frame_ad(const uint8_t header[DIGEST_SIZE], uint64_t index,
    uint8_t ad[SEAL_FRAME_AD])
{
    memcpy(ad, header, DIGEST_SIZE);
    for (unsigned i = 0; i < 8; i++)
        ad[DIGEST_SIZE + i] = (uint8_t)(index >> (8 * i));
}
