/*
 * sftp_ahead.c -- the beginnings and ends of many objects at once.
 *
 * Who looks at a thousand headers and final marks one after the other waits for
 * six round trips each.  Here a batch of files is opened in one, and read in
 * another.  What comes is kept until the thread's next batch, and given to
 * readers that start there; it is trusted as little as what they read
 * themselves.  What fails here is found again by who reads.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "sftp.h"

/* Of a larger object; together they are what repo_peek() asks for. */
#define HEAD_BYTES ((uint64_t)8192)
#define TAIL_BYTES ((uint64_t)3 * SFTP_CHUNK)
#define READS 4

struct ahead_file {
    char *name;
    uint64_t size;
    struct vault_handle handle;
    bool open;
    struct vault_req *ask[READS];
    size_t asked;
    struct {
        uint64_t from;
        struct buf data;
    } part[READS];
    size_t parts;
};

struct vault_ahead {
    struct vault_ahead *next;
    pthread_t owner; /* each thread has its own batch */
    struct ahead_file *v;
    size_t n;
};

/* What was asked for is not wanted any more. */
static void
give_up(struct ahead_file *f)
{
    for (size_t i = 0; i < f->asked; i++)
        vault_drop(f->ask[i]);
    f->asked = 0;
}

static void
file_clear(struct ahead_file *f)
{
    give_up(f);
    for (size_t i = 0; i < f->parts; i++)
        buf_free(&f->part[i].data);
    free(f->name);
}

static void
ahead_free(struct vault_ahead *a)
{
    for (size_t i = 0; i < a->n; i++)
        file_clear(&a->v[i]);
    free(a->v);
    free(a);
}

/* The batch of this thread, or of all. */
static void
forget(struct vault *s, bool all)
{
    struct vault_ahead **at, *a;

    pthread_mutex_lock(&s->lock);
    for (at = &s->ahead; (a = *at) != NULL;) {
        if (!all && !pthread_equal(a->owner, pthread_self())) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        ahead_free(a);
    }
    pthread_mutex_unlock(&s->lock);
}

void
vault_ahead_forget(struct vault *s)
{
    forget(s, true);
}

static int
send_open(struct vault_conn *c, struct ahead_file *f)
{
    char *path = vault_path(c->store, f->name);
    struct buf b = {0};

    vault_begin(&b, SFTP_REQ_OPEN);
    vault_put_str(&b, path);
    vault_put_u32(&b, SFTP_FOR_READING);
    vault_put_u32(&b, 0);
    f->ask[0] = vault_send(c, &b);
    f->asked = f->ask[0] != NULL;
    buf_free(&b);
    free(path);
    return f->asked == 1 ? 0 : -1;
}

static int
receive_open(struct vault_conn *c, struct ahead_file *f)
{
    struct vault_req *r = f->ask[0];

    if (f->asked == 0)
        return 0;
    if (vault_wait(c, r) < 0)
        return -1;
    f->open = r->type == SFTP_HANDLE && vault_take_handle(r, &f->handle);
    vault_drop(r);
    f->asked = 0;
    return 0;
}

static int
send_read(struct vault_conn *c, struct ahead_file *f, uint64_t from, size_t n)
{
    struct vault_req *r = vault_send_read(c, &f->handle, from, (uint32_t)n);

    if (r == NULL)
        return -1;
    f->ask[f->asked++] = r;
    return 0;
}

static int
send_reads(struct vault_conn *c, struct ahead_file *f)
{
    bool whole = f->size <= HEAD_BYTES + TAIL_BYTES;
    uint64_t at = whole ? 0 : f->size - TAIL_BYTES;
    int rc = 0;

    if (!f->open)
        return 0;
    if (!whole)
        rc = send_read(c, f, 0, HEAD_BYTES);
    while (rc == 0 && at < f->size && f->asked < READS) {
        size_t n = (size_t)MIN(f->size - at, (uint64_t)SFTP_CHUNK);

        rc = send_read(c, f, at, n);
        at += n;
    }
    return rc;
}

