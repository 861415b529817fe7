/*
 * load_order.c -- which part of the backup is loaded next: the largest, but not
 * two of a table at the same time while there are others, and those of a table
 * that wants its order one after the other.
 *
 * Whoever calls has the lock of the workers (load_rows.c).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/mem.h"

void
load_order_begin(struct load_order *o, struct load *l)
{
    const struct manifest *m = l->conf->manifest;

    *o = (struct load_order){.l = l};
    o->v = xcalloc(m->parts + 1, sizeof *o->v);
    o->in = xcalloc(m->parts + 1, sizeof *o->in);
    for (size_t i = 0; i < m->parts; i++)
        o->v[i] = (struct pool_work){i, m->part[i].size};
    pool_largest_first(o->v, m->parts);
}

void
load_order_free(struct load_order *o)
{
    free(o->v);
    free(o->in);
    *o = (struct load_order){0};
}

static bool
is_busy(const struct load_order *o, const struct manifest_part *p)
{
    for (size_t i = 0; i < p->tables; i++) {
        if (o->l->table[p->table[i]].busy > 0)
            return true;
    }
    return false;
}

static void
set_busy(struct load_order *o, const struct manifest_part *p, int by)
{
    for (size_t i = 0; i < p->tables; i++)
        o->l->table[p->table[i]].busy += (uint32_t)by;
}

/* Is a table in it whose rows are taken only as they were written?  ARCHIVE
 * refuses a number below its AUTO_INCREMENT. */
static bool
has_order(const struct manifest *m, const struct manifest_part *p)
{
    for (size_t i = 0; i < p->tables; i++)
        if (strcasecmp(m->table[p->table[i]].engine, "ARCHIVE") == 0)
            return true;
    return false;
}

static bool
shares_table(const struct manifest_part *a, const struct manifest_part *b)
{
    for (size_t i = 0; i < a->tables; i++)
        for (size_t k = 0; k < b->tables; k++)
            if (a->table[i] == b->table[k])
                return true;
    return false;
}

/* Who reads such a table writes one part after the other. */
static bool
in_turn(const struct load_order *o, size_t part)
{
    const struct manifest *m = o->l->conf->manifest;

    if (!has_order(m, &m->part[part]))
        return true;
    for (size_t i = 0; i < part; i++)
        if (!o->in[i] && shares_table(&m->part[i], &m->part[part]))
            return false;
    return true;
}

/* The largest part of tables that nobody is at: two workers in one table cost
 * the server a half more.  Else the largest.  Its place in the order; the
 * number of parts where all have to wait for others. */
static size_t
find(const struct load_order *o)
{
    const struct manifest *m = o->l->conf->manifest;
    size_t any = m->parts;

    for (size_t at = o->next; at < m->parts; at++) {
        if (!in_turn(o, o->v[at].index))
            continue;
        if (!is_busy(o, &m->part[o->v[at].index]))
            return at;
        any = MIN(any, at);
    }
    return any;
}

bool
load_order_take(struct load_order *o, size_t *part)
{
    const struct manifest *m = o->l->conf->manifest;
    size_t at = find(o);
    struct pool_work found;

    if (at == m->parts)
        return false;
    found = o->v[at];
    memmove(&o->v[o->next + 1], &o->v[o->next], (at - o->next) * sizeof found);
    o->v[o->next++] = found;
    set_busy(o, &m->part[found.index], 1);
    *part = found.index;
    return true;
}

void
load_order_done(struct load_order *o, const struct manifest_part *p, bool ok)
{
    o->in[p - o->l->conf->manifest->part] = ok;
    set_busy(o, p, -1);
}
