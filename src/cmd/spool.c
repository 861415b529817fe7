/*
 * spool.c -- is there room in the local repository, and if not, what then?
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "retention.h"
#include "spool.h"

#define SECOND_US UINT64_C(1000000)
#define LOOK_US SECOND_US          /* between looks at what is there */
#define EXPIRE_US (60 * SECOND_US) /* between attempts to let something go */
#define WATCH_US (10 * SECOND_US)
#define WAIT_US (3600 * SECOND_US)

struct spool {
    const struct conf_server *section;
    struct repo *repo;
    uint64_t limit, wait_us;
    pthread_mutex_t lock; /* for all below */
    uint64_t looked_us;   /* 0: never */
    uint64_t full_us;     /* since when; 0: it is not */
    uint64_t expired_us;
    bool cannot_expire; /* was warned of */
    char *held;         /* who kept the last attempt from it, warned of; NULL */
};

struct spool *
spool_new(const struct conf_server *s, struct repo *repo)
{
    struct spool *p;

    if (s->spool_limit == 0)
        return NULL;
    p = xcalloc(1, sizeof *p);
    p->section = s;
    p->repo = repo;
    p->limit = s->spool_limit;
    p->wait_us = s->spool_wait_us != 0 ? s->spool_wait_us : WAIT_US;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void
spool_free(struct spool *s)
{
    if (s == NULL)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s->held);
    free(s);
}

/* "21.0 GB, more than spool_limit allows (20.0 GB)" */
#define FULL_TEXT (2 * TIME_TEXT + 64)
static const char *
full_text(const struct spool *s, uint64_t bytes, char out[FULL_TEXT])
{
    char is[TIME_TEXT], limit[TIME_TEXT];

    snprintf(out, FULL_TEXT, "%s, and spool_limit is %s", size_text(bytes, is),
        size_text(s->limit, limit));
    return out;
}

/* An expire is done soon, a restore may read for hours. */
static void
wait_for_holder(struct spool *s, bool again)
{
    if (!again)
        log_warn("the backup waits: %s", err_text());
    s->held = xstrdup(err_text());
}

/* Only where keep_local was asked for: else it is for a person to say that
 * something goes. */
static void
let_go(struct spool *s)
{
    struct retention c = retention_of(s->section);
    struct expire_report r = {0};
    char size[TIME_TEXT];
    bool again = s->held != NULL;

    if (c.keep_local_us == 0)
        return;
    free(s->held);
    s->held = NULL;
    if (retention_run(&c, s->repo, &r) < 0) {
        if (err_kind() == ERR_LOCKED)
            wait_for_holder(s, again);
        else if (!s->cannot_expire)
            log_warn("nothing was let go: %s", err_text());
        s->cannot_expire |= err_kind() != ERR_LOCKED;
        err_clear();
    } else if (r.bytes > 0) {
        log_info("the vaults have it: %s were removed here",
            size_text(r.bytes, size));
    }
    expire_report_free(&r);
}

static int
give_up(struct spool *s, uint64_t bytes)
{
    char text[FULL_TEXT], span[TIME_TEXT];

    err_set(ERR_FAILED, "%s holds %s; no room was made for %s%s%s",
        s->repo->local_path, full_text(s, bytes, text),
        time_span(s->wait_us, span), s->held == NULL ? "" : ": ",
        s->held == NULL ? "" : s->held);
    if (s->held != NULL)
        return err_hint("Make the backup when that process has ended, or set "
                        "a longer spool_wait.");
    return err_hint("Is it being shipped (\"pitr stream\" or \"pitr ship\")? "
                    "\"pitr expire --dry-run\" tells what stays here, and "
                    "why. A backup has to fit in beside what stays.");
}

/* 1, 0 or -1 as spool_room(); with the lock held. */
static int
look(struct spool *s)
{
    uint64_t now = time_mono_us(), bytes;
    char text[FULL_TEXT], span[TIME_TEXT];

    if (dir_bytes(s->repo->local_path, &bytes) < 0)
        return -1;
    if (bytes < s->limit) {
        if (s->full_us != 0)
            log_info("there is room again, after %s; the backup goes on",
                time_span(now - s->full_us, span));
        s->full_us = 0;
        return 1;
    }
    if (s->full_us == 0) {
        s->full_us = now;
        log_warn("%s holds %s: the backup waits until some of it is on every "
                 "vault and may go, for %s at most",
            s->repo->local_path, full_text(s, bytes, text),
            time_span(s->wait_us, span));
    }
    if (s->expired_us == 0 || now - s->expired_us >= EXPIRE_US) {
        let_go(s);
        s->expired_us = time_mono_us();
        return 0;
    }
    return now - s->full_us >= s->wait_us ? give_up(s, bytes) : 0;
}

int
spool_room(void *arg)
{
    struct spool *s = arg;
    uint64_t now = time_mono_us();
    int rc;

    /* Somebody else looks already. */
    if (pthread_mutex_trylock(&s->lock) != 0)
        return 0;
    if (s->looked_us != 0 && now - s->looked_us < LOOK_US)
        rc = s->full_us == 0;
    else if ((rc = look(s)) >= 0)
        s->looked_us = time_mono_us();
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* --- the stream's --- */

struct spool_watch {
    struct spool *spool;
    atomic_bool end;
    struct pool *pool;
};

static int
watch(void *arg, unsigned index)
{
    struct spool_watch *w = arg;
    struct spool *s = w->spool;
    char text[FULL_TEXT];
    bool full = false;
    uint64_t next = 0, bytes;

    (void)index;
    for (; !stop_asked() && !atomic_load(&w->end); stop_sleep_us(200000)) {
        if (time_mono_us() < next)
            continue;
        next = time_mono_us() + WATCH_US;
        if (dir_bytes(s->repo->local_path, &bytes) < 0) {
            err_clear();
            continue;
        }
        if (bytes >= s->limit && !full)
            log_warn("%s holds %s: backups wait; the log goes on as long as "
                     "the disk has room. Is everything shipped, and does "
                     "\"pitr expire\" run?",
                s->repo->local_path, full_text(s, bytes, text));
        if (bytes < s->limit && full)
            log_info("%s is below spool_limit again", s->repo->local_path);
        full = bytes >= s->limit;
    }
    return 0;
}

struct spool_watch *
spool_watch_start(struct spool *s)
{
    struct spool_watch *w;

    if (s == NULL)
        return NULL;
    w = xcalloc(1, sizeof *w);
    w->spool = s;
    if ((w->pool = pool_start(1, watch, w)) != NULL)
        return w;
    log_warn("spool_limit is not watched: %s", err_text());
    err_clear();
    free(w);
    return NULL;
}

void
spool_watch_end(struct spool_watch *w)
{
    struct err_saved *e = err_take();

    if (w != NULL) {
        atomic_store(&w->end, true);
        if (pool_join(w->pool) < 0)
            err_clear();
        free(w);
    }
    if (e != NULL)
        err_put(e);
}
