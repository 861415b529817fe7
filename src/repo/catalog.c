/*
 * catalog.c -- reading what a repository holds: whole backups, and the chain
 * of segments with every link checked.  What is damaged breaks the log in two;
 * it does not keep the rest from being used.
 */
#include <stdlib.h>
#include <string.h>

#include "catalog_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "repo_file.h"

void
catalog_free(struct catalog *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->backups; i++)
        backup_info_free(&c->backup[i]);
    for (size_t i = 0; i < c->n_broken; i++)
        free(c->broken[i]);
    for (size_t i = 0; i < c->segments; i++)
        segment_info_free(&c->segment[i]);
    free(c->backup);
    free(c->broken);
    free(c->segment);
    free(c);
}

/* --- backups --- */

/* "backup/ID/" to ID; owned. */
static char *
folder_id(const char *folder)
{
    const char *id = folder + strlen("backup/");
    size_t n = strlen(id);

    return xstrndup(id, n > 0 && id[n - 1] == '/' ? n - 1 : n);
}

static void
prefetch_manifests(struct repo *r, const struct store_list *l, size_t i)
{
    char *name[STORE_PREFETCH_MAX];
    size_t n = 0;

    for (; i < l->n && n < STORE_PREFETCH_MAX; i++)
        name[n++] = xasprintf("%smanifest", l->v[i].name);
    store_prefetch(r->store, (const char *const *)name, n);
    while (n > 0)
        free(name[--n]);
}

/* 1 with the note of a whole backup, 0 where it has no manifest, -1. */
static int
read_backup(struct repo *r, const char *id, struct backup_info *out)
{
    char *name = xasprintf("backup/%s/manifest", id);
    struct seal_header h = {0};
    struct seal_mark mark = {0};
    uint64_t size;
    int rc = store_stat(r->store, name, &size);

    if (rc > 0)
        rc = repo_peek(r, SEAL_MANIFEST, name, &h, &mark);
    if (rc > 0) {
        if (backup_info_parse(h.meta.data, h.meta.len, out) < 0)
            rc = err_wrap("%s", name);
        if (rc > 0 && strcmp(out->id, id) != 0) {
            backup_info_free(out);
            rc = err_set(ERR_VERIFY, "%s is of another backup", name);
        }
        seal_mark_free(&mark);
        seal_header_free(&h);
    } else if (rc == 0 && h.size != 0) { /* there, but not closed */
        seal_header_free(&h);
        rc = err_set(ERR_VERIFY, "%s was cut short", name);
    }
    if (rc < 0 && manifest_is_arriving(r, name)) {
        log_info("%s is still arriving, or its upload was cut", name);
        rc = 0;
    }
    free(name);
    return rc;
}

/* A backup that is damaged must not keep another from being restored; but it
 * is told of, and is the answer where there is no other. */
static int
damaged(const char *id, struct err_saved **first)
{
    if (err_kind() != ERR_VERIFY)
        return -1;
    log_warn("backup %s does not count: %s", id, err_text());
    if (*first == NULL)
        *first = err_take();
    err_clear();
    return 0;
}

int
catalog_load_backups(struct repo *r, struct catalog *c)
{
    struct store_list l = {0};
    struct err_saved *fault = NULL;
    size_t cap = 0, cap_broken = 0;
    int rc = store_list(r->store, "backup/", true, &l);

    for (size_t i = 0; i < l.n && rc == 0; i++) {
        struct backup_info info;
        char *id = folder_id(l.v[i].name);

        if (i % STORE_PREFETCH_MAX == 0)
            prefetch_manifests(r, &l, i);

        if ((rc = read_backup(r, id, &info)) > 0) {
            c->backup = xgrow(c->backup, c->backups, &cap, sizeof info);
            c->backup[c->backups++] = info;
            rc = 0;
        } else if (rc == 0 || (rc = damaged(id, &fault)) == 0) {
            c->broken =
                xgrow(c->broken, c->n_broken, &cap_broken, sizeof *c->broken);
            c->broken[c->n_broken++] = xstrdup(id);
        }
        free(id);
    }
    store_list_free(&l);
    if (rc == 0 && c->backups == 0 && fault != NULL)
        return err_put(fault);
    err_saved_free(fault);
    return rc;
}

/* --- segments --- */

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
        return linked < seq;
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
    struct source *src = NULL;
    int rc = 1;

    if (!all->has_mark)
        rc = repo_peek(r, SEAL_SEGMENT, f->name, &h, &mark);
    all->has_mark = false;
    all->mark = (struct seal_mark){0};
    if (rc > 0 && limit != 0 && mark.offset + mark.size != limit) {
        seal_mark_free(&mark); /* more was added than counts */
        rc = 0;
    }
    f->closed = rc > 0;
    if (rc == 0) { /* not closed: look for the mark from the front */
        seal_header_free(&h);
        src = store_get(r->store, f->name);
        rc = src == NULL ? -1 : seal_scan(src, &want, limit, false, &h, &mark);
    }
    if (rc > 0) {
        f->size = mark.offset + mark.size;
        memcpy(f->digest, mark.digest, DIGEST_SIZE);
        if (segment_state_parse(mark.meta.data, mark.meta.len, &f->state) < 0)
            rc = err_wrap("%s", f->name);
        seal_mark_free(&mark);
    }
    seal_header_free(&h);
    source_free(src);
    return rc;
}

