/*
 * feed_packet.c -- packets of the client/server protocol over a non-blocking
 * socket: 3 bytes of length, 1 of sequence, the payload.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "feed.h"
#include "pitr/mem.h"

#define STATUS_AUTOCOMMIT 2
#define TYPE_VAR_STRING 253
#define CHARSET_UTF8 33

void
feed_conn_init(struct feed_conn *c, int fd)
{
    *c = (struct feed_conn){.fd = fd};
}

void
feed_conn_free(struct feed_conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    feed_conn_init(c, -1);
}

void
feed_packet_head(struct feed_conn *c, size_t n)
{
    buf_u24(&c->out, (uint32_t)n);
    buf_u8(&c->out, c->seq++);
}

void
feed_packet_add(struct feed_conn *c, const void *p, size_t n)
{
    feed_packet_head(c, n);
    buf_add(&c->out, p, n);
}

int
feed_packet_take(struct feed_conn *c, size_t max, struct cur *out)
{
    struct cur in;
    size_t n;
    uint8_t seq;

    if (c->in.len - c->in_at < 4)
        return 0; /* before anything came, there is no memory to point into */
    in = cur_of(c->in.data + c->in_at, c->in.len - c->in_at);
    n = cur_u24(&in);
    seq = cur_u8(&in);
    if (n > max)
        return -1;
    if (cur_left(&in) < n)
        return 0;
    *out = cur_of(in.p, n);
    c->in_at += 4 + n;
    c->seq = (uint8_t)(seq + 1);
    return 1;
}

/* What was taken makes room for what comes. */
static void
conn_compact(struct feed_conn *c)
{
    size_t left = c->in.len - c->in_at;

    if (c->in_at == 0)
        return;
    if (left > 0)
        memmove(c->in.data, c->in.data + c->in_at, left);
    c->in.len = left;
    c->in_at = 0;
}

int
feed_conn_read(struct feed_conn *c)
{
    ssize_t n;

    conn_compact(c);
    if (c->in.len > FEED_COMMAND_MAX + 4)
        return -1;
    buf_reserve(&c->in, 4096);
    n = recv(c->fd, c->in.data + c->in.len, 4096, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    c->in.len += (size_t)n;
    return 1;
}

int
feed_conn_write(struct feed_conn *c)
{
    while (c->out_at < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at,
            MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n <= 0)
            return -1;
        c->out_at += (size_t)n;
    }
    buf_reset(&c->out);
    c->out_at = 0;
    return 1;
}

void
feed_packet_ok(struct feed_conn *c)
{
    static const uint8_t ok[] = {0, 0, 0, STATUS_AUTOCOMMIT, 0, 0, 0};

    feed_packet_add(c, ok, sizeof(ok));
}

void
feed_packet_eof(struct feed_conn *c)
{
    static const uint8_t eof[] = {0xFE, 0, 0, STATUS_AUTOCOMMIT, 0};

    feed_packet_add(c, eof, sizeof(eof));
}

void
feed_packet_error(
    struct feed_conn *c, uint16_t number, const char *state, const char *text)
{
    struct buf b = {0};

    buf_u8(&b, 0xFF);
    buf_u16(&b, number);
    buf_fmt(&b, "#%.5s%.500s", state, text);
    feed_packet_add(c, b.data, b.len);
    buf_free(&b);
}

static void
lenenc_str(struct buf *b, const char *s)
{
    buf_lenenc(b, strlen(s));
    buf_str(b, s);
}

/* Column definition, as of protocol 4.1. */
static void
result_column(struct feed_conn *c, const char *name)
{
    struct buf b = {0};

    lenenc_str(&b, "def");
    lenenc_str(&b, ""); /* schema, table, original table */
    lenenc_str(&b, "");
    lenenc_str(&b, "");
    lenenc_str(&b, name);
    lenenc_str(&b, "");
    buf_u8(&b, 12); /* of what follows */
    buf_u16(&b, CHARSET_UTF8);
    buf_u32(&b, 1024);
    buf_u8(&b, TYPE_VAR_STRING);
    buf_u16(&b, 0);
    buf_u8(&b, 0);
    buf_u16(&b, 0);
    feed_packet_add(c, b.data, b.len);
    buf_free(&b);
}

void
feed_packet_result(struct feed_conn *c, unsigned cols, const char *const *name,
    const char *const *value)
{
    struct buf b = {0};

    buf_lenenc(&b, cols);
    feed_packet_add(c, b.data, b.len);
    for (unsigned i = 0; i < cols; i++)
        result_column(c, name[i]);
    feed_packet_eof(c);
    if (value != NULL) {
        buf_reset(&b);
        for (unsigned i = 0; i < cols; i++) {
            if (value[i] == NULL)
                buf_u8(&b, 0xFB);
            else
                lenenc_str(&b, value[i]);
        }
        feed_packet_add(c, b.data, b.len);
    }
    feed_packet_eof(c);
    buf_free(&b);
}
