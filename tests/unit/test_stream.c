/*
 * test_stream.c -- a real server's log into a repository, through all that can
 * happen to either: what is read back with the secret key has to be exactly the
 * transactions of the server's own files, byte for byte, none missing, none
 * twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/binlog/stream_impl.h"
#include "../../src/repo/log_index.h"
#include "pitr/catalog.h"
#include "pitr/digest.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/stream.h"

#include "pitr/times.h"
#include "testserver.h"

static const char *const options[] = {"--log-bin=mb", "--server-id=7",
    "--binlog-format=ROW", "--sync-binlog=1", "--max-allowed-packet=64M", NULL};

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

/* --- transactions out of events --- */

struct collect {
    struct txs *out;
    struct digest *d;
    uint64_t bytes;
    uint32_t epoch;
};

static void
collect_event(
    struct collect *c, const struct event *e, int step, const struct gtid *g)
{
    if (step == GROUP_OUTSIDE)
        return;
    if (step == GROUP_BEGIN) {
        digest_free(c->d);
        c->d = digest_new();
        c->bytes = 0;
    }
    digest_add(c->d, e->raw, e->size);
    c->bytes += e->size;
    if (step != GROUP_END)
        return;
    c->out->v = xgrow(c->out->v, c->out->n, &c->out->cap, sizeof *c->out->v);
    struct tx *t = &c->out->v[c->out->n++];
    t->gtid = *g;
    t->epoch = c->epoch;
    t->bytes = c->bytes;
    digest_get(c->d, t->digest);
}

static void
txs_free(struct txs *t)
{
    free(t->v);
    memset(t, 0, sizeof *t);
}

/* Append the transactions of a binlog file of the server. */
static void
oracle_file(const char *path, struct txs *out)
{
    struct buf b = {0};
    struct event_format fmt = {0};
    struct group_state g = {0};
    struct collect c = {.out = out};

    assert_int_equal(file_read(path, (size_t)1 << 32, &b), 0);
    assert_memory_equal(b.data, BINLOG_MAGIC, 4);
    for (size_t at = 4; at < b.len;) {
        struct cur cur = cur_of(b.data + at, b.len - at);
        struct event e;
        uint32_t size;
        int step = 0;

        cur_bytes(&cur, 9);
        size = cur_u32(&cur);
        if (cur.bad || size > b.len - at)
            break; /* the server is writing it, or crashed */
        if (event_parse(&fmt, b.data + at, size, &e) < 0 ||
            (step = group_next(&g, &e)) < 0)
            fail_msg("%s: %s", path, err_text());
        collect_event(&c, &e, step, &g.gtid.gtid);
        at += size;
    }
    digest_free(c.d);
    buf_free(&b);
}

