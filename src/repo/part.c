/*
 * part.c -- blocks of rows: packing and unpacking.  FORMAT.md, "Row parts".
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/part.h"

#define WHAT "a row part"
#define PART_MAGIC "PTROWS4\n"
#define PART_MAGIC_2 "PTROWS2\n" /* sizes before the rows */
#define BLOCK_HEAD 12
/* A row is at most a packet of the server: 1 GiB. */
#define BLOCK_MAX ((1u << 30) + (1u << 20))
/* What is handed on together. */
#define PIECE (1u << 20)

/* Rows are copied once, to where they are compressed from. */
struct part_writer {
    struct sink *out;
    struct buf piece; /* blocks, the last of them still being filled */
    size_t head;      /* where that one begins */
    struct buf sizes; /* of its rows */
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
    buf_reserve(&w->piece, PIECE);
    buf_add(&w->piece, PART_MAGIC, 8);
    return w;
}

static void
put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static int
write_piece(struct part_writer *w)
{
    if (sink_write(w->out, w->piece.data, w->piece.len) < 0)
        return -1;
    if (w->piece.cap > 4 * PIECE) /* one huge row: give it back */
        buf_free(&w->piece);
    buf_reset(&w->piece);
    buf_reserve(&w->piece, PIECE);
    return 0;
}

static int
end_block(struct part_writer *w)
{
    uint8_t *head;

    if (w->rows == 0)
        return 0;
    buf_add(&w->piece, w->sizes.data, w->sizes.len);
    buf_reset(&w->sizes);
    head = w->piece.data + w->head;
    put_u32(head, w->table);
    put_u32(head + 4, w->rows);
    put_u32(head + 8, (uint32_t)(w->piece.len - w->head - BLOCK_HEAD));
    w->rows = 0;
    return w->piece.len > PIECE - PART_BLOCK - BLOCK_HEAD ? write_piece(w) : 0;
}

int
part_write_row(
    struct part_writer *w, uint32_t table, const void *row, size_t size)
{
    if (size > BLOCK_MAX - 4)
        return err_set(ERR_FAILED, "a row of %zu bytes is too large", size);
    if (w->rows > 0 &&
        (w->table != table ||
            w->piece.len - w->head + w->sizes.len + size > PART_BLOCK) &&
        end_block(w) < 0)
        return -1;
    if (w->rows == 0) {
        static const uint8_t head[BLOCK_HEAD];

        w->head = w->piece.len;
        buf_add(&w->piece, head, sizeof head);
        w->table = table;
    }
    buf_u32(&w->sizes, (uint32_t)size);
    buf_add(&w->piece, row, size);
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

    if (end_block(w) < 0)
        return -1;
    put_u32(end, PART_TABLE_END);
    buf_add(&w->piece, end, sizeof end);
    return write_piece(w) < 0 ? -1 : sink_finish(w->out);
}

void
part_writer_free(struct part_writer *w)
{
    if (w == NULL)
        return;
    sink_free(w->out);
    buf_free(&w->sizes);
    buf_free(&w->piece);
    free(w);
}

struct part_reader {
    struct source *in;
    struct buf block;
    struct cur sizes, rest; /* of the block, what is not read yet */
    uint32_t table, rows;
    bool started, ended, sizes_first;
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
    uint32_t bytes, sizes;

    if (!r->started) {
        if (source_read_exact(r->in, magic, sizeof magic, WHAT) < 0)
            return -1;
        r->sizes_first = memcmp(magic, PART_MAGIC_2, sizeof magic) == 0;
        if (!r->sizes_first && memcmp(magic, PART_MAGIC, sizeof magic) != 0)
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
    sizes = r->rows * 4;
    r->sizes =
        cur_of(r->block.data + (r->sizes_first ? 0 : bytes - sizes), sizes);
    r->rest =
        cur_of(r->block.data + (r->sizes_first ? sizes : 0), bytes - sizes);
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
