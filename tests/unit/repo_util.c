/*
 * repo_util.c -- see repo_util.h.
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
#include "pitr/file.h"
#include "pitr/mem.h"
#include "pitr/part.h"
#include "pitr/schema.h"
#include "pitr/store_driver.h"
#include "repo_util.h"

void
place_make(struct place *p)
{
    memset(p, 0, sizeof *p);
    strcpy(p->dir, "/tmp/pitr-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->path = xasprintf("%s/repo", p->dir);
    p->signing = xasprintf("%s/signing.key", p->dir);
    p->key = secret_key_new();
    assert_non_null(p->key);
    assert_int_equal(repo_init(p->path, "db1", p->signing,
                         secret_key_public(p->key), 1, p->key),
        0);
    p->repo = repo_open(p->path, "db1", p->signing);
    assert_non_null(p->repo);
    lock_free(repo_lock(p->repo, "backup")); /* it is made here */
}

void
place_free(struct place *p)
{
    repo_close(p->repo);
    secret_key_free(p->key);
    dir_remove(p->dir);
    free(p->path);
    free(p->signing);
    err_clear();
}

struct logged *
logged_new(void)
{
    struct logged *s = xcalloc(1, sizeof *s);

    place_make(&s->p);
    return s;
}

int
logged_teardown(void **state)
{
    struct logged *s = *state;

    segment_tail_free(&s->tail);
    place_free(&s->p);
    free(s);
    return 0;
}

char *
place_file(const struct place *p, const char *name)
{
    return xasprintf("%s/%s", p->path, name);
}

static struct source *
between_get(void *impl, const char *name, uint64_t offset)
{
    struct between *b = impl;

    b->before(b->arg, "get", name);
    return store_get_from(b->store, name, offset);
}

static int
between_stat(void *impl, const char *name, uint64_t *size)
{
    struct between *b = impl;

    return b->before(b->arg, "stat", name) ? store_stat(b->store, name, size)
                                           : 0;
}

static int
between_written(void *impl, const char *name, uint64_t *us)
{
    struct between *b = impl;

    return store_written(b->store, name, us);
}

static int
between_list(void *impl, const char *prefix, bool flat, struct store_list *out)
{
    struct between *b = impl;
    struct store_list l;
    int rc;

    b->before(b->arg, "list", prefix);
    rc = store_list(b->store, prefix, flat, &l);
    for (size_t i = 0; i < l.n; i++)
        if (b->before(b->arg, "entry", l.v[i].name))
            store_list_add(
                out, "", l.v[i].name, strlen(l.v[i].name), l.v[i].size);
    store_list_free(&l);
    return rc;
}

static void
between_close(void *impl)
{
    struct between *b = impl;

    store_close(b->store);
}

struct repo *
place_between(const struct place *p, struct between *b)
{
    static const struct store_ops ops = {.get = between_get,
        .stat = between_stat,
        .written = between_written,
        .list = between_list,
        .close = between_close};
    struct repo *r;

    b->store = store_open_local(p->path);
    assert_non_null(b->store);
    r = repo_open_store(store_new(&ops, b, p->path), "db1", NULL);
    assert_non_null(r);
    return r;
}

void
file_load(const char *path, struct buf *out)
{
    buf_reset(out);
    assert_int_equal(file_read(path, 64u << 20, out), 0);
}

