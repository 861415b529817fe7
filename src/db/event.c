/*
 * event.c -- the grammar of the log's events.
 *
 * Layouts: MariaDB sql/log_event.h, sql/log_event.cc.
 */
#include <stdio.h>
#include <string.h>
#include "pitr/event.h"
#include "pitr/inflate.h"
#include "pitr/mem.h"

#define CHECKSUM_SIZE 4
#define FLAG_IN_USE 1 /* in a Format event: the file is being written */
#define FLAGS_OFFSET 17

/* Post-header of a Format event: version u16, server's version 50 bytes,
 * created u32, header size u8, one byte a type; then (from MariaDB 5.3 on) the
 * algorithm u8 and room for a checksum, even if none is used. */

enum checksum_alg { ALG_OFF = 0, ALG_CRC32 = 1 };

static const struct {
    uint8_t type;
    const char *text;
} types[] = {
    {1, "Start_v3"},
    {EV_QUERY, "Query"},
    {EV_STOP, "Stop"},
    {EV_ROTATE, "Rotate"},
    {EV_INTVAR, "Intvar"},
    {EV_LOAD, "Load"},
    {8, "Create_file"},
    {9, "Append_block"},
    {10, "Exec_load"},
    {11, "Delete_file"},
    {EV_RAND, "RAND"},
    {EV_USER_VAR, "User_var"},
    {EV_FORMAT, "Format_description"},
    {EV_XID, "Xid"},
    {EV_BEGIN_LOAD, "Begin_load_query"},
    {EV_EXECUTE_LOAD, "Execute_load_query"},
    {EV_TABLE_MAP, "Table_map"},
    {23, "Write_rows_v1"},
    {24, "Update_rows_v1"},
    {25, "Delete_rows_v1"},
    {EV_INCIDENT, "Incident"},
    {EV_HEARTBEAT, "Heartbeat"},
    {28, "Ignorable"},
    {29, "Rows_query"},
    {30, "Write_rows"},
    {31, "Update_rows"},
    {32, "Delete_rows"},
    {33, "MySQL_gtid"},
    {34, "MySQL_anonymous_gtid"},
    {35, "MySQL_previous_gtids"},
    {EV_XA_PREPARE, "XA_prepare"},
    {EV_ANNOTATE_ROWS, "Annotate_rows"},
    {EV_CHECKPOINT, "Binlog_checkpoint"},
    {EV_GTID, "Gtid"},
    {EV_GTID_LIST, "Gtid_list"},
    {EV_START_ENCRYPTION, "Start_encryption"},
    {EV_QUERY_COMPRESSED, "Query_compressed"},
    {166, "Write_rows_compressed_v1"},
    {167, "Update_rows_compressed_v1"},
    {168, "Delete_rows_compressed_v1"},
    {169, "Write_rows_compressed"},
    {170, "Update_rows_compressed"},
    {171, "Delete_rows_compressed"},
};

const char *
event_type_text(uint8_t type)
{
    static _Thread_local char unknown[24];

    for (size_t i = 0; i < NELEM(types); i++)
        if (types[i].type == type)
            return types[i].text;
    snprintf(unknown, sizeof unknown, "unknown (%u)", type);
    return unknown;
}

static int
bad_event(const struct event *e, const char *what)
{
    return err_set(ERR_VERIFY,
        "binlog event %s that ends at the server's offset %u: %s",
        event_type_text(e->type), e->end_pos, what);
}

/* The CRC at the end of raw; the in-use flag is not part of it, since the
 * server clears it in place when it closes a file. */
static bool
crc_fits(const struct event *e)
{
    uint32_t crc = 0;
    size_t n = e->size - CHECKSUM_SIZE;
    struct cur tail = cur_of(e->raw + n, CHECKSUM_SIZE);

    if (e->type == EV_FORMAT && e->flags & FLAG_IN_USE) {
        const uint8_t low = (uint8_t)(e->flags & ~FLAG_IN_USE);
        crc = event_crc32(0, e->raw, FLAGS_OFFSET);
        crc = event_crc32(crc, &low, 1);
        crc = event_crc32(crc, e->raw + FLAGS_OFFSET + 1, n - FLAGS_OFFSET - 1);
    } else
        crc = event_crc32(0, e->raw, n);
    return crc == cur_u32(&tail);
}

