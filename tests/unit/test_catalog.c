/*
 * test_catalog.c -- reading what a repository holds: a small one with backups
 * and a log of four segments, the last still growing, and what is found when
 * its files were damaged, removed, exchanged or never finished.
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
#include "pitr/catalog.h"
#include "pitr/health.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "repo_util.h"

#define SEGMENTS 4

struct scene {
    struct place p;
    struct segment_tail tail; /* as the writer left it */
    char *name[SEGMENTS + 4];
    struct buf was[SEGMENTS]; /* their bytes */
    unsigned groups;          /* so far */
};

static char *
name_at(struct scene *s, size_t i)
{
    struct catalog *c = catalog_load(s->p.repo);
    char *name;

    assert_non_null(c);
    assert_true(i < c->segments);
    name = xstrdup(c->segment[i].name);
    catalog_free(c);
    return name;
}

static int
setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof *s);

    place_make(&s->p);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_FIRST, false);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, false);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, false);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, true);
    for (size_t i = 0; i < SEGMENTS; i++) {
        char *name = name_at(s, i);

        s->name[i] = place_file(&s->p, name);
        file_load(s->name[i], &s->was[i]);
        free(name);
    }
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct scene *s = *state;

    segment_tail_free(&s->tail);
    for (size_t i = 0; i < NELEM(s->name); i++)
        free(s->name[i]);
    for (size_t i = 0; i < SEGMENTS; i++)
        buf_free(&s->was[i]);
    place_free(&s->p);
    free(s);
    return 0;
}

/* It loads, with that many segments and transactions. */
static void
loads(struct scene *s, size_t segments, uint64_t groups)
{
    struct catalog *c = catalog_load(s->p.repo);
    uint64_t sum = 0;

    if (c == NULL)
        fail_msg("%s", err_text());
    assert_int_equal(c->segments, segments);
    for (size_t i = 0; i < c->segments; i++)
        sum += c->segment[i].state.groups;
    assert_int_equal(sum, groups);
    catalog_free(c);
}

static void
is_refused(struct scene *s)
{
    assert_null(catalog_load(s->p.repo));
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_true(*err_text() != '\0');
    err_clear();
}

/* It loads, and the log is broken before segment number seq and nowhere else;
 * so many are left, of which those after the break are whole. */
static void
breaks(struct scene *s, uint64_t seq, size_t least, size_t most)
{
    unsigned warned = log_warnings();
    struct catalog *c = catalog_load(s->p.repo);
    const struct segment_info *b;

    if (c == NULL)
        fail_msg("%s", err_text());
    assert_int_equal(c->breaks, 1);
    assert_int_equal(log_warnings(), warned + 1);
    b = catalog_break(c, 0);
    assert_int_equal(b->start.seq, seq);
    assert_true(*b->broken != '\0');
    assert_null(catalog_break(c, (size_t)(b - c->segment) + 1));
    if (c->segments < least || c->segments > most)
        fail_msg("%zu segments", c->segments);
    for (size_t i = 0; i < c->segments; i++)
        assert_true(c->segment[i].state.groups == 2 ||
            c->segment[i].start.seq == seq - 1);
    assert_int_equal(err_kind(), ERR_NONE);
    catalog_free(c);
}

static void
restore(struct scene *s, size_t i)
{
    file_store(s->name[i], s->was[i].data, s->was[i].len);
}

static void
test_good(void **state)
{
    struct scene *s = *state;
    struct catalog *c = catalog_load(s->p.repo);
    unsigned warned = log_warnings();

    assert_non_null(c);
    assert_int_equal(c->segments, SEGMENTS);
    assert_int_equal(c->backups, 0);
    for (size_t i = 0; i < SEGMENTS; i++) {
        const struct segment_info *x = &c->segment[i];

        assert_int_equal(x->closed, i < 3);
        assert_int_equal(x->size, s->was[i].len);
        assert_int_equal(x->start.seq, i + 1);
        assert_int_equal(x->start.epoch, 1);
        assert_int_equal(x->state.groups, 2);
        assert_int_equal(x->state.first_us, US(i * 20 + 10));
        assert_int_equal(x->state.newest_us, US(i * 20 + 20));
        assert_int_equal(x->state.complete_until_us, US(i * 20 + 25));
        assert_int_equal(x->state.gtid.v[0].seq, i * 2 + 2);
        assert_int_equal(x->state.source_pos, 4 + (i * 2 + 2) * 100);
    }
    assert_int_equal(log_warnings(), warned);
    catalog_free(c);
}

