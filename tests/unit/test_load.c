/*
 * test_load.c -- backups of a real server loaded into others: what arrives is
 * what was there, an unfit target is refused, a killed restore starts again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pitr/dump.h"
#include "pitr/file.h"
#include "pitr/load.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/sandbox.h"
#include "testserver.h"

static const char *const server_options[] = {"--log-bin=bin", "--server-id=7",
    "--skip-networking", "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=0", NULL};

static struct {
    struct testserver source;
    struct db *db; /* of the source */
    struct secret_key *key;
    struct repo *repo;
    struct manifest *manifest;
} env;

static void
check(int rc)
{
    if (rc < 0)
        fail_msg("%s (%s)", err_text(), err_hint_text());
}

static void
run(struct db *db, const char *text)
{
    if (db_exec_bytes(db, text, strlen(text)) < 0)
        fail_msg("%s: %s", text, err_text());
}

static uint64_t
number(struct db *db, const char *text)
{
    uint64_t n = 0;

    check(db_value_u64(db, &n, "%s", text));
    return n;
}

/* --- what is in the source --- */

static const char *const content[] = {
    "SET SESSION foreign_key_checks=0, check_constraint_checks=0",
    "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci "
    "COMMENT 'it''s'",
    "CREATE DATABASE `o'dd.``näme` CHARACTER SET latin1",
    "CREATE DATABASE nothing_in_it",
    "USE shop",
    "CREATE SEQUENCE seq START 5 INCREMENT 3 MAXVALUE 1000 CYCLE",
    "CREATE SEQUENCE down INCREMENT -2",
    "DO NEXTVAL(seq)",
    "CREATE TABLE vals (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, f FLOAT,"
    " d DOUBLE, de DECIMAL(65,30), t TIME(6), dt DATETIME(6), ts TIMESTAMP NULL"
    ", y YEAR, da DATE, b BIT(13), e ENUM('a','','programmée'),"
    " s SET('x','y','z'), j JSON, g GEOMETRY, bl LONGBLOB,"
    " tx TEXT CHARACTER SET latin1, ch CHAR(5) CHARACTER SET ucs2,"
    " vb VARBINARY(20), mi MEDIUMINT, v INT AS (mi+1) VIRTUAL,"
    " p INT AS (mi*2) PERSISTENT, inv INT INVISIBLE DEFAULT 7,"
    " nx INT DEFAULT NEXTVAL(down), co TEXT COMPRESSED, si TINYINT UNSIGNED,"
    " ub BIGINT UNSIGNED, KEY (e), UNIQUE KEY uu (ub), KEY vk (v),"
    " KEY gg (da, si DESC) COMMENT 'ix ''(,`', CHECK (si < 100))",
    "INSERT INTO vals (id,f,d,de,t,dt,ts,y,da,b,e,s,j,g,bl,tx,ch,vb,mi,inv,co,"
    "si,ub) VALUES (0,0.12345679104328156,1e-310,"
    "-0.000000000000000000000000000001,'-838:59:59.999999',"
    "'0000-00-00 00:00:00','2020-03-29 01:30:00',1901,'2021-02-31',"
    "b'1010101010101','programmée','x,z','{\"a\":1}',POINT(1,2),x'00FF27',"
    "'é','aé ','\\0a',-8388608,NULL,REPEAT('co',1000),200,"
    "18446744073709551615),(-5,16777216,-0.0,NULL,NULL,NULL,NULL,NULL,NULL,"
    "NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,8,NULL,NULL,NULL)",
    "UPDATE IGNORE vals SET e='nonsense' WHERE id=-5",
    "CREATE TABLE par (a INT NOT NULL, b INT, c VARCHAR(30), PRIMARY KEY (a),"
    " KEY b (b), CONSTRAINT circ FOREIGN KEY (b) REFERENCES chi (a))",
    "CREATE TABLE chi (a INT NOT NULL AUTO_INCREMENT, b INT, n INT,"
    " PRIMARY KEY (a), FOREIGN KEY (b) REFERENCES par (a) ON DELETE CASCADE,"
    " FOREIGN KEY (n) REFERENCES `o'dd.``näme`.`t a``b` (id))"
    " AUTO_INCREMENT=99",
    "INSERT INTO par VALUES (1,1,'x'),(2,77,'refers to nothing')",
    "INSERT INTO chi VALUES (1,1,1),(2,99,5)",
    "CREATE TABLE nokey (a INT, b VARCHAR(10))",
    "INSERT INTO nokey VALUES (1,'a'),(1,'a'),(NULL,NULL)",
    "CREATE TABLE ft (id INT PRIMARY KEY, t TEXT, u TEXT, FULLTEXT KEY f1 (t),"
    " FULLTEXT KEY f2 (u), KEY k (t(10)))",
    "INSERT INTO ft VALUES (1,'hello world','foo bar')",
    "CREATE TABLE sp (id INT PRIMARY KEY, g POINT NOT NULL, SPATIAL KEY (g))",
    "INSERT INTO sp VALUES (1, POINT(1,2))",
    "CREATE TABLE myi (a INT, b INT, c TEXT, KEY a (a), UNIQUE KEY b (b),"
    " FULLTEXT KEY f (c)) ENGINE=MyISAM",
    "INSERT INTO myi VALUES (1,2,'x'),(1,3,'y')",
    "CREATE TABLE m1 (a INT, KEY a (a)) ENGINE=MyISAM",
    "CREATE TABLE amerge (a INT, KEY a (a)) ENGINE=MERGE UNION=(m1)",
    "CREATE TABLE part (a INT NOT NULL, b INT, PRIMARY KEY (a), KEY b (b))"
    " PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10),"
    " PARTITION p1 VALUES LESS THAN MAXVALUE)",
    "INSERT INTO part VALUES (1,1),(100,2)",
    "CREATE TABLE hist (id INT PRIMARY KEY, v VARCHAR(10), KEY v (v))"
    " WITH SYSTEM VERSIONING",
    "INSERT INTO hist VALUES (1,'a'),(2,'b')",
    "UPDATE hist SET v='c'",
    "DELETE FROM hist WHERE id=2",
    "CREATE TABLE aiu (a INT PRIMARY KEY, n INT NOT NULL AUTO_INCREMENT,"
    " KEY x (a), KEY n (n))",
    "INSERT INTO aiu VALUES (1,10),(2,0)",
    "CREATE TABLE `o'dd.``näme`.`t a``b` (id INT PRIMARY KEY, `KEY (,`"
    " VARCHAR(10) COMMENT 'çomment (`, KEY', KEY `ké'y` (`KEY (,`))"
    " COMMENT='tä'",
    "INSERT INTO `o'dd.``näme`.`t a``b` VALUES (1,'ä'),(2,NULL)",
    "CREATE TABLE `o'dd.``näme`.`%s.d/..` (`ü` INT PRIMARY KEY)",
    "INSERT INTO `o'dd.``näme`.`%s.d/..` VALUES (3)",
    "CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, w TEXT)",
    "CREATE TRIGGER t2 BEFORE INSERT ON par FOR EACH ROW"
    " INSERT INTO log (w) VALUES ('2')",
    "CREATE TRIGGER t0 BEFORE INSERT ON par FOR EACH ROW PRECEDES t2"
    " INSERT INTO log (w) VALUES ('0é')",
    "CREATE USER app@'%' IDENTIFIED BY 'secret' REQUIRE SSL WITH"
    " MAX_USER_CONNECTIONS 5 ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 90 DAY",
    "CREATE USER `o'dd``u`@'10.%' IDENTIFIED VIA mysql_native_password USING"
    " PASSWORD('x')",
    "CREATE ROLE reader",
    "CREATE ROLE writer",
    "GRANT reader TO writer",
    "GRANT reader TO app@'%' WITH ADMIN OPTION",
    "GRANT writer TO `o'dd``u`@'10.%'",
    "REVOKE writer FROM root@localhost",
    "SET DEFAULT ROLE reader FOR app@'%'",
    "GRANT SELECT (a, b), INSERT ON shop.par TO app@'%'",
    "GRANT SELECT ON shop.* TO reader",
    "GRANT ALL ON `o'dd.``näme`.* TO `o'dd``u`@'10.%' WITH GRANT OPTION",
    "SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
    "CREATE DEFINER='app'@'%' FUNCTION fa(x INT) RETURNS VARCHAR(100)"
    " CHARSET latin1 DETERMINISTIC RETURN \"x\"",
    "SET sql_mode=''",
    "CREATE FUNCTION fb(x INT) RETURNS INT DETERMINISTIC COMMENT 'fé''b'"
    " RETURN x+1",
    "CREATE DEFINER=nobody@nowhere PROCEDURE pr(IN `a b` INT, OUT o TEXT)"
    " SQL SECURITY INVOKER BEGIN SELECT 'é\\n', a; SET o='x'; END",
    "SET sql_mode=ORACLE",
    "CREATE PACKAGE pk AS FUNCTION f1 RETURN INT; END",
    "CREATE PACKAGE BODY pk AS FUNCTION f1 RETURN INT AS BEGIN RETURN 1; END;"
    " END",
    "SET sql_mode='', NAMES latin1",
    "CREATE PROCEDURE lat() SELECT 'caf\xe9'",
    "SET NAMES utf8mb4",
    "ALTER DATABASE shop COLLATE utf8mb4_bin",
    "CREATE PROCEDURE other() SELECT 'x'",
    "ALTER DATABASE shop COLLATE utf8mb4_unicode_ci",
    "GRANT EXECUTE ON PROCEDURE shop.pr TO reader",
    "CREATE VIEW za AS SELECT * FROM par",
    "CREATE VIEW aa AS SELECT a, fb(a) FROM za WHERE c <> 'é'",
    "CREATE TABLE gone (q INT, r INT)",
    "CREATE VIEW vgone AS SELECT q AS one, r+1 FROM gone",
    "CREATE VIEW avgone AS SELECT one FROM vgone",
    "DROP TABLE gone",
    "SET time_zone='+05:00'",
    "CREATE EVENT ev1 ON SCHEDULE EVERY 1 DAY DO"
    " INSERT INTO log (w) VALUES ('é')",
    "CREATE EVENT ev2 ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01 00:00:00'"
    " ENDS '2037-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'c'"
    " DO SELECT 1",
    "CREATE EVENT ev3 ON SCHEDULE EVERY 1 HOUR DISABLE ON SLAVE DO SELECT 2",
    "CREATE EVENT soon ON SCHEDULE AT NOW() + INTERVAL 1 SECOND DO SELECT 3",
    "SET time_zone='+00:00'",
    "CREATE TABLE big (id INT PRIMARY KEY, k INT, c CHAR(120), KEY k (k))",
    "INSERT INTO big SELECT seq, seq * 7919 % 100000, REPEAT(MD5(seq), 3) FROM"
    " seq_1_to_60000",
};

