/*
 * test_repl.c -- the binary log as a replica gets it: events, groups, GTIDs,
 * files, waiting, the end of the log, gaps and errors; also over TLS.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/repl.h"
#include "pitr/times.h"
#include "testserver.h"

#define SECOND_US ((uint64_t)1000000)

static struct testserver server;
static struct db *db;
static char ssl_key[96], ssl_cert[96];

static const char *options[] = {"--log-bin=log", "--server-id=7",
    "--binlog-format=row", "--binlog-checksum=CRC32", "--log-bin-compress=OFF",
    NULL, NULL, NULL};

static void
exec_ok(const char *sql)
{
    if (db_exec_bytes(db, sql, strlen(sql)) < 0)
        fail_msg("%s: %s", sql, err_text());
}

/* A certificate for the server, made by the openssl of this machine. */
static bool
make_certificate(void)
{
    char cmd[512];

    snprintf(ssl_key, sizeof ssl_key, "--ssl-key=%s/key", server.dir);
    snprintf(ssl_cert, sizeof ssl_cert, "--ssl-cert=%s/cert", server.dir);
    snprintf(cmd, sizeof cmd,
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test "
        "-keyout %s/key -out %s/cert >/dev/null 2>&1",
        server.dir, server.dir);
    if (system(cmd) != 0)
        return false;
    options[5] = ssl_key;
    options[6] = ssl_cert;
    return true;
}

static int
start(void **state)
{
    (void)state;
    if (testserver_start(&server, options) < 0 ||
        (db = testserver_open(&server, "source")) == NULL ||
        db_exec(db, "CREATE DATABASE d") < 0 || db_exec(db, "USE d") < 0)
        return -1;
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    db_close(db);
    testserver_remove(&server);
    return 0;
}

static char *
position(void)
{
    char *pos = NULL;

    assert_int_equal(db_value(db, &pos, "SELECT @@gtid_binlog_pos"), 1);
    return pos;
}

static struct repl *
open_at(const char *pos, struct repl_conf conf, bool tls)
{
    struct db_conf db_conf = testserver_conf(&server);
    struct repl *r;
    struct db *conn;

    db_conf.ssl = tls;
    if ((conn = db_open(&db_conf, "source")) == NULL)
        fail_msg("%s", err_text());
    assert_int_equal(gtid_pos_parse(pos, &conf.start), 0);
    r = repl_open(conn, &conf);
    gtid_pos_free(&conf.start);
    return r;
}

static struct repl *
open_ok(const char *pos, bool until_end)
{
    struct repl_conf conf = {
        .server_id = 4242, .heartbeat_us = SECOND_US, .until_end = until_end};
    struct repl *r = open_at(pos, conf, false);

    if (r == NULL)
        fail_msg("%s", err_text());
    return r;
}

/* What passed by. */
struct seen {
    unsigned types[256], stored, groups, idle;
    bool end;
    struct group_state group;
    struct gtid_pos pos; /* of the groups that ended */
    struct buf ddl;      /* statements of standalone groups, a line each */
};

static void
seen_free(struct seen *s)
{
    gtid_pos_free(&s->pos);
    buf_free(&s->ddl);
}

static void
see(struct seen *s, const struct event *e)
{
    struct event_query q;
    int step;

    s->types[e->type]++;
    if (e->flags & EVENT_FLAG_ARTIFICIAL || e->type == EV_HEARTBEAT)
        return;
    s->stored++;
    if ((step = group_next(&s->group, e)) < 0)
        fail_msg("%s", err_text());
    if (step != GROUP_END)
        return;
    s->groups++;
    gtid_pos_set(&s->pos, &s->group.gtid.gtid);
    if (e->type == EV_QUERY && s->group.standalone) {
        assert_int_equal(event_query(e, &q), 0);
        buf_add(&s->ddl, q.sql, q.sql_size);
        buf_u8(&s->ddl, '\n');
    }
}

/* Reads until the end, or until nothing comes for wait_us, or the event of
 * this type came. */
static void
follow(struct repl *r, struct seen *s, uint64_t wait_us, int type)
{
    enum repl_got got;
    struct event e;

    for (;;) {
        if (repl_next(r, wait_us, &got, &e) < 0)
            fail_msg("%s", err_text());
        if (got == REPL_END)
            s->end = true;
        if (got == REPL_IDLE)
            s->idle++;
        if (got != REPL_EVENT)
            return;
        see(s, &e);
        if (e.type == type && !(e.flags & EVENT_FLAG_ARTIFICIAL))
            return;
    }
}

