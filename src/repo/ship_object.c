/*
 * ship_object.c -- one object: where to go on with it, whether what is there is
 * the same, and its bytes.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "repo_file.h"
#include "ship_priv.h"

#define CHUNK ((size_t)256 * 1024)
/* With a limit, small enough that the pace is even. */
#define CHUNK_LIMITED ((size_t)32 * 1024)
/* Durable there after so much, so that a connection that is lost again and
 * again still gets further. */
#define FLUSH_BYTES (UINT64_C(64) << 20)
/* So much is compared at the start (the header: its keys are like no other's)
 * and at the end of what is there. */
#define COMPARE ((size_t)4096)

static int
read_local(struct ship_transfer *t, uint64_t offset, void *p, size_t n)
{
    uint8_t *to = p;

    while (n > 0) {
        ssize_t got = pread(t->fd, to, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(ERR_FAILED, "cannot read %s/%s",
                t->s->repo->local_path, t->item->name);
        if (got == 0)
            return err_set(ERR_VERIFY, "%s/%s became shorter",
                t->s->repo->local_path, t->item->name);
        to += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* Is the folder's entry of the object durable?  Else the vault would have one
 * that is not here after a power cut, and the next segment would get its
 * number. */
static int
sync_folder(const char *path)
{
    char *folder = file_folder(path);
    int rc = dir_sync(folder);

    free(folder);
    return rc;
}

/* 1; 0 where it is not here any more; -1. */
static int
open_local(struct ship_transfer *t)
{
    char *path = xasprintf("%s/%s", t->s->repo->local_path, t->item->name);
    int rc = 1;

    t->fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0)
        rc = errno == ENOENT
            ? 0
            : err_sys(ERR_FAILED, "cannot open %s to ship it", path);
    else if (sync_folder(path) < 0)
        rc = -1;
    free(path);
    return rc;
}

static int
size_local(struct ship_transfer *t, uint64_t *size)
{
    struct stat st;

    *size = 0;
    if (fstat(t->fd, &st) < 0)
        return err_sys(
            ERR_FAILED, "%s/%s", t->s->repo->local_path, t->item->name);
    if (!S_ISREG(st.st_mode))
        return err_set(ERR_VERIFY, "%s/%s is not a regular file",
            t->s->repo->local_path, t->item->name);
    *size = (uint64_t)st.st_size;
    return 0;
}

static int
other_bytes(struct ship_transfer *t, const char *why)
{
    err_set(ERR_VERIFY, "%s: %s stands there already %s",
        store_where(t->s->vault), t->item->name, why);
    return err_hint(
        "Nothing was written over. Either the vault's copy or the one in %s "
        "was changed, or the local repository was put back to an older state: "
        "\"pitr verify\" tells which of them is whole.",
        t->s->repo->local_path);
}

static int
compare(struct ship_transfer *t, uint64_t offset, size_t n)
{
    uint8_t *here = xmalloc(n), *there = xmalloc(n);
    struct source *src = store_get_from(t->s->vault, t->item->name, offset);
    int rc = -1;

    if (src == NULL || read_local(t, offset, here, n) < 0)
        goto out;
    if ((rc = source_read_full(src, there, n)) == 0)
        rc = err_set(ERR_FAILED, "%s: %s is shorter than it was",
            store_where(t->s->vault), t->item->name);
    if (rc > 0)
        rc = memcmp(here, there, n) == 0 ? 0
                                         : other_bytes(t, "with other bytes");

out:
    source_free(src);
    free(here);
    free(there);
    return rc;
}

/* Is what is there the beginning of what is here? */
static int
compare_ends(struct ship_transfer *t)
{
    size_t n = (size_t)MIN(t->at, (uint64_t)COMPARE);

    if (n == 0)
        return 0;
    if (compare(t, 0, n) < 0)
        return -1;
    return t->at <= COMPARE ? 0 : compare(t, t->at - n, n);
}

/*
 * The vault has more than is here.  Of an object that is closed here that
 * cannot be.  A segment that is not may have lost its end here, on a disk that
 * did not keep what it had promised: the vault's is left as it is, for the next
 * segment's link says how long it counts.
 */
static int
longer_there(struct ship_transfer *t)
{
    struct seal_header h;
    struct seal_mark m;
    int closed = 1;

    if (ship_is_segment(t->item->name)) {
        closed = repo_peek(t->s->repo, SEAL_SEGMENT, t->item->name, &h, &m);
        if (closed < 0) { /* torn within its header */
            err_clear();
            closed = 0;
        } else {
            seal_header_free(&h);
            if (closed == 1)
                seal_mark_free(&m);
        }
    }
    if (closed == 1)
        return other_bytes(t, "with more bytes than here");
    log_warn("%s: %s is longer there than here: the end of the local one was "
             "lost. It stays; the segment after it says what counts",
        store_where(t->s->vault), t->item->name);
    return 0;
}

int
ship_transfer_open(
    struct ship_transfer *t, struct ship *s, struct ship_item *item)
{
    uint64_t size;
    int rc;

    *t = (struct ship_transfer){.s = s,
        .item = item,
        .fd = -1,
        .urgent = ship_is_segment(item->name),
        .on_vault = item->on_vault,
        .at = item->there};
    if ((rc = open_local(t)) <= 0 || (rc = size_local(t, &size)) < 0)
        goto out;
    if (t->at > size)
        rc = longer_there(t);
    else
        rc = compare_ends(t) < 0 ? -1 : 1;

out:
    if (rc <= 0)
        ship_transfer_close(t, false);
    return rc;
}

void
ship_pace(struct ship *s, struct rate *r, size_t n, bool urgent)
{
    uint64_t now = time_mono_us();
    uint64_t until = now + rate_take(r, n, urgent, now);

    while (now < until && !ship_ending(s)) {
        ship_sleep(s, MIN(until - now, UINT64_C(200000)));
        now = time_mono_us();
    }
}

/* Somebody may wait for it. */
static void
is_durable(struct ship_transfer *t)
{
    const struct ship_conf *conf = t->s->conf;

    t->sure = true;
    if (conf->watch != NULL && ship_is_segment(t->item->name) &&
        !t->s->told.no_fsync)
        ship_watch_has(conf->watch, conf->watch_vault, t->item->name, t->at);
}

static int
open_sink(struct ship_transfer *t)
{
    if (t->sink != NULL)
        return 0;
    t->sink = t->on_vault
        ? store_append(t->s->vault, t->item->name, t->at)
        : store_put(t->s->vault, t->item->name, STORE_GROWING);
    if (t->sink == NULL)
        return -1;
    t->on_vault = true;
    return 0;
}

/* The line was lost after the last bytes had got there, but before the answer
 * that they are durable: going on with the object makes them so. */
static int
make_sure(struct ship_transfer *t)
{
    if (t->s->conf->watch == NULL || t->sure || t->at == 0 ||
        !ship_is_segment(t->item->name))
        return 0;
    if (open_sink(t) < 0)
        return -1;
    is_durable(t);
    return 0;
}

static int
send(struct ship_transfer *t, uint64_t size)
{
    size_t most = t->s->rate.rate > 0 ? CHUNK_LIMITED : CHUNK;
    uint8_t *data = xmalloc(most);
    uint64_t at = t->at;
    int rc = 0;

    while (rc == 0 && at < size && !ship_ending(t->s)) {
        size_t n = (size_t)MIN(size - at, (uint64_t)most);

        ship_pace(t->s, &t->s->rate, n, t->urgent);
        rc = read_local(t, at, data, n);
        if (rc == 0)
            rc = sink_write(t->sink, data, n);
        at += n;
    }
    free(data);
    if (rc == 0)
        rc = sink_flush(t->sink);
    if (rc == 0) {
        ship_got_on(t->s, at - t->at);
        t->at = at;
        pthread_mutex_lock(&t->s->lock);
        t->item->there = at;
        pthread_mutex_unlock(&t->s->lock);
        is_durable(t);
    }
    return rc;
}

int
ship_transfer_step(struct ship_transfer *t)
{
    uint64_t size;

    if (size_local(t, &size) < 0)
        return -1;
    if (size <= t->at)
        return make_sure(t);
    /* Here first: see ship.h. */
    if (fdatasync(t->fd) < 0)
        return err_sys(ERR_FAILED, "cannot sync %s/%s", t->s->repo->local_path,
            t->item->name);
    if (open_sink(t) < 0)
        return -1;
    while (t->at < size && !ship_ending(t->s))
        if (send(t, MIN(size, t->at + FLUSH_BYTES)) < 0)
            return -1;
    return 1;
}

int
ship_transfer_close(struct ship_transfer *t, bool finish)
{
    int rc = 0;

    if (t->sink != NULL && finish && (rc = sink_finish(t->sink)) == 0)
        ship_confirm_anew(t->s, t->item->name);
    sink_free(t->sink);
    if (t->fd >= 0)
        close(t->fd);
    t->sink = NULL;
    t->fd = -1;
    return rc;
}

/* --- the repository file --- */

static int
another(struct ship *s)
{
    err_set(ERR_NOREPO, "%s is the vault of another repository",
        store_where(s->vault));
    return err_hint("Each repository needs a folder of its own on the vault. "
                    "If this one was made anew with \"pitr init\", give it "
                    "another.");
}

int
ship_repository_file(struct ship *s, bool others_there)
{
    struct ship_item item = {.name = (char *)REPO_FILE};
    struct ship_transfer t;
    struct buf here = {0}, there = {0};
    struct source *src = store_get(s->repo->store, REPO_FILE);
    int rc = -1, is;

    if (src == NULL || source_slurp(src, REPO_FILE_MAX, &here) < 0)
        goto out;
    source_free(src);
    src = NULL;
    if ((is = store_stat(s->vault, REPO_FILE, &item.there)) < 0)
        goto out;
    item.on_vault = is == 1;
    if (is == 0 && others_there) {
        err_set(ERR_NOREPO,
            "%s holds objects, but no file \"" REPO_FILE "\" that says whose",
            store_where(s->vault));
        err_hint("Name a folder that is empty, or was made by this "
                 "repository.");
        goto out;
    }
    if (is == 0 && ship_memory_forget(s) < 0)
        goto out;
    if (is == 1 &&
        ((src = store_get(s->vault, REPO_FILE)) == NULL ||
            source_slurp(src, REPO_FILE_MAX, &there) < 0)) {
        if (err_kind() == ERR_VERIFY)
            another(s);
        goto out;
    }
    if (there.len > here.len ||
        (there.len > 0 && memcmp(there.data, here.data, there.len) != 0)) {
        another(s);
        goto out;
    }
    if (there.len == here.len) {
        rc = 0;
        goto out;
    }
    if ((rc = ship_transfer_open(&t, s, &item)) > 0) {
        rc = ship_transfer_step(&t);
        if (ship_transfer_close(&t, rc > 0) < 0)
            rc = -1;
    }
    rc = rc < 0 ? -1 : 0;

out:
    source_free(src);
    buf_free(&here);
    buf_free(&there);
    return rc;
}
