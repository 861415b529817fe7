/*
 * verify_rows.c -- the content of row parts: what the manifest says that a part
 * holds, and what all parts together hold of each table.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "pitr/mem.h"
#include "pitr/part.h"
#include "pitr/progress.h"
#include "pitr/stop.h"
#include "verify_priv.h"

#define LOOK_ROWS 16384 /* how often a stop is looked for */

struct counted {
    struct rowsum sum;
    uint64_t bytes;
    bool held;    /* in this part, by the manifest */
    bool spoiled; /* a part that holds it is damaged */
};

struct verify_sums {
    const struct manifest *m;
    struct counted *table;
    uint64_t rows;
};

struct verify_sums *
verify_sums_new(const struct manifest *m)
{
    struct verify_sums *s = xcalloc(1, sizeof *s);

    s->m = m;
    s->table = xcalloc(m->tables + 1, sizeof *s->table);
    return s;
}

void
verify_sums_free(struct verify_sums *s)
{
    if (s == NULL)
        return;
    free(s->table);
    free(s);
}

static int
count_row(struct counted *c, const struct manifest *m, uint32_t table,
    const uint8_t *row, size_t size)
{
    if (table >= m->tables || !c[table].held)
        return err_set(ERR_VERIFY,
            "it has a row of table number %" PRIu32
            ", of which the manifest says nothing",
            table);
    rowsum_add(&c[table].sum, row, size);
    c[table].bytes += size;
    return 0;
}

static int
count_rows(struct verify *v, const struct manifest *m,
    const struct manifest_part *p, struct counted *c)
{
    struct part_reader *r = part_reader_new(
        repo_get(v->repo, SEAL_ROWS, p->name, v->conf->key, p->digest));
    const uint8_t *row;
    uint64_t rows = 0;
    uint32_t table;
    size_t size;
    int rc = -1;

    while (r != NULL && (rc = part_read_row(r, &table, &row, &size)) > 0) {
        if (count_row(c, m, table, row, size) < 0 ||
            (++rows % LOOK_ROWS == 0 && stop_asked() && stop_error() < 0)) {
            rc = -1;
            break;
        }
        if (rows % LOOK_ROWS == 0)
            progress_add(LOOK_ROWS, 0);
    }
    progress_add(rows % LOOK_ROWS, 0);
    part_reader_free(r);
    return rc;
}

/* As many of each table as the manifest says? */
static int
check_holds(const struct manifest *m, const struct manifest_part *p,
    const struct counted *c)
{
    for (size_t i = 0; i < p->tables; i++) {
        const struct manifest_table *t = &m->table[p->table[i]];
        uint64_t rows = c[p->table[i]].sum.rows;

        if (rows != p->rows[i])
            return err_set(ERR_VERIFY,
                "it has %" PRIu64 " rows of %s.%s, the manifest says %" PRIu64,
                rows, t->schema, t->name, p->rows[i]);
    }
    return 0;
}

int
verify_part(struct verify *v, struct verify_sums *s, size_t part)
{
    const struct manifest *m = s->m;
    const struct manifest_part *p = &m->part[part];
    struct counted *c = xcalloc(m->tables + 1, sizeof *c);
    int rc;

    for (size_t i = 0; i < p->tables; i++)
        c[p->table[i]].held = true;
    rc = count_rows(v, m, p, c);
    if (rc == 0)
        rc = check_holds(m, p, c);
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < p->tables; i++) {
        struct counted *to = &s->table[p->table[i]];

        rowsum_merge(&to->sum, &c[p->table[i]].sum);
        to->bytes += c[p->table[i]].bytes;
        to->spoiled |= rc < 0;
        v->report->rows += rc == 0 ? c[p->table[i]].sum.rows : 0;
    }
    pthread_mutex_unlock(&v->lock);
    free(c);
    return rc;
}

void
verify_sums_compare(struct verify *v, struct verify_sums *s)
{
    char *folder = xasprintf("backup/%s/", s->m->info.id);

    for (size_t i = 0; i < s->m->tables; i++) {
        const struct manifest_table *t = &s->m->table[i];
        const struct counted *is = &s->table[i];

        if (is->spoiled) /* its part is named already */
            continue;
        if (is->sum.rows != t->sum.rows)
            verify_found(v, VERIFY_DAMAGED, folder,
                "table %s.%s has %" PRIu64 " rows, its manifest says %" PRIu64,
                t->schema, t->name, is->sum.rows, t->sum.rows);
        else if (is->sum.a != t->sum.a || is->sum.b != t->sum.b ||
            is->bytes != t->bytes)
            verify_found(v, VERIFY_DAMAGED, folder,
                "table %s.%s has %" PRIu64
                " rows as its manifest says, but with another checksum",
                t->schema, t->name, is->sum.rows);
    }
    free(folder);
}
