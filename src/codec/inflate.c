/*
 * inflate.c -- the only place that knows zlib.
 */
#include <zlib.h>
#include "pitr/err.h"
#include "pitr/inflate.h"
#include "pitr/mem.h"

#define RATIO_MAX 1100 /* deflate reaches 1032 */

int
inflate_bytes(const void *p, size_t n, size_t size, struct buf *out)
{
    uLongf got = size;

    if (size / RATIO_MAX > n)
        return err_set(ERR_VERIFY,
            "%zu bytes cannot have been compressed to %zu", size, n);
    buf_reserve(out, MAX(size, 1)); /* memory, for nothing too */
    if (uncompress(out->data + out->len, &got, p, n) != Z_OK || got != size)
        return err_set(ERR_VERIFY, "compressed data does not expand");
    out->len += size;
    return 0;
}
