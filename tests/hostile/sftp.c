/*
 * sftp.c -- a hostile SFTP server: a real one, of whose answers one is replaced
 * on its way.
 *
 *   sftp SFTP-SERVER TOKEN LOG
 *
 * Speaks on standard input and output, as a command of sshd.  TOKEN is a file
 * with a seed, and "once" or "always": with "once", who removes it attacks, and
 * the others are honest.  The attack is named in LOG.
 */
#include "hostile.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum {
    VERSION = 2,
    STATUS = 101,
    HANDLE,
    DATA,
    NAME,
    ATTRS,
    EXTENDED_REPLY = 201
};
#define PACKET_MAX ((size_t)1 << 20)
#define FLOOD_MAX (UINT64_C(300) << 20)

static uint8_t data[PACKET_MAX + 65536]; /* type, id, content */
static size_t len;
static FILE *story;

static bool
answer(const uint8_t *p, size_t n)
{
    uint8_t head[4];

    put_be(head, n, 4);
    return write_all(1, head, 4) && write_all(1, p, n);
}

static bool
flip(void)
{
    for (uint64_t i = below(8) + 1; i > 0 && len > 0; i--)
        data[below(len)] ^= (uint8_t)(1u << below(8));
    return answer(data, len);
}

static bool
cut(void)
{
    return answer(data, below(len + 1));
}

static bool
wrong_length(void)
{
    static const uint32_t lengths[] = {0, 1, 4, 5, 0x7fffffff, 0xffffffff};
    uint8_t head[4];

    put_be(head, below(2) ? lengths[below(6)] : scaled(32), 4);
    return write_all(1, head, 4) && write_all(1, data, len);
}

static bool
wrong_id(void)
{
    put_be(data + 1, below(2) ? get_be(data + 1, 4) + 1 : chance(), 4);
    return answer(data, len);
}

static bool
twice(void)
{
    return answer(data, len) && answer(data, len);
}

static bool
rubbish(void)
{
    noise(data, len);
    return answer(data, len);
}

static bool
other_kind(void)
{
    static const uint8_t kinds[] = {
        VERSION, STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY, 0, 255};

    data[0] = kinds[below(sizeof kinds)];
    return answer(data, len);
}

static bool
a_status(void)
{
    uint8_t p[64] = {STATUS};

    memcpy(p + 1, data + 1, 4);
    put_be(p + 5, below(3) ? below(32) : chance(), 4);
    put_be(p + 9, below(2) ? 3 : chance(), 4);
    memcpy(p + 13, "%s\n", 3);
    return answer(p, 9 + below(sizeof p - 9));
}

static bool
broken(void)
{
    uint8_t head[4];

    put_be(head, len, 4);
    if (below(2) && write_all(1, head, below(5)))
        write_all(1, data, below(len + 1));
    return false;
}

static bool
without_end(void)
{
    uint64_t sent = 0;
    uint8_t head[4];

    put_be(head, 0xffffff00, 4);
    for (write_all(1, head, 4); sent < FLOOD_MAX; sent += len)
        if (!write_all(1, data, len))
            break;
    return false;
}

/* --- on listings --- */

static size_t
put_name(uint8_t *p, const char *name, size_t n)
{
    uint64_t size = below(2) ? scaled(64) : UINT64_MAX;

    put_be(p, n, 4);
    memcpy(p + 4, name, n);
    put_be(p + 4 + n, 2, 4);
    memcpy(p + 8 + n, "-r", 2);
    put_be(p + 10 + n, 5, 4); /* size and permissions */
    put_be(p + 14 + n, size, 8);
    put_be(p + 22 + n, below(2) ? 0100400 : chance(), 4);
    return 26 + n;
}

static bool
evil_names(void)
{
    static const char *const names[] = {"../../evil", "a/b", "..", ".", "",
        "x\ny", "\x1b[2J", "/etc/passwd", "binlog+1", "part-000001+", "evil",
        "repository+00000000000000000000.999999999999",
        "000000000001+09223372036854775807", "000000000000000000001"};
    static char lengthy[70000];
    size_t n = 9;
    uint32_t count = (uint32_t)below(40) + 1;

    memset(lengthy, 'a', sizeof lengthy);
    data[0] = NAME;
    for (uint32_t i = 0; i < count && n < 200000; i++) {
        const char *name = names[below(14)];

        n += below(30) ? put_name(data + n, name, strlen(name))
                       : put_name(data + n, lengthy, sizeof lengthy);
    }
    put_be(data + 5, below(2) ? count : chance(), 4);
    return answer(data, n);
}

