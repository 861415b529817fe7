/*
 * sftp_pool.c -- who uses which connection to the vault, when it is made anew,
 * and what keeps an idle one alive.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "sftp.h"

/* Idle for so long, a connection is tried before it is relied on: the network
 * in between may have forgotten it. */
#define IDLE_US (UINT64_C(20) * 1000000)
#define KEEPER_S 5
#define BACKOFF_US UINT64_C(200000)
#define BACKOFF_MAX_US (UINT64_C(10) * 1000000)

struct vault_conn *
vault_acquire(struct vault *s)
{
    struct vault_conn *best = &s->conn[0];

    pthread_mutex_lock(&s->lock);
    for (unsigned i = 1; i < s->conf.connections; i++)
        if (s->conn[i].users < best->users)
            best = &s->conn[i];
    best->users++;
    pthread_mutex_unlock(&s->lock);
    return best;
}

void
vault_release(struct vault_conn *c)
{
    pthread_mutex_lock(&c->store->lock);
    c->users--;
    pthread_mutex_unlock(&c->store->lock);
}

/* In the order of arrival: a thread that keeps the connection busy would
 * otherwise never let another have it. */
static void
take_turn(struct vault_conn *c)
{
    unsigned long ticket;

    pthread_mutex_lock(&c->mutex);
    ticket = c->next_ticket++;
    while (c->serving != ticket)
        pthread_cond_wait(&c->turn, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

static bool
take_if_free(struct vault_conn *c)
{
    bool is_free;

    pthread_mutex_lock(&c->mutex);
    is_free = c->serving == c->next_ticket;
    if (is_free)
        c->next_ticket++;
    pthread_mutex_unlock(&c->mutex);
    return is_free;
}

void
vault_leave(struct vault_conn *c)
{
    pthread_mutex_lock(&c->mutex);
    c->serving++;
    pthread_cond_broadcast(&c->turn);
    pthread_mutex_unlock(&c->mutex);
}

/* A whole round trip through the SFTP server, unlike a keepalive of SSH. */
static int
ping(struct vault_conn *c)
{
    struct buf b = {0};
    struct vault_req *r;

    vault_begin(&b, SFTP_REQ_REALPATH);
    vault_put_str(&b, ".");
    r = vault_ask(c, &b, SFTP_NAME);
    buf_free(&b);
    vault_drop(r);
    return r == NULL ? -1 : 0;
}

int
vault_enter(struct vault_conn *c, bool *again)
{
    bool unused;

    if (again == NULL)
        again = &unused;
    *again = true;
    take_turn(c);
    if (c->channel != NULL && time_mono_us() - c->heard_us > IDLE_US &&
        ping(c) < 0)
        err_clear();
    if (c->channel != NULL || vault_connect(c, again) == 0)
        return 0;
    vault_leave(c);
    return -1;
}

bool
vault_enter_same(struct vault_conn *c, unsigned generation)
{
    take_turn(c);
    if (c->channel != NULL && c->generation == generation)
        return true;
    vault_leave(c);
    return false;
}

bool
vault_retry(struct vault *s, struct vault_retry *r)
{
    uint64_t now = time_mono_us();
    uint64_t pause = BACKOFF_US << MIN(r->times, 10u);

    if (r->times == 0)
        r->since_us = now;
    /* The first time a new connection may be all it takes. */
    if (++r->times == 2)
        log_info("%s; trying again", err_text());
    else
        log_debug("%s; trying again", err_text());
    if (now - r->since_us >= s->conf.retry_us)
        return false;
    if (stop_sleep_us(MIN(pause, BACKOFF_MAX_US))) {
        stop_error();
        return false;
    }
    return true;
}

int
vault_run(
    struct vault *s, int (*op)(struct vault_conn *c, void *arg), void *arg)
{
    struct vault_retry retry = {0};

    for (;;) {
        struct vault_conn *c = vault_acquire(s);
        bool again;
        int rc = vault_enter(c, &again);

        if (rc == 0) {
            rc = op(c, arg);
            again = c->channel == NULL;
            vault_leave(c);
        }
        vault_release(c);
        if (rc >= 0 || !again || !vault_retry(s, &retry))
            return rc;
    }
}

static void
keep_one(struct vault_conn *c)
{
    if (!take_if_free(c))
        return;
    /* Without waiting first: libssh answers the server's own keepalives. */
    vault_poll(c);
    if (c->channel != NULL && time_mono_us() - c->heard_us > IDLE_US / 2)
        (void)ping(c);
    err_clear();
    vault_leave(c);
}

static void *
keeper(void *arg)
{
    struct vault *s = arg;
    struct timespec until;

    pthread_mutex_lock(&s->lock);
    while (!s->closing) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += KEEPER_S;
        while (!s->closing &&
            pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0)
            continue;
        if (s->closing)
            break;
        pthread_mutex_unlock(&s->lock);
        for (unsigned i = 0; i < s->conf.connections && !s->closing; i++)
            keep_one(&s->conn[i]);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void *
warm_one(void *arg)
{
    struct vault_conn *c = arg;

    if (take_if_free(c)) {
        if (c->channel == NULL && !c->store->closing)
            (void)vault_connect(c, &(bool){false});
        err_clear();
        vault_leave(c);
    }
    return NULL;
}

void
vault_warm(void *impl, unsigned connections)
{
    struct vault *s = impl;

    if (s->warming > 0)
        return;
    for (unsigned i = 1; i < MIN(connections, s->conf.connections); i++)
        if (pthread_create(&s->warm[s->warming], NULL, warm_one, &s->conn[i]) ==
            0)
            s->warming++;
}

int
vault_pool_start(struct vault *s)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    for (unsigned i = 0; i < SFTP_CONNS_MAX; i++) {
        struct vault_conn *c = &s->conn[i];

        c->store = s;
        c->last = &c->first;
        pthread_mutex_init(&c->mutex, NULL);
        pthread_cond_init(&c->turn, NULL);
    }
    if (pthread_create(&s->keeper, NULL, keeper, s) != 0)
        return err_set(ERR_FAILED, "cannot start a thread");
    s->keeper_runs = true;
    return 0;
}

void
vault_pool_stop(struct vault *s)
{
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->keeper_runs)
        pthread_join(s->keeper, NULL);
    for (; s->warming > 0; s->warming--)
        pthread_join(s->warm[s->warming - 1], NULL);
    for (unsigned i = 0; i < SFTP_CONNS_MAX; i++) {
        struct vault_conn *c = &s->conn[i];
        struct err_saved *before;

        if (c->channel != NULL) {
            before = err_take();
            vault_poll(c);
            vault_lose(c, "closed by us");
            err_clear();
            if (before != NULL)
                err_put(before);
        }
        buf_free(&c->in);
        pthread_mutex_destroy(&c->mutex);
        pthread_cond_destroy(&c->turn);
    }
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
}
