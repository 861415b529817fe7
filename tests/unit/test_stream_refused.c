/*
 * test_stream_refused.c -- a stream that cannot: no rights, no room, files that
 * cannot be read, a number that another replica has.  It says so, is never a
 * gap by mistake, and goes on where it was once it can.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "pitr/file.h"
#include "pitr/mem.h"
#include "stream_util.h"

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

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_same_server_id, stream_after_each),
        cmocka_unit_test_teardown(test_server_id_given, stream_after_each),
        cmocka_unit_test_teardown(test_account, stream_after_each),
        cmocka_unit_test_teardown(test_refused, stream_after_each),
        cmocka_unit_test_teardown(test_repository_full, stream_after_each),
        cmocka_unit_test_teardown(test_unreadable, stream_after_each),
        cmocka_unit_test_teardown(
            test_repository_full_at_end, stream_after_each),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (!testserver_installed())
        return 77; /* automake: skipped */
    return cmocka_run_group_tests(tests, stream_setup, stream_teardown);
}
