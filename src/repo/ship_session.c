/*
 * ship_session.c -- one connection to a vault: the workers, and what is due.
 *
 * Worker 0 ships the log: one segment after the other, the newest as it grows,
 * through a sink that stays open.  The last one reads back what is complete
 * (ship_confirm.c), the others ship objects of backups.  The caller's thread
 * looks at what there is here.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "ship_priv.h"

/* Looking at the repository takes at most the 50th part of a processor's time;
 * but the next segment of the log never waits for long to be seen. */
#define LOOK_SHARE 50
#define LOOK_MOST_US (UINT64_C(5) * 1000000)
#define SILENCE_US (UINT64_C(30) * 1000000)

bool
ship_ending(struct ship *s)
{
    return atomic_load(&s->ended) || stop_asked() ||
        (s->conf->stop != NULL && atomic_load(s->conf->stop));
}

void
ship_wait(struct ship *s)
{
    uint64_t us = s->poll_us;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(us % 1000000) * 1000;
    until.tv_sec += (time_t)(us / 1000000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&s->changed, &s->lock, &until);
}

void
ship_sleep(struct ship *s, uint64_t us)
{
    uint64_t now = time_mono_us(), end = now + us;

    while (now < end && !ship_ending(s)) {
        stop_sleep_us(MIN(end - now, s->poll_us));
        now = time_mono_us();
    }
}

