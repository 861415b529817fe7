/*
 * catalog_log.c -- the log: the chain of segments with every link checked, from
 * the newest back.  What is damaged breaks it in two; it does not keep the rest
 * from being used.
 */
#include <stdlib.h>
#include <string.h>

#include "catalog_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "repo_file.h"

/* So many are looked at together: what they take is let go before the next. */
#define WINDOW ((size_t)8192)
/* How often all is read where the log grows while it is listed. */
#define LOOKS 4

/*
 * Does the next one's link pass over this one?  Then it counted as nothing when
 * the log was gone on with: its writer had died, or it could not be read.
 */
static bool
is_passed_over(const char *name, uint64_t seq, const struct segment_start *next)
{
    uint32_t epoch;
    uint64_t linked, us;

    if (next == NULL || strcmp(next->prev_name, name) == 0)
        return false;
    if (next->cause == SEGMENT_FIRST)
        return true;
    if (segment_name_parse(next->prev_name, &epoch, &linked, &us) == 0)
        return linked <= seq; /* the same number: of another writer */
    err_clear();
    return false;
}

/* err says why what is before next is not what its link names. */
static int
break_at(struct segment_info *next)
{
    if (err_kind() != ERR_VERIFY)
        return -1;
    if (next->broken == NULL)
        next->broken = xstrdup(err_text());
    err_clear();
    return 0;
}

/*
 * An object that cannot be read, err says why.  It counts as nothing: the
 * newest, of which nothing is known, or one that was passed over; or it is
 * damage.
 */
static int
unreadable(const struct store_entry *e, struct segment_info *next)
{
    if (err_kind() != ERR_VERIFY)
        return -1;
    if (next == NULL) {
        if (e->size > 0) /* else it was only just begun */
            log_warn("%s; it is the newest, and counts as nothing", err_text());
        err_clear();
        return 0;
    }
    if (strcmp(next->start.prev_name, e->name) == 0)
        return break_at(next);
    err_clear();
    log_debug("%s is not of the log: passed over", e->name);
    return 0;
}

/*
 * What of a segment counts: up to its final mark; or up to the mark that the
 * next one's link names; or, of the last one, up to its last good mark.  1; 0
 * if it has none (aborted, see segment.h); -1.
 */
static int
read_end(struct repo *r, struct found *all, uint64_t limit)
{
    struct segment_info *f = &all->info;
    struct seal_expect want = repo_expect(r, SEAL_SEGMENT, f->name);
    struct seal_header h = {0};
    struct seal_mark mark = all->mark; /* taken */
    struct source *src;
    bool has_state = all->has_state;
    int rc = all->has_mark;

    all->has_mark = all->has_state = false;
    all->mark = (struct seal_mark){0};
    if (rc > 0 &&
        (limit == 0 ? !mark.final : mark.offset + mark.size != limit)) {
        seal_mark_free(&mark); /* more was added than counts */
        segment_state_free(&f->state);
        has_state = false;
        rc = 0;
    }
    f->closed = rc > 0 && mark.final;
    if (rc == 0) { /* look for the mark from the front */
        src = store_get(r->store, f->name);
        rc = src == NULL ? -1 : seal_scan(src, &want, limit, false, &h, &mark);
        source_free(src);
        if (rc > 0)
            segment_link_of(&h, &mark, f->link);
        seal_header_free(&h);
    }
    if (rc > 0) {
        f->size = mark.offset + mark.size;
        memcpy(f->digest, mark.digest, DIGEST_SIZE);
        if (!has_state &&
            segment_state_parse(mark.meta.data, mark.meta.len, &f->state) < 0)
            rc = err_wrap("%s", f->name);
        f->state.marked_us = mark.made_us;
        seal_mark_free(&mark);
    }
    return rc;
}

/* Does b's link name a, as long and with the digest that a has?  NULL, or why
 * not. */
static const char *
link_fault(const struct segment_info *a, const struct segment_info *b)
{
    const struct segment_start *s = &b->start;

    if (s->prev_name == NULL || strcmp(s->prev_name, a->name) != 0)
        return "a segment between them is missing";
    if (s->prev_size != a->size)
        return "the first was cut short or has bytes added";
    if (memcmp(s->prev_digest, a->digest, DIGEST_SIZE) != 0 ||
        (s->linked && memcmp(s->prev_link, a->link, DIGEST_SIZE) != 0))
        return "the first is not what was written";
    if (s->cause == SEGMENT_NEXT &&
        (s->epoch != a->start.epoch ||
            !gtid_pos_equal(&s->gtid, &a->state.gtid)))
        return "their GTID positions do not meet";
    if (s->seq <= a->start.seq)
        return "their numbers are out of order";
    return NULL;
}

static void
check_link(const struct segment_info *a, struct segment_info *b)
{
    const char *fault = link_fault(a, b);

    if (fault != NULL && b->broken == NULL)
        b->broken = xasprintf("between %s and %s: %s", a->name, b->name, fault);
}

/*
 * One that another links to, and that does not have what the link says; err
 * says why.  What it does have up to its last good mark still counts, before
 * the break.
 */
