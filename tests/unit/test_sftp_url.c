/*
 * The address of a vault, and the names and the order of an object's files:
 * both pure, both of what comes from outside.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../src/store/extents.h"
#include "../../src/store/sftp_url.h"
#include "pitr/err.h"
#include "pitr/mem.h"

static void
urls_that_are(void **state)
{
    static const struct {
        const char *text, *user, *host;
        unsigned port;
        const char *path;
        bool relative;
        const char *shown;
    } t[] = {
        {"sftp://h/p", NULL, "h", 0, "/p", false, "sftp://h/p"},
        {"sftp://u@h/p/q/", "u", "h", 0, "/p/q", false, "sftp://u@h/p/q"},
        {"sftp://u-1@h.example:2222/", "u-1", "h.example", 2222, "/", false,
            "sftp://u-1@h.example:2222/"},
        {"sftp://u@[2001:db8::1]/p", "u", "2001:db8::1", 0, "/p", false,
            "sftp://u@[2001:db8::1]/p"},
        {"sftp://[::1]:22/p", NULL, "::1", 22, "/p", false,
            "sftp://[::1]:22/p"},
        {"sftp://[fe80::1%25eth0]/p", NULL, "fe80::1%eth0", 0, "/p", false,
            "sftp://[fe80::1%25eth0]/p"},
        {"sftp://h/50%25", NULL, "h", 0, "/50%", false, "sftp://h/50%25"},
        {"sftp://h/%7E/p", NULL, "h", 0, "/~/p", false, "sftp://h/%7e/p"},
        {"sftp://h/~a", NULL, "h", 0, "/~a", false, "sftp://h/~a"},
        {"sftp://h/~/p", NULL, "h", 0, "p", true, "sftp://h/~/p"},
        {"sftp://h/~", NULL, "h", 0, "", true, "sftp://h/~/"},
        {"sftp://h/~/", NULL, "h", 0, "", true, "sftp://h/~/"},
        {"sftp://h//p", NULL, "h", 0, "//p", false, "sftp://h//p"},
        {"sftp://h/a%20b%2Fc", NULL, "h", 0, "/a b/c", false, "sftp://h/a b/c"},
        {"sftp://h/a@b:c", NULL, "h", 0, "/a@b:c", false, "sftp://h/a@b:c"},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(t); i++) {
        struct sftp_url u, again;

        assert_int_equal(sftp_url_parse(t[i].text, &u), 0);
        if (t[i].user == NULL)
            assert_null(u.user);
        else
            assert_string_equal(u.user, t[i].user);
        assert_string_equal(u.host, t[i].host);
        assert_int_equal(u.port, t[i].port);
        assert_string_equal(u.path, t[i].path);
        assert_int_equal(u.relative, t[i].relative);
        assert_string_equal(u.shown, t[i].shown);
        assert_int_equal(sftp_url_parse(u.shown, &again), 0);
        assert_string_equal(again.path, t[i].path);
        assert_int_equal(again.relative, t[i].relative);
        assert_string_equal(again.shown, t[i].shown);
        sftp_url_free(&again);
        sftp_url_free(&u);
    }
}

static void
urls_that_are_not(void **state)
{
    static const char *const t[] = {"", "sftp:", "sftp://", "sftp://h",
        "sftp:///p", "ssh://h/p", "sftp://u@/p", "sftp://@h/p",
        "sftp://u:secret@h/p", "sftp://h:/p", "sftp://h:0/p",
        "sftp://h:65536/p", "sftp://h:22x/p", "sftp://2001:db8::1/p",
        "sftp://[::1/p", "sftp://[::1]22/p", "sftp://[]/p", "sftp://[x]/p",
        "sftp://h/%", "sftp://h/%4", "sftp://h/%zz", "sftp://h/%00",
        "sftp://h/a%0ab", "sftp://h/a\nb",
        /* nothing that a shell or ssh could take for more than a word */
        "sftp://-oProxyCommand=x/p", "sftp://-u@h/p", "sftp://h;x/p",
        "sftp://$(x)/p", "sftp://u%20x@h/p", "sftp://h%27/p",
        "sftp://[::1%25;x]/p"};

    (void)state;
    for (size_t i = 0; i < NELEM(t); i++) {
        struct sftp_url u;

        err_clear();
        assert_int_equal(sftp_url_parse(t[i], &u), -1);
        assert_int_equal(err_kind(), ERR_USAGE);
        assert_null(strstr(err_text(), "secret"));
        assert_null(u.host);
    }
}

static void
names_of_extents(void **state)
{
    static const struct {
        const char *file;
        bool ok;
        size_t bytes;
        struct extent e;
    } t[] = {
        {"a", true, 1, {.plain = true}},
        {"part-1.x", true, 8, {.plain = true}},
        {"a+00000000000000000000", true, 1, {.offset = 0}},
        {"a+00000000000000004096", true, 1, {.offset = 4096}},
        {"a+00000000000000004096.1", true, 1, {.offset = 4096, .attempt = 1}},
        {"a+00000000000000004096.999", true, 1,
            {.offset = 4096, .attempt = 999}},
        {"a+09223372036854775807", true, 1, {.offset = INT64_MAX}},
        {"", false, 0, {0}},
        {"+00000000000000004096", false, 0, {0}},
        {"a+", false, 0, {0}},
        {"a+1", false, 0, {0}},
        {"a+0000000000000000409", false, 0, {0}},
        {"a+000000000000000040960", false, 0, {0}},
        {"a+0000000000000000409x", false, 0, {0}},
        {"a+ 0000000000000004096", false, 0, {0}},
        {"a+09223372036854775808", false, 0, {0}},
        {"a+99999999999999999999", false, 0, {0}},
        {"a+00000000000000004096.", false, 0, {0}},
        {"a+00000000000000004096.0", false, 0, {0}},
        {"a+00000000000000004096.01", false, 0, {0}},
        {"a+00000000000000004096.1000", false, 0, {0}},
        {"a+00000000000000004096+1", false, 0, {0}},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(t); i++) {
        struct extent e = {0};
        size_t bytes;
        char *back;

        assert_int_equal(extent_parse(t[i].file, &bytes, &e), t[i].ok);
        if (!t[i].ok)
            continue;
        assert_int_equal(bytes, t[i].bytes);
        assert_int_equal(e.offset, t[i].e.offset);
        assert_int_equal(e.attempt, t[i].e.attempt);
        assert_int_equal(e.plain, t[i].e.plain);
        back = extent_name(t[i].bytes == 1 ? "a" : "part-1.x", &e);
        assert_string_equal(back, t[i].file);
        free(back);
    }
}