/* All transactions in the server's files. */
static void
oracle(struct lab *l, struct txs *out)
{
    char *index = xasprintf("%s/data/mb.index", l->ts.dir);
    struct buf b = {0};
    char *line, *rest;

    memset(out, 0, sizeof *out);
    assert_int_equal(file_read(index, 1 << 20, &b), 0);
    for (line = strtok_r((char *)buf_cstr(&b), "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *path = xasprintf("%s/data/%s", l->ts.dir, line);
        oracle_file(path, out);
        free(path);
    }
    buf_free(&b);
    free(index);
}

static void
segment_collect(struct lab *l, struct repo *r, const struct segment_info *s,
    struct txs *out)
{
    struct segment_reader *reader = segment_open(r, s, l->key);
    struct collect c = {.out = out, .epoch = s->start.epoch};
    struct event e;
    int step, rc;

    if (reader == NULL)
        fail_msg("%s", err_text());
    while ((rc = segment_read(reader, &e, &step)) > 0)
        collect_event(&c, &e, step, &segment_group(reader)->gtid);
    if (rc < 0)
        fail_msg("%s", err_text());
    digest_free(c.d);
    segment_reader_free(reader);
}

/* All that was captured, with every link, signature and frame checked. */
static void
captured(struct lab *l, struct txs *out)
{
    struct repo *r = repo_open(l->repo_path, NULL, NULL);
    struct catalog *c;

    memset(out, 0, sizeof *out);
    assert_non_null(r);
    if ((c = catalog_load(r)) == NULL)
        fail_msg("%s", err_text());
    for (size_t i = 0; i < c->segments; i++)
        segment_collect(l, r, &c->segment[i], out);
    catalog_free(c);
    repo_close(r);
}

static void
tx_equal(const struct tx *is, const struct tx *want, size_t i)
{
    char a[GTID_TEXT], b[GTID_TEXT];

    if (!gtid_equal(&is->gtid, &want->gtid))
        fail_msg("transaction %zu is %s, not %s", i, gtid_text(&is->gtid, a),
            gtid_text(&want->gtid, b));
    assert_int_equal(is->bytes, want->bytes);
    assert_memory_equal(is->digest, want->digest, DIGEST_SIZE);
}

/* What is captured, from its transaction `at` on, is want from `from` on. */
static void
txs_equal(const struct txs *is, size_t at, const struct txs *want, size_t from)
{
    assert_true(from <= want->n);
    assert_true(at <= is->n);
    for (size_t i = 0; at + i < is->n && from + i < want->n; i++)
        tx_equal(&is->v[at + i], &want->v[from + i], i);
    assert_int_equal(is->n - at, want->n - from);
}

/* --- the lab --- */

static void
sql(struct lab *l, const char *text)
{
    if (db_exec_bytes(l->db, text, strlen(text)) < 0)
        fail_msg("%s: %s", text, err_text());
}

static void
sql_open(struct lab *l)
{
    db_close(l->db);
    l->db = testserver_open(&l->ts, "test");
    assert_non_null(l->db);
}

static void
repo_make(struct lab *l)
{
    static unsigned n;

    free(l->repo_path);
    free(l->signing_path);
    l->repo_path = xasprintf("%s/repo%u", l->dir, ++n);
    l->signing_path = xasprintf("%s/signing%u", l->dir, n);
    if (repo_init(l->repo_path, "test", l->signing_path, &l->pub, 1, l->key) <
        0)
        fail_msg("%s", err_text());
}

struct run {
    bool once, semisync;
    uint64_t segment_bytes, flush_us;
    uint32_t server_id;
    const char *user;  /* NULL: root */
    rlim_t file_limit; /* bytes of a file that can be written; 0: any */
};

#define FDS 256 /* more than a stream ever has open */

static bool not_its_own[FDS]; /* the test's, which it shares */

/* From now on nothing that the stream says gets out, while it still hears: its
 * connections, half dead. */
static void
mute(int sig)
{
    int before = errno;

    (void)sig;
    for (int fd = 0; fd < FDS; fd++)
        if (!not_its_own[fd])
            shutdown(fd, SHUT_WR); /* does nothing to what is no socket */
    errno = before;
}

static void
mute_setup(void)
{
    struct sigaction act = {.sa_handler = mute, .sa_flags = SA_RESTART};

    for (int fd = 0; fd < FDS; fd++)
        not_its_own[fd] = fcntl(fd, F_GETFD) >= 0;
    sigaction(SIGUSR1, &act, NULL);
}

/* In the child: the stream, with the exit code of its error. */
static void
stream_child(struct lab *l, const struct run *run)
{
    struct db_conf source = testserver_conf(&l->ts);
    struct repo *r;
    struct stream_report report;
    struct stream_conf conf = {.source = &source,
        .server_id = run->server_id,
        .once = run->once,
        .semisync = run->semisync,
        .flush_us = run->flush_us ? run->flush_us : 200000,
        .segment_bytes = run->segment_bytes ? run->segment_bytes : 1 << 28,
        .segment_us = 3600000000ull,
        .level = 1,
        .retry_us = 1000000};
    int rc;

    stop_setup();
    mute_setup();
    alarm(900); /* under a sanitizer, too */
    if (run->user != NULL)
        source.user = run->user;
    if (run->file_limit != 0) {
        struct rlimit limit = {run->file_limit, RLIM_INFINITY};

        signal(SIGXFSZ, SIG_IGN); /* so that writing fails */
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    if ((r = repo_open(l->repo_path, NULL, l->signing_path)) == NULL)
        _exit(99);
    conf.repo = r;
    rc = stream_run(&conf, &report);
    if (run->file_limit != 0) /* for what is written about the test itself */
        setrlimit(
            RLIMIT_FSIZE, &(const struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    if (rc < 0)
        fprintf(stderr, "stream: %s\n", err_text());
    repo_close(r);
    exit(rc < 0 ? (int)err_kind() : 0); /* with a look for leaks */
}

static void
stream_start(struct lab *l, struct run run)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        stream_child(l, &run);
    l->stream = pid;
}

static int
stream_end(struct lab *l, int signal)
{
    pid_t pid = l->stream;
    int status;

    if (signal != 0)
        kill(pid, signal);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    l->stream = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int
stream_once_as(struct lab *l, struct run run)
{
    run.once = true;
    stream_start(l, run);
    return stream_end(l, 0);
}

static int
stream_once(struct lab *l)
{
    return stream_once_as(l, (struct run){0});
}

/* The newest segment as it is on disk; 0 where there is none. */
static int
tail(struct lab *l, struct segment_tail *t)
{
    struct repo *r = repo_open(l->repo_path, NULL, NULL);
    int rc;

    assert_non_null(r);
    rc = segment_tail_find(r, t);
    repo_close(r);
    return rc;
}

/* So many times slower is what is tested, as with a sanitizer. */
static unsigned
slow(void)
{
    const char *times = getenv("PITR_SLOW");

    return times != NULL && atoi(times) > 1 ? (unsigned)atoi(times) : 1;
}

/* Wait until all that the server has now is durable. */
static void
await_captured(struct lab *l)
{
    char *text;
    struct gtid_pos want = {0};
    uint64_t until = time_mono_us() + slow() * 60000000ull;
    bool there = false;

    assert_int_equal(db_value(l->db, &text, "SELECT @@gtid_binlog_pos"), 1);
    assert_int_equal(gtid_pos_parse(text, &want), 0);
    while (!there && time_mono_us() < until) {
        struct segment_tail t;

        if (tail(l, &t) > 0) {
            there = gtid_pos_equal(&t.state.gtid, &want);
            segment_tail_free(&t);
        }
        usleep(20000);
    }
    if (!there)
        fail_msg("not captured in time: %s", text);
    free(text);
    gtid_pos_free(&want);
}

static size_t
now_in_log(struct lab *l)
{
    struct txs t;
    size_t n;

    oracle(l, &t);
    n = t.n;
    txs_free(&t);
    return n;
}

/* Everything since transaction `from` of the server's files is captured. */
static void
check_all(struct lab *l, size_t from)
{
    struct txs want, is;

    oracle(l, &want);
    captured(l, &is);
    txs_equal(&is, 0, &want, from);
    txs_free(&want);
    txs_free(&is);
}

static void
await_begun(struct lab *l)
{
    for (int i = 0; i < 500; i++) {
        struct segment_tail t;
        int rc = tail(l, &t);

        segment_tail_free(&t);
        if (rc > 0)
            return;
        usleep(20000);
    }
    fail_msg("the stream did not begin");
}

/* A connection's worth of writes, in a process of its own: small and large
 * transactions. */
static pid_t
writer_start(struct lab *l, unsigned seconds, unsigned large_rows)
{
    pid_t pid = fork();
    uint64_t until = time_mono_us() + seconds * 1000000ull;
    struct db *db;

    if (pid != 0)
        return pid;
    if ((db = testserver_open(&l->ts, "writer")) == NULL)
        _exit(1);
    while (time_mono_us() < until) {
        for (int i = 0; i < 20; i++)
            if (db_exec(db, "INSERT INTO d.t VALUES(NULL, '%d')", i) < 0)
                _exit(2);
        if (db_exec(db,
                "INSERT INTO d.t SELECT NULL, REPEAT(SHA2(seq, 512), 8) FROM "
                "d.seq_1_to_%u",
                large_rows) < 0)
            _exit(2);
    }
    db_close(db);
    _exit(0);
}

/* Has it ended?  Then all of it has to have gone well. */
static bool
writer_ended(pid_t pid, int options_wait)
{
    int status;
    pid_t got = waitpid(pid, &status, options_wait);

    if (got == 0)
        return false;
    assert_int_equal(got, pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return true;
}

/* How many replicas acknowledge. */
static int
semisync_clients(struct lab *l, uint64_t *out)
{
    return db_value_u64(l->db, out,
               "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
               "WHERE VARIABLE_NAME='Rpl_semi_sync_master_clients'") < 0
        ? -1
        : 0;
}

/* Commits that no replica acknowledged in time. */
static int
not_acknowledged(struct lab *l, uint64_t *out)
{
    return db_value_u64(l->db, out,
               "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
               "WHERE VARIABLE_NAME='Rpl_semi_sync_master_no_tx'") < 0
        ? -1
        : 0;
}

/* Acknowledgements that the server has had. */
static uint64_t
acks(struct lab *l)
{
    uint64_t n;

    assert_int_equal(
        db_value_u64(l->db, &n,
            "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
            "WHERE VARIABLE_NAME='Rpl_semi_sync_master_get_ack'"),
        1);
    return n;
}

/* --- tests --- */

static void
test_live(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct segment_tail t;
    uint64_t committed;

    repo_make(l);
    stream_start(l, (struct run){0});
    await_begun(l);
    sql(l, "CREATE TABLE d.m(a INT) ENGINE=MyISAM");
    sql(l, "INSERT INTO d.m VALUES(1),(2)");
    sql(l, "SET gtid_domain_id=3");
    sql(l, "INSERT INTO d.t VALUES(NULL,'x')");
    sql(l, "XA START 'a'");
    sql(l, "INSERT INTO d.t VALUES(NULL,'xa')");
    sql(l, "XA END 'a'");
    sql(l, "XA PREPARE 'a'");
    sql(l, "XA COMMIT 'a'");
    sql(l, "SET gtid_domain_id=0");
    sql(l, "SET SESSION binlog_format=STATEMENT");
    sql(l, "SET @v=5");
    sql(l, "INSERT INTO d.t VALUES(NULL,@v)");
    sql(l, "SET SESSION binlog_format=ROW");
    sql(l,
        "INSERT INTO d.t SELECT NULL, REPEAT('y', 5000) FROM d.seq_1_to_4000");
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    sql(l, "DROP TABLE d.m");
    await_captured(l);
    check_all(l, from);

    /* Nothing happens: still it becomes known that nothing is missing. */
    assert_int_equal(db_value_u64(l->db, &committed,
                         "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS "
                         "UNSIGNED)"),
        1);
    for (int i = 0; i < 300; i++) {
        uint64_t known;

        assert_int_equal(tail(l, &t), 1);
        known = t.state.complete_until_us;
        segment_tail_free(&t);
        if (known >= committed)
            break;
        assert_true(i < 299);
        usleep(100000);
    }
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_all(l, from);
}

static void
test_durable_soon(void **state)
{
    struct lab *l = *state;

    repo_make(l);
    stream_start(l, (struct run){.flush_us = 1000000});
    await_begun(l);
    for (int i = 0; i < 5; i++) {
        uint64_t start = time_mono_us();

        sql(l, "INSERT INTO d.t VALUES(NULL,'soon')");
        await_captured(l);
        assert_true(time_mono_us() - start < 1500000);
        usleep(300000 * (unsigned)i);
    }
    assert_int_equal(stream_end(l, SIGTERM), 0);
}

/* The place of the last transaction, in its domain, once it is durable. */
static void
await_reached(struct lab *l, uint64_t seq)
{
    uint64_t until = time_mono_us() + slow() * 60000000ull, is = 0;

    while (is < seq && time_mono_us() < until) {
        struct segment_tail t;

        if (tail(l, &t) > 0)
            for (size_t i = 0; i < t.state.gtid.n; i++)
                if (t.state.gtid.v[i].domain == 0)
                    is = t.state.gtid.v[i].seq;
        segment_tail_free(&t);
        usleep(10000);
    }
    assert_true(is >= seq);
}

static uint64_t
last_seq(struct lab *l)
{
    uint64_t seq;

    assert_int_equal(db_value_u64(l->db, &seq,
                         "SELECT SUBSTRING_INDEX(@@last_gtid, '-', -1)"),
        1);
    return seq;
}

/* While others commit all the time: what was committed is durable within the
 * bound, although the log is read in bursts; and that it is, by how seldom the
 * stream slept, which without bursts it does for each of them. */
static void
test_bursts(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l), groups;
    struct rusage before, after;
    uint64_t fastest = UINT64_MAX;
    pid_t writer;

    repo_make(l);
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &before), 0);
    stream_start(l, (struct run){.flush_us = 800000});
    await_begun(l);
    groups = now_in_log(l);
    writer = writer_start(l, 2, 1);
    for (int i = 0; i < 4; i++) {
        uint64_t start = time_mono_us();

        sql(l, "INSERT INTO d.t VALUES(NULL,'under load')");
        await_reached(l, last_seq(l));
        fastest = MIN(fastest, time_mono_us() - start);
    }
    assert_true(fastest < 1600000); /* one: the machine may be busy */
    assert_int_equal(stream_end(l, SIGTERM), 0);
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &after), 0);
    groups = now_in_log(l) - groups;
    writer_ended(writer, 0);
    print_message("%zu transactions, %ld times asleep\n", groups,
        after.ru_nvcsw - before.ru_nvcsw);
    /* Of a slow disk, or a slow stream, it says nothing. */
    if (groups > 1000 && slow() == 1)
        assert_true(after.ru_nvcsw - before.ru_nvcsw < (long)groups / 2);
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
}

/* A backlog is read without rests: with one for each that fits into a socket it
 * would take more than a minute. */
static void
test_backlog(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    uint64_t start;

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    for (int i = 0; i < 150; i++)
        sql(l,
            "INSERT INTO d.t SELECT NULL, REPEAT('y', 5000) FROM "
            "d.seq_1_to_30");
    start = time_mono_us();
    stream_start(l, (struct run){.flush_us = 1000000});
    await_reached(l, last_seq(l));
    print_message("a backlog of 22 MB took %llu ms\n",
        (unsigned long long)(time_mono_us() - start) / 1000);
    assert_true(time_mono_us() - start < 20000000);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_all(l, from);
}

