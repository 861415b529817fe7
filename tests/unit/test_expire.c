/*
 * test_expire.c -- retention: what stays and what goes, in tables over
 * catalogues made by hand and over many made at random.
 *
 * A made catalogue has a segment for each day; a backup is at a day and an
 * hour.  What is decided is a string, a letter a backup or segment: K stays,
 * - goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/expire.h"
#include "pitr/mem.h"
#include "repo_util.h"

#define DAY0 UINT64_C(1651449600) /* 2022-05-02, a Monday */
#define HOUR_US UINT64_C(3600000000)
#define DAY_US (24 * HOUR_US)
#define AT(day, hour) (DAY0 * 1000000 + (day)*DAY_US + (hour)*HOUR_US)
#define MANY 64

struct made {
    unsigned day, hour;
    char flag; /* v: verified, p: pinned, b: both, n: no log goes on from it */
};

static char *
gtid_at(unsigned day, unsigned hour)
{
    return xasprintf("0-1-%u", day * 24 + hour + 1);
}

static struct gtid_pos
pos_at(unsigned day, unsigned hour)
{
    char *text = gtid_at(day, hour);
    struct gtid_pos p = pos_of(text);

    free(text);
    return p;
}

static void
segment_made(struct segment_info *x, unsigned day, unsigned from)
{
    x->name = segment_name(1, day - from + 1, AT(day, 0));
    x->closed = true;
    x->start.epoch = 1;
    x->start.seq = day - from + 1;
    x->start.gtid = pos_at(day, 0);
    x->start.source_file = xasprintf("bin.%06u", day + 1);
    x->start.source_pos = 4;
    x->start.source_created = (uint32_t)(AT(day, 0) / 1000000);
    x->start.started_us = AT(day, 0);
    x->start.server_id = 1;
    x->state.gtid = pos_at(day + 1, 0);
    x->state.complete_until_us = AT(day + 1, 0);
    x->state.source_file = xasprintf("bin.%06u", day + 1);
    x->state.source_pos = 4 + 24 * 100;
}

/* Log of the days [from, to). */
static struct catalog *
catalog_made(const struct made *b, size_t n, unsigned from, unsigned to)
{
    struct catalog *c = xcalloc(1, sizeof *c);

    c->backup = xcalloc(n + 1, sizeof *c->backup);
    c->backups = n;
    for (size_t i = 0; i < n; i++) {
        struct backup_info *x = &c->backup[i];

        x->id = xasprintf("b%02zu", i);
        x->snapshot_us = AT(b[i].day, b[i].hour);
        x->gtid = pos_at(b[i].day, b[i].hour);
        x->source_file = xasprintf("bin.%06u", b[i].day + 1);
        x->source_pos = 4 + b[i].hour * 100;
        x->server_id = b[i].flag == 'n' ? 9 : 1;
        if (b[i].flag == 'n') {
            gtid_pos_free(&x->gtid);
            x->gtid = pos_of("5-5-5");
        }
    }
    c->segment = xcalloc(to - from + 1, sizeof *c->segment);
    c->segments = to - from;
    for (unsigned day = from; day < to; day++)
        segment_made(&c->segment[day - from], day, from);
    return c;
}

static bool
has_flag(const struct made *b, char flag)
{
    return b->flag == flag || b->flag == 'b';
}

static int
plan_of(const struct catalog *c, const struct made *b,
    const struct expire_policy *policy, uint64_t now_us,
    struct expire_plan *out)
{
    bool pinned[MANY] = {0}, verified[MANY] = {0};
    struct expire_input in = {.catalog = c,
        .policy = policy,
        .pinned = pinned,
        .verified = verified,
        .now_us = now_us};

    for (size_t i = 0; i < c->backups; i++) {
        pinned[i] = has_flag(&b[i], 'p');
        verified[i] = has_flag(&b[i], 'v');
    }
    return expire_plan_make(&in, out);
}

static void
letters(const struct expire_choice *v, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = v[i].keep ? 'K' : '-';
        assert_true(v[i].why != NULL && v[i].why[0] != '\0');
    }
    out[n] = '\0';
}

