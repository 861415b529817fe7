/* io.h: reads that are short, streams that end early, sinks that failed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pitr/err.h"
#include "pitr/io.h"
#include "pitr/mem.h"

/* A source that gives a byte at a time, and fails after so many. */
struct drip {
    const char *p;
    size_t left, fail_after;
};

static long
drip_read(void *impl, void *p, size_t n)
{
    struct drip *d = impl;

    assert_true(n > 0);
    if (d->fail_after-- == 0)
        return err_set(ERR_UNREACHABLE, "line cut");
    if (d->left == 0)
        return 0;
    *(char *)p = *d->p++;
    d->left--;
    return 1;
}

static const struct source_ops drip_ops = {.read = drip_read, .free = free};

static struct source *
drip(const char *text, size_t fail_after)
{
    struct drip d = {text, strlen(text), fail_after};

    return source_new(&drip_ops, xmemdup(&d, sizeof(d)));
}

static void
test_read_full(void **state)
{
    struct source *s = drip("abcdefg", SIZE_MAX);
    char p[4];

    (void)state;
    err_clear();
    assert_int_equal(source_read_full(s, p, 4), 1);
    assert_memory_equal(p, "abcd", 4);
    assert_int_equal(source_read_full(s, p, 0), 1);
    assert_int_equal(source_read_full(s, p, 3), 1);
    assert_memory_equal(p, "efg", 3);
    assert_int_equal(source_read_full(s, p, 4), 0);
    assert_int_equal(err_kind(), ERR_NONE);
    source_free(s);

    s = drip("abcdef", SIZE_MAX);
    assert_int_equal(source_read_full(s, p, 4), 1);
    assert_int_equal(source_read_full(s, p, 4), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_int_equal(source_read(s, p, 1), -1); /* only freeing is allowed */
    source_free(s);

    s = drip("abcdef", 2);
    assert_int_equal(source_read_full(s, p, 4), -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    source_free(s);
    source_free(NULL);
}

static void
test_slurp(void **state)
{
    static const struct {
        const char *text;
        size_t max;
        int rc;
    } rows[] = {{"abc", 3, 0}, {"abc", 2, -1}, {"abc", SIZE_MAX, 0}, {"", 0, 0},
        {"a", 0, -1}};

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        for (int slow = 0; slow < 2; slow++) {
            struct buf b = {0};
            const char *text = rows[i].text;
            struct source *s = slow ? drip(text, SIZE_MAX)
                                    : source_of_memory(text, strlen(text));

            buf_str(&b, ">");
            assert_int_equal(source_slurp(s, rows[i].max, &b), rows[i].rc);
            if (rows[i].rc == 0) {
                assert_string_equal(buf_cstr(&b) + 1, text);
                assert_int_equal(b.data[0], '>');
            } else {
                assert_int_equal(err_kind(), ERR_VERIFY);
            }
            buf_free(&b);
            source_free(s);
        }
    }
}

static void
test_slurp_large(void **state)
{
    size_t n = 1000003;
    uint8_t *p = xmalloc(n);
    struct buf b = {0};
    struct source *s;

    (void)state;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 31);
    s = source_of_memory(p, n);
    assert_int_equal(source_slurp(s, n, &b), 0);
    assert_int_equal(b.len, n);
    assert_memory_equal(b.data, p, n);
    source_free(s);
    buf_free(&b);
    free(p);
}

/* Counts the calls of each kind, fails a write when told to. */
struct probe {
    int writes, finishes, frees;
    bool fail;
};

static int
probe_write(void *impl, const void *p, size_t n)
{
    struct probe *x = impl;

    (void)p;
    assert_true(n > 0);
    x->writes++;
    return x->fail ? err_set(ERR_FAILED, "disk full") : 0;
}

static int
probe_finish(void *impl)
{
    ((struct probe *)impl)->finishes++;
    return 0;
}

static void
probe_free(void *impl)
{
    ((struct probe *)impl)->frees++;
}

static const struct sink_ops probe_ops = {
    .write = probe_write, .finish = probe_finish, .free = probe_free};

/* What failed once can't be published by finishing it all the same. */
static void
test_failed_sink(void **state)
{
    struct probe x = {0};
    struct sink *s = sink_new(&probe_ops, &x);

    (void)state;
    err_clear();
    assert_ptr_equal(sink_impl(s), &x);
    assert_int_equal(sink_write(s, NULL, 0), 0);
    assert_int_equal(sink_write(s, "a", 1), 0);
    x.fail = true;
    assert_int_equal(sink_write(s, "a", 1), -1);
    x.fail = false;
    assert_int_equal(sink_write(s, "a", 1), -1);
    assert_int_equal(sink_finish(s), -1);
    assert_string_equal(err_text(), "disk full");
    assert_int_equal(x.writes, 2);
    assert_int_equal(x.finishes, 0);
    sink_free(s);
    assert_int_equal(x.frees, 1);

    s = sink_new(&probe_ops, &x);
    assert_int_equal(sink_flush(s), -1); /* has none */
    sink_free(s);
    s = sink_new(&probe_ops, &x);
    assert_int_equal(sink_finish(s), 0);
    err_clear();
    assert_int_equal(sink_finish(s), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_int_equal(x.finishes, 1);
    sink_free(s);
    sink_free(NULL);
}

static void
test_to_buf(void **state)
{
    struct buf b = {0};
    struct sink *s = sink_to_buf(&b);

    (void)state;
    assert_int_equal(sink_write(s, "ab", 2), 0);
    assert_int_equal(sink_flush(s), 0);
    assert_int_equal(sink_write(s, "c", 1), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    assert_string_equal(buf_cstr(&b), "abc");
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_full),
        cmocka_unit_test(test_slurp),
        cmocka_unit_test(test_slurp_large),
        cmocka_unit_test(test_failed_sink),
        cmocka_unit_test(test_to_buf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
