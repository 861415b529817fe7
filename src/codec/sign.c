/*
 * sign.c -- Ed25519 signatures over a context and data (FORMAT.md,
 * "Signatures").
 */
#include <sodium.h>
#include <string.h>
#include "keys_impl.h"

static void
message_build(struct buf *b, const char *context, const void *p, size_t n)
{
    buf_reserve(b, strlen(context) + 1 + n);
    buf_str(b, context);
    buf_u8(b, 0);
    buf_add(b, p, n);
}

static void
sign_with(const uint8_t secret[64], const char *context, const void *p,
    size_t n, uint8_t sig[64])
{
    struct buf b = {0};

    message_build(&b, context, p, n);
    crypto_sign_detached(sig, NULL, b.data, b.len, secret);
    buf_free(&b);
}

void
sign_make(const struct signing_key *k, const char *context, const void *p,
    size_t n, uint8_t sig[64])
{
    sign_with(k->secret, context, p, n, sig);
}

void
sign_make_identity(const struct secret_key *k, const char *context,
    const void *p, size_t n, uint8_t sig[64])
{
    sign_with(k->identity_secret, context, p, n, sig);
}

int
sign_check(const uint8_t pub[32], const char *context, const void *p, size_t n,
    const uint8_t sig[64])
{
    struct buf b = {0};
    int rc;

    message_build(&b, context, p, n);
    rc = crypto_sign_verify_detached(sig, b.data, b.len, pub);
    buf_free(&b);
    if (rc != 0)
        return err_set(ERR_VERIFY, "the signature does not match");
    return 0;
}
