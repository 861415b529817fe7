/*
 * compress.c -- zstd as sinks and as a source.
 */
#define ZSTD_STATIC_LINKING_ONLY /* for ZSTD_c_literalCompressionMode */
#include <stdlib.h>
#include <zstd.h>
#include "pitr/compress.h"
#include "pitr/mem.h"

/* The largest window that levels up to 19 use (8 MiB), so the most that a
 * reader is ever made to allocate. */
#define WINDOW_LOG_MAX 23

struct zstd_out {
    struct sink *next;
    ZSTD_CCtx *ctx;
    uint8_t *out;
    size_t cap;
};

/* Feed p to the compressor and pass on what comes out, until all of p is taken
 * and, for flush and end, nothing is left inside. */
static int
compress_step(
    struct zstd_out *z, const void *p, size_t n, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {p, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {z->out, z->cap, 0};

        left = ZSTD_compressStream2(z->ctx, &out, &in, how);
        if (ZSTD_isError(left))
            return err_set(ERR_FAILED, "zstd: %s", ZSTD_getErrorName(left));
        if (out.pos > 0 && sink_write(z->next, z->out, out.pos) < 0)
            return -1;
    } while (in.pos < in.size || (how != ZSTD_e_continue && left > 0));
    return 0;
}

static int
zstd_write(void *impl, const void *p, size_t n)
{
    return compress_step(impl, p, n, ZSTD_e_continue);
}

static int
zstd_flush(void *impl)
{
    struct zstd_out *z = impl;

    if (compress_step(z, NULL, 0, ZSTD_e_flush) < 0)
        return -1;
    return sink_flush(z->next);
}

static int
zstd_finish(void *impl)
{
    struct zstd_out *z = impl;

    if (compress_step(z, NULL, 0, ZSTD_e_end) < 0)
        return -1;
    return sink_finish(z->next);
}

static void
zstd_out_free(void *impl)
{
    struct zstd_out *z = impl;

    sink_free(z->next);
    ZSTD_freeCCtx(z->ctx);
    free(z->out);
    free(z);
}

static const struct sink_ops zstd_sink_ops = {
    .write = zstd_write,
    .flush = zstd_flush,
    .finish = zstd_finish,
    .free = zstd_out_free,
};

static ZSTD_CCtx *
context_new(int level)
{
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    size_t rc;

    if (ctx == NULL) {
        err_set(ERR_FAILED, "zstd could not be started");
        return NULL;
    }
    rc = ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(rc)) /* against faults of memory on the way */
        rc = ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
    if (!ZSTD_isError(rc) && level >= 1 && level <= 19)
        return ctx;
    err_set(ERR_FAILED, "zstd: compression level %d is not in 1..19", level);
    ZSTD_freeCCtx(ctx);
    return NULL;
}

struct sink *
zstd_sink(struct sink *next, int level)
{
    struct zstd_out *z;

    if (next == NULL)
        return NULL;
    z = xcalloc(1, sizeof(*z));
    z->next = next;
    z->cap = ZSTD_CStreamOutSize();
    z->out = xmalloc(z->cap);
    if ((z->ctx = context_new(level)) == NULL) {
        zstd_out_free(z);
        return NULL;
    }
    return sink_new(&zstd_sink_ops, z);
}

/* --- frames --- */

/*
 * The match finder at level 1 looks at every second byte; with a step of
 * HASTE it takes a fifth less time.  Rows in which there is little to find
 * but the frequency of their bytes lose nothing by that, text becomes a quarter
 * larger.  So a sample is compressed both ways now and then, and at once when
 * the size of a frame is not what the last ones were.
 */
#define HASTE 64
#define HASTE_LEVEL 1
#define SAMPLE ((size_t)128 << 10)
#define SAMPLE_EVERY 48 /* frames */
#define NEWS 32         /* a change of the ratio by 1/NEWS */

struct zstd_frames {
    struct sink *next;
    ZSTD_CCtx *plain, *hasty; /* hasty: NULL where it is not done */
    bool haste;
    unsigned left; /* frames until the next sample */
    size_t ratio;  /* of the last frame, in 1/1024 */
    uint8_t *out;
    size_t cap;
};

static int
frame_failed(size_t rc)
{
    return err_set(ERR_FAILED, "zstd: %s", ZSTD_getErrorName(rc));
}

/* Which of the two, for what is like this? */
static int
haste_try(struct zstd_frames *z, const uint8_t *p, size_t n)
{
    size_t plain, hasty;

    n = MIN(n, SAMPLE);
    plain = ZSTD_compress2(z->plain, z->out, z->cap, p, n);
    hasty = ZSTD_compress2(z->hasty, z->out, z->cap, p, n);
    if (ZSTD_isError(plain) || ZSTD_isError(hasty))
        return frame_failed(ZSTD_isError(plain) ? plain : hasty);
    z->haste = hasty <= plain + plain / 100;
    z->left = SAMPLE_EVERY;
    z->ratio = 0;
    return 0;
}

