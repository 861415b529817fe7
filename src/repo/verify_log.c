/*
 * verify_log.c -- the archived log: the chain, each segment of it, and what
 * lies beside it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log_index.h"
#include "pitr/catalog.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/progress.h"
#include "pitr/stop.h"
#include "verify_priv.h"

#define LOOK_EVENTS 4096 /* how often a stop is looked for */

struct counts {
    uint64_t events, groups;
};

/* Every event: its CRC, its place in its transaction; the reader compares the
 * end with the mark. */
static int
read_events(struct verify *v, const struct segment_info *s, struct counts *n)
{
    struct segment_reader *r = segment_open(v->repo, s, v->conf->key);
    struct event e;
    int step, rc = -1;

    while (r != NULL && (rc = segment_read(r, &e, &step)) > 0) {
        n->groups += step == GROUP_END;
        if (++n->events % LOOK_EVENTS == 0 && stop_asked()) {
            rc = stop_error();
            break;
        }
    }
    segment_reader_free(r);
    return rc;
}

static int
verify_segment(struct verify *v, void *arg, size_t i)
{
    struct catalog *c = arg;
    const struct segment_info *s = &c->segment[i];
    uint8_t digest[DIGEST_SIZE];
    struct counts n = {0};
    int rc;

    if (!v->conf->all && verify_was_good(v, s->name, s->size, s->digest)) {
        pthread_mutex_lock(&v->lock);
        v->report->unchanged++;
        pthread_mutex_unlock(&v->lock);
        return 0;
    }
    rc = v->conf->key != NULL ? read_events(v, s, &n)
                              : verify_scan(v, SEAL_SEGMENT, s->name,
                                    s->closed ? 0 : s->size, s->digest, digest);
    if (rc == 0) {
        verify_good(v, s->name, s->size, s->digest, v->level);
        pthread_mutex_lock(&v->lock);
        v->report->events += n.events;
        v->report->transactions += n.groups;
        pthread_mutex_unlock(&v->lock);
        return 0;
    }
    return verify_is_gone(v, s->name) ? 0 : verify_fault(v, s->name);
}

/* --- when the chain is broken: what of each segment counts by itself --- */

/* 1, 0 where it counts as nothing, -1. */
static int
info_of(struct verify *v, const char *name, struct segment_info *out)
{
    struct seal_expect want = repo_expect(v->repo, SEAL_SEGMENT, name);
    struct source *src = store_get(v->repo->store, name);
    struct seal_header h = {0};
    struct seal_mark m = {0};
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (src == NULL || (rc = seal_scan(src, &want, 0, false, &h, &m)) < 1)
        goto out;
    out->name = xstrdup(name);
    out->size = m.offset + m.size;
    out->closed = m.final;
    memcpy(out->digest, m.digest, DIGEST_SIZE);
    segment_link_of(&h, &m, out->link);
    if (segment_start_parse(h.meta.data, h.meta.len, &out->start) < 0 ||
        segment_state_parse(m.meta.data, m.meta.len, &out->state) < 0) {
        rc = err_wrap("%s", name);
        segment_info_free(out);
    }
    out->state.marked_us = m.made_us;

out:
    source_free(src);
    seal_header_free(&h);
    seal_mark_free(&m);
    return rc;
}

/* Is it as the next one's link says, if that names it? */
static bool
fits_link(const struct segment_info *s, const struct segment_start *next)
{
    return strcmp(next->prev_name, s->name) != 0 ||
        (next->prev_size == s->size &&
            memcmp(next->prev_digest, s->digest, DIGEST_SIZE) == 0 &&
            (!next->linked ||
                memcmp(next->prev_link, s->link, DIGEST_SIZE) == 0));
}

static bool
is_listed(const struct store_entry *e, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(e[i].name, name) == 0)
            return true;
    return false;
}

/* Name what the links do not find; the damaged are left out. */
static void
check_links(
    struct verify *v, const struct store_entry *e, size_t n, struct catalog *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->segments; i++) {
        const struct segment_start *s = &c->segment[i].start;

        if (i > 0 && !is_listed(e, n, s->prev_name))
            verify_found(v, VERIFY_DAMAGED, s->prev_name, "it is missing");
    }
    for (size_t i = 0; i < c->segments; i++) {
        bool last = i + 1 == c->segments;

        if (last || fits_link(&c->segment[i], &c->segment[i + 1].start)) {
            c->segment[kept++] = c->segment[i];
            continue;
        }
        verify_found(v, VERIFY_DAMAGED, c->segment[i].name,
            "it is not what the next one says that it was: it was cut, or "
            "changed");
        segment_info_free(&c->segment[i]);
    }
    c->segments = kept;
}

static int
load_each(
    struct verify *v, const struct store_entry *e, size_t n, struct catalog *c)
{
    c->segment = xcalloc(n + 1, sizeof *c->segment);
    for (size_t i = 0; i < n; i++) {
        int rc = info_of(v, e[i].name, &c->segment[c->segments]);

        if (rc > 0)
            c->segments++;
        else if (rc < 0 && !verify_is_gone(v, e[i].name) &&
            verify_fault(v, e[i].name) < 0)
            return -1;
    }
    check_links(v, e, n, c);
    return 0;
}

/* --- what is in the folder and not in the chain --- */

static bool
in_chain(const struct catalog *c, const char *name)
{
    for (size_t i = 0; i < c->segments; i++)
        if (strcmp(c->segment[i].name, name) == 0)
            return true;
    return false;
}

