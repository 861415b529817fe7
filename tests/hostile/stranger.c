/*
 * stranger.c -- knocks at the ports on which a process listens: who is not the
 * target, and comes first, often, and with rubbish.
 *
 *   stranger PID SEED
 *
 * Until that process ends.  Says at the end how often it knocked.
 */
#include "hostile.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#define HELD 64

static int held[HELD]; /* that say nothing, or no more */

/* The port of a socket that listens, by its inode; 0. */
static unsigned
port_of(unsigned long inode)
{
    FILE *f = fopen("/proc/net/tcp", "r");
    char text[512];
    unsigned found = 0;

    while (f != NULL && found == 0 && fgets(text, sizeof text, f) != NULL) {
        unsigned port, state;
        unsigned long is;

        if (sscanf(text,
                "%*d: %*x:%x %*x:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &port,
                &state, &is) == 3 &&
            state == 0x0a && is == inode)
            found = port;
    }
    if (f != NULL)
        fclose(f);
    return found;
}

static unsigned
find_port(long pid)
{
    char path[64], to[64];
    unsigned port = 0;
    struct dirent *e;
    DIR *d;

    snprintf(path, sizeof path, "/proc/%ld/fd", pid);
    d = opendir(path);
    while (d != NULL && port == 0 && (e = readdir(d)) != NULL) {
        unsigned long inode;
        ssize_t n = readlinkat(dirfd(d), e->d_name, to, sizeof to - 1);

        to[n > 0 ? n : 0] = '\0';
        if (sscanf(to, "socket:[%lu]", &inode) == 1)
            port = port_of(inode);
    }
    if (d != NULL)
        closedir(d);
    return port;
}

/* A login as a client would send it, of somebody. */
static size_t
login(uint8_t *p)
{
    static const char *const users[] = {"root", "pitr", "replay", ""};
    const char *user = users[below(4)];
    size_t n = 36;

    memset(p, 0, 128);
    put_le(p + 4, UINT32_C(0x001aa28d) | (below(2) ? chance() : 0), 4);
    p[12] = 33;
    memcpy(p + n, user, strlen(user));
    n += strlen(user) + 1;
    p[n++] = below(2) ? 20 : (uint8_t)chance();
    noise(p + n, 20);
    n += 20;
    memcpy(p + n, "mysql_native_password", 22);
    n += 22;
    put_le(p, n - 4, 3);
    p[3] = 1;
    return n;
}

static void
knock(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t slot = below(HELD), n = 0;
    uint8_t p[70000];

    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return;
    }
    switch (below(7)) {
    case 0: /* says nothing */
        break;
    case 1:
        n = (size_t)scaled(16);
        noise(p, n);
        break;
    case 2:
        n = login(p);
        break;
    case 3: /* half a login, and no more */
        n = below(login(p));
        break;
    case 4: /* a packet that will not end */
        memset(p, 0xff, sizeof p);
        p[3] = 1;
        n = sizeof p;
        break;
    case 5: /* a login, and then what a replica says */
        n = login(p);
        memcpy(p + n, "\x05\0\0\0\x12\4\0\0\0\xff\xff\xff\0\x12", 14);
        n += 14;
        break;
    default: /* goes at once */
        close(fd);
        return;
    }
    send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (held[slot] > 0)
        close(held[slot]);
    held[slot] = fd;
}

int
main(int argc, char **argv)
{
    long pid = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
    unsigned long knocks = 0;
    unsigned port;

    if (pid <= 1)
        return 2;
    chance_state = strtoull(argv[2], NULL, 10);
    while (kill((pid_t)pid, 0) == 0) {
        struct timespec pause = {.tv_nsec = (long)below(10000000)};

        if ((port = find_port(pid)) != 0) {
            knock(port);
            knocks++;
        }
        nanosleep(&pause, NULL);
    }
    printf("%lu knocks\n", knocks);
    return 0;
}
