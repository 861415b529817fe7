/*
 * test_segment.c -- segments of the log: notes, names, the writer, the tail,
 * the reader; with events of a real server, and without a server.
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

#include "event_vectors.h"
#include "pitr/catalog.h"
#include "pitr/compress.h"
#include "pitr/file.h"
#include "pitr/mem.h"
#include "pitr/segment.h"
#include "pitr/times.h"

struct lab {
    char dir[32];
    struct secret_key *key;
    struct repo *repo;
};

static const struct buf format = {
    .data = (uint8_t *)v_format, .len = sizeof v_format};

static struct segment_start
start_make(enum segment_cause cause)
{
    struct segment_start s = {.epoch = 1,
        .seq = 1,
        .cause = cause,
        .why = xstrdup(cause == SEGMENT_GAP ? "purged" : ""),
        .started_us = 1651500000000000,
        .server_version = xstrdup("10.11.19-MariaDB"),
        .source_file = xstrdup("log.000001"),
        .source_pos = 4,
        .source_created = 1651400000,
        .server_id = 7,
        .server_uid = xstrdup("uid"),
        .prev_name = xstrdup("")};

    assert_int_equal(gtid_pos_parse("0-7-10,3-7-1", &s.gtid), 0);
    return s;
}

/* --- notes and names --- */

static void
start_equal(const struct segment_start *a, const struct segment_start *b)
{
    struct buf x = {0}, y = {0};

    segment_start_format(a, &x);
    segment_start_format(b, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buf_free(&x);
    buf_free(&y);
}

static void
test_start_note(void **state)
{
    struct segment_start s = start_make(SEGMENT_GAP), t;
    struct buf b = {0};

    (void)state;
    free(s.prev_name);
    s.prev_name = segment_name(1, 1, s.started_us);
    s.prev_size = 4711;
    memset(s.prev_digest, 9, DIGEST_SIZE);
    s.epoch = 2;
    s.seq = 2;
    segment_start_format(&s, &b);
    assert_int_equal(segment_start_parse(b.data, b.len, &t), 0);
    start_equal(&s, &t);
    assert_string_equal(t.why, "purged");
    assert_int_equal(t.source_created, 1651400000);
    assert_true(gtid_pos_equal(&s.gtid, &t.gtid));
    segment_start_free(&t);
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *cut = xmemdup(b.data, n);
        assert_int_equal(segment_start_parse(cut, n, &t), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        free(cut);
    }
    buf_u8(&b, 0);
    assert_int_equal(segment_start_parse(b.data, b.len, &t), -1);
    b.data[0] = 2;
    assert_int_equal(segment_start_parse(b.data, b.len - 1, &t), -1);
    segment_start_free(&s);
    buf_free(&b);
}

/* The first one has nothing before it, and only that one. */
static void
test_start_sane(void **state)
{
    struct segment_start s = start_make(SEGMENT_FIRST), t;
    struct buf b = {0};

    (void)state;
    segment_start_format(&s, &b);
    assert_int_equal(segment_start_parse(b.data, b.len, &t), 0);
    segment_start_free(&t);
    s.cause = SEGMENT_NEXT;
    buf_reset(&b);
    segment_start_format(&s, &b);
    assert_int_equal(segment_start_parse(b.data, b.len, &t), -1);
    s.cause = SEGMENT_FIRST;
    s.prev_size = 1;
    buf_reset(&b);
    segment_start_format(&s, &b);
    assert_int_equal(segment_start_parse(b.data, b.len, &t), -1);
    segment_start_free(&s);
    buf_free(&b);
}

static void
test_state_note(void **state)
{
    struct segment_state s = {.bytes = 100,
                             .complete_bytes = 90,
                             .groups = 3,
                             .newest_us = 5,
                             .first_us = 4,
                             .complete_until_us = 6,
                             .source_file = xstrdup("log.000009"),
                             .source_pos = (uint64_t)5 << 32},
                         t;
    struct buf b = {0};

    (void)state;
    assert_int_equal(gtid_pos_parse("0-1-18446744073709551615", &s.gtid), 0);
    segment_state_format(&s, &b);
    assert_int_equal(segment_state_parse(b.data, b.len, &t), 0);
    assert_int_equal(t.bytes, 100);
    assert_int_equal(t.complete_bytes, 90);
    assert_int_equal(t.groups, 3);
    assert_int_equal(t.newest_us, 5);
    assert_int_equal(t.first_us, 4);
    assert_int_equal(t.complete_until_us, 6);
    assert_int_equal(t.source_pos, s.source_pos);
    assert_string_equal(t.source_file, "log.000009");
    assert_true(gtid_pos_equal(&s.gtid, &t.gtid));
    segment_state_free(&t);
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *cut = xmemdup(b.data, n);
        assert_int_equal(segment_state_parse(cut, n, &t), -1);
        free(cut);
    }
    s.complete_bytes = 101;
    buf_reset(&b);
    segment_state_format(&s, &b);
    assert_int_equal(segment_state_parse(b.data, b.len, &t), -1);
    segment_state_free(&s);
    buf_free(&b);
}

