/*
 * feed_fold.c -- many small transactions, given to the replica as one.
 *
 * Half of what a small transaction costs an applier is its end: the commit, and
 * the row of mysql.gtid_slave_pos that goes with it.  While a server is being
 * built and nobody looks at it, only the state after the last transaction
 * matters.  So transactions that follow each other, of one domain and server,
 * that consist of row events alone and end with a Xid, are sent as one group:
 * the last one's Gtid, the row events of all in their order, the last one's
 * Xid.  Each event is passed on as it was archived, and each statement keeps
 * its own time; but statements may be joined (feed_batch.c).
 *
 * What is gathered depends only on the log from the group's beginning on, so a
 * replica that comes back after a broken connection gets the same bytes again.
 *
 * Not done where the target logs what it applies, and not where tables are
 * versioned by transaction number (target_fold.c, feed_fold_query()).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "feed.h"
#include "pitr/mem.h"

#define FOLD_BYTES (256u * 1024u) /* of a folded group */
#define FOLD_GROUPS 128u
#define FOLD_ONE (16u * 1024u) /* a larger one goes by itself */

void
feed_fold_free(struct feed_fold *o)
{
    buf_free(&o->gtid);
    buf_free(&o->body);
    buf_free(&o->end);
    buf_free(&o->next_gtid);
    buf_free(&o->next);
    free(o->table);
    feed_batch_free(&o->batch);
}

void
feed_fold_reset(struct feed_fold *o)
{
    buf_reset(&o->gtid);
    buf_reset(&o->body);
    buf_reset(&o->end);
    buf_reset(&o->next_gtid);
    buf_reset(&o->next);
    o->groups = 0;
    o->gathering = false;
}

static bool
is_rows(uint8_t type)
{
    return type == EV_TABLE_MAP || type == EV_ANNOTATE_ROWS ||
        (type >= EV_WRITE_ROWS_V1 && type <= EV_DELETE_ROWS_V1) ||
        (type >= EV_WRITE_ROWS && type <= EV_DELETE_ROWS) ||
        (type >= EV_ROWS_COMPRESSED_FIRST && type <= EV_ROWS_COMPRESSED_LAST);
}

bool
feed_fold_begins(struct feed_fold *o, const struct event *e, uint64_t at)
{
    struct event_gtid g;
    const uint8_t with = GTID_FL_TRANSACTIONAL;
    const uint8_t without = GTID_FL_STANDALONE | GTID_FL_DDL |
        GTID_FL_PREPARED_XA | GTID_FL_COMPLETED_XA;

    if (!o->on || at > o->off_at)
        return false;
    if (event_gtid(e, &g) < 0) {
        err_clear(); /* whoever reads on says what is wrong with it */
        return false;
    }
    o->next_at = at;
    return (g.flags & with) != 0 && (g.flags & without) == 0;
}

static void
put(struct buf *b, const struct event *e)
{
    buf_reset(b);
    buf_add(b, e->raw, e->size);
}

/*
 * Is it what follows here: the tables of a statement, then rows of those, the
 * last of which end it?  An applier skips rows of a table that it was not told
 * of before the first; a group with such goes as it is.
 */
static bool
in_order(struct feed_fold *o, const struct event *e)
{
    if (e->type == EV_ANNOTATE_ROWS)
        return true;
    if (e->body_size < 8 || (e->type == EV_TABLE_MAP && o->rows))
        return false;
    if (e->type == EV_TABLE_MAP) {
        o->table = xgrow(o->table, o->tables, &o->cap, sizeof(*o->table));
        o->table[o->tables++] = feed_table_id(e);
        return true;
    }
    for (size_t i = 0; i < o->tables; i++) {
        if (o->table[i] != feed_table_id(e))
            continue;
        o->rows = !feed_ends_statement(e);
        if (!o->rows)
            o->tables = 0;
        return true;
    }
    return false;
}

enum fold_step
feed_fold_take(struct feed_fold *o, const struct event *e, int step)
{
    if (step == GROUP_BEGIN) {
        put(&o->next_gtid, e);
        buf_reset(&o->next);
        o->gathering = true;
        o->next_is = e->server_id;
        o->tables = 0;
        o->rows = false;
        return event_gtid(e, &o->next_info) < 0 ? FOLD_NOT : FOLD_TAKEN;
    }
    if (e->server_id != o->next_is)
        return FOLD_NOT;
    if (step == GROUP_END)
        return e->type == EV_XID && o->tables == 0 ? FOLD_WHOLE : FOLD_NOT;
    if (!is_rows(e->type) || o->next.len + e->size > FOLD_ONE ||
        !in_order(o, e))
        return FOLD_NOT;
    buf_add(&o->next, e->raw, e->size);
    return FOLD_TAKEN;
}

bool
feed_fold_fits(const struct feed_fold *o)
{
    return o->groups < FOLD_GROUPS && o->body.len + o->next.len <= FOLD_BYTES &&
        o->info.gtid.domain == o->next_info.gtid.domain &&
        o->info.gtid.server == o->next_info.gtid.server;
}

void
feed_fold_join(struct feed_fold *o, const struct event *xid)
{
    buf_reset(&o->gtid);
    buf_add(&o->gtid, o->next_gtid.data, o->next_gtid.len);
    buf_add(&o->body, o->next.data, o->next.len);
    put(&o->end, xid);
    if (o->groups == 0)
        o->at = o->next_at;
    o->info = o->next_info;
    o->groups++;
    o->gathering = false;
}

int
feed_fold_body(struct feed_fold *o, bool checksum, const struct buf **out)
{
    *out = &o->body;
    if (!o->batch.on || o->at > o->batch.off_at)
        return 0;
    *out = &o->batch.out;
    return feed_batch_make(&o->batch, &o->body, checksum);
}

int
feed_fold_event(const struct buf *b, size_t *at, struct event *out)
{
    if (*at == b->len)
        return 0;
    event_header(b->data + *at, b->len - *at, out);
    *at += out->size;
    return 1;
}

bool
feed_sql_has(const char *sql, size_t n, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i + len <= n; i++)
        if ((sql[i] | 0x20) == word[0] && strncasecmp(sql + i, word, len) == 0)
            return true;
    return false;
}

void
feed_fold_query(struct feed_fold *o, const struct event *e, uint64_t at)
{
    struct event_query q;
    struct buf space = {0};
    bool unread;

    if ((at > o->off_at && at > o->batch.off_at) ||
        (e->type != EV_QUERY && e->type != EV_QUERY_COMPRESSED))
        return;
    unread = event_query(e, &q) < 0 || event_query_expand(&q, &space) < 0;
    if (at <= o->off_at &&
        (unread ||
            (feed_sql_has(q.sql, q.sql_size, "row") &&
                feed_sql_has(q.sql, q.sql_size, "start"))))
        o->off_at = at;
    if (unread)
        o->batch.off_at = MIN(o->batch.off_at, at);
    else
        feed_batch_query(&o->batch, q.sql, q.sql_size, at);
    buf_free(&space);
    err_clear();
}
