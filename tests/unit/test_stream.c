/*
 * test_stream.c -- a real server's log into a repository while it is written
 * to, killed and started again: what is read back with the secret key has to be
 * exactly the transactions of the server's own files, byte for byte, none
 * missing, none twice.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/repo/log_index.h"
#include "pitr/catalog.h"
#include "pitr/file.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "stream_util.h"

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
test_server_restarts(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    pid_t writer;

    repo_make(l);
    stream_start(l, (struct run){0});
    await_begun(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'before')");
    server_again(l, SIGTERM, stream_options);
    sql(l, "INSERT INTO d.t VALUES(NULL,'between')");
    await_captured(l);
    for (int i = 0; i < 3; i++) {
        writer = writer_start(l, 20, 3000);
        usleep(1500000);
        server_again(l, SIGKILL, stream_options);
        assert_int_equal(waitpid(writer, NULL, 0), writer);
    }
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    await_captured(l);
    assert_int_equal(stream_end(l, SIGTERM), 0);
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

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_live, stream_after_each),
        cmocka_unit_test_teardown(test_durable_soon, stream_after_each),
        cmocka_unit_test_teardown(test_bursts, stream_after_each),
        cmocka_unit_test_teardown(test_backlog, stream_after_each),
        cmocka_unit_test_teardown(test_index, stream_after_each),
        cmocka_unit_test_teardown(test_once, stream_after_each),
        cmocka_unit_test_teardown(test_segments_cut, stream_after_each),
        cmocka_unit_test_teardown(test_kill_9, stream_after_each),
        cmocka_unit_test_teardown(test_dump_killed, stream_after_each),
        cmocka_unit_test_teardown(test_server_restarts, stream_after_each),
        cmocka_unit_test_teardown(test_forms, stream_after_each),
        cmocka_unit_test_teardown(test_aborted_segments, stream_after_each),
        cmocka_unit_test_teardown(test_stock_tool, stream_after_each),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (!testserver_installed())
        return 77; /* automake: skipped */
    return cmocka_run_group_tests(tests, stream_setup, stream_teardown);
}
