/*
 * times.c -- clocks, and moments as text.  Reading them is in time_parse.c.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pitr/mem.h"
#include "pitr/times.h"

#define US UINT64_C(1000000)

static uint64_t
clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * US + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
time_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

uint64_t
time_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* uint64 microseconds end in the year 586524: gmtime_r() cannot fail. */
static struct tm
utc_tm(uint64_t us)
{
    time_t t = (time_t)(us / US);
    struct tm tm = {0};

    gmtime_r(&t, &tm);
    return tm;
}

static struct tm
local_tm(uint64_t us)
{
    time_t t = (time_t)(us / US);
    struct tm tm = {0};

    tzset();
    localtime_r(&t, &tm);
    return tm;
}

static void
add_tm(char *out, size_t size, const char *fmt, const struct tm *tm)
{
    size_t len = strlen(out);

    if (strftime(out + len, size - len, fmt, tm) == 0)
        out[len] = '\0';
}

static void
add_fraction(char *out, size_t size, uint64_t us)
{
    size_t len = strlen(out);

    if (us % US != 0)
        snprintf(out + len, size - len, ".%06u", (unsigned)(us % US));
}

const char *
time_utc(uint64_t us, char out[TIME_TEXT])
{
    struct tm tm = utc_tm(us);

    out[0] = '\0';
    add_tm(out, TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
    add_fraction(out, TIME_TEXT, us);
    add_tm(out, TIME_TEXT, " UTC", &tm);
    return out;
}

const char *
time_local(uint64_t us, char out[TIME_TEXT])
{
    struct tm tm = local_tm(us);

    out[0] = '\0';
    add_tm(out, TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
    add_fraction(out, TIME_TEXT, us);
    add_tm(out, TIME_TEXT, " %z", &tm);
    return out;
}

const char *
time_both(uint64_t us, char out[TIME_BOTH])
{
    struct tm tm = utc_tm(us), here = local_tm(us);

    time_local(us, out);
    /* The date only where it is another one. */
    add_tm(out, TIME_BOTH,
        tm.tm_yday == here.tm_yday ? " (%H:%M:%S" : " (%Y-%m-%d %H:%M:%S", &tm);
    add_fraction(out, TIME_BOTH, us);
    add_tm(out, TIME_BOTH, " UTC)", &tm);
    return out;
}

const char *
time_compact(uint64_t us, char out[TIME_TEXT])
{
    struct tm tm = utc_tm(us);

    out[0] = '\0';
    add_tm(out, TIME_TEXT, "%Y%m%dT%H%M%SZ", &tm);
    return out;
}

const char *
time_rfc3339(uint64_t us, char out[TIME_TEXT])
{
    struct tm tm = utc_tm(us);
    size_t len;

    out[0] = '\0';
    add_tm(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    len = strlen(out);
    snprintf(out + len, TIME_TEXT - len, ".%06uZ", (unsigned)(us % US));
    return out;
}

const char *
time_span(uint64_t us, char out[TIME_TEXT])
{
    uint64_t s = us / US, m = s / 60, h = m / 60;

    if (s < 60)
        snprintf(out, TIME_TEXT, "%" PRIu64 ".%us", s,
            (unsigned)(us % US / (US / 10)));
    else if (m < 60)
        snprintf(out, TIME_TEXT, "%" PRIu64 "m %02us", m, (unsigned)(s % 60));
    else if (h < 48)
        snprintf(out, TIME_TEXT, "%" PRIu64 "h %02um", h, (unsigned)(m % 60));
    else
        snprintf(
            out, TIME_TEXT, "%" PRIu64 "d %02uh", h / 24, (unsigned)(h % 24));
    return out;
}

const char *
size_text(uint64_t bytes, char out[TIME_TEXT])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes / 1000;
    size_t i = 0;

    if (bytes < 1000) {
        snprintf(out, TIME_TEXT, "%u B", (unsigned)bytes);
        return out;
    }
    for (; v >= 999.95 && i + 1 < NELEM(units); i++)
        v /= 1000;
    snprintf(out, TIME_TEXT, "%.1f %s", v, units[i]);
    return out;
}
