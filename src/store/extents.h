/*
 * extents.h -- an object that is several files: their names, their order, and
 * which of them counts where (doc/FORMAT.md, "Extents on a vault").
 *
 * Pure: no I/O.  What it works on comes from a listing, so from outside.
 */
#ifndef PITR_STORE_EXTENTS_H
#define PITR_STORE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTENT_TRIES_MAX 999

struct extent {
    uint64_t offset;  /* in the object, of the file's first byte */
    unsigned attempt; /* 0, or n where n files start at offset already */
    bool plain;       /* the file with the object's own name */
    uint64_t size;    /* of the file */
};

struct extents {
    struct extent *v;
    size_t n, cap;
};

/* A stretch of the object, and where in which file it is. */
struct piece {
    struct extent from;
    uint64_t start, end; /* in the object */
};

struct pieces {
    struct piece *v;
    size_t n, cap;
    uint64_t size; /* of the object: all that is there without a hole */
};

/*
 * Split the name of a file: *object_bytes is the length of the object's name
 * in it.  False where it is no name that extent_name() makes; e->size is left
 * alone.
 */
bool extent_parse(const char *file, size_t *object_bytes, struct extent *e);
/* "NAME", "NAME+OFFSET" or "NAME+OFFSET.ATTEMPT"; caller owns. */
char *extent_name(const char *object, const struct extent *e);

/* The same file; sizes are not compared. */
bool extent_same(const struct extent *a, const struct extent *b);

void extents_add(struct extents *x, const struct extent *e);
/* Put them in the order in which they count, the last one most. */
void extents_sort(struct extents *x);
/* x must be sorted. */
void extents_pieces(const struct extents *x, struct pieces *out);
/* The one to go on with at offset: one that is not in x yet.  -1 with err
 * where there have been too many attempts. */
int extents_next(const struct extents *x, uint64_t offset, struct extent *e);
void extents_free(struct extents *x);
void pieces_free(struct pieces *p);

#endif
