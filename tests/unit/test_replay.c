/*
 * test_replay.c -- the archived log of one server, replayed into another:
 * everything a log can hold arrives, cutoffs are exact, the target's I/O
 * thread may lose its connection, strangers are not let in, and the target is
 * left as it was.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "feed.h"
#include "pitr/file.h"
#include "pitr/keys.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/repo.h"
#include "pitr/stream.h"
#include "pitr/times.h"
#include "testserver.h"

static const char *const source_options[] = {"--log-bin=binlog",
    "--server-id=11", "--binlog-format=MIXED", "--gtid-strict-mode=0",
    "--max-allowed-packet=128M",
    /* what its log has outlives its death */
    "--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1", NULL};
static const char *const target_options[] = {"--server-id=11", "--log-bin",
    "--slave-net-timeout=8", "--max-allowed-packet=16M", NULL};

struct fixture {
    char dir[64];
    char *repo_path, *signing_path;
    struct testserver source, target;
    struct secret_key *key;
    struct db *at_source, *at_target;
    struct gtid_pos mark; /* where the source stood before a test's work */
};
static struct fixture fx;

static void
must(int rc)
{
    if (rc < 0)
        print_error("%s (%s)\n", err_text(), err_hint_text());
    assert_true(rc >= 0);
}

static void
run(struct db *db, const char *sql)
{
    int rc = db_exec_bytes(db, sql, strlen(sql));

    if (rc < 0)
        print_error("%.200s: %s\n", sql, err_text());
    assert_int_equal(rc, 0);
}

static void
run_all(struct db *db, const char *const *sql, size_t n)
{
    for (size_t i = 0; i < n; i++)
        run(db, sql[i]);
}

static char *
value(struct db *db, const char *sql)
{
    char *v = NULL;

    must(db_value(db, &v, "%s", sql));
    return v == NULL ? xstrdup("NULL") : v;
}

static void
same(const char *sql)
{
    char *a = value(fx.at_source, sql), *b = value(fx.at_target, sql);

    if (strcmp(a, b) != 0)
        print_error("%s: source %.300s, target %.300s\n", sql, a, b);
    assert_string_equal(a, b);
    free(a);
    free(b);
}

/* Every user table of the source is on the target, and equal. */
static void
same_tables_of(const char *schemas)
{
    struct db_result r = {0};
    char *sql = xasprintf("SELECT GROUP_CONCAT(table_schema, '.', table_name, "
                          "table_type ORDER BY 1) FROM "
                          "information_schema.tables WHERE table_schema LIKE "
                          "'%s'",
        schemas);

    same(sql);
    free(sql);
    must(db_query(fx.at_source, &r,
        "SELECT CONCAT('`', table_schema, '`.`', table_name, '`') "
        "FROM information_schema.tables WHERE table_schema LIKE '%s' AND "
        "table_type IN ('BASE TABLE', 'SEQUENCE')",
        schemas));
    for (size_t i = 0; i < r.rows; i++) {
        const char *name = db_cell(&r, i, 0);
        struct db_result a = {0}, b = {0};

        must(db_query(fx.at_source, &a, "CHECKSUM TABLE %s EXTENDED", name));
        must(db_query(fx.at_target, &b, "CHECKSUM TABLE %s EXTENDED", name));
        if (strcmp(db_cell(&a, 0, 1), db_cell(&b, 0, 1)) != 0)
            print_error("%s differs\n", name);
        assert_string_equal(db_cell(&a, 0, 1), db_cell(&b, 0, 1));
        db_result_free(&a);
        db_result_free(&b);
    }
    db_result_free(&r);
}

/* --- the fixture --- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* What the source has logged goes into the repository. */
static void
archive(uint64_t segment_bytes)
{
    struct db_conf source = testserver_conf(&fx.source);
    struct stream_conf conf = {.source = &source,
        .once = true,
        .flush_us = 1000000,
        .segment_bytes = segment_bytes,
        .segment_us = 3600000000u,
        .level = 1,
        .retry_us = 1000000};
    struct stream_report report = {0};

    conf.repo = repo_open(fx.repo_path, NULL, fx.signing_path);
    if (conf.repo == NULL)
        must(-1);
    must(stream_run(&conf, &report));
    repo_close(conf.repo);
}

static int
group_setup(void **state)
{
    const struct public_key *pub;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (!testserver_installed())
        return 0;
    log_setup(getenv("PITR_TEST_VERBOSE") ? LOG_VERBOSE : LOG_QUIET);
    if (keys_setup() < 0)
        return -1;
    strcpy(fx.dir, "/tmp/pitr-replay-XXXXXX");
    if (mkdtemp(fx.dir) == NULL ||
        testserver_start(&fx.source, source_options) < 0 ||
        (fx.at_source = testserver_open(&fx.source, "source")) == NULL)
        return -1;
    fx.key = secret_key_new();
    pub = secret_key_public(fx.key);
    fx.repo_path = xasprintf("%s/repo", fx.dir);
    fx.signing_path = xasprintf("%s/signing", fx.dir);
    must(repo_init(fx.repo_path, "source", fx.signing_path, pub, 1, fx.key));
    archive(1u << 20); /* a repository begins where the log ends */
    return 0;
}