/* Backups and log of the days [0, days). */
static void
check(const struct made *b, size_t n, unsigned days,
    struct expire_policy policy, uint64_t now_us, const char *backups,
    const char *segments)
{
    struct catalog *c = catalog_made(b, n, 0, days);
    char is[MANY + 1], log[MANY + 1];
    struct expire_plan p;

    if (plan_of(c, b, &policy, now_us, &p) < 0)
        fail_msg("%s", err_text());
    letters(p.backup, p.backups, is);
    letters(p.segment, p.segments, log);
    if (strcmp(is, backups) != 0 || strcmp(log, segments) != 0)
        fail_msg("got %s %s, not %s %s", is, log, backups, segments);
    expire_plan_free(&p);
    catalog_free(c);
}

/* A backup each night at 2, of ten days. */
static const struct made nights[10] = {{0, 2, 0}, {1, 2, 0}, {2, 2, 0},
    {3, 2, 0}, {4, 2, 0}, {5, 2, 0}, {6, 2, 0}, {7, 2, 0}, {8, 2, 0},
    {9, 2, 0}};
#define WEEK (7 * DAY_US)
#define NOW AT(9, 3)

static void
test_rules(void **state)
{
    (void)state;
    /* The one of day 2 is seven days old. */
    check(nights, 10, 10, (struct expire_policy){.keep_us = WEEK}, NOW,
        "--KKKKKKKK", "--KKKKKKKK");
    /* An hour less than seven days: the one before is needed. */
    check(nights, 10, 10, (struct expire_policy){.keep_us = WEEK - HOUR_US},
        NOW, "--KKKKKKKK", "--KKKKKKKK");
    check(nights, 10, 10, (struct expire_policy){.keep_us = WEEK + HOUR_US},
        NOW, "-KKKKKKKKK", "-KKKKKKKKK");
    check(nights, 10, 10, (struct expire_policy){.keep_us = 99 * DAY_US}, NOW,
        "KKKKKKKKKK", "KKKKKKKKKK");
    check(nights, 10, 10, (struct expire_policy){.keep_us = 1, .minimum = 1},
        NOW, "--------KK", "--------KK");
    check(nights, 10, 10, (struct expire_policy){.keep_us = 0, .minimum = 1},
        NOW, "---------K", "---------K");
    check(nights, 10, 10, (struct expire_policy){.keep_us = 0, .minimum = 4},
        NOW, "------KKKK", "------KKKK");
    check(nights, 10, 10, (struct expire_policy){.keep_us = 0, .minimum = 44},
        NOW, "KKKKKKKKKK", "KKKKKKKKKK");
    check(nights, 10, 10, (struct expire_policy){.count = 3, .minimum = 2}, NOW,
        "-------KKK", "-------KKK");
    /* Sunday the 8th is day 6; weeks begin on Monday. */
    check(nights, 10, 10, (struct expire_policy){.weekly = 2}, NOW,
        "------K--K", "------KKKK");
    check(nights, 10, 10, (struct expire_policy){.weekly = 1}, NOW,
        "---------K", "---------K");
}

static void
test_periods(void **state)
{
    static const struct made often[] = {{0, 1, 0}, {0, 23, 0}, {1, 5, 0},
        {1, 6, 0}, {1, 7, 0}, {4, 0, 0}, {4, 1, 0}};
    /* 2022-05-02 + 30 = June the 1st, + 60 = July the 1st */
    static const struct made months[] = {
        {0, 0, 0}, {29, 0, 0}, {30, 0, 0}, {40, 0, 0}, {59, 23, 0}, {60, 0, 0}};

    (void)state;
    check(often, 7, 5, (struct expire_policy){.daily = 1}, AT(4, 2), "------K",
        "----K");
    check(often, 7, 5, (struct expire_policy){.daily = 2}, AT(4, 2), "----K-K",
        "-KKKK");
    check(often, 7, 5, (struct expire_policy){.daily = 9}, AT(4, 2), "-K--K-K",
        "KKKKK");
    check(months, 6, 0, (struct expire_policy){.monthly = 3}, AT(60, 1),
        "-K--KK", "");
    check(months, 6, 0, (struct expire_policy){.monthly = 2, .daily = 3},
        AT(60, 1), "---KKK", "");
}

