/*
 * spool.h -- a limit on what the local repository holds (spool_limit).
 *
 * What is captured waits here until the vaults have it.  Where that takes too
 * long, backups wait, so that the disk has room for the log, which always goes
 * on.
 */
#ifndef PITR_CMD_SPOOL_H
#define PITR_CMD_SPOOL_H

#include "pitr/conf.h"
#include "pitr/repo.h"

/* NULL where the section sets no limit.  repo is borrowed. */
struct spool;
struct spool *spool_new(const struct conf_server *s, struct repo *repo);
void spool_free(struct spool *s); /* NULL is fine */
/*
 * For a backup, before each part; arg is the spool.  1: there is room.  0: not
 * yet, ask again in a moment; a warning says so, and with keep_local what may
 * go is let go.  -1 with ERR_FAILED: there was none for too long.  Any thread.
 */
int spool_room(void *arg);

/* For the stream: warns when the limit is passed, as long as it runs. */
struct spool_watch;
struct spool_watch *spool_watch_start(struct spool *s); /* NULL gives NULL */
void spool_watch_end(struct spool_watch *w);            /* NULL is fine */

#endif
