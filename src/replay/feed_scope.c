/*
 * feed_scope.c -- a part of the log: row events of tables that are not wanted
 * are left out, GTIDs stay; a schema that is called otherwise is so in each
 * event.
 *
 * A statement whose every row event is left out is not there; where only some
 * are, the last one that stays is marked as the statement's end.  Rows that
 * refer to a table that is left out are not looked up there; those that the
 * server itself changed with such a table are in no log, and counted.  A
 * statement that is a group of its own and is not wanted becomes an empty
 * transaction with its GTID.  What a statement's text touches is for
 * scope_text.c to tell.
 */
#include <stdlib.h>
#include <string.h>
#include "feed.h"
#include "pitr/mem.h"

#define HEAD EVENT_HEADER_SIZE
#define ROWS_FLAGS (HEAD + 6)
#define ROWS_STMT_END 1
#define ROWS_NO_FOREIGN_KEYS 2
#define GTID_FLAGS (HEAD + 8 + 4)
#define HEADER_SIZE_AT 9

void
feed_scope_free(struct feed_scope *o)
{
    buf_free(&o->gtid);
    buf_free(&o->held);
    buf_free(&o->maps);
    buf_free(&o->pending);
    buf_free(&o->out);
    free(o->table);
    *o = (struct feed_scope){.scope = o->scope};
}

void
feed_scope_reset(struct feed_scope *o)
{
    buf_reset(&o->gtid);
    buf_reset(&o->held);
    buf_reset(&o->pending);
    buf_reset(&o->out);
    o->tables = 0;
}

static void
put_u32_at(struct buf *b, size_t at, uint32_t v)
{
    for (size_t i = 0; i < 4; i++)
        b->data[at + i] = (uint8_t)(v >> (8 * i));
}

/* The event that begins at `from` is whole but for its size and checksum. */
static void
seal_event(struct buf *b, size_t from, bool checksum)
{
    size_t n = b->len - from;

    put_u32_at(b, from + HEADER_SIZE_AT, (uint32_t)(n + (checksum ? 4 : 0)));
    if (checksum)
        buf_u32(b, event_crc32(0, b->data + from, n));
}

static bool
has_checksum(const struct event *e)
{
    return e->size > HEAD + e->body_size;
}

static void
put(struct buf *b, const struct event *e)
{
    buf_add(b, e->raw, e->size);
}

static void
move(struct buf *to, struct buf *from)
{
    buf_add(to, from->data, from->len);
    buf_reset(from);
}

/* --- rows --- */

static uint64_t
table_id(struct cur *c)
{
    uint64_t id = cur_u32(c);

    return id | (uint64_t)cur_u16(c) << 32;
}

static bool
add_table(
    struct feed_scope *o, uint64_t id, const char *schema, const char *table)
{
    const struct scope *s = o->scope;
    struct feed_scope_table t = {.id = id,
        .wanted = scope_table(s, schema, table),
        .on_delete = scope_foreign_from(s, schema, table, true),
        .on_update = scope_foreign_from(s, schema, table, false)};

    t.orphan = t.wanted && scope_is_orphan(s, schema, table);
    t.followed = t.orphan && scope_is_followed(s, schema, table);
    o->table = xgrow(o->table, o->tables, &o->cap, sizeof *o->table);
    o->table[o->tables++] = t;
    return t.wanted;
}

static int
take_map(struct feed_scope *o, const struct event *e)
{
    struct cur c = cur_of(e->body, e->body_size);
    uint64_t id = table_id(&c);
    const uint8_t *name;
    char *schema, *table;
    size_t n, from = o->held.len;

    cur_u16(&c);
    n = cur_u8(&c);
    name = cur_bytes(&c, n + 1);
    schema = c.bad ? xstrdup("") : xstrndup((const char *)name, n);
    n = cur_u8(&c);
    name = cur_bytes(&c, n + 1);
    table = c.bad ? xstrdup("") : xstrndup((const char *)name, n);
    if (c.bad) {
        err_set(ERR_VERIFY, "a Table_map event is cut short");
    } else if (add_table(o, id, schema, table)) {
        const char *to = scope_to(o->scope, schema);

        buf_add(&o->held, e->raw, HEAD + 8);
        buf_u8(&o->held, (uint8_t)strlen(to));
        buf_add(&o->held, to, strlen(to) + 1);
        n = 8 + 1 + strlen(schema) + 1;
        buf_add(&o->held, e->body + n, e->body_size - n);
        seal_event(&o->held, from, has_checksum(e));
    }
    free(schema);
    free(table);
    return c.bad ? -1 : 0;
}

