/*
 * test_index.c -- the log read by links and from indexes: the same as from its
 * objects alone, whatever is done to either.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../src/repo/log_index.h"
#include "pitr/catalog.h"
#include "pitr/expire.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/verify.h"
#include "repo_util.h"

#define EACH 4      /* segments of an index */
#define SEGMENTS 11 /* the last one is growing */
#define INDEXES 2

static void
grow(struct logged *s, unsigned n, bool open)
{
    for (unsigned i = 0; i < n; i++)
        segment_make(s->p.repo, &s->tail, &s->groups,
            s->groups == 0 ? SEGMENT_FIRST : SEGMENT_NEXT, open && i + 1 == n);
}

static void
update(struct logged *s)
{
    uint64_t due;

    assert_int_equal(index_update(s->p.repo, EACH, &due), 0);
}

static int
setup(void **state)
{
    struct logged *s = logged_new();

    grow(s, SEGMENTS, true);
    update(s);
    *state = s;
    return 0;
}

static char *
index_path(struct logged *s, unsigned i)
{
    char *name = index_name(i * EACH + 1, (i + 1) * EACH);
    char *path = place_file(&s->p, name);

    free(name);
    return path;
}

static char *
segment_path(struct logged *s, const struct catalog *c, unsigned i)
{
    return place_file(&s->p, c->segment[i].name);
}

/* The log as all signatures of all objects have it. */
static struct catalog *
by_signatures(struct logged *s)
{
    struct catalog *c = xcalloc(1, sizeof *c);

    c->signatures = true;
    assert_int_equal(catalog_load_log(s->p.repo, c), 0);
    return c;
}

static void
same(const struct catalog *a, const struct catalog *b)
{
    assert_int_equal(a->segments, b->segments);
    assert_int_equal(a->breaks, b->breaks);
    for (size_t i = 0; i < a->segments; i++) {
        const struct segment_info *x = &a->segment[i], *y = &b->segment[i];
        struct buf p = {0}, q = {0};

        assert_string_equal(x->name, y->name);
        assert_int_equal(x->size, y->size);
        assert_int_equal(x->closed, y->closed);
        assert_memory_equal(x->digest, y->digest, DIGEST_SIZE);
        assert_memory_equal(x->link, y->link, DIGEST_SIZE);
        segment_start_format(&x->start, &p);
        segment_state_format(&x->state, &p);
        segment_start_format(&y->start, &q);
        segment_state_format(&y->state, &q);
        assert_int_equal(p.len, q.len);
        assert_memory_equal(p.data, q.data, p.len);
        assert_true((x->broken == NULL) == (y->broken == NULL));
        buf_free(&p);
        buf_free(&q);
    }
}

/* It is read as by signatures, with so many breaks and warnings. */
static void
reads(struct logged *s, size_t breaks, unsigned warnings)
{
    struct catalog *c = xcalloc(1, sizeof *c), *want = by_signatures(s);
    unsigned warned = log_warnings();

    assert_int_equal(catalog_load_log(s->p.repo, c), 0);
    assert_int_equal(log_warnings(), warned + warnings);
    assert_int_equal(c->breaks, breaks);
    same(c, want);
    catalog_free(c);
    catalog_free(want);
}

static bool
verify_names(struct logged *s, const char *object)
{
    struct verify_conf conf = {.repo = s->p.repo, .jobs = 1, .all = true};
    struct verify_report r;
    bool named = false;

    assert_int_equal(verify_run(&conf, &r), 0);
    for (size_t i = 0; i < r.findings; i++)
        named |= r.finding[i].kind == VERIFY_DAMAGED &&
            strcmp(r.finding[i].object, object) == 0;
    verify_report_free(&r);
    return named;
}

/* Of all of the log. */
static int
check_plan(struct logged *s, const struct catalog *c)
{
    struct plan p = {.segments = c->segments};

    return plan_check(s->p.repo, c, &p, c->segments);
}

