/*
 * store_local.c -- a store in a local directory: opening it, reading, listing
 * and removing.  Writing is in local_put.c.
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
#include <sys/statvfs.h>
#include <unistd.h>

#include "local.h"
#include "pitr/log.h"
#include "pitr/mem.h"

#define READ_BYTES ((size_t)128 * 1024)
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Open one folder below fd; closes fd. */
static int
step_into(int fd, const char *name, int make)
{
    int next = openat(fd, name, OPEN_DIR), saved;

    if (next < 0 && errno == ENOENT && make) {
        if ((mkdirat(fd, name, 0700) == 0 || errno == EEXIST) && fsync(fd) == 0)
            next = openat(fd, name, OPEN_DIR);
    }
    saved = errno;
    close(fd);
    errno = saved;
    return next;
}

int
local_walk(struct local *l, const char *name, int make, const char **leaf)
{
    int fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0), saved;
    const char *p = name, *slash;

    if (make)
        pthread_mutex_lock(&l->make_lock);
    while (fd >= 0 && (slash = strchr(p, '/')) != NULL) {
        char *folder = xstrndup(p, (size_t)(slash - p));

        fd = step_into(fd, folder, make);
        free(folder);
        p = slash + 1;
    }
    saved = errno;
    if (make)
        pthread_mutex_unlock(&l->make_lock);
    errno = saved;
    *leaf = p;
    return fd;
}

struct reader {
    int fd;
    char *name;
    uint8_t *data;
    size_t at, len;
};

static long
read_fd(struct reader *r, void *p, size_t n)
{
    ssize_t got;

    while ((got = read(r->fd, p, n)) < 0 && errno == EINTR)
        continue;
    if (got < 0)
        return err_sys(ERR_FAILED, "cannot read %s", r->name);
    return (long)got;
}

static long
reader_read(void *impl, void *p, size_t n)
{
    struct reader *r = impl;
    long got;

    if (r->at == r->len) {
        if (n >= READ_BYTES)
            return read_fd(r, p, n);
        if ((got = read_fd(r, r->data, READ_BYTES)) <= 0)
            return got;
        r->at = 0;
        r->len = (size_t)got;
    }
    n = MIN(n, r->len - r->at);
    memcpy(p, r->data + r->at, n);
    r->at += n;
    return (long)n;
}

static void
reader_free(void *impl)
{
    struct reader *r = impl;

    close(r->fd);
    free(r->name);
    free(r->data);
    free(r);
}

/* An open regular file, or -1 with err set. */
static int
open_object(struct local *l, const char *name)
{
    const char *leaf;
    struct stat st;
    int dir, fd = -1;

    if ((dir = local_walk(l, name, 0, &leaf)) >= 0) {
        /* O_NONBLOCK: a FIFO put there must not hold us up. */
        fd = openat(dir, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) {
            int saved = errno;

            close(dir);
            errno = saved;
        } else {
            close(dir);
        }
    }
    if (fd < 0 && errno == ENOENT)
        return err_set(ERR_VERIFY, "%s/%s is missing", l->path, name);
    if (fd < 0)
        return err_sys(ERR_FAILED, "cannot open %s/%s", l->path, name);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(
            ERR_VERIFY, "%s/%s is not a regular file", l->path, name);
    }
    return fd;
}

static struct source *
local_get(void *impl, const char *name, uint64_t offset)
{
    static const struct source_ops ops = {
        .read = reader_read, .free = reader_free};
    struct local *l = impl;
    struct extents x = {0};
    struct reader *r;
    struct source *many;
    const char *leaf;
    int fd, dir = local_walk(l, name, 0, &leaf);

    /* What is wrong shows when it is opened. */
    if (dir >= 0 && local_lookup(l, dir, name, &x) == 0 && x.n > 0 &&
        !(x.n == 1 && x.v[0].plain)) {
        many = local_get_many(l, dir, name, leaf, &x, offset);
        extents_free(&x);
        return many;
    }
    extents_free(&x);
    if (dir >= 0)
        close(dir);
    if ((fd = open_object(l, name)) < 0)
        return NULL;
    if (offset > INT64_MAX || lseek(fd, (off_t)offset, SEEK_SET) < 0) {
        err_sys(ERR_FAILED, "cannot seek in %s/%s", l->path, name);
        close(fd);
        return NULL;
    }
    posix_fadvise(fd, (off_t)offset, 0, POSIX_FADV_SEQUENTIAL);
    r = xcalloc(1, sizeof(*r));
    r->fd = fd;
    r->name = xasprintf("%s/%s", l->path, name);
    r->data = xmalloc(READ_BYTES);
    return source_new(&ops, r);
}

