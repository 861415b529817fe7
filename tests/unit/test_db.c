/*
 * test_db.c -- connections, statements and results, on a private server.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "pitr/db.h"
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "testserver.h"

static struct testserver server;

static int
start(void **state)
{
    (void)state;
    /* Settings that a session of ours must not be touched by. */
    static const char *const options[] = {
        "--sql-mode=ANSI_QUOTES,"
        "NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,NO_ZERO_DATE,"
        "STRICT_ALL_TABLES",
        "--autocommit=0", "--max-statement-time=0.5",
        "--init-connect=SET NAMES latin1", "--character-set-server=latin1",
        "--default-time-zone=+08:00", "--performance-schema=ON", NULL};

    struct db *db;
    int rc;

    if (testserver_start(&server, options) < 0 ||
        (db = testserver_open(&server, "test")) == NULL)
        return -1;
    rc = db_exec(db, "SET GLOBAL sql_select_limit=1");
    db_close(db);
    return rc;
}

static int
stop(void **state)
{
    (void)state;
    testserver_remove(&server);
    return 0;
}

static struct db *
opened(void)
{
    struct db *db = testserver_open(&server, "source");

    if (db == NULL)
        fail_msg("%s", err_text());
    return db;
}

static void
exec_ok(struct db *db, const char *sql)
{
    if (db_exec_bytes(db, sql, strlen(sql)) < 0)
        fail_msg("%s", err_text());
}

static void
test_session(void **state)
{
    static const char *const expect[][2] = {
        {"@@time_zone", "+00:00"},
        {"@@character_set_client", "utf8mb4"},
        {"@@character_set_results", "utf8mb4"},
        {"@@sql_mode", "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"},
        {"@@sql_select_limit", "18446744073709551615"},
        {"@@autocommit", "1"},
        {"@@max_statement_time", "0.000000"},
        {"@@net_write_timeout", "86400"},
    };
    struct db *db = opened();
    struct db_result r;
    char *value;

    (void)state;
    for (size_t i = 0; i < NELEM(expect); i++) {
        assert_int_equal(db_value(db, &value, "SELECT %s", expect[i][0]), 1);
        assert_string_equal(value, expect[i][1]);
        free(value);
    }
    assert_int_equal(db_query(db, &r, "SELECT 1 UNION SELECT 2"), 0);
    assert_int_equal(r.rows, 2);
    db_result_free(&r);
    exec_ok(db, "DO SLEEP(0.8)");
    assert_true(db_version(db) >= 100500);
    assert_non_null(strstr(db_version_text(db), "MariaDB"));
    assert_non_null(strstr(db_where(db), server.socket));
    db_close(db);
}

static void
test_results(void **state)
{
    struct db *db = opened();
    struct db_result r;
    struct buf quoted = {0};
    static const char bytes[] = "a'b\\c\0d\n\r\032\"`\xc3\xa9";
    uint64_t n;
    char *value;

    (void)state;
    assert_int_equal(db_query(db, &r,
                         "SELECT NULL AS `First`, 'x' AS s UNION ALL "
                         "SELECT 'y', NULL"),
        0);
    assert_int_equal(r.rows, 2);
    assert_int_equal(r.cols, 2);
    assert_null(db_cell(&r, 0, 0));
    assert_string_equal(db_cell_by(&r, 1, "first"), "y");
    assert_null(db_cell_by(&r, 1, "third"));
    assert_null(db_cell(&r, 2, 0));
    db_result_free(&r);

    db_quote(&quoted, bytes, sizeof bytes - 1);
    assert_int_equal(db_query(db, &r, "SELECT %s, LENGTH(%s)",
                         buf_cstr(&quoted), buf_cstr(&quoted)),
        0);
    assert_int_equal(r.len[0], sizeof bytes - 1);
    assert_memory_equal(r.cell[0], bytes, sizeof bytes - 1);
    db_result_free(&r);
    buf_free(&quoted);

    assert_int_equal(db_value(db, &value, "SELECT 1 FROM DUAL WHERE 0"), 0);
    assert_int_equal(db_value(db, &value, "SELECT NULL"), 1);
    assert_null(value);
    assert_int_equal(db_value_u64(db, &n, "SELECT 18446744073709551615"), 1);
    assert_true(n == UINT64_MAX);
    assert_int_equal(db_value_u64(db, &n, "SELECT -1"), -1);
    assert_int_equal(db_value_u64(db, &n, "SELECT 'x'"), -1);

    value = db_name2("a`b", "c.d");
    assert_string_equal(value, "`a``b`.`c.d`");
    free(value);
    /* A call gives several results, all of them are read off. */
    exec_ok(db, "CREATE DATABASE d");
    exec_ok(db, "CREATE PROCEDURE d.p() BEGIN SELECT 1; SELECT 2; END");
    exec_ok(db, "CALL d.p()");
    assert_int_equal(db_query(db, &r, "CALL d.p()"), 0);
    assert_string_equal(db_cell(&r, 0, 0), "1");
    db_result_free(&r);
    exec_ok(db, "DROP TABLE IF EXISTS d.none");
    assert_int_equal(db_warnings(db), 1);
    db_close(db);
}

