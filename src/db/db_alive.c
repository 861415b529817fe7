/*
 * db_alive.c -- is the server there that does not answer?
 *
 * A statement may take hours, and so no time limit on an answer would be right.
 * But a server whose process was stopped, or that packets do not get to any
 * more, would be waited for without end.  So one thread looks after all
 * connections that wait.  Where nothing has come for a while it connects anew:
 * a server that answers that, be it with a refusal, lives, and the wait goes
 * on; one that answers nobody for as long as db_conf.patience_us is given up,
 * with all connections to it.
 *
 * A connection's own thread only counts what it does; the rest is under the
 * lock.  What ends a wait is a shutdown of the socket, through a copy of its
 * descriptor, as the library may close its own at any time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* F_DUPFD_CLOEXEC */
#endif
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "db_internal.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"

#define PATIENCE_US UINT64_C(120000000)
#define LEAVING_US UINT64_C(10000000) /* once a stop was asked */
#define TICK_MIN_US UINT64_C(20000)
#define TICK_MAX_US UINT64_C(5000000)
#define KNOCK_MAX_S 5 /* who closes the last connection waits for a knock */
#define KNOCKS 2      /* in vain, at least, before a server is given up */

/* A server, with what it takes to connect to it, as long as there are
 * connections to it. */
struct peer {
    struct peer *next;
    unsigned users;
    struct db_conf conf; /* owned */
    struct secret *password;
    uint64_t alive_us, knocked_us; /* monotonic; 0: never */
    unsigned in_vain;              /* knocks since it last answered */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct db *first;
    struct peer *peers;
    pthread_t thread;
    bool running;
    unsigned long round; /* of the thread; another one: it is to end */
} alive = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static char *
copy(const char *s)
{
    return s == NULL ? NULL : xstrdup(s);
}

static bool
equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static struct peer *
peer_get(const struct db_conf *conf)
{
    struct peer *p = alive.peers;

    while (p != NULL &&
        !(equal(p->conf.socket, conf->socket) &&
            equal(p->conf.host, conf->host) && p->conf.port == conf->port &&
            equal(p->conf.user, conf->user) &&
            p->conf.patience_us == conf->patience_us))
        p = p->next;
    if (p == NULL) {
        p = xcalloc(1, sizeof *p);
        p->conf = *conf;
        p->conf.host = copy(conf->host);
        p->conf.socket = copy(conf->socket);
        p->conf.user = copy(conf->user);
        p->conf.ssl_ca = copy(conf->ssl_ca);
        p->conf.ssl_cert = copy(conf->ssl_cert);
        p->conf.ssl_key = copy(conf->ssl_key);
        if (conf->password != NULL)
            p->password = secret_new(conf->password->p, conf->password->len);
        p->conf.password = p->password;
        p->next = alive.peers;
        alive.peers = p;
    }
    p->users++;
    return p;
}

static void
peer_put(struct peer *p)
{
    struct peer **at = &alive.peers;

    if (--p->users > 0)
        return;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    free((char *)p->conf.host);
    free((char *)p->conf.socket);
    free((char *)p->conf.user);
    free((char *)p->conf.ssl_ca);
    free((char *)p->conf.ssl_cert);
    free((char *)p->conf.ssl_key);
    secret_free(p->password);
    free(p);
}

static uint64_t
patience(const struct peer *p)
{
    uint64_t us = p->conf.patience_us != 0 ? p->conf.patience_us : PATIENCE_US;

    return stop_asked() ? MIN(us, LEAVING_US) : us;
}

/* How long a connection has waited without anything; 0: it does not. */
static uint64_t
silence(struct db *db, uint64_t now)
{
    unsigned heard = atomic_load_explicit(&db->heard, memory_order_relaxed);

    if (atomic_load_explicit(&db->waits, memory_order_relaxed) == 0 ||
        heard != db->seen || db->since_us == 0) {
        db->seen = heard;
        db->since_us = now;
    }
    return now - db->since_us;
}

/* The longest silence of a connection to it. */
static uint64_t
peer_silence(const struct peer *p, uint64_t now)
{
    uint64_t longest = 0;

    for (struct db *db = alive.first; db != NULL; db = db->next)
        if (db->peer == p && !atomic_load(&db->given_up))
            longest = MAX(longest, silence(db, now));
    return longest;
}

static void
give_up(const struct peer *p, uint64_t silent_us)
{
    for (struct db *db = alive.first; db != NULL; db = db->next) {
        if (db->peer != p)
            continue;
        db->silent_us = silent_us;
        atomic_store(&db->given_up, true);
        shutdown(db->fd, SHUT_RDWR);
    }
}

/* Knocks without the lock; the caller has it before and after. */
static void
knock(struct peer *p, uint64_t limit)
{
    unsigned seconds =
        (unsigned)MIN(limit / 4000000 + 1, (uint64_t)KNOCK_MAX_S);
    bool answers;

    p->users++;
    pthread_mutex_unlock(&alive.lock);
    answers = db_answers(&p->conf, seconds);
    pthread_mutex_lock(&alive.lock);
    p->knocked_us = time_mono_us();
    p->in_vain = answers ? 0 : p->in_vain + 1;
    if (answers)
        p->alive_us = p->knocked_us;
    peer_put(p);
}

