/*
 * db_query.c -- statements, and results that fit into memory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* vasprintf */
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "db_internal.h"
#include "pitr/mem.h"

/* What a server may answer at most where all of it is kept, and where nothing
 * of it is wanted. */
#define RESULT_MAX ((size_t)512 << 20)
#define UNWANTED_ROWS_MAX 1000000

/* The statement of a printf format; its length in *n. */
static char *
sql_format(const char *fmt, va_list ap, size_t *n)
{
    char *sql = NULL;
    int len = vasprintf(&sql, fmt, ap);

    if (len < 0)
        abort();
    *n = (size_t)len;
    return sql;
}

static int
send_query(struct db *db, const char *sql, size_t n)
{
    db->last_errno = 0;
    db->warnings = 0;
    if (mysql_real_query(db->mysql, sql, (unsigned long)n) != 0)
        return db_fail_sql(db, sql, n);
    return 0;
}

/* It may go on for ever: what is still to come is not waited for. */
static int
too_long(struct db *db)
{
    db_break(db);
    return err_set(ERR_FAILED, "%s (%s): the server's answer does not end",
        db->role, db->where);
}

/* Read off every result that is still to come (CALL has several). */
static int
drain(struct db *db, const char *sql, size_t n)
{
    uint64_t rows = 0;
    int more;

    do {
        MYSQL_RES *res = mysql_use_result(db->mysql);
        if (res != NULL) {
            while (rows < UNWANTED_ROWS_MAX && mysql_fetch_row(res) != NULL)
                rows++;
            if (rows == UNWANTED_ROWS_MAX)
                too_long(db);
            mysql_free_result(res);
            if (rows == UNWANTED_ROWS_MAX)
                return -1;
        }
        if (mysql_errno(db->mysql) != 0)
            return db_fail_sql(db, sql, n);
        db->warnings = mysql_warning_count(db->mysql);
        more = mysql_next_result(db->mysql);
    } while (more == 0);
    return more > 0 ? db_fail_sql(db, sql, n) : 0;
}

int
db_exec_bytes(struct db *db, const char *sql, size_t n)
{
    int rc;

    db_wait_begin(db);
    rc = send_query(db, sql, n) < 0 ? -1 : drain(db, sql, n);
    db_wait_end(db);
    return rc;
}

int
db_exec(struct db *db, const char *fmt, ...)
{
    va_list ap;
    size_t n;
    char *sql;
    int rc;

    va_start(ap, fmt);
    sql = sql_format(fmt, ap, &n);
    va_end(ap);
    rc = db_exec_bytes(db, sql, n);
    free(sql);
    return rc;
}

static void
result_names(struct db_result *out, MYSQL_RES *res)
{
    MYSQL_FIELD *field = mysql_fetch_fields(res);

    out->cols = mysql_num_fields(res);
    out->name = xcalloc(out->cols, sizeof *out->name);
    for (size_t i = 0; i < out->cols; i++)
        out->name[i] = xstrdup(field[i].name);
}

/* Returns about how much memory the row takes. */
static size_t
result_add(
    struct db_result *out, size_t *cap, char **cell, const unsigned long *len)
{
    size_t took = 0;

    if (out->rows == *cap) {
        *cap = *cap ? *cap * 2 : 8;
        out->cell = xrealloc(out->cell, *cap * out->cols * sizeof *out->cell);
        out->len = xrealloc(out->len, *cap * out->cols * sizeof *out->len);
    }
    for (size_t i = 0; i < out->cols; i++) {
        size_t at = out->rows * out->cols + i;
        out->cell[at] = cell[i] ? xstrndup("", 0) : NULL;
        out->len[at] = cell[i] ? len[i] : 0;
        took += sizeof *out->cell + sizeof *out->len + 2 * sizeof(void *) +
            (cell[i] ? len[i] : 0);
        if (cell[i] != NULL) {
            out->cell[at] = xrealloc(out->cell[at], len[i] + 1);
            memcpy(out->cell[at], cell[i], len[i]);
            out->cell[at][len[i]] = '\0';
        }
    }
    out->rows++;
    return took;
}

