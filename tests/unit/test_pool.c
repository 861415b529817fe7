/* pool.h and stop.h: whose error is reported, who is told to stop, signals. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pitr/err.h"
#include "pitr/pool.h"
#include "pitr/stop.h"
#include "pitr/times.h"

struct job {
    struct pool *pool;
    atomic_bool go;
    atomic_uint ran, order;
};

static int
count(void *arg, unsigned index)
{
    struct job *j = arg;

    assert_true(index < 16);
    atomic_fetch_or(&j->ran, 1u << index);
    return 0;
}

static void
test_all_run(void **state)
{
    struct job j = {0};
    struct pool *p = pool_start(16, count, &j);

    (void)state;
    assert_non_null(p);
    assert_int_equal(pool_join(p), 0);
    assert_int_equal(j.ran, 0xFFFF);
    assert_true(pool_cpus() >= 1);
}

/* Worker 2 fails first; the others fail later, as they are told to stop. */
static int
fail_in_turn(void *arg, unsigned index)
{
    struct job *j = arg;

    while (!atomic_load(&j->go))
        usleep(100);
    if (index == 2) {
        err_set(ERR_GAP, "worker 2");
        return err_hint("hint of 2");
    }
    while (!pool_stopping(j->pool))
        usleep(100);
    return err_set(ERR_KEY, "worker %u", index);
}

static void
test_first_error(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct job j = {0};

        err_clear();
        j.pool = pool_start(4, fail_in_turn, &j);
        assert_false(pool_stopping(j.pool));
        atomic_store(&j.go, true);
        assert_int_equal(pool_join(j.pool), -1);
        assert_int_equal(err_kind(), ERR_GAP);
        assert_string_equal(err_text(), "worker 2");
        assert_string_equal(err_hint_text(), "hint of 2");
    }
}

static int
fail_mutely(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    return -1;
}

static void
test_mute_error(void **state)
{
    (void)state;
    err_clear();
    assert_int_equal(pool_join(pool_start(1, fail_mutely, NULL)), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
}

/* Each thread's error is its own, also with the context put around it. */
static int
own_error(void *arg, unsigned index)
{
    struct job *j = arg;
    char want[64];

    for (int i = 0; i < 1000; i++) {
        err_set(ERR_FAILED, "%u/%d", index, i);
        err_wrap("outer");
        snprintf(want, sizeof(want), "outer: %u/%d", index, i);
        if (strcmp(err_text(), want) == 0)
            atomic_fetch_add(&j->ran, 1);
    }
    return 0;
}

static void
test_own_error(void **state)
{
    struct job j = {0};

    (void)state;
    err_set(ERR_LOCKED, "mine");
    assert_int_equal(pool_join(pool_start(8, own_error, &j)), 0);
    assert_int_equal(j.ran, 8000);
    assert_string_equal(err_text(), "mine");
    assert_int_equal(err_kind(), ERR_LOCKED);
}

static void
test_long_error(void **state)
{
    char text[6000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(ERR_FAILED, "%s", text);
    for (int i = 0; i < 100; i++)
        err_wrap("%s", err_text()); /* also its own text */
    assert_true(strlen(err_text()) < sizeof(text));
    err_hint("first");
    err_hint("second");
    assert_string_equal(err_hint_text(), "first");
}

static int
until_stopped(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    return stop_sleep_us(60000000) ? 0 : -1;
}

static void
in_child_second_signal(void)
{
    alarm(10);
    stop_setup();
    raise(SIGHUP);
    raise(SIGHUP); /* a terminal sends it more than once */
    if (stop_signal() != SIGHUP)
        _exit(1);
    raise(SIGTERM);
    _exit(2);
}

static void
test_second_signal(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0)
        in_child_second_signal();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
}

/* Last: there is no way back from a stop. */
static void
test_stop(void **state)
{
    struct pollfd pfd = {.events = POLLIN};
    struct pool *p;
    uint64_t start = time_mono_us();

    (void)state;
    stop_setup();
    assert_false(stop_sleep_us(1000));
    pfd.fd = stop_fd();
    assert_int_equal(poll(&pfd, 1, 0), 0);
    p = pool_start(3, until_stopped, NULL);
    usleep(20000);
    kill(getpid(), SIGTERM);
    assert_int_equal(pool_join(p), -1);
    assert_string_equal(err_text(), "stopped by SIGTERM");
    assert_true(time_mono_us() - start < 30000000);
    assert_true(stop_asked());
    assert_int_equal(stop_signal(), SIGTERM);
    assert_int_equal(poll(&pfd, 1, 0), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_run),
        cmocka_unit_test(test_first_error),
        cmocka_unit_test(test_mute_error),
        cmocka_unit_test(test_own_error),
        cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_second_signal),
        cmocka_unit_test(test_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
