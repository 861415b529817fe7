/*
 * ship_table.c -- what is here, what is on the vault, and which object is due.
 */
#include <stdlib.h>
#include <string.h>

#include "log_index.h"
#include "pitr/expire.h"
#include "pitr/mem.h"
#include "pitr/segment.h"
#include "repo_file.h"
#include "ship_priv.h"
#include "slots.h"

#define BACKUP "backup/"
#define BINLOG "binlog/"
#define MANIFEST "/manifest"

bool
ship_is_segment(const char *name)
{
    return strncmp(name, BINLOG, strlen(BINLOG)) == 0;
}

static bool
is_index(const char *name)
{
    return strncmp(name, INDEX_PREFIX, strlen(INDEX_PREFIX)) == 0;
}

char *
ship_backup_id(const char *name)
{
    const char *id = name + strlen(BACKUP), *slash;

    if (strncmp(name, BACKUP, strlen(BACKUP)) != 0 ||
        (slash = strchr(id, '/')) == NULL)
        return NULL;
    return xstrndup(id, (size_t)(slash - id));
}

bool
ship_is_manifest(const char *name)
{
    const char *slash = strrchr(name, '/');

    return strncmp(name, BACKUP, strlen(BACKUP)) == 0 &&
        strcmp(slash, MANIFEST) == 0;
}

void
ship_table_vault(struct ship_table *t, struct store_list *vault)
{
    const char *last = NULL;

    store_list_free(&t->vault);
    t->vault = *vault;
    *vault = (struct store_list){0};
    t->low = t->recent = NULL;
    for (size_t i = 0; i < t->vault.n; i++) {
        if (!ship_is_segment(t->vault.v[i].name))
            continue;
        if (t->low == NULL)
            t->low = t->vault.v[i].name;
        t->recent = last;
        last = t->vault.v[i].name;
    }
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i]->name);
        free(t->v[i]);
    }
    t->n = 0;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool
ship_table_knows(const struct ship_table *t, const char *id)
{
    return t->n_shipped > 0 &&
        bsearch(&id, t->shipped, t->n_shipped, sizeof id, by_text) != NULL;
}

void
ship_table_learn(struct ship_table *t, const char *id)
{
    if (ship_table_knows(t, id))
        return;
    t->shipped =
        xgrow(t->shipped, t->n_shipped, &t->shipped_cap, sizeof *t->shipped);
    t->shipped[t->n_shipped++] = xstrdup(id);
    qsort(t->shipped, t->n_shipped, sizeof *t->shipped, by_text);
}

/* A segment before those that may have been cut short there, or that expired.
 */
static void
judge_segment(const struct ship_table *t, struct ship_item *it)
{
    bool whole = it->on_vault && it->there == it->local;

    if ((t->low != NULL && strcmp(it->name, t->low) < 0) ||
        (whole && t->recent != NULL && strcmp(it->name, t->recent) < 0))
        it->state = SHIP_DONE;
}

/* Of a backup that was whole on the vault once: gone on purpose where its
 * manifest is gone, and not looked into where it is there. */
static void
judge_backup(const struct ship_table *t, struct ship_item *it)
{
    char *id = ship_backup_id(it->name), *manifest;

    if (id == NULL)
        return;
    if (ship_table_knows(t, id)) {
        manifest = xasprintf(BACKUP "%s" MANIFEST, id);
        if (store_list_find(&t->vault, manifest) == NULL ||
            (it->on_vault && it->there == it->local))
            it->state = SHIP_DONE;
        free(manifest);
    }
    free(id);
}

/* The number of a segment; 0 where it has none. */
static uint64_t
seq_of(const char *name)
{
    uint32_t epoch;
    uint64_t seq, us;

    if (segment_name_parse(name, &epoch, &seq, &us) == 0)
        return seq;
    err_clear();
    return 0;
}

const char *
ship_table_foreign(const struct ship_table *t, size_t *n)
{
    const char *newest = NULL;
    uint64_t low = 0;

    *n = 0;
    for (size_t i = 0; i < t->n && low == 0; i++)
        if (ship_is_segment(t->v[i]->name))
            low = seq_of(t->v[i]->name);
    for (size_t i = 0; i < t->vault.n && low != 0; i++) {
        const char *name = t->vault.v[i].name;

        if (!ship_is_segment(name) || seq_of(name) <= low ||
            ship_table_find(t, name) != NULL)
            continue;
        newest = name;
        ++*n;
    }
    return newest;
}

/* An index of segments that have expired there. */
static void
judge_index(const struct ship_table *t, struct ship_item *it)
{
    uint64_t first, last;

    if (index_name_parse(it->name, &first, &last) && t->low != NULL &&
        last < seq_of(t->low))
        it->state = SHIP_DONE;
}

static struct ship_item *
item_new(const struct ship_table *t, const struct store_entry *e)
{
    const struct store_entry *there = store_list_find(&t->vault, e->name);
    struct ship_item *it = xcalloc(1, sizeof *it);

    it->name = xstrdup(e->name);
    it->local = e->size;
    it->fresh = true;
    if (there != NULL) {
        it->on_vault = true;
        it->there = there->size;
    }
    if (ship_is_segment(it->name))
        judge_segment(t, it);
    else if (is_index(it->name))
        judge_index(t, it);
    else
        judge_backup(t, it);
    return it;
}