static int
setup(void **state)
{
    char repo[96], signing[96];
    struct public_key pub;
    struct db_conf conf;
    struct dump_conf dump;

    (void)state;
    if (!testserver_installed()) {
        print_message("no mariadbd here: nothing is tested\n");
        exit(77);
    }
    check(keys_setup());
    check(testserver_start(&env.source, server_options));
    env.db = testserver_open(&env.source, "source");
    assert_non_null(env.db);
    for (size_t i = 0; i < NELEM(content); i++)
        run(env.db, content[i]);
    snprintf(repo, sizeof repo, "%s/repo", env.source.dir);
    snprintf(signing, sizeof signing, "%s/signing", env.source.dir);
    env.key = secret_key_new();
    pub = *secret_key_public(env.key);
    check(repo_init(repo, "test", signing, &pub, 1, env.key));
    env.repo = repo_open(repo, "test", signing);
    assert_non_null(env.repo);
    conf = testserver_conf(&env.source);
    dump = (struct dump_conf){.source = &conf,
        .repo = env.repo,
        .jobs = 2,
        .level = 1,
        .lock_wait_us = 5000000};
    check(dump_run(&dump, &env.manifest));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    manifest_free(env.manifest);
    repo_close(env.repo);
    secret_key_free(env.key);
    db_close(env.db);
    testserver_remove(&env.source);
    return 0;
}

