/*
 * ship.c -- a vault brought up to date, over lost connections and faults.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "ship_priv.h"

#define SECOND_US UINT64_C(1000000)
#define JOBS 3
#define POLL_US UINT64_C(200000)
#define PAUSE_US UINT64_C(500000)
#define PAUSE_MAX_US (60 * SECOND_US)
/* So many times longer where the vault answers and refuses: each attempt to go
 * on with an object on a full disk may leave an empty extent, and their number
 * is limited. */
#define REFUSED_TIMES 10
/* With `once`: attempts in a row of which none got further. */
#define ONCE_TRIES 3

void
ship_got_on(struct ship *s, uint64_t bytes)
{
    char span[TIME_TEXT];

    pthread_mutex_lock(&s->lock);
    s->report.bytes += bytes;
    s->tries = 0;
    if (s->outage)
        log_info("%s: shipping goes on, after %s", store_where(s->vault),
            time_span(time_mono_us() - s->outage_us, span));
    s->outage = false;
    pthread_mutex_unlock(&s->lock);
}

/* Does trying again make sense? */
static bool
may_mend(const struct ship *s)
{
    enum err_kind kind = err_kind();

    if (s->conf->once)
        return kind == ERR_UNREACHABLE && s->worked && s->tries < ONCE_TRIES;
    if (kind == ERR_VERIFY || kind == ERR_USAGE)
        return false;
    /* A disk that is not mounted there looks like another vault. */
    return kind != ERR_NOREPO || s->worked;
}

static void
warn_once(struct ship *s)
{
    const char *hint = err_hint_text();

    ship_tell_error(s);
    if (s->outage) {
        log_debug("%s", err_text());
        return;
    }
    /* A line that breaks now and then is none, if it is up again at once. */
    if (err_kind() == ERR_UNREACHABLE && s->worked && s->tries == 0) {
        s->report.lost++;
        log_info("%s; connecting again", err_text());
        return;
    }
    s->outage = true;
    s->outage_us = time_mono_us();
    s->report.outages++;
    /* With `once` it is over or mended in a moment. */
    if (s->conf->once)
        log_info("%s; trying again", err_text());
    else
        log_warn("%s; it is tried again%s%s", err_text(),
            hint[0] == '\0' ? "" : ". ", hint);
}

static int
sessions(struct ship *s)
{
    uint64_t most;

    for (;;) {
        int rc = ship_session(s);

        atomic_store(&s->ended, false);
        if (ship_ending(s)) {
            err_clear();
            return s->conf->once ? stop_error() : 0;
        }
        if (rc == 0 || !may_mend(s))
            return rc;
        most = s->conf->retry_us != 0 ? s->conf->retry_us : PAUSE_MAX_US;
        if (err_kind() != ERR_UNREACHABLE)
            most *= REFUSED_TIMES;
        warn_once(s);
        err_clear();
        ship_sleep(s, MIN(most, PAUSE_US << MIN(s->tries, 11u)));
        s->tries++;
    }
}

static struct lock *
take_lock(struct ship *s)
{
    char *what = ship_state_name(s->conf->vault);
    struct lock *l = repo_lock(s->repo, what);

    if (l == NULL)
        err_wrap("%s", s->conf->vault);
    free(what);
    return l;
}

static void
init(struct ship *s)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    rate_init(&s->rate, s->conf->rate);
    rate_init(&s->rate_back, s->conf->rate);
}

/* All else has been shipped; each has been warned of. */
static int
unlike(struct ship *s)
{
    err_set(ERR_VERIFY, "%s: %zu object%s there with other bytes: %s%s",
        s->conf->vault, s->n_unlike, s->n_unlike == 1 ? " is" : "s are",
        s->unlike[0].name, s->n_unlike == 1 ? "" : ", ...");
    return err_hint("Nothing was written over, and the local copies stay. "
                    "\"pitr verify\" tells which side is whole; what is "
                    "damaged on the vault its root can move away, and it is "
                    "shipped again.");
}

int
ship_run(const struct ship_conf *conf, struct ship_report *out)
{
    struct ship s = {.conf = conf,
        .jobs = conf->jobs != 0 ? conf->jobs : JOBS,
        .poll_us = conf->poll_us != 0 ? conf->poll_us : POLL_US};
    struct lock *lock = NULL;
    int rc = -1;

    init(&s);
    s.memory_path = ship_file_path(conf->repository, "shipped", conf->vault);
    if ((s.repo = repo_open(conf->repository, conf->server, NULL)) == NULL)
        goto out;
    if (s.repo->local_path == NULL) {
        err_set(ERR_USAGE, "%s: only a local repository is shipped",
            conf->repository);
        goto out;
    }
    if ((lock = take_lock(&s)) == NULL || ship_memory_load(&s) < 0)
        goto out;
    s.confirmed = confirmed_load(s.repo, conf->vault);
    ship_tell_begin(&s);
    rc = sessions(&s);
    if (rc == 0 && conf->once && s.n_unlike > 0)
        rc = unlike(&s);
    if (rc < 0)
        ship_tell_error(&s);
    s.told.connected = false;
    ship_tell(&s, true);

out:
    lock_free(lock);
    confirmed_free(s.confirmed);
    for (size_t i = 0; i < s.n_unlike; i++)
        free(s.unlike[i].name);
    free(s.unlike);
    free(s.told.error);
    free(s.told.unlike_name);
    ship_table_free(&s.table);
    repo_close(s.repo);
    rate_free(&s.rate);
    rate_free(&s.rate_back);
    pthread_cond_destroy(&s.changed);
    pthread_mutex_destroy(&s.lock);
    free(s.memory_path);
    *out = s.report;
    return rc;
}
