/*
 * err.h -- the error of a thread: its kind, its text, what to do next.
 *
 * A failing function sets it once, where the fault is found, and returns -1
 * or NULL; callers on the way up only add context (err_wrap) or advice
 * (err_hint).  main() prints it and turns its kind into the exit code.  Each
 * thread has its own; err_take() and err_put() carry one from a worker to the
 * thread that waits for it.  All of these are safe to call from any thread.
 */
#ifndef PITR_ERR_H
#define PITR_ERR_H

#include <stdarg.h>

/* The values are the exit codes, documented in pitr(1). */
enum err_kind {
    ERR_NONE = 0,
    ERR_FAILED = 1,       /* anything without a code of its own */
    ERR_USAGE = 2,        /* command line or configuration */
    ERR_WARNINGS = 3,     /* done, but something has to be looked at */
    ERR_NOREPO = 10,      /* no repository, or another one than asked for */
    ERR_LOCKED = 11,      /* another pitr process is at work */
    ERR_KEY = 12,         /* missing, wrong or unreadable key or passphrase */
    ERR_GAP = 13,         /* the binary log is not there for what was asked */
    ERR_VERIFY = 14,      /* an object is not what was written */
    ERR_UNREACHABLE = 15, /* server or vault */
};

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Set the error, replacing any former one and its hint.  Returns -1. */
int err_set(enum err_kind kind, const char *fmt, ...) PRINTF(2, 3);

/* The same, followed by ": " and the text of errno.  Returns -1. */
int err_sys(enum err_kind kind, const char *fmt, ...) PRINTF(2, 3);

/* Put "context: " before the text.  Returns -1, so it can end a function. */
int err_wrap(const char *fmt, ...) PRINTF(1, 2);

/* Say what the user can do; the first hint set after err_set() stays. */
int err_hint(const char *fmt, ...) PRINTF(1, 2);

/* Change only the kind: what was a fault there has a code of its own here. */
int err_rekind(enum err_kind kind);

void err_clear(void);
enum err_kind err_kind(void);    /* ERR_NONE when there is none */
const char *err_text(void);      /* "" when there is none; borrowed */
const char *err_hint_text(void); /* "" when there is none; borrowed */

/* The thread's error as an object: taken (and cleared), put back, freed. */
struct err_saved;
struct err_saved *err_take(void);       /* caller owns; NULL if no error */
int err_put(struct err_saved *saved);   /* takes saved; returns -1 */
void err_saved_free(struct err_saved *saved);

#endif
