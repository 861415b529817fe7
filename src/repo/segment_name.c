/*
 * segment_name.c -- "binlog/EEEE-SSSSSSSSSS-TIME", made and read.
 */
#include <inttypes.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/segment.h"
#include "pitr/times.h"

#define PREFIX "binlog/"

char *
segment_name(uint32_t epoch, uint64_t seq, uint64_t started_us)
{
    char when[TIME_TEXT];

    return xasprintf(PREFIX "%04" PRIu32 "-%010" PRIu64 "-%s", epoch, seq,
        time_compact(started_us, when));
}

/*
 * Of a hundred thousand names each is read several times, so this makes no
 * text to compare with.
 */

/* Digits at *s, at least `width`, and more only without a zero before them; *s
 * is left after them. */
static bool
digits(const char **s, size_t width, uint64_t max, uint64_t *out)
{
    const char *p = *s;
    size_t n;

    for (*out = 0; *p >= '0' && *p <= '9'; p++) {
        unsigned d = (unsigned)(*p - '0');

        if (*out > (max - d) / 10)
            return false;
        *out = *out * 10 + d;
    }
    n = (size_t)(p - *s);
    if (n < width || (n > width && **s == '0'))
        return false;
    *s = p;
    return true;
}

/* n digits there; -1 where they are none. */
static int
number(const char *s, size_t n)
{
    int v = 0;

    for (; n > 0; n--, s++) {
        if (*s < '0' || *s > '9')
            return -1;
        v = v * 10 + (*s - '0');
    }
    return v;
}

static bool
is_leap(int y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* "20220502T140300Z", and nothing after it. */
static bool
compact_parse(const char *s, uint64_t *us)
{
    static const int before[] = {
        0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    int y, mon, day, h, min, sec, days;
    bool leap;

    if (strlen(s) != 16 || s[8] != 'T' || s[15] != 'Z')
        return false;
    y = number(s, 4);
    mon = number(s + 4, 2);
    day = number(s + 6, 2);
    h = number(s + 9, 2);
    min = number(s + 11, 2);
    sec = number(s + 13, 2);
    if (y < 1970 || mon < 1 || mon > 12 || day < 1 || h < 0 || h > 23 ||
        min < 0 || min > 59 || sec < 0 || sec > 59)
        return false;
    leap = is_leap(y);
    if (day > before[mon] - before[mon - 1] + (leap && mon == 2))
        return false;
    days = (y - 1970) * 365 + (y - 1969) / 4 - (y - 1901) / 100 +
        (y - 1601) / 400 + before[mon - 1] + (leap && mon > 2) + day - 1;
    *us = ((uint64_t)days * 86400 + (unsigned)(h * 3600 + min * 60 + sec)) *
        UINT64_C(1000000);
    return true;
}

int
segment_name_parse(
    const char *name, uint32_t *epoch, uint64_t *seq, uint64_t *started_us)
{
    const char *s = name;
    uint64_t e = 0;

    *seq = 0;
    if (strncmp(s, PREFIX, strlen(PREFIX)) == 0) {
        s += strlen(PREFIX);
        if (digits(&s, 4, UINT32_MAX, &e) && *s++ == '-' &&
            digits(&s, 10, UINT64_MAX, seq) && *s++ == '-' &&
            compact_parse(s, started_us) && e > 0 && *seq > 0) {
            *epoch = (uint32_t)e;
            return 0;
        }
    }
    return err_set(ERR_VERIFY, "%s is not the name of a segment", name);
}