/* Does b's link name a, as long and with the digest that a has? */
static void
check_link(const struct segment_info *a, struct segment_info *b)
{
    const struct segment_start *s = &b->start;
    const char *fault = NULL;

    if (s->prev_name == NULL || strcmp(s->prev_name, a->name) != 0)
        fault = "a segment between them is missing";
    else if (s->prev_size != a->size)
        fault = "the first was cut short or has bytes added";
    else if (memcmp(s->prev_digest, a->digest, DIGEST_SIZE) != 0)
        fault = "the first is not what was written";
    else if (s->cause == SEGMENT_NEXT &&
        (s->epoch != a->start.epoch ||
            !gtid_pos_equal(&s->gtid, &a->state.gtid)))
        fault = "their GTID positions do not meet";
    else if (s->seq <= a->start.seq)
        fault = "their numbers are out of order";
    if (fault != NULL && b->broken == NULL)
        b->broken = xasprintf("between %s and %s: %s", a->name, b->name, fault);
}

/* From the newest back: what one that cannot be read is, is told by the next.
 */
static int
read_starts(
    struct repo *r, const struct store_list *l, struct found *all, size_t *n)
{
    size_t first = l->n;
    int rc = catalog_starts(r, l, all);

    for (size_t i = l->n; i-- > 0 && rc == 0;) {
        struct found f = all[i];

        all[i] = (struct found){0};
        if (f.fault == NULL) {
            all[--first] = f;
            continue;
        }
        err_put(f.fault);
        rc = unreadable(&l->v[i], first < l->n ? &all[first].info : NULL);
    }
    if (rc < 0) {
        *n = l->n; /* whatever is left */
        return -1;
    }
    *n = l->n - first;
    memmove(all, all + first, *n * sizeof *all);
    return 0;
}

static int
by_seq(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    uint64_t one = x->info.start.seq, other = y->info.start.seq;

    return one < other ? -1 : one > other ? 1 : 0;
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

/* From the newest back, since a link tells where the one before it ends; into
 * the catalogue goes what counts.  Takes what all holds. */
static int
read_ends(struct repo *r, struct found *all, size_t n, struct catalog *c)
{
    struct segment_info *next = NULL;
    bool *counts = xcalloc(n + 1, sizeof *counts);
    int rc = 1;

    for (size_t i = n; i-- > 0 && rc >= 0;) {
        rc = read_counted(r, &all[i], next);
        counts[i] = rc > 0;
        /* The header of one whose end is damaged still tells its link. */
        if (rc > 0 ||
            (next != NULL && next->broken != NULL &&
                strcmp(next->start.prev_name, all[i].info.name) == 0))
            next = &all[i].info;
    }
    c->segment = xcalloc(MAX(n, 1), sizeof *c->segment);
    for (size_t i = 0; i < n; i++) {
        seal_mark_free(&all[i].mark);
        if (counts[i]) /* moved, to be freed with the catalogue */
            c->segment[c->segments++] = all[i].info;
        else
            segment_info_free(&all[i].info);
    }
    free(counts);
    return rc < 0 ? -1 : 0;
}

int
catalog_load_log(struct repo *r, struct catalog *c)
{
    struct store_list l = {0};
    struct found *all = NULL;
    size_t n = 0;
    int rc = store_list(r->store, "binlog/", false, &l);
    bool known = false;

    if (rc == 0) {
        all = xcalloc(MAX(l.n, 1), sizeof *all);
        known = read_starts(r, &l, all, &n) == 0;
        rc = known ? 0 : -1;
    }
    if (known && n > 1)
        qsort(all, n, sizeof *all, by_seq);
    if (rc == 0)
        rc = read_ends(r, all, n, c);
    for (size_t i = 0; i < n && !known; i++)
        found_free(&all[i]);
    for (size_t i = 1; i < c->segments; i++)
        check_link(&c->segment[i - 1], &c->segment[i]);
    for (size_t i = 0; i < c->segments; i++)
        c->breaks += c->segment[i].broken != NULL;
    free(all);
    store_list_free(&l);
    return rc;
}

struct catalog *
catalog_load(struct repo *r)
{
    struct catalog *c = xcalloc(1, sizeof *c);

    if (catalog_load_backups(r, c) < 0 || catalog_load_log(r, c) < 0) {
        catalog_free(c);
        return NULL;
    }
    for (size_t i = 0; i < c->segments; i++)
        if (c->segment[i].broken != NULL)
            log_warn("the log is broken: %s", c->segment[i].broken);
    return c;
}
