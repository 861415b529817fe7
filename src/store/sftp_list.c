/*
 * sftp_list.c -- what is in the vault's folders, and which files are one
 * object.
 *
 * A folder's files are remembered for a moment, so that looking at its objects
 * one after the other does not read it each time: what another process adds may
 * be seen that much later, what this one adds at once.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/times.h"
#include "sftp_folder.h"

/* So many are remembered in any case, and more of them while all have but so
 * many files. */
#define FOLDERS_MIN 16
#define FOLDERS_MAX 256
#define FOLDERS_FILES 16384

/* --- what is remembered; under the store's lock --- */

static void
forget(struct vault *s, const char *folder)
{
    struct vault_folder **at = &s->folders, *f;

    s->changes++;
    while ((f = *at) != NULL) {
        if (folder != NULL && strcmp(f->name, folder) != 0) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        vault_folder_free(f);
    }
}

void
vault_forget(struct vault *s, const char *name)
{
    char *folder = vault_folder_of(name);

    vault_ahead_forget(s);
    pthread_mutex_lock(&s->lock);
    forget(s, folder);
    pthread_mutex_unlock(&s->lock);
    free(folder);
}

void
vault_forget_all(struct vault *s)
{
    pthread_mutex_lock(&s->lock);
    forget(s, NULL);
    pthread_mutex_unlock(&s->lock);
}

/* Takes f, which was read when so many changes had been made: if there have
 * been more, it may be older than one of them. */
static void
remember(struct vault *s, struct vault_folder *f, uint64_t changes)
{
    struct vault_folder **at;
    size_t n = 0, files = 0;

    pthread_mutex_lock(&s->lock);
    if (changes != s->changes) {
        pthread_mutex_unlock(&s->lock);
        vault_folder_free(f);
        return;
    }
    forget(s, f->name);
    s->changes = changes;
    f->next = s->folders;
    s->folders = f;
    for (at = &s->folders; *at != NULL && n < FOLDERS_MAX; n++) {
        files += (*at)->n;
        if (n >= FOLDERS_MIN && files > FOLDERS_FILES)
            break;
        at = &(*at)->next;
    }
    while (*at != NULL) {
        f = *at;
        *at = f->next;
        vault_folder_free(f);
    }
    pthread_mutex_unlock(&s->lock);
}

static uint64_t
changes_now(struct vault *s)
{
    uint64_t n;

    pthread_mutex_lock(&s->lock);
    n = s->changes;
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* The files of one object stand together: "+" sorts before all else that a
 * name may go on with. */
static void
find_extents(
    const struct vault_folder *f, const char *object, struct extents *out)
{
    size_t n = strlen(object), low = 0, high = f->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(f->v[mid].name, object) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < f->n && strncmp(f->v[low].name, object, n) == 0; low++) {
        struct extent e = {.size = f->v[low].size};
        size_t bytes;

        if (f->v[low].name[n] != '\0' && f->v[low].name[n] != '+')
            break;
        if (!f->v[low].is_folder && extent_parse(f->v[low].name, &bytes, &e) &&
            bytes == n)
            extents_add(out, &e);
    }
    extents_sort(out);
}

/* Under the lock: what is remembered, and not for too long; NULL. */
static struct vault_folder *
remembered(struct vault *s, const char *folder)
{
    struct vault_folder *f = s->folders;

    while (f != NULL && strcmp(f->name, folder) != 0)
        f = f->next;
    return f != NULL && f->until_us > time_mono_us() ? f : NULL;
}

int
vault_lookup(struct vault_conn *c, void *arg)
{
    struct vault_lookup *want = arg;
    struct vault *s = c->store;
    char *folder = vault_folder_of(want->name);
    const char *object = want->name + strlen(folder);
    struct vault_folder *f;
    uint64_t changes = changes_now(s);
    int rc = 0;

    extents_free(&want->found);
    pthread_mutex_lock(&s->lock);
    f = want->fresh ? NULL : remembered(s, folder);
    if (f != NULL)
        find_extents(f, object, &want->found);
    pthread_mutex_unlock(&s->lock);
    if (f == NULL) {
        f = vault_folder_new(folder);
        if ((rc = vault_folders_read(c, &f, 1)) == 0) {
            find_extents(f, object, &want->found);
            remember(s, f, changes);
        } else {
            vault_folder_free(f);
        }
    }
    free(folder);
    return rc;
}

/* Read these; takes what is in f, and leaves NULLs. */
static int
learn(struct vault_conn *c, struct vault_folder **f, size_t n)
{
    uint64_t changes = changes_now(c->store);
    int rc = vault_folders_read(c, f, n);

    for (size_t i = 0; i < n; i++) {
        if (rc == 0)
            remember(c->store, f[i], changes);
        else
            vault_folder_free(f[i]);
        f[i] = NULL;
    }
    return rc;
}

