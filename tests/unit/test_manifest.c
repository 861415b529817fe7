/*
 * test_manifest.c -- a manifest and its public note: written, read again as
 * they were, and whatever else is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/mem.h"
#include "repo_util.h"

#define NASTY "tab\there\nnew\\line \\t \xc3\xa9 \\"

static struct manifest_column
column(const char *name, const char *type, uint8_t wire, bool is_unsigned)
{
    return (struct manifest_column){.name = xstrdup(name),
        .data_type = xstrdup(type),
        .wire = {.type = wire, .is_unsigned = is_unsigned}};
}

static void
fill_tables(struct manifest *m)
{
    m->tables = 3;
    m->table = xcalloc(m->tables, sizeof *m->table);
    for (size_t i = 0; i < m->tables; i++) {
        struct manifest_table *t = &m->table[i];

        t->schema = xstrdup(i == 1 ? NASTY : "shop");
        t->name = xasprintf("t%zu%s", i, i == 1 ? NASTY : "");
        t->engine = xstrdup(i == 2 ? "Aria" : "InnoDB");
        t->history = i == 2;
        t->sum = (struct rowsum){i * 10, UINT64_MAX - i, i};
        t->bytes = i * 1000;
        t->parts = (uint32_t)i;
        t->cols = i == 2 ? 0 : i + 1; /* one that has no columns stored */
        t->col = xcalloc(MAX(t->cols, 1), sizeof *t->col);
        for (size_t k = 0; k < t->cols; k++)
            t->col[k] = k == 0 ? column("id", "bigint", 8, true)
                               : column(NASTY, "varchar", 253, false);
    }
}

static void
fill_parts(struct manifest *m)
{
    m->parts = 2;
    m->part = xcalloc(m->parts, sizeof *m->part);
    for (size_t i = 0; i < m->parts; i++) {
        struct manifest_part *p = &m->part[i];

        p->name = xasprintf("backup/20220502T020000Z/part-%06zu", i + 1);
        p->size = UINT64_MAX - i;
        memset(p->digest, (int)(i * 0x5a + 0x0f), DIGEST_SIZE);
        p->tables = i + 1;
        p->table = xcalloc(p->tables, sizeof *p->table);
        p->rows = xcalloc(p->tables, sizeof *p->rows);
        for (size_t k = 0; k < p->tables; k++) {
            p->table[k] = (uint32_t)(2 - k);
            p->rows[k] = k + 7;
        }
    }
}

static struct manifest *
filled(void)
{
    struct manifest *m = xcalloc(1, sizeof *m);

    m->info = (struct backup_info){.id = xstrdup("20220502T020000Z"),
        .begun_us = 1,
        .snapshot_us = UINT64_C(1651456980123456),
        .ended_us = UINT64_MAX,
        .gtid = pos_of("0-1-5,7-2-18446744073709551615"),
        .source_file = xstrdup("mysql-bin.000012"),
        .source_pos = UINT64_C(5000000000),
        .server_version = xstrdup("10.11.19-MariaDB-log"),
        .server_id = UINT32_MAX,
        .lower_case_table_names = 2,
        .tables = 3,
        .rows = 4,
        .row_bytes = 5,
        .parts = 6,
        .stored_bytes = 7,
        .warnings = 8};
    fill_tables(m);
    fill_parts(m);
    manifest_set(m, "old_mode", "");
    manifest_set(m, NASTY, NASTY);
    m->schema_size = 1234;
    memset(m->schema_digest, 0xa7, DIGEST_SIZE);
    m->warnings = 2;
    m->warning = xcalloc(2, sizeof *m->warning);
    m->warning[0] = xstrdup("");
    m->warning[1] = xstrdup(NASTY);
    return m;
}

static void
same_info(const struct backup_info *a, const struct backup_info *b)
{
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->begun_us, b->begun_us);
    assert_int_equal(a->snapshot_us, b->snapshot_us);
    assert_int_equal(a->ended_us, b->ended_us);
    assert_true(gtid_pos_equal(&a->gtid, &b->gtid));
    assert_string_equal(a->source_file, b->source_file);
    assert_int_equal(a->source_pos, b->source_pos);
    assert_string_equal(a->server_version, b->server_version);
    assert_int_equal(a->server_id, b->server_id);
    assert_int_equal(a->lower_case_table_names, b->lower_case_table_names);
    assert_int_equal(a->tables, b->tables);
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->row_bytes, b->row_bytes);
    assert_int_equal(a->parts, b->parts);
    assert_int_equal(a->stored_bytes, b->stored_bytes);
    assert_int_equal(a->warnings, b->warnings);
}