/* "OFFSET SIZE [attempt]"; the first with attempt -1 is the plain one. */
struct file {
    uint64_t offset, size;
    int attempt;
};

/* Which file gives each byte, as letters in the order of the table. */
static char *
map(const struct file *f, size_t n)
{
    struct extents x = {0};
    struct pieces p;
    char *out;
    uint64_t at = 0;

    for (size_t i = n; i-- > 0;) { /* unsorted */
        struct extent e = {.offset = f[i].offset,
            .size = f[i].size,
            .plain = f[i].attempt < 0,
            .attempt = f[i].attempt < 0 ? 0 : (unsigned)f[i].attempt};

        extents_add(&x, &e);
    }
    extents_sort(&x);
    extents_pieces(&x, &p);
    out = xcalloc(p.size + 1, 1);
    for (size_t i = 0; i < p.n; i++) {
        assert_int_equal(p.v[i].start, at);
        assert_true(p.v[i].end > at);
        for (; at < p.v[i].end; at++)
            for (size_t j = 0; j < n; j++)
                if (p.v[i].from.offset == f[j].offset &&
                    p.v[i].from.size == f[j].size &&
                    p.v[i].from.plain == (f[j].attempt < 0))
                    out[at] = (char)('a' + j);
    }
    assert_int_equal(at, p.size);
    extents_free(&x);
    pieces_free(&p);
    return out;
}

static void
what_counts_where(void **state)
{
    static const struct {
        struct file f[5];
        size_t n;
        const char *want;
    } t[] = {
        {{{0}}, 0, ""},
        {{{0, 0, -1}}, 1, ""},
        {{{0, 3, -1}}, 1, "aaa"},
        {{{0, 3, -1}, {3, 2, 0}}, 2, "aaabb"},
        {{{0, 3, -1}, {2, 3, 0}}, 2, "aabbb"},
        {{{0, 3, -1}, {0, 2, 0}}, 2, "bba"}, /* the earlier is longer */
        {{{0, 6, -1}, {2, 2, 0}}, 2, "aabbaa"},
        {{{0, 6, -1}, {1, 4, 0}, {2, 1, 0}}, 3, "abcbba"},
        {{{0, 3, -1}, {3, 0, 0}, {3, 2, 1}}, 3, "aaacc"},
        {{{0, 3, -1}, {3, 1, 0}, {3, 3, 1}}, 3, "aaaccc"},
        {{{0, 3, -1}, {4, 2, 0}}, 2, "aaa"},               /* a hole */
        {{{0, 3, -1}, {3, 1, 0}, {4, 2, 0}}, 3, "aaabcc"}, /* mended */
        {{{2, 2, 0}}, 1, ""},                              /* no beginning */
        {{{0, 2, 0}, {2, 2, 0}}, 2, "aabb"}, /* none of that name */
        {{{0, 4, -1}, {1, 1, 0}, {1, 2, 1}, {3, 5, 0}}, 4, "accddddd"},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(t); i++) {
        char *got = map(t[i].f, t[i].n);

        assert_string_equal(got, t[i].want);
        free(got);
    }
}

static void
sizes_that_lie(void **state)
{
    struct extents x = {0};
    struct pieces p;
    struct extent e = {.plain = true, .size = UINT64_MAX};

    (void)state;
    extents_add(&x, &e);
    e = (struct extent){.offset = INT64_MAX, .size = UINT64_MAX};
    extents_add(&x, &e);
    extents_sort(&x);
    extents_pieces(&x, &p);
    assert_int_equal(p.size, INT64_MAX);
    pieces_free(&p);
    extents_free(&x);
}

static void
the_next_one(void **state)
{
    struct extents x = {0};
    struct extent e;

    (void)state;
    assert_int_equal(extents_next(&x, 0, &e), 0);
    assert_true(e.plain);
    e.size = 10;
    extents_add(&x, &e);
    assert_int_equal(extents_next(&x, 10, &e), 0);
    assert_true(!e.plain && e.offset == 10 && e.attempt == 0);
    extents_add(&x, &e);
    assert_int_equal(extents_next(&x, 10, &e), 0);
    assert_true(!e.plain && e.offset == 10 && e.attempt == 1);
    assert_int_equal(extents_next(&x, 0, &e), 0);
    assert_true(!e.plain && e.offset == 0 && e.attempt == 0);
    e = (struct extent){.offset = 10, .attempt = EXTENT_TRIES_MAX};
    extents_add(&x, &e);
    assert_int_equal(extents_next(&x, 10, &e), -1);
    extents_free(&x);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(urls_that_are),
        cmocka_unit_test(urls_that_are_not), cmocka_unit_test(names_of_extents),
        cmocka_unit_test(what_counts_where), cmocka_unit_test(sizes_that_lie),
        cmocka_unit_test(the_next_one)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