static void
test_same(void **state)
{
    struct logged *s = *state;
    struct index_list l;
    struct index_file f;
    struct catalog *c;

    assert_int_equal(index_list_load(s->p.repo, &l), 0);
    assert_int_equal(l.n, INDEXES);
    for (size_t i = 0; i < l.n; i++) {
        assert_int_equal(l.v[i].first, i * EACH + 1);
        assert_int_equal(l.v[i].last, (i + 1) * EACH);
        assert_int_equal(
            index_load(s->p.repo, l.v[i].name, l.v[i].size, &f), 0);
        assert_int_equal(f.n, EACH);
        assert_false(verify_names(s, l.v[i].name));
        index_file_free(&f);
    }
    index_list_free(&l);
    reads(s, 0, 0);
    c = by_signatures(s);
    assert_int_equal(c->segments, SEGMENTS);
    assert_int_equal(check_plan(s, c), 0);
    catalog_free(c);
    update(s); /* there is nothing to be added */
    grow(s, 1, false);
    update(s);
    reads(s, 0, 0);
}

/* That they are used, and for what not: a byte changed where an index tells
 * what was there. */
static void
test_used(void **state)
{
    struct logged *s = *state;
    struct catalog *c = by_signatures(s), *now = xcalloc(1, sizeof *now);

    for (unsigned i = 0; i < SEGMENTS; i += SEGMENTS - 2) {
        char *path = segment_path(s, c, i);
        struct buf b = {0};

        file_load(path, &b);
        for (unsigned k = 0; k < 2; k++) {
            size_t at = k == 0 ? 40 : b.len - 20; /* header, final mark */

            b.data[at] ^= 1;
            file_store(path, b.data, b.len);
            b.data[at] ^= 1;
            memset(now, 0, sizeof *now);
            assert_int_equal(catalog_load_log(s->p.repo, now), 0);
            assert_int_equal(now->breaks, i < INDEXES * EACH ? 0 : 1);
            assert_true(now->breaks > 0 || now->segment[i].indexed);
            if (now->breaks == 0) { /* but before a target is touched */
                assert_int_equal(check_plan(s, now), -1);
                assert_int_equal(err_kind(), ERR_VERIFY);
                err_clear();
            }
            assert_true(verify_names(s, c->segment[i].name));
            for (size_t j = 0; j < now->segments; j++)
                segment_info_free(&now->segment[j]);
            free(now->segment);
        }
        file_store(path, b.data, b.len);
        buf_free(&b);
        free(path);
    }
    free(now);
    catalog_free(c);
    reads(s, 0, 0);
}

/* --- indexes that are not what was written --- */

static void
test_changed(void **state)
{
    struct logged *s = *state;
    char *path = index_path(s, 1), *name = index_name(EACH + 1, 2 * EACH);
    struct buf was = {0};

    file_load(path, &was);
    for (size_t i = 0; i < was.len; i += 23) {
        was.data[i] ^= 4;
        file_store(path, was.data, was.len);
        was.data[i] ^= 4;
        reads(s, 0, 1);
    }
    assert_true(verify_names(s, name));
    for (size_t n = 0; n < was.len; n += 97) {
        file_store(path, was.data, n);
        reads(s, 0, 1);
    }
    assert_true(verify_names(s, name));
    unlink(path);
    reads(s, 0, 0);
    buf_free(&was);
    free(name);
    free(path);
}

static void
test_exchanged(void **state)
{
    struct logged *s = *state;
    struct logged *other = logged_new();
    char *a = index_path(s, 0), *b = index_path(s, 1);
    char *theirs;
    struct buf p = {0}, q = {0};

    file_load(a, &p);
    file_load(b, &q);
    file_store(a, q.data, q.len);
    reads(s, 0, 1);
    file_store(b, p.data, p.len);
    reads(s, 0, 2);
    file_store(b, q.data, q.len);
    grow(other, SEGMENTS, true);
    update(other);
    theirs = index_path(other, 0);
    buf_reset(&p);
    file_load(theirs, &p);
    file_store(a, p.data, p.len);
    reads(s, 0, 1);
    buf_free(&p);
    buf_free(&q);
    free(a);
    free(b);
    free(theirs);
    logged_teardown((void **)&other);
}

/* Signed by the right one, but not what is in the segments: it says nothing
 * that the links do not. */
