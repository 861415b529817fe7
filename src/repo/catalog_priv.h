/*
 * catalog_priv.h -- what the files of the catalogue share.
 */
#ifndef PITR_CATALOG_PRIV_H
#define PITR_CATALOG_PRIV_H

#include "log_index.h"
#include "pitr/catalog.h"

/* A segment while the log is being read. */
struct found {
    const struct store_entry *e; /* as listed */
    uint64_t seq;                /* by its name; of one that has none, that of
                                    the one before it in the list */
    /* Its ends as they stand: of the object, or of an index. */
    struct seal_ends ends;
    const struct index_entry *entry;
    bool read; /* there is a link of what was read: */
    uint8_t link[DIGEST_SIZE];
    bool above;   /* the one above it, as it stands, has it */
    bool checked; /* its own signature was looked at */
    bool known;   /* it is authentic */
    /* Then, unless there is a fault: */
    struct segment_info info; /* name, start, link; state of that mark: */
    struct seal_mark mark;    /* its final one, or the one that is linked */
    bool has_mark, has_state;
    struct err_saved *fault; /* why it cannot be read */
};
void found_free(struct found *f); /* content */

/* What is authentic above the highest of them: the header's note of a segment.
 */
struct above {
    const char *name;
    const struct segment_start *start;
};

/*
 * The headers, and the final marks where there are good ones, of n segments in
 * their order; by several threads: signatures take processor time, and a vault
 * round trips.  Signatures are checked where no authentic header above vouches
 * for what was read; of all, where `all` says so.  -1 where reading failed.
 */
int catalog_ends(struct repo *r, struct index_list *index, bool all,
    const struct above *above, struct found *v, size_t n);

/* Lists the indexes, and reads those of the newest INDEX_AHEAD segments. */
#define INDEX_AHEAD ((size_t)128 << 10)
int catalog_indexes(struct repo *r, struct index_list *out);

/* The header of an object and the mark at its end, as they stand, up to the
 * length that it was listed with.  -1, and nothing in out. */
int catalog_ends_read(
    struct repo *r, const struct store_entry *e, struct seal_ends *out);

/*
 * err says what is wrong with a manifest (ERR_VERIFY): is it only that it is
 * still arriving (arriving.c)?  Then err is cleared; otherwise it stays.
 */
bool manifest_is_arriving(struct repo *r, const char *name);

#endif