/* Sets body_size too: what of the end is checksum depends on the event. */
static int
parse_format(struct event_format *fmt, struct event *e)
{
    struct cur c = cur_of(e->body, e->size - EVENT_HEADER_SIZE);
    uint16_t version = cur_u16(&c);
    const uint8_t *name = cur_bytes(&c, 50);
    uint8_t header_size, alg;
    size_t left;
    struct event_format f = {.known = true};

    cur_u32(&c); /* created */
    header_size = cur_u8(&c);
    if (c.bad || version != 4 || header_size != EVENT_HEADER_SIZE)
        return bad_event(e, "not a format that this program knows");
    memcpy(f.server_version, name, 50);
    left = cur_left(&c);
    if (left < 1 + CHECKSUM_SIZE)
        return bad_event(e, "too short");
    alg = c.p[left - CHECKSUM_SIZE - 1];
    if (alg != ALG_OFF && alg != ALG_CRC32)
        return bad_event(e, "unknown checksum algorithm");
    f.checksum = alg == ALG_CRC32;
    e->body_size = e->size - EVENT_HEADER_SIZE - CHECKSUM_SIZE;
    if (f.checksum && !crc_fits(e))
        return bad_event(e, "CRC does not fit");
    *fmt = f;
    return 0;
}

void
event_header(const void *p, size_t n, struct event *out)
{
    struct cur c = cur_of(p, n);

    *out = (struct event){.raw = p};
    out->timestamp = cur_u32(&c);
    out->type = cur_u8(&c);
    out->server_id = cur_u32(&c);
    out->size = cur_u32(&c);
    out->end_pos = cur_u32(&c);
    out->flags = cur_u16(&c);
    out->body = c.p;
}

int
event_parse(
    struct event_format *fmt, const void *p, size_t n, struct event *out)
{
    struct event e;

    if (n < EVENT_HEADER_SIZE || n > 2 * (size_t)EVENT_SIZE_MAX)
        return err_set(
            ERR_VERIFY, "binlog event: impossible size of %zu bytes", n);
    event_header(p, n, &e);
    if (e.size != n)
        return bad_event(&e, "its size is not what its header says");
    if (e.type == EV_FORMAT) {
        if (parse_format(fmt, &e) < 0)
            return -1;
    } else if (fmt->checksum) {
        if (n < EVENT_HEADER_SIZE + CHECKSUM_SIZE)
            return bad_event(&e, "too short for its CRC");
        if (!crc_fits(&e))
            return bad_event(&e, "CRC does not fit");
        e.body_size = e.size - EVENT_HEADER_SIZE - CHECKSUM_SIZE;
    } else
        e.body_size = e.size - EVENT_HEADER_SIZE;
    *out = e;
    return 0;
}

#define FL_EXTRA_MULTI_ENGINE 1
#define FL_EXTRA_START_ALTER 2
#define FL_EXTRA_COMMIT_ALTER 4
#define FL_EXTRA_ROLLBACK_ALTER 8

/* format u32, two sizes u8, and so many bytes. */
static void
take_xid(struct cur *c, struct event_xid *x)
{
    const uint8_t *data;
    size_t n;

    x->format = cur_u32(c);
    x->gtrid_size = cur_u8(c);
    x->bqual_size = cur_u8(c);
    n = (size_t)x->gtrid_size + x->bqual_size;
    if (n > sizeof(x->data)) {
        c->bad = true;
        return;
    }
    data = cur_bytes(c, n);
    if (data != NULL)
        memcpy(x->data, data, n);
}

/*
 * seq u64, domain u32, flags u8; with FL_GROUP_COMMIT_ID a u64; of XA its id;
 * then flags_extra, of several engines a u8, at an ALTER's end the sequence
 * number of its start u64.  Without a commit id and extras it is padded with
 * zeros to 19 bytes.
 */
int
event_gtid(const struct event *e, struct event_gtid *out)
{
    struct cur c = cur_of(e->body, e->body_size);
    struct event_gtid g = {.gtid.server = e->server_id};
    uint8_t extra = 0;

    if (e->type != EV_GTID)
        return bad_event(e, "is not a Gtid");
    g.gtid.seq = cur_u64(&c);
    g.gtid.domain = cur_u32(&c);
    g.flags = cur_u8(&c);
    g.time_us = (uint64_t)e->timestamp * 1000000;
    if (g.flags & GTID_FL_GROUP_COMMIT_ID)
        cur_u64(&c);
    if (g.flags & (GTID_FL_PREPARED_XA | GTID_FL_COMPLETED_XA))
        take_xid(&c, &g.xid);
    if (cur_left(&c) > 0)
        extra = cur_u8(&c);
    if ((extra & FL_EXTRA_MULTI_ENGINE) != 0)
        cur_u8(&c);
    g.start_alter = (extra & FL_EXTRA_START_ALTER) != 0;
    g.end_alter =
        (extra & (FL_EXTRA_COMMIT_ALTER | FL_EXTRA_ROLLBACK_ALTER)) != 0;
    if (g.end_alter)
        g.alter_seq = cur_u64(&c);
    if (c.bad)
        return bad_event(e, "too short");
    *out = g;
    return 0;
}

