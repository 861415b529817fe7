/*
 * err.c -- the error of a thread, in fixed memory: setting it never fails and
 * a thread that ends leaves nothing to free.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/err.h"
#include "pitr/mem.h"

#define TEXT_MAX 4096

struct err_saved {
    enum err_kind kind;
    char text[TEXT_MAX];
    char hint[TEXT_MAX];
};

static _Thread_local struct err_saved err;

/* ": more" behind the text, as much of it as there is room for. */
static void
append(char text[TEXT_MAX], const char *more)
{
    size_t len = strlen(text), room = TEXT_MAX - 1 - len;
    size_t n = MIN(strlen(more), room > 2 ? room - 2 : 0);

    if (n == 0)
        return;
    memcpy(text + len, ": ", 2);
    memcpy(text + len + 2, more, n);
    text[len + 2 + n] = '\0';
}

/* Arguments may point into err itself, so the text is made beside it. */
static void
set_text(enum err_kind kind, const char *fmt, va_list ap, const char *why)
{
    char text[TEXT_MAX];

    vsnprintf(text, sizeof(text), fmt, ap);
    if (why != NULL)
        append(text, why);
    err.kind = kind;
    memcpy(err.text, text, sizeof(text));
    err.hint[0] = '\0';
}

int
err_set(enum err_kind kind, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_text(kind, fmt, ap, NULL);
    va_end(ap);
    return -1;
}

int
err_sys(enum err_kind kind, const char *fmt, ...)
{
    int saved = errno;
    char why[256];
    va_list ap;

    va_start(ap, fmt);
    set_text(kind, fmt, ap, strerror_r(saved, why, sizeof(why)));
    va_end(ap);
    errno = saved;
    return -1;
}

int
err_wrap(const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    append(text, err.text);
    memcpy(err.text, text, sizeof(text));
    if (err.kind == ERR_NONE)
        err.kind = ERR_FAILED;
    return -1;
}

int
err_hint(const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;

    if (err.hint[0] != '\0')
        return -1;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    memcpy(err.hint, text, sizeof(text));
    return -1;
}

int
err_rekind(enum err_kind kind)
{
    err.kind = kind;
    return -1;
}

void
err_clear(void)
{
    err.kind = ERR_NONE;
    err.text[0] = err.hint[0] = '\0';
}

enum err_kind
err_kind(void)
{
    return err.kind;
}

const char *
err_text(void)
{
    return err.text;
}

const char *
err_hint_text(void)
{
    return err.hint;
}

struct err_saved *
err_take(void)
{
    struct err_saved *saved;

    if (err.kind == ERR_NONE)
        return NULL;
    saved = xmemdup(&err, sizeof(err));
    err_clear();
    return saved;
}

int
err_put(struct err_saved *saved)
{
    if (saved == NULL) {
        err_clear();
        return -1;
    }
    err = *saved;
    free(saved);
    return -1;
}

void
err_saved_free(struct err_saved *saved)
{
    free(saved);
}
