/*
 * rate.h -- a limit on bytes a second, shared by all who do one kind of work.
 */
#ifndef PITR_RATE_H
#define PITR_RATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
    pthread_mutex_t lock;
    uint64_t rate; /* bytes a second; 0: no limit */
    uint64_t next_us, next_urgent_us;
};

void rate_init(struct rate *r, uint64_t rate);
/* How long to wait before n bytes may go, in microseconds, by time_mono_us().
 * What is urgent does not queue behind the rest, but the rest waits for it. Any
 * thread. */
uint64_t rate_take(struct rate *r, size_t n, bool urgent, uint64_t now_us);
void rate_free(struct rate *r); /* content */

#endif
