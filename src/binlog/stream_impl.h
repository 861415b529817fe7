/*
 * stream_impl.h -- what the files of the stream share.
 *
 * stream.c runs sessions and tries again; stream_session.c is one connection
 * from its begin to its end; stream_connect.c makes it; stream_origin.c says
 * from where; stream_identity.c says whether the server still has the log of
 * which the repository holds the beginning; stream_store.c puts events into
 * segments; stream_clock.c knows up to which moment nothing is missing;
 * stream_ack.c acknowledges; stream_pace.c reads in bursts where nobody waits
 * for that; stream_tell.c tells `pitr status`; stream_later.c is the comparison
 * that the server answers late.
 */
#ifndef PITR_STREAM_IMPL_H
#define PITR_STREAM_IMPL_H

#include "pitr/repl.h"
#include "pitr/segment.h"
#include "pitr/stream.h"

struct later;

struct identity {
    uint32_t server_id;
    char *uid; /* "" where the server has none */
    char *version;
    bool node;    /* of a Galera cluster */
    bool numbers; /* whose nodes give a transaction the same GTID */
};

/* An acknowledgement that the server waits for. */
struct ack {
    uint64_t since_us; /* monotonic; 0: it waits for none */
    char *file;
    uint64_t pos;
    /* With stream_conf.durable: what the vaults have to have; of stream.ack:
     * for ack_wants_to_begin(). */
    char *name;
    uint64_t size;
};

/* Those for what is durable here, but not yet there; the oldest first. */
#define ACKS_MAX 256
struct acks {
    struct ack v[ACKS_MAX];
    size_t n;
};

/* What the server says of its waiting. */
struct semisync {
    bool known, enabled, on;
    uint64_t clients;
    uint64_t asked_us; /* monotonic */
    uint64_t off_us;   /* host's clock: since when not; 0 */
};

/* Where a connection starts, and so the next segment. */
struct origin {
    enum segment_cause cause;
    char *why; /* of a gap; of one before the first segment, too */
    struct gtid_pos gtid;
    char *file; /* the server's, in which that position is; "" unknown */
    uint64_t pos;
};

/* Up to which moment of the server's clock nothing is missing. */
struct caught {
    uint64_t asked_us;       /* monotonic: when the server was asked last */
    uint64_t moment_us;      /* its clock then; 0: no question is open */
    struct gtid_pos missing; /* what has to come until that is true */
    uint64_t known_us;       /* all that was committed before is appended */
};

/* Reading in bursts. */
struct pace {
    uint64_t rest_us; /* between bursts; 0: there are none */
    uint64_t bytes;   /* of the report, when this one began */
    uint64_t
        since_us; /* monotonic: what it reads may have waited since; or 0 */
    bool full;    /* it ends when the server's position is reached */
    bool ask;     /* ... for which the server is to be asked */
};

struct stream {
    const struct stream_conf *conf;
    struct stream_report *report;
    struct db_conf source; /* conf's, with a time limit for answers */
    uint32_t server_id;    /* ours */
    uint64_t heartbeat_us; /* asked for; see stream.c */
    uint64_t stall_us;     /* see stall_check() */
    uint64_t event_us;     /* monotonic: the last event that is stored */

    struct segment_tail tail; /* of what is closed */
    uint64_t index_due;       /* see segment_index_update() */
    struct segment_writer *writer;
    struct group_state group;
    struct event gtid_event; /* with which it began */
    struct buf gtid_raw;     /* its bytes */
    uint64_t gtid_at;        /* and where they are in the server's file */
    uint64_t begun_us;       /* monotonic: the open segment */
    uint64_t dirty_since_us; /* monotonic: first event not yet durable; or 0 */
    uint64_t flushed_us;     /* monotonic */

    struct db *side; /* for questions; NULL where it is lost */
    struct repl *repl;
    struct identity server;
    struct origin from;
    char *gap; /* the position is known to be gone, and why; NULL */
    struct caught caught;
    struct ack ack;
    struct acks acks;
    struct ack before; /* see ack_before() */
    struct semisync semi;
    struct pace pace;
    uint64_t started_us; /* host's clock */
    uint64_t told_us;    /* monotonic: stream_tell() */
    bool failed;         /* it has ended, and why is an error */
    char *lost_why;      /* of the outage */
    uint64_t lost_us;    /* monotonic: when an outage began; 0: there is none */
    bool streamed;       /* a connection was of use once */
    bool checked; /* the file that the server began with is the right one */
    bool placed;  /* and so is the place of its first transaction */
    bool stored;  /* the log ends with a transaction, not only with the place
                     where it was begun */
    bool agrees;  /* the server has told that its log has the place where tail
                     ends, with what ends there */
    struct later *later; /* what the server has not answered yet; NULL */
};

