/*
 * sftp.h -- what the files of the SFTP store share.
 *
 *   store   struct vault: up to SFTP_CONNS_MAX connections, opened on demand,
 *           and folders looked at lately (sftp_list.c)
 *   conn    one SSH session with one SFTP channel (sftp_session.c,
 *           sftp_auth.c), shared by several sinks and sources
 *   wire    requests of SFTP version 3, many in flight (sftp_wire.c); the
 *           client of libssh 0.10 waits a round trip for every packet it
 *           writes, and its structures are private from 0.11 on, so only
 *           libssh's channels are used
 *
 * Locks: a connection's is held from vault_enter() to vault_leave(), by one
 * thread at a time in the order in which they came; the store's is never held
 * while waiting for the network.
 */
#ifndef PITR_STORE_SFTP_H
#define PITR_STORE_SFTP_H

#include <libssh/libssh.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "extents.h"
#include "pitr/buf.h"
#include "pitr/store_driver.h"
#include "sftp_url.h"

#define SFTP_CONNS_MAX 16
/* What every server takes in one packet (draft-ietf-secsh-filexfer-02, 3). */
#define SFTP_CHUNK ((size_t)32768)
/* So much in flight fills the 2 MiB window of OpenSSH's server. */
#define SFTP_FLIGHT 96

struct vault_req; /* one request and its reply */

struct vault_conn {
    struct vault *store;
    pthread_mutex_t mutex; /* for the two tickets */
    pthread_cond_t turn;
    unsigned long next_ticket, serving;
    unsigned users; /* sinks, sources and calls; under the store's lock */

    /* All below: between enter and leave only. */
    ssh_session ssh;
    ssh_channel channel; /* NULL while there is no connection */
    unsigned generation; /* counts connections: handles belong to one */
    uint32_t next_id;
    struct vault_req *first, **last; /* in flight, in the order sent */
    struct buf in;                   /* received, not parsed yet */
    size_t in_at;
    unsigned reading; /* READ and READDIR requests in flight */
    bool has_fsync, has_statvfs;
    uint64_t heard_us; /* monotonic: last sign of life */
    char why[256];     /* of the loss */
};

struct vault_folder; /* sftp_folder.h */
struct vault_ahead;  /* sftp_ahead.c */

struct vault {
    struct sftp_url url;
    struct store_sftp_conf conf; /* its strings are owned; no zeros */
    char *base; /* the store's directory, absolute; set once, at opening */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* of the keeper */
    atomic_bool closing, warned_fsync;
    bool keeper_runs;
    pthread_t keeper;
    pthread_t warm[SFTP_CONNS_MAX]; /* of the one who opened it */
    unsigned warming;
    struct vault_conn conn[SFTP_CONNS_MAX];
    struct vault_folder *folders;
    struct vault_ahead *ahead;
    uint64_t changes; /* of what the folders have, by us */
};

/* --- sftp_session.c, sftp_auth.c, sftp_tcp.c --- */

/* Connect, or -1 with err; *again says whether it may go better later. */
int vault_connect(struct vault_conn *c, bool *again);
void vault_disconnect(struct vault_conn *c); /* frees what libssh holds */
int vault_authenticate(struct vault *s, ssh_session ssh, bool *again);
/* A connected socket with keepalive, or -1 with err. */
int vault_tcp_connect(
    const char *host, unsigned port, uint64_t connect_us, uint64_t silence_us);

/* --- sftp_pool.c --- */

struct vault_conn *vault_acquire(struct vault *s); /* the least used one */
void vault_release(struct vault_conn *c);
/* Lock it, and connect it where it is not: 0.  -1 with err, and it is not
 * locked then; *again (may be NULL) as above. */
int vault_enter(struct vault_conn *c, bool *again);
/* Lock it only where it still is that connection. */
bool vault_enter_same(struct vault_conn *c, unsigned generation);
void vault_leave(struct vault_conn *c);
/* Run op on a connection, again on a new one where it was lost, until
 * conf.retry_us have passed. */
