/*
 * test_row.c -- the values in a binary row, without a server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/rows.h"

enum {
    TINY = 1,
    SHORT = 2,
    LONG = 3,
    FLOAT = 4,
    DOUBLE = 5,
    NULL_ = 6,
    TIMESTAMP = 7,
    LONGLONG = 8,
    INT24 = 9,
    DATE = 10,
    TIME = 11,
    DATETIME = 12,
    YEAR = 13,
    BIT = 16,
    DECIMAL = 246,
    BLOB = 252,
    VARCHAR = 253,
    GEOMETRY = 255
};

static const struct row_col cols[] = {{.type = TINY}, {.type = SHORT},
    {.type = LONG}, {.type = FLOAT}, {.type = DOUBLE}, {.type = TIMESTAMP},
    {.type = LONGLONG}, {.type = INT24}, {.type = DATE}, {.type = TIME},
    {.type = DATETIME}, {.type = YEAR}, {.type = BIT}, {.type = DECIMAL},
    {.type = BLOB}, {.type = VARCHAR}, {.type = GEOMETRY}, {.type = NULL_}};

#define N NELEM(cols)

/* A row with a value in each column but the last, which is NULL. */
static struct buf
full_row(void)
{
    static const uint8_t map[(N + 9) / 8] = {[(N + 1) / 8] = 1 << (N + 1) % 8};
    struct buf b = {0};

    buf_add(&b, map, sizeof map);
    buf_u8(&b, 1);
    buf_u16(&b, 2);
    buf_u32(&b, 3);
    buf_u32(&b, 4);
    buf_u64(&b, 5);
    buf_u8(&b, 11), buf_add(&b, "timestamp..", 11);
    buf_u64(&b, 7);
    buf_u32(&b, 8);
    buf_u8(&b, 4), buf_add(&b, "date", 4);
    buf_u8(&b, 12), buf_add(&b, "time........", 12);
    buf_u8(&b, 0);
    buf_u16(&b, 12);
    buf_u8(&b, 1), buf_u8(&b, 0xFF);
    buf_u8(&b, 4), buf_str(&b, "1.50");
    buf_lenenc(&b, 70000);
    for (int i = 0; i < 70000; i++)
        buf_u8(&b, (uint8_t)i);
    buf_u8(&b, 0);
    buf_u8(&b, 3), buf_str(&b, "geo");
    return b;
}

static void
test_values(void **state)
{
    static const size_t sizes[N] = {
        1, 2, 4, 4, 8, 12, 8, 4, 5, 13, 1, 2, 2, 5, 70004, 1, 4, 0};
    struct buf b = full_row();
    const uint8_t *value[N];
    size_t size[N];

    (void)state;
    assert_int_equal(row_split(cols, N, b.data, b.len, value, size), 0);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(size[i], sizes[i]);
    assert_null(value[N - 1]);
    assert_int_equal(value[0][0], 1);
    assert_memory_equal(value[13], "\0041.50", 5);
    assert_int_equal(value[14][4 + 69999], (uint8_t)69999);
    buf_free(&b);
}

static void
test_cut_and_longer(void **state)
{
    struct buf b = full_row();
    const uint8_t *value[N];
    size_t size[N];

    (void)state;
    for (size_t n = 0; n < b.len; n += n < 100 || n > b.len - 20 ? 1 : 997) {
        uint8_t *exact = xmemdup(b.data, n + (n == 0));
        assert_int_equal(row_split(cols, N, exact, n, value, size), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        free(exact);
    }
    buf_u8(&b, 0);
    assert_int_equal(row_split(cols, N, b.data, b.len, value, size), -1);
    buf_free(&b);
}

static void
test_impossible(void **state)
{
    static const struct {
        uint8_t type;
        const char *bytes;
        size_t n;
    } bad[] = {
        {DATE, "\0\005.....", 7},
        {TIME, "\0\007.......", 9},
        {VARCHAR, "\0\xFB", 2},
        {VARCHAR, "\0\xFF", 2},
        {VARCHAR, "\0\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFx", 11},
        {NULL_, "\0", 1},
    };
    const uint8_t *value[1];
    size_t size[1];

    (void)state;
    for (size_t i = 0; i < NELEM(bad); i++) {
        struct row_col col = {.type = bad[i].type};
        uint8_t *exact = xmemdup(bad[i].bytes, bad[i].n);
        assert_int_equal(row_split(&col, 1, exact, bad[i].n, value, size), -1);
        free(exact);
    }
}

static void
test_no_columns(void **state)
{
    (void)state;
    assert_int_equal(row_split(NULL, 0, "", 1, NULL, NULL), 0);
    assert_int_equal(row_split(NULL, 0, "", 0, NULL, NULL), -1);
}

static void
test_select_expr(void **state)
{
    static const char *const rule[][3] = {
        {"a`b", "int", "`a``b`"},
        {"e", "ENUM", "CAST(`e` AS UNSIGNED)"},
        {"e", "set", "CAST(`e` AS UNSIGNED)"},
        {"e", "inet6", "CAST(`e` AS BINARY)"},
        {"e", "inet4", "CAST(`e` AS BINARY)"},
        {"e", "uuid", "CAST(`e` AS BINARY)"},
        {"e", "varchar", "`e`"},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(rule); i++) {
        struct buf b = {0};
        row_select_expr(&b, rule[i][0], rule[i][1]);
        assert_string_equal(buf_cstr(&b), rule[i][2]);
        buf_free(&b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cut_and_longer),
        cmocka_unit_test(test_impossible),
        cmocka_unit_test(test_no_columns),
        cmocka_unit_test(test_select_expr),
    };
    return cmocka_run_group_tests_name("row", tests, NULL, NULL);
}
