/*
 * test_rows.c -- rows read and stored again are the same to the last bit, for
 * every type at its limits; the judge is the server's own HEX().
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/rows.h"
#include "testserver.h"

static struct testserver server;
static struct db *source, *target, *judge;

static void
exec_ok(struct db *db, const char *sql)
{
    if (db_exec_bytes(db, sql, strlen(sql)) < 0)
        fail_msg("%s", err_text());
}

static int
start(void **state)
{
    static const char *const options[] = {"--max-allowed-packet=16777216",
        "--character-set-server=utf8mb4", NULL};

    (void)state;
    if (testserver_start(&server, options) < 0 ||
        (source = testserver_open(&server, "source")) == NULL ||
        (target = testserver_open(&server, "target")) == NULL ||
        (judge = testserver_open(&server, "judge")) == NULL ||
        db_exec(judge, "CREATE DATABASE d") < 0 ||
        db_exec(source, "USE d") < 0 || db_exec(target, "USE d") < 0 ||
        db_exec(judge, "USE d") < 0 || db_bulk_setup(target) < 0)
        return -1;
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    db_close(source);
    db_close(target);
    db_close(judge);
    testserver_remove(&server);
    return 0;
}

/* Copies rows of a SELECT with one INSERT; the number of rows. */
static uint64_t
copy_rows(const char *select, const char *insert, uint64_t *warnings)
{
    struct db_rows *r = db_rows_open(source, select, strlen(select));
    const struct row_col *cols;
    struct db_bulk *b;
    const uint8_t *row;
    size_t n, size;
    uint64_t rows = 0;
    int rc;

    if (r == NULL)
        fail_msg("%s", err_text());
    n = db_rows_columns(r, &cols);
    if ((b = db_bulk_open(target, insert, strlen(insert), cols, n)) == NULL)
        fail_msg("%s", err_text());
    while ((rc = db_rows_next(r, &row, &size)) > 0) {
        if (db_bulk_row(b, row, size) < 0)
            fail_msg("%s", err_text());
        rows++;
    }
    if (rc < 0 || db_bulk_flush(b) < 0)
        fail_msg("%s", err_text());
    if (warnings != NULL)
        *warnings = db_bulk_warnings(b);
    db_bulk_close(b);
    db_rows_close(r);
    return rows;
}

