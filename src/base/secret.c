/*
 * secret.c -- secrets in locked memory, from a file or from the terminal.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>

#include "pitr/err.h"
#include "pitr/file.h"
#include "pitr/mem.h"
#include "pitr/secret.h"
#include "pitr/stop.h"

#define LINE_BYTES 4096

static struct secret *
secret_alloc(size_t n)
{
    struct secret *s = xcalloc(1, sizeof(*s));

    if (sodium_init() < 0 || (s->p = sodium_malloc(n + 1)) == NULL)
        abort();
    s->p[n] = '\0';
    s->len = n;
    return s;
}

struct secret *
secret_new(const void *p, size_t n)
{
    struct secret *s = secret_alloc(n);

    if (n > 0)
        memcpy(s->p, p, n);
    return s;
}

void
secret_free(struct secret *s)
{
    if (s == NULL)
        return;
    sodium_free(s->p); /* wipes */
    free(s);
}

void
secret_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}

/*
 * The first line of fd.  One byte at a time, since what follows on a terminal
 * is not ours.  NULL with err set.
 */
static struct secret *
read_line(int fd, const char *name)
{
    struct secret *line = secret_alloc(LINE_BYTES), *s = NULL;
    struct pollfd pfd[2] = {
        {.fd = fd, .events = POLLIN}, {.fd = stop_fd(), .events = POLLIN}};
    size_t n = 0;
    ssize_t got;
    char c = '\0';

    for (;;) {
        if (poll(pfd, 2, -1) < 0 && errno != EINTR)
            break;
        if (stop_asked()) {
            stop_error();
            goto out;
        }
        if (pfd[0].revents == 0)
            continue;
        if ((got = read(fd, &c, 1)) < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            err_sys(ERR_KEY, "cannot read %s", name);
            goto out;
        }
        if (got == 0 || c == '\n')
            break;
        if (n == LINE_BYTES) {
            err_set(ERR_KEY, "%s: first line longer than %d bytes", name,
                LINE_BYTES);
            goto out;
        }
        line->p[n++] = c;
    }
    if (n > 0 && line->p[n - 1] == '\r')
        n--;
    if (n == 0)
        err_set(ERR_KEY, "%s: empty", name);
    else
        s = secret_new(line->p, n);

out:
    secret_wipe(&c, 1);
    secret_free(line);
    return s;
}

struct secret *
secret_from_file(const char *path)
{
    struct secret *s = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        err_sys(ERR_KEY, "cannot open %s", path);
        return NULL;
    }
    if (file_check_private_fd(fd, path) == 0)
        s = read_line(fd, path);
    close(fd);
    return s;
}

static struct secret *
ask_once(int tty, const char *prompt)
{
    struct termios old, quiet;
    struct secret *s;

    if (tcgetattr(tty, &old) < 0) {
        err_sys(ERR_KEY, "cannot turn off the terminal's echo");
        return NULL;
    }
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    quiet.c_lflag |= ICANON | ISIG;
    if (tcsetattr(tty, TCSAFLUSH, &quiet) < 0) {
        err_sys(ERR_KEY, "cannot turn off the terminal's echo");
        return NULL;
    }
    (void)!write(tty, prompt, strlen(prompt));
    s = read_line(tty, "terminal");
    (void)!write(tty, "\n", 1);
    tcsetattr(tty, TCSAFLUSH, &old);
    return s;
}

struct secret *
secret_ask(const char *prompt, int confirm)
{
    struct secret *s = NULL, *again = NULL;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (tty < 0) {
        err_sys(ERR_KEY, "no terminal to ask on");
        err_hint("Name a file with the passphrase: --passphrase-file FILE.");
        return NULL;
    }
    if ((s = ask_once(tty, prompt)) == NULL || !confirm)
        goto out;
    again = ask_once(tty, "The same again: ");
    if (again != NULL && s->len == again->len &&
        sodium_memcmp(s->p, again->p, s->len) == 0)
        goto out;
    if (again != NULL) {
        err_set(ERR_KEY, "the two entries differ");
        err_hint("nothing was changed: run it again");
    }
    secret_free(s);
    s = NULL;

out:
    secret_free(again);
    close(tty);
    return s;
}
