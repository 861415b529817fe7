/*
 * test_part.c -- rows into a part and out of it again; a part that is not
 * what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/mem.h"
#include "pitr/part.h"

#define HUGE_ROW (20u << 20)

struct row {
    uint32_t table;
    size_t size;
};

/* The bytes of row number i. */
static uint8_t
row_byte(size_t i, size_t k)
{
    return (uint8_t)(i * 131 + k * 7 + (k >> 8));
}

static void
part_of(const struct row *v, size_t n, struct buf *out)
{
    struct part_writer *w = part_writer_new(sink_to_buf(out));
    uint64_t bytes = 0;

    assert_non_null(w);
    for (size_t i = 0; i < n; i++) {
        uint8_t *row = xmalloc(MAX(v[i].size, 1));

        for (size_t k = 0; k < v[i].size; k++)
            row[k] = row_byte(i, k);
        assert_int_equal(part_write_row(w, v[i].table, row, v[i].size), 0);
        bytes += v[i].size;
        free(row);
    }
    assert_int_equal(part_writer_bytes(w), bytes);
    assert_int_equal(part_writer_finish(w), 0);
    part_writer_free(w);
}

static void
same_rows(const struct buf *part, const struct row *v, size_t n)
{
    struct part_reader *r =
        part_reader_new(source_of_memory(part->data, part->len));
    const uint8_t *row;
    uint32_t table;
    size_t size;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(part_read_row(r, &table, &row, &size), 1);
        assert_int_equal(table, v[i].table);
        assert_int_equal(size, v[i].size);
        for (size_t k = 0; k < size; k++)
            if (row[k] != row_byte(i, k))
                fail_msg("row %zu, byte %zu", i, k);
    }
    assert_int_equal(part_read_row(r, &table, &row, &size), 0);
    assert_int_equal(part_read_row(r, &table, &row, &size), 0);
    part_reader_free(r);
}

static void
round_trip(const struct row *v, size_t n)
{
    struct buf part = {0};

    part_of(v, n, &part);
    same_rows(&part, v, n);
    buf_free(&part);
}

static void
test_round(void **state)
{
    static const struct row few[] = {{0, 5}, {0, 0}, {1, 1}, {1, 0}, {0, 3},
        {4294967294u, 300}, {2, PART_BLOCK - 4}, {2, PART_BLOCK - 3},
        {2, PART_BLOCK}, {2, PART_BLOCK + 1}, {2, 1}};

    (void)state;
    round_trip(NULL, 0);
    round_trip(few, 1);
    round_trip(few, NELEM(few));
}

static void
test_many(void **state)
{
    const size_t n = 30000;
    struct row *v = xcalloc(n, sizeof *v);

    (void)state;
    for (size_t i = 0; i < n; i++)
        v[i] = (struct row){(uint32_t)(i / 9999), i % 211};
    round_trip(v, n);
    free(v);
}

static void
test_huge(void **state)
{
    static const struct row v[] = {
        {0, 10}, {0, HUGE_ROW}, {0, 11}, {3, HUGE_ROW}};

    (void)state;
    round_trip(v, NELEM(v));
}

/* Blocks are no larger than said, or hold one row. */
static void
test_blocks(void **state)
{
    struct row v[600];
    struct buf part = {0};
    struct cur c;
    uint32_t table, rows, bytes;
    size_t seen = 0;

    (void)state;
    for (size_t i = 0; i < NELEM(v); i++)
        v[i] = (struct row){0, i % 50 == 0 ? PART_BLOCK + i : 1000 + i};
    part_of(v, NELEM(v), &part);
    c = cur_of(part.data, part.len);
    assert_memory_equal(cur_bytes(&c, 8), "PTROWS4\n", 8);
    for (;;) {
        table = cur_u32(&c);
        rows = cur_u32(&c);
        bytes = cur_u32(&c);
        cur_bytes(&c, bytes);
        assert_false(c.bad);
        if (table == PART_TABLE_END)
            break;
        assert_true(rows == 1 || bytes <= PART_BLOCK);
        seen += rows;
    }
    assert_int_equal(seen, NELEM(v));
    assert_int_equal(cur_left(&c), 0);
    buf_free(&part);
}

/* Read to the end: how many rows, or -1. */
static int
read_all(const void *p, size_t n)
{
    void *exact = xmemdup(p, MAX(n, 1));
    struct part_reader *r = part_reader_new(source_of_memory(exact, n));
    const uint8_t *row;
    uint32_t table;
    size_t size;
    volatile uint8_t sum = 0;
    int rc, rows = 0;

    while ((rc = part_read_row(r, &table, &row, &size)) == 1) {
        for (size_t k = 0; k < size; k++)
            sum = (uint8_t)(sum + row[k]);
        rows++;
    }
    if (rc < 0)
        assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    part_reader_free(r);
    free(exact);
    return rc < 0 ? -1 : rows;
}

