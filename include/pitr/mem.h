/*
 * mem.h -- allocation that cannot fail, and memory for secrets.
 *
 * Out of memory aborts the process: publishing is atomic, so nothing is lost.
 */
#ifndef PITR_MEM_H
#define PITR_MEM_H

#include <stddef.h>
#include "pitr/err.h"

#define NEVER_NULL __attribute__((returns_nonnull))

void *xmalloc(size_t n) NEVER_NULL;
void *xcalloc(size_t n, size_t size) NEVER_NULL;
void *xrealloc(void *p, size_t n) NEVER_NULL;
/* Grow an array for n + 1 elements; *cap is in elements. */
void *xgrow(void *p, size_t n, size_t *cap, size_t size) NEVER_NULL;
char *xstrdup(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t n) NEVER_NULL;
void *xmemdup(const void *p, size_t n) NEVER_NULL;
char *xasprintf(const char *fmt, ...) NEVER_NULL PRINTF(1, 2);

/*
 * For a process of threads that is to run for months in little memory: call it
 * before the first thread is started.
 */
void mem_for_long(void);

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
