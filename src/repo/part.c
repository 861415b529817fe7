/*
 * part.c -- blocks of rows: packing and unpacking.  FORMAT.md, "Row parts".
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/part.h"

#define WHAT "a row part"
#define PART_MAGIC "PTROWS2\n"
#define BLOCK_HEAD 12
/* A row is at most a packet of the server: 1 GiB. */
#define BLOCK_MAX ((1u << 30) + (1u << 20))

struct part_writer {
    struct sink *out;
    struct buf sizes, block; /* of the block being filled: head and sizes of
                                the rows, and the rows */
    uint32_t table, rows;
    uint64_t bytes;
};

struct part_writer *
part_writer_new(struct sink *out)
{
    struct part_writer *w;

    if (out == NULL)
        return NULL;
    w = xcalloc(1, sizeof *w);
    w->out = out;
    w->table = PART_TABLE_END;
    if (sink_write(out, PART_MAGIC, 8) < 0) {
        part_writer_free(w);
        return NULL;
    }
    return w;
}

static void
put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static int
write_block(struct part_writer *w)
{
    if (w->rows == 0)
        return 0;
    put_u32(w->sizes.data, w->table);
    put_u32(w->sizes.data + 4, w->rows);
    put_u32(w->sizes.data + 8,
        (uint32_t)(w->sizes.len - BLOCK_HEAD + w->block.len));
    if (sink_write(w->out, w->sizes.data, w->sizes.len) < 0 ||
        sink_write(w->out, w->block.data, w->block.len) < 0)
        return -1;
    w->rows = 0;
    if (w->block.cap > 4 * PART_BLOCK) /* one huge row: give it back */
        buf_free(&w->block);
    buf_reset(&w->block);
    return 0;
}

int
part_write_row(
    struct part_writer *w, uint32_t table, const void *row, size_t size)
{
    if (size > BLOCK_MAX - 4)
        return err_set(ERR_FAILED, "a row of %zu bytes is too large", size);
    if (w->rows > 0 &&
        (w->table != table ||
            w->sizes.len + w->block.len + size > PART_BLOCK) &&
        write_block(w) < 0)
        return -1;
    if (w->rows == 0) {
        static const uint8_t head[BLOCK_HEAD];

        buf_reset(&w->sizes);
        buf_add(&w->sizes, head, sizeof head);
        buf_reserve(&w->block, MAX(size, (size_t)PART_BLOCK));
        w->table = table;
    }
    buf_u32(&w->sizes, (uint32_t)size);
    buf_add(&w->block, row, size);
    w->rows++;
    w->bytes += size;
    return 0;
}

uint64_t
part_writer_bytes(const struct part_writer *w)
{
    return w->bytes;
}

int
part_writer_finish(struct part_writer *w)
{
    uint8_t end[BLOCK_HEAD] = {0};

    put_u32(end, PART_TABLE_END);
    return write_block(w) < 0 || sink_write(w->out, end, sizeof end) < 0
        ? -1
        : sink_finish(w->out);
}

void
part_writer_free(struct part_writer *w)
{
    if (w == NULL)
        return;
    sink_free(w->out);
    buf_free(&w->sizes);
    buf_free(&w->block);
    free(w);
}

struct part_reader {
    struct source *in;
    struct buf block;
    struct cur sizes, rest; /* of the block, what is not read yet */
    uint32_t table, rows;
    bool started, ended;
};

struct part_reader *
part_reader_new(struct source *in)
{
    struct part_reader *r;

    if (in == NULL)
        return NULL;
    r = xcalloc(1, sizeof *r);
    r->in = in;
    return r;
}

/* 1 with a block, 0 at the end. */
static int
next_block(struct part_reader *r)
{
    uint8_t head[BLOCK_HEAD], magic[8];
    struct cur c;
    uint32_t bytes;

    if (!r->started) {
        if (source_read_exact(r->in, magic, sizeof magic, WHAT) < 0)
            return -1;
        if (memcmp(magic, PART_MAGIC, sizeof magic) != 0)
            return err_set(ERR_VERIFY, "not the content of a row part");
        r->started = true;
    }
    if (source_read_exact(r->in, head, sizeof head, WHAT) < 0)
        return -1;
    c = cur_of(head, sizeof head);
    r->table = cur_u32(&c);
    r->rows = cur_u32(&c);
    bytes = cur_u32(&c);
    if (r->table == PART_TABLE_END && r->rows == 0 && bytes == 0) {
        r->ended = true;
        return source_read_end(r->in, WHAT);
    }
    if (r->table == PART_TABLE_END || r->rows == 0 || bytes > BLOCK_MAX ||
        r->rows > bytes / 4)
        return err_set(ERR_VERIFY, "a row part has an impossible block");
    if (r->block.cap > 4 * PART_BLOCK && bytes <= PART_BLOCK)
        buf_free(&r->block);
    buf_reset(&r->block);
    buf_reserve(&r->block, bytes);
    if (source_read_exact(r->in, r->block.data, bytes, WHAT) < 0)
        return -1;
    r->rest = cur_of(r->block.data, bytes);
    r->sizes = cur_of(r->block.data, r->rows * 4);
    cur_bytes(&r->rest, r->rows * 4);
    return 1;
}

int
part_read_row(
    struct part_reader *r, uint32_t *table, const uint8_t **row, size_t *size)
{
    if (r->rows == 0) {
        int rc;

        if (cur_left(&r->rest) > 0)
            return err_set(ERR_VERIFY, "a block of rows has bytes left over");
        if (r->ended || (rc = next_block(r)) == 0)
            return 0;
        if (rc < 0)
            return -1;
    }
    *table = r->table;
    *size = cur_u32(&r->sizes);
    *row = cur_bytes(&r->rest, *size);
    if (r->rest.bad)
        return err_set(ERR_VERIFY, "a block of rows ends inside a row");
    r->rows--;
    return 1;
}

void
part_reader_free(struct part_reader *r)
{
    if (r == NULL)
        return;
    source_free(r->in);
    buf_free(&r->block);
    free(r);
}
