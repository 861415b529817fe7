/*
 * keys_recovery.c -- the recovery key: its seed, what is derived from it, its
 * file (FORMAT.md, "Keys" and "Key files").
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "keys_impl.h"
#include "pitr/digest.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"

#define RECOVERY_MAGIC "pitr-recovery-key 1"
#define KDF_CONTEXT "pitrkey1"
#define KDF_BOX 1
#define KDF_IDENTITY 2

/* What a key file may ask of the machine that reads it. */
#define OPS_MAX 20
#define MEM_MAX ((size_t)1 << 30)

#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SALT_SIZE crypto_pwhash_SALTBYTES
#define SEALED_SIZE                                                            \
    (NONCE_SIZE + SEED_SIZE + crypto_aead_xchacha20poly1305_ietf_ABYTES)

struct secret_key *
secret_key_from_seed(const uint8_t seed[SEED_SIZE])
{
    struct secret_key *k = locked_new(sizeof(*k));
    uint8_t sub[32];

    memcpy(k->seed, seed, SEED_SIZE);
    crypto_kdf_derive_from_key(sub, sizeof(sub), KDF_BOX, KDF_CONTEXT, k->seed);
    crypto_box_seed_keypair(k->pub.box, k->box_secret, sub);
    crypto_kdf_derive_from_key(
        sub, sizeof(sub), KDF_IDENTITY, KDF_CONTEXT, k->seed);
    crypto_sign_seed_keypair(k->pub.identity, k->identity_secret, sub);
    secret_wipe(sub, sizeof(sub));
    return k;
}

struct secret_key *
secret_key_new(void)
{
    uint8_t seed[SEED_SIZE];
    struct secret_key *k;

    random_bytes(seed, sizeof(seed));
    k = secret_key_from_seed(seed);
    secret_wipe(seed, sizeof(seed));
    return k;
}

const struct public_key *
secret_key_public(const struct secret_key *k)
{
    return &k->pub;
}

void
secret_key_free(struct secret_key *k)
{
    locked_free(k);
}

struct protection {
    unsigned long long ops;
    size_t mem;
    uint8_t salt[SALT_SIZE];
};

/* The key that the passphrase gives; locked memory.  NULL with err set. */
static uint8_t *
passphrase_key(const struct secret *pass, const struct protection *how)
{
    uint8_t *key = locked_new(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

    if (crypto_pwhash(key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, pass->p,
            pass->len, how->salt, how->ops, how->mem,
            crypto_pwhash_ALG_ARGON2ID13) == 0)
        return key;
    err_set(ERR_KEY,
        "there is not enough memory for the passphrase: %zu MiB "
        "are needed",
        how->mem >> 20);
    err_hint("free some memory, or open the key on a larger machine");
    locked_free(key);
    return NULL;
}

/* The lines before the seed: what the sealed seed is bound to. */
static void
head_text(const char *pub, const char *protection, struct buf *out)
{
    buf_fmt(
        out, RECOVERY_MAGIC "\npublic: %s\nprotection: %s\n", pub, protection);
}

static int
seed_seal(const struct secret_key *k, const struct secret *pass,
    const struct protection *how, const char *pub, const char *protection,
    uint8_t out[SEALED_SIZE])
{
    struct buf head = {0};
    uint8_t *key = passphrase_key(pass, how);

    if (key == NULL)
        return -1;
    head_text(pub, protection, &head);
    random_bytes(out, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_SIZE, NULL, k->seed,
        SEED_SIZE, head.data, head.len, NULL, out, key);
    buf_free(&head);
    locked_free(key);
    return 0;
}

int
recovery_text(const struct secret_key *k, const struct secret *pass,
    unsigned long long ops, size_t mem, struct buf *out)
{
    struct protection how = {.ops = ops, .mem = mem};
    char *pub = public_key_text(&k->pub), *salt = NULL, *seed = NULL;
    char *protection = NULL;
    uint8_t sealed[SEALED_SIZE];
    int rc = -1;

    buf_reserve(out, KEYFILE_MAX);
    if (pass != NULL) {
        random_bytes(how.salt, sizeof(how.salt));
        salt = base32_text(how.salt, sizeof(how.salt));
        protection = xasprintf("argon2id %llu %zu %s", ops, mem, salt);
        if (seed_seal(k, pass, &how, pub, protection, sealed) < 0)
            goto out;
        seed = base32_text(sealed, sizeof(sealed));
    } else {
        protection = xstrdup("none");
        seed = base32_text(k->seed, SEED_SIZE);
        buf_str(out,
            "# NOT PROTECTED by a passphrase: who can read this file "
            "can read every backup.\n");
    }
    head_text(pub, protection, out);
    buf_str(out, "seed: ");
    buf_str(out, seed);
    buf_str(out, "\n");
    rc = 0;

out:
    if (seed != NULL)
        secret_wipe(seed, strlen(seed));
    free(seed);
    free(salt);
    free(protection);
    free(pub);
    return rc;
}

int
secret_key_save(const struct secret_key *k, const char *path,
    const struct secret *passphrase)
{
    struct buf b = {0};
    int rc = -1;

    if (recovery_text(k, passphrase, crypto_pwhash_OPSLIMIT_MODERATE,
            crypto_pwhash_MEMLIMIT_MODERATE, &b) == 0)
        rc = file_create(path, 0400, b.data, b.len);
    buf_free_wiped(&b);
    return rc;
}

/* A decimal number of at most 12 digits, then a space or the end. */
static int
number_parse(const char **s, unsigned long long max, unsigned long long *out)
{
    size_t n = strspn(*s, "0123456789");

    if (n == 0 || n > 12 || (*s)[n] != ' ')
        return -1;
    *out = strtoull(*s, NULL, 10);
    *s += n + 1;
    return *out <= max ? 0 : -1;
}

/* 1 with *how where there is a passphrase, 0 where there is none, -1. */
static int
protection_parse(const char *s, unsigned line, struct protection *how)
{
    static const char method[] = "argon2id ";
    unsigned long long mem = 0;

    if (strcmp(s, "none") == 0)
        return 0;
    if (strncmp(s, method, strlen(method)) != 0) {
        err_set(
            ERR_KEY, "line %u: the protection \"%.20s\" is not known", line, s);
        return err_hint("use the version of pitr that wrote the key file");
    }
    s += strlen(method);
    if (number_parse(&s, OPS_MAX, &how->ops) < 0 ||
        number_parse(&s, MEM_MAX, &mem) < 0 ||
        how->ops < crypto_pwhash_OPSLIMIT_MIN ||
        mem < crypto_pwhash_MEMLIMIT_MIN ||
        base32_parse(s, how->salt, sizeof(how->salt)) < 0)
        return err_set(
            ERR_KEY, "line %u: the parameters of argon2id are not valid", line);
    how->mem = (size_t)mem;
    return 1;
}

/* Undo seed_seal(): ask for the passphrase, open the seed. */
static int
seed_open(const struct keyfile *kf, const struct protection *how,
    struct secret *(*ask)(void *arg), void *arg, uint8_t seed[SEED_SIZE])
{
    struct buf head = {0};
    uint8_t sealed[SEALED_SIZE], *key = NULL;
    struct secret *pass = NULL;
    int rc = -1;

    if (base32_parse(kf->value[2], sealed, sizeof(sealed)) < 0)
        return err_set(ERR_KEY,
            "line %u: the sealed seed is not %u characters of base32",
            kf->line[2], (unsigned)(SEALED_SIZE * 8 + 4) / 5);
    if (ask == NULL)
        return err_set(ERR_KEY,
            "the key has a passphrase, and there is no "
            "way to ask for it");
    if ((pass = ask(arg)) == NULL || (key = passphrase_key(pass, how)) == NULL)
        goto out;
    head_text(kf->value[0], kf->value[1], &head);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(seed, NULL, NULL,
            sealed + NONCE_SIZE, sizeof(sealed) - NONCE_SIZE, head.data,
            head.len, sealed, key) != 0) {
        err_set(ERR_KEY, "wrong passphrase");
        err_hint("try again; if it is surely right, the key file was changed: "
                 "take it from a copy or from paper");
        goto out;
    }
    rc = 0;

out:
    locked_free(key);
    secret_free(pass);
    buf_free(&head);
    return rc;
}

