/*
 * digest.h -- BLAKE2b-256 over bytes, and the order-free sum of a table's rows.
 */
#ifndef PITR_DIGEST_H
#define PITR_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

struct digest; /* running */
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *p, size_t n);
/* The digest so far; more can be added afterwards. */
void digest_get(const struct digest *d, uint8_t out[DIGEST_SIZE]);
void digest_free(struct digest *d);
void digest_of(const void *p, size_t n, uint8_t out[DIGEST_SIZE]);

/* Random bytes of the system. */
void random_bytes(void *p, size_t n);

/*
 * A multiset checksum: XXH3 of each row, 128 bits, both halves summed
 * modulo 2^64.  Equal for equal rows in any order and any split over
 * workers; it guards against faults, not against an attacker, whom the seal
 * keeps out.
 */
struct rowsum {
    uint64_t rows, a, b;
};
void rowsum_add(struct rowsum *s, const void *row, size_t n);
void rowsum_merge(struct rowsum *to, const struct rowsum *from);

#endif
