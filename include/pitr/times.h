/*
 * times.h -- moments, always as microseconds since 1970-01-01 UTC.
 */
#ifndef PITR_TIMES_H
#define PITR_TIMES_H

#include <stddef.h>
#include <stdint.h>

uint64_t time_now_us(void);      /* wall clock */
uint64_t time_mono_us(void);     /* monotonic, for durations */

/*
 * Parse a moment: "YYYY-MM-DD HH:MM[:SS[.ffffff]]", with T or a space between,
 * "YYYY-MM-DD" alone (its midnight), each optionally followed by "Z", "UTC",
 * "+HH:MM", "+HHMM" or "-HH[:]MM"; "now"; "@SECONDS[.ffffff]"; and "N{s,m,h,d}
 * ago".  Without a zone it is local time (TZ).  A local time that does not
 * exist or exists twice (DST) is refused, with the two readings in the hint.
 * Returns 0; or -1 with ERR_USAGE and a hint that shows the accepted forms.
 */
int time_parse(const char *s, uint64_t now_us, uint64_t *out_us);

/* "2022-05-02 14:03:00 UTC"; microseconds only where they are not 0. */
#define TIME_TEXT 48
const char *time_utc(uint64_t us, char out[TIME_TEXT]);
/* "2022-05-02 16:03:00 +0200" */
const char *time_local(uint64_t us, char out[TIME_TEXT]);
/* "2022-05-02 16:03:00 +0200 (14:03:00 UTC)": what a person is shown. */
#define TIME_BOTH 96
const char *time_both(uint64_t us, char out[TIME_BOTH]);
/* "20220502T140300Z": in names of objects. */
const char *time_compact(uint64_t us, char out[TIME_TEXT]);
/* RFC 3339, for JSON: "2022-05-02T14:03:00.000000Z". */
const char *time_rfc3339(uint64_t us, char out[TIME_TEXT]);

/* "1h 02m", "2m 03s", "4.2s": lengths for people. */
const char *time_span(uint64_t us, char out[TIME_TEXT]);
/* "1.2 GB" (powers of 1000), for people. */
const char *size_text(uint64_t bytes, char out[TIME_TEXT]);

#endif