static int
read_damaged(struct repo *r, struct found *f, struct segment_info *next)
{
    int rc = break_at(next);

    if (rc == 0)
        rc = read_end(r, f, 0);
    if (rc < 0 && err_kind() == ERR_VERIFY) {
        err_clear();
        rc = 0;
    }
    return rc;
}

/* 1 if it counts, 0 if not, -1. */
static int
read_counted(struct repo *r, struct found *all, struct segment_info *next)
{
    struct segment_info *f = &all->info;
    const struct segment_start *link = next == NULL ? NULL : &next->start;
    bool linked = next != NULL && strcmp(link->prev_name, f->name) == 0;
    const struct repo_file *end = repo_chain_log(r->chain, f->name);
    int rc;

    if (is_passed_over(f->name, f->start.seq, link)) {
        log_debug("%s counts as nothing: the log goes on around it", f->name);
        return 0;
    }
    rc = read_end(r, all,
        linked            ? link->prev_size
            : end == NULL ? 0
                          : end->log_size);
    if (rc > 0 && end != NULL &&
        memcmp(f->digest, end->log_digest, DIGEST_SIZE) != 0) {
        segment_state_free(&f->state);
        rc = err_set(ERR_VERIFY,
            "%s is another object than was there when its signer was replaced",
            f->name);
    }
    if (rc == 0)
        log_debug("%s was begun and never written: passed over", f->name);
    if (rc >= 0 || err_kind() != ERR_VERIFY)
        return rc;
    if (linked)
        return read_damaged(r, all, next);
    log_warn("%s; it is the newest, and counts as nothing", err_text());
    err_clear();
    return 0;
}

/*
 * What counts of a window, from the newest back, since a link tells where the
 * one before it ends.  It is put into the catalogue, the newest first.
 */
static int
judge(struct repo *r, struct found *v, size_t n, struct catalog *c)
{
    int rc = 0;

    for (size_t i = n; i-- > 0 && rc >= 0;) {
        struct segment_info *next =
            c->segments == 0 ? NULL : &c->segment[c->segments - 1];
        bool named = false;

        if (v[i].fault != NULL) {
            err_put(v[i].fault);
            v[i].fault = NULL;
            rc = unreadable(v[i].e, next);
            continue;
        }
        rc = read_counted(r, &v[i], next);
        /* The header of one whose end is damaged still tells its link. */
        named = rc == 0 && next != NULL && next->broken != NULL &&
            strcmp(next->start.prev_name, v[i].info.name) == 0;
        if (rc > 0 || named) {
            c->segment[c->segments] = v[i].info; /* moved */
            c->segment[c->segments++].uncounted = named;
            v[i].info = (struct segment_info){0};
        }
    }
    return rc < 0 ? -1 : 0;
}

/* As its name says. */
struct named {
    const struct store_entry *e;
    uint64_t seq;
    bool is;
};

/* By their numbers; what has the name of none stays where it is. */
static int
by_seq(const void *a, const void *b)
{
    const struct named *x = a, *y = b;

    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return x->e < y->e ? -1 : x->e > y->e;
}

static struct named *
name_all(const struct store_list *l)
{
    struct named *v = xcalloc(MAX(l->n, 1), sizeof *v);
    bool sorted = true;

    for (size_t i = 0; i < l->n; i++) {
        uint32_t epoch;
        uint64_t us;

        v[i].e = &l->v[i];
        v[i].is = segment_name_parse(v[i].e->name, &epoch, &v[i].seq, &us) == 0;
        if (!v[i].is) {
            err_clear(); /* said when it is its turn */
            v[i].seq = i == 0 ? 0 : v[i - 1].seq;
        }
        sorted = sorted && (i == 0 || v[i - 1].seq <= v[i].seq);
    }
    if (!sorted)
        qsort(v, l->n, sizeof *v, by_seq);
    return v;
}

/* A writer takes each number once. */
static char *
find_fork(const struct named *v, size_t n)
{
    for (size_t i = n; i-- > 1;)
        if (v[i].is && v[i - 1].is && v[i].seq == v[i - 1].seq)
            return xasprintf(
                "%s and %s have the same number: two machines (one "
                "a copy of the other?) have written this log, or "
                "one whose repository was put back to an older "
                "state. What counts here is the one of which the "
                "newest segment is; \"pitr list\" on each machine "
                "shows its own",
                v[i - 1].e->name, v[i].e->name);
    return NULL;
}

/* v is empty. */
static void
window(const struct named *l, struct found *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        v[i].e = l[i].e;
        v[i].seq = l[i].seq;
        if (!l[i].is) {
            err_set(
                ERR_VERIFY, "%s is not the name of a segment", l[i].e->name);
            v[i].fault = err_take();
        }
    }
}

static int
read_window(struct repo *r, struct index_list *index, const struct named *l,
    struct found *v, size_t n, struct catalog *c)
{
    struct segment_info *low =
        c->segments == 0 ? NULL : &c->segment[c->segments - 1];
    struct above above = {0};
    int rc;