static void
test_gap(void **state)
{
    struct scene *s = *state;
    struct segment_tail tail;
    struct catalog *c;

    assert_int_equal(segment_tail_find(s->p.repo, &tail), 1);
    segment_tail_free(&s->tail);
    s->tail = tail;
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_GAP, false);
    c = catalog_load(s->p.repo);
    assert_non_null(c);
    assert_int_equal(c->segments, 5);
    assert_int_equal(c->segment[4].start.epoch, 2);
    assert_string_equal(c->segment[4].start.why, "the log was purged");
    catalog_free(c);
}

static void
test_removed(void **state)
{
    struct scene *s = *state;

    unlink(s->name[1]);
    breaks(s, 3, 3, 3);
    restore(s, 1);
    unlink(s->name[0]); /* expired */
    loads(s, 3, 6);
    unlink(s->name[1]);
    loads(s, 2, 4);
    unlink(s->name[3]);
    loads(s, 1, 2);
    unlink(s->name[2]);
    loads(s, 0, 0);
}

/* Of the growing one, what is durable counts, at whatever byte it ends. */
static void
test_last_cut(void **state)
{
    struct scene *s = *state;
    uint64_t before = 0;

    for (size_t n = 0; n <= s->was[3].len; n++) {
        struct catalog *c;
        uint64_t groups;

        file_store(s->name[3], s->was[3].data, n);
        c = catalog_load(s->p.repo);
        if (c == NULL)
            fail_msg("at %zu: %s", n, err_text());
        assert_true(c->segments == 3 || c->segments == 4);
        groups = c->segments == 4 ? c->segment[3].state.groups : 0;
        assert_true(groups >= before && groups <= 2);
        if (c->segments == 4) {
            assert_true(c->segment[3].size <= n);
            assert_false(c->segment[3].closed);
        }
        before = groups;
        catalog_free(c);
    }
    assert_int_equal(before, 2);
    /* And a closed one that is the newest, likewise. */
    unlink(s->name[3]);
    for (size_t n = 0; n < s->was[2].len; n++) {
        struct catalog *c;

        file_store(s->name[2], s->was[2].data, n);
        c = catalog_load(s->p.repo);
        if (c == NULL)
            fail_msg("at %zu: %s", n, err_text());
        assert_true(c->segments == 2 || !c->segment[2].closed);
        catalog_free(c);
    }
}

/* One that another links to has to be as it was. */
static void
test_linked_cut(void **state)
{
    struct scene *s = *state;

    for (size_t n = 0; n < s->was[1].len; n++) {
        file_store(s->name[1], s->was[1].data, n);
        breaks(s, 3, 3, 4);
    }
    buf_u8(&s->was[1], 0);
    restore(s, 1);
    breaks(s, 3, 3, 3);
}

/* Header and marks are checked; what is between, when it is read. */
static void
test_linked_flipped(void **state)
{
    struct scene *s = *state;
    struct buf *b = &s->was[1];
    struct catalog *c = catalog_load(s->p.repo);
    struct seal_header h;
    struct seal_mark m;
    uint64_t last;

    assert_non_null(c);
    assert_int_equal(
        repo_peek(s->p.repo, SEAL_SEGMENT, c->segment[1].name, &h, &m), 1);
    last = m.offset;
    for (size_t i = 0; i < b->len; i++) {
        struct segment_reader *r;
        struct event e;
        int step, rc;

        b->data[i] ^= 0x10;
        restore(s, 1);
        b->data[i] ^= 0x10;
        if (i < h.size || i >= last) {
            breaks(s, 3, 3, 4);
            continue;
        }
        rc = (r = segment_open(s->p.repo, &c->segment[1], s->p.key)) == NULL
            ? -1
            : 1;
        while (rc == 1)
            rc = segment_read(r, &e, &step);
        if (rc != -1)
            fail_msg("byte %zu", i);
        assert_int_equal(err_kind(), ERR_VERIFY);
        err_clear();
        segment_reader_free(r);
    }
    catalog_free(c);
    seal_header_free(&h);
    seal_mark_free(&m);
}

