/*
 * compress.h -- zstd as a stage of a chain.  The only user of libzstd.
 */
#ifndef PITR_COMPRESS_H
#define PITR_COMPRESS_H

#include "pitr/io.h"

/* Takes next (NULL gives NULL, so chains can be one expression).  level 1..19.
 * sink_flush() ends a zstd block, so that all written so far can be read. */
struct sink *zstd_sink(struct sink *next, int level);
/* Takes src.  The frame must end where the source does, except where `growing`
 * is set: then the end of the source is simply the end. */
struct source *unzstd_source(struct source *src, int growing);

#endif
