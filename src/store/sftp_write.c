/*
 * sftp_write.c -- writing an object of the vault, and going on with one.
 *
 * Many WRITE requests are in flight, so that the pace is set by the line and
 * not by its latency; what the server says to them is looked at as it comes,
 * at the latest by the next flush.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "sftp.h"

#define TRIES 3

struct writer {
    struct vault *s;
    struct vault_conn *c;
    unsigned generation; /* of the connection that the handle belongs to */
    char *name, *path;   /* of the object; of the file */
    struct vault_handle handle;
    bool open, failed, has_fsync;
    uint64_t offset; /* in the file, of the next request */
    struct buf data; /* not sent yet */
    struct buf packet;
    struct vault_req *flight[SFTP_FLIGHT]; /* a ring */
    size_t head, count;
};

static int
lock_same(struct writer *w)
{
    if (w->open && vault_enter_same(w->c, w->generation))
        return 0;
    w->failed = true;
    return err_set(ERR_UNREACHABLE,
        "%s: the connection was lost while %s was being written",
        w->s->url.shown, w->name);
}

static int
write_failed(struct writer *w, const struct vault_req *r, const char *verb)
{
    char room[160];

    vault_fail(w->c, r, verb, w->name);
    if (r->status == SFTP_FAILURE || r->status == SFTP_NO_SPACE ||
        r->status == SFTP_QUOTA) {
        struct err_saved *e = err_take();

        vault_full(w->c, w->s->base, room);
        err_put(e);
        err_hint("%s", room);
    }
    return -1;
}

/* The oldest answer; with wait false only where it is there already. */
static int
reap_one(struct writer *w, bool wait, bool *took)
{
    struct vault_req *r = w->flight[w->head];
    int rc = 0;

    *took = false;
    if (!r->done && !wait)
        return 0;
    if (vault_wait(w->c, r) < 0)
        rc = err_wrap("%s", w->name);
    else if (r->type != SFTP_STATUS || r->status != SFTP_OK)
        rc = write_failed(w, r, "write");
    vault_drop(r);
    w->head = (w->head + 1) % SFTP_FLIGHT;
    w->count--;
    *took = true;
    return rc;
}

static int
reap(struct writer *w, size_t leave)
{
    bool took = true;
    int rc = 0;

    while (rc == 0 && w->count > leave)
        rc = reap_one(w, true, &took);
    while (rc == 0 && took && w->count > 0)
        rc = reap_one(w, false, &took);
    return rc;
}

static int
send_data(struct writer *w)
{
    struct vault_req *r;

    if (w->data.len == 0)
        return 0;
    if (reap(w, SFTP_FLIGHT - 1) < 0)
        return -1;
    vault_begin(&w->packet, SFTP_REQ_WRITE);
    vault_put_bytes(&w->packet, w->handle.v, w->handle.n);
    vault_put_u64(&w->packet, w->offset);
    vault_put_bytes(&w->packet, w->data.data, w->data.len);
    if ((r = vault_send(w->c, &w->packet)) == NULL)
        return err_wrap("%s", w->name);
    w->flight[(w->head + w->count++) % SFTP_FLIGHT] = r;
    w->offset += w->data.len;
    buf_reset(&w->data);
    return 0;
}

static int
writer_write(void *impl, const void *p, size_t n)
{
    struct writer *w = impl;
    const uint8_t *at = p;
    int rc = 0;

    if (w->data.len + n < SFTP_CHUNK) {
        buf_add(&w->data, p, n);
        return 0;
    }
    if (lock_same(w) < 0)
        return -1;
    vault_poll(w->c);
    while (rc == 0 && n > 0) {
        size_t part = MIN(n, SFTP_CHUNK - w->data.len);

        buf_add(&w->data, at, part);
        at += part;
        n -= part;
        if (w->data.len == SFTP_CHUNK)
            rc = send_data(w);
    }
    w->failed |= rc < 0;
    vault_leave(w->c);
    return rc;
}

/* Behind the data, without waiting for it: the server takes one request after
 * the other. */
static int
sync_file(struct writer *w)
{
    struct vault_req *r;
    int rc;

    if (!w->has_fsync) {
        if (!atomic_exchange(&w->s->warned_fsync, true))
            log_warn("%s: its server has no fsync@openssh.com; what is "
                     "written there is not certain to survive a power cut",
                w->s->url.shown);
        return reap(w, 0);
    }
    if ((r = vault_send_fsync(w->c, &w->handle)) == NULL)
        return err_wrap("%s", w->name);
    rc = reap(w, 0);
    if (rc == 0 && (rc = vault_wait(w->c, r)) < 0)
        err_wrap("%s", w->name);
    if (rc == 0 && (r->type != SFTP_STATUS || r->status != SFTP_OK))
        rc = write_failed(w, r, "sync");
    vault_drop(r);
    return rc;
}

