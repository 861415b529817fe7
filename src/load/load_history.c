/*
 * load_history.c -- the end of time of system versioning.
 *
 * A row that is current is one that ends with the last moment that a TIMESTAMP
 * can have.  MariaDB 11.5 moved it from 2038 to 2106 (MDEV-32188): there, rows
 * that end in 2038 are history, and a table of them would look empty.  So what
 * the one server calls the end is stored as what the other calls so.
 */
#include <stdio.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/mem.h"

#define SINCE 1105
#define VALUE 12

/* '2038-01-19 03:14:07.999999' and '2106-02-07 06:28:15.999999' as a binary
 * row has them. */
static const uint8_t end_of_time[2][VALUE] = {
    {11, 0xf6, 0x07, 1, 19, 3, 14, 7, 0x3f, 0x42, 0x0f, 0},
    {11, 0x3a, 0x08, 2, 7, 6, 28, 15, 0x3f, 0x42, 0x0f, 0},
};

int
load_history_init(struct load *l, struct db *db)
{
    uint64_t late = 0;

    if (db_value_u64(
            db, &late, "SELECT FROM_UNIXTIME(2147483648) IS NOT NULL") < 0)
        return -1;
    l->late_end[0] =
        load_major_minor(l->conf->manifest->info.server_version) >= SINCE;
    l->late_end[1] = late != 0;
    return 0;
}

const void *
load_history_row(const struct load *l, const struct manifest_table *t,
    const void *row, size_t size, bool loaded, struct buf *space)
{
    size_t at = size - VALUE;
    bool from = l->late_end[loaded], to = l->late_end[!loaded];

    /* The end of a row's validity is the last of its columns. */
    if (!t->history || from == to || size < VALUE ||
        memcmp((const uint8_t *)row + at, end_of_time[from], VALUE) != 0)
        return row;
    buf_reset(space);
    buf_add(space, row, at);
    buf_add(space, end_of_time[to], VALUE);
    return space->data;
}
