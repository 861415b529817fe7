/*
 * feed.h -- private to src/replay: a small primary for one replica.
 *
 * The feed is a thread that listens on a loopback port, admits the target's
 * I/O thread and nobody else, answers its queries, and sends it the wanted
 * groups of the plan's segments.  All sockets are non-blocking; the one place
 * that waits is feed_wait(), so a stranger can never hold up the target.
 *
 *   feed.c            the thread, its life, what other threads may ask
 *   feed_listen.c     the port, connections not yet admitted, feed_wait()
 *   feed_packet.c     packets of the client/server protocol
 *   feed_handshake.c  greeting and authentication
 *   feed_query.c      commands and queries of the I/O thread
 *   feed_dump.c       sending events
 *   feed_source.c     which events: the plan through its cutoff
 *   feed_group.c      what a Gtid event says beyond event_gtid()
 *   feed_fold.c       many small transactions, given as one
 *   feed_batch.c      many of their statements, given as one
 *   feed_scope.c, scope_text.c   a part of the log
 *
 * Sources: MariaDB sql/slave.cc, sql/sql_repl.cc; the knowledge base's
 * "Client/Server Protocol" and "Replication Protocol".
 */
#ifndef PITR_REPLAY_FEED_H
#define PITR_REPLAY_FEED_H

#include <poll.h>
#include <stdatomic.h>
#include <pthread.h>
#include "pitr/event.h"
#include "pitr/replay.h"
#include "pitr/segment.h"

/* --- feed_packet.c --- */

#define FEED_PACKET_MAX 0xFFFFFFu   /* a longer payload is split */
#define FEED_LOGIN_MAX 8192u        /* of one who is not admitted yet */
#define FEED_COMMAND_MAX (1u << 20) /* of the target */
#define FEED_FLUSH (256u * 1024u)   /* bytes gathered for one send() */

struct feed_conn {
    int fd;        /* -1: none */
    struct buf in; /* received; used up to in_at */
    size_t in_at;
    struct buf out; /* to be sent; sent up to out_at */
    size_t out_at;
    uint8_t seq; /* of the next packet out */
};

void feed_conn_init(struct feed_conn *c, int fd);
void feed_conn_free(struct feed_conn *c); /* closes */
/* Append a packet to out; n below FEED_PACKET_MAX. */
void feed_packet_add(struct feed_conn *c, const void *p, size_t n);
/* Append the header of a packet whose n bytes follow. */
void feed_packet_head(struct feed_conn *c, size_t n);
/*
 * Take the next packet out of in.  1 with *out (borrowed until the next
 * feed_conn_read()), and seq set for the answer; 0 if it is not whole yet;
 * -1 if it is longer than max.  err is not set.
 */
int feed_packet_take(struct feed_conn *c, size_t max, struct cur *out);
/* 1 something was read, 0 nothing there, -1 the connection is gone. */
int feed_conn_read(struct feed_conn *c);
/* 1 all of out was sent, 0 not yet, -1 the connection is gone. */
int feed_conn_write(struct feed_conn *c);

void feed_packet_ok(struct feed_conn *c);
void feed_packet_eof(struct feed_conn *c);
void feed_packet_error(
    struct feed_conn *c, uint16_t number, const char *state, const char *text);
/* A result of one row, or of none with value NULL; names are the columns. */
void feed_packet_result(struct feed_conn *c, unsigned cols,
    const char *const *name, const char *const *value);

/* --- feed_handshake.c --- */

#define FEED_SALT 20
#define FEED_TOKEN 20
#define FEED_USER "pitr"

struct feed_login {
    char user[128];
    char plugin[64]; /* "" if none was named */
    uint8_t token[FEED_TOKEN];
    size_t token_size; /* what was sent; only FEED_TOKEN counts */
};
void feed_salt(char salt[FEED_SALT + 1]);
void feed_greeting(struct feed_conn *c, const char *server_version,
    uint32_t thread_id, const char salt[FEED_SALT + 1]);
/* Ask for mysql_native_password. */
void feed_auth_switch(struct feed_conn *c, const char salt[FEED_SALT + 1]);
/* 0; -1 where it is none (err is not set). */
int feed_login_parse(struct cur *in, struct feed_login *out);
/* The expected answer, computed by the target itself.  0 or -1. */
int feed_token(struct db *db, const char *password,
    const char salt[FEED_SALT + 1], uint8_t out[FEED_TOKEN]);
bool feed_token_equal(const uint8_t *a, const uint8_t *b);

/* --- feed_query.c --- */

