/*
 * sftp_folder.c -- what is in a vault's folder, many of them read at once.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "names.h"
#include "sftp_folder.h"

#define REMEMBER_US (UINT64_C(2) * 1000000)
/* ... and so many times as long as reading it took. */
#define REMEMBER_TIMES 20
/* READDIR requests in flight for a folder; OpenSSH gives 100 names each.  With
 * each answer they become one more, as long as there is more: what is asked for
 * past the end costs the server, too. */
#define AHEAD 4

/* What was asked for is not wanted any more. */
static void
drop_asked(struct vault_folder *f)
{
    for (; f->asked > 0; f->asked--) {
        vault_drop(f->ask[f->head]);
        f->head = (f->head + 1) % VAULT_NAMES_AHEAD;
    }
}

void
vault_folder_free(struct vault_folder *f)
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

struct vault_folder *
vault_folder_new(const char *name)
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
    f->v[f->n++] = (struct vault_entry){
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
    if (f->seen > VAULT_ENTRIES_MAX)
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

    f->ahead =
        f->ahead == 0 ? AHEAD : MIN(f->ahead + 1, (size_t)VAULT_NAMES_AHEAD);
    while (rc == 0 && f->asked < f->ahead) {
        vault_begin(&b, SFTP_REQ_READDIR);
        vault_put_bytes(&b, f->handle.v, f->handle.n);
        if ((r = vault_send(c, &b)) != NULL)
            f->ask[(f->head + f->asked++) % VAULT_NAMES_AHEAD] = r;
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
    f->head = (f->head + 1) % VAULT_NAMES_AHEAD;
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

int
vault_folders_read(struct vault_conn *c, struct vault_folder **f, size_t n)
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
