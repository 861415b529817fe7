/*
 * retention.h -- the retention of a section: what every vault has may go from
 * here.
 */
#ifndef PITR_CMD_RETENTION_H
#define PITR_CMD_RETENTION_H

#include "pitr/conf.h"
#include "pitr/expire.h"

#define RETENTION_KEEP "7d"
#define RETENTION_MINIMUM "2"

struct retention {
    const struct conf_server *section; /* whose vaults are asked; NULL: none */
    struct expire_policy policy;
    uint64_t keep_local_us; /* 0: none of its own */
    bool dry_run;
};

/* As the section says; what it does not say as `pitr expire` has it. */
struct retention retention_of(const struct conf_server *s);
/* ERR_USAGE for keep_local without a vault.  The report has to be freed in any
 * case.  A vault that cannot be reached is warned of. */
int retention_run(
    const struct retention *c, struct repo *repo, struct expire_report *out);

#endif
