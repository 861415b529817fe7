/* times.h: what a person types, the hours when clocks change, and back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/times.h"

#define US UINT64_C(1000000)
#define NOW (UINT64_C(1651500180) * US + 250000) /* 2022-05-02 14:03:00.25 */
#define BAD UINT64_MAX

static void
set_zone(const char *tz)
{
    setenv("TZ", tz, 1);
    tzset();
}

struct row {
    const char *text;
    uint64_t want_us; /* BAD: refused */
};

static void
check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t got = BAD - 1;
        int rc;

        err_clear();
        rc = time_parse(rows[i].text, NOW, &got);
        if (rows[i].want_us != BAD && (rc != 0 || got != rows[i].want_us))
            fail_msg("'%s': rc %d, %llu: %s", rows[i].text, rc,
                (unsigned long long)got, err_text());
        if (rows[i].want_us != BAD)
            continue;
        if (rc != -1)
            fail_msg("'%s' was accepted", rows[i].text);
        assert_int_equal(err_kind(), ERR_USAGE);
        assert_true(got == BAD - 1);
    }
}

static void
test_forms(void **state)
{
    static const struct row rows[] = {
        {"now", NOW},
        {" now ", NOW},
        {"@1651500180", 1651500180 * US},
        {"@1651500180.5", 1651500180 * US + 500000},
        {"@0", 0},
        {"@1651500180.0000001", BAD},
        {"@1651500180.", BAD},
        {"@", BAD},
        {"@-1", BAD},
        {"@99999999999999999999", BAD},
        {"30s ago", NOW - 30 * US},
        {"90m ago", NOW - 5400 * US},
        {"2h ago", NOW - 7200 * US},
        {"7d ago", NOW - 7 * 86400 * US},
        {"7 d  ago", NOW - 7 * 86400 * US},
        {"7w ago", BAD},
        {"7d", BAD},
        {"-7d ago", BAD},
        {"99999d ago", BAD},
        {"2022-05-02T14:03:00Z", 1651500180 * US},
        {"2022-05-02 14:03:00 UTC", 1651500180 * US},
        {"2022-05-02 14:03Z", 1651500180 * US},
        {"2022-05-02 16:03:00 +0200", 1651500180 * US},
        {"2022-05-02T16:03:00+02:00", 1651500180 * US},
        {"2022-05-02 08:33:00 -05:30", 1651500180 * US},
        {"2022-05-02 14:03:00.000001Z", 1651500180 * US + 1},
        {"2022-05-02 14:03:00.1 UTC", 1651500180 * US + 100000},
        {"2022-05-02Z", 1651449600 * US},
        {"2022-05-02 UTC", 1651449600 * US},
        {"2022-05-02 +02:00", 1651442400 * US},
        {"2022-05-02-0200", 1651456800 * US},
        {"1970-01-01 00:00:00Z", 0},
        {"1970-01-01 00:00:00+01:00", BAD}, /* before 1970 */
        {"1969-12-31 23:59:59Z", BAD},
        {"2024-02-29Z", 1709164800 * US},
        {"2000-02-29Z", 951782400 * US},
        {"2022-02-29Z", BAD},
        {"2100-02-29Z", BAD},
        {"2022-04-31Z", BAD},
        {"2022-13-01Z", BAD},
        {"2022-00-01Z", BAD},
        {"2022-05-02 24:00Z", BAD},
        {"2022-05-02 23:60Z", BAD},
        {"2022-05-02 23:59:60Z", BAD},
        {"2022-05-02 14:03:00.Z", BAD},
        {"2022-05-02 14:03:00.1234567Z", BAD},
        {"2022-05-02 14:03:00 +2", BAD},
        {"2022-05-02 14:03:00 +02:00x", BAD},
        {"2022-05-02 14:03:00 CEST", BAD},
        {"2022-05-02 14", BAD},
        {"2022-05-02 14:03:00 Z Z", BAD},
        {"2022-5-2", BAD},
        {"22-05-02", BAD},
        {"02.05.2022", BAD},
        {"yesterday", BAD},
        {"", BAD},
    };

    (void)state;
    set_zone("Pacific/Auckland"); /* must not matter to any of these */
    check_rows(rows, NELEM(rows));
}

