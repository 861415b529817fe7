/*
 * log_mark.h -- a mark in a server's binary log: something was changed there
 * that the log does not have.
 *
 * A restore into a running server is not logged.  Who captures that server's
 * log sees nothing missing, and would find out when a later moment is restored
 * from an earlier backup.  So the restore writes this mark, a statement that
 * changes nothing, before it begins and when it is done, and the stream takes
 * it for a gap.
 */
#ifndef PITR_LOG_MARK_H
#define PITR_LOG_MARK_H

#include "pitr/db.h"
#include "pitr/event.h"

/* 1; 0 where the server writes no log, or one that has nothing yet, of which
 * nobody can have the beginning; -1. */
int log_mark_write(struct db *db);
/* Is e, a Query event, compressed or not, such a mark? */
bool log_mark_is(const struct event *e);

#endif
