/*
 * keys_public.c -- public keys as text, the identifier of a recipient, locked
 * memory for the secret ones.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "keys_impl.h"
#include "pitr/digest.h"
#include "pitr/mem.h"

#define PUBLIC_PREFIX "pitr1"
#define SIGNER_PREFIX "ed25519:"
#define CHECK_CONTEXT "pitr public key 1"
#define CHECK_SIZE 4

int
keys_setup(void)
{
    if (sodium_init() < 0)
        return err_set(ERR_FAILED, "libsodium could not be started");
    return 0;
}

void *
locked_new(size_t n)
{
    void *p = sodium_malloc(n);

    if (p == NULL) {
        fprintf(stderr, "pitr: out of memory\n");
        abort();
    }
    sodium_memzero(p, n);
    return p;
}

void
locked_free(void *p)
{
    sodium_free(p);
}

/* The keys, then the first bytes of the digest over the context and them. */
struct checked {
    uint8_t bytes[64 + CHECK_SIZE];
};

static void
check_make(const uint8_t keys[64], uint8_t check[CHECK_SIZE])
{
    struct digest *d = digest_new();
    uint8_t full[DIGEST_SIZE];

    digest_add(d, CHECK_CONTEXT, sizeof(CHECK_CONTEXT));
    digest_add(d, keys, 64);
    digest_get(d, full);
    digest_free(d);
    memcpy(check, full, CHECK_SIZE);
}

char *
public_key_text(const struct public_key *k)
{
    struct checked c;
    char *digits, *text;

    memcpy(c.bytes, k->box, 32);
    memcpy(c.bytes + 32, k->identity, 32);
    check_make(c.bytes, c.bytes + 64);
    digits = base32_text(c.bytes, sizeof(c.bytes));
    text = xasprintf(PUBLIC_PREFIX "%s", digits);
    free(digits);
    return text;
}

int
public_key_parse(const char *s, struct public_key *out)
{
    size_t skip = strlen(PUBLIC_PREFIX);
    struct checked c;
    uint8_t check[CHECK_SIZE];

    if (strncasecmp(s, PUBLIC_PREFIX, skip) != 0) {
        err_set(ERR_KEY, "\"%.20s\" is not a public recovery key", s);
        return err_hint("it starts with \"" PUBLIC_PREFIX
                        "\"; pitr keygen prints it, and the recovery key "
                        "file has it in its line \"public:\"");
    }
    if (base32_parse(s + skip, c.bytes, sizeof(c.bytes)) < 0) {
        err_set(ERR_KEY,
            "the public recovery key \"%.20s...\" is cut short "
            "or has a character too many or a wrong one",
            s);
        return err_hint("copy it again, in one word");
    }
    check_make(c.bytes, check);
    if (memcmp(check, c.bytes + 64, CHECK_SIZE) != 0) {
        err_set(ERR_KEY,
            "the public recovery key \"%.20s...\" has a slip: "
            "its checksum does not fit",
            s);
        return err_hint("copy it again, in one word");
    }
    memcpy(out->box, c.bytes, 32);
    memcpy(out->identity, c.bytes + 32, 32);
    return 0;
}

void
public_key_id(const struct public_key *k, uint8_t id[KEY_ID_SIZE])
{
    uint8_t full[DIGEST_SIZE];

    digest_of(k->box, sizeof(k->box), full);
    memcpy(id, full, KEY_ID_SIZE);
}

char *
signer_text(const uint8_t pub[32])
{
    char *digits = base32_text(pub, 32);
    char *text = xasprintf(SIGNER_PREFIX "%s", digits);

    free(digits);
    return text;
}

int
signer_parse(const char *s, uint8_t pub[32])
{
    size_t skip = strlen(SIGNER_PREFIX);

    if (strncasecmp(s, SIGNER_PREFIX, skip) != 0 ||
        base32_parse(s + skip, pub, 32) < 0) {
        err_set(ERR_KEY, "\"%.70s\" is not a signer", s);
        return err_hint("it is \"" SIGNER_PREFIX
                        "\" and 52 characters, as pitr init prints it");
    }
    return 0;
}