static int
group_teardown(void **state)
{
    (void)state;
    db_close(fx.at_source);
    testserver_remove(&fx.source);
    secret_key_free(fx.key);
    nftw(fx.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(fx.repo_path);
    free(fx.signing_path);
    return 0;
}

static int
test_setup(void **state)
{
    (void)state;
    if (!testserver_installed())
        return 0;
    if (testserver_start(&fx.target, target_options) < 0 ||
        (fx.at_target = testserver_open(&fx.target, "target")) == NULL)
        return -1;
    return 0;
}

static int
test_teardown(void **state)
{
    (void)state;
    db_close(fx.at_target);
    fx.at_target = NULL;
    if (fx.target.dir[0] != '\0')
        testserver_remove(&fx.target);
    return 0;
}

struct job {
    struct db_conf target;
    struct repo *repo;
    struct catalog *catalog;
    struct plan plan;
    struct replay_conf conf;
    struct replay_report report, preview, boundary;
};

/* A replay of everything in the repository from the very beginning. */
static void
job_open(struct job *j, const struct cutoff *cutoff)
{
    memset(j, 0, sizeof(*j));
    j->target = testserver_conf(&fx.target);
    if ((j->repo = repo_open(fx.repo_path, NULL, NULL)) == NULL ||
        (j->catalog = catalog_load(j->repo)) == NULL)
        must(-1);
    j->catalog->backup = xcalloc(1, sizeof(*j->catalog->backup));
    j->catalog->backups = 1;
    j->catalog->backup[0].id = xstrdup("none");
    gtid_pos_copy(&j->catalog->backup[0].gtid, &fx.mark);
    while (j->plan.first_segment < j->catalog->segments &&
        gtid_pos_equal(&j->catalog->segment[j->plan.first_segment].start.gtid,
            &fx.mark) == false)
        j->plan.first_segment++;
    j->plan.segments = j->catalog->segments - j->plan.first_segment;
    assert_true(j->plan.segments > 0);
    if (cutoff != NULL)
        j->plan.cutoff = *cutoff;
    j->conf = (struct replay_conf){.target = &j->target,
        .repo = j->repo,
        .key = fx.key,
        .catalog = j->catalog,
        .plan = &j->plan,
        .ahead_bytes = 64u << 20};
}

static void
job_close(struct job *j)
{
    free(j->report.unfinished);
    free(j->preview.unfinished);
    free(j->boundary.unfinished);
    catalog_free(j->catalog);
    repo_close(j->repo);
}

static void
job_run(struct job *j)
{
    char a[GTID_TEXT], b[GTID_TEXT];

    must(replay_preview(&j->conf, false, &j->preview));
    must(replay_preview(&j->conf, true, &j->boundary));
    must(replay_check(&j->conf));
    must(replay_run(&j->conf, &j->report));
    assert_int_equal(j->report.groups, j->preview.groups);
    assert_int_equal(j->report.groups, j->boundary.groups);
    assert_int_equal(j->report.any_last, j->preview.any_last);
    assert_int_equal(j->report.any_last, j->boundary.any_last);
    assert_int_equal(j->report.any_out, j->preview.any_out);
    assert_string_equal(gtid_text(&j->report.last.gtid, a),
        gtid_text(&j->preview.last.gtid, b));
    assert_string_equal(a, gtid_text(&j->boundary.last.gtid, b));
    assert_string_equal(gtid_text(&j->report.first_out.gtid, a),
        gtid_text(&j->preview.first_out.gtid, b));
    assert_string_equal(a, gtid_text(&j->boundary.first_out.gtid, b));
}

static void
expect(struct db *db, const char *sql, const char *want)
{
    char *v = value(db, sql);

    if (strcmp(v, want) != 0)
        print_error("%s: %s, not %s\n", sql, v, want);
    assert_string_equal(v, want);
    free(v);
}

/* Nothing of the replay is left on the target. */
static void
left_as_it_was(void)
{
    struct db_result r = {0};

    must(db_query(fx.at_target, &r, "SHOW ALL SLAVES STATUS"));
    assert_int_equal(r.rows, 0);
    db_result_free(&r);
    expect(fx.at_target, "SELECT @@global.server_id", "11");
    expect(fx.at_target, "SELECT @@global.gtid_strict_mode", "0");
    expect(fx.at_target,
        "SELECT variable_value FROM information_schema.global_status WHERE "
        "variable_name = 'Slave_open_temp_tables'",
        "0");
}

/* --- the log --- */

static const char *const work[] = {
    "CREATE DATABASE t_all",
    "USE t_all",
    "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200), f "
    "FLOAT, d DOUBLE, b LONGBLOB, ts TIMESTAMP(6) NULL, e ENUM('x','y'))",
    "CREATE TABLE m (id INT, v LONGTEXT) ENGINE=MyISAM",
    "CREATE TABLE noкey (v VARCHAR(50) CHARACTER SET utf8mb4)",
    "SET SESSION binlog_format='ROW'",
    "INSERT INTO a (v, f, d, ts) VALUES ('row', 0.1, PI(), NOW(6)), "
    "('rand', RAND(), RAND(), '2001-02-03 04:05:06.789')",
    "INSERT INTO a (v) SELECT CONCAT('n', seq) FROM seq_1_to_1000",
    "UPDATE a SET d = id / 3 WHERE id % 7 = 0",
    "DELETE FROM a WHERE id % 11 = 0",
    "INSERT INTO noкey VALUES ('dup'), ('dup'), ('dup'), (NULL)",
    "DELETE FROM noкey LIMIT 1",
    "SET SESSION binlog_format='STATEMENT'",
    "SET time_zone='+05:30'",
    "SET timestamp=1234567890.123456",
    "INSERT INTO a (v, d, ts) VALUES ('stmt', RAND(), NOW(6))",
    "SET timestamp=DEFAULT",
    "SET time_zone='+00:00'",
    "SET @u = 'user variable \xc3\xa9', @n = 1.5e300",
    "INSERT INTO a (v, d) VALUES (@u, @n)",
    "SET SESSION insert_id=50000",
    "INSERT INTO a (v) VALUES (LAST_INSERT_ID())",
    "INSERT INTO a (v) VALUES (LAST_INSERT_ID())",
    "CREATE TEMPORARY TABLE tmp (id INT, v VARCHAR(20))",
    "INSERT INTO tmp VALUES (1, 'temp'), (2, 'table')",
    "INSERT INTO a (v) SELECT v FROM tmp",
    "DROP TEMPORARY TABLE tmp",
    "SET sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT'",
    "INSERT INTO m VALUES (1, 'a' || 'b')",
    "SET sql_mode=''",
    "SET SESSION binlog_format='MIXED'",
    "INSERT INTO m SELECT 5, UUID()",
    "CREATE SEQUENCE s START WITH 5 INCREMENT BY 3 CACHE 10",
    "INSERT INTO m SELECT NEXTVAL(s), 'sequence'",
    "DO NEXTVAL(s)",
    "BEGIN",
    "INSERT INTO a (v) VALUES ('kept')",
    "SAVEPOINT p",
    "INSERT INTO a (v) VALUES ('undone')",
    "INSERT INTO m VALUES (2, 'not transactional')",
    "ROLLBACK TO p",
    "COMMIT",
    "BEGIN",
    "INSERT INTO a (v) VALUES ('gone')",
    "INSERT INTO m VALUES (3, 'stays')",
    "ROLLBACK",
    "XA START 'x1'",
    "INSERT INTO a (v) VALUES ('xa')",
    "XA END 'x1'",
    "XA PREPARE 'x1'",
    "XA COMMIT 'x1'",
    "XA START 'x2', X'00ff', 7",
    "INSERT INTO a (v) VALUES ('xa gone')",
    "XA END 'x2', X'00ff', 7",
    "XA PREPARE 'x2', X'00ff', 7",
    "XA ROLLBACK 'x2', X'00ff', 7",
    "CREATE TABLE c AS SELECT id, v FROM a WHERE id < 50",
    "CREATE OR REPLACE TABLE c (id INT PRIMARY KEY, p POINT NOT NULL)",
    "INSERT INTO c VALUES (1, POINT(1, 2))",
    "ALTER TABLE c ADD COLUMN x INT DEFAULT 3, ALGORITHM=INSTANT",
    "CREATE TABLE audit (id INT, what VARCHAR(10))",
    "CREATE TRIGGER tr AFTER INSERT ON c FOR EACH ROW INSERT INTO audit "
    "VALUES (NEW.id, 'ins')",
    "INSERT INTO c (id, p) VALUES (2, POINT(3, 4))",
    "SET SESSION binlog_format='STATEMENT'",
    "INSERT INTO c (id, p) VALUES (3, POINT(5, 6))",
    "SET SESSION binlog_format='MIXED'",
    "CREATE PROCEDURE pr(n INT) BEGIN INSERT INTO m VALUES (n, USER()); END",
    "CALL pr(77)",
    "CREATE VIEW vw AS SELECT id, v FROM a",
    "CREATE USER 'someone'@'%' IDENTIFIED BY 'secret'",
    "GRANT SELECT ON t_all.* TO 'someone'@'%'",
    "CREATE TABLE v (id INT PRIMARY KEY, t INT) WITH SYSTEM VERSIONING",
    "INSERT INTO v VALUES (1, 1)",
    "UPDATE v SET t = 2",
    "CREATE TABLE fk1 (id INT PRIMARY KEY)",
    "CREATE TABLE fk2 (id INT, FOREIGN KEY (id) REFERENCES fk1 (id) ON DELETE "
    "CASCADE)",
    "INSERT INTO fk1 VALUES (1), (2)",
    "INSERT INTO fk2 VALUES (1), (2)",
    "DELETE FROM fk1 WHERE id = 1",
    "TRUNCATE TABLE fk2",
    "SET SESSION gtid_domain_id=7",
    "CREATE DATABASE t_seven",
    "CREATE TABLE t_seven.a (id INT PRIMARY KEY)",
    "INSERT INTO t_seven.a SELECT seq FROM seq_1_to_100",
    "SET SESSION gtid_domain_id=0",
    "SET SESSION server_id=4711",
    "INSERT INTO a (v) VALUES ('of another server')",
    "SET SESSION server_id=11",
    "FLUSH BINARY LOGS",
    "SET GLOBAL log_bin_compress=1",
    "INSERT INTO a (v, b) VALUES ('compressed', REPEAT('compress me ', 9999))",
    "SET SESSION binlog_format='STATEMENT'",
    "INSERT INTO a (v, b) VALUES ('compressed', REPEAT('as text too ', 99)), "
    "('"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "', NULL)",
    "SET SESSION binlog_format='ROW'",
    "SET GLOBAL log_bin_compress=0",
    "SET GLOBAL binlog_checksum=NONE",
    "INSERT INTO a (v) VALUES ('without checksum')",
    "UPDATE a SET d = 1 WHERE id < 100",
    "SET GLOBAL binlog_checksum=CRC32",
    "SET SESSION binlog_row_image='MINIMAL'",
    "UPDATE a SET v = 'minimal' WHERE id = 5",
    "SET SESSION binlog_row_image='NOBLOB'",
    "UPDATE a SET v = 'no blob', b = REPEAT('blob', 9999) WHERE id = 6",
    "UPDATE a SET v = 'no blob' WHERE id IN (6, 8)",
    "DELETE FROM a WHERE id = 9",
    "SET SESSION binlog_row_image='MINIMAL'",
    "INSERT INTO a (v, b) VALUES ('big', REPEAT(CHAR(0, 255, 39, 92), "
    "5 * 1024 * 1024))",
    "INSERT INTO a (v, b) VALUES ('bigger', REPEAT('0123456789abcdef', "
    "3 * 1024 * 1024))",
    "SET SESSION binlog_row_image='FULL'",
    "SET SESSION binlog_format='MIXED'",
};

static void
load_data(void)
{
    char path[128], sql[400];
    FILE *f;

    snprintf(path, sizeof(path), "%s/data/load.csv", fx.source.dir);
    f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 50000; i++)
        fprintf(f, "%d\tline \\\t%d\n", i, i);
    fclose(f);
    run(fx.at_source, "SET SESSION binlog_format='STATEMENT'");
    snprintf(sql, sizeof(sql),
        "LOAD DATA INFILE '%s' INTO TABLE t_all.m (id, v)", path);
    run(fx.at_source, sql);
    run(fx.at_source, "SET SESSION binlog_format='MIXED'");
}

