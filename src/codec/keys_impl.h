/*
 * keys_impl.h -- inside of the keys, for the files of codec only.
 *
 * Both structures hold bytes only, so they may lie anywhere in locked memory.
 */
#ifndef PITR_KEYS_IMPL_H
#define PITR_KEYS_IMPL_H

#include "pitr/keys.h"

#define SEED_SIZE 32

struct secret_key {
    uint8_t seed[SEED_SIZE];
    uint8_t box_secret[32];
    uint8_t identity_secret[64];
    struct public_key pub;
};

struct signing_key {
    uint8_t seed[SEED_SIZE];
    uint8_t secret[64];
    uint8_t pub[32];
};

/* Locked, zeroed memory; aborts where there is none.  Freeing wipes it. */
void *locked_new(size_t n);
void locked_free(void *p); /* NULL is fine */

/* The key pairs of a seed (FORMAT.md, "Keys"). */
struct secret_key *secret_key_from_seed(const uint8_t seed[SEED_SIZE]);
struct signing_key *signing_key_from_seed(const uint8_t seed[SEED_SIZE]);

/*
 * A key file: a first line that says what it is, then "name: value" lines in
 * a fixed order.  Empty lines and those that start with '#' are skipped, CRLF
 * is taken.  The values point into text, which is wiped when freed.
 */
#define KEYFILE_MAX 8192
#define KEYFILE_FIELDS 3
struct keyfile {
    struct buf text;
    const char *value[KEYFILE_FIELDS];
    unsigned line[KEYFILE_FIELDS]; /* where it stands, from 1 */
};
/* Parse kf->text in place.  -1 with ERR_KEY that names the line. */
int keyfile_parse(
    struct keyfile *kf, const char *magic, const char *const *names, size_t n);
int keyfile_read(struct keyfile *kf, const char *path);
void keyfile_free(struct keyfile *kf);

/* The text of a recovery key with the given Argon2id costs, and back; what is
 * in text is changed by the parsing.  secret_key_save() and _load() are these
 * and a file.  -1 where memory is too small for the passphrase. */
int recovery_text(const struct secret_key *k, const struct secret *pass,
    unsigned long long ops, size_t mem, struct buf *out);
struct secret_key *recovery_parse(struct keyfile *kf,
    struct secret *(*ask)(void *arg), void *arg, bool *protected);
struct signing_key *signing_parse(struct keyfile *kf);

/* Frees a buffer that had a secret in it. */
void buf_free_wiped(struct buf *b);

#endif
