/*
 * test_feed.c -- the feed's protocol without a server: packets, the login,
 * the I/O thread's questions, what a Gtid event says; with lengths that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>
#include "feed.h"
#include "pitr/mem.h"

/* --- packets --- */

static void
test_take(void **state)
{
    static const uint8_t two[] = {3, 0, 0, 7, 'a', 'b', 'c', 0, 0, 0, 255};
    struct feed_conn c;
    struct cur p;

    (void)state;
    feed_conn_init(&c, -1);
    for (size_t n = 0; n < 7; n++) {
        buf_reset(&c.in);
        buf_add(&c.in, two, n);
        assert_int_equal(feed_packet_take(&c, 100, &p), 0);
    }
    buf_reset(&c.in);
    buf_add(&c.in, two, sizeof(two));
    assert_int_equal(feed_packet_take(&c, 2, &p), -1);
    assert_int_equal(feed_packet_take(&c, 3, &p), 1);
    assert_int_equal(cur_left(&p), 3);
    assert_memory_equal(p.p, "abc", 3);
    assert_int_equal(c.seq, 8);
    assert_int_equal(feed_packet_take(&c, 3, &p), 1);
    assert_int_equal(cur_left(&p), 0);
    assert_int_equal(c.seq, 0);
    assert_int_equal(feed_packet_take(&c, 3, &p), 0);
    feed_conn_free(&c);
}

/* A length that never comes does not make room for it. */
static void
test_socket(void **state)
{
    uint8_t junk[4096];
    struct feed_conn c;
    struct cur p;
    int fd[2], rc = 1;

    (void)state;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    feed_conn_init(&c, fd[0]);
    assert_int_equal(feed_conn_read(&c), 0);
    memset(junk, 0xFF, sizeof(junk));
    for (int i = 0; i < 1000 && rc >= 0; i++) {
        assert_int_equal(send(fd[1], junk, sizeof(junk), 0), sizeof(junk));
        rc = feed_conn_read(&c);
    }
    assert_int_equal(rc, -1); /* more than any command has */
    assert_true(c.in.len < 2 * FEED_COMMAND_MAX);
    assert_int_equal(feed_packet_take(&c, FEED_COMMAND_MAX, &p), -1);

    feed_packet_ok(&c);
    assert_int_equal(feed_conn_write(&c), 1);
    assert_int_equal(recv(fd[1], junk, sizeof(junk), 0), 11);
    for (int i = 0; i < 100000 && rc != 0; i++) {
        feed_packet_ok(&c);
        rc = feed_conn_write(&c);
    }
    assert_int_equal(rc, 0); /* full */
    while (recv(fd[1], junk, sizeof(junk), 0) > 0)
        continue;
    assert_int_equal(feed_conn_write(&c), 1);
    close(fd[1]);
    feed_packet_ok(&c);
    assert_int_equal(feed_conn_write(&c), -1);
    assert_int_equal(feed_conn_read(&c), -1);
    feed_conn_free(&c);
}

/* --- the login --- */

static void
login_bytes(struct buf *b, uint32_t caps, const char *user, uint8_t token)
{
    static const uint8_t zeros[23];

    buf_reset(b);
    buf_u32(b, caps);
    buf_u32(b, 1u << 24);
    buf_u8(b, 45);
    buf_add(b, zeros, sizeof(zeros));
    buf_add(b, user, strlen(user) + 1);
    buf_u8(b, token);
    for (uint8_t i = 0; i < token; i++)
        buf_u8(b, i);
}

static int
parse(const struct buf *b, size_t n, struct feed_login *out)
{
    /* Its own memory, so that a read past its end is seen. */
    uint8_t *copy = xmalloc(n + 1);
    struct cur c;
    int rc;

    memcpy(copy, b->data, n);
    copy = xrealloc(copy, n == 0 ? 1 : n);
    c = cur_of(copy, n);
    rc = feed_login_parse(&c, out);
    free(copy);
    return rc;
}

#define CAPS 0x88200u /* 4.1, secure connection, plugin */