static bool
index_is_there(struct lab *l, uint64_t first, uint64_t last)
{
    char *name = index_name(first, last);
    char *path = xasprintf("%s/%s", l->repo_path, name);
    bool is = access(path, R_OK) == 0;

    free(name);
    free(path);
    return is;
}

/* Of many segments the stream writes an index; where it cannot, the log goes on
 * without one. */
static void
test_index(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct run short_ones = {.segment_bytes = 1};
    struct catalog *c;
    struct repo *r;
    char *path;

    repo_make(l);
    assert_int_equal(stream_once(l), 0); /* makes the first */
    path = xasprintf("%s/index", l->repo_path);
    assert_int_equal(file_create(path, 0400, "in the way", 10), 0);
    for (unsigned i = 0; i < INDEX_SEGMENTS; i++)
        sql(l, "INSERT INTO d.t VALUES(NULL,'a segment')");
    assert_int_equal(stream_once_as(l, short_ones), 0);
    assert_int_equal(unlink(path), 0);
    check_all(l, from);
    sql(l, "INSERT INTO d.t VALUES(NULL,'one more')");
    assert_int_equal(stream_once_as(l, short_ones), 0);
    assert_true(index_is_there(l, 1, INDEX_SEGMENTS));
    assert_non_null(r = repo_open(l->repo_path, NULL, NULL));
    assert_non_null(c = catalog_load(r));
    assert_true(c->segments > INDEX_SEGMENTS);
    assert_int_equal(c->breaks, 0);
    assert_true(c->segment[0].indexed);
    assert_true(c->segment[INDEX_SEGMENTS - 1].indexed);
    assert_false(c->segment[INDEX_SEGMENTS].indexed);
    catalog_free(c);
    repo_close(r);
    check_all(l, from);
    free(path);
}

static void
test_once(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
    sql(l, "INSERT INTO d.t VALUES(NULL,'one')");
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'two')");
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'three')");
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
}

static void
test_segments_cut(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct segment_tail t;
    pid_t writer;

    repo_make(l);
    stream_start(l, (struct run){.segment_bytes = 100000});
    await_begun(l);
    writer = writer_start(l, 2, 200);
    writer_ended(writer, 0);
    await_captured(l);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    assert_int_equal(tail(l, &t), 1);
    assert_true(t.start.seq > 5);
    segment_tail_free(&t);
    check_all(l, from);
}

/* The stream dies at any moment, most often in a large transaction. */
static void
test_kill_9(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    pid_t writer;

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    writer = writer_start(l, 8, 30000);
    srand(1);
    for (int i = 0; !writer_ended(writer, WNOHANG); i++) {
        stream_start(l,
            (struct run){
                .flush_us = 20000, .segment_bytes = i % 2 ? 300000 : 1 << 28});
        usleep(20000 + (unsigned)rand() % 400000);
        assert_int_equal(stream_end(l, SIGKILL), 128 + SIGKILL);
        if (i % 5 == 0)
            sql(l, "FLUSH BINARY LOGS");
    }
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
}

/* Ends the server's side of a stream's connection, if there is one. */
static void
kill_dump(struct lab *l)
{
    char *id = NULL;

    if (db_value(l->db, &id,
            "SELECT MAX(id) FROM information_schema.processlist WHERE "
            "command='Binlog Dump'") > 0 &&
        id != NULL)
        if (db_exec(l->db, "KILL %s", id) < 0)
            err_clear();
    free(id);
}

/* The connection is lost in the middle of large transactions. */
static void
test_dump_killed(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    pid_t writer;

    repo_make(l);
    stream_start(l, (struct run){.flush_us = 20000});
    await_begun(l);
    writer = writer_start(l, 4, 30000);
    while (!writer_ended(writer, WNOHANG)) {
        kill_dump(l);
        usleep(300000);
    }
    await_captured(l);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_all(l, from);
}

static void
server_again(struct lab *l, int signal, const char *const *opts)
{
    db_close(l->db);
    l->db = NULL;
    testserver_halt(&l->ts, signal);
    assert_int_equal(testserver_again(&l->ts, opts), 0);
    sql_open(l);
}

static void
test_server_restarts(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    pid_t writer;

    repo_make(l);
    stream_start(l, (struct run){0});
    await_begun(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'before')");
    server_again(l, SIGTERM, options);
    sql(l, "INSERT INTO d.t VALUES(NULL,'between')");
    await_captured(l);
    for (int i = 0; i < 3; i++) {
        writer = writer_start(l, 20, 3000);
        usleep(1500000);
        server_again(l, SIGKILL, options);
        assert_int_equal(waitpid(writer, NULL, 0), writer);
    }
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    await_captured(l);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_all(l, from);
}

/* The tail is of this epoch, which began for a reason that names `why`. */
static void
check_epoch(struct lab *l, uint32_t epoch, const char *why)
{
    struct repo *r = repo_open(l->repo_path, NULL, NULL);
    struct catalog *c = catalog_load(r);
    const struct segment_info *s;
    bool found = why == NULL;

    if (c == NULL)
        fail_msg("%s", err_text());
    assert_true(c->segments > 0);
    for (size_t i = 0; i < c->segments; i++) {
        s = &c->segment[i];
        if (s->start.epoch == epoch && segment_is_gap(&s->start) &&
            why != NULL && strstr(s->start.why, why) != NULL)
            found = true;
        else if (segment_is_gap(&s->start))
            print_message("epoch %u: %s\n", s->start.epoch, s->start.why);
    }
    assert_int_equal(c->segment[c->segments - 1].start.epoch, epoch);
    assert_true(found);
    catalog_free(c);
    repo_close(r);
}

static void
test_reset_master(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct txs is, before, after;

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'old')");
    assert_int_equal(stream_once(l), 0);
    oracle(l, &before);
    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(NULL,'new')");
    assert_int_equal(stream_once(l), ERR_GAP);
    sql(l, "INSERT INTO d.t VALUES(NULL,'new too')");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "RESET MASTER");
    oracle(l, &after);
    captured(l, &is);
    txs_equal(&is, before.n - from, &after, 0);
    is.n = before.n - from;
    txs_equal(&is, 0, &before, from);
    txs_free(&is);
    txs_free(&before);
    txs_free(&after);
}

/* After it the same statements make the same GTIDs at the same places. */
static void
test_reset_master_twin(void **state)
{
    struct lab *l = *state;
    struct txs is;

    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(100000001,'twin')");
    sql(l, "RESET MASTER");
    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "DELETE FROM d.t WHERE a=100000001");
    assert_int_equal(stream_once(l), 0);
    sleep(1);
    sql(l, "SET sql_log_bin=0");
    sql(l, "INSERT INTO d.t VALUES(100000001,'twin')");
    sql(l, "SET sql_log_bin=1");
    sql(l, "RESET MASTER");
    sql(l, "DELETE FROM d.t WHERE a=100000001");
    assert_int_equal(stream_once(l), ERR_GAP);
    check_epoch(l, 2, "begun at another time");
    captured(l, &is);
    assert_int_equal(is.n, 2);
    assert_int_equal(is.v[1].epoch, 2);
    txs_free(&is);
}

/* The same while the stream is connected. */
static void
reset_master_live(struct lab *l, bool later_file)
{
    struct txs is, after;

    sql(l, "RESET MASTER");
    repo_make(l);
    stream_start(l, (struct run){0});
    await_begun(l);
    for (int i = 0; i < 5; i++)
        sql(l, "INSERT INTO d.t VALUES(NULL,'old')");
    if (later_file)
        sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'old')");
    await_captured(l);
    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(NULL,'new')");
    await_captured(l);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_epoch(l, 2, "");
    oracle(l, &after);
    captured(l, &is);
    assert_int_equal(is.n, 6 + after.n);
    txs_equal(&is, 6, &after, 0);
    txs_free(&is);
    txs_free(&after);
}

static void
test_reset_master_live(void **state)
{
    reset_master_live(*state, true);
    sleep(1); /* files are told apart by the second they were begun in */
    reset_master_live(*state, false);
}

/* The server fails to log what it did. */
static void
cause_incident(struct lab *l)
{
    static const char lost[] =
        "INSERT INTO d.m SELECT REPEAT('x', 1000) FROM d.seq_1_to_500";

    sql(l, "CREATE TABLE d.m(a TEXT) ENGINE=MyISAM");
    sql(l, "SET GLOBAL max_binlog_stmt_cache_size=4096");
    sql_open(l);
    assert_int_equal(db_exec_bytes(l->db, lost, strlen(lost)), -1);
    sql(l, "SET GLOBAL max_binlog_stmt_cache_size=1048576");
}

/* It says so, and that is a gap. */
static void
test_incident(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    cause_incident(l);
    assert_int_equal(stream_once(l), ERR_GAP);
    assert_int_equal(stream_once(l), 0);
    sql(l, "DROP TABLE d.m");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "incident");
    check_all(l, from);
}

/* All files but the newest; the server keeps one as long as it would need it
 * after a crash. */
