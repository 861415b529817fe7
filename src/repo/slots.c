/*
 * slots.c -- all slots of a repository, read when the first one is asked for.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "slots.h"

struct slot {
    uint8_t header[DIGEST_SIZE], id[KEY_ID_SIZE];
    uint8_t key[SEAL_SLOT_SIZE];
};

struct slots {
    struct slot *v; /* sorted */
    size_t n, cap;
};

/* Readers ask from several threads; that is rare enough for one lock. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static int
by_object(const void *a, const void *b)
{
    /* header and id lie side by side */
    return memcmp(a, b, DIGEST_SIZE + KEY_ID_SIZE);
}

static void
add_file(struct slots *s, const struct slots_file *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct seal_rewrapped *k = &f->v[i].keys;

        for (unsigned j = 0; j < k->n; j++) {
            struct slot *to;

            s->v = xgrow(s->v, s->n, &s->cap, sizeof *s->v);
            to = &s->v[s->n++];
            memcpy(to->header, k->header, DIGEST_SIZE);
            memcpy(to->id, k->v[j].id, KEY_ID_SIZE);
            memcpy(to->key, k->v[j].slot, SEAL_SLOT_SIZE);
        }
    }
}

/* One that is damaged must not keep the others from being used. */
static int
load_all(struct repo *r, struct slots *s)
{
    struct store_list l = {0};
    int rc = store_list(r->store, SLOTS_PREFIX, false, &l);

    for (size_t i = 0; i < l.n && rc == 0; i++) {
        struct slots_file f;

        rc = slots_file_load(r, l.v[i].name, &f);
        if (rc == 0) {
            add_file(s, &f);
            slots_file_free(&f);
        } else if (err_kind() == ERR_VERIFY) {
            log_warn("%s; it does not count", err_text());
            err_clear();
            rc = 0;
        }
    }
    if (s->n > 1)
        qsort(s->v, s->n, sizeof *s->v, by_object);
    store_list_free(&l);
    return rc;
}

void
slots_free(struct slots *s)
{
    if (s == NULL)
        return;
    free(s->v);
    free(s);
}

static const struct slots *
slots_of(struct repo *r)
{
    struct slots *s;

    pthread_mutex_lock(&loading);
    s = r->slots;
    if (s == NULL) {
        s = xcalloc(1, sizeof *s);
        if (load_all(r, s) < 0) {
            slots_free(s);
            s = NULL;
        }
        r->slots = s;
    }
    pthread_mutex_unlock(&loading);
    return s;
}

int
slots_find(void *repo, const uint8_t header[DIGEST_SIZE],
    const uint8_t id[KEY_ID_SIZE], uint8_t slot[SEAL_SLOT_SIZE])
{
    const struct slots *s = slots_of(repo);
    struct slot want, *is;

    if (s == NULL)
        return -1;
    memcpy(want.header, header, DIGEST_SIZE);
    memcpy(want.id, id, KEY_ID_SIZE);
    is = s->n == 0 ? NULL : bsearch(&want, s->v, s->n, sizeof want, by_object);
    if (is == NULL)
        return 0;
    memcpy(slot, is->key, SEAL_SLOT_SIZE);
    return 1;
}

int
slots_has_key(struct repo *r, const struct public_key *k)
{
    const struct slots *s = slots_of(r);
    uint8_t id[KEY_ID_SIZE];

    if (s == NULL)
        return -1;
    public_key_id(k, id);
    for (size_t i = 0; i < s->n; i++)
        if (memcmp(s->v[i].id, id, KEY_ID_SIZE) == 0)
            return 1;
    return 0;
}
