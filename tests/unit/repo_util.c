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

char *
place_file(const struct place *p, const char *name)
{
    return xasprintf("%s/%s", p->path, name);
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