void
file_store(const char *path, const void *p, size_t n)
{
    FILE *f;

    unlink(path);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

struct gtid_pos
pos_of(const char *text)
{
    struct gtid_pos pos = {0};

    assert_int_equal(gtid_pos_parse(text, &pos), 0);
    return pos;
}

void
event_format_raw(struct buf *out)
{
    buf_add(out, v_format, sizeof v_format);
}

/* The common header, the body, the CRC. */
static void
event_raw(uint8_t type, uint32_t when_s, uint32_t server,
    const struct buf *body, struct buf *out)
{
    uint32_t size = (uint32_t)(EVENT_HEADER_SIZE + body->len + 4);

    buf_reset(out);
    buf_u32(out, when_s);
    buf_u8(out, type);
    buf_u32(out, server);
    buf_u32(out, size);
    buf_u32(out, 0); /* end in the file: not looked at */
    buf_u16(out, 0);
    buf_add(out, body->data, body->len);
    buf_u32(out, event_crc32(0, out->data, out->len));
}

void
group_raw(
    const struct gtid *g, uint32_t when_s, struct buf *gtid, struct buf *query)
{
    static const uint8_t unused[6];
    struct buf body = {0};

    buf_u64(&body, g->seq);
    buf_u32(&body, g->domain);
    buf_u8(&body, GTID_FL_STANDALONE);
    buf_add(&body, unused, sizeof unused);
    event_raw(EV_GTID, when_s, g->server, &body, gtid);

    buf_reset(&body);
    buf_u32(&body, 1); /* thread */
    buf_u32(&body, 0); /* took */
    buf_u8(&body, 4);
    buf_u16(&body, 0); /* error */
    buf_u16(&body, 0); /* status variables */
    buf_add(&body, "shop", 5);
    buf_str(&body, "CREATE TABLE t (a INT)");
    event_raw(EV_QUERY, when_s, g->server, &body, query);
    buf_free(&body);
}

static void
segment_write_one(struct segment_writer *w, struct event_format *fmt,
    const struct buf *raw, int step, const struct event_gtid *g, uint64_t pos)
{
    struct event e;

    assert_int_equal(event_parse(fmt, raw->data, raw->len, &e), 0);
    assert_int_equal(segment_event(w, &e, step, g, pos), 0);
}

void
segment_group_write(struct segment_writer *w, struct event_format *fmt,
    const char *gtid, uint32_t when_s, uint64_t pos)
{
    struct event_gtid g = {.time_us = when_s * UINT64_C(1000000)};
    struct buf a = {0}, b = {0};

    assert_int_equal(gtid_parse(gtid, &g.gtid), 0);
    group_raw(&g.gtid, when_s, &a, &b);
    fmt->known = fmt->checksum = true;
    segment_write_one(w, fmt, &a, GROUP_BEGIN, &g, pos - b.len);
    segment_write_one(w, fmt, &b, GROUP_END, &g, pos);
    buf_free(&a);
    buf_free(&b);
}

void
backup_make(struct repo *r, const char *id, uint64_t snapshot_us,
    const char *gtid, const char *file, uint64_t pos)
{
    struct manifest m = {0};

    m.info.id = xstrdup(id);
    m.info.begun_us = snapshot_us - 1000000;
    m.info.snapshot_us = snapshot_us;
    m.info.ended_us = snapshot_us + 1000000;
    m.info.gtid = pos_of(gtid);
    m.info.source_file = xstrdup(file);
    m.info.source_pos = pos;
    m.info.server_version = xstrdup("10.11.19-MariaDB-log");
    m.info.server_id = 7;
    assert_int_equal(manifest_store(r, &m), 0);
    backup_info_free(&m.info);
}

struct segment_writer *
segment_begun(struct repo *r, const struct segment_tail *tail,
    enum segment_cause cause, uint64_t started_us, unsigned groups)
{
    struct segment_start start = {.cause = cause,
        .why = xstrdup(cause == SEGMENT_GAP ? "the log was purged" : ""),
        .started_us = started_us,
        .server_version = xstrdup("10.11.19-MariaDB-log"),
        .source_file = xstrdup("bin.000001"),
        .source_pos = 4 + groups * 100,
        .source_created = T0,
        .server_id = 7,
        .server_uid = xstrdup("")};
    struct buf format = {0};
    struct segment_writer *w;

    gtid_pos_copy(&start.gtid, &tail->state.gtid);
    event_format_raw(&format);
    w = segment_begin(r, tail, &start, &format, 1);
    assert_non_null(w);
    segment_start_free(&start);
    buf_free(&format);
    return w;
}

void
segment_make(struct repo *r, struct segment_tail *tail, unsigned *groups,
    enum segment_cause cause, bool open)
{
    struct segment_writer *w =
        segment_begun(r, tail, cause, US(*groups * 10), *groups);
    struct event_format fmt = {0};
    char gtid[GTID_TEXT];

    for (int i = 0; i < 2; i++) {
        (*groups)++;
        snprintf(gtid, sizeof gtid, "0-7-%u", *groups);
        segment_group_write(
            w, &fmt, gtid, T0 + *groups * 10, 4 + *groups * 100);
        assert_int_equal(segment_flush(w, US(*groups * 10 + 5)), 0);
    }
    if (open)
        segment_abort(w);
    else
        assert_int_equal(segment_close(w, tail), 0);
}

static void
add_table(struct manifest *m, size_t i)
{
    struct manifest_table *t = &m->table[i];

    t->schema = xstrdup("shop");
    t->name = xasprintf("t%zu", i);
    t->engine = xstrdup("InnoDB");
    t->cols = 1;
    t->col = xcalloc(1, sizeof *t->col);
    t->col[0] = (struct manifest_column){
        .name = xstrdup("a"), .data_type = xstrdup("int"), .wire = {.type = 3}};
}

/* Part i holds rows of table i and of the next one. */
static void
add_part(struct repo *r, struct manifest *m, size_t i, enum lie lie)
{
    struct manifest_part *p = &m->part[i];
    struct part_writer *w;
    struct sink *seal;

    p->name = xasprintf("backup/%s/part-%06zu", m->info.id, i + 1);
    p->tables = 2;
    p->table = xcalloc(2, sizeof *p->table);
    p->rows = xcalloc(2, sizeof *p->rows);
    w = part_writer_new(
        repo_put(r, SEAL_ROWS, p->name, NULL, 1, STORE_ATOMIC, &seal));
    assert_non_null(w);
    for (unsigned k = 0; k < 2; k++) {
        struct manifest_table *t = &m->table[(i + k) % TABLES];

        p->table[k] = (uint32_t)((i + k) % TABLES);
        p->rows[k] = ROWS;
        for (uint32_t n = 0; n < ROWS; n++) {
            uint32_t row[2] = {(uint32_t)i, n * 77}, table = p->table[k];
            bool last = i + 1 == PARTS && k == 1 && n + 1 == ROWS;

            rowsum_add(&t->sum, row, sizeof row);
            t->bytes += sizeof row;
            row[1] ^= last && lie == LIE_CONTENT;
            if (last && lie == LIE_HOLDS)
                table = 1;
            if (last && lie == LIE_ROWS)
                p->rows[k]--;
            else
                assert_int_equal(part_write_row(w, table, row, sizeof row), 0);
        }
    }
    assert_int_equal(part_writer_finish(w), 0);
    p->size = seal_last_mark(seal)->offset + seal_last_mark(seal)->size;
    memcpy(p->digest, seal_last_mark(seal)->digest, DIGEST_SIZE);
    part_writer_free(w);
}

static void
add_schema(struct repo *r, struct manifest *m, enum lie lie)
{
    char *name = xasprintf("backup/%s/schema", m->info.id), empty[] = "";
    struct sink *seal;
    struct schema_writer *w = schema_writer_new(
        repo_put(r, SEAL_SCHEMA, name, NULL, 1, STORE_ATOMIC, &seal));

    assert_non_null(w);
    for (uint32_t i = 0; i < TABLES; i++) {
        struct manifest_table *t = &m->table[i];
        struct schema_object o = {.kind = SCHEMA_TABLE,
            .table = lie == LIE_SCHEMA ? (i + 1) % TABLES : i,
            .schema = t->schema,
            .name = t->name,
            .sql = empty,
            .extra = empty,
            .sql_mode = empty,
            .charset_client = empty,
            .collation_connection = empty,
            .collation_database = empty,
            .time_zone = empty,
            .definer = empty};

        assert_int_equal(schema_write(w, &o), 0);
    }
    assert_int_equal(schema_writer_finish(w), 0);
    m->schema_size = seal_last_mark(seal)->offset + seal_last_mark(seal)->size;
    memcpy(m->schema_digest, seal_last_mark(seal)->digest, DIGEST_SIZE);
    schema_writer_free(w);
    free(name);
}

static void
sum_up(struct manifest *m)
{
    m->info.tables = m->tables;
    m->info.parts = m->parts;
    m->info.stored_bytes = m->schema_size;
    for (size_t i = 0; i < m->tables; i++) {
        m->info.rows += m->table[i].sum.rows;
        m->info.row_bytes += m->table[i].bytes;
        m->table[i].parts = 2;
    }
    for (size_t i = 0; i < m->parts; i++)
        m->info.stored_bytes += m->part[i].size;
}

void
backup_write(struct repo *r, const char *id, unsigned second, enum lie lie)
{
    backup_write_at(r, id, US(second), "0-7-1", 104, lie);
}

void
backup_write_at(struct repo *r, const char *id, uint64_t us, const char *gtid,
    uint64_t pos, enum lie lie)
{
    struct manifest *m = xcalloc(1, sizeof *m);

    m->info.id = xstrdup(id);
    m->info.begun_us = m->info.snapshot_us = m->info.ended_us = us;
    m->info.gtid = pos_of(gtid);
    m->info.source_file = xstrdup("bin.000001");
    m->info.source_pos = pos;
    m->info.server_version = xstrdup("10.11.19-MariaDB-log");
    m->info.server_id = 7;
    m->tables = TABLES;
    m->table = xcalloc(TABLES, sizeof *m->table);
    m->parts = PARTS;
    m->part = xcalloc(PARTS, sizeof *m->part);
    for (size_t i = 0; i < TABLES; i++)
        add_table(m, i);
    for (size_t i = 0; i < PARTS; i++)
        add_part(r, m, i, lie);
    add_schema(r, m, lie);
    sum_up(m);
    if (lie == LIE_TOTALS)
        m->info.rows++;
    if (lie == LIE_PART) {
        char *name = xasprintf("backup/%s/part-000009", id);
        struct sink *s =
            repo_put(r, SEAL_ROWS, name, NULL, 1, STORE_ATOMIC, NULL);

        assert_int_equal(sink_finish(s), 0);
        sink_free(s);
        free(name);
    }
    assert_int_equal(manifest_store(r, m), 0);
    manifest_free(m);
}

void
history_write(struct repo *r, struct segment_tail *tail, unsigned *groups,
    unsigned segments, bool open)
{
    backup_write(r, FIRST, 15, LIE_NONE);
    backup_write(r, SECOND, 16, LIE_NONE);
    for (unsigned i = 0; i < segments; i++)
        segment_make(r, tail, groups, i == 0 ? SEGMENT_FIRST : SEGMENT_NEXT,
            open && i + 1 == segments);
}
