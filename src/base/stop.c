/*
 * stop.c -- signals that ask for an orderly end: a flag and a pipe.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"

static atomic_int asked_by; /* lock-free, so a handler may use it */
static int wake[2] = {-1, -1};

static void
on_signal(int sig)
{
    int saved = errno;
    int none = 0;

    if (!atomic_compare_exchange_strong(&asked_by, &none, sig)) {
        if (sig == SIGHUP)
            return;
        _exit(128 + sig);
    }
    if (wake[1] >= 0 && write(wake[1], "", 1) < 0)
        errno = 0; /* the flag is enough */
    errno = saved;
}

void
stop_setup(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;

    if (wake[0] < 0 && pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
        abort();
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < NELEM(signals); i++) {
        /* nohup, or a job in the background: leave it ignored. */
        if (signals[i] != SIGTERM && sigaction(signals[i], NULL, &old) == 0 &&
            old.sa_handler == SIG_IGN)
            continue;
        sigaction(signals[i], &act, NULL);
    }
    sigaction(SIGPIPE, &ignore, NULL);
    /* A file that may not grow further (ulimit -f) is an error like others. */
    sigaction(SIGXFSZ, &ignore, NULL);
}

bool
stop_asked(void)
{
    return atomic_load(&asked_by) != 0;
}

int
stop_signal(void)
{
    return atomic_load(&asked_by);
}

int
stop_error(void)
{
    const char *name = "a signal";

    switch (stop_signal()) {
    case SIGINT:
        name = "SIGINT";
        break;
    case SIGTERM:
        name = "SIGTERM";
        break;
    case SIGHUP:
        name = "SIGHUP";
        break;
    }
    return err_set(ERR_FAILED, "stopped by %s", name);
}

int
stop_fd(void)
{
    return wake[0];
}

bool
stop_sleep_us(uint64_t us)
{
    uint64_t now = time_mono_us(), end = now + us;
    struct pollfd pfd = {.fd = stop_fd(), .events = POLLIN};

    while (!stop_asked() && now < end) {
        uint64_t left = MIN(end - now, UINT64_C(3600000000));
        struct timespec ts = {.tv_sec = (time_t)(left / 1000000),
            .tv_nsec = (long)(left % 1000000) * 1000};

        ppoll(&pfd, 1, &ts, NULL);
        now = time_mono_us();
    }
    return stop_asked();
}
