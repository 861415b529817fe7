/*
 * compress_frames.c -- zstd for rows: large pieces, each a frame, and how
 * thorough a search they are worth.
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
 * - Thorough: level 2, whose table has four times as many entries.  Takes a
 *   tenth to two fifths longer, and is taken where a sample becomes smaller by
 *   1/WORTH: texts by 5 to 12 per cent.  A frame that goes on over the pieces
 *   finds another tenth, and takes as long again.
 */
enum search { HASTY, PLAIN, THOROUGH, SEARCHES };

#define HASTE 64
#define THOROUGH_LEVEL 2
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

/* Into out. */
static int
frame_size(struct zstd_frames *z, enum search how, const uint8_t *p, size_t n,
    size_t *size)
{
    *size = ZSTD_compress2(z->ctx[how], z->out, z->cap, p, n);
    return ZSTD_isError(*size) ? zstd_failed(*size) : 0;
}

/* Which of them, for what is like this?  A thorough search finds more in a
 * whole frame than in the little that does for the others. */
static int
choose(struct zstd_frames *z, const uint8_t *p, size_t n)
{
    size_t hasty, plain, thorough;

    z->age = 0;
    if (z->ctx[HASTY] != NULL) {
        if (frame_size(z, PLAIN, p, MIN(n, SAMPLE), &plain) < 0 ||
            frame_size(z, HASTY, p, MIN(n, SAMPLE), &hasty) < 0)
            return -1;
        z->how = HASTY;
        if (hasty <= plain + plain / 100)
            return 0;
    }
    if (z->ctx[THOROUGH] == NULL &&
        (z->ctx[THOROUGH] = zstd_context(THOROUGH_LEVEL)) == NULL)
        return -1;
    if (frame_size(z, PLAIN, p, n, &plain) < 0 ||
        frame_size(z, THOROUGH, p, n, &thorough) < 0)
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

    if (z->sampled && z->age == 0 && choose(z, p, n) < 0)
        return -1;
    if (frame_size(z, z->how, p, n, &size) < 0 ||
        sink_write(z->next, z->out, size) < 0)
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
    return sink_finish(((struct zstd_frames *)impl)->next);
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
