/*
 * sealed_util.c -- see sealed_util.h.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "pitr/mem.h"
#include "sealed_util.h"

void
world_make(struct world *w)
{
    w->signer = signing_key_new();
    w->key = secret_key_new();
    random_bytes(w->repo, sizeof(w->repo));
}

void
world_free(struct world *w)
{
    signing_key_free(w->signer);
    secret_key_free(w->key);
}

struct seal_expect
world_expect(const struct world *w, const char *name)
{
    struct seal_expect want = {
        .kind = SEAL_SEGMENT,
        .repo_id = w->repo,
        .server = "db1",
        .name = name,
        .signer = signing_key_public(w->signer),
    };

    return want;
}

struct sink *
world_sink(const struct world *w, const char *name, struct buf *out)
{
    struct seal_header h = {.kind = SEAL_SEGMENT};
    struct sink *s;

    memcpy(h.repo_id, w->repo, sizeof(h.repo_id));
    h.server = xstrdup("db1");
    h.name = xstrdup(name);
    buf_str(&h.meta, "header note");
    s = seal_sink(
        sink_to_buf(out), &h, w->signer, secret_key_public(w->key), 1);
    seal_header_free(&h);
    return s;
}

void
object_make(const struct world *w, const char *name, const uint8_t *plain,
    size_t n, unsigned pieces, struct buf *out)
{
    struct sink *s = world_sink(w, name, out);
    size_t at = 0;

    assert(s != NULL);
    for (unsigned i = 0; i < pieces; i++) {
        size_t take = i + 1 < pieces ? n / pieces : n - at;
        int rc = sink_write(s, plain + at, take);

        assert(rc == 0);
        at += take;
        rc = i + 1 < pieces ? sink_flush(s) : sink_finish(s);
        assert(rc == 0);
        (void)rc;
    }
    sink_free(s);
}

void
pattern_fill(uint8_t *p, size_t n, uint32_t seed)
{
    uint32_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (uint8_t)(x >> 11);
    }
}

struct dribble {
    const uint8_t *p;
    size_t left, step;
};

static long
dribble_read(void *impl, void *p, size_t n)
{
    struct dribble *d = impl;
    size_t take = MIN(MIN(n, d->step), d->left);

    memcpy(p, d->p, take);
    d->p += take;
    d->left -= take;
    return (long)take;
}

static const struct source_ops dribble_ops = {
    .read = dribble_read,
    .free = free,
};

struct source *
source_dribble(const void *p, size_t n, size_t step)
{
    struct dribble *d = xcalloc(1, sizeof(*d));

    d->p = p;
    d->left = n;
    d->step = step;
    return source_new(&dribble_ops, d);
}

size_t
records_find(const struct buf *object, struct record *out)
{
    struct cur c = cur_of(object->data, object->len);
    size_t n = 0, at = 0;

    while (at < object->len) {
        struct record *r = &out[n++];

        assert(n <= RECORDS_MAX);
        c = cur_of(object->data + at, object->len - at);
        if (at == 0) {
            cur_bytes(&c, 12);
            r->size = cur_u32(&c);
            r->type = 0;
        } else if ((r->type = cur_u8(&c)) == 1) {
            r->size = 5 + (size_t)cur_u32(&c);
        } else {
            cur_u8(&c);
            r->size = cur_u32(&c);
        }
        r->at = at;
        at += r->size;
    }
    assert(at == object->len);
    return n;
}

int
object_open(const void *p, size_t n, const struct seal_expect *want,
    const struct secret_key *key, uint64_t length, struct buf *out)
{
    struct source *src =
        open_source(source_of_memory(p, n), want, key, length, NULL, NULL);
    int rc = -1;

    if (src != NULL)
        rc = source_slurp(src, SIZE_MAX / 2, out);
    source_free(src);
    return rc;
}