struct feed_session { /* what the I/O thread has told us */
    bool has_state;
    struct gtid_pos state; /* @slave_connect_state */
    uint64_t heartbeat_us; /* 0: none asked for */
    bool annotated; /* it wants Annotate_rows, the texts of row changes */
};
struct feed_answers {   /* what it is told */
    uint32_t server_id; /* of the primary that is played */
    bool checksum;      /* of the first event it gets */
    const char *version;
};
void feed_session_free(struct feed_session *s); /* content */
enum feed_command { FEED_ANSWERED, FEED_DUMP, FEED_QUIT };
/* Answer one command packet into c->out. */
enum feed_command feed_command(struct feed_conn *c, struct cur in,
    const struct feed_answers *answers, struct feed_session *s);

/* --- feed_group.c --- */

/* What was begun and is not completed yet, in log order. */
struct feed_opens {
    struct event_gtid *v;
    size_t n, cap;
};
void feed_opens_note(struct feed_opens *o, const struct event_gtid *g);
/* Text for people; NULL if there is nothing.  Owned. */
char *feed_opens_text(const struct feed_opens *o);
/* X'..',X'..',N: as XA statements take it. */
void feed_xid_sql(const struct event_xid *x, struct buf *out);

/* --- feed_source.c --- */

/* The groups of the plan's segments that the cutoff lets through. */
struct feed_source;
struct feed_source *feed_source_new(const struct replay_conf *conf);
void feed_source_free(struct feed_source *s);
/*
 * Go on after the groups that a replica in state pos has: at the start the
 * backup's position, after a broken connection what it got.  -1 (ERR_FAILED)
 * where that is no state the feed has brought about.
 */
int feed_source_seek(struct feed_source *s, const struct gtid_pos *pos);
/* 1 with an event (borrowed until the next call) of a wanted group and its
 * step; 0 at the end; -1. */
int feed_source_next(struct feed_source *s, struct event *e, int *step);
/* Format_description of the segment that is read, as archived. */
const struct buf *feed_source_format(const struct feed_source *s);
/* Was the server started anew before the group that is read, which is the
 * first one since?  Its temporary tables are gone then. */
bool feed_source_restarted(const struct feed_source *s);
/* State of a replica that has all that was given so far. */
const struct gtid_pos *feed_source_state(const struct feed_source *s);
const struct cutoff_state *feed_source_cutoff(const struct feed_source *s);
const struct feed_opens *feed_source_opens(const struct feed_source *s);
uint64_t feed_source_bytes(const struct feed_source *s);

/* Do all domains that the plan's segments have end where s ended? */
bool feed_cutoff_over(
    const struct replay_conf *conf, const struct cutoff_state *s);
/* ERR_GAP: the server itself says that its log lacks something. */
int feed_incident(const struct cutoff_state *s, const char *segment);

/* --- feed_batch.c --- */

#define FEED_BATCH_TABLES 32 /* of a statement */

struct feed_batch {
    bool on;         /* the target lets it */
    uint64_t off_at; /* but not after this many bytes of the source */
    char **parent;   /* "schema/table" of those that foreign keys refer to */
    size_t parents;
    struct buf out; /* what was made */
    /* The statement that is open: its Table_maps, its rows. */
    struct buf maps, rows;
    size_t last;   /* of rows: where the last event begins */
    uint32_t when; /* its second */
    struct feed_batch_map {
        uint64_t id;
        size_t at; /* in maps */
    } map[FEED_BATCH_TABLES];
    size_t n;
};
void feed_batch_free(struct feed_batch *b); /* content */
/* names: owned from now on, and put in order. */
void feed_batch_parents(struct feed_batch *b, char **names, size_t n);
/*
 * Join the statements of body (whole ones, as feed_fold_take() has seen them)
 * into out.  checksum: of its events.  0, or -1 (ERR_FAILED).
 */
int feed_batch_make(
    struct feed_batch *b, const struct buf *body, bool checksum);
/* A statement goes by: after one that may bring about what does not let
 * statements be joined, they are not any more. */
void feed_batch_query(
    struct feed_batch *b, const char *sql, size_t n, uint64_t at);
/* Of a Table_map, or an event of rows. */
uint64_t feed_table_id(const struct event *e);
bool feed_ends_statement(const struct event *e);
/* Does the text contain the word (in small letters), in whatever case? */
bool feed_sql_has(const char *sql, size_t n, const char *word);

/* --- feed_fold.c --- */