static void
test_pins(void **state)
{
    struct made b[10];

    (void)state;
    memcpy(b, nights, sizeof b);
    b[1].flag = 'p';
    check(b, 10, 10, (struct expire_policy){.minimum = 1}, NOW, "-K-------K",
        "-KKKKKKKKK");
    /* It is no substitute for a newer one. */
    check(b, 10, 10, (struct expire_policy){.minimum = 2}, NOW, "-K------KK",
        "-KKKKKKKKK");
}

static void
test_verified(void **state)
{
    struct made b[10];

    (void)state;
    memcpy(b, nights, sizeof b);
    for (int i = 0; i < 4; i++)
        b[i].flag = 'v';
    /* 3 is the newest good one, whatever comes after it. */
    check(b, 10, 10, (struct expire_policy){.minimum = 1}, NOW, "---K-----K",
        "---KKKKKKK");
    check(b, 10, 10, (struct expire_policy){.count = 2}, NOW, "--KK----KK",
        "--KKKKKKKK");
    check(b, 10, 10, (struct expire_policy){.minimum = 3}, NOW, "-KKK---KKK",
        "-KKKKKKKKK");
    /* Ages, too, are counted from the newest good one. */
    check(b, 10, 10, (struct expire_policy){.keep_us = 2 * DAY_US}, NOW,
        "-KKK---KKK", "-KKKKKKKKK");
    /* An old one that is not verified goes. */
    b[0].flag = 0;
    check(b, 10, 10, (struct expire_policy){.minimum = 5}, NOW, "-KKK-KKKKK",
        "-KKKKKKKKK");
    /* All are: as if none were. */
    for (int i = 0; i < 10; i++)
        b[i].flag = 'v';
    check(b, 10, 10, (struct expire_policy){.keep_us = WEEK}, NOW, "--KKKKKKKK",
        "--KKKKKKKK");
}

static void
test_reasons(void **state)
{
    struct made b[10];
    struct catalog *c = catalog_made(nights, 10, 0, 10);
    struct expire_policy policy = {.keep_us = 3 * DAY_US, .minimum = 1};
    struct expire_plan p;

    (void)state;
    memcpy(b, nights, sizeof b);
    b[0].flag = 'p';
    b[1].flag = 'v';
    assert_int_equal(plan_of(c, b, &policy, NOW, &p), 0);
    assert_string_equal(p.backup[0].why, "pinned");
    assert_non_null(strstr(p.backup[1].why, "verified, as newer ones are not"));
    assert_non_null(strstr(p.backup[2].why, "older than 3d"));
    assert_null(strstr(p.backup[2].why, "no backup has been verified"));
    assert_non_null(strstr(p.backup[6].why, "the newest that is 3d old"));
    assert_non_null(strstr(p.backup[7].why, "younger than 3d"));
    assert_non_null(strstr(p.segment[0].why, "backup b00"));
    assert_int_equal(p.backups_go, 4);
    assert_int_equal(p.segments_go, 0);
    expire_plan_free(&p);
    b[1].flag = 0;
    assert_int_equal(plan_of(c, b, &policy, NOW, &p), 0);
    assert_non_null(strstr(p.backup[2].why, "no backup has been verified"));
    expire_plan_free(&p);
    catalog_free(c);
}