static void
test_login(void **state)
{
    struct feed_login l;
    struct buf b = {0};
    char name[300];

    (void)state;
    login_bytes(&b, CAPS, "pitr", 20);
    buf_add(&b, "mysql_native_password", 22);
    assert_int_equal(parse(&b, b.len, &l), 0);
    assert_string_equal(l.user, "pitr");
    assert_string_equal(l.plugin, "mysql_native_password");
    assert_int_equal(l.token_size, 20);
    assert_int_equal(l.token[19], 19);
    for (size_t n = 0; n < b.len; n++) /* cut anywhere */
        if (parse(&b, n, &l) == 0)
            assert_int_equal(l.plugin[0], 0);

    login_bytes(&b, CAPS | 8, "pitr", 20); /* with a schema */
    buf_add(&b, "mysql", 6);
    buf_add(&b, "ed25519", 8);
    assert_int_equal(parse(&b, b.len, &l), 0);
    assert_string_equal(l.plugin, "ed25519");

    login_bytes(&b, CAPS, "pitr", 20);
    b.data[b.len - 21] = 250; /* more than there is */
    assert_int_equal(parse(&b, b.len, &l), -1);
    login_bytes(&b, CAPS | 0x200000, "pitr", 0);
    b.len--;
    buf_u8(&b, 0xFE);
    buf_u64(&b, UINT64_MAX);
    assert_int_equal(parse(&b, b.len, &l), -1);
    login_bytes(&b, CAPS | 0x800, "pitr", 20); /* TLS was not offered */
    assert_int_equal(parse(&b, b.len, &l), -1);
    login_bytes(&b, 0x80000, "pitr", 20); /* of before 4.1 */
    assert_int_equal(parse(&b, b.len, &l), -1);
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    login_bytes(&b, CAPS, name, 20);
    assert_int_equal(parse(&b, b.len, &l), -1);
    buf_free(&b);
}

static void
test_token_equal(void **state)
{
    uint8_t a[FEED_TOKEN] = {0}, b[FEED_TOKEN] = {0};

    (void)state;
    assert_true(feed_token_equal(a, b));
    for (int i = 0; i < FEED_TOKEN; i++) {
        b[i] = 0x80;
        assert_false(feed_token_equal(a, b));
        b[i] = 0;
    }
}

/* --- questions --- */

static struct feed_session session;
static const struct feed_answers answers = {
    .server_id = 77, .checksum = true, .version = "5.5.5-10.11.1-MariaDB"};

/* The command's answer; its first payload byte is at [4]. */
static struct buf
ask(const char *sql, enum feed_command want)
{
    struct feed_conn c;
    struct buf packet = {0}, out;

    feed_conn_init(&c, -1);
    buf_u8(&packet, 3);
    buf_str(&packet, sql);
    assert_int_equal(
        feed_command(&c, cur_of(packet.data, packet.len), &answers, &session),
        want);
    buf_free(&packet);
    out = c.out;
    c.out = (struct buf){0};
    feed_conn_free(&c);
    return out;
}

static void
answered(const char *sql, uint8_t first, const char *value)
{
    struct buf b = ask(sql, FEED_ANSWERED);

    assert_true(b.len > 4);
    assert_int_equal(b.data[4], first);
    if (value != NULL)
        assert_non_null(memmem(b.data, b.len, value, strlen(value)));
    buf_free(&b);
}

static void
test_questions(void **state)
{
    struct gtid_pos want = {0};

    (void)state;
    answered("SELECT UNIX_TIMESTAMP()", 1, "UNIX");
    answered("SHOW VARIABLES LIKE 'SERVER_ID'", 2,
        "\x02"
        "77");
    answered("SHOW VARIABLES LIKE 'rpl_semi_sync_master_enabled'", 2, NULL);
    answered("SELECT @master_binlog_checksum", 1, "CRC32");
    answered("SELECT @@GLOBAL.gtid_domain_id", 1,
        "\x01"
        "0");
    answered("SELECT @@global.rpl_semi_sync_master_enabled", 0xFF, NULL);
    answered("SET @mariadb_slave_capability=4", 0, NULL);
    answered("SET @master_heartbeat_period= 2500000000", 0, NULL);
    assert_int_equal(session.heartbeat_us, 2500000);
    answered("SET @master_heartbeat_period= x", 0xFF, NULL);
    assert_false(session.has_state);
    answered("SET @slave_connect_state='nonsense'", 0xFF, NULL);
    answered("SET @slave_connect_state='0-1-2", 0xFF, NULL);
    answered("SET @slave_connect_state=", 0xFF, NULL);
    assert_false(session.has_state);
    answered("SET @slave_connect_state='0-1-2,5-6-7'", 0, NULL);
    assert_true(session.has_state);
    assert_int_equal(gtid_pos_parse("0-1-2,5-6-7", &want), 0);
    assert_true(gtid_pos_equal(&want, &session.state));
    answered("DROP TABLE x", 0xFF, NULL);
    answered("", 0xFF, NULL);
    gtid_pos_free(&want);
    feed_session_free(&session);
}

