/*
 * by_name.h -- records that begin with their name (char *), sorted by it as
 * bytes.
 */
#ifndef PITR_REPO_BY_NAME_H
#define PITR_REPO_BY_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* The place of the record with that name among n of `size` bytes each, or where
 * it would be. */
size_t by_name_place(
    const void *v, size_t n, size_t size, const char *name, bool *found);

#endif
