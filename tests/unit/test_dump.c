/*
 * test_dump.c -- backups of a real server: what is in the repository is what
 * was there at one instant, or the backup fails and leaves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "pitr/compress.h"
#include "pitr/dump.h"
#include "pitr/err.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/part.h"
#include "pitr/schema.h"
#include "pitr/times.h"
#include "testserver.h"

struct env {
    struct testserver server;
    struct db_conf conf;
    struct db *db;
    struct secret_key *key;
    char repo_dir[80];
    struct repo *repo;
};
static struct env env;

static void
check(int rc)
{
    if (rc < 0)
        fail_msg("%s (%s)", err_text(), err_hint_text());
}

static void
sql(const char *text)
{
    check(db_exec_bytes(env.db, text, strlen(text)));
}

static uint64_t
number(const char *text)
{
    uint64_t n = 0;

    check(db_value_u64(env.db, &n, "%s", text));
    return n;
}

static void
make_repo(void)
{
    char signing[96];
    struct public_key pub;

    snprintf(env.repo_dir, sizeof env.repo_dir, "%s/repo", env.server.dir);
    snprintf(signing, sizeof signing, "%s/signing", env.server.dir);
    env.key = secret_key_new();
    pub = *secret_key_public(env.key);
    check(repo_init(env.repo_dir, "test", signing, &pub, 1, env.key));
    env.repo = repo_open(env.repo_dir, "test", signing);
    assert_non_null(env.repo);
}

static int
setup(void **state)
{
    static const char *const options[] = {"--log-bin=bin", "--server-id=7",
        "--max-allowed-packet=64M", "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=0", "--plugin-load-add=ha_archive",
        "--plugin-maturity=unknown", NULL};

    (void)state;
    log_setup(getenv("TEST_VERBOSE") ? LOG_VERBOSE : LOG_QUIET);
    check(keys_setup());
    if (testserver_start(&env.server, options) < 0)
        return -1;
    env.conf = testserver_conf(&env.server);
    env.db = testserver_open(&env.server, "test");
    make_repo();
    /* The server does not load accounts of host names without a resolver. */
    sql("DELETE FROM mysql.global_priv WHERE Host NOT IN"
        " ('localhost', '127.0.0.1', '::1', '')");
    sql("FLUSH PRIVILEGES");
    sql("CREATE DATABASE helper"); /* the seq_ tables want a database */
    sql("USE helper");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    db_close(env.db);
    repo_close(env.repo);
    secret_key_free(env.key);
    testserver_remove(&env.server);
    return 0;
}

static uint64_t lock_wait_us = 3000000;
static int level = ZSTD_AUTO;

static struct dump_conf
dump_conf(unsigned jobs)
{
    return (struct dump_conf){.source = &env.conf,
        .repo = env.repo,
        .jobs = jobs,
        .level = level,
        .lock_wait_us = lock_wait_us};
}

static struct manifest *
dump(unsigned jobs)
{
    struct dump_conf c = dump_conf(jobs);
    struct manifest *m = NULL, *stored;

    check(dump_run(&c, &m));
    /* What is told is what is stored. */
    stored = manifest_load(env.repo, m->info.id, env.key);
    if (stored == NULL)
        check(-1);
    assert_int_equal(stored->tables, m->tables);
    assert_int_equal(stored->parts, m->parts);
    manifest_free(m);
    return stored;
}

static size_t
stored_objects(void)
{
    struct store_list l = {0};
    size_t n;

    check(store_list(env.repo->store, "backup/", false, &l));
    n = l.n;
    store_list_free(&l);
    return n;
}

/* It has to fail, with this in its text, and to leave nothing. */
static void
dump_fails(unsigned jobs, const char *text)
{
    struct dump_conf c = dump_conf(jobs);
    struct manifest *m = NULL;
    size_t before = stored_objects();

    if (dump_run(&c, &m) == 0) {
        manifest_free(m);
        fail_msg("the backup should have failed: %s", text);
    }
    assert_null(m);
    if (strstr(err_text(), text) == NULL)
        fail_msg("not \"%s\": %s (%s)", text, err_text(), err_hint_text());
    assert_int_equal(stored_objects(), before);
}

static struct manifest_table *
table_of(const struct manifest *m, const char *schema, const char *name)
{
    for (size_t i = 0; i < m->tables; i++)
        if (strcmp(m->table[i].schema, schema) == 0 &&
            strcmp(m->table[i].name, name) == 0)
            return &m->table[i];
    return NULL;
}

/* Read a part; its rows are added to sum, one for each table. */
static void
read_part(
    const struct manifest *m, const struct manifest_part *p, struct rowsum *sum)
{
    struct part_reader *r = part_reader_new(
        repo_get(env.repo, SEAL_ROWS, p->name, env.key, p->digest));
    uint64_t *rows = xcalloc(m->tables + 1, sizeof *rows), size = 0;
    const uint8_t *row;
    size_t n;
    uint32_t t;
    int rc;

    if (r == NULL)
        check(-1);
    while ((rc = part_read_row(r, &t, &row, &n)) > 0) {
        assert_true(t < m->tables);
        rowsum_add(&sum[t], row, n);
        rows[t]++;
    }
    check(rc);
    part_reader_free(r);
    for (size_t i = 0; i < p->tables; i++) {
        assert_int_equal(rows[p->table[i]], p->rows[i]);
        rows[p->table[i]] = 0;
    }
    for (size_t i = 0; i < m->tables; i++)
        assert_int_equal(rows[i], 0);
    assert_int_equal(store_stat(env.repo->store, p->name, &size), 1);
    assert_int_equal(size, p->size);
    free(rows);
}

