/*
 * segment_tail.c -- where the archived log ends, found without a secret.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/segment.h"

/* An aborted object holds a header, a Format_description and a mark at most.
 * What is larger and cannot be read was something once. */
#define ABORTED_MAX (SEAL_HEADER_MAX + 2 * SEAL_META_MAX)

/* How far segment_tail_stored() looks back; most segments have transactions. */
#define STORED_LOOKS 100

struct named {
    uint64_t seq;
    const struct store_entry *entry;
};

void
segment_tail_free(struct segment_tail *t)
{
    segment_start_free(&t->start);
    segment_state_free(&t->state);
    free(t->name);
    memset(t, 0, sizeof *t);
}

static int
newest_first(const void *a, const void *b)
{
    const struct named *x = a, *y = b;

    if (x->seq != y->seq)
        return x->seq < y->seq ? 1 : -1;
    return strcmp(y->entry->name, x->entry->name);
}

/* All that has the name of a segment, by number, newest first. */
static struct named *
names_sorted(const struct store_list *list, size_t *n)
{
    struct named *v = xcalloc(list->n + 1, sizeof *v);

    *n = 0;
    for (size_t i = 0; i < list->n; i++) {
        uint32_t epoch;
        uint64_t us;

        v[*n].entry = &list->v[i];
        if (segment_name_parse(list->v[i].name, &epoch, &v[*n].seq, &us) == 0)
            (*n)++;
        else
            err_clear(); /* not ours to judge */
    }
    qsort(v, *n, sizeof *v, newest_first);
    return v;
}

/* 1: out is filled in; 0: aborted; -1. */
static int
tail_read(struct repo *r, const char *name, struct segment_tail *out)
{
    struct seal_expect want = repo_expect(r, SEAL_SEGMENT, name);
    struct source *src = store_get(r->store, name);
    struct seal_header h = {0};
    struct seal_mark m = {0};
    int rc = -1;

    if (src == NULL)
        return -1;
    rc = seal_scan(src, &want, 0, false, &h, &m);
    if (rc < 0 && err_kind() == ERR_VERIFY) {
        log_warn("%s; it counts as nothing", err_text());
        err_clear();
        rc = 0;
    } else if (rc == 0) {
        log_warn("%s was begun and never written; it counts as nothing", name);
    }
    if (rc <= 0)
        goto out;
    rc = -1;
    if (segment_start_parse(h.meta.data, h.meta.len, &out->start) < 0 ||
        segment_state_parse(m.meta.data, m.meta.len, &out->state) < 0) {
        err_wrap("%s", name);
        goto out;
    }
    out->name = xstrdup(name);
    out->size = m.offset + m.size;
    memcpy(out->digest, m.digest, DIGEST_SIZE);
    out->linked = true;
    segment_link_of(&h, &m, out->link);
    rc = 1;

out:
    source_free(src);
    seal_header_free(&h);
    seal_mark_free(&m);
    return rc;
}

int
segment_tail_find(struct repo *r, struct segment_tail *out)
{
    struct store_list list = {0};
    struct named *v = NULL;
    size_t n = 0;
    bool large = false;
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (store_list(r->store, "binlog/", true, &list) < 0)
        goto out;
    v = names_sorted(&list, &n);
    rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = tail_read(r, v[i].entry->name, out);
        large = large || v[i].entry->size > ABORTED_MAX;
    }
    if (rc == 0 && large) {
        rc = err_set(ERR_VERIFY,
            "none of the %zu segments of the log in %s "
            "can be read",
            n, store_where(r->store));
        err_hint("The repository is damaged: look at the disk, and run \"pitr "
                 "verify\" on the vault.  To begin anew, make another "
                 "repository.");
    }
    if (n > 0)
        out->last_seq = v[0].seq;

out:
    if (rc < 0)
        segment_tail_free(out);
    store_list_free(&list);
    free(v);
    return rc;
}

int
segment_tail_sync(struct repo *r, const struct segment_tail *tail)
{
    char *path, *folder;
    int fd, rc = -1;

    if (tail->name == NULL)
        return 0;
    path = xasprintf("%s/%s", r->local_path, tail->name);
    folder = file_folder(path);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fdatasync(fd) < 0)
        err_sys(ERR_FAILED, "cannot sync %s", path);
    else
        rc = dir_sync(folder);
    if (fd >= 0)
        close(fd);
    free(folder);
    free(path);
    return rc;
}

bool
segment_tail_stored(struct repo *r, const struct segment_tail *tail)
{
    struct segment_tail at = {0};
    enum segment_cause cause = tail->start.cause;
    bool stored = tail->state.groups > 0;
    char *name = xstrdup(cause == SEGMENT_NEXT ? tail->start.prev_name : "");

    for (int i = 0; i < STORED_LOOKS && !stored && name[0] != '\0'; i++) {
        if (tail_read(r, name, &at) <= 0) {
            err_clear();
            break;
        }
        stored = at.state.groups > 0;
        free(name);
        name =
            xstrdup(at.start.cause == SEGMENT_NEXT ? at.start.prev_name : "");
        segment_tail_free(&at);
    }
    segment_tail_free(&at);
    free(name);
    return stored;
}
