/*
 * time_parse.c -- a moment as a person types it.
 *
 * A local time may be no moment or two where clocks are changed.  Both cases
 * are seen without the DST flag (a zone may also change its offset for good):
 * the offsets in force a day before and a day after are tried, and those kept
 * under which the moment reads as what was typed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "pitr/err.h"
#include "pitr/times.h"

#define US UINT64_C(1000000)
#define DAY 86400
#define SECONDS_MAX INT64_C(253402300799) /* the last of the year 9999 */

/* What was typed, without its zone. */
struct wall {
    struct tm tm;
    uint64_t us; /* below the second */
};

static int
not_time(const char *s)
{
    err_set(ERR_USAGE, "'%.100s' is not a time", s);
    return err_hint("write 2022-05-02 14:03:00 (local time), "
                    "2022-05-02T14:03:00Z, 2022-05-02 14:03:00.5 +02:00, "
                    "2022-05-02 (midnight), now, @1651500180, or 90m ago");
}

static const char *
skip_space(const char *p)
{
    return p + strspn(p, " \t");
}

/* Exactly n digits, of a number from min to max. */
static bool
take_digits(const char **s, unsigned n, int min, int max, int *out)
{
    int v = 0;

    for (unsigned i = 0; i < n; i++) {
        char c = (*s)[i];

        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    if (v < min || v > max)
        return false;
    *s += n;
    *out = v;
    return true;
}

static bool
take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

/* ".f" to ".ffffff", or nothing. */
static bool
take_fraction(const char **s, uint64_t *us)
{
    uint64_t unit = US;

    *us = 0;
    if (!take_char(s, '.'))
        return true;
    for (; **s >= '0' && **s <= '9'; (*s)++) {
        if ((unit /= 10) == 0)
            return false;
        *us += (uint64_t)(**s - '0') * unit;
    }
    return unit < US;
}

/* Digits of a number up to max. */
static bool
take_number(const char **s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (**s < '0' || **s > '9')
        return false;
    for (; **s >= '0' && **s <= '9'; (*s)++) {
        v = v * 10 + (uint64_t)(**s - '0');
        if (v > max)
            return false;
    }
    *out = v;
    return true;
}

static bool
take_date(const char **s, struct tm *tm)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;

    if (!take_digits(s, 4, 1970, 9999, &y) || !take_char(s, '-') ||
        !take_digits(s, 2, 1, 12, &m) || !take_char(s, '-') ||
        !take_digits(s, 2, 1, days[m - 1], &d))
        return false;
    if (m == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)))
        return false;
    tm->tm_year = y - 1900;
    tm->tm_mon = m - 1;
    tm->tm_mday = d;
    return true;
}

static bool
take_clock(const char **s, struct wall *w)
{
    if (!take_digits(s, 2, 0, 23, &w->tm.tm_hour) || !take_char(s, ':') ||
        !take_digits(s, 2, 0, 59, &w->tm.tm_min))
        return false;
    if (!take_char(s, ':'))
        return true;
    return take_digits(s, 2, 0, 59, &w->tm.tm_sec) && take_fraction(s, &w->us);
}

static bool
take_wall(const char **s, struct wall *w)
{
    const char *p;

    *w = (struct wall){0};
    if (!take_date(s, &w->tm))
        return false;
    if (take_char(s, 'T') || take_char(s, 't'))
        return take_clock(s, w);
    p = skip_space(*s);
    if (p == *s || *p < '0' || *p > '9')
        return true; /* a date alone, perhaps with a zone */
    *s = p;
    return take_clock(s, w);
}

/* A zone up to the end of the text; *east in seconds. */
static bool
take_zone(const char *p, long *east)
{
    int h, m, sign = *p == '-' ? -1 : 1;

    *east = 0;
    if (strcasecmp(p, "Z") == 0 || strcasecmp(p, "UTC") == 0)
        return true;
    if (*p != '+' && *p != '-')
        return false;
    p++;
    if (!take_digits(&p, 2, 0, 23, &h))
        return false;
    take_char(&p, ':');
    if (!take_digits(&p, 2, 0, 59, &m) || *p != '\0')
        return false;
    *east = sign * (h * 3600L + m * 60L);
    return true;
}

static long
offset_at(time_t t)
{
    struct tm tm = {0};

    localtime_r(&t, &tm);
    return tm.tm_gmtoff;
}

