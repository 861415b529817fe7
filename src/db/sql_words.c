/*
 * sql_words.c -- what a statement does, by its first words.
 */
#include "pitr/event.h"
#include "pitr/mem.h"
#include "pitr/sql_read.h"

/* CREATE [OR REPLACE] TEMPORARY and DROP TEMPORARY touch nothing that lasts. */
static bool
is_temporary(struct sql_read *r)
{
    if (sql_take_word(r, "OR"))
        sql_take_word(r, "REPLACE");
    return sql_at_word(r, "TEMPORARY");
}

static bool
begins_ddl(struct sql_read *r)
{
    static const char *const ddl[] = {"ALTER", "RENAME", "TRUNCATE", "GRANT",
        "REVOKE", "INSTALL", "UNINSTALL"};

    for (size_t i = 0; i < NELEM(ddl); i++)
        if (sql_at_word(r, ddl[i]))
            return true;
    if (sql_take_word(r, "CREATE") || sql_take_word(r, "DROP"))
        return !is_temporary(r);
    if (!sql_take_word(r, "SET"))
        return false;
    return sql_at_word(r, "PASSWORD") ||
        (sql_take_word(r, "DEFAULT") && sql_at_word(r, "ROLE"));
}

bool
sql_is_ddl(const char *sql, size_t n, uint64_t sql_mode)
{
    struct sql_read r;
    bool is;

    sql_read_begin(&r, sql, n, sql_mode);
    while (sql_at(&r, '(') || sql_at(&r, ';'))
        sql_read_next(&r);
    sql_read_past_set(&r);
    is = begins_ddl(&r);
    sql_read_free(&r);
    return is;
}
