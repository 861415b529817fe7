/*
 * progress.c -- a bar on a terminal, a line every half minute in a log, drawn
 * by a thread of its own so that workers only add to counters.
 *
 * Locks: log.c calls the hooks with its lock held, and these take ours; so
 * nothing here logs with our lock held.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "pitr/buf.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/progress.h"
#include "pitr/times.h"

#define BAR_US UINT64_C(200000)
#define LINE_US UINT64_C(30000000)
#define BAR_CELLS 20

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, ending, on_tty;
    bool drawn; /* a bar is on the screen */
    char *what, *note;
    uint64_t total, start_us;
    uint64_t last_us, last_bytes; /* at the last look */
    double rate;                  /* bytes a second, smoothed */
} pg = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_uint_least64_t rows_done, bytes_done;

static void
put(const void *p, size_t n)
{
    (void)!write(STDERR_FILENO, p, n);
}

static void
erase(void)
{
    if (pg.drawn)
        put("\r\033[K", 4);
    pg.drawn = false;
}

/* Half of what is known is forgotten in about five seconds. */
static void
look(void)
{
    uint64_t now = time_mono_us(), bytes = atomic_load(&bytes_done);
    double dt = (double)(now - pg.last_us) / 1e6, w, r;

    if (dt < 0.05)
        return;
    r = (double)(bytes - pg.last_bytes) / dt;
    w = dt / (dt + 7);
    pg.rate = pg.last_us == pg.start_us ? r : pg.rate * (1 - w) + r * w;
    pg.last_us = now;
    pg.last_bytes = bytes;
}

static void
add_figures(struct buf *b)
{
    uint64_t bytes = atomic_load(&bytes_done), rows = atomic_load(&rows_done);
    char text[TIME_TEXT];

    if (pg.total > 0)
        buf_fmt(b, "%u%%  ",
            (unsigned)MIN((double)bytes * 100 / (double)pg.total, 99));
    buf_str(b, size_text(bytes, text));
    if (pg.total > bytes)
        buf_fmt(b, " of %s", size_text(pg.total, text));
    buf_fmt(b, "  %s/s", size_text((uint64_t)pg.rate, text));
    if (pg.total > bytes && pg.rate > 1) {
        double left_s = (double)(pg.total - bytes) / pg.rate;

        buf_fmt(b, "  %s left",
            time_span((uint64_t)(MIN(left_s, 1e9) * 1e6), text));
    }
    if (rows > 0)
        buf_fmt(b, "  %" PRIu64 " rows", rows);
    if (pg.note != NULL)
        buf_fmt(b, "  %s", pg.note);
}

static void
add_bar(struct buf *b)
{
    uint64_t bytes = atomic_load(&bytes_done);
    unsigned full;

    if (pg.total == 0)
        return;
    full =
        (unsigned)MIN((double)bytes * BAR_CELLS / (double)pg.total, BAR_CELLS);
    buf_u8(b, '[');
    for (unsigned i = 0; i < BAR_CELLS; i++)
        buf_u8(b, i < full ? '=' : i == full ? '>' : ' ');
    buf_str(b, "] ");
}

/* Cut to the width of the terminal, by characters and not within one. */
static size_t
fit(const uint8_t *p, size_t n)
{
    struct winsize ws = {0};
    size_t width = 80, i;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
        width = ws.ws_col;
    for (i = 0; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80 && width-- == 1)
            break;
    }
    return i;
}

static void
draw(void)
{
    struct buf b = {0}, line = {0};

    buf_fmt(&b, "%s ", pg.what);
    add_bar(&b);
    add_figures(&b);
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] < 0x20 || b.data[i] == 0x7F)
            b.data[i] = '?';
    }
    buf_str(&line, "\r");
    buf_add(&line, b.data, fit(b.data, b.len));
    buf_str(&line, "\033[K");
    put(line.data, line.len);
    pg.drawn = true;
    buf_free(&b);
    buf_free(&line);
}

/* Around a log line: the bar goes, and comes back below it. */
static void
before_line(void)
{
    pthread_mutex_lock(&pg.lock);
    erase();
}

static void
after_line(void)
{
    draw();
    pthread_mutex_unlock(&pg.lock);
}

static void
wait_us(uint64_t us)
{
    uint64_t until = time_mono_us() + us;
    struct timespec ts = {.tv_sec = (time_t)(until / 1000000),
        .tv_nsec = (long)(until % 1000000) * 1000};

    while (!pg.ending &&
        pthread_cond_timedwait(&pg.wake, &pg.lock, &ts) != ETIMEDOUT)
        continue;
}

static void *
ticker(void *unused)
{
    struct buf b = {0};

    (void)unused;
    pthread_mutex_lock(&pg.lock);
    while (!pg.ending) {
        wait_us(pg.on_tty ? BAR_US : LINE_US);
        if (pg.ending)
            break;
        look();
        if (pg.on_tty) {
            draw();
            continue;
        }
        buf_reset(&b);
        buf_fmt(&b, "%s: ", pg.what);
        add_figures(&b);
        pthread_mutex_unlock(&pg.lock);
        log_info("%s", buf_cstr(&b));
        pthread_mutex_lock(&pg.lock);
    }
    pthread_mutex_unlock(&pg.lock);
    buf_free(&b);
    return NULL;
}

void
progress_start(const char *what, uint64_t total_bytes)
{
    pthread_condattr_t attr;

    progress_stop();
    atomic_store(&rows_done, 0);
    atomic_store(&bytes_done, 0);
    if (log_quiet())
        return;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pg.wake, &attr);
    pthread_condattr_destroy(&attr);
    pg.on_tty = isatty(STDERR_FILENO) == 1;
    pg.what = xstrdup(what);
    pg.total = total_bytes;
    pg.start_us = pg.last_us = time_mono_us();
    pg.last_bytes = 0;
    pg.rate = 0;
    pg.ending = false;
    pg.running = true;
    if (pthread_create(&pg.thread, NULL, ticker, NULL) != 0) {
        pg.running = false; /* the work matters, not the bar */
        pthread_cond_destroy(&pg.wake);
        free(pg.what);
        pg.what = NULL;
        return;
    }
    if (pg.on_tty)
        log_set_hooks(before_line, after_line);
}

void
progress_add(uint64_t rows, uint64_t bytes)
{
    atomic_fetch_add_explicit(&rows_done, rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&bytes_done, bytes, memory_order_relaxed);
}

void
progress_note(const char *what)
{
    pthread_mutex_lock(&pg.lock);
    if (pg.running) {
        free(pg.note);
        pg.note = xstrdup(what);
    }
    pthread_mutex_unlock(&pg.lock);
}

void
progress_stop(void)
{
    if (!pg.running)
        return;
    pthread_mutex_lock(&pg.lock);
    pg.ending = true;
    pthread_cond_signal(&pg.wake);
    pthread_mutex_unlock(&pg.lock);
    pthread_join(pg.thread, NULL);
    log_set_hooks(NULL, NULL);

    pthread_mutex_lock(&pg.lock);
    erase();
    pg.running = false;
    free(pg.what);
    free(pg.note);
    pg.what = pg.note = NULL;
    pthread_mutex_unlock(&pg.lock);
    pthread_cond_destroy(&pg.wake);
}
