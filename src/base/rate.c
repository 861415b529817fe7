/*
 * ship_rate.c -- a limit on bytes a second, shared by all transfers to a vault.
 *
 * Each taking is booked at the end of those before it; the log's own do not
 * queue behind those of backups, so that a backup does not hold the log up.
 */
#include "pitr/mem.h"
#include "ship_priv.h"

void
ship_rate_init(struct ship_rate *r, uint64_t rate)
{
    *r = (struct ship_rate){.rate = rate};
    pthread_mutex_init(&r->lock, NULL);
}

uint64_t
ship_rate_take(struct ship_rate *r, size_t n, bool urgent, uint64_t now_us)
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
ship_rate_free(struct ship_rate *r)
{
    pthread_mutex_destroy(&r->lock);
}