int vault_run(
    struct vault *s, int (*op)(struct vault_conn *c, void *arg), void *arg);
/* Sleep before the next attempt; false where it is time to give up. */
struct vault_retry {
    uint64_t since_us; /* of the first failure; 0: none */
    unsigned times;
};
bool vault_retry(struct vault *s, struct vault_retry *r);
/* Connect so many of them, each in a thread that ends then; once.  What fails
 * is found again by who needs it. */
void vault_warm(void *impl, unsigned connections);
int vault_pool_start(struct vault *s);
void vault_pool_stop(struct vault *s);

/* --- sftp_wire.c: between enter and leave --- */

enum {
    SFTP_REQ_OPEN = 3,
    SFTP_REQ_CLOSE = 4,
    SFTP_REQ_READ = 5,
    SFTP_REQ_WRITE = 6,
    SFTP_REQ_LSTAT = 7,
    SFTP_REQ_FSTAT = 8,
    SFTP_REQ_OPENDIR = 11,
    SFTP_REQ_READDIR = 12,
    SFTP_REQ_REMOVE = 13,
    SFTP_REQ_MKDIR = 14,
    SFTP_REQ_RMDIR = 15,
    SFTP_REQ_REALPATH = 16,
    SFTP_REQ_STAT = 17,
    SFTP_REQ_EXTENDED = 200,
    SFTP_STATUS = 101,
    SFTP_HANDLE = 102,
    SFTP_DATA = 103,
    SFTP_NAME = 104,
    SFTP_ATTRS = 105,
    SFTP_EXTENDED_REPLY = 201
};

enum vault_status {
    SFTP_OK = 0,
    SFTP_EOF = 1,
    SFTP_NO_SUCH_FILE = 2,
    SFTP_DENIED = 3,
    SFTP_FAILURE = 4,
    SFTP_UNSUPPORTED = 8,
    SFTP_EXISTS = 11,
    SFTP_WRITE_PROTECT = 12,
    SFTP_NO_SPACE = 14, /* of version 5 and 6; some servers send them */
    SFTP_QUOTA = 15
};

struct vault_req {
    struct vault_req *next;
    uint32_t id;
    bool done, lost; /* lost: the connection was, before the answer */
    bool orphan;     /* nobody waits: freed when answered */
    uint8_t type;    /* of the reply */
    uint32_t status; /* where type is SFTP_STATUS */
    uint8_t *data;   /* the reply from its id on; owned */
    size_t len;
    bool is_read;
    uint64_t offset; /* for the one who asked */
    uint32_t asked;
};

struct vault_attrs {
    bool has_size, has_mode, has_mtime;
    uint64_t size;
    uint32_t mode, mtime_s;
};

/* A packet is built in b: begin, fields, vault_send(). */
void vault_begin(struct buf *b, uint8_t type);
void vault_put_u32(struct buf *b, uint32_t v);
void vault_put_u64(struct buf *b, uint64_t v);
void vault_put_bytes(struct buf *b, const void *p, size_t n); /* a string */
void vault_put_str(struct buf *b, const char *s);
uint32_t vault_get_u32(struct cur *c);
uint64_t vault_get_u64(struct cur *c);
const uint8_t *vault_get_bytes(struct cur *c, size_t *n);
void vault_get_attrs(struct cur *c, struct vault_attrs *a);

/* Send it; NULL with err where the connection is lost.  b is reset. */
struct vault_req *vault_send(struct vault_conn *c, struct buf *b);
/* Take in what has arrived already, without waiting. */
void vault_poll(struct vault_conn *c);
/* Wait for the reply: 0, or -1 with err where the connection is lost. */
int vault_wait(struct vault_conn *c, struct vault_req *r);
/* r is not wanted any more.  NULL is fine. */
void vault_drop(struct vault_req *r);
/* Send and wait, the reply must be of that type or a status.  NULL and err. */
struct vault_req *vault_ask(struct vault_conn *c, struct buf *b, uint8_t type);
/* The connection is of no use any more: mark it so.  Returns -1 with err. */
int vault_lose(struct vault_conn *c, const char *fmt, ...) PRINTF(2, 3);
int vault_lost(struct vault_conn *c);  /* err: it was lost, and why; -1 */
int vault_hello(struct vault_conn *c); /* INIT, VERSION */
/* err from a status that is not OK: "cannot DO PATH: ...".  -1. */
int vault_fail(struct vault_conn *c, const struct vault_req *r,
    const char *verb, const char *path);

