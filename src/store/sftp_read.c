/*
 * sftp_read.c -- reading an object of the vault: ahead, across its extents,
 * and on a new connection where one is lost.
 *
 * How far ahead grows with what is read, so that looking at a header does not
 * fetch megabytes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "sftp.h"

#define WINDOW_FIRST 2
#define WINDOW_MAX 64

struct reader {
    struct vault *s;
    struct vault_conn *c; /* NULL between connections */
    unsigned generation;
    char *name;
    uint64_t at; /* next byte to give out, in the object */
    struct vault_retry retry;

    struct extents files;
    struct pieces pieces;
    size_t piece; /* the open one */
    bool open, last;
    struct vault_handle handle;
    uint64_t next; /* next byte to ask for, in the object */
    uint64_t end;  /* of the piece; of the last one as far as is known */
    uint32_t chunk;

    struct vault_req *flight[WINDOW_MAX]; /* a ring */
    size_t head, count, window;

    struct vault_req *got; /* whose data is being given out */
    const uint8_t *data;
    size_t left;
};

/* Between enter and leave, or after the connection was lost. */
static void
drop_flight(struct reader *r)
{
    for (; r->count > 0; r->count--) {
        vault_drop(r->flight[r->head]);
        r->head = (r->head + 1) % WINDOW_MAX;
    }
    r->next = r->at;
}

static void
close_piece(struct reader *r, bool same)
{
    drop_flight(r);
    if (r->open && same)
        vault_close_later(r->c, &r->handle);
    r->open = false;
}

/* Give the connection back; the next read takes one. */
static void
let_go(struct reader *r)
{
    bool same;

    if (r->c == NULL)
        return;
    same = vault_enter_same(r->c, r->generation);
    close_piece(r, same);
    if (same)
        vault_leave(r->c);
    vault_release(r->c);
    r->c = NULL;
}

static int
look_up(struct reader *r, bool fresh)
{
    struct vault_lookup l = {.name = r->name, .fresh = fresh};

    if (vault_run(r->s, vault_lookup, &l) < 0)
        return -1;
    extents_free(&r->files);
    pieces_free(&r->pieces);
    r->files = l.found;
    extents_pieces(&r->files, &r->pieces);
    if (r->files.n == 0)
        return err_set(
            ERR_VERIFY, "%s: %s is missing", r->s->url.shown, r->name);
    return 0;
}

/* The piece that holds the byte at r->at; the last one where it is the end. */
static size_t
find_piece(const struct reader *r)
{
    size_t i = 0;

    while (i + 1 < r->pieces.n && r->pieces.v[i].end <= r->at)
        i++;
    return i;
}

/* What is to be opened: an object that is still empty has no pieces. */
static void
set_piece(struct reader *r, size_t i)
{
    const struct extent *end_file = &r->files.v[r->files.n - 1];

    if (r->pieces.n == 0) {
        r->pieces.v =
            xgrow(r->pieces.v, 0, &r->pieces.cap, sizeof(*r->pieces.v));
        r->pieces.v[r->pieces.n++] = (struct piece){
            .from = end_file->offset == 0 ? *end_file : r->files.v[0]};
    }
    r->piece = i;
    r->end = r->pieces.v[i].end;
    /* The newest file may be growing: its end is where it ends when read. */
    r->last =
        i + 1 == r->pieces.n && extent_same(&r->pieces.v[i].from, end_file);
    /* Our knowledge may be older than the one of who gave the offset. */
    if (r->last && r->end < r->at)
        r->end = r->at;
}

