/*
 * test_rekey.c -- another signing key, other recipients: what was signed before
 * still counts, what the old key signs afterwards does not, and what a thief of
 * it makes of the repository file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../src/repo/repo_file.h"
#include "pitr/catalog.h"
#include "pitr/expire.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/verify.h"
#include "repo_util.h"

#define THIRD "20220504T020000Z"
#define LATER "repository-000002"

struct scene {
    struct place p; /* its repo is that of the first signing key */
    struct segment_tail tail;
    unsigned groups;
    char *fresh;        /* file of the new signing key */
    struct repo *after; /* opened with it */
};

static int
setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof *s);

    place_make(&s->p);
    s->fresh = xasprintf("%s/fresh.key", s->p.dir);
    backup_write(s->p.repo, FIRST, 15, LIE_NONE);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_FIRST, false);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, false);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct scene *s = *state;

    repo_close(s->after);
    segment_tail_free(&s->tail);
    place_free(&s->p);
    free(s->fresh);
    free(s);
    return 0;
}

static void
rekey(struct repo *r, const struct repo_rekey *how)
{
    if (repo_rekey(r, how) < 0)
        fail_msg("%s", err_text());
}

static void
rotate(struct scene *s)
{
    struct repo_rekey how = {.new_signing = s->fresh};

    rekey(s->p.repo, &how);
    s->after = repo_open(s->p.path, "db1", s->fresh);
    if (s->after == NULL)
        fail_msg("%s", err_text());
}

static void
counts(struct repo *r, size_t backups, size_t segments, unsigned warnings)
{
    unsigned warned = log_warnings();
    struct catalog *c = catalog_load(r);

    if (c == NULL)
        fail_msg("%s", err_text());
    assert_int_equal(c->backups, backups);
    assert_int_equal(c->segments, segments);
    assert_int_equal(c->breaks, 0);
    assert_int_equal(log_warnings() - warned, warnings);
    catalog_free(c);
}

static void
is_good(struct repo *r, const struct secret_key *key, uint64_t objects)
{
    struct verify_conf conf = {.repo = r, .key = key, .jobs = 2, .all = true};
    struct verify_report v;

    if (verify_run(&conf, &v) < 0)
        fail_msg("%s", err_text());
    for (size_t i = 0; i < v.findings; i++)
        fail_msg("%s: %s", v.finding[i].object, v.finding[i].text);
    assert_int_equal(v.objects, objects);
    verify_report_free(&v);
}