/* --- comparing servers --- */

#define NOT_SYSTEM                                                             \
    " NOT IN ('mysql','sys','information_schema','performance_schema')"

/* Each gives the same text on equal servers. */
static const char *const views_of_it[] = {
    "SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT FROM"
    " information_schema.SCHEMATA WHERE SCHEMA_NAME" NOT_SYSTEM " ORDER BY 1",
    "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, AUTO_INCREMENT FROM"
    " information_schema.TABLES WHERE TABLE_SCHEMA" NOT_SYSTEM " ORDER BY 1, 2",
    "SELECT db, name, type, language, sql_data_access, is_deterministic,"
    " security_type, HEX(param_list), HEX(returns), HEX(body), definer,"
    " sql_mode, HEX(comment), character_set_client, collation_connection,"
    " db_collation, HEX(body_utf8) FROM mysql.proc WHERE db" NOT_SYSTEM
    " ORDER BY 1, 2, 3",
    "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_MANIPULATION,"
    " EVENT_OBJECT_TABLE, ACTION_ORDER, HEX(ACTION_STATEMENT), ACTION_TIMING,"
    " SQL_MODE, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION,"
    " DATABASE_COLLATION FROM information_schema.TRIGGERS WHERE"
    " TRIGGER_SCHEMA" NOT_SYSTEM " ORDER BY 1, 2",
    "SELECT db, name, HEX(body), definer, execute_at, interval_value,"
    " interval_field, starts, ends, status, on_completion, sql_mode,"
    " HEX(comment), time_zone, character_set_client, collation_connection,"
    " db_collation, HEX(body_utf8) FROM mysql.event ORDER BY 1, 2",
    "SELECT TABLE_SCHEMA, TABLE_NAME, HEX(VIEW_DEFINITION), CHECK_OPTION,"
    " DEFINER, SECURITY_TYPE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION,"
    " ALGORITHM FROM information_schema.VIEWS WHERE"
    " TABLE_SCHEMA" NOT_SYSTEM " ORDER BY 1, 2",
    "SELECT Host, User, JSON_REMOVE(Priv, '$.password_last_changed') FROM"
    " mysql.global_priv WHERE User <> 'root' ORDER BY 1, 2",
    "SELECT * FROM mysql.db ORDER BY Host, User, Db",
    "SELECT Host, Db, User, Table_name, Table_priv, Column_priv FROM"
    " mysql.tables_priv WHERE User <> 'mariadb.sys' ORDER BY 1, 2, 3, 4",
    "SELECT Host, Db, User, Table_name, Column_name, Column_priv FROM"
    " mysql.columns_priv ORDER BY 1, 2, 3, 4, 5",
    "SELECT Host, Db, User, Routine_name, Proc_priv FROM mysql.procs_priv"
    " WHERE User <> 'mariadb.sys' ORDER BY 1, 2, 3, 4",
    "SELECT * FROM mysql.roles_mapping ORDER BY 1, 2, 3",
    "SELECT * FROM shop.seq",
    "SELECT * FROM shop.down",
    "CHECKSUM TABLE shop.vals, shop.par, shop.chi, shop.nokey, shop.ft,"
    " shop.sp, shop.myi, shop.amerge, shop.part, shop.aiu, shop.log, shop.big,"
    " `o'dd.``näme`.`t a``b`, `o'dd.``näme`.`%s.d/..`",
    "SELECT id, e+0, HEX(e) FROM shop.vals",
    "SELECT *, ROW_START, ROW_END FROM shop.hist FOR SYSTEM_TIME ALL"
    " ORDER BY id, ROW_START",
};

