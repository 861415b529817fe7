/*
 * test_codec_faults.c -- the storage fails, or lies, at any moment: what is
 * being sealed or compressed ends with its error, and what is being opened
 * never ends as if it were whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#include "pitr/compress.h"
#include "pitr/inflate.h"
#include "pitr/mem.h"
#include "sealed_util.h"

/* --- a disk that gets full, a file that cannot be read further --- */

struct full {
    struct buf out;
    size_t room;
    bool no_flush, no_finish;
};

static int
full_write(void *impl, const void *p, size_t n)
{
    struct full *f = impl;

    if (n > f->room)
        return err_set(ERR_FAILED, "the disk is full");
    f->room -= n;
    buf_add(&f->out, p, n);
    return 0;
}

static int
full_flush(void *impl)
{
    struct full *f = impl;

    return f->no_flush ? err_set(ERR_FAILED, "the disk is full") : 0;
}

static int
full_finish(void *impl)
{
    struct full *f = impl;

    return f->no_finish ? err_set(ERR_FAILED, "the disk is full") : 0;
}

static void
full_free(void *impl)
{
    (void)impl; /* the test's */
}

static struct sink *
full_sink(struct full *f)
{
    static const struct sink_ops ops = {.write = full_write,
        .flush = full_flush,
        .finish = full_finish,
        .free = full_free};

    return sink_new(&ops, f);
}

struct torn {
    const uint8_t *p;
    size_t left;
};

static long
torn_read(void *impl, void *p, size_t n)
{
    struct torn *t = impl;
    size_t take = MIN(n, t->left);

    if (take == 0)
        return err_set(ERR_UNREACHABLE, "the disk does not answer");
    memcpy(p, t->p, take);
    t->p += take;
    t->left -= take;
    return (long)take;
}

/* n bytes can be read, what is behind them never. */
static struct source *
torn_source(const void *p, size_t n)
{
    static const struct source_ops ops = {.read = torn_read, .free = free};
    struct torn *t = xcalloc(1, sizeof *t);

    t->p = p;
    t->left = n;
    return source_new(&ops, t);
}

/* --- writing --- */

static struct seal_header
header_of(const struct world *w)
{
    struct seal_header h = {.kind = SEAL_SEGMENT};

    memcpy(h.repo_id, w->repo, sizeof h.repo_id);
    h.server = xstrdup("db1");
    h.name = xstrdup("x");
    return h;
}

/* Sealed, with zstd before it or not: 0 when all went well. */
static int
write_all(struct full *f, const struct world *w, bool packed)
{
    static uint8_t plain[300000];
    struct seal_header h = header_of(w);
    struct sink *s =
        seal_sink(full_sink(f), &h, w->signer, secret_key_public(w->key), 1);
    int rc = -1;

    seal_header_free(&h);
    pattern_fill(plain, sizeof plain, 7);
    if (s != NULL && packed)
        s = zstd_sink(s, 1);
    if (s != NULL && sink_write(s, plain, 1000) == 0 && sink_flush(s) == 0 &&
        sink_write(s, plain, sizeof plain) == 0 && sink_finish(s) == 0)
        rc = 0;
    sink_free(s);
    return rc;
}

static void
full_at(const struct world *w, struct full f, bool packed)
{
    err_clear();
    assert_int_equal(write_all(&f, w, packed), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_non_null(strstr(err_text(), "the disk is full"));
    buf_free(&f.out);
}

static void
test_full(void **state)
{
    struct world w;

    (void)state;
    world_make(&w);
    for (int packed = 0; packed < 2; packed++) {
        struct full f = {.room = SIZE_MAX};
        size_t whole;

        assert_int_equal(write_all(&f, &w, packed), 0);
        whole = f.out.len;
        buf_free(&f.out);
        for (size_t room = 0; room < whole; room += room < 2000 ? 37 : 20011)
            full_at(&w, (struct full){.room = room}, packed);
        full_at(&w, (struct full){.room = whole - 1}, packed);
        full_at(&w, (struct full){.room = SIZE_MAX, .no_flush = true}, packed);
        full_at(&w, (struct full){.room = SIZE_MAX, .no_finish = true}, packed);
    }
    world_free(&w);
}

/* --- reading --- */

static void
test_torn(void **state)
{
    struct world w;
    uint8_t plain[3000], piece[700];
    struct buf object = {0};

    (void)state;
    world_make(&w);
    pattern_fill(plain, sizeof plain, 5);
    object_make(&w, "x", plain, sizeof plain, 3, &object);
    for (size_t n = 0; n < object.len; n += 13) {
        const struct seal_expect want = world_expect(&w, "x");
        struct source *src = torn_source(object.data, n);
        struct seal_header h;
        struct seal_mark m;
        long got = -1;

        /* An object that cannot be read is not taken for one that ends. */
        assert_int_equal(seal_scan(src, &want, 0, false, &h, &m), -1);
        assert_int_equal(err_kind(), ERR_UNREACHABLE);
        source_free(src);
        err_clear();
        src = open_source(
            torn_source(object.data, n), &want, w.key, 0, NULL, NULL);
        while (src != NULL && (got = source_read(src, piece, sizeof piece)) > 0)
            continue;
        assert_int_equal(got, -1);
        assert_int_equal(err_kind(), ERR_UNREACHABLE);
        source_free(src);
        err_clear();
    }
    buf_free(&object);
    world_free(&w);
}

/* --- what servers compress --- */

static void
test_inflate(void **state)
{
    uint8_t plain[5000], packed[6000];
    uLongf n = sizeof packed;
    struct buf out = {0};

    (void)state;
    pattern_fill(plain, sizeof plain, 3);
    memset(plain, 'x', sizeof plain / 2);
    assert_int_equal(compress(packed, &n, plain, sizeof plain), Z_OK);
    buf_str(&out, "before");
    assert_int_equal(inflate_bytes(packed, n, sizeof plain, &out), 0);
    assert_int_equal(out.len, 6 + sizeof plain);
    assert_memory_equal(out.data + 6, plain, sizeof plain);
    /* Another size than was told, a piece of it, something else. */
    buf_reset(&out);
    assert_int_equal(inflate_bytes(packed, n, sizeof plain - 1, &out), -1);
    assert_int_equal(inflate_bytes(packed, n, sizeof plain + 1, &out), -1);
    assert_int_equal(inflate_bytes(packed, n - 1, sizeof plain, &out), -1);
    assert_int_equal(inflate_bytes(plain, 100, 100, &out), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    /* A few bytes that say they are a gigabyte: no memory is taken for that. */
    assert_int_equal(inflate_bytes(packed, n, (size_t)1 << 30, &out), -1);
    assert_true(out.cap < (size_t)1 << 20);
    assert_int_equal(out.len, 0);
    buf_free(&out);
    /* Nothing at all, into no memory. */
    assert_int_equal(inflate_bytes(packed, 0, 0, &out), -1);
    buf_free(&out);
    err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_inflate),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
