/*
 * test_verify.c -- verifying a small real repository: two backups of three
 * tables, a log of four segments.  Then each kind of object with a byte
 * flipped, cut, removed, exchanged; a backup whose rows are not what its
 * manifest says; what is remembered from one time to the next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "pitr/catalog.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/part.h"
#include "pitr/schema.h"
#include "pitr/verify.h"
#include "repo_util.h"

#define OBJECTS (2 * (PARTS + 2) + 4)

/* --- making it --- */

static int
setup(void **state)
{
    struct logged *s = logged_new();

    history_write(s->p.repo, &s->tail, &s->groups, 4, true);
    *state = s;
    return 0;
}

/* --- looking at it --- */

enum how { SIGNATURES, CONTENT };

static void
verify(struct logged *s, enum how how, bool all, struct verify_report *r)
{
    struct verify_conf conf = {.repo = s->p.repo,
        .key = how == CONTENT ? s->p.key : NULL,
        .jobs = 2,
        .all = all};

    if (verify_run(&conf, r) < 0)
        fail_msg("%s", err_text());
    assert_int_equal(err_kind(), ERR_NONE);
}

/* Does it find damage, and name this object (NULL: any)? */
static bool
finds(struct logged *s, enum how how, const char *object)
{
    struct verify_report r;
    bool named = false;
    size_t n;

    verify(s, how, true, &r);
    n = verify_count(&r, VERIFY_DAMAGED);
    for (size_t i = 0; i < r.findings; i++) {
        assert_true(*r.finding[i].object != '\0' && *r.finding[i].text != '\0');
        named |= r.finding[i].kind == VERIFY_DAMAGED &&
            (object == NULL || strcmp(r.finding[i].object, object) == 0);
    }
    if (n > 0 && !named)
        fail_msg("%s is not named, but %s: %s", object, r.finding[0].object,
            r.finding[0].text);
    verify_report_free(&r);
    return n > 0;
}

static void
is_good(
    struct logged *s, bool all, uint64_t read, uint64_t unchanged, enum how how)
{
    struct verify_report r;

    verify(s, how, all, &r);
    for (size_t i = 0; i < r.findings; i++)
        fail_msg("%s: %s", r.finding[i].object, r.finding[i].text);
    assert_int_equal(r.objects, read);
    assert_int_equal(r.unchanged, unchanged);
    verify_report_free(&r);
}

static char *
segment_at(struct logged *s, size_t i)
{
    struct catalog *c = catalog_load(s->p.repo);
    char *name = xstrdup(c->segment[i].name);

    catalog_free(c);
    return name;
}

static void
test_good(void **state)
{
    struct logged *s = *state;
    struct verify_report r;

    is_good(s, true, OBJECTS, 0, SIGNATURES);
    verify(s, CONTENT, true, &r);
    assert_int_equal(r.findings, 0);
    assert_int_equal(r.level, VERIFY_CONTENT);
    assert_int_equal(r.rows, 2 * PARTS * 2 * ROWS);
    assert_int_equal(r.transactions, 8);
    assert_int_equal(r.events, 4 + 16); /* and a Format_description each */
    assert_int_equal(r.backups, 2);
    assert_string_equal(r.backup[0].id, FIRST);
    assert_false(r.backup[0].damaged);
    assert_int_equal(r.backup[0].objects, PARTS + 2);
    assert_int_equal(r.segments, 4);
    verify_report_free(&r);
}

/* --- damage --- */