    window(l, v, n);
    if (low != NULL)
        above = (struct above){low->name, &low->start};
    rc = catalog_ends(r, index, c->signatures, &above, v, n);
    if (rc == 0)
        rc = judge(r, v, n, c);
    for (size_t i = 0; i < n; i++)
        found_free(&v[i]);
    return rc;
}

/* The oldest first, and only what counts. */
static void
turn_round(struct catalog *c)
{
    size_t n = c->segments, kept = 0;

    for (size_t i = 0; i < n / 2; i++) {
        struct segment_info one = c->segment[i];

        c->segment[i] = c->segment[n - 1 - i];
        c->segment[n - 1 - i] = one;
    }
    for (size_t i = 0; i < n; i++) {
        if (c->segment[i].uncounted)
            segment_info_free(&c->segment[i]);
        else
            c->segment[kept++] = c->segment[i];
    }
    c->segments = kept;
}

/* The indexes are read while the log is listed. */
struct beside {
    struct repo *r;
    struct index_list index;
};

static int
read_beside(void *arg, unsigned index)
{
    struct beside *b = arg;

    (void)index;
    return catalog_indexes(b->r, &b->index);
}

static int
list_log(struct repo *r, bool indexes, struct store_list *l, struct beside *b)
{
    struct pool *pool = NULL;
    struct err_saved *why = NULL;
    int rc;

    *b = (struct beside){.r = r};
    if (indexes && (pool = pool_start(1, read_beside, b)) == NULL)
        return -1;
    if ((rc = store_list(r->store, "binlog/", false, l)) < 0)
        why = err_take();
    if (pool != NULL && pool_join(pool) < 0 && rc == 0)
        return -1;
    return rc < 0 ? err_put(why) : 0;
}

static int
load_listed(struct repo *r, const struct store_list *l, struct beside *b,
    struct catalog *c)
{
    struct named *v = name_all(l);
    struct found *found = xcalloc(MIN(MAX(l->n, 1), WINDOW), sizeof *found);
    size_t left = l->n;
    int rc = 0;

    free(c->forked);
    c->forked = find_fork(v, l->n);
    c->segment = xcalloc(MAX(l->n, 1), sizeof *c->segment);
    c->segments = 0;
    while (left > 0 && rc == 0) {
        size_t n = MIN(left, WINDOW);

        left -= n;
        rc = read_window(r, &b->index, v + left, found, n, c);
    }
    turn_round(c);
    free(found);
    free(v);
    return rc;
}

/* --- a listing is no snapshot --- */

static bool
looks_broken(const struct catalog *c)
{
    for (size_t i = 0; i < c->segments; i++)
        if (c->segment[i].broken != NULL ||
            (i > 0 && link_fault(&c->segment[i - 1], &c->segment[i]) != NULL))
            return true;
    return false;
}

/*
 * What is not listed any more was removed while it was read: then it is as if
 * it had not been there before, which at the begin of the log is no damage.
 * True where something is there now that a listing had overlooked, as it came
 * while that was made: then all has to be read again.
 */
static bool
settle(struct catalog *c, const struct store_list *was,
    const struct store_list *is)
{
    size_t kept = 0;
    bool again = false;

    for (size_t i = 0; i < c->segments; i++) {
        struct segment_info *s = &c->segment[i];
        const char *before = s->start.prev_name;
        bool had, has;

        if (store_list_find(is, s->name) == NULL) {
            segment_info_free(s);
            continue;
        }
        had = before != NULL && store_list_find(was, before) != NULL;
        has = before != NULL && store_list_find(is, before) != NULL;
        if (had && !has) {
            free(s->broken);
            s->broken = NULL;
        }
        again = again || (!had && has);
        c->segment[kept++] = *s;
    }
    c->segments = kept;
    return again;
}

/* 1 where it has to be read again, 0, -1. */
static int
load_once(struct repo *r, struct catalog *c)
{
    struct store_list was = {0}, is = {0};
    struct beside b;
    int rc = list_log(r, !c->signatures, &was, &b);

    if (rc == 0)
        rc = load_listed(r, &was, &b, c);
    if (rc == 0 && looks_broken(c) &&
        (rc = store_list(r->store, "binlog/", false, &is)) == 0)
        rc = settle(c, &was, &is);
    index_list_free(&b.index);
    store_list_free(&was);
    store_list_free(&is);
    return rc;
}

static void
unload(struct catalog *c)
{
    for (size_t i = 0; i < c->segments; i++)
        segment_info_free(&c->segment[i]);
    free(c->segment);
    c->segment = NULL;
    c->segments = 0;
}

int
catalog_load_log(struct repo *r, struct catalog *c)
{
    int rc = load_once(r, c);

    for (int i = 1; i < LOOKS && rc > 0; i++) {
        unload(c);
        rc = load_once(r, c);
    }
    for (size_t i = 1; i < c->segments; i++)
        check_link(&c->segment[i - 1], &c->segment[i]);
    for (size_t i = 0; i < c->segments; i++)
        c->breaks += c->segment[i].broken != NULL;
    return rc < 0 ? -1 : 0;
}
