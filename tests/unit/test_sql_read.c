/*
 * test_sql_read.c -- the words, names and strings of a statement.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/mem.h"
#include "pitr/sql_read.h"

#define ANSI SQL_MODE_ANSI_QUOTES
#define PLAIN SQL_MODE_NO_BACKSLASH_ESCAPES

/* What is read: w(word) n(name) s(string), other bytes as they are. */
static const struct {
    const char *sql, *want;
    uint64_t mode;
} cases[] = {
    {"", "", 0},
    {" \t\n", "", 0},
    {"a b_1$ 2x", "w(a)w(b_1$)w(2x)", 0},
    {"a.`b`.c", "w(a).n(b).w(c)", 0},
    {"`a``b` 'it''s' \"x\"", "n(a`b)s(it's)s(x)", 0},
    {"\"x\"\"y\" 'z'", "n(x\"y)s(z)", ANSI},
    {"'a\\'b' `a\\`", "s(a'b)n(a\\)", 0},
    {"'a\\' b", "s(a\\)w(b)", PLAIN},
    {"\"a\\\" b", "n(a\\)w(b)", ANSI},
    {"`` ''", "n()s()", 0},
    {"a -- b\nc #d\ne", "w(a)w(c)w(e)", 0},
    {"a --\nb --", "w(a)w(b)", 0},
    {"a--1, b", "w(a)--w(1),w(b)", 0}, /* arithmetic */
    {"a /* b '*/ c", "w(a)w(c)", 0},
    {"a /**/b/***/ c", "w(a)w(b)w(c)", 0},
    {"a /*!50106 b */ c", "w(a)w(b)w(c)", 0},
    {"a /*M!100100 b */ c", "w(a)w(b)w(c)", 0},
    {"a /*! b */ c", "w(a)w(b)w(c)", 0},
    {"/*!1234567 b*/", "w(7)w(b)", 0}, /* six digits at most */
    {"/*!12 b*/", "w(12)w(b)", 0},     /* and five at least */
    {"/*!40000 a /* b */ c */ d", "w(a)w(c)w(d)", 0},
    {"a /* ! b */ /*x! c */", "w(a)", 0}, /* not executable */
    {"a/b*c", "w(a)/w(b)*w(c)", 0},
    {"\xc3\xa4 \xff", "w(\xc3\xa4)w(\xff)", 0},
    {"a 'b", "w(a)s(b)", 0}, /* without their ends */
    {"a 'b\\", "w(a)s(b\\)", 0},
    {"a `b``", "w(a)n(b`)", 0},
    {"a /* b", "w(a)", 0},
    {"a /*", "w(a)", 0},
    {"a -", "w(a)-", 0},
    {"a --", "w(a)", 0},
};

static void
shown(struct sql_read *r, struct buf *out)
{
    static const char letter[] = {
        [SQL_WORD] = 'w', [SQL_NAME] = 'n', [SQL_STRING] = 's'};

    for (; r->kind != SQL_END; sql_read_next(r)) {
        char *text;

        if (r->kind == SQL_OTHER) {
            buf_u8(out, (uint8_t)r->other);
            continue;
        }
        text = sql_text(r);
        buf_fmt(out, "%c(%s)", letter[r->kind], text);
        free(text);
    }
}

static void
test_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++) {
        struct sql_read r;
        struct buf got = {0};

        print_message("  %s\n", cases[i].sql);
        sql_read_begin(&r, cases[i].sql, strlen(cases[i].sql), cases[i].mode);
        shown(&r, &got);
        assert_string_equal(buf_cstr(&got), cases[i].want);
        sql_read_next(&r); /* the end stays the end */
        assert_int_equal(r.kind, SQL_END);
        sql_read_free(&r);
        buf_free(&got);
    }
}

/* Cut anywhere, in memory of its own (see ASan). */
static void
test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++)
        for (size_t n = strlen(cases[i].sql); n > 0; n--) {
            char *sql = xmemdup(cases[i].sql, n);
            struct buf got = {0};
            struct sql_read r;

            sql_read_begin(&r, sql, n, cases[i].mode);
            shown(&r, &got);
            assert_int_equal(cur_left(&r.c), 0);
            sql_read_free(&r);
            buf_free(&got);
            free(sql);
        }
}

static void
test_at(void **state)
{
    struct sql_read r;
    const char *sql = "drop `table` (x";

    (void)state;
    sql_read_begin(&r, sql, strlen(sql), 0);
    assert_true(sql_at_word(&r, "DROP"));
    assert_false(sql_at_word(&r, "DRO"));
    assert_false(sql_at_word(&r, "DROPS"));
    assert_false(sql_take_word(&r, "CREATE"));
    assert_true(sql_take_word(&r, "DROP"));
    assert_false(sql_at_word(&r, "table")); /* a name is no keyword */
    assert_false(sql_at(&r, '('));
    sql_read_next(&r);
    assert_true(sql_at(&r, '('));
    assert_int_equal(r.depth, 1);
    sql_read_free(&r);
}

static void
past_set(const char *sql, const char *want)
{
    struct sql_read r;
    struct buf got = {0};

    sql_read_begin(&r, sql, strlen(sql), 0);
    sql_read_past_set(&r);
    assert_int_equal(r.depth, 0);
    shown(&r, &got);
    assert_string_equal(buf_cstr(&got), want);
    sql_read_free(&r);
    buf_free(&got);
}

static void
test_past_set(void **state)
{
    (void)state;
    past_set("SELECT 1", "w(SELECT)w(1)");
    past_set("SET x = 1", "w(SET)w(x)=w(1)");
    past_set("SET (x)", "w(SET)(w(x))");
    past_set("SET", "w(SET)");
    past_set("SET STATEMENT a = 'for', b=(1) FOR DROP x", "w(DROP)w(x)");
    past_set("SET STATEMENT a=1 FOR SET STATEMENT b=2 FOR SET c=3",
        "w(SET)w(c)=w(3)");
    past_set("SET STATEMENT a=1", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_at),
        cmocka_unit_test(test_past_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
