/*
 * part.h -- the content of a row part: blocks of rows, each of one table.
 *
 * Plaintext: "PTROWS4\n", then blocks { u32 table; u32 rows; u32 bytes; the
 * rows; a u32 size for each row }, and at the end a block with table 0xFFFFFFFF,
 * rows 0, bytes 0.  A row is as in rows.h.  A block is at most PART_BLOCK bytes,
 * or one row.  Tables are numbered as in the manifest.
 *
 * The sizes are kept together because a few equal bytes before each row make
 * zstd work twice as long on rows that do not compress (1.5 s and 3.4 s for two
 * sysbench tables of 1,000,000 rows), for nothing; and behind the rows, so that
 * these can be written where they stay.  "PTROWS2\n", read too, has them before.
 */
#ifndef PITR_PART_H
#define PITR_PART_H

#include "pitr/io.h"

#define PART_BLOCK (256 * 1024)
#define PART_ROWS_MAX (128u << 20) /* bytes of rows, after which a new part is
                                      begun */
#define PART_TABLE_END UINT32_MAX

struct part_writer; /* owns the sink */
struct part_writer *part_writer_new(struct sink *out); /* takes; NULL: NULL */
int part_write_row(struct part_writer *w, uint32_t table, const void *row,
    size_t size);
uint64_t part_writer_bytes(const struct part_writer *w); /* of rows so far */
int part_writer_finish(struct part_writer *w);
void part_writer_free(struct part_writer *w);

struct part_reader; /* owns the source */
struct part_reader *part_reader_new(struct source *in); /* takes; NULL: NULL */
/* 1 with a row, borrowed until the next call; 0 at the end (and the source has
 * been authenticated to its end); -1. */
int part_read_row(struct part_reader *r, uint32_t *table, const uint8_t **row,
    size_t *size);
void part_reader_free(struct part_reader *r);

#endif
