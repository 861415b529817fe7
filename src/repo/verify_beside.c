/*
 * verify_beside.c -- what is neither backup nor log: the generations of the
 * repository file, and slots.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "repo_file.h"
#include "slots.h"
#include "verify_priv.h"

/* It was warned of when the repository was opened. */
static void
later(struct verify *v, const struct store_entry *e)
{
    for (size_t i = 0; i < v->repo->chain->n; i++) {
        const struct repo_file *f = &v->repo->chain->file[i];
        char *name =
            xasprintf(REPO_LATER "%06lu", (unsigned long)f->generation);
        bool same = strcmp(name, e->name) == 0;

        free(name);
        if (same) {
            verify_good(v, e->name, e->size, NULL, VERIFY_SIGNATURES);
            return;
        }
    }
    verify_found(v, VERIFY_DAMAGED, e->name,
        "it is damaged, or was not handed over by the generation before");
}

static int
slots(struct verify *v, const struct store_entry *e)
{
    struct slots_file f;

    if (slots_file_load(v->repo, e->name, &f) < 0)
        return verify_is_gone(v, e->name) ? 0 : verify_fault(v, e->name);
    slots_file_free(&f);
    verify_good(v, e->name, e->size, NULL, VERIFY_SIGNATURES);
    return 0;
}

int
verify_beside(struct verify *v, const struct store_list *all)
{
    int rc = 0;

    for (size_t i = 0; i < all->n && rc == 0; i++) {
        const struct store_entry *e = &all->v[i];

        if (repo_is_later(e->name))
            later(v, e);
        else if (strncmp(e->name, SLOTS_PREFIX, strlen(SLOTS_PREFIX)) == 0)
            rc = slots(v, e);
    }
    return rc;
}
