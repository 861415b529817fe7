/* file.h and secret.h: durable files, directories, locks, private files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pitr/err.h"
#include "pitr/file.h"
#include "pitr/lock.h"
#include "pitr/mem.h"
#include "pitr/secret.h"

static char dir[] = "/tmp/pitr-test-file-XXXXXX";

static int
set_up(void **state)
{
    (void)state;
    umask(027); /* modes must not depend on it */
    return mkdtemp(dir) != NULL ? chdir(dir) : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    return chdir("/") < 0 ? -1 : dir_remove(dir);
}

static void
put(const char *path, const char *text, mode_t mode)
{
    unlink(path);
    assert_int_equal(file_create(path, mode, text, strlen(text)), 0);
}

static void
test_create_and_read(void **state)
{
    struct buf b = {0};
    struct stat st;
    char left[64];

    (void)state;
    assert_int_equal(file_create("a", 0664, "text", 4), 0);
    assert_int_equal(stat("a", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0664);
    assert_int_equal(st.st_nlink, 1); /* no temporary file is left */
    assert_int_equal(file_create("a", 0600, "other", 5), -1);
    /* One with our number in another container may be at work on it. */
    snprintf(left, sizeof left, "b.tmp-%ld", (long)getpid());
    assert_int_equal(symlink("elsewhere", left), 0);
    assert_int_equal(file_create("b", 0600, "text", 4), 0);
    assert_int_equal(lstat(left, &st), 0);
    assert_int_equal(file_create("no/such", 0600, "x", 1), -1);
    buf_str(&b, ">");
    assert_int_equal(file_read("a", 4, &b), 0);
    assert_string_equal(buf_cstr(&b), ">text");
    assert_int_equal(file_read("a", 3, &b), -1);
    assert_int_equal(file_read("absent", 3, &b), 1);
    buf_reset(&b);
    put("empty", "", 0600);
    assert_int_equal(file_read("empty", 0, &b), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(file_read("/", 10, &b), -1);
    buf_free(&b);
}

static void
test_private(void **state)
{
    static const struct {
        mode_t mode;
        int rc;
    } rows[] = {{0600, 0}, {0400, 0}, {0640, -1}, {0604, -1}, {0610, -1}};

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        put("key", "k", rows[i].mode);
        err_clear();
        assert_int_equal(file_check_private("key"), rows[i].rc);
        assert_int_equal(err_kind(), rows[i].rc < 0 ? ERR_KEY : ERR_NONE);
    }
    assert_int_equal(file_check_private("absent"), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    if (geteuid() != 0)
        return;
    put("key", "k", 0600);
    assert_int_equal(chown("key", 12345, 12345), 0);
    assert_int_equal(file_check_private("key"), -1);
    assert_int_equal(err_kind(), ERR_KEY);
}

static void
test_secret_file(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {{"pass word", "pass word"}, {"pass\n", "pass"},
        {"pass\r\nmore\n", "pass"}, {" \n", " "}, {"", NULL}, {"\n", NULL},
        {"\nsecond", NULL}};

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        struct secret *s;

        put("secret", rows[i].text, 0600);
        s = secret_from_file("secret");
        if (rows[i].want == NULL) {
            assert_null(s);
            assert_int_equal(err_kind(), ERR_KEY);
            continue;
        }
        assert_non_null(s);
        assert_int_equal(s->len, strlen(rows[i].want));
        assert_string_equal(s->p, rows[i].want);
        secret_free(s);
    }
    put("secret", "pass", 0644);
    assert_null(secret_from_file("secret"));
    assert_int_equal(err_kind(), ERR_KEY);
    secret_free(NULL);
}

static void
test_directories(void **state)
{
    struct stat st;
    char *path = xasprintf("%s/x/y//z/", dir);

    (void)state;
    assert_int_equal(dir_make(path, 0700), 0);
    assert_int_equal(dir_make(path, 0700), 0);
    assert_int_equal(stat("x/y/z", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(dir_make("r/s", 0700), 0);
    assert_int_equal(dir_sync("r/s"), 0);
    put("plain", "", 0600);
    assert_int_equal(dir_make("plain/below", 0700), -1);
    assert_int_equal(dir_make("plain", 0700), -1);

    /* A link is removed, not what it leads to. */
    put("x/y/f", "f", 0600);
    put("r/kept", "k", 0600);
    assert_int_equal(symlink("../../r", "x/y/link"), 0);
    assert_int_equal(dir_remove("x"), 0);
    assert_int_equal(access("x", F_OK), -1);
    assert_int_equal(access("r/kept", F_OK), 0);
    assert_int_equal(dir_remove("x"), 0);
    free(path);
}

static void
test_lock(void **state)
{
    struct lock *l = lock_take("lock", "backup of db1"), *second;
    char want[64];

    (void)state;
    assert_non_null(l);
    second = lock_take("lock", "stream");
    assert_null(second);
    assert_int_equal(err_kind(), ERR_LOCKED);
    snprintf(want, sizeof(want), "process %ld (backup of db1)", (long)getpid());
    assert_non_null(strstr(err_text(), want));
    lock_free(l);
    l = lock_take("lock", "stream");
    assert_non_null(l);
    assert_int_equal(lock_is_held("lock"), 1);
    lock_free(l);
    assert_int_equal(lock_is_held("lock"), 0);
    assert_int_equal(lock_is_held("there-is-no-such-lock"), 0);
    lock_free(NULL);
    assert_null(lock_take("no/such/lock", "x"));
    assert_int_equal(err_kind(), ERR_FAILED);
}

/* Many readers, or one who takes it. */
static void
test_lock_shared(void **state)
{
    struct lock *a, *b, *c;
    struct stat st;

    (void)state;
    assert_int_equal(lock_share("shared", "restore", &a), 0);
    assert_int_equal(lock_share("shared", "restore", &b), 0);
    assert_non_null(b);
    assert_null(lock_take("shared", "expire"));
    assert_int_equal(err_kind(), ERR_LOCKED);
    assert_non_null(strstr(err_text(), "(restore)"));
    lock_free(a);
    assert_null(lock_take("shared", "expire"));
    lock_free(b);
    c = lock_take("shared", "expire");
    assert_non_null(c);
    assert_int_equal(lock_share("shared", "restore", &a), -1);
    assert_int_equal(err_kind(), ERR_LOCKED);
    assert_null(a);
    lock_free(c);
    /* What is no file of ours keeps nobody from reading. */
    assert_int_equal(lock_share("no/such/lock", "x", &a), 1);
    assert_null(a);
    assert_int_equal(symlink("shared", "a-link"), 0);
    assert_int_equal(lock_share("a-link", "x", &a), 1);
    assert_int_equal(mkdir("a-folder", 0700), 0);
    assert_int_equal(lock_share("a-folder", "x", &a), 0);
    lock_free(a);
    if (geteuid() != 0)
        return;
    /* Another account makes no file that its owner could not open. */
    assert_int_equal(mkdir("open", 0777), 0);
    assert_int_equal(chmod("open", 0777), 0);
    assert_int_equal(chmod(".", 0711), 0);
    assert_int_equal(seteuid(65534), 0);
    assert_int_equal(lock_share("open/lock", "x", &a), 1);
    assert_int_equal(lock_share("shared", "x", &b), 1);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(access("open/lock", F_OK), -1);
    /* Root leaves the file to the account whose folder it is. */
    assert_int_equal(mkdir("theirs", 0700), 0);
    assert_int_equal(chown("theirs", 7, 7), 0);
    assert_int_equal(lock_share("theirs/lock", "restore", &a), 0);
    lock_free(a);
    assert_int_equal(stat("theirs/lock", &st), 0);
    assert_int_equal(st.st_uid, 7);
    lock_free(lock_take("theirs/taken", "backup"));
    assert_int_equal(stat("theirs/taken", &st), 0);
    assert_int_equal(st.st_uid, 7);
}

/* A process that takes the lock; then it waits to be killed, or for a moment,
 * and removes the file. */
static pid_t
child_with_lock(const char *path, bool removes)
{
    int fds[2];
    pid_t pid;
    char c;

    assert_int_equal(pipe(fds), 0);
    if ((pid = fork()) == 0) {
        if (lock_take(path, "child") == NULL || write(fds[1], "x", 1) != 1)
            _exit(1);
        if (!removes)
            pause();
        usleep(50000);
        _exit(unlink(path) < 0);
    }
    assert_int_equal(read(fds[0], &c, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return pid;
}

/* The lock of a process that was killed is free at once. */
static void
test_lock_of_the_dead(void **state)
{
    pid_t pid = child_with_lock("lock", false);
    struct lock *l;

    (void)state;
    assert_null(lock_take("lock", "parent"));
    assert_non_null(strstr(err_text(), "(child)"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    l = lock_take("lock", "parent");
    assert_non_null(l);
    lock_free(l);
}

/* Its holder removes it at last: who waits for it has the one after it. */
static void
test_lock_removed(void **state)
{
    pid_t pid = child_with_lock("once", true);
    struct lock *l;

    (void)state;
    assert_non_null(l = lock_take("once", "parent"));
    assert_int_equal(lock_is_held("once"), 1);
    lock_free(l);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_and_read),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_secret_file),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_lock_shared),
        cmocka_unit_test(test_lock_of_the_dead),
        cmocka_unit_test(test_lock_removed),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
