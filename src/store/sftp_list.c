/*
 * sftp_list.c -- what is in the vault's folders, and which files are one
 * object.
 *
 * Many folders are read at once, for latency.  A folder's files are remembered
 * for a moment, so that looking at its objects one after the other does not
 * read it each time: what another process adds may be seen that much later,
 * what this one adds at once.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "names.h"
#include "sftp.h"

#define REMEMBER_US (UINT64_C(2) * 1000000)
/* ... and so many times as long as reading it took. */
#define REMEMBER_TIMES 20
/* So many are remembered in any case, and more of them while all have but so
 * many files. */
#define FOLDERS_MIN 16
#define FOLDERS_MAX 256
#define FOLDERS_FILES 16384
#define BATCH 32
/* READDIR requests in flight for a folder; OpenSSH gives 100 names each.  With
 * each answer they become one more, as long as there is more: what is asked for
 * past the end costs the server, too. */
#define AHEAD 4
#define AHEAD_MAX 128
#define ENTRIES_MAX ((size_t)4 << 20)

struct entry {
    char *name; /* of the file or folder, within its folder */
    bool is_folder;
    uint64_t size;
};

struct vault_folder {
    struct vault_folder *next; /* remembered, the newest first */
    char *name;                /* "FOLDER/" or "" */
    bool missing;
    struct entry *v;
    size_t n, cap;
    size_t seen; /* names in all, also those that are not ours */
    uint64_t until_us;

    /* While it is read. */
    struct vault_handle handle;
    bool open, ended;
    struct vault_req *ask[AHEAD_MAX]; /* a ring */
    size_t head, asked, ahead;
};

/* What was asked for is not wanted any more. */
static void
drop_asked(struct vault_folder *f)
{
    for (; f->asked > 0; f->asked--) {
        vault_drop(f->ask[f->head]);
        f->head = (f->head + 1) % AHEAD_MAX;
    }
}

static void
folder_free(struct vault_folder *f)
{
    if (f == NULL)
        return;
    drop_asked(f);
    for (size_t i = 0; i < f->n; i++)
        free(f->v[i].name);
    free(f->v);
    free(f->name);
    free(f);
}

static struct vault_folder *
folder_new(const char *name)
{
    struct vault_folder *f = xcalloc(1, sizeof(*f));

    f->name = xstrdup(name);
    return f;
}

static const char *
folder_text(const struct vault_folder *f)
{
    return f->name[0] == '\0' ? "its folder" : f->name;
}

/* What extents are made of: letters and so on, and "+". */
static bool
is_ours(const char *p, size_t n)
{
    size_t i;

    if (n == 0 || n > 255 || p[0] == '.')
        return false;
    for (i = names_span(p, n); i < n && p[i] == '+';)
        i += 1 + names_span(p + i + 1, n - i - 1);
    return i == n;
}

static int
add_entry(struct vault_conn *c, struct vault_folder *f, const uint8_t *p,
    size_t n, struct vault_attrs *a)
{
    char *name, *path, *full;
    int status;

    if (!is_ours((const char *)p, n))
        return 0;
    name = xstrndup((const char *)p, n);
    if (!a->has_size || !a->has_mode) {
        full = xasprintf("%s%s", f->name, name);
        path = vault_path(c->store, full);
        status = vault_stat_file(c, path, false, a);
        free(path);
        free(full);
        if (status < 0) {
            free(name);
            return -1;
        }
    }
    if (!S_ISDIR(a->mode) && !S_ISREG(a->mode)) {
        log_debug("%s: %s%s is not a regular file and was left out",
            c->store->url.shown, f->name, name);
        free(name);
        return 0;
    }
    if (S_ISREG(a->mode) && c->store->conf.as_of_us != 0 &&
        (!a->has_mtime || a->mtime_s > c->store->conf.as_of_us / 1000000)) {
        free(name);
        return 0;
    }
    f->v = xgrow(f->v, f->n, &f->cap, sizeof(*f->v));
    f->v[f->n++] = (struct entry){
        .name = name, .is_folder = S_ISDIR(a->mode), .size = a->size};
    return 0;
}

static int
take_names(struct vault_conn *c, struct vault_folder *f, struct vault_req *r)
{
    struct cur in = cur_of(r->data, r->len);
    uint32_t count = vault_get_u32(&in);

    /* A server need not be a friend, and may have names without end. */
    f->seen += MAX(count, 1);
    if (f->seen > ENTRIES_MAX)
        return err_set(ERR_FAILED, "%s: %s has too many files",
            c->store->url.shown, f->name);
    for (; count > 0 && !in.bad; count--) {
        struct vault_attrs a;
        size_t n, m;
        const uint8_t *name = vault_get_bytes(&in, &n);

        (void)vault_get_bytes(&in, &m); /* as of ls -l */
        vault_get_attrs(&in, &a);
        if (!in.bad && add_entry(c, f, name, n, &a) < 0)
            return -1;
    }
    if (in.bad)
        return vault_lose(c, "the server's list of names is broken");
    return 0;
}

static int
send_for_names(struct vault_conn *c, struct vault_folder *f)
{
    struct buf b = {0};
    struct vault_req *r = NULL;
    int rc = 0;

    f->ahead = f->ahead == 0 ? AHEAD : MIN(f->ahead + 1, (size_t)AHEAD_MAX);
    while (rc == 0 && f->asked < f->ahead) {
        vault_begin(&b, SFTP_REQ_READDIR);
        vault_put_bytes(&b, f->handle.v, f->handle.n);
        if ((r = vault_send(c, &b)) != NULL)
            f->ask[(f->head + f->asked++) % AHEAD_MAX] = r;
        else
            rc = -1;
    }
    buf_free(&b);
    return rc;
}