/* A note that lies about its size or order must not be believed. */
static void
test_note_gtids(void **state)
{
    struct segment_start s = start_make(SEGMENT_FIRST), t;
    struct buf b = {0};
    const size_t count = 1 + 4 + 8 + 1 + 4;

    (void)state;
    segment_start_format(&s, &b);
    assert_int_equal(b.data[count], 2);
    memset(b.data + count, 0xff, 4);
    assert_int_equal(segment_start_parse(b.data, b.len, &t), -1);
    memcpy(b.data + count, "\2\0\0\0", 4);
    b.data[count + 4] = 3; /* the first domain, like the second */
    assert_int_equal(segment_start_parse(b.data, b.len, &t), -1);
    b.data[count + 4] = 0;
    assert_int_equal(segment_start_parse(b.data, b.len, &t), 0);
    segment_start_free(&t);
    segment_start_free(&s);
    buf_free(&b);
}

static void
test_names(void **state)
{
    static const char *const bad[] = {"", "binlog/", "binlog/0001-0000000001",
        "binlog/0001-0000000001-", "binlog/1-1-20220502T140300Z",
        "binlog/0001-0000000001-20220502T140300", "binlog/0000-0000000001-2022",
        "binlog/0000-0000000001-20220502T140300Z",
        "binlog/0001-0000000000-20220502T140300Z",
        "binlog/0001-0000000001-20220532T140300Z",
        "binlog/0001-0000000001-2022050214:03:0Z",
        "binlog/0001-0000000001-20220502T140300Zx",
        "binlog/0001--000000001-20220502T140300Z",
        "binlog/0001-99999999999999999999-20220502T140300Z",
        "backup/0001-0000000001-20220502T140300Z"};
    uint32_t epoch;
    uint64_t seq, us;
    char *name = segment_name(1, 1, 1651500180000000 + 999999);

    (void)state;
    assert_string_equal(name, "binlog/0001-0000000001-20220502T140300Z");
    assert_int_equal(segment_name_parse(name, &epoch, &seq, &us), 0);
    assert_int_equal(epoch, 1);
    assert_int_equal(seq, 1);
    assert_int_equal(us, 1651500180000000);
    free(name);
    name = segment_name(UINT32_MAX, UINT64_MAX, 0);
    assert_int_equal(segment_name_parse(name, &epoch, &seq, &us), 0);
    assert_true(epoch == UINT32_MAX && seq == UINT64_MAX && us == 0);
    free(name);
    for (size_t i = 0; i < NELEM(bad); i++)
        assert_int_equal(segment_name_parse(bad[i], &epoch, &seq, &us), -1);
}

/* --- writing and reading --- */

struct feed {
    struct segment_writer *w;
    struct event_format fmt;
    struct group_state group;
};

