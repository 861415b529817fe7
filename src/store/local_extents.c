/*
 * local_extents.c -- objects that are several files, as on a vault that is
 * looked at where it stands (doc/FORMAT.md, "Extents on a vault").
 *
 * A repository of our own has no extents.  So that looking for them costs
 * nothing, what a folder has is remembered until the folder changes.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "local.h"
#include "pitr/log.h"
#include "pitr/mem.h"

#define FOLDERS_MAX 64
/* A folder may change twice within a tick of the clock of its time. */
#define TICK_S 2

struct local_folder {
    struct local_folder *next;
    char *name;
    ino_t ino;
    struct timespec changed, begun; /* begun: to be read, by the same clock */
    char **file;                    /* of extents other than the plain one */
    size_t n, cap;
};

void
local_folder_free(struct local_folder *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n; i++)
        free(f->file[i]);
    free(f->file);
    free(f->name);
    free(f);
}

void
local_forget(struct local *l)
{
    struct local_folder *f;

    while ((f = l->folders) != NULL) {
        l->folders = f->next;
        local_folder_free(f);
    }
}

struct local_folder *
local_folder_new(int dir, const char *name)
{
    struct local_folder *f;
    struct stat st;

    if (fstat(dir, &st) < 0)
        return NULL;
    f = xcalloc(1, sizeof(*f));
    f->name = xstrdup(name);
    f->ino = st.st_ino;
    f->changed = st.st_mtim;
    clock_gettime(CLOCK_REALTIME, &f->begun);
    return f;
}

void
local_folder_see(struct local_folder *f, const char *file)
{
    struct extent x;
    size_t bytes;

    if (strchr(file, '+') == NULL || !extent_parse(file, &bytes, &x))
        return;
    f->file = xgrow(f->file, f->n, &f->cap, sizeof(*f->file));
    f->file[f->n++] = xstrdup(file);
}

/* Under the lock.  NULL with errno. */
static struct local_folder *
read_folder(int dir, const char *name)
{
    /* A descriptor of its own: reading moves the place of a shared one. */
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), saved;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct local_folder *f = NULL;
    struct dirent *e;

    if (d == NULL) {
        saved = errno;
        if (fd >= 0)
            close(fd);
        errno = saved;
        return NULL;
    }
    f = local_folder_new(dir, name);
    while (f != NULL && (errno = 0, e = readdir(d)) != NULL)
        local_folder_see(f, e->d_name);
    saved = errno;
    if (f != NULL && saved != 0) {
        local_folder_free(f);
        f = NULL;
    }
    closedir(d);
    errno = saved;
    return f;
}

/* Under the lock: in the place of what was remembered of it. */
static void
remember(struct local *l, struct local_folder *f)
{
    struct local_folder **at = &l->folders, *old;
    size_t n = 0;

    while ((old = *at) != NULL && strcmp(old->name, f->name) != 0 &&
        n < FOLDERS_MAX) {
        at = &old->next;
        n++;
    }
    if (old != NULL) {
        *at = old->next;
        local_folder_free(old);
    }
    f->next = l->folders;
    l->folders = f;
}

void
local_folder_take(struct local *l, struct local_folder *f)
{
    pthread_mutex_lock(&l->lock);
    remember(l, f);
    pthread_mutex_unlock(&l->lock);
}

/* Under the lock: the folder as it is now, borrowed; NULL with errno. */
static struct local_folder *
look(struct local *l, int dir, const char *name)
{
    struct local_folder *f = l->folders;
    struct stat st;

    if (fstat(dir, &st) < 0)
        return NULL;
    while (f != NULL && strcmp(f->name, name) != 0)
        f = f->next;
    if (f != NULL && f->ino == st.st_ino &&
        f->changed.tv_sec == st.st_mtim.tv_sec &&
        f->changed.tv_nsec == st.st_mtim.tv_nsec &&
        f->begun.tv_sec - st.st_mtim.tv_sec > TICK_S)
        return f;
    if ((f = read_folder(dir, name)) != NULL)
        remember(l, f);
    return f;
}

/* One file of the object, where there is such a regular file. */
static int
add_file(int dir, const char *file, struct extent *e, struct extents *out)
{
    struct stat st;

    if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISREG(st.st_mode)) {
        if (e->plain) {
            errno = EISDIR;
            return -1;
        }
        return 0;
    }
    e->size = (uint64_t)st.st_size;
    extents_add(out, e);
    return 0;
}

int
local_lookup(struct local *l, int dir, const char *name, struct extents *out)
{
    const char *slash = strrchr(name, '/');
    const char *leaf = slash == NULL ? name : slash + 1;
    char *folder = xstrndup(name, (size_t)(leaf - name));
    struct extent e = {.plain = true};
    struct local_folder *f;
    size_t n = strlen(leaf);
    int rc = add_file(dir, leaf, &e, out), saved;

    pthread_mutex_lock(&l->lock);
    if (rc == 0 && (f = look(l, dir, folder)) == NULL)
        rc = -1;
    for (size_t i = 0; rc == 0 && i < f->n; i++) {
        size_t bytes;

        if (strncmp(f->file[i], leaf, n) == 0 &&
            extent_parse(f->file[i], &bytes, &e) && bytes == n)
            rc = add_file(dir, f->file[i], &e, out);
    }
    saved = errno;
    pthread_mutex_unlock(&l->lock);
    extents_sort(out);
    free(folder);
    errno = saved;
    return rc;
}

/* --- reading one that is several files --- */

