/*
 * pins.c -- backups that somebody wants to stay.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/expire.h"
#include "pitr/mem.h"
#include "pitr/times.h"

#define PREFIX "pin/"

int
pins_load(struct repo *r, struct pins *out)
{
    struct store_list l = {0};

    memset(out, 0, sizeof *out);
    if (store_list(r->store, PREFIX, false, &l) < 0)
        return err_wrap("pins");
    for (size_t i = 0; i < l.n; i++) {
        out->id = xgrow(out->id, out->n, &out->cap, sizeof *out->id);
        out->id[out->n++] = xstrdup(l.v[i].name + strlen(PREFIX));
    }
    store_list_free(&l);
    return 0;
}

bool
pins_has(const struct pins *p, const char *id)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->id[i], id) == 0)
            return true;
    return false;
}

void
pins_free(struct pins *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->id[i]);
    free(p->id);
    memset(p, 0, sizeof *p);
}

static int
check_backup(struct repo *r, const char *id)
{
    char *manifest = xasprintf("backup/%s/manifest", id);
    uint64_t size;
    int rc =
        strchr(id, '/') != NULL ? 0 : store_stat(r->store, manifest, &size);

    free(manifest);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    err_set(ERR_NOREPO, "there is no backup %s", id);
    return err_hint("\"pitr list\" shows the backups.");
}

int
pin_add(struct repo *r, const char *id)
{
    char *name = xasprintf(PREFIX "%s", id), when[TIME_TEXT], *text;
    struct sink *sink = NULL;
    uint64_t size;
    int rc = -1, there;

    text = xasprintf("pitr-pin 1\nbackup: %s\nsince: %s\n", id,
        time_rfc3339(time_now_us(), when));
    if (check_backup(r, id) < 0 ||
        (there = store_stat(r->store, name, &size)) < 0)
        goto out;
    if (there == 1) {
        rc = 1;
        goto out;
    }
    sink = store_put(r->store, name, STORE_ATOMIC);
    if (sink != NULL && sink_write(sink, text, strlen(text)) == 0)
        rc = sink_finish(sink);

out:
    sink_free(sink);
    free(name);
    free(text);
    return rc;
}

int
pin_remove(struct repo *r, const char *id)
{
    char *name = xasprintf(PREFIX "%s", id);
    uint64_t size;
    int rc = store_stat(r->store, name, &size);

    if (rc == 0)
        rc = 1;
    else if (rc > 0)
        rc = store_remove(r->store, name);
    free(name);
    return rc;
}