static void
add_result(struct db *db, const char *sql, struct buf *out)
{
    struct db_result r = {0};

    check(db_query(db, &r, "%s", sql));
    for (size_t i = 0; i < r.rows; i++) {
        for (size_t k = 0; k < r.cols; k++) {
            const char *cell = db_cell(&r, i, k);
            buf_fmt(out, "%s\t", cell == NULL ? "NULL" : cell);
        }
        buf_str(out, "\n");
    }
    db_result_free(&r);
}

static void
add_definitions(struct db *db, struct buf *out)
{
    struct db_result r = {0};

    check(db_query(db, &r,
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA" NOT_SYSTEM " ORDER BY 1, 2"));
    for (size_t i = 0; i < r.rows; i++) {
        char *name = db_name2(db_cell(&r, i, 0), db_cell(&r, i, 1));
        char *sql = xasprintf("SHOW CREATE TABLE %s", name);
        add_result(db, sql, out);
        free(sql);
        free(name);
    }
    db_result_free(&r);
}

static void
same_as_source(struct db *target)
{
    struct buf a = {0}, b = {0};

    run(target, "USE shop"); /* names are shown relative to it */
    for (size_t i = 0; i < NELEM(views_of_it); i++) {
        buf_reset(&a);
        buf_reset(&b);
        add_result(env.db, views_of_it[i], &a);
        add_result(target, views_of_it[i], &b);
        assert_string_equal(buf_cstr(&a), buf_cstr(&b));
    }
    buf_reset(&a);
    buf_reset(&b);
    add_definitions(env.db, &a);
    add_definitions(target, &b);
    assert_string_equal(buf_cstr(&a), buf_cstr(&b));
    buf_free(&a);
    buf_free(&b);
}

static struct load_conf
load_conf(const struct db_conf *target)
{
    return (struct load_conf){.target = target,
        .repo = env.repo,
        .key = env.key,
        .manifest = env.manifest,
        .jobs = 2,
        .verify = true};
}

static void
load_all(const struct load_conf *conf)
{
    struct load_report report;
    struct load_settings *s;

    check(load_check(conf));
    assert_non_null(s = load_settings_apply(conf->target));
    check(load_run(conf, &report));
    assert_int_equal(report.tables, env.manifest->tables);
    assert_int_equal(report.verified_tables, env.manifest->tables);
    assert_int_equal(report.rows, env.manifest->info.rows);
    check(load_finish(conf));
    check(load_settings_restore(s));
}

static bool
mark_is_there(struct db *db)
{
    return number(db,
               "SELECT COUNT(*) FROM information_schema.SCHEMATA "
               "WHERE SCHEMA_NAME='pitr_restore'") > 0;
}

/* --- tests --- */

/* Its restore is killed: the server's number, which becomes our child. */
static pid_t
sandbox_of_the_killed(const char *dir)
{
    int fds[2];
    pid_t child, pid = -1;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe(fds), 0);
    if ((child = fork()) == 0) {
        struct sandbox *s = sandbox_start(dir, NULL, NULL);

        if (s != NULL)
            pid = sandbox_pid(s);
        _exit(write(fds[1], &pid, sizeof pid) != sizeof pid);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &pid, sizeof pid), sizeof pid);
    close(fds[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, 0), 0);
    return pid;
}

