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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* What the control group may use (systemd's CPUQuota, a container's limit), in
 * processors, rounded up; 0 where there is no limit.  Its own level only.
 * Linux, Documentation/admin-guide/cgroup-v2.rst: cpu.max is "QUOTA PERIOD". */
static long
cgroup_cpus(void)
{
    char line[512], path[600] = "";
    unsigned long quota, period;
    char *end;
    long n = 0;
    FILE *f;

    if ((f = fopen("/proc/self/cgroup", "re")) == NULL)
        return 0;
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", line + 3);
        }
    fclose(f);
    if (*path == '\0' || (f = fopen(path, "re")) == NULL)
        return 0;
    if (fgets(line, sizeof line, f) != NULL) { /* "max" is no number: 0 */
        quota = strtoul(line, &end, 10);
        period = strtoul(end, NULL, 10);
        if (end != line && period > 0)
            n = (long)((quota + period - 1) / period);
    }
    fclose(f);
    return n;
}

static int
larger_first(const void *a, const void *b)
{
    const struct pool_work *x = a, *y = b;

    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

void
pool_largest_first(struct pool_work *v, size_t n)
{
    if (n > 1)
        qsort(v, n, sizeof *v, larger_first);
}

unsigned
pool_cpus(void)
{
    cpu_set_t set;
    long n, limit = cgroup_cpus();

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    else /* more processors than a set has room for */
        n = sysconf(_SC_NPROCESSORS_ONLN);
    if (limit > 0 && limit < n)
        n = limit;
    return n > 0 ? (unsigned)n : 1;
}
