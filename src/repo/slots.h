/*
 * slots.h -- file keys for recipients that came after an object was written.
 * FORMAT.md, "Slots".
 *
 * Who can open objects seals their file keys to somebody else, and keeps that
 * in objects of its own, signed by the identity of that recovery key, which has
 * to be a recipient's.  Nothing is confided to the signature: with a wrong file
 * key no frame opens.
 */
#ifndef PITR_SLOTS_H
#define PITR_SLOTS_H

#include "pitr/repo.h"

#define SLOTS_PREFIX "slots/"
#define SLOTS_MAX (32u << 20)
/* So many objects in one, so that it can go when these have expired. */
#define SLOTS_ENTRIES 1024

struct slots_entry {
    char *name; /* of the object */
    struct seal_rewrapped keys;
};
struct slots_file {
    char *name;
    uint64_t made_us;
    uint8_t maker[32];
    struct slots_entry *v;
    size_t n, cap;
};
void slots_file_free(struct slots_file *f); /* content */
/* Signed by maker. */
void slots_file_format(const struct repo *r, const struct slots_file *f,
    const struct secret_key *maker, struct buf *out);
/* name: where it was found.  ERR_VERIFY where it is damaged, of another place,
 * or not made by a recipient. */
int slots_file_parse(const struct repo *r, const char *name, const void *p,
    size_t n, struct slots_file *out);
int slots_file_load(struct repo *r, const char *name, struct slots_file *out);

/* Is it a recipient of any generation? */
bool slots_may_make(const struct repo *r, const struct public_key *k);

/* --- what there is of them, read once --- */

struct slots;
void slots_free(struct slots *s); /* NULL is fine */
/* See struct seal_more; repo is a struct repo. */
int slots_find(void *repo, const uint8_t header[DIGEST_SIZE],
    const uint8_t id[KEY_ID_SIZE], uint8_t slot[SEAL_SLOT_SIZE]);
/* Is there any slot for this key?  1, 0, -1. */
int slots_has_key(struct repo *r, const struct public_key *k);

#endif