/* At some places, ends among them, of a file of any kind. */
static void
damage_each_way(struct logged *s, const char *name)
{
    char *path = place_file(&s->p, name);
    struct buf was = {0};

    file_load(path, &was);
    for (size_t k = 0; k <= 8; k++) {
        size_t at = k == 8 ? was.len - 1 : k * was.len / 8;

        was.data[at] ^= 0x04;
        file_store(path, was.data, was.len);
        was.data[at] ^= 0x04;
        for (int how = SIGNATURES; how <= CONTENT; how++)
            if (!finds(s, how, NULL))
                fail_msg("%s: byte %zu of %zu, %d", name, at, was.len, how);
        if (k == 0 || k == 8)
            continue;
        file_store(path, was.data, at);
        for (int how = SIGNATURES; how <= CONTENT; how++)
            if (!finds(s, how, NULL))
                fail_msg("%s: cut to %zu of %zu, %d", name, at, was.len, how);
    }
    buf_u8(&was, 0);
    file_store(path, was.data, was.len);
    assert_true(finds(s, SIGNATURES, NULL));
    assert_true(finds(s, CONTENT, NULL));
    file_store(path, was.data, was.len - 1);
    assert_false(finds(s, CONTENT, NULL));
    buf_free(&was);
    free(path);
}

static void
test_damage_backup(void **state)
{
    damage_each_way(*state, "backup/" FIRST "/manifest");
    damage_each_way(*state, "backup/" SECOND "/schema");
    damage_each_way(*state, "backup/" FIRST "/part-000002");
}

static void
test_damage_log(void **state)
{
    struct logged *s = *state;

    for (size_t i = 0; i < 3; i++) {
        char *name = segment_at(s, i);

        damage_each_way(s, name);
        free(name);
    }
}

/* Of the one that grows, what is durable counts; what is not good after that
 * was never promised.  But its header was. */
static void
test_damage_growing(void **state)
{
    struct logged *s = *state;
    char *name = segment_at(s, 3), *path = place_file(&s->p, name);
    struct buf was = {0};

    file_load(path, &was);
    file_store(path, was.data, was.len - 1);
    assert_false(finds(s, CONTENT, NULL));
    was.data[30] ^= 1;
    file_store(path, was.data, was.len);
    assert_true(finds(s, SIGNATURES, name));
    assert_true(finds(s, CONTENT, name));
    file_store(path, "", 0); /* only just begun */
    assert_false(finds(s, CONTENT, NULL));
    buf_free(&was);
    free(name);
    free(path);
}

static void
removed(struct logged *s, const char *name, const char *named_without_key)
{
    char *path = place_file(&s->p, name);
    struct buf was = {0};

    file_load(path, &was);
    unlink(path);
    assert_true(finds(s, SIGNATURES, named_without_key));
    assert_true(finds(s, CONTENT, NULL));
    file_store(path, was.data, was.len);
    assert_false(finds(s, SIGNATURES, NULL));
    buf_free(&was);
    free(path);
}

static void
test_removed(void **state)
{
    struct logged *s = *state;
    char *name = segment_at(s, 1), *path = NULL;
    struct verify_report r;

    removed(s, "backup/" FIRST "/part-000003", "backup/" FIRST "/");
    removed(s, "backup/" FIRST "/schema", "backup/" FIRST "/schema");
    removed(s, name, name);
    free(name);
    /* With the key, which one it is. */
    path = place_file(&s->p, "backup/" FIRST "/part-000003");
    unlink(path);
    assert_true(finds(s, CONTENT, "backup/" FIRST "/part-000003"));
    free(path);
    /* Without its manifest it does not count. */
    path = place_file(&s->p, "backup/" FIRST "/manifest");
    unlink(path);
    verify(s, CONTENT, true, &r);
    assert_int_equal(r.backups, 1);
    assert_int_equal(verify_count(&r, VERIFY_DAMAGED), 0);
    assert_int_equal(verify_count(&r, VERIFY_UNFINISHED), 1);
    verify_report_free(&r);
    free(path);
}

/* Where a manifest arrives from its first byte on, which is not where backups
 * are made. */
static void
unfinished(struct logged *s, bool is)
{
    struct verify_report r;
    struct catalog *c;

    for (int how = SIGNATURES; how <= CONTENT; how++) {
        verify(s, how, true, &r);
        assert_int_equal(verify_count(&r, VERIFY_DAMAGED), !is);
        assert_int_equal(verify_count(&r, VERIFY_UNFINISHED), is);
        assert_int_equal(r.backups, is ? 1 : 2);
        verify_report_free(&r);
    }
    assert_non_null(c = catalog_load(s->p.repo));
    assert_int_equal(c->backups, 1);
    assert_int_equal(c->n_broken, 1);
    catalog_free(c);
}