/* Statements whose events fill packets to the byte, one less, one more. */
static void
exact_sizes(void)
{
    struct db_result r = {0};
    struct buf sql = {0};
    char *file, *from;
    size_t over;

    run(fx.at_source, "SET SESSION binlog_format='STATEMENT'");
    file = value(fx.at_source,
        "SELECT SUBSTRING_INDEX(variable_value, '/', -1) FROM "
        "information_schema.global_status WHERE "
        "variable_name='BINLOG_SNAPSHOT_FILE'");
    from = value(fx.at_source,
        "SELECT variable_value FROM information_schema.global_status WHERE "
        "variable_name='BINLOG_SNAPSHOT_POSITION'");
    run(fx.at_source, "INSERT INTO m VALUES (10, '')");
    must(db_query(
        fx.at_source, &r, "SHOW BINLOG EVENTS IN '%s' FROM %s", file, from));
    over = 0;
    for (size_t i = 0; i < r.rows; i++)
        if (strcmp(db_cell(&r, i, 2), "Query") == 0 &&
            strstr(db_cell(&r, i, 5), "INSERT INTO m") != NULL)
            over = strtoul(db_cell(&r, i, 4), NULL, 10) -
                strtoul(db_cell(&r, i, 1), NULL, 10);
    assert_true(over > 0);
    for (size_t size = 0xFFFFFF - 2; size <= 0xFFFFFF; size++) {
        buf_reset(&sql);
        buf_str(&sql, "INSERT INTO m VALUES (10, '");
        buf_reserve(&sql, size);
        memset(sql.data + sql.len, 'p', size - over);
        sql.len += size - over;
        buf_str(&sql, "')");
        must(db_exec_bytes(fx.at_source, (const char *)sql.data, sql.len));
    }
    run(fx.at_source, "SET SESSION binlog_format='MIXED'");
    buf_free(&sql);
    db_result_free(&r);
    free(file);
    free(from);
}

/* A temporary table that is there when the server dies, and its namesake of
 * the same session number in the server's next life. */
static const char *const left_open[] = {"USE t_all", "SET pseudo_thread_id=99",
    "SET SESSION binlog_format='STATEMENT'",
    "CREATE TEMPORARY TABLE left_open (id INT)",
    "INSERT INTO left_open VALUES (1)",
    "INSERT INTO m SELECT id, 'left open' FROM left_open"};

/* The whole log, in segments of all kinds, with a restart of the source. */
static void
test_everything(void **state)
{
    struct job j;
    struct db *other;
    char *pos, *want;

    (void)state;
    if (!testserver_installed())
        skip();
    run_all(fx.at_source, work, NELEM(work));
    load_data();
    exact_sizes();
    other = testserver_open(&fx.source, "other");
    assert_non_null(other);
    run_all(other, left_open, NELEM(left_open));
    archive(1u << 20);
    /* A crash: its temporary tables are gone without a word in the log. */
    testserver_halt(&fx.source, SIGKILL);
    db_close(other);
    db_close(fx.at_source);
    must(testserver_again(&fx.source, source_options));
    fx.at_source = testserver_open(&fx.source, "source");
    assert_non_null(fx.at_source);
    run(fx.at_source, "INSERT INTO t_all.a (v) VALUES ('after the crash')");
    other = testserver_open(&fx.source, "other");
    assert_non_null(other);
    run_all(other, left_open, NELEM(left_open));
    archive(1u << 20);
    want = value(fx.at_source, "SELECT @@global.gtid_binlog_pos");
    db_close(other);

    /* Else a CREATE that ought to fail would replace. */
    run(fx.at_target, "SET GLOBAL slave_ddl_exec_mode='STRICT'");
    job_open(&j, NULL);
    j.conf.ahead_bytes = 0; /* the least: less than a single transaction */
    job_run(&j);
    same_tables_of("t\\_%");
    left_as_it_was();
    assert_null(j.report.unfinished);
    expect(fx.at_target, "SELECT COUNT(*) FROM t_all.a WHERE v = 'xa'", "1");
    same("SELECT PREVIOUS VALUE FOR t_all.s");
    same("SELECT authentication_string FROM mysql.user WHERE user='someone'");
    same("SELECT COUNT(*) FROM t_all.v FOR SYSTEM_TIME ALL");
    pos = value(fx.at_target, "SELECT @@global.gtid_slave_pos");
    assert_string_equal(pos, want);
    free(pos);
    free(want);

    /* The target's own next transaction comes after those. */
    run(fx.at_target, "CREATE DATABASE t_next");
    expect(fx.at_target,
        "SELECT SUBSTRING_INDEX(@@global.gtid_binlog_pos, '-', -1) = 1 + "
        "SUBSTRING_INDEX(SUBSTRING_INDEX(@@global.gtid_slave_pos, ',', 1), "
        "'-', -1)",
        "1");
    job_close(&j);
}

/* Where the source stands now. */
static struct gtid
now_at(void)
{
    struct gtid_pos pos = {0};
    char *text = value(fx.at_source, "SELECT @@global.gtid_binlog_pos");
    struct gtid g;

    assert_int_equal(gtid_pos_parse(text, &pos), 0);
    assert_non_null(gtid_pos_get(&pos, 0));
    g = *gtid_pos_get(&pos, 0);
    gtid_pos_free(&pos);
    free(text);
    return g;
}

/* A fresh part of the log that a test has for itself. */
static void
log_begin(void)
{
    char *text = value(fx.at_source, "SELECT @@global.gtid_binlog_pos");

    archive(1u << 20);
    must(gtid_pos_parse(text, &fx.mark));
    free(text);
}

