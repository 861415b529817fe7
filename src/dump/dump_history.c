/*
 * dump_history.c -- rows of history that cannot be given back.
 *
 * A row that ends when it begins, or before, comes about where one statement
 * makes and removes it (a trigger, a function), or where the clock was set
 * back.  No query for a moment ever shows it, and no server stores it again
 * (error 1525); one among a million would fail a restore.  So it is left out,
 * and that is said.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "dump_priv.h"
#include "pitr/mem.h"

/* A TIMESTAMP of a binary row as a number that grows with it. */
static uint64_t
moment(const uint8_t *value, size_t size)
{
    struct cur c = cur_of(value, size);
    unsigned n = cur_u8(&c);
    uint64_t t = 0;

    if (n < 4)
        return 0;
    t = cur_u16(&c);
    t = t * 13 + cur_u8(&c);
    t = t * 32 + cur_u8(&c);
    for (unsigned i = 0; i < 3; i++)
        t = t * 64 + (n >= 7 ? cur_u8(&c) : 0);
    return t * 1000000 + (n >= 11 ? cur_u32(&c) : 0);
}

int
dump_history_row(struct dump *d, struct dump_table *t, const void *row,
    size_t size, bool *keep)
{
    const struct manifest_table *mt = &d->m->table[t->number];
    const uint8_t **value;
    struct row_col *cols;
    size_t *len, n = mt->cols;
    int rc;

    *keep = true;
    if (!t->history || n < 2)
        return 0;
    value = xcalloc(n, sizeof *value);
    len = xcalloc(n, sizeof *len);
    cols = xcalloc(n, sizeof *cols);
    for (size_t i = 0; i < n; i++)
        cols[i] = mt->col[i].wire;
    rc = row_split(cols, n, row, size, value, len);
    /* The last two columns are the beginning and the end. */
    if (rc == 0 && value[n - 2] != NULL && value[n - 1] != NULL)
        *keep =
            moment(value[n - 2], len[n - 2]) < moment(value[n - 1], len[n - 1]);
    if (!*keep) {
        pthread_mutex_lock(&d->mutex);
        t->lost++;
        pthread_mutex_unlock(&d->mutex);
    }
    free(value);
    free(len);
    free(cols);
    return rc;
}

void
dump_history_tell(struct dump *d)
{
    for (size_t i = 0; i < d->tables; i++) {
        const struct dump_table *t = &d->table[i];

        if (t->lost > 0)
            dump_warn(d,
                "table %s.%s: %" PRIu64 " rows of its history end when they "
                "begin, or before, and are not in the backup: no server can "
                "be given them",
                t->schema, t->name, t->lost);
    }
}