static void
test_cursor(void **state)
{
    struct db *db = opened();
    struct db_cursor *c;
    const char *const *cells;
    const size_t *lens;
    size_t rows = 0;

    (void)state;
    c = db_cursor_open(db, "SELECT seq, NULL FROM d.%s", "none");
    assert_null(c);
    assert_int_equal(db_errno(db), 1146);
    exec_ok(db, "CREATE TABLE d.n (a INT)");
    exec_ok(db, "INSERT INTO d.n VALUES (1),(2),(3),(4)");
    exec_ok(db, "INSERT INTO d.n SELECT a.a FROM d.n a, d.n b, d.n c, d.n d");
    assert_non_null(c = db_cursor_open(db, "SELECT a, NULL FROM d.n"));
    while (db_cursor_next(c, &cells, &lens) > 0) {
        assert_int_equal(lens[0], 1);
        assert_null(cells[1]);
        rows++;
    }
    assert_int_equal(rows, 260);
    db_cursor_close(c);
    /* Left in the middle, the connection can still be used. */
    assert_non_null(c = db_cursor_open(db, "SELECT a FROM d.n"));
    assert_int_equal(db_cursor_next(c, &cells, NULL), 1);
    db_cursor_close(c);
    exec_ok(db, "DO 1");
    assert_null(db_cursor_open(db, "DO 1"));
    db_close(db);
}