/* --- sftp_file.c: one file, between enter and leave --- */

struct vault_handle {
    uint8_t v[256];
    size_t n;
};

enum { SFTP_FOR_READING = 0x01, SFTP_NEW_FOR_WRITING = 0x02 | 0x08 | 0x20 };

/* The status; -1 with err where the connection is lost or the reply bad. */
int vault_open_file(struct vault_conn *c, const char *path, uint32_t flags,
    struct vault_handle *h);
/* The handle of a reply SFTP_HANDLE; false where there is none that may be. */
bool vault_take_handle(const struct vault_req *r, struct vault_handle *h);
void vault_close_later(struct vault_conn *c, const struct vault_handle *h);
/* Ask for n bytes from there on, without waiting; `offset` and `asked` of the
 * request are set.  NULL with err. */
struct vault_req *vault_send_read(struct vault_conn *c,
    const struct vault_handle *h, uint64_t from, uint32_t n);
/* The bytes of a reply SFTP_DATA, borrowed; NULL where they are not what was
 * asked for. */
const uint8_t *vault_take_data(const struct vault_req *r, size_t *n);
/* Status, or -1.  with follow symbolic links are followed. */
int vault_stat_file(
    struct vault_conn *c, const char *path, bool follow, struct vault_attrs *a);
struct vault_req *vault_send_fsync(
    struct vault_conn *c, const struct vault_handle *h);
/* sftp_room.c: what the server says of the file system there; out is zeroed
 * before, and not `known` where the server has no such request.  -1: lost. */
int vault_statvfs(struct vault_conn *c, const char *path,
    struct store_room *out, uint64_t *inodes, uint64_t *inodes_free);
int vault_room(void *impl, struct store_room *out);
int vault_may_remove(void *impl);
/* A sentence on why writing there may have failed, or "". */
const char *vault_full(struct vault_conn *c, const char *path, char out[160]);
char *vault_path(const struct vault *s, const char *name); /* caller owns */
/* "FOLDER/" or "" of a name; caller owns. */
char *vault_folder_of(const char *name);

/* --- sftp_list.c --- */

/* The extents of an object, sorted; with fresh, asked for now.  Used as the
 * op of vault_run(). */
struct vault_lookup {
    const char *name;
    bool fresh;
    struct extents found;
};
int vault_lookup(struct vault_conn *c, void *lookup);
/* The folders of these objects, as far as they are not remembered, are read
 * together, for lookups that follow. */
int vault_know_folders(
    struct vault_conn *c, const char *const *name, size_t n);
void vault_forget(struct vault *s, const char *name); /* its folder changed */
void vault_forget_all(struct vault *s);
int vault_list(
    void *impl, const char *prefix, bool flat, struct store_list *out);

/* --- sftp_ahead.c --- */

void vault_prefetch(void *impl, const char *const *name, size_t n);
/* So many bytes of the object from there on were prefetched, and are in p now;
 * 0: none. */
size_t vault_ahead_read(
    struct vault *s, const char *name, uint64_t at, void *p, size_t n);
void vault_ahead_forget(struct vault *s);

/* --- sftp_read.c, sftp_write.c, sftp_remove.c --- */

struct source *vault_get(void *impl, const char *name, uint64_t offset);
struct sink *vault_put(void *impl, const char *name, enum store_put how);
struct sink *vault_append(void *impl, const char *name, uint64_t offset);
int vault_stat(void *impl, const char *name, uint64_t *size);
int vault_written(void *impl, const char *name, uint64_t *us);
int vault_remove(void *impl, const char *name);
/* Opened as of a moment: err, true. */
bool vault_in_the_past(struct vault *s);

#endif