/* 1 where its writer got no further than its header, 0, -1. */
static int
is_begun(struct verify *v, const char *name)
{
    struct source *src = store_get(v->repo->store, name);
    struct buf b = {0};
    int rc = -1;

    if (src == NULL)
        return -1;
    if (source_slurp(src, SEAL_HEADER_MAX, &b) == 0)
        rc = seal_is_begun(b.data, b.len);
    source_free(src);
    buf_free(&b);
    return rc;
}

/*
 * The listing is older than the catalogue.  What is newer than the chain and
 * cannot be read is either damaged, or its writer died in the moment of
 * creating it; it is surely that where not even its header is whole, for
 * nothing of it was durable then.
 */
static int
beside_chain(
    struct verify *v, const struct catalog *c, const struct store_entry *e)
{
    struct segment_info s;
    uint32_t epoch;
    uint64_t seq, us, size = 0;
    bool newest, begun = false;
    int rc;

    if (segment_name_parse(e->name, &epoch, &seq, &us) < 0) {
        err_clear();
        verify_found(v, VERIFY_NOTHING, e->name, "it is no segment of the log");
        return 0;
    }
    newest = c->segments == 0 || seq > c->segment[c->segments - 1].start.seq;
    if (store_stat(v->repo->store, e->name, &size) < 0)
        return -1;
    rc = info_of(v, e->name, &s);
    if (rc > 0)
        segment_info_free(&s);
    if (rc < 0 && newest && size > 0 && err_kind() == ERR_VERIFY &&
        size <= SEAL_HEADER_MAX) {
        struct err_saved *why = err_take();

        rc = is_begun(v, e->name);
        begun = rc > 0;
        if (rc == 0)
            rc = err_put(why);
        else
            err_saved_free(why);
    }
    if (rc < 0 && newest && size > 0)
        return verify_fault(v, e->name);
    if (rc < 0 && err_kind() != ERR_VERIFY)
        return -1;
    err_clear();
    if ((rc <= 0 || begun) && size > 0)
        verify_found(v, VERIFY_NOTHING, e->name,
            newest ? "it was begun and never written"
                   : "the log goes on around it");
    return 0;
}

static void
tell_gaps(struct verify *v, const struct catalog *c)
{
    for (size_t i = 0; i < c->segments; i++)
        /* Before a gap that is the oldest of all nothing is left. */
        if ((i > 0 || c->segment[i].start.cause == SEGMENT_FIRST) &&
            segment_is_gap(&c->segment[i].start))
            verify_found(v, VERIFY_GAP, c->segment[i].name, "%s",
                c->segment[i].start.why);
}

/* Does it say of the segments what they say? */
static void
compare_index(struct verify *v, const struct catalog *c,
    const struct store_entry *e, const struct index_file *f)
{
    size_t k = 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct index_entry *x = &f->v[i];

        while (k < c->segments && strcmp(c->segment[k].name, x->name) < 0)
            k++;
        if (k == c->segments || strcmp(c->segment[k].name, x->name) != 0 ||
            memcmp(c->segment[k].link, x->link, DIGEST_SIZE) == 0)
            continue; /* the same; or it has expired */
        verify_found(v, VERIFY_DAMAGED, e->name,
            "what it says of %s is not what that says", x->name);
        return;
    }
    verify_good(v, e->name, e->size, NULL, VERIFY_SIGNATURES);
}

/* c NULL: the log is damaged, and there is nothing to compare with. */
static int
verify_indexes(
    struct verify *v, const struct catalog *c, const struct store_list *all)
{
    struct index_file f;
    uint64_t first, last;
    int rc = 0;

    for (size_t i = 0; i < all->n && rc == 0; i++) {
        const struct store_entry *e = &all->v[i];

        if (!index_name_parse(e->name, &first, &last))
            continue;
        if (index_load(v->repo, e->name, e->size, &f) == 0) {
            if (c != NULL)
                compare_index(v, c, e, &f);
            index_file_free(&f);
        } else if (!verify_is_gone(v, e->name)) {
            rc = verify_fault(v, e->name);
        }
    }
    return rc;
}

int
verify_log(struct verify *v, const struct store_list *all)
{
    struct catalog *c = xcalloc(1, sizeof *c);
    const struct store_entry *e = NULL;
    size_t n = 0, damaged = verify_count(v->report, VERIFY_DAMAGED);
    bool whole;
    int rc = 0;

    for (size_t i = 0; i < all->n; i++)
        if (strncmp(all->v[i].name, "binlog/", 7) == 0) {
            e = e == NULL ? &all->v[i] : e;
            n++;
        }
    c->signatures = true;
    whole = catalog_load_log(v->repo, c) == 0;
    if (!whole && verify_fault(v, "binlog/") < 0) {
        catalog_free(c);
        return -1;
    }
    whole = whole && c->breaks == 0;
    for (size_t i = 0; i < c->segments; i++)
        if (c->segment[i].broken != NULL)
            verify_found(v, VERIFY_DAMAGED, "binlog/", "the log is broken: %s",
                c->segment[i].broken);
    if (!whole) {
        catalog_free(c);
        c = xcalloc(1, sizeof *c);
        rc = load_each(v, e, n, c);
    }
    v->report->segments = c->segments;
    tell_gaps(v, c);
    if (rc == 0)
        rc = verify_each(v, c->segments, verify_segment, c);
    for (size_t i = 0; i < n && rc == 0 && whole; i++)
        if (!in_chain(c, e[i].name))
            rc = beside_chain(v, c, &e[i]);
    v->report->log_damaged = verify_count(v->report, VERIFY_DAMAGED) > damaged;
    if (rc == 0)
        rc = verify_indexes(v, whole ? c : NULL, all);
    if (rc == 0 && verify_count(v->report, VERIFY_DAMAGED) == 0)
        v->report->catalog = c;
    else
        catalog_free(c);
    return rc;
}