static void
purge_all(struct lab *l)
{
    for (int i = 0; i < 200; i++) {
        struct db_result r;
        size_t n;

        assert_int_equal(db_query(l->db, &r, "SHOW BINARY LOGS"), 0);
        if ((n = r.rows) > 1 &&
            db_exec(l->db, "PURGE BINARY LOGS TO '%s'", db_cell(&r, n - 1, 0)) <
                0)
            fail_msg("%s", err_text());
        db_result_free(&r);
        if (n == 1)
            return;
        usleep(50000);
    }
    fail_msg("the log could not be purged");
}

static void
test_purge(void **state)
{
    struct lab *l = *state;
    struct txs is, after;

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'kept')");
    assert_int_equal(stream_once(l), 0);
    captured(l, &is);
    assert_int_equal(is.n, 1);
    txs_free(&is);

    /* Files that are purged, but of which all is captured, are no gap. */
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "FLUSH BINARY LOGS");
    purge_all(l);
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);

    sql(l, "INSERT INTO d.t VALUES(NULL,'lost')");
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'found')");
    purge_all(l);
    assert_int_equal(stream_once(l), ERR_GAP);
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "");
    oracle(l, &after);
    captured(l, &is);
    txs_equal(&is, 1, &after, 0);
    txs_free(&is);
    txs_free(&after);
}

/* A backup's manifest, as of now, as if one had been made. */
static void
backup_now(struct lab *l, const char *id)
{
    struct repo *r = repo_open(l->repo_path, NULL, l->signing_path);
    struct manifest *m = xcalloc(1, sizeof *m);
    struct db_result res;
    uint64_t now;
    char *text;

    assert_non_null(r);
    assert_int_equal(db_query(l->db, &res, "SHOW MASTER STATUS"), 0);
    assert_int_equal(db_value(l->db, &text, "SELECT @@gtid_binlog_pos"), 1);
    assert_int_equal(db_value_u64(l->db, &now,
                         "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS "
                         "UNSIGNED)"),
        1);
    m->info.id = xstrdup(id);
    m->info.begun_us = m->info.snapshot_us = m->info.ended_us = now;
    assert_int_equal(gtid_pos_parse(text, &m->info.gtid), 0);
    m->info.source_file = xstrdup(db_cell(&res, 0, 0));
    m->info.source_pos = strtoull(db_cell(&res, 0, 1), NULL, 10);
    m->info.server_version = xstrdup("of a test");
    m->info.server_id = 7;
    if (manifest_store(r, m) < 0)
        fail_msg("%s", err_text());
    db_result_free(&res);
    free(text);
    manifest_free(m);
    repo_close(r);
}

/* Is the newest backup covered up to what the server has now? */
static bool
backup_is_covered(struct lab *l)
{
    struct repo *r = repo_open(l->repo_path, NULL, NULL);
    struct catalog *c;
    size_t first, n;
    bool covered;

    assert_non_null(r);
    if ((c = catalog_load(r)) == NULL)
        fail_msg("%s", err_text());
    covered = catalog_chain(c, c->backups - 1, &first, &n);
    catalog_free(c);
    repo_close(r);
    return covered;
}

/* The first stream starts after the first backup: the log between is in. */
static void
test_backup_first(void **state)
{
    struct lab *l = *state;
    size_t from;

    repo_make(l);
    backup_now(l, "20220501T020000Z");
    sql(l, "INSERT INTO d.t VALUES(NULL,'between two backups')");
    backup_now(l, "20220502T020000Z");
    from = now_in_log(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'after it')");
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'before the stream')");
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
    check_epoch(l, 1, NULL);
    assert_true(backup_is_covered(l));

    /* Its position is at the end of a file that is gone: nothing is missing. */
    repo_make(l);
    backup_now(l, "20220502T020000Z");
    from = now_in_log(l);
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'in the next file')");
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
    assert_true(backup_is_covered(l));
}

/* As before, but the log between is purged: a gap, on record and said once. */
static void
test_backup_first_gap(void **state)
{
    struct lab *l = *state;
    struct txs is, want;

    repo_make(l);
    backup_now(l, "20220502T020000Z");
    sql(l, "INSERT INTO d.t VALUES(NULL,'lost')");
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'found')");
    purge_all(l);
    assert_int_equal(stream_once(l), ERR_GAP);
    check_epoch(l, 1, "newest backup is at");
    assert_false(backup_is_covered(l));
    assert_int_equal(stream_once(l), 0);
    oracle(l, &want);
    captured(l, &is);
    txs_equal(&is, 0, &want, 0);
    txs_free(&is);
    txs_free(&want);
}

/* The server loses its newest transactions: put back from a copy. */
static void
test_server_put_back(void **state)
{
    struct lab *l = *state;
    char *copy = xasprintf("cp -a %s/data %s/copy", l->ts.dir, l->ts.dir);
    char *back = xasprintf("rm -rf %s/data && mv %s/copy %s/data", l->ts.dir,
        l->ts.dir, l->ts.dir);

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'common')");
    assert_int_equal(stream_once(l), 0);
    db_close(l->db);
    l->db = NULL;
    testserver_halt(&l->ts, SIGTERM);
    assert_int_equal(system(copy), 0);
    assert_int_equal(testserver_again(&l->ts, options), 0);
    sql_open(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'undone')");
    assert_int_equal(stream_once(l), 0);
    db_close(l->db);
    l->db = NULL;
    testserver_halt(&l->ts, SIGTERM);
    assert_int_equal(system(back), 0);
    assert_int_equal(testserver_again(&l->ts, options), 0);
    sql_open(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'instead')");
    assert_int_equal(stream_once(l), ERR_GAP);
    check_epoch(l, 2, "");
    free(copy);
    free(back);
}

/* Another server_id goes on with the same history: no gap. */
static void
test_failover(void **state)
{
    static const char *const other[] = {
        "--log-bin=mb", "--server-id=8", "--binlog-format=ROW", NULL};
    static const char *const no_log[] = {"--server-id=7", NULL};
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'first')");
    assert_int_equal(stream_once(l), 0);

    /* The server is away, and then there without its log. */
    db_close(l->db);
    l->db = NULL;
    testserver_halt(&l->ts, SIGTERM);
    assert_int_equal(stream_once(l), ERR_UNREACHABLE);
    stream_start(l, (struct run){0});
    usleep(300000); /* it tries again, until it is told to end */
    assert_int_equal(stream_end(l, SIGTERM), 0);
    assert_int_equal(testserver_again(&l->ts, no_log), 0);
    sql_open(l);
    assert_int_equal(stream_once(l), ERR_FAILED);
    server_again(l, SIGTERM, other);
    assert_int_equal(stream_once(l), 0);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'second')");
    assert_int_equal(stream_once(l), 0);
    server_again(l, SIGTERM, options);
    sql(l, "INSERT INTO d.t VALUES(NULL,'third')");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
    check_all(l, from);
}

/* Until the stream is there as the one that acknowledges. */
static uint64_t
await_client(struct lab *l)
{
    uint64_t n = 0;

    for (int i = 0; i < 500 && n == 0; i++) {
        assert_int_equal(semisync_clients(l, &n), 0);
        if (n == 0)
            usleep(20000);
    }
    assert_int_equal(n, 1);
    return n;
}

/* Until the server knows that the stream has ended: at its next heartbeat, or
 * when it is told. */
static void
await_no_client(struct lab *l)
{
    uint64_t n = 1;

    for (int i = 0; i < 500 && n > 0; i++) {
        kill_dump(l);
        usleep(20000);
        assert_int_equal(semisync_clients(l, &n), 0);
    }
    assert_int_equal(n, 0);
}

/* When the client has its answer, the transaction is durable here. */
static void
commit_acknowledged(struct lab *l)
{
    struct segment_tail t;
    char *is, *text;

    sql(l, "INSERT INTO d.t VALUES(NULL,'acknowledged')");
    assert_int_equal(tail(l, &t), 1);
    is = gtid_pos_text(&t.state.gtid);
    assert_int_equal(db_value(l->db, &text, "SELECT @@gtid_binlog_pos"), 1);
    assert_string_equal(is, text);
    free(is);
    free(text);
    segment_tail_free(&t);
}

/* What a client of the server was told is committed is durable by then, also
 * where the stream dies at once. */
static void
test_semisync(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    sql(l, "SET GLOBAL rpl_semi_sync_master_timeout=10000");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=1");
    for (int run = 0; run < 3; run++) {
        stream_start(l, (struct run){.semisync = true, .flush_us = 60000000});
        await_client(l);
        for (int i = 0; i < 20; i++)
            commit_acknowledged(l);
        if (run == 2) /* in good order, the last time */
            assert_int_equal(stream_end(l, SIGTERM), 0);
        else
            assert_int_equal(stream_end(l, SIGKILL), 128 + SIGKILL);
        await_no_client(l);
    }
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=0");
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
}

/* A process that commits one row. */
static pid_t
commit_start(struct lab *l)
{
    pid_t pid = fork();
    struct db *db;

    if (pid != 0)
        return pid;
    if ((db = testserver_open(&l->ts, "writer")) == NULL ||
        db_exec(db, "INSERT INTO d.t VALUES(NULL,'waits')") < 0)
        _exit(1);
    db_close(db);
    _exit(0);
}

