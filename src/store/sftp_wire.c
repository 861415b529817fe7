/*
 * sftp_wire.c -- requests and replies of SFTP version 3 over an SSH channel
 * (draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL, section 4).
 *
 * Any number of requests may be in flight; a reply finds its own by the id.
 * Whoever waits for one takes in the replies of all.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "sftp.h"

#define REQ_INIT 1
#define REPLY_VERSION 2
#define PROTOCOL 3
/* OpenSSH sends at most 256 KiB. */
#define PACKET_MAX ((uint32_t)1 << 20)
/* What is asked for at once is what libssh lets the server send. */
#define RECEIVE_SMALL ((uint32_t)64 << 10)
#define RECEIVE_LARGE ((uint32_t)2 << 20)
#define SLICE_MS 1000
#define WINDOW_MS 50
/* How long an operation may still take when the process was asked to stop. */
#define STOP_US (UINT64_C(5) * 1000000)

void
vault_begin(struct buf *b, uint8_t type)
{
    static const uint8_t zeros[8];

    buf_reset(b);
    buf_add(b, zeros, 4);
    buf_u8(b, type);
    buf_add(b, zeros, 4);
}

static void
be32(uint8_t p[4], uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

void
vault_put_u32(struct buf *b, uint32_t v)
{
    uint8_t p[4];

    be32(p, v);
    buf_add(b, p, 4);
}

void
vault_put_u64(struct buf *b, uint64_t v)
{
    vault_put_u32(b, (uint32_t)(v >> 32));
    vault_put_u32(b, (uint32_t)v);
}

void
vault_put_bytes(struct buf *b, const void *p, size_t n)
{
    vault_put_u32(b, (uint32_t)n);
    buf_add(b, p, n);
}

void
vault_put_str(struct buf *b, const char *s)
{
    vault_put_bytes(b, s, strlen(s));
}

uint32_t
vault_get_u32(struct cur *c)
{
    const uint8_t *p = cur_bytes(c, 4);

    return p == NULL ? 0
                     : (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
            (uint32_t)p[2] << 8 | p[3];
}

uint64_t
vault_get_u64(struct cur *c)
{
    uint64_t high = vault_get_u32(c);

    return high << 32 | vault_get_u32(c);
}

const uint8_t *
vault_get_bytes(struct cur *c, size_t *n)
{
    *n = vault_get_u32(c);
    return cur_bytes(c, *n);
}

void
vault_get_attrs(struct cur *c, struct vault_attrs *a)
{
    uint32_t flags = vault_get_u32(c), pairs;
    size_t n;

    *a = (struct vault_attrs){0};
    if (flags & 0x01) {
        a->has_size = true;
        a->size = vault_get_u64(c);
    }
    if (flags & 0x02)
        (void)vault_get_u64(c); /* uid, gid */
    if (flags & 0x04) {
        a->has_mode = true;
        a->mode = vault_get_u32(c);
    }
    if (flags & 0x08) {
        a->has_mtime = true;
        (void)vault_get_u32(c); /* atime */
        a->mtime_s = vault_get_u32(c);
    }
    if (flags & 0x80000000) {
        for (pairs = vault_get_u32(c); pairs > 0 && !c->bad; pairs--) {
            (void)vault_get_bytes(c, &n);
            (void)vault_get_bytes(c, &n);
        }
    }
}

int
vault_lost(struct vault_conn *c)
{
    return err_set(ERR_UNREACHABLE, "%s: the connection was lost: %s",
        c->store->url.shown, c->why[0] != '\0' ? c->why : "closed");
}

static void
free_req(struct vault_req *r)
{
    free(r->data);
    free(r);
}

int
vault_lose(struct vault_conn *c, const char *fmt, ...)
{
    struct vault_req *r, *next;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->why, sizeof c->why, fmt, ap);
    va_end(ap);
    log_debug(
        "%s: connection %u: %s", c->store->url.shown, c->generation, c->why);
    for (r = c->first; r != NULL; r = next) {
        next = r->next;
        r->next = NULL;
        r->done = r->lost = true;
        if (r->orphan)
            free_req(r);
    }
    c->first = NULL;
    c->last = &c->first;
    c->reading = 0;
    buf_free(&c->in);
    c->in_at = 0;
    vault_disconnect(c);
    return vault_lost(c);
}

static struct vault_req *
unlink_req(struct vault_conn *c, uint32_t id)
{
    struct vault_req **at = &c->first, *r;

    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    if ((r = *at) == NULL)
        return NULL;
    *at = r->next;
    if (c->last == &r->next)
        c->last = at;
    r->next = NULL;
    if (r->is_read)
        c->reading--;
    return r;
}

/* One packet, without its length. */
static int
dispatch(struct vault_conn *c, const uint8_t *p, size_t n)
{
    struct cur in = cur_of(p, n);
    uint8_t type = cur_u8(&in);
    uint32_t id = vault_get_u32(&in);
    struct vault_req *r = in.bad ? NULL : unlink_req(c, id);

    if (r == NULL)
        return vault_lose(c, "the server answered what was not asked");
    if (r->orphan) {
        free_req(r);
        return 0;
    }
    r->done = true;
    r->type = type;
    r->len = cur_left(&in);
    r->data = xmemdup(in.p, MAX(r->len, 1));
    r->status = 0;
    if (type == SFTP_STATUS) {
        r->status = vault_get_u32(&in);
        if (in.bad)
            r->status = SFTP_FAILURE;
    }
    return 0;
}

static uint32_t
packet_bytes(const struct vault_conn *c)
{
    struct cur in = cur_of(c->in.data + c->in_at, c->in.len - c->in_at);

    return vault_get_u32(&in);
}

/* All whole packets in c->in. */
static int
parse(struct vault_conn *c)
{
    while (c->in.len - c->in_at >= 4) {
        uint32_t n = packet_bytes(c);

        if (n > PACKET_MAX || n < 5)
            return vault_lose(c, "the server does not speak SFTP");
        if (c->in.len - c->in_at - 4 < n)
            break;
        if (dispatch(c, c->in.data + c->in_at + 4, n) < 0)
            return -1;
        c->in_at += 4 + n;
    }
    if (c->in_at == c->in.len) {
        buf_reset(&c->in);
    } else if (c->in_at > 0) {
        memmove(c->in.data, c->in.data + c->in_at, c->in.len - c->in_at);
        c->in.len -= c->in_at;
    }
    c->in_at = 0;
    return 0;
}

/* Bytes that arrived into c->in, 0 if none did in time; -1 lost. */
static int
receive(struct vault_conn *c, int wait_ms)
{
    uint32_t room = c->reading > 4 ? RECEIVE_LARGE : RECEIVE_SMALL;
    int n;

    buf_reserve(&c->in, room);
    n = ssh_channel_read_timeout(
        c->channel, c->in.data + c->in.len, room, 0, wait_ms);
    if (n > 0) {
        c->in.len += (size_t)n;
        c->heard_us = time_mono_us();
        return n;
    }
    if (n == SSH_ERROR)
        return vault_lose(c, "%s", ssh_get_error(c->ssh));
    if (ssh_channel_is_eof(c->channel) || ssh_channel_is_closed(c->channel))
        return vault_lose(c, "the server closed it");
    return 0; /* also SSH_AGAIN, which 0.11 has for it */
}

void
vault_poll(struct vault_conn *c)
{
    int n;

    if (c->channel == NULL)
        return;
    n = ssh_channel_poll(c->channel, 0);
    if (n == 0)
        return;
    if (receive(c, 0) > 0)
        (void)parse(c);
}

/* May one go on waiting that waits since then? */
static int
patience(struct vault_conn *c, uint64_t since_us)
{
    uint64_t now = time_mono_us(), from = MAX(since_us, c->heard_us);

    if (now - from > c->store->conf.timeout_us)
        return vault_lose(c, "no answer for %" PRIu64 " seconds",
            c->store->conf.timeout_us / 1000000);
    if ((stop_asked() || c->store->closing) && now - from > STOP_US)
        return vault_lose(c, "no answer, and asked to stop");
    return 0;
}

int
vault_wait(struct vault_conn *c, struct vault_req *r)
{
    uint64_t since = time_mono_us();
    int slice = (int)MIN(c->store->conf.timeout_us / 1000 + 1, SLICE_MS);

    while (!r->done) {
        int n = receive(c, slice);

        if (n < 0 || (n > 0 && parse(c) < 0) ||
            (n == 0 && patience(c, since) < 0))
            return -1;
    }
    return r->lost ? vault_lost(c) : 0;
}

/*
 * libssh would wait for the server's window without reading, and the server
 * may be waiting for us to read: so no more than the window is handed over.
 */
static int
write_all(struct vault_conn *c, const uint8_t *p, size_t n)
{
    uint64_t since = time_mono_us();

    while (n > 0) {
        uint32_t window = ssh_channel_window_size(c->channel);
        uint32_t part = (uint32_t)MIN((size_t)window, n);
        int wrote;

        if (part == 0) {
            (void)ssh_channel_poll_timeout(c->channel, WINDOW_MS, 0);
            vault_poll(c);
            if (c->channel == NULL || patience(c, since) < 0)
                return vault_lost(c);
            continue;
        }
        if ((wrote = ssh_channel_write(c->channel, p, part)) <= 0)
            return vault_lose(c, "%s", ssh_get_error(c->ssh));
        p += wrote;
        n -= (size_t)wrote;
        since = time_mono_us();
    }
    return 0;
}

struct vault_req *
vault_send(struct vault_conn *c, struct buf *b)
{
    struct vault_req *r;
    int rc;

    if (c->channel == NULL) {
        vault_lost(c);
        return NULL;
    }
    r = xcalloc(1, sizeof(*r));
    r->id = c->next_id++;
    r->is_read =
        b->data[4] == SFTP_REQ_READ || b->data[4] == SFTP_REQ_READDIR;
    be32(b->data, (uint32_t)(b->len - 4));
    be32(b->data + 5, r->id);
    *c->last = r;
    c->last = &r->next;
    c->reading += r->is_read;
    rc = write_all(c, b->data, b->len);
    buf_reset(b);
    if (rc < 0) {
        free_req(r); /* lost, and so no more in the list */
        return NULL;
    }
    return r;
}

void
vault_drop(struct vault_req *r)
{
    if (r == NULL)
        return;
    if (r->done)
        free_req(r);
    else
        r->orphan = true;
}

struct vault_req *
vault_ask(struct vault_conn *c, struct buf *b, uint8_t type)
{
    struct vault_req *r = vault_send(c, b);

    if (r == NULL)
        return NULL;
    if (vault_wait(c, r) < 0) {
        vault_drop(r);
        return NULL;
    }
    if (r->type != type && r->type != SFTP_STATUS) {
        vault_drop(r);
        vault_lose(c, "the server's answer is of another kind");
        return NULL;
    }
    return r;
}

static void
take_extensions(struct vault_conn *c, struct cur *in)
{
    while (cur_left(in) > 0 && !in->bad) {
        size_t n, m;
        const uint8_t *name = vault_get_bytes(in, &n);

        (void)vault_get_bytes(in, &m);
        if (in->bad)
            return;
        if (n == 17 && memcmp(name, "fsync@openssh.com", n) == 0)
            c->has_fsync = true;
        if (n == 19 && memcmp(name, "statvfs@openssh.com", n) == 0)
            c->has_statvfs = true;
    }
}

int
vault_hello(struct vault_conn *c)
{
    static const uint8_t init[] = {0, 0, 0, 5, REQ_INIT, 0, 0, 0, PROTOCOL};
    uint64_t since = time_mono_us();
    struct cur in;
    uint32_t n;

    c->has_fsync = c->has_statvfs = false;
    if (write_all(c, init, sizeof init) < 0)
        return -1;
    while (c->in.len < 4 || c->in.len - 4 < packet_bytes(c)) {
        int got = receive(c, SLICE_MS);

        if (got < 0 || (got == 0 && patience(c, since) < 0))
            return -1;
        if (c->in.len >= 4 && packet_bytes(c) > PACKET_MAX)
            return vault_lose(c,
                "the server does not speak SFTP; something "
                "of its login prints text");
    }
    n = packet_bytes(c);
    in = cur_of(c->in.data + 4, n);
    if (cur_u8(&in) != REPLY_VERSION || vault_get_u32(&in) < PROTOCOL || in.bad)
        return vault_lose(c, "the server does not speak SFTP version 3");
    take_extensions(c, &in);
    c->in_at = 4 + n;
    return parse(c);
}
