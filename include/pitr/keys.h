/*
 * keys.h -- the recovery key pair of a person, the signing key of a server.
 *
 * A recovery key is a seed of 32 bytes; from it come a box key (X25519), to
 * which objects are sealed, and an identity key (Ed25519), which endorses the
 * signing key of a repository.  The secret half never has to be on the server.
 * Files and derivations: doc/FORMAT.md.  Not thread-safe per object, but
 * const use from several threads is.
 */
#ifndef PITR_KEYS_H
#define PITR_KEYS_H

#include <stdint.h>
#include "pitr/buf.h"
#include "pitr/secret.h"

#define KEY_ID_SIZE 16

struct public_key {
    uint8_t box[32], identity[32];
};

struct secret_key;  /* opaque; locked memory */
struct signing_key; /* opaque; locked memory */

/* Must be called once before anything of codec; -1 if libsodium fails. */
int keys_setup(void);

/* "pitr1" and 52+ characters of base32 with a checksum, in one word. */
char *public_key_text(const struct public_key *k);              /* owned */
int public_key_parse(const char *s, struct public_key *out);    /* ERR_KEY */
/* First 16 bytes of BLAKE2b of the box key: names a recipient in a header. */
void public_key_id(const struct public_key *k, uint8_t id[KEY_ID_SIZE]);

struct secret_key *secret_key_new(void); /* random */
const struct public_key *secret_key_public(const struct secret_key *k);
void secret_key_free(struct secret_key *k);
/*
 * The file form: a text with the public key in plain and the seed sealed by a
 * passphrase (crypto_pwhash, Argon2id, parameters in the file).  A NULL
 * passphrase at saving stores it unprotected, and the file says so.
 */
int secret_key_save(const struct secret_key *k, const char *path,
    const struct secret *passphrase);
/* Reads the file; ask(arg) is called only if it has a passphrase; what it
 * returns is taken, and may be NULL with err set.  NULL with ERR_KEY: "wrong passphrase", ... */
struct secret_key *secret_key_load(const char *path,
    struct secret *(*ask)(void *arg), void *arg);
/* The paper form: lines of base32 groups, each line with its own checksum, so
 * that a slip is found and named by its line.  Spaces, case and line breaks do
 * not matter when it is read back. */
struct secret *secret_key_paper(const struct secret_key *k);
struct secret_key *secret_key_from_paper(const char *text);

struct signing_key *signing_key_new(void);
int signing_key_save(const struct signing_key *k, const char *path);
struct signing_key *signing_key_load(const char *path); /* mode is checked */
const uint8_t *signing_key_public(const struct signing_key *k); /* 32 bytes */
void signing_key_free(struct signing_key *k);
/* "ed25519:" and base32: what a person compares. */
char *signer_text(const uint8_t pub[32]); /* owned */
int signer_parse(const char *s, uint8_t pub[32]);

/* Signatures are over context (a short constant name of the use) and data, so
 * that one can never stand for another. */
void sign_make(const struct signing_key *k, const char *context,
    const void *p, size_t n, uint8_t sig[64]);
void sign_make_identity(const struct secret_key *k, const char *context,
    const void *p, size_t n, uint8_t sig[64]);
/* 0, or -1 with ERR_VERIFY. */
int sign_check(const uint8_t pub[32], const char *context, const void *p,
    size_t n, const uint8_t sig[64]);

/* RFC 4648 base32, lower case, no padding; owned. */
char *base32_text(const void *p, size_t n);
/* 0, or -1 if s is not exactly n bytes in base32; case is ignored. */
int base32_parse(const char *s, void *out, size_t n);

#endif
