/*
 * log.h -- lines for people, on standard error.
 *
 * On a terminal: "warning: ..."; otherwise each line starts with the UTC time.
 * A warning also counts: main() exits with 3 where a command that succeeded
 * has warned.  Safe from any thread; a line is written in one piece.
 */
#ifndef PITR_LOG_H
#define PITR_LOG_H

#include <stdbool.h>
#include "pitr/err.h"

enum log_level { LOG_QUIET, LOG_NORMAL, LOG_VERBOSE };

void log_setup(enum log_level level);
bool log_quiet(void); /* was --quiet asked for? */
void log_info(const char *fmt, ...) PRINTF(1, 2);  /* not with --quiet */
void log_debug(const char *fmt, ...) PRINTF(1, 2); /* only with --verbose */
void log_warn(const char *fmt, ...) PRINTF(1, 2);  /* counts */
/* What was warned of before, and is still so: counts; not with --quiet. */
void log_warn_again(const char *fmt, ...) PRINTF(1, 2);
unsigned log_warnings(void); /* how many so far in this process */

/*
 * A status line on a terminal is drawn by progress.c; it registers these so
 * that a log line does not run into it.
 */
void log_set_hooks(void (*before)(void), void (*after)(void));

#endif
