/*
 * test_semisync.c -- a stream that acknowledges: a commit is told of only when
 * it is durable, before, while and after the stream is cut off.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "pitr/mem.h"
#include "pitr/times.h"
#include "stream_util.h"

/* What the server counts: as db_value_u64(). */
static int
counted(struct lab *l, const char *name, uint64_t *out)
{
    return db_value_u64(l->db, out,
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
        "WHERE VARIABLE_NAME='Rpl_semi_sync_master_%s'",
        name);
}

/* How many replicas acknowledge. */
static int
semisync_clients(struct lab *l, uint64_t *out)
{
    return counted(l, "clients", out) < 0 ? -1 : 0;
}

/* Commits that no replica acknowledged in time. */
static int
not_acknowledged(struct lab *l, uint64_t *out)
{
    return counted(l, "no_tx", out) < 0 ? -1 : 0;
}

/* Acknowledgements that the server has had. */
static uint64_t
acks(struct lab *l)
{
    uint64_t n;

    assert_int_equal(counted(l, "get_ack", &n), 1);
    return n;
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
 * waits for us, the second for that one, and the others for the second, if they
 * came too late to be logged with it. */
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
    assert_true(now_in_log(l) >= n + more);
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

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_semisync, stream_after_each),
        cmocka_unit_test_teardown(test_semisync_waiting, stream_after_each),
        cmocka_unit_test_teardown(test_semisync_before, stream_after_each),
        cmocka_unit_test_teardown(test_semisync_cut, stream_after_each),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (!testserver_installed())
        return 77; /* automake: skipped */
    return cmocka_run_group_tests(tests, stream_setup, stream_teardown);
}