static int
writer_flush(void *impl)
{
    struct writer *w = impl;
    int rc;

    if (lock_same(w) < 0)
        return -1;
    rc = send_data(w);
    if (rc == 0)
        rc = sync_file(w);
    w->failed |= rc < 0;
    vault_leave(w->c);
    vault_forget(w->s, w->name);
    return rc;
}

static int
close_file(struct writer *w)
{
    struct vault_req *r;
    int rc = 0;

    if (lock_same(w) < 0)
        return -1;
    vault_begin(&w->packet, SFTP_REQ_CLOSE);
    vault_put_bytes(&w->packet, w->handle.v, w->handle.n);
    w->open = false;
    if ((r = vault_ask(w->c, &w->packet, SFTP_STATUS)) == NULL)
        rc = err_wrap("%s", w->name);
    else if (r->status != SFTP_OK)
        rc = write_failed(w, r, "close");
    vault_drop(r);
    vault_leave(w->c);
    return rc;
}

static int
writer_finish(void *impl)
{
    struct writer *w = impl;
    int rc = writer_flush(w);

    if (rc == 0) {
        /* Synced, it is safe; a server that writes only at the close says
         * here what went wrong. */
        rc = w->has_fsync ? 0 : close_file(w);
    }
    vault_forget(w->s, w->name);
    return rc;
}

static void
writer_free(void *impl)
{
    struct writer *w = impl;
    bool same = false;

    /* Even after a failure as much as can be: growing objects keep what was
     * written, and less has to be sent again. */
    if (w->open && (same = vault_enter_same(w->c, w->generation))) {
        struct err_saved *before = err_take();

        if (!w->failed)
            (void)send_data(w);
        if (w->c->channel != NULL)
            vault_close_later(w->c, &w->handle);
        err_clear();
        if (before != NULL)
            err_put(before);
    }
    /* Where the connection was lost, they are all answered. */
    for (; w->count > 0; w->count--) {
        vault_drop(w->flight[w->head]);
        w->head = (w->head + 1) % SFTP_FLIGHT;
    }
    if (same)
        vault_leave(w->c);
    vault_release(w->c);
    vault_forget(w->s, w->name);
    buf_free(&w->data);
    buf_free(&w->packet);
    free(w->name);
    free(w->path);
    free(w);
}

/* --- opening --- */

/* All folders of the path at once; what fails shows when the file is opened.
 * The status of the last one: where it is there already, a failure. */
static int
make_folders(struct vault_conn *c, const char *name)
{
    struct vault_req *r = NULL;
    struct buf b = {0};
    const char *p = name;
    int rc = 0;

    while ((p = strchr(p, '/')) != NULL && rc == 0) {
        char *folder = xstrndup(name, (size_t)(p - name));
        char *path = vault_path(c->store, folder);

        vault_begin(&b, SFTP_REQ_MKDIR);
        vault_put_str(&b, path);
        vault_put_u32(&b, 0x04);
        vault_put_u32(&b, 0700);
        vault_drop(r);
        if ((r = vault_send(c, &b)) == NULL)
            rc = -1;
        free(path);
        free(folder);
        p++;
    }
    if (rc == 0 && r != NULL && (rc = vault_wait(c, r)) == 0)
        rc = r->type == SFTP_STATUS ? (int)r->status : SFTP_FAILURE;
    vault_drop(r);
    buf_free(&b);
    return rc;
}

static int
create_failed(struct writer *w, int status)
{
    struct vault_req r = {.type = SFTP_STATUS, .status = (uint32_t)status};
    struct vault_attrs a;
    char room[160];

    if (status == SFTP_EXISTS ||
        vault_stat_file(w->c, w->path, false, &a) == SFTP_OK)
        return err_set(
            ERR_FAILED, "%s: %s exists already", w->s->url.shown, w->name);
    if (w->c->channel == NULL)
        return -1;
    vault_fail(w->c, &r, "create", w->name);
    if (status == SFTP_FAILURE) {
        struct err_saved *e = err_take();

        vault_full(w->c, w->s->base, room);
        err_put(e);
        err_hint("%s", room);
    }
    return -1;
}

static int
create(struct vault_conn *c, struct writer *w)
{
    int status = vault_open_file(c, w->path, SFTP_NEW_FOR_WRITING, &w->handle);

    if (status == SFTP_NO_SUCH_FILE) {
        int made = make_folders(c, w->name);

        if (made < 0)
            return -1;
        status = vault_open_file(c, w->path, SFTP_NEW_FOR_WRITING, &w->handle);
        if (status == SFTP_NO_SUCH_FILE && made != SFTP_OK)
            status = made; /* what tells more */
    }
    if (status < 0)
        return -1;
    if (status != SFTP_OK)
        return create_failed(w, status);
    w->open = true;
    w->generation = c->generation;
    w->has_fsync = c->has_fsync;
    return 0;
}

