/*
 * log_index.h -- what is public at the ends of many segments, in one object.
 *
 * It saves a reader from opening each segment, and is trusted with nothing: it
 * is checked as the segments' own bytes are, by the links of the next ones
 * (segment_link()), and where it does not fit, the segment itself is read.  Its
 * signature only keeps strangers' bytes from being looked at.
 */
#ifndef PITR_LOG_INDEX_H
#define PITR_LOG_INDEX_H

#include "pitr/segment.h"

#define INDEX_PREFIX "index/"
/* Segments of one; such an object comes from a vault at once. */
#define INDEX_SEGMENTS 384
#define INDEX_MAX ((size_t)16 << 20)        /* bytes of the object */
#define INDEX_PLAIN_MAX ((size_t)128 << 20) /* of what is compressed in it */

struct index_entry {
    char *name; /* of one that was read, borrowed from the file, as are: */
    uint8_t header[DIGEST_SIZE];
    const uint8_t *note, *mark; /* of the header */
    size_t note_len, mark_len;
    uint8_t link[DIGEST_SIZE]; /* of all that */
};

struct index_file {
    struct buf plain;
    struct index_entry *v; /* by name */
    size_t n, cap;
};

/* "index/FIRST-LAST", the numbers of its segments. */
char *index_name(uint64_t first, uint64_t last);
bool index_name_parse(const char *name, uint64_t *first, uint64_t *last);
/* Made now, of these entries, whose names are in order. */
void index_format(const struct repo *r, const char *name,
    const struct index_entry *v, size_t n, struct buf *out);
/* Of so many bytes.  0, or -1: ERR_VERIFY where it is not one of this
 * repository. */
int index_load(
    struct repo *r, const char *name, uint64_t size, struct index_file *out);
/* The same of its bytes.  Errors do not name it. */
int index_parse(const struct repo *r, const char *name, const void *p, size_t n,
    struct index_file *out);
void index_file_free(struct index_file *f); /* content */

/* As segment_index_update(), with so many in each. */
int index_update(struct repo *r, size_t each, uint64_t *due);

/* Those that there are, as listed, and what was read of them. */
struct index_listed {
    char *name;
    uint64_t size, first, last;
    bool loaded; /* also where it turned out to be none: then it is empty */
    struct index_file file;
};
struct index_list {
    struct index_listed *v; /* by name: the oldest log first */
    size_t n, cap;
};
int index_list_load(struct repo *r, struct index_list *out);
void index_list_free(struct index_list *l); /* content */

#endif
