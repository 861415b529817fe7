/*
 * rows_wire.h -- the packets of a result that is being read (rows_wire.c).
 */
#ifndef PITR_ROWS_WIRE_H
#define PITR_ROWS_WIRE_H

#include "db_internal.h"

struct rows_wire {
    struct db *db; /* borrowed */
    bool own;      /* read here, and not by the library */
    uint8_t *data;
    size_t from, to, cap; /* what is read and not used yet; room */
    uint8_t number;       /* of the next packet */
};

/* From now to rows_wire_end() the library reads nothing from db. */
void rows_wire_start(struct rows_wire *w, struct db *db);
/* The next packet, of at least one byte, borrowed until the next call; -1 where
 * it is an error's, or does not come. */
int rows_wire_next(struct rows_wire *w, const uint8_t **p, size_t *n);
void rows_wire_end(struct rows_wire *w); /* also where it was not started */

#endif
