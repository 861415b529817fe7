/*
 * segment_name.c -- "binlog/EEEE-SSSSSSSSSS-TIME", made and read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Digits at *s, without a sign or spaces; *s is left after them. */
static bool
digits(const char **s, uint64_t max, uint64_t *out)
{
    const char *p = *s;

    for (*out = 0; *p >= '0' && *p <= '9'; p++) {
        unsigned d = (unsigned)(*p - '0');

        if (*out > (max - d) / 10)
            return false;
        *out = *out * 10 + d;
    }
    if (p == *s)
        return false;
    *s = p;
    return true;
}

/* "20220502T140300Z"; whether it is one in full is seen when it is made again
 * from the result. */
static bool
compact_parse(const char *s, uint64_t *us)
{
    char text[TIME_TEXT];

    if (strlen(s) != 16)
        return false;
    snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s, s + 4,
        s + 6, s + 9, s + 11, s + 13);
    if (time_parse(text, 0, us) == 0)
        return true;
    err_clear();
    return false;
}

int
segment_name_parse(
    const char *name, uint32_t *epoch, uint64_t *seq, uint64_t *started_us)
{
    const char *s = name;
    char *again = NULL;
    uint64_t e;
    bool good = false;

    if (strncmp(s, PREFIX, strlen(PREFIX)) == 0) {
        s += strlen(PREFIX);
        good = digits(&s, UINT32_MAX, &e) && *s++ == '-' &&
            digits(&s, UINT64_MAX, seq) && *s++ == '-' &&
            compact_parse(s, started_us);
    }
    if (good) {
        *epoch = (uint32_t)e;
        again = segment_name(*epoch, *seq, *started_us);
        good = e > 0 && *seq > 0 && strcmp(again, name) == 0;
    }
    free(again);
    if (!good)
        return err_set(ERR_VERIFY, "%s is not the name of a segment", name);
    return 0;
}
