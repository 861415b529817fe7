/*
 * compress.c -- zstd as a sink and as a source.
 */
#include <stdlib.h>
#include "compress_impl.h"
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

int
zstd_failed(size_t rc)
{
    return err_set(ERR_FAILED, "zstd: %s", ZSTD_getErrorName(rc));
}

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
            return zstd_failed(left);
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

ZSTD_CCtx *
zstd_context(int level)
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
    if ((z->ctx = zstd_context(level == ZSTD_AUTO ? 1 : level)) == NULL) {
        zstd_out_free(z);
        return NULL;
    }
    return sink_new(&zstd_sink_ops, z);
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
