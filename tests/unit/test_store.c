/*
 * store.h on a local directory: an object is there whole or not at all, is
 * written once, and a growing one can be read up to its last flush.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/store/names.h"
#include "pitr/err.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/store.h"

static char dir[64];
static struct store *st;

static int
set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pitr-test-store-XXXXXX");
    if (mkdtemp(dir) == NULL || chdir(dir) < 0)
        return -1;
    return (st = store_open_local(dir)) != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    store_close(st);
    return chdir("/") < 0 ? -1 : dir_remove(dir);
}

static void
put(const char *name, const char *text)
{
    struct sink *s = store_put(st, name, STORE_ATOMIC);

    assert_non_null(s);
    assert_int_equal(sink_write(s, text, strlen(text)), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
}

static void
assert_content(const char *name, uint64_t offset, const char *want)
{
    struct source *src = store_get_from(st, name, offset);
    struct buf b = {0};

    assert_non_null(src);
    assert_int_equal(source_slurp(src, 1 << 20, &b), 0);
    assert_string_equal(buf_cstr(&b), want);
    source_free(src);
    buf_free(&b);
}

/* The names of a listing, with commas. */
static void
assert_listed(const char *prefix, bool flat, const char *want)
{
    struct store_list l;
    struct buf b = {0};

    assert_int_equal(store_list(st, prefix, flat, &l), 0);
    for (size_t i = 0; i < l.n; i++)
        buf_fmt(&b, "%s%s", i > 0 ? "," : "", l.v[i].name);
    assert_string_equal(buf_cstr(&b), want);
    store_list_free(&l);
    buf_free(&b);
}

/* How many files there are in tmp/. */
static unsigned
leftovers(void)
{
    char *cmd = xasprintf("exit $(ls '%s/tmp' 2>/dev/null | wc -l)", dir);
    int status = system(cmd);

    free(cmd);
    assert_true(WIFEXITED(status));
    return (unsigned)WEXITSTATUS(status);
}

static void
test_open(void **state)
{
    (void)state;
    assert_null(store_open_local("/nonexistent/dir"));
    assert_int_equal(err_kind(), ERR_NOREPO);
    assert_string_equal(store_where(st), dir);
    store_close(NULL);
}

static void
test_names(void **state)
{
    static const struct {
        const char *name;
        bool ok;
    } rows[] = {{"a", true}, {"a/b", true}, {"A-z_0.9/x.y", true}, {"a.", true},
        {"a..b", true}, {"tmp2", true}, {"a/tmp/b", true}, {"", false},
        {"/a", false}, {"a/", false}, {"a//b", false}, {".", false},
        {"..", false}, {"../a", false}, {"a/../b", false}, {".a", false},
        {"a/.b", false}, {"a b", false}, {"a\nb", false}, {"a:b", false},
        {"\xC3\xA9", false}, {"tmp", false}, {"tmp/a", false}};
    char name[257];
    uint64_t size;

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        if (store_stat(st, rows[i].name, &size) != (rows[i].ok ? 0 : -1))
            fail_msg("'%s'", rows[i].name);
        if (rows[i].ok)
            continue;
        assert_null(store_put(st, rows[i].name, STORE_ATOMIC));
        assert_null(store_put(st, rows[i].name, STORE_GROWING));
        assert_null(store_get(st, rows[i].name));
        assert_int_equal(store_remove(st, rows[i].name), -1);
    }
    memset(name, 'n', 256);
    name[100] = '/';
    name[256] = '\0';
    assert_int_equal(store_stat(st, name, &size), -1);
    name[255] = '\0';
    assert_int_equal(store_stat(st, name, &size), 0);
    put(name, "long");
    assert_content(name, 0, "long");
}