static int
receive_reads(struct vault_conn *c, struct ahead_file *f)
{
    for (size_t i = 0; i < f->asked; i++) {
        struct vault_req *r = f->ask[i];
        const uint8_t *p;
        size_t n;

        if (vault_wait(c, r) < 0)
            return -1;
        if (r->type != SFTP_DATA || (p = vault_take_data(r, &n)) == NULL)
            continue;
        f->part[f->parts].from = r->offset;
        buf_add(&f->part[f->parts++].data, p, n);
    }
    if (f->open)
        vault_close_later(c, &f->handle);
    f->open = false;
    give_up(f);
    return 0;
}

/* Only what is one plain file: of others the readers know.  Size 0: none. */
static int
find_sizes(struct vault_conn *c, struct vault_ahead *a)
{
    const char **name = xcalloc(a->n, sizeof *name);
    int rc;

    for (size_t i = 0; i < a->n; i++)
        name[i] = a->v[i].name;
    rc = vault_know_folders(c, name, a->n);
    free(name);

    for (size_t i = 0; i < a->n && rc == 0; i++) {
        struct vault_lookup l = {.name = a->v[i].name};

        rc = vault_lookup(c, &l);
        if (rc == 0 && l.found.n == 1 && l.found.v[0].plain)
            a->v[i].size = l.found.v[0].size;
        extents_free(&l.found);
    }
    return rc;
}

static int
fetch(struct vault_conn *c, struct vault_ahead *a)
{
    int rc = find_sizes(c, a);

    for (size_t i = 0; i < a->n && rc == 0; i++)
        if (a->v[i].size > 0)
            rc = send_open(c, &a->v[i]);
    for (size_t i = 0; i < a->n && rc == 0; i++)
        rc = receive_open(c, &a->v[i]);
    for (size_t i = 0; i < a->n && rc == 0; i++)
        rc = send_reads(c, &a->v[i]);
    for (size_t i = 0; i < a->n && rc == 0; i++)
        rc = receive_reads(c, &a->v[i]);
    return rc;
}

static int
by_file_name(const void *a, const void *b)
{
    const struct ahead_file *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static struct vault_ahead *
ahead_new(const char *const *name, size_t n)
{
    struct vault_ahead *a = xcalloc(1, sizeof *a);

    a->v = xcalloc(n + 1, sizeof *a->v);
    for (a->n = 0; a->n < n; a->n++)
        a->v[a->n].name = xstrdup(name[a->n]);
    if (n > 1)
        qsort(a->v, n, sizeof *a->v, by_file_name);
    return a;
}

void
vault_prefetch(void *impl, const char *const *name, size_t n)
{
    struct vault *s = impl;
    struct vault_ahead *a = ahead_new(name, n);
    struct vault_conn *c = vault_acquire(s);

    forget(s, false);
    if (vault_enter(c, NULL) == 0) {
        if (fetch(c, a) < 0)
            for (size_t i = 0; i < a->n; i++)
                give_up(&a->v[i]);
        vault_leave(c);
    }
    vault_release(c);
    if (err_kind() != ERR_NONE) {
        log_debug("%s", err_text());
        err_clear();
    }
    a->owner = pthread_self();
    pthread_mutex_lock(&s->lock);
    a->next = s->ahead;
    s->ahead = a;
    pthread_mutex_unlock(&s->lock);
}

static size_t
read_part(const struct vault_ahead *a, const char *name, uint64_t at, void *p,
    size_t n)
{
    struct ahead_file key = {.name = (char *)name}, *f;

    f = a->n == 0 ? NULL : bsearch(&key, a->v, a->n, sizeof key, by_file_name);
    for (size_t i = 0; f != NULL && i < f->parts; i++) {
        const struct buf *b = &f->part[i].data;
        uint64_t from = f->part[i].from;

        if (at < from || at - from >= b->len)
            continue;
        n = MIN(n, b->len - (size_t)(at - from));
        memcpy(p, b->data + (at - from), n);
        return n;
    }
    return 0;
}

size_t
vault_ahead_read(
    struct vault *s, const char *name, uint64_t at, void *p, size_t n)
{
    const struct vault_ahead *a;
    size_t got = 0;

    pthread_mutex_lock(&s->lock);
    for (a = s->ahead; a != NULL && got == 0; a = a->next)
        got = read_part(a, name, at, p, n);
    pthread_mutex_unlock(&s->lock);
    return got;
}
