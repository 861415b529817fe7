/*
 * log_mark.c -- the mark of a restore in the log of the server that it went
 * into.  Its text is kept by the server as it is sent, with the comment.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/log_mark.h"

#define MARK                                                                   \
    "FLUSH HOSTS /* pitr restore: what it changes here is not in this log */"
#define MARK_MOST 4096 /* bytes of an event that may be one */

int
log_mark_write(struct db *db)
{
    uint64_t logs = 0;

    if (db_value_u64(db, &logs,
            "SELECT @@global.log_bin AND @@global.gtid_binlog_pos <> ''") < 0)
        return -1;
    if (logs == 0)
        return 0;
    return db_exec(db, MARK) < 0 ? -1 : 1;
}

bool
log_mark_is(const struct event *e)
{
    struct buf space = {0};
    struct event_query q;
    bool is = false;

    if ((e->type != EV_QUERY && e->type != EV_QUERY_COMPRESSED) ||
        e->size > MARK_MOST)
        return false;
    if (event_query(e, &q) == 0 && event_query_expand(&q, &space) == 0)
        is = q.sql_size == strlen(MARK) && memcmp(q.sql, MARK, q.sql_size) == 0;
    else
        err_clear(); /* said by who reads it */
    buf_free(&space);
    return is;
}
