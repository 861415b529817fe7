/*
 * expire_priv.h -- what the files of expire share.
 */
#ifndef PITR_EXPIRE_PRIV_H
#define PITR_EXPIRE_PRIV_H

#include "pitr/expire.h"

/* A run. */
struct expire_work {
    const struct expire_conf *conf;
    struct repo *repo;
    struct expire_report *report;
    struct store_list all; /* older than the catalogue */
    struct pins pins;
    uint64_t now_us;
    bool dry_run;
    bool log_done; /* what of the log goes has gone */
    bool full;     /* the disk, when .away was last written */
};

/* Remove it, or only count its bytes. */
int expire_object(struct expire_work *w, const char *name, uint64_t size);
/* All in a folder, `first` before the others. */
int expire_folder(struct expire_work *w, const char *folder, const char *first);

/* expire_sweep.c: segments that count as nothing, among those that go, which
 * goes before these; then, after all, what nothing refers to. */
int expire_passed_over(struct expire_work *w);
int expire_sweep(struct expire_work *w);

/*
 * What a plan lets go and is not known to be on every vault.  base: the plan
 * without a retention of its own for what is here (the same one where there is
 * none): what that keeps has to be on the vaults still; of the rest it is
 * enough that it was, for a vault's own expire removes, too.  all: what there
 * is here.  To be freed in any case.
 */
int expire_find_held(const struct expire_conf *conf, const struct catalog *c,
    const struct expire_plan *base, const struct expire_plan *plan,
    const struct pins *pins, const struct store_list *all,
    struct expire_held *out);
void expire_held_free(struct expire_held *h);

#endif