int
vault_know_folders(struct vault_conn *c, const char *const *name, size_t n)
{
    struct vault_folder *f[VAULT_FOLDERS];
    size_t some = 0;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        char *folder = vault_folder_of(name[i]);
        bool known = some > 0 && strcmp(f[some - 1]->name, folder) == 0;

        pthread_mutex_lock(&c->store->lock);
        known = known || remembered(c->store, folder) != NULL;
        pthread_mutex_unlock(&c->store->lock);
        if (!known)
            f[some++] = vault_folder_new(folder);
        free(folder);
        if (some == VAULT_FOLDERS || (i + 1 == n && some > 0)) {
            rc = learn(c, f, some);
            some = 0;
        }
    }
    return rc;
}

/* --- store_list --- */

static void
add_object(struct store_list *out, const char *folder, const char *object,
    size_t n, struct extents *x)
{
    struct pieces p = {0};
    bool one = x->n == 1 && x->v[0].plain; /* as most are */

    if (!one) {
        extents_sort(x);
        extents_pieces(x, &p);
    }
    store_list_add(out, folder, object, n,
        one ? MIN(x->v[0].size, (uint64_t)INT64_MAX) : p.size);
    pieces_free(&p);
    x->n = 0;
}

static void
fold(const struct vault_folder *f, struct store_list *out)
{
    struct extents x = {0};
    const char *object = NULL;
    size_t bytes = 0;

    for (size_t i = 0; i < f->n; i++) {
        struct extent e = {.size = f->v[i].size};
        size_t n;

        if (f->v[i].is_folder || !extent_parse(f->v[i].name, &n, &e))
            continue;
        if (object != NULL &&
            (n != bytes || memcmp(object, f->v[i].name, n) != 0)) {
            add_object(out, f->name, object, bytes, &x);
            object = NULL;
        }
        if (object == NULL) {
            object = f->v[i].name;
            bytes = n;
        }
        extents_add(&x, &e);
    }
    if (object != NULL)
        add_object(out, f->name, object, bytes, &x);
    extents_free(&x);
}

struct listing {
    const char *prefix;
    bool flat;
    struct store_list *out;
};

static void
queue_add(struct vault_folder ***q, size_t *n, size_t *cap, const char *name)
{
    *q = xgrow(*q, *n, cap, sizeof(struct vault_folder *));
    (*q)[(*n)++] = vault_folder_new(name);
}

static int
list_all(struct vault_conn *c, void *arg)
{
    struct listing *l = arg;
    struct vault_folder **q = NULL;
    size_t n = 0, cap = 0, done = 0;
    uint64_t changes = changes_now(c->store);
    int rc = 0;

    store_list_free(l->out);
    queue_add(&q, &n, &cap, l->prefix);
    while (done < n && rc == 0) {
        size_t batch = MIN(n - done, (size_t)VAULT_FOLDERS), end = done + batch;

        rc = n > VAULT_ENTRIES_MAX
            ? err_set(ERR_FAILED, "%s: too many folders", c->store->url.shown)
            : vault_folders_read(c, q + done, batch);
        if (rc == 0 && done == 0 && q[0]->missing && q[0]->name[0] == '\0')
            rc = err_set(ERR_NOREPO, "%s: the folder is not there any more",
                c->store->url.shown);
        for (; done < end; done++) {
            struct vault_folder *f = q[done];

            for (size_t i = 0; i < f->n && rc == 0; i++) {
                char *name;

                /* tmp/ is of who works where the vault lies, and may not be
                 * ours to look into. */
                if (!f->v[i].is_folder ||
                    (f->name[0] == '\0' && strcmp(f->v[i].name, "tmp") == 0))
                    continue;
                name = xasprintf("%s%s/", f->name, f->v[i].name);
                if (l->flat)
                    store_list_add(l->out, "", name, strlen(name), 0);
                else if (strlen(name) < 256)
                    queue_add(&q, &n, &cap, name);
                free(name);
            }
            if (rc == 0)
                fold(f, l->out);
            q[done] = NULL;
            if (rc == 0)
                remember(c->store, f, changes);
            else
                vault_folder_free(f);
        }
    }
    for (; done < n; done++)
        vault_folder_free(q[done]);
    free(q);
    return rc;
}

int
vault_list(void *impl, const char *prefix, bool flat, struct store_list *out)
{
    struct listing l = {.prefix = prefix, .flat = flat, .out = out};

    return vault_run(impl, list_all, &l);
}