static void
same_table(const struct manifest_table *a, const struct manifest_table *b)
{
    assert_string_equal(a->schema, b->schema);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->engine, b->engine);
    assert_int_equal(a->history, b->history);
    assert_int_equal(a->sum.rows, b->sum.rows);
    assert_int_equal(a->sum.a, b->sum.a);
    assert_int_equal(a->sum.b, b->sum.b);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->parts, b->parts);
    assert_int_equal(a->cols, b->cols);
    for (size_t k = 0; k < a->cols; k++) {
        assert_string_equal(a->col[k].name, b->col[k].name);
        assert_string_equal(a->col[k].data_type, b->col[k].data_type);
        assert_int_equal(a->col[k].wire.type, b->col[k].wire.type);
        assert_int_equal(
            a->col[k].wire.is_unsigned, b->col[k].wire.is_unsigned);
    }
}

static void
same_part(const struct manifest_part *a, const struct manifest_part *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->digest, b->digest, DIGEST_SIZE);
    assert_int_equal(a->tables, b->tables);
    for (size_t k = 0; k < a->tables; k++) {
        assert_int_equal(a->table[k], b->table[k]);
        assert_int_equal(a->rows[k], b->rows[k]);
    }
}

static void
same_manifest(const struct manifest *a, const struct manifest *b)
{
    assert_int_equal(a->settings, b->settings);
    for (size_t i = 0; i < a->settings; i++)
        assert_string_equal(a->setting[i].value,
            manifest_setting(b, a->setting[i].name));
    same_info(&a->info, &b->info);
    assert_int_equal(a->tables, b->tables);
    for (size_t i = 0; i < a->tables; i++)
        same_table(&a->table[i], &b->table[i]);
    assert_int_equal(a->parts, b->parts);
    for (size_t i = 0; i < a->parts; i++)
        same_part(&a->part[i], &b->part[i]);
    assert_int_equal(a->schema_size, b->schema_size);
    assert_memory_equal(a->schema_digest, b->schema_digest, DIGEST_SIZE);
    assert_int_equal(a->warnings, b->warnings);
    for (size_t i = 0; i < a->warnings; i++)
        assert_string_equal(a->warning[i], b->warning[i]);
}

static void
test_round(void **state)
{
    struct manifest *m = filled(), *again;
    struct buf text = {0};

    (void)state;
    manifest_format(m, &text);
    again = manifest_parse(text.data, text.len);
    assert_non_null(again);
    same_manifest(m, again);
    manifest_free(m);
    manifest_free(again);
    buf_free(&text);
}

static void
test_stored(void **state)
{
    struct manifest *m = filled(), *again;
    struct secret_key *stranger = secret_key_new();
    struct place p;

    (void)state;
    place_make(&p);
    assert_int_equal(manifest_store(p.repo, m), 0);
    again = manifest_load(p.repo, m->info.id, p.key);
    assert_non_null(again);
    same_manifest(m, again);
    manifest_free(again);
    assert_null(manifest_load(p.repo, m->info.id, stranger));
    assert_int_equal(err_kind(), ERR_KEY);
    assert_null(manifest_load(p.repo, "20220502T020001Z", p.key));
    assert_int_equal(err_kind(), ERR_VERIFY);
    /* Write once. */
    assert_int_equal(manifest_store(p.repo, m), -1);
    manifest_free(m);
    secret_key_free(stranger);
    place_free(&p);
}

/* A manifest that is what it says, or NULL with ERR_VERIFY. */
static struct manifest *
parse(const void *p, size_t n)
{
    void *exact = xmemdup(p, MAX(n, 1));
    struct manifest *m = manifest_parse(exact, n);

    if (m == NULL)
        assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    free(exact);
    return m;
}

static void
test_cut(void **state)
{
    struct manifest *m = filled();
    struct buf text = {0};

    (void)state;
    manifest_format(m, &text);
    for (size_t n = 0; n < text.len; n++)
        assert_null(parse(text.data, n));
    manifest_free(m);
    buf_free(&text);
}