static void
test_lies(void **state)
{
    struct logged *s = *state;
    char *name = index_name(1, EACH), *path = index_path(s, 0);
    struct index_file f;
    struct buf was = {0};

    file_load(path, &was);
    for (unsigned how = 0; how < 4; how++) {
        struct index_entry v[EACH];
        struct buf b = {0};
        char *names[2];

        assert_int_equal(index_load(s->p.repo, name, was.len, &f), 0);
        memcpy(v, f.v, sizeof v);
        names[0] = v[1].name;
        names[1] = v[2].name;
        if (how == 0) /* another's ends */
            v[1].mark = v[2].mark;
        if (how == 1)
            v[1].header[5] ^= 1;
        if (how == 2)
            v[1].note = v[2].note;
        if (how == 3) {
            v[1].name = names[1];
            v[2].name = names[0];
        }
        index_format(s->p.repo, name, v, EACH, &b);
        file_store(path, b.data, b.len);
        reads(s, 0, 0);
        assert_true(verify_names(s, name));
        file_store(path, was.data, was.len);
        assert_false(verify_names(s, name));
        index_file_free(&f);
        buf_free(&b);
    }
    buf_free(&was);
    free(name);
    free(path);
}

/* --- segments that are not what the indexes say --- */

static void
test_segments(void **state)
{
    struct logged *s = *state;
    struct catalog *c = by_signatures(s);

    for (unsigned i = 1; i < SEGMENTS - 1; i += 3) {
        char *path = segment_path(s, c, i), *next = segment_path(s, c, i + 1);
        struct buf was = {0}, other = {0};

        file_load(path, &was);
        file_load(next, &other);
        unlink(path);
        reads(s, 1, 0);
        file_store(path, was.data, was.len - 1);
        reads(s, 1, 0);
        file_store(path, was.data, was.len / 2);
        reads(s, 1, 0);
        file_store(path, was.data, 0);
        reads(s, 1, 0);
        file_store(path, other.data, other.len - 1);
        reads(s, 1, 0);
        buf_add(&was, "x", 1);
        file_store(path, was.data, was.len);
        reads(s, 1, 0);
        file_store(path, was.data, was.len - 1);
        buf_free(&was);
        buf_free(&other);
        free(path);
        free(next);
    }
    catalog_free(c);
    reads(s, 0, 0);
}

/* One that was begun and never written, and one that was never closed. */
static void
test_unclosed(void **state)
{
    struct logged *s = *state;
    struct segment_tail now = {0};
    struct segment_writer *w;
    struct catalog *c;
    struct buf b = {0};
    char *path;

    assert_int_equal(segment_tail_find(s->p.repo, &now), 1);
    segment_tail_free(&s->tail);
    s->tail = now;
    w = segment_begun(s->p.repo, &s->tail, SEGMENT_NEXT, US(5000), s->groups);
    assert_non_null(w);
    path = place_file(&s->p, segment_place(w, &now.size));
    segment_abort(w);
    file_load(path, &b);
    file_store(path, b.data, b.len / 3); /* not even its header */
    reads(s, 0, 1);
    s->tail.last_seq++;
    grow(s, 2 * EACH + 1, true);
    reads(s, 0, 0);
    update(s);
    reads(s, 0, 0);
    c = by_signatures(s);
    assert_int_equal(c->segments, SEGMENTS + 2 * EACH + 1);
    assert_false(c->segment[SEGMENTS - 1].closed);
    assert_int_equal(check_plan(s, c), 0);
    catalog_free(c);
    free(path);
    buf_free(&b);
}

/* What somebody has put there that is no segment, and no index: it is told of
 * where it is looked at, and nothing else changes. */
