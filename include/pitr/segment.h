/*
 * segment.h -- the archived binary log: sealed, growing segments in a chain.
 *
 * A segment's plaintext is a binlog file that the stock tools read: magic,
 * the Format_description of the server's file, then events as they came.  A
 * segment never spans two files of the server and is cut only between
 * transactions; where the connection broke inside one, the segment ends with a
 * part of a transaction which readers leave out (`complete_bytes`), and which
 * the next segment has whole.
 *
 * Segments form a chain: each header tells the position at which it starts and
 * the length and digest of the one before.  A gap (the log is not there any
 * more, or it is another log) ends a chain; the next segment starts a new
 * epoch, and its header says why.  Names: "binlog/EEEE-SSSSSSSSSS-TIME"; the
 * order is that of the sequence number.
 *
 * An object without a good mark is an aborted one: its writer died before
 * anything of it was durable (or all of it was lost since).  It counts as
 * nothing, and the next segment takes the next number and links to the one
 * before it.  So an unreadable object is aborted if it is the newest, or if
 * the next segment links around it; if a later one links to it, it is damage.
 */
#ifndef PITR_SEGMENT_H
#define PITR_SEGMENT_H

#include "pitr/event.h"
#include "pitr/gtid.h"
#include "pitr/repo.h"

enum segment_cause {
    SEGMENT_FIRST = 1, /* of the repository */
    SEGMENT_NEXT,      /* goes on where the one before ended */
    SEGMENT_GAP,       /* does not: see why */
};

/* The public note in a segment's header. */
struct segment_start {
    uint32_t epoch; /* from 1 */
    uint64_t seq;   /* from 1, over all epochs */
    enum segment_cause cause;
    char *why;             /* of a gap: for people; "" otherwise.  Of the
                              first segment: why it does not go on from the
                              backup that was there before */
    struct gtid_pos gtid;  /* state before its first event */
    uint64_t started_us;   /* clock of pitr's host */
    char *server_version, *source_file; /* the server's binlog file */
    uint64_t source_pos;
    uint32_t source_created; /* when that file was begun: the timestamp of its
                                Format_description, server's clock, seconds */
    uint32_t server_id;
    char *server_uid; /* @@server_uid, "" where there is none */
    /* the one before; size 0 for SEGMENT_FIRST */
    char *prev_name;
    uint64_t prev_size; /* bytes that count: up to its last mark */
    uint8_t prev_digest[DIGEST_SIZE]; /* of that mark */
    bool linked; /* the next is told as well; not by early versions */
    uint8_t prev_link[DIGEST_SIZE]; /* see segment_link() */
};

/* The public note in each of its marks. */
struct segment_state {
    uint64_t bytes;          /* plaintext so far */
    uint64_t complete_bytes; /* up to the end of the last whole transaction */
    uint64_t groups;         /* whole transactions so far */
    struct gtid_pos gtid;    /* state after the last whole transaction */
    uint64_t newest_us;      /* latest time of a transaction so far; 0: none */
    uint64_t first_us;       /* time of the first transaction; 0: none */
    /* All that the server committed before this moment (its clock) is in: the
     * stream had caught up then.  0: not known yet. */
    uint64_t complete_until_us;
    /* Where the server has the end of the last whole transaction; from the
     * segment before, while this one has none yet. */
    char *source_file;
    uint64_t source_pos;
    uint64_t marked_us; /* not in the note: when the mark was made, clock of
                           pitr's host; 0: not known */
};
/* Is there a gap before it? */
bool segment_is_gap(const struct segment_start *s);
void segment_start_free(struct segment_start *s); /* content */
void segment_state_free(struct segment_state *s);

void segment_start_format(const struct segment_start *s, struct buf *out);
int segment_start_parse(const void *p, size_t n, struct segment_start *out);
void segment_state_format(const struct segment_state *s, struct buf *out);
int segment_state_parse(const void *p, size_t n, struct segment_state *out);

/*
 * The digest of all that is public at the ends of a segment: its name, the
 * digest of its header, the note in that, the digest of its last mark's own
 * bytes (what it is over includes all the rest).  The next one's header has it,
 * and so vouches for them.
 */
void segment_link(const char *name, const uint8_t header[DIGEST_SIZE],
    const void *note, size_t n, const uint8_t mark[DIGEST_SIZE],
    uint8_t out[DIGEST_SIZE]);
void segment_link_of(const struct seal_header *h, const struct seal_mark *m,
    uint8_t out[DIGEST_SIZE]);
/* The link that a note of a header has in it, not taken apart; NULL. */
const uint8_t *segment_note_link(const void *note, size_t n);

