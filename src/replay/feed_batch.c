/*
 * feed_batch.c -- the statements of a folded group, given as few.
 *
 * For each statement an applier opens and locks its tables, and closes them
 * after it: more than a third of what a small statement of row events costs.
 * So statements that follow each other are given as one: the Table_map events
 * of all first, each once, then the events of rows, byte for byte and in their
 * order, of which only the last is marked as the statement's end.
 *
 * What an applier looks at when it opens tables, and not again for each event
 * (sql/log_event_server.cc, Rows_log_event::do_apply_event), has to be the same
 * for all: the statement's second, and the flags that switch checks off, which
 * are to be unset here.  A table that is mapped anew, and not in the same
 * words, begins another statement.
 *
 * By itself, as it was logged, stays a statement with a table
 *   - that is versioned, or looks so: into which partition of history its rows
 *     go is decided when it is opened;
 *   - that a foreign key refers to: which tables go with it is decided by the
 *     first event;
 *   - of schema mysql: it may not be locked together with others.
 * Nothing is joined where there is a MERGE table (target_fold.c,
 * feed_batch_query()), as an applier that has one among others loses count of
 * them.
 *
 * An applier passes over rows whose table is not open, without a word.  So what
 * was made is read once more before it goes out (whole()).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "feed.h"
#include "pitr/mem.h"

#define HEAD EVENT_HEADER_SIZE
#define FLAGS_AT (HEAD + 6)
#define STMT_END 1u
#define COMPLETE_ROWS 8u
#define TYPE_TIMESTAMP 7
#define TYPE_TIMESTAMP2 17

void
feed_batch_free(struct feed_batch *b)
{
    for (size_t i = 0; i < b->parents; i++)
        free(b->parent[i]);
    free(b->parent);
    buf_free(&b->maps);
    buf_free(&b->rows);
    buf_free(&b->out);
}

uint64_t
feed_table_id(const struct event *e)
{
    struct cur c = cur_of(e->raw + HEAD, e->size - HEAD);

    return cur_u48(&c);
}

static bool
is_rows(const struct event *e)
{
    return e->type != EV_TABLE_MAP && e->type != EV_ANNOTATE_ROWS;
}

bool
feed_ends_statement(const struct event *e)
{
    return is_rows(e) && e->size > FLAGS_AT &&
        (e->raw[FLAGS_AT] & STMT_END) != 0;
}

/* --- one table --- */

struct map {
    struct cur schema, table;
    struct cur types, meta;
};

static bool
map_parse(const struct event *e, size_t crc, struct map *m)
{
    struct cur c = cur_of(e->raw + HEAD, e->size - HEAD - crc);
    size_t n;

    cur_bytes(&c, 8);
    n = cur_u8(&c);
    m->schema = cur_of(c.p, MIN(n, cur_left(&c)));
    cur_bytes(&c, n + 1);
    n = cur_u8(&c);
    m->table = cur_of(c.p, MIN(n, cur_left(&c)));
    cur_bytes(&c, n + 1);
    n = cur_lenenc(&c);
    m->types = cur_of(c.p, MIN(n, cur_left(&c)));
    cur_bytes(&c, n);
    n = cur_lenenc(&c);
    m->meta = cur_of(c.p, MIN(n, cur_left(&c)));
    cur_bytes(&c, n);
    return !c.bad;
}

/* Bytes of metadata that a column of this type has in a Table_map; sql/
 * rpl_utility_server.cc, table_def::table_def(). */
static size_t
meta_size(uint8_t type)
{
    switch (type) {
    case 4: /* FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2 */
    case 5:
    case TYPE_TIMESTAMP2:
    case 18:
    case 19:
    case 140: /* compressed BLOB */
    case 249: /* TINY_BLOB to BLOB, GEOMETRY */
    case 250:
    case 251:
    case 252:
    case 255:
        return 1;
    case 15: /* VARCHAR, BIT, compressed VARCHAR, DECIMAL */
    case 16:
    case 141:
    case 246:
    case 247: /* ENUM, SET, VAR_STRING, STRING */
    case 248:
    case 253:
    case 254:
        return 2;
    default:
        return 0;
    }
}

/* Two columns TIMESTAMP(6), as versions begin and end with? */
static bool
looks_versioned(const struct map *m)
{
    struct cur types = m->types, meta = m->meta;
    unsigned n = 0;

    while (cur_left(&types) > 0) {
        uint8_t type = cur_u8(&types);
        size_t size = meta_size(type);
        const uint8_t *p = cur_bytes(&meta, size);

        n += type == TYPE_TIMESTAMP ||
            (type == TYPE_TIMESTAMP2 && p != NULL && p[0] == 6);
    }
    return n >= 2 || meta.bad || cur_left(&meta) > 0;
}