/* The flags (code 0, u32) come first, then sql_mode (1, u64): Query_log_event's
 * status variables, each where it is there. */
static uint64_t
status_sql_mode(const uint8_t *p, size_t n)
{
    struct cur c = cur_of(p, n);

    if (cur_left(&c) > 4 && *c.p == 0)
        cur_bytes(&c, 5);
    return cur_left(&c) > 8 && cur_u8(&c) == 1 ? cur_u64(&c) : 0;
}

/* thread u32, seconds u32, size of the schema u8, error u16, size of the
 * status variables u16; these, the schema, a NUL, the statement. */
int
event_query(const struct event *e, struct event_query *out)
{
    struct cur c = cur_of(e->body, e->body_size);
    struct event_query q = {0};
    const uint8_t *status;
    uint16_t status_size;

    if (e->type != EV_QUERY && e->type != EV_QUERY_COMPRESSED)
        return bad_event(e, "is not a Query");
    cur_u32(&c);
    cur_u32(&c);
    q.schema_size = cur_u8(&c);
    q.error = cur_u16(&c);
    status_size = cur_u16(&c);
    status = cur_bytes(&c, status_size);
    q.schema = (const char *)cur_bytes(&c, q.schema_size);
    cur_u8(&c);
    if (c.bad)
        return bad_event(e, "too short");
    q.sql_mode = status_sql_mode(status, status_size);
    if (e->type == EV_QUERY) {
        q.sql_size = cur_left(&c);
        q.sql = (const char *)cur_bytes(&c, q.sql_size);
    } else {
        q.sql = "";
        q.packed_size = cur_left(&c);
        q.packed = cur_bytes(&c, q.packed_size);
    }
    *out = q;
    return 0;
}

/* A byte of which the upper four bits are 1000 (zlib) and the lower four say
 * how many bytes of size follow, the highest first (binlog_buf_compress()). */
int
event_query_expand(struct event_query *q, struct buf *space)
{
    struct cur c = cur_of(q->packed, q->packed_size);
    uint8_t head;
    size_t size = 0;

    if (q->packed == NULL)
        return 0;
    head = cur_u8(&c);
    for (int i = 0; i < (head & 0x0f); i++)
        size = size << 8 | cur_u8(&c);
    if (c.bad || (head & 0xf0) != 0x80 || (head & 0x0f) > 4)
        return err_set(ERR_VERIFY, "a compressed statement of unknown form");
    buf_reset(space);
    if (inflate_bytes(c.p, cur_left(&c), size, space) < 0)
        return -1;
    q->sql = (const char *)space->data;
    q->sql_size = size;
    return 0;
}

int
event_rotate(const struct event *e, struct event_rotate *out)
{
    struct cur c = cur_of(e->body, e->body_size);

    if (e->type != EV_ROTATE)
        return bad_event(e, "is not a Rotate");
    out->position = cur_u64(&c);
    out->file_size = cur_left(&c);
    out->file = (const char *)cur_bytes(&c, out->file_size);
    if (c.bad || out->file_size == 0 ||
        memchr(out->file, '\0', out->file_size) != NULL)
        return bad_event(e, "no file name in it");
    return 0;
}

/* count u32 (the upper 4 bits are flags); each: domain u32, server u32,
 * sequence u64.  Several of one domain stand in the order of writing
 * (rpl_binlog_state::get_gtid_list), so the last one counts. */
int
event_gtid_list(const struct event *e, struct gtid_pos *out)
{
    struct cur c = cur_of(e->body, e->body_size);
    struct gtid_pos pos = {0};
    uint32_t count;

    if (e->type != EV_GTID_LIST)
        return bad_event(e, "is not a Gtid_list");
    count = cur_u32(&c) & 0x0FFFFFFF;
    for (uint32_t i = 0; i < count && !c.bad; i++) {
        struct gtid g;
        g.domain = cur_u32(&c);
        g.server = cur_u32(&c);
        g.seq = cur_u64(&c);
        if (!c.bad)
            gtid_pos_set(&pos, &g);
    }
    if (c.bad) {
        gtid_pos_free(&pos);
        return bad_event(e, "too short");
    }
    gtid_pos_copy(out, &pos);
    gtid_pos_free(&pos);
    return 0;
}
