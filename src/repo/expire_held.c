/*
 * expire_held.c -- is what may go from here on the vaults?  By size, and by
 * the digest in its final mark.
 *
 * What is removed here before it was shipped is nowhere; and a log of which a
 * piece was never shipped cannot be read beyond it.
 */
#include <stdlib.h>
#include <string.h>

#include "expire_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "ship_priv.h"

/* A vault being looked into. */
struct look {
    const struct expire_vault *vault;
    struct repo *here;
    struct store_list there;
    struct buf memory; /* .shipped-HASH, as a string */
};

static const struct store_entry *
find(const struct store_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].name, name) == 0)
            return &l->v[i];
    return NULL;
}

/* 1 with the digest of a closed object, 0 where it is not closed, -1. */
static int
peek(struct repo *r, enum seal_kind kind, const char *name,
    uint8_t digest[DIGEST_SIZE])
{
    struct seal_header h = {0};
    struct seal_mark m = {0};
    int rc = repo_peek(r, kind, name, &h, &m);

    if (rc > 0) {
        memcpy(digest, m.digest, DIGEST_SIZE);
        seal_mark_free(&m);
    }
    if (rc >= 0)
        seal_header_free(&h);
    return rc;
}

/* 1 where the vault has the object, closed, with the same size and digest. */
static int
is_same(struct look *l, enum seal_kind kind, const struct store_entry *e)
{
    const struct store_entry *there = find(&l->there, e->name);
    uint8_t a[DIGEST_SIZE], b[DIGEST_SIZE];
    int rc;

    if (there == NULL || there->size != e->size)
        return 0;
    if ((rc = peek(l->here, kind, e->name, a)) <= 0 ||
        (rc = peek(l->vault->repo, kind, e->name, b)) <= 0) {
        if (rc < 0 && err_kind() != ERR_VERIFY)
            return -1;
        err_clear();
        return 0;
    }
    return memcmp(a, b, DIGEST_SIZE) == 0;
}

/* Was the backup whole there once?  Then its absence is the vault's own. */
static bool
was_shipped(struct look *l, const char *id)
{
    char *line = xasprintf("\nbackup %s\n", id);
    bool was = strstr(buf_cstr(&l->memory), line) != NULL;

    free(line);
    return was;
}

static int
has_backup(struct look *l, const struct store_list *all, const char *id)
{
    char *folder = xasprintf("backup/%s/", id);
    char *manifest = xasprintf("%smanifest", folder);
    int rc = 1;

    if (find(&l->there, manifest) == NULL)
        rc = was_shipped(l, id);
    else
        for (size_t i = 0; i < all->n && rc > 0; i++) {
            const char *name = all->v[i].name;
            enum seal_kind kind = SEAL_ROWS;

            if (strncmp(name, folder, strlen(folder)) != 0)
                continue;
            if (strcmp(name, manifest) == 0)
                kind = SEAL_MANIFEST;
            else if (strcmp(name + strlen(folder), "schema") == 0)
                kind = SEAL_SCHEMA;
            rc = is_same(l, kind, &all->v[i]);
        }
    free(folder);
    free(manifest);
    return rc;
}

static int
has_segment(struct look *l, const struct segment_info *s)
{
    const struct store_entry *there = find(&l->there, s->name);
    struct store_entry here = {.name = s->name, .size = s->size};

    for (size_t i = 0; there == NULL && i < l->there.n; i++)
        if (strncmp(l->there.v[i].name, "binlog/", 7) == 0)
            return strcmp(s->name, l->there.v[i].name) < 0; /* expired there */
    if (s->closed)
        return is_same(l, SEAL_SEGMENT, &here);
    return there != NULL && there->size >= s->size;
}

static int
find_on(struct look *l, const struct catalog *c, const struct expire_plan *plan,
    const struct store_list *all, bool *held, size_t *segment)
{
    int rc = 1;

    for (size_t i = 0; i < c->backups; i++) {
        if (plan->backup[i].keep || held[i])
            continue;
        if ((rc = has_backup(l, all, c->backup[i].id)) < 0)
            return -1;
        held[i] = rc == 0;
    }
    for (size_t i = 0; i < *segment && !plan->segment[i].keep; i++) {
        if ((rc = has_segment(l, &c->segment[i])) < 0)
            return -1;
        if (rc == 0)
            *segment = i;
    }
    return 0;
}

static int
look_open(struct look *l, const struct expire_conf *conf)
{
    char *path = ship_memory_path(conf->repo->local_path, l->vault->url);
    int rc = file_read(path, 16u << 20, &l->memory);

    free(path);
    if (rc < 0 || store_list(l->vault->repo->store, "", false, &l->there) < 0)
        return -1;
    if (memcmp(l->vault->repo->id, conf->repo->id, REPO_ID_SIZE) != 0)
        return err_set(ERR_NOREPO, "%s is another repository", l->vault->url);
    return 0;
}

static void
hold_all(const struct catalog *c, bool *held, size_t *segment)
{
    for (size_t i = 0; i < c->backups; i++)
        held[i] = true;
    *segment = 0;
}

int
expire_find_held(const struct expire_conf *conf, const struct catalog *c,
    const struct expire_plan *plan, const struct store_list *all, bool *held,
    size_t *segment)
{
    int rc = 0;

    for (size_t i = 0; i < conf->vaults && rc == 0; i++) {
        struct look l = {.vault = &conf->vault[i], .here = conf->repo};

        if (l.vault->repo == NULL) {
            hold_all(c, held, segment);
            continue;
        }
        rc = look_open(&l, conf);
        if (rc == 0)
            rc = find_on(&l, c, plan, all, held, segment);
        store_list_free(&l.there);
        buf_free(&l.memory);
    }
    return rc;
}