static int
frame_write(struct zstd_frames *z, const uint8_t *p, size_t n)
{
    size_t size, ratio;

    if (z->hasty != NULL && z->left == 0 && haste_try(z, p, n) < 0)
        return -1;
    size = ZSTD_compress2(z->haste ? z->hasty : z->plain, z->out, z->cap, p, n);
    if (ZSTD_isError(size))
        return frame_failed(size);
    ratio = size * 1024 / n;
    if (z->left > 0)
        z->left--;
    if (z->ratio > 0 &&
        MAX(ratio, z->ratio) - MIN(ratio, z->ratio) > z->ratio / NEWS)
        z->left = 0;
    z->ratio = ratio;
    return sink_write(z->next, z->out, size);
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
    ZSTD_freeCCtx(z->plain);
    ZSTD_freeCCtx(z->hasty);
    free(z->out);
    free(z);
}

static const struct sink_ops frames_ops = {
    .write = frames_write,
    .flush = frames_flush,
    .finish = frames_finish,
    .free = frames_free,
};

/* A library that does not know the parameters does without. */
static ZSTD_CCtx *
hasty_new(int level)
{
    ZSTD_CCtx *ctx = level == HASTE_LEVEL ? context_new(level) : NULL;

    if (ctx == NULL ||
        (!ZSTD_isError(
             ZSTD_CCtx_setParameter(ctx, ZSTD_c_targetLength, HASTE)) &&
            !ZSTD_isError(ZSTD_CCtx_setParameter(
                ctx, ZSTD_c_literalCompressionMode, ZSTD_ps_enable))))
        return ctx;
    ZSTD_freeCCtx(ctx);
    return NULL;
}

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
    if ((z->plain = context_new(level)) == NULL) {
        frames_free(z);
        return NULL;
    }
    z->hasty = hasty_new(level);
    return sink_new(&frames_ops, z);
}

/* --- reading --- */

struct zstd_in {
    struct source *src;
    ZSTD_DCtx *ctx;
    enum unzstd how;
    uint8_t *buf;
    size_t cap;
    ZSTD_inBuffer in;
    int frame_done; /* the frame is complete */
    int done;
};

/* More input.  1; 0 at the end of the source; -1. */
static int
input_read(struct zstd_in *z)
{
    long got = source_read(z->src, z->buf, z->cap);

    if (got <= 0)
        return (int)got;
    z->in.src = z->buf;
    z->in.size = (size_t)got;
    z->in.pos = 0;
    return 1;
}

/* After the (last) frame the source has to end, and its end has to be read:
 * only then has whatever is below had its say. */
static int
end_read(struct zstd_in *z)
{
    int rc = z->in.pos < z->in.size ? 1 : input_read(z);

    if (rc > 0 && z->how == UNZSTD_FRAMES) {
        z->frame_done = 0;
        return 0;
    }
    if (rc > 0)
        return err_set(ERR_VERIFY,
            "data follows the end of what was "
            "compressed");
    z->done = rc == 0;
    return rc;
}

static long
unzstd_read(void *impl, void *p, size_t n)
{
    struct zstd_in *z = impl;
    ZSTD_outBuffer out = {p, n, 0};

    while (!z->done && out.pos == 0) {
        size_t rc;
        int more;

        if (z->frame_done) {
            if (end_read(z) < 0)
                return -1;
            continue;
        }
        rc = ZSTD_decompressStream(z->ctx, &out, &z->in);
        if (ZSTD_isError(rc))
            return err_set(ERR_VERIFY, "what was compressed is damaged: %s",
                ZSTD_getErrorName(rc));
        z->frame_done = rc == 0;
        if (z->frame_done || out.pos > 0 || z->in.pos < z->in.size)
            continue;
        if ((more = input_read(z)) < 0)
            return -1;
        if (more == 0) {
            if (z->how != UNZSTD_GROWING)
                return err_set(
                    ERR_VERIFY, "what was compressed ends too early");
            z->done = 1;
        }
    }
    return (long)out.pos;
}

static void
unzstd_free(void *impl)
{
    struct zstd_in *z = impl;

    source_free(z->src);
    ZSTD_freeDCtx(z->ctx);
    free(z->buf);
    free(z);
}

static const struct source_ops unzstd_ops = {
    .read = unzstd_read,
    .free = unzstd_free,
};

struct source *
unzstd_source(struct source *src, enum unzstd how)
{
    struct zstd_in *z;

    if (src == NULL)
        return NULL;
    z = xcalloc(1, sizeof(*z));
    z->src = src;
    z->how = how;
    z->cap = ZSTD_DStreamInSize();
    z->buf = xmalloc(z->cap);
    if ((z->ctx = ZSTD_createDCtx()) == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(
            z->ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        err_set(ERR_FAILED, "zstd could not be started");
        unzstd_free(z);
        return NULL;
    }
    return source_new(&unzstd_ops, z);
}
