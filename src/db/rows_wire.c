/*
 * rows_wire.c -- the packets of a result, many of them with one read.
 *
 * Connector/C reads 16 KiB at a time and copies each packet out of that.  Here
 * its connection is asked for as much as there is, and packets are used where
 * they lie.  With TLS or compression they come through the library's own call.
 */
#include <errmsg.h>
#include <mysql.h>
/* Needs the one before. */
#include <ma_pvio.h>
#include <stdlib.h>
#include <string.h>
#include "rows_wire.h"
#include "pitr/mem.h"

#define READ_BYTES ((size_t)256 << 10)
#define ROW_MAX (((size_t)1 << 30) + ((size_t)1 << 20))
#define HEAD 4
#define PART_FULL 0xFFFFFFu /* the packet goes on in another one */

void
rows_wire_start(struct rows_wire *w, struct db *db)
{
    MYSQL *m = db->mysql;
    MARIADB_PVIO *pvio = m->net.pvio;
    size_t left;

    *w = (struct rows_wire){.db = db};
    if (pvio == NULL || pvio->ctls != NULL || m->net.compress ||
        pvio->cache == NULL)
        return;
    /* What the library has read ahead comes first. */
    left = pvio->cache + pvio->cache_size > pvio->cache_pos
        ? (size_t)(pvio->cache + pvio->cache_size - pvio->cache_pos)
        : 0;
    w->own = true;
    w->cap = READ_BYTES;
    w->data = xmalloc(w->cap);
    memcpy(w->data, pvio->cache_pos, left);
    pvio->cache_pos += left;
    w->to = left;
    w->number = (uint8_t)m->net.pkt_nr;
}

static int
lost(struct rows_wire *w)
{
    db_break(w->db);
    return db_fail_with(w->db, CR_SERVER_LOST,
        "Lost connection to server during query", "reading rows");
}

/* Have so many bytes from w->from on. */
static int
have(struct rows_wire *w, size_t need)
{
    MARIADB_PVIO *pvio = w->db->mysql->net.pvio;

    if (w->to - w->from >= need)
        return 0;
    if (pvio == NULL)
        return lost(w);
    memmove(w->data, w->data + w->from, w->to - w->from);
    w->to -= w->from;
    w->from = 0;
    if (need > w->cap) {
        w->cap = need + READ_BYTES;
        w->data = xrealloc(w->data, w->cap);
    }
    while (w->to < need) {
        ssize_t got;

        db_wait_begin(w->db);
        got = pvio->methods->read(pvio, w->data + w->to, w->cap - w->to);
        db_wait_end(w->db);
        if (got <= 0)
            return lost(w);
        w->to += (size_t)got;
    }
    return 0;
}

/* The head of a packet that is `at` bytes behind w->from: its size. */
static int
head(struct rows_wire *w, size_t at, size_t *size)
{
    const uint8_t *p;

    if (have(w, at + HEAD) < 0)
        return -1;
    p = w->data + w->from + at;
    *size = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16;
    if (p[3] == w->number++)
        return 0;
    db_break(w->db);
    return err_set(ERR_FAILED, "%s (%s): packets of rows are out of order",
        w->db->role, w->db->where);
}

/* More of a packet: without the heads in between. */
static int
rest(struct rows_wire *w, size_t *size)
{
    size_t part = *size;

    while (part == PART_FULL) {
        uint8_t *end;

        if (head(w, HEAD + *size, &part) < 0)
            return -1;
        if (*size + part > ROW_MAX) {
            db_break(w->db);
            return err_set(ERR_FAILED, "%s (%s): a row of more than 1 GiB",
                w->db->role, w->db->where);
        }
        if (have(w, HEAD + *size + HEAD + part) < 0)
            return -1;
        end = w->data + w->from + HEAD + *size;
        memmove(end, end + HEAD, (size_t)(w->data + w->to - (end + HEAD)));
        w->to -= HEAD;
        *size += part;
    }
    return 0;
}

static int
library_next(struct rows_wire *w, const uint8_t **p, size_t *n)
{
    unsigned long size;

    db_wait_begin(w->db);
    size = mysql_net_read_packet(w->db->mysql);
    db_wait_end(w->db);
    if (size == packet_error)
        return db_fail(w->db, "reading rows");
    *p = w->db->mysql->net.read_pos;
    *n = size;
    return 0;
}

static int
error_packet(struct rows_wire *w, const uint8_t *p, size_t n)
{
    struct cur c = cur_of(p + 1, n - 1);
    unsigned number = cur_u16(&c);
    char *text;

    if (cur_left(&c) >= 6 && *c.p == '#')
        cur_bytes(&c, 6); /* the SQLSTATE */
    text = cur_str(&c, cur_left(&c));
    db_fail_with(w->db, number, text, "reading rows");
    free(text);
    return -1;
}

int
rows_wire_next(struct rows_wire *w, const uint8_t **p, size_t *n)
{
    size_t size;

    if (!w->own)
        return library_next(w, p, n);
    if (w->cap > 16 * READ_BYTES && w->to - w->from <= READ_BYTES) {
        /* One huge row: give it back. */
        memmove(w->data, w->data + w->from, w->to - w->from);
        w->to -= w->from;
        w->from = 0;
        w->cap = READ_BYTES;
        w->data = xrealloc(w->data, w->cap);
    }
    if (head(w, 0, &size) < 0 || have(w, HEAD + size) < 0 ||
        (size == PART_FULL && rest(w, &size) < 0))
        return -1;
    *p = w->data + w->from + HEAD;
    *n = size;
    w->from += HEAD + size;
    if (size == 0) {
        db_break(w->db);
        return err_set(ERR_FAILED, "%s (%s): an empty packet among rows",
            w->db->role, w->db->where);
    }
    return (*p)[0] == 0xFF ? error_packet(w, *p, size) : 0;
}

void
rows_wire_end(struct rows_wire *w)
{
    if (w->own && w->to > w->from)
        db_break(w->db); /* nobody asked for what it has sent */
    free(w->data);
    *w = (struct rows_wire){0};
}
