/*
 * rows_read.c -- a SELECT's rows as the server sends them.
 *
 * Connector/C prepares and executes; the row packets are then read below it
 * (rows_wire.c).
 * At the end of the rows its state is set as mthd_stmt_fetch_row() and
 * mthd_stmt_flush_unbuffered() would have left it (mariadb_stmt.c), so that
 * statement and connection can be used again.
 */
#include <mysql.h>
#include <stdlib.h>
#include "db_internal.h"
#include "pitr/mem.h"
#include "pitr/rows.h"
#include "rows_wire.h"

/* What is read off for the sake of the connection when a reader gives up;
 * beyond it the connection is ended instead. */
#define DRAIN_MAX ((size_t)4 << 20)

struct db_rows {
    struct db *db;
    MYSQL_STMT *stmt;
    struct rows_wire wire;
    struct row_col *cols;
    size_t n;
    bool done;
};

static int
fail_stmt(struct db_rows *r, const char *what)
{
    return db_fail_with(
        r->db, mysql_stmt_errno(r->stmt), mysql_stmt_error(r->stmt), what);
}

static int
columns_of(struct db_rows *r)
{
    MYSQL_RES *res = mysql_stmt_result_metadata(r->stmt);
    MYSQL_FIELD *field;

    if (res == NULL)
        return err_set(ERR_FAILED, "%s (%s): the statement gives no rows",
            r->db->role, r->db->where);
    field = mysql_fetch_fields(res);
    r->n = mysql_num_fields(res);
    r->cols = xcalloc(r->n, sizeof *r->cols);
    for (size_t i = 0; i < r->n; i++) {
        r->cols[i].type = (uint8_t)field[i].type;
        r->cols[i].is_unsigned = (field[i].flags & UNSIGNED_FLAG) != 0;
    }
    mysql_free_result(res);
    return 0;
}

struct db_rows *
db_rows_open(struct db *db, const char *sql, size_t n)
{
    struct db_rows *r;
    int rc;

    if (!db->raw_results) {
        if (db_exec(db, "SET SESSION character_set_results = NULL") < 0)
            return NULL;
        db->raw_results = true;
    }
    r = xcalloc(1, sizeof *r);
    r->db = db;
    r->done = true; /* until there are rows */
    db->last_errno = 0;
    if ((r->stmt = mysql_stmt_init(db->mysql)) == NULL) {
        db_fail(db, "mysql_stmt_init");
        goto fail;
    }
    db_wait_begin(db);
    rc = mysql_stmt_prepare(r->stmt, sql, (unsigned long)n) != 0 ||
        mysql_stmt_execute(r->stmt) != 0;
    db_wait_end(db);
    if (rc != 0) {
        fail_stmt(r, "reading rows");
        goto fail;
    }
    if (columns_of(r) < 0)
        goto fail;
    rows_wire_start(&r->wire, db);
    r->done = false;
    return r;

fail:
    db_rows_close(r);
    return NULL;
}

size_t
db_rows_columns(const struct db_rows *r, const struct row_col **cols)
{
    *cols = r->cols;
    return r->n;
}

static void
rows_ended(struct db_rows *r)
{
    rows_wire_end(&r->wire);
    r->done = true;
    r->db->mysql->status = MYSQL_STATUS_READY;
    r->stmt->state = MYSQL_STMT_FETCH_DONE;
}

int
db_rows_next(struct db_rows *r, const uint8_t **row, size_t *size)
{
    MYSQL *m = r->db->mysql;
    const uint8_t *p;
    uint8_t first;
    size_t n;

    if (r->done)
        return 0;
    if (rows_wire_next(&r->wire, &p, &n) < 0) {
        rows_ended(r);
        return -1;
    }
    if ((first = p[0]) == 0x00) {
        *row = p + 1;
        *size = n - 1;
        return 1;
    }
    if (first == 0xFE && n < 9) {
        struct cur c = cur_of(p + 1, n - 1);
        m->warning_count = cur_u16(&c);
        m->server_status = cur_u16(&c) & ~SERVER_MORE_RESULTS_EXIST;
        r->db->warnings = m->warning_count;
        rows_ended(r);
        return 0;
    }
    db_break(r->db);
    rows_ended(r);
    return err_set(ERR_FAILED, "%s (%s): unknown packet 0x%02x among rows",
        r->db->role, r->db->where, first);
}

/* Leave no row on the wire; many of them cost more than a new connection. */
static void
give_up(struct db_rows *r)
{
    struct err_saved *saved = err_take();
    size_t seen = 0, size = 0;
    const uint8_t *row;

    while (!r->done && seen < DRAIN_MAX)
        if (db_rows_next(r, &row, &size) > 0)
            seen += size;
    if (!r->done) {
        db_break(r->db);
        rows_ended(r);
    }
    err_clear();
    if (saved != NULL)
        err_put(saved);
}

void
db_rows_close(struct db_rows *r)
{
    if (r == NULL)
        return;
    if (!r->done)
        give_up(r);
    if (r->stmt != NULL)
        mysql_stmt_close(r->stmt);
    free(r->cols);
    free(r);
}
