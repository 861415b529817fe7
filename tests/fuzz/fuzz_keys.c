/*
 * fuzz_keys.c -- outside bytes as a key file, as paper, as the text of a key.
 *
 * The cost of Argon2id that a file asks for is bounded, but still seconds, so
 * no passphrase is given here.
 */
#include <stdlib.h>
#include <string.h>
#include "../../src/codec/keys_impl.h"
#include "pitr/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
file_try(const uint8_t *data, size_t size)
{
    struct keyfile kf = {0};
    bool protected;

    buf_add(&kf.text, data, size);
    secret_key_free(recovery_parse(&kf, NULL, NULL, &protected));
    keyfile_free(&kf);
    buf_add(&kf.text, data, size);
    signing_key_free(signing_parse(&kf));
    keyfile_free(&kf);
}

/* What is taken has to come out again as the same key. */
static void
text_try(const char *text)
{
    struct public_key pub, again;
    struct secret_key *k = secret_key_from_paper(text);
    uint8_t signer[32];
    char *back;

    if (k != NULL) {
        struct secret *paper = secret_key_paper(k);
        struct secret_key *k2 = secret_key_from_paper(paper->p);

        if (k2 == NULL || memcmp(k, k2, sizeof(*k)) != 0)
            abort();
        secret_key_free(k2);
        secret_free(paper);
        secret_key_free(k);
    }
    if (public_key_parse(text, &pub) == 0) {
        back = public_key_text(&pub);
        if (public_key_parse(back, &again) < 0 ||
            memcmp(&pub, &again, sizeof(pub)) != 0)
            abort();
        free(back);
    }
    if (signer_parse(text, signer) == 0) {
        back = signer_text(signer);
        if (strlen(back) != strlen(text))
            abort();
        free(back);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size > KEYFILE_MAX)
        return 0;
    if (keys_setup() < 0)
        abort();
    text = xstrndup((const char *)data, size);
    file_try(data, size);
    text_try(text);
    free(text);
    err_clear();
    return 0;
}
