/*
 * catalog_starts.c -- the headers of all segments, and their final marks.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_priv.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/stop.h"

/* So many at a time are a worker's; they come from a vault together. */
#define CHUNK STORE_PREFETCH_MAX
/* What hides a vault's latency; its connections are as many. */
#define VAULT_JOBS 4

struct starts {
    struct repo *r;
    const struct store_list *l;
    struct found *all;
    atomic_size_t next;
};

void
found_free(struct found *f)
{
    seal_mark_free(&f->mark);
    segment_info_free(&f->info);
    err_saved_free(f->fault);
    *f = (struct found){0};
}

/*
 * The header, and the final mark where there is a good one: both at once, since
 * either is a round trip to a vault.  A mark that is not good is looked at once
 * more, and judged, when it is known what should be there.
 */
static int
peek(struct repo *r, const char *name, struct seal_header *h, struct found *f)
{
    int rc = repo_peek(r, SEAL_SEGMENT, name, h, &f->mark);

    f->has_mark = rc > 0;
    if (rc >= 0)
        return 0;
    if (err_kind() != ERR_VERIFY)
        return -1;
    err_clear();
    return repo_peek(r, SEAL_SEGMENT, name, h, NULL) < 0 ? -1 : 0;
}

static int
read_start(struct repo *r, const struct store_entry *e, struct found *f)
{
    struct seal_header h = {0};
    uint32_t epoch;
    uint64_t seq, started;
    int rc;

    memset(f, 0, sizeof *f);
    if (segment_name_parse(e->name, &epoch, &seq, &started) < 0 ||
        peek(r, e->name, &h, f) < 0)
        return -1;
    rc = segment_start_parse(h.meta.data, h.meta.len, &f->info.start);
    seal_header_free(&h);
    if (rc == 0 && (f->info.start.epoch != epoch || f->info.start.seq != seq)) {
        segment_start_free(&f->info.start);
        rc = err_set(ERR_VERIFY, "its header is of another segment");
    }
    if (rc < 0) {
        seal_mark_free(&f->mark);
        return err_wrap("%s", e->name);
    }
    f->info.name = xstrdup(e->name);
    return 0;
}

static void
prefetch(struct starts *s, size_t from, size_t n)
{
    const char *name[CHUNK];

    for (size_t i = 0; i < n; i++)
        name[i] = s->l->v[from + i].name;
    store_prefetch(s->r->store, name, n);
}

static int
starts_work(void *arg, unsigned index)
{
    struct starts *s = arg;
    size_t from;

    (void)index;
    while ((from = atomic_fetch_add(&s->next, (size_t)CHUNK)) < s->l->n) {
        size_t n = MIN(s->l->n - from, (size_t)CHUNK);

        if (stop_asked())
            return stop_error();
        prefetch(s, from, n);
        for (size_t i = from; i < from + n; i++) {
            if (read_start(s->r, &s->l->v[i], &s->all[i]) == 0)
                continue;
            s->all[i] = (struct found){0};
            if (err_kind() != ERR_VERIFY) {
                atomic_store(&s->next, s->l->n); /* the others end, too */
                return -1;
            }
            s->all[i].fault = err_take();
        }
    }
    return 0;
}

int
catalog_starts(struct repo *r, const struct store_list *l, struct found *all)
{
    struct starts s = {.r = r, .l = l, .all = all};
    size_t chunks = (l->n + CHUNK - 1) / CHUNK;
    unsigned jobs = r->local_path == NULL ? VAULT_JOBS : pool_cpus();

    atomic_init(&s.next, 0);
    if (chunks <= 1)
        return starts_work(&s, 0);
    return pool_join(
        pool_start((unsigned)MIN(chunks, (size_t)jobs), starts_work, &s));
}
