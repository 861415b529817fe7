/*
 * expire_priv.h -- what the files of expire share.
 */
#ifndef PITR_EXPIRE_PRIV_H
#define PITR_EXPIRE_PRIV_H

#include "pitr/expire.h"

/*
 * Of what a plan lets go: held[i] for each backup that is not known to be on
 * every vault, *segment the first segment that is not (else left alone).  all:
 * what there is here.  What a vault's own expire has removed was there.
 */
int expire_find_held(const struct expire_conf *conf, const struct catalog *c,
    const struct expire_plan *plan, const struct store_list *all, bool *held,
    size_t *segment);

#endif