/* What becomes of a connection. */
enum outcome {
    OUTCOME_GO_ON,
    OUTCOME_END,    /* a stop was asked, or all is in that was asked for */
    OUTCOME_AGAIN,  /* connect again: the log's end was seen too early, or the
                       server has begun to wait for acknowledgements */
    OUTCOME_SOURCE, /* err is the server's or the connection's */
    OUTCOME_FAULT,  /* err is the repository's */
};

/* stream.c: the server sends; an outage, if there was one, is over. */
void stream_is_back(struct stream *s);

/* stream_session.c: OUTCOME_END, _AGAIN, _SOURCE or _FAULT. */
enum outcome session_run(struct stream *s);

/* stream_connect.c.  -1: the server's error. */
int stream_connect(struct stream *s);
void stream_disconnect(struct stream *s);

/* stream_origin.c: fills s->from.  -1: the server's error, or the
 * repository's. */
int origin_choose(struct stream *s);
void origin_free(struct origin *o);

/* stream_identity.c */
void identity_free(struct identity *i);
int identity_read(struct db *db, struct identity *out);
bool identity_same(const struct identity *i, const struct segment_start *start);
/* Can the log of the server go on where tail ends, as far as it can be known
 * before asking for it?  waits: of a server that may wait for us; or NULL.  1:
 * the same server has that place; 2: nothing speaks against it, with *later
 * where the server has not told yet; 0 with *why (owned); -1. */
int identity_check_log(struct db *db, const struct db_conf *waits,
    const struct identity *i, const struct segment_tail *tail,
    struct later **later, char **why);
/* Of that, the recorded place in the server's files: 1, 0 with *why, 2: it is
 * not there (any more), which says nothing; -1. */
int identity_check_files(struct db *db, const struct segment_state *state,
    const struct gtid_pos *newest, char **why);
/* Is the first transaction that the server sends where none was before?  1; 0
 * with *why. */
int identity_check_place(const struct segment_tail *tail, const char *file,
    const struct event *first, char **why);
/* The same by the first file that the server sends.  1; 0 with *why. */
int identity_check_file(const struct identity *i,
    const struct segment_tail *tail, const char *file, uint32_t created,
    char **why);

/* stream_later.c: identity_check_files() by a thread.  later_result() waits for
 * so long, and gives what that gives, or LATER_OPEN. */
#define LATER_OPEN 3
struct later *later_start(const struct db_conf *source,
    const struct segment_state *state, const struct gtid_pos *newest);
int later_result(struct later *l, uint64_t wait_us, char **why);
const struct gtid_pos *later_since(const struct later *l);
void later_free(struct later *l); /* NULL is fine */

/* stream_store.c.  -1: the repository's error. */
int stream_store_begin(struct stream *s, uint32_t created);
int stream_store_event(struct stream *s, const struct event *e, int step);
int stream_store_flush(struct stream *s);
int stream_store_close(struct stream *s);
/* The position up to which whole transactions are in; borrowed. */
const struct gtid_pos *stream_gtid(const struct stream *s);

/* stream_ack.c: what the server waits for. */
void ack_note(struct stream *s); /* the last event, if it wants one */
/* The server begins with a file, created then: is what we had before durable,
 * and may it wait for that?  -1: the connection's error. */
int ack_before(struct stream *s, uint32_t created);
int ack_before_settle(struct stream *s); /* once it has told its files */
/* All that was noted is durable here.  -1: the connection's error. */
int ack_flushed(struct stream *s);
int ack_settle(struct stream *s); /* what the vaults have by now */
void ack_forget(struct stream *s);
/* May the next connection acknowledge?  Should this one end, for that? */
bool ack_may_begin(struct stream *s);
bool ack_wants_to_begin(struct stream *s);
uint64_t stream_ack_since(const struct stream *s); /* monotonic; 0: none */

/* stream_pace.c */
void pace_begin(struct stream *s);
void pace(struct stream *s, bool idle);

/* stream_tell.c */
void stream_tell(struct stream *s, bool now);
int semisync_ask(struct stream *s); /* -1: the side connection's error */

/* stream_clock.c */
int caught_ask(struct stream *s); /* -1: the side connection's error */
void caught_group(struct caught *c, const struct gtid *g);
void caught_forget(struct caught *c); /* the open question */

#endif