static int
local_stat(void *impl, const char *name, uint64_t *size)
{
    struct local *l = impl;
    struct extents x = {0};
    struct pieces p;
    const char *leaf;
    int rc, saved, dir = local_walk(l, name, 0, &leaf);

    rc = dir < 0 ? -1 : local_lookup(l, dir, name, &x);
    saved = errno;
    if (dir >= 0)
        close(dir);
    if (rc == 0 && x.n > 0) {
        extents_pieces(&x, &p);
        *size = p.size;
        pieces_free(&p);
        rc = 1;
    } else if (rc < 0 && saved == ENOENT) {
        rc = 0;
    } else if (rc < 0 && saved == EISDIR) {
        rc = err_set(ERR_VERIFY, "%s/%s is not a regular file", l->path, name);
    } else if (rc < 0) {
        errno = saved;
        rc = err_sys(ERR_FAILED, "%s/%s", l->path, name);
    }
    extents_free(&x);
    return rc;
}

/*
 * Folders that became empty go with their last object, so that a listing of
 * folders shows what exists.  One that is being written to at the same time is
 * made anew by the writer.
 */
static void
prune(struct local *l, const char *name)
{
    char *folder = xstrdup(name), *slash;
    const char *leaf;
    int dir;

    while ((slash = strrchr(folder, '/')) != NULL) {
        *slash = '\0';
        if ((dir = local_walk(l, folder, 0, &leaf)) < 0)
            break;
        if (unlinkat(dir, leaf, AT_REMOVEDIR) < 0) {
            close(dir);
            break;
        }
        close(dir);
    }
    free(folder);
}

/* The last file first: what is left, should this be cut short, is the start
 * of an object without its end.  errno. */
static int
unlink_files(struct local *l, int dir, const char *name, const char *leaf)
{
    struct extents x = {0};
    int rc = local_lookup(l, dir, name, &x);

    if (rc < 0 && errno == EISDIR)
        rc = 0; /* a link, not an object: removed as what it is */
    for (size_t i = x.n; i-- > 0 && rc == 0;) {
        char *file = extent_name(leaf, &x.v[i]);

        if (unlinkat(dir, file, 0) < 0 && errno != ENOENT)
            rc = -1;
        free(file);
    }
    if (rc == 0 && unlinkat(dir, leaf, 0) < 0 && errno != ENOENT)
        rc = -1;
    extents_free(&x);
    return rc;
}

static int
local_remove(void *impl, const char *name)
{
    struct local *l = impl;
    const char *leaf;
    int rc = -1, dir = local_walk(l, name, 0, &leaf);

    if (dir < 0) {
        if (errno == ENOENT)
            return 0;
        return err_sys(ERR_FAILED, "cannot remove %s/%s", l->path, name);
    }
    if (unlink_files(l, dir, name, leaf) < 0) {
        err_sys(ERR_FAILED, "cannot remove %s/%s", l->path, name);
    } else if (fsync(dir) < 0 && errno != EINVAL) {
        /* The order of removals has to survive a crash. */
        err_sys(ERR_FAILED, "cannot sync the folder of %s/%s", l->path, name);
    } else {
        rc = 0;
        prune(l, name);
    }
    close(dir);
    return rc;
}

static int list_folder(struct local *l, int fd, const char *prefix, bool flat,
    struct store_list *out);

static int
list_below(struct local *l, int dir, const char *prefix, const char *entry,
    struct store_list *out)
{
    char *name = xasprintf("%s%s/", prefix, entry);
    int fd = openat(dir, entry, OPEN_DIR), rc = 0;

    if (fd >= 0)
        rc = list_folder(l, fd, name, false, out);
    else if (errno != ENOENT)
        rc = err_sys(ERR_FAILED, "cannot open %s/%s", l->path, name);
    free(name);
    return rc;
}