static void
test_clock(void **state)
{
    struct catalog *c = catalog_made(nights, 10, 0, 10);
    struct expire_policy policy = {.keep_us = WEEK};
    struct expire_plan p;

    (void)state;
    /* Years ahead: no other decision. */
    check(nights, 10, 10, policy, NOW + 3650 * DAY_US, "--KKKKKKKK",
        "--KKKKKKKK");
    /* A little behind, as clocks are; far behind. */
    check(nights, 10, 10, policy, AT(9, 2) - 300000000, "--KKKKKKKK",
        "--KKKKKKKK");
    assert_int_equal(plan_of(c, nights, &policy, AT(9, 1), &p), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_non_null(strstr(err_text(), "clock"));
    assert_true(*err_hint_text() != '\0');
    assert_int_equal(plan_of(c, nights, &policy, 0, &p), -1);
    err_clear();
    expire_plan_free(&p);
    catalog_free(c);
}

static void
test_log(void **state)
{
    /* Without any backup, or without one that has log, it all stays. */
    static const struct made bare[] = {{0, 2, 'n'}, {9, 2, 'n'}};
    /* The newest that is old enough has no log: the one before has. */
    static const struct made hole[] = {
        {0, 2, 0}, {1, 2, 'n'}, {8, 2, 0}, {9, 2, 0}};
    static const struct made late[] = {{0, 2, 0}, {3, 2, 0}, {12, 0, 'n'}};

    (void)state;
    check(NULL, 0, 3, (struct expire_policy){0}, NOW, "", "KKK");
    check(NULL, 0, 0, (struct expire_policy){0}, NOW, "", "");
    check(bare, 2, 10, (struct expire_policy){0}, NOW, "-K", "KKKKKKKKKK");
    check(hole, 4, 10, (struct expire_policy){.keep_us = WEEK}, NOW, "K-KK",
        "KKKKKKKKKK");
    /* The newest segment stays where all backups are beyond it. */
    check(late, 3, 5, (struct expire_policy){.minimum = 2}, AT(12, 0), "-KK",
        "---KK");
}

/* Of a broken log that was read as a backlog, the marks tell too little, and a
 * transaction of next year is all that tells how new a segment is. */
static void
test_broken_backlog(void **state)
{
    struct catalog *c = catalog_made(nights, 10, 0, 10);
    struct expire_policy policy = {.minimum = 4};
    struct segment_state *s = &c->segment[5].state;
    struct expire_plan p;
    char is[MANY];

    (void)state;
    c->segment[8].broken = xstrdup("it was cut short");
    c->breaks = 1;
    assert_int_equal(plan_of(c, nights, &policy, NOW, &p), 0);
    letters(p.segment, 10, is);
    assert_string_equal(is, "------KKKK");
    expire_plan_free(&p);
    s->complete_until_us = AT(3, 0);
    s->newest_us = AT(400, 0);
    s->marked_us = NOW;
    assert_int_equal(plan_of(c, nights, &policy, NOW, &p), 0);
    letters(p.segment, 10, is);
    assert_string_equal(is, "-----KKKKK");
    expire_plan_free(&p);
    catalog_free(c);
}

/* What is not on every vault stays, and the log after it. */
static void
test_held(void **state)
{
    struct catalog *c = catalog_made(nights, 10, 0, 10);
    struct expire_policy policy = {.keep_us = 3 * DAY_US, .minimum = 1};
    bool none[10] = {0};
    char why[] = "not there", *backup[10] = {[1] = why, [9] = why};
    struct expire_held held = {.backup = backup, .backups = 10, .segment = 10};
    struct expire_input in = {.catalog = c,
        .policy = &policy,
        .pinned = none,
        .verified = none,
        .held = &held,
        .now_us = NOW};
    struct expire_plan p;
    char is[MANY];

    (void)state;
    assert_int_equal(expire_plan_make(&in, &p), 0);
    letters(p.backup, 10, is);
    assert_string_equal(is, "-K----KKKK");
    assert_string_equal(p.backup[1].why, "would go, but not there");
    assert_null(strstr(p.backup[9].why, "not there"));
    letters(p.segment, 10, is);
    assert_string_equal(is, "-KKKKKKKKK");
    expire_plan_free(&p);
    backup[1] = NULL;
    held.segment = 4;
    held.log = why;
    assert_int_equal(expire_plan_make(&in, &p), 0);
    letters(p.backup, 10, is);
    assert_string_equal(is, "------KKKK");
    letters(p.segment, 10, is);
    assert_string_equal(is, "----KKKKKK");
    assert_string_equal(p.segment[5].why, "would go, but not there");
    assert_null(strstr(p.segment[6].why, "not there"));
    expire_plan_free(&p);
    catalog_free(c);
}

/* Of what the vaults have, only time and a minimum count; neither a pin nor
 * that it was verified keeps it here. */
static void
test_local(void **state)
{
    struct catalog *c = catalog_made(nights, 10, 0, 10);
    struct expire_policy policy = {.keep_us = 2 * DAY_US, .minimum = 1};
    bool pinned[10] = {[1] = true}, verified[10] = {[2] = true};
    struct expire_input in = {.catalog = c,
        .policy = &policy,
        .pinned = pinned,
        .verified = verified,
        .local = true,
        .now_us = NOW};
    struct expire_plan p;
    char is[MANY];

    (void)state;
    assert_int_equal(expire_plan_make(&in, &p), 0);
    letters(p.backup, 10, is);
    assert_string_equal(is, "-------KKK");
    assert_non_null(strstr(p.backup[1].why, "older than 2d here"));
    letters(p.segment, 10, is);
    assert_string_equal(is, "-------KKK");
    expire_plan_free(&p);
    policy.minimum = 5;
    assert_int_equal(expire_plan_make(&in, &p), 0);
    letters(p.backup, 10, is);
    assert_string_equal(is, "-----KKKKK");
    expire_plan_free(&p);
    catalog_free(c);
}

/* --- what has to hold whatever the policy --- */

static unsigned
dice(uint32_t *seed, unsigned n)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % n;
}

