/*
 * buf.c -- a growing buffer to write to, a bounds-checked cursor to read from.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/buf.h"
#include "pitr/mem.h"

void
buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void
buf_reset(struct buf *b)
{
    b->len = 0;
}

void
buf_reserve(struct buf *b, size_t more)
{
    size_t cap = MAX(b->cap, 64);

    if (more <= b->cap - b->len)
        return;
    if (more > SIZE_MAX / 2 - b->len)
        abort();
    while (cap - b->len < more)
        cap *= 2;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    buf_reserve(b, n);
    memcpy(b->data + b->len, p, n);
    b->len += n;
}

void
buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort();
    buf_reserve(b, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

static void
put_le(struct buf *b, uint64_t v, unsigned bytes)
{
    uint8_t raw[8];

    for (unsigned i = 0; i < bytes; i++)
        raw[i] = (uint8_t)(v >> (8 * i));
    buf_add(b, raw, bytes);
}

void
buf_u8(struct buf *b, uint8_t v)
{
    put_le(b, v, 1);
}

void
buf_u16(struct buf *b, uint16_t v)
{
    put_le(b, v, 2);
}

void
buf_u24(struct buf *b, uint32_t v)
{
    put_le(b, v, 3);
}

void
buf_u32(struct buf *b, uint32_t v)
{
    put_le(b, v, 4);
}

void
buf_u64(struct buf *b, uint64_t v)
{
    put_le(b, v, 8);
}

void
buf_lenenc(struct buf *b, uint64_t v)
{
    if (v < 0xFB) {
        put_le(b, v, 1);
    } else if (v <= 0xFFFF) {
        put_le(b, 0xFC, 1);
        put_le(b, v, 2);
    } else if (v <= 0xFFFFFF) {
        put_le(b, 0xFD, 1);
        put_le(b, v, 3);
    } else {
        put_le(b, 0xFE, 1);
        put_le(b, v, 8);
    }
}

void
buf_lstr(struct buf *b, const char *s)
{
    buf_lbytes(b, s, s != NULL ? strlen(s) : 0);
}

void
buf_lbytes(struct buf *b, const void *p, size_t n)
{
    if (n > UINT32_MAX)
        abort();
    buf_u32(b, (uint32_t)n);
    buf_add(b, p, n);
}

const char *
buf_cstr(struct buf *b)
{
    buf_reserve(b, 1);
    b->data[b->len] = '\0';
    return (const char *)b->data;
}

char *
buf_take(struct buf *b)
{
    char *s;

    buf_cstr(b);
    s = (char *)b->data;
    *b = (struct buf){0};
    return s;
}

struct cur
cur_of(const void *p, size_t n)
{
    struct cur c = {.p = p, .end = p};

    if (n > 0)
        c.end = c.p + n;
    return c;
}

size_t
cur_left(const struct cur *c)
{
    return (size_t)(c->end - c->p);
}

/* All that follows is bad too: a loop over a bad cursor comes to its end. */
static void
cur_fail(struct cur *c)
{
    c->bad = true;
    c->p = c->end;
}

const uint8_t *
cur_bytes(struct cur *c, size_t n)
{
    const uint8_t *p = c->p;

    if (c->bad || n > cur_left(c)) {
        cur_fail(c);
        return NULL;
    }
    if (n == 0)
        return p != NULL ? p : (const uint8_t *)"";
    c->p += n;
    return p;
}

static uint64_t
get_le(struct cur *c, unsigned bytes)
{
    const uint8_t *p = cur_bytes(c, bytes);
    uint64_t v = 0;

    if (p == NULL)
        return 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t
cur_u8(struct cur *c)
{
    return (uint8_t)get_le(c, 1);
}

uint16_t
cur_u16(struct cur *c)
{
    return (uint16_t)get_le(c, 2);
}

uint32_t
cur_u24(struct cur *c)
{
    return (uint32_t)get_le(c, 3);
}

/* These two are most of what is read: compilers make one load of each. */
uint32_t
cur_u32(struct cur *c)
{
    const uint8_t *p = cur_bytes(c, 4);

    return p == NULL ? 0
                     : (uint32_t)p[0] | (uint32_t)p[1] << 8 |
            (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t
cur_u48(struct cur *c)
{
    return get_le(c, 6);
}

uint64_t
cur_u64(struct cur *c)
{
    const uint8_t *p = cur_bytes(c, 8);

    return p == NULL ? 0
                     : (uint64_t)p[0] | (uint64_t)p[1] << 8 |
            (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 |
            (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

uint64_t
cur_lenenc(struct cur *c)
{
    uint8_t first = cur_u8(c);

    switch (first) {
    case 0xFC:
        return get_le(c, 2);
    case 0xFD:
        return get_le(c, 3);
    case 0xFE:
        return get_le(c, 8);
    case 0xFB:
    case 0xFF:
        cur_fail(c);
        return 0;
    default:
        return first;
    }
}

char *
cur_str(struct cur *c, size_t n)
{
    const uint8_t *p = cur_bytes(c, n);
    char *s;

    if (p == NULL)
        return NULL;
    s = xmalloc(n + 1);
    memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

char *
cur_lstr(struct cur *c, size_t max)
{
    uint32_t n = cur_u32(c);
    const uint8_t *p = n <= max ? cur_bytes(c, n) : NULL;
    struct cur text;

    if (p == NULL || memchr(p, '\0', n) != NULL) {
        cur_fail(c);
        return NULL;
    }
    text = cur_of(p, n);
    return cur_str(&text, n);
}
