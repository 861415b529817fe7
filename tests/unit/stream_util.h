/*
 * stream_util.h -- what the tests of the stream share: a server with a table
 * d.t, a repository, a stream in a process of its own, and what each of them
 * has of the log.  A test fails where any of this fails.
 */
#ifndef STREAM_UTIL_H
#define STREAM_UTIL_H

#include <stdbool.h>
#include <sys/resource.h>

#include "pitr/digest.h"
#include "pitr/gtid.h"
#include "pitr/keys.h"
#include "pitr/segment.h"
#include "pitr/stream.h"
#include "testserver.h"

/* How the server is started. */
extern const char *const stream_options[];

struct lab {
    struct testserver ts;
    struct db *db;
    struct secret_key *key;
    struct public_key pub;
    char *dir, *repo_path, *signing_path; /* of the test's repository */
    pid_t stream;                         /* the last one started */
};

/* A transaction as it is in a log. */
struct tx {
    struct gtid gtid;
    uint32_t epoch;
    uint64_t bytes;
    uint8_t digest[DIGEST_SIZE];
};
struct txs {
    struct tx *v;
    size_t n, cap;
};

/* How a stream is started; what is 0 has a default. */
struct run {
    bool once, semisync;
    uint64_t segment_bytes, flush_us;
    uint32_t server_id;
    const char *user;  /* NULL: root */
    rlim_t file_limit; /* bytes of a file that can be written; 0: any */
};

void txs_free(struct txs *t);
/* What the server's own files have, in order; to be given back with
 * txs_free(). */
void oracle(struct lab *l, struct txs *out);
/* What the repository has, in the same form. */
void captured(struct lab *l, struct txs *out);
/* `is` from `at` on is `want` from `from` on. */
void txs_equal(
    const struct txs *is, size_t at, const struct txs *want, size_t from);
/* One statement; the test fails where it fails. */
void sql(struct lab *l, const char *text);
/* l->db, opened anew. */
void sql_open(struct lab *l);
/* An empty repository, in place of the one before. */
void repo_make(struct lab *l);
/* A stream in a process of its own; l->stream. */
void stream_start(struct lab *l, struct run run);
/* Signal it (0: not) and wait: its exit code. */
int stream_end(struct lab *l, int signal);
/* A run with `once`, otherwise as run says, and one as it is: the exit code. */
int stream_once_as(struct lab *l, struct run run);
int stream_once(struct lab *l);
/* The newest segment as it is on disk; 0 where there is none. */
int tail(struct lab *l, struct segment_tail *t);
/* So many times slower is what is tested, as with a sanitizer. */
unsigned slow(void);
/* Wait until all that the server has now is durable. */
void await_captured(struct lab *l);
/* How many transactions the server's files have. */
size_t now_in_log(struct lab *l);
/* Everything since transaction `from` of the server's files is captured. */
void check_all(struct lab *l, size_t from);
/* Wait until the stream has a segment. */
void await_begun(struct lab *l);
/* A connection's worth of writes, in a process of its own: small and large
 * transactions. */
pid_t writer_start(struct lab *l, unsigned seconds, unsigned large_rows);
/* Has it ended?  Then all of it has to have gone well. */
bool writer_ended(pid_t pid, int options_wait);
/* Ends the server's side of a stream's connection, if there is one. */
void kill_dump(struct lab *l);
/* End the server by that signal, start it with these options. */
void server_again(struct lab *l, int signal, const char *const *opts);
/* The tail is of this epoch, which began for a reason that names `why`. */
void check_epoch(struct lab *l, uint32_t epoch, const char *why);
/* The server fails to log what it did. */
void cause_incident(struct lab *l);
/* All files but the newest; the server keeps one as long as it would need it
 * after a crash. */
void purge_all(struct lab *l);
/* The first byte of a file, changed or changed back. */
void spoil(const char *path);

/* A test that failed leaves its stream: teardown of each. */
int stream_after_each(void **state);
/* *state is a new lab; everything of it is removed. */
int stream_setup(void **state);
int stream_teardown(void **state);

#endif