static uint64_t
source_us(void)
{
    uint64_t v;

    must(db_value_u64(fx.at_source, &v,
        "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)"));
    return v;
}

static void
log_count(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        run(fx.at_source, "INSERT INTO t_cut.a VALUES ()");
}

/* Cutoffs by GTID and by time, with several domains. */
static void
test_cutoffs(void **state)
{
    struct cutoff cut = {0};
    struct gtid tenth, twelfth;
    struct job j;
    uint64_t moment;

    (void)state;
    if (!testserver_installed())
        skip();
    log_begin();
    run(fx.at_source, "CREATE DATABASE t_cut");
    run(fx.at_source,
        "CREATE TABLE t_cut.a (id INT AUTO_INCREMENT PRIMARY KEY)");
    log_count(10);
    tenth = now_at();
    archive(1u << 20);
    log_count(2);
    twelfth = now_at();
    archive(1u << 20);
    sleep(2);
    moment = source_us() / 1000000 * 1000000;
    sleep(1);
    run(fx.at_source, "SET SESSION gtid_domain_id=5");
    run(fx.at_source, "SET timestamp=@@timestamp - 10");
    log_count(3); /* late in the log, early by the clock */
    run(fx.at_source, "SET timestamp=DEFAULT");
    run(fx.at_source, "SET SESSION gtid_domain_id=0");
    log_count(4);
    run(fx.at_source, "SET SESSION gtid_domain_id=5");
    log_count(5);
    run(fx.at_source, "SET SESSION gtid_domain_id=0");
    archive(1u << 20);

    cut = (struct cutoff){.kind = CUTOFF_BEFORE_GTID, .gtid = tenth};
    job_open(&j, &cut);
    job_run(&j);
    expect(fx.at_target, "SELECT COUNT(*) FROM t_cut.a", "9");
    assert_true(gtid_equal(&j.report.first_out.gtid, &tenth));
    job_close(&j);
    run(fx.at_target, "DROP DATABASE t_cut");
    run(fx.at_target, "RESET MASTER");

    cut.kind = CUTOFF_UNTIL_GTID;
    job_open(&j, &cut);
    job_run(&j);
    expect(fx.at_target, "SELECT COUNT(*) FROM t_cut.a", "10");
    assert_true(gtid_equal(&j.report.last.gtid, &tenth));
    assert_int_equal(j.report.first_out.gtid.seq, tenth.seq + 1);
    job_close(&j);
    run(fx.at_target, "DROP DATABASE t_cut");
    run(fx.at_target, "RESET MASTER");

    cut = (struct cutoff){.kind = CUTOFF_TIME, .us = moment};
    job_open(&j, &cut);
    job_run(&j);
    expect(fx.at_target, "SELECT COUNT(*) FROM t_cut.a", "15");
    assert_int_equal(j.report.first_out.gtid.seq, twelfth.seq + 1);
    assert_int_equal(j.report.last.gtid.domain, 5);
    left_as_it_was();
    job_close(&j);
    run(fx.at_target, "DROP DATABASE t_cut");
    run(fx.at_target, "RESET MASTER");

    job_open(&j, NULL);
    job_run(&j);
    expect(fx.at_target, "SELECT COUNT(*) FROM t_cut.a", "24");
    assert_false(j.report.any_out);
    same_tables_of("t\\_cut");
    job_close(&j);
}

/* What the cutoff splits is treated as not done, and told. */
static void
test_unfinished(void **state)
{
    static const char *const before[] = {"CREATE DATABASE t_open", "USE t_open",
        "CREATE TABLE a (id INT PRIMARY KEY)",
        "CREATE TABLE b (id INT PRIMARY KEY)", "SET binlog_alter_two_phase=1",
        "ALTER TABLE a ADD COLUMN whole INT, ALGORITHM=COPY",
        "XA START 'open', 'b', 3", "INSERT INTO a VALUES (1, 1)",
        "XA END 'open', 'b', 3", "XA PREPARE 'open', 'b', 3"};
    struct cutoff cut = {.kind = CUTOFF_UNTIL_GTID};
    struct job j;

    (void)state;
    if (!testserver_installed())
        skip();
    log_begin();
    run_all(fx.at_source, before, NELEM(before));
    run(fx.at_source, "XA COMMIT 'open', 'b', 3");
    /* START ALTER and COMMIT ALTER are two groups. */
    cut.gtid = now_at();
    run(fx.at_source, "ALTER TABLE b ADD COLUMN split INT, ALGORITHM=COPY");
    cut.gtid.seq++;
    assert_int_equal(now_at().seq, cut.gtid.seq + 1);
    run(fx.at_source, "SET binlog_alter_two_phase=0");
    archive(1u << 20);

    job_open(&j, &cut);
    job_run(&j);
    assert_non_null(j.report.unfinished);
    assert_non_null(strstr(j.report.unfinished, "ALTER"));
    assert_null(strstr(j.report.unfinished, "XA"));
    assert_string_equal(j.report.unfinished, j.preview.unfinished);
    expect(fx.at_target, "SELECT COUNT(*) FROM t_open.a WHERE whole = 1", "1");
    expect(fx.at_target,
        "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = "
        "'t_open' AND column_name = 'split'",
        "0");
    job_close(&j);
    left_as_it_was();
    run(fx.at_target, "DROP DATABASE t_open");
    run(fx.at_target, "RESET MASTER");

    cut.gtid.seq -= 2; /* the XA PREPARE */
    job_open(&j, &cut);
    job_run(&j);
    assert_non_null(j.report.unfinished);
    assert_non_null(strstr(j.report.unfinished, "X'6f70656e',X'62',3"));
    expect(fx.at_target, "SELECT COUNT(*) FROM t_open.a", "0");
    job_close(&j);
    left_as_it_was();
    run(fx.at_target, "DROP DATABASE t_open");
    run(fx.at_target, "RESET MASTER");

    job_open(&j, NULL);
    job_run(&j);
    assert_null(j.report.unfinished);
    same_tables_of("t\\_open");
    job_close(&j);
}

/* --- disturbances --- */

struct disturber {
    pthread_t thread;
    atomic_bool stop;
    unsigned breaks, strangers;
};

/* Connect as anybody could, say something, see what comes. */
static void
knock(unsigned port, const void *say, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[512];

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && n > 0 &&
        recv(fd, answer, sizeof(answer), 0) > 0 &&
        send(fd, say, n, MSG_NOSIGNAL) == (ssize_t)n) {
        shutdown(fd, SHUT_WR);
        while (recv(fd, answer, sizeof(answer), 0) > 0)
            assert_null(memmem(answer, sizeof(answer), "t_slow", 6));
    }
    close(fd);
}

/* Breaks the connection of the target to the feed, which lives in this very
 * process.  Returns whether there was one. */
static bool
break_connection(unsigned port)
{
    for (int fd = 3; fd < 200; fd++) {
        struct sockaddr_in a, peer;
        socklen_t n = sizeof(a), m = sizeof(peer);

        if (getsockname(fd, (struct sockaddr *)&a, &n) == 0 &&
            a.sin_family == AF_INET && ntohs(a.sin_port) == port &&
            getpeername(fd, (struct sockaddr *)&peer, &m) == 0)
            return shutdown(fd, SHUT_RDWR) == 0;
    }
    return false;
}

