/*
 * stream_later.c -- a comparison that the server answers only later.
 *
 * While the server waits for an acknowledgement it may hold a lock that the
 * questions of identity_check_files() need, until we, who ask them, give it. So
 * they are asked by a thread of their own.  Mostly it has its answer before the
 * log is asked for; else the stream goes on, acknowledges, and takes note of
 * the answer when it is there.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "stream_impl.h"

#define AGAIN_US 500000

struct later {
    struct db_conf source; /* its strings are the stream's */
    struct segment_state state;
    struct gtid_pos newest;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under the lock */
    struct db *db; /* that is being asked */
    bool over, ended;
    int rc; /* of identity_check_files() */
    char *why;
    struct err_saved *err;
};

static void
set_db(struct later *l, struct db *db)
{
    pthread_mutex_lock(&l->lock);
    l->db = db;
    if (db != NULL && l->over)
        db_interrupt(db);
    pthread_mutex_unlock(&l->lock);
}

static bool
is_over(struct later *l)
{
    bool over;

    pthread_mutex_lock(&l->lock);
    over = l->over;
    pthread_mutex_unlock(&l->lock);
    return over;
}

static int
compare(struct later *l, char **why)
{
    struct db *db = db_open(&l->source, "source");
    int rc = -1;

    set_db(l, db);
    if (db != NULL)
        rc = identity_check_files(db, &l->state, &l->newest, why);
    set_db(l, NULL);
    db_close(db);
    return rc;
}

/* A connection that is lost, as one that waits for too long, is made again. */
static void *
later_main(void *arg)
{
    struct later *l = arg;
    char *why = NULL;
    int rc;

    while ((rc = compare(l, &why)) < 0 && err_kind() == ERR_UNREACHABLE &&
        !is_over(l) && !stop_sleep_us(AGAIN_US))
        log_debug("comparing the server's files: %s", err_text());
    pthread_mutex_lock(&l->lock);
    l->rc = rc;
    l->why = why;
    if (rc < 0)
        l->err = err_take();
    l->ended = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

struct later *
later_start(const struct db_conf *source, const struct segment_state *state,
    const struct gtid_pos *newest)
{
    struct later *l = xcalloc(1, sizeof *l);
    int n;

    l->source = *source;
    l->state.source_file = xstrdup(state->source_file);
    l->state.source_pos = state->source_pos;
    gtid_pos_copy(&l->state.gtid, &state->gtid);
    gtid_pos_copy(&l->newest, newest);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->wake, NULL);
    if ((n = pthread_create(&l->thread, NULL, later_main, l)) != 0) {
        err_set(ERR_FAILED, "cannot start a thread: %s", strerror(n));
        later_free(l);
        return NULL;
    }
    l->started = true;
    return l;
}

int
later_result(struct later *l, uint64_t wait_us, char **why)
{
    struct timespec until;
    int rc = LATER_OPEN, n = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    wait_us += (uint64_t)until.tv_nsec / 1000;
    until.tv_sec += (time_t)(wait_us / 1000000);
    until.tv_nsec = (long)(wait_us % 1000000) * 1000;
    pthread_mutex_lock(&l->lock);
    while (!l->ended && n != ETIMEDOUT)
        n = pthread_cond_timedwait(&l->wake, &l->lock, &until);
    if (l->ended) {
        rc = l->rc;
        *why = l->why;
        l->why = NULL;
        if (l->err != NULL)
            err_put(l->err);
        l->err = NULL;
    }
    pthread_mutex_unlock(&l->lock);
    return rc;
}

const struct gtid_pos *
later_since(const struct later *l)
{
    return &l->state.gtid;
}

void
later_free(struct later *l)
{
    if (l == NULL)
        return;
    if (l->started) {
        pthread_mutex_lock(&l->lock);
        l->over = true;
        if (l->db != NULL)
            db_interrupt(l->db);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    free(l->state.source_file);
    gtid_pos_free(&l->state.gtid);
    gtid_pos_free(&l->newest);
    free(l->why);
    err_saved_free(l->err);
    free(l);
}