static bool
reads_as(time_t t, const struct tm *wall)
{
    struct tm tm = {0};

    localtime_r(&t, &tm);
    return tm.tm_year == wall->tm_year && tm.tm_mon == wall->tm_mon &&
        tm.tm_mday == wall->tm_mday && tm.tm_hour == wall->tm_hour &&
        tm.tm_min == wall->tm_min && tm.tm_sec == wall->tm_sec;
}

static int
refuse_local(const char *s, bool exists, time_t a, time_t b)
{
    char utc[2][TIME_TEXT], local[2][TIME_TEXT];

    if (a < 0 || b < 0)
        return not_time(s);
    time_utc((uint64_t)a * US, utc[0]);
    time_utc((uint64_t)b * US, utc[1]);
    time_local((uint64_t)a * US, local[0]);
    time_local((uint64_t)b * US, local[1]);
    if (exists) {
        err_set(ERR_USAGE,
            "local time '%.100s' exists twice: clocks were put back", s);
        return err_hint("say which one: '%s' (%s), or '%s' (%s)", local[0],
            utc[0], local[1], utc[1]);
    }
    err_set(ERR_USAGE,
        "local time '%.100s' does not exist: clocks were put forward", s);
    return err_hint("it may mean '%s' (%s), or '%s' (%s)", local[0], utc[0],
        local[1], utc[1]);
}

static int
from_local(const char *s, const struct wall *w, time_t *out)
{
    struct tm tm = w->tm;
    time_t guess = timegm(&tm), first, second;
    bool is_first, is_second;

    tzset();
    first = guess - offset_at(guess - DAY);
    second = guess - offset_at(guess + DAY);
    is_first = reads_as(first, &w->tm);
    is_second = reads_as(second, &w->tm);
    if (is_first && is_second && first != second)
        return refuse_local(s, true, first, second);
    if (!is_first && !is_second)
        return refuse_local(s, false, second, first);
    *out = is_first ? first : second;
    return 0;
}

/* "N{s,m,h,d} ago".  1 if it was, 0 if it is something else, -1. */
static int
parse_ago(const char *s, uint64_t now_us, uint64_t *out_us)
{
    static const char units[] = "smhd";
    static const uint64_t seconds[] = {1, 60, 3600, DAY};
    const char *p = s, *unit;
    uint64_t n;

    if (!take_number(&p, SECONDS_MAX, &n))
        return 0;
    p = skip_space(p);
    if (*p == '\0' || (unit = strchr(units, *p)) == NULL)
        return 0;
    p = skip_space(p + 1);
    if (strcasecmp(p, "ago") != 0)
        return 0;
    n *= seconds[unit - units];
    if (n > now_us / US) {
        err_set(ERR_USAGE, "'%.100s' is before 1970", s);
        return -1;
    }
    *out_us = now_us - n * US;
    return 1;
}

static int
parse_moment(const char *s, uint64_t *out_us)
{
    const char *p = s;
    struct wall w;
    struct tm tm;
    long east;
    time_t t = 0;

    if (!take_wall(&p, &w))
        return not_time(s);
    p = skip_space(p);
    if (*p == '\0') {
        if (from_local(s, &w, &t) < 0)
            return -1;
    } else if (take_zone(p, &east)) {
        tm = w.tm;
        t = timegm(&tm) - east;
    } else {
        return not_time(s);
    }
    if (t < 0)
        return not_time(s);
    *out_us = (uint64_t)t * US + w.us;
    return 0;
}

static int
parse_trimmed(const char *s, uint64_t now_us, uint64_t *out_us)
{
    uint64_t sec, us;
    const char *p = s;
    int rc;

    if (strcasecmp(s, "now") == 0) {
        *out_us = now_us;
        return 0;
    }
    if (take_char(&p, '@')) {
        if (!take_number(&p, SECONDS_MAX, &sec) || !take_fraction(&p, &us) ||
            *p != '\0')
            return not_time(s);
        *out_us = sec * US + us;
        return 0;
    }
    if ((rc = parse_ago(s, now_us, out_us)) != 0)
        return rc < 0 ? -1 : 0;
    return parse_moment(s, out_us);
}

int
time_parse(const char *s, uint64_t now_us, uint64_t *out_us)
{
    char text[128];
    size_t len;

    s = skip_space(s);
    len = strlen(s);
    while (len > 0 && strchr(" \t\n", s[len - 1]) != NULL)
        len--;
    if (len >= sizeof(text))
        return not_time(s);
    memcpy(text, s, len);
    text[len] = '\0';
    return parse_trimmed(text, now_us, out_us);
}