/* Letters of ASCII count as the same in either case: rather one too many. */
static int
by_name(const void *a, const void *b)
{
    return strcasecmp(*(char *const *)a, *(char *const *)b);
}

void
feed_batch_parents(struct feed_batch *b, char **names, size_t n)
{
    b->parent = names;
    b->parents = n;
    if (n > 0)
        qsort(names, n, sizeof(*names), by_name);
}

static bool
same_name(struct cur a, struct cur b)
{
    size_t n = cur_left(&a);

    return cur_left(&b) == n &&
        strncasecmp((const char *)a.p, (const char *)b.p, n) == 0;
}

/* Others refer to it. */
static bool
is_parent(const struct feed_batch *b, const struct map *m)
{
    char name[2 * 256 + 2];
    const char *key = name;

    snprintf(name, sizeof(name), "%.*s/%.*s", (int)cur_left(&m->schema),
        (const char *)m->schema.p, (int)cur_left(&m->table),
        (const char *)m->table.p);
    return b->parents > 0 &&
        bsearch(&key, b->parent, b->parents, sizeof(*b->parent), by_name) !=
        NULL;
}

/* A transaction's rows there may not be locked with those of other tables. */
static bool
is_system(const struct map *m)
{
    return same_name(m->schema, cur_of("mysql", 5));
}

/* --- the statement that is open --- */

enum place { PLACE_ALONE, PLACE_ANEW, PLACE_FITS };

static void
event_at(const struct buf *b, size_t at, struct event *e)
{
    feed_fold_event(b, &at, e);
}

/* A table of the statement, unless it is there. */
static enum place
place_map(struct feed_batch *b, const struct event *e, size_t crc)
{
    uint64_t id = feed_table_id(e);
    struct map m, other;
    struct event o;

    for (size_t i = 0; i < b->n; i++) {
        if (b->map[i].id != id)
            continue;
        event_at(&b->maps, b->map[i].at, &o);
        return o.size == e->size &&
                memcmp(o.raw + HEAD, e->raw + HEAD, e->size - HEAD - crc) == 0
            ? PLACE_FITS
            : PLACE_ANEW;
    }
    if (!map_parse(e, crc, &m) || is_system(&m) || is_parent(b, &m) ||
        looks_versioned(&m))
        return PLACE_ALONE;
    for (size_t i = 0; i < b->n; i++) {
        event_at(&b->maps, b->map[i].at, &o);
        if (map_parse(&o, crc, &other) && same_name(m.schema, other.schema) &&
            same_name(m.table, other.table))
            return PLACE_ANEW;
    }
    if (b->n == FEED_BATCH_TABLES)
        return PLACE_ANEW;
    b->map[b->n].id = id;
    b->map[b->n++].at = b->maps.len;
    buf_add(&b->maps, e->raw, e->size);
    return PLACE_FITS;
}

/* The first event of rows is the one whose flags and time count. */
static enum place
place_rows(const struct feed_batch *b, const struct event *e)
{
    uint16_t flags = (uint16_t)(e->raw[FLAGS_AT] | e->raw[FLAGS_AT + 1] << 8);

    if ((flags & ~(STMT_END | COMPLETE_ROWS)) != 0)
        return PLACE_ALONE;
    return b->rows.len == 0 || b->when == e->timestamp ? PLACE_FITS
                                                       : PLACE_ANEW;
}

/* The tables of the statement from..to; all of them, or none. */
static enum place
place_statement(struct feed_batch *b, const struct buf *body, size_t from,
    size_t to, size_t crc)
{
    size_t n = b->n, len = b->maps.len;
    enum place p = PLACE_FITS;
    struct event e;
    bool first = true;

    while (p == PLACE_FITS && from < to && feed_fold_event(body, &from, &e)) {
        if (e.type == EV_TABLE_MAP) {
            p = place_map(b, &e, crc);
        } else if (is_rows(&e) && first) {
            p = place_rows(b, &e);
            first = false;
        }
    }
    if (p != PLACE_FITS) {
        b->n = n;
        b->maps.len = len;
    }
    return p;
}

static void
set_end(uint8_t *event, size_t n, bool end, size_t crc)
{
    uint32_t sum;

    if (((event[FLAGS_AT] & STMT_END) != 0) == end)
        return;
    event[FLAGS_AT] ^= STMT_END;
    sum = crc == 0 ? 0 : event_crc32(0, event, n - 4);
    for (size_t i = 0; i < crc; i++)
        event[n - crc + i] = (uint8_t)(sum >> (8 * i));
}

