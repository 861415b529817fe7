/*
 * repl.h -- the replica's side of the replication protocol, raw packets.
 *
 * Source: MariaDB sql/sql_repl.cc (mysql_binlog_send), sql/slave.cc.
 * Connector/C's mariadb_rpl_* is not used: it acknowledges before the caller
 * could store, and its errors look like an end of file.
 */
#ifndef PITR_REPL_H
#define PITR_REPL_H

#include "pitr/db.h"
#include "pitr/event.h"
#include "pitr/gtid.h"

struct repl_conf {
    uint32_t server_id;    /* ours, unique among the server's replicas: an older
                              dump with the same one is ended by the server;
                              0 (only with until_end) ends none */
    struct gtid_pos start; /* exclusive; empty: from the start of each domain */
    uint64_t heartbeat_us; /* period asked for; 0: the server's own, and a
                              silent connection is never given up */
    bool until_end;        /* end at the end of the log (non-blocking dump) */
    int wake_fd; /* readable: repl_next() ends its wait; 0: none */
    bool semisync; /* be a semi-synchronous replica where the server has it
                      switched on */
};

struct repl;

/* Takes over the connection db (owned from now on, also on failure).
 * NULL with ERR_GAP where the server does not have that position. */
struct repl *repl_open(struct db *db, const struct repl_conf *conf);

enum repl_got {
    REPL_EVENT, /* an event, borrowed until the next call */
    REPL_IDLE,  /* nothing came within wait_us */
    REPL_END,   /* only with until_end */
};
/*
 * REPL_IDLE comes early where a stop was asked (stop.h) while it waited.
 * -1: ERR_UNREACHABLE (connection lost, or longer silent than four heartbeats
 * and a minute: reconnect), ERR_GAP (the server says
 * that the position is not in its log, 1236), ERR_VERIFY (a CRC), ERR_FAILED.
 * Heartbeats are reported as events (type EV_HEARTBEAT).
 */
int repl_next(struct repl *r, uint64_t wait_us, enum repl_got *got,
    struct event *out);
/*
 * Semi-synchronous: does the last event want an acknowledgement?  Then, once it
 * is on stable storage, and so is everything before it: repl_ack() with the
 * repl_file() and repl_offset() that held after that event.  A later
 * acknowledgement includes earlier ones.  Invalidates a borrowed event.
 */
bool repl_wants_ack(const struct repl *r);
/* Is it a semi-synchronous replica?  Not where the server had that switched off
 * when it connected. */
bool repl_acknowledges(const struct repl *r);
int repl_ack(struct repl *r, const char *file, uint64_t offset);
/* Has the next packet come, or its beginning? */
bool repl_more(const struct repl *r);
/* Where the server is: file name and 64-bit offset after the last event. */
const char *repl_file(const struct repl *r); /* borrowed, "" before known */
uint64_t repl_offset(const struct repl *r);
const struct event_format *repl_format(const struct repl *r);
/* The last Format_description as it came; NULL before. Borrowed. */
const struct buf *repl_format_event(const struct repl *r);
/* NULL is fine.  The server's thread ends with the next event or heartbeat that
 * it sends, or when a replica with the same server_id comes. */
void repl_close(struct repl *r);

#endif