static const char *const work[] = {
    "CREATE TABLE t (a INT PRIMARY KEY, b LONGBLOB) ENGINE=InnoDB",
    "CREATE TABLE m (a INT) ENGINE=MyISAM",
    "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
    "BEGIN",
    "UPDATE t SET b='z'",
    "INSERT INTO m VALUES (1)",
    "SAVEPOINT s",
    "DELETE FROM t WHERE a=1",
    "ROLLBACK TO s",
    "INSERT INTO t VALUES (3, '3')",
    "COMMIT",
    "BEGIN",
    "INSERT INTO t VALUES (4, '4')",
    "INSERT INTO m VALUES (2)",
    "ROLLBACK",
    "XA START 'x'",
    "INSERT INTO t VALUES (5, '5')",
    "XA END 'x'",
    "XA PREPARE 'x'",
    "XA COMMIT 'x'",
    "XA START 'y'",
    "INSERT INTO t VALUES (6, '6')",
    "XA END 'y'",
    "XA COMMIT 'y' ONE PHASE",
    "XA START 'z'",
    "INSERT INTO t VALUES (7, '7')",
    "XA END 'z'",
    "XA PREPARE 'z'",
    "XA ROLLBACK 'z'",
    "CREATE TABLE c SELECT a FROM t",
    "CREATE OR REPLACE TABLE c SELECT a FROM t",
    "SET binlog_format=STATEMENT",
    "SET @v=3",
    "INSERT INTO m SELECT FLOOR(RAND()*@v)",
    "UPDATE t SET b=@v WHERE a=3",
    "CREATE TEMPORARY TABLE tmp (a INT)",
    "INSERT INTO tmp VALUES (1)",
    "DROP TEMPORARY TABLE tmp",
    "CREATE TABLE auto (a INT AUTO_INCREMENT PRIMARY KEY, b INT)",
    "INSERT INTO auto (b) VALUES (1), (2)",
    "SET binlog_format=ROW",
    "CREATE SEQUENCE q",
    "DO NEXTVAL(q)",
    "CREATE USER u",
    "GRANT ALL ON d.* TO u",
    "SET gtid_domain_id=3",
    "INSERT INTO t VALUES (8, '8')",
    "SET gtid_domain_id=0",
    "ALTER TABLE m ADD b INT",
    "TRUNCATE m",
    "SET binlog_alter_two_phase=1",
    "ALTER TABLE m ADD c INT",
    "SET binlog_alter_two_phase=0",
    "ANALYZE TABLE t",
    "FLUSH TABLES",
    "CREATE FUNCTION f(x INT) RETURNS INT DETERMINISTIC RETURN x",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @g=1",
    "INSERT INTO t VALUES (9, REPEAT('9', 100000))",
};

static void
do_work(void)
{
    for (size_t i = 0; i < NELEM(work); i++)
        exec_ok(work[i]);
}

static void
undo_work(void)
{
    exec_ok("DROP DATABASE d");
    exec_ok("DROP USER IF EXISTS u");
    exec_ok("CREATE DATABASE d");
    exec_ok("USE d");
}

/* Whatever a server writes falls into groups that end where it says it is. */
static void
work_as_groups(const char *format_options)
{
    struct seen s = {0};
    char *before, *after, *text;
    struct gtid_pos expect = {0};
    struct repl *r;

    undo_work();
    if (db_exec(db, "SET GLOBAL %s", format_options) < 0)
        fail_msg("%s", err_text());
    exec_ok("FLUSH BINARY LOGS");
    before = position();
    do_work();
    after = position();
    r = open_ok(before, true);
    follow(r, &s, 10 * SECOND_US, -1);
    assert_true(s.end);
    assert_false(s.group.open);
    assert_int_equal(gtid_pos_parse(after, &expect), 0);
    text = gtid_pos_text(&s.pos);
    assert_true(gtid_pos_covered(&s.pos, &expect));
    assert_int_equal(
        gtid_pos_get(&s.pos, 0)->seq, gtid_pos_get(&expect, 0)->seq);
    assert_int_equal(
        gtid_pos_get(&s.pos, 3)->seq, gtid_pos_get(&expect, 3)->seq);
    assert_int_equal(s.groups, s.types[EV_GTID]);
    assert_true(s.types[EV_XA_PREPARE] >= 2);
    assert_true(s.types[EV_USER_VAR] >= 1);
    assert_true(s.types[EV_RAND] >= 1);
    assert_true(s.types[EV_INTVAR] >= 1);
    assert_true(s.types[EV_ANNOTATE_ROWS] >= 5);
    /* The end again: still the end. */
    follow(r, &s, SECOND_US, -1);
    assert_true(s.end);
    repl_close(r);
    free(text);
    free(before);
    free(after);
    gtid_pos_free(&expect);
    seen_free(&s);
}