/* A column's definition, its DATA_TYPE, values as SQL. */
static const struct {
    const char *definition, *type, *values;
} types[] = {
    {"FLOAT", "float",
        "(0.12345679104328156),(1e-40),(-0.0),(3.40282347e38),(16777216),"
        "(-3.40282347e38),(1.401298464324817e-45),(NULL)"},
    {"FLOAT UNSIGNED", "float", "(0.1),(0)"},
    {"FLOAT(7,3)", "float", "(0.123),(1234.567),(-0.001)"},
    {"DOUBLE", "double",
        "(1.7976931348623157e308),(4.9e-324),(-0.0),(0.1),(-1e-310)"},
    {"DOUBLE(20,5)", "double", "(123456789012345.12345),(-0.00001)"},
    {"DECIMAL(65,38)", "decimal",
        "(123456789012345678901234567.12345678901234567890123456789012345678),"
        "(-0.00000000000000000000000000000000000001),(NULL),(0)"},
    {"DECIMAL(65,0)", "decimal",
        "(99999999999999999999999999999999999999999999999999999999999999999)"},
    {"DECIMAL(10,2) UNSIGNED ZEROFILL", "decimal", "(1.5)"},
    {"TINYINT", "tinyint", "(-128),(127),(NULL)"},
    {"TINYINT UNSIGNED", "tinyint", "(255),(0)"},
    {"BOOLEAN", "tinyint", "(0),(1)"},
    {"SMALLINT", "smallint", "(-32768),(32767)"},
    {"SMALLINT UNSIGNED", "smallint", "(65535)"},
    {"MEDIUMINT", "mediumint", "(-8388608),(8388607),(-1)"},
    {"MEDIUMINT UNSIGNED", "mediumint", "(16777215),(8388608)"},
    {"INT", "int", "(-2147483648),(2147483647)"},
    {"INT UNSIGNED ZEROFILL", "int", "(4294967295),(7)"},
    {"BIGINT", "bigint", "(-9223372036854775808),(9223372036854775807)"},
    {"BIGINT UNSIGNED", "bigint",
        "(18446744073709551615),(9223372036854775808)"},
    {"DATE", "date",
        "('0000-00-00'),('2020-02-31'),('9999-12-31'),('2020-00-00'),"
        "('0001-01-01'),(NULL)"},
    {"TIME", "time", "('-838:59:59'),('838:59:59'),(0),('-00:00:01')"},
    {"TIME(6)", "time",
        "('-838:59:59.999999'),('838:59:59.999999'),('-00:00:00.000001'),(0)"},
    {"DATETIME", "datetime",
        "('0000-00-00 00:00:00'),('2020-02-31 10:11:12'),"
        "('9999-12-31 23:59:59'),('2020-01-02 00:00:00')"},
    {"DATETIME(6)", "datetime",
        "('9999-12-31 23:59:59.999999'),('0000-00-00 00:00:00.000001'),"
        "('2020-00-00 00:00:00.5')"},
    {"TIMESTAMP NULL", "timestamp",
        "('0000-00-00 00:00:00'),('1970-01-01 00:00:01'),"
        "('2038-01-19 03:14:07'),('2022-10-30 00:30:00'),"
        "('2022-10-30 01:30:00'),(NULL)"},
    {"TIMESTAMP(6) NULL", "timestamp",
        "('2038-01-19 03:14:07.999999'),(0),('2000-01-01 00:00:00.000001')"},
    {"YEAR", "year", "(0),(1901),(2155),(2000)"},
    {"BIT(1)", "bit", "(b'1'),(b'0'),(NULL)"},
    {"BIT(9)", "bit", "(b'101010101'),(0)"},
    {"BIT(63)", "bit", "(9223372036854775807)"},
    {"BIT(64)", "bit", "(18446744073709551615),(0),(1)"},
    {"ENUM('a','b','programm\xc3\xa9"
     "e') CHARSET latin1",
        "enum", "('b'),(3),(NULL),(0)"},
    {"ENUM('','1','2') CHARSET ucs2", "enum", "(''),('2'),('1'),(0)"},
    {"SET('a','b','programm\xc3\xa9"
     "e') CHARSET latin1",
        "set", "('b'),(7),(''),(NULL)"},
    {"SET('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15',"
     "'16','17','18','19','20','21','22','23','24','25','26','27','28','29',"
     "'30','31','32','33','34','35','36','37','38','39','40','41','42','43',"
     "'44','45','46','47','48','49','50','51','52','53','54','55','56','57',"
     "'58','59','60','61','62','63','64')",
        "set", "(18446744073709551615),(9223372036854775808),(1),(0)"},
    {"JSON", "longtext", "('{\"a\": [1, 2.50, \"\xc3\xa9\"]}'),('1'),(NULL)"},
    {"GEOMETRY", "geometry",
        "(POINT(1,2)),(ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')),(NULL),"
        "(ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))',"
        "4326))"},
    {"POINT", "point", "(ST_GeomFromText('POINT(0.1 -0.2)',101))"},
    {"LINESTRING", "linestring", "(ST_GeomFromText('LINESTRING(0 0,1 1)'))"},
    {"POLYGON", "polygon", "(ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'))"},
    {"MULTIPOINT", "multipoint", "(ST_GeomFromText('MULTIPOINT(0 0,1 0)'))"},
    {"MULTILINESTRING", "multilinestring",
        "(ST_GeomFromText('MULTILINESTRING((0 0,1 0),(2 2,3 3))'))"},
    {"MULTIPOLYGON", "multipolygon",
        "(ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))'))"},
    {"GEOMETRYCOLLECTION", "geometrycollection",
        "(ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))'))"},
    {"INET6", "inet6",
        "('::1'),('2001:db8::ff00:42:8329'),('::ffff:1.2.3.4'),('::'),(NULL)"},
    {"INET4", "inet4",
        "('1.2.3.4'),('0.0.0.0'),('255.255.255.255'),('48.49.50.51')"},
    {"UUID", "uuid",
        "('123e4567-e89b-12d3-a456-426655440000'),"
        "('ffffffff-ffff-ffff-ffff-fffffffffffe'),"
        "('f81d4fae-7dec-11d0-a765-00a0c91e6bf6'),"
        "('00000000-0000-0000-0000-000000000000')"},
    {"CHAR(10) CHARSET latin1", "char", "('abc '),(_latin1 x'e9ff80'),('')"},
    {"CHAR(10) CHARSET utf8mb4", "char", "('\xf0\x9f\x98\x80x'),(NULL)"},
    {"CHAR(10) CHARSET ucs2", "char", "('a\xc3\xa9'),(_ucs2 x'0001')"},
    {"CHAR(10) CHARSET utf16", "char", "('\xf0\x9f\x98\x80')"},
    {"CHAR(10) CHARSET utf32", "char", "('\xf0\x9f\x98\x80')"},
    {"VARCHAR(20) CHARSET utf16le", "varchar", "('\xf0\x9f\x98\x80  ')"},
    {"VARCHAR(20) CHARSET sjis", "varchar", "(_sjis x'955c'),(_sjis x'835c')"},
    {"VARCHAR(20) CHARSET gbk", "varchar", "(_gbk x'bf5c')"},
    {"VARCHAR(20)", "varchar",
        "('x  '),(''),('\\0\\n\\'\\\\'),(NULL),('NULL')"},
    {"VARCHAR(300) CHARSET binary", "varbinary",
        "(x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'"
        ")"},
    {"BINARY(8)", "binary", "('a'),(x'00ff00'),(x'2020')"},
    {"VARBINARY(8)", "varbinary", "(x'00ff20'),(''),(NULL)"},
    {"TINYBLOB", "tinyblob", "(x'00ff'),(REPEAT('x',255))"},
    {"BLOB", "blob", "(REPEAT(x'00',65535)),('')"},
    {"MEDIUMBLOB", "mediumblob",
        "(REPEAT(x'ff',100000)),(REPEAT('a',250)),"
        "(REPEAT('a',251)),(REPEAT('a',252))"},
    {"LONGBLOB", "longblob", "(REPEAT(x'fe',12000000)),('z')"},
    {"TINYTEXT", "tinytext", "('x ')"},
    {"TEXT CHARSET latin1", "text", "(_latin1 x'e9')"},
    {"MEDIUMTEXT CHARSET ucs2", "mediumtext", "('\xc3\xa9')"},
    {"LONGTEXT", "longtext", "(REPEAT('\xc3\xa9',70000))"},
    {"VARCHAR(100) COMPRESSED", "varchar", "(REPEAT('a',100))"},
    {"BLOB COMPRESSED", "blob", "(REPEAT('a',1000))"},
};