static void
set_flags(struct buf *event, bool end, bool no_keys, bool checksum)
{
    uint8_t *flags = event->data + ROWS_FLAGS;

    *flags &= (uint8_t)~ROWS_STMT_END;
    *flags |= end ? ROWS_STMT_END : 0;
    *flags |= no_keys ? ROWS_NO_FOREIGN_KEYS : 0;
    if (checksum)
        put_u32_at(
            event, event->len - 4, event_crc32(0, event->data, event->len - 4));
}

/* Of the three kinds of each version: written, updated, deleted. */
static unsigned
rows_kind(uint8_t type)
{
    if (type >= EV_ROWS_COMPRESSED_FIRST)
        return (type - EV_ROWS_COMPRESSED_FIRST) % 3u;
    return type - (type >= EV_WRITE_ROWS ? EV_WRITE_ROWS : EV_WRITE_ROWS_V1);
}

static void
note_cascade(struct feed_scope *o, const struct feed_scope_table *t,
    uint8_t type, unsigned flags)
{
    unsigned kind = rows_kind(type);
    const struct scope_foreign *f = kind == 2 ? t->on_delete
        : kind == 1                           ? t->on_update
                                              : NULL;

    if (f == NULL || (flags & ROWS_NO_FOREIGN_KEYS) != 0)
        return;
    o->cascaded++;
    if (o->cascade == NULL)
        o->cascade = f;
}

/* Is what the rows refer to not looked for, as it is left out?  Not where
 * others have to follow them. */
static bool
without_keys(const struct feed_scope_table *t, uint8_t type)
{
    unsigned kind = rows_kind(type);

    return t->orphan && (kind == 0 || (kind == 1 && !t->followed));
}

/* A wanted event of rows.  What an applier looks up it decides once for a
 * statement: so another begins where that changes. */
static void
add_rows(struct feed_scope *o, const struct event *e, bool end, bool no_keys)
{
    bool checksum = has_checksum(e);

    if (o->pending.len == 0) {
        buf_reset(&o->maps);
        buf_add(&o->maps, o->held.data, o->held.len);
        move(&o->out, &o->held);
    } else if (o->no_keys != no_keys) {
        set_flags(&o->pending, true, false, checksum);
        move(&o->out, &o->pending);
        buf_add(&o->out, o->maps.data, o->maps.len);
    } else {
        move(&o->out, &o->pending);
    }
    put(&o->pending, e);
    set_flags(&o->pending, end, no_keys, checksum);
    o->no_keys = no_keys;
}

static int
take_rows(struct feed_scope *o, const struct event *e)
{
    struct cur c = cur_of(e->body, e->body_size);
    uint64_t id = table_id(&c);
    unsigned flags = cur_u16(&c);
    bool end = (flags & ROWS_STMT_END) != 0, wanted = true, no_keys = false;

    if (c.bad)
        return err_set(ERR_VERIFY, "an event of rows is cut short");
    for (size_t i = 0; i < o->tables; i++) {
        if (o->table[i].id != id)
            continue;
        wanted &= o->table[i].wanted;
        no_keys |= without_keys(&o->table[i], e->type);
        note_cascade(o, &o->table[i], e->type, flags);
    }
    if (wanted)
        add_rows(o, e, end, no_keys);
    else if (end && o->pending.len > 0)
        set_flags(&o->pending, true, false, has_checksum(e));
    if (end) {
        move(&o->out, &o->pending);
        buf_reset(&o->held);
        o->tables = 0;
    }
    return 0;
}

/* --- statements --- */

/* The session's schema by its name at the target, and so in the text. */
static void
put_query(struct feed_scope *o, const struct event *e, const char *schema,
    const struct event_query *q)
{
    const char *to = scope_to(o->scope, schema);
    size_t from = o->out.len, fixed = 13, n = strlen(schema), status;
    struct cur c = cur_of(e->body + 11, 2);
    struct buf text = {0};

    status = cur_u16(&c);
    buf_add(&o->out, e->raw, HEAD + 8);
    buf_u8(&o->out, (uint8_t)strlen(to));
    buf_add(&o->out, e->body + 9, 4 + status);
    buf_add(&o->out, to, strlen(to));
    if (o->scope->renames > 0 &&
        scope_rename_text(o->scope, q->sql, q->sql_size, q->sql_mode, &text)) {
        o->out.data[from + 4] = EV_QUERY; /* it may have been compressed */
        buf_u8(&o->out, 0);
        buf_add(&o->out, text.data, text.len);
    } else {
        buf_add(&o->out, e->body + fixed + status + n,
            e->body_size - fixed - status - n);
    }
    buf_free(&text);
    seal_event(&o->out, from, has_checksum(e));
}

