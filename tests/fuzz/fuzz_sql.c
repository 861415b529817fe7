/*
 * fuzz_sql.c -- any bytes as a statement of the log: its words, what it does to
 * events of the scheduler, whether a backup has to mind it, and whether it is
 * of the part that is restored.  The lowest bits of the first byte are two of
 * sql_mode's.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/dump/dump_priv.h"
#include "../../src/replay/feed.h"
#include "pitr/event.h"
#include "pitr/mem.h"
#include "pitr/sql_event.h"
#include "pitr/sql_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each token takes something, and nothing is left. */
static void
words_try(const char *sql, size_t n, uint64_t mode)
{
    struct sql_read r;
    size_t tokens = 0;

    for (sql_read_begin(&r, sql, n, mode); r.kind != SQL_END;
         sql_read_next(&r)) {
        char *text = sql_text(&r);

        if (++tokens > n || r.text.len > n)
            abort();
        free(text);
    }
    if (cur_left(&r.c) != 0)
        abort();
    sql_read_free(&r);
}

static void
dump_try(const char *sql, size_t n, uint64_t mode)
{
    struct dump_words w;

    sql_is_ddl(sql, n, mode);
    dump_words_of(sql, n, mode, &w);
    dump_words_harmless(&w);
    dump_words_create_new(&w);
    dump_words_free(&w);
}

/* What cannot be told has to be "mixed", never a guess: as a rule that can be
 * checked, a text without any word is not wanted. */
static void
scope_try(const char *sql, size_t n, uint64_t mode)
{
    static struct scope s;

    if (s.onlys == 0) {
        scope_only(&s, "shop");
        scope_only(&s, "old");
        scope_only(&s, "blog.posts");
        scope_exclude(&s, "shop.log");
        scope_rename(&s, "old=new");
        scope_know(&s, "misc");
    }
    scope_text(&s, "shop", sql, n, mode);
    if (n == 0 && scope_text(&s, "misc", sql, n, mode) == SCOPE_TEXT_WANTED)
        abort();
}

static void
event_try(const char *sql, size_t n, uint64_t mode)
{
    static struct sql_event_states states;
    struct sql_event e;

    sql_event_parse(sql, n, mode, &e);
    if (e.kind != SQL_EVENT_NONE && e.kind != SQL_EVENT_DROP_DATABASE &&
        e.name == NULL)
        abort();
    sql_event_states_apply(&states, &e, "d", false);
    sql_event_free(&e);
    if (states.n > 64)
        sql_event_states_free(&states);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t mode;
    char *sql;

    if (size < 1)
        return 0;
    mode = ((data[0] & 1) != 0 ? SQL_MODE_ANSI_QUOTES : 0) |
        ((data[0] & 2) != 0 ? SQL_MODE_NO_BACKSLASH_ESCAPES : 0);
    sql = xmalloc(size); /* of its own: reading past it is seen */
    memcpy(sql, data + 1, size - 1);
    words_try(sql, size - 1, mode);
    dump_try(sql, size - 1, mode);
    scope_try(sql, size - 1, mode);
    event_try(sql, size - 1, mode);
    free(sql);
    err_clear();
    return 0;
}
