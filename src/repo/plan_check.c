/*
 * plan_check.c -- is the log of a plan there, as the catalogue has it?
 *
 * The catalogue may be from indexes.  Before a target is touched, the headers
 * and the marks of the segments themselves are looked at, so that what was
 * removed, cut, exchanged or changed there is found then; what is inside of
 * their frames, when they are read.
 */
#include <stdlib.h>
#include <string.h>

#include "catalog_priv.h"
#include "pitr/mem.h"

#define WINDOW ((size_t)4096)

static int
another(const struct segment_info *s)
{
    return err_set(
        ERR_VERIFY, "%s is not what the log says that it is", s->name);
}

/* Up to the mark where it ends for the catalogue, from the front. */
static int
scan(struct repo *r, const struct segment_info *s)
{
    struct seal_expect want = repo_expect(r, SEAL_SEGMENT, s->name);
    struct source *src = store_get(r->store, s->name);
    struct seal_mark m = {0};
    int rc = src == NULL ? -1 : seal_scan(src, &want, s->size, false, NULL, &m);

    if (rc >= 0)
        rc = memcmp(m.digest, s->digest, DIGEST_SIZE) == 0 ? 0 : another(s);
    seal_mark_free(&m);
    source_free(src);
    return rc;
}

static int
check_one(struct repo *r, struct found *f, const struct segment_info *s)
{
    if (f->fault != NULL) {
        err_put(f->fault);
        f->fault = NULL;
        return -1;
    }
    if (!f->has_mark)
        return scan(r, s);
    return memcmp(f->info.link, s->link, DIGEST_SIZE) == 0 ? 0 : another(s);
}

static int
check_window(struct repo *r, const struct catalog *c, size_t first, size_t n)
{
    const struct segment_info *s = &c->segment[first], *next = s + n;
    struct store_entry *e = xcalloc(n, sizeof *e);
    struct found *v = xcalloc(n, sizeof *v);
    struct index_list none = {0};
    struct above above = {0};
    int rc;

    for (size_t i = 0; i < n; i++) {
        e[i] = (struct store_entry){.name = s[i].name, .size = s[i].size};
        v[i].e = &e[i];
        v[i].seq = s[i].start.seq;
    }
    if (first + n < c->segments && next->broken == NULL)
        above = (struct above){next->name, &next->start};
    rc = catalog_ends(r, &none, false, &above, v, n);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = check_one(r, &v[i], &s[i]);
    for (size_t i = 0; i < n; i++)
        found_free(&v[i]);
    free(v);
    free(e);
    return rc;
}

/* What was read from the objects needs no second look. */
static bool
is_from_index(const struct catalog *c, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++)
        if (c->segment[i].indexed)
            return true;
    return false;
}

int
plan_check(
    struct repo *r, const struct catalog *c, const struct plan *p, size_t n)
{
    int rc = 0;

    for (size_t left = MIN(n, p->segments); left > 0 && rc == 0;) {
        size_t some = MIN(left, WINDOW);

        left -= some;
        if (is_from_index(c, p->first_segment + left, some))
            rc = check_window(r, c, p->first_segment + left, some);
    }
    return rc;
}
