/*
 * test_sealed_attack.c -- what is done to a sealed object in the store: each
 * bit flipped, cut at each length, added to, its records moved about, the
 * object put in another's place.  All of it is refused, and what was read
 * before is a part of the truth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../src/codec/seal_format.h"
#include "pitr/mem.h"
#include "sealed_util.h"

#define PLAIN_SIZE 160
#define PIECES 4 /* marks */

struct scene {
    struct world w;
    struct seal_expect want;
    uint8_t plain[PLAIN_SIZE];
    struct buf object, other; /* the same, written twice */
    struct record rec[RECORDS_MAX];
    size_t records;
};

static int
scene_make(void **state)
{
    struct scene *s = xcalloc(1, sizeof(*s));

    world_make(&s->w);
    s->want = world_expect(&s->w, "seg/1");
    pattern_fill(s->plain, PLAIN_SIZE, 1);
    object_make(&s->w, "seg/1", s->plain, PLAIN_SIZE, PIECES, &s->object);
    object_make(&s->w, "seg/1", s->plain, PLAIN_SIZE, PIECES, &s->other);
    s->records = records_find(&s->object, s->rec);
    *state = s;
    return 0;
}

static int
scene_free(void **state)
{
    struct scene *s = *state;

    world_free(&s->w);
    buf_free(&s->object);
    buf_free(&s->other);
    free(s);
    return 0;
}

/* Opening it fails, and has given nothing but a prefix of the truth. */
static void
refused(const struct scene *s, const void *p, size_t n)
{
    struct source *src =
        open_source(source_of_memory(p, n), &s->want, s->w.key, 0, NULL, NULL);
    uint8_t got[PLAIN_SIZE + 1];
    size_t len = 0;
    long r = -1;

    while (src != NULL &&
        (r = source_read(src, got + len, sizeof(got) - len)) > 0) {
        len += (size_t)r;
        assert_true(len <= PLAIN_SIZE);
    }
    assert_int_equal(r, -1);
    assert_true(err_kind() == ERR_VERIFY || err_kind() == ERR_KEY);
    assert_true(*err_text() != '\0');
    assert_memory_equal(got, s->plain, len);
    source_free(src);
    err_clear();
}

static int
scan(const struct scene *s, const void *p, size_t n, bool must_be_final,
    struct seal_mark *m)
{
    struct source *src = source_of_memory(p, n);
    int rc = seal_scan(src, &s->want, 0, must_be_final, NULL, m);

    source_free(src);
    if (rc < 0)
        assert_int_equal(err_kind(), ERR_VERIFY);
    return rc;
}

/* Where the last mark ends that ends at `at` or before; 0 if there is none. */
static size_t
last_mark_before(const struct scene *s, size_t at)
{
    size_t end = 0;

    for (size_t i = 0; i < s->records; i++)
        if (s->rec[i].type == SEAL_REC_MARK &&
            s->rec[i].at + s->rec[i].size <= at)
            end = s->rec[i].at + s->rec[i].size;
    return end;
}

static void
test_flip(void **state)
{
    struct scene *s = *state;
    size_t last = last_mark_before(s, s->object.len - 1);

    for (size_t at = 0; at < s->object.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct seal_mark m;
            int rc;

            s->object.data[at] ^= (uint8_t)(1u << bit);
            refused(s, s->object.data, s->object.len);
            if (bit != at % 8) { /* one of them is enough for the scans */
                s->object.data[at] ^= (uint8_t)(1u << bit);
                continue;
            }
            assert_int_equal(
                scan(s, s->object.data, s->object.len, true, &m), -1);
            /* Lenient: what it calls good is what was written. */
            rc = scan(s, s->object.data, s->object.len, false, &m);
            if (rc == 1) {
                assert_int_equal(m.offset + m.size, last_mark_before(s, at));
                assert_true(m.torn);
                seal_mark_free(&m);
            } else if (rc == 0) {
                assert_int_equal(last_mark_before(s, at), 0);
            }
            /* A header or a whole frame before the last flush. */
            if (at < s->rec[0].size)
                assert_int_equal(rc, -1);
            s->object.data[at] ^= (uint8_t)(1u << bit);
        }
    }
    /* In the content of a frame, where a mark with more behind it follows. */
    for (size_t i = 1; i < s->records; i++) {
        struct seal_mark m;
        size_t at = s->rec[i].at + SEAL_FRAME_HEAD + 3;

        if (s->rec[i].type != SEAL_REC_FRAME || at >= last)
            continue;
        s->object.data[at] ^= 1;
        assert_int_equal(scan(s, s->object.data, s->object.len, false, &m), -1);
        s->object.data[at] ^= 1;
    }
}