char *segment_name(uint32_t epoch, uint64_t seq, uint64_t started_us);
/* 0, or -1 if name is none of a segment (ERR_VERIFY). */
int segment_name_parse(const char *name, uint32_t *epoch, uint64_t *seq,
    uint64_t *started_us);

/* --- writing (one thread) --- */
struct segment_writer;

/*
 * The end of the chain as it is durable in the repository, found without a
 * secret: the start of the last segment that has a good mark, that mark's
 * state, and the link for the next one.  Returns 1; 0 where there is no segment
 * yet (name is NULL then, last_seq still right); -1.  Aborted ones are warned
 * of and passed over.
 */
struct segment_tail {
    uint64_t last_seq; /* highest number taken, by an aborted one too */
    struct segment_start start;
    struct segment_state state;
    char *name;
    uint64_t size;
    uint8_t digest[DIGEST_SIZE];
    bool linked; /* its link is known */
    uint8_t link[DIGEST_SIZE];
};
int segment_tail_find(struct repo *r, struct segment_tail *out);
/* What was found is durable since then: whose writer was killed may have left it
 * in the system's memory only.  Of a local repository. */
int segment_tail_sync(struct repo *r, const struct segment_tail *tail);
/* Is the place at which it ends that of a transaction of its epoch?  False where
 * that is only where the epoch begins, or where it cannot be told. */
bool segment_tail_stored(struct repo *r, const struct segment_tail *tail);
void segment_tail_free(struct segment_tail *t);

/*
 * Begin a segment.  start has all but prev_*, epoch and seq, which come from
 * tail (as segment_tail_find() or segment_close() left it): cause SEGMENT_GAP
 * begins a new epoch.  format is the Format_description event as it came.  On
 * return the header and a first mark are durable.  start is borrowed, and
 * filled in.
 */
struct segment_writer *segment_begin(struct repo *r,
    const struct segment_tail *tail, struct segment_start *start,
    const struct buf *format, int level);
/* Append an event's raw bytes, whose step in its group is `step`; gtid is that
 * of the group.  pos: server's file offset after it. */
int segment_event(struct segment_writer *w, const struct event *e, int step,
    const struct event_gtid *gtid, uint64_t pos);
/* Make all that was appended durable: frame, mark, sync.  complete_until_us:
 * see segment_state; 0 leaves it as it was. */
int segment_flush(struct segment_writer *w, uint64_t complete_until_us);
uint64_t segment_bytes(const struct segment_writer *w);  /* plaintext */
/* Its name (borrowed), and how many bytes of the object the last flush has made
 * durable. */
const char *segment_place(const struct segment_writer *w, uint64_t *size);
const struct segment_state *segment_now(const struct segment_writer *w);
/* Close it for good, giving the tail for the next; frees w, also on failure.
 * tail is replaced. */
int segment_close(struct segment_writer *w, struct segment_tail *tail);
void segment_abort(struct segment_writer *w); /* leaves it as it is */

/*
 * Write the indexes of the log (log_index.h) for which there are enough closed
 * segments in a local repository, opened for writing.  *due: the number of the
 * segment after which there will be another.
 */
int segment_index_update(struct repo *r, uint64_t *due);

/* --- reading --- */

/* A segment of the catalogue.  There may be a hundred thousand, so what is asked
 * of each comes first. */
struct segment_info {
    char *name;
    uint64_t size;  /* bytes that count */
    /* Why what is before it in the catalogue is not what its link names, for
     * people: something is damaged or missing.  NULL where the link holds. */
    char *broken;
    bool closed;
    bool indexed; /* from an index: the object itself was not looked at */
    bool uncounted; /* while the log is being read */
    struct segment_start start;
    struct segment_state state; /* at its end */
    uint8_t digest[DIGEST_SIZE];
    uint8_t link[DIGEST_SIZE]; /* what the next one's header should have */
};
void segment_info_free(struct segment_info *s);

struct segment_reader;
/*
 * Reads events up to s->state.complete_bytes, beginning with the
 * Format_description.  The end is reported only after all of the segment was
 * seen to be authentic and to agree with s->state.  s is borrowed.
 */
struct segment_reader *segment_open(struct repo *r,
    const struct segment_info *s, const struct secret_key *key);
/* 1 with an event (borrowed until the next call) and its step in its group
 * (enum group_step; the group's Gtid is segment_group()); 0 at the end; -1 */
int segment_read(struct segment_reader *r, struct event *e, int *step);
const struct event_gtid *segment_group(const struct segment_reader *r);
void segment_reader_free(struct segment_reader *r);

#endif