static int
result_read(struct db *db, struct db_result *out, const char *sql, size_t n)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    size_t cap = 0, held = 0;

    memset(out, 0, sizeof *out);
    if (send_query(db, sql, n) < 0)
        return -1;
    if ((res = mysql_use_result(db->mysql)) == NULL) {
        if (mysql_errno(db->mysql) != 0)
            return db_fail_sql(db, sql, n);
        return drain(db, sql, n);
    }
    result_names(out, res);
    while (held < RESULT_MAX && (row = mysql_fetch_row(res)) != NULL)
        held += result_add(out, &cap, row, mysql_fetch_lengths(res));
    if (held >= RESULT_MAX || mysql_errno(db->mysql) != 0) {
        if (held >= RESULT_MAX)
            too_long(db);
        else
            db_fail_sql(db, sql, n);
        mysql_free_result(res);
        db_result_free(out);
        return -1;
    }
    mysql_free_result(res);
    db->warnings = mysql_warning_count(db->mysql);
    if (mysql_more_results(db->mysql) && mysql_next_result(db->mysql) == 0)
        return drain(db, sql, n);
    return 0;
}

static int
query_bytes(struct db *db, struct db_result *out, const char *sql, size_t n)
{
    int rc;

    db_wait_begin(db);
    rc = result_read(db, out, sql, n);
    db_wait_end(db);
    return rc;
}

int
db_query(struct db *db, struct db_result *out, const char *fmt, ...)
{
    va_list ap;
    size_t n;
    char *sql;
    int rc;

    va_start(ap, fmt);
    sql = sql_format(fmt, ap, &n);
    va_end(ap);
    rc = query_bytes(db, out, sql, n);
    free(sql);
    return rc;
}

void
db_result_free(struct db_result *r)
{
    for (size_t i = 0; i < r->rows * r->cols; i++)
        free(r->cell[i]);
    for (size_t i = 0; i < r->cols; i++)
        free(r->name[i]);
    free(r->cell);
    free(r->len);
    free(r->name);
    memset(r, 0, sizeof *r);
}

const char *
db_cell(const struct db_result *r, size_t row, size_t col)
{
    if (row >= r->rows || col >= r->cols)
        return NULL;
    return r->cell[row * r->cols + col];
}

const char *
db_text(const struct db_result *r, size_t row, size_t col)
{
    const char *s = db_cell(r, row, col);

    return s == NULL ? "" : s;
}

const char *
db_cell_by(const struct db_result *r, size_t row, const char *column)
{
    for (size_t i = 0; i < r->cols; i++)
        if (strcasecmp(r->name[i], column) == 0)
            return db_cell(r, row, i);
    return NULL;
}

static int
value_of(struct db *db, char **out, const char *sql, size_t n)
{
    struct db_result r;
    int rc = 0;

    *out = NULL;
    if (query_bytes(db, &r, sql, n) < 0)
        return -1;
    if (r.rows > 0 && r.cols > 0) {
        *out = r.cell[0];
        r.cell[0] = NULL;
        rc = 1;
    }
    db_result_free(&r);
    return rc;
}

int
db_value(struct db *db, char **out, const char *fmt, ...)
{
    va_list ap;
    size_t n;
    char *sql;
    int rc;

    va_start(ap, fmt);
    sql = sql_format(fmt, ap, &n);
    va_end(ap);
    rc = value_of(db, out, sql, n);
    free(sql);
    return rc;
}

int
db_value_u64(struct db *db, uint64_t *out, const char *fmt, ...)
{
    va_list ap;
    size_t n;
    char *sql, *text = NULL, *end;
    int rc;

    *out = 0;
    va_start(ap, fmt);
    sql = sql_format(fmt, ap, &n);
    va_end(ap);
    rc = value_of(db, &text, sql, n);
    free(sql);
    if (rc <= 0)
        return rc;
    if (text == NULL) /* NULL is no number */
        return 0;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-')
        rc = err_set(ERR_FAILED, "%s (%s): \"%s\" is not a number", db->role,
            db->where, text);
    free(text);
    return rc;
}
