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
    static const uint8_t row[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct rowsum s = {0};

    (void)state;
    /* SipHash-2-4-128 under a zero key, computed on its own (siphash128 of
     * the reference description), both halves little-endian. */
    rowsum_add(&s, row, sizeof(row));
    assert_int_equal(s.rows, 1);
    assert_true(s.a == 0x0e44eb01f934654bu);
    assert_true(s.b == 0x84af754a294055e9u);
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
        cmocka_unit_test(test_rowsum_order),
        cmocka_unit_test(test_random),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