static int
feed(struct feed *f, const void *p, size_t n, uint64_t pos)
{
    struct event e;
    int step;

    assert_int_equal(event_parse(&f->fmt, p, n, &e), 0);
    step = group_next(&f->group, &e);
    assert_true(step >= 0);
    assert_int_equal(segment_event(f->w, &e, step, &f->group.gtid, pos), 0);
    return step;
}
#define FEED(f, v, pos) feed(f, v, sizeof v, pos)

static void
begin(struct lab *l, struct feed *f, const struct segment_tail *t,
    enum segment_cause cause)
{
    struct segment_start s = start_make(cause);
    struct event e;

    if (cause == SEGMENT_NEXT) {
        gtid_pos_free(&s.gtid);
        gtid_pos_copy(&s.gtid, &t->state.gtid);
    }
    memset(f, 0, sizeof *f);
    assert_int_equal(event_parse(&f->fmt, v_format, sizeof v_format, &e), 0);
    f->w = segment_begin(l->repo, t, &s, &format, 1);
    if (f->w == NULL)
        fail_msg("%s", err_text());
    segment_start_free(&s);
}

static void
transaction(struct feed *f, uint64_t pos)
{
    assert_int_equal(FEED(f, v_gtid_trx, pos - 40), GROUP_BEGIN);
    assert_int_equal(FEED(f, v_annotate, pos - 30), GROUP_INSIDE);
    assert_int_equal(FEED(f, v_xid, pos), GROUP_END);
}

/* Read all segments; the number of events. */
static size_t
read_all(struct lab *l, size_t *groups, struct gtid_pos *end)
{
    struct catalog *c = catalog_load(l->repo);
    size_t events = 0;

    if (c == NULL)
        fail_msg("%s", err_text());
    *groups = 0;
    for (size_t i = 0; i < c->segments; i++) {
        struct segment_reader *r =
            segment_open(l->repo, &c->segment[i], l->key);
        struct event e;
        int step, rc;

        if (r == NULL)
            fail_msg("%s", err_text());
        while ((rc = segment_read(r, &e, &step)) > 0) {
            events++;
            *groups += step == GROUP_END;
        }
        if (rc < 0)
            fail_msg("%s", err_text());
        assert_int_equal(segment_read(r, &e, &step), 0);
        segment_reader_free(r);
        gtid_pos_copy(end, &c->segment[i].state.gtid);
    }
    catalog_free(c);
    return events;
}

static void
test_write_and_read(void **state)
{
    struct lab *l = *state;
    struct segment_tail t;
    struct feed f;
    struct gtid_pos end = {0};
    const struct segment_state *now;
    size_t groups;

    assert_int_equal(segment_tail_find(l->repo, &t), 0);
    assert_null(t.name);
    begin(l, &f, &t, SEGMENT_FIRST);
    now = segment_now(f.w);
    assert_int_equal(now->bytes, 4 + sizeof v_format);
    assert_int_equal(now->complete_bytes, now->bytes);

    /* Begun: it counts already. */
    assert_int_equal(segment_tail_find(l->repo, &t), 1);
    assert_int_equal(t.start.seq, 1);
    assert_int_equal(t.state.source_pos, 4);
    segment_tail_free(&t);

    FEED(&f, v_gtid_list, 300);
    assert_int_equal(now->complete_bytes, now->bytes);
    transaction(&f, 1000);
    assert_int_equal(now->complete_bytes, now->bytes);
    assert_int_equal(now->groups, 1);
    assert_int_equal(now->source_pos, 1000);
    assert_true(now->first_us > 0 && now->newest_us == now->first_us);
    assert_int_equal(segment_flush(f.w, 77), 0);

    /* A part of one is durable, and does not count. */
    FEED(&f, v_gtid_trx, 1100);
    FEED(&f, v_annotate, 1200);
    assert_int_equal(segment_flush(f.w, 0), 0);
    assert_true(now->complete_bytes < now->bytes);
    assert_int_equal(segment_tail_find(l->repo, &t), 1);
    assert_int_equal(t.state.bytes, now->bytes);
    assert_int_equal(t.state.complete_bytes, now->complete_bytes);
    assert_int_equal(t.state.source_pos, 1000);
    assert_int_equal(t.state.complete_until_us, 77);
    assert_int_equal(read_all(l, &groups, &end), 5);
    assert_int_equal(groups, 1);

    /* The writer dies; the next goes on. */
    segment_abort(f.w);
    begin(l, &f, &t, SEGMENT_NEXT);
    assert_int_equal(segment_now(f.w)->source_pos, 1000);
    assert_int_equal(segment_now(f.w)->complete_until_us, 77);
    transaction(&f, 1300);
    assert_int_equal(segment_close(f.w, &t), 0);
    assert_int_equal(t.start.seq, 2);
    assert_int_equal(read_all(l, &groups, &end), 5 + 4);
    assert_int_equal(groups, 2);
    assert_true(gtid_pos_equal(&end, &t.state.gtid));

    begin(l, &f, &t, SEGMENT_GAP);
    assert_int_equal(segment_close(f.w, &t), 0);
    assert_int_equal(t.start.epoch, 2);
    assert_int_equal(t.start.seq, 3);
    assert_int_equal(read_all(l, &groups, &end), 5 + 4 + 1);
    segment_tail_free(&t);
    gtid_pos_free(&end);
}