struct secret_key *
recovery_parse(struct keyfile *kf, struct secret *(*ask)(void *arg), void *arg,
    bool *protected)
{
    static const char *const names[] = {"public", "protection", "seed"};
    struct protection how = {0};
    struct public_key pub;
    struct secret_key *k = NULL;
    uint8_t seed[SEED_SIZE] = {0};
    int has;

    if (keyfile_parse(kf, RECOVERY_MAGIC, names, NELEM(names)) < 0)
        return NULL;
    if (public_key_parse(kf->value[0], &pub) < 0) {
        err_wrap("line %u", kf->line[0]);
        return NULL;
    }
    if ((has = protection_parse(kf->value[1], kf->line[1], &how)) < 0)
        return NULL;
    *protected = has == 1;
    if (has == 1 && seed_open(kf, &how, ask, arg, seed) < 0)
        goto out;
    if (has == 0 && base32_parse(kf->value[2], seed, sizeof(seed)) < 0) {
        err_set(ERR_KEY, "line %u: the seed is not 52 characters of base32",
            kf->line[2]);
        goto out;
    }
    k = secret_key_from_seed(seed);
    if (memcmp(k->pub.box, pub.box, 32) != 0 ||
        memcmp(k->pub.identity, pub.identity, 32) != 0) {
        err_set(ERR_KEY,
            "line %u: the seed does not belong to the public key "
            "of line %u",
            kf->line[2], kf->line[0]);
        err_hint("the file was changed; take it from a copy or from paper");
        secret_key_free(k);
        k = NULL;
    }

out:
    secret_wipe(seed, sizeof(seed));
    return k;
}

struct secret_key *
secret_key_load(const char *path, struct secret *(*ask)(void *arg), void *arg)
{
    struct keyfile kf = {0};
    struct secret_key *k = NULL;
    bool protected = true;

    if (keyfile_read(&kf, path) < 0)
        goto out;
    if ((k = recovery_parse(&kf, ask, arg, &protected)) == NULL) {
        err_wrap("recovery key %s", path);
        goto out;
    }
    /* Not refused: at a restore it may lie on a medium without modes. */
    if (!protected && file_check_private(path) < 0) {
        log_warn("the recovery key has no passphrase: %s", err_text());
        err_clear();
    }

out:
    keyfile_free(&kf);
    return k;
}
