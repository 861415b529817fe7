/*
 * stop.h -- SIGINT, SIGTERM and SIGHUP ask a command to end in good order.
 *
 * Long loops look at stop_asked() between units of work and return -1 after
 * stop_error().  A second signal ends the process at once; only SIGHUP, which
 * a terminal that is closed sends more than once, counts as one.
 */
#ifndef PITR_STOP_H
#define PITR_STOP_H

#include <stdbool.h>
#include <stdint.h>

void stop_setup(void);  /* installs the handlers; SIGPIPE is ignored */
bool stop_asked(void);  /* async-signal-safe, any thread */
int stop_signal(void);  /* which one; 0 if none */
int stop_error(void);   /* sets "stopped by SIGTERM"; returns -1 */
/* A descriptor that becomes readable when a stop is asked, for poll(). */
int stop_fd(void);
/* Sleep, but wake at a stop.  Returns true if a stop was asked. */
bool stop_sleep_us(uint64_t us);

#endif
