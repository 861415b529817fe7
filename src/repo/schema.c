/*
 * schema.c -- the records of the schema object.  FORMAT.md, "Schema".
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/schema.h"

#define WHAT "the schema"
#define SCHEMA_MAGIC "PTSCHEM1"
#define RECORD_MAX (256u << 20) /* a view or routine of any real size */
#define STRINGS 10

/* The strings of a record, in the order in which they are stored. */
static void
strings_of(struct schema_object *o, char **s[STRINGS])
{
    char **all[STRINGS] = {&o->schema, &o->name, &o->sql, &o->extra,
        &o->sql_mode, &o->charset_client, &o->collation_connection,
        &o->collation_database, &o->time_zone, &o->definer};

    memcpy(s, all, sizeof all);
}

void
schema_object_free(struct schema_object *o)
{
    char **s[STRINGS];

    strings_of(o, s);
    for (size_t i = 0; i < STRINGS; i++)
        free(*s[i]);
    memset(o, 0, sizeof *o);
}

struct schema_writer {
    struct sink *out;
    struct buf record;
};

struct schema_writer *
schema_writer_new(struct sink *out)
{
    struct schema_writer *w;

    if (out == NULL)
        return NULL;
    w = xcalloc(1, sizeof *w);
    w->out = out;
    if (sink_write(out, SCHEMA_MAGIC, 8) < 0) {
        schema_writer_free(w);
        return NULL;
    }
    return w;
}

static int
write_record(struct schema_writer *w)
{
    struct buf head = {0};
    int rc;

    buf_u32(&head, (uint32_t)w->record.len);
    rc = sink_write(w->out, head.data, head.len);
    if (rc == 0)
        rc = sink_write(w->out, w->record.data, w->record.len);
    buf_free(&head);
    buf_reset(&w->record);
    return rc;
}

int
schema_write(struct schema_writer *w, const struct schema_object *o)
{
    struct schema_object copy = *o; /* of the pointers, to take addresses */
    char **s[STRINGS];

    strings_of(&copy, s);
    buf_u8(&w->record, (uint8_t)o->kind);
    buf_u32(&w->record, o->table);
    for (size_t i = 0; i < STRINGS; i++)
        buf_lstr(&w->record, *s[i]);
    if (w->record.len > RECORD_MAX)
        return err_set(ERR_FAILED, "the definition of %s.%s is too large",
            o->schema, o->name);
    return write_record(w);
}

int
schema_writer_finish(struct schema_writer *w)
{
    buf_reset(&w->record); /* a record of length 0 ends the object */
    return write_record(w) < 0 ? -1 : sink_finish(w->out);
}

void
schema_writer_free(struct schema_writer *w)
{
    if (w == NULL)
        return;
    sink_free(w->out);
    buf_free(&w->record);
    free(w);
}

struct schema_reader {
    struct source *in;
    struct buf record;
    bool started, ended;
};

struct schema_reader *
schema_reader_new(struct source *in)
{
    struct schema_reader *r;

    if (in == NULL)
        return NULL;
    r = xcalloc(1, sizeof *r);
    r->in = in;
    return r;
}

/* 1 with a record in r->record, 0 at the end. */
static int
read_record(struct schema_reader *r)
{
    uint8_t head[8];
    struct cur c;
    uint32_t n;

    if (!r->started) {
        if (source_read_exact(r->in, head, 8, WHAT) < 0)
            return -1;
        if (memcmp(head, SCHEMA_MAGIC, 8) != 0)
            return err_set(ERR_VERIFY, "not the content of a schema");
        r->started = true;
    }
    if (source_read_exact(r->in, head, 4, WHAT) < 0)
        return -1;
    c = cur_of(head, 4);
    if ((n = cur_u32(&c)) > RECORD_MAX)
        return err_set(ERR_VERIFY, "a record of the schema is too large");
    if (n == 0) { /* and lets the source check that it ends here */
        r->ended = true;
        return source_read_end(r->in, WHAT);
    }
    buf_reset(&r->record);
    buf_reserve(&r->record, n);
    if (source_read_exact(r->in, r->record.data, n, WHAT) < 0)
        return -1;
    r->record.len = n;
    return 1;
}

int
schema_read(struct schema_reader *r, struct schema_object *o)
{
    char **s[STRINGS];
    struct cur c;
    uint8_t kind;
    int rc;

    memset(o, 0, sizeof *o);
    if (r->ended || (rc = read_record(r)) == 0)
        return 0;
    if (rc < 0)
        return -1;
    c = cur_of(r->record.data, r->record.len);
    kind = cur_u8(&c);
    o->kind = (enum schema_kind)kind;
    o->table = cur_u32(&c);
    strings_of(o, s);
    for (size_t i = 0; i < STRINGS; i++)
        *s[i] = cur_lstr(&c, RECORD_MAX);
    if (c.bad || cur_left(&c) != 0 || kind < SCHEMA_DATABASE ||
        kind > SCHEMA_GRANT) {
        schema_object_free(o);
        return err_set(ERR_VERIFY, "a record of the schema is not valid");
    }
    return 1;
}

void
schema_reader_free(struct schema_reader *r)
{
    if (r == NULL)
        return;
    source_free(r->in);
    buf_free(&r->record);
    free(r);
}