/* Another text can be a manifest as well, but then a whole one. */
static void
test_flipped(void **state)
{
    struct manifest *m = filled();
    struct buf text = {0}, again = {0};

    (void)state;
    manifest_format(m, &text);
    for (size_t i = 0; i < text.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct manifest *got, *back;

            text.data[i] ^= (uint8_t)(1u << bit);
            if ((got = parse(text.data, text.len)) != NULL) {
                buf_reset(&again);
                manifest_format(got, &again);
                back = parse(again.data, again.len);
                assert_non_null(back);
                same_manifest(got, back);
                manifest_free(back);
            }
            manifest_free(got);
            text.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    manifest_free(m);
    buf_free(&text);
    buf_free(&again);
}

#define HEAD "pitr-manifest\t3\n"
#define INFO "backup\tX\t1\t2\t3\t0-1-2\tf\t4\tv\t5\t0\t1\t1\t1\t1\t1\t1\n"
#define D32 "0123456789abcdef0123456789abcdef"
#define SCHEMA "schema\t9\t" D32 D32 "\n"
#define TABLE "table\ts\tt\tInnoDB\t0\t1\t2\t3\t4\t5\n"
#define PART "part\tp\t1\t" D32 D32 "\n"
#define GOOD                                                                   \
    HEAD INFO SCHEMA TABLE "column\tc\tint\t3\t0\n" PART "holds\t0\t1\n"

static void
test_records(void **state)
{
    static const struct {
        bool good;
        const char *text;
    } cases[] = {
        {true, GOOD "end\n"},
        {true, HEAD SCHEMA INFO "end\n"},
        {true, GOOD "warning\t\nend\n"},
        {false, ""},
        {false, HEAD},
        {false, "pitr-manifest\t1\n" INFO SCHEMA "end\n"},
        {true, "pitr-manifest\t2\n" INFO SCHEMA "end\n"},
        {true, HEAD INFO SCHEMA "setting\ta\tb\nend\n"},
        {false, HEAD INFO SCHEMA "setting\ta\nend\n"},
        {false, HEAD INFO SCHEMA},
        {false, HEAD INFO "end\n"},
        {false, HEAD SCHEMA "end\n"},
        {false, HEAD INFO INFO SCHEMA "end\n"},
        {false, HEAD INFO SCHEMA SCHEMA "end\n"},
        {false, GOOD "end"},
        {false, GOOD "end\nend\n"},
        {false, GOOD "end\n" TABLE},
        {false, GOOD "end\nx"},
        {false, GOOD "\nend\n"},
        {false, GOOD "stranger\nend\n"},
        {false, GOOD "warning\nend\n"},
        {false, GOOD "warning\ta\tb\nend\n"},
        {false, GOOD "warning\ta\\\nend\n"},
        {false, GOOD "warning\t\\x\nend\n"},
        {false,
            GOOD "warning"
                 "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t"
                 "\nend\n"},
        /* What belongs to something, without it. */
        {false, HEAD INFO SCHEMA "column\tc\tint\t3\t0\nend\n"},
        {false, HEAD INFO SCHEMA TABLE "holds\t0\t1\nend\n"},
        {false, HEAD INFO SCHEMA PART "holds\t0\t1\nend\n"},
        {false, GOOD "holds\t1\t1\nend\n"}, /* there is only table 0 */
        /* Numbers. */
        {false, GOOD "holds\t0\t-1\nend\n"},
        {false, GOOD "holds\t0\t 1\nend\n"},
        {false, GOOD "holds\t0\t\nend\n"},
        {false, GOOD "holds\t0\t1x\nend\n"},
        {true, GOOD "holds\t0\t18446744073709551615\nend\n"},
        {false, GOOD "holds\t0\t18446744073709551616\nend\n"},
        {false, GOOD "column\tc\tint\t256\t0\nend\n"},
        {false, GOOD "column\tc\tint\t3\t2\nend\n"},
        /* Digests. */
        {false, GOOD "part\tp\t1\t" D32 "\nend\n"},
        {false, GOOD "part\tp\t1\t" D32 D32 "0\nend\n"},
        {false,
            GOOD "part\tp\t1\t" D32 "0123456789ABCDEF0123456789abcdef\n"
                 "end\n"},
        /* A position. */
        {false,
            HEAD
            "backup\tX\t1\t2\t3\t0-1\tf\t4\tv\t5\t0\t1\t1\t1\t1\t1\t1\n" SCHEMA
            "end\n"},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++) {
        struct manifest *m = parse(cases[i].text, strlen(cases[i].text));

        if ((m != NULL) != cases[i].good)
            fail_msg("case %zu: %s", i, cases[i].text);
        manifest_free(m);
    }
    /* Text only. */
    assert_null(parse(
        GOOD "warning\ta\0b\nend\n", sizeof(GOOD "warning\ta\0b\nend\n") - 1));
}

static int
note_parse(const void *p, size_t n, struct backup_info *out)
{
    void *exact = xmemdup(p, MAX(n, 1));
    int rc = backup_info_parse(exact, n, out);

    if (rc < 0)
        assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    free(exact);
    return rc;
}

static void
test_note(void **state)
{
    struct manifest *m = filled();
    struct backup_info again;
    struct buf note = {0};

    (void)state;
    backup_info_format(&m->info, &note);
    assert_int_equal(note_parse(note.data, note.len, &again), 0);
    same_info(&m->info, &again);
    backup_info_free(&again);
    for (size_t n = 0; n < note.len; n++)
        assert_int_equal(note_parse(note.data, n, &again), -1);
    for (size_t i = 0; i < note.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            note.data[i] ^= (uint8_t)(1u << bit);
            if (note_parse(note.data, note.len, &again) == 0)
                backup_info_free(&again);
            note.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    note.data[0] = 2; /* a version that is not known */
    assert_int_equal(note_parse(note.data, note.len, &again), -1);
    note.data[0] = 1;
    buf_u8(&note, 0);
    assert_int_equal(note_parse(note.data, note.len, &again), -1);
    manifest_free(m);
    buf_free(&note);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_note),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
