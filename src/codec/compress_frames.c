/*
 * compress_frames.c -- zstd for rows: large pieces, each a frame or more, and
 * how thorough a search they are worth.
 */
#include <stdlib.h>
#include "compress_impl.h"
#include "pitr/mem.h"

/*
 * Which search pays differs by what is in the rows, so a sample decides, now
 * and then, and when the size of a frame is not what it was at the last one.
 *
 * - Hasty: the match finder at level 1 looks at every second byte; with a step
 *   of HASTE it takes a fifth less time.  Rows in which there is little to
 *   find but the frequency of their bytes lose nothing by that, others become
 *   a quarter to twice as large.
 * - Plain: level 1.
 * - Thorough: level 2, whose table has four times as many entries, in frames
 *   that go on over the pieces, as it finds what is up to its window away.
 *   Takes a quarter to half longer, and is taken where a sample becomes smaller
 *   by 1/WORTH; texts become so by 7 to 20 per cent.  Level 3 takes half as
 *   long again for another three, and none of bench-shapes' texts.
 */
enum search { HASTY, PLAIN, THOROUGH, SEARCHES };

#define HASTE 64
#define THOROUGH_LEVEL 2
#define THOROUGH_WINDOW 20 /* log of its bytes */
#define WORTH 20

#define SAMPLE ((size_t)128 << 10) /* enough to tell whether to be hasty */
#define SAMPLE_EVERY 48            /* frames */
/* A change of the ratio by so much, after so many frames. */
#define NEWS_HASTY 32
#define NEWS 8
#define NEWS_AFTER 8

struct zstd_frames {
    struct sink *next;
    ZSTD_CCtx *ctx[SEARCHES]; /* NULL: not done, or not needed so far */
    enum search how;
    bool sampled; /* how is chosen by samples */
    bool open;    /* the thorough search is inside of a frame */
    unsigned age; /* pieces since the last sample, 0 before the first */
    size_t ratio; /* of the first of these, in 1/1024 */
    uint8_t *out;
    size_t cap;
};

/* A library that does not know the parameters does without. */
static ZSTD_CCtx *
hasty_new(void)
{
    ZSTD_CCtx *ctx = zstd_context(1);

    if (ctx == NULL ||
        (!ZSTD_isError(
             ZSTD_CCtx_setParameter(ctx, ZSTD_c_targetLength, HASTE)) &&
            !ZSTD_isError(ZSTD_CCtx_setParameter(
                ctx, ZSTD_c_literalCompressionMode, ZSTD_ps_enable))))
        return ctx;
    ZSTD_freeCCtx(ctx);
    return NULL;
}

static ZSTD_CCtx *
thorough_new(void)
{
    ZSTD_CCtx *ctx = zstd_context(THOROUGH_LEVEL);
    size_t rc;

    if (ctx == NULL)
        return NULL;
    rc = ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, THOROUGH_WINDOW);
    if (!ZSTD_isError(rc))
        return ctx;
    zstd_failed(rc);
    ZSTD_freeCCtx(ctx);
    return NULL;
}

/* Into the frame that is open, so that all of p can be read.  The size of what
 * came out; *rc is -1 where zstd or the sink failed. */
static size_t
frame_go_on(struct zstd_frames *z, const uint8_t *p, size_t n,
    ZSTD_EndDirective how, int *rc)
{
    ZSTD_inBuffer in = {p, n, 0};
    size_t left, size = 0;

    z->open = how != ZSTD_e_end;
    do {
        ZSTD_outBuffer out = {z->out, z->cap, 0};

        left = ZSTD_compressStream2(z->ctx[THOROUGH], &out, &in, how);
        if (ZSTD_isError(left))
            *rc = zstd_failed(left);
        else if (out.pos > 0)
            *rc = sink_write(z->next, z->out, out.pos);
        size += out.pos;
    } while (*rc == 0 && left > 0);
    return size;
}

static int
frame_end(struct zstd_frames *z)
{
    int rc = 0;

    if (z->open)
        frame_go_on(z, NULL, 0, ZSTD_e_end, &rc);
    return rc;
}