static void
await_epoch(struct lab *l, uint32_t epoch)
{
    uint32_t is = 0;

    for (int i = 0; i < 500 && is != epoch; i++) {
        struct segment_tail t;

        if (tail(l, &t) > 0)
            is = t.start.epoch;
        segment_tail_free(&t);
        usleep(20000);
    }
    assert_int_equal(is, epoch);
}

/* Commits of four clients wait, then the stream comes, and they end well: how
 * long that took. */
static uint64_t
stream_start_late(struct lab *l)
{
    pid_t pid[4];
    uint64_t start;

    for (size_t i = 0; i < NELEM(pid); i++)
        pid[i] = commit_start(l);
    usleep(300000);
    start = time_mono_us();
    stream_start(l, (struct run){.semisync = true, .flush_us = 60000000});
    for (size_t i = 0; i < NELEM(pid); i++)
        writer_ended(pid[i], 0);
    return time_mono_us() - start;
}

/* The stream comes when commits wait for it already, and hold up what it asks
 * the server about its files (purged: its own is not there any more, so that it
 * needs their list): it acknowledges first, and compares later. */
static void
semisync_waiting(struct lab *l, bool purged)
{
    size_t from;

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "FLUSH BINARY LOGS");
    if (purged)
        purge_all(l);
    from = now_in_log(l);
    sql(l, "SET GLOBAL rpl_semi_sync_master_timeout=20000");
    sql(l, "SET GLOBAL rpl_semi_sync_master_wait_point=AFTER_SYNC");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=1");
    assert_true(stream_start_late(l) < 15000000);
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    assert_int_equal(stream_end(l, SIGTERM), 0);
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=0");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
    check_all(l, from);
}

/* The log was lost and written anew: the last GTID that was read is there once
 * more, and ends farther on.  The server tells so only when it waits no more,
 * so that what it waited for is in; the gap says from where on that is in
 * doubt. */
static void
semisync_rewritten(struct lab *l)
{
    sql(l, "RESET MASTER");
    repo_make(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'read')");
    assert_int_equal(stream_once(l), 0);
    /* Else it is seen by when the file was begun. */
    sql(l, "FLUSH BINARY LOGS");
    assert_int_equal(stream_once(l), 0);
    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(NULL,REPEAT('written anew', 100))");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=1");
    stream_start_late(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=0");
    await_epoch(l, 2);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "what follows '0-7-1' in the segment before may be of");
}

/* The log is gone, and a new one waits for us: the gap is no reason to wait for
 * what the server does not tell until we acknowledge. */
static void
semisync_gap(struct lab *l)
{
    sql(l, "RESET MASTER");
    repo_make(l);
    for (int i = 0; i < 5; i++)
        sql(l, "INSERT INTO d.t VALUES(NULL,'read')");
    assert_int_equal(stream_once(l), 0);
    sql(l, "RESET MASTER");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=1");
    assert_true(stream_start_late(l) < 15000000);
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=0");
    assert_int_equal(stream_end(l, SIGTERM), 0);
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "is read again from '' on (its oldest file)");
}

static void
test_semisync_waiting(void **state)
{
    semisync_waiting(*state, false);
    semisync_waiting(*state, true);
    semisync_rewritten(*state);
    semisync_gap(*state);
}

/* A semi-synchronous stream that connects: how many acknowledgements does it
 * give, while there is nothing new? */
static uint64_t
acks_of_connecting(struct lab *l)
{
    uint64_t before = acks(l), n = 0;

    if (l->stream == 0)
        stream_start(l, (struct run){.semisync = true, .flush_us = 60000000});
    else
        kill_dump(l);
    usleep(100000); /* that one is gone */
    await_client(l);
    for (int i = 0; i < 20 && n == 0; i++) { /* at once, if at all */
        usleep(20000);
        n = acks(l) - before;
    }
    return n;
}

/* What was durable before a connection is acknowledged where it begins, as the
 * last one may have been lost with an acknowledgement; but only to the server,
 * and of the log, whose it is. */
static void
test_semisync_before(void **state)
{
    struct lab *l = *state;
    char *set, *pos;

    await_no_client(l);
    sql(l, "SET GLOBAL rpl_semi_sync_master_timeout=60000");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=1");
    sql(l, "RESET MASTER");
    repo_make(l);
    /* A place where the log is begun: what is before it is not here. */
    assert_int_equal(acks_of_connecting(l), 0);
    assert_int_equal(acks_of_connecting(l), 0);
    sql(l, "INSERT INTO d.t VALUES(100000002,'twin')");
    assert_int_equal(acks_of_connecting(l), 1);
    /* As it is found in the repository. */
    assert_int_equal(stream_end(l, SIGKILL), 128 + SIGKILL);
    await_no_client(l);
    assert_int_equal(acks_of_connecting(l), 1);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    await_no_client(l);

    /* Other files, begun at another second by now, in which the same GTID ends
     * at the same place. */
    sql(l, "SET sql_log_bin=0");
    sql(l, "DELETE FROM d.t WHERE a=100000002");
    sql(l, "SET sql_log_bin=1");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=0");
    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(100000002,'twin')");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=1");
    assert_int_equal(acks_of_connecting(l), 0);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_epoch(l, 2, "begun at another time");
    await_no_client(l);

    /* Another server that has taken over, and has a file of that name, too. */
    assert_int_equal(db_value(l->db, &pos, "SELECT @@gtid_binlog_pos"), 1);
    set = xasprintf("SET GLOBAL gtid_binlog_state='%s'", pos);
    sql(l, "RESET MASTER");
    sql(l, set);
    sql(l, "SET GLOBAL server_id=8");
    assert_int_equal(acks_of_connecting(l), 0);
    assert_int_equal(acks_of_connecting(l), 0);
    sql(l, "SET server_id=8");
    sql(l, "INSERT INTO d.t VALUES(NULL,'taken over')");
    sql(l, "SET server_id=7");
    assert_int_equal(acks_of_connecting(l), 1);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_epoch(l, 2, NULL);
    sql(l, "SET GLOBAL server_id=7");
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=0");
    await_no_client(l);
    free(set);
    free(pos);
}

static void
weak_may_ask(struct lab *l, const char *times)
{
    char *grant = xasprintf("GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.* TO "
                            "weak@localhost WITH MAX_QUERIES_PER_HOUR %s",
        times);

    sql(l, "SET sql_log_bin=0");
    sql(l, grant);
    sql(l, "SET sql_log_bin=1");
    free(grant);
}

/* Commits of so many clients are durable here, and the server does not get to
 * know, as the connection is lost in that moment.  With AFTER_SYNC the first
 * waits for us, the second for that one, and the others for the second. */
static void
cut_before_ack(struct lab *l, size_t clients)
{
    size_t n = now_in_log(l), more = MIN(clients, 2u);
    uint64_t start;
    pid_t pid[8];
    int status;

    kill(l->stream, SIGSTOP);
    assert_int_equal(waitpid(l->stream, &status, WUNTRACED), l->stream);
    for (size_t i = 0; i < clients; i++)
        pid[i] = commit_start(l);
    for (int i = 0; i < 500 && now_in_log(l) < n + more; i++)
        usleep(20000);
    usleep(100000); /* all have come to where they wait */
    assert_int_equal(now_in_log(l), n + more);
    for (size_t i = 0; i < clients; i++)
        assert_false(writer_ended(pid[i], WNOHANG));
    start = time_mono_us();
    kill(l->stream, SIGUSR1);
    kill(l->stream, SIGCONT);
    for (size_t i = 0; i < clients; i++)
        writer_ended(pid[i], 0);
    print_message("%zu waited for %llu ms\n", clients,
        (unsigned long long)(time_mono_us() - start) / 1000);
    assert_true(time_mono_us() - start < 20000000);
}

/* The acknowledging connection, or the one for questions, is lost while the
 * other lives; and the server refuses what it allowed before.  The stream goes
 * on, and no commit is answered that is not durable, or is given up. */
static void
test_semisync_cut(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    uint64_t before, after;

    repo_make(l);
    sql(l, "SET sql_log_bin=0");
    sql(l, "CREATE USER weak@localhost");
    weak_may_ask(l, "1000000");
    sql(l, "SET GLOBAL rpl_semi_sync_master_timeout=60000");
    sql(l, "SET GLOBAL rpl_semi_sync_master_wait_point=AFTER_COMMIT");
    /* One of before, of which the server does not know that it is gone. */
    await_no_client(l);
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=1");
    stream_start(l,
        (struct run){.semisync = true, .flush_us = 60000000, .user = "weak"});
    await_client(l);
    assert_int_equal(not_acknowledged(l, &before), 0);
    commit_acknowledged(l);

    /* It has what comes next, but cannot say so: it does once it is connected
     * again, and no other commit has to come for that. */
    cut_before_ack(l, 1);
    sql(l, "SET GLOBAL rpl_semi_sync_master_wait_point=AFTER_SYNC");
    cut_before_ack(l, 1);
    cut_before_ack(l, 4);

    /* Its questions are refused, at once or after what a connection begins
     * with: what it need not ask for goes on. */
    for (int i = 1; i <= 2; i++) {
        weak_may_ask(l, i == 1 ? "1" : "2");
        usleep(1050000); /* it asks once a second */
        commit_acknowledged(l);
    }
    /* So is a new connection, until they are allowed again. */
    kill_dump(l);
    usleep(300000);
    weak_may_ask(l, "1000000");
    commit_acknowledged(l);

    assert_int_equal(not_acknowledged(l, &after), 0);
    assert_int_equal(after, before);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    sql(l, "SET GLOBAL rpl_semi_sync_master_enabled=0");
    sql(l, "SET sql_log_bin=0");
    sql(l, "DROP USER weak@localhost");
    sql(l, "SET sql_log_bin=1");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
    check_all(l, from);
}

