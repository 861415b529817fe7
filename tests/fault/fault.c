/*
 * fault.c -- faults at chosen moments of a program's writing, by LD_PRELOAD.
 *
 * Calls that change files below $FAULT_PATH are counted: open (to write or
 * create), write, fsync, link, rename, unlink, truncate, mkdir.  At the
 * $FAULT_AT-th one $FAULT_DO happens:
 *
 *   kill   the process is killed before the call
 *   torn   killed after a part of a write
 *   power  killed, and what was not synced is gone: bytes after the last fsync
 *          of a file (or zeros in their place), names since the last fsync of
 *          their folder; what was removed since then may be back
 *   enospc, eio    the call fails, and so do all later ones that would write
 *          (with $FAULT_ONCE only this one)
 *
 * With $FAULT_COMM only in a program of that name, not in those that it starts.
 * $FAULT_SEED chooses among what may happen.  $FAULT_COUNT names a file into
 * which the number of calls is written at exit.  $FAULT_CLOCK is added, in
 * seconds, to the clock of the wall.  $FAULT_STASH is a folder on the same file
 * system, for what was removed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum what { DO_NOTHING, DO_KILL, DO_TORN, DO_POWER, DO_ENOSPC, DO_EIO };

struct file { /* bytes that are not synced */
    dev_t dev;
    ino_t ino;
    char *path;
    off_t synced;
};
struct name { /* since the last sync of its folder */
    char *path;
    char *was; /* a rename's old name; a removal's copy in the stash */
    bool removed;
    bool durable;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char prefix[PATH_MAX], stash[PATH_MAX - 64];
static enum what what;
static long at, count, stashed;
static bool once, failing;
static uint64_t seed;
static long clock_s;
static struct file files[4096];
static struct name names[16384];
static size_t n_files, n_names;

#define REAL(type, name, ...)                                                  \
    static type (*real)(__VA_ARGS__);                                          \
    if (real == NULL)                                                          \
    real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int
choose(int n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (int)((seed >> 33) % (uint64_t)n);
}

__attribute__((constructor)) static void
begin(void)
{
    static const char *const words[] = {
        "", "kill", "torn", "power", "enospc", "eio"};
    const char *s;

    if ((s = getenv("FAULT_COMM")) != NULL &&
        strcmp(s, program_invocation_short_name) != 0)
        return;
    if ((s = getenv("FAULT_PATH")) != NULL && realpath(s, prefix) == NULL)
        snprintf(prefix, sizeof prefix, "%s", s);
    if ((s = getenv("FAULT_STASH")) != NULL)
        snprintf(stash, sizeof stash, "%s", s);
    if ((s = getenv("FAULT_DO")) != NULL)
        for (int i = 1; i < 6; i++)
            if (strcmp(s, words[i]) == 0)
                what = (enum what)i;
    at = (s = getenv("FAULT_AT")) != NULL ? atol(s) : 0;
    seed = (s = getenv("FAULT_SEED")) != NULL ? strtoull(s, NULL, 10) : 1;
    clock_s = (s = getenv("FAULT_CLOCK")) != NULL ? atol(s) : 0;
    once = getenv("FAULT_ONCE") != NULL;
}

__attribute__((destructor)) static void
end(void)
{
    const char *path = getenv("FAULT_COUNT");
    FILE *f = path != NULL && prefix[0] != '\0' ? fopen(path, "we") : NULL;

    if (f == NULL)
        return;
    fprintf(f, "%ld\n", count);
    fclose(f);
}

/* --- whose path is it? --- */

static bool
is_ours(const char *path)
{
    size_t n = strlen(prefix);

    return n > 0 && strncmp(path, prefix, n) == 0 &&
        (path[n] == '/' || path[n] == '\0');
}

static bool
path_of_fd(int fd, char out[PATH_MAX])
{
    char link[64];
    ssize_t n;

    if (prefix[0] == '\0')
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if ((n = readlink(link, out, PATH_MAX - 1)) <= 0)
        return false;
    out[n] = '\0';
    return is_ours(out);
}

static bool
path_at(int dir, const char *path, char out[PATH_MAX])
{
    char base[PATH_MAX];

    if (prefix[0] == '\0')
        return false;
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
        return is_ours(out);
    }
    if (dir == AT_FDCWD) {
        if (getcwd(base, sizeof base) == NULL)
            return false;
    } else {
        char link[64];
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        if ((n = readlink(link, base, sizeof base - 1)) <= 0)
            return false;
        base[n] = '\0';
    }
    if (strlen(base) + strlen(path) + 2 > PATH_MAX)
        return false;
    strcpy(out, base);
    strcat(out, "/");
    strcat(out, path);
    return is_ours(out);
}

/* --- what is not durable --- */

static struct file *
file_of(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return NULL;
    for (size_t i = 0; i < n_files; i++)
        if (files[i].ino == st.st_ino && files[i].dev == st.st_dev)
            return &files[i];
    return NULL;
}