/* Objects: and the later generations. */
static void
test_rotate(void **state)
{
    struct scene *s = *state;
    uint8_t other[32] = {7};
    unsigned warned;
    struct repo *r;

    rotate(s);
    assert_int_equal(s->after->generation, 2);
    assert_memory_not_equal(s->after->signer, s->p.repo->signer, 32);
    counts(s->after, 1, 2, 0);
    segment_make(s->after, &s->tail, &s->groups, SEGMENT_NEXT, false);
    backup_write(s->after, SECOND, 35, LIE_NONE);
    counts(s->after, 2, 3, 0);
    is_good(s->after, s->p.key, 2 * (PARTS + 2) + 3 + 1);
    is_good(s->after, NULL, 2 * (PARTS + 2) + 3 + 1);
    /* The old one writes no more; and it is said which one does. */
    assert_null(repo_open(s->p.path, "db1", s->p.signing));
    assert_int_equal(err_kind(), ERR_KEY);
    assert_non_null(strstr(err_hint_text(), "rekey"));
    err_clear();
    /* Trusted by either signer, and by the endorsement of the first. */
    assert_non_null(r = repo_open(s->p.path, "db1", NULL));
    warned = log_warnings();
    assert_int_equal(repo_trust(r, NULL, s->p.repo->signer), 0);
    assert_int_equal(repo_trust(r, NULL, s->after->signer), 0);
    assert_int_equal(repo_trust(r, s->p.key, NULL), 0);
    assert_int_equal(log_warnings(), warned);
    assert_int_equal(repo_trust(r, s->p.key, other), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    repo_close(r);
}

/* And once more, by the recovery key. */
static void
test_rotate_twice(void **state)
{
    struct scene *s = *state;
    char *third = xasprintf("%s/third.key", s->p.dir);
    struct repo_rekey how = {.new_signing = third, .recovery = s->p.key};
    struct repo *r;

    rotate(s);
    segment_make(s->after, &s->tail, &s->groups, SEGMENT_NEXT, false);
    assert_non_null(r = repo_open(s->p.path, "db1", NULL));
    rekey(r, &how);
    repo_close(r);
    assert_non_null(r = repo_open(s->p.path, "db1", third));
    assert_int_equal(r->generation, 3);
    segment_make(r, &s->tail, &s->groups, SEGMENT_NEXT, true);
    backup_write(r, SECOND, 35, LIE_NONE);
    counts(r, 2, 4, 0);
    is_good(r, s->p.key, 2 * (PARTS + 2) + 4 + 2);
    repo_close(r);
    free(third);
}

/* --- what the former key signs afterwards --- */

static void
test_former_key(void **state)
{
    struct scene *s = *state;
    struct segment_tail tail;
    unsigned groups = s->groups, warned;
    char *path = place_file(&s->p, "backup/" FIRST "/manifest");
    struct buf was = {0};
    struct repo *r;

    rotate(s);
    /* A segment that follows: as the newest it counts as nothing. */
    assert_int_equal(segment_tail_find(s->p.repo, &tail), 1);
    segment_make(s->p.repo, &tail, &groups, SEGMENT_NEXT, false);
    segment_tail_free(&tail);
    counts(s->after, 1, 2, 1);
    /* The stream goes on around it. */
    segment_tail_free(&s->tail);
    assert_int_equal(segment_tail_find(s->after, &s->tail), 1);
    segment_make(s->after, &s->tail, &s->groups, SEGMENT_NEXT, false);
    counts(s->after, 1, 3, 0);
    /* A backup, whatever date it is given. */
    backup_write(s->p.repo, THIRD, 35, LIE_NONE);
    backup_write(s->p.repo, "20220501T020000Z", 14, LIE_NONE);
    counts(s->after, 1, 3, 2);
    /* Another one in the place of one that was there. */
    file_load(path, &was);
    unlink(path);
    backup_make(s->p.repo, FIRST, US(15), "0-7-1", "bin.000001", 104);
    warned = log_warnings();
    assert_null(catalog_load(s->after));
    assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    assert_true(log_warnings() > warned);
    assert_null(manifest_load(s->after, FIRST, s->p.key));
    assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    file_store(path, was.data, was.len);
    /* Another generation, in its own favour: the first one has its place. */
    assert_non_null(r = repo_open(s->p.path, "db1", NULL));
    assert_memory_equal(r->signer, s->after->signer, 32);
    repo_close(r);
    buf_free(&was);
    free(path);
}

/* The last segment was growing; the former key adds to it. */
static void
test_former_key_adds(void **state)
{
    struct scene *s = *state;
    struct segment_tail tail;
    struct catalog *c;
    struct buf all = {0};
    char *path, *name;
    uint64_t size;

    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, false);
    assert_non_null(c = catalog_load(s->p.repo));
    name = xstrdup(c->segment[2].name);
    path = place_file(&s->p, name);
    catalog_free(c);
    file_load(path, &all);
    /* As it was some time before: the end of the last mark is found. */
    for (size = all.len / 2;; size++) {
        file_store(path, all.data, size);
        assert_int_equal(segment_tail_find(s->p.repo, &tail), 1);
        if (strcmp(tail.name, name) == 0 && tail.size == size)
            break;
        segment_tail_free(&tail);
    }
    segment_tail_free(&tail);
    rotate(s);
    file_store(path, all.data, all.len);
    assert_non_null(c = catalog_load(s->after));
    assert_int_equal(c->segments, 3);
    assert_int_equal(c->segment[2].size, size);
    assert_true(c->segment[2].state.groups < 2);
    catalog_free(c);
    buf_free(&all);
    free(path);
    free(name);
}