/* Every table's sum, from the parts, equals the manifest's. */
static void
check_parts(const struct manifest *m)
{
    struct rowsum *sum = xcalloc(m->tables + 1, sizeof *sum);

    for (size_t i = 0; i < m->parts; i++)
        read_part(m, &m->part[i], sum);
    for (size_t i = 0; i < m->tables; i++)
        assert_memory_equal(&sum[i], &m->table[i].sum, sizeof *sum);
    free(sum);
}

/* The table's sum, read here in one go over another connection. */
static void
check_table(const struct manifest *m, const char *schema, const char *name)
{
    const struct manifest_table *t = table_of(m, schema, name);
    struct db *db = testserver_open(&env.server, "test");
    struct buf q = {0};
    struct rowsum sum = {0};
    struct db_rows *rows;
    const uint8_t *row;
    size_t n;
    int rc;

    if (t == NULL)
        fail_msg("no table %s.%s", schema, name);
    buf_str(&q, "SELECT ");
    for (size_t i = 0; i < t->cols; i++) {
        buf_str(&q, i ? ", " : "");
        row_select_expr(&q, t->col[i].name, t->col[i].data_type);
    }
    buf_fmt(&q, " FROM `%s`.`%s`%s", schema, name,
        t->history ? " FOR SYSTEM_TIME ALL" : "");
    if ((rows = db_rows_open(db, (char *)q.data, q.len)) == NULL)
        check(-1);
    while ((rc = db_rows_next(rows, &row, &n)) > 0)
        rowsum_add(&sum, row, n);
    check(rc);
    db_rows_close(rows);
    db_close(db);
    buf_free(&q);
    if (memcmp(&sum, &t->sum, sizeof sum) != 0)
        fail_msg("%s.%s: %lu rows there, %lu in the backup, or other ones",
            schema, name, (unsigned long)sum.rows, (unsigned long)t->sum.rows);
}

struct objects {
    struct schema_object *v;
    size_t n, cap;
};

static struct objects
read_schema(const struct manifest *m)
{
    struct objects all = {0};
    char *name = xasprintf("backup/%s/schema", m->info.id);
    struct schema_reader *r = schema_reader_new(
        repo_get(env.repo, SEAL_SCHEMA, name, env.key, m->schema_digest));
    struct schema_object o = {0};
    int rc;

    if (r == NULL)
        check(-1);
    while ((rc = schema_read(r, &o)) > 0) {
        if (all.n > 0) /* in the order of the kinds */
            assert_true(all.v[all.n - 1].kind <= o.kind);
        all.v = xgrow(all.v, all.n, &all.cap, sizeof *all.v);
        all.v[all.n++] = o;
        memset(&o, 0, sizeof o);
    }
    check(rc);
    schema_reader_free(r);
    free(name);
    return all;
}

static const struct schema_object *
object_of(const struct objects *all, enum schema_kind kind, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->v[i].kind == kind && strcmp(all->v[i].name, name) == 0)
            return &all->v[i];
    fail_msg("no object %s of kind %d", name, kind);
    return NULL;
}

static void
has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void
objects_free(struct objects *all)
{
    for (size_t i = 0; i < all->n; i++)
        schema_object_free(&all->v[i]);
    free(all->v);
}