static void
set_age(const char *path, time_t seconds)
{
    struct timespec t[2] = {{time(NULL) - seconds, 0}, {0, 0}};

    t[1] = t[0];
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void
test_arriving(void **state)
{
    struct logged *s = *state;
    char *path = place_file(&s->p, "backup/" SECOND "/manifest");
    char *lock = place_file(&s->p, ".lock-backup");
    char *known = place_file(&s->p, ".verified");
    struct buf was = {0};

    file_load(path, &was);
    for (size_t n = 0; n < was.len; n += was.len / 9) {
        file_store(path, was.data, n);
        unfinished(s, false); /* it is made here, and whole */
        unlink(lock);
        unfinished(s, true);
        set_age(path, 86300);
        unfinished(s, true);
        set_age(path, -86300); /* another clock */
        unfinished(s, true);
        set_age(path, 86500);
        unfinished(s, false);
        lock_free(repo_lock(s->p.repo, "backup"));
    }
    unlink(lock);
    /* It was whole once. */
    file_store(path, was.data, was.len);
    assert_false(finds(s, SIGNATURES, NULL));
    file_store(path, was.data, was.len - 1);
    {
        struct verify_report r;

        verify(s, SIGNATURES, true, &r);
        assert_int_equal(verify_count(&r, VERIFY_DAMAGED), 1);
        verify_report_free(&r);
    }
    /* What is there is not the beginning of one. */
    unlink(known);
    was.data[30] ^= 1;
    file_store(path, was.data, was.len - 1);
    unfinished(s, false);
    was.data[30] ^= 1;
    was.data[was.len - 20] ^= 1; /* all of it is there */
    file_store(path, was.data, was.len);
    unfinished(s, false);
    buf_free(&was);
    free(known);
    free(lock);
    free(path);
}

static void
exchange(struct logged *s, const char *a, const char *b)
{
    char *x = place_file(&s->p, a), *y = place_file(&s->p, b);
    struct buf p = {0}, q = {0};

    file_load(x, &p);
    file_load(y, &q);
    file_store(x, q.data, q.len);
    file_store(y, p.data, p.len);
    for (int how = SIGNATURES; how <= CONTENT; how++) {
        assert_true(finds(s, how, NULL));
    }
    file_store(x, p.data, p.len);
    file_store(y, q.data, q.len);
    assert_false(finds(s, SIGNATURES, NULL));
    buf_free(&p);
    buf_free(&q);
    free(x);
    free(y);
}

static void
test_exchanged(void **state)
{
    struct logged *s = *state;
    char *one = segment_at(s, 0), *two = segment_at(s, 1);

    exchange(s, "backup/" FIRST "/part-000001", "backup/" FIRST "/part-000002");
    exchange(
        s, "backup/" FIRST "/part-000001", "backup/" SECOND "/part-000001");
    exchange(s, "backup/" FIRST "/manifest", "backup/" SECOND "/manifest");
    exchange(s, "backup/" FIRST "/schema", "backup/" SECOND "/part-000001");
    exchange(s, one, two);
    free(one);
    free(two);
}

/* Everything is still verified where much is damaged. */
static void
test_all_are_named(void **state)
{
    static const char *const names[] = {"backup/" FIRST "/part-000001",
        "backup/" FIRST "/part-000003", "backup/" SECOND "/manifest",
        "backup/" SECOND "/part-000002"};
    struct logged *s = *state;
    char *segment = segment_at(s, 1);
    struct verify_report r;

    for (size_t i = 0; i <= NELEM(names); i++) {
        char *path = place_file(&s->p, i < NELEM(names) ? names[i] : segment);
        struct buf b = {0};

        file_load(path, &b);
        b.data[b.len - 20] ^= 1; /* in the final mark's signature */
        file_store(path, b.data, b.len);
        buf_free(&b);
        free(path);
    }
    for (int how = SIGNATURES; how <= CONTENT; how++) {
        for (size_t i = 0; i < NELEM(names); i++)
            assert_true(finds(s, how, names[i]));
        assert_true(finds(s, how, segment));
        verify(s, how, true, &r);
        assert_true(r.backup[0].damaged && r.backup[1].damaged);
        assert_true(r.log_damaged);
        assert_true(r.objects >= OBJECTS - 5 - 1);
        verify_report_free(&r);
    }
    free(segment);
}

/* --- a writer that lied: only the content tells --- */

static void
test_lies(void **state)
{
    static const struct {
        enum lie lie;
        bool signatures; /* is found without the key, too */
        const char *named;
    } cases[] = {
        {LIE_CONTENT, false, ""},
        {LIE_ROWS, false, ""},
        {LIE_HOLDS, false, "part-000003"},
        {LIE_TOTALS, false, "manifest"},
        {LIE_SCHEMA, false, "schema"},
        {LIE_PART, true, "part-000009"},
    };
    struct logged *s = *state;

    for (size_t i = 0; i < NELEM(cases); i++) {
        char *id = xasprintf("2022060%zuT000000Z", i + 1);
        char *dir = xasprintf("backup/%s/", id);
        char *name = xasprintf("%s%s", dir, cases[i].named);
        char *path = place_file(&s->p, dir);

        backup_write(s->p.repo, id, 17, cases[i].lie);
        assert_int_equal(finds(s, SIGNATURES, dir), cases[i].signatures);
        if (!finds(s, CONTENT, name))
            fail_msg("lie %d is not found", cases[i].lie);
        assert_int_equal(dir_remove(path), 0);
        free(id);
        free(dir);
        free(name);
        free(path);
    }
    assert_false(finds(s, CONTENT, NULL));
}

static void
test_gap(void **state)
{
    struct logged *s = *state;
    struct verify_report r;

    segment_tail_free(&s->tail);
    assert_int_equal(segment_tail_find(s->p.repo, &s->tail), 1);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_GAP, false);
    verify(s, CONTENT, false, &r);
    assert_int_equal(verify_count(&r, VERIFY_DAMAGED), 0);
    assert_int_equal(verify_count(&r, VERIFY_GAP), 1);
    assert_string_equal(r.finding[0].text, "the log was purged");
    verify_report_free(&r);
}

