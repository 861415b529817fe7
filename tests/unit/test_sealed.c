/*
 * test_sealed.c -- sealed objects come back as they were written: sizes,
 * recipients, growing objects read at each mark, the committed vector.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../src/codec/keys_impl.h"
#include "pitr/file.h"
#include "pitr/mem.h"
#include "sealed_util.h"

static const size_t sizes[] = {
    0,
    1,
    2,
    1000,
    SEAL_FRAME_PLAIN - 1,
    SEAL_FRAME_PLAIN,
    SEAL_FRAME_PLAIN + 1,
    2 * SEAL_FRAME_PLAIN,
    3 * SEAL_FRAME_PLAIN + 17,
};

/* Write n bytes in chunks, read them back in steps. */
static void
round_trip(const struct world *w, size_t n, size_t chunk, size_t step)
{
    struct seal_expect want = world_expect(w, "seg/1");
    uint8_t *plain = xmalloc(n + 1);
    struct buf object = {0}, back = {0};
    struct seal_header h;
    struct source *src;
    struct sink *s;

    pattern_fill(plain, n, (uint32_t)n);
    s = world_sink(w, "seg/1", &object);
    assert_non_null(s);
    for (size_t at = 0; at < n; at += chunk)
        assert_int_equal(sink_write(s, plain + at, MIN(chunk, n - at)), 0);
    assert_int_equal(sink_finish(s), 0);
    assert_true(seal_last_mark(s)->final);
    assert_int_equal(
        seal_last_mark(s)->offset + seal_last_mark(s)->size, object.len);
    sink_free(s);

    src = open_source(source_dribble(object.data, object.len, step), &want,
        w->key, 0, NULL, &h);
    assert_non_null(src);
    assert_string_equal(h.name, "seg/1");
    assert_string_equal(h.server, "db1");
    assert_string_equal(buf_cstr(&h.meta), "header note");
    assert_int_equal(h.slots, 1);
    assert_int_equal(source_slurp(src, n, &back), 0);
    assert_int_equal(back.len, n);
    if (n > 0)
        assert_memory_equal(back.data, plain, n);
    source_free(src);
    seal_header_free(&h);
    buf_free(&object);
    buf_free(&back);
    free(plain);
}

static void
test_sizes(void **state)
{
    struct world w;

    (void)state;
    world_make(&w);
    for (size_t i = 0; i < NELEM(sizes); i++) {
        round_trip(&w, sizes[i], SIZE_MAX / 2, SIZE_MAX / 2);
        round_trip(&w, sizes[i], 1000, 777);
        round_trip(&w, sizes[i], SEAL_FRAME_PLAIN + 1, 65536);
    }
    round_trip(&w, 3000, 1, 1);
    world_free(&w);
}

static void
test_no_silent_copy(void **state)
{
    /* The plaintext is not in the object. */
    static const char text[] = "a line that nobody else is to read";
    struct world w;
    struct buf object = {0};

    (void)state;
    world_make(&w);
    object_make(&w, "x", (const uint8_t *)text, sizeof(text), 1, &object);
    assert_null(memmem(object.data, object.len, text + 2, 8));
    buf_free(&object);
    world_free(&w);
}

static struct sink *
sink_for(const struct world *w, struct buf *out, const struct public_key *keys,
    size_t n)
{
    struct seal_header h = {
        .kind = SEAL_MANIFEST, .server = "db1", .name = "x"};

    return seal_sink(sink_to_buf(out), &h, w->signer, keys, n);
}

