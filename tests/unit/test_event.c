/*
 * test_event.c -- the grammar of events: captured vectors, groups, words.
 *
 * The vectors are events of a MariaDB 10.11.19 with binlog_checksum=CRC32, as
 * in its binlog file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "event_vectors.h"
#include "pitr/err.h"
#include "pitr/event.h"
#include "pitr/mem.h"

static void
test_crc(void **state)
{
    static const uint8_t zeros[64];
    uint32_t once, parts;

    (void)state;
    assert_int_equal(event_crc32(0, "123456789", 9), 0xCBF43926);
    assert_int_equal(event_crc32(0, "", 0), 0);
    assert_int_equal(event_crc32(0, zeros, 32), 0x190A55AD);
    for (size_t cut = 0; cut <= sizeof v_format; cut++) {
        once = event_crc32(0, v_format, sizeof v_format);
        parts = event_crc32(0, v_format, cut);
        parts = event_crc32(parts, v_format + cut, sizeof v_format - cut);
        assert_int_equal(once, parts);
    }
}

static struct event
parsed(struct event_format *fmt, const void *p, size_t n)
{
    struct event e;

    assert_int_equal(event_parse(fmt, p, n, &e), 0);
    return e;
}

static void
test_format(void **state)
{
    struct event_format fmt = {0};
    struct event e = parsed(&fmt, v_format, sizeof v_format);

    (void)state;
    assert_int_equal(e.type, EV_FORMAT);
    assert_int_equal(e.server_id, 7);
    assert_true(fmt.known);
    assert_true(fmt.checksum);
    assert_string_equal(fmt.server_version, "10.11.19-MariaDB-0+deb12u1-log");
}

/* While its file is being written the flag is set, and is not in the CRC. */
static void
test_format_in_use(void **state)
{
    struct event_format fmt = {0};
    uint8_t copy[sizeof v_format];

    (void)state;
    memcpy(copy, v_format, sizeof copy);
    copy[17] ^= 1;
    parsed(&fmt, copy, sizeof copy);
    copy[18] ^= 1; /* but any other flag is */
    assert_int_equal(
        event_parse(&fmt, copy, sizeof copy, &(struct event){0}), -1);
}

static const struct {
    const uint8_t *p;
    size_t n;
    uint8_t type;
} vectors[] = {
    {v_format, sizeof v_format, EV_FORMAT},
    {v_gtid_list, sizeof v_gtid_list, EV_GTID_LIST},
    {v_checkpoint, sizeof v_checkpoint, EV_CHECKPOINT},
    {v_gtid_ddl, sizeof v_gtid_ddl, EV_GTID},
    {v_query_ddl, sizeof v_query_ddl, EV_QUERY},
    {v_gtid_trx, sizeof v_gtid_trx, EV_GTID},
    {v_annotate, sizeof v_annotate, EV_ANNOTATE_ROWS},
    {v_table_map, sizeof v_table_map, EV_TABLE_MAP},
    {v_xid, sizeof v_xid, EV_XID},
    {v_gtid_xa, sizeof v_gtid_xa, EV_GTID},
    {v_rotate, sizeof v_rotate, EV_ROTATE},
};

