/*
 * rows_bulk.c -- rows into a prepared INSERT by COM_STMT_BULK_EXECUTE.
 *
 * The packet: statement id u32, flags u16 (128: types follow), for each
 * parameter type u8 and 0x80 where it is unsigned, then for each row and
 * parameter an indicator (0 a value follows, 1 NULL, 2 DEFAULT) and the value
 * just as it stands in the row.  Source: MariaDB's documentation of the
 * protocol, "COM_STMT_BULK_EXECUTE"; sql/sql_prepare.cc.
 */
#include <mysql.h>
#include <mysqld_error.h>
#include <stdlib.h>
#include "db_internal.h"
#include "pitr/mem.h"
#include "pitr/rows.h"

#define BATCH_BYTES ((size_t)1 << 20)
#define BATCH_ROWS 5000
#define BULK_SEND_TYPES 128
#define COMMAND_BULK_EXECUTE 0xFA
#define COMMAND_EXECUTE 0x17

struct db_bulk {
    struct db *db;
    MYSQL_STMT *stmt;
    uint32_t stmt_id;
    struct row_col *cols; /* as in the rows */
    size_t n;
    struct buf head;  /* of every batch: id, flags, types */
    struct buf batch; /* head and rows */
    struct buf one;   /* a single execution, where bulk is refused */
    size_t rows;      /* in batch */
    size_t batch_max; /* bytes */
    bool row_by_row;  /* the server refuses bulk for this statement */
    struct buf kept;  /* rows of the batch as they came, until bulk has
                         worked once */
    bool bulk_worked;
    uint64_t warnings;
    const uint8_t **value;
    size_t *value_size;
};

int
db_bulk_setup(struct db *db)
{
    if (db_exec(db, "SET NAMES binary") < 0)
        return -1;
    /* check_constraint_checks: what is there may be older than the rule.
     * unique_checks stays on: without it an empty InnoDB table is filled by the
     * server's bulk insert, which costs more time, and locks all of it. */
    return db_exec(db,
        "SET SESSION unique_checks=1, foreign_key_checks=0,"
        "check_constraint_checks=0, sql_log_bin=0");
}

/*
 * The type a parameter is sent as.  Whatever is bytes on the wire goes as
 * BLOB: under SET NAMES binary the server then stores it without conversion.
 */
static uint8_t
param_type(uint8_t type)
{
    switch (type) {
    case MYSQL_TYPE_YEAR: /* refused as a parameter; the same two bytes */
        return MYSQL_TYPE_SHORT;
    case MYSQL_TYPE_INT24: /* refused as well; four bytes in rows */
        return MYSQL_TYPE_LONG;
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_TIME:
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP:
    case MYSQL_TYPE_NEWDECIMAL:
    case MYSQL_TYPE_NULL:
        return type;
    case MYSQL_TYPE_DECIMAL:
        return MYSQL_TYPE_NEWDECIMAL;
    default:
        return MYSQL_TYPE_BLOB;
    }
}

static void
add_types(struct buf *b, const struct row_col *cols, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_u8(b, param_type(cols[i].type));
        buf_u8(b, cols[i].is_unsigned ? 0x80 : 0);
    }
}

static int
max_packet(struct db *db)
{
    if (db->max_packet != 0)
        return 0;
    if (db_value_u64(db, &db->max_packet, "SELECT @@max_allowed_packet") < 0)
        return -1;
    return 0;
}

struct db_bulk *
db_bulk_open(struct db *db, const char *sql, size_t sql_n,
    const struct row_col *cols, size_t n)
{
    struct db_bulk *b;
    int rc;

    if (max_packet(db) < 0)
        return NULL;
    b = xcalloc(1, sizeof *b);
    b->db = db;
    db->last_errno = 0;
    if ((b->stmt = mysql_stmt_init(db->mysql)) == NULL) {
        db_fail(db, "mysql_stmt_init");
        goto fail;
    }
    db_wait_begin(db);
    rc = mysql_stmt_prepare(b->stmt, sql, (unsigned long)sql_n);
    db_wait_end(db);
    if (rc != 0) {
        db_fail_sql(db, sql, sql_n);
        goto fail;
    }
    if (mysql_stmt_param_count(b->stmt) != n) {
        err_set(ERR_FAILED, "%lu placeholders for %zu columns",
            mysql_stmt_param_count(b->stmt), n);
        goto fail;
    }
    b->stmt_id = (uint32_t)b->stmt->stmt_id;
    b->cols = xmemdup(cols, n * sizeof *cols);
    b->n = n;
    b->value = xcalloc(n, sizeof *b->value);
    b->value_size = xcalloc(n, sizeof *b->value_size);
    b->batch_max = MIN(BATCH_BYTES, (size_t)db->max_packet - 512);
    buf_u32(&b->head, b->stmt_id);
    buf_u16(&b->head, BULK_SEND_TYPES);
    add_types(&b->head, cols, n);
    return b;

fail:
    db_bulk_close(b);
    return NULL;
}

/*
 * A NOT NULL column of geometry that was added to rows that were there is empty
 * in them.  As a value that is refused; from NULL, INSERT IGNORE makes it.
 */
