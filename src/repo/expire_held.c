/*
 * expire_held.c -- is what may go from here on the vaults?  It has to have been
 * confirmed there (ship_confirm.c), and to be there still.
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
    const struct pins *pins;
    const struct store_list *here;
    struct store_list there;
    struct confirmed *confirmed;
    struct buf memory; /* .shipped-HASH, as a string */
    const char *low;   /* its first segment; NULL */
};

/* NULL where the object was confirmed and is there still; else why not. */
static const char *
fault_of(const struct look *l, const struct store_entry *e)
{
    const struct store_entry *there = store_list_find(&l->there, e->name);

    if (there == NULL)
        return "is not on";
    if (there->size < e->size)
        return "is shorter on";
    return confirmed_has(l->confirmed, e->name, e->size)
        ? NULL
        : "is not confirmed yet on";
}

static char *
reason(const struct look *l, const char *name, const char *fault)
{
    return xasprintf("%s %s %s", name, fault, l->vault->url);
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

/* A pin that the vault does not know of does not keep the backup there. */
static char *
judge_pin(struct look *l, const char *id)
{
    const struct pin *p = pins_find(l->pins, id);
    const struct store_entry *e = p == NULL || p->object == NULL
        ? NULL
        : store_list_find(l->here, p->object);

    if (!pins_has(l->pins, id))
        return NULL;
    if (e == NULL || !p->pinned)
        return xstrdup("it is pinned for this copy only");
    return fault_of(l, e) == NULL ? NULL : reason(l, "its pin", fault_of(l, e));
}

/* NULL, or why the backup stays here; owned.  strict: it has to be there. */
static char *
judge_backup(struct look *l, const char *id, bool strict)
{
    char *folder = xasprintf("backup/%s/", id);
    char *manifest = xasprintf("%smanifest", folder), *why = NULL;
    bool gone = !strict && store_list_find(&l->there, manifest) == NULL;

    if (strict)
        why = judge_pin(l, id);
    if (gone && !was_shipped(l, id))
        why = xasprintf("it is not on %s yet", l->vault->url);
    for (size_t i = 0; i < l->here->n && !gone && why == NULL; i++) {
        const struct store_entry *e = &l->here->v[i];
        const char *fault;

        if (strncmp(e->name, folder, strlen(folder)) == 0 &&
            (fault = fault_of(l, e)) != NULL)
            why = reason(l, e->name + strlen(folder), fault);
    }
    free(folder);
    free(manifest);
    return why;
}

static char *
judge_segment(struct look *l, const char *name, bool strict)
{
    const struct store_entry *here = store_list_find(l->here, name);
    const char *fault = here == NULL ? NULL : fault_of(l, here);

    if (fault == NULL ||
        (!strict && l->low != NULL && strcmp(name, l->low) < 0))
        return NULL; /* or it has expired there */
    return reason(l, name, fault);
}

static int
look_open(struct look *l, const struct expire_conf *conf)
{
    const char *url = l->vault->url;
    char *path = ship_file_path(conf->repo->local_path, "shipped", url);
    int rc = file_read(path, 16u << 20, &l->memory);

    free(path);
    if (rc < 0 || store_list(l->vault->repo->store, "", false, &l->there) < 0)
        return -1;
    if (memcmp(l->vault->repo->id, conf->repo->id, REPO_ID_SIZE) != 0)
        return err_set(ERR_NOREPO, "%s is another repository", url);
    for (size_t i = 0; i < l->there.n && l->low == NULL; i++)
        if (ship_is_segment(l->there.v[i].name))
            l->low = l->there.v[i].name;
    l->confirmed = confirmed_load(conf->repo, url);
    return 0;
}

static void
look_close(struct look *l)
{
    store_list_free(&l->there);
    confirmed_free(l->confirmed);
    buf_free(&l->memory);
}

static void
hold_segments(struct expire_held *h, size_t from, char *why)
{
    free(h->log);
    h->log = why;
    h->segment = from;
}

/* Of what would go; base: what would without keep_local. */
static void
find_on(struct look *l, const struct catalog *c, const struct expire_plan *base,
    const struct expire_plan *plan, struct expire_held *h)
{
    char *why;

    for (size_t i = 0; i < c->backups; i++)
        if (!plan->backup[i].keep && h->backup[i] == NULL)
            h->backup[i] =
                judge_backup(l, c->backup[i].id, base->backup[i].keep);
    for (size_t i = 0; i < h->segment && !plan->segment[i].keep; i++)
        if ((why = judge_segment(
                 l, c->segment[i].name, base->segment[i].keep)) != NULL)
            hold_segments(h, i, why);
}

static void
hold_all(const struct catalog *c, const char *url, struct expire_held *h)
{
    for (size_t i = 0; i < c->backups; i++)
        if (h->backup[i] == NULL)
            h->backup[i] = xasprintf("%s cannot be reached", url);
    hold_segments(h, 0, xasprintf("%s cannot be reached", url));
}

int
expire_find_held(const struct expire_conf *conf, const struct catalog *c,
    const struct expire_plan *base, const struct expire_plan *plan,
    const struct pins *pins, const struct store_list *all,
    struct expire_held *out)
{
    int rc = 0;

    *out = (struct expire_held){.backups = c->backups, .segment = c->segments};
    out->backup = xcalloc(c->backups + 1, sizeof *out->backup);
    for (size_t i = 0; i < conf->vaults && rc == 0; i++) {
        struct look l = {.vault = &conf->vault[i], .pins = pins, .here = all};

        if (l.vault->repo == NULL) {
            hold_all(c, l.vault->url, out);
            continue;
        }
        if ((rc = look_open(&l, conf)) == 0)
            find_on(&l, c, base, plan, out);
        look_close(&l);
    }
    return rc;
}

void
expire_held_free(struct expire_held *h)
{
    for (size_t i = 0; i < h->backups; i++)
        free(h->backup[i]);
    free(h->backup);
    free(h->log);
    *h = (struct expire_held){0};
}