/* Knocks at the port, and breaks the target's connection. */
static void *
disturb(void *arg)
{
    struct disturber *d = arg;
    struct db *db = testserver_open(&fx.target, "disturber");
    static const char dump[] = "\x0b\0\0\1\x12\4\0\0\0\2\0\1\0\0\0";
    static const char login[] =
        "\x46\0\0\1\x85\xa2\x0a\0\0\0\0\1\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0pitr\0\x14"
        "wrong answer wrong a"
        "mysql_native_password\0";

    while (db != NULL && !atomic_load(&d->stop)) {
        struct db_result r = {0};
        unsigned port = 0;

        usleep(40000);
        if (db_query(db, &r, "SHOW ALL SLAVES STATUS") == 0 && r.rows == 1)
            port =
                (unsigned)strtoul(db_cell_by(&r, 0, "Master_Port"), NULL, 10);
        db_result_free(&r);
        if (port == 0)
            continue;
        /* First, as strangers may take long where a machine is slow. */
        if (d->breaks < 5 && break_connection(port))
            d->breaks++;
        knock(port, NULL, 0);
        knock(port, dump, sizeof(dump) - 1);
        knock(port, login, sizeof(login) - 1);
        d->strangers += 3;
        usleep(60000);
    }
    db_close(db);
    return NULL;
}

/* A log that takes a while: large transactions and many small ones. */
static void
log_slow(void)
{
    run(fx.at_source, "CREATE DATABASE t_slow");
    run(fx.at_source,
        "CREATE TABLE t_slow.a (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT)");
    run(fx.at_source, "SET SESSION binlog_format='ROW'");
    for (int i = 0; i < 60; i++) {
        run(fx.at_source,
            "INSERT INTO t_slow.a (v) SELECT REPEAT(UUID(), 50) "
            "FROM seq_1_to_1000");
        for (int k = 0; k < 20; k++)
            run(fx.at_source, "INSERT INTO t_slow.a (v) VALUES (UUID())");
    }
    run(fx.at_source, "SET SESSION binlog_format='MIXED'");
}

/* Broken connections and strangers: the result is the same. */
static void
test_disturbed(void **state)
{
    struct disturber d = {0};
    struct job j;

    (void)state;
    if (!testserver_installed())
        skip();
    log_begin();
    log_slow();
    archive(16u << 20);
    job_open(&j, NULL);
    j.conf.ahead_bytes = 16u << 20;
    assert_int_equal(pthread_create(&d.thread, NULL, disturb, &d), 0);
    job_run(&j);
    atomic_store(&d.stop, true);
    pthread_join(d.thread, NULL);
    print_message(
        "%u connections broken, %u strangers\n", d.breaks, d.strangers);
    assert_true(d.breaks > 1);
    assert_true(d.strangers > 3);
    same_tables_of("t\\_slow");
    left_as_it_was();
    job_close(&j);
}

/* The same with an applier that works in parallel. */
static void
test_parallel(void **state)
{
    struct job j;

    (void)state;
    if (!testserver_installed())
        skip();
    run(fx.at_target, "SET GLOBAL slave_parallel_threads=4");
    job_open(&j, NULL); /* the log of test_disturbed */
    job_run(&j);
    same_tables_of("t\\_slow");
    left_as_it_was();
    job_close(&j);
}

static uint64_t
commits(void)
{
    uint64_t n;

    must(db_value_u64(fx.at_target, &n,
        "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE "
        "NAME='trx_rw_commits'"));
    return n;
}

/* Small transactions of two domains, and what must not be joined between. */
static void
log_small(void)
{
    run(fx.at_source, "CREATE DATABASE t_fold");
    run(fx.at_source, "USE t_fold");
    run(fx.at_source,
        "CREATE TABLE a (id INT PRIMARY KEY, n INT, t TIMESTAMP(6) DEFAULT "
        "CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))");
    run(fx.at_source, "CREATE TABLE m (id INT) ENGINE=MyISAM");
    run(fx.at_source, "SET SESSION binlog_format='ROW'");
    for (int i = 0; i < 900; i++) {
        char *sql = xasprintf("INSERT INTO a (id, n) VALUES (%d, %d)", i, i);

        if (i % 300 == 200)
            run(fx.at_source, "INSERT INTO m VALUES (1)");
        if (i % 300 == 250)
            run(fx.at_source, "SET SESSION gtid_domain_id=7");
        if (i % 300 == 299)
            run(fx.at_source, "SET SESSION gtid_domain_id=0");
        run(fx.at_source, sql);
        free(sql);
        if (i % 3 == 0)
            run(fx.at_source, "UPDATE a SET n=n+1 ORDER BY id DESC LIMIT 2");
        if (i % 7 == 0)
            run(fx.at_source, "DELETE FROM a ORDER BY id LIMIT 1");
    }
    run(fx.at_source,
        "CREATE TABLE v (id INT PRIMARY KEY, n INT, s BIGINT UNSIGNED "
        "GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED GENERATED ALWAYS "
        "AS ROW END, PERIOD FOR SYSTEM_TIME(s, e)) WITH SYSTEM VERSIONING");
    run(fx.at_source, "INSERT INTO v (id, n) VALUES (1, 0)");
    for (int i = 0; i < 40; i++)
        run(fx.at_source, "UPDATE v SET n=n+1");
    run(fx.at_source, "SET SESSION binlog_format='MIXED'");
}

/* Many small transactions arrive as few; those of a table that counts
 * transactions arrive as they were. */
static void
test_folded(void **state)
{
    struct job j;
    uint64_t before;

    (void)state;
    if (!testserver_installed())
        skip();
    log_begin();
    log_small();
    archive(16u << 20);
    job_open(&j, NULL);
    run(fx.at_target, "SET GLOBAL innodb_monitor_enable='trx_rw_commits'");
    before = commits();
    job_run(&j);
    print_message("%" PRIu64 " transactions, %" PRIu64 " commits\n",
        j.report.groups, commits() - before);
    assert_true(j.report.groups > 1300);
    assert_true(commits() - before < 300);
    same("SELECT * FROM t_fold.a ORDER BY id");
    same("SELECT COUNT(*) FROM t_fold.m");
    same("SELECT id, n FROM t_fold.v FOR SYSTEM_TIME ALL ORDER BY n");
    expect(fx.at_target,
        "SELECT COUNT(DISTINCT s) FROM t_fold.v FOR SYSTEM_TIME ALL", "41");
    left_as_it_was();
    job_close(&j);
}

/* --- statements given as one --- */

/* Before the log begins, on either side. */
static const char *const join_tables[] = {
    "CREATE DATABASE u_join", /* CHECKSUM of a virtual column is no sum */
    "CREATE DATABASE t_join",
    "USE t_join",
    "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, n INT, c VARCHAR(40), "
    "KEY (n))",
    "CREATE TABLE b (id INT, v LONGTEXT, UNIQUE (v))",
    "CREATE TABLE nokey (n INT, c CHAR(10))",
    "CREATE TABLE `the-parent` (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) "
    "REFERENCES `the-parent` (id) ON DELETE CASCADE)",
    "CREATE TABLE u_join.child (id INT PRIMARY KEY, p INT, w INT AS (p * 2) "
    "VIRTUAL, "
    "KEY (w), FOREIGN KEY (p) REFERENCES t_join.`the-parent` (id) ON DELETE "
    "CASCADE "
    "ON UPDATE CASCADE)",
    "CREATE TABLE ver (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING "
    "PARTITION BY SYSTEM_TIME INTERVAL 1 HOUR STARTS '2024-01-01 00:00:00' "
    "PARTITIONS 4",
    "CREATE TABLE trig (id INT PRIMARY KEY)",
    "CREATE TABLE fired (id INT)",
    "CREATE TRIGGER fires AFTER INSERT ON trig FOR EACH ROW INSERT INTO fired "
    "VALUES (NEW.id)",
    "CREATE TABLE chk (id INT PRIMARY KEY, n INT CHECK (n > 0))",
    "CREATE TABLE my (id INT PRIMARY KEY, n INT) ENGINE=MyISAM",
    "CREATE TABLE ar (id INT PRIMARY KEY, n INT) ENGINE=Aria",
    "CREATE TABLE mem (id INT PRIMARY KEY, n INT) ENGINE=MEMORY",
    "CREATE TABLE ts (id INT PRIMARY KEY, a TIMESTAMP DEFAULT "
    "CURRENT_TIMESTAMP, b TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE "
    "CURRENT_TIMESTAMP)",
    "CREATE SEQUENCE s CACHE 3",
};

