/*
 * io.c -- the calls of a chain of sinks or sources, and the two ends that are
 * in memory.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/io.h"
#include "pitr/mem.h"

struct sink {
    const struct sink_ops *ops;
    void *impl;
    bool dead; /* failed or finished: nothing may be published any more */
};

struct source {
    const struct source_ops *ops;
    void *impl;
    bool dead; /* failed */
};

struct sink *
sink_new(const struct sink_ops *ops, void *impl)
{
    struct sink *s = xcalloc(1, sizeof(*s));

    s->ops = ops;
    s->impl = impl;
    return s;
}

struct source *
source_new(const struct source_ops *ops, void *impl)
{
    struct source *s = xcalloc(1, sizeof(*s));

    s->ops = ops;
    s->impl = impl;
    return s;
}

void *
sink_impl(struct sink *s)
{
    return s->impl;
}

void *
source_impl(struct source *s)
{
    return s->impl;
}

/* The first failure's text is the one to report, where it is still there. */
static int
used_after_end(void)
{
    if (err_kind() != ERR_NONE)
        return -1;
    return err_set(ERR_FAILED, "stream used after it failed or was finished");
}

int
sink_write(struct sink *s, const void *p, size_t n)
{
    if (s->dead)
        return used_after_end();
    if (n == 0)
        return 0;
    if (s->ops->write(s->impl, p, n) < 0) {
        s->dead = true;
        return -1;
    }
    return 0;
}

int
sink_flush(struct sink *s)
{
    if (s->dead)
        return used_after_end();
    if (s->ops->flush == NULL)
        return err_set(ERR_FAILED, "stream cannot be flushed");
    if (s->ops->flush(s->impl) < 0) {
        s->dead = true;
        return -1;
    }
    return 0;
}

int
sink_finish(struct sink *s)
{
    if (s->dead)
        return used_after_end();
    s->dead = true;
    return s->ops->finish(s->impl) < 0 ? -1 : 0;
}

void
sink_free(struct sink *s)
{
    if (s == NULL)
        return;
    s->ops->free(s->impl);
    free(s);
}

long
source_read(struct source *s, void *p, size_t n)
{
    long got;

    if (s->dead)
        return used_after_end();
    if (n == 0)
        return 0;
    got = s->ops->read(s->impl, p, n);
    if (got < 0)
        s->dead = true;
    return got;
}

int
source_read_full(struct source *s, void *p, size_t n)
{
    size_t done = 0;
    long got;

    while (done < n) {
        if ((got = source_read(s, (char *)p + done, n - done)) < 0)
            return -1;
        if (got == 0 && done == 0)
            return 0;
        if (got == 0) {
            s->dead = true;
            return err_set(
                ERR_VERIFY, "cut short: %zu bytes where %zu belong", done, n);
        }
        done += (size_t)got;
    }
    return 1;
}

int
source_read_exact(struct source *s, void *p, size_t n, const char *what)
{
    int rc = source_read_full(s, p, n);

    if (rc == 0)
        err_set(ERR_VERIFY, "%s ends too early", what);
    return rc == 1 ? 0 : -1;
}

int
source_read_end(struct source *s, const char *what)
{
    uint8_t more;
    long n = source_read(s, &more, 1);

    if (n > 0)
        return err_set(ERR_VERIFY, "%s goes on after its end", what);
    return n < 0 ? -1 : 0;
}

int
source_slurp(struct source *s, size_t max, struct buf *out)
{
    size_t total = 0;
    long got;

    for (;;) {
        /* One byte more than max is asked for, to see that there is none. */
        size_t room = MIN(max - total, 65535) + 1;

        buf_reserve(out, room);
        if ((got = source_read(s, out->data + out->len, room)) < 0)
            return -1;
        if (got == 0)
            return 0;
        if ((size_t)got > max - total) {
            s->dead = true;
            return err_set(ERR_VERIFY, "more than %zu bytes", max);
        }
        out->len += (size_t)got;
        total += (size_t)got;
    }
}

void
source_free(struct source *s)
{
    if (s == NULL)
        return;
    s->ops->free(s->impl);
    free(s);
}

static long
memory_read(void *impl, void *p, size_t n)
{
    struct cur *c = impl;
    size_t take = MIN(n, cur_left(c));
    const uint8_t *from = cur_bytes(c, take);

    memcpy(p, from, take);
    return (long)take;
}

struct source *
source_of_memory(const void *p, size_t n)
{
    static const struct source_ops ops = {.read = memory_read, .free = free};
    struct cur c = cur_of(p, n);

    return source_new(&ops, xmemdup(&c, sizeof(c)));
}

static int
to_buf_write(void *impl, const void *p, size_t n)
{
    buf_add(impl, p, n);
    return 0;
}

static int
to_buf_done(void *impl)
{
    (void)impl;
    return 0;
}

static void
to_buf_free(void *impl)
{
    (void)impl; /* borrowed */
}

struct sink *
sink_to_buf(struct buf *out)
{
    static const struct sink_ops ops = {.write = to_buf_write,
        .flush = to_buf_done,
        .finish = to_buf_done,
        .free = to_buf_free};

    return sink_new(&ops, out);
}
