/*
 * mem.c -- allocation that aborts when there is no memory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "pitr/mem.h"

#define LARGE_BYTES (128 * 1024)

static _Noreturn void
out_of_memory(void)
{
    static const char text[] = "pitr: out of memory\n";

    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        abort();
    abort();
}

static void *
checked(void *p)
{
    if (p == NULL)
        out_of_memory();
    return p;
}

void *
xmalloc(size_t n)
{
    return checked(malloc(n > 0 ? n : 1));
}

void *
xcalloc(size_t n, size_t size)
{
    return checked(calloc(n > 0 ? n : 1, size > 0 ? size : 1));
}

void *
xrealloc(void *p, size_t n)
{
    return checked(realloc(p, n > 0 ? n : 1));
}

void *
xgrow(void *p, size_t n, size_t *cap, size_t size)
{
    size_t want;

    if (n < *cap)
        return p;
    want = MAX(n + 1, MAX(*cap * 2, 8));
    if (n == SIZE_MAX || *cap > SIZE_MAX / 2 || want > SIZE_MAX / size)
        out_of_memory();
    *cap = want;
    return xrealloc(p, want * size);
}

char *
xstrdup(const char *s)
{
    return s != NULL ? checked(strdup(s)) : NULL;
}

char *
xstrndup(const char *s, size_t n)
{
    return checked(strndup(s, n));
}

void *
xmemdup(const void *p, size_t n)
{
    void *copy = xmalloc(n);

    if (n > 0)
        memcpy(copy, p, n);
    return copy;
}

char *
xasprintf(const char *fmt, ...)
{
    char *s;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        out_of_memory();
    va_end(ap);
    return s;
}

/*
 * The GNU library gives each thread a heap of its own, of which the pages that
 * were once touched stay: the same bytes in use, some hundred kilobytes more
 * for every thread, and more as time goes on.  Our threads wait for networks and
 * disks, not for malloc's lock, so one heap is enough.  It also learns from a
 * large block that is freed (a segment's compressor) to put the next ones into
 * the heap, where a small one that is allocated later keeps the pages before it
 * from being given back; a threshold that was set stays, and large blocks are
 * returned to the system as they are freed.
 */
void
mem_for_long(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
#endif
}
