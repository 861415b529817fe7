/*
 * sandbox.h -- a private mariadbd in a folder, on a socket of its own, without
 * network.
 */
#ifndef PITR_SANDBOX_H
#define PITR_SANDBOX_H

#include <sys/types.h>
#include "pitr/db.h"
#include "pitr/manifest.h"

struct sandbox;

/*
 * Make DIR (must be absent or empty, or hold a sandbox that was stopped or
 * abandoned before sandbox_leave(), which is removed; ERR_LOCKED while another
 * process makes one there), initialize a data directory of the given mariadbd
 * (NULL: found in PATH and /usr/sbin), start it.  NULL with err and the last
 * lines of its error log.  What has to be as at the source of a backup (NULL:
 * as it comes) is so: letter case of names, size of pages, the time zone
 * SYSTEM, zones with names; of the latter two what cannot be is warned of.  It
 * runs as the current user.
 */
struct sandbox *sandbox_start(
    const char *dir, const char *mariadbd, const struct manifest *like);
const struct db_conf *sandbox_conf(const struct sandbox *s); /* borrowed */
pid_t sandbox_pid(const struct sandbox *s);
/* Shut down and wait. */
int sandbox_stop(struct sandbox *s); /* frees s */
/* It is complete: let it go on running after pitr ends; prints nothing.  Frees
 * s. */
int sandbox_leave(struct sandbox *s);

#endif