/* Each i is the round's number. */
static const char *const join_round[] = {
    "BEGIN",
    "INSERT INTO a (n, c) VALUES (@i, 'x'), (@i + 1, 'y')",
    "UPDATE a SET n = n + 1, c = CONCAT('u', n) WHERE id % 7 = @i % 7",
    "INSERT INTO nokey VALUES (@i % 3, 'k'), (@i % 3, 'k'), (NULL, NULL)",
    "DELETE FROM a WHERE id % 11 = @i % 11",
    "INSERT INTO trig VALUES (@i)",
    "COMMIT",
    "INSERT INTO b VALUES (@i, CONCAT(REPEAT('long ', 300), @i))",
    "UPDATE b SET id = id + 1 WHERE id = @i",
    "REPLACE INTO b VALUES (-@i, CONCAT(REPEAT('long ', 300), @i))",
    "INSERT INTO `the-parent` VALUES (@i, IF(@i % 4 = 1, NULL, @i - 1))",
    "INSERT INTO u_join.child (id, p) VALUES (@i, @i)",
    "INSERT INTO chk VALUES (@i, @i + 1)",
    "INSERT INTO a (n) VALUES (NEXTVAL(s))",
    "INSERT INTO my VALUES (@i, 0)",
    "INSERT INTO ar VALUES (@i, 0)",
    "INSERT INTO mem VALUES (@i, 0)",
    "UPDATE a, my SET a.n = 1, my.n = 2 WHERE a.n = my.id",
    "UPDATE a, ar, mem SET a.n = 2, ar.n = 3, mem.n = 4 WHERE a.n = ar.id",
    "INSERT INTO ts (id) VALUES (@i)",
    "UPDATE ts SET id = id + 1000 WHERE id = @i - 1",
    "DELETE FROM nokey LIMIT 1",
    "INSERT INTO a (id, n) VALUES (@i * 100, 5) ON DUPLICATE KEY UPDATE n = 6",
    "SET timestamp = UNIX_TIMESTAMP('2024-01-01') + 300 * @i",
    "INSERT INTO ver VALUES (@i, 0)",
    "UPDATE ver SET n = n + 1",
    "SET timestamp = DEFAULT",
    "DELETE FROM ver WHERE id = @i - 5",
};

/* What comes in between, in some rounds. */
static const struct {
    int round;
    const char *sql;
} join_once[] = {
    {4, "SET check_constraint_checks=0"},
    {4, "INSERT INTO chk VALUES (1000, -1)"},
    {4, "SET check_constraint_checks=1"},
    {5, "SET foreign_key_checks=0"},
    {5, "INSERT INTO u_join.child (id, p) VALUES (1000, 99999)"},
    {5, "SET foreign_key_checks=1"},
    {6, "DELETE FROM `the-parent` WHERE id = 4"},
    {7, "SET unique_checks=0"},
    {7, "INSERT INTO a (n) VALUES (77)"},
    {7, "SET unique_checks=1"},
    {8, "UPDATE `the-parent` SET id = 2000 WHERE id = 8"},
    {10, "FLUSH TABLES"},
    {12, "ALTER TABLE a ADD COLUMN z INT DEFAULT 7 FIRST"},
    {14, "SET binlog_row_image='MINIMAL'"},
    {16, "SET binlog_row_image='FULL'"},
    {17, "SET GLOBAL log_bin_compress=1"},
    {19, "SET GLOBAL log_bin_compress=0"},
    {18, "DELETE FROM `the-parent` WHERE id = 5"},
    {20, "DELETE FROM `the-parent` WHERE id % 4 = 0"},
    {20, "RENAME TABLE nokey TO nokey2, b TO nokey"},
    {20, "RENAME TABLE nokey TO b, nokey2 TO nokey"},
};

static void
log_joined(void)
{
    log_begin();
    run(fx.at_source, "SET SESSION binlog_format='ROW'");
    for (int i = 1; i <= 24; i++) {
        char *set = xasprintf("SET @i = %d", i);

        run(fx.at_source, set);
        free(set);
        run_all(fx.at_source, join_round, NELEM(join_round));
        for (size_t k = 0; k < NELEM(join_once); k++)
            if (join_once[k].round == i)
                run(fx.at_source, join_once[k].sql);
    }
    run(fx.at_source, "SET SESSION binlog_format='MIXED'");
}

/* Statements of changed rows so far. */
static uint64_t
statements(struct db *db)
{
    uint64_t n;

    must(db_value_u64(db, &n,
        "SELECT CAST(SUM(VARIABLE_VALUE) AS UNSIGNED) FROM "
        "information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN "
        "('Com_insert', 'Com_update', 'Com_update_multi', 'Com_delete', "
        "'Com_replace')"));
    return n;
}

/* What a target has decides what is joined. */
static void
may_fold(const char *sql, bool on, bool batch, size_t parents)
{
    struct db_conf conf = testserver_conf(&fx.target);
    struct replay_conf replay = {.target = &conf};
    struct target *t = target_open(&replay);
    struct feed_fold fold = {0};

    run(fx.at_target, sql);
    assert_non_null(t);
    must(target_may_fold(t, &fold));
    if (fold.on != on || fold.batch.on != batch)
        print_error("after %s\n", sql);
    assert_int_equal(fold.on, on);
    assert_int_equal(fold.batch.on, batch);
    if (batch)
        assert_int_equal(fold.batch.parents, parents);
    if (batch && parents > 0)
        assert_string_equal(fold.batch.parent[0], "t-fold/P @x");
    feed_fold_free(&fold);
    target_close(t);
}

static void
test_may_fold(void)
{
    may_fold("CREATE DATABASE `t-fold`", true, true, 0);
    may_fold("USE `t-fold`", true, true, 0);
    may_fold("CREATE TABLE `P @x` (id INT PRIMARY KEY)", true, true, 0);
    may_fold("CREATE TABLE c (id INT, FOREIGN KEY (id) REFERENCES `P @x` (id))",
        true, true, 1);
    may_fold("CREATE TABLE \xc3\xb6 (id INT PRIMARY KEY, up INT, FOREIGN KEY "
             "(up) REFERENCES \xc3\xb6 (id))",
        true, false, 1);
    may_fold("DROP TABLE \xc3\xb6", true, true, 1);
    may_fold("CREATE TABLE m (id INT) ENGINE=MERGE", true, false, 1);
    may_fold("DROP TABLE m", true, true, 1);
    may_fold("CREATE TABLE v (id INT) WITH SYSTEM VERSIONING", true, true, 1);
    may_fold("CREATE TABLE w (id INT, s BIGINT UNSIGNED GENERATED ALWAYS AS "
             "ROW START, e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD "
             "FOR SYSTEM_TIME(s, e)) WITH SYSTEM VERSIONING",
        false, false, 0);
    may_fold("DROP DATABASE `t-fold`", true, true, 0);
}

