/*
 * fuzz_feed.c -- outside bytes at the replay's port: as the packets of one who
 * is not admitted, as those of the target, and as the body of a Gtid event.
 */
#include <stdlib.h>
#include "../../src/replay/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
packets_try(const uint8_t *data, size_t size)
{
    static const struct feed_answers answers = {
        .server_id = 1, .checksum = true, .version = "5.5.5-10.11.1-MariaDB"};
    struct feed_session session = {0};
    struct feed_conn c;
    struct cur in;

    feed_conn_init(&c, -1);
    buf_add(&c.in, data, size);
    while (feed_packet_take(&c, FEED_COMMAND_MAX, &in) == 1) {
        struct feed_login login;
        struct cur copy = in;

        feed_login_parse(&copy, &login);
        if (feed_command(&c, in, &answers, &session) == FEED_QUIT)
            break;
        if (c.in_at > c.in.len)
            abort();
    }
    feed_session_free(&session);
    feed_conn_free(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event e = {
        .type = EV_GTID, .body = data, .body_size = (uint32_t)size};
    struct cur in = cur_of(data, size);
    struct event_gtid g;
    struct feed_login login;
    struct buf sql = {0};

    if (size > FEED_COMMAND_MAX)
        return 0;
    packets_try(data, size);
    feed_login_parse(&in, &login);
    if (event_gtid(&e, &g) == 0)
        feed_xid_sql(&g.xid, &sql);
    buf_free(&sql);
    err_clear();
    return 0;
}