static void
test_groups(void **state)
{
    (void)state;
    work_as_groups("binlog_row_image=FULL");
}

static void
test_groups_compressed(void **state)
{
    (void)state;
    work_as_groups("log_bin_compress=ON, GLOBAL log_bin_compress_min_len=10");
    exec_ok("SET GLOBAL log_bin_compress=OFF");
}

/* Without checksums, and changed on the way. */
static void
test_no_checksum(void **state)
{
    struct seen s = {0};
    char *before = position();
    struct repl *r;

    (void)state;
    work_as_groups("binlog_checksum=NONE");
    exec_ok("SET GLOBAL binlog_checksum=CRC32");
    exec_ok("CREATE TABLE after_change (a INT)");
    r = open_ok(before, true);
    follow(r, &s, 10 * SECOND_US, -1);
    assert_true(s.end);
    assert_true(s.types[EV_FORMAT] >= 3);
    assert_non_null(strstr(buf_cstr(&s.ddl), "after_change"));
    repl_close(r);
    free(before);
    seen_free(&s);
}

/* What is written while we wait comes at once; nothing comes: idle in time. */
static void
test_live(void **state)
{
    struct seen s = {0};
    char *pos = position();
    struct repl *r = open_ok(pos, false);
    uint64_t start_us;

    (void)state;
    follow(r, &s, SECOND_US / 2, -1); /* what comes at the start */
    assert_int_equal(s.groups, 0);
    assert_non_null(repl_format_event(r));
    assert_true(repl_format(r)->checksum);
    exec_ok("CREATE TABLE live (a INT)");
    start_us = time_mono_us();
    follow(r, &s, 5 * SECOND_US, EV_QUERY);
    assert_true(time_mono_us() - start_us < 2 * SECOND_US);
    assert_int_equal(s.groups, 1);
    assert_string_equal(buf_cstr(&s.ddl), "CREATE TABLE live (a INT)\n");
    s.idle = 0;
    start_us = time_mono_us();
    follow(r, &s, SECOND_US / 4, -1);
    assert_int_equal(s.idle, 1);
    assert_true(time_mono_us() - start_us < 3 * SECOND_US);
    /* Heartbeats come in the period asked for. */
    s.types[EV_HEARTBEAT] = 0;
    follow(r, &s, 5 * SECOND_US, EV_HEARTBEAT);
    assert_int_equal(s.types[EV_HEARTBEAT], 1);
    repl_close(r);
    free(pos);
    seen_free(&s);
}

static void
assert_at(struct repl *r)
{
    struct db_result status;
    char offset[24];

    assert_int_equal(db_query(db, &status, "SHOW MASTER STATUS"), 0);
    assert_string_equal(repl_file(r), db_cell(&status, 0, 0));
    snprintf(offset, sizeof offset, "%llu", (unsigned long long)repl_offset(r));
    assert_string_equal(offset, db_cell(&status, 0, 1));
    db_result_free(&status);
}

