/*
 * pool.h -- n threads that run the same function; the first error reaches the
 * one who waits.
 */
#ifndef PITR_POOL_H
#define PITR_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

/* What a worker runs: index is 0..n-1; returns 0, or -1 with err set. */
typedef int (*pool_fn)(void *arg, unsigned index);

struct pool *pool_start(unsigned n, pool_fn fn, void *arg);
/* Has a worker failed, or a stop been asked?  Workers look at it between
 * units of work, and return 0 if so. */
bool pool_stopping(const struct pool *p);
/* Wait for all, free p.  Returns 0; or -1 with the first worker's error, or
 * stop_error() where a stop was asked. */
int pool_join(struct pool *p);

/* Work is handed out largest first, so that all end together: what it is, by
 * its number, and how much. */
struct pool_work {
    size_t index;
    uint64_t size; /* in whatever unit */
};
/* The largest first; of one size, in the order of their numbers. */
void pool_largest_first(struct pool_work *v, size_t n);

/* Processors this process may use, by its affinity and its control group. */
unsigned pool_cpus(void);

#endif