bool
vault_in_the_past(struct vault *s)
{
    if (s->conf.as_of_us == 0)
        return false;
    err_set(
        ERR_FAILED, "%s: opened as of a moment, it is only read", s->url.shown);
    return true;
}

/* *lost: the connection was, and whether the file was made is not known. */
static struct sink *
writer_new(
    struct vault *s, const char *name, const struct extent *e, bool *lost)
{
    static const struct sink_ops ops = {.write = writer_write,
        .flush = writer_flush,
        .finish = writer_finish,
        .free = writer_free};
    struct writer *w = xcalloc(1, sizeof(*w));
    char *file = extent_name(name, e);
    int rc;

    w->s = s;
    w->name = xstrdup(name);
    w->path = vault_path(s, file);
    free(file);
    w->c = vault_acquire(s);
    *lost = false;
    if ((rc = vault_enter(w->c, NULL)) == 0) {
        rc = create(w->c, w);
        *lost = rc < 0 && w->c->channel == NULL;
        vault_leave(w->c);
    }
    if (rc < 0) {
        w->failed = true;
        writer_free(w);
        return NULL;
    }
    vault_forget(s, name);
    return sink_new(&ops, w);
}

/* --- going on --- */

struct sync_job {
    const char *name;
    const struct extents *files;
};

/* What a lost connection left may not be on the vault's disk yet.  Each file
 * was synced when the next was begun, so that the last ones will do. */
static int
sync_last(struct vault_conn *c, void *arg)
{
    struct sync_job *job = arg;
    size_t n = job->files->n, first = n > 2 ? n - 2 : 0;
    int rc = 0;

    for (size_t i = first; i < n && rc == 0 && c->has_fsync; i++) {
        char *file = extent_name(job->name, &job->files->v[i]);
        char *path = vault_path(c->store, file);
        struct vault_handle h;
        struct vault_req *r = NULL;
        int status = vault_open_file(c, path, SFTP_FOR_READING, &h);

        if (status == SFTP_OK) {
            if ((r = vault_send_fsync(c, &h)) == NULL || vault_wait(c, r) < 0)
                rc = -1;
            else if (r->status != SFTP_OK)
                rc = vault_fail(c, r, "sync", file);
            if (c->channel != NULL)
                vault_close_later(c, &h);
            vault_drop(r);
        } else {
            rc = status < 0
                ? -1
                : err_set(ERR_FAILED, "%s: cannot open %s to sync it",
                      c->store->url.shown, file);
        }
        free(path);
        free(file);
    }
    return rc;
}

/* One attempt to go on at offset. */
static struct sink *
try_append(struct vault *s, const char *name, uint64_t offset, bool *lost)
{
    struct vault_lookup have = {.name = name, .fresh = true};
    struct sync_job job = {.name = name, .files = &have.found};
    struct pieces p = {0};
    struct extent e;
    struct sink *sink = NULL;

    *lost = false;
    if (vault_run(s, vault_lookup, &have) < 0)
        goto out;
    extents_pieces(&have.found, &p);
    if (offset > p.size) {
        err_set(ERR_FAILED,
            "%s: %s ends at byte %" PRIu64 ", and cannot be gone on with at "
            "%" PRIu64,
            s->url.shown, name, p.size, offset);
        goto out;
    }
    if (extents_next(&have.found, offset, &e) < 0) {
        err_wrap("%s: %s", s->url.shown, name);
        goto out;
    }
    if (offset > 0 && vault_run(s, sync_last, &job) < 0)
        goto out;
    sink = writer_new(s, name, &e, lost);

out:
    pieces_free(&p);
    extents_free(&have.found);
    return sink;
}

/* A connection may have been lost unnoticed: that is no reason to fail before
 * anything was written.  An attempt more leaves at most an empty file. */
struct sink *
vault_append(void *impl, const char *name, uint64_t offset)
{
    struct sink *sink = NULL;
    bool lost = true;

    if (vault_in_the_past(impl))
        return NULL;
    for (int i = 0; sink == NULL && lost && i < TRIES; i++)
        sink = try_append(impl, name, offset, &lost);
    return sink;
}

struct sink *
vault_put(void *impl, const char *name, enum store_put how)
{
    struct extent plain = {.plain = true};
    uint64_t size = 0;
    struct sink *sink;
    bool lost;

    (void)how; /* the sealed object has a mark of its own at its end */
    if (vault_in_the_past(impl))
        return NULL;
    sink = writer_new(impl, name, &plain, &lost);
    if (sink != NULL || !lost)
        return sink;
    /* An empty one, if there is one now, is what we were making. */
    if (vault_stat(impl, name, &size) < 0)
        return NULL;
    if (size > 0) {
        err_set(ERR_FAILED, "%s: %s exists already",
            ((struct vault *)impl)->url.shown, name);
        return NULL;
    }
    return vault_append(impl, name, 0);
}
