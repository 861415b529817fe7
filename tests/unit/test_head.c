/*
 * test_head.c -- how far a repository goes: its head as a text, and what is
 * found against it when an older state was put back, when the newest objects
 * are withheld, and when the history is another.
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
#include "pitr/head.h"
#include "pitr/mem.h"
#include "repo_util.h"

struct scene {
    struct place p;
    struct segment_tail tail;
    unsigned groups;
    struct catalog *c;
    struct head head;
};

static void
load(struct scene *s, struct head *out)
{
    catalog_free(s->c);
    s->c = catalog_load(s->p.repo);
    if (s->c == NULL || head_of(s->p.repo, s->c, out) < 0)
        fail_msg("%s", err_text());
}

static void
segment(struct scene *s, enum segment_cause cause, bool open)
{
    segment_make(s->p.repo, &s->tail, &s->groups, cause, open);
}

static int
setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof *s);

    place_make(&s->p);
    segment(s, SEGMENT_FIRST, false);
    segment(s, SEGMENT_NEXT, false);
    segment(s, SEGMENT_NEXT, true);
    backup_make(s->p.repo, FIRST, US(15), "0-7-1", "bin.000001", 104);
    backup_make(s->p.repo, SECOND, US(35), "0-7-3", "bin.000001", 304);
    load(s, &s->head);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct scene *s = *state;

    catalog_free(s->c);
    segment_tail_free(&s->tail);
    place_free(&s->p);
    free(s);
    return 0;
}

/* Has it, as it is now, what the head names? */
static void
is_fine(struct scene *s)
{
    struct head now;

    load(s, &now);
    if (head_check(s->p.repo, s->c, &s->head) < 0)
        fail_msg("%s", err_text());
}

static void
is_refused(struct scene *s, const char *word)
{
    struct head now;

    load(s, &now);
    assert_int_equal(head_check(s->p.repo, s->c, &s->head), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    if (strstr(err_text(), word) == NULL || *err_hint_text() == '\0')
        fail_msg("%s", err_text());
    err_clear();
}

static char *
segment_path(struct scene *s, size_t i)
{
    return place_file(&s->p, s->c->segment[i].name);
}

static void
test_text(void **state)
{
    struct scene *s = *state;
    char text[HEAD_TEXT], again[HEAD_TEXT];
    struct head h;

    head_text(&s->head, text);
    assert_int_equal(strncmp(text, "20220502T020105Z." SECOND ".3.", 36), 0);
    assert_int_equal(head_parse(text, &h), 0);
    assert_memory_equal(&h, &s->head, sizeof h);
    assert_string_equal(head_text(&h, again), text);
    /* Any slip is seen. */
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];

        text[i] = was == '1' ? '2' : was == 'b' ? 'c' : was - 1;
        assert_int_equal(head_parse(text, &h), -1);
        assert_int_equal(err_kind(), ERR_USAGE);
        text[i] = '\0';
        assert_int_equal(head_parse(text, &h), -1);
        text[i] = was;
        err_clear();
    }
    assert_int_equal(head_parse(text, &h), 0);
}

static void
test_nothing_there(void **state)
{
    struct place p;
    struct catalog *c;
    struct head h, again;
    char text[HEAD_TEXT];

    (void)state;
    place_make(&p);
    assert_non_null(c = catalog_load(p.repo));
    assert_int_equal(head_of(p.repo, c, &h), 0);
    assert_int_equal(strncmp(head_text(&h, text), "none.none.0.0.", 14), 0);
    assert_int_equal(head_parse(text, &again), 0);
    assert_int_equal(head_check(p.repo, c, &again), 0);
    catalog_free(c);
    place_free(&p);
}

static void
test_goes_on(void **state)
{
    struct scene *s = *state;
    char *path = NULL;

    is_fine(s);
    /* The newest one grows; others follow; a backup, too. */
    segment_tail_free(&s->tail);
    assert_int_equal(segment_tail_find(s->p.repo, &s->tail), 1);
    segment(s, SEGMENT_NEXT, false);
    is_fine(s);
    backup_make(s->p.repo, "20220504T020000Z", US(75), "0-7-7", "b", 704);
    is_fine(s);
    /* What the head names expires. */
    for (size_t i = 0; i < 3; i++) {
        path = segment_path(s, i);
        unlink(path);
        free(path);
    }
    is_fine(s);
    path = place_file(&s->p, "backup/" SECOND "/manifest");
    unlink(path);
    free(path);
    is_fine(s);
}

/* A growing segment that was seen in the middle of its growth. */
static void
test_grown(void **state)
{
    struct scene *s = *state;
    char *path = segment_path(s, 2), *name = xstrdup(s->c->segment[2].name);
    struct buf b = {0};
    struct seal_mark m;
    struct seal_expect want = repo_expect(s->p.repo, SEAL_SEGMENT, name);
    size_t seen = 0;

    file_load(path, &b);
    for (size_t n = 1; n < b.len; n++) {
        struct source *src = source_of_memory(b.data, n);

        if (seal_scan(src, &want, 0, false, NULL, &m) > 0 && !m.torn) {
            file_store(path, b.data, n);
            load(s, &s->head);
            file_store(path, b.data, b.len);
            is_fine(s);
            seen++;
        }
        seal_mark_free(&m);
        source_free(src);
        err_clear();
    }
    assert_true(seen >= 2);
    buf_free(&b);
    free(name);
    free(path);
}