/* Statements that the applier gets as one, and what must stay by itself. */
static void
test_joined(void **state)
{
    uint64_t theirs, ours;
    struct job j;

    (void)state;
    if (!testserver_installed())
        skip();
    run(fx.at_target, "SET sql_log_bin=0");
    test_may_fold();
    run_all(fx.at_source, join_tables, NELEM(join_tables));
    run_all(fx.at_target, join_tables, NELEM(join_tables));
    theirs = statements(fx.at_source);
    log_joined();
    archive(16u << 20);
    theirs = statements(fx.at_source) - theirs;
    job_open(&j, NULL);
    ours = statements(fx.at_target);
    job_run(&j);
    ours = statements(fx.at_target) - ours;
    print_message(
        "%" PRIu64 " statements, %" PRIu64 " applied\n", theirs, ours);
    assert_true(ours < theirs * 3 / 4);
    same_tables_of("t\\_join");
    same("SELECT GROUP_CONCAT(id, '/', p, '/', w ORDER BY id) FROM "
         "u_join.child");
    for (int i = 0; i < 3; i++) {
        char *sql = xasprintf("SELECT GROUP_CONCAT(id, '/', n ORDER BY id, n) "
                              "FROM t_join.ver PARTITION (p%d)",
            i);

        same(sql);
        free(sql);
    }
    expect(fx.at_target, "SELECT COUNT(*) > 20 FROM t_join.ver PARTITION (p1)",
        "1");
    same("SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE "
         "TABLE_SCHEMA='t_join' AND TABLE_NAME='a'");
    same("SELECT COUNT(*) FROM u_join.child FORCE INDEX (w) WHERE w > 0");
    left_as_it_was();
    job_close(&j);
}

/* Among others a row that is not there, or there already. */
static void
test_conflict(void **state)
{
    static const char *const unlogged[] = {
        "INSERT INTO t_broken.a VALUES (1000, 0)",
        "DELETE FROM t_broken.a WHERE id = 5"};
    static const char *const logged[] = {
        "UPDATE t_broken.a SET n = 1 WHERE id = 1000",
        "INSERT INTO t_broken.a VALUES (5, 1)"};
    static const char *const words[] = {"1032", "1062"};

    (void)state;
    if (!testserver_installed())
        skip();
    for (size_t k = 0; k < 2; k++) {
        struct job j;

        log_begin();
        run(fx.at_source, "SET SESSION binlog_format='ROW'");
        run(fx.at_source, "CREATE OR REPLACE DATABASE t_broken");
        run(fx.at_source,
            "CREATE TABLE t_broken.a (id INT PRIMARY KEY, n INT)");
        run(fx.at_source,
            "CREATE TABLE t_broken.b (id INT PRIMARY KEY, n INT)");
        for (int i = 0; i < 20; i++) {
            char *sql = xasprintf(
                "INSERT INTO t_broken.%c VALUES (%d, 0)", i % 2 ? 'a' : 'b', i);

            run(fx.at_source, sql);
            free(sql);
        }
        run(fx.at_source, "SET sql_log_bin=0");
        run(fx.at_source, unlogged[k]);
        run(fx.at_source, "SET sql_log_bin=1");
        run(fx.at_source, "INSERT INTO t_broken.b VALUES (100, 0)");
        run(fx.at_source, logged[k]);
        run(fx.at_source, "INSERT INTO t_broken.b VALUES (101, 0)");
        run(fx.at_source, "SET SESSION binlog_format='MIXED'");
        archive(16u << 20);
        job_open(&j, NULL);
        assert_int_equal(replay_run(&j.conf, &j.report), -1);
        print_message("%s\n", err_text());
        assert_int_equal(err_kind(), ERR_FAILED);
        assert_non_null(strstr(err_text(), words[k]));
        assert_non_null(strstr(err_text(), "t_broken.a"));
        expect(fx.at_target, "SELECT COUNT(*) FROM t_broken.b", "0");
        left_as_it_was();
        job_close(&j);
    }
}