/* What two tables differ in, as the server sees it. */
static void
assert_same(const char *what)
{
    struct db_result r;
    uint64_t rows, same;

    assert_int_equal(db_value_u64(judge, &rows, "SELECT COUNT(*) FROM a"), 1);
    assert_true(rows > 0);
    if (db_value_u64(judge, &same,
            "SELECT COUNT(*) FROM a JOIN b USING (id) WHERE "
            "HEX(a.c) <=> HEX(b.c) AND "
            "HEX(CAST(a.c AS BINARY)) <=> HEX(CAST(b.c AS BINARY))") < 0)
        fail_msg("%s: %s", what, err_text());
    if (same == rows)
        return;
    db_query(judge, &r,
        "SELECT LEFT(HEX(a.c),80), LEFT(HEX(b.c),80) FROM a "
        "LEFT JOIN b USING (id)");
    for (size_t i = 0; i < r.rows; i++)
        print_message("%s / %s\n", db_cell(&r, i, 0), db_cell(&r, i, 1));
    db_result_free(&r);
    fail_msg("%s: %llu of %llu rows are the same", what,
        (unsigned long long)same, (unsigned long long)rows);
}

static void
test_every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < NELEM(types); i++) {
        struct buf select = {0};
        char *type;
        exec_ok(judge, "DROP TABLE IF EXISTS a, b");
        if (db_exec(judge,
                "CREATE TABLE a (id INT PRIMARY KEY "
                "AUTO_INCREMENT, c %s)",
                types[i].definition) < 0 ||
            db_exec(judge, "INSERT INTO a (c) VALUES %s", types[i].values) < 0)
            fail_msg("%s", err_text());
        exec_ok(judge, "CREATE TABLE b LIKE a");
        assert_int_equal(
            db_value(judge, &type,
                "SELECT data_type FROM information_schema.columns WHERE "
                "table_schema='d' AND table_name='a' AND column_name='c'"),
            1);
        assert_string_equal(type, types[i].type);
        buf_str(&select, "SELECT id, ");
        row_select_expr(&select, "c", type);
        buf_str(&select, " FROM a");
        copy_rows(buf_cstr(&select), "INSERT INTO b VALUES (?,?)", NULL);
        assert_same(types[i].definition);
        buf_free(&select);
        free(type);
    }
}

