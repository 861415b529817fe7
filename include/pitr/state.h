/*
 * state.h -- what a pitr that runs tells of itself, for `pitr status`.
 *
 * A small text file ".state-NAME" in the local repository, replaced as a whole
 * and never synced: it is of use only while the machine is up.  Nothing but
 * status goes by it; what counts is durable in the objects.  Lines of "key
 * value", numbers in decimal, moments by the host's clock.
 */
#ifndef PITR_STATE_H
#define PITR_STATE_H

#include "pitr/buf.h"

/* Begin the text, or add a line to it; line ends in a value become blanks. */
void state_begin(struct buf *out);
void state_put(struct buf *out, const char *key, const char *value);
void state_put_u64(struct buf *out, const char *key, uint64_t value);

/* Replace the file in that repository (a local path).  Where it cannot be
 * written that is no reason to stop: a debug line says so, and err stays. */
void state_store(
    const char *repository, const char *name, const struct buf *text);

/* NULL where there is none that can be read: then nothing is known. */
struct state;
struct state *state_load(const char *repository, const char *name);
void state_free(struct state *s);
const char *state_get(const struct state *s, const char *key); /* NULL; s may
                                                                   be, too */
uint64_t state_get_u64(const struct state *s, const char *key); /* 0 */

#endif