static int
open_piece(struct reader *r)
{
    char *file = extent_name(r->name, &r->pieces.v[r->piece].from);
    char *path = vault_path(r->s, file);
    int status = vault_open_file(r->c, path, SFTP_FOR_READING, &r->handle);

    if (status == SFTP_OK) {
        r->open = true;
        r->next = r->at;
    } else if (status == SFTP_NO_SUCH_FILE) {
        /* It was removed since its folder was looked at, which is no knowledge
         * any more: who asks now whether it is there is to be told. */
        vault_forget(r->s, r->name);
        err_set(ERR_VERIFY, "%s: %s is missing", r->s->url.shown, file);
    } else if (status > 0) {
        struct vault_req q = {.type = SFTP_STATUS, .status = (uint32_t)status};

        vault_fail(r->c, &q, "open", file);
    }
    free(path);
    free(file);
    return status == SFTP_OK ? 0 : -1;
}

static int
fill_window(struct reader *r)
{
    uint64_t limit = r->last ? r->end + r->chunk : r->end;
    uint64_t base = r->pieces.v[r->piece].from.offset;

    while (r->count < r->window && r->next < limit) {
        uint32_t n = (uint32_t)MIN(limit - r->next, (uint64_t)r->chunk);
        struct vault_req *q;

        /* At the known end, not across it: what is behind is a guess. */
        if (r->next < r->end && r->next + n > r->end)
            n = (uint32_t)(r->end - r->next);
        if ((q = vault_send_read(r->c, &r->handle, r->next - base, n)) == NULL)
            return -1;
        q->offset = r->next; /* of the object, not of its piece */
        r->flight[(r->head + r->count++) % WINDOW_MAX] = q;
        r->next += n;
    }
    return 0;
}

/* The reply to the oldest request: 1 with data, 0 at the end of the file. */
static int
take_reply(struct reader *r, struct vault_req *q)
{
    size_t n;

    if (q->type == SFTP_STATUS && q->status == SFTP_EOF) {
        vault_drop(q);
        drop_flight(r);
        return 0;
    }
    if (q->type != SFTP_DATA) {
        if (q->type == SFTP_STATUS && q->status != SFTP_OK)
            vault_fail(r->c, q, "read", r->name);
        else
            vault_lose(r->c, "the server's answer is of another kind");
        vault_drop(q);
        return -1;
    }
    if ((r->data = vault_take_data(q, &n)) == NULL) {
        vault_drop(q);
        return vault_lose(r->c, "the server's data is not what was asked for");
    }
    r->got = q;
    r->left = n;
    if (q->offset + n > r->end)
        r->end = q->offset + n; /* it has grown */
    if (n < q->asked) {
        /* At the end, or the server gives no more at once. */
        uint64_t give_out = r->at;

        if (q->offset + n < r->end)
            r->chunk = (uint32_t)n;
        r->at = q->offset + n;
        drop_flight(r);
        r->at = give_out;
    } else if (r->window < WINDOW_MAX) {
        r->window *= 2;
    }
    return 1;
}

/* Between enter and leave: 1 with data, 0 at the end, -1. */
static int
fetch(struct reader *r)
{
    for (;;) {
        struct vault_req *q;
        int rc;

        if (!r->open && open_piece(r) < 0)
            return -1;
        if (r->at >= r->end && !r->last) {
            if (r->piece + 1 >= r->pieces.n)
                return 0;
            close_piece(r, true);
            set_piece(r, r->piece + 1);
            continue;
        }
        if (fill_window(r) < 0)
            return -1;
        q = r->flight[r->head];
        if (vault_wait(r->c, q) < 0)
            return -1;
        r->head = (r->head + 1) % WINDOW_MAX;
        r->count--;
        if ((rc = take_reply(r, q)) != 0)
            return rc;
        if (r->at < r->end)
            return err_set(ERR_VERIFY,
                "%s: %s is shorter than it was: %" PRIu64
                " bytes, not %" PRIu64,
                r->s->url.shown, r->name, r->at, r->end);
        if (r->last)
            return 0;
    }
}