/* FLOAT by its bits: HEX() of a number rounds.  (There is no negative zero: the
 * server stores it as zero, whoever sends it.) */
static void
test_float_bits(void **state)
{
    static const uint32_t floats[] = {0x00000001, 0x80800000, 0x7f7fffff,
        0x3dfcd6ea, 0x007fffff, 0x80000001, 0x3f800001};
    const struct row_col cols[] = {{.type = 3}, {.type = 4}};
    const char *insert = "INSERT INTO f VALUES (?,?)";
    const char *select = "SELECT id, c FROM f ORDER BY id";
    struct db_bulk *b;
    struct db_rows *r;
    const uint8_t *row, *value[2];
    size_t size, sizes[2];

    (void)state;
    exec_ok(judge, "CREATE TABLE f (id INT, c FLOAT)");
    assert_non_null(b = db_bulk_open(target, insert, strlen(insert), cols, 2));
    for (size_t i = 0; i < NELEM(floats); i++) {
        struct buf o = {0};
        buf_u8(&o, 0);
        buf_u32(&o, (uint32_t)i);
        buf_u32(&o, floats[i]);
        assert_int_equal(db_bulk_row(b, o.data, o.len), 0);
        buf_free(&o);
    }
    assert_int_equal(db_bulk_flush(b), 0);
    db_bulk_close(b);
    assert_non_null(r = db_rows_open(source, select, strlen(select)));
    for (size_t i = 0; i < NELEM(floats); i++) {
        struct cur c;
        assert_int_equal(db_rows_next(r, &row, &size), 1);
        assert_int_equal(row_split(cols, 2, row, size, value, sizes), 0);
        c = cur_of(value[1], sizes[1]);
        assert_int_equal(cur_u32(&c), floats[i]);
    }
    assert_int_equal(db_rows_next(r, &row, &size), 0);
    assert_int_equal(db_rows_next(r, &row, &size), 0);
    db_rows_close(r);
}

/* Many rows, in several batches by number and by size. */
static void
test_batches(void **state)
{
    uint64_t warnings;

    (void)state;
    exec_ok(judge, "DROP TABLE IF EXISTS a, b");
    exec_ok(judge, "CREATE TABLE a (id INT PRIMARY KEY, c LONGBLOB)");
    exec_ok(judge, "CREATE TABLE b LIKE a");
    exec_ok(judge,
        "INSERT INTO a SELECT seq, IF(seq % 7, REPEAT(CHAR(seq), "
        "seq % 300), NULL) FROM seq_1_to_12345");
    exec_ok(judge,
        "INSERT INTO a SELECT 20000 + seq, REPEAT('x', 200000) "
        "FROM seq_1_to_30");
    assert_int_equal(copy_rows("SELECT id, c FROM a",
                         "INSERT INTO b VALUES (?,?)", &warnings),
        12375);
    assert_int_equal(warnings, 0);
    assert_same("batches");
}

/* No rows, no batch. */
static void
test_empty(void **state)
{
    (void)state;
    exec_ok(judge, "TRUNCATE a");
    exec_ok(judge, "TRUNCATE b");
    assert_int_equal(
        copy_rows("SELECT id, c FROM a", "INSERT INTO b VALUES (?,?)", NULL),
        0);
}

static const struct row_col two[] = {{.type = 3}, {.type = 252}};

