/*
 * test_digest.c -- BLAKE2b-256 against known values, the sum over rows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/digest.h"
#include "pitr/keys.h"
#include "pitr/mem.h"

static void
assert_hex(const uint8_t d[DIGEST_SIZE], const char *hex)
{
    char text[2 * DIGEST_SIZE + 1];

    for (unsigned i = 0; i < DIGEST_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", d[i]);
    assert_string_equal(text, hex);
}

static void
test_known(void **state)
{
    uint8_t d[DIGEST_SIZE];

    (void)state;
    /* As b2sum -l 256 and Python's hashlib give them. */
    digest_of("", 0, d);
    assert_hex(
        d, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    digest_of("abc", 3, d);
    assert_hex(
        d, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

static void
test_running(void **state)
{
    struct digest *run = digest_new();
    uint8_t bytes[1000], whole[DIGEST_SIZE], got[DIGEST_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i <= sizeof(bytes); i++) {
        digest_of(bytes, i, whole);
        digest_get(run, got); /* and goes on afterwards */
        assert_memory_equal(got, whole, DIGEST_SIZE);
        if (i < sizeof(bytes))
            digest_add(run, bytes + i, 1);
    }
    digest_add(run, NULL, 0);
    digest_free(run);
    digest_free(NULL);
}

static void
test_rowsum_vector(void **state)
{
    /* The bytes 0, 1, 2, ...; as `xxhsum -H2` prints them, the upper half
     * first. */
    static const struct {
        size_t n;
        uint64_t a, b;
    } want[] = {
        {0, UINT64_C(0x6001c324468d497f), UINT64_C(0x99aa06d3014798d8)},
        {8, UINT64_C(0xcfd50c61c8bb98c1), UINT64_C(0xe1e4432a62217fe4)},
        {16, UINT64_C(0x842812cc870dcae2), UINT64_C(0x72950631827607e2)},
        {41, UINT64_C(0xa880f2d1fbb60860), UINT64_C(0x3e09ac52b883e0ce)},
        {200, UINT64_C(0xdd97e9af3609d9f5), UINT64_C(0xcb0395310643ba0e)},
    };
    uint8_t row[200];

    (void)state;
    for (size_t i = 0; i < sizeof(row); i++)
        row[i] = (uint8_t)i;
    for (size_t i = 0; i < NELEM(want); i++) {
        struct rowsum s = {0};

        rowsum_add(&s, row, want[i].n);
        assert_int_equal(s.rows, 1);
        assert_true(s.a == want[i].a && s.b == want[i].b);
    }
}

/* Each bit of a row counts, and how long it is. */
static void
test_rowsum_bits(void **state)
{
    uint8_t row[41] = {0};
    struct rowsum seen[sizeof(row) * 9];
    size_t n = 0;

    (void)state;
    for (size_t bit = 0; bit < sizeof(row) * 8; bit++) {
        seen[n] = (struct rowsum){0};
        row[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rowsum_add(&seen[n++], row, sizeof(row));
        row[bit / 8] = 0;
    }
    for (size_t size = 0; size < sizeof(row); size++) {
        seen[n] = (struct rowsum){0};
        rowsum_add(&seen[n++], row, size);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(seen[i].a != seen[k].a && seen[i].b != seen[k].b);
}

static void
test_rowsum_order(void **state)
{
    static const char *const rows[] = {"one", "two", "two", "", "three"};
    struct rowsum all = {0}, back = {0}, left = {0}, right = {0}, less = {0};

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        const char *last = rows[NELEM(rows) - 1 - i];

        rowsum_add(&all, rows[i], strlen(rows[i]));
        rowsum_add(&back, last, strlen(last));
        rowsum_add(i % 2 ? &left : &right, rows[i], strlen(rows[i]));
        if (i != 1) /* the pair must not cancel out or count as one */
            rowsum_add(&less, rows[i], strlen(rows[i]));
    }
    rowsum_merge(&left, &right);
    assert_memory_equal(&all, &back, sizeof(all));
    assert_memory_equal(&all, &left, sizeof(all));
    assert_int_equal(all.rows, 5);
    assert_true(all.a != less.a && all.b != less.b);
}

static void
test_random(void **state)
{
    uint8_t a[32], b[32];

    (void)state;
    random_bytes(a, sizeof(a));
    random_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_rowsum_vector),
        cmocka_unit_test(test_rowsum_bits),
        cmocka_unit_test(test_rowsum_order),
        cmocka_unit_test(test_random),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