static const char *const kinds_sql[] = {
    "CREATE DATABASE k CHARACTER SET latin1",
    "CREATE DATABASE `empty.da/ta%``base`",
    "CREATE TABLE k.i (id INT PRIMARY KEY AUTO_INCREMENT, f FLOAT, d DOUBLE,"
    " t TIME(6), e ENUM('a','programm\xc3\xa9','') CHARACTER SET latin1,"
    " s SET('x','y'), b BIT(9), g GEOMETRY, u UUID, ip INET6, j JSON,"
    " v INT AS (f + 1) VIRTUAL, p INT AS (f + 2) PERSISTENT,"
    " h INT INVISIBLE DEFAULT 5, bl LONGBLOB)",
    "INSERT INTO k.i (f, d, t, e, s, b, g, u, ip, j, bl) VALUES"
    " (0.12345679104328156, -0e0, '-838:59:59.999999', 'programm\xc3\xa9',"
    " 'x,y', 511, POINT(1, 2), UUID(), '::1', '{}', REPEAT('\\0', 1000)),"
    " (16777216, 5e-324, '0:0:0', '', '', 0, NULL, NULL, NULL, NULL, '')",
    "SET sql_mode='NO_AUTO_VALUE_ON_ZERO'",
    "INSERT IGNORE INTO k.i (id, e) VALUES (0, 99)",
    "CREATE TABLE k.my (a INT, t TEXT) ENGINE=MyISAM",
    "INSERT INTO k.my SELECT seq, REPEAT('x', seq % 100) FROM seq_1_to_1000",
    "CREATE TABLE k.aria (a INT) ENGINE=Aria TRANSACTIONAL=1",
    "INSERT INTO k.aria VALUES (1), (2), (2)",
    "CREATE TABLE k.mem (a INT) ENGINE=MEMORY",
    "INSERT INTO k.mem VALUES (1), (NULL)",
    "CREATE TABLE k.csv (a INT NOT NULL) ENGINE=CSV",
    "INSERT INTO k.csv VALUES (3)",
    "CREATE TABLE k.arch (a INT) ENGINE=ARCHIVE",
    "INSERT INTO k.arch VALUES (4), (5)",
    "CREATE TABLE k.merge (a INT, t TEXT) ENGINE=MERGE UNION=(k.my)",
    "CREATE TABLE k.nothing (a INT)",
    "CREATE TABLE k.part (a INT, b INT) PARTITION BY HASH(a) PARTITIONS 5",
    "INSERT INTO k.part SELECT seq, -seq FROM seq_1_to_500",
    "CREATE TABLE k.sv (a INT) WITH SYSTEM VERSIONING",
    "INSERT INTO k.sv VALUES (1)",
    "UPDATE k.sv SET a = 2",
    "DELETE FROM k.sv",
    "INSERT INTO k.sv VALUES (3)",
    "CREATE TABLE k.sv2 (a INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START,"
    " e TIMESTAMP(6) GENERATED ALWAYS AS ROW END,"
    " PERIOD FOR SYSTEM_TIME(s, e)) WITH SYSTEM VERSIONING",
    "INSERT INTO k.sv2 (a) VALUES (1)",
    "UPDATE k.sv2 SET a = 2",
    "CREATE SEQUENCE k.sq START 5 CACHE 10",
    "DO NEXTVAL(k.sq)",
    "CREATE SEQUENCE k.sq2 START 5 MINVALUE 1 MAXVALUE 6 NOCACHE CYCLE",
    "DO NEXTVAL(k.sq2), NEXTVAL(k.sq2), NEXTVAL(k.sq2)",
    "CREATE TABLE k.`na me.\xc3\xa9` (`co``l` INT)",
    "INSERT INTO k.`na me.\xc3\xa9` VALUES (1)",
    "CREATE VIEW k.v2 AS SELECT 1 AS one",
    "CREATE VIEW k.v1 AS SELECT * FROM k.v2",
    "CREATE TABLE k.gone (a INT)",
    "CREATE VIEW k.broken AS SELECT * FROM k.gone",
    "DROP TABLE k.gone",
    "SET sql_mode='ANSI_QUOTES', collation_connection=latin1_german1_ci",
    "CREATE FUNCTION k.f() RETURNS INT DETERMINISTIC RETURN 1",
    "SET NAMES utf8mb4, sql_mode=''",
    "CREATE PROCEDURE k.p() SELECT '\xc3\xa9'",
    "SET sql_mode=ORACLE",
    "CREATE PACKAGE k.pk AS FUNCTION x RETURN INT; END",
    "CREATE PACKAGE BODY k.pk AS FUNCTION x RETURN INT AS BEGIN RETURN 1; END;"
    " END",
    "SET sql_mode=''",
    "CREATE TRIGGER k.t2 BEFORE INSERT ON k.part FOR EACH ROW SET NEW.b = 2",
    "CREATE TRIGGER k.t1 BEFORE INSERT ON k.part FOR EACH ROW FOLLOWS t2"
    " SET NEW.b = 1",
    "CREATE TRIGGER k.t0 BEFORE INSERT ON k.part FOR EACH ROW PRECEDES t2"
    " SET NEW.b = 0",
    "SET time_zone='+08:00'",
    "CREATE EVENT k.e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1",
    "SET time_zone='+00:00'",
    "CREATE ROLE r1",
    "CREATE ROLE r2",
    "GRANT SELECT ON k.* TO r1",
    "GRANT r1 TO r2 WITH ADMIN OPTION",
    "CREATE USER 'o''brien'@'%.example.com' IDENTIFIED BY 'x'"
    " REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 5 ACCOUNT LOCK",
    "GRANT r2 TO 'o''brien'@'%.example.com'",
    "SET DEFAULT ROLE r2 FOR 'o''brien'@'%.example.com'",
    "GRANT SELECT (a) ON k.part TO 'o''brien'@'%.example.com'",
};

static void
check_objects(const struct manifest *m)
{
    struct objects all = read_schema(m);
    const struct schema_object *o, *t0, *t1, *t2;

    has(object_of(&all, SCHEMA_DATABASE, "k")->sql, "latin1");
    object_of(&all, SCHEMA_DATABASE, "empty.da/ta%`base");
    o = object_of(&all, SCHEMA_TABLE, "i");
    assert_ptr_equal(&m->table[o->table], table_of(m, "k", "i"));
    has(o->sql, "CREATE TABLE `i`");
    has(o->sql, "programm\xc3\xa9");
    assert_int_equal(object_of(&all, SCHEMA_TABLE, "merge")->table, UINT32_MAX);
    has(object_of(&all, SCHEMA_TABLE, "sv")->sql, "SYSTEM VERSIONING");
    has(object_of(&all, SCHEMA_SEQUENCE, "sq")->extra,
        "SETVAL(`k`.`sq`, 15, 0, 0)");
    has(object_of(&all, SCHEMA_SEQUENCE, "sq2")->extra,
        "SETVAL(`k`.`sq2`, 2, 0, 1)");
    o = object_of(&all, SCHEMA_FUNCTION, "f");
    has(o->sql_mode, "ANSI_QUOTES");
    assert_string_equal(o->collation_connection, "latin1_german1_ci");
    assert_string_equal(o->collation_database, "latin1_swedish_ci");
    has(object_of(&all, SCHEMA_PROCEDURE, "p")->sql, "\xc3\xa9");
    has(object_of(&all, SCHEMA_PACKAGE, "pk")->sql, "PACKAGE");
    has(object_of(&all, SCHEMA_PACKAGE_BODY, "pk")->sql, "PACKAGE BODY");
    object_of(&all, SCHEMA_VIEW, "v1");
    has(object_of(&all, SCHEMA_VIEW, "broken")->sql, "gone");
    t0 = object_of(&all, SCHEMA_TRIGGER, "t0");
    t1 = object_of(&all, SCHEMA_TRIGGER, "t1");
    t2 = object_of(&all, SCHEMA_TRIGGER, "t2");
    assert_true(t0 < t2 && t2 < t1);
    assert_string_equal(t0->extra, "part");
    o = object_of(&all, SCHEMA_EVENT, "e");
    assert_string_equal(o->extra, "DISABLED");
    assert_string_equal(o->time_zone, "+08:00");
    object_of(&all, SCHEMA_ROLE, "'r2'");
    o = object_of(&all, SCHEMA_USER, "'o\\'brien'@'%.example.com'");
    has(o->sql, "REQUIRE SSL");
    has(o->sql, "MAX_QUERIES_PER_HOUR 5");
    has(o->sql, "ACCOUNT LOCK");
    has(object_of(&all, SCHEMA_USER, "'root'@'localhost'")->sql, "CREATE USER");
    has(object_of(&all, SCHEMA_GRANT, "'r2'")->sql, "WITH ADMIN OPTION");
    for (size_t i = 0; i < all.n; i++)
        assert_null(strstr(all.v[i].name, "mariadb.sys"));
    objects_free(&all);
}

