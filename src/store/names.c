/*
 * names.c -- names of objects, many at a time.
 *
 * A folder of the log has a hundred thousand that are alike for the first
 * fifteen bytes and lie scattered in memory, so comparing them in pairs is
 * mostly waiting for memory.  Here the eight bytes that follow what all have in
 * common are taken out of each once, and compared as a number.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "pitr/mem.h"

size_t
names_span(const char *p, size_t n)
{
    size_t i = 0;

    for (; i < n; i++) {
        char c = p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            break;
    }
    return i;
}

struct key {
    uint64_t first; /* big-endian: in the order of the bytes */
    const char *rest;
    size_t i;
};

static int
by_key(const void *a, const void *b)
{
    const struct key *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return strcmp(x->rest, y->rest);
}

static const char *
name_at(const char *v, size_t i, size_t size)
{
    const char *name;

    memcpy(&name, v + i * size, sizeof name);
    return name;
}

/* Bytes that all have at their beginning; true where they are sorted. */
static bool
look(const char *v, size_t n, size_t size, size_t *common)
{
    const char *first = name_at(v, 0, size), *last = first;
    bool sorted = true;

    *common = strlen(first);
    for (size_t i = 1; i < n; i++) {
        const char *name = name_at(v, i, size);
        size_t k = 0;

        while (k < *common && name[k] == first[k])
            k++;
        *common = k;
        sorted = sorted && strcmp(last + k, name + k) <= 0;
        last = name;
    }
    return sorted;
}

static void
take_key(const char *name, size_t common, struct key *out)
{
    const char *p = name + common;

    out->first = 0;
    for (unsigned k = 0; k < sizeof out->first; k++) {
        out->first = out->first << 8 | (uint8_t)*p;
        p += *p != '\0';
    }
    out->rest = p;
}

void
names_sort(void *v, size_t n, size_t size)
{
    char *at = v, *sorted;
    struct key *key;
    size_t common;

    if (n < 2 || look(at, n, size, &common))
        return;
    key = xcalloc(n, sizeof *key);
    for (size_t i = 0; i < n; i++) {
        take_key(name_at(at, i, size), common, &key[i]);
        key[i].i = i;
    }
    qsort(key, n, sizeof *key, by_key);
    sorted = xcalloc(n, size);
    for (size_t i = 0; i < n; i++)
        memcpy(sorted + i * size, at + key[i].i * size, size);
    memcpy(at, sorted, n * size);
    free(sorted);
    free(key);
}