static void
test_local(void **state)
{
    static const struct row berlin[] = {
        {"2022-05-02 16:03:00", 1651500180 * US},
        {"2022-05-02T16:03", 1651500180 * US},
        {"2022-01-02 15:03:00", 1641132180 * US},
        {"2022-05-02", 1651442400 * US},
        {"2022-03-27 01:59:59", 1648342799 * US},
        {"2022-03-27 02:00:00", BAD},
        {"2022-03-27 02:30", BAD},
        {"2022-03-27 02:59:59.999999", BAD},
        {"2022-03-27 03:00:00", 1648342800 * US},
        {"2022-03-27 02:30 +01:00", 1648344600 * US},
        {"2022-10-30 01:59:59", 1667087999 * US},
        {"2022-10-30 02:00:00", BAD},
        {"2022-10-30 02:30", BAD},
        {"2022-10-30 02:59:59", BAD},
        {"2022-10-30 03:00:00", 1667095200 * US},
        {"2022-10-30 02:30 +02:00", 1667089800 * US},
        {"2022-10-30 02:30 +01:00", 1667093400 * US},
    };
    static const struct row moscow[] = {
        /* 2014-10-26 02:00 +04 became 01:00 +03, with no DST on either. */
        {"2014-10-26 00:59:59", 1414270799 * US},
        {"2014-10-26 01:30:00", BAD},
        {"2014-10-26 02:00:00", 1414278000 * US},
    };
    static const struct row havana[] = {
        {"2022-03-13", BAD}, /* a midnight that did not exist */
        {"2022-03-13 01:00", 1647147600 * US},
        {"2022-11-06 00:30", BAD},
    };
    static const struct row apia[] = {
        {"2011-12-29 23:59:59", 1325239199 * US},
        {"2011-12-30 12:00", BAD}, /* a whole day left out */
        {"2011-12-31", 1325239200 * US},
    };

    (void)state;
    set_zone("Europe/Berlin");
    check_rows(berlin, NELEM(berlin));
    set_zone("Europe/Moscow");
    check_rows(moscow, NELEM(moscow));
    set_zone("America/Havana");
    check_rows(havana, NELEM(havana));
    set_zone("Pacific/Apia");
    check_rows(apia, NELEM(apia));
    set_zone("UTC");
    check_rows((struct row[]){{"2022-03-27 02:30", 1648348200 * US}}, 1);
}

/* Each reading that a hint offers can be typed as it stands. */
static void
check_hint(const char *text, const char *first, uint64_t first_us,
    const char *second, uint64_t second_us)
{
    uint64_t got;

    assert_int_equal(time_parse(text, NOW, &got), -1);
    assert_non_null(strstr(err_hint_text(), first));
    assert_non_null(strstr(err_hint_text(), second));
    assert_int_equal(time_parse(first, NOW, &got), 0);
    assert_true(got == first_us);
    assert_int_equal(time_parse(second, NOW, &got), 0);
    assert_true(got == second_us);
}

static void
test_hints(void **state)
{
    uint64_t got;

    (void)state;
    set_zone("Europe/Berlin");
    check_hint("2022-10-30 02:30", "2022-10-30 02:30:00 +0200", 1667089800 * US,
        "2022-10-30 02:30:00 +0100", 1667093400 * US);
    check_hint("2022-03-27 02:30", "2022-03-27 01:30:00 +0100", 1648341000 * US,
        "2022-03-27 03:30:00 +0200", 1648344600 * US);
    assert_int_equal(time_parse("gestern", NOW, &got), -1);
    assert_non_null(strstr(err_hint_text(), "2022-05-02 14:03:00"));
}

static void
test_text(void **state)
{
    char out[TIME_TEXT], both[TIME_BOTH];
    uint64_t t = 1651500180 * US;

    (void)state;
    set_zone("Europe/Berlin");
    assert_string_equal(time_utc(t, out), "2022-05-02 14:03:00 UTC");
    assert_string_equal(
        time_utc(t + 42, out), "2022-05-02 14:03:00.000042 UTC");
    assert_string_equal(time_local(t, out), "2022-05-02 16:03:00 +0200");
    assert_string_equal(
        time_both(t, both), "2022-05-02 16:03:00 +0200 (14:03:00 UTC)");
    assert_string_equal(time_both(t + 8 * 3600 * US + 500000, both),
        "2022-05-03 00:03:00.500000 +0200 (2022-05-02 22:03:00.500000 UTC)");
    assert_string_equal(time_compact(t, out), "20220502T140300Z");
    assert_string_equal(
        time_rfc3339(t + 1, out), "2022-05-02T14:03:00.000001Z");
    time_utc(UINT64_MAX, out); /* must fit */
    time_both(UINT64_MAX, both);
}

/* What is printed is accepted, and means the same, through a year. */
static void
test_round_trip(void **state)
{
    char out[TIME_TEXT];
    uint64_t got;

    (void)state;
    set_zone("Europe/Berlin");
    for (uint64_t t = 1640995200; t < 1672531200; t += 1799) {
        time_local(t * US + 7, out);
        assert_int_equal(time_parse(out, NOW, &got), 0);
        assert_true(got == t * US + 7);
        time_utc(t * US, out);
        assert_int_equal(time_parse(out, NOW, &got), 0);
        assert_true(got == t * US);
    }
}

static void
test_lengths(void **state)
{
    static const struct {
        uint64_t us;
        const char *want;
    } spans[] = {{0, "0.0s"}, {4249999, "4.2s"}, {59999999, "59.9s"},
        {60 * US, "1m 00s"}, {123 * US, "2m 03s"}, {3720 * US, "1h 02m"},
        {86400 * US, "24h 00m"}, {50 * 3600 * US, "2d 02h"}};
    static const struct {
        uint64_t bytes;
        const char *want;
    } sizes[] = {{0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"},
        {1230000000, "1.2 GB"}, {999949, "999.9 kB"}, {999950, "1.0 MB"},
        {UINT64_MAX, "18.4 EB"}};
    char out[TIME_TEXT];

    (void)state;
    for (size_t i = 0; i < NELEM(spans); i++)
        assert_string_equal(time_span(spans[i].us, out), spans[i].want);
    for (size_t i = 0; i < NELEM(sizes); i++)
        assert_string_equal(size_text(sizes[i].bytes, out), sizes[i].want);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
