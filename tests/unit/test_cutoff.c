/*
 * test_cutoff.c -- which transactions of a log a cutoff lets through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/catalog.h"
#include "pitr/mem.h"

/* A transaction of the log, its second, and whether it is to pass. */
struct step {
    const char *gtid;
    unsigned at;
    bool passes;
};

struct run {
    struct cutoff cutoff;
    struct cutoff_state s;
};

static void
begin(struct run *r, enum cutoff_kind kind, unsigned at, const char *gtid,
    const char *from, const char *log_start)
{
    struct gtid_pos a = {0}, b = {0};

    memset(r, 0, sizeof *r);
    r->cutoff.kind = kind;
    r->cutoff.us = at * UINT64_C(1000000);
    if (gtid != NULL)
        assert_int_equal(gtid_parse(gtid, &r->cutoff.gtid), 0);
    assert_int_equal(gtid_pos_parse(from, &a), 0);
    assert_int_equal(gtid_pos_parse(log_start, &b), 0);
    cutoff_begin(&r->s, &r->cutoff, &a, &b);
    gtid_pos_free(&a);
    gtid_pos_free(&b);
}

static void
feed(struct run *r, const struct step *v, size_t n)
{
    uint64_t passed = r->s.groups;

    for (size_t i = 0; i < n; i++) {
        struct event_gtid g = {.time_us = v[i].at * UINT64_C(1000000)};

        assert_int_equal(gtid_parse(v[i].gtid, &g.gtid), 0);
        if (cutoff_wants(&r->s, &g) != v[i].passes)
            fail_msg("step %zu: %s", i, v[i].gtid);
        passed += v[i].passes;
        assert_int_equal(r->s.groups, passed);
    }
}
#define FEED(r, v) feed(r, v, NELEM(v))

/* The state at the end; NULL: there is none. */
static void
ends(struct run *r, const char *done, const char *last, const char *first_out)
{
    char text[GTID_TEXT];
    char *is = gtid_pos_text(&r->s.done);

    assert_string_equal(is, done);
    assert_int_equal(r->s.any_last, last != NULL);
    if (last != NULL)
        assert_string_equal(gtid_text(&r->s.last.gtid, text), last);
    assert_int_equal(r->s.any_out, first_out != NULL);
    if (first_out != NULL)
        assert_string_equal(gtid_text(&r->s.first_out.gtid, text), first_out);
    free(is);
    cutoff_free(&r->s);
}

static void
test_newest(void **state)
{
    static const struct step v[] = {
        {"0-1-1", 10, true}, {"1-1-1", 5, true}, {"0-1-2", 99, true}};
    struct run r;

    (void)state;
    begin(&r, CUTOFF_NEWEST, 0, NULL, "", "");
    FEED(&r, v);
    assert_int_equal(cutoff_end(&r.s), 0);
    ends(&r, "0-1-2,1-1-1", "0-1-2", NULL);
}

/* Exactly at the moment is out, and so is all after it in that domain, even
 * if it says an earlier time; other domains go on. */
static void
test_time(void **state)
{
    static const struct step v[] = {
        {"0-1-1", 10, true},
        {"1-1-1", 30, false}, /* before the others reach it */
        {"0-1-2", 19, true},
        {"0-1-3", 15, true},  /* times go back */
        {"0-1-4", 20, false}, /* exactly */
        {"0-1-5", 12, false}, /* earlier, but after one that is out */
        {"2-1-1", 19, true},  /* a domain that comes up late */
        {"1-1-2", 1, false},
        {"2-1-2", 19, true},
    };
    struct run r;

    (void)state;
    begin(&r, CUTOFF_TIME, 20, NULL, "", "");
    FEED(&r, v);
    assert_int_equal(cutoff_end(&r.s), 0);
    assert_false(r.s.all_ended);
    ends(&r, "0-1-3,2-1-2", "2-1-2", "1-1-1");
}

/* One whose clock was ahead ends its domain; what it keeps out is counted. */
static void
test_clock_ahead(void **state)
{
    static const struct step v[] = {{"0-1-1", 10, true}, {"0-1-2", 900, false},
        {"0-1-3", 11, false}, {"0-1-4", 19, false}, {"0-1-5", 20, false}};
    static const struct step usual[] = {
        {"0-1-1", 10, true}, {"0-1-2", 21, false}, {"0-1-3", 19, false}};
    struct run r;

    (void)state;
    begin(&r, CUTOFF_TIME, 20, NULL, "", "");
    FEED(&r, v);
    assert_true(cutoff_jumped(&r.s));
    assert_int_equal(r.s.early, 2);
    ends(&r, "0-1-1", "0-1-1", "0-1-2");
    begin(&r, CUTOFF_TIME, 20, NULL, "", "");
    FEED(&r, usual);
    assert_false(cutoff_jumped(&r.s));
    assert_int_equal(r.s.early, 0);
    ends(&r, "0-1-1", "0-1-1", "0-1-2");
}

/* A moment that the log does not reach lets all through. */
static void
test_time_beyond(void **state)
{
    static const struct step v[] = {{"0-1-1", 10, true}, {"0-1-2", 11, true}};
    struct run r;

    (void)state;
    begin(&r, CUTOFF_TIME, 1000, NULL, "", "");
    FEED(&r, v);
    assert_int_equal(cutoff_end(&r.s), 0);
    ends(&r, "0-1-2", "0-1-2", NULL);
}

