/*
 * store.c -- what all stores have in common: names are checked, lists sorted,
 * the rest is the driver's.
 */
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "pitr/mem.h"
#include "pitr/store_driver.h"

#define NAME_BYTES 255

struct store {
    const struct store_ops *ops;
    void *impl;
    char *where;
};

struct store *
store_new(const struct store_ops *ops, void *impl, const char *where)
{
    struct store *s = xcalloc(1, sizeof(*s));

    s->ops = ops;
    s->impl = impl;
    s->where = xstrdup(where);
    return s;
}

struct store *
store_open(const char *where)
{
    const char *scheme = strstr(where, "://");

    if (strncmp(where, "sftp://", 7) == 0)
        return store_open_sftp(where, NULL);
    /* A path that looks like an address: more likely a slip than a folder. */
    if (scheme != NULL && strcspn(where, "/:") == (size_t)(scheme - where)) {
        err_set(ERR_USAGE, "'%.300s': only sftp:// is known", where);
        return NULL;
    }
    return store_open_local(where);
}

void
store_close(struct store *s)
{
    if (s == NULL)
        return;
    s->ops->close(s->impl);
    free(s->where);
    free(s);
}

void
store_warm(struct store *s, unsigned threads)
{
    if (s->ops->warm != NULL)
        s->ops->warm(s->impl, threads);
}

const char *
store_where(const struct store *s)
{
    return s->where;
}

bool
store_is_vault(const struct store *s)
{
    return s->ops->append != NULL;
}

int
store_room(struct store *s, struct store_room *out)
{
    *out = (struct store_room){0};
    return s->ops->room(s->impl, out);
}

int
store_may_remove(struct store *s)
{
    if (s->ops->may_remove == NULL)
        return err_set(ERR_FAILED, "%s is no vault", s->where);
    return s->ops->may_remove(s->impl);
}

static bool
component_ok(const char *p, size_t n)
{
    return n > 0 && p[0] != '.' && names_span(p, n) == n;
}

/* Names below tmp/ are the drivers' own. */
static bool
name_ok(const char *name)
{
    const char *p = name;
    size_t n;

    if (strlen(name) > NAME_BYTES || strncmp(name, "tmp/", 4) == 0 ||
        strcmp(name, "tmp") == 0)
        return false;
    for (;;) {
        n = strcspn(p, "/");
        if (!component_ok(p, n))
            return false;
        if (p[n] == '\0')
            return true;
        p += n + 1;
    }
}

static int
check_name(const struct store *s, const char *name)
{
    if (name_ok(name))
        return 0;
    return err_set(
        ERR_FAILED, "%s: '%.300s' is no name of an object", s->where, name);
}

struct sink *
store_put(struct store *s, const char *name, enum store_put how)
{
    if (check_name(s, name) < 0)
        return NULL;
    return s->ops->put(s->impl, name, how);
}

struct sink *
store_append(struct store *s, const char *name, uint64_t offset)
{
    if (check_name(s, name) < 0)
        return NULL;
    if (s->ops->append == NULL) {
        err_set(ERR_FAILED, "%s: %s: only on a vault an object is gone on with",
            s->where, name);
        return NULL;
    }
    return s->ops->append(s->impl, name, offset);
}

struct source *
store_get(struct store *s, const char *name)
{
    return store_get_from(s, name, 0);
}

struct source *
store_get_from(struct store *s, const char *name, uint64_t offset)
{
    if (check_name(s, name) < 0)
        return NULL;
    return s->ops->get(s->impl, name, offset);
}

void
store_prefetch(struct store *s, const char *const *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (check_name(s, name[i]) < 0) {
            err_clear();
            return;
        }
    if (s->ops->prefetch != NULL)
        s->ops->prefetch(s->impl, name, MIN(n, (size_t)STORE_PREFETCH_MAX));
}

int
store_stat(struct store *s, const char *name, uint64_t *size)
{
    if (check_name(s, name) < 0)
        return -1;
    return s->ops->stat(s->impl, name, size);
}

bool
store_is_gone(struct store *s, const char *name)
{
    struct err_saved *why = err_take();
    uint64_t size;
    bool gone = store_stat(s, name, &size) == 0;

    err_clear();
    if (why != NULL)
        err_put(why);
    return gone;
}

int
store_written(struct store *s, const char *name, uint64_t *us)
{
    *us = 0;
    if (check_name(s, name) < 0)
        return -1;
    return s->ops->written(s->impl, name, us);
}

int
store_remove(struct store *s, const char *name)
{
    if (check_name(s, name) < 0)
        return -1;
    return s->ops->remove(s->impl, name);
}

static int
check_prefix(const struct store *s, const char *prefix)
{
    size_t n = strlen(prefix);
    char *folder;
    int rc;

    if (n == 0)
        return 0;
    folder = xstrndup(prefix, n - 1);
    rc = prefix[n - 1] == '/' && name_ok(folder)
        ? 0
        : err_set(ERR_FAILED, "%s: '%.300s' is no name of a folder", s->where,
              prefix);
    free(folder);
    return rc;
}

/* A file that is in a store's directory without being an object (a lock, an
 * administrator's note) is not listed. */
static void
drop_strangers(struct store_list *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++) {
        char *name = l->v[i].name;
        size_t n = strlen(name);
        bool folder = n > 0 && name[n - 1] == '/', ok;

        if (folder)
            name[n - 1] = '\0';
        ok = name_ok(name);
        if (folder)
            name[n - 1] = '/';
        if (ok)
            l->v[kept++] = l->v[i];
        else
            free(name);
    }
    l->n = kept;
}

int
store_list(
    struct store *s, const char *prefix, bool flat, struct store_list *out)
{
    struct store_list l = {0};

    *out = l;
    if (check_prefix(s, prefix) < 0)
        return -1;
    if (s->ops->list(s->impl, prefix, flat, &l) < 0) {
        store_list_free(&l);
        return -1;
    }
    drop_strangers(&l);
    names_sort(l.v, l.n, sizeof(*l.v));
    *out = l;
    return 0;
}

void
store_list_add(struct store_list *l, const char *folder, const char *name,
    size_t n, uint64_t size)
{
    size_t before = strlen(folder);
    char *full = xmalloc(before + n + 1);

    memcpy(full, folder, before);
    memcpy(full + before, name, n);
    full[before + n] = '\0';
    l->v = xgrow(l->v, l->n, &l->cap, sizeof(*l->v));
    l->v[l->n++] = (struct store_entry){.name = full, .size = size};
}

static int
by_name(const void *a, const void *b)
{
    const struct store_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

const struct store_entry *
store_list_find(const struct store_list *l, const char *name)
{
    struct store_entry key = {.name = (char *)name};

    return l->n == 0 ? NULL : bsearch(&key, l->v, l->n, sizeof key, by_name);
}

void
store_list_free(struct store_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].name);
    free(l->v);
    *l = (struct store_list){0};
}
