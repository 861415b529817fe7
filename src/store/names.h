/*
 * names.h -- names of objects, many at a time: which may be, and their order.
 */
#ifndef PITR_STORE_NAMES_H
#define PITR_STORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* How many of the first n bytes may stand in a name of an object, below its
 * folders: [A-Za-z0-9._-]. */
size_t names_span(const char *p, size_t n);

/* Sort n things of that size, each of which begins with a pointer to its name,
 * by their names as bytes. */
void names_sort(void *v, size_t n, size_t size);

#endif