/* Is there a backup, of those that stay, whose log leads to a moment? */
static bool
can_restore(const struct catalog *c, const struct expire_plan *p, uint64_t us)
{
    for (size_t i = 0; i < c->backups; i++) {
        size_t first, n;

        if ((p != NULL && !p->backup[i].keep) || c->backup[i].snapshot_us > us)
            continue;
        if (c->backup[i].snapshot_us == us)
            return true;
        if (catalog_chain(c, i, &first, &n) &&
            (p == NULL || p->segment[first].keep) &&
            catalog_whole_until(c, first, n) >= us)
            return true;
    }
    return false;
}

static void
check_promises(const struct catalog *c, const struct made *b,
    const struct expire_policy *policy, const struct expire_plan *p)
{
    uint64_t newest = 0;
    size_t kept = 0, verified = 0, verified_kept = 0, go = 0;

    for (size_t i = 0; i < c->backups; i++) {
        newest = MAX(newest, c->backup[i].snapshot_us);
        kept += p->backup[i].keep;
        verified += has_flag(&b[i], 'v');
        verified_kept += has_flag(&b[i], 'v') && p->backup[i].keep;
        assert_true(p->backup[i].keep || !has_flag(&b[i], 'p'));
    }
    assert_true(kept >= MIN((size_t)policy->minimum, c->backups));
    assert_true(verified_kept >= MIN((size_t)policy->minimum, verified));
    assert_int_equal(p->backups_go, c->backups - kept);
    /* Every moment of the promised time, as before. */
    for (uint64_t us = newest - MIN(policy->keep_us, newest); us <= newest;
         us += 5 * HOUR_US)
        assert_int_equal(can_restore(c, p, us), can_restore(c, NULL, us));
    /* Only a beginning of the log, never its end. */
    for (size_t i = 0; i < c->segments; i++) {
        go += !p->segment[i].keep;
        if (!p->segment[i].keep)
            assert_int_equal(go, i + 1);
    }
    assert_int_equal(go, p->segments_go);
    assert_true(c->segments == 0 || go < c->segments);
}

static void
test_promises(void **state)
{
    uint32_t seed = 4711;

    (void)state;
    for (int round = 0; round < 1500; round++) {
        struct made b[20] = {0};
        size_t n = dice(&seed, 20);
        unsigned day = 0, days = 1 + dice(&seed, 30);
        struct expire_policy policy = {
            .keep_us = dice(&seed, 12) * DAY_US + dice(&seed, 24) * HOUR_US,
            .count = dice(&seed, 4),
            .daily = dice(&seed, 4),
            .weekly = dice(&seed, 3),
            .monthly = dice(&seed, 2),
            .minimum = 1 + dice(&seed, 4)};
        struct catalog *c;
        struct expire_plan p;

        for (size_t i = 0; i < n; i++) {
            day += dice(&seed, 3);
            b[i].day = day;
            b[i].hour = (unsigned)i;
            b[i].flag = "\0\0vvvpnb"[dice(&seed, 8)];
        }
        c = catalog_made(b, n, 0, MIN(days, 40u));
        assert_int_equal(
            plan_of(c, b, &policy, AT(100 + dice(&seed, 999), 0), &p), 0);
        check_promises(c, b, &policy, &p);
        expire_plan_free(&p);
        catalog_free(c);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_periods),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_verified),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_broken_backlog),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_promises),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