/* File and offset, over a rotation and a restart of the server. */
static void
test_files(void **state)
{
    struct seen s = {0};
    char *pos = position();
    struct repl *r = open_ok(pos, false);
    enum repl_got got = REPL_EVENT;
    struct event e;
    int rc;

    (void)state;
    exec_ok("CREATE TABLE files1 (a INT)");
    follow(r, &s, 5 * SECOND_US, EV_QUERY);
    assert_at(r);
    exec_ok("FLUSH BINARY LOGS");
    exec_ok("CREATE TABLE files2 (a INT)");
    follow(r, &s, 5 * SECOND_US, EV_QUERY);
    assert_at(r);
    assert_int_equal(s.groups, 2);
    free(pos);
    pos = position();

    testserver_halt(&server, SIGTERM);
    while ((rc = repl_next(r, 5 * SECOND_US, &got, &e)) == 0)
        assert_int_equal(got, REPL_EVENT);
    assert_int_equal(rc, -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    repl_close(r);
    db_close(db);
    db = NULL;
    assert_true(make_certificate());
    assert_int_equal(testserver_again(&server, options), 0);
    assert_non_null(db = testserver_open(&server, "source"));
    exec_ok("USE d");
    exec_ok("CREATE TABLE files3 (a INT)");
    r = open_ok(pos, false);
    follow(r, &s, 5 * SECOND_US, EV_QUERY);
    assert_at(r);
    assert_int_equal(s.groups, 3);
    repl_close(r);
    free(pos);
    seen_free(&s);
}

/*
 * Over TLS what the library has read ahead is no longer in the socket: every
 * event comes without waiting for the next heartbeat.
 */
static void
test_tls(void **state)
{
    struct repl_conf conf = {.server_id = 4243, .heartbeat_us = 30 * SECOND_US};
    struct seen s = {0};
    char *pos = position();
    struct repl *r = open_at(pos, conf, true);
    uint64_t start_us;

    (void)state;
    assert_non_null(r);
    exec_ok("CREATE TABLE tls (a INT, b LONGBLOB)");
    for (int i = 0; i < 200; i++) {
        char *sql = xasprintf(
            "INSERT INTO tls VALUES (%d, REPEAT('x', %d))", i, i * 997 % 70000);
        exec_ok(sql);
        free(sql);
    }
    start_us = time_mono_us();
    while (s.groups < 201)
        follow(r, &s, 5 * SECOND_US, EV_XID);
    assert_true(time_mono_us() - start_us < 10 * SECOND_US);
    assert_int_equal(s.idle, 0);
    repl_close(r);
    free(pos);
    seen_free(&s);
}

/* A certificate that is not for this server's name is refused where that is
 * asked for, and nowhere else. */
static void
test_tls_verify(void **state)
{
    struct db_conf conf = testserver_conf(&server);
    char ca[96], other[96];
    struct db *conn;

    (void)state;
    snprintf(ca, sizeof ca, "%s/cert", server.dir);
    snprintf(other, sizeof other, "%s/no-such-file", server.dir);
    conf.ssl = true;
    conf.ssl_ca = ca;
    if ((conn = db_open(&conf, "source")) == NULL)
        fail_msg("%s", err_text());
    db_close(conn);
    conf.ssl_verify = true;
    assert_null(db_open(&conf, "source"));
    assert_int_equal(err_kind(), ERR_FAILED);
    conf.ssl_verify = false;
    conf.ssl_ca = other;
    assert_null(db_open(&conf, "source"));
}

/* Events larger than a packet of the protocol. */
static void
test_large_event(void **state)
{
    struct seen s = {0};
    char *pos;
    struct repl *r;

    (void)state;
    exec_ok("SET GLOBAL max_allowed_packet=1073741824");
    db_close(db);
    assert_non_null(db = testserver_open(&server, "source"));
    exec_ok("USE d");
    exec_ok("CREATE TABLE large (b LONGBLOB)");
    pos = position();
    exec_ok("INSERT INTO large VALUES (REPEAT('x', 40000000))");
    exec_ok("INSERT INTO large VALUES ('end')");
    r = open_ok(pos, true);
    follow(r, &s, 10 * SECOND_US, -1);
    assert_int_equal(s.groups, 2);
    assert_true(s.end);
    repl_close(r);
    free(pos);
    seen_free(&s);
}

/* As a semi-synchronous replica: a commit waits until we acknowledge. */
static void
test_semisync(void **state)
{
    struct repl_conf conf = {
        .server_id = 4244, .heartbeat_us = SECOND_US, .semisync = true};
    struct seen s = {0};
    char *pos = position();
    struct repl *r = NULL;
    enum repl_got got;
    struct event e;
    struct db_result res;
    pid_t writer;
    uint64_t waits;
    int acks = 0, status = -1;

    (void)state;
    exec_ok("CREATE TABLE semi (a INT)");
    exec_ok("SET GLOBAL rpl_semi_sync_master_enabled=1, "
            "GLOBAL rpl_semi_sync_master_timeout=20000");
    assert_non_null(r = open_at(pos, conf, false));
    if ((writer = fork()) == 0) {
        struct db *mine = testserver_open(&server, "writer");
        int bad = mine == NULL ||
            db_exec(mine, "INSERT INTO d.semi VALUES (1)") < 0 ||
            db_exec(mine, "INSERT INTO d.semi VALUES (2)") < 0;
        _exit(bad);
    }
    while (s.groups < 3) {
        assert_int_equal(repl_next(r, 10 * SECOND_US, &got, &e), 0);
        assert_int_equal(got, REPL_EVENT);
        see(&s, &e);
        if (repl_wants_ack(r)) {
            char *file = xstrdup(repl_file(r));
            assert_int_equal(repl_ack(r, file, repl_offset(r)), 0);
            free(file);
            acks++;
        }
    }
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    assert_true(acks >= 2);
    assert_int_equal(
        db_query(db, &res, "SHOW STATUS LIKE 'Rpl_semi_sync_master_yes_tx'"),
        0);
    waits = strtoull(db_cell(&res, 0, 1), NULL, 10);
    assert_true(waits >= 2);
    db_result_free(&res);
    exec_ok("SET GLOBAL rpl_semi_sync_master_enabled=0");
    repl_close(r);
    free(pos);
    seen_free(&s);
}

/* A second replica with our id: we are told, and it is no gap. */
static void
test_same_id(void **state)
{
    char *pos = position();
    struct repl *first = open_ok(pos, false), *second = open_ok(pos, false);
    enum repl_got got;
    struct event e;
    int rc;

    (void)state;
    for (int i = 0;
         i < 20 && (rc = repl_next(first, 2 * SECOND_US, &got, &e)) == 0; i++)
        ;
    assert_int_equal(rc, -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_non_null(strstr(err_hint_text(), "server_id"));
    repl_close(first);
    repl_close(second);
    free(pos);
}

static void
test_privilege(void **state)
{
    struct db_conf conf = testserver_conf(&server);
    struct repl_conf repl_conf = {.server_id = 5, .heartbeat_us = SECOND_US};
    struct db *weak;

    (void)state;
    exec_ok("CREATE USER weak");
    conf.user = "weak";
    assert_non_null(weak = db_open(&conf, "source"));
    assert_null(repl_open(weak, &repl_conf));
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_non_null(strstr(err_hint_text(), "GRANT"));
}

/* Positions that the server does not have. */
static void
test_gaps(void **state)
{
    struct repl_conf conf = {.server_id = 6, .heartbeat_us = SECOND_US};
    char *before = position(), *unknown;
    struct gtid_pos pos = {0};

    (void)state;
    /* of the future, as after the server was put back */
    assert_int_equal(gtid_pos_parse(before, &pos), 0);
    unknown = xasprintf(
        "0-7-%llu", (unsigned long long)gtid_pos_get(&pos, 0)->seq + 1000);
    assert_null(open_at(unknown, conf, false));
    assert_int_equal(err_kind(), ERR_GAP);
    free(unknown);
    /* of another server's */
    assert_null(open_at("0-99-12", conf, false));
    assert_int_equal(err_kind(), ERR_GAP);
    /* purged */
    exec_ok("CREATE TABLE gap1 (a INT)");
    exec_ok("FLUSH BINARY LOGS");
    exec_ok("CREATE TABLE gap2 (a INT)");
    exec_ok("FLUSH BINARY LOGS");
    usleep(300000);
    {
        struct db_result status;
        assert_int_equal(db_query(db, &status, "SHOW MASTER STATUS"), 0);
        if (db_exec(db, "PURGE BINARY LOGS TO '%s'", db_cell(&status, 0, 0)) <
            0)
            fail_msg("%s", err_text());
        db_result_free(&status);
    }
    assert_null(open_at(before, conf, false));
    assert_int_equal(err_kind(), ERR_GAP);
    assert_non_null(strstr(err_hint_text(), "backup"));
    /* empty: from the start of each domain, which is gone too */
    assert_null(open_at("", conf, false));
    assert_int_equal(err_kind(), ERR_GAP);
    free(before);
    gtid_pos_free(&pos);
}

/* kill -9 of the server: the connection is lost, nothing worse. */
static void
test_crash(void **state)
{
    char *pos = position();
    struct repl *r = open_ok(pos, false);
    struct seen s = {0};
    enum repl_got got;
    struct event e;
    int rc;

    (void)state;
    testserver_halt(&server, SIGKILL);
    while ((rc = repl_next(r, 5 * SECOND_US, &got, &e)) == 0)
        assert_int_equal(got, REPL_EVENT);
    assert_int_equal(rc, -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    assert_int_equal(repl_next(r, 5 * SECOND_US, &got, &e), -1);
    repl_close(r);
    db_close(db);
    db = NULL;
    assert_int_equal(testserver_again(&server, options), 0);
    assert_non_null(db = testserver_open(&server, "source"));
    exec_ok("USE d");
    exec_ok("CREATE TABLE after_crash (a INT)");
    r = open_ok(pos, true);
    follow(r, &s, 5 * SECOND_US, -1);
    assert_int_equal(s.groups, 1);
    repl_close(r);
    free(pos);
    seen_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_groups_compressed),
        cmocka_unit_test(test_no_checksum),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_verify),
        cmocka_unit_test(test_large_event),
        cmocka_unit_test(test_semisync),
        cmocka_unit_test(test_same_id),
        cmocka_unit_test(test_privilege),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_crash),
    };

    if (!testserver_installed()) {
        fprintf(stderr, "no mariadbd here: skipped\n");
        return 77;
    }
    return cmocka_run_group_tests_name("repl", tests, start, stop);
}
