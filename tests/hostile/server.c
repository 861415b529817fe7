/*
 * server.c -- a hostile MariaDB server: a real one, of whose packets some are
 * replaced on their way.
 *
 *   server SOCKET PORT-FILE SEED SECRET [PACKET ATTACK]
 *
 * Listens on a port of loopback, whose number it writes to PORT-FILE, and hands
 * each connection on to the server at SOCKET.  One connection in two or so is
 * attacked, once, at a packet that chance chooses, then let go on or broken.
 * Each attack is named on standard output.  SECRET is what nobody may send: a
 * client that sends it in clear, or a file of its machine, is told of as
 * STOLEN.
 */
#include "hostile.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PACKET_MAX (1u << 24)
#define QUIET_MS 2000
#define FLOOD_MAX (UINT64_C(96) << 20) /* bytes of an attack without end */

/* What the server's next packet is, as far as it matters. */
enum place { GREETING, LOGIN, ANSWER, COLUMNS, ROWS, EVENTS };

struct line {
    int client, server;
    enum place place;
    unsigned columns; /* still to come */
    uint8_t command;
    uint64_t count, at; /* packets of the server; which is attacked */
    uint8_t *data;      /* of the packet */
    size_t len;
    uint8_t seq;
    const char *secret;
    bool attacked;
    unsigned drift; /* of the sequence numbers, after one more or less */
};

static uint32_t
crc32_of(const uint8_t *p, size_t n)
{
    uint32_t c = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    }
    return ~c;
}

static bool
send_packet(struct line *l, const uint8_t *p, size_t n)
{
    size_t part;

    do {
        uint8_t head[4];

        part = n < PACKET_MAX - 1 ? n : PACKET_MAX - 1;
        put_le(head, part, 3);
        head[3] = (uint8_t)(l->seq + l->drift);
        if (!write_all(l->client, head, 4) || !write_all(l->client, p, part))
            return false;
        p += part;
        n -= part;
        l->seq += n > 0 || part == PACKET_MAX - 1;
    } while (n > 0 || part == PACKET_MAX - 1);
    return true;
}

/* --- on any packet --- */

static bool
flip(struct line *l)
{
    for (uint64_t i = below(8) + 1; i > 0 && l->len > 0; i--)
        l->data[below(l->len)] ^= (uint8_t)(1u << below(8));
    return send_packet(l, l->data, l->len);
}

static bool
cut(struct line *l)
{
    return send_packet(l, l->data, below(l->len + 1));
}

static bool
wrong_length(struct line *l)
{
    uint8_t head[4];

    put_le(head, scaled(24), 3);
    head[3] = l->seq;
    return write_all(l->client, head, 4) &&
        write_all(l->client, l->data, l->len);
}

static bool
wrong_number(struct line *l)
{
    l->seq = (uint8_t)chance();
    return send_packet(l, l->data, l->len);
}

static bool
twice(struct line *l)
{
    bool ok = send_packet(l, l->data, l->len);

    l->drift++;
    return ok && send_packet(l, l->data, l->len);
}

static bool
swallowed(struct line *l)
{
    l->drift--;
    return true;
}

static bool
rubbish(struct line *l)
{
    size_t n = (size_t)scaled(20);
    uint8_t *p = malloc(n + 1);
    bool ok;

    noise(p, n);
    if (below(2) && n > 0)
        p[0] = "\x00\x01\xfb\xfe\xff"[below(5)];
    ok = send_packet(l, p, n);
    free(p);
    return ok;
}

static bool
huge(struct line *l)
{
    size_t n = (size_t)40 << 20;
    uint8_t *p = malloc(n);
    bool ok;

    memset(p, (int)below(256), n);
    if (l->len > 0)
        memcpy(p, l->data, l->len);
    ok = send_packet(l, p, n);
    free(p);
    return ok;
}

/* Of full size, so that another part has to follow, and another. */
static bool
without_end(struct line *l)
{
    static uint8_t part[PACKET_MAX + 3];

    for (uint64_t sent = 0; sent < FLOOD_MAX; sent += PACKET_MAX) {
        put_le(part, PACKET_MAX - 1, 3);
        part[3] = l->seq++;
        if (!write_all(l->client, part, sizeof part))
            break;
    }
    return false;
}

static bool
broken(struct line *l)
{
    uint8_t head[4];

    put_le(head, l->len, 3);
    head[3] = l->seq;
    if (below(2) && write_all(l->client, head, below(5)))
        write_all(l->client, l->data, below(l->len + 1));
    return false;
}