static void
add_row(struct db_bulk *b, uint32_t id, size_t n, int expect)
{
    struct buf o = {0};

    buf_u8(&o, 0);
    buf_u32(&o, id);
    buf_lenenc(&o, n);
    buf_reserve(&o, n);
    memset(o.data + o.len, 'x', n);
    o.len += n;
    assert_int_equal(db_bulk_row(b, o.data, o.len), expect);
    buf_free(&o);
}

/* Rows larger than a packet of the protocol; one that the server would
 * refuse is refused here, with the connection intact. */
static void
test_large_rows(void **state)
{
    const char *insert = "INSERT INTO b VALUES (?,?)";
    const char *select = "SELECT c FROM big";
    struct db *db;
    struct db_bulk *b;
    struct db_rows *r;
    const uint8_t *row;
    size_t size;

    (void)state;
    assert_non_null(b = db_bulk_open(target, insert, strlen(insert), two, 2));
    add_row(b, 1, 20 << 20, -1);
    assert_non_null(strstr(err_text(), "max_allowed_packet"));
    assert_non_null(strstr(err_hint_text(), "SET GLOBAL"));
    db_bulk_close(b);
    exec_ok(target, "DO 1");

    exec_ok(judge, "SET GLOBAL max_allowed_packet=1073741824");
    assert_non_null(db = testserver_open(&server, "target"));
    exec_ok(db, "USE d");
    assert_int_equal(db_bulk_setup(db), 0);
    exec_ok(db, "CREATE TABLE big (id INT, c LONGBLOB)");
    insert = "INSERT INTO big VALUES (?,?)";
    assert_non_null(b = db_bulk_open(db, insert, strlen(insert), two, 2));
    /* With the protocol's limit of 2^24-1 on either side and exactly. */
    add_row(b, 1, 60 << 20, 0);
    for (uint32_t i = 0; i < 8; i++)
        add_row(b, 2 + i, 0xFFFFFF - 13 + i, 0);
    assert_int_equal(db_bulk_flush(b), 0);
    db_bulk_close(b);
    assert_non_null(r = db_rows_open(db, select, strlen(select)));
    for (size_t i = 0; i < 9; i++) {
        size_t n = i == 0 ? 60 << 20 : 0xFFFFFF - 13 + i - 1;
        assert_int_equal(db_rows_next(r, &row, &size), 1);
        /* the NULL bitmap, 4 bytes of length or 9 from 2^24 on */
        assert_int_equal(size, 1 + (n < 1 << 24 ? 4 : 9) + n);
        assert_int_equal(row[size - 1], 'x');
    }
    assert_int_equal(db_rows_next(r, &row, &size), 0);
    db_rows_close(r);
    exec_ok(db, "DO 1");
    exec_ok(db, "DROP TABLE big");
    db_close(db);
    exec_ok(judge, "SET GLOBAL max_allowed_packet=16777216");
}

/* A reader that gives up: after few rows the connection goes on, after many
 * it is ended. */