static void
test_other_key(void **state)
{
    struct logged *s = *state;
    struct secret_key *other = secret_key_new();
    struct verify_conf conf = {.repo = s->p.repo, .key = other, .jobs = 1};
    struct verify_report r;

    assert_int_equal(verify_run(&conf, &r), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    verify_report_free(&r);
    secret_key_free(other);
    err_clear();
}

/* --- what is remembered --- */

static void
test_memory(void **state)
{
    struct logged *s = *state;
    struct verified *v;

    is_good(s, false, OBJECTS, 0, SIGNATURES);
    is_good(s, false, 0, OBJECTS, SIGNATURES);
    v = verified_load(s->p.repo);
    assert_int_equal(
        verified_backup(v, s->p.repo, FIRST, NULL), VERIFY_SIGNATURES);
    verified_free(v);
    /* The content was not. */
    is_good(s, false, OBJECTS, 0, CONTENT);
    is_good(s, false, 0, OBJECTS, CONTENT);
    is_good(s, false, 0, OBJECTS, SIGNATURES);
    is_good(s, true, OBJECTS, 0, SIGNATURES);
    /* Having looked less closely again takes nothing away. */
    is_good(s, false, 0, OBJECTS, CONTENT);
    backup_write(s->p.repo, "20220504T020000Z", 17, LIE_NONE);
    is_good(s, false, PARTS + 2, OBJECTS, CONTENT);
    segment_tail_free(&s->tail);
    assert_int_equal(segment_tail_find(s->p.repo, &s->tail), 1);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, true);
    is_good(s, false, 1, OBJECTS + PARTS + 2, CONTENT);
}