static bool
an_error(struct line *l)
{
    uint8_t p[600];
    static const char *const texts[] = {"%n%s%1000000d", "\x1b[2J\r\n\n",
        "Could not find GTID state requested by slave", ""};
    size_t n = 3;

    noise(p, sizeof p);
    p[0] = 0xff;
    put_le(p + 1, below(2) ? 1236 : chance(), 2);
    if (below(2))
        memcpy(p + 3, "#HY000", 6), n = 9;
    memcpy(p + n, texts[below(4)], strlen(texts[below(4)]) / 2);
    return send_packet(l, p, n + below(sizeof p - n));
}

static bool
an_end(struct line *l)
{
    return send_packet(
        l, (const uint8_t *)"\xfe\x00\x00\x02\x00", 1 + below(5));
}

static bool
an_ok(struct line *l)
{
    return send_packet(
        l, (const uint8_t *)"\x00\x00\x00\x02\x00\x00\x00\xff\xff", below(9));
}

/* What did it answer?  Nobody may give away a file, or the password. */
static void
look_at_answer(struct line *l, const char *attack)
{
    uint8_t p[4096];
    struct pollfd fd = {.fd = l->client, .events = POLLIN};
    ssize_t n;

    if (poll(&fd, 1, 2000) <= 0 ||
        (n = recv(l->client, p, sizeof p, MSG_PEEK)) <= 0)
        return;
    if (memmem(p, (size_t)n, l->secret, strlen(l->secret)) != NULL ||
        memmem(p, (size_t)n, "root:", 5) != NULL)
        printf("STOLEN by %s\n", attack);
}

static bool
asks_for_file(struct line *l)
{
    bool ok = send_packet(l, (const uint8_t *)"\xfb/etc/passwd", 12);

    look_at_answer(l, "asking for a file");
    return ok;
}

static bool
asks_for_password(struct line *l)
{
    static const char *const plugins[] = {"mysql_clear_password", "dialog",
        "mysql_old_password", "sha256_password", "caching_sha2_password",
        "../../../tmp/evil"};
    const char *plugin = plugins[below(6)];
    uint8_t p[128] = {0xfe};
    size_t n = strlen(plugin) + 2;
    bool ok;

    memcpy(p + 1, plugin, n - 2);
    if (strcmp(plugin, "dialog") == 0)
        memcpy(p + n, "\4Password: ", 11), n += 11;
    else
        noise(p + n, 20), n += 21;
    ok = send_packet(l, p, n);
    look_at_answer(l, plugin);
    return ok;
}

/* --- on results --- */

/* Each value of a row as text is replaced. */
static bool
other_values(struct line *l)
{
    static const char *const values[] = {"", "0", "-1", "18446744073709551616",
        "0-1-18446744073709551615,0-1-1", "4294967296-0-0", "../../etc/x",
        "%s%n", "\xff\xfe", "binlog.999999999999999999999"};
    uint8_t out[4096];
    size_t at = 0, n = 0;
    bool all_null = below(2);

    while (at < l->len && n < sizeof out - 64) {
        uint8_t first = l->data[at];
        const char *v = values[below(10)];

        if (first > 0xfb)
            break; /* long: not these */
        at += first == 0xfb ? 1 : 1 + (size_t)first;
        if (all_null || below(3) == 0) {
            out[n++] = 0xfb;
        } else {
            out[n++] = (uint8_t)strlen(v);
            memcpy(out + n, v, strlen(v));
            n += strlen(v);
        }
    }
    return send_packet(l, out, n);
}

/* Many at a time, so that it is the client's pace. */
static bool
rows_without_end(struct line *l)
{
    static uint8_t many[1 << 20];
    uint64_t sent = 0;
    size_t n;

    if (l->len > 65536)
        return send_packet(l, l->data, l->len);
    do {
        for (n = 0; n + l->len + 4 <= sizeof many; n += l->len + 4) {
            put_le(many + n, l->len, 3);
            many[n + 3] = l->seq++;
            memcpy(many + n + 4, l->data, l->len);
        }
        sent += n;
    } while (sent < FLOOD_MAX * 8 && write_all(l->client, many, n));
    return false;
}

static bool
many_columns(struct line *l)
{
    return send_packet(l, (const uint8_t *)"\xfd\xff\xff\xff", 4);
}

/* --- on the log: packets with events whose checksum is right --- */

static size_t
event(uint8_t *p, unsigned type, const uint8_t *body, size_t n, uint32_t time)
{
    p[0] = 0;
    put_le(p + 1, time, 4);
    p[5] = (uint8_t)type;
    put_le(p + 6, 1, 4);
    put_le(p + 10, 19 + n + 4, 4);
    put_le(p + 14, chance(), 4);
    put_le(p + 18, 0, 2);
    memcpy(p + 20, body, n);
    put_le(p + 20 + n, crc32_of(p + 1, 19 + n), 4);
    return 24 + n;
}

