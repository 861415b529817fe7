/*
 * verify_priv.h -- what the files of verify share.
 */
#ifndef PITR_VERIFY_PRIV_H
#define PITR_VERIFY_PRIV_H

#include <pthread.h>

#include "pitr/manifest.h"
#include "pitr/segment.h"
#include "pitr/verify.h"

struct verify {
    const struct verify_conf *conf;
    struct repo *repo;
    enum verify_level level; /* that is to be reached */
    uint64_t now_us;
    pthread_mutex_t lock; /* for what follows, while workers run */
    struct verify_report *report;
    struct verified *known;
    bool remember;
    uint64_t saved_us; /* monotonic */
};

void verify_found(struct verify *v, enum verify_kind kind, const char *object,
    const char *fmt, ...) PRINTF(4, 5);
/*
 * err is set: is it the object that is at fault?  Then it is a finding, and 0;
 * otherwise -1, and verifying has to end.
 */
int verify_fault(struct verify *v, const char *object);
/* err is set: is it that the object was removed since it was listed, which is no
 * fault of it?  Then err is cleared. */
bool verify_is_gone(struct verify *v, const char *object);
/* It was read now, and is good.  digest NULL: it is not remembered. */
void verify_good(struct verify *v, const char *name, uint64_t size,
    const uint8_t *digest, enum verify_level level);
/* Was it good before, at the level that is to be reached? */
bool verify_was_good(struct verify *v, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE]);
/* Remember it as good, and save that now and then. */
void verify_remember(struct verify *v, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE], enum verify_level level);

/*
 * Every mark of an object, without a secret: closed, or up to length.  Its last
 * mark's digest is returned; it has to be `want`, where that is not NULL.
 */
int verify_scan(struct verify *v, enum seal_kind kind, const char *name,
    uint64_t length, const uint8_t *want, uint8_t digest[DIGEST_SIZE]);
/* Was a closed object of that size found good before, as it is now?  1, 0; -1
 * where it cannot be told, with err set. */
int verify_known(
    struct verify *v, enum seal_kind kind, const char *name, uint64_t size);

/* Run fn(arg, i) for i below n, in several threads; ends at the first -1. */
int verify_each(struct verify *v, size_t n,
    int (*fn)(struct verify *v, void *arg, size_t i), void *arg);

/* --- rows (verify_rows.c) --- */

struct verify_sums; /* of the tables of one backup */
struct verify_sums *verify_sums_new(const struct manifest *m);
void verify_sums_free(struct verify_sums *s);
/* Read a part and count its rows in.  -1 where the part is at fault. */
int verify_part(struct verify *v, struct verify_sums *s, size_t part);
/* Compare the tables that are whole with what the manifest says. */
void verify_sums_compare(struct verify *v, struct verify_sums *s);

int verify_backups(struct verify *v, const struct store_list *all);
int verify_log(struct verify *v, const struct store_list *all);
/* What is neither: generations of the repository file, slots. */
int verify_beside(struct verify *v, const struct store_list *all);

#endif
