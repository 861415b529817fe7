/*
 * catalog_ends.c -- the ends of segments: read as they stand, from indexes or
 * from the objects, and then told to be authentic, before anything in them is
 * looked at.
 *
 * What tells that is the link in the header of the next one, if that is
 * authentic; or their own signatures.  So for a log that is in one piece it is
 * the newest one's signature, and a digest for each of the others.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/stop.h"
#include "repo_file.h"

/* So many at a time are a worker's; they come from a vault together. */
#define CHUNK STORE_PREFETCH_MAX
/* What hides a vault's latency; its connections are as many. */
#define VAULT_JOBS 4
/* Indexes, while others are used for the listing. */
#define INDEX_JOBS 2
#define INDEX_CHUNK 48
/* An object of this size is read as a whole. */
#define SMALL ((uint64_t)96 << 10)

struct ends {
    struct repo *r;
    struct index_list *index;
    struct found *v;
    size_t n;
    size_t *todo; /* numbers of v, or of indexes */
    size_t todos, chunk;
    int (*each)(struct ends *w, size_t i);
    const char *(*name)(struct ends *w, size_t i); /* to be read; NULL: none */
    atomic_size_t next;
};

void
found_free(struct found *f)
{
    seal_ends_free(&f->ends);
    seal_mark_free(&f->mark);
    segment_info_free(&f->info);
    err_saved_free(f->fault);
    *f = (struct found){0};
}

/* --- many at once --- */

static void
prefetch(struct ends *w, size_t from, size_t n)
{
    const char *name[CHUNK];

    for (size_t i = 0; i < n; i++)
        name[i] = w->name(w, w->todo[from + i]);
    store_prefetch(w->r->store, name, n);
}

static int
worker(void *arg, unsigned index)
{
    struct ends *w = arg;
    size_t from;

    (void)index;
    while ((from = atomic_fetch_add(&w->next, w->chunk)) < w->todos) {
        size_t n = MIN(w->todos - from, w->chunk);

        if (stop_asked())
            return stop_error();
        if (w->name != NULL)
            prefetch(w, from, n);
        for (size_t i = from; i < from + n; i++)
            if (w->each(w, w->todo[i]) < 0) {
                atomic_store(&w->next, w->todos); /* the others end, too */
                return -1;
            }
    }
    return 0;
}

/* each(i) for all that are to be done, by so many threads, that many at a
 * time. */
static int
run_by(struct ends *w, int (*each)(struct ends *w, size_t i),
    const char *(*name)(struct ends *w, size_t i), unsigned jobs, size_t chunk)
{
    size_t chunks = (w->todos + chunk - 1) / chunk;

    w->each = each;
    w->name = name;
    w->chunk = chunk;
    atomic_init(&w->next, 0);
    if (chunks <= 1)
        return worker(w, 0);
    return pool_join(
        pool_start((unsigned)MIN(chunks, (size_t)jobs), worker, w));
}

static int
run(struct ends *w, int (*each)(struct ends *w, size_t i),
    const char *(*name)(struct ends *w, size_t i))
{
    unsigned jobs = w->r->local_path == NULL ? VAULT_JOBS : pool_cpus();
    size_t share = (w->todos + jobs - 1) / jobs;

    /* Of a vault less is not faster. */
    return run_by(w, each, name, jobs,
        w->r->local_path == NULL ? CHUNK
                                 : MIN(MAX(share, (size_t)4), (size_t)CHUNK));
}

/* --- from indexes --- */

static const char *
index_at(struct ends *w, size_t i)
{
    return w->index->v[i].name;
}

static int
load_index(struct ends *w, size_t i)
{
    struct index_listed *x = &w->index->v[i];

    x->loaded = true;
    if (index_load(w->r, x->name, x->size, &x->file) == 0)
        return 0;
    if (err_kind() != ERR_VERIFY)
        return -1;
    if (!store_is_gone(w->r->store, x->name))
        log_warn("%s; its segments are read one by one", err_text());
    err_clear();
    return 0;
}

