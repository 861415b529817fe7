/*
 * fuzz_index.c -- outside bytes as an index of the log.
 *
 * The first byte says of what the rest are: 'o' of an object after the key that
 * signed it, 'e' of what is compressed in one, 'n' of its name.  As a mutated
 * object would never get past its signature it is signed, so what is left to
 * find are faults in what a holder of the signing key could write.
 */
#include <stdlib.h>
#include <string.h>
#include "../../src/codec/keys_impl.h"
#include "../../src/repo/log_index.h"
#include "../../src/repo/repo_file.h"
#include "pitr/compress.h"
#include "pitr/mem.h"

#define NAME "index/0000000001-0000000004"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct repo_file generation;
static struct repo_chain chain = {.file = &generation, .n = 1};
static char server[] = "db1";
static struct repo repo = {.server = server, .chain = &chain};

static void
setup(void)
{
    uint8_t seed[SEED_SIZE];

    if (repo.signing != NULL)
        return;
    if (keys_setup() < 0)
        abort();
    memset(seed, 7, sizeof seed);
    repo.signing = signing_key_from_seed(seed);
    memcpy(generation.signer, signing_key_public(repo.signing), 32);
}

/* The first bytes of any, up to where the server's name begins. */
static void
begin(struct buf *out)
{
    buf_add(out, "PITRIDX1", 8);
    buf_add(out, repo.id, sizeof repo.id);
    buf_add(out, signing_key_public(repo.signing), 32);
}

static void
end(struct buf *out)
{
    uint8_t sig[64];

    sign_make(repo.signing, "pitr index 1", out->data, out->len, sig);
    buf_add(out, sig, sizeof sig);
}

/* What is taken has to come out again as the same. */
static void
again(const struct index_file *f)
{
    struct index_file g;
    struct buf b = {0};

    index_format(&repo, NAME, f->v, f->n, &b);
    if (index_parse(&repo, NAME, b.data, b.len, &g) < 0 || f->n != g.n)
        abort();
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->v[i].name, g.v[i].name) != 0 ||
            f->v[i].note_len != g.v[i].note_len ||
            f->v[i].mark_len != g.v[i].mark_len ||
            memcmp(f->v[i].link, g.v[i].link, DIGEST_SIZE) != 0)
            abort();
    index_file_free(&g);
    buf_free(&b);
}

static void
object_try(const struct buf *b)
{
    struct index_file f;

    if (index_parse(&repo, NAME, b->data, b->len, &f) < 0)
        return;
    again(&f);
    index_file_free(&f);
}

static void
entries(const uint8_t *p, size_t n, struct buf *out)
{
    struct sink *z;

    buf_lstr(out, server);
    buf_lstr(out, NAME);
    buf_u64(out, 1);
    z = zstd_sink(sink_to_buf(out), 1);
    if (sink_write(z, p, n) < 0 || sink_finish(z) < 0)
        abort();
    sink_free(z);
}

static void
name_try(const uint8_t *p, size_t n)
{
    char *text = xstrndup((const char *)p, n), *same;
    uint64_t first, last;

    if (index_name_parse(text, &first, &last)) {
        same = index_name(first, last);
        if (strcmp(same, text) != 0 || first == 0 || first > last)
            abort();
        free(same);
    }
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b = {0};

    setup();
    if (size == 0)
        return 0;
    buf_add(&b, data + 1, size - 1);
    object_try(&b); /* as it is: nobody signed it */
    buf_reset(&b);
    begin(&b);
    if (data[0] == 'n')
        name_try(data + 1, size - 1);
    else if (data[0] == 'e')
        entries(data + 1, size - 1, &b);
    else
        buf_add(&b, data + 1, size - 1);
    end(&b);
    object_try(&b);
    buf_free(&b);
    err_clear();
    return 0;
}
