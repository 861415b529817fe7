/*
 * progress.h -- how far a long piece of work is: a bar on a terminal, a plain
 * line every half minute in a log, nothing with --quiet.
 *
 * One at a time a process.  progress_add() may be called from any thread.
 */
#ifndef PITR_PROGRESS_H
#define PITR_PROGRESS_H

#include <stdint.h>

/* total_bytes may be an estimate, or 0 where it is not known. */
void progress_start(const char *what, uint64_t total_bytes);
void progress_add(uint64_t rows, uint64_t bytes);
void progress_note(const char *what); /* what is being done now; copied */
void progress_stop(void);             /* removes the bar */

#endif
