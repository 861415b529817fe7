/*
 * pool.c -- n threads that run the same function.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/stop.h"

struct worker {
    struct pool *pool;
    unsigned index;
    pthread_t thread;
};

struct pool {
    pool_fn fn;
    void *arg;
    struct worker *workers;
    unsigned started;
    atomic_bool failed;
    pthread_mutex_t lock;
    struct err_saved *first; /* of the worker that failed first */
};

static void *
worker_main(void *p)
{
    struct worker *w = p;
    struct pool *pool = w->pool;

    if (pool->fn(pool->arg, w->index) >= 0)
        return NULL;
    if (err_kind() == ERR_NONE)
        err_set(ERR_FAILED, "worker %u failed without a reason", w->index);
    pthread_mutex_lock(&pool->lock);
    if (pool->first == NULL)
        pool->first = err_take();
    pthread_mutex_unlock(&pool->lock);
    atomic_store(&pool->failed, true);
    return NULL;
}

struct pool *
pool_start(unsigned n, pool_fn fn, void *arg)
{
    struct pool *p = xcalloc(1, sizeof(*p));
    int rc;

    p->fn = fn;
    p->arg = arg;
    p->workers = xcalloc(n, sizeof(*p->workers));
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = &p->workers[i];

        w->pool = p;
        w->index = i;
        if ((rc = pthread_create(&w->thread, NULL, worker_main, w)) != 0) {
            atomic_store(&p->failed, true);
            pool_join(p);
            errno = rc;
            err_sys(ERR_FAILED, "cannot start thread %u of %u", i + 1, n);
            err_hint("use fewer jobs, or raise the limit on processes");
            return NULL;
        }
        p->started++;
    }
    return p;
}

bool
pool_stopping(const struct pool *p)
{
    return atomic_load(&p->failed) || stop_asked();
}

int
pool_join(struct pool *p)
{
    int rc = 0;

    if (p == NULL)
        return -1; /* pool_start() has set the error */
    for (unsigned i = 0; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);
    if (p->first != NULL)
        rc = err_put(p->first);
    else if (stop_asked())
        rc = stop_error();
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
    return rc;
}

unsigned
pool_cpus(void)
{
    cpu_set_t set;
    long n;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    else /* more processors than a set has room for */
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}