/* Names of objects, and more of them for each question. */
static bool endless;
static uint64_t named;
static bool
names_without_end(void)
{
    char name[64];
    size_t n = 9;

    endless = true;
    data[0] = NAME;
    for (int i = 0; i < 2000; i++) {
        int w =
            snprintf(name, sizeof name, "%012llu", (unsigned long long)++named);

        n += put_name(data + n, name, (size_t)w);
    }
    put_be(data + 5, 2000, 4);
    return answer(data, n);
}

static bool
sizes_lie(void)
{
    static const uint64_t sizes[] = {
        0, 1, 4096, INT64_MAX, UINT64_MAX, UINT64_C(1) << 40};

    if (len >= 17 && (data[8] & 1) != 0)
        put_be(data + 9, sizes[below(6)], 8);
    return answer(data, len);
}

static bool
data_lies(void)
{
    size_t n = below(3) == 0 ? 0 : (size_t)scaled(19);

    put_be(data + 5, below(2) ? n : chance(), 4);
    if (n + 9 > len)
        noise(data + (len > 9 ? len : 9), n + 9 - (len > 9 ? len : 9));
    return answer(data, n + 9);
}

static bool
handle_lies(void)
{
    size_t n = below(2) ? 0 : (size_t)scaled(17);

    put_be(data + 5, n, 4);
    noise(data + 9, n);
    return answer(data, n + 9);
}

static const struct attack {
    const char *name;
    bool (*run)(void);
    int kind; /* of answers; 0: any but VERSION, -1: any */
} attacks[] = {
    {"bytes changed", flip, -1},
    {"cut", cut, -1},
    {"wrong length", wrong_length, -1},
    {"wrong id", wrong_id, 0},
    {"twice", twice, -1},
    {"rubbish", rubbish, -1},
    {"another kind", other_kind, -1},
    {"a status", a_status, 0},
    {"broken off", broken, -1},
    {"without end", without_end, -1},
    {"evil names", evil_names, NAME},
    {"evil names", evil_names, NAME},
    {"names without end", names_without_end, NAME},
    {"sizes lie", sizes_lie, ATTRS},
    {"data lies", data_lies, DATA},
    {"a handle lies", handle_lies, HANDLE},
};
#define ATTACKS (sizeof attacks / sizeof *attacks)

static bool
attack(void)
{
    const struct attack *a;
    bool any = below(3) == 0;

    do {
        a = &attacks[below(ATTACKS)];
        any |= below(50) == 0;
    } while (a->kind != data[0] &&
        !(any && (a->kind == -1 || (a->kind == 0 && data[0] != VERSION))));
    fprintf(story, "answer of kind %u: %s\n", data[0], a->name);
    fflush(story);
    return a->run();
}

/* Is it for us to attack?  At which answer? */
static uint64_t
target(const char *token)
{
    unsigned long long seed = 0;
    char how[16] = "";
    FILE *f = fopen(token, "r");

    if (f == NULL || fscanf(f, "%llu %15s", &seed, how) != 2)
        return UINT64_MAX;
    fclose(f);
    if (strcmp(how, "once") == 0 && unlink(token) < 0)
        return UINT64_MAX;
    chance_state = seed;
    if (strcmp(how, "always") == 0)
        chance_state += (uint64_t)getpid();
    return scaled(7);
}

static bool
one_answer(int from, uint64_t count, uint64_t at)
{
    uint8_t head[4];

    if (!read_all(from, head, 4))
        return false;
    len = get_be(head, 4);
    if (len > PACKET_MAX || !read_all(from, data, len))
        return false;
    if (endless && data[0] == STATUS && get_be(data + 5, 4) == 1 &&
        named < 40000000)
        return names_without_end();
    return count == at ? attack() : answer(data, len);
}

int
main(int argc, char **argv)
{
    int in[2], out[2];
    uint64_t at, count = 0;
    pid_t pid;

    if (argc != 4 || pipe(in) < 0 || pipe(out) < 0 ||
        (story = fopen(argv[3], "a")) == NULL)
        return 2;
    at = target(argv[2]);
    if ((pid = fork()) == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execl(argv[1], argv[1], "-P",
            "remove,rename,posix-rename,rmdir,setstat,fsetstat,symlink",
            (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct pollfd fd[2] = {
            {.fd = 0, .events = POLLIN}, {.fd = out[0], .events = POLLIN}};
        uint8_t p[65536];
        ssize_t n;

        if (poll(fd, 2, -1) < 0)
            break;
        if (fd[0].revents != 0 &&
            ((n = read(0, p, sizeof p)) <= 0 ||
                !write_all(in[1], p, (size_t)n)))
            break;
        if (fd[1].revents != 0 && !one_answer(out[0], count++, at))
            break;
    }
    kill(pid, SIGKILL);
    return 0;
}