/* A pin stays one; what the former key says of it afterwards is not good. */
static void
test_former_key_pins(void **state)
{
    struct scene *s = *state;
    unsigned warned = log_warnings();
    struct pins pins;

    assert_int_equal(pin_add(s->p.repo, FIRST), 0);
    rotate(s);
    assert_int_equal(pins_load(s->after, &pins), 0);
    assert_true(pins_has(&pins, FIRST));
    pins_free(&pins);
    assert_int_equal(log_warnings(), warned);
    assert_int_equal(pin_remove(s->p.repo, FIRST), 0);
    assert_int_equal(pins_load(s->after, &pins), 0);
    assert_true(pins_has(&pins, FIRST));
    assert_int_equal(log_warnings(), warned + 1);
    pins_free(&pins);
    assert_int_equal(pin_remove(s->after, FIRST), 0);
    assert_int_equal(pins_load(s->after, &pins), 0);
    assert_false(pins_has(&pins, FIRST));
    pins_free(&pins);
}

/* --- the file in others' hands --- */

/* A thief of the signing key hands over to a key of his; the owner goes back
 * behind that with the recovery key. */
static void
test_thief(void **state)
{
    struct scene *s = *state;
    char *theirs = xasprintf("%s/theirs.key", s->p.dir);
    struct secret_key *thief = secret_key_new();
    struct repo_rekey steal = {
        .recipients = secret_key_public(thief), .n = 1, .new_signing = theirs};
    struct repo_rekey back = {.new_signing = s->fresh, .recovery = s->p.key};
    struct repo *r, *stolen;

    rekey(s->p.repo, &steal);
    assert_non_null(stolen = repo_open(s->p.path, "db1", theirs));
    segment_make(stolen, &s->tail, &s->groups, SEGMENT_NEXT, false);
    /* The recovery key is none of that one's recipients. */
    assert_non_null(r = repo_open(s->p.path, "db1", NULL));
    assert_int_equal(repo_rekey(r, &back), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    err_clear();
    back.from = 7;
    assert_int_equal(repo_rekey(r, &back), -1);
    assert_int_equal(err_kind(), ERR_USAGE);
    err_clear();
    back.from = 1;
    rekey(r, &back);
    repo_close(r);
    s->after = repo_open(s->p.path, "db1", NULL);
    assert_non_null(s->after);
    assert_int_equal(s->after->generation, 3);
    assert_memory_equal(
        &s->after->recipients[0], secret_key_public(s->p.key), 64);
    counts(s->after, 1, 2, 1); /* without what the thief wrote */
    assert_int_equal(repo_trust(s->after, NULL, stolen->signer), -1);
    err_clear();
    assert_int_equal(repo_trust(s->after, NULL, s->after->signer), 0);
    repo_close(stolen);
    secret_key_free(thief);
    free(theirs);
}

/* Read: the generation before counts, with a warning; what the new key signed
 * is refused.  To write, it is refused to open. */
static void
without_later(struct scene *s, const char *what, size_t at)
{
    unsigned warned = log_warnings();
    struct repo *r = repo_open(s->p.path, "db1", NULL);

    if (r == NULL || r->generation != 1 || log_warnings() == warned)
        fail_msg("%s at %zu: %s", what, at, err_text());
    assert_memory_equal(r->signer, s->p.repo->signer, 32);
    repo_close(r);
    assert_null(repo_open(s->p.path, "db1", s->fresh));
    assert_true(err_kind() == ERR_VERIFY || err_kind() == ERR_KEY);
    err_clear();
}

static void
test_later_damaged(void **state)
{
    struct scene *s = *state;
    char *path = place_file(&s->p, LATER), *other;
    struct buf b = {0};
    struct repo *r;

    rotate(s);
    file_load(path, &b);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 0x04; /* no letter's case */
        file_store(path, b.data, b.len);
        b.data[i] ^= 0x04;
        without_later(s, "flipped", i);
    }
    for (size_t n = 0; n < b.len; n++) {
        file_store(path, b.data, n);
        without_later(s, "cut", n);
    }
    /* Under another number. */
    unlink(path);
    other = place_file(&s->p, "repository-000003");
    file_store(other, b.data, b.len);
    without_later(s, "renamed", 0);
    {
        struct repo *reader = repo_open(s->p.path, "db1", NULL);
        struct verify_conf conf = {.repo = reader, .jobs = 1, .all = true};
        struct verify_report v;

        assert_int_equal(verify_run(&conf, &v), 0);
        assert_int_equal(verify_count(&v, VERIFY_DAMAGED), 1);
        assert_string_equal(v.finding[0].object, "repository-000003");
        verify_report_free(&v);
        repo_close(reader);
    }
    unlink(other);
    /* Gone: what it vouched for does not count. */
    assert_non_null(r = repo_open(s->p.path, "db1", NULL));
    assert_int_equal(r->generation, 1);
    repo_close(r);
    file_store(path, b.data, b.len);
    assert_non_null(r = repo_open(s->p.path, "db1", s->fresh));
    repo_close(r);
    buf_free(&b);
    free(path);
    free(other);
}