/* A process that calls another directory so, as one of a container would; it
 * ends with *to.  0 where the system gives us no file systems of our own. */
static pid_t
start_namesake(const char *dir, int *to)
{
    int in[2], out[2];
    char ready = 0;
    pid_t pid;

    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    if ((pid = fork()) == 0) {
        char *datadir = xasprintf("--datadir=%s/data", dir);

        if (setenv("DIR", dir, 1) == 0 && dup2(in[0], 0) == 0 &&
            dup2(out[1], 1) == 1)
            execlp("unshare", "unshare", "-rm", "sh", "-c",
                "mount -t tmpfs none \"$DIR\" && mkdir \"$DIR/data\" && "
                "echo && read -r _",
                "sh", datadir, NULL);
        _exit(1);
    }
    close(in[0]);
    close(out[1]);
    *to = in[1];
    if (read(out[0], &ready, 1) != 1) {
        print_message("no container could be made\n");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        pid = 0;
    }
    close(out[0]);
    return pid;
}

/* What a killed restore left gives way, whatever the directory is called; what
 * runs elsewhere under its name does not. */
static struct sandbox *
sandbox_again(const char *dir)
{
    char *other = xasprintf("%s/../box//.", dir);
    pid_t pid = sandbox_of_the_killed(dir);
    int to, namesake = start_namesake(dir, &to), status = 0;
    struct sandbox *s = sandbox_start(other, NULL, NULL);

    if (s == NULL)
        fail_msg("%s (%s)", err_text(), err_hint_text());
    assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
    assert_true(WIFSIGNALED(status));
    if (namesake > 0)
        assert_int_equal(waitpid(namesake, &status, WNOHANG), 0);
    close(to);
    if (namesake > 0)
        assert_int_equal(waitpid(namesake, &status, 0), namesake);
    free(other);
    return s;
}