/* A header is refused by itself, whatever the reader knows, and leaves nothing
 * of it behind. */
static void
test_flip_header(void **state)
{
    struct scene *s = *state;
    static const struct seal_expect nothing = {0};
    const struct seal_expect *wants[] = {&s->want, &nothing, NULL};

    for (size_t bit = 0; bit < 8 * s->rec[0].size; bit++) {
        struct source *src = source_of_memory(s->object.data, s->object.len);
        struct seal_header h;

        s->object.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(
            seal_read_header(src, wants[bit % NELEM(wants)], &h), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        assert_null(h.name);
        assert_null(h.server);
        assert_int_equal(h.size, 0);
        s->object.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        source_free(src);
    }
}

/* The mark found from the end of an object is checked as well. */
static void
test_flip_tail(void **state)
{
    struct scene *s = *state;
    size_t start = s->rec[s->records - 1].at;
    struct source *src = source_of_memory(s->object.data, s->object.len);
    struct seal_header h;
    struct seal_mark m;

    assert_int_equal(seal_read_header(src, &s->want, &h), 0);
    for (size_t at = start; at < s->object.len; at++) {
        int rc;

        s->object.data[at] ^= 1;
        rc = seal_tail_mark(s->object.data + start, s->object.len - start,
            s->object.len, &h, &m);
        assert_int_not_equal(rc, 1);
        if (rc < 0)
            assert_int_equal(err_kind(), ERR_VERIFY);
        s->object.data[at] ^= 1;
    }
    /* Another object's mark. */
    assert_int_equal(seal_tail_mark(s->other.data + start, s->other.len - start,
                         s->object.len, &h, &m),
        -1);
    seal_header_free(&h);
    source_free(src);
}

static void
test_cut(void **state)
{
    struct scene *s = *state;

    for (size_t n = 0; n < s->object.len; n++) {
        size_t good = last_mark_before(s, n);
        struct seal_mark m;
        int rc;

        refused(s, s->object.data, n);
        assert_int_equal(scan(s, s->object.data, n, true, &m), -1);
        rc = scan(s, s->object.data, n, false, &m);
        assert_int_equal(rc, n < s->rec[0].size ? -1 : good > 0);
        if (rc == 1) {
            assert_int_equal(m.offset + m.size, good);
            assert_int_equal(m.torn, good != n);
            seal_mark_free(&m);
        }
    }
}

/* A closed object, of which the length was recorded elsewhere. */
static void
test_length(void **state)
{
    struct scene *s = *state;
    struct buf back = {0};

    /* A scan up to a length finds a mark that ends there, or refuses. */
    for (size_t limit = 1; limit <= s->object.len + 1; limit++) {
        struct source *src = source_of_memory(s->object.data, s->object.len);
        struct seal_mark m;
        int rc = seal_scan(src, &s->want, limit, false, NULL, &m);

        assert_int_equal(rc,
            limit <= s->object.len && last_mark_before(s, limit) == limit ? 1
                                                                          : -1);
        if (rc == 1) {
            assert_int_equal(m.offset + m.size, limit);
            assert_false(m.torn);
            seal_mark_free(&m);
        }
        source_free(src);
    }
    assert_int_equal(object_open(s->object.data, s->object.len, &s->want,
                         s->w.key, s->object.len, &back),
        0);
    assert_int_equal(back.len, PLAIN_SIZE);
    for (int off = -1; off <= 1; off += 2) {
        assert_int_equal(object_open(s->object.data, s->object.len, &s->want,
                             s->w.key, s->object.len + (uint64_t)off, &back),
            -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
    }
    buf_free(&back);
}

static void
test_added(void **state)
{
    struct scene *s = *state;
    struct buf b = {0};
    struct seal_mark m;

    for (unsigned v = 0; v < 256; v++) {
        buf_reset(&b);
        buf_add(&b, s->object.data, s->object.len);
        buf_u8(&b, (uint8_t)v);
        refused(s, b.data, b.len);
        assert_int_equal(scan(s, b.data, b.len, false, &m), -1);
    }
    for (size_t i = 0; i < s->records; i++) {
        buf_reset(&b);
        buf_add(&b, s->object.data, s->object.len);
        buf_add(&b, s->object.data + s->rec[i].at, s->rec[i].size);
        refused(s, b.data, b.len);
        assert_int_equal(scan(s, b.data, b.len, false, &m), -1);
    }
    buf_free(&b);
}

/* Build an object from records: order[] is of numbers, taken from `from`. */
static void
assemble(const struct scene *s, const size_t *order, size_t n,
    const struct buf *from, size_t from_other, struct buf *out)
{
    buf_reset(out);
    for (size_t i = 0; i < n; i++) {
        const struct record *r = &s->rec[order[i]];

        buf_add(
            out, (i == from_other ? from : &s->object)->data + r->at, r->size);
    }
}

static void
test_records_moved(void **state)
{
    struct scene *s = *state;
    size_t order[RECORDS_MAX + 1], n = s->records;
    struct buf b = {0};
    struct seal_mark m;

    assert_int_equal(s->object.len, s->other.len);
    for (size_t i = 0; i < n; i++) {
        /* Dropped. */
        for (size_t k = 0; k < n; k++)
            order[k] = k < i ? k : k + 1;
        assemble(s, order, n - 1, NULL, n, &b);
        refused(s, b.data, b.len);
        assert_int_equal(scan(s, b.data, b.len, true, &m), -1);
        /* Repeated. */
        for (size_t k = 0; k <= n; k++)
            order[k] = k <= i ? k : k - 1;
        assemble(s, order, n + 1, NULL, n + 1, &b);
        refused(s, b.data, b.len);
        assert_int_equal(scan(s, b.data, b.len, true, &m), -1);
        /* From another object of the same content. */
        for (size_t k = 0; k < n; k++)
            order[k] = k;
        assemble(s, order, n, &s->other, i, &b);
        refused(s, b.data, b.len);
        assert_int_equal(scan(s, b.data, b.len, true, &m), -1);
        /* Exchanged. */
        for (size_t j = i + 1; j < n; j++) {
            order[i] = j;
            order[j] = i;
            assemble(s, order, n, NULL, n, &b);
            refused(s, b.data, b.len);
            assert_int_equal(scan(s, b.data, b.len, true, &m), -1);
            order[i] = i;
            order[j] = j;
        }
    }
    buf_free(&b);
}

static void
refused_as(const struct scene *s, const struct seal_expect *want,
    const struct secret_key *key, enum err_kind kind, const char *text)
{
    struct buf back = {0};

    assert_int_equal(
        object_open(s->object.data, s->object.len, want, key, 0, &back), -1);
    assert_int_equal(err_kind(), kind);
    if (strstr(err_text(), text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, err_text());
    assert_true(*err_hint_text() != '\0');
    assert_int_equal(back.len, 0);
    buf_free(&back);
}

static void
test_identity(void **state)
{
    struct scene *s = *state;
    struct signing_key *signer = signing_key_new();
    struct secret_key *key = secret_key_new();
    uint8_t repo[REPO_ID_SIZE] = {1};
    struct seal_expect want;

    want = s->want;
    want.kind = SEAL_ROWS;
    refused_as(s, &want, s->w.key, ERR_VERIFY,
        "it is a binlog segment where a row part belongs");
    want = s->want;
    want.repo_id = repo;
    refused_as(s, &want, s->w.key, ERR_VERIFY, "another repository");
    want = s->want;
    want.server = "db2";
    refused_as(s, &want, s->w.key, ERR_VERIFY, "of server \"db1\"");
    want = s->want;
    want.name = "seg/2";
    refused_as(s, &want, s->w.key, ERR_VERIFY, "another name: \"seg/1\"");
    want = s->want;
    want.signer = signing_key_public(signer);
    refused_as(s, &want, s->w.key, ERR_VERIFY, "signed by ed25519:");
    refused_as(s, &s->want, key, ERR_KEY, "not sealed to the key");
    signing_key_free(signer);
    secret_key_free(key);
}

/* What only the holder of the signing key could write is checked too. */
static void
test_faulty_writer(void **state)
{
    struct scene *s = *state;
    struct buf b = {0}, growing = {0};
    struct source *src;
    struct seal_header h;
    struct seal_mark m = {0};
    struct sink *sink = world_sink(&s->w, "seg/1", &growing);

    assert_int_equal(sink_write(sink, s->plain, 10), 0);
    assert_int_equal(sink_flush(sink), 0);
    src = source_of_memory(growing.data, growing.len);
    assert_int_equal(seal_read_header(src, &s->want, &h), 0);
    source_free(src);

    /* A final mark, well signed, without a final frame: cut to look whole. */
    buf_add(&b, growing.data, growing.len);
    m.offset = b.len;
    m.frames = 1;
    digest_of(b.data, b.len, m.digest);
    m.final = true;
    seal_mark_encode(&m, h.digest, s->w.signer, &b);
    refused(s, b.data, b.len);
    assert_true(m.size == SEAL_MARK_FIXED);

    /* A mark that goes on after the final frame. */
    assert_int_equal(sink_finish(sink), 0);
    buf_reset(&b);
    buf_add(&b, growing.data, growing.len - SEAL_MARK_FIXED);
    m.offset = b.len;
    m.frames = 2;
    digest_of(b.data, b.len, m.digest);
    m.final = false;
    seal_mark_encode(&m, h.digest, s->w.signer, &b);
    refused(s, b.data, b.len);
    m.frames = 3; /* a count that is wrong */
    m.final = true;
    b.len -= SEAL_MARK_FIXED;
    seal_mark_encode(&m, h.digest, s->w.signer, &b);
    refused(s, b.data, b.len);
    m.frames = 2; /* and at last the right one */
    b.len -= SEAL_MARK_FIXED;
    seal_mark_encode(&m, h.digest, s->w.signer, &b);
    {
        struct buf back = {0};

        assert_int_equal(
            object_open(b.data, b.len, &s->want, s->w.key, 0, &back), 0);
        assert_int_equal(back.len, 10);
        buf_free(&back);
    }
    sink_free(sink);
    seal_header_free(&h);
    buf_free(&b);
    buf_free(&growing);
}

/* Frames that only the holder of a file key could write: each a length of
 * plaintext, 0 to PLAIN_SIZE, and a tag. */
struct faulty_frame {
    size_t n;
    uint8_t tag;
};

static void
faulty_object(const struct scene *s, const struct faulty_frame *f, size_t n,
    struct buf *out)
{
    crypto_secretstream_xchacha20poly1305_state st;
    uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
    const struct public_key *pub = secret_key_public(s->w.key);
    struct seal_slots slots = {.n = 1};
    struct seal_header h = {
        .kind = SEAL_SEGMENT, .server = "db1", .name = "seg/1"};
    struct seal_mark m = {.frames = n, .final = true};
    size_t at = 0;

    memcpy(h.repo_id, s->w.repo, REPO_ID_SIZE);
    random_bytes(key, sizeof(key));
    public_key_id(pub, slots.v[0].id);
    crypto_box_seal(slots.v[0].key, key, sizeof(key), pub->box);
    crypto_secretstream_xchacha20poly1305_init_push(&st, slots.stream, key);
    buf_reset(out);
    assert_int_equal(seal_header_encode(&h, &slots, s->w.signer, out), 0);
    for (size_t i = 0; i < n; i++) {
        uint8_t ad[SEAL_FRAME_AD], c[PLAIN_SIZE + SEAL_ABYTES];

        seal_frame_ad(h.digest, i, ad);
        crypto_secretstream_xchacha20poly1305_push(
            &st, c, NULL, s->plain + at, f[i].n, ad, sizeof(ad), f[i].tag);
        at += f[i].n;
        buf_u8(out, SEAL_REC_FRAME);
        buf_u32(out, (uint32_t)(f[i].n + SEAL_ABYTES));
        buf_add(out, c, f[i].n + SEAL_ABYTES);
    }
    m.offset = out->len;
    digest_of(out->data, out->len, m.digest);
    seal_mark_encode(&m, h.digest, s->w.signer, out);
}

static void
test_faulty_frames(void **state)
{
    enum { MESSAGE = 0, PUSH = 1, REKEY = 2, FINAL = 3 };
    static const struct faulty_frame good[] = {{9, MESSAGE}, {7, FINAL}},
                                     after[] = {{9, FINAL}, {7, FINAL}},
                                     after2[] = {{9, FINAL}, {7, MESSAGE}},
                                     none[] = {{9, MESSAGE}, {7, MESSAGE}},
                                     push[] = {{9, PUSH}, {7, FINAL}},
                                     rekey[] = {{9, REKEY}, {7, FINAL}},
                                     empty[] = {{0, MESSAGE}, {7, FINAL}};
    static const struct faulty_frame *const bad[] = {
        after, after2, none, push, rekey, empty};
    struct scene *s = *state;
    struct buf b = {0}, back = {0};

    faulty_object(s, good, 2, &b); /* so that the others fail for their fault */
    assert_int_equal(
        object_open(b.data, b.len, &s->want, s->w.key, 0, &back), 0);
    assert_int_equal(back.len, 16);
    for (size_t i = 0; i < NELEM(bad); i++) {
        faulty_object(s, bad[i], 2, &b);
        refused(s, b.data, b.len);
    }
    buf_free(&b);
    buf_free(&back);
}

/* After a crash the tail may be anything: the last good mark is found. */
static void
test_torn(void **state)
{
    struct scene *s = *state;
    size_t good = s->rec[4].at + s->rec[4].size; /* header, F, M, F, M */
    struct buf b = {0};
    struct seal_mark m;

    assert_int_equal(s->rec[4].type, SEAL_REC_MARK);
    for (size_t zeros = 1; zeros < 300; zeros++) {
        buf_reset(&b);
        buf_add(&b, s->object.data, good);
        for (size_t i = 0; i < zeros; i++)
            buf_u8(&b, 0);
        assert_int_equal(scan(s, b.data, b.len, false, &m), 1);
        assert_int_equal(m.offset + m.size, good);
        assert_true(m.torn);
        seal_mark_free(&m);
    }
    /* The next frame lost a page, the mark after it did not. */
    buf_reset(&b);
    buf_add(&b, s->object.data, s->rec[6].at + s->rec[6].size);
    memset(b.data + s->rec[5].at + 20, 0, 30);
    assert_int_equal(scan(s, b.data, b.len, false, &m), 1);
    assert_int_equal(m.offset + m.size, good);
    assert_true(m.torn);
    seal_mark_free(&m);
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flip),
        cmocka_unit_test(test_flip_header),
        cmocka_unit_test(test_flip_tail),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_added),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_records_moved),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_faulty_writer),
        cmocka_unit_test(test_faulty_frames),
        cmocka_unit_test(test_torn),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, scene_make, scene_free);
}
