/*
 * fuzz_sealed.c -- outside bytes as a sealed object: scanned, opened, its tail
 * searched for a mark.
 *
 * A mutated object would never get past its signatures, so the harness first
 * signs what the input claims to be: the header and every mark get the
 * signature of a fixed key, and marks their offset, count and digest.  What is
 * left to find are faults in what a holder of the signing key could write.
 */
#include <stdlib.h>
#include <string.h>
#include "../../src/codec/keys_impl.h"
#include "../../src/codec/seal_format.h"
#include "pitr/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret_key *key;
static struct signing_key *signer;

/* The keys of tests/vectors, so that the vector opens. */
static void
setup(void)
{
    uint8_t seed[SEED_SIZE];

    if (key != NULL)
        return;
    if (keys_setup() < 0)
        abort();
    for (unsigned i = 0; i < SEED_SIZE; i++)
        seed[i] = (uint8_t)i;
    key = secret_key_from_seed(seed);
    for (unsigned i = 0; i < SEED_SIZE; i++)
        seed[i] = (uint8_t)(0x20 + i);
    signer = signing_key_from_seed(seed);
}

static void
put_u64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* Make the mark at p, n bytes, true and signed. */
static void
mark_sign(uint8_t *object, size_t at, size_t n, uint64_t frames,
    const uint8_t header[DIGEST_SIZE])
{
    struct buf message = {0};
    uint8_t *p = object + at;

    put_u64(p + 6, at);
    put_u64(p + 14, frames);
    digest_of(object, at, p + 22);
    buf_add(&message, header, DIGEST_SIZE);
    buf_add(&message, p, n - SEAL_SIGNATURE - 4);
    sign_make(signer, SEAL_MARK_CONTEXT, message.data, message.len,
        p + n - SEAL_SIGNATURE - 4);
    buf_free(&message);
}

static void
object_sign(uint8_t *p, size_t n)
{
    uint8_t header[DIGEST_SIZE];
    uint64_t frames = 0;
    uint32_t size;
    size_t at;

    if (n < SEAL_PREFIX_SIZE || seal_prefix_decode(p, &size) < 0 || size > n)
        return;
    memcpy(p + 32, signing_key_public(signer), 32);
    sign_make(signer, SEAL_HEADER_CONTEXT, p, size - SEAL_SIGNATURE,
        p + size - SEAL_SIGNATURE);
    digest_of(p, size, header);
    for (at = size; at + SEAL_MARK_FIXED <= n; at += size) {
        struct cur c = cur_of(p + at + (p[at] == SEAL_REC_FRAME ? 1 : 2), 4);

        size = cur_u32(&c);
        if (p[at] == SEAL_REC_FRAME && size <= n) {
            size += SEAL_FRAME_HEAD;
            frames++;
        } else if (p[at] == SEAL_REC_MARK && size >= SEAL_MARK_FIXED &&
            size <= n - at) {
            mark_sign(p, at, size, frames, header);
        } else {
            return;
        }
    }
}

static void
object_try(const uint8_t *p, size_t n, uint64_t limit)
{
    struct source *src = source_of_memory(p, n);
    struct seal_header h;
    struct seal_mark m;
    uint8_t piece[1000];

    if (seal_scan(src, NULL, limit, false, &h, &m) >= 0) {
        uint64_t end = m.offset + m.size;

        /* What a scan calls good, opening can only refuse for its frames. */
        if (end > n || (limit != 0 && end != limit))
            abort();
        seal_mark_free(&m);
        if (seal_tail_mark(p, n, n, &h, &m) == 1)
            seal_mark_free(&m);
        seal_header_free(&h);
    }
    source_free(src);
    src = open_source(source_of_memory(p, n), NULL, key, limit, NULL, NULL);
    while (src != NULL && source_read(src, piece, sizeof(piece)) > 0)
        continue;
    source_free(src);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = xmalloc(size + 1);

    setup();
    object_try(data, size, 0);
    if (size > 0)
        memcpy(copy, data, size);
    object_sign(copy, size);
    object_try(copy, size, 0);
    object_try(copy, size, size / 2);
    free(copy);
    err_clear();
    return 0;
}
