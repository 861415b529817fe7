/*
 * rate.c -- a limit on bytes a second.
 *
 * Each taking is booked at the end of those before it; urgent ones (of the log)
 * do not queue behind the others (of backups), which do not hold them up.
 */
#include "pitr/mem.h"
#include "pitr/rate.h"

void
rate_init(struct rate *r, uint64_t rate)
{
    *r = (struct rate){.rate = rate};
    pthread_mutex_init(&r->lock, NULL);
}

uint64_t
rate_take(struct rate *r, size_t n, bool urgent, uint64_t now_us)
{
    uint64_t took, begin;

    if (r->rate == 0)
        return 0;
    took = (uint64_t)((double)n * 1e6 / (double)r->rate);
    pthread_mutex_lock(&r->lock);
    begin = MAX(now_us, urgent ? r->next_urgent_us : r->next_us);
    if (urgent)
        r->next_urgent_us = begin + took;
    r->next_us = MAX(now_us, r->next_us) + took;
    pthread_mutex_unlock(&r->lock);
    return begin - now_us;
}

void
rate_free(struct rate *r)
{
    pthread_mutex_destroy(&r->lock);
}