static int
by_listed(const void *key, const void *at)
{
    const struct found *f = at;

    return strcmp(key, f->e->name);
}

/* Only what is listed with the length that its mark says.  Both are in order,
 * so it is mostly the one after the last: *at. */
static void
use_entry(struct ends *w, const struct index_entry *x, size_t *at)
{
    struct found *f = *at < w->n && by_listed(x->name, &w->v[*at]) == 0
        ? &w->v[*at]
        : bsearch(x->name, w->v, w->n, sizeof *f, by_listed);
    struct cur c;

    if (f != NULL)
        *at = (size_t)(f - w->v) + 1;
    if (f == NULL || f->read)
        return;
    c = cur_of(x->mark, x->mark_len);
    cur_bytes(&c, 6); /* type, flags, size */
    if (cur_u64(&c) != f->e->size - x->mark_len || c.bad)
        return;
    f->entry = x;
    f->read = true;
    memcpy(f->link, x->link, DIGEST_SIZE);
}

/* Those of segments of these numbers that were not read yet. */
static int
load_indexes(struct ends *w, uint64_t low, uint64_t high)
{
    bool vault = w->r->local_path == NULL;

    w->todos = 0;
    for (size_t i = w->index->n; i-- > 0;)
        if (!w->index->v[i].loaded && w->index->v[i].first <= high &&
            w->index->v[i].last >= low)
            w->todo[w->todos++] = i;
    return run_by(w, load_index, index_at, vault ? INDEX_JOBS : pool_cpus(),
        vault ? INDEX_CHUNK : 4);
}

int
catalog_indexes(struct repo *r, struct index_list *out)
{
    struct ends w = {.r = r, .index = out};
    uint64_t last = 0;
    int rc = index_list_load(r, out);

    for (size_t i = 0; i < out->n; i++)
        last = MAX(last, out->v[i].last);
    w.todo = xcalloc(out->n + 1, sizeof *w.todo);
    if (rc == 0)
        rc = load_indexes(&w, last - MIN(last, INDEX_AHEAD), last);
    free(w.todo);
    return rc;
}

static bool
is_missing(const struct index_list *l, uint64_t low, uint64_t high)
{
    for (size_t i = 0; i < l->n; i++)
        if (!l->v[i].loaded && l->v[i].first <= high && l->v[i].last >= low)
            return true;
    return false;
}

static int
read_indexes(struct ends *w)
{
    uint64_t low = w->v[0].seq, high = w->v[w->n - 1].seq;
    size_t at = 0;

    /* Some of a vault cost as much time as many. */
    if (is_missing(w->index, low, high) &&
        load_indexes(w, low - MIN(low, INDEX_AHEAD), high) < 0)
        return -1;
    for (size_t i = 0; i < w->index->n; i++) {
        const struct index_listed *x = &w->index->v[i];

        if (x->first > high || x->last < low)
            continue;
        for (size_t k = 0; k < x->file.n; k++)
            use_entry(w, &x->file.v[k], &at);
    }
    return 0;
}

/* Who looks at segments looks at lower ones next. */
static void
drop_indexes(struct ends *w)
{
    for (size_t i = 0; i < w->index->n; i++)
        if (w->index->v[i].first >= w->v[0].seq)
            index_file_free(&w->index->v[i].file);
}

/* --- from the objects --- */

static const char *
listed(struct ends *w, size_t i)
{
    return w->v[i].e->name;
}

/* The last bytes of the object, up to the length that it was listed with. */
static int
read_tail(struct repo *r, const struct store_entry *e, struct seal_ends *out)
{
    size_t n = (size_t)MIN(e->size, (uint64_t)SEAL_TAIL_MAX);
    struct source *src = store_get_from(r->store, e->name, e->size - n);
    uint8_t *tail = xmalloc(MAX(n, 1));
    int rc = src == NULL ? -1 : source_read_full(src, tail, n);

    if (rc == 0 && n > 0)
        rc = err_set(ERR_VERIFY, "%s is shorter than it was", e->name);
    if (rc >= 0)
        seal_ends_mark(tail, n, e->size, out);
    source_free(src);
    free(tail);
    return rc < 0 ? -1 : 0;
}