/* Before the first change through us. */
static void
file_note(int fd, const char *path)
{
    struct stat st;

    if (file_of(fd) != NULL || n_files == sizeof files / sizeof *files ||
        fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    files[n_files++] =
        (struct file){st.st_dev, st.st_ino, strdup(path), st.st_size};
}

static void
name_note(const char *path, const char *was, bool removed)
{
    if (n_names == sizeof names / sizeof *names)
        return;
    names[n_names++] = (struct name){
        strdup(path), was == NULL ? NULL : strdup(was), removed, false};
}

static void
synced(int fd, const char *path)
{
    struct file *f = file_of(fd);
    struct stat st;
    size_t n = strlen(path);

    if (fstat(fd, &st) < 0)
        return;
    if (f != NULL)
        f->synced = st.st_size;
    for (size_t i = 0; S_ISDIR(st.st_mode) && i < n_names; i++)
        if (strncmp(names[i].path, path, n) == 0 && names[i].path[n] == '/' &&
            strchr(names[i].path + n + 1, '/') == NULL)
            names[i].durable = true;
}

static void
lose_bytes(struct file *f)
{
    struct stat st;
    int fd = -1;
    off_t to;
    char zeros[4096] = {0};

    /* It may have another name by now. */
    for (size_t i = n_names; i-- > 0 && fd < 0;)
        if (stat(names[i].path, &st) == 0 && st.st_ino == f->ino)
            fd = open(names[i].path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        fd = open(f->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != f->ino ||
        st.st_size <= f->synced)
        return;
    to = f->synced + choose((int)(st.st_size - f->synced) + 1);
    if (choose(3) == 0) /* the length is there, the bytes are not */
        for (off_t p = to; p < st.st_size; p += (off_t)sizeof zeros)
            (void)!pwrite(fd, zeros,
                (size_t)(st.st_size - p) < sizeof zeros
                    ? (size_t)(st.st_size - p)
                    : sizeof zeros,
                p);
    else
        (void)!ftruncate(fd, to);
    close(fd);
}

/* Called with `at` past, so that its own calls do nothing. */
static void
power_cut(void)
{
    for (size_t i = 0; i < n_files; i++)
        lose_bytes(&files[i]);
    for (size_t i = n_names; i-- > 0;) {
        struct name *n = &names[i];

        if (n->durable || choose(2))
            continue;
        if (n->removed)
            (void)!link(n->was, n->path);
        else if (n->was != NULL)
            (void)!rename(n->path, n->was);
        else
            (void)!remove(n->path);
    }
}

static void
die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/*
 * A call that changes something.  0, or the error with which it has to fail; it
 * does not come back from a kill.  torn: a write, of which a part may be done.
 */
static int
step(bool writes, bool *torn)
{
    count++;
    if (failing && writes && !once)
        return what == DO_ENOSPC ? ENOSPC : EIO;
    if (at == 0 || count != at)
        return 0;
    switch (what) {
    case DO_NOTHING:
        return 0;
    case DO_TORN:
        if (torn != NULL) {
            *torn = true;
            return 0;
        }
        die();
        return 0;
    case DO_POWER:
        power_cut();
        die();
        return 0;
    case DO_KILL:
        die();
        return 0;
    case DO_ENOSPC:
    case DO_EIO:
        failing = true;
        return what == DO_ENOSPC ? ENOSPC : EIO;
    }
    return 0;
}

static int
fails(int error)
{
    pthread_mutex_unlock(&lock);
    errno = error;
    return -1;
}

static __thread bool inside;

#define ENTER(ours, writes, torn)                                              \
    int error;                                                                 \
    if (inside || !(ours))                                                     \
        goto plain;                                                            \
    pthread_mutex_lock(&lock);                                                 \
    inside = true;                                                             \
    error = step(writes, torn);                                                \
    inside = false;                                                            \
    if (error != 0)                                                            \
    return fails(error)

/* --- the calls --- */

static int
open_any(int (*real)(int, const char *, int, ...), int dir, const char *path,
    int flags, mode_t mode)
{
    char abs[PATH_MAX];
    struct stat st;
    bool made;
    int fd;

    if ((flags & (O_CREAT | O_TRUNC)) == 0 || (flags & O_PATH) != 0)
        return real(dir, path, flags, mode);
    ENTER(path_at(dir, path, abs), true, NULL);
    made = fstatat(dir, path, &st, 0) < 0;
    fd = real(dir, path, flags, mode);
    if (fd >= 0 && made) {
        name_note(abs, NULL, false);
        file_note(fd, abs);
    }
    pthread_mutex_unlock(&lock);
    return fd;
plain:
    return real(dir, path, flags, mode);
}

#define MODE(last)                                                             \
    mode_t mode = 0;                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                       \
        va_list ap;                                                            \
        va_start(ap, last);                                                    \
        mode = va_arg(ap, mode_t);                                             \
        va_end(ap);                                                            \
    }

int
openat(int dir, const char *path, int flags, ...)
{
    REAL(int, "openat", int, const char *, int, ...);
    MODE(flags);
    return open_any(real, dir, path, flags, mode);
}

int
openat64(int dir, const char *path, int flags, ...)
{
    REAL(int, "openat64", int, const char *, int, ...);
    MODE(flags);
    return open_any(real, dir, path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
    REAL(int, "openat", int, const char *, int, ...);
    MODE(flags);
    return open_any(real, AT_FDCWD, path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
    REAL(int, "openat64", int, const char *, int, ...);
    MODE(flags);
    return open_any(real, AT_FDCWD, path, flags, mode);
}

ssize_t
write(int fd, const void *p, size_t n)
{
    char path[PATH_MAX];
    bool torn = false;
    ssize_t done;
    REAL(ssize_t, "write", int, const void *, size_t);

    ENTER(path_of_fd(fd, path), true, &torn);
    file_note(fd, path);
    if (torn) {
        (void)!real(fd, p, (size_t)choose((int)n + 1));
        die();
    }
    done = real(fd, p, n);
    pthread_mutex_unlock(&lock);
    return done;
plain:
    return real(fd, p, n);
}

static ssize_t
pwrite_any(ssize_t (*real)(int, const void *, size_t, off_t), int fd,
    const void *p, size_t n, off_t offset)
{
    char path[PATH_MAX];
    ssize_t done;

    ENTER(path_of_fd(fd, path), true, NULL);
    file_note(fd, path);
    done = real(fd, p, n, offset);
    pthread_mutex_unlock(&lock);
    return done;
plain:
    return real(fd, p, n, offset);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t offset)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return pwrite_any(real, fd, p, n, offset);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t offset)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    return pwrite_any(real, fd, p, n, offset);
}

static int
sync_any(int (*real)(int), int fd)
{
    char path[PATH_MAX];
    int rc;

    ENTER(path_of_fd(fd, path), false, NULL);
    if ((rc = real(fd)) == 0)
        synced(fd, path);
    pthread_mutex_unlock(&lock);
    return rc;
plain:
    return real(fd);
}

int
fsync(int fd)
{
    REAL(int, "fsync", int);
    return sync_any(real, fd);
}

int
fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    return sync_any(real, fd);
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char abs[PATH_MAX];
    int rc;
    REAL(int, "linkat", int, const char *, int, const char *, int);

    ENTER(path_at(to_dir, to, abs), true, NULL);
    if ((rc = real(from_dir, from, to_dir, to, flags)) == 0)
        name_note(abs, NULL, false);
    pthread_mutex_unlock(&lock);
    return rc;
plain:
    return real(from_dir, from, to_dir, to, flags);
}