/* Of another repository with the same keys; and one that nobody handed over. */
static void
test_later_forged(void **state)
{
    struct scene *s = *state;
    struct place other;
    char *theirs = xasprintf("%s/theirs.key", s->p.dir), *from;
    char *path = place_file(&s->p, LATER);
    struct signing_key *k = signing_key_new();
    struct repo_rekey how = {.new_signing = theirs};
    struct repo_file f;
    struct buf b = {0};

    rotate(s);
    place_make(&other);
    rekey(other.repo, &how);
    from = place_file(&other, LATER);
    file_load(from, &b);
    file_store(path, b.data, b.len);
    without_later(s, "another's", 0);
    /* As the attacker would make it: all right but for the hand-over. */
    assert_int_equal(repo_file_parse(b.data, b.len, &f), 0);
    memcpy(f.id, s->p.repo->id, sizeof f.id);
    memcpy(f.previous, s->p.repo->chain->file[0].digest, DIGEST_SIZE);
    memcpy(f.signer, signing_key_public(k), 32);
    buf_reset(&b);
    repo_file_format(&f, k, k, NULL, &b);
    file_store(path, b.data, b.len);
    without_later(s, "forged", 0);
    /* By a recovery key that is no recipient. */
    f.by_recovery = true;
    buf_reset(&b);
    repo_file_format(&f, k, NULL, other.key, &b);
    file_store(path, b.data, b.len);
    without_later(s, "by a stranger", 0);
    /* With a line between the hand-over and the signature. */
    repo_file_free(&f);
    place_free(&other);
    signing_key_free(k);
    buf_free(&b);
    free(theirs);
    free(from);
    free(path);
}

/* --- recipients --- */

static bool
opens(struct repo *r, const char *id, const struct secret_key *key)
{
    struct manifest *m = manifest_load(r, id, key);
    bool open = m != NULL;

    if (!open)
        assert_int_equal(err_kind(), ERR_KEY);
    err_clear();
    manifest_free(m);
    return open;
}

static void
test_recipients(void **state)
{
    struct scene *s = *state;
    struct secret_key *second = secret_key_new();
    struct public_key two[2] = {
        *secret_key_public(s->p.key), *secret_key_public(second)};
    struct repo_rekey how = {.recipients = two, .n = 2};

    rekey(s->p.repo, &how);
    s->after = repo_open(s->p.path, "db1", s->p.signing);
    assert_non_null(s->after);
    assert_int_equal(s->after->n_recipients, 2);
    backup_write(s->after, SECOND, 35, LIE_NONE);
    assert_true(opens(s->after, SECOND, s->p.key));
    assert_true(opens(s->after, SECOND, second));
    assert_true(opens(s->after, FIRST, s->p.key));
    assert_false(opens(s->after, FIRST, second));
    /* The first one is taken off. */
    how = (struct repo_rekey){.recipients = two + 1, .n = 1};
    rekey(s->after, &how);
    repo_close(s->after);
    s->after = repo_open(s->p.path, "db1", s->p.signing);
    assert_non_null(s->after);
    assert_int_equal(s->after->generation, 3);
    backup_write(s->after, THIRD, 55, LIE_NONE);
    assert_false(opens(s->after, THIRD, s->p.key));
    assert_true(opens(s->after, THIRD, second));
    assert_true(opens(s->after, SECOND, s->p.key)); /* it stays open */
    counts(s->after, 3, 2, 0);
    secret_key_free(second);
}