struct feed_fold {
    bool on;         /* the target lets it */
    uint64_t off_at; /* but not after this many bytes of the source */
    /* What is gathered: groups that are whole, as one. */
    unsigned groups;
    uint64_t at;                /* bytes the source had given before them */
    struct buf gtid, body, end; /* events as archived */
    struct event_gtid info;
    struct feed_batch batch;
    /* The group that is being read. */
    bool gathering;
    struct buf next_gtid, next;
    struct event_gtid next_info;
    uint64_t next_at;
    uint32_t next_is; /* the server of all of its events */
    uint64_t *table;  /* of its statement that is being read: their ids */
    size_t tables, cap;
    bool rows; /* and some of its rows have been read */
};
enum fold_step {
    FOLD_TAKEN,
    FOLD_WHOLE, /* e, a Xid, ends a group that can be folded */
    FOLD_NOT    /* the group is none of those; e was not taken */
};
void feed_fold_free(struct feed_fold *o);  /* content */
void feed_fold_reset(struct feed_fold *o); /* nothing gathered */
/* Could the group that this Gtid event begins be folded?  at: bytes that the
 * source has given so far. */
bool feed_fold_begins(struct feed_fold *o, const struct event *e, uint64_t at);
/* The next event of a group that could; see enum fold_step. */
enum fold_step feed_fold_take(
    struct feed_fold *o, const struct event *e, int step);
/* Is there room for the group that was read, among those gathered? */
bool feed_fold_fits(const struct feed_fold *o);
/* It is one of those gathered from now on. */
void feed_fold_join(struct feed_fold *o, const struct event *xid);
/* What is to be sent between gtid and end, borrowed.  0, or -1. */
int feed_fold_body(struct feed_fold *o, bool checksum, const struct buf **out);
/* The events of a buffer one by one: 1, or 0 at the end.  Only the header's
 * fields are set in *out. */
int feed_fold_event(const struct buf *b, size_t *at, struct event *out);
/* A statement goes by: after one that may version a table by transactions,
 * where their number matters, nothing is folded any more.  See also
 * feed_batch_query(). */
void feed_fold_query(struct feed_fold *o, const struct event *e, uint64_t at);

/* --- scope_text.c --- */

enum scope_text {
    SCOPE_TEXT_WANTED,
    SCOPE_TEXT_UNWANTED,
    SCOPE_TEXT_ROWS, /* the same, of one that changes rows: by a trigger or a
                        function it may have done more than it says */
    SCOPE_TEXT_MIXED
};
/* Is what a statement touches wanted?  session: its schema. */
enum scope_text scope_text(const struct scope *s, const char *session,
    const char *sql, size_t n, uint64_t sql_mode);

/* --- scope_rename.c --- */

/* A definition's text (of SCOPE_TEXT_WANTED) by the schemas' other names; false
 * where it has none. */
bool scope_rename_text(const struct scope *s, const char *sql, size_t n,
    uint64_t sql_mode, struct buf *out);

/* --- feed_scope.c --- */

struct feed_scope_table {
    uint64_t id;
    bool wanted;
    bool orphan, followed; /* scope_is_orphan(), and scope_is_followed() */
    const struct scope_foreign *on_delete, *on_update; /* or NULL */
};
struct feed_scope {
    const struct scope *scope; /* NULL: all is wanted */
    bool standalone;
    struct buf gtid;    /* of a standalone group, not sent yet */
    struct buf held;    /* goes with the statement that follows */
    struct buf maps;    /* the tables of the statement that are wanted */
    struct buf pending; /* the last event of rows that is wanted */
    bool no_keys;       /* it goes without foreign keys */
    struct feed_scope_table *table; /* of the statement */
    size_t tables, cap;
    struct buf out;
    bool took_query;   /* a statement is in it */
    uint64_t left_out; /* statements that are SCOPE_TEXT_ROWS */
    /* Events of rows of which the server changed more than they say, in tables
     * that are wanted; by what, the first time. */
    uint64_t cascaded;
    const struct scope_foreign *cascade;
};
void feed_scope_free(struct feed_scope *o); /* content */
void feed_scope_reset(struct feed_scope *o);
/* An event of a group; what is to be sent of it is in out.  0, or -1. */
int feed_scope_take(struct feed_scope *o, const struct event *e, int step);

/* --- feed_directory.c --- */

/* Of a statement that names directories of the source: 1 with *out, the same
 * without, borrowed from space; 0: it does not; -1. */
int feed_directory(const struct event *e, struct buf *space, struct event *out);

/* --- feed_kept.c --- */

/* Schemas of the target that are none of this restore. */
struct feed_kept {
    char **name;
    size_t n;
};
void feed_kept_free(struct feed_kept *k); /* content */
/* As a restore that is under way has noted them.  0, or -1. */
int feed_kept_read(struct db *db, const struct scope *s, struct feed_kept *out);
/* Would a statement make, alter or drop one of them?  0, or -1 (ERR_FAILED). */
int feed_kept_check(const struct feed_kept *k, const struct event *e);

