/*
 * repl_next.c -- packets to events; where the server is; its errors.
 *
 * Source: MariaDB sql/sql_repl.cc (mysql_binlog_send, its messages),
 * sql/semisync_slave.cc.
 */
#include <mysql.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>
#include "pitr/mem.h"
#include "pitr/times.h"
#include "repl_internal.h"

#define PACKET_OK 0x00
#define PACKET_EOF 0xFE
#define SEMISYNC_MAGIC 0xEF
#define SEMISYNC_NEEDS_ACK 1
#define COMMAND_SEMISYNC_ACK 0xEF

/* Not in every Connector/C's mysqld_error.h. */
#define GTID_POSITION_NOT_FOUND 1945
#define GTID_POSITION_NOT_FOUND2 1955
#define GTID_START_FROM_BINLOG_HOLE 1951

/* Parts of the server's messages which say that its log lacks our position. */
static const char *const gap_texts[] = {
    "Could not find GTID state requested by slave",
    "connecting slave requested to start from",
    "The binlog on the master is missing the GTID",
    "Could not find first log file name",
    "could not find next log",
    "impossible position",
};

static const struct {
    const char *part, *hint;
} other_texts[] = {
    {"same server_uuid/server_id",
        "another replica uses this server_id: give pitr one of its own"},
    {"max_allowed_packet",
        "on that server run: SET GLOBAL max_allowed_packet=1073741824"},
    {"Binary log is not open",
        "the server writes no binary log: set log_bin in its configuration"},
    {"checksum", "compare binlog_checksum and the server's error log"},
};

static bool
is_gap(unsigned number, const char *text)
{
    if (number == GTID_POSITION_NOT_FOUND ||
        number == GTID_POSITION_NOT_FOUND2 ||
        number == GTID_START_FROM_BINLOG_HOLE)
        return true;
    if (number != ER_MASTER_FATAL_ERROR_READING_BINLOG)
        return false;
    for (size_t i = 0; i < NELEM(gap_texts); i++)
        if (strstr(text, gap_texts[i]) != NULL)
            return true;
    return false;
}

static int
repl_fail(struct repl *r)
{
    MYSQL *m = r->db->mysql;
    char text[MYSQL_ERRMSG_SIZE];

    snprintf(text, sizeof text, "%s", mysql_error(m));
    db_fail(r->db, "reading the binary log");
    if (is_gap(r->db->last_errno, text)) {
        err_rekind(ERR_GAP);
        return err_hint("the server no longer has the log from there on (or "
                        "is another server): take a new backup now");
    }
    for (size_t i = 0; i < NELEM(other_texts); i++)
        if (strstr(text, other_texts[i].part) != NULL)
            err_hint("%s", other_texts[i].hint);
    return -1;
}

unsigned long
repl_packet(struct repl *r)
{
    unsigned long n = mysql_net_read_packet(r->db->mysql);

    r->heard_us = time_mono_us();
    if (n == packet_error) {
        repl_fail(r);
        return 0;
    }
    return n;
}

static void
set_file(struct repl *r, const char *name, size_t n, uint64_t offset)
{
    buf_reset(&r->file);
    buf_add(&r->file, name, n);
    r->offset = offset;
}

/* Positions in events are the lower half of the offset. */
static void
set_offset(struct repl *r, uint32_t end_pos)
{
    uint64_t offset = (r->offset & ~(uint64_t)UINT32_MAX) | end_pos;

    if (offset < r->offset)
        offset += (uint64_t)1 << 32;
    r->offset = offset;
}

/* What an event says about the stream itself. */
static int
note_event(struct repl *r, const struct event *e)
{
    struct event_rotate rotate;

    if (e->type == EV_ROTATE) {
        if (event_rotate(e, &rotate) < 0)
            return -1;
        set_file(r, rotate.file, rotate.file_size, rotate.position);
        return 0;
    }
    if (e->type == EV_FORMAT) {
        buf_reset(&r->format_event);
        buf_add(&r->format_event, e->raw, e->size);
    }
    if (e->type != EV_HEARTBEAT && !(e->flags & EVENT_FLAG_ARTIFICIAL) &&
        e->end_pos != 0)
        set_offset(r, e->end_pos);
    return 0;
}