static void
test_errors(void **state)
{
    struct db_conf conf = testserver_conf(&server);
    struct db *db, *other;

    (void)state;
    conf.socket = "/nonexistent/socket";
    assert_null(db_open(&conf, "source"));
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    assert_non_null(strstr(err_text(), "/nonexistent/socket"));
    assert_non_null(strstr(err_hint_text(), "running"));
    conf.socket = NULL;
    conf.host = "127.0.0.1";
    conf.port = 1;
    assert_null(db_open(&conf, "source"));
    assert_int_equal(err_kind(), ERR_UNREACHABLE);

    conf = testserver_conf(&server);
    conf.user = "nobody-of-that-name";
    assert_null(db_open(&conf, "source"));
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_non_null(strstr(err_text(), "(1045)"));
    assert_true(*err_hint_text() != '\0');

    db = opened();
    exec_ok(db, "CREATE USER weak");
    conf.user = "weak";
    assert_non_null(other = db_open(&conf, "source"));
    assert_int_equal(db_exec(other, "FLUSH TABLES WITH READ LOCK"), -1);
    assert_int_equal(db_errno(other), 1227);
    assert_non_null(strstr(err_text(), "RELOAD"));
    assert_non_null(strstr(err_hint_text(), "GRANT"));
    assert_int_equal(db_exec(other, "SELECT * FROM d.n"), -1);
    assert_int_equal(db_errno(other), 1142);
    db_close(other);

    /* A secret in a statement is not shown. */
    assert_int_equal(db_exec(db,
                         "CREATE USER x@y IDENTIFIED WITH 'none' AS "
                         "'top secret'"),
        -1);
    assert_null(strstr(err_text(), "top secret"));

    other = opened();
    exec_ok(db, "CREATE TABLE d.l (a INT PRIMARY KEY) ENGINE=InnoDB");
    exec_ok(db, "INSERT INTO d.l VALUES (1)");
    exec_ok(db, "BEGIN");
    exec_ok(db, "UPDATE d.l SET a=2");
    exec_ok(other, "SET innodb_lock_wait_timeout=1");
    assert_int_equal(db_exec(other, "UPDATE d.l SET a=3"), -1);
    assert_int_equal(db_errno(other), 1205);
    assert_non_null(strstr(err_hint_text(), "innodb_trx"));
    exec_ok(db, "ROLLBACK");

    assert_int_equal(db_exec(db, "KILL %lu", db_thread_id(other)), 0);
    usleep(100000);
    assert_int_equal(db_exec(other, "DO 1"), -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    assert_int_equal(db_exec(other, "DO 1"), -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    db_close(other);
    db_close(db);
}

static void *
kill_soon(void *arg)
{
    struct db_conf conf = testserver_conf(&server);

    usleep(300000);
    db_kill_query(&conf, *(unsigned long *)arg);
    return NULL;
}

static void
test_kill_query(void **state)
{
    struct db *db = opened();
    unsigned long id = db_thread_id(db);
    pthread_t thread;
    uint64_t n;

    (void)state;
    pthread_create(&thread, NULL, kill_soon, &id);
    assert_int_equal(db_exec(db,
                         "SELECT COUNT(*) FROM d.n a, d.n b, d.n c, "
                         "d.n d, d.n e"),
        -1);
    pthread_join(thread, NULL);
    assert_int_equal(db_errno(db), 1317);
    assert_int_equal(db_value_u64(db, &n, "SELECT 7"), 1);
    assert_int_equal(n, 7);
    db_close(db);
}

static void *
stop_a_while(void *arg)
{
    usleep(*(unsigned *)arg);
    kill(server.pid, SIGCONT);
    return NULL;
}

static void
freeze(void)
{
    int status;

    kill(server.pid, SIGSTOP);
    assert_int_equal(waitpid(server.pid, &status, WUNTRACED), server.pid);
    assert_true(WIFSTOPPED(status));
}

/* A server whose process is stopped answers nobody: it is given up; and so are
 * the other connections to it, at once. */
static void
test_stopped(void **state)
{
    struct db_conf conf = testserver_conf(&server);
    struct db *db, *other;
    unsigned stopped_us = 700000;
    pthread_t thread;
    uint64_t began;

    (void)state;
    conf.patience_us = 1200000;
    conf.connect_timeout_s = 1;
    assert_non_null(db = db_open(&conf, "source"));
    assert_non_null(other = db_open(&conf, "source"));
    /* What it answers late, but in time, is an answer. */
    freeze();
    pthread_create(&thread, NULL, stop_a_while, &stopped_us);
    exec_ok(db, "DO 1");
    pthread_join(thread, NULL);

    freeze();
    began = time_mono_us();
    assert_int_equal(db_exec(db, "DO 1"), -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    assert_non_null(strstr(err_text(), "has not answered for"));
    assert_non_null(strstr(err_hint_text(), "answer_timeout"));
    assert_true(time_mono_us() - began < 6000000);
    began = time_mono_us();
    assert_int_equal(db_exec(other, "DO 1"), -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    assert_null(db_open(&conf, "source"));
    assert_true(time_mono_us() - began < 2500000);
    kill(server.pid, SIGCONT);
    db_close(db);
    db_close(other);
}

/* A statement that takes longer than that is waited for, and so is a lock: the
 * server lives. */
static void
test_patience(void **state)
{
    struct db_conf conf = testserver_conf(&server);
    struct db *db;
    uint64_t n = 1;

    (void)state;
    conf.patience_us = 500000;
    assert_non_null(db = db_open(&conf, "source"));
    assert_int_equal(db_value_u64(db, &n, "SELECT SLEEP(1.5)"), 1);
    assert_int_equal(n, 0);
    db_interrupt(db);
    assert_int_equal(db_exec(db, "DO 1"), -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    db_close(db);
}

static void
test_attributes(void **state)
{
    struct db *db = opened();
    char *value = NULL;

    (void)state;
    assert_int_equal(
        db_value(db, &value,
            "SELECT attr_value FROM performance_schema.session_connect_attrs "
            "WHERE attr_name='program_name' AND processlist_id=%lu",
            db_thread_id(db)),
        1);
    assert_string_equal(value, "pitr");
    free(value);
    db_close(db);
}

/* TLS required of a server that has none: refused, never silently plain. */
static void
test_tls_required(void **state)
{
    struct db_conf conf = testserver_conf(&server);

    (void)state;
    conf.ssl = true;
    assert_null(db_open(&conf, "source"));
    assert_true(err_kind() != ERR_NONE);
    db_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_kill_query),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_tls_required),
    };

    if (!testserver_installed()) {
        fprintf(stderr, "no mariadbd here: skipped\n");
        return 77;
    }
    return cmocka_run_group_tests_name("db", tests, start, stop);
}
