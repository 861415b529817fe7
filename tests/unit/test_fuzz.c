/*
 * test_fuzz.c -- a fuzz harness (FUZZ, of tests/fuzz) over its corpus, and over
 * the same with bits flipped, pieces cut, doubled and exchanged, in an order
 * that is the same each time.  Finds crashes, and what does not come out as it
 * went in; with the sanitizers, reads past the end.  Each harness is a program
 * of its own; libFuzzer searches for more with them (scripts/fuzz).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/file.h"
#include "pitr/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef ROUNDS
#define ROUNDS 30000u /* of all files together */
#endif

static uint64_t
next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* One change; the first byte says what it is, and stays. */
static void
mutate(struct buf *b, uint64_t *seed)
{
    size_t room = b->len - 1, at = 1 + next(seed) % MAX(room, (size_t)1);
    size_t n = next(seed) % 16;

    if (room == 0)
        return;
    switch (next(seed) % 5) {
    case 0:
        b->data[at] ^= (uint8_t)(1u << next(seed) % 8);
        break;
    case 1:
        b->data[at] = (uint8_t)next(seed);
        break;
    case 2: /* cut */
        b->len = at;
        break;
    case 3: /* a piece out */
        n = MIN(n, b->len - at);
        memmove(b->data + at, b->data + at + n, b->len - at - n);
        b->len -= n;
        break;
    default: /* a piece twice */
        n = MIN(n, b->len - at);
        buf_reserve(b, n);
        memmove(b->data + at + n, b->data + at, b->len - at);
        b->len += n;
        break;
    }
}

static void
one_file(const char *path, uint64_t seed, unsigned rounds)
{
    struct buf was = {0}, b = {0};

    assert_int_equal(file_read(path, 65536, &was), 0);
    assert_true(was.len > 0);
    LLVMFuzzerTestOneInput(was.data, was.len);
    for (unsigned i = 0; i < rounds; i++) {
        if (i % 4 == 0 || b.len < 2) {
            buf_reset(&b);
            buf_add(&b, was.data, was.len);
        }
        mutate(&b, &seed);
        LLVMFuzzerTestOneInput(b.data, b.len);
    }
    buf_free(&was);
    buf_free(&b);
}

/* The files of a folder, sorted: an order of its own is another each time. */
static int
list(const char *dir, struct dirent ***v)
{
    int n = scandir(dir, v, NULL, alphasort);

    if (n < 0)
        fail_msg("%s is not there", dir);
    return n;
}

static unsigned
folder(const char *dir, unsigned rounds)
{
    struct dirent **v;
    int n = list(dir, &v);
    unsigned files = 0;

    for (int i = 0; i < n; i++) {
        char *path = xasprintf("%s/%s", dir, v[i]->d_name);

        if (v[i]->d_name[0] != '.') {
            one_file(path, 0x9e3779b97f4a7c15u + ++files, rounds / (unsigned)n);
        }
        free(path);
        free(v[i]);
    }
    free(v);
    return files;
}

static void
test_corpus(void **state)
{
    static const char *const dirs[] = {
        "tests/fuzz/corpus/" FUZZ,
#ifdef FUZZ_VECTORS
        "tests/vectors",
#endif
    };
    const char *src = getenv("srcdir");
    unsigned files = 0;

    (void)state;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (size_t i = 0; i < NELEM(dirs); i++) {
        char *dir = xasprintf("%s/%s", src == NULL ? "." : src, dirs[i]);

        files += folder(dir, ROUNDS / (unsigned)NELEM(dirs));
        free(dir);
    }
    assert_true(files > 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
