/*
 * zone.h -- what a server's own time zone (SYSTEM) makes of moments.
 *
 * A log says SYSTEM where a session had it, and each server takes its own: a
 * zone has no name that could be asked for, only what it does.
 */
#ifndef PITR_ZONE_H
#define PITR_ZONE_H

#include <stdbool.h>
#include <stdint.h>
#include "pitr/db.h"

/*
 * "UNTIL OFFSET [AT:OFFSET]...": seconds east of UTC from 1970 on, looked at
 * every ZONE_STEP_S seconds up to UNTIL, and each moment looked at, in seconds
 * since 1970, from which on it is another one.  FORMAT.md.  Owned; NULL with
 * err.
 */
#define ZONE_STEP_S 345600u
char *zone_of(struct db *db, uint64_t until_s);

/* How far such a text goes; 0 where it is none. */
uint64_t zone_until(const char *zone);

/* 1 the server has the same, 0, -1. */
int zone_same(struct db *db, const char *zone);

/*
 * A value of TZ with which a program of this machine has that zone: "" as it
 * is, NULL (without err) where there is none.  Owned.
 */
char *zone_here(const char *zone);

#endif