static void
test_strangers(void **state)
{
    static const char *const names[] = {
        "binlog/readme", "index/readme", "index/0000000002-0000000001"};
    struct logged *s = *state;
    struct segment_tail now = {0};
    struct index_list l;

    for (size_t i = 0; i < NELEM(names); i++) {
        char *path = place_file(&s->p, names[i]);

        file_store(path, "hello", 5);
        free(path);
    }
    assert_int_equal(segment_tail_find(s->p.repo, &now), 1);
    assert_int_equal(now.last_seq, SEGMENTS);
    segment_tail_free(&s->tail);
    s->tail = now;
    grow(s, EACH, false);
    update(s);
    assert_int_equal(index_list_load(s->p.repo, &l), 0);
    assert_int_equal(l.n, INDEXES + 1);
    index_list_free(&l);
    reads(s, 0, 1);
}

/* A log of an earlier version, which has no links, gone on with. */
static void
test_without_links(void **state)
{
    struct logged *s = logged_new();
    struct index_list l;

    (void)state;
    for (unsigned i = 0; i < EACH + 1; i++) {
        s->tail.linked = false;
        grow(s, 1, false);
    }
    reads(s, 0, 0);
    update(s);
    assert_int_equal(index_list_load(s->p.repo, &l), 0);
    assert_int_equal(l.n, 0);
    index_list_free(&l);
    grow(s, EACH + 1, false);
    update(s);
    assert_int_equal(index_list_load(s->p.repo, &l), 0);
    assert_int_equal(l.n, 1);
    index_list_free(&l);
    reads(s, 0, 0);
    logged_teardown((void **)&s);
}

/* The next one, rightly signed, has the size and the digest, but not the link.
 */
static void
test_wrong_link(void **state)
{
    struct logged *s = *state;
    struct logged *own = logged_new();

    (void)s;
    grow(own, 2, false);
    own->tail.link[3] ^= 1;
    grow(own, 2, false);
    reads(own, 1, 0);
    logged_teardown((void **)&own);
}

/* Another one by the same name, of the same size and rightly signed: what a
 * thief of the signing key could put there.  The index does not know of it; who
 * needs that segment does. */
static void
test_another(void **state)
{
    struct logged *own = logged_new();
    struct segment_tail before = {0};
    struct catalog *c, *now = xcalloc(1, sizeof *now);
    unsigned groups;
    char *path;

    (void)state;
    grow(own, 2, false);
    groups = own->groups;
    assert_int_equal(segment_tail_find(own->p.repo, &before), 1);
    grow(own, EACH + 1, true);
    update(own);
    c = by_signatures(own);
    path = segment_path(own, c, 2);
    unlink(path);
    segment_make(own->p.repo, &before, &groups, SEGMENT_NEXT, false);
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(catalog_load_log(own->p.repo, now), 0);
    assert_int_equal(now->breaks, 0);
    assert_true(now->segment[2].indexed);
    assert_int_equal(check_plan(own, now), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_non_null(strstr(err_text(), c->segment[2].name));
    err_clear();
    assert_true(verify_names(own, c->segment[3].name) ||
        verify_names(own, c->segment[2].name));
    segment_tail_free(&before);
    catalog_free(now);
    catalog_free(c);
    free(path);
    logged_teardown((void **)&own);
}

/* An index of before still counts; one segment's signer does not vouch for
 * another's. */
static void
test_rekeyed(void **state)
{
    struct logged *s = *state;
    char *other = xasprintf("%s/other.key", s->p.dir);
    struct repo_rekey how = {.new_signing = other};
    struct segment_tail now = {0};

    assert_int_equal(repo_rekey(s->p.repo, &how), 0);
    repo_close(s->p.repo);
    free(s->p.signing);
    s->p.signing = other;
    assert_non_null(s->p.repo = repo_open(s->p.path, "db1", other));
    reads(s, 0, 0);
    assert_int_equal(segment_tail_find(s->p.repo, &now), 1);
    segment_tail_free(&s->tail);
    s->tail = now;
    grow(s, 2 * EACH, false);
    reads(s, 0, 0);
    update(s);
    reads(s, 0, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, logged_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_same),
        TEST(test_used),
        TEST(test_changed),
        TEST(test_exchanged),
        TEST(test_lies),
        TEST(test_segments),
        TEST(test_unclosed),
        TEST(test_strangers),
        cmocka_unit_test(test_without_links),
        TEST(test_wrong_link),
        cmocka_unit_test(test_another),
        TEST(test_rekeyed),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