/* Into a sandbox; its life. */
static void
test_sandbox(void **state)
{
    char *dir = xasprintf("%s/box", env.source.dir);
    char *readme = xasprintf("%s/README", dir);
    char *lock = xasprintf("%s/pitr.lock", dir);
    struct sandbox *s = sandbox_again(dir);
    struct load_conf conf;
    struct db *db;
    pid_t pid;

    (void)state;
    conf = load_conf(sandbox_conf(s));
    load_all(&conf);
    assert_non_null(db = db_open(sandbox_conf(s), "target"));
    same_as_source(db);
    assert_false(mark_is_there(db));
    assert_int_equal(number(db, "SELECT @@innodb_flush_log_at_trx_commit"), 1);
    assert_int_equal(number(db, "SELECT @@server_id & 0x80000000 <> 0"), 1);
    assert_int_equal(access(readme, R_OK), 0);
    db_close(db);
    pid = sandbox_pid(s);
    /* While its restore is at work there is none beside it. */
    assert_null(sandbox_start(dir, NULL, NULL));
    assert_int_equal(err_kind(), ERR_LOCKED);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    /* One that was finished is not touched, and its server lives on. */
    check(sandbox_leave(s));
    assert_null(sandbox_start(dir, NULL, NULL));
    assert_non_null(strstr(err_text(), "is not empty"));
    assert_int_equal(access(lock, F_OK), -1);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    free(lock);
    free(readme);
    free(dir);
}

static void
test_sandbox_refused(void **state)
{
    char *deep = xasprintf("%s/%0100d", env.source.dir, 1);
    char *dir = xasprintf("%s/box2", env.source.dir);

    (void)state;
    assert_null(sandbox_start(deep, NULL, NULL));
    assert_non_null(strstr(err_text(), "path of a socket"));
    assert_null(sandbox_start(dir, "/nowhere/mariadbd", NULL));
    assert_non_null(strstr(err_text(), "no such program"));
    /* A program that ends at once. */
    assert_null(sandbox_start(dir, "/bin/false", NULL));
    assert_non_null(strstr(err_text(), "did not start (exit code 1)"));
    assert_non_null(strstr(err_hint_text(), "box2/error.log"));
    free(dir);
    free(deep);
}

struct target {
    struct testserver ts;
    struct db_conf conf;
    struct db *db;
};

static void
target_start(struct target *t)
{
    check(testserver_start(&t->ts, server_options));
    t->conf = testserver_conf(&t->ts);
    assert_non_null(t->db = testserver_open(&t->ts, "target"));
}