/* The applier's own words, and the target put back all the same. */
static void
test_applier_error(void **state)
{
    struct job j;

    (void)state;
    if (!testserver_installed())
        skip();
    run(fx.at_target, "SET sql_log_bin=0");
    run(fx.at_target, "CREATE DATABASE t_slow");
    run(fx.at_target, "CREATE TABLE t_slow.a (id INT PRIMARY KEY, v TEXT)");
    run(fx.at_target, "INSERT INTO t_slow.a VALUES (100, '')");
    run(fx.at_target, "SET GLOBAL slave_ddl_exec_mode='STRICT'");
    job_open(&j, NULL);
    assert_int_equal(replay_run(&j.conf, &j.report), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_non_null(strstr(err_text(), "database exists"));
    print_message("%s\n%s\n", err_text(), err_hint_text());
    left_as_it_was();
    job_close(&j);
}

/* A replica is not replayed into; what a dead replay left is removed. */
static void
test_other_replication(void **state)
{
    struct job j;

    (void)state;
    if (!testserver_installed())
        skip();
    run(fx.at_target,
        "CHANGE MASTER 'pitr' TO MASTER_HOST='127.0.0.1', "
        "MASTER_PORT=1, MASTER_USER='pitr'");
    run(fx.at_target, "START SLAVE 'pitr'");
    job_open(&j, NULL);
    job_run(&j);
    same_tables_of("t\\_slow");
    left_as_it_was();
    job_close(&j);

    run(fx.at_target,
        "CHANGE MASTER 'mine' TO MASTER_HOST='127.0.0.1', "
        "MASTER_PORT=1, MASTER_USER='me'");
    job_open(&j, NULL);
    assert_int_equal(replay_check(&j.conf), -1);
    assert_int_equal(replay_run(&j.conf, &j.report), -1);
    assert_non_null(strstr(err_text(), "'mine'"));
    job_close(&j);
}

/* --- admission --- */

static int
client(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

/* The payload of the next packet; 0 bytes where the connection ended. */
static size_t
client_read(int fd, uint8_t *out, size_t max)
{
    uint8_t head[4];
    size_t n;

    if (recv(fd, head, 4, MSG_WAITALL) != 4)
        return 0;
    n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    assert_true(n <= max);
    assert_int_equal(recv(fd, out, n, MSG_WAITALL), (ssize_t)n);
    return n;
}

static void
client_send(int fd, uint8_t seq, const void *p, size_t n)
{
    struct buf b = {0};

    buf_u24(&b, (uint32_t)n);
    buf_u8(&b, seq);
    buf_add(&b, p, n);
    assert_int_equal(send(fd, b.data, b.len, MSG_NOSIGNAL), (ssize_t)b.len);
    buf_free(&b);
}

static void
client_login(int fd, const char *user, const uint8_t *token, const char *plugin)
{
    static const uint8_t zeros[23];
    struct buf b = {0};

    buf_u32(&b, 0x88200);
    buf_u32(&b, 1u << 24);
    buf_u8(&b, 45);
    buf_add(&b, zeros, sizeof(zeros));
    buf_add(&b, user, strlen(user) + 1);
    buf_u8(&b, FEED_TOKEN);
    buf_add(&b, token, FEED_TOKEN);
    buf_add(&b, plugin, strlen(plugin) + 1);
    client_send(fd, 1, b.data, b.len);
    buf_free(&b);
}

/* The salt out of a greeting. */
static void
greeting_salt(const uint8_t *p, size_t n, char salt[FEED_SALT + 1])
{
    struct cur c = cur_of(p, n);
    const uint8_t *nul = memchr(p, 0, n);

    assert_non_null(nul);
    cur_bytes(&c, (size_t)(nul - p) + 1 + 4);
    memcpy(salt, cur_bytes(&c, 8), 8);
    cur_bytes(&c, 1 + 2 + 1 + 2 + 2 + 1 + 10);
    memcpy(salt + 8, cur_bytes(&c, 13), 13);
    assert_false(c.bad);
}

/*
 * Only the password opens; another plugin is asked to change over; those who
 * wait at the door neither get in nor keep others out.
 */
static void
test_admission(void **state)
{
    uint8_t p[1024], token[FEED_TOKEN] = {0};
    char salt[FEED_SALT + 1];
    int idle[FEED_PENDING + 4], fd;
    struct feed *f;
    struct job j;
    size_t n;

    (void)state;
    if (!testserver_installed())
        skip();
    job_open(&j, NULL);
    f = feed_start(&j.conf, 0, NULL, NULL);
    assert_non_null(f);
    for (size_t i = 0; i < NELEM(idle); i++)
        idle[i] = client(f->port);

    fd = client(f->port); /* the right user, a wrong password */
    assert_true(client_read(fd, p, sizeof(p)) > 0);
    client_login(fd, "pitr", token, "mysql_native_password");
    assert_true(client_read(fd, p, sizeof(p)) > 0);
    assert_int_equal(p[0], 0xFF);
    assert_int_equal(client_read(fd, p, sizeof(p)), 0);
    close(fd);

    fd = client(f->port); /* the right password, another user */
    n = client_read(fd, p, sizeof(p));
    greeting_salt(p, n, salt);
    must(feed_token(fx.at_target, f->password, salt, token));
    client_login(fd, "root", token, "mysql_native_password");
    assert_true(client_read(fd, p, sizeof(p)) > 0);
    assert_int_equal(p[0], 0xFF);
    close(fd);
    assert_int_equal(atomic_load(&f->admitted), 0);

    fd = client(f->port); /* a token of another connection's salt */
    assert_true(client_read(fd, p, sizeof(p)) > 0);
    client_login(fd, "pitr", token, "mysql_native_password");
    assert_true(client_read(fd, p, sizeof(p)) > 0);
    assert_int_equal(p[0], 0xFF);
    close(fd);

    fd = client(f->port); /* in by the long way */
    n = client_read(fd, p, sizeof(p));
    greeting_salt(p, n, salt);
    client_login(fd, "pitr", token, "client_ed25519");
    assert_int_equal(client_read(fd, p, sizeof(p)), 1 + 22 + 21);
    assert_int_equal(p[0], 0xFE);
    must(feed_token(fx.at_target, f->password, salt, token));
    client_send(fd, 3, token, FEED_TOKEN);
    assert_true(client_read(fd, p, sizeof(p)) > 0);
    assert_int_equal(p[0], 0);
    client_send(fd, 0, "\x0e", 1); /* ping */
    assert_true(client_read(fd, p, sizeof(p)) > 0);
    assert_int_equal(p[0], 0);
    assert_int_equal(atomic_load(&f->admitted), 1);

    /* The idle ones are closed in time, and the target's stays. */
    for (size_t i = 0; i < NELEM(idle); i++) {
        n = client_read(idle[i], p, sizeof(p));
        assert_int_equal(client_read(idle[i], p, sizeof(p)), 0);
        close(idle[i]);
    }
    client_send(fd, 0, "\x0e", 1);
    assert_true(client_read(fd, p, sizeof(p)) > 0);
    close(fd);
    must(feed_stop(f));
    feed_free(f);
    job_close(&j);
}

/* --- an incident --- */

static void
seal_event(struct buf *b, uint8_t type, const struct buf *body)
{
    buf_reset(b);
    buf_u32(b, 1700000000);
    buf_u8(b, type);
    buf_u32(b, 11);
    buf_u32(b, (uint32_t)(EVENT_HEADER_SIZE + body->len + 4));
    buf_u32(b, 4096);
    buf_u16(b, 0);
    buf_add(b, body->data, body->len);
    buf_u32(b, event_crc32(0, b->data, b->len));
}

static void
append(struct segment_writer *w, struct event_format *format,
    struct group_state *group, const struct buf *raw)
{
    struct event e;
    int step;

    must(event_parse(format, raw->data, raw->len, &e));
    must(step = group_next(group, &e));
    must(segment_event(w, &e, step, &group->gtid, 4096));
}

/* A segment that goes on with an incident, and a transaction after it. */
static void
add_incident(struct repo *r, const struct buf *format_event)
{
    struct segment_tail tail = {0};
    struct segment_start start = {0};
    struct event_format format = {0};
    struct group_state group = {0};
    struct segment_writer *w;
    struct buf body = {0}, raw = {0};
    struct event e;

    assert_int_equal(segment_tail_find(r, &tail), 1);
    start = tail.start;
    start.prev_name = NULL;
    start.cause = SEGMENT_NEXT;
    start.why = xstrdup("");
    start.gtid = (struct gtid_pos){0};
    gtid_pos_copy(&start.gtid, &tail.state.gtid);
    start.server_version = xstrdup(tail.start.server_version);
    start.source_file = xstrdup("binlog.000099");
    start.server_uid = xstrdup(tail.start.server_uid);
    w = segment_begin(r, &tail, &start, format_event, 1);
    assert_non_null(w);
    must(event_parse(&format, format_event->data, format_event->len, &e));
    buf_u16(&body, 1); /* LOST_EVENTS */
    buf_u8(&body, 0);
    seal_event(&raw, EV_INCIDENT, &body);
    append(w, &format, &group, &raw);
    buf_reset(&body);
    buf_u64(&body, gtid_pos_get(&tail.state.gtid, 0)->seq + 1);
    buf_u32(&body, 0);
    buf_u8(&body, GTID_FL_STANDALONE);
    buf_add(&body, "\0\0\0\0\0", 6);
    seal_event(&raw, EV_GTID, &body);
    append(w, &format, &group, &raw);
    buf_reset(&body);
    buf_add(&body, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 14);
    buf_str(&body, "CREATE DATABASE t_after");
    seal_event(&raw, EV_QUERY, &body);
    append(w, &format, &group, &raw);
    must(segment_flush(w, 0));
    must(segment_close(w, &tail));
    buf_free(&body);
    buf_free(&raw);
    segment_start_free(&start);
    segment_tail_free(&tail);
}

/* The replay goes as far as the incident, and says that there is one. */
static void
test_incident(void **state)
{
    struct cutoff cut = {.kind = CUTOFF_UNTIL_GTID};
    struct buf format = {0};
    struct segment_reader *reader;
    struct repo *repo;
    struct event e;
    struct job j;
    int step;

    (void)state;
    if (!testserver_installed())
        skip();
    log_begin();
    run(fx.at_source, "CREATE DATABASE t_incident");
    cut.gtid = now_at();
    archive(1u << 20);
    job_open(&j, NULL);
    reader = segment_open(
        j.repo, &j.catalog->segment[j.catalog->segments - 1], fx.key);
    assert_non_null(reader);
    assert_int_equal(segment_read(reader, &e, &step), 1);
    buf_add(&format, e.raw, e.size);
    segment_reader_free(reader);
    job_close(&j);

    repo = repo_open(fx.repo_path, NULL, fx.signing_path);
    assert_non_null(repo);
    add_incident(repo, &format);
    repo_close(repo);
    buf_free(&format);

    job_open(&j, NULL);
    assert_int_equal(replay_preview(&j.conf, false, &j.preview), -1);
    assert_int_equal(err_kind(), ERR_GAP);
    assert_int_equal(replay_run(&j.conf, &j.report), -1);
    assert_int_equal(err_kind(), ERR_GAP);
    assert_non_null(strstr(err_text(), "incident"));
    left_as_it_was();
    job_close(&j);

    run(fx.at_target, "DROP DATABASE IF EXISTS t_incident");
    job_open(&j, &cut); /* before it all is well */
    job_run(&j);
    same_tables_of("t\\_incident");
    job_close(&j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_everything, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_cutoffs, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_unfinished, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(test_folded, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(test_joined, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_conflict, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_disturbed, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_parallel, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_applier_error, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_other_replication, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_admission, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(
            test_incident, test_setup, test_teardown),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