/* What has changed is read in any case, and is forgotten when it is bad. */
static void
test_memory_changes(void **state)
{
    struct logged *s = *state;
    char *path = place_file(&s->p, "backup/" FIRST "/part-000002");
    struct buf was = {0};
    struct verified *v;
    struct verify_report r;

    is_good(s, false, OBJECTS, 0, SIGNATURES);
    file_load(path, &was);
    /* A flipped byte in its middle is not looked for... */
    was.data[was.len / 2] ^= 1;
    file_store(path, was.data, was.len);
    is_good(s, false, 0, OBJECTS, SIGNATURES);
    /* ... but with --all, and then it is known. */
    assert_true(finds(s, SIGNATURES, "backup/" FIRST "/part-000002"));
    v = verified_load(s->p.repo);
    assert_int_equal(verified_backup(v, s->p.repo, FIRST, NULL), VERIFY_NONE);
    assert_int_equal(
        verified_backup(v, s->p.repo, SECOND, NULL), VERIFY_SIGNATURES);
    verified_free(v);
    verify(s, SIGNATURES, false, &r);
    assert_int_equal(verify_count(&r, VERIFY_DAMAGED), 1);
    verify_report_free(&r);
    was.data[was.len / 2] ^= 1;
    file_store(path, was.data, was.len);
    is_good(s, false, PARTS + 2, OBJECTS - PARTS - 2, SIGNATURES);
    /* Gone, cut, another's. */
    unlink(path);
    verify(s, SIGNATURES, false, &r);
    assert_true(verify_count(&r, VERIFY_DAMAGED) > 0);
    verify_report_free(&r);
    buf_free(&was);
    free(path);
}

/* The memory itself: cut anywhere, of another repository, others' file. */
static void
test_memory_file(void **state)
{
    struct logged *s = *state;
    char *path = place_file(&s->p, ".verified");
    struct buf was = {0};
    unsigned warned;

    is_good(s, false, OBJECTS, 0, SIGNATURES);
    file_load(path, &was);
    for (size_t n = 0; n < was.len; n += 97) {
        warned = log_warnings();
        file_store(path, was.data, n);
        is_good(s, false, OBJECTS, 0, SIGNATURES);
        assert_int_equal(log_warnings(), warned + 1);
    }
    file_store(path, was.data, was.len);
    is_good(s, false, 0, OBJECTS, SIGNATURES);
    was.data[30] ^= 1; /* the repository's id */
    file_store(path, was.data, was.len);
    is_good(s, false, OBJECTS, 0, SIGNATURES);
    was.data[30] ^= 1;
    file_store(path, was.data, was.len);
    assert_int_equal(chmod(path, 0666), 0);
    is_good(s, false, OBJECTS, 0, SIGNATURES);
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    is_good(s, false, OBJECTS, 0, SIGNATURES);
    is_good(s, false, 0, OBJECTS, SIGNATURES);
    buf_free(&was);
    free(path);
}

static void
test_one_at_a_time(void **state)
{
    struct logged *s = *state;
    struct lock *lock = repo_lock(s->p.repo, "verify");
    struct verify_conf conf = {.repo = s->p.repo, .jobs = 1};
    struct verify_report r;

    assert_non_null(lock);
    assert_int_equal(verify_run(&conf, &r), -1);
    assert_int_equal(err_kind(), ERR_LOCKED);
    verify_report_free(&r);
    lock_free(lock);
    err_clear();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, logged_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good),
        TEST(test_damage_backup),
        TEST(test_damage_log),
        TEST(test_damage_growing),
        TEST(test_removed),
        TEST(test_arriving),
        TEST(test_exchanged),
        TEST(test_all_are_named),
        TEST(test_lies),
        TEST(test_gap),
        TEST(test_other_key),
        TEST(test_memory),
        TEST(test_memory_changes),
        TEST(test_memory_file),
        TEST(test_one_at_a_time),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
