/*
 * repl_internal.h -- the state of a replica's connection.
 */
#ifndef PITR_REPL_INTERNAL_H
#define PITR_REPL_INTERNAL_H

#include "db_internal.h"
#include "pitr/repl.h"

struct repl {
    struct db *db; /* owned */
    struct event_format fmt;
    struct buf format_event; /* the last Format_description, raw */
    struct buf file;         /* name, as a string */
    uint64_t offset;
    int wake_fd; /* -1: none */
    bool until_end, ended;
    bool semisync; /* packets carry a header of two bytes more */
    bool wants_ack;
    unsigned long first; /* size of a packet read ahead; 0 none */
    uint64_t heard_us;   /* monotonic: when something last came */
    uint64_t silence_us; /* how long there may be nothing */
};

/* Read the next packet, waiting as long as it takes (bounded by the
 * connection's read time-out).  Its size, or 0 with err. */
unsigned long repl_packet(struct repl *r);

/* What a packet of n bytes, at least one, says; as repl_next(). */
int repl_take(struct repl *r, const uint8_t *p, size_t n, enum repl_got *got,
    struct event *out);

/* Wait until a packet can be read: 1; 0 when wait_us have passed or a stop
 * was asked; -1 (ERR_UNREACHABLE) after too long a silence. */
int repl_wait(struct repl *r, uint64_t wait_us);
/* Limit how long the rest of a packet may take to come. */
void repl_set_read_timeout(struct repl *r, uint64_t us);

#endif