static void
test_kinds(void **state)
{
    static const char *const tables[] = {"i", "my", "aria", "mem", "csv",
        "arch", "nothing", "part", "sv", "sv2", "na me.\xc3\xa9"};
    struct manifest *m;
    char *gtid;

    (void)state;
    for (size_t i = 0; i < NELEM(kinds_sql); i++)
        sql(kinds_sql[i]);
    m = dump(3);
    check_parts(m);
    for (size_t i = 0; i < NELEM(tables); i++)
        check_table(m, "k", tables[i]);
    assert_int_equal(m->tables, NELEM(tables));
    assert_int_equal(table_of(m, "k", "sv")->sum.rows, 3);
    assert_true(table_of(m, "k", "sv")->history);
    assert_true(table_of(m, "k", "sv2")->history);
    assert_int_equal(table_of(m, "k", "i")->cols, 13);
    assert_int_equal(table_of(m, "k", "i")->sum.rows, 3);
    assert_int_equal(m->warnings, 0);
    assert_int_equal(m->info.server_id, 7);
    gtid = gtid_pos_text(&m->info.gtid);
    assert_int_equal(db_value_u64(env.db, &(uint64_t){0},
                         "SELECT @@gtid_binlog_pos = '%s'", gtid),
        1);
    free(gtid);
    check_objects(m);
    manifest_free(m);
}

/* What a backup stores of the table z.t that the statement fills, by samples
 * and at level 1; both are read back. */
static void
stored(const char *fill, uint64_t size[2])
{
    sql("CREATE TABLE z.t (id INT PRIMARY KEY, c TEXT)");
    sql(fill);
    for (level = ZSTD_AUTO; level <= 1; level++) {
        struct manifest *m = dump(1);

        check_parts(m);
        check_table(m, "z", "t");
        size[level] = m->info.stored_bytes;
        manifest_free(m);
    }
    level = ZSTD_AUTO;
    sql("DROP TABLE z.t");
}

/* Rows for each way to compress (compress_frames.c). */
static void
test_compression(void **state)
{
    uint64_t size[2];

    (void)state;
    sql("CREATE DATABASE z");
    stored("INSERT INTO z.t SELECT seq, TO_BASE64(UNHEX(CONCAT(SHA2(seq, 512),"
           " SHA2(-seq, 512)))) FROM seq_1_to_8000",
        size);
    assert_true(size[0] != size[1]);
    assert_true(size[0] < size[1] + size[1] / 50);
    stored("INSERT INTO z.t SELECT seq, CONCAT('GET /item?id=',"
           " FLOOR(RAND(1) * 1e5), ' HTTP/1.1 200 Mozilla/5.0 ',"
           " FLOOR(RAND(2) * 1e9)) FROM seq_1_to_25000",
        size);
    assert_int_equal(size[0], size[1]);
    stored("INSERT INTO z.t SELECT seq, CONCAT(MD5(seq % 500), "
           "REPEAT(CONCAT_WS(' ', 'the backup of',"
           " seq, 'came', seq * 31 % 1013, 'days after', MD5(seq), 'and every"
           " row of it was where', seq % 511, 'had left it, '), 1 + seq % 6))"
           " FROM seq_1_to_8000",
        size);
    assert_true(size[0] < size[1] - size[1] / 20);
    sql("DROP DATABASE z");
}