/* Checksums change, statements and rows are compressed, a domain is deleted:
 * each also between two runs. */
static void
test_forms(void **state)
{
    static const char *const forms[] = {"SET GLOBAL binlog_checksum=NONE",
        "SET GLOBAL log_bin_compress=1", "SET GLOBAL binlog_checksum=CRC32",
        "SET GLOBAL log_bin_compress=0", "SET gtid_domain_id=9",
        "SET gtid_domain_id=0"};
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    stream_start(l, (struct run){0});
    for (size_t i = 0; i < NELEM(forms); i++) {
        sql(l, forms[i]);
        sql(l,
            "INSERT INTO d.t SELECT NULL, REPEAT('z', 900) FROM "
            "d.seq_1_to_100");
        sql(l,
            "CREATE OR REPLACE VIEW d.v AS SELECT a, b, a + 1 AS c, 'a text "
            "that is long enough to be compressed' AS d FROM d.t");
        if (i % 2 == 0)
            continue;
        await_captured(l);
        assert_int_equal(stream_end(l, SIGTERM), 0);
        stream_start(l, (struct run){0});
    }
    await_captured(l);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_all(l, from);
}

/* Our position has a domain that the server has deleted. */
static void
test_domain_deleted(void **state)
{
    struct lab *l = *state;
    struct txs is;

    repo_make(l);
    sql(l, "SET gtid_domain_id=11");
    sql(l, "INSERT INTO d.t VALUES(NULL,'eleven')");
    sql(l, "SET gtid_domain_id=0");
    sql(l, "INSERT INTO d.t VALUES(NULL,'null')");
    assert_int_equal(stream_once(l), 0);
    sql(l, "FLUSH BINARY LOGS");
    purge_all(l);
    sql(l, "FLUSH BINARY LOGS DELETE_DOMAIN_ID=(11)");
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'more')");
    assert_int_equal(stream_once(l), 0);
    purge_all(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'and more')");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
    captured(l, &is);
    assert_int_equal(is.n, 2);
    txs_free(&is);
}

/* Another replica takes our number: we take another and miss nothing. */
static void
test_same_server_id(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct db_result r;
    pid_t other;
    char *command;

    repo_make(l);
    stream_start(l, (struct run){0});
    await_begun(l);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(db_query(l->db, &r, "SHOW SLAVE HOSTS"), 0);
        if (r.rows > 0)
            break;
        db_result_free(&r);
        usleep(20000);
    }
    assert_int_equal(r.rows, 1);
    command = xasprintf("timeout 3 mariadb-binlog --no-defaults -uroot -S %s "
                        "--read-from-remote-server --stop-never "
                        "--stop-never-slave-server-id=%s mb.000001 > /dev/null "
                        "2>&1",
        l->ts.socket, db_cell(&r, 0, 0));
    db_result_free(&r);
    fflush(NULL);
    if ((other = fork()) == 0)
        _exit(system(command) == -1);
    for (int i = 0; i < 20; i++) {
        sql(l, "INSERT INTO d.t VALUES(NULL,'same')");
        usleep(200000);
    }
    await_captured(l);
    assert_int_equal(waitpid(other, NULL, 0), other);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_all(l, from);
    free(command);
}

/* Objects that a crash left without a header, or with nothing after it. */
static void
test_aborted_segments(void **state)
{
    static const char junk[] = "pitr";
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct segment_tail t;

    repo_make(l);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t seq;
        char *name, *path;

        assert_int_equal(stream_once(l), 0);
        assert_int_equal(tail(l, &t), 1);
        seq = t.last_seq + 1;
        segment_tail_free(&t);
        name = segment_name(i + 1, seq, time_now_us());
        path = xasprintf("%s/%s", l->repo_path, name);
        assert_int_equal(file_create(path, 0400, junk, i), 0);
        free(name);
        free(path);
        sql(l, "INSERT INTO d.t VALUES(NULL,'after a crash')");
        assert_int_equal(tail(l, &t), 1);
        assert_int_equal(t.last_seq, seq);
        segment_tail_free(&t);
    }
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
    check_all(l, from);
}

/* Stock tools read the plaintext of a segment that starts within a file. */
static void
test_stock_tool(void **state)
{
    struct lab *l = *state;
    struct repo *r;
    struct catalog *c;
    char *path = xasprintf("%s/plain", l->dir), *command;
    FILE *f;

    repo_make(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'skipped')");
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'needle')");
    assert_int_equal(stream_once(l), 0);
    r = repo_open(l->repo_path, NULL, NULL);
    assert_non_null(r);
    assert_non_null(c = catalog_load(r));
    for (size_t i = 0; i < c->segments; i++) {
        struct segment_reader *s = segment_open(r, &c->segment[i], l->key);
        struct event e;
        int step = 0;

        assert_non_null(s);
        assert_non_null(f = fopen(path, "w"));
        fwrite(BINLOG_MAGIC, 1, 4, f);
        while (segment_read(s, &e, &step) > 0)
            fwrite(e.raw, 1, e.size, f);
        fclose(f);
        segment_reader_free(s);
    }
    command = xasprintf("mariadb-binlog --no-defaults --verify-binlog-checksum "
                        "-vv %s > %s.txt 2> %s.err && grep -q needle %s.txt && "
                        "! grep -q skipped %s.txt && ! test -s %s.err",
        path, path, path, path, path, path);
    if (system(command) != 0) {
        free(command);
        command = xasprintf("cat %s.err; tail -50 %s.txt", path, path);
        (void)!system(command);
        fail_msg("mariadb-binlog");
    }
    free(command);
    free(path);
    catalog_free(c);
    repo_close(r);
}

/* A server_id that is given, and one that cannot be. */
static void
test_server_id_given(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    assert_int_equal(
        stream_once_as(l, (struct run){.server_id = 7}), ERR_USAGE);
    assert_int_equal(stream_once_as(l, (struct run){.server_id = 4711}), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'given')");
    assert_int_equal(stream_once_as(l, (struct run){.server_id = 4711}), 0);
    check_all(l, from);
}

/* An account that may too little, ever less of it. */
static void
test_account(void **state)
{
    static const char *const grants[] = {"BINLOG MONITOR", "REPLICATION SLAVE"};
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct run run = {.user = "weak"};

    repo_make(l);
    sql(l, "CREATE USER weak@localhost");
    from = now_in_log(l);
    for (size_t i = 0; i < NELEM(grants); i++) {
        /* Before there is a log in the repository; it has none after. */
        assert_int_not_equal(stream_once_as(l, run), 0);
        if (db_exec(l->db, "GRANT %s ON *.* TO weak@localhost", grants[i]) < 0)
            fail_msg("%s", err_text());
        from = now_in_log(l);
    }
    /* It may not see the other replicas, which it does not need. */
    assert_int_equal(stream_once_as(l, run), 0);
    /* It goes on where its place is there.  The list of files it needs where
     * that is not so. */
    sql(l, "REVOKE BINLOG MONITOR ON *.* FROM weak@localhost");
    assert_int_equal(stream_once_as(l, run), 0);
    check_all(l, from);
    sql(l, "FLUSH BINARY LOGS");
    purge_all(l);
    assert_int_not_equal(stream_once_as(l, run), 0);
    sql(l, "REVOKE REPLICATION SLAVE ON *.* FROM weak@localhost");
    assert_int_not_equal(stream_once_as(l, run), 0);
    sql(l, "DROP USER weak@localhost");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
}

/* As it is asked by `stream_once` of an account that is allowed so many
 * questions: whichever the server refuses, the stream ends, and what it left is
 * gone on with. */
static void
refused_at_each(struct lab *l, int last)
{
    struct run run = {.user = "weak"};
    int rc = -1, refused = 0;

    for (int n = 1; n < 60 && rc != last; n++) {
        if (db_exec(l->db,
                "GRANT USAGE ON *.* TO weak@localhost WITH "
                "MAX_QUERIES_PER_HOUR %d",
                n) < 0)
            fail_msg("%s", err_text());
        sql(l, "FLUSH USER_RESOURCES");
        rc = stream_once_as(l, run);
        refused += rc != last;
    }
    assert_int_equal(rc, last);
    assert_true(refused > 5);
}