/* Who had opened it before it was handed over writes nothing by the old one. */
static void
test_between(void **state)
{
    struct scene *s = *state;
    struct secret_key *second = secret_key_new();
    struct repo *writer = repo_open(s->p.path, "db1", s->p.signing);
    struct public_key two[2] = {
        *secret_key_public(s->p.key), *secret_key_public(second)};
    struct repo_rekey how = {.recipients = two, .n = 2};
    char *path = place_file(&s->p, "repository-000003");

    assert_non_null(writer);
    rotate(s);
    assert_null(repo_lock(writer, "backup"));
    assert_int_equal(err_kind(), ERR_LOCKED);
    assert_null(repo_lock(writer, "stream"));
    assert_int_equal(repo_rekey(writer, &how), -1);
    assert_int_equal(err_kind(), ERR_LOCKED);
    err_clear();
    assert_int_equal(access(path, F_OK), -1);
    rekey(s->after, &how);
    assert_int_equal(access(path, F_OK), 0);
    repo_close(writer);
    secret_key_free(second);
    free(path);
}

/* One who was taken off hands over to himself, from when he was a recipient:
 * that does not overrule another recovery key. */
static void
test_removed_recipient(void **state)
{
    struct scene *s = *state;
    struct secret_key *second = secret_key_new();
    char *theirs = xasprintf("%s/theirs.key", s->p.dir);
    struct public_key two[2] = {
        *secret_key_public(s->p.key), *secret_key_public(second)};
    struct repo_rekey add = {.recipients = two, .n = 2};
    struct repo_rekey off = {.recipients = two,
        .n = 1,
        .new_signing = s->fresh,
        .recovery = s->p.key};
    struct repo_rekey back = {
        .new_signing = theirs, .recovery = second, .from = 2};
    struct repo *r;

    rekey(s->p.repo, &add);
    assert_non_null(r = repo_open(s->p.path, "db1", s->p.signing));
    rekey(r, &off);
    repo_close(r);
    assert_non_null(r = repo_open(s->p.path, "db1", NULL));
    rekey(r, &back);
    repo_close(r);
    assert_non_null(r = repo_open(s->p.path, "db1", NULL));
    assert_int_equal(r->generation, 3);
    assert_int_equal(r->n_recipients, 1);
    repo_close(r);
    assert_non_null(r = repo_open(s->p.path, "db1", s->fresh));
    repo_close(r);
    assert_null(repo_open(s->p.path, "db1", theirs));
    assert_int_equal(err_kind(), ERR_KEY);
    err_clear();
    secret_key_free(second);
    free(theirs);
}

static void
refuses(struct repo *r, const struct repo_rekey *how, enum err_kind kind)
{
    assert_int_equal(repo_rekey(r, how), -1);
    assert_int_equal(err_kind(), kind);
    err_clear();
}

static void
test_refused(void **state)
{
    struct scene *s = *state;
    struct secret_key *stranger = secret_key_new();
    struct repo *reader = repo_open(s->p.path, "db1", NULL);
    struct repo_rekey fresh = {.new_signing = s->fresh};
    struct repo_rekey by = {.new_signing = s->fresh, .recovery = stranger};
    struct repo_rekey none = {.recipients = secret_key_public(stranger)};
    struct lock *lock;
    struct catalog *c;
    char *path;

    assert_non_null(reader);
    refuses(reader, &fresh, ERR_KEY);
    refuses(s->p.repo, &by, ERR_KEY);
    refuses(s->p.repo, &none, ERR_USAGE);
    for (int i = 0; i < 2; i++) {
        assert_non_null(
            lock = repo_lock(s->p.repo, i == 0 ? "backup" : "stream"));
        refuses(s->p.repo, &fresh, ERR_LOCKED);
        lock_free(lock);
    }
    fresh.new_signing = s->p.signing; /* is there */
    refuses(s->p.repo, &fresh, ERR_FAILED);
    fresh.new_signing = s->fresh;
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, false);
    assert_non_null(c = catalog_load(s->p.repo));
    path = place_file(&s->p, c->segment[1].name);
    unlink(path);
    refuses(s->p.repo, &fresh, ERR_VERIFY);
    assert_int_equal(access(s->fresh, F_OK), -1);
    free(path);
    path = place_file(&s->p, LATER);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    catalog_free(c);
    repo_close(reader);
    secret_key_free(stranger);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rotate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_former_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_former_key_adds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_former_key_pins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thief, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recipients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_between, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_removed_recipient, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