/* Keys of every shape, over 64 MiB each: every row exactly once. */
static void
test_ranges(void **state)
{
    struct manifest *m;

    (void)state;
    sql("CREATE DATABASE big");
    sql("CREATE TABLE big.u (id BIGINT UNSIGNED, n INT, pad VARCHAR(2000),"
        " PRIMARY KEY (id, n)) CHARACTER SET latin1");
    /* Two heaps, at both ends of the numbers. */
    sql("INSERT INTO big.u SELECT seq, 0, REPEAT('x', 1000) FROM"
        " seq_1_to_70000");
    sql("INSERT INTO big.u SELECT 18446744073709551615 - seq, 0,"
        " REPEAT('x', 1000) FROM seq_0_to_70000");
    sql("CREATE TABLE big.s (id BIGINT PRIMARY KEY, pad VARCHAR(2000))"
        " CHARACTER SET latin1");
    sql("INSERT INTO big.s SELECT -9223372036854775807 - 1 + CAST(seq * 7 AS "
        "SIGNED),"
        " REPEAT('y', 1000) FROM seq_0_to_40000");
    sql("INSERT INTO big.s SELECT 9223372036854775807 - seq * 3,"
        " REPEAT('y', 1000) FROM seq_0_to_40000");
    sql("CREATE TABLE big.one (a INT, b INT, pad VARCHAR(2000),"
        " PRIMARY KEY (a, b)) CHARACTER SET latin1");
    sql("INSERT INTO big.one SELECT 1, seq, REPEAT('z', 1000) FROM"
        " seq_1_to_70000");
    sql("CREATE TABLE big.nokey (pad VARCHAR(2000)) CHARACTER SET latin1");
    sql("INSERT INTO big.nokey SELECT REPEAT('z', 1000) FROM seq_1_to_150000");
    sql("ANALYZE TABLE big.u, big.s, big.one, big.nokey");
    m = dump(3);
    check_parts(m);
    check_table(m, "big", "u");
    check_table(m, "big", "s");
    check_table(m, "big", "one");
    check_table(m, "big", "nokey");
    assert_int_equal(table_of(m, "big", "u")->sum.rows, 140001);
    assert_int_equal(table_of(m, "big", "s")->sum.rows, 80002);
    assert_true(table_of(m, "big", "u")->parts >= 2);
    assert_true(table_of(m, "big", "nokey")->parts >= 2);
    manifest_free(m);
    /* One stays, to keep the backups that follow busy for a while. */
    sql("DROP TABLE big.u, big.s, big.one");
}

/* --- somebody else is at work --- */

struct writer {
    pthread_t thread;
    atomic_bool stop;
    void (*run)(struct writer *w, struct db *db);
    unsigned index;
    atomic_uint done;
    unsigned failed;
    char error[256];
};

static void *
writer_main(void *arg)
{
    struct writer *w = arg;
    struct db *db = testserver_open(&env.server, "writer");

    if (db == NULL)
        return NULL;
    w->run(w, db);
    db_close(db);
    return NULL;
}

static void
writer_start(struct writer *w, void (*run)(struct writer *, struct db *))
{
    w->run = run;
    atomic_init(&w->stop, false);
    atomic_init(&w->done, 0);
    assert_int_equal(pthread_create(&w->thread, NULL, writer_main, w), 0);
}

static void
writer_end(struct writer *w)
{
    atomic_store(&w->stop, true);
    pthread_join(w->thread, NULL);
}

static void
need(struct writer *w, int rc)
{
    if (rc == 0)
        return;
    w->failed++;
    snprintf(w->error, sizeof w->error, "%s", err_text());
    err_clear();
}

/* One transaction adds one everywhere, to rows of its own. */
static void
count_everywhere(struct writer *w, struct db *db)
{
    while (!atomic_load(&w->stop)) {
        need(w, db_exec(db, "BEGIN"));
        for (int i = 0; i < 4; i++)
            need(w,
                db_exec(db, "UPDATE c.t%d SET n = n + 1 WHERE id = %u", i,
                    w->index));
        need(w, db_exec(db, "COMMIT"));
        atomic_fetch_add(&w->done, 1);
        usleep(500); /* the machine is also the backup's */
    }
}

static bool
part_has(const struct manifest_part *p, uint32_t table)
{
    for (size_t i = 0; i < p->tables; i++)
        if (p->table[i] == table)
            return true;
    return false;
}

/* The value of column n of the row with this id, both INT, by its part. */
static int64_t
value_of(
    const struct manifest *m, const char *schema, const char *name, int32_t id)
{
    struct manifest_table *t = table_of(m, schema, name);
    uint32_t number = (uint32_t)(t - m->table);
    int64_t value = INT64_MIN;

    for (size_t i = 0; i < m->parts; i++) {
        struct part_reader *r;
        const uint8_t *row;
        size_t n;
        uint32_t of;

        if (!part_has(&m->part[i], number))
            continue;
        r = part_reader_new(repo_get(
            env.repo, SEAL_ROWS, m->part[i].name, env.key, m->part[i].digest));
        assert_non_null(r);
        while (part_read_row(r, &of, &row, &n) > 0) {
            struct cur c = cur_of(row + 1, n - 1);

            if (of == number && (int32_t)cur_u32(&c) == id)
                value = (int32_t)cur_u32(&c);
        }
        part_reader_free(r);
    }
    return value;
}

static void
test_one_instant(void **state)
{
    static struct writer w[3]; /* outlives a test that fails */
    struct manifest *m;
    unsigned before;

    (void)state;
    sql("CREATE DATABASE c");
    for (int i = 0; i < 4; i++) {
        check(db_exec(env.db,
            "CREATE TABLE c.t%d (id INT PRIMARY KEY, n INT NOT NULL)", i));
        check(db_exec(
            env.db, "INSERT INTO c.t%d SELECT seq, 0 FROM seq_0_to_2", i));
    }
    for (unsigned i = 0; i < NELEM(w); i++) {
        w[i].index = i;
        writer_start(&w[i], count_everywhere);
    }
    while (atomic_load(&w[0].done) < 20)
        usleep(1000);
    for (int round = 0; round < 3; round++) {
        before = atomic_load(&w[0].done);
        m = dump(4);
        for (int i = 0; i < 3; i++) {
            int64_t n = value_of(m, "c", "t0", i);

            for (int t = 1; t < 4; t++) {
                char name[] = {'t', (char)('0' + t), '\0'};

                assert_int_equal(value_of(m, "c", name, i), n);
            }
            if (i == 0)
                assert_true(n >= before);
        }
        manifest_free(m);
    }
    for (unsigned i = 0; i < NELEM(w); i++) {
        writer_end(&w[i]);
        if (w[i].failed > 0)
            fail_msg("writer: %s", w[i].error);
        assert_true(atomic_load(&w[i].done) > 50);
    }
}

