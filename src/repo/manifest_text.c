/*
 * manifest_text.c -- a manifest as text: one record a line, fields separated
 * by tabs.  FORMAT.md, "Manifest".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/manifest.h"
#include "pitr/mem.h"

#define FIRST_LINE "pitr-manifest\t3\n"
/* Of backups before settings were in it. */
#define FIRST_LINE_2 "pitr-manifest\t2\n"
#define SETTINGS_MAX 256
#define FIELDS_MAX 20

/* --- writing --- */

static void
put_text(struct buf *out, const char *s)
{
    buf_u8(out, '\t');
    for (; *s != '\0'; s++) {
        if (*s == '\t')
            buf_str(out, "\\t");
        else if (*s == '\n')
            buf_str(out, "\\n");
        else if (*s == '\\')
            buf_str(out, "\\\\");
        else
            buf_u8(out, (uint8_t)*s);
    }
}

static void
put_num(struct buf *out, uint64_t v)
{
    buf_fmt(out, "\t%" PRIu64, v);
}

static void
put_digest(struct buf *out, const uint8_t d[DIGEST_SIZE])
{
    buf_u8(out, '\t');
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        buf_fmt(out, "%02x", d[i]);
}

static void
put_info(struct buf *out, const struct backup_info *i)
{
    char *gtid = gtid_pos_text(&i->gtid);

    buf_str(out, "backup");
    put_text(out, i->id);
    put_num(out, i->begun_us);
    put_num(out, i->snapshot_us);
    put_num(out, i->ended_us);
    put_text(out, gtid);
    put_text(out, i->source_file);
    put_num(out, i->source_pos);
    put_text(out, i->server_version);
    put_num(out, i->server_id);
    put_num(out, (uint64_t)i->lower_case_table_names);
    put_num(out, i->tables);
    put_num(out, i->rows);
    put_num(out, i->row_bytes);
    put_num(out, i->parts);
    put_num(out, i->stored_bytes);
    put_num(out, i->warnings);
    buf_u8(out, '\n');
    free(gtid);
}

static void
put_table(struct buf *out, const struct manifest_table *t)
{
    buf_str(out, "table");
    put_text(out, t->schema);
    put_text(out, t->name);
    put_text(out, t->engine);
    put_num(out, t->history);
    put_num(out, t->sum.rows);
    put_num(out, t->sum.a);
    put_num(out, t->sum.b);
    put_num(out, t->bytes);
    put_num(out, t->parts);
    buf_u8(out, '\n');
    for (size_t i = 0; i < t->cols; i++) {
        buf_str(out, "column");
        put_text(out, t->col[i].name);
        put_text(out, t->col[i].data_type);
        put_num(out, t->col[i].wire.type);
        put_num(out, t->col[i].wire.is_unsigned);
        buf_u8(out, '\n');
    }
}

static void
put_part(struct buf *out, const struct manifest_part *p)
{
    buf_str(out, "part");
    put_text(out, p->name);
    put_num(out, p->size);
    put_digest(out, p->digest);
    buf_u8(out, '\n');
    for (size_t i = 0; i < p->tables; i++) {
        buf_str(out, "holds");
        put_num(out, p->table[i]);
        put_num(out, p->rows[i]);
        buf_u8(out, '\n');
    }
}

void
manifest_format(const struct manifest *m, struct buf *out)
{
    buf_str(out, FIRST_LINE);
    put_info(out, &m->info);
    buf_str(out, "schema");
    put_num(out, m->schema_size);
    put_digest(out, m->schema_digest);
    buf_u8(out, '\n');
    for (size_t i = 0; i < m->settings; i++) {
        buf_str(out, "setting");
        put_text(out, m->setting[i].name);
        put_text(out, m->setting[i].value);
        buf_u8(out, '\n');
    }
    for (size_t i = 0; i < m->tables; i++)
        put_table(out, &m->table[i]);
    for (size_t i = 0; i < m->parts; i++)
        put_part(out, &m->part[i]);
    for (size_t i = 0; i < m->warnings; i++) {
        buf_str(out, "warning");
        put_text(out, m->warning[i]);
        buf_u8(out, '\n');
    }
    buf_str(out, "end\n");
}

/* --- reading --- */

struct line {
    char *field[FIELDS_MAX]; /* unescaped in place */
    size_t fields;
    bool bad;
};