int
renameat2(
    int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char abs[PATH_MAX], was[PATH_MAX];
    int rc;
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);

    ENTER(path_at(to_dir, to, abs) && path_at(from_dir, from, was), true, NULL);
    if ((rc = real(from_dir, from, to_dir, to, flags)) == 0)
        name_note(abs, was, false);
    pthread_mutex_unlock(&lock);
    return rc;
plain:
    return real(from_dir, from, to_dir, to, flags);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return renameat2(from_dir, from, to_dir, to, 0);
}

int
rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
unlinkat(int dir, const char *path, int flags)
{
    char abs[PATH_MAX], kept[PATH_MAX];
    int rc;
    REAL(int, "unlinkat", int, const char *, int);

    ENTER(path_at(dir, path, abs), false, NULL);
    inside = true;
    if (stash[0] != '\0' && (flags & AT_REMOVEDIR) == 0) {
        snprintf(
            kept, sizeof kept, "%s/%ld.%ld", stash, (long)getpid(), ++stashed);
        if (link(abs, kept) == 0)
            name_note(abs, kept, true);
    }
    inside = false;
    rc = real(dir, path, flags);
    pthread_mutex_unlock(&lock);
    return rc;
plain:
    return real(dir, path, flags);
}

int
unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

static int
truncate_any(int (*real)(int, off_t), int fd, off_t size)
{
    char path[PATH_MAX];
    int rc;

    ENTER(path_of_fd(fd, path), false, NULL);
    rc = real(fd, size);
    pthread_mutex_unlock(&lock);
    return rc;
plain:
    return real(fd, size);
}

int
ftruncate(int fd, off_t size)
{
    REAL(int, "ftruncate", int, off_t);
    return truncate_any(real, fd, size);
}

int
ftruncate64(int fd, off_t size)
{
    REAL(int, "ftruncate64", int, off_t);
    return truncate_any(real, fd, size);
}

int
mkdirat(int dir, const char *path, mode_t mode)
{
    char abs[PATH_MAX];
    int rc;
    REAL(int, "mkdirat", int, const char *, mode_t);

    ENTER(path_at(dir, path, abs), true, NULL);
    if ((rc = real(dir, path, mode)) == 0)
        name_note(abs, NULL, false);
    pthread_mutex_unlock(&lock);
    return rc;
plain:
    return real(dir, path, mode);
}

int
mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
    int rc;
    REAL(int, "clock_gettime", clockid_t, struct timespec *);

    rc = real(id, t);
    if (rc == 0 && id == CLOCK_REALTIME)
        t->tv_sec += clock_s;
    return rc;
}