static void
test_refused(void **state)
{
    struct lab *l = *state;
    size_t from;

    repo_make(l);
    sql(l, "SET sql_log_bin=0");
    sql(l, "CREATE USER weak@localhost");
    sql(l, "GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.* TO weak@localhost");
    from = now_in_log(l);
    refused_at_each(l, 0); /* where it begins */
    sql(l, "SET sql_log_bin=1");
    sql(l, "INSERT INTO d.t VALUES(NULL,'one')");
    sql(l, "SET sql_log_bin=0");
    refused_at_each(l, 0); /* where it goes on */
    sql(l, "SET sql_log_bin=1");
    check_epoch(l, 1, NULL);
    check_all(l, from);
    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(NULL,'another log')");
    sql(l, "SET sql_log_bin=0");
    refused_at_each(l, ERR_GAP); /* where it begins again */
    check_epoch(l, 2, "");
    sql(l, "DROP USER weak@localhost");
    sql(l, "SET sql_log_bin=1");
}

/* The repository cannot be written, at more and more places: that is no fault
 * of the server, and not tried again; afterwards all comes in. */
static void
test_repository_full(void **state)
{
    static const rlim_t limits[] = {100, 2000, 20000, 60000};
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    for (size_t i = 0; i < NELEM(limits); i++) {
        if (i == 1) {
            from = now_in_log(l);
            assert_int_equal(stream_once(l), 0);
        }
        sql(l,
            "INSERT INTO d.t SELECT NULL, REPEAT(SHA2(RAND(), 512), 8) FROM "
            "d.seq_1_to_400");
        assert_int_equal(
            stream_once_as(l, (struct run){.file_limit = limits[i]}),
            ERR_FAILED);
    }
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
    check_all(l, from);
}

/* The same where what is left of a segment is written at its end: it is cut,
 * the server's next file comes, or an incident. */
static void
test_repository_full_at_end(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct run run = {.file_limit = 30000};
    int rc;

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    for (int i = 0; i < 3; i++) {
        sql(l, "FLUSH BINARY LOGS");
        assert_int_equal(stream_once(l), 0);
        run.segment_bytes = i == 0 ? 40000 : 0;
        /* 40 kB that do not become less. */
        sql(l,
            "INSERT INTO d.t SELECT NULL, HEX(RANDOM_BYTES(1000)) FROM "
            "d.seq_1_to_40");
        if (i == 1)
            sql(l, "FLUSH BINARY LOGS");
        if (i == 2)
            cause_incident(l);
        assert_int_equal(stream_once_as(l, run), ERR_FAILED);
        rc = stream_once(l);
        assert_int_equal(rc, i == 2 ? ERR_GAP : 0);
    }
    /* Or it is flushed, by the clock. */
    stream_start(l, (struct run){.file_limit = 30000});
    sql(l,
        "INSERT INTO d.t SELECT NULL, HEX(RANDOM_BYTES(1000)) FROM "
        "d.seq_1_to_40");
    assert_int_equal(stream_end(l, 0), ERR_FAILED);
    sql(l, "DROP TABLE d.m");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "incident");
    check_all(l, from);
}

/* A backup that cannot be read is no place to begin at: from now on. */
static void
test_backup_damaged(void **state)
{
    struct lab *l = *state;
    char *path, *away;
    size_t from;

    repo_make(l);
    backup_now(l, "20220502T020000Z");
    path = xasprintf("%s/backup/20220502T020000Z/manifest", l->repo_path);
    away = xasprintf("%s/away", l->dir);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(file_create(path, 0400, "damaged", 7), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'before')");
    from = now_in_log(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    assert_int_equal(stream_once(l), 0);
    assert_int_equal(rename(away, path), 0);
    check_all(l, from);
    assert_false(backup_is_covered(l));
    free(path);
    free(away);
}

/* The first byte of a file, changed or changed back. */
static void
spoil(const char *path)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
    close(fd);
}

/* Files that the server itself cannot read: it is asked in vain, and that is no
 * gap.  Once it can again the stream goes on, or is told of the gap. */
static void
test_unreadable(void **state)
{
    struct lab *l = *state;
    char *path = xasprintf("%s/data/mb.000001", l->ts.dir);
    size_t from;

    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(NULL,'before')");
    from = now_in_log(l);
    repo_make(l);
    spoil(path);
    assert_int_equal(stream_once(l), ERR_FAILED); /* from now on */
    spoil(path);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);

    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(NULL,'another log')");
    sql(l, "FLUSH BINARY LOGS");
    spoil(path);
    assert_int_equal(stream_once(l), ERR_FAILED); /* from its oldest file on */
    check_epoch(l, 1, NULL);
    spoil(path);
    assert_int_equal(stream_once(l), ERR_GAP);
    check_epoch(l, 2, "is not the one");
    free(path);
}

/* What was recorded, against what the server has: the same log, or not?  want:
 * part of the reason why not; NULL where it is. */
static void
same_log(struct lab *l, const struct identity *who, const char *file,
    uint64_t pos, const char *gtid, const char *want)
{
    struct segment_tail t = {
        .start = {.server_id = 7, .server_uid = xstrdup("b")},
        .state = {.source_file = xstrdup(file), .source_pos = pos}};
    char *why = NULL;
    int rc;

    assert_int_equal(gtid_pos_parse(gtid, &t.state.gtid), 0);
    rc = identity_check_log(l->db, NULL, who, &t, NULL, &why);
    if (rc < 0)
        fail_msg("%s", err_text());
    if ((rc > 0) != (want == NULL))
        fail_msg("%s:%llu '%s': %d, %s", file, (unsigned long long)pos, gtid,
            rc, why == NULL ? "the same" : why);
    if (want != NULL && strstr(why, want) == NULL)
        fail_msg("%s", why);
    free(why);
    segment_tail_free(&t);
}

static void
test_identity(void **state)
{
    struct lab *l = *state;
    struct identity i, other = {.server_id = 7, .uid = "a", .version = ""};
    struct db_result r;
    const char *file;
    char *gtid, *more, *path;
    uint64_t pos, first;

    sql(l, "RESET MASTER");
    sql(l, "SET gtid_domain_id=5");
    sql(l, "INSERT INTO d.t VALUES(NULL,'another domain')");
    sql(l, "SET gtid_domain_id=0");
    assert_int_equal(db_query(l->db, &r, "SHOW MASTER STATUS"), 0);
    first = strtoull(db_text(&r, 0, 1), NULL, 10);
    db_result_free(&r);
    sql(l, "INSERT INTO d.t VALUES(NULL,'last')");
    assert_int_equal(identity_read(l->db, &i), 0);
    assert_int_equal(db_query(l->db, &r, "SHOW MASTER STATUS"), 0);
    assert_int_equal(db_value(l->db, &gtid, "SELECT @@gtid_binlog_pos"), 1);
    assert_string_equal(gtid, "0-7-1,5-7-1");
    file = db_text(&r, 0, 0);
    pos = strtoull(db_text(&r, 0, 1), NULL, 10);
    free(i.uid);
    i.uid = xstrdup("");

    same_log(l, &i, file, pos, gtid, NULL);
    same_log(l, &i, file, pos, "0-7-2,5-7-1", "is not the one");
    same_log(l, &i, file, pos, "0-8-1,5-7-1", "is not the one");
    /* A domain that was deleted there; one that we do not have. */
    more = xasprintf("%s,77-7-1", gtid);
    same_log(l, &i, file, pos, more, NULL);
    same_log(l, &i, file, pos, "0-7-1", "is not the one");
    /* A place before all, within an event, behind the end. */
    same_log(l, &i, file, 4, gtid, "is not the one");
    same_log(l, &i, file, first, "5-7-1", NULL);
    same_log(l, &i, file, first, gtid, "is not the one");
    same_log(l, &i, file, pos - 1, gtid, "is not the one");
    same_log(l, &i, file, pos + 1, gtid, "is not the one");
    /* A file that is gone; that is to come; of another name: by domains. */
    same_log(l, &i, "mb.000000", 4711, gtid, NULL);
    same_log(l, &i, "mb.900000", 4711, gtid, "newest file is mb.000001");
    same_log(l, &i, "xx.000001", 4711, "5-7-1,77-7-1", NULL);
    same_log(l, &i, "xx.000001", 4711, "77-7-1", "nothing of what");
    same_log(l, &i, "", 0, gtid, NULL);
    /* Another server has to know all domains. */
    same_log(l, &other, file, pos, "0-7-9,5-7-1", NULL);
    same_log(l, &other, file, pos, more, "nothing of what");
    i.server_id = 8;
    same_log(l, &i, file, pos, more, "nothing of what");
    i.server_id = 7;
    /* A file after a transaction of gigabytes: places beyond 32 bits cannot be
     * asked for, and one below may be a larger one of which a part is lost. */
    sql(l, "FLUSH BINARY LOGS");
    path = xasprintf("%s/data/%s", l->ts.dir, file);
    assert_int_equal(truncate(path, (off_t)5 << 30), 0);
    same_log(l, &i, file, pos, gtid, NULL);
    same_log(l, &i, file, pos + ((uint64_t)1 << 32), gtid, NULL);
    same_log(l, &i, file, pos, "0-7-2,5-7-1", NULL);
    same_log(l, &i, file, pos, "77-7-1", "nothing of what");
    /* One that the server cannot read. */
    assert_int_equal(truncate(path, (off_t)pos), 0);
    same_log(l, &i, file, pos - 1, gtid, "is not the one");
    spoil(path);
    same_log(l, &i, file, pos - 1, gtid, NULL);
    sql(l, "RESET MASTER");
    free(path);
    free(more);
    free(gtid);
    db_result_free(&r);
    identity_free(&i);
}

