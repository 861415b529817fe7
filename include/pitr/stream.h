/*
 * stream.h -- the binary log captured into a repository, without end.
 */
#ifndef PITR_STREAM_H
#define PITR_STREAM_H

#include "pitr/db.h"
#include "pitr/repo.h"
#include "pitr/ship.h"

struct stream_conf {
    const struct db_conf *source;
    struct repo *repo;    /* opened for writing, locked by the caller */
    uint32_t server_id;   /* 0: chosen, unlike any replica's that is known */
    bool once;            /* end when the log as it was at the start is in */
    uint64_t flush_us;    /* durable after this at the latest (1 s) */
    uint64_t segment_bytes; /* plaintext after which a segment is closed */
    uint64_t segment_us;    /* age after which it is closed */
    int level;
    /* Be one of the replicas for whose acknowledgement a semi-synchronous
     * server waits: given only for what is durable.  Not with `once`. */
    bool semisync;
    /* With semisync: given only for what is durable on the vaults, too. */
    struct ship_watch *durable;
    uint64_t retry_us;    /* longest pause between attempts to connect */
};

struct stream_report {
    uint64_t groups, bytes, segments, gaps, reconnects;
};

/*
 * Runs until a stop is asked (returns 0), the log's end with `once` (0), or a
 * fault that trying again does not mend (-1).  With `once` a server that
 * cannot be reached is a fault; without, it is tried again, with a warning.
 * A gap is recorded, warned of and counted, and the stream goes on; with
 * `once` that is ERR_GAP at the end.
 */
int stream_run(const struct stream_conf *conf, struct stream_report *out);

#endif
