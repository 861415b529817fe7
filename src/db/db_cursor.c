/*
 * db_cursor.c -- a result row by row, and the quoting of names and strings.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* vasprintf */
#endif
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "db_internal.h"
#include "pitr/mem.h"

struct db_cursor {
    struct db *db;
    MYSQL_RES *res;
    size_t *len;
};

struct db_cursor *
db_cursor_open(struct db *db, const char *fmt, ...)
{
    struct db_cursor *c = NULL;
    MYSQL_RES *res;
    va_list ap;
    char *sql = NULL;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&sql, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort();
    db->last_errno = 0;
    db_wait_begin(db);
    if (mysql_real_query(db->mysql, sql, (unsigned long)n) != 0 ||
        (res = mysql_use_result(db->mysql)) == NULL) {
        if (mysql_errno(db->mysql) != 0)
            db_fail_sql(db, sql, (size_t)n);
        else
            err_set(ERR_FAILED, "%s: no rows come from: %s", db->role, sql);
        goto out;
    }
    c = xcalloc(1, sizeof *c);
    c->db = db;
    c->res = res;
    c->len = xcalloc(mysql_num_fields(res), sizeof *c->len);

out:
    db_wait_end(db);
    free(sql);
    return c;
}

int
db_cursor_next(
    struct db_cursor *c, const char *const **cells, const size_t **lens)
{
    MYSQL_ROW row;
    unsigned long *len;

    db_wait_begin(c->db);
    row = mysql_fetch_row(c->res);
    db_wait_end(c->db);
    if (row == NULL) {
        if (mysql_errno(c->db->mysql) != 0)
            return db_fail(c->db, "reading a result");
        return 0;
    }
    len = mysql_fetch_lengths(c->res);
    for (unsigned i = 0; i < mysql_num_fields(c->res); i++)
        c->len[i] = len[i];
    *cells = (const char *const *)row;
    if (lens != NULL)
        *lens = c->len;
    return 1;
}

void
db_cursor_close(struct db_cursor *c)
{
    if (c == NULL)
        return;
    db_wait_begin(c->db);
    mysql_free_result(c->res);
    db_wait_end(c->db);
    free(c->len);
    free(c);
}

void
db_ident(struct buf *out, const char *name)
{
    buf_u8(out, '`');
    for (; *name != '\0'; name++) {
        if (*name == '`')
            buf_u8(out, '`');
        buf_u8(out, (uint8_t)*name);
    }
    buf_u8(out, '`');
}

void
db_quote(struct buf *out, const char *s, size_t n)
{
    buf_u8(out, '\'');
    for (size_t i = 0; i < n; i++) {
        switch (s[i]) {
        case '\0':
            buf_str(out, "\\0");
            break;
        case '\n':
            buf_str(out, "\\n");
            break;
        case '\r':
            buf_str(out, "\\r");
            break;
        case '\032':
            buf_str(out, "\\Z");
            break;
        case '\'':
        case '\\':
            buf_u8(out, '\\');
            /* fall through */
        default:
            buf_u8(out, (uint8_t)s[i]);
        }
    }
    buf_u8(out, '\'');
}

char *
db_name2(const char *schema, const char *name)
{
    struct buf b = {0};

    db_ident(&b, schema);
    buf_u8(&b, '.');
    db_ident(&b, name);
    return buf_take(&b);
}
