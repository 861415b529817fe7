/*
 * log.c -- lines for people, on standard error, each in one piece.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pitr/buf.h"
#include "pitr/log.h"
#include "pitr/utf8.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int level = LOG_NORMAL;
static atomic_uint warnings;
static void (*hook_before)(void);
static void (*hook_after)(void);

void
log_setup(enum log_level new_level)
{
    atomic_store(&level, (int)new_level);
}

bool
log_quiet(void)
{
    return atomic_load(&level) == LOG_QUIET;
}

void
log_set_hooks(void (*before)(void), void (*after)(void))
{
    pthread_mutex_lock(&lock);
    hook_before = before;
    hook_after = after;
    pthread_mutex_unlock(&lock);
}

static void
add_stamp(struct buf *line)
{
    char text[32];
    time_t now = time(NULL);
    struct tm tm;

    if (gmtime_r(&now, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ ", &tm) == 0)
        return;
    buf_str(line, text);
}

static void
write_all(const uint8_t *p, size_t n)
{
    ssize_t done;

    while (n > 0) {
        if ((done = write(STDERR_FILENO, p, n)) < 0) {
            if (errno == EINTR)
                continue;
            return; /* there is nowhere left to say it */
        }
        p += done;
        n -= (size_t)done;
    }
}

static void
emit(const char *prefix, const char *fmt, va_list ap)
{
    struct buf line = {0};
    va_list again;
    int n;

    va_copy(again, ap);
    if ((n = vsnprintf(NULL, 0, fmt, again)) < 0)
        n = 0;
    va_end(again);

    if (!isatty(STDERR_FILENO))
        add_stamp(&line);
    buf_str(&line, prefix);
    buf_reserve(&line, (size_t)n + 2);
    vsnprintf((char *)line.data + line.len, (size_t)n + 1, fmt, ap);
    utf8_harmless(line.data + line.len, (size_t)n);
    line.len += (size_t)n;
    buf_u8(&line, '\n');

    pthread_mutex_lock(&lock);
    if (hook_before != NULL)
        hook_before();
    write_all(line.data, line.len);
    if (hook_after != NULL)
        hook_after();
    pthread_mutex_unlock(&lock);
    buf_free(&line);
}

void
log_info(const char *fmt, ...)
{
    va_list ap;

    if (atomic_load(&level) < LOG_NORMAL)
        return;
    va_start(ap, fmt);
    emit("", fmt, ap);
    va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
    va_list ap;

    if (atomic_load(&level) < LOG_VERBOSE)
        return;
    va_start(ap, fmt);
    emit("", fmt, ap);
    va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
    va_list ap;

    atomic_fetch_add(&warnings, 1);
    va_start(ap, fmt);
    emit("warning: ", fmt, ap);
    va_end(ap);
}

void
log_warn_again(const char *fmt, ...)
{
    va_list ap;

    atomic_fetch_add(&warnings, 1);
    if (atomic_load(&level) < LOG_NORMAL)
        return;
    va_start(ap, fmt);
    emit("warning: ", fmt, ap);
    va_end(ap);
}

unsigned
log_warnings(void)
{
    return atomic_load(&warnings);
}
