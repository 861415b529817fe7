/*
 * feed.c -- the feed's thread: its start, its loop, its end.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "feed.h"
#include "pitr/digest.h"
#include "pitr/log.h"
#include "pitr/mem.h"

#define PASSWORD_CHARS 43 /* 6 bits each */

static char *
password_new(void)
{
    static const char set[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._";
    char *p = xmalloc(PASSWORD_CHARS + 1);

    random_bytes(p, PASSWORD_CHARS);
    for (int i = 0; i < PASSWORD_CHARS; i++)
        p[i] = set[(uint8_t)p[i] % 64];
    p[PASSWORD_CHARS] = '\0';
    return p;
}

/* Commands of the target until it wants the dump. */
static int
feed_serve(struct feed *f)
{
    struct cur packet;
    int rc;

    for (;;) {
        struct feed_answers answers = {.server_id = f->server_id,
            .checksum = f->checksum,
            .version = f->version};
        enum feed_command what;

        rc = feed_packet_take(&f->conn, FEED_COMMAND_MAX, &packet);
        if (rc < 0)
            return FEED_LOST;
        if (rc == 0) {
            if ((rc = (int)feed_wait(f, false, 1000)) != FEED_GO)
                return rc;
            continue;
        }
        what = feed_command(&f->conn, packet, &answers, &f->session);
        if (what == FEED_QUIT)
            return FEED_LOST;
        if (what == FEED_DUMP)
            return feed_dump(f);
        if ((rc = (int)feed_flush(f)) != FEED_GO)
            return rc;
    }
}

static void
conn_drop(struct feed *f)
{
    feed_conn_free(&f->conn);
    feed_session_free(&f->session);
    f->conn = f->next;
    feed_conn_init(&f->next, -1);
}

/* Tell the target why, as far as that is possible; but first who watches it,
 * or he would see a target that stopped, and not for what reason. */
static void
feed_fail(struct feed *f)
{
    char *text = xstrdup(err_text());

    f->err = err_take();
    atomic_store(&f->failed, true);
    if (f->conn.fd >= 0) {
        feed_packet_error(&f->conn, 1236, "HY000", text);
        feed_conn_write(&f->conn);
    }
    free(text);
}

static void *
feed_main(void *arg)
{
    struct feed *f = arg;
    int rc = FEED_GO;

    while (rc >= 0 && rc != FEED_STOP && !atomic_load(&f->stop)) {
        if (f->conn.fd < 0) {
            rc = (int)feed_wait(f, false, 1000);
            if (f->conn.fd < 0 && f->next.fd >= 0)
                conn_drop(f);
            if (rc == FEED_LOST)
                rc = FEED_GO;
            continue;
        }
        rc = feed_serve(f);
        if (rc == FEED_LOST) {
            log_debug("replay: the target's connection ended");
            conn_drop(f);
        }
    }
    if (rc < 0)
        feed_fail(f);
    db_close(f->db);
    f->db = NULL;
    return NULL;
}

struct feed *
feed_start(const struct replay_conf *conf, uint32_t target_id,
    const struct feed_fold *fold, const struct feed_kept *kept)
{
    struct feed *f = xcalloc(1, sizeof(*f));
    const struct segment_start *first =
        &conf->catalog->segment[conf->plan->first_segment].start;

    f->conf = conf;
    f->listen_fd = f->wake_fd = -1;
    feed_conn_init(&f->conn, -1);
    feed_conn_init(&f->next, -1);
    for (int i = 0; i < FEED_PENDING; i++)
        feed_conn_init(&f->pending[i].c, -1);
    f->target_id = target_id;
    if (fold != NULL)
        f->fold = *fold;
    if (kept != NULL)
        f->kept = *kept;
    f->fold.off_at = f->fold.batch.off_at = UINT64_MAX;
    if (scope_active(conf->scope)) {
        f->part.scope = conf->scope;
        f->fold.on = false;
    }
    f->server_id = first->server_id;
    f->version = xasprintf("5.5.5-%s", first->server_version);
    f->password = password_new();
    f->source = feed_source_new(conf);
    f->checksum = true;
    atomic_store(&f->limit, conf->ahead_bytes);
    f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->wake_fd < 0) {
        err_sys(ERR_FAILED, "eventfd");
        goto fail;
    }
    if (feed_listen(f) < 0)
        goto fail;
    errno = pthread_create(&f->thread, NULL, feed_main, f);
    if (errno != 0) {
        err_sys(ERR_FAILED, "thread of the replay");
        goto fail;
    }
    f->started = true;
    return f;

fail:
    feed_free(f);
    return NULL;
}

static void
feed_wake(struct feed *f)
{
    uint64_t one = 1;
    /* Full means that it is awake already. */
    ssize_t n = write(f->wake_fd, &one, sizeof(one));

    (void)n;
}

void
feed_allow(struct feed *f, uint64_t limit)
{
    uint64_t before = atomic_exchange(&f->limit, limit);

    if (before < limit)
        feed_wake(f);
}

int
feed_stop(struct feed *f)
{
    struct err_saved *err;

    if (f->started) {
        atomic_store(&f->stop, true);
        feed_wake(f);
        pthread_join(f->thread, NULL);
        f->started = false;
    }
    err = f->err;
    f->err = NULL;
    return err == NULL ? 0 : err_put(err);
}

void
feed_free(struct feed *f)
{
    if (f == NULL)
        return;
    if (f->started) {
        atomic_store(&f->stop, true);
        feed_wake(f);
        pthread_join(f->thread, NULL);
    }
    err_saved_free(f->err);
    for (int i = 0; i < FEED_PENDING; i++)
        feed_conn_free(&f->pending[i].c);
    feed_conn_free(&f->conn);
    feed_conn_free(&f->next);
    feed_session_free(&f->session);
    if (f->listen_fd >= 0)
        close(f->listen_fd);
    if (f->wake_fd >= 0)
        close(f->wake_fd);
    feed_source_free(f->source);
    buf_free(&f->format);
    feed_fold_free(&f->fold);
    feed_scope_free(&f->part);
    feed_kept_free(&f->kept);
    buf_free(&f->changed);
    gtid_pos_free(&f->final);
    if (f->password != NULL)
        secret_wipe(f->password, PASSWORD_CHARS);
    free(f->password);
    free(f->version);
    free(f);
}