/* Split one line (NUL-terminated, writable) into its fields. */
static void
split(char *s, struct line *l)
{
    char *to = s;

    memset(l, 0, sizeof *l);
    l->field[l->fields++] = s;
    for (; *s != '\0'; s++) {
        if (*s == '\t') {
            *to++ = '\0';
            if (l->fields == FIELDS_MAX) {
                l->bad = true;
                return;
            }
            l->field[l->fields++] = to;
        } else if (*s == '\\') {
            s++;
            l->bad |= *s != 't' && *s != 'n' && *s != '\\';
            if (l->bad)
                return;
            *to++ = *s == 't' ? '\t' : *s == 'n' ? '\n' : '\\';
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

static char *
get_text(struct line *l, size_t i)
{
    return xstrdup(l->field[i]);
}

static uint64_t
get_num(struct line *l, size_t i, uint64_t max)
{
    const char *s = l->field[i];
    char *end;
    uint64_t v;

    errno = 0;
    v = strtoull(s, &end, 10);
    if (*s < '0' || *s > '9' || *end != '\0' || errno != 0 || v > max)
        l->bad = true;
    return v;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0'
        : c >= 'a' && c <= 'f'  ? c - 'a' + 10
                                : -1;
}

static void
get_digest(struct line *l, size_t i, uint8_t out[DIGEST_SIZE])
{
    const char *s = l->field[i];

    if (strlen(s) != 2 * DIGEST_SIZE) {
        l->bad = true;
        return;
    }
    for (size_t k = 0; k < DIGEST_SIZE; k++) {
        int hi = hex_digit(s[2 * k]), lo = hex_digit(s[2 * k + 1]);

        if (hi < 0 || lo < 0) {
            l->bad = true;
            return;
        }
        out[k] = (uint8_t)(hi << 4 | lo);
    }
}

/* What a manifest is read with: room in its arrays. */
struct reading {
    struct manifest *m;
    size_t cap_tables, cap_cols, cap_parts, cap_holds, cap_warnings;
    bool have_info, have_schema, ended;
};

static void
read_info(struct reading *r, struct line *l)
{
    struct backup_info *i = &r->m->info;

    if (r->have_info) {
        l->bad = true;
        return;
    }
    r->have_info = true;
    i->id = get_text(l, 1);
    i->begun_us = get_num(l, 2, UINT64_MAX);
    i->snapshot_us = get_num(l, 3, UINT64_MAX);
    i->ended_us = get_num(l, 4, UINT64_MAX);
    l->bad |= gtid_pos_parse(l->field[5], &i->gtid) < 0;
    i->source_file = get_text(l, 6);
    i->source_pos = get_num(l, 7, UINT64_MAX);
    i->server_version = get_text(l, 8);
    i->server_id = (uint32_t)get_num(l, 9, UINT32_MAX);
    i->lower_case_table_names = (int)get_num(l, 10, 2);
    i->tables = get_num(l, 11, UINT64_MAX);
    i->rows = get_num(l, 12, UINT64_MAX);
    i->row_bytes = get_num(l, 13, UINT64_MAX);
    i->parts = get_num(l, 14, UINT64_MAX);
    i->stored_bytes = get_num(l, 15, UINT64_MAX);
    i->warnings = get_num(l, 16, UINT64_MAX);
}

static void
read_schema(struct reading *r, struct line *l)
{
    l->bad |= r->have_schema;
    r->have_schema = true;
    r->m->schema_size = get_num(l, 1, UINT64_MAX);
    get_digest(l, 2, r->m->schema_digest);
}

static void
read_setting(struct reading *r, struct line *l)
{
    if (r->m->settings == SETTINGS_MAX)
        l->bad = true;
    else
        manifest_set(r->m, l->field[1], l->field[2]);
}

static void
read_table(struct reading *r, struct line *l)
{
    struct manifest *m = r->m;
    struct manifest_table *t;

    m->table = xgrow(m->table, m->tables, &r->cap_tables, sizeof *m->table);
    t = &m->table[m->tables++];
    memset(t, 0, sizeof *t);
    r->cap_cols = 0;
    t->schema = get_text(l, 1);
    t->name = get_text(l, 2);
    t->engine = get_text(l, 3);
    t->history = get_num(l, 4, 1) != 0;
    t->sum.rows = get_num(l, 5, UINT64_MAX);
    t->sum.a = get_num(l, 6, UINT64_MAX);
    t->sum.b = get_num(l, 7, UINT64_MAX);
    t->bytes = get_num(l, 8, UINT64_MAX);
    t->parts = (uint32_t)get_num(l, 9, UINT32_MAX);
}

static void
read_column(struct reading *r, struct line *l)
{
    struct manifest_table *t;
    struct manifest_column *c;

    if (r->m->tables == 0) {
        l->bad = true;
        return;
    }
    t = &r->m->table[r->m->tables - 1];
    t->col = xgrow(t->col, t->cols, &r->cap_cols, sizeof *t->col);
    c = &t->col[t->cols++];
    c->name = get_text(l, 1);
    c->data_type = get_text(l, 2);
    c->wire.type = (uint8_t)get_num(l, 3, UINT8_MAX);
    c->wire.is_unsigned = get_num(l, 4, 1) != 0;
}

static void
read_part(struct reading *r, struct line *l)
{
    struct manifest *m = r->m;
    struct manifest_part *p;

    m->part = xgrow(m->part, m->parts, &r->cap_parts, sizeof *m->part);
    p = &m->part[m->parts++];
    memset(p, 0, sizeof *p);
    r->cap_holds = 0;
    p->name = get_text(l, 1);
    p->size = get_num(l, 2, UINT64_MAX);
    get_digest(l, 3, p->digest);
}

static void
read_holds(struct reading *r, struct line *l)
{
    struct manifest_part *p;
    size_t cap = r->cap_holds;

    if (r->m->parts == 0 || r->m->tables == 0) {
        l->bad = true;
        return;
    }
    p = &r->m->part[r->m->parts - 1];
    p->table = xgrow(p->table, p->tables, &cap, sizeof *p->table);
    p->rows = xgrow(p->rows, p->tables, &r->cap_holds, sizeof *p->rows);
    p->table[p->tables] = (uint32_t)get_num(l, 1, r->m->tables - 1);
    p->rows[p->tables++] = get_num(l, 2, UINT64_MAX);
}

static void
read_warning(struct reading *r, struct line *l)
{
    struct manifest *m = r->m;

    m->warning =
        xgrow(m->warning, m->warnings, &r->cap_warnings, sizeof *m->warning);
    m->warning[m->warnings++] = get_text(l, 1);
}

static void
read_end(struct reading *r, struct line *l)
{
    (void)l;
    r->ended = true;
}

static const struct {
    const char *name;
    size_t fields; /* with the name */
    void (*read)(struct reading *, struct line *);
} records[] = {
    {"backup", 17, read_info},
    {"schema", 3, read_schema},
    {"setting", 3, read_setting},
    {"table", 10, read_table},
    {"column", 5, read_column},
    {"part", 4, read_part},
    {"holds", 3, read_holds},
    {"warning", 2, read_warning},
    {"end", 1, read_end},
};

static int
read_line(struct reading *r, char *text, unsigned number)
{
    struct line l;

    split(text, &l);
    for (size_t i = 0; i < NELEM(records) && !l.bad; i++)
        if (strcmp(records[i].name, l.field[0]) == 0 &&
            records[i].fields == l.fields && !r->ended) {
            records[i].read(r, &l);
            if (!l.bad)
                return 0;
        }
    return err_set(ERR_VERIFY, "line %u is not valid", number);
}

struct manifest *
manifest_parse(const void *p, size_t n)
{
    struct reading r = {.m = xcalloc(1, sizeof *r.m)};
    char *text = xstrndup(p, n), *line = text, *eol;
    size_t first = strlen(FIRST_LINE);
    unsigned number = 1;
    int rc = -1;

    if (strlen(text) != n ||
        (strncmp(text, FIRST_LINE, first) != 0 &&
            strncmp(text, FIRST_LINE_2, first) != 0)) {
        err_set(ERR_VERIFY, "it is not a manifest of this format");
        goto out;
    }
    for (line += first; (eol = strchr(line, '\n')) != NULL; line = eol + 1) {
        *eol = '\0';
        if (read_line(&r, line, ++number) < 0)
            goto out;
    }
    if (*line != '\0' || !r.ended || !r.have_info || !r.have_schema)
        err_set(ERR_VERIFY, "it is not whole");
    else
        rc = 0;

out:
    free(text);
    if (rc < 0) {
        manifest_free(r.m);
        return NULL;
    }
    return r.m;
}