/* A small one in one piece. */
static int
read_both(struct repo *r, const struct store_entry *e, struct seal_ends *out)
{
    struct source *src = store_get(r->store, e->name), *all = NULL;
    uint8_t *p = NULL;
    size_t n = (size_t)e->size;
    int rc = src == NULL ? -1 : 0;

    if (rc == 0 && e->size <= SMALL) {
        p = xmalloc(MAX(n, 1));
        rc = source_read_full(src, p, n);
        if (rc == 0 && n > 0)
            rc = err_set(ERR_VERIFY, "%s is shorter than it was", e->name);
        all = rc < 0 ? NULL : source_of_memory(p, n);
    }
    if (rc >= 0)
        rc = seal_ends_header(all != NULL ? all : src, e->name, out);
    if (rc == 0 && all != NULL)
        seal_ends_mark(p, n, e->size, out);
    source_free(all);
    source_free(src);
    free(p);
    if (rc == 0 && p == NULL)
        rc = read_tail(r, e, out);
    return rc;
}

int
catalog_ends_read(
    struct repo *r, const struct store_entry *e, struct seal_ends *out)
{
    if (read_both(r, e, out) == 0)
        return 0;
    seal_ends_free(out);
    return -1;
}

static int
read_object(struct ends *w, size_t i)
{
    struct found *f = &w->v[i];

    if (catalog_ends_read(w->r, f->e, &f->ends) < 0) {
        if (err_kind() != ERR_VERIFY)
            return -1;
        f->fault = err_take();
        return 0;
    }
    f->read = true;
    segment_link(f->e->name, f->ends.header_digest, f->ends.note,
        f->ends.note_len, f->ends.mark_digest, f->link);
    return 0;
}

/* --- are they authentic? --- */

static const uint8_t *
note_link(const struct found *f)
{
    return f->entry != NULL
        ? segment_note_link(f->entry->note, f->entry->note_len)
        : segment_note_link(f->ends.note, f->ends.note_len);
}

/* Does that name and link, of what is above, stand for f?  Only where the same
 * one signs both. */
static bool
vouches(const struct repo *r, const char *name, const uint8_t *link,
    const struct found *f)
{
    return link != NULL && f->read && memcmp(link, f->link, DIGEST_SIZE) == 0 &&
        memcmp(repo_chain_signer(r->chain, name),
            repo_chain_signer(r->chain, f->e->name), 32) == 0;
}

static void
look_above(struct ends *w, const struct above *above)
{
    for (size_t i = 0; i + 1 < w->n; i++)
        if (w->v[i + 1].read)
            w->v[i].above = vouches(
                w->r, w->v[i + 1].e->name, note_link(&w->v[i + 1]), &w->v[i]);
    if (above->start != NULL && above->start->linked)
        w->v[w->n - 1].above = vouches(
            w->r, above->name, above->start->prev_link, &w->v[w->n - 1]);
}

/* What is in the notes, which are authentic. */
static int
take_start(struct found *f, const void *note, size_t n)
{
    uint32_t epoch;
    uint64_t seq, started;

    if (segment_name_parse(f->e->name, &epoch, &seq, &started) < 0)
        return -1;
    if (segment_start_parse(note, n, &f->info.start) < 0)
        return err_wrap("%s", f->e->name);
    if (f->info.start.epoch == epoch && f->info.start.seq == seq)
        return 0;
    return err_set(
        ERR_VERIFY, "%s: its header is of another segment", f->e->name);
}

