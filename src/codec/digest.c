/*
 * digest.c -- BLAKE2b-256, the sum over rows, random bytes.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>
#include "pitr/digest.h"

struct digest {
    crypto_generichash_state state;
};

struct digest *
digest_new(void)
{
    /* libsodium wants more alignment than malloc() gives. */
    struct digest *d = aligned_alloc(_Alignof(struct digest), sizeof(*d));

    if (d == NULL) {
        fprintf(stderr, "pitr: out of memory\n");
        abort();
    }
    crypto_generichash_init(&d->state, NULL, 0, DIGEST_SIZE);
    return d;
}

void
digest_add(struct digest *d, const void *p, size_t n)
{
    if (n > 0)
        crypto_generichash_update(&d->state, p, n);
}

void
digest_get(const struct digest *d, uint8_t out[DIGEST_SIZE])
{
    crypto_generichash_state copy = d->state;

    crypto_generichash_final(&copy, out, DIGEST_SIZE);
}

void
digest_free(struct digest *d)
{
    free(d);
}

void
digest_of(const void *p, size_t n, uint8_t out[DIGEST_SIZE])
{
    crypto_generichash(out, DIGEST_SIZE, p, n, NULL, 0);
}

void
random_bytes(void *p, size_t n)
{
    randombytes_buf(p, n);
}

void
rowsum_add(struct rowsum *s, const void *row, size_t n)
{
    XXH128_hash_t h = XXH3_128bits(row, n);

    s->rows++;
    s->a += h.low64;
    s->b += h.high64;
}

void
rowsum_merge(struct rowsum *to, const struct rowsum *from)
{
    to->rows += from->rows;
    to->a += from->a;
    to->b += from->b;
}
