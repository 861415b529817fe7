/*
 * expire_priv.h -- what the files of expire share.
 */
#ifndef PITR_EXPIRE_PRIV_H
#define PITR_EXPIRE_PRIV_H

#include "pitr/expire.h"

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