static void
target_end(struct target *t)
{
    db_close(t->db);
    testserver_remove(&t->ts);
}

static void
refused(const struct load_conf *conf, const char *text, const char *hint)
{
    struct load_report r;

    assert_int_equal(load_check(conf), -1);
    assert_non_null(strstr(err_text(), text));
    assert_non_null(strstr(err_hint_text(), hint));
    /* And whoever did not ask before is told the same. */
    assert_int_equal(load_run(conf, &r), -1);
    assert_non_null(strstr(err_text(), text));
}

static void
test_unfit(void **state)
{
    struct target t;
    struct load_conf conf;
    char *version = env.manifest->info.server_version;

    (void)state;
    target_start(&t);
    conf = load_conf(&t.conf);
    run(t.db, "CREATE DATABASE shop");
    check(load_check(&conf)); /* empty */
    run(t.db, "CREATE TABLE shop.precious (a INT)");
    refused(&conf, "shop (1)", "DROP DATABASE `shop`;");
    run(t.db, "DROP TABLE shop.precious");
    run(t.db, "CREATE PROCEDURE shop.p() SELECT 1");
    refused(&conf, "shop (1)", "DROP DATABASE `shop`;");
    run(t.db, "DROP DATABASE shop");
    env.manifest->info.server_version = xstrdup("99.1.2-MariaDB");
    refused(&conf, "the backup is of MariaDB 99.1.2", "--force");
    conf.force_version = true;
    check(load_check(&conf));
    free(env.manifest->info.server_version);
    env.manifest->info.server_version = version;
    run(t.db, "CREATE USER weak@localhost");
    run(t.db,
        "GRANT SELECT, INSERT, BINLOG ADMIN, SUPER ON *.* TO "
        "weak@localhost");
    t.conf.user = "weak";
    assert_int_equal(load_check(&conf), -1);
    assert_non_null(strstr(err_text(), "lacks privileges"));
    t.conf.user = "root";
    assert_false(mark_is_there(t.db));
    target_end(&t);
}