/*
 * Money goes between a table with transactions and one without, while both are
 * locked; so at any instant at which the latter can be locked, the sum is as
 * it was.
 */
static void
transfer(struct writer *w, struct db *db)
{
    while (!atomic_load(&w->stop)) {
        need(w, db_exec(db, "LOCK TABLES mix.a WRITE, mix.b WRITE"));
        need(w, db_exec(db, "UPDATE mix.a SET n = n - 1 WHERE id = 1"));
        need(w, db_exec(db, "UPDATE mix.b SET n = n + 1 WHERE id = 1"));
        need(w, db_exec(db, "UNLOCK TABLES"));
        atomic_fetch_add(&w->done, 1);
        usleep(500);
    }
}

static void
mixed_tables(void)
{
    sql("CREATE OR REPLACE DATABASE mix");
    sql("CREATE TABLE mix.a (id INT PRIMARY KEY, n INT NOT NULL)");
    sql("CREATE TABLE mix.b (id INT PRIMARY KEY, n INT NOT NULL)"
        " ENGINE=MyISAM");
    sql("INSERT INTO mix.a VALUES (1, 0)");
    sql("INSERT INTO mix.b VALUES (1, 0)");
}

static void
test_without_transactions(void **state)
{
    static struct writer w[2]; /* outlives a test that fails */
    struct manifest *m;

    (void)state;
    mixed_tables();
    for (unsigned i = 0; i < NELEM(w); i++)
        writer_start(&w[i], transfer);
    while (atomic_load(&w[0].done) < 10)
        usleep(1000);
    for (int round = 0; round < 5; round++) {
        int64_t a, b;

        m = dump(3);
        a = value_of(m, "mix", "a", 1);
        b = value_of(m, "mix", "b", 1);
        assert_true(b > 0);
        assert_int_equal(a + b, 0);
        manifest_free(m);
    }
    for (unsigned i = 0; i < NELEM(w); i++) {
        writer_end(&w[i]);
        if (w[i].failed > 0)
            fail_msg("writer: %s", w[i].error);
    }
}

/* One that changed both kinds and stays open: its log comes too late. */
static void
hold_open(struct writer *w, struct db *db)
{
    need(w, db_exec(db, "BEGIN"));
    need(w, db_exec(db, "UPDATE mix.a SET n = n - 1 WHERE id = 1"));
    need(w, db_exec(db, "UPDATE mix.b SET n = n + 1 WHERE id = 1"));
    atomic_fetch_add(&w->done, 1);
    /* Past the snapshot, which waits two seconds; not past the backup, of
     * which the big tables take their time. */
    while (!atomic_load(&w->stop)) {
        uint64_t n = 0;

        need(w,
            -(db_value_u64(db, &n,
                  "SELECT COUNT(*) FROM information_schema.PROCESSLIST"
                  " WHERE INFO LIKE 'SELECT SQL_NO_CACHE%%'") != 1));
        if (n > 0)
            break;
        usleep(2000);
    }
    need(w, db_exec(db, "COMMIT"));
}

static void
test_open_mixed_transaction(void **state)
{
    static struct writer w; /* outlives a test that fails */

    (void)state;
    sql("SET GLOBAL binlog_format=MIXED");
    mixed_tables();
    writer_start(&w, hold_open);
    while (atomic_load(&w.done) < 1)
        usleep(1000);
    dump_fails(1, "open at the snapshot");
    writer_end(&w);
    assert_int_equal(w.failed, 0);
}

/* Wait until a backup reads rows; its connection, or 0 when told to stop. */
static uint64_t
wait_for_reader(struct writer *w, struct db *db, const char *like)
{
    uint64_t id = 0;

    while (!atomic_load(&w->stop)) {
        int rc = db_value_u64(db, &id,
            "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE"
            " 'SELECT SQL_NO_CACHE%%%s%%' LIMIT 1",
            like);

        if (rc < 0)
            need(w, -1);
        if (rc == 1)
            return id;
        usleep(500);
    }
    return 0;
}

static void
kill_reader(struct writer *w, struct db *db)
{
    uint64_t id = wait_for_reader(w, db, "big");

    if (id != 0)
        need(w, db_exec(db, "KILL %llu", (unsigned long long)id));
}

static void
test_killed_connection(void **state)
{
    static struct writer w; /* outlives a test that fails */

    (void)state;
    writer_start(&w, kill_reader);
    dump_fails(3, "backup: table");
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    writer_end(&w);
    assert_int_equal(w.failed, 0);
}

static void
alter_meanwhile(struct writer *w, struct db *db)
{
    if (wait_for_reader(w, db, "big") == 0)
        return;
    need(w, db_exec(db, "SET lock_wait_timeout=60"));
    need(w, db_exec(db, "ALTER TABLE c.t0 ADD COLUMN more INT"));
    atomic_fetch_add(&w->done, 1);
}