static void
test_give_up(void **state)
{
    const char *few = "SELECT seq FROM seq_1_to_1000";
    const char *many = "SELECT REPEAT('x', 1000) FROM seq_1_to_10000000";
    const uint8_t *row;
    size_t size;
    struct db *db = testserver_open(&server, "source");
    struct db_rows *r;
    uint64_t n;

    (void)state;
    exec_ok(db, "USE d");
    assert_non_null(r = db_rows_open(db, few, strlen(few)));
    assert_int_equal(db_rows_next(r, &row, &size), 1);
    db_rows_close(r);
    assert_int_equal(db_value_u64(db, &n, "SELECT 5"), 1);
    assert_int_equal(n, 5);
    assert_non_null(r = db_rows_open(db, few, strlen(few)));
    db_rows_close(r);
    assert_non_null(r = db_rows_open(db, many, strlen(many)));
    assert_int_equal(db_rows_next(r, &row, &size), 1);
    db_rows_close(r);
    assert_int_equal(db_exec(db, "DO 1"), -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    db_close(db);
}

static void *
kill_soon(void *arg)
{
    struct db_conf conf = testserver_conf(&server);

    usleep(100000);
    db_kill_query(&conf, *(unsigned long *)arg);
    return NULL;
}

/* An error among the rows: reported, and the connection goes on. */
static void
test_killed_read(void **state)
{
    const char *many = "SELECT REPEAT('x', 1000) FROM seq_1_to_100000000";
    unsigned long id = db_thread_id(source);
    pthread_t thread;
    const uint8_t *row;
    struct db_rows *r;
    size_t size;
    uint64_t n;
    int rc;

    (void)state;
    assert_non_null(r = db_rows_open(source, many, strlen(many)));
    pthread_create(&thread, NULL, kill_soon, &id);
    while ((rc = db_rows_next(r, &row, &size)) > 0)
        ;
    pthread_join(thread, NULL);
    assert_int_equal(rc, -1);
    assert_int_equal(db_errno(source), 1317);
    assert_int_equal(db_rows_next(r, &row, &size), 0);
    db_rows_close(r);
    assert_int_equal(db_value_u64(source, &n, "SELECT 5"), 1);
    assert_int_equal(n, 5);
}

static void
test_read_errors(void **state)
{
    const char *none = "SELECT * FROM none", *no_rows = "DO 1";
    struct db *db = testserver_open(&server, "source");
    const char *many = "SELECT REPEAT('x', 1000) FROM seq_1_to_100000000";
    const uint8_t *row;
    struct db_rows *r;
    size_t size;
    int rc;

    (void)state;
    assert_null(db_rows_open(source, none, strlen(none)));
    assert_int_equal(db_errno(source), 1146);
    assert_null(db_rows_open(source, no_rows, strlen(no_rows)));
    exec_ok(source, "DO 1");
    /* The server goes away in the middle. */
    exec_ok(db, "USE d");
    assert_non_null(r = db_rows_open(db, many, strlen(many)));
    assert_int_equal(db_rows_next(r, &row, &size), 1);
    assert_int_equal(db_exec(judge, "KILL %lu", db_thread_id(db)), 0);
    while ((rc = db_rows_next(r, &row, &size)) > 0)
        ;
    assert_int_equal(rc, -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    db_rows_close(r);
    assert_int_equal(db_exec(db, "DO 1"), -1);
    db_close(db);
}

static void
test_bulk_errors(void **state)
{
    const char *insert = "INSERT INTO k VALUES (?,?)";
    struct db_bulk *b;
    uint64_t n;

    (void)state;
    exec_ok(judge, "CREATE TABLE k (id INT PRIMARY KEY, c BLOB)");
    assert_null(
        db_bulk_open(target, "INSERT INTO none VALUES (?)", 27, two, 1));
    assert_null(db_bulk_open(target, insert, strlen(insert), two, 1));
    assert_non_null(b = db_bulk_open(target, insert, strlen(insert), two, 2));
    /* A row that does not fit the columns. */
    assert_int_equal(db_bulk_row(b, "\0\1\2\3", 4), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    exec_ok(target, "SET unique_checks=1");
    add_row(b, 1, 3, 0);
    add_row(b, 1, 3, 0);
    assert_int_equal(db_bulk_flush(b), -1);
    assert_int_equal(db_errno(target), 1062);
    db_bulk_close(b);
    assert_int_equal(db_value_u64(judge, &n, "SELECT COUNT(*) FROM k"), 1);
    /* Less stored than sent is an error. */
    insert = "INSERT IGNORE INTO k VALUES (?,?)";
    assert_non_null(b = db_bulk_open(target, insert, strlen(insert), two, 2));
    add_row(b, 7, 3, 0);
    add_row(b, 7, 3, 0);
    assert_int_equal(db_bulk_flush(b), -1);
    assert_non_null(strstr(err_text(), "stored"));
    db_bulk_close(b);
    /* Warnings are counted: a value cut off. */
    exec_ok(judge, "CREATE TABLE w (id INT, c VARBINARY(2))");
    insert = "INSERT INTO w VALUES (?,?)";
    assert_non_null(b = db_bulk_open(target, insert, strlen(insert), two, 2));
    add_row(b, 7, 3, 0);
    assert_int_equal(db_bulk_flush(b), 0);
    assert_int_equal(db_bulk_warnings(b), 1);
    db_bulk_close(b);
}

/* A statement for which the server refuses bulk: row by row. */
static void
test_row_by_row(void **state)
{
    const char *call = "CALL put(?,?)";
    struct db_bulk *b;
    uint64_t n;

    (void)state;
    exec_ok(judge, "CREATE TABLE r (id INT PRIMARY KEY, c BLOB)");
    exec_ok(judge,
        "CREATE PROCEDURE put(i INT, v BLOB) "
        "INSERT INTO r VALUES (i, v)");
    assert_non_null(b = db_bulk_open(target, call, strlen(call), two, 2));
    for (uint32_t i = 0; i < 10; i++)
        add_row(b, i, 300 + i, 0);
    if (db_bulk_flush(b) < 0)
        fail_msg("%s", err_text());
    for (uint32_t i = 10; i < 20; i++)
        add_row(b, i, 300 + i, 0);
    assert_int_equal(db_bulk_flush(b), 0);
    db_bulk_close(b);
    assert_int_equal(db_value_u64(judge, &n,
                         "SELECT COUNT(*) FROM r WHERE "
                         "c=REPEAT('x',300+id)"),
        1);
    assert_int_equal(n, 20);
}

/* Names in other scripts under SET NAMES binary; rows that violate a CHECK,
 * and a row whose AUTO_INCREMENT column is 0, are stored as they are. */
static void
test_odd_tables(void **state)
{
    uint64_t warnings;

    (void)state;
    exec_ok(judge, "DROP TABLE IF EXISTS a, b");
    exec_ok(judge,
        "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, "
        "c VARCHAR(20), CHECK (c <> 'x'))");
    exec_ok(judge, "CREATE TABLE `t\xc3\xa9st \xe2\x82\xac.`` b` LIKE a");
    exec_ok(judge, "SET check_constraint_checks=0");
    exec_ok(judge, "INSERT INTO a VALUES (0,'x'),(-5,'x'),(7,'y')");
    exec_ok(judge, "SET check_constraint_checks=1");
    copy_rows("SELECT `id`, `c` FROM a",
        "INSERT INTO `t\xc3\xa9st \xe2\x82\xac.`` b` (`id`, `c`) VALUES (?,?)",
        &warnings);
    assert_int_equal(warnings, 0);
    exec_ok(judge, "RENAME TABLE `t\xc3\xa9st \xe2\x82\xac.`` b` TO b");
    assert_same("odd");
}

/* Every engine takes rows in bulk. */
static void
test_engines(void **state)
{
    static const char *const options[] = {"ENGINE=InnoDB", "ENGINE=MyISAM",
        "ENGINE=Aria", "ENGINE=MEMORY", "ENGINE=CSV",
        "ENGINE=InnoDB PARTITION BY HASH(id) PARTITIONS 3",
        "ENGINE=InnoDB WITH SYSTEM VERSIONING"};

    (void)state;
    for (size_t i = 0; i < NELEM(options); i++) {
        exec_ok(judge, "DROP TABLE IF EXISTS a, b");
        if (db_exec(judge,
                "CREATE TABLE a (id INT NOT NULL, c VARCHAR(20) NOT "
                "NULL) %s",
                options[i]) < 0)
            fail_msg("%s", err_text());
        exec_ok(judge, "CREATE TABLE b LIKE a");
        exec_ok(judge,
            "INSERT INTO a SELECT seq, CONCAT('row ', seq) "
            "FROM seq_1_to_600");
        assert_int_equal(copy_rows("SELECT id, c FROM a",
                             "INSERT INTO b (id, c) VALUES (?,?)", NULL),
            600);
        exec_ok(judge, "DO 1");
        assert_same(options[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_float_bits),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_large_rows),
        cmocka_unit_test(test_give_up),
        cmocka_unit_test(test_killed_read),
        cmocka_unit_test(test_read_errors),
        cmocka_unit_test(test_bulk_errors),
        cmocka_unit_test(test_row_by_row),
        cmocka_unit_test(test_odd_tables),
        cmocka_unit_test(test_engines),
    };

    if (!testserver_installed()) {
        fprintf(stderr, "no mariadbd here: skipped\n");
        return 77;
    }
    return cmocka_run_group_tests_name("rows", tests, start, stop);
}
