/*
 * sealed_util.h -- what the tests of sealed objects share: keys, objects made
 * in memory, a source that gives few bytes at a time.
 */
#ifndef SEALED_UTIL_H
#define SEALED_UTIL_H

#include "pitr/sealed.h"

struct world {
    struct signing_key *signer;
    struct secret_key *key;
    uint8_t repo[REPO_ID_SIZE];
};
void world_make(struct world *w);
void world_free(struct world *w);
/* All that a reader can know of the objects made here. */
struct seal_expect world_expect(const struct world *w, const char *name);
struct sink *world_sink(
    const struct world *w, const char *name, struct buf *out);

/* A closed object; with pieces > 1, flushed between them. */
void object_make(const struct world *w, const char *name, const uint8_t *plain,
    size_t n, unsigned pieces, struct buf *out);

/* Bytes that differ from place to place, the same in each run. */
void pattern_fill(uint8_t *p, size_t n, uint32_t seed);

/* Gives at most step bytes at a time. */
struct source *source_dribble(const void *p, size_t n, size_t step);

/* The records of an object, its header as the first of them. */
#define RECORDS_MAX 64
struct record {
    size_t at, size;
    int type; /* 0: header */
};
size_t records_find(const struct buf *object, struct record *out);

/* Open and read to the end.  0 with all plaintext in out, or -1. */
int object_open(const void *p, size_t n, const struct seal_expect *want,
    const struct secret_key *key, uint64_t length, struct buf *out);

#endif
