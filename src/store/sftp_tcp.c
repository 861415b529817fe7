/*
 * sftp_tcp.c -- a socket to the vault: every address of the host is tried
 * (libssh tries the first only), and a dead connection is noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pitr/stop.h"
#include "pitr/times.h"
#include "sftp.h"

#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_EVERY_S 10

static void
set_options(int fd, uint64_t silence_us)
{
    int on = 1, idle = KEEPALIVE_IDLE_S, every = KEEPALIVE_EVERY_S;
    int probes = (int)(silence_us / 1000000 / KEEPALIVE_EVERY_S) + 1;
    unsigned silence_ms = (unsigned)(silence_us / 1000);

    /* All of these are improvements, none is needed. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    setsockopt(
        fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
}

/* 0 or an errno. */
static int
finish_connect(int fd, uint64_t deadline_us)
{
    struct pollfd p[2] = {
        {.fd = fd, .events = POLLOUT}, {.fd = stop_fd(), .events = POLLIN}};
    socklen_t n = sizeof(int);
    int error = 0;

    for (;;) {
        uint64_t now = time_mono_us();
        int ms = now < deadline_us ? (int)((deadline_us - now) / 1000 + 1) : 0;
        int rc = poll(p, 2, ms);

        if (rc < 0 && errno == EINTR && !stop_asked())
            continue;
        if (rc < 0)
            return errno;
        if (p[0].revents != 0)
            break;
        return rc == 0 ? ETIMEDOUT : EINTR;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
        return errno;
    return error;
}

static int
try_address(const struct addrinfo *a, uint64_t connect_us, int *error)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
        a->ai_protocol);

    if (fd < 0) {
        *error = errno;
        return -1;
    }
    *error = 0;
    if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
        *error = errno == EINPROGRESS
            ? finish_connect(fd, time_mono_us() + connect_us)
            : errno;
    if (*error == 0)
        return fd;
    close(fd);
    return -1;
}

int
vault_tcp_connect(
    const char *host, unsigned port, uint64_t connect_us, uint64_t silence_us)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char service[16];
    int fd = -1, error = 0, rc;

    snprintf(service, sizeof service, "%u", port);
    rc = getaddrinfo(host, service, &want, &found);
    if (rc != 0) {
        err_set(ERR_UNREACHABLE, "host %s: %s", host,
            rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return err_hint(
            "Is the name right? \"getent hosts %s\" asks the same.", host);
    }
    for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = try_address(a, connect_us, &error);
        if (fd < 0 && stop_asked())
            break;
    }
    freeaddrinfo(found);
    if (fd < 0 && stop_asked())
        return stop_error();
    if (fd < 0) {
        err_set(ERR_UNREACHABLE, "cannot connect to %s port %u: %s", host, port,
            strerror(error));
        return err_hint("Is that machine up, does its sshd listen at that "
                        "port, does a firewall let us through?");
    }
    set_options(fd, silence_us);
    return fd;
}
