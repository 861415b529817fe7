/*
 * rows.h -- rows in MariaDB's binary protocol: read as the server sends them,
 * stored so, and sent back in bulk.
 *
 * A row here is the body of a binary result row without its leading 0x00:
 * NULL bitmap of (columns + 7 + 2) / 8 bytes, offset 2 bits, then the values
 * that are not NULL.  Source: MariaDB's documentation of the protocol,
 * "Resultset row", and Connector/C ma_stmt_codec.c.
 */
#ifndef PITR_ROWS_H
#define PITR_ROWS_H

#include "pitr/buf.h"
#include "pitr/db.h"

struct row_col {
    uint8_t type;     /* enum_field_types as on the wire */
    bool is_unsigned; /* integers */
};

/*
 * The bytes of the values in a row, checked against the columns.
 * Returns 0, or -1 (ERR_VERIFY) where the row does not fit them.
 * value[i] is NULL for NULL; value_size[i] includes the length prefix.
 */
int row_split(const struct row_col *cols, size_t n, const void *row,
    size_t size, const uint8_t **value, size_t *value_size);

/*
 * Append what to SELECT (back-ticked, no alias) to have the exact value of a
 * column of this information_schema.COLUMNS DATA_TYPE, in a form that
 * db_bulk stores again: the column itself, except
 *   enum, set          CAST(`c` AS UNSIGNED): the index or the bits, so that
 *                      the empty error value stays apart from ''
 *   inet4, inet6, uuid CAST(`c` AS BINARY): their bytes (their text is
 *                      refused under SET NAMES binary)
 *   null               NULL: no type of a column, but said of a computed one,
 *                      where a table has no others
 * Storing the error value 0 of an enum again counts as a warning (1265).
 */
void row_select_expr(struct buf *out, const char *column,
    const char *data_type);

/* --- reading: SELECT through a prepared statement, raw rows --- */
struct db_rows;

/*
 * Run a SELECT and leave its rows on the wire.  Values come without character
 * set conversion (character_set_results = NULL is set for the connection by
 * the first call and stays).
 */
struct db_rows *db_rows_open(struct db *db, const char *sql, size_t n);
size_t db_rows_columns(const struct db_rows *r, const struct row_col **cols);
/* 1 with the row, borrowed until the next call; 0 at the end; -1. */
int db_rows_next(struct db_rows *r, const uint8_t **row, size_t *size);
void db_rows_close(struct db_rows *r);

/* --- writing: COM_STMT_BULK_EXECUTE --- */
struct db_bulk;

/*
 * Prepare an INSERT whose n placeholders take the columns, in this order.
 * The connection must have been given db_bulk_setup() once: SET NAMES binary
 * and what makes loading fast and exact.
 */
int db_bulk_setup(struct db *db);
struct db_bulk *db_bulk_open(struct db *db, const char *sql, size_t sql_n,
    const struct row_col *cols, size_t n);
/* Rows must have the columns given, as of db_rows_columns(); -1 (ERR_VERIFY)
 * where one has not.  A server that refuses bulk for a statement gets its rows
 * one by one.  -1 too where the server stored fewer rows than it was sent.
 * Add a row (copied); sends a batch when it is full (rows or bytes, below
 * max_allowed_packet).  A row that alone is larger goes alone. */
int db_bulk_row(struct db_bulk *b, const void *row, size_t size);
int db_bulk_flush(struct db_bulk *b); /* send what is pending */
uint64_t db_bulk_warnings(const struct db_bulk *b);
void db_bulk_close(struct db_bulk *b);

#endif