/* --- feed.c, feed_listen.c, feed_dump.c --- */

#define FEED_PENDING 16

struct feed_pending { /* connected, not admitted */
    struct feed_conn c;
    char salt[FEED_SALT + 1];
    char user[128];
    uint64_t deadline_us;
    bool switched;
};

/* How a step of the feed's thread ended; -1 with err is the fourth. */
enum feed_state { FEED_GO, FEED_LOST, FEED_STOP };

struct feed {
    const struct replay_conf *conf;
    struct feed_source *source;
    pthread_t thread;
    bool started;
    char *password;
    char *version;      /* as the greeting gives it */
    uint32_t server_id; /* of the primary that is played */
    uint32_t target_id; /* events of this server would be dropped */
    int listen_fd, wake_fd;
    unsigned port;
    uint32_t next_id; /* of connections */
    struct db *db;    /* computes tokens; opened when first needed */
    struct feed_pending pending[FEED_PENDING];
    struct feed_conn conn, next; /* the target; the one that replaces it */
    struct feed_session session;

    /* of the dump under way */
    bool checksum; /* of what the replica gets next */
    char file[32]; /* the file name it was told last */
    unsigned file_no;
    uint64_t file_pos; /* where it thinks it is in there */
    struct buf format; /* the last Format_description sent */
    struct feed_fold fold;
    struct feed_scope part;
    struct feed_kept kept;
    struct buf changed; /* a statement that is not as it was archived */
    bool directories;   /* there was one, which was told */
    uint64_t sent_us;   /* when something was sent last */

    /* shared */
    atomic_bool stop, ended, failed;
    atomic_uint admitted;              /* connections so far */
    atomic_uint_least64_t sent, limit; /* bytes of events */
    struct err_saved *err;
    struct gtid_pos final; /* once ended: of a replica that has all */
};

/*
 * Start feeding.  target_id: the server id that the target has meanwhile.
 * fold: may small transactions be given as one?  kept: of the target.  Their
 * content is the feed's from now on; NULL is no, and none.  conf is borrowed
 * until feed_stop().
 */
struct feed *feed_start(const struct replay_conf *conf, uint32_t target_id,
    const struct feed_fold *fold, const struct feed_kept *kept);
/* More may be sent: up to this many bytes since the start. */
void feed_allow(struct feed *f, uint64_t limit);
/*
 * End the thread.  0; or -1 with the error it ended with.  The source and what
 * it knows remain until feed_free().
 */
int feed_stop(struct feed *f);
void feed_free(struct feed *f); /* NULL is fine */

int feed_listen(struct feed *f);
/* Wait until the connection can be read (or written, with out), for at most
 * timeout_ms, serving those who knock meanwhile. */
enum feed_state feed_wait(struct feed *f, bool out, int timeout_ms);
/* Send what has been gathered. */
enum feed_state feed_flush(struct feed *f);
/* Send events until the connection or the feed ends: enum feed_state or -1. */
int feed_dump(struct feed *f);

/* --- target.c --- */

struct target; /* the settings and the replication connection of a target */
/* Statements of this session have the one-time password: in no log of the
 * target. */
int target_quiet(struct db *db);
struct target *target_open(const struct replay_conf *conf);
void target_close(struct target *t);
struct db *target_db(struct target *t);
uint32_t target_server_id(const struct target *t); /* for the time */
/* Is it fit?  Removes what a dead replay left behind. */
int target_check(struct target *t);
int target_end_leftover(struct target *t);
/* The same; then settings for the time, gtid_slave_pos. */
int target_prepare(struct target *t);
/* threads: "" for both, "IO_THREAD". */
int target_connect(
    struct target *t, unsigned port, const char *password, const char *threads);
struct target_status {
    bool idle; /* the applier has read all there is */
    bool io_running, sql_running;
    unsigned io_errno, sql_errno;
    uint64_t relay_bytes;
    char *io_error, *sql_error; /* owned */
};
int target_status(struct target *t, struct target_status *out);
void target_status_free(struct target_status *s);
int target_position(struct target *t, struct gtid_pos *out);
int target_disconnect(struct target *t);
/* Put what is left prepared of opens out of the way, set the final position,
 * settings back.  Safe to call whatever has been done before. */
int target_finish(struct target *t, const struct feed_opens *opens,
    const struct gtid_pos *pos);

/* --- target_fold.c --- */

/*
 * May many transactions come as one, as it makes no difference to the target?
 * It logs none of them, and has no table that is versioned by transaction
 * number.  And many statements?  0 with out->on and out->batch, or -1.
 */
int target_may_fold(struct target *t, struct feed_fold *out);

#endif