/* The answer to the oldest request. */
static int
receive_names(struct vault_conn *c, struct vault_folder *f)
{
    struct vault_req *r = f->ask[f->head];
    int rc = 0;

    if (vault_wait(c, r) < 0)
        return -1;
    if (r->type == SFTP_NAME)
        rc = take_names(c, f, r);
    else if (r->type == SFTP_STATUS && r->status == SFTP_EOF)
        f->ended = true;
    else if (r->type == SFTP_STATUS)
        rc = vault_fail(c, r, "list", folder_text(f));
    else
        rc = vault_lose(c, "the server's answer is of another kind");
    vault_drop(r);
    f->head = (f->head + 1) % AHEAD_MAX;
    f->asked--;
    if (f->ended || rc < 0)
        drop_asked(f);
    return rc;
}

static int
send_open(struct vault_conn *c, struct vault_folder *f)
{
    char *path = vault_path(c->store, f->name);
    size_t n = strlen(path);
    struct buf b = {0};

    if (n > 1 && path[n - 1] == '/')
        path[n - 1] = '\0';
    vault_begin(&b, SFTP_REQ_OPENDIR);
    vault_put_str(&b, path);
    f->head = 0;
    f->ask[0] = vault_send(c, &b);
    f->asked = f->ask[0] != NULL;
    buf_free(&b);
    free(path);
    return f->asked == 1 ? 0 : -1;
}

static int
receive_open(struct vault_conn *c, struct vault_folder *f)
{
    struct vault_req *r = f->ask[0];
    int rc = 0;

    if (vault_wait(c, r) < 0)
        return -1;
    if (r->type == SFTP_HANDLE) {
        if (!vault_take_handle(r, &f->handle))
            return vault_lose(c, "the server's handle is not one");
        f->open = true;
    } else if (r->type == SFTP_STATUS && r->status == SFTP_NO_SUCH_FILE) {
        f->missing = true;
    } else if (r->type == SFTP_STATUS && r->status != SFTP_OK) {
        rc = vault_fail(c, r, "list", folder_text(f));
    } else {
        rc = vault_lose(c, "the server's answer is of another kind");
    }
    vault_drop(r);
    f->asked = 0;
    return rc;
}

/* Read up to BATCH folders, all of them at once. */
static int
read_folders(struct vault_conn *c, struct vault_folder **f, size_t n)
{
    uint64_t begun = time_mono_us();
    bool more = true;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = send_open(c, f[i]);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = receive_open(c, f[i]);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (f[i]->open)
            rc = send_for_names(c, f[i]);
    while (more && rc == 0) {
        more = false;
        for (size_t i = 0; i < n && rc == 0; i++) {
            if (!f[i]->open || f[i]->ended)
                continue;
            rc = receive_names(c, f[i]);
            if (rc == 0 && !f[i]->ended) {
                rc = send_for_names(c, f[i]);
                more = true;
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (f[i]->open)
            vault_close_later(c, &f[i]->handle);
        f[i]->open = false;
        names_sort(f[i]->v, f[i]->n, sizeof(*f[i]->v));
        f[i]->until_us =
            begun + REMEMBER_US + REMEMBER_TIMES * (time_mono_us() - begun);
    }
    return rc;
}

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
        folder_free(f);
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
        folder_free(f);
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
        folder_free(f);
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
        f = folder_new(folder);
        if ((rc = read_folders(c, &f, 1)) == 0) {
            find_extents(f, object, &want->found);
            remember(s, f, changes);
        } else {
            folder_free(f);
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
    int rc = read_folders(c, f, n);

    for (size_t i = 0; i < n; i++) {
        if (rc == 0)
            remember(c->store, f[i], changes);
        else
            folder_free(f[i]);
        f[i] = NULL;
    }
    return rc;
}

int
vault_know_folders(struct vault_conn *c, const char *const *name, size_t n)
{
    struct vault_folder *f[BATCH];
    size_t some = 0;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        char *folder = vault_folder_of(name[i]);
        bool known = some > 0 && strcmp(f[some - 1]->name, folder) == 0;

        pthread_mutex_lock(&c->store->lock);
        known = known || remembered(c->store, folder) != NULL;
        pthread_mutex_unlock(&c->store->lock);
        if (!known)
            f[some++] = folder_new(folder);
        free(folder);
        if (some == BATCH || (i + 1 == n && some > 0)) {
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
    (*q)[(*n)++] = folder_new(name);
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
        size_t batch = MIN(n - done, (size_t)BATCH), end = done + batch;

        rc = n > ENTRIES_MAX
            ? err_set(ERR_FAILED, "%s: too many folders", c->store->url.shown)
            : read_folders(c, q + done, batch);
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
                folder_free(f);
        }
    }
    for (; done < n; done++)
        folder_free(q[done]);
    free(q);
    return rc;
}

int
vault_list(void *impl, const char *prefix, bool flat, struct store_list *out)
{
    struct listing l = {.prefix = prefix, .flat = flat, .out = out};

    return vault_run(impl, list_all, &l);
}