/* Whatever bit is turned over, the event is refused. */
static void
test_every_bit(void **state)
{
    (void)state;
    for (size_t v = 0; v < NELEM(vectors); v++) {
        uint8_t *copy = xmemdup(vectors[v].p, vectors[v].n);
        for (size_t bit = 0; bit < vectors[v].n * 8; bit++) {
            struct event_format fmt = {0};
            struct event e;
            if (vectors[v].type == EV_FORMAT &&
                (bit == 17 * 8 || bit / 8 == vectors[v].n - 5))
                continue; /* in use; the algorithm: no CRC to check */
            if (vectors[v].type != EV_FORMAT && bit / 8 == 4)
                continue; /* may turn into a Format_description */
            parsed(&fmt, v_format, sizeof v_format);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(event_parse(&fmt, copy, vectors[v].n, &e), -1);
            assert_int_equal(err_kind(), ERR_VERIFY);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        free(copy);
    }
}

/* Cut anywhere, with the size in the header made to fit or not, and without
 * CRC: never read past the end (under ASan), never accepted as whole. */
static void
test_every_cut(void **state)
{
    (void)state;
    for (size_t v = 0; v < NELEM(vectors); v++)
        for (size_t n = 0; n < vectors[v].n; n++) {
            struct event_format fmt = {.known = true};
            uint8_t *copy = xmalloc(n + 1);
            struct event e;
            struct event_gtid g;
            struct event_query q;
            struct event_rotate r;
            struct gtid_pos pos = {0};
            memcpy(copy, vectors[v].p, n);
            assert_int_equal(event_parse(&fmt, copy, n, &e), -1);
            if (n >= EVENT_HEADER_SIZE) {
                copy = xrealloc(copy, n);
                copy[9] = (uint8_t)n;
                copy[10] = copy[11] = copy[12] = 0;
                if (event_parse(&fmt, copy, n, &e) == 0) {
                    event_gtid(&e, &g);
                    event_query(&e, &q);
                    event_rotate(&e, &r);
                    event_gtid_list(&e, &pos);
                }
            }
            gtid_pos_free(&pos);
            free(copy);
        }
}

static void
test_bodies(void **state)
{
    struct event_format fmt = {0};
    struct event_gtid g;
    struct event_query q;
    struct event_rotate r;
    struct gtid_pos pos = {0};
    struct event e = parsed(&fmt, v_format, sizeof v_format);
    char *text;

    (void)state;
    e = parsed(&fmt, v_gtid_ddl, sizeof v_gtid_ddl);
    assert_int_equal(event_gtid(&e, &g), 0);
    assert_int_equal(g.gtid.domain, 0);
    assert_int_equal(g.gtid.server, 7);
    assert_true(g.flags & GTID_FL_STANDALONE);
    assert_true(g.flags & GTID_FL_DDL);
    assert_int_equal(g.time_us, (uint64_t)e.timestamp * 1000000);

    e = parsed(&fmt, v_query_ddl, sizeof v_query_ddl);
    assert_int_equal(event_query(&e, &q), 0);
    assert_int_equal(q.schema_size, 1);
    assert_memory_equal(q.schema, "d", 1);
    assert_memory_equal(q.sql, "create table t", 14);
    assert_int_equal(q.error, 0);
    assert_int_equal(event_gtid(&e, &g), -1);

    e = parsed(&fmt, v_gtid_trx, sizeof v_gtid_trx);
    assert_int_equal(event_gtid(&e, &g), 0);
    assert_false(g.flags & GTID_FL_STANDALONE);
    assert_true(g.flags & GTID_FL_TRANSACTIONAL);

    e = parsed(&fmt, v_gtid_xa, sizeof v_gtid_xa);
    assert_int_equal(event_gtid(&e, &g), 0);
    assert_true(g.flags & GTID_FL_PREPARED_XA);

    e = parsed(&fmt, v_rotate, sizeof v_rotate);
    assert_int_equal(event_rotate(&e, &r), 0);
    assert_int_equal(r.position, 4);
    assert_int_equal(r.file_size, strlen("log.000002"));
    assert_memory_equal(r.file, "log.000002", r.file_size);

    e = parsed(&fmt, v_gtid_list, sizeof v_gtid_list);
    assert_int_equal(event_gtid_list(&e, &pos), 0);
    text = gtid_pos_text(&pos);
    assert_string_equal(text, "0-7-23,3-7-1");
    free(text);
    gtid_pos_free(&pos);
}

/* An event without CRC, of our own making. */
static struct event
made(struct buf *b, uint8_t type, uint16_t flags, const void *body, size_t n)
{
    struct event_format fmt = {.known = true};
    struct event e;

    buf_reset(b);
    buf_u32(b, 1700000000);
    buf_u8(b, type);
    buf_u32(b, 1);
    buf_u32(b, (uint32_t)(EVENT_HEADER_SIZE + n));
    buf_u32(b, 1000);
    buf_u16(b, flags);
    buf_add(b, body, n);
    assert_int_equal(event_parse(&fmt, b->data, b->len, &e), 0);
    return e;
}

static int
step_gtid(struct group_state *g, uint64_t seq, uint8_t flags)
{
    struct buf b = {0}, body = {0};
    struct event e;
    int rc;

    buf_u64(&body, seq);
    buf_u32(&body, 0);
    buf_u8(&body, flags);
    buf_u32(&body, 0);
    buf_u16(&body, 0);
    e = made(&b, EV_GTID, 0, body.data, body.len);
    rc = group_next(g, &e);
    buf_free(&b);
    buf_free(&body);
    return rc;
}

static int
step_query(struct group_state *g, const char *sql)
{
    struct buf b = {0}, body = {0};
    struct event e;
    int rc;

    buf_u32(&body, 1);
    buf_u32(&body, 0);
    buf_u8(&body, 1);
    buf_u16(&body, 0);
    buf_u16(&body, 0);
    buf_str(&body, "d");
    buf_u8(&body, 0);
    buf_str(&body, sql);
    e = made(&b, EV_QUERY, 0, body.data, body.len);
    rc = group_next(g, &e);
    buf_free(&b);
    buf_free(&body);
    return rc;
}

static int
step(struct group_state *g, uint8_t type, uint16_t flags)
{
    struct buf b = {0};
    uint8_t body[80] = {4}; /* a Format_description: version 4, no CRC */
    struct event e;
    int rc;

    if (type == EV_FORMAT) {
        body[56] = EVENT_HEADER_SIZE;
    }
    e = made(&b, type, flags, body, sizeof body);
    rc = group_next(g, &e);
    buf_free(&b);
    return rc;
}

static void
test_groups(void **state)
{
    struct group_state g = {0};

    (void)state;
    assert_int_equal(step(&g, EV_FORMAT, 0), GROUP_OUTSIDE);
    assert_int_equal(step(&g, EV_CHECKPOINT, 0), GROUP_OUTSIDE);
    /* standalone, with what prepares it */
    assert_int_equal(step_gtid(&g, 1, GTID_FL_STANDALONE), GROUP_BEGIN);
    assert_int_equal(step(&g, EV_INTVAR, 0), GROUP_INSIDE);
    assert_int_equal(step(&g, EV_USER_VAR, 0), GROUP_INSIDE);
    assert_int_equal(step_query(&g, "create table t(a int)"), GROUP_END);
    assert_int_equal(g.gtid.gtid.seq, 1);
    assert_false(g.open);
    /* a transaction: neither a statement nor ROLLBACK TO ends it */
    assert_int_equal(step_gtid(&g, 2, GTID_FL_TRANSACTIONAL), GROUP_BEGIN);
    assert_int_equal(step_query(&g, "insert into t values (1)"), GROUP_INSIDE);
    assert_int_equal(step_query(&g, "ROLLBACK TO `a`"), GROUP_INSIDE);
    assert_int_equal(step(&g, EV_TABLE_MAP, 0), GROUP_INSIDE);
    assert_int_equal(step(&g, 23, 0), GROUP_INSIDE);
    assert_int_equal(step(&g, 172, 0), GROUP_INSIDE); /* not known yet */
    assert_int_equal(
        step(&g, EV_HEARTBEAT, EVENT_FLAG_ARTIFICIAL), GROUP_INSIDE);
    assert_int_equal(step(&g, EV_XID, 0), GROUP_END);
    assert_int_equal(step_gtid(&g, 3, 0), GROUP_BEGIN);
    assert_int_equal(step_query(&g, "COMMIT"), GROUP_END);
    assert_int_equal(step_gtid(&g, 4, 0), GROUP_BEGIN);
    assert_int_equal(step_query(&g, "ROLLBACK"), GROUP_END);
    assert_int_equal(step_gtid(&g, 5, GTID_FL_TRANSACTIONAL), GROUP_BEGIN);
    assert_int_equal(step(&g, EV_XA_PREPARE, 0), GROUP_END);
    assert_int_equal(step(&g, EV_ROTATE, 0), GROUP_OUTSIDE);
    /* out of place */
    assert_int_equal(step(&g, EV_XID, 0), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_int_equal(step_gtid(&g, 6, 0), GROUP_BEGIN);
    assert_int_equal(step_gtid(&g, 7, 0), -1);
    /* cut off by a crash */
    assert_int_equal(step(&g, EV_FORMAT, EVENT_FLAG_ARTIFICIAL), GROUP_INSIDE);
    assert_int_equal(step(&g, EV_FORMAT, 0), GROUP_OUTSIDE);
    assert_true(g.abandoned);
    assert_int_equal(step_gtid(&g, 6, 0), GROUP_BEGIN);
    assert_false(g.abandoned);
}

static void
test_words(void **state)
{
    static const char *const yes[] = {"create table t(a int)",
        "DROP DATABASE x", "  \n-- hello\n alter table t add b int",
        "/* c */ RENAME TABLE a TO b", "# x\ntruncate t",
        "grant select on *.* to x", "REVOKE ALL ON a.* FROM b",
        "CREATE OR REPLACE VIEW v AS SELECT 1", "SET PASSWORD FOR 'a'@'b'='x'",
        "set default role r for u", "/*!50003 CREATE PROCEDURE p() x */",
        "/*M!100100 ALTER TABLE t x */", "CREATE USER u",
        "SET STATEMENT max_statement_time=10, x='FOR' FOR DROP TABLE t",
        "DROP TABLE `t` /* generated by server */", "INSTALL SONAME 'x'"};
    static const char *const no[] = {"", "insert into t values ('create')",
        "BEGIN", "COMMIT", "update t set a=1", "SAVEPOINT `create`",
        "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `t`",
        "CREATE TEMPORARY TABLE t(a int)",
        "create or replace temporary table t(a int)", "SET a=1",
        "SET STATEMENT x=1 FOR INSERT INTO t VALUES (1)", "/* create",
        "created", "FLUSH TABLES", "'create'", "SET STATEMENT x='FOR DROP",
        "`drop`", "-- create table\n", "/*!", "SET STATEMENT a FOR",
        "replace into t values (1)", "XA COMMIT 'x'"};

    (void)state;
    for (size_t i = 0; i < NELEM(yes); i++)
        if (!sql_is_ddl(yes[i], strlen(yes[i]), 0))
            fail_msg("not seen as DDL: %s", yes[i]);
    for (size_t i = 0; i < NELEM(no); i++)
        if (sql_is_ddl(no[i], strlen(no[i]), 0))
            fail_msg("taken for DDL: %s", no[i]);
}

static void
test_type_text(void **state)
{
    (void)state;
    assert_string_equal(event_type_text(EV_GTID), "Gtid");
    assert_string_equal(event_type_text(172), "unknown (172)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_in_use),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_type_text),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
