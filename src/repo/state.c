/*
 * state.c -- the files .state-NAME: written by who runs, read by status.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pitr/err.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/state.h"

#define FIRST_LINE "pitr-state 1\n"
#define STATE_MAX ((size_t)1 << 20)

struct state {
    struct buf text; /* lines end with a zero byte */
};

void
state_begin(struct buf *out)
{
    buf_reset(out);
    buf_str(out, FIRST_LINE);
}

void
state_put(struct buf *out, const char *key, const char *value)
{
    char *copy = xstrdup(value);

    for (char *p = copy; *p != '\0'; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    buf_fmt(out, "%s %s\n", key, copy);
    free(copy);
}

void
state_put_u64(struct buf *out, const char *key, uint64_t value)
{
    buf_fmt(out, "%s %" PRIu64 "\n", key, value);
}

static int
write_all(int fd, const struct buf *text)
{
    size_t at = 0;

    while (at < text->len) {
        ssize_t n = write(fd, text->data + at, text->len - at);

        if (n < 0 && errno != EINTR)
            return -1;
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

void
state_store(const char *repository, const char *name, const struct buf *text)
{
    char *path = xasprintf("%s/.state-%s", repository, name);
    char *tmp = xasprintf("%s.tmp", path);
    struct err_saved *e = err_take();
    int rc = -1,
        fd = open(
            tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd >= 0) {
        file_give(fd, tmp);
        rc = write_all(fd, text);
    }
    if (fd >= 0 && close(fd) < 0)
        rc = -1;
    if (rc == 0)
        rc = rename(tmp, path);
    if (rc < 0) {
        err_sys(ERR_FAILED, "cannot write %s", path);
        log_debug("%s", err_text());
        err_clear();
    }
    if (e != NULL)
        err_put(e);
    free(tmp);
    free(path);
}

struct state *
state_load(const char *repository, const char *name)
{
    char *path = xasprintf("%s/.state-%s", repository, name);
    struct state *s = xcalloc(1, sizeof *s);
    size_t n = strlen(FIRST_LINE);

    if (file_read_regular(path, STATE_MAX, &s->text) != 0 || s->text.len < n ||
        memcmp(s->text.data, FIRST_LINE, n) != 0) {
        err_clear();
        state_free(s);
        s = NULL;
    } else {
        for (size_t i = 0; i < s->text.len; i++)
            if (s->text.data[i] == '\n')
                s->text.data[i] = '\0';
        buf_u8(&s->text, 0);
    }
    free(path);
    return s;
}

void
state_free(struct state *s)
{
    if (s == NULL)
        return;
    buf_free(&s->text);
    free(s);
}

const char *
state_get(const struct state *s, const char *key)
{
    size_t n = strlen(key);
    const char *p, *end;

    if (s == NULL)
        return NULL;
    p = (const char *)s->text.data;
    for (end = p + s->text.len; p < end; p += strlen(p) + 1)
        if (strncmp(p, key, n) == 0 && p[n] == ' ')
            return p + n + 1;
    return NULL;
}

uint64_t
state_get_u64(const struct state *s, const char *key)
{
    const char *text = state_get(s, key);

    return text == NULL ? 0 : strtoull(text, NULL, 10);
}