/* The newest: it counts, in whole or up to a mark, or as nothing. */
static void
test_last_flipped(void **state)
{
    struct scene *s = *state;
    struct buf *b = &s->was[3];

    for (size_t i = 0; i < b->len; i++) {
        unsigned warned = log_warnings();
        struct catalog *c;

        b->data[i] ^= 0x10;
        restore(s, 3);
        b->data[i] ^= 0x10;
        c = catalog_load(s->p.repo);
        if (c == NULL)
            fail_msg("at %zu: %s", i, err_text());
        assert_true(c->segments == 3 || c->segment[3].state.groups < 2);
        /* Said, where it cannot be a torn write. */
        if (i < 100)
            assert_true(log_warnings() > warned);
        catalog_free(c);
    }
}

static void
test_exchanged(void **state)
{
    struct scene *s = *state;
    struct place other;
    struct scene theirs = {0};
    struct catalog *c;
    char *path;
    struct buf b = {0};
    unsigned warned;

    file_store(s->name[1], s->was[2].data, s->was[2].len);
    file_store(s->name[2], s->was[1].data, s->was[1].len);
    breaks(s, 4, 2, 2);
    restore(s, 1);
    restore(s, 2);
    /* One of another repository, for the same key, at the same place. */
    place_make(&other);
    segment_make(
        other.repo, &theirs.tail, &theirs.groups, SEGMENT_FIRST, false);
    c = catalog_load(other.repo);
    assert_non_null(c);
    path = place_file(&other, c->segment[0].name);
    file_load(path, &b);
    file_store(s->name[0], b.data, b.len);
    breaks(s, 2, 3, 3);
    /* As the newest it counts as nothing, and is told of. */
    restore(s, 0);
    file_store(s->name[3], b.data, b.len);
    warned = log_warnings();
    loads(s, 3, 6);
    assert_true(log_warnings() > warned);
    restore(s, 3);
    loads(s, 4, 8);
    catalog_free(c);
    free(path);
    buf_free(&b);
    segment_tail_free(&theirs.tail);
    place_free(&other);
}

/* The stream after a crash: from what is durable, around what is not. */
static void
go_on(struct scene *s)
{
    struct segment_tail tail;

    assert_int_equal(segment_tail_find(s->p.repo, &tail), 1);
    segment_tail_free(&s->tail);
    s->tail = tail;
    s->groups = (unsigned)tail.state.gtid.v[0].seq;
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, true);
}

static void
test_aborted(void **state)
{
    struct scene *s = *state;
    struct seal_header h;
    char *name = segment_name(1, 5, US(1000));
    size_t header;

    assert_int_equal(repo_peek(s->p.repo, SEAL_SEGMENT,
                         s->name[3] + strlen(s->p.path) + 1, &h, NULL),
        1);
    header = h.size;
    seal_header_free(&h);
    /* Nothing in it, or a header alone. */
    s->name[4] = place_file(&s->p, name);
    file_store(s->name[4], "", 0);
    loads(s, 4, 8);
    go_on(s); /* 6 */
    loads(s, 5, 10);
    s->name[5] = place_file(&s->p, "binlog/x");
    free(name);
    /* Now of the newest only its header is left, and the next goes around. */
    name = name_at(s, 4);
    free(s->name[5]);
    s->name[5] = place_file(&s->p, name);
    {
        struct buf b = {0};

        file_load(s->name[5], &b);
        file_store(s->name[5], b.data, header);
        loads(s, 4, 8);
        go_on(s); /* 7 */
        loads(s, 5, 10);
        go_on(s); /* 8, linked to 7 */
        loads(s, 6, 12);
        buf_free(&b);
    }
    free(name);
}

/* The newest was damaged; the stream counted it as nothing, and had its
 * transactions sent again. */
