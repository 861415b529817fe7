/*
 * catalog_priv.h -- what the files of the catalogue share.
 */
#ifndef PITR_CATALOG_PRIV_H
#define PITR_CATALOG_PRIV_H

#include "pitr/catalog.h"

/* A segment while the log is being read. */
struct found {
    struct segment_info info; /* name and start */
    struct seal_mark mark;    /* its final one; not yet judged */
    bool has_mark;
    struct err_saved *fault; /* why it cannot be read; then there is no info */
};
void found_free(struct found *f); /* content */

/*
 * err says what is wrong with a manifest (ERR_VERIFY): is it only that it is
 * still arriving (arriving.c)?  Then err is cleared; otherwise it stays.
 */
bool manifest_is_arriving(struct repo *r, const char *name);

/*
 * The headers, and the final marks where there are good ones, of all that l
 * lists, by several threads: signatures take processor time, and a vault round
 * trips.  all has room for l->n, zeroed; to be freed in any case.
 */
int catalog_starts(
    struct repo *r, const struct store_list *l, struct found *all);

#endif
