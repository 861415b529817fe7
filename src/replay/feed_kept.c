/*
 * feed_kept.c -- schemas that the target had before the restore, and that are
 * none of its: a statement of the log for one of such a name is not applied.
 *
 * An applier takes CREATE DATABASE for CREATE DATABASE IF NOT EXISTS, and
 * CREATE TABLE for CREATE OR REPLACE TABLE (slave_ddl_exec_mode); so it would
 * make what the target has one of the log's, without a word.  A schema that is
 * not in the backup is in the log only after its CREATE DATABASE, but for what
 * is dropped if it exists.
 */
#include <stdlib.h>
#include <strings.h>
#include "feed.h"
#include "pitr/load.h"
#include "pitr/mem.h"
#include "pitr/sql_read.h"

void
feed_kept_free(struct feed_kept *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->name[i]);
    free(k->name);
    *k = (struct feed_kept){0};
}

/* Into one of which some tables are wanted they are restored. */
int
feed_kept_read(struct db *db, const struct scope *s, struct feed_kept *out)
{
    size_t n = 0;

    *out = (struct feed_kept){0};
    if (load_kept_schemas(db, &out->name, &out->n) < 0)
        return -1;
    for (size_t i = 0; i < out->n; i++) {
        if (scope_active(s) && scope_schema(s, out->name[i]) == SCOPE_SOME)
            free(out->name[i]);
        else
            out->name[n++] = out->name[i];
    }
    out->n = n;
    return 0;
}

static bool
is_kept(const struct feed_kept *k, const char *name)
{
    for (size_t i = 0; i < k->n; i++)
        if (strcasecmp(k->name[i], name) == 0)
            return true;
    return false;
}

/* The schema that is made, altered or dropped, or one of which something is
 * dropped; owned, NULL: none that is kept. */
static char *
find_kept(const struct feed_kept *k, struct sql_read *r)
{
    char *name = NULL;
    bool drop = sql_take_word(r, "DROP");

    if (!drop && !sql_take_word(r, "ALTER") && sql_take_word(r, "CREATE") &&
        sql_take_word(r, "OR"))
        sql_take_word(r, "REPLACE");
    if (sql_take_word(r, "DATABASE") || sql_take_word(r, "SCHEMA")) {
        if (sql_take_word(r, "IF")) {
            sql_take_word(r, "NOT");
            sql_take_word(r, "EXISTS");
        }
        name = sql_text(r);
        drop = false;
    }
    while (drop && r->kind != SQL_END) {
        free(name);
        name = sql_text(r);
        sql_read_next(r);
        if (sql_at(r, '.') && is_kept(k, name))
            return name;
    }
    if (name != NULL && !drop && is_kept(k, name))
        return name;
    free(name);
    return NULL;
}

int
feed_kept_check(const struct feed_kept *k, const struct event *e)
{
    struct buf space = {0};
    struct event_query q;
    struct sql_read r;
    char *name;
    int rc = 0;

    if (k->n == 0 || (e->type != EV_QUERY && e->type != EV_QUERY_COMPRESSED))
        return 0;
    if (event_query(e, &q) < 0 || event_query_expand(&q, &space) < 0) {
        buf_free(&space);
        return -1;
    }
    sql_read_begin(&r, q.sql, q.sql_size, q.sql_mode);
    sql_read_past_set(&r);
    name = find_kept(k, &r);
    sql_read_free(&r);
    if (name != NULL) {
        rc = err_set(ERR_FAILED,
            "the log has a schema %s that is not in the backup, and the target "
            "has one of that name that is none of this restore: %.*s",
            name, (int)MIN(q.sql_size, (size_t)200), q.sql);
        err_hint("The target's is as it was.  Move it away, or leave the log's "
                 "out with --exclude %s, or restore into a server without it "
                 "(--sandbox DIR).",
            name);
    }
    free(name);
    buf_free(&space);
    return rc;
}
