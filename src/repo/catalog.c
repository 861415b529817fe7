/*
 * catalog.c -- reading what a repository holds: whole backups, and the chain
 * of segments with every link checked.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/catalog.h"
#include "pitr/log.h"
#include "pitr/mem.h"

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
        rc = backup_info_parse(h.meta.data, h.meta.len, out) < 0 ? -1 : 1;
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
    free(name);
    return rc;
}

static int
load_backups(struct repo *r, struct catalog *c)
{
    struct store_list l = {0};
    size_t cap = 0, cap_broken = 0;
    int rc = store_list(r->store, "backup/", true, &l);

    for (size_t i = 0; i < l.n && rc == 0; i++) {
        struct backup_info info;
        char *id = folder_id(l.v[i].name);

        if ((rc = read_backup(r, id, &info)) > 0) {
            c->backup = xgrow(c->backup, c->backups, &cap, sizeof info);
            c->backup[c->backups++] = info;
            rc = 0;
        } else if (rc == 0) {
            c->broken =
                xgrow(c->broken, c->n_broken, &cap_broken, sizeof *c->broken);
            c->broken[c->n_broken++] = xstrdup(id);
        }
        free(id);
    }
    store_list_free(&l);
    return rc;
}

/* --- segments --- */

struct found { /* a segment whose header could be read */
    struct segment_info info;
    uint64_t stored; /* bytes of the file */
};

static int
read_start(struct repo *r, const struct store_entry *e, struct found *f)
{
    struct seal_header h = {0};
    uint32_t epoch;
    uint64_t seq, started;
    int rc;

    memset(f, 0, sizeof *f);
    if (segment_name_parse(e->name, &epoch, &seq, &started) < 0)
        return err_wrap("%s", e->name);
    if (repo_peek(r, SEAL_SEGMENT, e->name, &h, NULL) < 0)
        return -1;
    rc = segment_start_parse(h.meta.data, h.meta.len, &f->info.start);
    seal_header_free(&h);
    if (rc == 0 && (f->info.start.epoch != epoch || f->info.start.seq != seq)) {
        segment_start_free(&f->info.start);
        rc = err_set(ERR_VERIFY, "its header is of another segment");
    }
    if (rc < 0)
        return err_wrap("%s", e->name);
    f->info.name = xstrdup(e->name);
    f->stored = e->size;
    return 0;
}

/* A file that was created and never got its header: nothing was in it. */
static bool
is_aborted(const struct store_entry *e, const struct store_entry *next,
    const struct found *after)
{
    if (e->size >= SEAL_HEADER_MAX)
        return false;
    return next == NULL || after == NULL ||
        after->info.start.prev_name == NULL ||
        strcmp(after->info.start.prev_name, e->name) != 0;
}

/*
 * What of a segment counts: up to its final mark; or up to the mark that the
 * next one's link names; or, of the last one, up to its last good mark.  1; 0
 * if it has none (aborted, see segment.h); -1.
 */
static int
read_end(struct repo *r, struct found *f, const struct segment_start *next)
{
    struct seal_expect want = {.kind = SEAL_SEGMENT,
        .repo_id = r->id,
        .server = r->server,
        .name = f->info.name,
        .signer = r->signer};
    struct seal_header h = {0};
    struct seal_mark mark = {0};
    struct source *src = NULL;
    bool linked =
        next != NULL && strcmp(next->prev_name, f->info.name) == 0;
    uint64_t limit = linked ? next->prev_size : 0;
    int rc = repo_peek(r, SEAL_SEGMENT, f->info.name, &h, &mark);

    f->info.closed = rc > 0;
    if (rc == 0) { /* not closed: look for the mark from the front */
        seal_header_free(&h);
        src = store_get(r->store, f->info.name);
        rc = src == NULL ? -1 : seal_scan(src, &want, limit, false, &h, &mark);
    }
    if (rc > 0) {
        f->info.size = mark.offset + mark.size;
        memcpy(f->info.digest, mark.digest, DIGEST_SIZE);
        rc = segment_state_parse(
                 mark.meta.data, mark.meta.len, &f->info.state) < 0
            ? -1
            : 1;
        seal_mark_free(&mark);
    }
    seal_header_free(&h);
    source_free(src);
    return rc < 0 ? err_wrap("%s", f->info.name) : rc;
}

