/*
 * feed_directory.c -- DATA DIRECTORY and INDEX DIRECTORY in a statement of the
 * log: the place is the source's, perhaps on this very machine, where its files
 * are.  As of the backup's tables, nothing is made there (load_ddl_text.c).
 *
 * Such an option becomes MIN_ROWS=0, which says nothing, of a table or of a
 * partition.  An applier of its own accord (NO_DIR_IN_CREATE) takes the option
 * for an error in a strict sql_mode.
 */
#include <string.h>
#include "feed.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/sql_read.h"

#define HEAD EVENT_HEADER_SIZE
#define SIZE_AT 9
#define NOTHING "MIN_ROWS=0"

/* Blanks the option that begins at `from`, the word behind it being at hand;
 * false: it is none. */
static bool
take_option(struct sql_read *r, uint8_t *text, size_t from, const char *sql)
{
    size_t to;

    if (!sql_take_word(r, "DIRECTORY"))
        return false;
    if (sql_at(r, '='))
        sql_read_next(r);
    if (r->kind != SQL_STRING)
        return false;
    to = (size_t)(r->c.p - (const uint8_t *)sql);
    memset(text + from, ' ', to - from);
    memcpy(text + from, NOTHING, strlen(NOTHING));
    return true;
}

/* text: a copy of the statement. */
static bool
blank_options(const struct event_query *q, uint8_t *text)
{
    struct sql_read r;
    bool any = false;

    sql_read_begin(&r, q->sql, q->sql_size, q->sql_mode);
    sql_read_past_set(&r);
    if (!sql_at_word(&r, "CREATE") && !sql_at_word(&r, "ALTER"))
        r.kind = SQL_END;
    while (r.kind != SQL_END) {
        bool may = sql_at_word(&r, "DATA") || sql_at_word(&r, "INDEX");
        size_t from = (size_t)(r.c.p - (const uint8_t *)q->sql) - r.text.len;

        sql_read_next(&r);
        if (may)
            any |= take_option(&r, text, from, q->sql);
    }
    sql_read_free(&r);
    return any;
}

/* The event with another statement, and not compressed. */
static void
put_event(const struct event *e, const struct event_query *q,
    const struct buf *text, struct buf *out)
{
    bool checksum = e->size > HEAD + e->body_size;
    size_t before =
        e->body_size - (e->type == EV_QUERY ? q->sql_size : q->packed_size);
    uint32_t size = (uint32_t)(HEAD + before + text->len + (checksum ? 4 : 0));

    buf_reset(out);
    buf_add(out, e->raw, HEAD);
    buf_add(out, e->body, before);
    buf_add(out, text->data, text->len);
    out->data[4] = EV_QUERY;
    for (size_t i = 0; i < 4; i++)
        out->data[SIZE_AT + i] = (uint8_t)(size >> (8 * i));
    if (checksum)
        buf_u32(out, event_crc32(0, out->data, out->len));
}

int
feed_directory(const struct event *e, struct buf *space, struct event *out)
{
    struct buf plain = {0}, text = {0};
    struct event_query q;
    int rc = -1;

    if (e->type != EV_QUERY && e->type != EV_QUERY_COMPRESSED)
        return 0;
    if (event_query(e, &q) < 0 || event_query_expand(&q, &plain) < 0)
        goto out;
    rc = 0;
    if (!feed_sql_has(q.sql, q.sql_size, "directory"))
        goto out;
    buf_add(&text, q.sql, q.sql_size);
    if (!blank_options(&q, text.data))
        goto out;
    put_event(e, &q, &text, space);
    *out = *e;
    out->raw = space->data;
    out->size = (uint32_t)space->len;
    out->type = EV_QUERY;
    out->body = space->data + HEAD;
    out->body_size =
        e->body_size - (uint32_t)(e->type == EV_QUERY ? 0 : q.packed_size);
    if (e->type != EV_QUERY)
        out->body_size += (uint32_t)text.len;
    rc = 1;

out:
    buf_free(&plain);
    buf_free(&text);
    return rc;
}