/* One attempt; *again where another may go better. */
static int
try_fetch(struct reader *r, bool *again)
{
    int rc;

    *again = true;
    if (r->c == NULL) {
        /* All anew: it may be another server's start that we are seeing. */
        if (look_up(r, r->retry.times > 0) < 0) {
            *again = false;
            return -1;
        }
        if (r->files.v[0].offset > 0)
            return 0; /* it has no beginning */
        r->c = vault_acquire(r->s);
        set_piece(r, find_piece(r));
        if (vault_enter(r->c, again) < 0) {
            vault_release(r->c);
            r->c = NULL;
            return -1;
        }
        r->generation = r->c->generation;
    } else if (!vault_enter_same(r->c, r->generation)) {
        return err_set(
            ERR_UNREACHABLE, "%s: the connection was lost", r->s->url.shown);
    }
    rc = fetch(r);
    *again = r->c->channel == NULL;
    vault_leave(r->c);
    return rc;
}

static long
reader_read(void *impl, void *p, size_t n)
{
    struct reader *r = impl;

    while (r->left == 0) {
        bool again;
        int rc;

        vault_drop(r->got);
        r->got = NULL;
        if (r->c == NULL && n > 0) {
            size_t got = vault_ahead_read(r->s, r->name, r->at, p, n);

            r->at += got;
            if (got > 0)
                return (long)got;
        }
        rc = try_fetch(r, &again);
        if (rc == 0)
            return 0;
        if (rc > 0) {
            r->retry = (struct vault_retry){0};
            break;
        }
        if (!again)
            return err_wrap("%s", r->name);
        let_go(r);
        if (!vault_retry(r->s, &r->retry))
            return err_wrap("%s, at byte %" PRIu64, r->name, r->at);
    }
    n = MIN(n, r->left);
    memcpy(p, r->data, n);
    r->data += n;
    r->left -= n;
    r->at += n;
    return (long)n;
}

static void
reader_free(void *impl)
{
    struct reader *r = impl;

    vault_drop(r->got);
    let_go(r);
    extents_free(&r->files);
    pieces_free(&r->pieces);
    free(r->name);
    free(r);
}

struct source *
vault_get(void *impl, const char *name, uint64_t offset)
{
    static const struct source_ops ops = {
        .read = reader_read, .free = reader_free};
    struct reader *r = xcalloc(1, sizeof(*r));

    r->s = impl;
    r->name = xstrdup(name);
    r->at = offset;
    r->chunk = (uint32_t)SFTP_CHUNK;
    r->window = WINDOW_FIRST;
    /* That it is there has to be known now; the rest waits for the first
     * read. */
    if (look_up(r, false) < 0) {
        reader_free(r);
        return NULL;
    }
    return source_new(&ops, r);
}

int
vault_stat(void *impl, const char *name, uint64_t *size)
{
    struct vault_lookup l = {.name = name};
    struct pieces p;
    int there;

    if (vault_run(impl, vault_lookup, &l) < 0)
        return -1;
    extents_pieces(&l.found, &p);
    there = l.found.n > 0;
    *size = p.size;
    pieces_free(&p);
    extents_free(&l.found);
    return there;
}

struct written {
    struct vault_lookup look;
    uint64_t *us;
};

static int
ask_written(struct vault_conn *c, void *arg)
{
    struct written *w = arg;
    int rc = vault_lookup(c, &w->look);

    for (size_t i = 0; rc == 0 && i < w->look.found.n; i++) {
        char *file = extent_name(w->look.name, &w->look.found.v[i]);
        char *path = vault_path(c->store, file);
        struct vault_attrs a = {0};
        int status = vault_stat_file(c, path, false, &a);

        if (status < 0)
            rc = -1;
        else if (status == SFTP_OK && a.has_mtime)
            *w->us = MAX(*w->us, (uint64_t)a.mtime_s * 1000000);
        free(path);
        free(file);
    }
    return rc;
}

int
vault_written(void *impl, const char *name, uint64_t *us)
{
    struct written w = {.look.name = name, .us = us};
    int rc = vault_run(impl, ask_written, &w);

    if (rc == 0)
        rc = w.look.found.n > 0;
    extents_free(&w.look.found);
    return rc;
}