/* The place of the first transaction that the server sends. */
static void
test_identity_place(void **state)
{
    struct segment_tail t = {
        .state = {.source_file = "mb.000005", .source_pos = 4711}};
    struct event e = {.type = EV_GTID, .size = 42};
    char *why = NULL;

    (void)state;
    e.end_pos = 4711 + 42;
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 1);
    e.end_pos = 6000;
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 1);
    e.end_pos = 0;
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 1);
    e.end_pos = 4711 + 41;
    assert_int_equal(identity_check_place(&t, "mb.000006", &e, &why), 1);
    assert_null(why);
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 0);
    assert_non_null(strstr(why, "byte 4710"));
    free(why);
    t.state.source_pos = (uint64_t)1 << 32; /* may have wrapped */
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 1);
}

/* What the server does not tell at once: here since its process is stopped. */
static void
test_identity_later(void **state)
{
    struct lab *l = *state;
    struct db_conf conf = testserver_conf(&l->ts);
    struct segment_state is = {0};
    struct gtid_pos newest = {0};
    struct later *later;
    struct db_result r;
    char *gtid, *why = NULL;
    int status;

    conf.connect_timeout_s = conf.read_timeout_s = 1;
    sql(l, "INSERT INTO d.t VALUES(NULL,'last')");
    assert_int_equal(db_query(l->db, &r, "SHOW MASTER STATUS"), 0);
    assert_int_equal(db_value(l->db, &gtid, "SELECT @@gtid_binlog_pos"), 1);
    is.source_file = xstrdup(db_text(&r, 0, 0));
    is.source_pos = strtoull(db_text(&r, 0, 1), NULL, 10);
    assert_int_equal(gtid_pos_parse(gtid, &is.gtid), 0);
    gtid_pos_copy(&newest, &is.gtid);
    for (int wrong = 0; wrong <= 1; wrong++) {
        is.gtid.v[0].seq += (uint64_t)wrong;
        kill(l->ts.pid, SIGSTOP);
        assert_int_equal(waitpid(l->ts.pid, &status, WUNTRACED), l->ts.pid);
        later = later_start(&conf, &is, &newest);
        assert_non_null(later);
        /* Longer than a connection has time: it is made again. */
        assert_int_equal(
            later_result(later, wrong ? 1300000 : 100000, &why), LATER_OPEN);
        assert_int_equal(later_since(later)->n, is.gtid.n);
        kill(l->ts.pid, SIGCONT);
        assert_int_equal(later_result(later, 20000000, &why), wrong ? 0 : 1);
        later_free(later);
    }
    assert_non_null(strstr(why, "is not the one that was read"));
    free(why);
    /* One that is not waited for ends by itself. */
    kill(l->ts.pid, SIGSTOP);
    assert_int_equal(waitpid(l->ts.pid, &status, WUNTRACED), l->ts.pid);
    assert_non_null(later = later_start(&conf, &is, &newest));
    assert_int_equal(later_result(later, 100000, &why), LATER_OPEN);
    later_free(later);
    kill(l->ts.pid, SIGCONT);
    /* What cannot be asked at all is an error, and not asked again. */
    conf.user = "nobody";
    assert_non_null(later = later_start(&conf, &is, &newest));
    assert_int_equal(later_result(later, 20000000, &why), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    err_clear();
    later_free(later);
    segment_state_free(&is);
    gtid_pos_free(&newest);
    db_result_free(&r);
    free(gtid);
}

/* The stream's word is of the server's clock as it is now. */
static void
test_clock_set_back(void **state)
{
    struct caught c = {.known_us = UINT64_C(4102444800) * 1000000};
    const struct gtid g = {.domain = 0, .server = 1, .seq = 7};

    (void)state;
    c.moment_us = UINT64_C(1651500000) * 1000000;
    gtid_pos_set(&c.missing, &g);
    caught_group(&c, &g);
    assert_int_equal(c.known_us, UINT64_C(1651500000) * 1000000);
    gtid_pos_free(&c.missing);
}

/* The file with which the server goes on. */
static void
test_identity_file(void **state)
{
    struct identity i = {.server_id = 7, .uid = "", .version = ""};
    struct segment_tail t = {.start = {.server_id = 7,
                                 .server_uid = "",
                                 .source_file = "mb.000004",
                                 .source_created = 1000},
        .state = {.source_file = "mb.000005", .source_pos = 4711}};
    char *why = NULL;

    (void)state;
    assert_int_equal(identity_check_file(&i, &t, "mb.000005", 2000, &why), 1);
    assert_int_equal(identity_check_file(&i, &t, "mb.000006", 2000, &why), 1);
    assert_int_equal(
        identity_check_file(&i, &t, "other.000001", 2000, &why), 1);
    assert_null(why);
    assert_int_equal(identity_check_file(&i, &t, "mb.000004", 1001, &why), 0);
    assert_non_null(strstr(why, "another time"));
    free(why);
    assert_int_equal(identity_check_file(&i, &t, "mb.000003", 2000, &why), 0);
    assert_non_null(strstr(why, "goes on in mb.000003"));
    free(why);
    i.server_id = 8; /* another server has files of its own */
    assert_int_equal(identity_check_file(&i, &t, "mb.000003", 2000, &why), 1);
}

/* --- */

/* A test that failed leaves its stream. */
static int
after_each(void **state)
{
    struct lab *l = *state;

    if (l->stream != 0) {
        kill(l->stream, SIGKILL);
        waitpid(l->stream, NULL, 0);
        l->stream = 0;
    }
    return 0;
}

static int
setup(void **state)
{
    struct lab *l = xcalloc(1, sizeof *l);
    char dir[] = "/tmp/pitr-stream-XXXXXX";

    stop_setup();
    if (keys_setup() < 0 || !testserver_installed() || mkdtemp(dir) == NULL ||
        testserver_start(&l->ts, options) < 0)
        return -1;
    l->dir = xstrdup(dir);
    l->key = secret_key_new();
    l->pub = *secret_key_public(l->key);
    sql_open(l);
    sql(l, "CREATE DATABASE d");
    sql(l, "CREATE TABLE d.t(a INT AUTO_INCREMENT PRIMARY KEY, b TEXT)");
    *state = l;
    return 0;
}

static int
teardown(void **state)
{
    struct lab *l = *state;

    db_close(l->db);
    testserver_remove(&l->ts);
    dir_remove(l->dir);
    secret_key_free(l->key);
    free(l->dir);
    free(l->repo_path);
    free(l->signing_path);
    free(l);
    return 0;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_live, after_each),
        cmocka_unit_test_teardown(test_durable_soon, after_each),
        cmocka_unit_test_teardown(test_bursts, after_each),
        cmocka_unit_test_teardown(test_backlog, after_each),
        cmocka_unit_test_teardown(test_index, after_each),
        cmocka_unit_test_teardown(test_once, after_each),
        cmocka_unit_test_teardown(test_segments_cut, after_each),
        cmocka_unit_test_teardown(test_kill_9, after_each),
        cmocka_unit_test_teardown(test_dump_killed, after_each),
        cmocka_unit_test_teardown(test_server_restarts, after_each),
        cmocka_unit_test_teardown(test_purge, after_each),
        cmocka_unit_test_teardown(test_backup_first, after_each),
        cmocka_unit_test_teardown(test_backup_first_gap, after_each),
        cmocka_unit_test_teardown(test_failover, after_each),
        cmocka_unit_test_teardown(test_forms, after_each),
        cmocka_unit_test_teardown(test_domain_deleted, after_each),
        cmocka_unit_test_teardown(test_server_put_back, after_each),
        cmocka_unit_test_teardown(test_aborted_segments, after_each),
        cmocka_unit_test_teardown(test_stock_tool, after_each),
        cmocka_unit_test_teardown(test_semisync, after_each),
        cmocka_unit_test_teardown(test_semisync_waiting, after_each),
        cmocka_unit_test_teardown(test_semisync_before, after_each),
        cmocka_unit_test_teardown(test_semisync_cut, after_each),
        cmocka_unit_test_teardown(test_incident, after_each),
        cmocka_unit_test_teardown(test_same_server_id, after_each),
        cmocka_unit_test_teardown(test_server_id_given, after_each),
        cmocka_unit_test_teardown(test_account, after_each),
        cmocka_unit_test_teardown(test_refused, after_each),
        cmocka_unit_test_teardown(test_repository_full, after_each),
        cmocka_unit_test_teardown(test_unreadable, after_each),
        cmocka_unit_test_teardown(test_repository_full_at_end, after_each),
        cmocka_unit_test_teardown(test_backup_damaged, after_each),
        cmocka_unit_test_teardown(test_reset_master, after_each),
        cmocka_unit_test_teardown(test_reset_master_twin, after_each),
        cmocka_unit_test_teardown(test_reset_master_live, after_each),
        cmocka_unit_test_teardown(test_identity, after_each),
        cmocka_unit_test_teardown(test_identity_later, after_each),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_identity_file),
        cmocka_unit_test(test_identity_place),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (!testserver_installed())
        return 77; /* automake: skipped */
    return cmocka_run_group_tests(tests, setup, teardown);
}
