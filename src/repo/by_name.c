/*
 * by_name.c -- see by_name.h.
 */
#include "by_name.h"

#include <string.h>

size_t
by_name_place(
    const void *v, size_t n, size_t size, const char *name, bool *found)
{
    size_t lo = 0, hi = n;

    *found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const char *is;
        int order;

        memcpy(&is, (const char *)v + mid * size, sizeof is);
        if ((order = strcmp(is, name)) == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}