/* A quarter of the time in silence, then the first knock; after one that was
 * answered as long again, after one in vain half of that. */
static bool
knock_is_due(const struct peer *p, uint64_t quiet, uint64_t limit, uint64_t now)
{
    if (quiet < limit / 4 || now - p->alive_us < limit / 4)
        return false;
    return p->knocked_us == 0 || now - p->knocked_us >= limit / 8;
}

/* One look at a server.  True where the list may be another one since. */
static bool
look(struct peer *p)
{
    uint64_t now = time_mono_us(), limit = patience(p);
    uint64_t quiet = peer_silence(p, now);

    if (quiet < limit / 4)
        p->in_vain = 0;
    if (knock_is_due(p, quiet, limit, now)) {
        knock(p, limit);
        return true;
    }
    if (quiet >= limit && now - p->alive_us >= limit && p->in_vain >= KNOCKS)
        give_up(p, quiet);
    return false;
}

static uint64_t
tick_us(void)
{
    uint64_t us = TICK_MAX_US;

    for (const struct peer *p = alive.peers; p != NULL; p = p->next)
        us = MIN(us, patience(p) / 16);
    return MAX(us, TICK_MIN_US);
}

static void *
watch(void *arg)
{
    unsigned long round = (unsigned long)(uintptr_t)arg;
    struct timespec until;
    uint64_t us;

    pthread_mutex_lock(&alive.lock);
    while (alive.round == round) {
        for (struct peer *p = alive.peers; p != NULL; p = p->next)
            if (look(p))
                break;
        clock_gettime(CLOCK_REALTIME, &until);
        us = tick_us() + (uint64_t)until.tv_nsec / 1000;
        until.tv_sec += (time_t)(us / 1000000);
        until.tv_nsec = (long)(us % 1000000) * 1000;
        if (alive.round == round)
            pthread_cond_timedwait(&alive.wake, &alive.lock, &until);
    }
    pthread_mutex_unlock(&alive.lock);
    return NULL;
}

/* A process that was forked off has no such thread. */
static void
fork_prepare(void)
{
    pthread_mutex_lock(&alive.lock);
}

static void
fork_parent(void)
{
    pthread_mutex_unlock(&alive.lock);
}

static void
fork_child(void)
{
    alive.running = false;
    alive.round++;
    pthread_mutex_unlock(&alive.lock);
}

static void
fork_handlers(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* Signals are for the other threads. */
static void
watch_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sigset_t all, was;

    pthread_once(&once, fork_handlers);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    alive.running = pthread_create(&alive.thread, NULL, watch,
                        (void *)(uintptr_t)alive.round) == 0;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
}

int
db_alive_watch(struct db *db, const struct db_conf *conf)
{
    db->fd = fcntl(mysql_get_socket(db->mysql), F_DUPFD_CLOEXEC, 3);
    if (db->fd < 0)
        return err_sys(ERR_FAILED, "%s (%s): cannot watch the connection",
            db->role, db->where);
    if (conf->read_timeout_s != 0) /* has a limit of its own */
        return 0;
    pthread_mutex_lock(&alive.lock);
    db->peer = peer_get(conf);
    db->next = alive.first;
    alive.first = db;
    if (!alive.running)
        watch_start();
    pthread_mutex_unlock(&alive.lock);
    return 0;
}

void
db_alive_forget(struct db *db)
{
    struct db **at = &alive.first;
    pthread_t thread;
    bool last;

    if (db->peer != NULL) {
        pthread_mutex_lock(&alive.lock);
        while (*at != db)
            at = &(*at)->next;
        *at = db->next;
        peer_put(db->peer);
        db->peer = NULL;
        last = alive.first == NULL && alive.running;
        thread = alive.thread;
        if (last) {
            alive.running = false;
            alive.round++;
            pthread_cond_broadcast(&alive.wake);
        }
        pthread_mutex_unlock(&alive.lock);
        if (last)
            pthread_join(thread, NULL);
    }
    if (db->fd >= 0)
        close(db->fd);
    db->fd = -1;
}

bool
db_alive_fail(const struct db *db)
{
    char span[TIME_TEXT];

    if (!atomic_load(&db->given_up))
        return false;
    err_set(ERR_UNREACHABLE,
        "%s (%s): the server has not answered for %s, and takes no new "
        "connection either",
        db->role, db->where, time_span(db->silent_us, span));
    err_hint("is its process stopped (T in ps), its disk stuck, the network "
             "cut?  answer_timeout in the configuration is how long this is "
             "waited for");
    return true;
}

void
db_interrupt(struct db *db)
{
    if (db->fd >= 0)
        shutdown(db->fd, SHUT_RDWR);
}