static void
test_cut(void **state)
{
    static const struct row v[] = {{0, 5}, {0, 0}, {1, 30}};
    struct buf part = {0};

    (void)state;
    part_of(v, NELEM(v), &part);
    for (size_t n = 0; n < part.len; n++)
        assert_int_equal(read_all(part.data, n), -1);
    assert_int_equal(read_all(part.data, part.len), 3);
    buf_u8(&part, 0); /* and nothing may follow */
    assert_int_equal(read_all(part.data, part.len), -1);
    buf_free(&part);
}

/* What guards the bytes of a row is the seal; but a structure that does not
 * hold together is seen. */
static void
test_flipped(void **state)
{
    static const struct row v[] = {{0, 5}, {0, 2}, {1, 30}};
    static const size_t structure[] = {0, 7, /* magic */
        8 + 4, 8 + 8,                        /* rows, bytes of the block */
        8 + 12 + 7,                          /* size of the first row */
        8 + 12 + 7 + 4};                     /* of the second */
    struct buf part = {0};

    (void)state;
    part_of(v, NELEM(v), &part);
    for (size_t i = 0; i < part.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            part.data[i] ^= (uint8_t)(1u << bit);
            read_all(part.data, part.len);
            part.data[i] ^= (uint8_t)(1u << bit);
        }
    for (size_t i = 0; i < NELEM(structure); i++) {
        part.data[structure[i]] ^= 1;
        assert_int_equal(read_all(part.data, part.len), -1);
        part.data[structure[i]] ^= 1;
    }
    buf_free(&part);
}

static void
test_impossible(void **state)
{
    static const uint32_t heads[][3] = {
        {0, 0, 0},              /* no rows */
        {0, 0, 5},              /* bytes without rows */
        {PART_TABLE_END, 1, 4}, /* the end with rows */
        {PART_TABLE_END, 0, 4}, /* the end with bytes */
        {0, 1, UINT32_MAX},     /* beyond all bounds */
        {0, UINT32_MAX, 4},     /* fewer than it says */
        {0, 1, 8},              /* bytes left over */
    };

    (void)state;
    for (size_t k = 0; k < 2 * NELEM(heads); k++) {
        size_t i = k / 2, layout = k % 2;
        struct buf b = {0};

        buf_str(&b, layout == 0 ? "PTROWS4\n" : "PTROWS2\n");
        for (int n = 0; n < 3; n++)
            buf_u32(&b, heads[i][n]);
        buf_u32(&b, 0); /* an empty row */
        buf_u32(&b, 0);
        buf_u32(&b, PART_TABLE_END);
        buf_u32(&b, 0);
        buf_u32(&b, 0);
        if (read_all(b.data, b.len) != -1)
            fail_msg("case %zu, layout %zu", i, layout);
        buf_free(&b);
    }
}

/* As they were written before: sizes, then rows. */
static void
test_former(void **state)
{
    static const char text[] = "onethree";
    struct buf b = {0};
    struct part_reader *r;
    const uint8_t *row;
    uint32_t table;
    size_t size;

    (void)state;
    buf_str(&b, "PTROWS2\n");
    buf_u32(&b, 7);
    buf_u32(&b, 2);
    buf_u32(&b, 16);
    buf_u32(&b, 3);
    buf_u32(&b, 5);
    buf_str(&b, text);
    buf_u32(&b, PART_TABLE_END);
    buf_u64(&b, 0);
    r = part_reader_new(source_of_memory(b.data, b.len));
    assert_int_equal(part_read_row(r, &table, &row, &size), 1);
    assert_int_equal(table, 7);
    assert_int_equal(size, 3);
    assert_memory_equal(row, text, 3);
    assert_int_equal(part_read_row(r, &table, &row, &size), 1);
    assert_int_equal(size, 5);
    assert_memory_equal(row, text + 3, 5);
    assert_int_equal(part_read_row(r, &table, &row, &size), 0);
    part_reader_free(r);
    buf_free(&b);
}

static void
test_null(void **state)
{
    (void)state;
    assert_null(part_writer_new(NULL));
    assert_null(part_reader_new(NULL));
    part_writer_free(NULL);
    part_reader_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_impossible),
        cmocka_unit_test(test_former),
        cmocka_unit_test(test_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
