/*
 * row_split.c -- where the values of a binary row are; what to SELECT to have
 * exact ones.
 *
 * Sizes on the wire: MariaDB's documentation of the protocol, "Resultset
 * row"; Connector/C ma_stmt_codec.c.
 */
#include <mysql.h>
#include <string.h>
#include <strings.h>
#include "db_internal.h"
#include "pitr/mem.h"
#include "pitr/rows.h"

/* Moves c behind one value; a value of an impossible size makes it bad. */
static void
skip_value(struct cur *c, uint8_t type)
{
    uint64_t n;

    switch (type) {
    case MYSQL_TYPE_NULL:
        c->bad = true; /* has no value that is not NULL */
        return;
    case MYSQL_TYPE_TINY:
        n = 1;
        break;
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_YEAR:
        n = 2;
        break;
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_FLOAT:
        n = 4;
        break;
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_DOUBLE:
        n = 8;
        break;
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP:
        n = cur_u8(c);
        if (n != 0 && n != 4 && n != 7 && n != 11)
            c->bad = true;
        break;
    case MYSQL_TYPE_TIME:
        n = cur_u8(c);
        if (n != 0 && n != 8 && n != 12)
            c->bad = true;
        break;
    default:
        n = cur_lenenc(c);
    }
    if (n > cur_left(c))
        c->bad = true;
    else
        cur_bytes(c, (size_t)n);
}

int
row_split(const struct row_col *cols, size_t n, const void *row, size_t size,
    const uint8_t **value, size_t *value_size)
{
    struct cur c = cur_of(row, size);
    const uint8_t *null_map = cur_bytes(&c, (n + 7 + 2) / 8);

    for (size_t i = 0; i < n && !c.bad; i++) {
        value[i] = NULL;
        value_size[i] = 0;
        if (null_map[(i + 2) / 8] & 1 << (i + 2) % 8)
            continue;
        value[i] = c.p;
        skip_value(&c, cols[i].type);
        value_size[i] = (size_t)(c.p - value[i]);
    }
    if (c.bad || cur_left(&c) != 0)
        return err_set(ERR_VERIFY,
            "a row of %zu bytes does not fit its %zu columns", size, n);
    return 0;
}

void
row_select_expr(struct buf *out, const char *column, const char *data_type)
{
    static const struct {
        const char *type, *as;
    } casts[] = {
        {"enum", "UNSIGNED"},
        {"set", "UNSIGNED"},
        {"inet4", "BINARY"},
        {"inet6", "BINARY"},
        {"uuid", "BINARY"},
    };

    if (strcmp(data_type, "null") == 0) {
        buf_str(out, "NULL");
        return;
    }
    for (size_t i = 0; i < NELEM(casts); i++)
        if (strcasecmp(casts[i].type, data_type) == 0) {
            buf_str(out, "CAST(");
            db_ident(out, column);
            buf_fmt(out, " AS %s)", casts[i].as);
            return;
        }
    db_ident(out, column);
}
