/*
 * test_rewrap.c -- what exists, opened by a recipient who came later; and slots
 * that were changed, cut, moved, or made by somebody who may not.
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
#include "../../src/repo/slots.h"
#include "pitr/catalog.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/rewrap.h"
#include "pitr/verify.h"
#include "repo_util.h"

#define OBJECTS (2 * (PARTS + 2) + 3)

struct scene {
    struct place p;
    struct segment_tail tail;
    unsigned groups;
    struct secret_key *late;
};

static int
setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof *s);

    place_make(&s->p);
    s->late = secret_key_new();
    history_write(s->p.repo, &s->tail, &s->groups, 3, true);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct scene *s = *state;

    segment_tail_free(&s->tail);
    secret_key_free(s->late);
    place_free(&s->p);
    free(s);
    return 0;
}

/* Slots are read once: anew. */
static void
reopen(struct scene *s)
{
    repo_close(s->p.repo);
    s->p.repo = repo_open(s->p.path, "db1", s->p.signing);
    assert_non_null(s->p.repo);
}

static struct rewrap_report
rewrap(struct scene *s, const struct secret_key *with,
    const struct secret_key *to, size_t sealed)
{
    struct rewrap_report r;

    reopen(s);
    if (rewrap_run(s->p.repo, with, secret_key_public(to), 1, &r) < 0)
        fail_msg("%s", err_text());
    assert_int_equal(r.sealed, sealed);
    reopen(s);
    return r;
}

static void
names(struct scene *s, const char *prefix, struct store_list *out)
{
    memset(out, 0, sizeof *out);
    assert_int_equal(store_list(s->p.repo->store, prefix, false, out), 0);
}