static int
sample_size(struct zstd_frames *z, enum search how, const uint8_t *p, size_t n,
    size_t *size)
{
    *size = ZSTD_compress2(z->ctx[how], z->out, z->cap, p, n);
    return ZSTD_isError(*size) ? zstd_failed(*size) : 0;
}

/* Which of them, for what is like this?  A thorough search sees further than
 * the little that does for the others. */
static int
choose(struct zstd_frames *z, const uint8_t *p, size_t n)
{
    size_t hasty, plain, thorough;

    z->age = 0;
    if (frame_end(z) < 0)
        return -1;
    if (z->ctx[HASTY] != NULL) {
        if (sample_size(z, PLAIN, p, MIN(n, SAMPLE), &plain) < 0 ||
            sample_size(z, HASTY, p, MIN(n, SAMPLE), &hasty) < 0)
            return -1;
        z->how = HASTY;
        if (hasty <= plain + plain / 100)
            return 0;
    }
    if (z->ctx[THOROUGH] == NULL && (z->ctx[THOROUGH] = thorough_new()) == NULL)
        return -1;
    if (sample_size(z, PLAIN, p, n, &plain) < 0 ||
        sample_size(z, THOROUGH, p, n, &thorough) < 0)
        return -1;
    z->how = thorough <= plain - plain / WORTH ? THOROUGH : PLAIN;
    return 0;
}

static bool
is_news(const struct zstd_frames *z, size_t ratio)
{
    size_t change = MAX(ratio, z->ratio) - MIN(ratio, z->ratio);

    if (z->how == HASTY)
        return change > z->ratio / NEWS_HASTY;
    return z->age >= NEWS_AFTER && change > z->ratio / NEWS;
}

static int
frame_write(struct zstd_frames *z, const uint8_t *p, size_t n)
{
    size_t size, ratio;
    int rc = 0;

    if (z->sampled && z->age == 0 && choose(z, p, n) < 0)
        return -1;
    if (z->how == THOROUGH)
        size = frame_go_on(z, p, n, ZSTD_e_flush, &rc);
    else if ((rc = sample_size(z, z->how, p, n, &size)) == 0)
        rc = sink_write(z->next, z->out, size);
    if (rc < 0)
        return -1;
    ratio = size * 1024 / n;
    if (z->age++ == 0)
        z->ratio = ratio;
    if (z->age >= SAMPLE_EVERY || is_news(z, ratio))
        z->age = 0;
    return 0;
}

static int
frames_write(void *impl, const void *p, size_t n)
{
    const uint8_t *from = p;

    while (n > 0) {
        size_t take = MIN(n, (size_t)ZSTD_FRAME);

        if (frame_write(impl, from, take) < 0)
            return -1;
        from += take;
        n -= take;
    }
    return 0;
}

static int
frames_flush(void *impl)
{
    return sink_flush(((struct zstd_frames *)impl)->next);
}

static int
frames_finish(void *impl)
{
    struct zstd_frames *z = impl;

    return frame_end(z) < 0 ? -1 : sink_finish(z->next);
}

static void
frames_free(void *impl)
{
    struct zstd_frames *z = impl;

    sink_free(z->next);
    for (int i = 0; i < SEARCHES; i++)
        ZSTD_freeCCtx(z->ctx[i]);
    free(z->out);
    free(z);
}

static const struct sink_ops frames_ops = {
    .write = frames_write,
    .flush = frames_flush,
    .finish = frames_finish,
    .free = frames_free,
};

struct sink *
zstd_frames_sink(struct sink *next, int level)
{
    struct zstd_frames *z;

    if (next == NULL)
        return NULL;
    z = xcalloc(1, sizeof(*z));
    z->next = next;
    z->cap = ZSTD_compressBound(ZSTD_FRAME);
    z->out = xmalloc(z->cap);
    z->how = PLAIN;
    z->sampled = level == ZSTD_AUTO;
    z->ctx[PLAIN] = zstd_context(z->sampled ? 1 : level);
    if (z->ctx[PLAIN] == NULL) {
        frames_free(z);
        return NULL;
    }
    if (z->sampled)
        z->ctx[HASTY] = hasty_new();
    return sink_new(&frames_ops, z);
}