static int
take_query(struct feed_scope *o, const struct event *e)
{
    struct buf space = {0};
    struct event_query q;
    enum scope_text what = SCOPE_TEXT_MIXED;
    char *schema = NULL;
    int rc = -1;

    if (event_query(e, &q) < 0 || event_query_expand(&q, &space) < 0)
        goto out;
    schema = xstrndup(q.schema, q.schema_size);
    what = scope_text(o->scope, schema, q.sql, q.sql_size, q.sql_mode);
    rc = 0;
    if (what == SCOPE_TEXT_MIXED) {
        rc = err_set(ERR_USAGE,
            "a statement touches both what is wanted and what is not, or names "
            "a schema that is to be called otherwise: %.*s",
            (int)MIN(q.sql_size, (size_t)200), q.sql);
        err_hint("Restore all of it with --sandbox DIR, and copy from there "
                 "what is wanted; or choose a moment before it.");
    } else if (what == SCOPE_TEXT_WANTED) {
        move(&o->out, &o->held);
        put_query(o, e, schema, &q);
        o->took_query = true;
    } else {
        o->left_out += what == SCOPE_TEXT_ROWS;
        buf_reset(&o->held);
    }

out:
    buf_free(&space);
    free(schema);
    return rc;
}

static int
take_inner(struct feed_scope *o, const struct event *e)
{
    switch (e->type) {
    case EV_ANNOTATE_ROWS:
        return 0;
    case EV_INTVAR:
    case EV_RAND:
    case EV_USER_VAR:
        put(&o->held, e);
        return 0;
    case EV_TABLE_MAP:
        return take_map(o, e);
    case EV_QUERY:
    case EV_QUERY_COMPRESSED:
        return take_query(o, e);
    case EV_LOAD:
    case EV_BEGIN_LOAD:
    case EV_EXECUTE_LOAD:
        err_set(ERR_USAGE,
            "LOAD DATA was logged as a statement, which cannot be told apart "
            "by schema");
        return err_hint("Restore all of it with --sandbox DIR, and copy from "
                        "there what is wanted.");
    default:
        break;
    }
    if ((e->type >= EV_WRITE_ROWS_V1 && e->type <= EV_DELETE_ROWS_V1) ||
        (e->type >= EV_WRITE_ROWS && e->type <= EV_DELETE_ROWS) ||
        (e->type >= EV_ROWS_COMPRESSED_FIRST &&
            e->type <= EV_ROWS_COMPRESSED_LAST))
        return take_rows(o, e);
    put(&o->out, e);
    return 0;
}

/* A transaction with nothing in it, in place of a group of its own. */
static void
put_empty(struct feed_scope *o, const struct event *e)
{
    size_t from;
    bool checksum = has_checksum(e);
    uint8_t flags = o->gtid.data[GTID_FLAGS];

    flags &= (uint8_t) ~(GTID_FL_STANDALONE | GTID_FL_DDL);
    o->gtid.data[GTID_FLAGS] = flags | GTID_FL_TRANSACTIONAL;
    if (checksum)
        put_u32_at(&o->gtid, o->gtid.len - 4,
            event_crc32(0, o->gtid.data, o->gtid.len - 4));
    move(&o->out, &o->gtid);
    from = o->out.len;
    buf_add(&o->out, e->raw, HEAD);
    o->out.data[from + 4] = EV_XID;
    buf_u64(&o->out, 0);
    seal_event(&o->out, from, checksum);
}

int
feed_scope_take(struct feed_scope *o, const struct event *e, int step)
{
    struct event_gtid g;

    buf_reset(&o->out);
    o->took_query = false;
    if (step == GROUP_BEGIN) {
        feed_scope_reset(o);
        if (event_gtid(e, &g) < 0)
            return -1;
        o->standalone = (g.flags & GTID_FL_STANDALONE) != 0;
        put(o->standalone ? &o->gtid : &o->out, e);
        return 0;
    }
    if (take_inner(o, e) < 0)
        return -1;
    if (!o->standalone)
        return 0;
    if (o->out.len > 0 && o->gtid.len > 0) {
        struct buf rest = o->out;

        o->out = (struct buf){0};
        move(&o->out, &o->gtid);
        move(&o->out, &rest);
        buf_free(&rest);
    } else if (step == GROUP_END && o->gtid.len > 0) {
        put_empty(o, e);
    }
    return 0;
}
