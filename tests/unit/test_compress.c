/*
 * test_compress.c -- zstd in a chain: round trips, flushes, damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zstd.h>
#include "pitr/compress.h"
#include "pitr/mem.h"
#include "sealed_util.h"

/* Half of it repeats, so that there is something to compress. */
static uint8_t *
bytes_make(size_t n)
{
    uint8_t *p = xmalloc(n + 1);

    pattern_fill(p, n, 3);
    for (size_t i = 100; i < n; i++)
        if (i / 64 % 2)
            p[i] = p[i - 100];
    return p;
}

static void
compress(const uint8_t *p, size_t n, int level, size_t chunk, struct buf *out)
{
    struct sink *s = zstd_sink(sink_to_buf(out), level);

    assert_non_null(s);
    for (size_t at = 0; at < n; at += chunk)
        assert_int_equal(sink_write(s, p + at, MIN(chunk, n - at)), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
}

/* Reads all in pieces of `step`.  0 or -1. */
static int
expand(const void *p, size_t n, enum unzstd how, size_t step, struct buf *out)
{
    struct source *src = unzstd_source(source_dribble(p, n, step), how);
    uint8_t piece[777];
    long got;

    assert_non_null(src);
    while ((got = source_read(src, piece, MIN(step, sizeof(piece)))) > 0)
        buf_add(out, piece, (size_t)got);
    source_free(src);
    return (int)got;
}

static void
test_round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 131072, 131073, 1500000};
    static const int levels[] = {1, 3, 19};

    (void)state;
    for (size_t i = 0; i < NELEM(sizes); i++) {
        uint8_t *p = bytes_make(sizes[i]);

        for (size_t k = 0; k < NELEM(levels); k++) {
            struct buf out = {0}, back = {0};

            compress(p, sizes[i], levels[k], k == 0 ? 999 : SIZE_MAX / 2, &out);
            if (sizes[i] > 1000)
                assert_true(out.len < sizes[i]);
            assert_int_equal(expand(out.data, out.len, UNZSTD_FRAME,
                                 k == 0 ? 777 : SIZE_MAX, &back),
                0);
            assert_int_equal(back.len, sizes[i]);
            if (back.len > 0)
                assert_memory_equal(back.data, p, back.len);
            buf_free(&out);
            buf_free(&back);
        }
        free(p);
    }
}

/* A window as large as the highest level uses; a larger one is refused, before
 * its memory is taken. */
static void
test_window(void **state)
{
    size_t n = (size_t)9 << 20;
    uint8_t *p = bytes_make(n);
    struct buf out = {0}, back = {0};
    ZSTD_CCtx *ctx = ZSTD_createCCtx();

    (void)state;
    compress(p, n, 19, SIZE_MAX / 2, &out);
    assert_int_equal(
        expand(out.data, out.len, UNZSTD_FRAME, SIZE_MAX, &back), 0);
    assert_int_equal(back.len, n);
    assert_memory_equal(back.data, p, n);

    buf_reset(&out);
    buf_reset(&back);
    buf_reserve(&out, ZSTD_compressBound(n));
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, 24);
    out.len = ZSTD_compress2(ctx, out.data, out.cap, p, n);
    assert_false(ZSTD_isError(out.len));
    assert_int_equal(
        expand(out.data, out.len, UNZSTD_FRAME, SIZE_MAX, &back), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    ZSTD_freeCCtx(ctx);
    buf_free(&out);
    buf_free(&back);
    free(p);
}

static void
test_flush(void **state)
{
    enum { N = 50 };
    uint8_t *p = bytes_make(N * 1000);
    struct buf out = {0};
    size_t ends[N];
    struct sink *s = zstd_sink(sink_to_buf(&out), 3);

    (void)state;
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(sink_write(s, p + i * 1000, 1000), 0);
        assert_int_equal(sink_flush(s), 0);
        if (i % 3 == 0) /* with nothing new */
            assert_int_equal(sink_flush(s), 0);
        ends[i] = out.len;
    }
    sink_free(s);
    for (size_t i = 0; i < N; i++) {
        struct buf back = {0};

        assert_int_equal(
            expand(out.data, ends[i], UNZSTD_GROWING, SIZE_MAX, &back), 0);
        assert_int_equal(back.len, (i + 1) * 1000);
        assert_memory_equal(back.data, p, back.len);
        buf_reset(&back);
        assert_int_equal(
            expand(out.data, ends[i], UNZSTD_FRAME, SIZE_MAX, &back), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        buf_free(&back);
    }
    buf_free(&out);
    free(p);
}