/*
 * With semi-sync the event follows two bytes more: 0xEF, and whether it is
 * to be acknowledged.  The event's own size tells which it is.
 */
static void
take_semisync_header(struct repl *r, struct cur *c)
{
    struct cur h = *c, size;
    uint8_t magic = cur_u8(&h), flag = cur_u8(&h);

    r->wants_ack = false;
    if (!r->semisync || magic != SEMISYNC_MAGIC)
        return;
    size = h;
    cur_bytes(&size, 9);
    if (cur_u32(&size) != cur_left(&h) || size.bad)
        return;
    r->wants_ack = (flag & SEMISYNC_NEEDS_ACK) != 0;
    *c = h;
}

static int
take_event(struct repl *r, const uint8_t *p, size_t n, struct event *out)
{
    struct cur c = cur_of(p, n);

    take_semisync_header(r, &c);
    if (event_parse(&r->fmt, c.p, cur_left(&c), out) < 0 ||
        note_event(r, out) < 0)
        return err_wrap("%s (%s): %s after offset %llu", r->db->role,
            r->db->where, repl_file(r), (unsigned long long)r->offset);
    return 0;
}

static int
take_end(struct repl *r, enum repl_got *got)
{
    r->ended = true;
    if (!r->until_end)
        return err_set(ERR_UNREACHABLE,
            "%s (%s): the server ended the stream (shutdown, or KILL)",
            r->db->role, r->db->where);
    *got = REPL_END;
    return 0;
}

int
repl_take(struct repl *r, const uint8_t *p, size_t n, enum repl_got *got,
    struct event *out)
{
    if (p[0] == PACKET_EOF && n < 9)
        return take_end(r, got);
    if (p[0] != PACKET_OK)
        return err_set(ERR_FAILED,
            "%s (%s): unknown packet 0x%02x in the binary log", r->db->role,
            r->db->where, p[0]);
    if (take_event(r, p + 1, n - 1, out) < 0)
        return -1;
    *got = REPL_EVENT;
    return 0;
}

int
repl_next(
    struct repl *r, uint64_t wait_us, enum repl_got *got, struct event *out)
{
    unsigned long n = r->first;
    if (r->ended)
        return take_end(r, got);
    r->first = 0;
    if (n == 0) {
        int ready = repl_wait(r, wait_us);
        if (ready < 0)
            return -1;
        *got = REPL_IDLE;
        if (ready == 0)
            return 0;
        if ((n = repl_packet(r)) == 0)
            return -1;
    }
    return repl_take(r, r->db->mysql->net.read_pos, n, got, out);
}

bool
repl_wants_ack(const struct repl *r)
{
    return r->wants_ack;
}

bool
repl_acknowledges(const struct repl *r)
{
    return r->semisync;
}

int
repl_ack(struct repl *r, const char *file, uint64_t offset)
{
    MYSQL *m = r->db->mysql;
    struct buf b = {0};
    int rc;

    buf_u64(&b, offset);
    buf_str(&b, file);
    rc = m->methods->db_command(m,
        (enum enum_server_command)COMMAND_SEMISYNC_ACK, (const char *)b.data,
        b.len, 1, NULL);
    buf_free(&b);
    return rc != 0 ? db_fail(r->db, "acknowledging a transaction") : 0;
}

const char *
repl_file(const struct repl *r)
{
    return r->file.len > 0 ? buf_cstr((struct buf *)&r->file) : "";
}

uint64_t
repl_offset(const struct repl *r)
{
    return r->offset;
}

const struct event_format *
repl_format(const struct repl *r)
{
    return &r->fmt;
}

const struct buf *
repl_format_event(const struct repl *r)
{
    return r->format_event.len > 0 ? &r->format_event : NULL;
}