static void
test_cause_fits(void **state)
{
    struct lab *l = *state;
    struct segment_start s = start_make(SEGMENT_NEXT);
    struct segment_tail t = {0};

    assert_null(segment_begin(l->repo, &t, &s, &format, 1));
    assert_int_equal(err_kind(), ERR_FAILED);
    segment_start_free(&s);
}

/* Whatever a crash leaves of the newest segment, the tail is a mark that was
 * durable, and the log can go on from there. */
static void
test_torn_anywhere(void **state)
{
    struct lab *l = *state;
    struct segment_tail first = {0}, t, none = {0};
    struct feed f;
    struct buf whole = {0};
    struct gtid_pos end = {0};
    char *path;
    size_t groups, step;

    begin(l, &f, &none, SEGMENT_FIRST);
    transaction(&f, 1000);
    assert_int_equal(segment_close(f.w, &first), 0);
    begin(l, &f, &first, SEGMENT_NEXT);
    transaction(&f, 1100);
    assert_int_equal(segment_flush(f.w, 0), 0);
    transaction(&f, 1200);
    segment_abort(f.w);
    assert_int_equal(segment_tail_find(l->repo, &t), 1);
    path = xasprintf("%s/repo/%s", l->dir, t.name);
    segment_tail_free(&t);
    assert_int_equal(file_read(path, 1 << 20, &whole), 0);
    step = 1 + whole.len / 150;
    for (size_t n = 0; n <= whole.len; n += step) {
        uint64_t seq;

        assert_int_equal(unlink(path), 0);
        assert_int_equal(file_create(path, 0600, whole.data, n), 0);
        assert_int_equal(segment_tail_find(l->repo, &t), 1);
        assert_true(t.start.seq == 1 || t.start.seq == 2);
        assert_int_equal(t.last_seq, 2);
        if (t.start.seq == 1)
            assert_memory_equal(t.digest, first.digest, DIGEST_SIZE);
        begin(l, &f, &t, SEGMENT_NEXT);
        transaction(&f, 1300);
        seq = t.start.seq;
        assert_int_equal(segment_close(f.w, &t), 0);
        assert_int_equal(t.start.seq, 3);
        read_all(l, &groups, &end);
        assert_true(groups >= 2);
        if (seq == 1)
            assert_int_equal(groups, 2);
        assert_int_equal(store_remove(l->repo->store, t.name), 0);
        segment_tail_free(&t);
    }
    segment_tail_free(&first);
    gtid_pos_free(&end);
    buf_free(&whole);
    free(path);
}

