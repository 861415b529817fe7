/*
 * sandbox.h -- a private mariadbd in a folder, on a socket of its own, without
 * network.
 */
#ifndef PITR_SANDBOX_H
#define PITR_SANDBOX_H

#include <sys/types.h>
#include "pitr/db.h"

struct sandbox;

/*
 * Make DIR (must be absent or empty, or hold a sandbox that was stopped or
 * abandoned before sandbox_leave(), which is removed), initialize a data directory of the given
 * mariadbd (NULL: found in PATH and /usr/sbin), start it.  NULL with err and
 * the last lines of its error log.  lower_case_table_names is set as at the
 * source.  It runs as the current user.
 */
struct sandbox *sandbox_start(const char *dir, const char *mariadbd,
    int lower_case_table_names);
const struct db_conf *sandbox_conf(const struct sandbox *s); /* borrowed */
pid_t sandbox_pid(const struct sandbox *s);
/* Shut down and wait. */
int sandbox_stop(struct sandbox *s); /* frees s */
/* It is complete: let it go on running after pitr ends; prints nothing.  Frees
 * s. */
int sandbox_leave(struct sandbox *s);

#endif