static void
test_commands(void **state)
{
    static const uint8_t codes[] = {1, 14, 18, 18, 21, 200};
    static const enum feed_command want[] = {FEED_QUIT, FEED_ANSWERED,
        FEED_ANSWERED, FEED_DUMP, FEED_ANSWERED, FEED_ANSWERED};
    struct feed_conn c;

    (void)state;
    feed_conn_init(&c, -1);
    for (size_t i = 0; i < NELEM(codes); i++) {
        session.has_state = i == 3; /* no dump without a position */
        assert_int_equal(
            feed_command(&c, cur_of(&codes[i], 1), &answers, &session),
            want[i]);
    }
    assert_int_equal(
        feed_command(&c, cur_of("", 0), &answers, &session), FEED_QUIT);
    feed_conn_free(&c);
    feed_session_free(&session);
}

/* --- Gtid events --- */

static int
gtid_of(const struct buf *b, size_t n, struct event_gtid *g)
{
    uint8_t *copy = xmemdup(b->data, n);
    struct event e = {.type = EV_GTID,
        .server_id = 1,
        .body = copy,
        .body_size = (uint32_t)n};
    int rc = event_gtid(&e, g);

    free(copy);
    return rc;
}

static void
gtid_body(struct buf *b, uint64_t seq, uint8_t flags)
{
    buf_reset(b);
    buf_u64(b, seq);
    buf_u32(b, 0);
    buf_u8(b, flags);
    if ((flags & GTID_FL_GROUP_COMMIT_ID) != 0)
        buf_u64(b, 99);
}

static void
test_opens(void **state)
{
    struct event_gtid x;
    struct feed_opens opens = {0};
    struct buf b = {0}, sql = {0};
    char *text;

    (void)state;
    gtid_body(&b, 10, GTID_FL_PREPARED_XA | GTID_FL_GROUP_COMMIT_ID);
    buf_u32(&b, 7);
    buf_u8(&b, 2);
    buf_u8(&b, 1);
    buf_add(&b, "ab\0", 3);
    assert_int_equal(gtid_of(&b, b.len, &x), 0);
    assert_int_equal(x.flags & GTID_FL_PREPARED_XA, GTID_FL_PREPARED_XA);
    feed_xid_sql(&x.xid, &sql);
    assert_string_equal(buf_cstr(&sql), "X'6162',X'00',7");
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(gtid_of(&b, n, &x), -1);
    assert_int_equal(gtid_of(&b, b.len, &x), 0);
    feed_opens_note(&opens, &x);
    feed_opens_note(&opens, &x); /* seen again after a reconnect */
    assert_int_equal(opens.n, 1);
    x.flags = GTID_FL_COMPLETED_XA;
    feed_opens_note(&opens, &x);
    assert_int_equal(opens.n, 0);
    assert_null(feed_opens_text(&opens));

    gtid_body(&b, 10, GTID_FL_COMPLETED_XA);
    buf_u32(&b, 7);
    buf_u8(&b, 255); /* longer than any */
    buf_u8(&b, 255);
    for (int i = 0; i < 600; i++)
        buf_u8(&b, 1);
    assert_int_equal(gtid_of(&b, b.len, &x), -1);

    gtid_body(&b, 10, GTID_FL_STANDALONE);
    buf_u8(&b, 2); /* START ALTER */
    assert_int_equal(gtid_of(&b, b.len, &x), 0);
    assert_true(x.start_alter);
    feed_opens_note(&opens, &x);
    text = feed_opens_text(&opens);
    assert_non_null(strstr(text, "0-1-10"));
    free(text);
    gtid_body(&b, 12, GTID_FL_STANDALONE);
    buf_u8(&b, 4); /* COMMIT ALTER */
    buf_u64(&b, 10);
    assert_int_equal(gtid_of(&b, b.len - 1, &x), -1);
    assert_int_equal(gtid_of(&b, b.len, &x), 0);
    feed_opens_note(&opens, &x);
    assert_int_equal(opens.n, 0);
    free(opens.v);
    buf_free(&b);
    buf_free(&sql);
    err_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_token_equal),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