static void
test_damage(void **state)
{
    enum { N = 3000 };
    uint8_t *p = bytes_make(N);
    struct buf out = {0}, back = {0}, twice = {0};
    size_t refused = 0;

    (void)state;
    compress(p, N, 3, N, &out);
    for (size_t n = 0; n < out.len; n++) {
        buf_reset(&back);
        assert_int_equal(
            expand(out.data, n, UNZSTD_FRAME, SIZE_MAX, &back), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        /* Growing: what is there, which is a prefix. */
        buf_reset(&back);
        assert_int_equal(
            expand(out.data, n, UNZSTD_GROWING, SIZE_MAX, &back), 0);
        assert_true(back.len <= N);
        if (back.len > 0)
            assert_memory_equal(back.data, p, back.len);
    }
    for (size_t i = 0; i < out.len; i++) {
        out.data[i] ^= 0x10;
        buf_reset(&back);
        /* A few bits of zstd mean nothing; what is accepted is the same. */
        if (expand(out.data, out.len, UNZSTD_FRAME, SIZE_MAX, &back) == 0) {
            assert_int_equal(back.len, N);
            assert_memory_equal(back.data, p, N);
        } else {
            assert_int_equal(err_kind(), ERR_VERIFY);
            refused++;
        }
        out.data[i] ^= 0x10;
    }
    assert_true(refused > out.len - 10);
    buf_u8(&out, 0);
    buf_reset(&back);
    assert_int_equal(
        expand(out.data, out.len, UNZSTD_FRAME, SIZE_MAX, &back), -1);
    assert_int_equal(expand(out.data, out.len, UNZSTD_FRAME, 1, &back), -1);
    out.len--;
    /* A second frame is no more welcome than other bytes. */
    buf_add(&twice, out.data, out.len);
    buf_add(&twice, out.data, out.len);
    assert_int_equal(
        expand(twice.data, twice.len, UNZSTD_FRAME, SIZE_MAX, &back), -1);
    assert_int_equal(
        expand(twice.data, twice.len, UNZSTD_GROWING, SIZE_MAX, &back), -1);
    buf_free(&twice);
    buf_free(&out);
    buf_free(&back);
    free(p);
}

/* In the chain of a backup, the end of the compressed bytes is believed only
 * when the seal around them has been checked to its end. */
static void
test_over_seal(void **state)
{
    struct world w;
    struct seal_expect want;
    struct buf object = {0}, back = {0};
    struct source *src;
    struct sink *s;

    (void)state;
    world_make(&w);
    want = world_expect(&w, "x");
    s = zstd_sink(world_sink(&w, "x", &object), 3);
    assert_int_equal(sink_write(s, "hello", 5), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    for (int cut = 0; cut < 2; cut++) {
        src = unzstd_source(
            open_source(source_of_memory(object.data, object.len - cut), &want,
                w.key, 0, NULL, NULL),
            0);
        buf_reset(&back);
        assert_int_equal(source_slurp(src, 100, &back), cut ? -1 : 0);
        assert_int_equal(back.len, 5);
        source_free(src);
    }
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_null(zstd_sink(NULL, 3));
    assert_null(unzstd_source(NULL, UNZSTD_FRAME));
    assert_null(zstd_frames_sink(NULL, 1));
    assert_null(zstd_frames_sink(sink_to_buf(&back), 20));
    assert_null(zstd_sink(sink_to_buf(&back), 20));
    buf_free(&object);
    buf_free(&back);
    world_free(&w);
}

static uint32_t
chance(uint32_t *x)
{
    *x = *x * 1103515245u + 12345;
    return *x >> 8;
}

/* Digits: a hasty search finds what there is. */
static void
add_digits(struct buf *out, size_t n, uint32_t *x)
{
    for (size_t end = out->len + n; out->len < end;)
        buf_fmt(out, "%06u-", chance(x) % 1000000);
}

/* Lines of a log: what can be found is in the line before. */
static void
add_log(struct buf *out, size_t n, uint32_t *x)
{
    for (size_t end = out->len + n; out->len < end;)
        buf_fmt(out, "%u \"GET /item?id=%u HTTP/1.1\" 200 %u Mozilla/5.0\n",
            chance(x) % 256, chance(x) % 100000, chance(x));
}

/* Texts of some hundred bytes, each of which comes again much later. */
static void
add_texts(struct buf *out, size_t n, uint32_t *x)
{
    for (size_t end = out->len + n; out->len < end;) {
        uint32_t text = chance(x) % 1500;

        for (int i = 0; i < 60; i++)
            buf_fmt(out, "%x ", chance(&text) % 65536);
    }
}

/* Written in pieces as a part's are, and read back. */
static size_t
frames(const struct buf *b, int level, struct buf *out)
{
    struct sink *s = zstd_frames_sink(sink_to_buf(out), level);
    struct buf back = {0};

    for (size_t at = 0; at < b->len; at += 1000000)
        assert_int_equal(
            sink_write(s, b->data + at, MIN(b->len - at, 1000000)), 0);
    assert_int_equal(sink_flush(s), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    assert_int_equal(
        expand(out->data, out->len, UNZSTD_FRAMES, SIZE_MAX, &back), 0);
    assert_int_equal(back.len, b->len);
    assert_memory_equal(back.data, b->data, b->len);
    buf_free(&back);
    return out->len;
}

/* What the samples choose, by what comes out. */
static void
test_search(void **state)
{
    static void (*const add[])(struct buf *, size_t, uint32_t *) = {
        add_digits, add_log, add_texts};
    struct buf all = {0}, out = {0};
    uint32_t x = 1;

    (void)state;
    for (size_t i = 0; i < NELEM(add); i++) {
        struct buf b = {0}, one = {0}, chosen = {0};
        size_t level1, size;

        add[i](&b, 2500000, &x);
        level1 = frames(&b, 1, &one);
        size = frames(&b, ZSTD_AUTO, &chosen);
        if (i == 0) { /* hasty: other bytes, no more than a sample allows */
            assert_memory_not_equal(one.data, chosen.data, MIN(level1, size));
            assert_true(size < level1 + level1 / 50);
        } else if (i == 1) {
            assert_int_equal(size, level1);
            assert_memory_equal(one.data, chosen.data, size);
        } else {
            assert_true(size < level1 - level1 / 10);
        }
        buf_free(&b);
        buf_free(&one);
        buf_free(&chosen);
    }
    /* From each to each of them, which is seen before the next sample is due;
     * within the part that it takes for text, at the cost of some frames. */
    for (size_t i = 0; i < 9; i++)
        add[i < 6 ? i % 3 : 8 - i](&all, i == 2 ? 10000000 : 1200000, &x);
    frames(&all, ZSTD_AUTO, &out);
    buf_free(&all);
    buf_free(&out);
}

static void
test_frames(void **state)
{
    size_t n = 3 * ZSTD_FRAME + 77;
    uint8_t *p = bytes_make(n);

    (void)state;
    for (int level = ZSTD_AUTO; level <= 2; level++) {
        struct buf out = {0}, back = {0};
        struct sink *s = zstd_frames_sink(sink_to_buf(&out), level);

        assert_int_equal(sink_write(s, p, 5), 0);
        assert_int_equal(sink_write(s, p + 5, 0), 0);
        assert_int_equal(sink_write(s, p + 5, n - 5), 0);
        assert_int_equal(sink_finish(s), 0);
        sink_free(s);
        assert_true(out.len < n * 3 / 4);
        assert_int_equal(
            expand(out.data, out.len, UNZSTD_FRAMES, SIZE_MAX, &back), 0);
        assert_int_equal(back.len, n);
        assert_memory_equal(back.data, p, n);
        buf_reset(&back);
        assert_int_equal(
            expand(out.data, out.len, UNZSTD_FRAMES, 777, &back), 0);
        assert_int_equal(back.len, n);
        assert_int_equal(
            expand(out.data, out.len, UNZSTD_FRAME, SIZE_MAX, &back), -1);
        /* Cut inside of a frame; with something else behind. */
        assert_int_equal(
            expand(out.data, out.len - 1, UNZSTD_FRAMES, SIZE_MAX, &back), -1);
        buf_str(&out, "rest");
        assert_int_equal(
            expand(out.data, out.len, UNZSTD_FRAMES, SIZE_MAX, &back), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        buf_free(&out);
        buf_free(&back);
    }
    free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_over_seal),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
