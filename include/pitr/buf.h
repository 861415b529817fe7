/*
 * buf.h -- a growing buffer to write to, a bounds-checked cursor to read from.
 *
 * Every byte that comes from outside is read through a cursor: reading past
 * the end gives zeros and marks the cursor bad, so a parser reads a whole
 * structure and asks once.  Integers are little-endian unless named _be.
 */
#ifndef PITR_BUF_H
#define PITR_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pitr/err.h"

struct buf {
    uint8_t *data; /* NULL while cap is 0 */
    size_t len, cap;
};

void buf_free(struct buf *b); /* frees the data, leaves an empty buffer */
void buf_reset(struct buf *b); /* len = 0, memory kept */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s); /* without the NUL */
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u24(struct buf *b, uint32_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_lenenc(struct buf *b, uint64_t v);  /* MariaDB's length encoding */
void buf_lstr(struct buf *b, const char *s); /* u32 length, bytes; NULL = "" */
void buf_lbytes(struct buf *b, const void *p, size_t n);
/* The content as a string; adds a NUL that is not counted.  Borrowed. */
const char *buf_cstr(struct buf *b);
/* The same, but the caller owns the string and the buffer is empty after. */
char *buf_take(struct buf *b);

struct cur {
    const uint8_t *p, *end;
    bool bad; /* something was read past the end */
};

struct cur cur_of(const void *p, size_t n);
size_t cur_left(const struct cur *c);
uint8_t cur_u8(struct cur *c);
uint16_t cur_u16(struct cur *c);
uint32_t cur_u24(struct cur *c);
uint32_t cur_u32(struct cur *c);
uint64_t cur_u48(struct cur *c);
uint64_t cur_u64(struct cur *c);
uint64_t cur_lenenc(struct cur *c); /* 0xFB (NULL) and 0xFF make it bad */
const uint8_t *cur_bytes(struct cur *c, size_t n); /* borrowed; NULL if bad */
char *cur_lstr(struct cur *c, size_t max); /* of buf_lstr; caller owns;
                                              NULL if bad or with a NUL in it */
char *cur_str(struct cur *c, size_t n);    /* n bytes as a string; caller owns,
                                              NULL if bad */

#endif
