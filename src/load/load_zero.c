/*
 * load_zero.c -- negative zeros.
 *
 * Up to 10.5 a server stores -0.0 in FLOAT and DOUBLE, as ROUND(-0.3) gives it;
 * later ones make it 0 when it comes in a statement.  The two are equal, so the
 * comparison takes either, with a word.
 */
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/mem.h"
#include "pitr/rows.h"

static const uint8_t minus_zero[8] = {[7] = 0x80};

/* Most rows have no such bytes anywhere. */
static bool
may_have(const uint8_t *row, size_t size)
{
    const uint8_t *p = row, *end = row + size;

    while (end - p >= 4 && (p = memchr(p, 0x80, (size_t)(end - p))) != NULL) {
        if (p - row >= 3 && p[-1] == 0 && p[-2] == 0 && p[-3] == 0)
            return true;
        p++;
    }
    return false;
}

/* Its bytes on the wire where the column is a FLOAT or a DOUBLE; else 0. */
static size_t
real_size(const char *data_type)
{
    if (strcmp(data_type, "float") == 0)
        return 4;
    return strcmp(data_type, "double") == 0 ? 8 : 0;
}

int
load_zero_row(const struct manifest_table *t, const void *row, size_t size,
    struct rowsum *minus, struct rowsum *plus)
{
    const uint8_t **value;
    struct row_col *cols;
    uint8_t *copy;
    size_t *len;
    bool found = false;
    int rc;

    if (!may_have(row, size))
        return 0;
    value = xcalloc(t->cols + 1, sizeof *value);
    len = xcalloc(t->cols + 1, sizeof *len);
    cols = xcalloc(t->cols + 1, sizeof *cols);
    copy = xmemdup(row, size);
    for (size_t i = 0; i < t->cols; i++)
        cols[i] = t->col[i].wire;
    rc = row_split(cols, t->cols, copy, size, value, len);
    for (size_t i = 0; rc == 0 && i < t->cols; i++) {
        size_t n = real_size(t->col[i].data_type);

        if (n == 0 || value[i] == NULL || len[i] != n ||
            memcmp(value[i], minus_zero + 8 - n, n) != 0)
            continue;
        copy[value[i] - copy + (ptrdiff_t)n - 1] = 0;
        found = true;
    }
    if (found) {
        rowsum_add(minus, row, size);
        rowsum_add(plus, copy, size);
    }
    free(value);
    free(len);
    free(cols);
    free(copy);
    return rc;
}

bool
load_zero_equal(const struct rowsum *want, const struct rowsum *have,
    const struct rowsum *minus, const struct rowsum *plus)
{
    return have->rows == want->rows &&
        have->a == want->a - minus->a + plus->a &&
        have->b == want->b - minus->b + plus->b;
}