/* One entry of the folder dir. */
static int
list_entry(struct local *l, int dir, const char *prefix, const char *entry,
    bool flat, struct store_list *out)
{
    struct stat st;
    char *name;

    if (entry[0] == '.' || (prefix[0] == '\0' && strcmp(entry, LOCAL_TMP) == 0))
        return 0;
    if (fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0; /* removed meanwhile */
        return err_sys(ERR_FAILED, "%s/%s%s", l->path, prefix, entry);
    }
    if (S_ISREG(st.st_mode)) {
        store_list_add(out, prefix, entry, strlen(entry), (uint64_t)st.st_size);
        return 0;
    }
    if (S_ISDIR(st.st_mode) && !flat)
        return list_below(l, dir, prefix, entry, out);
    if (S_ISDIR(st.st_mode)) {
        name = xasprintf("%s/", entry);
        store_list_add(out, prefix, name, strlen(name), 0);
        free(name);
        return 0;
    }
    log_warn("%s/%s%s is not a regular file and was left out", l->path, prefix,
        entry);
    return 0;
}

/* Takes fd. */
static int
list_folder(struct local *l, int fd, const char *prefix, bool flat,
    struct store_list *out)
{
    DIR *d = fdopendir(fd);
    struct local_folder *f = d == NULL ? NULL : local_folder_new(fd, prefix);
    struct dirent *e;
    int rc = 0;

    if (f == NULL) {
        err_sys(ERR_FAILED, "cannot read %s/%s", l->path, prefix);
        if (d != NULL)
            closedir(d);
        else
            close(fd);
        return -1;
    }
    while (rc == 0) {
        errno = 0;
        if ((e = readdir(d)) == NULL) {
            if (errno != 0)
                rc = err_sys(ERR_FAILED, "cannot read %s/%s", l->path, prefix);
            break;
        }
        local_folder_see(f, e->d_name);
        rc = list_entry(l, fd, prefix, e->d_name, flat, out);
    }
    if (rc == 0)
        local_folder_take(l, f);
    else
        local_folder_free(f);
    if (rc == 0 && local_list_extents(l, fd, prefix, out) < 0)
        rc = err_sys(ERR_FAILED, "cannot read %s/%s", l->path, prefix);
    closedir(d);
    return rc;
}

static int
local_list(void *impl, const char *prefix, bool flat, struct store_list *out)
{
    struct local *l = impl;
    const char *leaf;
    int fd = local_walk(l, prefix, 0, &leaf);

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_sys(ERR_FAILED, "cannot open %s/%s", l->path, prefix);
    /* A descriptor of its own: reading moves the position of a shared one. */
    fd = step_into(fd, ".", 0);
    if (fd < 0)
        return err_sys(ERR_FAILED, "cannot open %s/%s", l->path, prefix);
    return list_folder(l, fd, prefix, flat, out);
}

static void
local_close(void *impl)
{
    struct local *l = impl;

    local_forget(l);
    if (l->tmp_fd >= 0)
        close(l->tmp_fd);
    close(l->fd);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->make_lock);
    free(l->path);
    free(l);
}

static int
local_room(void *impl, struct store_room *out)
{
    struct local *l = impl;
    struct statvfs v;

    if (fstatvfs(l->fd, &v) < 0)
        return err_sys(ERR_FAILED, "%s", l->path);
    out->syncs = out->known = true;
    out->read_only = (v.f_flag & ST_RDONLY) != 0;
    out->free = (uint64_t)v.f_bavail * v.f_frsize;
    out->size = (uint64_t)v.f_blocks * v.f_frsize;
    return 0;
}

struct store *
store_open_local(const char *path)
{
    static const struct store_ops ops = {.put = local_put,
        .get = local_get,
        .stat = local_stat,
        .written = local_written,
        .remove = local_remove,
        .list = local_list,
        .room = local_room,
        .close = local_close};
    struct local *l;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        int why = errno;

        err_sys(ERR_NOREPO, "cannot open repository %s", path);
        if (why == ENOENT)
            err_hint("check the path, or make a repository with 'pitr init'");
        else if (why == EACCES)
            err_hint("It belongs to the account that makes the backups: run "
                     "this as that one, or as root.");
        return NULL;
    }
    l = xcalloc(1, sizeof(*l));
    l->fd = fd;
    l->tmp_fd = -1;
    l->path = xstrdup(path);
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->make_lock, NULL);
    return store_new(&ops, l, path);
}