static bool
wanted(const char *name)
{
    char *id;

    if (ship_is_segment(name) || pin_is_signed(name) || repo_is_later(name) ||
        is_index(name) ||
        strncmp(name, SLOTS_PREFIX, strlen(SLOTS_PREFIX)) == 0)
        return true;
    id = ship_backup_id(name);
    free(id);
    return id != NULL;
}

static void
add(struct ship_table *t, struct ship_item *it)
{
    t->v = xgrow(t->v, t->n, &t->cap, sizeof(struct ship_item *));
    t->v[t->n++] = it;
}

/* What is gone here: kept while a worker has it, forgotten then. */
static void
add_gone(struct ship_table *t, struct ship_item *it)
{
    if (it->state == SHIP_ACTIVE) {
        add(t, it);
    } else {
        free(it->name);
        free(it);
    }
}

void
ship_table_local(struct ship_table *t, const struct store_list *local)
{
    struct ship_item **old = t->v;
    size_t n = t->n, at = 0;

    t->v = NULL;
    t->n = t->cap = 0;
    for (size_t i = 0; i < local->n; i++) {
        const struct store_entry *e = &local->v[i];
        struct ship_item *it;

        if (!wanted(e->name))
            continue;
        while (at < n && strcmp(old[at]->name, e->name) < 0)
            add_gone(t, old[at++]);
        if (at < n && strcmp(old[at]->name, e->name) == 0) {
            it = old[at++];
            it->fresh = false;
            it->local = e->size;
        } else {
            it = item_new(t, e);
        }
        add(t, it);
    }
    while (at < n)
        add_gone(t, old[at++]);
    free(old);
}

struct ship_item *
ship_table_segment(struct ship_table *t, bool *last)
{
    struct ship_item *due = NULL;

    *last = true;
    for (size_t i = 0; i < t->n; i++) {
        if (!ship_is_segment(t->v[i]->name))
            continue;
        if (due != NULL) {
            *last = false;
            break;
        }
        if (t->v[i]->state != SHIP_DONE)
            due = t->v[i];
    }
    return due;
}

/*
 * A manifest is due when the other objects of its folder are done.  A listing
 * is no snapshot: one that has the manifest may lack a part that was published
 * before it while the folder was read, so the next one has to be seen too.
 */
static bool
manifest_due(const struct ship_table *t, size_t i)
{
    const char *name = t->v[i]->name;
    size_t folder = strlen(name) - strlen("manifest");

    if (t->v[i]->fresh)
        return false;
    for (size_t k = 0; k < t->n; k++)
        if (k != i && strncmp(t->v[k]->name, name, folder) == 0 &&
            t->v[k]->state != SHIP_DONE)
            return false;
    return true;
}

/* After the segments that it is of: before, it would be of no use.  log: the
 * first segment that is not done, or NULL. */
static bool
index_due(const struct ship_item *log, const char *name)
{
    uint64_t first, last;

    return log == NULL || !index_name_parse(name, &first, &last) ||
        last < seq_of(log->name);
}

struct ship_item *
ship_table_object(struct ship_table *t)
{
    bool only;
    const struct ship_item *log = ship_table_segment(t, &only);

    for (size_t i = 0; i < t->n; i++)
        if (t->v[i]->state == SHIP_WAITING && repo_is_later(t->v[i]->name))
            return t->v[i];
    for (size_t i = 0; i < t->n; i++) {
        struct ship_item *it = t->v[i];

        if (it->state != SHIP_WAITING || ship_is_segment(it->name))
            continue;
        if (is_index(it->name) && !index_due(log, it->name))
            continue;
        if (!ship_is_manifest(it->name) || manifest_due(t, i))
            return it;
    }
    return NULL;
}

static bool
busy(const struct ship_table *t, bool log)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i]->state != SHIP_DONE &&
            ship_is_segment(t->v[i]->name) == log)
            return true;
    return false;
}

bool
ship_table_busy(const struct ship_table *t)
{
    return busy(t, false);
}

bool
ship_table_log_busy(const struct ship_table *t)
{
    return busy(t, true);
}

struct ship_item *
ship_table_find(const struct ship_table *t, const char *name)
{
    size_t lo = 0, hi = t->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(t->v[mid]->name, name);

        if (order == 0)
            return t->v[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* Of a backup: when all of it is there, so that what fails is not read. */
static bool
backup_is_there(const struct ship_table *t, const char *name)
{
    char *id = ship_backup_id(name), *manifest;
    const struct ship_item *it;

    if (id == NULL)
        return true;
    manifest = xasprintf(BACKUP "%s" MANIFEST, id);
    it = ship_table_find(t, manifest);
    free(manifest);
    free(id);
    return it != NULL && it->state == SHIP_DONE;
}

struct ship_item *
ship_table_unseen(struct ship_table *t)
{
    const struct ship_item *last = NULL;

    for (size_t i = t->n; i-- > 0 && last == NULL;)
        if (ship_is_segment(t->v[i]->name))
            last = t->v[i];
    for (size_t i = 0; i < t->n; i++) {
        struct ship_item *it = t->v[i];

        if (it->look == SHIP_UNSEEN && it->state == SHIP_DONE && it != last &&
            backup_is_there(t, it->name))
            return it;
    }
    return NULL;
}

void
ship_table_forget(struct ship_table *t)
{
    for (size_t i = 0; i < t->n_shipped; i++)
        free(t->shipped[i]);
    t->n_shipped = 0;
}

void
ship_table_free(struct ship_table *t)
{
    struct store_list none = {0};

    ship_table_vault(t, &none);
    free(t->v);
    ship_table_forget(t);
    free(t->shipped);
    *t = (struct ship_table){0};
}
