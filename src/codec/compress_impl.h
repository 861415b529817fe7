/*
 * compress_impl.h -- what the two files that use libzstd share.
 */
#ifndef PITR_COMPRESS_IMPL_H
#define PITR_COMPRESS_IMPL_H

#define ZSTD_STATIC_LINKING_ONLY /* for ZSTD_c_literalCompressionMode */
#include <zstd.h>
#include "pitr/compress.h"

ZSTD_CCtx *zstd_context(int level);
int zstd_failed(size_t rc); /* -1 */

#endif
