/*
 * gentle.h -- a backup that steps back for those who work on the server
 * meanwhile: bytes a second, statements that run, a replica's lag, and the
 * process's own priority.
 */
#ifndef PITR_CMD_GENTLE_H
#define PITR_CMD_GENTLE_H

#include <stdint.h>
#include "pitr/db.h"

struct gentle_conf {
    unsigned nice;       /* of this process, 1 to 19; 0: as it is */
    uint64_t rate;       /* bytes of rows a second; 0: no limit */
    unsigned max_load;   /* statements running; 0: do not look */
    uint64_t max_lag_us; /* of this server as a replica; 0: do not look */
};

/*
 * Sets the priority at once, for threads that start from now on; connects where
 * the server is to be looked at.  *out is NULL where the backup has nothing to
 * wait for.  source is borrowed.
 */
struct gentle;
int gentle_new(const struct gentle_conf *c, const struct db_conf *source,
    struct gentle **out);
void gentle_free(struct gentle *g); /* NULL is fine */

/*
 * As dump_conf.pace; arg is the gentle.  What it waits for is told once; after
 * an hour of waiting in all it is told that the backup goes on regardless.
 */
int64_t gentle_pace(void *arg, uint64_t bytes);

#endif
