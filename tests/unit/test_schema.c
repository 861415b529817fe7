/*
 * test_schema.c -- the objects of a schema into their stream and out of it
 * again; a stream that is not what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/mem.h"
#include "pitr/schema.h"

#define STRINGS 10

static void
strings_of(struct schema_object *o, char **s[STRINGS])
{
    char **all[STRINGS] = {&o->schema, &o->name, &o->sql, &o->extra,
        &o->sql_mode, &o->charset_client, &o->collation_connection,
        &o->collation_database, &o->time_zone, &o->definer};

    memcpy(s, all, sizeof all);
}

/* Each of its strings is another one, so that none can stand for another. */
static struct schema_object
object(unsigned kind, size_t sql_size)
{
    struct schema_object o = {
        .kind = (enum schema_kind)kind, .table = UINT32_MAX - kind};
    char **s[STRINGS];

    strings_of(&o, s);
    for (unsigned i = 0; i < STRINGS; i++)
        *s[i] = (i + kind) % 5 == 0
            ? xstrdup("")
            : xasprintf("%u\t\n\\\"'`\xc3\xbc %u", kind, i);
    if (sql_size > 0) {
        free(o.sql);
        o.sql = xmalloc(sql_size + 1);
        memset(o.sql, 'x', sql_size);
        o.sql[sql_size] = '\0';
    }
    return o;
}

static void
same_object(struct schema_object *a, struct schema_object *b)
{
    char **s[STRINGS], **t[STRINGS];

    strings_of(a, s);
    strings_of(b, t);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->table, b->table);
    for (size_t i = 0; i < STRINGS; i++)
        assert_string_equal(*s[i], *t[i]);
}

static void
schema_of(struct schema_object *v, size_t n, struct buf *out)
{
    struct schema_writer *w = schema_writer_new(sink_to_buf(out));

    assert_non_null(w);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(schema_write(w, &v[i]), 0);
    assert_int_equal(schema_writer_finish(w), 0);
    schema_writer_free(w);
}

static void
round_trip(struct schema_object *v, size_t n)
{
    struct buf text = {0};
    struct schema_object o;
    struct schema_reader *r;

    schema_of(v, n, &text);
    r = schema_reader_new(source_of_memory(text.data, text.len));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(schema_read(r, &o), 1);
        same_object(&v[i], &o);
        schema_object_free(&o);
    }
    assert_int_equal(schema_read(r, &o), 0);
    assert_int_equal(schema_read(r, &o), 0);
    schema_reader_free(r);
    buf_free(&text);
}

static void
test_round(void **state)
{
    struct schema_object v[SCHEMA_GRANT + 1];

    (void)state;
    round_trip(NULL, 0);
    for (unsigned k = SCHEMA_DATABASE; k <= SCHEMA_GRANT; k++)
        v[k - 1] = object(k, 0);
    v[SCHEMA_GRANT] = object(SCHEMA_VIEW, 20u << 20);
    round_trip(v, NELEM(v));
    for (size_t i = 0; i < NELEM(v); i++)
        schema_object_free(&v[i]);
}

/* A string that was never set is an empty one. */
static void
test_unset(void **state)
{
    struct schema_object o = {.kind = SCHEMA_DATABASE}, got;
    struct schema_reader *r;
    struct buf text = {0};

    (void)state;
    schema_of(&o, 1, &text);
    r = schema_reader_new(source_of_memory(text.data, text.len));
    assert_int_equal(schema_read(r, &got), 1);
    assert_string_equal(got.definer, "");
    schema_object_free(&got);
    schema_reader_free(r);
    buf_free(&text);
}

static int
read_all(const void *p, size_t n)
{
    void *exact = xmemdup(p, MAX(n, 1));
    struct schema_reader *r = schema_reader_new(source_of_memory(exact, n));
    struct schema_object o;
    int rc, objects = 0;

    while ((rc = schema_read(r, &o)) == 1) {
        assert_in_range(o.kind, SCHEMA_DATABASE, SCHEMA_GRANT);
        assert_non_null(o.definer);
        schema_object_free(&o);
        objects++;
    }
    if (rc < 0)
        assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    schema_reader_free(r);
    free(exact);
    return rc < 0 ? -1 : objects;
}

static void
test_cut_and_flipped(void **state)
{
    struct schema_object v[2] = {
        object(SCHEMA_TABLE, 0), object(SCHEMA_TRIGGER, 0)};
    struct buf text = {0};

    (void)state;
    schema_of(v, 2, &text);
    assert_int_equal(read_all(text.data, text.len), 2);
    for (size_t n = 0; n < text.len; n++)
        assert_int_equal(read_all(text.data, n), -1);
    for (size_t i = 0; i < text.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            text.data[i] ^= (uint8_t)(1u << bit);
            /* The magic, the length of a record, its first length. */
            if (i < 12 || (i >= 17 && i < 21))
                assert_int_equal(read_all(text.data, text.len), -1);
            else
                read_all(text.data, text.len);
            text.data[i] ^= (uint8_t)(1u << bit);
        }
    buf_u8(&text, 0);
    assert_int_equal(read_all(text.data, text.len), -1);
    schema_object_free(&v[0]);
    schema_object_free(&v[1]);
    buf_free(&text);
}

static void
test_kinds(void **state)
{
    struct schema_object o = object(SCHEMA_EVENT, 0);
    struct buf text = {0};

    (void)state;
    schema_of(&o, 1, &text);
    assert_int_equal(text.data[12], SCHEMA_EVENT);
    for (unsigned k = 0; k < 256; k++) {
        text.data[12] = (uint8_t)k;
        assert_int_equal(read_all(text.data, text.len),
            k >= SCHEMA_DATABASE && k <= SCHEMA_GRANT ? 1 : -1);
    }
    schema_object_free(&o);
    buf_free(&text);
}

static void
test_null(void **state)
{
    (void)state;
    assert_null(schema_writer_new(NULL));
    assert_null(schema_reader_new(NULL));
    schema_writer_free(NULL);
    schema_reader_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_unset),
        cmocka_unit_test(test_cut_and_flipped),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
