/*
 * index_update.c -- indexes of the log, written when enough segments have been
 * closed; of older ones too, where there are none yet.
 *
 * Only what a later header vouches for goes in, so from the newest back; what
 * was written before links had all that they need is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "catalog_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"

struct made {
    struct repo *r;
    struct index_entry *v; /* the newest first */
    uint64_t *seq;
    size_t n, cap, cap_seq;
};

static void
made_free(struct made *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->v[i].name);
        free((void *)m->v[i].note);
        free((void *)m->v[i].mark);
    }
    free(m->v);
    free(m->seq);
}

static void
add(struct made *m, const struct store_entry *e, uint64_t seq,
    const struct seal_ends *x)
{
    struct index_entry one = {.name = xstrdup(e->name),
        .note = xmemdup(x->note, MAX(x->note_len, 1)),
        .note_len = x->note_len,
        .mark = xmemdup(x->mark.data, x->mark.len),
        .mark_len = x->mark.len};

    memcpy(one.header, x->header_digest, DIGEST_SIZE);
    m->v = xgrow(m->v, m->n, &m->cap, sizeof *m->v);
    m->seq = xgrow(m->seq, m->n, &m->cap_seq, sizeof *m->seq);
    m->seq[m->n] = seq;
    m->v[m->n++] = one;
}

/* What the link of the one after it stands for is added, and its own is the
 * next one.  1; 0 where it has none; -1. */
static int
look(struct made *m, const struct store_entry *e, uint64_t seq, bool *newest,
    uint8_t link[DIGEST_SIZE])
{
    struct seal_ends x = {0};
    const uint8_t *before;
    uint8_t is[DIGEST_SIZE];
    int rc = 1;

    if (catalog_ends_read(m->r, e, &x) < 0) {
        if (err_kind() != ERR_VERIFY)
            return -1;
        err_clear(); /* aborted, or damaged: not for us to tell */
        return 1;
    }
    segment_link(
        e->name, x.header_digest, x.note, x.note_len, x.mark_digest, is);
    before = segment_note_link(x.note, x.note_len);
    if (*newest || memcmp(is, link, DIGEST_SIZE) == 0) {
        if (!*newest)
            add(m, e, seq, &x);
        *newest = false;
        rc = before != NULL;
        if (rc > 0)
            memcpy(link, before, DIGEST_SIZE);
    }
    seal_ends_free(&x);
    return rc;
}

/* All after `from`, from the newest back. */
static int
look_all(struct made *m, const struct store_list *l, uint64_t from)
{
    uint8_t link[DIGEST_SIZE];
    bool newest = true;
    int rc = 1;

    for (size_t i = l->n; i-- > 0 && rc > 0;) {
        uint32_t epoch;
        uint64_t seq, us;

        if (segment_name_parse(l->v[i].name, &epoch, &seq, &us) < 0) {
            err_clear();
            continue;
        }
        if (seq <= from)
            break;
        if (stop_asked())
            return stop_error();
        rc = look(m, &l->v[i], seq, &newest, link);
    }
    return rc < 0 ? -1 : 0;
}

/* n entries up to number `end` of m, which are in it backwards. */
static int
write_one(struct made *m, size_t end, size_t n)
{
    struct index_entry *v = xcalloc(n, sizeof *v);
    char *name = index_name(m->seq[end], m->seq[end - n + 1]);
    struct buf b = {0};
    struct sink *sink;
    int rc = -1;

    for (size_t i = 0; i < n; i++)
        v[i] = m->v[end - i];
    index_format(m->r, name, v, n, &b);
    if (b.len > INDEX_MAX) {
        log_debug("%s would be too large", name);
        rc = 0;
    }
    sink = rc == 0 ? NULL : store_put(m->r->store, name, STORE_ATOMIC);
    if (sink != NULL && sink_write(sink, b.data, b.len) == 0)
        rc = sink_finish(sink);
    sink_free(sink);
    buf_free(&b);
    free(name);
    free(v);
    return rc;
}

static uint64_t
newest_seq(const struct store_list *l)
{
    uint64_t seq = 0, us;
    uint32_t epoch;

    for (size_t i = l->n; i-- > 0 && seq == 0;)
        if (segment_name_parse(l->v[i].name, &epoch, &seq, &us) < 0) {
            err_clear();
            seq = 0;
        }
    return seq;
}

int
index_update(struct repo *r, size_t each, uint64_t *due)
{
    struct made m = {.r = r};
    struct index_list list = {0};
    struct store_list l = {0};
    uint64_t from = 0;
    size_t left = 0;
    int rc = index_list_load(r, &list);

    for (size_t i = 0; i < list.n; i++)
        from = MAX(from, list.v[i].last);
    if (rc == 0)
        rc = store_list(r->store, "binlog/", true, &l);
    if (rc == 0)
        rc = look_all(&m, &l, from);
    for (left = m.n; rc == 0 && left >= each; left -= each)
        rc = write_one(&m, left - 1, each);
    *due = newest_seq(&l) + each - left % each;
    store_list_free(&l);
    index_list_free(&list);
    made_free(&m);
    return rc;
}

int
segment_index_update(struct repo *r, uint64_t *due)
{
    return index_update(r, INDEX_SEGMENTS, due);
}