static bool
goes_as_null(const struct db_bulk *b, size_t i)
{
    return b->value[i] == NULL ||
        (b->cols[i].type == MYSQL_TYPE_GEOMETRY && b->value_size[i] == 1);
}

/* COM_STMT_EXECUTE of the row whose values are in b->value. */
static int
execute_row(struct db_bulk *b)
{
    struct buf *o = &b->one;
    size_t map, map_size = (b->n + 7) / 8;
    uint64_t affected;
    unsigned warnings;

    buf_reset(o);
    buf_u32(o, b->stmt_id);
    buf_u8(o, 0);  /* no cursor */
    buf_u32(o, 1); /* iterations */
    map = o->len;
    for (size_t i = 0; i < map_size; i++)
        buf_u8(o, 0);
    buf_u8(o, 1); /* types follow */
    add_types(o, b->cols, b->n);
    for (size_t i = 0; i < b->n; i++) {
        if (goes_as_null(b, i))
            o->data[map + i / 8] |= (uint8_t)(1u << i % 8);
        else
            buf_add(o, b->value[i], b->value_size[i]);
    }
    if (db_command(b->db, COMMAND_EXECUTE, o->data, o->len, &affected,
            &warnings, "storing a row") < 0)
        return -1;
    b->warnings += warnings;
    return 0;
}

/* What bulk was refused for, again, one by one. */
static int
replay_kept(struct db_bulk *b)
{
    struct cur c = cur_of(b->kept.data, b->kept.len);

    while (cur_left(&c) > 0) {
        size_t size = (size_t)cur_u64(&c);
        const uint8_t *row = cur_bytes(&c, size);
        if (row_split(b->cols, b->n, row, size, b->value, b->value_size) < 0 ||
            execute_row(b) < 0)
            return -1;
    }
    return 0;
}

static int
batch_too_large(struct db_bulk *b)
{
    err_set(ERR_FAILED,
        "%s (%s): a row of %zu bytes is larger than the server's "
        "max_allowed_packet of %llu",
        b->db->role, b->db->where, b->batch.len,
        (unsigned long long)b->db->max_packet);
    return err_hint("on that server run: SET GLOBAL max_allowed_packet="
                    "1073741824; then start again");
}

static int
send_batch(struct db_bulk *b)
{
    uint64_t affected;
    unsigned warnings;

    /* One more byte: the command. */
    if (b->batch.len + 1 > b->db->max_packet)
        return batch_too_large(b);
    if (db_command(b->db, COMMAND_BULK_EXECUTE, b->batch.data, b->batch.len,
            &affected, &warnings, "storing rows") < 0)
        return -1;
    b->warnings += warnings;
    if (affected < b->rows)
        return err_set(ERR_FAILED,
            "%s (%s): the server stored %llu of %zu rows", b->db->role,
            b->db->where, (unsigned long long)affected, b->rows);
    return 0;
}

int
db_bulk_flush(struct db_bulk *b)
{
    int rc = 0;

    if (b->rows == 0)
        return 0;
    rc = send_batch(b);
    if (rc < 0 && !b->bulk_worked && b->db->last_errno == ER_UNSUPPORTED_PS) {
        err_clear();
        b->row_by_row = true;
        rc = replay_kept(b);
    }
    if (rc == 0)
        b->bulk_worked = true;
    buf_free(&b->kept);
    buf_reset(&b->batch);
    b->rows = 0;
    return rc;
}

static size_t
bulk_size(const struct db_bulk *b)
{
    size_t size = b->n;

    for (size_t i = 0; i < b->n; i++)
        size += b->value_size[i];
    return size;
}

int
db_bulk_row(struct db_bulk *b, const void *row, size_t size)
{
    if (row_split(b->cols, b->n, row, size, b->value, b->value_size) < 0)
        return -1;
    if (b->row_by_row)
        return execute_row(b);
    if (b->rows > 0 && b->batch.len + bulk_size(b) > b->batch_max &&
        db_bulk_flush(b) < 0)
        return -1;
    if (b->row_by_row)
        return db_bulk_row(b, row, size); /* refused just now */
    if (b->rows == 0)
        buf_add(&b->batch, b->head.data, b->head.len);
    for (size_t i = 0; i < b->n; i++) {
        buf_u8(&b->batch, goes_as_null(b, i));
        if (!goes_as_null(b, i))
            buf_add(&b->batch, b->value[i], b->value_size[i]);
    }
    if (!b->bulk_worked) {
        buf_u64(&b->kept, size);
        buf_add(&b->kept, row, size);
    }
    b->rows++;
    if (b->rows >= BATCH_ROWS || b->batch.len >= b->batch_max)
        return db_bulk_flush(b);
    return 0;
}

uint64_t
db_bulk_warnings(const struct db_bulk *b)
{
    return b->warnings;
}

void
db_bulk_close(struct db_bulk *b)
{
    if (b == NULL)
        return;
    if (b->stmt != NULL)
        mysql_stmt_close(b->stmt);
    buf_free(&b->head);
    buf_free(&b->batch);
    buf_free(&b->one);
    buf_free(&b->kept);
    free(b->value);
    free(b->value_size);
    free(b->cols);
    free(b);
}