/* A whole header, and nothing after it. */
static void
test_header_alone(void **state)
{
    struct lab *l = *state;
    struct segment_tail t = {0};
    struct segment_start s = start_make(SEGMENT_NEXT);
    struct buf note = {0};
    struct gtid_pos end = {0};
    struct feed f;
    size_t groups;
    char *name = segment_name(1, 2, s.started_us);
    struct sink *sink;

    begin(l, &f, &t, SEGMENT_FIRST);
    transaction(&f, 1000);
    assert_int_equal(segment_close(f.w, &t), 0);
    s.seq = 2;
    free(s.prev_name);
    s.prev_name = xstrdup(t.name);
    s.prev_size = t.size;
    memcpy(s.prev_digest, t.digest, DIGEST_SIZE);
    segment_start_format(&s, &note);
    sink = repo_put(l->repo, SEAL_SEGMENT, name, &note, 1, STORE_GROWING, NULL);
    assert_non_null(sink);
    sink_free(sink);
    segment_tail_free(&t);
    assert_int_equal(segment_tail_find(l->repo, &t), 1);
    assert_int_equal(t.start.seq, 1);
    assert_int_equal(t.last_seq, 2);
    read_all(l, &groups, &end);
    assert_int_equal(groups, 1);
    begin(l, &f, &t, SEGMENT_NEXT);
    transaction(&f, 1100);
    assert_int_equal(segment_close(f.w, &t), 0);
    assert_int_equal(t.start.seq, 3);
    read_all(l, &groups, &end);
    assert_int_equal(groups, 2);
    segment_tail_free(&t);
    segment_start_free(&s);
    gtid_pos_free(&end);
    buf_free(&note);
    free(name);
}

/* The reader refuses a segment whose marks say what is not in it. */
static void
test_reader_checks_marks(void **state)
{
    struct lab *l = *state;
    struct segment_tail t = {0};
    struct catalog *c;
    struct feed f;

    begin(l, &f, &t, SEGMENT_FIRST);
    transaction(&f, 1000);
    transaction(&f, 2000);
    assert_int_equal(segment_close(f.w, &t), 0);
    assert_non_null(c = catalog_load(l->repo));
    for (int i = 0; i < 4; i++) {
        struct segment_info *s = &c->segment[0];
        struct segment_state keep = s->state;
        struct segment_reader *r;
        struct event e;
        int step, rc;

        if (i == 0)
            s->state.groups++;
        if (i == 1)
            s->state.complete_bytes -= sizeof v_xid;
        if (i == 2)
            s->state.complete_bytes += 1;
        if (i == 3)
            s->digest[5] ^= 1;
        r = segment_open(l->repo, s, l->key);
        rc = r == NULL ? -1 : 1;
        while (rc > 0)
            rc = segment_read(r, &e, &step);
        assert_int_equal(rc, -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        segment_reader_free(r);
        s->state = keep;
    }
    catalog_free(c);
    segment_tail_free(&t);
}

/* --- */

static int
lab_make(void **state)
{
    struct lab *l = xcalloc(1, sizeof *l);
    char path[64], signing[64];

    strcpy(l->dir, "/tmp/pitr-segment-XXXXXX");
    if (keys_setup() < 0 || mkdtemp(l->dir) == NULL)
        return -1;
    l->key = secret_key_new();
    snprintf(path, sizeof path, "%s/repo", l->dir);
    snprintf(signing, sizeof signing, "%s/signing", l->dir);
    if (repo_init(path, "test", signing, secret_key_public(l->key), 1, l->key) <
            0 ||
        (l->repo = repo_open(path, NULL, signing)) == NULL)
        return -1;
    *state = l;
    return 0;
}

static int
lab_free(void **state)
{
    struct lab *l = *state;

    repo_close(l->repo);
    secret_key_free(l->key);
    dir_remove(l->dir);
    free(l);
    return 0;
}

#define IN_LAB(t) cmocka_unit_test_setup_teardown(t, lab_make, lab_free)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_note),
        cmocka_unit_test(test_start_sane),
        cmocka_unit_test(test_state_note),
        cmocka_unit_test(test_note_gtids),
        cmocka_unit_test(test_names),
        IN_LAB(test_write_and_read),
        IN_LAB(test_cause_fits),
        IN_LAB(test_torn_anywhere),
        IN_LAB(test_header_alone),
        IN_LAB(test_reader_checks_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
