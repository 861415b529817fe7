/*
 * compress.h -- zstd as a stage of a chain.  The only user of libzstd.
 */
#ifndef PITR_COMPRESS_H
#define PITR_COMPRESS_H

#include "pitr/io.h"

#define ZSTD_AUTO 0 /* a level: 1, or for rows what a sample says */

/* Takes next (NULL gives NULL, so chains can be one expression).  level 1..19.
 * sink_flush() ends a zstd block, so that all written so far can be read. */
struct sink *zstd_sink(struct sink *next, int level);
/*
 * The same, for what is written in large pieces: each is a frame of its own,
 * or several of at most ZSTD_FRAME bytes, compressed from where it lies.  With
 * ZSTD_AUTO it is the way to compress that is chosen by samples.
 */
#define ZSTD_FRAME (1u << 20)
struct sink *zstd_frames_sink(struct sink *next, int level);

/* The source has to end where the frame does, or after any number of frames;
 * or where its writer has come to. */
enum unzstd { UNZSTD_FRAME, UNZSTD_FRAMES, UNZSTD_GROWING };
struct source *unzstd_source(struct source *src, enum unzstd how); /* takes */

#endif