static void
test_rewrap(void **state)
{
    struct scene *s = *state;
    struct verify_conf conf = {.key = s->late, .jobs = 2, .all = true};
    struct verify_report v;
    struct rewrap_report r;
    struct secret_key *third = secret_key_new();

    conf.repo = s->p.repo;
    assert_int_equal(verify_run(&conf, &v), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    err_clear();
    r = rewrap(s, s->p.key, s->late, OBJECTS);
    assert_int_equal(r.objects, OBJECTS);
    assert_int_equal(r.damaged + r.locked, 0);
    /* All is opened with it: every row, every event. */
    conf.repo = s->p.repo;
    if (verify_run(&conf, &v) < 0)
        fail_msg("%s", err_text());
    for (size_t i = 0; i < v.findings; i++)
        fail_msg("%s: %s", v.finding[i].object, v.finding[i].text);
    assert_int_equal(v.rows, 2 * PARTS * 2 * ROWS);
    assert_int_equal(v.transactions, 6);
    assert_int_equal(v.objects, OBJECTS + 3);
    verify_report_free(&v);
    /* Once more: nothing is left to do.  One more object: that. */
    rewrap(s, s->p.key, s->late, 0);
    backup_make(s->p.repo, "20220504T020000Z", US(60), "0-7-6", "b", 604);
    rewrap(s, s->p.key, s->late, 1);
    /* It passes nothing on: it is no recipient, so its word does not count. */
    assert_int_equal(
        rewrap_run(s->p.repo, s->late, secret_key_public(third), 1, &r), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    err_clear();
    secret_key_free(third);
}

/* What is damaged is named, and the rest is done. */
static void
test_damaged_object(void **state)
{
    struct scene *s = *state;
    char *path = place_file(&s->p, "backup/" FIRST "/part-000002");
    struct rewrap_report r;
    struct buf b = {0};

    file_load(path, &b);
    b.data[40] ^= 1;
    file_store(path, b.data, b.len);
    r = rewrap(s, s->p.key, s->late, OBJECTS - 1);
    assert_int_equal(r.damaged, 1);
    buf_free(&b);
    free(path);
}

/* --- slots in others' hands --- */

/* The manifest cannot be opened, and not for a wrong reason. */
static void
stays_shut(struct scene *s, const char *what, size_t at)
{
    unsigned warned = log_warnings();
    struct manifest *m;

    reopen(s);
    m = manifest_load(s->p.repo, FIRST, s->late);
    if (m != NULL || err_kind() != ERR_KEY || log_warnings() == warned)
        fail_msg("%s at %zu: %s", what, at, err_text());
    err_clear();
    if (at % 32 != 0)
        return;
    /* Who has a slot in the header needs none of these. */
    m = manifest_load(s->p.repo, FIRST, s->p.key);
    assert_non_null(m);
    manifest_free(m);
}

static void
test_attacked(void **state)
{
    struct scene *s = *state;
    struct store_list l;
    struct buf b = {0}, c = {0};
    struct manifest *m;
    char *path, *other;

    rewrap(s, s->p.key, s->late, OBJECTS);
    names(s, SLOTS_PREFIX, &l);
    assert_int_equal(l.n, 3); /* a backup's each, and the log's */
    path = place_file(&s->p, l.v[0].name);
    other = place_file(&s->p, l.v[1].name);
    file_load(path, &b);
    file_load(other, &c);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 0x20;
        file_store(path, b.data, b.len);
        b.data[i] ^= 0x20;
        stays_shut(s, "flipped", i);
    }
    for (size_t n = 0; n < b.len; n += n % 100 < 40 ? 1 : 7) {
        file_store(path, b.data, n);
        stays_shut(s, "cut", n);
    }
    buf_u8(&b, 0);
    file_store(path, b.data, b.len--);
    stays_shut(s, "a byte added", 0);
    /* Exchanged. */
    file_store(path, c.data, c.len);
    file_store(other, b.data, b.len);
    stays_shut(s, "exchanged", 0);
    file_store(path, b.data, b.len);
    reopen(s);
    assert_non_null(m = manifest_load(s->p.repo, FIRST, s->late));
    manifest_free(m);
    buf_free(&b);
    buf_free(&c);
    store_list_free(&l);
    free(path);
    free(other);
}

/* Write slots as f says, made by `maker`. */
static void
put(struct scene *s, struct repo *as, struct slots_file *f,
    const struct secret_key *maker)
{
    char *path = place_file(&s->p, f->name);
    struct buf b = {0};

    slots_file_format(as, f, maker, &b);
    file_store(path, b.data, b.len);
    buf_free(&b);
    free(path);
}

static void
test_forged(void **state)
{
    struct scene *s = *state;
    struct store_list l;
    struct slots_file f;
    struct place other;
    struct manifest *m;

    rewrap(s, s->p.key, s->late, OBJECTS);
    names(s, SLOTS_PREFIX, &l);
    assert_int_equal(slots_file_load(s->p.repo, l.v[0].name, &f), 0);
    /* By a stranger; by the one whom it is for; for another repository. */
    place_make(&other);
    put(s, s->p.repo, &f, other.key);
    stays_shut(s, "by a stranger", 0);
    put(s, s->p.repo, &f, s->late);
    stays_shut(s, "by itself", 0);
    put(s, other.repo, &f, s->p.key);
    stays_shut(s, "of another repository", 0);
    /* By a recipient, but with the key of another object: no frame opens. */
    for (size_t i = 0; i + 1 < f.n; i++)
        memcpy(f.v[i].keys.v, f.v[i + 1].keys.v, sizeof f.v[i].keys.v);
    put(s, s->p.repo, &f, s->p.key);
    reopen(s);
    m = manifest_load(s->p.repo, FIRST, s->late);
    assert_null(m);
    assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    slots_file_free(&f);
    place_free(&other);
    store_list_free(&l);
}

static int
not_yet(void *arg, const struct store_entry *e)
{
    return arg == NULL || e->size == 0; /* there are both */
}

/* They go with what they are for. */
static void
test_sweep(void **state)
{
    struct scene *s = *state;
    struct store_list l;
    size_t n = 0;
    uint64_t bytes = 0;
    struct rewrap_sweeping how = {.all = &l, .arg = s};
    char *dir = place_file(&s->p, "backup/" FIRST);

    rewrap(s, s->p.key, s->late, OBJECTS);
    names(s, "", &l);
    assert_int_equal(rewrap_sweep(s->p.repo, &how, &n, &bytes), 0);
    assert_int_equal(n, 0);
    store_list_free(&l);
    assert_int_equal(dir_remove(dir), 0);
    names(s, "", &l);
    how.may_go = not_yet;
    assert_int_equal(rewrap_sweep(s->p.repo, &how, &n, &bytes), 0);
    assert_int_equal(n, 0);
    how.may_go = NULL;
    how.dry_run = true;
    assert_int_equal(rewrap_sweep(s->p.repo, &how, &n, &bytes), 0);
    assert_int_equal(n, 1);
    n = 0;
    how.dry_run = false;
    assert_int_equal(rewrap_sweep(s->p.repo, &how, &n, &bytes), 0);
    assert_int_equal(n, 1);
    assert_true(bytes > 0);
    store_list_free(&l);
    names(s, SLOTS_PREFIX, &l);
    assert_int_equal(l.n, 2);
    store_list_free(&l);
    free(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rewrap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attacked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