/* A mark that is not good is judged when it is known what should be there. */
static int
take_object(struct repo *r, struct found *f, bool known)
{
    struct seal_expect want = repo_expect(r, SEAL_SEGMENT, f->e->name);
    const struct buf *mark = &f->ends.mark;
    struct seal_header h = {0};
    int rc = seal_ends_take(&f->ends, &want, known, &h);

    if (rc == 0)
        rc = take_start(f, h.meta.data, h.meta.len);
    if (rc == 0 && mark->len > 0) {
        int is = known
            ? seal_mark_known(mark->data, mark->len, f->e->size, &f->mark)
            : seal_tail_mark(mark->data, mark->len, f->e->size, &h, &f->mark);

        f->has_mark = known ? is == 0 : is > 0;
        if (is < 0)
            err_clear();
    }
    seal_header_free(&h);
    return rc;
}

/* What is not valid is told of when it is its turn. */
static void
take_state(struct found *f)
{
    const struct buf *note = &f->mark.meta;

    f->has_state = f->has_mark &&
        segment_state_parse(note->data, note->len, &f->info.state) == 0;
    f->info.state.marked_us = f->mark.made_us;
    if (f->has_mark && !f->has_state)
        err_clear();
}

/* known: by the link above; otherwise by its own signature. */
static int
take(struct repo *r, struct found *f, bool known)
{
    const struct index_entry *x = f->entry;
    int rc;

    if (x != NULL) {
        rc = take_start(f, x->note, x->note_len);
        if (rc == 0)
            rc = seal_mark_known(x->mark, x->mark_len, f->e->size, &f->mark);
        f->has_mark = rc == 0;
        f->info.indexed = true;
    } else {
        rc = take_object(r, f, known);
    }
    seal_ends_free(&f->ends);
    f->entry = NULL;
    f->known = rc == 0;
    f->checked = true;
    if (rc == 0) {
        f->info.name = xstrdup(f->e->name);
        memcpy(f->info.link, f->link, DIGEST_SIZE);
        take_state(f);
        return 0;
    }
    segment_start_free(&f->info.start);
    if (err_kind() != ERR_VERIFY)
        return -1;
    f->fault = err_take();
    return 0;
}

/* By its own signatures, which are in the object only. */
static int
check_own(struct ends *w, size_t i)
{
    struct found *f = &w->v[i];

    if (f->entry != NULL) {
        f->entry = NULL;
        f->read = false;
        if (read_object(w, i) < 0)
            return -1;
    }
    if (f->fault == NULL)
        return take(w->r, f, false);
    f->checked = true;
    return 0;
}

static int
take_known(struct ends *w, size_t i)
{
    return take(w->r, &w->v[i], true);
}

/* From the top down: whom an authentic one vouches for is authentic. */
static int
spread(struct ends *w, const struct above *above)
{
    bool known = above->start != NULL;

    w->todos = 0;
    for (size_t i = w->n; i-- > 0;) {
        struct found *f = &w->v[i];

        if (!f->checked && !(f->above && known) && check_own(w, i) < 0)
            return -1;
        known = f->checked ? f->known : true;
        if (!f->checked)
            w->todo[w->todos++] = i;
    }
    return run(w, take_known, NULL);
}

static void
select_those(struct ends *w, bool (*is)(const struct found *f))
{
    w->todos = 0;
    for (size_t i = w->n; i-- > 0;)
        if (is(&w->v[i]))
            w->todo[w->todos++] = i;
}

static bool
is_unread(const struct found *f)
{
    return !f->read && f->fault == NULL;
}

static bool
is_alone(const struct found *f)
{
    return !f->above && !f->checked;
}

int
catalog_ends(struct repo *r, struct index_list *index, bool all,
    const struct above *above, struct found *v, size_t n)
{
    struct ends w = {.r = r, .index = index, .v = v, .n = n};
    int rc = 0;

    if (n == 0)
        return 0;
    w.todo = xcalloc(MAX(n, index->n), sizeof *w.todo);
    if (!all)
        rc = read_indexes(&w);
    select_those(&w, is_unread);
    if (rc == 0)
        rc = run(&w, read_object, listed);
    if (rc == 0 && !all)
        look_above(&w, above);
    select_those(&w, is_alone);
    if (rc == 0)
        rc = run(&w, check_own, NULL);
    if (rc == 0)
        rc = spread(&w, above);
    drop_indexes(&w);
    free(w.todo);
    return rc;
}