static void
set_state(struct ship *s, struct ship_item *item, enum ship_state state)
{
    pthread_mutex_lock(&s->lock);
    item->state = state;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static int
done(struct ship *s, struct ship_item *item, bool sent)
{
    char *id;
    int rc = 0;

    if (ship_is_manifest(item->name)) {
        id = ship_backup_id(item->name);
        rc = ship_memory_add(s, id);
        if (sent)
            log_info("backup %s is on %s", id, store_where(s->vault));
        free(id);
    }
    pthread_mutex_lock(&s->lock);
    s->report.objects += sent;
    s->report.backups += sent && ship_is_manifest(item->name);
    item->state = SHIP_DONE;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* --- the log --- */

/* All of the log is there, and of backups too? */
static void
up_to_date(struct ship *s)
{
    bool busy;

    ship_tell_log(s, time_now_us());
    pthread_mutex_lock(&s->lock);
    busy = ship_table_busy(&s->table);
    pthread_mutex_unlock(&s->lock);
    if (!busy)
        ship_got_on(s, 0);
}

/* Until the segment has grown, or another has begun. */
static void
wait_for_more(struct ship_transfer *t)
{
    struct ship *s = t->s;
    bool last = true;

    if (ship_ending(s))
        return;
    if (s->conf->watch != NULL &&
        ship_watch_wait(s->conf->watch, t->item->name, t->at, s->poll_us) !=
            SHIP_WATCH_NEXT)
        return;
    /* With a watch: until look_here() has found the other. */
    pthread_mutex_lock(&s->lock);
    ship_table_segment(&s->table, &last);
    if (last && !ship_ending(s))
        ship_wait(s);
    pthread_mutex_unlock(&s->lock);
}

static int
follow(struct ship_transfer *t, bool last, bool *sent)
{
    struct ship *s = t->s;
    uint64_t begun_us = time_now_us();
    int rc = ship_transfer_step(t);

    if (rc < 0)
        return -1;
    if (last && !ship_ending(s))
        ship_tell_log(s, begun_us);
    *sent |= rc > 0;
    if (rc == 0 && last)
        up_to_date(s);
    if ((last && !s->conf->once) || ship_ending(s)) {
        wait_for_more(t);
        return 0;
    }
    if (ship_transfer_close(t, true) < 0)
        return -1;
    return done(s, t->item, *sent);
}

static int
ship_log(struct ship *s)
{
    struct ship_transfer t = {.fd = -1};
    bool sent = false;
    int rc = 0;

    while (rc >= 0 && !ship_ending(s)) {
        struct ship_item *item;
        bool last;

        pthread_mutex_lock(&s->lock);
        if ((item = ship_table_segment(&s->table, &last)) != NULL)
            item->state = SHIP_ACTIVE;
        else if (!s->conf->once)
            ship_wait(s);
        pthread_mutex_unlock(&s->lock);
        if (item == NULL && s->conf->once)
            break;
        if (item == NULL) {
            up_to_date(s);
            continue;
        }
        if (t.fd < 0) {
            sent = false;
            if ((rc = ship_transfer_open(&t, s, item)) == 0)
                set_state(s, item, SHIP_DONE);
        }
        if (rc > 0 || t.fd >= 0)
            rc = follow(&t, last, &sent);
    }
    ship_transfer_close(&t, false);
    return rc;
}

/* --- backups --- */

static int
ship_object(struct ship *s, struct ship_item *item)
{
    struct ship_transfer t;
    int sent, rc = ship_transfer_open(&t, s, item);

    if (rc <= 0) {
        if (rc == 0)
            set_state(s, item, SHIP_DONE);
        return rc;
    }
    sent = ship_transfer_step(&t);
    if (sent < 0 || ship_ending(s)) {
        ship_transfer_close(&t, false);
        return sent < 0 ? -1 : 0;
    }
    if (ship_transfer_close(&t, true) < 0)
        return -1;
    return done(s, item, sent > 0);
}

static int
ship_objects(struct ship *s)
{
    int rc = 0;

    while (rc >= 0 && !ship_ending(s)) {
        struct ship_item *item;
        bool busy;

        pthread_mutex_lock(&s->lock);
        busy = ship_table_busy(&s->table);
        if ((item = ship_table_object(&s->table)) != NULL)
            item->state = SHIP_ACTIVE;
        else if (busy || !s->conf->once)
            ship_wait(s);
        pthread_mutex_unlock(&s->lock);
        if (item == NULL && !busy && s->conf->once)
            break;
        if (item != NULL)
            rc = ship_object(s, item);
    }
    return rc;
}

static int
work(void *arg, unsigned index)
{
    struct ship *s = arg;
    int rc = index == 0        ? ship_log(s)
        : index == s->jobs + 1 ? ship_confirm(s)
                               : ship_objects(s);

    if (rc < 0)
        atomic_store(&s->ended, true);
    return rc;
}

/* --- the session --- */

static int
look_here(struct ship *s)
{
    struct store_list local;

    if (store_list(s->repo->store, "", false, &local) < 0)
        return -1;
    pthread_mutex_lock(&s->lock);
    ship_table_local(&s->table, &local);
    ship_confirm_here(s);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    store_list_free(&local);
    return 0;
}

static int
look_there(struct ship *s)
{
    struct store_list list;
    uint64_t bytes = 0;
    bool others = false;

    if (store_list(s->vault, "", false, &list) < 0)
        return -1;
    for (size_t i = 0; i < list.n; i++)
        bytes += list.v[i].size;
    /* A line that breaks often gets further by pieces of objects. */
    if (s->worked && bytes > s->bytes_there)
        s->tries = 0;
    s->bytes_there = bytes;
    for (size_t i = 0; i < list.n; i++)
        others |= strncmp(list.v[i].name, "backup/", 7) == 0 ||
            strncmp(list.v[i].name, "binlog/", 7) == 0;
    if (ship_repository_file(s, others) < 0) {
        store_list_free(&list);
        return -1;
    }
    ship_table_vault(&s->table, &list);
    return 0;
}

static void
say_behind(struct ship *s)
{
    uint64_t objects = 0, bytes = 0;
    char text[TIME_TEXT];

    for (size_t i = 0; i < s->table.n; i++) {
        const struct ship_item *it = s->table.v[i];

        if (it->state == SHIP_DONE || it->there >= it->local)
            continue;
        objects++;
        bytes += it->local - it->there;
    }
    log_info("%s: connected; %" PRIu64 " object%s, %s to ship",
        store_where(s->vault), objects, objects == 1 ? "" : "s",
        size_text(bytes, text));
}

/* Sleep; but a segment that somebody waits for is found at once. */
static void
look_later(struct ship *s, uint64_t us)
{
    uint64_t now = time_mono_us(), end = now + us;
    const char *newest = "";
    size_t n = s->table.n; /* only this thread changes it */

    if (s->conf->watch == NULL) {
        ship_sleep(s, us);
        return;
    }
    if (n > 0 && ship_is_segment(s->table.v[n - 1]->name))
        newest = s->table.v[n - 1]->name;
    while (now < end && !ship_ending(s)) {
        if (ship_watch_wait(s->conf->watch, newest, UINT64_MAX,
                MIN(end - now, s->poll_us)) == SHIP_WATCH_NEXT)
            return;
        now = time_mono_us();
    }
}

uint64_t
ship_look_pause(uint64_t poll_us, uint64_t took_us)
{
    if (took_us > LOOK_MOST_US / LOOK_SHARE)
        return MAX(poll_us, LOOK_MOST_US);
    return MAX(poll_us, took_us * LOOK_SHARE);
}

/* By this thread, of a processor: on a machine that has none to spare it takes
 * long to do little. */
static uint64_t
work_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int
run_workers(struct ship *s)
{
    struct pool *p = pool_start(2 + s->jobs, work, s);
    struct err_saved *e = NULL;
    int rc;

    if (p == NULL)
        return -1;
    while (!s->conf->once && !ship_ending(s)) {
        uint64_t begun = work_us();

        if (look_here(s) < 0) {
            e = err_take();
            atomic_store(&s->ended, true);
            break;
        }
        ship_tell(s, false);
        look_later(s, ship_look_pause(s->poll_us, work_us() - begun));
    }
    rc = pool_join(p);
    if (rc == 0 && e == NULL && s->conf->once && !ship_ending(s))
        ship_tell_log(s, time_now_us());
    return e == NULL ? rc : err_put(e);
}

int
ship_session(struct ship *s)
{
    struct store_sftp_conf ssh = {0};
    struct store_room room;
    int rc = -1;

    if (s->conf->ssh != NULL)
        ssh = *s->conf->ssh;
    if (ssh.connections == 0)
        ssh.connections = 1 + s->jobs;
    if (ssh.timeout_us == 0)
        ssh.timeout_us = SILENCE_US;
    ssh.retry_us = 1; /* ship_run() sees to that */
    atomic_store(&s->ended, false);
    if ((s->vault = store_open_sftp(s->conf->vault, &ssh)) == NULL)
        return -1;
    /* Twice, for manifests: see ship_table.c. */
    if (look_there(s) < 0 || look_here(s) < 0 || look_here(s) < 0)
        goto out;
    s->worked = true;
    confirmed_keep(s->confirmed, &s->table);
    ship_confirm_begin(s);
    ship_foreign(s);
    s->told.connected = true;
    if (store_room(s->vault, &room) == 0) {
        s->told.fsync_known = true;
        s->told.no_fsync = !room.syncs;
    }
    err_clear();
    if (!s->outage)
        say_behind(s);
    rc = run_workers(s);

out:
    s->told.connected = false;
    store_close(s->vault);
    s->vault = NULL;
    return rc;
}