static void
test_until_gtid(void **state)
{
    static const struct step v[] = {
        {"0-1-1", 10, true},
        {"1-1-7", 10, true},
        {"0-1-2", 10, true},  /* the last one */
        {"1-1-8", 10, false}, /* of all domains */
        {"0-1-3", 10, false},
    };
    struct run r;

    (void)state;
    begin(&r, CUTOFF_UNTIL_GTID, 0, "0-1-2", "", "");
    FEED(&r, v);
    assert_true(r.s.all_ended);
    assert_int_equal(cutoff_end(&r.s), 0);
    ends(&r, "0-1-2,1-1-7", "0-1-2", "1-1-8");
}

/* The last one of the log: nothing is known to be out. */
static void
test_until_gtid_last(void **state)
{
    static const struct step v[] = {{"0-1-1", 10, true}, {"0-1-2", 10, true}};
    struct run r;

    (void)state;
    begin(&r, CUTOFF_UNTIL_GTID, 0, "0-1-2", "", "");
    FEED(&r, v);
    assert_int_equal(cutoff_end(&r.s), 0);
    ends(&r, "0-1-2", "0-1-2", NULL);
}

static void
test_before_gtid(void **state)
{
    static const struct step v[] = {
        {"0-1-1", 10, true},
        {"1-1-7", 10, true},
        {"0-1-2", 10, false}, /* the first one out */
        {"1-1-8", 10, false},
    };
    struct run r;

    (void)state;
    begin(&r, CUTOFF_BEFORE_GTID, 0, "0-1-2", "", "");
    FEED(&r, v);
    assert_int_equal(cutoff_end(&r.s), 0);
    ends(&r, "0-1-1,1-1-7", "1-1-7", "0-1-2");
    /* As the very first of the log. */
    begin(&r, CUTOFF_BEFORE_GTID, 0, "0-1-1", "7-7-7", "7-7-7");
    feed(&r, &(struct step){"0-1-1", 10, false}, 1);
    assert_int_equal(cutoff_end(&r.s), 0);
    ends(&r, "7-7-7", NULL, "0-1-1");
}

/* Neither another server's number nor a larger one stands for it. */
static void
test_gtid_never_comes(void **state)
{
    static const struct step v[] = {
        {"0-1-1", 10, true}, {"0-2-2", 10, true}, {"0-1-3", 10, true}};
    static const enum cutoff_kind kinds[] = {
        CUTOFF_UNTIL_GTID, CUTOFF_BEFORE_GTID};
    struct run r;

    (void)state;
    for (size_t i = 0; i < NELEM(kinds); i++) {
        begin(&r, kinds[i], 0, "0-1-2", "", "");
        FEED(&r, v);
        assert_int_equal(cutoff_end(&r.s), -1);
        assert_int_equal(err_kind(), ERR_GAP);
        assert_non_null(strstr(err_text(), "0-1-2"));
        err_clear();
        ends(&r, "0-1-3", "0-1-3", NULL);
    }
}

/* What the backup has is left out by its place in the log: all of a domain up
 * to the backup's GTID, whatever the numbers are. */
static void
test_overlap(void **state)
{
    static const struct step v[] = {
        {"0-1-8", 10, false},
        {"0-2-99", 10, false}, /* a larger number, yet before it */
        {"1-1-4", 10, true},   /* the log starts after the backup's 1-1-3 */
        {"0-1-10", 10, false}, /* the backup's */
        {"0-1-3", 10, true},   /* a smaller number, yet after it */
        {"0-1-11", 10, true},
        {"2-1-1", 10, true}, /* a domain that the backup has not */
    };
    struct run r;

    (void)state;
    begin(&r, CUTOFF_NEWEST, 0, NULL, "0-1-10,1-1-3", "0-1-7,1-1-3");
    assert_int_equal(r.s.from.n, 1);
    FEED(&r, v);
    assert_int_equal(r.s.from.n, 0);
    ends(&r, "0-1-11,1-1-4,2-1-1", "2-1-1", NULL);
}

/* Skipped ones are neither the last in nor the first out, and end nothing. */
static void
test_overlap_and_time(void **state)
{
    static const struct step v[] = {
        {"0-1-1", 50, false}, /* past the moment, but in the backup */
        {"0-1-2", 10, false},
        {"0-1-3", 10, true},
        {"0-1-4", 50, false},
    };
    struct run r;

    (void)state;
    begin(&r, CUTOFF_TIME, 20, NULL, "0-1-2", "");
    FEED(&r, v);
    ends(&r, "0-1-3", "0-1-3", "0-1-4");
    /* Nothing of the log passes: the state is the backup's. */
    begin(&r, CUTOFF_TIME, 20, NULL, "0-1-2", "");
    FEED(&r,
        ((const struct step[]){
            {"0-1-1", 1, false}, {"0-1-2", 1, false}, {"0-1-3", 20, false}}));
    assert_int_equal(cutoff_end(&r.s), 0);
    ends(&r, "0-1-2", NULL, "0-1-3");
}

/* The backup's own GTID does not come, since the log starts right there. */
static void
test_no_overlap(void **state)
{
    static const struct step v[] = {{"0-1-6", 10, true}, {"1-1-1", 10, true}};
    struct run r;

    (void)state;
    begin(&r, CUTOFF_NEWEST, 0, NULL, "0-1-5", "0-1-5");
    assert_int_equal(r.s.from.n, 0);
    FEED(&r, v);
    ends(&r, "0-1-6,1-1-1", "1-1-1", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_clock_ahead),
        cmocka_unit_test(test_time_beyond),
        cmocka_unit_test(test_until_gtid),
        cmocka_unit_test(test_until_gtid_last),
        cmocka_unit_test(test_before_gtid),
        cmocka_unit_test(test_gtid_never_comes),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_overlap_and_time),
        cmocka_unit_test(test_no_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