/* With nothing but InnoDB, DDL waits for the end of the backup. */
static void
test_ddl_is_kept_out(void **state)
{
    static struct writer w; /* outlives a test that fails */
    struct manifest *m;

    (void)state;
    sql("DROP DATABASE k");
    sql("DROP DATABASE mix");
    lock_wait_us = 60000000; /* longer than this backup takes */
    writer_start(&w, alter_meanwhile);
    m = dump(1);
    lock_wait_us = 3000000;
    assert_int_equal(table_of(m, "c", "t0")->cols, 2);
    manifest_free(m);
    writer_end(&w);
    if (w.failed > 0)
        fail_msg("DDL: %s", w.error);
    assert_int_equal(atomic_load(&w.done), 1);
    assert_int_equal(number("SELECT COUNT(*) FROM information_schema.COLUMNS"
                            " WHERE TABLE_SCHEMA = 'c' AND TABLE_NAME = 't0'"),
        3);
}

static void
truncate_meanwhile(struct writer *w, struct db *db)
{
    if (wait_for_reader(w, db, "big") == 0)
        return;
    need(w,
        db_exec(db,
            "RENAME TABLE c.t1 TO c.t9, c.t2 TO c.t1,"
            " c.t9 TO c.t2"));
    atomic_fetch_add(&w->done, 1);
}

/* With tables without transactions it does not wait, and is found. */
static void
test_ddl_is_found(void **state)
{
    static struct writer w; /* outlives a test that fails */

    (void)state;
    mixed_tables();
    writer_start(&w, truncate_meanwhile);
    dump_fails(1, "RENAME TABLE c.t1");
    writer_end(&w);
    if (w.failed > 0)
        fail_msg("DDL: %s", w.error);
    assert_int_equal(atomic_load(&w.done), 1);
}

static void
create_meanwhile(struct writer *w, struct db *db)
{
    if (wait_for_reader(w, db, "big") == 0)
        return;
    usleep(300000); /* all definitions have been read */
    need(w, db_exec(db, "CREATE TABLE c.quite_new (a INT)"));
    need(w, db_exec(db, "CREATE USER quite_new"));
    need(w, db_exec(db, "TRUNCATE TABLE mix.b"));
    need(w, db_exec(db, "ANALYZE TABLE c.t3"));
    atomic_fetch_add(&w->done, 1);
}

/* What does not matter does not spoil the backup. */
static void
test_ddl_elsewhere(void **state)
{
    static struct writer w; /* outlives a test that fails */
    struct manifest *m;

    (void)state;
    writer_start(&w, create_meanwhile);
    m = dump(1);
    assert_null(table_of(m, "c", "quite_new"));
    assert_int_equal(table_of(m, "mix", "b")->sum.rows, 1);
    manifest_free(m);
    writer_end(&w);
    if (w.failed > 0)
        fail_msg("DDL: %s", w.error);
    assert_int_equal(atomic_load(&w.done), 1);
}

/* Another backup tool holds the stages: bounded wait, then on without. */
static void
test_guard_not_to_be_had(void **state)
{
    struct db *other = testserver_open(&env.server, "other");
    uint64_t start = time_mono_us();
    struct manifest *m;

    (void)state;
    sql("DROP DATABASE mix");
    check(db_exec(other, "BACKUP STAGE START"));
    m = dump(1);
    assert_true(time_mono_us() - start >= 3000000);
    manifest_free(m);
    db_close(other);
}

static void
test_prepared_xa(void **state)
{
    (void)state;
    sql("XA START 'lost'");
    sql("UPDATE c.t3 SET n = 0");
    sql("XA END 'lost'");
    sql("XA PREPARE 'lost'");
    dump_fails(2, "'lost'");
    sql("XA ROLLBACK 'lost'");
}

/* Room for so many answers, none for so many, then room or the end. */
struct room {
    unsigned asked, yes, no;
    bool end;
};

static int
no_room(void *arg)
{
    struct room *r = arg;
    unsigned n = r->asked++;

    if (n < r->yes)
        return 1;
    if (n < r->yes + r->no) {
        /* While it waits, writers do not: not for locked tables either. */
        struct db *db = db_open(&env.conf, "source");
        static unsigned id = 1000;

        if (db == NULL)
            return -1;
        id++;
        if (db_exec(db, "SET lock_wait_timeout=5") < 0 ||
            db_exec(db, "INSERT INTO mix.a VALUES (%u, 0)", id) < 0 ||
            db_exec(db, "INSERT INTO mix.b VALUES (%u, 0)", id) < 0)
            check(-1);
        db_close(db);
        return 0;
    }
    return r->end ? err_set(ERR_FAILED, "no room was made") : 1;
}

static void
test_room(void **state)
{
    struct dump_conf c = dump_conf(1);
    struct room room = {.no = 3};
    struct manifest *m = NULL;
    size_t before;

    (void)state;
    mixed_tables();
    c.room = no_room;
    c.room_arg = &room;
    check(dump_run(&c, &m)); /* before it starts: they are in it */
    assert_int_equal(table_of(m, "mix", "a")->sum.rows, 1 + 3);
    manifest_free(m);
    assert_true(room.asked >= 5);
    room = (struct room){.yes = 1, .no = 3};
    check(dump_run(&c, &m)); /* in it: the snapshot has been taken */
    assert_int_equal(table_of(m, "mix", "a")->sum.rows, 1 + 3);
    manifest_free(m);
    before = stored_objects();
    room = (struct room){.yes = 1, .no = 1, .end = true};
    assert_int_equal(dump_run(&c, &m), -1);
    has(err_text(), "no room was made");
    assert_int_equal(stored_objects(), before);
    room = (struct room){.end = true};
    assert_int_equal(dump_run(&c, &m), -1);
    has(err_text(), "no room was made");
    assert_int_equal(room.asked, 1);
}

