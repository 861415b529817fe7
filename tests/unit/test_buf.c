/* buf.h: what is written is what is read, and no read goes past the end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pitr/buf.h"
#include "pitr/mem.h"

static void
test_integers(void **state)
{
    static const uint8_t want[] = {0x01, 0x03, 0x02, 0x06, 0x05, 0x04, 0x0A,
        0x09, 0x08, 0x07, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    struct buf b = {0};
    struct cur c;

    (void)state;
    buf_u8(&b, 0x01);
    buf_u16(&b, 0x0203);
    buf_u24(&b, 0x040506);
    buf_u32(&b, 0x0708090A);
    buf_u64(&b, UINT64_C(0x1122334455667788));
    assert_int_equal(b.len, sizeof(want));
    assert_memory_equal(b.data, want, sizeof(want));

    c = cur_of(b.data, b.len);
    assert_int_equal(cur_u8(&c), 0x01);
    assert_int_equal(cur_u16(&c), 0x0203);
    assert_int_equal(cur_u24(&c), 0x040506);
    assert_int_equal(cur_u32(&c), 0x0708090A);
    assert_true(cur_u64(&c) == UINT64_C(0x1122334455667788));
    assert_int_equal(cur_left(&c), 0);
    assert_false(c.bad);

    c = cur_of("\x01\x02\x03\x04\x05\x06", 6);
    assert_true(cur_u48(&c) == UINT64_C(0x060504030201));
    assert_false(c.bad);
    buf_free(&b);
}

static void
test_lenenc(void **state)
{
    static const struct {
        uint64_t v;
        size_t bytes;
    } rows[] = {{0, 1}, {0xFA, 1}, {0xFB, 3}, {0xFF, 3}, {0xFFFF, 3},
        {0x10000, 4}, {0xFFFFFF, 4}, {0x1000000, 9}, {UINT64_MAX, 9}};

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        struct buf b = {0};
        struct cur c;

        buf_lenenc(&b, rows[i].v);
        assert_int_equal(b.len, rows[i].bytes);
        c = cur_of(b.data, b.len);
        assert_true(cur_lenenc(&c) == rows[i].v);
        assert_false(c.bad);
        /* Every shorter text is bad. */
        for (size_t n = 0; n < b.len; n++) {
            c = cur_of(b.data, n);
            assert_true(cur_lenenc(&c) == 0);
            assert_true(c.bad);
        }
        buf_free(&b);
    }
    for (int first = 0xFB; first <= 0xFF; first += 4) {
        uint8_t raw[9] = {(uint8_t)first, 1, 1, 1, 1, 1, 1, 1, 1};
        struct cur c = cur_of(raw, sizeof(raw));

        assert_true(cur_lenenc(&c) == 0);
        assert_true(c.bad);
    }
}

static void
test_past_the_end(void **state)
{
    uint8_t raw[4] = {1, 2, 3, 4};
    struct cur c = cur_of(raw, sizeof(raw));

    (void)state;
    assert_int_equal(cur_u8(&c), 1);
    assert_int_equal(cur_u32(&c), 0);
    assert_true(c.bad);
    /* What would have fitted is not given any more either. */
    assert_int_equal(cur_u8(&c), 0);
    assert_null(cur_bytes(&c, 1));
    assert_int_equal(cur_left(&c), 0);

    c = cur_of(raw, sizeof(raw));
    assert_null(cur_bytes(&c, SIZE_MAX));
    assert_true(c.bad);

    c = cur_of(NULL, 0);
    assert_non_null(cur_bytes(&c, 0));
    assert_false(c.bad);
    assert_int_equal(cur_u8(&c), 0);
    assert_true(c.bad);
}

static void
test_strings(void **state)
{
    static const struct {
        const char *raw;
        size_t n, max;
        const char *want; /* NULL: bad */
    } rows[] = {
        {"\x03\0\0\0abc", 7, 3, "abc"},
        {"\x00\0\0\0", 4, 0, ""},
        {"\x03\0\0\0abc", 7, 2, NULL},    /* longer than max */
        {"\x04\0\0\0abc", 7, 100, NULL},  /* longer than what is left */
        {"\x03\0\0\0a\0c", 7, 100, NULL}, /* a NUL inside */
        {"\xFF\xFF\xFF\xFFx", 5, SIZE_MAX, NULL},
        {"\x03\0\0", 3, 100, NULL},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        struct cur c = cur_of(rows[i].raw, rows[i].n);
        char *s = cur_lstr(&c, rows[i].max);

        assert_int_equal(c.bad, rows[i].want == NULL);
        if (rows[i].want != NULL)
            assert_string_equal(s, rows[i].want);
        else
            assert_null(s);
        free(s);
    }
}

static void
test_growing(void **state)
{
    struct buf b = {0};
    struct cur c;
    char *s;

    (void)state;
    assert_string_equal(buf_cstr(&b), "");
    for (unsigned i = 0; i < 10000; i++)
        buf_fmt(&b, "%u,", i);
    assert_int_equal(b.len, 48890);
    assert_memory_equal(b.data + b.len - 5, "9999,", 5);
    assert_int_equal(strlen(buf_cstr(&b)), b.len);
    buf_reset(&b);
    buf_lstr(&b, NULL);
    buf_lstr(&b, "x");
    buf_str(&b, "rest");
    c = cur_of(b.data, b.len);
    s = cur_lstr(&c, 10);
    assert_string_equal(s, "");
    free(s);
    s = cur_lstr(&c, 10);
    assert_string_equal(s, "x");
    free(s);
    s = cur_str(&c, 4);
    assert_string_equal(s, "rest");
    free(s);
    buf_reset(&b);
    buf_str(&b, "mine");
    s = buf_take(&b);
    assert_string_equal(s, "mine");
    assert_null(b.data);
    free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_lenenc),
        cmocka_unit_test(test_past_the_end),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_growing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