/* Rows that are not those of the backup are found and named. */
static void
test_verify(void **state)
{
    struct target t;
    struct load_conf conf;
    struct load_report r;
    struct manifest_table *m = NULL;

    (void)state;
    target_start(&t);
    conf = load_conf(&t.conf);
    for (size_t i = 0; i < env.manifest->tables; i++) {
        if (strcmp(env.manifest->table[i].name, "nokey") == 0)
            m = &env.manifest->table[i];
    }
    assert_non_null(m);
    m->sum.a++;
    assert_int_equal(load_run(&conf, &r), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_non_null(strstr(err_text(), "table shop.nokey"));
    m->sum.a--;
    m->sum.rows++;
    assert_int_equal(load_run(&conf, &r), -1);
    assert_non_null(strstr(err_text(), "has 3 rows, the backup has 4"));
    m->sum.rows--;
    assert_true(mark_is_there(t.db));
    target_end(&t);
}

/* Killed at several moments, a restore started again ends right. */
/* Changes a setting as a replay does, and dies. */
static void
killed_in_replay(const struct db_conf *target)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct db *db = db_open(target, "target");
        char *old = NULL;

        if (db == NULL || load_settings_apply(target) == NULL ||
            db_exec(db, "SET SESSION sql_log_bin=0") < 0 ||
            load_settings_remember(db, "max_heap_table_size", &old) < 0 ||
            load_settings_set(db, "max_heap_table_size", "1073741824") < 0)
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void
test_killed(void **state)
{
    static const unsigned moments_ms[] = {5, 60, 250, 600};
    struct target t;
    struct load_conf conf;
    char *position = NULL;

    (void)state;
    target_start(&t);
    run(t.db, "CREATE DATABASE mine");
    run(t.db, "CREATE TABLE mine.t (a INT) ENGINE=InnoDB");
    run(t.db, "INSERT INTO mine.t VALUES (42)");
    conf = load_conf(&t.conf);
    for (size_t i = 0; i < NELEM(moments_ms); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct load_report r;
            load_settings_apply(conf.target);
            load_run(&conf, &r);
            _exit(0);
        }
        for (int k = 0; k < 2000 && !mark_is_there(t.db); k++)
            usleep(5000);
        usleep(moments_ms[i] * 1000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_true(mark_is_there(t.db));
    }
    run(t.db, "CREATE DATABASE sudden");
    refused(&conf, "were not there when the unfinished restore was begun",
        "DROP DATABASE `sudden`;");
    run(t.db, "DROP DATABASE sudden");
    /* The next one ends before it replays, and puts back what that one left. */
    killed_in_replay(conf.target);
    assert_int_equal(
        number(t.db, "SELECT @@global.max_heap_table_size"), 1073741824);
    check(load_settings_restore(load_settings_apply(conf.target)));
    assert_int_equal(
        number(t.db, "SELECT @@global.max_heap_table_size"), 16777216);
    load_all(&conf);
    assert_false(mark_is_there(t.db));
    assert_int_equal(number(t.db, "SELECT a FROM mine.t"), 42);
    /* Nothing of it is in the target's own log: five statements were ours. */
    check(db_value(t.db, &position, "SELECT @@gtid_binlog_pos"));
    assert_string_equal(position, "0-7-5");
    free(position);
    run(t.db, "DROP DATABASE mine");
    same_as_source(t.db);
    /* What the first of the killed ones had found. */
    assert_int_equal(number(t.db, "SELECT @@max_allowed_packet"), 16777216);
    assert_int_equal(
        number(t.db, "SELECT @@innodb_flush_log_at_trx_commit"), 0);
    target_end(&t);
}

/* Another backup's repository does not take over an unfinished restore. */
static void
test_foreign_mark(void **state)
{
    struct target t;
    struct load_conf conf;
    struct load_report r;

    (void)state;
    target_start(&t);
    conf = load_conf(&t.conf);
    check(load_run(&conf, &r));
    env.repo->id[0] ^= 1;
    assert_int_equal(load_check(&conf), -1);
    env.repo->id[0] ^= 1;
    run(t.db,
        "UPDATE pitr_restore.progress SET name=REVERSE(name) WHERE "
        "kind='repository'");
    refused(&conf, "of another repository", "DROP DATABASE `pitr_restore`;");
    target_end(&t);
}

/* Events that the applier of a replay has touched. */
static void
test_events(void **state)
{
    struct target t;
    struct load_conf conf;
    struct load_report r;
    char *text = NULL;

    (void)state;
    target_start(&t);
    conf = load_conf(&t.conf);
    check(load_run(&conf, &r));
    run(t.db, "ALTER DEFINER=app@'%' EVENT shop.ev1 DISABLE ON SLAVE");
    run(t.db, "ALTER EVENT shop.ev2 DISABLE ON SLAVE");
    run(t.db,
        "CREATE DEFINER=app@'%' EVENT shop.ev4 ON SCHEDULE EVERY 1 DAY "
        "DISABLE ON SLAVE DO SELECT 'é'");
    check(load_finish(&conf));
    check(db_value(t.db, &text,
        "SELECT GROUP_CONCAT(name, '=', status, '=', definer ORDER BY name) "
        "FROM mysql.event WHERE name LIKE 'ev%%'"));
    assert_string_equal(text,
        "ev1=ENABLED=app@%,ev2=DISABLED=root@localhost,"
        "ev3=SLAVESIDE_DISABLED=root@localhost,ev4=ENABLED=app@%");
    free(text);
    assert_int_equal(load_finish(&conf), -1);
    assert_non_null(strstr(err_text(), "is not being restored"));
    target_end(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox),
        cmocka_unit_test(test_sandbox_refused),
        cmocka_unit_test(test_unfit),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_foreign_mark),
        cmocka_unit_test(test_events),
    };

    log_setup(LOG_QUIET);
    return cmocka_run_group_tests(tests, setup, teardown);
}
