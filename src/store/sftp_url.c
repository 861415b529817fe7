/*
 * sftp_url.c -- sftp://[user@]host[:port]/path.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/buf.h"
#include "pitr/mem.h"
#include "sftp_url.h"

#define SCHEME "sftp://"

static const char a_password[] = "a password does not belong there; use a key";

static int
refuse(const char *text, const char *why)
{
    if (why == a_password) /* which is not shown */
        err_set(ERR_USAGE, "the address of a vault: %s", why);
    else
        err_set(ERR_USAGE, "'%.300s' is no address of a vault: %s", text, why);
    return err_hint("It looks like sftp://user@host/path or "
                    "sftp://user@host:2222/path; \"/~/\" at the start of the "
                    "path stands for the login directory.");
}

static int
hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* With %XX decoded; NULL where that is wrong or a control character. */
static char *
decode(const char *p, size_t n)
{
    struct buf b = {0};

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if (c == '%') {
            int hi = n - i > 2 ? hex(p[i + 1]) : -1;
            int lo = n - i > 2 ? hex(p[i + 2]) : -1;

            if (hi < 0 || lo < 0)
                goto bad;
            c = (unsigned char)(hi << 4 | lo);
            i += 2;
        }
        if (c < 0x20 || c == 0x7f)
            goto bad;
        buf_u8(&b, c);
    }
    if (b.len == 0)
        return xstrdup("");
    return buf_take(&b);

bad:
    buf_free(&b);
    return NULL;
}

static int
parse_port(const char *p, size_t n, unsigned *port)
{
    unsigned v = 0;

    if (n < 1 || n > 5)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = v * 10 + (unsigned)(p[i] - '0');
    }
    *port = v;
    return v >= 1 && v <= 65535 ? 0 : -1;
}

/* What ssh(1) would take for an option, or a shell for more than a word, is no
 * user and no host: both may end up in a ProxyCommand. */
static bool
word_ok(const char *s)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789._-";

    return s[0] != '\0' && s[0] != '-' && s[strspn(s, allowed)] == '\0';
}

static bool
address_ok(const char *s)
{
    static const char allowed[] = "0123456789abcdefABCDEF:.";
    size_t n = strspn(s, allowed);

    /* A zone: fe80::1%eth0, written %25eth0. */
    return n >= 2 && (s[n] == '\0' || (s[n] == '%' && word_ok(s + n + 1)));
}

/* host[:port], or [address][:port] */
static const char *
parse_host(const char *p, size_t n, struct sftp_url *u)
{
    bool brackets = n > 0 && p[0] == '[';
    const char *end = brackets ? memchr(p, ']', n) : memchr(p, ':', n);
    size_t len;

    if (brackets && end == NULL)
        return "the \"]\" is missing";
    if (end == NULL)
        end = p + n;
    len = (size_t)(end - p);
    u->host = brackets ? decode(p + 1, len - 1) : decode(p, len);
    if (u->host == NULL || !(brackets ? address_ok(u->host) : word_ok(u->host)))
        return "the host";
    len += brackets ? 1 : 0;
    if (len == n)
        return NULL;
    if (p[len] != ':' || parse_port(p + len + 1, n - len - 1, &u->port) < 0)
        return "the port (an IPv6 address belongs in brackets)";
    return NULL;
}

static const char *
parse_authority(const char *p, size_t n, struct sftp_url *u)
{
    const char *at = NULL;

    for (size_t i = 0; i < n; i++)
        if (p[i] == '@')
            at = p + i;
    if (at != NULL) {
        size_t len = (size_t)(at - p);

        if (memchr(p, ':', len) != NULL)
            return a_password;
        if ((u->user = decode(p, len)) == NULL || !word_ok(u->user))
            return "the user";
        n -= len + 1;
        p = at + 1;
    }
    return parse_host(p, n, u);
}

static const char *
parse_path(const char *p, struct sftp_url *u)
{
    size_t n;

    u->relative = strncmp(p, "/~/", 3) == 0 || strcmp(p, "/~") == 0;
    if (u->relative)
        p += p[2] == '/' ? 3 : 2;
    if ((u->path = decode(p, strlen(p))) == NULL)
        return "the path";
    n = strlen(u->path);
    while (n > (u->relative ? 0 : 1) && u->path[n - 1] == '/')
        u->path[--n] = '\0';
    return NULL;
}

/* So that it is read as the same again: a "%" is a "%" only if it is encoded.
 */
static void
encode(struct buf *b, const char *s)
{
    for (; *s != '\0'; s++)
        if (*s == '%')
            buf_str(b, "%25");
        else
            buf_u8(b, (uint8_t)*s);
}

static char *
show(const struct sftp_url *u)
{
    bool brackets = strchr(u->host, ':') != NULL;
    const char *path = u->path;
    struct buf b = {0};

    buf_str(&b, SCHEME);
    if (u->user != NULL)
        buf_fmt(&b, "%s@", u->user);
    buf_str(&b, brackets ? "[" : "");
    encode(&b, u->host);
    buf_str(&b, brackets ? "]" : "");
    if (u->port != 0)
        buf_fmt(&b, ":%u", u->port);
    buf_str(&b, u->relative ? "/~/" : "");
    /* A folder "~" in the root is not the login directory. */
    if (!u->relative && strncmp(path, "/~", 2) == 0 &&
        (path[2] == '/' || path[2] == '\0')) {
        buf_str(&b, "/%7e");
        path += 2;
    }
    encode(&b, path);
    return buf_take(&b);
}

int
sftp_url_parse(const char *text, struct sftp_url *out)
{
    struct sftp_url u = {0};
    const char *p = text + strlen(SCHEME), *slash, *why;

    *out = u;
    if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
        return refuse(text, "it does not start with " SCHEME);
    if ((slash = strchr(p, '/')) == NULL)
        return refuse(text, "the path is missing");
    if ((why = parse_authority(p, (size_t)(slash - p), &u)) != NULL ||
        (why = parse_path(slash, &u)) != NULL) {
        sftp_url_free(&u);
        return refuse(text, why);
    }
    u.shown = show(&u);
    *out = u;
    return 0;
}

void
sftp_url_free(struct sftp_url *u)
{
    free(u->user);
    free(u->host);
    free(u->path);
    free(u->shown);
    *u = (struct sftp_url){0};
}
