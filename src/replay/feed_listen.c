/*
 * feed_listen.c -- the loopback port, those who knock, and the one place where
 * the feed's thread waits.
 *
 * Only the target knows the one-time password.  Whoever else connects is shown
 * the door without disturbing the target: a handshake has five seconds, at most
 * FEED_PENDING are under way, and the oldest makes room.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "feed.h"
#include "pitr/log.h"
#include "pitr/times.h"

#define HANDSHAKE_US 5000000u
#define NATIVE "mysql_native_password"

int
feed_listen(struct feed *f)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    f->listen_fd =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (f->listen_fd < 0 ||
        bind(f->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        listen(f->listen_fd, FEED_PENDING) < 0 ||
        getsockname(f->listen_fd, (struct sockaddr *)&a, &n) < 0)
        return err_sys(ERR_FAILED, "a port on 127.0.0.1 for the replay");
    f->port = ntohs(a.sin_port);
    return 0;
}

static void
pending_refuse(struct feed_pending *p, const char *why)
{
    log_info("replay: refused a connection to its port: %s", why);
    feed_conn_free(&p->c);
}

/* A free place, or that of the oldest. */
static struct feed_pending *
pending_place(struct feed *f)
{
    struct feed_pending *oldest = &f->pending[0];

    for (int i = 0; i < FEED_PENDING; i++) {
        if (f->pending[i].c.fd < 0)
            return &f->pending[i];
        if (f->pending[i].deadline_us < oldest->deadline_us)
            oldest = &f->pending[i];
    }
    pending_refuse(oldest, "too many");
    return oldest;
}

static void
feed_accept(struct feed *f)
{
    static const int on = 1;

    for (int i = 0; i < FEED_PENDING; i++) {
        struct feed_pending *p;
        int fd =
            accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        p = pending_place(f);
        feed_conn_init(&p->c, fd);
        p->switched = false;
        p->user[0] = '\0';
        p->deadline_us = time_mono_us() + HANDSHAKE_US;
        feed_salt(p->salt);
        feed_greeting(&p->c, f->version, ++f->next_id, p->salt);
        if (feed_conn_write(&p->c) < 0)
            pending_refuse(p, "gone at once");
    }
}

/* It is the target: it takes the place of its former connection. */
static void
pending_admit(struct feed *f, struct feed_pending *p)
{
    feed_packet_ok(&p->c);
    if (feed_conn_write(&p->c) < 0) {
        pending_refuse(p, "gone after it was admitted");
        return;
    }
    feed_conn_free(&f->next);
    f->next = p->c;
    feed_conn_init(&p->c, -1);
    atomic_fetch_add(&f->admitted, 1);
    log_debug("replay: the target is connected");
}

/* 0, or -1 where the target could not be asked. */
static int
pending_check(struct feed *f, struct feed_pending *p, const uint8_t *token)
{
    uint8_t want[FEED_TOKEN];

    if (strcmp(p->user, FEED_USER) != 0) {
        feed_packet_error(&p->c, 1045, "28000", "Access denied");
        feed_conn_write(&p->c);
        pending_refuse(p, "another user");
        return 0;
    }
    if (f->db == NULL && (f->db = db_open(f->conf->target, "target")) == NULL)
        return -1;
    if (target_quiet(f->db) < 0 ||
        feed_token(f->db, f->password, p->salt, want) < 0) {
        db_close(f->db);
        f->db = NULL;
        return -1;
    }
    if (feed_token_equal(token, want)) {
        pending_admit(f, p);
    } else {
        feed_packet_error(&p->c, 1045, "28000", "Access denied");
        feed_conn_write(&p->c);
        pending_refuse(p, "wrong password");
    }
    return 0;
}

/* A packet of one who knocks: the login, or the answer after a switch. */
static int
pending_packet(struct feed *f, struct feed_pending *p, struct cur in)
{
    struct feed_login login;
    const uint8_t *token;

    if (p->switched) {
        if (cur_left(&in) == FEED_TOKEN &&
            (token = cur_bytes(&in, FEED_TOKEN)) != NULL)
            return pending_check(f, p, token);
        pending_refuse(p, "no password");
        return 0;
    }
    if (feed_login_parse(&in, &login) < 0) {
        pending_refuse(p, "not the login of a replica");
        return 0;
    }
    memcpy(p->user, login.user, sizeof(p->user));
    if (login.token_size == FEED_TOKEN &&
        (login.plugin[0] == '\0' || strcmp(login.plugin, NATIVE) == 0))
        return pending_check(f, p, login.token);
    p->switched = true;
    feed_auth_switch(&p->c, p->salt);
    if (feed_conn_write(&p->c) < 0)
        pending_refuse(p, "gone");
    return 0;
}

static void
pending_read(struct feed *f, struct feed_pending *p)
{
    struct cur in;
    int rc = feed_conn_read(&p->c);

    if (rc < 0) {
        pending_refuse(p, "gone before it logged in");
        return;
    }
    while (p->c.fd >= 0 &&
        (rc = feed_packet_take(&p->c, FEED_LOGIN_MAX, &in)) == 1) {
        if (pending_packet(f, p, in) < 0) {
            log_info("replay: cannot check a password: %s", err_text());
            err_clear();
            pending_refuse(p, "its password could not be checked");
        }
    }
    if (p->c.fd >= 0 && rc < 0)
        pending_refuse(p, "its login is too long");
}

static void
pending_serve(struct feed *f, const struct pollfd *fds)
{
    uint64_t now = time_mono_us();

    for (int i = 0; i < FEED_PENDING; i++) {
        struct feed_pending *p = &f->pending[i];

        if (p->c.fd < 0)
            continue;
        if (fds[i].fd == p->c.fd && fds[i].revents != 0)
            pending_read(f, p);
        if (p->c.fd >= 0 && now > p->deadline_us)
            pending_refuse(p, "no login within 5 seconds");
    }
}

/* The target's own connection. */
static enum feed_state
conn_serve(struct feed *f, short revents)
{
    if (f->next.fd >= 0)
        return FEED_LOST; /* it has come again */
    if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
        feed_conn_read(&f->conn) < 0)
        return FEED_LOST;
    return FEED_GO;
}

enum feed_state
feed_wait(struct feed *f, bool out, int timeout_ms)
{
    struct pollfd fds[FEED_PENDING + 3];
    uint64_t count;
    ssize_t n;

    for (int i = 0; i < FEED_PENDING; i++) {
        fds[i].fd = f->pending[i].c.fd;
        fds[i].events = POLLIN;
    }
    fds[FEED_PENDING] = (struct pollfd){.fd = f->listen_fd, .events = POLLIN};
    fds[FEED_PENDING + 1] = (struct pollfd){.fd = f->wake_fd, .events = POLLIN};
    fds[FEED_PENDING + 2] = (struct pollfd){
        .fd = f->conn.fd, .events = (short)(out ? POLLIN | POLLOUT : POLLIN)};
    if (poll(fds, FEED_PENDING + 3, timeout_ms) < 0)
        return errno == EINTR ? FEED_GO : FEED_LOST;
    if (fds[FEED_PENDING + 1].revents != 0) {
        n = read(f->wake_fd, &count, sizeof(count));
        (void)n; /* it only wakes */
    }
    if (atomic_load(&f->stop))
        return FEED_STOP;
    pending_serve(f, fds);
    if (fds[FEED_PENDING].revents != 0)
        feed_accept(f);
    return conn_serve(f, fds[FEED_PENDING + 2].revents);
}