static void
test_atomic(void **state)
{
    struct sink *s;
    struct stat info;
    uint64_t size = 0;

    (void)state;
    s = store_put(st, "backup/1/part", STORE_ATOMIC);
    assert_non_null(s);
    assert_int_equal(sink_write(s, "half", 4), 0);
    assert_listed("", false, "");
    assert_listed("", true, "");
    assert_int_equal(store_stat(st, "backup/1/part", &size), 0);
    assert_null(store_get(st, "backup/1/part"));
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_int_equal(leftovers(), 1);
    assert_int_equal(sink_write(s, " done", 5), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);

    assert_content("backup/1/part", 0, "half done");
    assert_content("backup/1/part", 5, "done");
    assert_content("backup/1/part", 9, "");
    assert_content("backup/1/part", 99, "");
    assert_int_equal(store_stat(st, "backup/1/part", &size), 1);
    assert_int_equal(size, 9);
    assert_int_equal(stat("backup/1/part", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0400);
    assert_int_equal(info.st_nlink, 1);
    assert_int_equal(stat("backup/1", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_int_equal(stat("tmp", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_int_equal(leftovers(), 0);
}

static void
test_unfinished(void **state)
{
    struct sink *s = store_put(st, "a", STORE_ATOMIC);
    char *block = xcalloc(1, 1 << 20);

    (void)state;
    assert_int_equal(sink_write(s, block, 1 << 20), 0);
    assert_int_equal(leftovers(), 1);
    sink_free(s);
    assert_int_equal(leftovers(), 0);
    assert_listed("", false, "");
    s = store_put(st, "a", STORE_ATOMIC);
    assert_int_equal(sink_flush(s), -1); /* not a growing one */
    assert_int_equal(sink_finish(s), -1);
    sink_free(s);
    assert_listed("", false, "");
    free(block);
}

static void
test_write_once(void **state)
{
    struct sink *one, *two;

    (void)state;
    put("a/b", "first");
    assert_null(store_put(st, "a/b", STORE_ATOMIC));
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_null(store_put(st, "a/b", STORE_GROWING));
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_content("a/b", 0, "first");

    /* Two at once: the one that finishes later loses. */
    one = store_put(st, "a/c", STORE_ATOMIC);
    two = store_put(st, "a/c", STORE_ATOMIC);
    assert_int_equal(sink_write(one, "one", 3), 0);
    assert_int_equal(sink_write(two, "two", 3), 0);
    assert_int_equal(sink_finish(two), 0);
    assert_int_equal(sink_finish(one), -1);
    sink_free(one);
    sink_free(two);
    assert_content("a/c", 0, "two");
    assert_int_equal(leftovers(), 0);
    /* A folder where an object should be, and the other way round. */
    assert_null(store_put(st, "a", STORE_ATOMIC));
    assert_null(store_put(st, "a", STORE_GROWING));
    one = store_put(st, "a/b/c", STORE_ATOMIC);
    if (one != NULL)
        assert_int_equal(sink_finish(one), -1);
    sink_free(one);
    assert_content("a/b", 0, "first");
    assert_int_equal(leftovers(), 0);
}

static void
test_growing(void **state)
{
    struct sink *s = store_put(st, "log/1", STORE_GROWING);
    struct source *src;
    char got[16];

    (void)state;
    assert_non_null(s);
    assert_listed("", false, "log/1");
    assert_content("log/1", 0, "");
    assert_int_equal(sink_write(s, "abc", 3), 0);
    assert_int_equal(sink_flush(s), 0);
    assert_content("log/1", 0, "abc");
    src = store_get(st, "log/1");
    assert_int_equal(source_read(src, got, sizeof(got)), 3);
    assert_int_equal(source_read(src, got, sizeof(got)), 0);
    assert_int_equal(sink_write(s, "def", 3), 0);
    assert_int_equal(sink_flush(s), 0);
    assert_int_equal(source_read(src, got, sizeof(got)), 3);
    assert_memory_equal(got, "def", 3);
    source_free(src);
    assert_null(store_put(st, "log/1", STORE_GROWING));
    assert_int_equal(sink_write(s, "ghi", 3), 0);
    sink_free(s); /* as far as it was written */
    assert_content("log/1", 0, "abcdefghi");

    s = store_put(st, "log/2", STORE_GROWING);
    assert_int_equal(sink_write(s, "x", 1), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    assert_content("log/2", 0, "x");
}

static void
test_large(void **state)
{
    size_t n = (20 << 20) + 12345, at = 0;
    uint8_t *p = xmalloc(n), *got = xmalloc(n);
    struct sink *s = store_put(st, "big", STORE_ATOMIC);
    struct source *src;
    uint64_t size;

    (void)state;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)((i >> 13) * 7 + i);
    /* Pieces of all sizes around that of the buffer. */
    for (size_t piece = 1; at < n; piece = piece * 3 + 1) {
        size_t take = MIN(piece % 700000 + 1, n - at);

        assert_int_equal(sink_write(s, p + at, take), 0);
        at += take;
    }
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    assert_int_equal(store_stat(st, "big", &size), 1);
    assert_int_equal(size, n);
    src = store_get_from(st, "big", 1);
    assert_int_equal(source_read_full(src, got, 3), 1);
    assert_int_equal(source_read_full(src, got + 3, n - 4), 1);
    assert_int_equal(source_read_full(src, got, 1), 0);
    source_free(src);
    src = store_get(st, "big");
    assert_int_equal(source_read_full(src, got, n), 1);
    assert_memory_equal(got, p, n);
    source_free(src);
    free(p);
    free(got);
}

static void
test_list(void **state)
{
    unsigned warned = log_warnings();

    (void)state;
    put("b/2/y", "");
    put("b/2/x", "");
    put("b/10/x", "");
    put("b/1.m", "");
    put("B", "");
    put("bb", "");
    put("a-b", "");
    put("a/c", "");
    assert_int_equal(file_create(".lock", 0600, "", 0), 0);
    assert_int_equal(file_create("b/note to all", 0600, "", 0), 0);
    assert_listed("", false, "B,a-b,a/c,b/1.m,b/10/x,b/2/x,b/2/y,bb");
    assert_listed("", true, "B,a-b,a/,b/,bb");
    assert_listed("b/", false, "b/1.m,b/10/x,b/2/x,b/2/y");
    assert_listed("b/", true, "b/1.m,b/10/,b/2/");
    assert_listed("b/2/", true, "b/2/x,b/2/y");
    assert_listed("c/", false, "");
    assert_listed("c/d/", true, "");
    assert_int_equal(log_warnings(), warned);
    for (size_t i = 0; i < 4; i++) {
        static const char *const bad[] = {"b", "/", "../", "tmp/"};
        struct store_list l;

        assert_int_equal(store_list(st, bad[i], false, &l), -1);
    }
}

static void
test_remove(void **state)
{
    uint64_t size;

    (void)state;
    put("a/b/c", "1");
    put("a/b/d", "2");
    put("a/e", "3");
    assert_int_equal(store_remove(st, "a/b/c"), 0);
    assert_int_equal(store_remove(st, "a/b/c"), 0);
    assert_int_equal(store_remove(st, "x/y/z"), 0);
    assert_int_equal(store_stat(st, "a/b/c", &size), 0);
    assert_listed("a/", true, "a/b/,a/e");
    assert_int_equal(store_remove(st, "a/b/d"), 0);
    assert_listed("a/", true, "a/e"); /* the folder went with its last */
    assert_int_equal(store_remove(st, "a/e"), 0);
    assert_listed("", true, "");
    put("a/b/c", "again");
    assert_content("a/b/c", 0, "again");
    assert_int_equal(store_remove(st, "a/b"), -1); /* not an object */
    assert_content("a/b/c", 0, "again");
}

/* On a vault others write into the directory: no way leads out of it. */
static void
test_links(void **state)
{
    char outside[] = "/tmp/pitr-test-outside-XXXXXX";
    char *path;
    unsigned warned = log_warnings();
    struct sink *s;
    uint64_t size;

    (void)state;
    assert_non_null(mkdtemp(outside));
    path = xasprintf("%s/secret", outside);
    assert_int_equal(file_create(path, 0600, "outside", 7), 0);
    assert_int_equal(symlink(outside, "folder"), 0);
    assert_int_equal(symlink(path, "file"), 0);
    assert_null(store_get(st, "file"));
    assert_null(store_get(st, "folder/secret"));
    assert_int_equal(store_stat(st, "file", &size), -1);
    assert_int_equal(store_stat(st, "folder/secret", &size), -1);
    assert_int_equal(store_remove(st, "folder/secret"), -1);
    assert_null(store_put(st, "folder/new", STORE_GROWING));
    s = store_put(st, "folder/new", STORE_ATOMIC);
    if (s != NULL)
        assert_int_equal(sink_finish(s), -1);
    sink_free(s);
    assert_listed("", false, "");
    assert_int_equal(log_warnings(), warned + 2);
    assert_int_equal(store_remove(st, "file"), 0); /* only the link */
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_null(store_get(st, "pipe"));
    assert_int_equal(dir_remove(outside), 0);
    free(path);
}

/* A limit on the size of a file stands for a disk that is full. */
static void
in_child_full(void)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    char *block = xcalloc(1, 3 << 20);
    struct sink *s, *g;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    s = store_put(st, "full", STORE_ATOMIC);
    g = store_put(st, "grown", STORE_GROWING);
    if (s == NULL || g == NULL || sink_write(s, block, 3 << 20) != -1 ||
        strstr(err_text(), "full") == NULL || sink_finish(s) != -1)
        _exit(1);
    if (sink_write(g, block, 3 << 20) != -1)
        _exit(2);
    sink_free(s);
    sink_free(g);
    _exit(0);
}

static void
test_full(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    if ((pid = fork()) == 0)
        in_child_full();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_listed("", false, "grown");
    assert_int_equal(leftovers(), 0);
}

static void
in_child_write(int ready)
{
    char *block = xcalloc(1, 1 << 20);
    struct sink *s = store_put(st, "killed/atomic", STORE_ATOMIC);
    struct sink *g = store_put(st, "killed/growing", STORE_GROWING);

    if (s == NULL || g == NULL || sink_write(s, block, 1 << 20) < 0 ||
        sink_write(g, "durable", 7) < 0 || sink_flush(g) < 0 ||
        sink_write(g, "not yet", 7) < 0 || write(ready, "x", 1) != 1)
        _exit(1);
    for (;;)
        sink_write(s, block, 1000);
}

/* kill -9 leaves nothing of an atomic object, and a growing one as flushed;
 * what is left in tmp/ goes when it is old. */
static void
test_killed(void **state)
{
    struct timeval old[2] = {{1000000000, 0}, {1000000000, 0}};
    int fds[2], status;
    char c;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    if ((pid = fork()) == 0)
        in_child_write(fds[1]);
    close(fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 1);
    close(fds[0]);
    assert_listed("", false, "killed/growing");
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_listed("", false, "killed/growing");
    assert_content("killed/growing", 0, "durable");
    put("killed/atomic", "second try");
    assert_content("killed/atomic", 0, "second try");

    assert_int_equal(leftovers(), 1);
    store_close(st);
    st = store_open_local(dir);
    put("next", ""); /* too young to go */
    assert_int_equal(leftovers(), 1);
    assert_int_equal(system("for f in tmp/*; do mv $f tmp/old; done"), 0);
    assert_int_equal(utimes("tmp/old", old), 0);
    store_close(st);
    st = store_open_local(dir);
    put("last", "");
    assert_int_equal(leftovers(), 0);
}

/* A writer that stands still for long keeps its temporary file. */
static void
test_slow_writer(void **state)
{
    struct timeval old[2] = {{1000000000, 0}, {1000000000, 0}};
    struct sink *s = store_put(st, "slow", STORE_ATOMIC);
    struct store *other = store_open_local(dir);
    struct sink *o;
    char *tmp;
    FILE *f = popen("ls tmp", "r");
    char name[100] = "";

    (void)state;
    assert_non_null(fgets(name, sizeof(name), f));
    pclose(f);
    name[strcspn(name, "\n")] = '\0';
    tmp = xasprintf("tmp/%s", name);
    assert_int_equal(utimes(tmp, old), 0);
    o = store_put(other, "other", STORE_ATOMIC);
    assert_int_equal(sink_finish(o), 0);
    sink_free(o);
    store_close(other);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    assert_listed("", false, "other,slow");
    free(tmp);
}

/* Writers and removers in one folder, which comes and goes. */
static int
churn(void *arg, unsigned index)
{
    (void)arg;
    for (int i = 0; i < 60; i++) {
        char *name = xasprintf("c/d/%u-%d", index, i);
        struct sink *s =
            store_put(st, name, index % 2 ? STORE_ATOMIC : STORE_GROWING);
        int rc = s != NULL && sink_write(s, "x", 1) == 0 ? sink_finish(s) : -1;

        sink_free(s);
        if (rc == 0)
            rc = store_remove(st, name);
        free(name);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static void
test_threads(void **state)
{
    (void)state;
    if (pool_join(pool_start(8, churn, NULL)) < 0)
        fail_msg("%s", err_text());
    assert_listed("", true, "");
    assert_int_equal(leftovers(), 0);
}

static int
as_bytes(const void *a, const void *b)
{
    const struct store_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* Names that are alike for long, that end within the others, that are the same:
 * in the order of strcmp(), each with what it had. */
static void
test_order(void **state)
{
    static const char *const part[] = {
        "", "binlog/0001-", "0", "9", "a", "\xff", "-", "0000000", "00000000"};
    struct store_entry v[700], want[NELEM(v)];

    (void)state;
    srand(7);
    for (unsigned round = 0; round < 60; round++) {
        size_t n = round < 3 ? round : (size_t)rand() % NELEM(v);
        const char *common = round % 2 ? "binlog/0001-000000" : "";

        for (size_t i = 0; i < n; i++) {
            v[i].name = xasprintf("%s%s%s%s%d", common,
                part[(size_t)rand() % NELEM(part)],
                part[(size_t)rand() % NELEM(part)],
                part[(size_t)rand() % NELEM(part)], rand() % 100);
            v[i].size = strlen(v[i].name);
        }
        memcpy(want, v, n * sizeof *v);
        qsort(want, n, sizeof *want, as_bytes);
        for (int again = 0; again < 2; again++) {
            names_sort(v, n, sizeof *v);
            for (size_t i = 0; i < n; i++) {
                assert_string_equal(v[i].name, want[i].name);
                assert_int_equal(v[i].size, strlen(v[i].name));
            }
        }
        for (size_t i = 0; i < n; i++)
            free(v[i].name);
    }
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_open),
        test(test_names),
        test(test_atomic),
        test(test_unfinished),
        test(test_write_once),
        test(test_growing),
        test(test_large),
        test(test_list),
        test(test_remove),
        test(test_links),
        test(test_full),
        test(test_killed),
        test(test_slow_writer),
        test(test_threads),
        cmocka_unit_test(test_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