static bool
warned(const struct manifest *m, const char *part)
{
    for (size_t i = 0; i < m->warnings; i++)
        if (strstr(m->warning[i], part) != NULL)
            return true;
    return false;
}

/* What SHOW CREATE does not show as it is, and what cannot be given back. */
static void
test_doubts(void **state)
{
    struct manifest *m;

    (void)state;
    sql("CREATE DATABASE odd CHARACTER SET utf8mb4");
    sql("SET sql_mode=''");
    sql("CREATE TABLE odd.fine (e ENUM('?', 'sure?'), s SET('a', '\xc3\xa9?'),"
        " v VARCHAR(9) DEFAULT '\xc3\xa9?', c TEXT COMPRESSED CHARACTER SET"
        " utf8mb3, d TEXT DEFAULT (CONCAT('?', '\xf0\x9f\x98\x80')))");
    sql("INSERT INTO odd.fine (e, s, c) VALUES (1, 3, '\xc3\xa9'), (2, 2, ''),"
        " (NULL, 0, NULL), (0, 1, '?')");
    sql("CREATE TABLE odd.label (e ENUM('a', '\xf0\x9f\x98\x80'), other INT)");
    sql("INSERT INTO odd.label (e) VALUES (1), (2)");
    sql("CREATE TABLE odd.converted (s SET('a', 'b'), e ENUM('\xc3\xa9'))"
        " CHARACTER SET latin1");
    sql("ALTER TABLE odd.converted CONVERT TO CHARACTER SET ucs2");
    sql("INSERT INTO odd.converted VALUES (2, 1)");
    sql("CREATE TABLE odd.preset (v VARCHAR(9) DEFAULT '\xf0\x9f\x98\x80')");
    sql("CREATE TABLE odd.packed (c TEXT COMPRESSED CHARACTER SET utf8mb3)");
    sql("SET NAMES utf8mb3");
    sql("INSERT INTO odd.packed VALUES ('\xf0\x9f\x98\x80')");
    sql("SET NAMES utf8mb4");
    m = dump(1);
    assert_true(warned(m, "table odd.label, column e: the names"));
    assert_true(warned(m, "table odd.converted, column s: the names"));
    assert_true(warned(m, "table odd.preset, column v: its default"));
    assert_true(warned(m, "table odd.packed, column c: has values"));
    assert_false(warned(m, "odd.fine"));
    manifest_free(m);
    sql("DROP DATABASE odd");
}

static void
test_grants(void **state)
{
    static const char account[] = "'backup'@'localhost'";
    char *grants = dump_grants(db_version(env.db), account), *list, *one;
    struct db_conf mine = env.conf;
    struct dump_conf c = dump_conf(2);
    struct manifest *m = NULL;
    struct buf missing = {0};
    unsigned n = 0;

    (void)state;
    mixed_tables();
    sql("CREATE PROCEDURE mix.p() SELECT 1");
    sql("CREATE VIEW mix.v AS SELECT * FROM mix.a");
    sql("CREATE TRIGGER mix.t BEFORE INSERT ON mix.a FOR EACH ROW SET @a = 1");
    sql("CREATE EVENT mix.e ON SCHEDULE EVERY 1 DAY DO SELECT 1");
    sql("CREATE SEQUENCE mix.s");
    check(db_exec(env.db, "CREATE USER %s", account));
    sql(grants);
    mine.user = "backup";
    c.source = &mine;
    check(dump_run(&c, &m));
    assert_non_null(table_of(m, "mix", "b"));
    manifest_free(m);
    /* Each is asked for by its name. */
    list = strstr(grants, "GRANT ") + 6;
    *strstr(list, " ON *.*") = '\0';
    for (one = strtok(list, ","); one != NULL; one = strtok(NULL, ",")) {
        struct db *db;

        one += *one == ' ';
        check(db_exec(env.db, "REVOKE %s ON *.* FROM %s", one, account));
        if ((db = db_open(&mine, "source")) == NULL)
            check(-1);
        buf_reset(&missing);
        check(dump_missing_grants(db, &missing));
        db_close(db);
        has(buf_cstr(&missing), one);
        assert_int_equal(strlen(buf_cstr(&missing)), strlen(one) + 1);
        assert_int_equal(dump_run(&c, &m), -1);
        has(err_text(), one);
        check(db_exec(env.db, "GRANT %s ON *.* TO %s", one, account));
        n++;
    }
    assert_true(n >= 9);
    buf_free(&missing);
    free(grants);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_one_instant),
        cmocka_unit_test(test_without_transactions),
        cmocka_unit_test(test_open_mixed_transaction),
        cmocka_unit_test(test_killed_connection),
        cmocka_unit_test(test_ddl_is_kept_out),
        cmocka_unit_test(test_ddl_is_found),
        cmocka_unit_test(test_ddl_elsewhere),
        cmocka_unit_test(test_guard_not_to_be_had),
        cmocka_unit_test(test_prepared_xa),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_grants),
    };

    if (!testserver_installed()) {
        printf("skipped: no mariadbd on this machine\n");
        return 77;
    }
    if (getenv("TEST_ONLY") != NULL)
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests_name("dump", tests, setup, teardown);
}