struct many {
    int dir, fd;
    char *where, *leaf;
    struct pieces pieces;
    struct extent newest; /* may be growing: its end is where it ends */
    size_t i;             /* the piece that fd is of */
    uint64_t at;
};

static int
open_piece(struct many *m)
{
    const struct piece *p = &m->pieces.v[m->i];
    char *file = extent_name(m->leaf, &p->from);
    struct stat st;
    int rc = 0;

    m->fd =
        openat(m->dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (m->fd < 0 && errno == ENOENT)
        rc = err_set(ERR_VERIFY, "%s: %s is missing", m->where, file);
    else if (m->fd < 0)
        rc = err_sys(ERR_FAILED, "cannot open %s: %s", m->where, file);
    else if (fstat(m->fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc =
            err_set(ERR_VERIFY, "%s: %s is not a regular file", m->where, file);
    else if (lseek(m->fd, (off_t)(m->at - p->from.offset), SEEK_SET) < 0)
        rc = err_sys(ERR_FAILED, "cannot seek in %s: %s", m->where, file);
    free(file);
    return rc;
}

static long
many_read(void *impl, void *p, size_t n)
{
    struct many *m = impl;

    while (m->i < m->pieces.n) {
        const struct piece *now = &m->pieces.v[m->i];
        bool last =
            m->i + 1 == m->pieces.n && extent_same(&now->from, &m->newest);
        ssize_t got = 0;

        if (m->at < now->end || last) {
            if (m->fd < 0 && open_piece(m) < 0)
                return -1;
            while ((got = read(m->fd, p, last ? n : MIN(n, now->end - m->at))) <
                    0 &&
                errno == EINTR)
                continue;
        }
        if (got < 0)
            return err_sys(ERR_FAILED, "cannot read %s", m->where);
        m->at += (uint64_t)got;
        if (got > 0)
            return (long)got;
        if (m->at < now->end)
            return err_set(ERR_VERIFY, "%s is shorter than it was", m->where);
        if (last)
            break;
        if (m->fd >= 0)
            close(m->fd);
        m->fd = -1;
        m->i++;
    }
    return 0;
}

static void
many_free(void *impl)
{
    struct many *m = impl;

    if (m->fd >= 0)
        close(m->fd);
    close(m->dir);
    pieces_free(&m->pieces);
    free(m->where);
    free(m->leaf);
    free(m);
}

struct source *
local_get_many(struct local *l, int dir, const char *name, const char *leaf,
    const struct extents *x, uint64_t offset)
{
    static const struct source_ops ops = {.read = many_read, .free = many_free};
    struct many *m = xcalloc(1, sizeof(*m));

    m->dir = dir;
    m->fd = -1;
    m->where = xasprintf("%s/%s", l->path, name);
    m->leaf = xstrdup(leaf);
    m->at = offset;
    m->newest = x->v[x->n - 1];
    extents_pieces(x, &m->pieces);
    while (m->i + 1 < m->pieces.n && m->pieces.v[m->i].end <= offset)
        m->i++;
    return source_new(&ops, m);
}

/* Every object of which an extent is there, with its size as a whole. */
int
local_list_extents(
    struct local *l, int dir, const char *prefix, struct store_list *out)
{
    struct local_folder *f;
    char *names = NULL;
    struct buf b = {0};
    size_t last = 0;
    int rc = 0;

    pthread_mutex_lock(&l->lock);
    if ((f = look(l, dir, prefix)) == NULL)
        rc = -1;
    for (size_t i = 0; rc == 0 && i < f->n; i++) {
        struct extent e;
        size_t bytes;

        if (extent_parse(f->file[i], &bytes, &e)) {
            buf_add(&b, f->file[i], bytes);
            buf_u8(&b, 0);
        }
    }
    pthread_mutex_unlock(&l->lock);
    if (rc < 0)
        return -1;
    names = (char *)b.data;
    for (; rc == 0 && last < b.len; last += strlen(names + last) + 1) {
        char *name = xasprintf("%s%s", prefix, names + last);
        struct extents x = {0};
        struct pieces p;
        size_t i = 0;

        while (i < out->n && strcmp(out->v[i].name, name) != 0)
            i++;
        rc = local_lookup(l, dir, name, &x);
        if (rc == 0 && x.n > 0) {
            extents_pieces(&x, &p);
            if (i == out->n)
                store_list_add(out, "", name, strlen(name), p.size);
            else
                out->v[i].size = p.size;
            pieces_free(&p);
        }
        extents_free(&x);
        free(name);
    }
    buf_free(&b);
    return rc;
}

int
local_written(void *impl, const char *name, uint64_t *us)
{
    struct local *l = impl;
    struct extents x = {0};
    struct stat st;
    const char *leaf;
    int dir = local_walk(l, name, 0, &leaf);
    int rc = dir < 0 ? -1 : local_lookup(l, dir, name, &x);

    for (size_t i = 0; rc == 0 && i < x.n; i++) {
        char *file = extent_name(leaf, &x.v[i]);

        rc = fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW);
        if (rc == 0)
            *us = MAX(*us, (uint64_t)st.st_mtime * 1000000);
        free(file);
    }
    if (rc < 0 && errno == ENOENT)
        rc = 0;
    else if (rc < 0)
        rc = err_sys(ERR_FAILED, "%s/%s", l->path, name);
    else
        rc = x.n > 0;
    extents_free(&x);
    if (dir >= 0)
        close(dir);
    return rc;
}
