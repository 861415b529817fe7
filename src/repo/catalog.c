/*
 * catalog.c -- reading what a repository holds: whole backups, and the log
 * (catalog_log.c).
 */
#include <stdlib.h>
#include <string.h>

#include "catalog_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"

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
    free(c->forked);
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

/* A file there is of nobody; verify tells of it. */
static void
drop_files(struct store_list *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->v[i].name;

        if (name[strlen(name) - 1] == '/')
            l->v[kept++] = l->v[i];
        else
            free(l->v[i].name);
    }
    l->n = kept;
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
    char *name = manifest_name(id);
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
        if (rc > 0)
            memcpy(out->digest, mark.digest, DIGEST_SIZE);
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

    drop_files(&l);
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

struct loading {
    struct repo *r;
    struct catalog *c;
};

static int
load_backups(void *arg, unsigned index)
{
    struct loading *l = arg;

    (void)index;
    return catalog_load_backups(l->r, l->c);
}

/* Backups and log at once, each in its own fields of c: afar each waits for
 * round trips. */
static int
load_both(struct repo *r, struct catalog *c)
{
    struct loading l = {r, c};
    struct pool *pool = pool_start(1, load_backups, &l);
    struct err_saved *why = NULL;
    int rc;

    if (pool == NULL)
        return -1;
    if ((rc = catalog_load_log(r, c)) < 0)
        why = err_take();
    if (pool_join(pool) < 0) {
        err_saved_free(why);
        return -1;
    }
    return rc < 0 ? err_put(why) : 0;
}

struct catalog *
catalog_load(struct repo *r)
{
    struct catalog *c = xcalloc(1, sizeof *c);

    if (load_both(r, c) < 0) {
        catalog_free(c);
        return NULL;
    }
    for (size_t i = 0; i < c->segments; i++)
        if (c->segment[i].broken != NULL)
            log_warn("the log is broken: %s", c->segment[i].broken);
    if (c->forked != NULL)
        log_warn("%s", c->forked);
    return c;
}
