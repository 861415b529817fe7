/*
 * gentle.c -- see gentle.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gentle.h"
#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/rate.h"
#include "pitr/times.h"

#define LOOK_US 500000 /* between looks at the server */
/* In all.  The snapshot of a backup that stands still grows dearer for the
 * server than the backup was going to be. */
#define WAIT_MAX_US (UINT64_C(3600) * 1000000)

struct gentle {
    struct gentle_conf conf;
    struct db *db; /* NULL: nothing to look at */
    struct rate rate;
    pthread_mutex_t lock; /* for all below, and db */
    uint64_t looked_us;
    uint64_t busy_us; /* since when; 0: the server is not too busy */
    uint64_t waited_us;
    bool regardless;
};

/* linux/ioprio.h: class "best effort", the lowest of its eight levels. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_LOWEST ((2 << 13) | 7)

static int
be_nice(unsigned nice)
{
    if (setpriority(PRIO_PROCESS, 0, (int)nice) < 0)
        return err_sys(ERR_FAILED, "a priority of %u (nice)", nice);
    /* Not every scheduler of disks has priorities: nothing to tell. */
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_LOWEST);
    return 0;
}

/* Of other accounts: a reader of ours that waits here counts as running. */
static int
running(struct gentle *g, uint64_t *n)
{
    return db_value_u64(g->db, n,
               "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE"
               " COMMAND IN ('Query', 'Execute', 'Fetch', 'Field List', "
               "'Prepare')"
               " AND USER <> SUBSTRING_INDEX(USER(), '@', 1)") < 0
        ? -1
        : 0;
}

/* In seconds, the longest of all its connections to sources; one that is
 * stopped has none. */
static int
lag(struct gentle *g, uint64_t *s)
{
    struct db_result r;

    *s = 0;
    if (db_query(g->db, &r, "SHOW ALL SLAVES STATUS") < 0)
        return -1;
    for (size_t i = 0; i < r.rows; i++) {
        const char *behind = db_cell_by(&r, i, "Seconds_Behind_Master");

        if (behind != NULL)
            *s = MAX(*s, strtoull(behind, NULL, 10));
    }
    db_result_free(&r);
    return 0;
}

/* Is the server too busy now?  why: for a person. */
static int
look(struct gentle *g, bool *busy, char *why, size_t size)
{
    uint64_t n = 0, s = 0;

    *busy = false;
    if (g->conf.max_load > 0) {
        if (running(g, &n) < 0)
            return -1;
        if (n > g->conf.max_load) {
            *busy = true;
            snprintf(why, size,
                "%" PRIu64 " statements run on the server, "
                "more than %u (max_load)",
                n, g->conf.max_load);
            return 0;
        }
    }
    if (g->conf.max_lag_us > 0) {
        if (lag(g, &s) < 0)
            return -1;
        if (s * 1000000 > g->conf.max_lag_us) {
            char is[TIME_TEXT], max[TIME_TEXT];

            *busy = true;
            snprintf(why, size,
                "the server is %s behind its source, more than "
                "%s (max_lag)",
                time_span(s * 1000000, is), time_span(g->conf.max_lag_us, max));
        }
    }
    return 0;
}

int
gentle_new(const struct gentle_conf *c, const struct db_conf *source,
    struct gentle **out)
{
    struct gentle *g;
    char why[256];
    bool busy;

    *out = NULL;
    if (c->nice > 0 && be_nice(c->nice) < 0)
        return -1;
    if (c->rate == 0 && c->max_load == 0 && c->max_lag_us == 0)
        return 0;
    g = xcalloc(1, sizeof *g);
    g->conf = *c;
    rate_init(&g->rate, c->rate);
    pthread_mutex_init(&g->lock, NULL);
    /* What the account may not see is told before anything begins. */
    if ((c->max_load > 0 || c->max_lag_us > 0) &&
        ((g->db = db_open(source, "source")) == NULL ||
            look(g, &busy, why, sizeof why) < 0)) {
        gentle_free(g);
        return -1;
    }
    *out = g;
    return 0;
}

void
gentle_free(struct gentle *g)
{
    if (g == NULL)
        return;
    db_close(g->db);
    rate_free(&g->rate);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static void
tell(struct gentle *g, bool busy, const char *why, uint64_t now)
{
    char span[TIME_TEXT];

    if (busy && g->busy_us == 0) {
        g->busy_us = now;
        log_info("the backup waits: %s", why);
    } else if (!busy && g->busy_us != 0) {
        log_info(
            "the backup goes on, after %s", time_span(now - g->busy_us, span));
        g->waited_us += now - g->busy_us;
        g->busy_us = 0;
    }
}

/* The mutex is held: who comes while one looks has to wait for the answer. */
static int
wait_for_server(struct gentle *g, uint64_t now)
{
    char why[256] = "";
    bool busy;

    if (g->db == NULL || g->regardless || now - g->looked_us < LOOK_US)
        return 0;
    if (look(g, &busy, why, sizeof why) < 0)
        return -1;
    g->looked_us = now;
    tell(g, busy, why, now);
    if (busy && g->waited_us + now - g->busy_us >= WAIT_MAX_US) {
        log_warn("the backup has waited for an hour in all and goes on "
                 "regardless: %s",
            why);
        g->regardless = true;
        g->busy_us = 0;
    }
    return 0;
}

int64_t
gentle_pace(void *arg, uint64_t bytes)
{
    struct gentle *g = arg;
    uint64_t now = time_mono_us(), wait;
    int rc;

    wait = rate_take(&g->rate, bytes, false, now);
    pthread_mutex_lock(&g->lock);
    rc = wait_for_server(g, now);
    if (g->busy_us != 0)
        wait = MAX(wait, LOOK_US);
    pthread_mutex_unlock(&g->lock);
    return rc < 0 ? -1 : (int64_t)wait;
}
