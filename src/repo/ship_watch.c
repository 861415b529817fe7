/*
 * ship_watch.c -- between who writes the log and those who ship it, in one
 * process: "it has grown" one way, "it is durable there" the other way.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/ship.h"

/* A place in the log: so many bytes of that segment, and all before it. */
struct place {
    char *name; /* NULL: none */
    uint64_t size;
};

struct ship_watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int fd;
    struct place grown;
    struct place *vault; /* what each has */
    unsigned vaults;
};

static void
place_set(struct place *p, const char *name, uint64_t size)
{
    if (p->name == NULL || strcmp(p->name, name) != 0) {
        free(p->name);
        p->name = xstrdup(name);
    }
    p->size = size;
}

/* Names are in the order of the log. */
static bool
is_past(const struct place *p, const char *name, uint64_t size)
{
    int order = p->name == NULL ? -1 : strcmp(p->name, name);

    return order > 0 || (order == 0 && p->size >= size);
}

struct ship_watch *
ship_watch_new(void)
{
    struct ship_watch *w = xcalloc(1, sizeof *w);
    pthread_condattr_t attr;

    if ((w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        err_sys(ERR_FAILED, "eventfd");
        free(w);
        return NULL;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    return w;
}

void
ship_watch_free(struct ship_watch *w)
{
    if (w == NULL)
        return;
    for (unsigned i = 0; i < w->vaults; i++)
        free(w->vault[i].name);
    free(w->vault);
    free(w->grown.name);
    close(w->fd);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

unsigned
ship_watch_join(struct ship_watch *w)
{
    unsigned n;

    pthread_mutex_lock(&w->lock);
    w->vault = xrealloc(w->vault, (w->vaults + 1) * sizeof *w->vault);
    w->vault[w->vaults] = (struct place){0};
    n = w->vaults++;
    pthread_mutex_unlock(&w->lock);
    return n;
}

void
ship_watch_grown(struct ship_watch *w, const char *name, uint64_t size)
{
    pthread_mutex_lock(&w->lock);
    place_set(&w->grown, name, size);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

bool
ship_watch_reached(struct ship_watch *w, const char *name, uint64_t size)
{
    bool all = true;

    pthread_mutex_lock(&w->lock);
    for (unsigned i = 0; i < w->vaults; i++)
        all = all && is_past(&w->vault[i], name, size);
    all = all && w->vaults > 0;
    pthread_mutex_unlock(&w->lock);
    return all;
}

int
ship_watch_fd(const struct ship_watch *w)
{
    return w->fd;
}

void
ship_watch_drain(struct ship_watch *w)
{
    uint64_t n;

    (void)!read(w->fd, &n, sizeof n);
}

void
ship_watch_has(
    struct ship_watch *w, unsigned vault, const char *name, uint64_t size)
{
    static const uint64_t one = 1;

    pthread_mutex_lock(&w->lock);
    place_set(&w->vault[vault], name, size);
    pthread_mutex_unlock(&w->lock);
    (void)!write(w->fd, &one, sizeof one);
}

enum ship_watch_saw
ship_watch_wait(
    struct ship_watch *w, const char *name, uint64_t size, uint64_t us)
{
    enum ship_watch_saw saw = SHIP_WATCH_NOTHING;
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(us % 1000000) * 1000;
    until.tv_sec += (time_t)(us / 1000000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        const struct place *g = &w->grown;

        if (g->name != NULL && strcmp(g->name, name) > 0)
            saw = SHIP_WATCH_NEXT;
        else if (g->name != NULL && strcmp(g->name, name) == 0 &&
            g->size > size)
            saw = SHIP_WATCH_GREW;
        if (saw != SHIP_WATCH_NOTHING || rc != 0)
            break;
        rc = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
    return saw;
}