static void
test_withheld(void **state)
{
    struct scene *s = *state;
    char *path = segment_path(s, 2), *other = segment_path(s, 1);
    struct buf b = {0};

    /* A piece of the newest segment, all of it, and the one before. */
    file_load(path, &b);
    file_store(path, b.data, b.len - 150);
    is_refused(s, "had ");
    unlink(path);
    is_refused(s, "segment 3 of the log is missing");
    unlink(other);
    is_refused(s, "segment 3 of the log is missing");
    free(path);
    free(other);
    buf_free(&b);
}

static void
test_backup_withheld(void **state)
{
    struct scene *s = *state;
    char *path = place_file(&s->p, "backup/" SECOND "/manifest");
    struct buf b = {0};

    file_load(path, &b);
    unlink(path);
    is_refused(s, "backup " SECOND " is missing");
    file_store(path, b.data, b.len / 2); /* damaged is not there either */
    is_refused(s, "backup " SECOND " is missing");
    file_store(path, b.data, b.len);
    is_fine(s);
    buf_free(&b);
    free(path);
}

/* An older state of it was gone on with, with the right keys. */
static void
test_another_history(void **state)
{
    struct scene *s = *state;
    char *path = segment_path(s, 2), *manifest;

    unlink(path);
    segment_tail_free(&s->tail);
    assert_int_equal(segment_tail_find(s->p.repo, &s->tail), 1);
    s->groups = 4;
    segment(s, SEGMENT_NEXT, false); /* other keys, other bytes */
    is_refused(s, "another history");
    manifest = place_file(&s->p, "backup/" SECOND "/manifest");
    unlink(manifest);
    backup_make(s->p.repo, SECOND, US(35), "0-7-3", "bin.000001", 304);
    is_refused(s, "another history");
    free(path);
    free(manifest);
}

/* The head of another repository. */
static void
test_another_repository(void **state)
{
    struct scene *s = *state;
    struct place other;
    struct catalog *c;

    place_make(&other);
    assert_non_null(c = catalog_load(other.repo));
    assert_int_equal(head_check(other.repo, c, &s->head), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    catalog_free(c);
    place_free(&other);
}

static void
test_remembered(void **state)
{
    struct scene *s = *state;
    char *dir = xasprintf("%s/state/pitr", s->p.dir), *path, *elsewhere;
    char text[HEAD_TEXT];
    struct head h;
    struct place other;

    assert_non_null(path = head_state_path(s->p.repo, dir));
    assert_int_equal(head_state_load(path, &h), 0);
    assert_int_equal(head_state_save(path, s->p.repo, &s->head), 0);
    assert_int_equal(head_state_load(path, &h), 1);
    assert_memory_equal(&h, &s->head, sizeof h);
    h.seq++;
    assert_int_equal(head_state_save(path, s->p.repo, &h), 0);
    assert_int_equal(head_state_load(path, &h), 1);
    assert_int_equal(h.seq, s->head.seq + 1);
    /* Another repository, or one at another place, has another file. */
    place_make(&other);
    assert_non_null(elsewhere = head_state_path(other.repo, dir));
    assert_string_not_equal(path, elsewhere);
    place_free(&other);
    /* The same place with another repository of the server is noticed, with
     * one of another server it is not. */
    {
        char *copy = xasprintf(
            "%s/%s%s", dir, "aaaaaaaaaaaaaaaaaaaaaaaaaa", strrchr(path, '-'));
        char *found;

        assert_null(head_state_other(s->p.repo, path));
        assert_int_equal(head_state_save(copy, s->p.repo, &s->head), 0);
        assert_non_null(found = head_state_other(s->p.repo, path));
        assert_string_equal(found, copy);
        free(found);
        head_state_anew(s->p.repo, dir);
        assert_null(head_state_other(s->p.repo, path));
        assert_int_equal(head_state_load(path, &h), 1);
        file_store(copy, "pitr-head 1\nx\nserver db11\n", 26);
        chmod(copy, 0600);
        assert_null(head_state_other(s->p.repo, path));
        unlink(copy);
        free(copy);
    }
    /* What others could have written is not used, nor what is damaged. */
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(head_state_load(path, &h), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    head_text(&s->head, text);
    file_store(path, text, strlen(text));
    chmod(path, 0600);
    assert_int_equal(head_state_load(path, &h), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    free(dir);
    free(path);
    free(elsewhere);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test_setup_teardown(test_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_withheld, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backup_withheld, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_history, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_another_repository, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remembered, setup, teardown),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
