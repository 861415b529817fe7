/* gtid.h: reading, writing and comparing positions. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "pitr/err.h"
#include "pitr/gtid.h"
#include "pitr/mem.h"

static void
test_one(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } rows[] = {{"0-1-5", 0}, {"4294967295-4294967295-18446744073709551615", 0},
        {"0-0-0", 0}, {"4294967296-1-1", -1}, {"1-4294967296-1", -1},
        {"1-1-18446744073709551616", -1}, {"0-1", -1}, {"0-1-", -1},
        {"0-1-5 ", -1}, {" 0-1-5", -1}, {"0-1-5,", -1}, {"-1-1-5", -1},
        {"0--1-5", -1}, {"0-1-+5", -1}, {"a-b-c", -1}, {"", -1}};
    char out[GTID_TEXT];

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        struct gtid g = {7, 7, 7};

        if (gtid_parse(rows[i].text, &g) != rows[i].rc)
            fail_msg("'%s'", rows[i].text);
        if (rows[i].rc == 0)
            assert_string_equal(gtid_text(&g, out), rows[i].text);
        else
            assert_int_equal(g.seq, 7);
    }
}

static void
test_position(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {{"", ""}, {" \n", ""}, {"0-1-5", "0-1-5"},
        {"1-1-7,0-1-5", "0-1-5,1-1-7"}, {"0-1-5,\n1-1-7", "0-1-5,1-1-7"},
        {"0-1-5 , 1-1-7\n", "0-1-5,1-1-7"},
        {"3-1-1,1-1-1,2-1-1,0-1-1", "0-1-1,1-1-1,2-1-1,3-1-1"},
        {"0-1-5,0-2-6", NULL}, {"0-1-5,", NULL}, {",0-1-5", NULL},
        {"0-1-5,,1-1-1", NULL}, {"0-1-5 1-1-1", NULL}, {"x", NULL}};
    struct gtid_pos pos = {0};

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        char *text, *before = gtid_pos_text(&pos);
        int rc = gtid_pos_parse(rows[i].text, &pos);

        if (rc != (rows[i].want != NULL ? 0 : -1))
            fail_msg("'%s': %d", rows[i].text, rc);
        text = gtid_pos_text(&pos);
        assert_string_equal(text, rc == 0 ? rows[i].want : before);
        if (rc < 0)
            assert_int_equal(err_kind(), ERR_FAILED);
        free(text);
        free(before);
    }
    gtid_pos_free(&pos);
}

static void
test_compare(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal, covered;
    } rows[] = {
        {"", "", true, true},
        {"", "0-1-5", false, true},
        {"0-1-5", "", false, false},
        {"0-1-5", "0-1-5", true, true},
        {"0-1-5", "0-1-6", false, true},
        {"0-1-6", "0-1-5", false, false},
        {"0-1-5", "0-2-5", false, true}, /* by number, whichever server */
        {"0-1-5,1-1-9", "0-1-9,1-1-9", false, true},
        {"0-1-5,1-1-9", "0-1-9,1-1-8", false, false},
        {"0-1-5,1-1-9", "0-1-5", false, false},
        {"1-1-1", "0-1-9", false, false},
        {"0-1-18446744073709551615", "0-1-1", false, false},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        struct gtid_pos a = {0}, b = {0};

        assert_int_equal(gtid_pos_parse(rows[i].a, &a), 0);
        assert_int_equal(gtid_pos_parse(rows[i].b, &b), 0);
        assert_int_equal(gtid_pos_equal(&a, &b), rows[i].equal);
        assert_int_equal(gtid_pos_covered(&a, &b), rows[i].covered);
        gtid_pos_free(&a);
        gtid_pos_free(&b);
    }
}

static void
test_set(void **state)
{
    struct gtid_pos a = {0}, b = {0};
    struct gtid g;
    char *text;

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        g = (struct gtid){(i * 37) % 100, 1, i + 1};
        gtid_pos_set(&a, &g);
    }
    assert_int_equal(a.n, 100);
    for (uint32_t d = 0; d < 100; d++)
        assert_int_equal(gtid_pos_get(&a, d)->domain, d);
    assert_null(gtid_pos_get(&a, 100));

    gtid_pos_copy(&b, &a);
    assert_true(gtid_pos_equal(&a, &b));
    gtid_pos_copy(&b, &b);
    assert_true(gtid_pos_equal(&a, &b));
    g = (struct gtid){37, 9, 1}; /* numbers may go back */
    gtid_pos_set(&b, &g);
    assert_int_equal(b.n, 100);
    assert_false(gtid_pos_equal(&a, &b));
    assert_true(gtid_pos_includes(&b, &g));
    g.seq = 2;
    assert_false(gtid_pos_includes(&b, &g));
    gtid_pos_free(&b);
    text = gtid_pos_text(&b);
    assert_string_equal(text, "");
    free(text);
    gtid_pos_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
