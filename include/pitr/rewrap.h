/*
 * rewrap.h -- letting others read what exists already (rewrap.c).
 *
 * Objects are never written again.  So for another recipient the key of each is
 * sealed to that one in objects of slots beside them.  Nothing takes a
 * recipient away from what is written: who could open it still can.
 */
#ifndef PITR_REWRAP_H
#define PITR_REWRAP_H

#include "pitr/repo.h"

struct rewrap_report {
    uint64_t objects; /* looked at */
    uint64_t sealed;  /* that got slots */
    uint64_t damaged; /* whose header cannot be used; each is warned of */
    uint64_t locked;  /* that key does not open; likewise */
};
/*
 * Seal the key of every object to those of n recipients that it is not sealed
 * to.  key opens them, is a recipient's, and signs the slots.  The repository
 * may be a vault.
 */
int rewrap_run(struct repo *r, const struct secret_key *key,
    const struct public_key *to, size_t n, struct rewrap_report *out);
/*
 * Remove slots of which no object is left, in a local repository.  may_go (may be
 * NULL) is asked of each: 1, 0, -1.  dry_run: only count.  *bytes is added to.
 */
struct rewrap_sweeping {
    const struct store_list *all; /* what is there */
    int (*may_go)(void *arg, const struct store_entry *e);
    void *arg;
    bool dry_run;
};
int rewrap_sweep(struct repo *r, const struct rewrap_sweeping *how,
    size_t *removed, uint64_t *bytes);

#endif