static void
test_gone_around(void **state)
{
    struct scene *s = *state;

    for (size_t at = 20; at < s->was[3].len; at += 97) {
        unlink(s->name[3]);
        s->was[3].data[at] ^= 0xff;
        restore(s, 3);
        s->was[3].data[at] ^= 0xff;
        go_on(s);
        {
            struct catalog *c = catalog_load(s->p.repo);
            struct gtid_pos end = {0};
            char *name;

            if (c == NULL)
                fail_msg("byte %zu: %s", at, err_text());
            assert_true(c->segments == 4 || c->segments == 5);
            gtid_pos_copy(&end, &c->segment[c->segments - 1].state.gtid);
            assert_int_equal(end.v[0].seq, s->groups);
            name = place_file(&s->p, c->segment[c->segments - 1].name);
            unlink(name);
            free(name);
            gtid_pos_free(&end);
            catalog_free(c);
        }
    }
}

/* --- while others are at work --- */

/* What happens between two looks. */
struct other {
    struct scene *s;
    bool (*does)(struct other *o, const char *what, const char *path);
    unsigned lists, gets;
};

static bool
other_before(void *arg, const char *what, const char *name)
{
    struct other *o = arg;
    char *path = place_file(&o->s->p, name);
    bool shows;

    o->lists += strcmp(what, "list") == 0 && strncmp(name, "binlog/", 7) == 0;
    o->gets += strcmp(what, "get") == 0 && strncmp(name, "binlog/", 7) == 0;
    shows = o->does(o, what, path);
    free(path);
    return shows;
}

/* All that has a part in it is there again afterwards. */
static void
meanwhile(struct scene *s,
    bool (*does)(struct other *o, const char *what, const char *path),
    size_t segments, size_t broken)
{
    struct other o = {.s = s, .does = does};
    struct between b = {.before = other_before, .arg = &o};
    struct repo *r = place_between(&s->p, &b);
    unsigned warned = log_warnings();

    for (int signatures = 0; signatures <= 1; signatures++) {
        struct catalog *c = xcalloc(1, sizeof *c);

        o.lists = o.gets = 0;
        c->signatures = signatures;
        if (catalog_load_log(r, c) < 0)
            fail_msg("%s", err_text());
        for (size_t i = 0; i < c->segments && broken == 0; i++)
            if (c->segment[i].broken != NULL)
                fail_msg("%s", c->segment[i].broken);
        assert_int_equal(c->segments, segments);
        assert_int_equal(c->breaks, broken);
        catalog_free(c);
        for (size_t i = 0; i < SEGMENTS; i++) {
            unlink(s->name[i]);
            restore(s, i);
        }
    }
    assert_int_equal(log_warnings(), warned);
    repo_close(r);
}

/* expire: the oldest go when they have been listed. */
static bool
oldest_go(struct other *o, const char *what, const char *path)
{
    (void)path;
    if (strcmp(what, "get") == 0 && o->gets == 1) {
        unlink(o->s->name[0]);
        unlink(o->s->name[1]);
    }
    return true;
}

/* The second is gone when it is read, the first was read before it went. */
static bool
read_and_gone(struct other *o, const char *what, const char *path)
{
    if (strcmp(what, "get") == 0 && strcmp(path, o->s->name[1]) == 0)
        unlink(path);
    if (strcmp(what, "list") == 0 && o->lists == 2)
        unlink(o->s->name[0]);
    return true;
}

/* One is taken out of the middle: that is none that expires. */
static bool
middle_goes(struct other *o, const char *what, const char *path)
{
    if (strcmp(what, "get") == 0 && strcmp(path, o->s->name[1]) == 0)
        unlink(path);
    return true;
}

/* Two came while it was listed, and the listing has only the second. */
static bool
overlooked(struct other *o, const char *what, const char *path)
{
    return strcmp(what, "entry") != 0 || o->lists > 1 ||
        strcmp(path, o->s->name[2]) != 0;
}

/* However often it is looked at, one is not there. */
static bool
hidden(struct other *o, const char *what, const char *path)
{
    return strcmp(what, "entry") != 0 || strcmp(path, o->s->name[2]) != 0;
}

