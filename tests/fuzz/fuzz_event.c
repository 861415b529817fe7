/*
 * fuzz_event.c -- whatever comes as an event or as a row: no read outside of
 * it, no crash.  clang -fsanitize=fuzzer,address,undefined; a seed is an
 * event of a binlog file, with a first byte as below.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "pitr/event.h"
#include "pitr/mem.h"
#include "pitr/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t touched;

static void
touch(const void *p, size_t n)
{
    const uint8_t *b = p;

    if (n > 0)
        touched = (uint8_t)(b[0] ^ b[n - 1]);
}

/* Several events one after another, each with the size its header says. */
static void
fuzz_events(const uint8_t *p, size_t left, bool checksum)
{
    struct event_format fmt = {.known = true, .checksum = checksum};
    struct group_state group = {0};

    while (left >= EVENT_HEADER_SIZE) {
        struct cur c = cur_of(p + 9, 4);
        uint32_t n = cur_u32(&c);
        struct event e;
        struct event_gtid gtid;
        struct event_query query;
        struct event_rotate rotate;
        struct gtid_pos pos = {0};
        if (n > left || n < EVENT_HEADER_SIZE)
            n = (uint32_t)left;
        if (event_parse(&fmt, p, n, &e) == 0) {
            touch(e.body, e.body_size);
            event_gtid(&e, &gtid);
            if (event_query(&e, &query) == 0) {
                touch(query.schema, query.schema_size);
                touch(query.sql, query.sql_size);
                sql_is_ddl(query.sql, query.sql_size, query.sql_mode);
            }
            if (event_rotate(&e, &rotate) == 0)
                touch(rotate.file, rotate.file_size);
            event_gtid_list(&e, &pos);
            gtid_pos_free(&pos);
            group_next(&group, &e);
            touch(event_type_text(e.type), 1);
        }
        p += n;
        left -= n;
    }
}

/* A count of columns, their types, a row. */
static void
fuzz_row(const uint8_t *p, size_t left)
{
    struct row_col cols[64] = {0};
    const uint8_t *value[64];
    size_t value_size[64];
    size_t n = left > 0 ? p[0] % 64 : 0;

    if (left < 1 + n)
        return;
    for (size_t i = 0; i < n; i++)
        cols[i].type = p[1 + i];
    p += 1 + n;
    left -= 1 + n;
    if (row_split(cols, n, p, left, value, value_size) == 0)
        for (size_t i = 0; i < n; i++)
            if (value[i] != NULL)
                touch(value[i], value_size[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact; /* of its own, so that reading past it is seen */

    if (size < 1)
        return 0;
    exact = xmalloc(size > 1 ? size - 1 : 1);
    memcpy(exact, data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        fuzz_events(exact, size - 1, false);
        break;
    case 1:
        fuzz_events(exact, size - 1, true);
        break;
    case 2:
        fuzz_row(exact, size - 1);
        break;
    default:
        sql_is_ddl((const char *)exact, size - 1, 0);
    }
    free(exact);
    return 0;
}
