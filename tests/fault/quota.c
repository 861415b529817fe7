/*
 * quota.c -- an account's quota, by LD_PRELOAD: for kernels that have none.
 *
 * Below $QUOTA_PATH there may be as many bytes as the text of the file
 * $QUOTA_FILE says, which is read each time.  A write that would make it more
 * fails with EDQUOT, and so does making a file where nothing is left, as a file
 * system with quotas does it for every process of the account.  An sshd that is
 * started with it has it in its internal-sftp, too; what it asks of the kernel
 * for other files than regular ones is allowed in sshd's sandbox.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char prefix[PATH_MAX], limit_path[PATH_MAX];
static long long used;

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("QUOTA_PATH"), *file = getenv("QUOTA_FILE");

    if (path == NULL || file == NULL || realpath(path, prefix) == NULL)
        prefix[0] = '\0';
    else
        snprintf(limit_path, sizeof limit_path, "%s", file);
}

static int
add(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)at;
    used += type == FTW_F ? (long long)st->st_size : 0;
    return 0;
}

static bool
has_room(size_t n)
{
    char text[32] = "";
    int fd = open(limit_path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    used = 0;
    return got <= 0 || nftw(prefix, add, 8, FTW_PHYS) != 0 ||
        used + (long long)n <= atoll(text);
}

static bool
is_ours(const char *path)
{
    size_t n = strlen(prefix);

    return n > 0 && strncmp(path, prefix, n) == 0 && path[n] == '/';
}

static bool
fits(int fd, size_t n)
{
    char link[64], path[PATH_MAX];
    struct stat st;
    ssize_t got;

    if (prefix[0] == '\0' || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return true;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    got = readlink(link, path, sizeof path - 1);
    path[got > 0 ? got : 0] = '\0';
    return !is_ours(path) || has_room(n);
}

ssize_t
write(int fd, const void *p, size_t n)
{
    static ssize_t (*real)(int, const void *, size_t);

    if (real == NULL)
        real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (fits(fd, n))
        return real(fd, p, n);
    errno = EDQUOT;
    return -1;
}

int
open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    mode_t mode = 0;
    va_list ap;

    if (real == NULL)
        real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    if ((flags & O_CREAT) != 0 && is_ours(path) && !has_room(1)) {
        errno = EDQUOT;
        return -1;
    }
    return real(path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    return open(path, flags, mode);
}