static void
end_open(struct feed_batch *b, size_t crc)
{
    if (b->rows.len > 0)
        set_end(b->rows.data + b->last, b->rows.len - b->last, true, crc);
    buf_add(&b->out, b->maps.data, b->maps.len);
    buf_add(&b->out, b->rows.data, b->rows.len);
    buf_reset(&b->maps);
    buf_reset(&b->rows);
    b->n = 0;
}

static void
add_statement(struct feed_batch *b, const struct buf *body, size_t from,
    size_t to, size_t crc)
{
    enum place p = place_statement(b, body, from, to, crc);
    struct event e;

    if (p == PLACE_ANEW) {
        end_open(b, crc);
        p = place_statement(b, body, from, to, crc);
    }
    if (p != PLACE_FITS) {
        end_open(b, crc);
        buf_add(&b->out, body->data + from, to - from);
        return;
    }
    while (from < to && feed_fold_event(body, &from, &e)) {
        if (!is_rows(&e))
            continue;
        if (b->rows.len == 0)
            b->when = e.timestamp;
        b->last = b->rows.len;
        buf_add(&b->rows, e.raw, e.size);
        set_end(b->rows.data + b->last, e.size, false, crc);
    }
}

/* --- what was made, read once more --- */

struct walk {
    const struct buf *b;
    size_t at;
    size_t begin;    /* of the statement */
    bool maps, rows; /* seen of the statement */
};

/* The next event of rows, and the Table_map that it is of.  1; 0 at the end;
 * -1 where there is none, or where the end is not that of a statement. */
static int
walk_next(struct walk *w, struct event *e, struct event *map)
{
    while (feed_fold_event(w->b, &w->at, e)) {
        size_t i = w->begin;
        bool found = false;

        if (e->type == EV_TABLE_MAP && w->rows)
            return -1;
        w->maps |= e->type == EV_TABLE_MAP;
        if (!is_rows(e))
            continue;
        while (!found && i < w->at) {
            feed_fold_event(w->b, &i, map);
            found = map->type == EV_TABLE_MAP &&
                feed_table_id(map) == feed_table_id(e);
        }
        if (!found)
            return -1;
        w->maps = w->rows = !feed_ends_statement(e);
        if (!w->rows)
            w->begin = w->at;
        return 1;
    }
    return w->maps || w->rows ? -1 : 0;
}

/* The same rows, for the same tables, in the same order; nothing else. */
static bool
whole(const struct buf *body, const struct buf *out, size_t crc)
{
    struct walk a = {.b = body}, b = {.b = out};
    struct event e, f, map, other;
    int rc;

    while ((rc = walk_next(&a, &e, &map)) == 1) {
        if (walk_next(&b, &f, &other) != 1 || e.size != f.size ||
            e.size < FLAGS_AT + 2 + crc || map.size != other.size ||
            memcmp(map.raw + HEAD, other.raw + HEAD, map.size - HEAD - crc) !=
                0 ||
            memcmp(e.raw, f.raw, FLAGS_AT) != 0 ||
            (e.raw[FLAGS_AT] | STMT_END) != (f.raw[FLAGS_AT] | STMT_END) ||
            memcmp(e.raw + FLAGS_AT + 1, f.raw + FLAGS_AT + 1,
                e.size - FLAGS_AT - 1 - crc) != 0)
            return false;
    }
    return rc == 0 && walk_next(&b, &f, &other) == 0;
}

/* MERGE, MRG_MYISAM; a table that others refer to, or its new name (of a
 * schema, with ALTER DATABASE ... UPGRADE DATA DIRECTORY NAME). */
void
feed_batch_query(struct feed_batch *b, const char *sql, size_t n, uint64_t at)
{
    if (at > b->off_at)
        return;
    if (feed_sql_has(sql, n, "merge") || feed_sql_has(sql, n, "mrg_myisam") ||
        feed_sql_has(sql, n, "references") ||
        (b->parents > 0 &&
            (feed_sql_has(sql, n, "rename") ||
                feed_sql_has(sql, n, "upgrade"))))
        b->off_at = at;
}

int
feed_batch_make(struct feed_batch *b, const struct buf *body, bool checksum)
{
    size_t at = 0, from = 0, crc = checksum ? 4 : 0;
    struct event e;

    buf_reset(&b->out);
    while (feed_fold_event(body, &at, &e)) {
        if (!feed_ends_statement(&e))
            continue;
        add_statement(b, body, from, at, crc);
        from = at;
    }
    end_open(b, crc);
    if (!whole(body, &b->out, crc))
        return err_set(ERR_FAILED,
            "internal error: statements of the log were not joined as they "
            "are");
    return 0;
}
