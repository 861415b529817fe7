/*
 * manifest_check.c -- is all of a backup there, as its manifest lists it?
 *
 * A look from outside, which reads no content: sizes, headers, and final marks
 * with the digests in them.  It is made before a target is touched, so that
 * what was removed, exchanged, cut or is of another backup is found then.  A
 * byte that was changed inside of a part is found when that part is read.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/manifest.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/stop.h"

struct check {
    struct repo *r;
    const struct manifest *m;
    const char *schema;
    struct store_list there;
    atomic_size_t next;
    atomic_bool failed;
};

static const struct store_entry *
find(const struct check *c, const char *name)
{
    size_t lo = 0, hi = c->there.n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(c->there.v[mid].name, name);

        if (order == 0)
            return &c->there.v[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static int
check_object(struct check *c, enum seal_kind kind, const char *name,
    uint64_t size, const uint8_t digest[DIGEST_SIZE])
{
    const struct store_entry *e = find(c, name);
    struct seal_header h = {0};
    struct seal_mark m = {0};
    int rc;

    if (e == NULL) {
        err_set(ERR_VERIFY, "%s is missing", name);
        return err_hint("Take it from another copy of the repository, or "
                        "begin with another backup: --backup ID.");
    }
    if (e->size != size)
        return err_set(ERR_VERIFY,
            "%s has %" PRIu64 " bytes, its manifest says %" PRIu64, name,
            e->size, size);
    if ((rc = repo_peek(c->r, kind, name, &h, &m)) < 0)
        return -1;
    if (rc == 0)
        rc = err_set(ERR_VERIFY, "%s is not complete", name);
    else if (memcmp(m.digest, digest, DIGEST_SIZE) != 0)
        rc = err_set(
            ERR_VERIFY, "%s is another object than its manifest lists", name);
    seal_mark_free(&m);
    seal_header_free(&h);
    return rc < 0 ? -1 : 0;
}

static int
check_work(void *arg, unsigned index)
{
    struct check *c = arg;

    (void)index;
    while (!atomic_load(&c->failed)) {
        size_t i = atomic_fetch_add(&c->next, 1);
        const struct manifest_part *p = i == 0 ? NULL : &c->m->part[i - 1];
        int rc;

        if (i > c->m->parts)
            break;
        if (stop_asked())
            rc = stop_error();
        else
            rc = p == NULL
                ? check_object(c, SEAL_SCHEMA, c->schema, c->m->schema_size,
                      c->m->schema_digest)
                : check_object(c, SEAL_ROWS, p->name, p->size, p->digest);
        if (rc < 0) {
            atomic_store(&c->failed, true);
            return -1;
        }
    }
    return 0;
}

int
manifest_check(struct repo *r, const struct manifest *m, unsigned jobs)
{
    char *folder = xasprintf("backup/%s/", m->info.id);
    char *schema = xasprintf("%sschema", folder);
    struct check c = {.r = r, .m = m, .schema = schema};
    unsigned threads = (unsigned)MIN((size_t)MAX(jobs, 1u), m->parts + 1);
    int rc = store_list(r->store, folder, false, &c.there);

    atomic_init(&c.next, 0);
    atomic_init(&c.failed, false);
    if (rc == 0)
        rc = pool_join(pool_start(threads, check_work, &c));
    if (rc < 0)
        err_wrap("backup %s", m->info.id);
    store_list_free(&c.there);
    free(folder);
    free(schema);
    return rc;
}