static bool
send_event(
    struct line *l, unsigned type, const uint8_t *body, size_t n, uint32_t time)
{
    uint8_t *p = malloc(n + 24);
    bool ok = send_packet(l, p, event(p, type, body, n, time));

    l->seq++;
    free(p);
    return ok;
}

/* As it was, but for what it says of its own length; or of anything. */
static bool
event_lies(struct line *l)
{
    size_t n = l->len;

    if (n < 25)
        return send_packet(l, l->data, n);
    if (below(2))
        put_le(l->data + 10, scaled(32), 4);
    else if (n > 25)
        for (uint64_t i = below(4) + 1; i > 0; i--)
            l->data[20 + below(n - 24)] = (uint8_t)chance();
    put_le(l->data + n - 4, crc32_of(l->data + 1, n - 5), 4);
    return send_packet(l, l->data, n);
}

static bool
gtid_list_bomb(struct line *l)
{
    uint32_t count = below(2) ? 0x0fffffff : 400000;
    size_t real = count == 400000 ? count : below(100);
    uint8_t *body = malloc(4 + real * 16);
    bool ok;

    put_le(body, count, 4);
    for (size_t i = 0; i < real; i++) {
        put_le(body + 4 + i * 16, i * 7919, 4);
        put_le(body + 8 + i * 16, 1, 4);
        put_le(body + 12 + i * 16, chance(), 8);
    }
    ok = send_event(l, 163, body, 4 + real * 16, 1);
    free(body);
    return ok;
}

static bool
rotates_for_ever(struct line *l)
{
    uint8_t body[3000];
    bool ok = true;

    for (int i = 0; ok && i < 20000; i++) {
        size_t n = 8 + below(below(20) ? 40 : sizeof body - 8);

        noise(body, n);
        if (below(2) && n > 20)
            memcpy(body + 8, "../../x\n\0y", 10);
        ok = send_event(l, 4, body, n, below(2) ? 0 : 1);
    }
    return ok;
}

static bool
formats_for_ever(struct line *l)
{
    static uint8_t keep[4096];
    size_t n = l->len < sizeof keep ? l->len : 0;
    bool ok = true;

    memcpy(keep, l->data, n);
    for (int i = 0; ok && n > 24 && i < 100; i++) {
        put_le(keep + 1, chance(), 4);
        keep[5] = 15;
        put_le(keep + n - 4, crc32_of(keep + 1, n - 5), 4);
        ok = send_packet(l, keep, n);
        l->seq++;
    }
    return ok;
}

static bool
random_events(struct line *l)
{
    static const uint8_t types[] = {2, 3, 4, 5, 13, 14, 15, 16, 19, 23, 24, 25,
        26, 27, 160, 161, 162, 163, 164, 165, 166, 167, 169};
    uint8_t body[2000];
    bool ok = true;

    for (uint64_t i = 0, n = below(3000); ok && i < n; i++) {
        size_t size = (size_t)scaled(10);

        noise(body, size);
        if (below(2))
            memset(body, 0xff, size / 2);
        ok = send_event(l, below(8) ? types[below(sizeof types)] : below(256),
            body, size, below(3) ? 1 : 0);
    }
    return ok;
}

/* Transactions that begin and never end, with what one would contain. */
static bool
groups_for_ever(struct line *l)
{
    uint8_t body[200] = {0};
    bool ok = true;

    for (int i = 0; ok && i < 3000; i++) {
        put_le(body, below(2) ? (uint64_t)i : chance(), 8);
        put_le(body + 8, below(2) ? 0 : chance(), 4);
        body[12] = (uint8_t)chance();
        ok = send_event(l, 162, body, 19, 1);
        for (uint64_t k = below(3); ok && k > 0; k--) {
            noise(body, sizeof body);
            ok = send_event(l, below(2) ? 19 : 23, body, 8 + below(100), 1);
        }
    }
    return ok;
}

/* --- choosing --- */

struct attack {
    const char *name;
    bool (*run)(struct line *l); /* false: the connection is broken */
    int place;                   /* where it makes sense; -1: anywhere */
};
static const struct attack attacks[] = {
    {"bytes changed", flip, -1},
    {"cut", cut, -1},
    {"wrong length", wrong_length, -1},
    {"wrong number", wrong_number, -1},
    {"twice", twice, -1},
    {"swallowed", swallowed, -1},
    {"rubbish", rubbish, -1},
    {"huge", huge, -1},
    {"a packet without end", without_end, -1},
    {"broken off", broken, -1},
    {"an error", an_error, -1},
    {"an end", an_end, -1},
    {"an OK", an_ok, -1},
    {"asks for a file", asks_for_file, ANSWER},
    {"asks for the password", asks_for_password, LOGIN},
    {"many columns", many_columns, ANSWER},
    {"other values", other_values, ROWS},
    {"rows without end", rows_without_end, ROWS},
    {"an event lies", event_lies, EVENTS},
    {"a bomb of GTIDs", gtid_list_bomb, EVENTS},
    {"rotates for ever", rotates_for_ever, EVENTS},
    {"formats for ever", formats_for_ever, EVENTS},
    {"random events", random_events, EVENTS},
    {"groups for ever", groups_for_ever, EVENTS},
};
#define ATTACKS (sizeof attacks / sizeof *attacks)

