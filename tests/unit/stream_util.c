/*
 * stream_util.c -- see stream_util.h
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "pitr/catalog.h"
#include "pitr/file.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "stream_util.h"

const char *const stream_options[] = {"--log-bin=mb", "--server-id=7",
    "--binlog-format=ROW", "--sync-binlog=1", "--max-allowed-packet=64M", NULL};

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

void
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

void
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

void
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

void
txs_equal(const struct txs *is, size_t at, const struct txs *want, size_t from)
{
    assert_true(from <= want->n);
    assert_true(at <= is->n);
    for (size_t i = 0; at + i < is->n && from + i < want->n; i++)
        tx_equal(&is->v[at + i], &want->v[from + i], i);
    assert_int_equal(is->n - at, want->n - from);
}

/* --- the lab --- */

void
sql(struct lab *l, const char *text)
{
    if (db_exec_bytes(l->db, text, strlen(text)) < 0)
        fail_msg("%s: %s", text, err_text());
}

void
sql_open(struct lab *l)
{
    db_close(l->db);
    l->db = testserver_open(&l->ts, "test");
    assert_non_null(l->db);
}

void
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

void
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

int
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

int
stream_once_as(struct lab *l, struct run run)
{
    run.once = true;
    stream_start(l, run);
    return stream_end(l, 0);
}

int
stream_once(struct lab *l)
{
    return stream_once_as(l, (struct run){0});
}

int
tail(struct lab *l, struct segment_tail *t)
{
    struct repo *r = repo_open(l->repo_path, NULL, NULL);
    int rc;

    assert_non_null(r);
    rc = segment_tail_find(r, t);
    repo_close(r);
    return rc;
}

unsigned
slow(void)
{
    const char *times = getenv("PITR_SLOW");

    return times != NULL && atoi(times) > 1 ? (unsigned)atoi(times) : 1;
}

void
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

size_t
now_in_log(struct lab *l)
{
    struct txs t;
    size_t n;

    oracle(l, &t);
    n = t.n;
    txs_free(&t);
    return n;
}

void
check_all(struct lab *l, size_t from)
{
    struct txs want, is;

    oracle(l, &want);
    captured(l, &is);
    txs_equal(&is, 0, &want, from);
    txs_free(&want);
    txs_free(&is);
}

void
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

pid_t
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

bool
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

void
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

void
server_again(struct lab *l, int signal, const char *const *opts)
{
    db_close(l->db);
    l->db = NULL;
    testserver_halt(&l->ts, signal);
    assert_int_equal(testserver_again(&l->ts, opts), 0);
    sql_open(l);
}

void
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

void
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

void
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

void
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

int
stream_after_each(void **state)
{
    struct lab *l = *state;

    if (l->stream != 0) {
        kill(l->stream, SIGKILL);
        waitpid(l->stream, NULL, 0);
        l->stream = 0;
    }
    return 0;
}

int
stream_setup(void **state)
{
    struct lab *l = xcalloc(1, sizeof *l);
    char dir[] = "/tmp/pitr-stream-XXXXXX";

    stop_setup();
    if (keys_setup() < 0 || !testserver_installed() || mkdtemp(dir) == NULL ||
        testserver_start(&l->ts, stream_options) < 0)
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

int
stream_teardown(void **state)
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
