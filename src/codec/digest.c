/*
 * digest.c -- BLAKE2b-256, the sum over rows, random bytes.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* --- rows: FORMAT.md, "Checksum of rows" --- */

#define K0 UINT64_C(0x2d358dccaa6c78a5)
#define K1 UINT64_C(0x8bb84b93962eacc9)
#define K2 UINT64_C(0x4b33a62ed433d4a3)
#define K3 UINT64_C(0x4d5a2da51de1aa47)

/* Both halves of the product, one over the other. */
static inline uint64_t
fold(uint64_t x, uint64_t y)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 u128;
    u128 p = (u128)x * y;

    return (uint64_t)p ^ (uint64_t)(p >> 64);
#else
    uint64_t xl = (uint32_t)x, xh = x >> 32, yl = (uint32_t)y, yh = y >> 32;
    uint64_t mid = xh * yl + (xl * yl >> 32), mid2 = xl * yh + (uint32_t)mid;

    return x * y ^ (xh * yh + (mid >> 32) + (mid2 >> 32));
#endif
}

/* Compilers make one load of it, where the machine has them so. */
static inline uint64_t
load_u64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
        (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
        (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

void
rowsum_add(struct rowsum *s, const void *row, size_t n)
{
    const uint8_t *p = row;
    uint64_t a = K0, b = K1;
    size_t left = n;

    for (; left >= 16; left -= 16, p += 16) {
        uint64_t x = load_u64(p), y = load_u64(p + 8);

        a = fold(x ^ K2, y ^ a);
        b = fold(y ^ K3, x ^ b);
    }
    if (left > 0) {
        uint8_t last[16] = {0};
        uint64_t x, y;

        memcpy(last, p, left);
        x = load_u64(last);
        y = load_u64(last + 8);
        a = fold(x ^ K2, y ^ a);
        b = fold(y ^ K3, x ^ b);
    }
    s->rows++;
    s->a += fold(a ^ K1, n ^ K3);
    s->b += fold(b ^ K0, n ^ K2);
}

void
rowsum_merge(struct rowsum *to, const struct rowsum *from)
{
    to->rows += from->rows;
    to->a += from->a;
    to->b += from->b;
}