static void
test_recipients(void **state)
{
    struct secret_key *keys[SEAL_RECIPIENTS_MAX], *other = secret_key_new();
    struct public_key pubs[SEAL_RECIPIENTS_MAX + 1];
    struct world w;
    struct buf object = {0}, back = {0};
    struct sink *s;

    (void)state;
    world_make(&w);
    for (size_t i = 0; i < SEAL_RECIPIENTS_MAX; i++) {
        keys[i] = secret_key_new();
        pubs[i] = *secret_key_public(keys[i]);
    }
    pubs[SEAL_RECIPIENTS_MAX] = pubs[0];
    s = sink_for(&w, &object, pubs, SEAL_RECIPIENTS_MAX);
    assert_int_equal(sink_write(s, "hello", 5), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    for (size_t i = 0; i < SEAL_RECIPIENTS_MAX; i++) {
        buf_reset(&back);
        assert_int_equal(
            object_open(object.data, object.len, NULL, keys[i], 0, &back), 0);
        assert_string_equal(buf_cstr(&back), "hello");
        secret_key_free(keys[i]);
    }
    assert_int_equal(
        object_open(object.data, object.len, NULL, other, 0, &back), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    assert_non_null(strstr(err_text(), "not sealed to the key"));

    assert_null(sink_for(&w, &object, pubs, 0));
    assert_int_equal(err_kind(), ERR_KEY);
    assert_null(sink_for(&w, &object, pubs, SEAL_RECIPIENTS_MAX + 1));
    /* A point of small order would give a key that anyone can guess. */
    memset(pubs[0].box, 0, sizeof(pubs[0].box));
    assert_null(sink_for(&w, &object, pubs, 2));
    assert_int_equal(err_kind(), ERR_KEY);
    secret_key_free(other);
    buf_free(&object);
    buf_free(&back);
    world_free(&w);
}

#define MARKS 5

static void
test_growing(void **state)
{
    static const size_t piece[MARKS] = {10, 0, SEAL_FRAME_PLAIN + 5, 1, 300};
    struct world w;
    struct seal_expect want;
    struct buf object = {0}, truth = {0};
    uint64_t ends[MARKS];
    uint8_t digests[MARKS][DIGEST_SIZE], *bytes = xmalloc(SEAL_FRAME_PLAIN * 2);
    size_t plain_ends[MARKS];
    struct sink *s;

    (void)state;
    world_make(&w);
    want = world_expect(&w, "seg/2");
    s = world_sink(&w, "seg/2", &object);
    for (unsigned i = 0; i < MARKS; i++) {
        char note[16];
        const struct seal_mark *m;

        pattern_fill(bytes, piece[i], i);
        buf_add(&truth, bytes, piece[i]);
        assert_int_equal(sink_write(s, bytes, piece[i]), 0);
        snprintf(note, sizeof(note), "note %u", i);
        seal_set_meta(s, note, strlen(note));
        assert_int_equal(sink_flush(s), 0);
        m = seal_last_mark(s);
        assert_false(m->final);
        assert_int_equal(m->offset + m->size, object.len);
        ends[i] = object.len;
        memcpy(digests[i], m->digest, DIGEST_SIZE);
        plain_ends[i] = truth.len;
    }
    sink_free(s); /* the writer dies here */

    for (unsigned i = 0; i < MARKS; i++) {
        struct buf back = {0};
        struct seal_mark m;
        struct source *src;

        /* Read up to mark i, of an object that has gone on. */
        src = open_source(source_of_memory(object.data, object.len), &want,
            w.key, ends[i], digests[i], NULL);
        assert_int_equal(source_slurp(src, truth.len, &back), 0);
        assert_int_equal(back.len, plain_ends[i]);
        assert_memory_equal(back.data, truth.data, back.len);
        source_free(src);
        src = open_source(source_of_memory(object.data, object.len), &want,
            w.key, ends[i], digests[(i + 1) % MARKS], NULL);
        assert_int_equal(source_slurp(src, truth.len, &back), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        source_free(src);
        /* Not at a mark, and not closed. */
        buf_reset(&back);
        assert_int_equal(object_open(object.data, object.len, &want, w.key,
                             ends[i] - 1, &back),
            -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        assert_int_equal(
            object_open(object.data, ends[i], &want, w.key, 0, &back), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);

        src = source_dribble(object.data, object.len, 100);
        assert_int_equal(seal_scan(src, &want, ends[i], false, NULL, &m), 1);
        assert_int_equal(m.offset + m.size, ends[i]);
        assert_int_equal(m.meta.len, 6);
        assert_int_equal(m.meta.data[5], '0' + i);
        assert_memory_equal(m.digest, digests[i], DIGEST_SIZE);
        seal_mark_free(&m);
        source_free(src);
        buf_free(&back);
    }
    buf_free(&object);
    buf_free(&truth);
    free(bytes);
    world_free(&w);
}

static void
test_bounds(void **state)
{
    struct world w;
    struct buf object = {0};
    uint8_t *note = xcalloc(1, SEAL_META_MAX + 1);
    struct seal_header h = {.kind = SEAL_ROWS, .server = "db1", .name = ""};
    struct seal_mark m;
    struct source *src;
    struct sink *s;

    (void)state;
    world_make(&w);
    s = world_sink(&w, "x", &object);
    seal_set_meta(s, note, SEAL_META_MAX);
    assert_int_equal(sink_flush(s), 0);
    src = source_of_memory(object.data, object.len);
    assert_int_equal(seal_scan(src, NULL, 0, false, NULL, &m), 1);
    assert_int_equal(m.meta.len, SEAL_META_MAX);
    assert_false(m.torn);
    seal_mark_free(&m);
    source_free(src);
    seal_set_meta(s, note, SEAL_META_MAX + 1);
    assert_int_equal(sink_flush(s), -1);
    sink_free(s);

    assert_null(seal_sink(
        sink_to_buf(&object), &h, w.signer, secret_key_public(w.key), 1));
    h.name = "a\nb";
    assert_null(seal_sink(
        sink_to_buf(&object), &h, w.signer, secret_key_public(w.key), 1));
    assert_null(seal_sink(NULL, &h, w.signer, secret_key_public(w.key), 1));
    assert_null(open_source(NULL, NULL, w.key, 0, NULL, NULL));
    free(note);
    buf_free(&object);
    world_free(&w);
}

static void
test_tail(void **state)
{
    struct world w;
    struct buf object = {0}, open = {0};
    struct seal_header h;
    struct seal_mark m;
    struct source *src;
    struct sink *s;

    (void)state;
    world_make(&w);
    object_make(&w, "x", (const uint8_t *)"some bytes", 10, 2, &object);
    src = source_of_memory(object.data, object.len);
    assert_int_equal(seal_read_header(src, NULL, &h), 0);
    source_free(src);
    for (size_t n = 0; n <= object.len; n++) {
        int rc =
            seal_tail_mark(object.data + object.len - n, n, object.len, &h, &m);

        assert_int_equal(rc, n >= 134);
        if (rc == 1) {
            assert_int_equal(m.offset + m.size, object.len);
            assert_int_equal(m.frames, 2);
            seal_mark_free(&m);
        }
    }
    assert_int_equal(
        seal_tail_mark(object.data, object.len, object.len + 1, &h, &m), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    seal_header_free(&h);

    /* A growing object has no final mark. */
    s = world_sink(&w, "y", &open);
    assert_int_equal(sink_flush(s), 0);
    src = source_of_memory(open.data, open.len);
    assert_int_equal(seal_read_header(src, NULL, &h), 0);
    assert_int_equal(seal_tail_mark(open.data, open.len, open.len, &h, &m), 0);
    seal_header_free(&h);
    source_free(src);
    sink_free(s);
    buf_free(&open);
    buf_free(&object);
    world_free(&w);
}

/* Git keeps no mode 0400, so it is parsed and not loaded. */
static struct signing_key *
vector_signer(const char *path)
{
    struct keyfile kf = {0};
    struct signing_key *k;

    assert_int_equal(keyfile_read(&kf, path), 0);
    k = signing_parse(&kf);
    assert_non_null(k);
    keyfile_free(&kf);
    return k;
}

/* An object whose writer died within its header, and others. */
static void
test_begun(void **state)
{
    struct world w;
    struct buf b = {0};
    struct record r[RECORDS_MAX];
    uint8_t *torn;

    (void)state;
    world_make(&w);
    object_make(&w, "a", (const uint8_t *)"text", 4, 1, &b);
    records_find(&b, r);
    torn = xcalloc(1, b.len);
    for (size_t n = 0; n < r[0].size - 2; n++) {
        memcpy(torn, b.data, n);
        assert_true(seal_is_begun(torn, n));
        assert_true(seal_is_begun(torn, b.len)); /* zeros behind it */
    }
    assert_false(seal_is_begun(b.data, b.len));
    memcpy(torn, b.data, b.len);
    torn[60] ^= 1; /* changed, not torn */
    assert_false(seal_is_begun(torn, b.len));
    torn[2] ^= 1;
    assert_false(seal_is_begun(torn, 12));
    free(torn);
    buf_free(&b);
    world_free(&w);
}

/* The object of doc/FORMAT.md, "Test vectors". */
static void
test_vector(void **state)
{
    static const char plain[] = "The quick brown fox jumps over the lazy dog.";
    static const uint8_t repo[REPO_ID_SIZE] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4,
        0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    struct signing_key *signer;
    struct secret_key *key = secret_key_load(VECTORS "/plain.key", NULL, NULL);
    struct seal_expect want = {.kind = SEAL_SEGMENT,
        .repo_id = repo,
        .server = "db1",
        .name = "db1/binlog/000001"};
    struct buf object = {0}, back = {0};
    struct seal_header h;
    struct seal_mark m;
    struct source *src;

    (void)state;
    signer = vector_signer(VECTORS "/signing.key");
    want.signer = signing_key_public(signer);
    assert_non_null(key);
    assert_int_equal(file_read(VECTORS "/object.sealed", 65536, &object), 0);
    assert_int_equal(
        object_open(object.data, object.len, &want, key, 0, &back), 0);
    assert_string_equal(buf_cstr(&back), plain);
    src = source_of_memory(object.data, object.len);
    assert_int_equal(seal_scan(src, &want, 0, true, &h, &m), 1);
    assert_int_equal(h.created_us, 1651500180000000);
    assert_string_equal(buf_cstr(&h.meta), "header note");
    assert_int_equal(m.made_us, 1651500182000000);
    assert_int_equal(m.frames, 2);
    assert_string_equal(buf_cstr(&m.meta), "last note");
    seal_header_free(&h);
    seal_mark_free(&m);
    source_free(src);
    secret_key_free(key);
    signing_key_free(signer);
    buf_free(&object);
    buf_free(&back);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_no_silent_copy),
        cmocka_unit_test(test_recipients),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_begun),
        cmocka_unit_test(test_vector),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
