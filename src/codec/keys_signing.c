/*
 * keys_signing.c -- the signing key of a server and its file (FORMAT.md, "Key
 * files").
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "keys_impl.h"
#include "pitr/digest.h"
#include "pitr/file.h"
#include "pitr/mem.h"

#define SIGNING_MAGIC "pitr-signing-key 1"

struct signing_key *
signing_key_from_seed(const uint8_t seed[SEED_SIZE])
{
    struct signing_key *k = locked_new(sizeof(*k));

    memcpy(k->seed, seed, SEED_SIZE);
    crypto_sign_seed_keypair(k->pub, k->secret, k->seed);
    return k;
}

struct signing_key *
signing_key_new(void)
{
    uint8_t seed[SEED_SIZE];
    struct signing_key *k;

    random_bytes(seed, sizeof(seed));
    k = signing_key_from_seed(seed);
    secret_wipe(seed, sizeof(seed));
    return k;
}

const uint8_t *
signing_key_public(const struct signing_key *k)
{
    return k->pub;
}

void
signing_key_free(struct signing_key *k)
{
    locked_free(k);
}

int
signing_key_save(const struct signing_key *k, const char *path)
{
    struct buf b = {0};
    char *pub = signer_text(k->pub), *seed = base32_text(k->seed, SEED_SIZE);
    int rc;

    buf_reserve(&b, KEYFILE_MAX);
    buf_str(&b, SIGNING_MAGIC "\n");
    buf_str(&b, "# Signs what this server backs up. It opens nothing.\n");
    buf_fmt(&b, "public: %s\n", pub);
    buf_str(&b, "seed: ");
    buf_str(&b, seed);
    buf_str(&b, "\n");
    rc = file_create(path, 0400, b.data, b.len);

    secret_wipe(seed, strlen(seed));
    free(seed);
    free(pub);
    buf_free_wiped(&b);
    return rc;
}

struct signing_key *
signing_parse(struct keyfile *kf)
{
    static const char *const names[] = {"public", "seed"};
    struct signing_key *k;
    uint8_t pub[32], seed[SEED_SIZE];

    if (keyfile_parse(kf, SIGNING_MAGIC, names, NELEM(names)) < 0)
        return NULL;
    if (signer_parse(kf->value[0], pub) < 0) {
        err_wrap("line %u", kf->line[0]);
        return NULL;
    }
    if (base32_parse(kf->value[1], seed, sizeof(seed)) < 0) {
        err_set(ERR_KEY, "line %u: the seed is not 52 characters of base32",
            kf->line[1]);
        return NULL;
    }
    k = signing_key_from_seed(seed);
    secret_wipe(seed, sizeof(seed));
    if (memcmp(k->pub, pub, sizeof(pub)) != 0) {
        err_set(ERR_KEY,
            "line %u: the seed does not belong to the public key "
            "of line %u",
            kf->line[1], kf->line[0]);
        err_hint("the file was changed; take it from a copy");
        signing_key_free(k);
        return NULL;
    }
    return k;
}

struct signing_key *
signing_key_load(const char *path)
{
    struct keyfile kf = {0};
    struct signing_key *k = NULL;

    if (keyfile_read(&kf, path) == 0 && file_check_private(path) == 0 &&
        (k = signing_parse(&kf)) == NULL)
        err_wrap("signing key %s", path);
    keyfile_free(&kf);
    return k;
}