/* Does b's link name a, as long and with the digest that a has? */
static int
check_link(const struct segment_info *a, const struct segment_info *b)
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
    if (fault == NULL)
        return 0;
    err_set(ERR_VERIFY, "the log is broken between %s and %s: %s", a->name,
        b->name, fault);
    return err_hint("The repository has been damaged or tampered with. Take "
                    "these objects from another copy of it.");
}

static int
read_starts(
    struct repo *r, const struct store_list *l, struct found *all, size_t *n)
{
    /* From the newest back: whether one was aborted is told by the next. */
    size_t first = l->n;

    for (size_t i = l->n; i-- > 0;) {
        struct found f;
        const struct store_entry *next = i + 1 < l->n ? &l->v[i + 1] : NULL;

        if (read_start(r, &l->v[i], &f) == 0) {
            all[--first] = f;
            continue;
        }
        if (err_kind() != ERR_VERIFY ||
            !is_aborted(&l->v[i], next, first < l->n ? &all[first] : NULL)) {
            *n = l->n - first;
            memmove(all, all + first, *n * sizeof *all);
            return -1;
        }
        log_debug("%s was begun and never written: passed over", l->v[i].name);
        err_clear();
    }
    *n = l->n - first;
    memmove(all, all + first, *n * sizeof *all);
    return 0;
}

static int
by_seq(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->info.start.seq < y->info.start.seq ? -1
        : x->info.start.seq > y->info.start.seq  ? 1
                                                 : 0;
}

/* From the newest back, since a link tells where the one before it ends;
 * leaves out the aborted ones. */
static int
read_ends(struct repo *r, struct found *all, size_t *n)
{
    struct found *next = NULL;
    size_t kept = 0;
    int rc = 1;

    for (size_t i = *n; i-- > 0 && rc >= 0;) {
        rc = read_end(r, &all[i], next == NULL ? NULL : &next->info.start);
        if (rc > 0)
            next = &all[i];
        if (rc == 0) {
            log_debug("%s was begun and never written: passed over",
                all[i].info.name);
            segment_info_free(&all[i].info);
        }
    }
    for (size_t i = 0; i < *n; i++)
        if (all[i].info.name != NULL)
            all[kept++] = all[i];
    *n = kept;
    return rc < 0 ? -1 : 0;
}

static int
load_segments(struct repo *r, struct catalog *c)
{
    struct store_list l = {0};
    struct found *all = NULL;
    size_t n = 0;
    int rc = store_list(r->store, "binlog/", false, &l);

    if (rc == 0) {
        all = xcalloc(MAX(l.n, 1), sizeof *all);
        rc = read_starts(r, &l, all, &n);
    }
    if (n > 1)
        qsort(all, n, sizeof *all, by_seq);
    if (rc == 0)
        rc = read_ends(r, all, &n);
    for (size_t i = 1; i < n && rc == 0; i++)
        rc = check_link(&all[i - 1].info, &all[i].info);
    c->segment = xcalloc(MAX(n, 1), sizeof *c->segment);
    for (size_t i = 0; i < n; i++) /* moved, to be freed with the catalogue */
        c->segment[i] = all[i].info;
    c->segments = n;
    free(all);
    store_list_free(&l);
    return rc;
}

struct catalog *
catalog_load(struct repo *r)
{
    struct catalog *c = xcalloc(1, sizeof *c);

    if (load_backups(r, c) == 0 && load_segments(r, c) == 0)
        return c;
    catalog_free(c);
    return NULL;
}