static void
test_meanwhile(void **state)
{
    struct scene *s = *state;

    meanwhile(s, oldest_go, 2, 0);
    meanwhile(s, read_and_gone, 2, 0);
    meanwhile(s, middle_goes, 3, 1);
    meanwhile(s, overlooked, 4, 0);
    meanwhile(s, hidden, 3, 1);
}

/* A backup that came to its end after the catalogue was read has not failed. */
static bool
just_ended(struct other *o, const char *what, const char *path)
{
    (void)o;
    return strcmp(what, "stat") != 0 || strstr(path, "/manifest") == NULL ||
        o->gets++ > 0;
}

static bool
just_ended_before(void *arg, const char *what, const char *name)
{
    return just_ended(arg, what, name);
}

static void
test_just_ended(void **state)
{
    struct scene *s = *state;
    struct other o = {.s = s};
    struct between b = {.before = just_ended_before, .arg = &o};
    struct health h;
    struct repo *r;

    backup_make(
        s->p.repo, "20220502T030000Z", US(200), "0-7-8", "bin.000001", 804);
    r = place_between(&s->p, &b);
    health_look(r, "db1", NULL, 0, &h);
    assert_int_equal(h.backups, 0);
    assert_int_equal(h.unfinished, 0);
    assert_null(h.unfinished_id);
    health_free(&h);
    repo_close(r);
}

/* That many count, that many do not, and the damaged one is told of. */
static void
backups_count(struct scene *s, size_t whole, size_t broken)
{
    unsigned warned = log_warnings();
    struct catalog *c = catalog_load(s->p.repo);

    assert_non_null(c);
    assert_int_equal(c->backups, whole);
    assert_int_equal(c->n_broken, broken);
    assert_int_equal(log_warnings(), warned + 1);
    catalog_free(c);
}

static void
test_backups(void **state)
{
    struct scene *s = *state;
    struct repo *r = s->p.repo;
    char *path = place_file(&s->p, "backup/20220502T030000Z/manifest");
    struct catalog *c;
    struct windows w;
    struct sink *part;
    struct buf b = {0};

    backup_make(r, "20220502T030000Z", US(200), "0-7-8", "bin.000001", 804);
    backup_make(r, "20220502T020000Z", US(35), "0-7-3", "bin.000001", 304);
    part = repo_put(r, SEAL_ROWS, "backup/20220502T040000Z/part-000001", NULL,
        1, STORE_ATOMIC, NULL);
    assert_non_null(part);
    assert_int_equal(sink_finish(part), 0);
    sink_free(part);
    c = catalog_load(r);
    assert_non_null(c);
    assert_int_equal(c->backups, 2);
    assert_string_equal(c->backup[0].id, "20220502T020000Z");
    assert_int_equal(c->backup[0].gtid.v[0].seq, 3);
    assert_string_equal(c->backup[1].id, "20220502T030000Z");
    assert_int_equal(c->n_broken, 1);
    assert_string_equal(c->broken[0], "20220502T040000Z");
    catalog_windows(c, &w);
    assert_int_equal(w.n, 2);
    assert_int_equal(w.v[0].to_us, US(85));
    windows_free(&w);
    catalog_free(c);
    /* The whole of one under another's name. */
    file_load(path, &b);
    unlink(path);
    path[strlen(path) - strlen("30000Z/manifest")] = '5'; /* 050000Z */
    {
        char *dir = file_folder(path);

        assert_int_equal(dir_make(dir, 0700), 0);
        free(dir);
    }
    file_store(path, b.data, b.len);
    backups_count(s, 1, 3);
    /* Cut, as the second of two, and as the only one. */
    for (size_t n = 1; n < b.len; n += 13) {
        file_store(path, b.data, n);
        backups_count(s, 1, 3);
    }
    {
        char *other = place_file(&s->p, "backup/20220502T020000Z/manifest");

        unlink(other);
        is_refused(s);
        free(other);
    }
    free(path);
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_linked_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_linked_flipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_flipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exchanged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_aborted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_around, setup, teardown),
        cmocka_unit_test_setup_teardown(test_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_just_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backups, setup, teardown),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