static const char *only; /* attack */
static uint64_t only_at;

/* Of those for this place, if there are any, every other time. */
static const struct attack *
choose(enum place place)
{
    bool any = below(2) != 0;

    for (size_t i = 0; i < ATTACKS && only != NULL; i++)
        if (strcmp(attacks[i].name, only) == 0)
            return &attacks[i];
    for (;;) {
        const struct attack *a = &attacks[below(ATTACKS)];

        if (a->place == (int)place || (a->place == -1 && any))
            return a;
        any |= below(50) == 0;
    }
}

static void
follow(struct line *l)
{
    uint8_t first = l->len > 0 ? l->data[0] : 0;
    bool end = first == 0xfe && l->len < 9;

    if (l->place == GREETING)
        l->place = LOGIN;
    else if (l->place == LOGIN && first == 0)
        l->place = ANSWER;
    else if (l->place == ANSWER && l->command == 3 && first > 0 && first < 0xfb)
        l->place = COLUMNS;
    else if (l->place == COLUMNS && end)
        l->place = ROWS;
    else if (l->place == ROWS && (end || first == 0xff))
        l->place = ANSWER;
}

static bool
from_server(struct line *l)
{
    uint8_t head[4];

    if (!read_all(l->server, head, 4))
        return false;
    l->len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    l->seq = head[3];
    if (!read_all(l->server, l->data, l->len))
        return false;
    if (l->count++ == l->at) {
        const struct attack *a = choose(l->place);

        printf("packet %llu: %s\n", (unsigned long long)l->at, a->name);
        if (!a->run(l))
            return false;
        l->attacked = true;
        l->at = below(3) ? l->count + scaled(8) : UINT64_MAX;
    } else if (!send_packet(l, l->data, l->len)) {
        return false;
    }
    follow(l);
    return true;
}

static bool
from_client(struct line *l)
{
    uint8_t p[65536];
    ssize_t n = read(l->client, p, sizeof p);

    if (n <= 0)
        return false;
    if (memmem(p, (size_t)n, l->secret, strlen(l->secret)) != NULL)
        printf("STOLEN\n");
    /* One command at a time, from its start: as clients of this kind do. */
    if (n > 4 && p[3] == 0 && l->place >= ANSWER) {
        l->command = p[4];
        l->place = l->command == 0x12 ? EVENTS : ANSWER;
        l->drift = 0;
    }
    return write_all(l->server, p, (size_t)n);
}

static int
serve(int client, const char *socket_path, const char *secret)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct line l = {.client = client, .secret = secret};
    struct pollfd fd[2];
    int ready;

    l.server = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", socket_path);
    if (connect(l.server, (struct sockaddr *)&a, sizeof a) < 0)
        return 1;
    l.data = malloc(PACKET_MAX);
    l.at = below(2) ? scaled(10) : UINT64_MAX;
    if (only != NULL)
        l.at = only_at;
    for (;;) {
        fd[0] = (struct pollfd){.fd = l.client, .events = POLLIN};
        fd[1] = (struct pollfd){.fd = l.server, .events = POLLIN};
        /* Either may now wait for the other: then the line breaks. */
        if ((ready = poll(fd, 2, l.attacked ? QUIET_MS : -1)) <= 0)
            return ready < 0;
        if (fd[0].revents != 0 && !from_client(&l))
            return 0;
        if (fd[1].revents != 0 && !from_server(&l))
            return 0;
    }
}

static int
listens(const char *port_file)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    FILE *f;

    if (bind(fd, (struct sockaddr *)&a, n) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) < 0 ||
        (f = fopen(port_file, "w")) == NULL)
        return -1;
    fprintf(f, "%u\n", ntohs(a.sin_port));
    fclose(f);
    return fd;
}

int
main(int argc, char **argv)
{
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    int fd;

    if (argc == 7) {
        only_at = strtoull(argv[5], NULL, 10);
        only = argv[6];
    }
    if ((argc != 5 && argc != 7) || (fd = listens(argv[2])) < 0)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint64_t n = 0;; n++) {
        int client = accept(fd, NULL, NULL);

        if (client < 0)
            continue;
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(fd);
            chance_state = seed * 1000003 + n;
            _exit(serve(client, argv[1], argv[4]));
        }
        close(client);
    }
}
