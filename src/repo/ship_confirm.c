/*
 * ship_confirm.c -- reading back what is on the vault.
 *
 * A look at size and digest, later than the writing and through a file that was
 * opened anew, when shipping itself has nothing to do but to follow the log.
 * Bytes are read here and there, each once for each vault.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "ship_priv.h"

#define CHUNK ((size_t)128 * 1024)
#define CHUNK_LIMITED ((size_t)32 * 1024)

/* 1 with what the local file has; 0 where it is not there any more; -1. */
static int
digest_here(struct ship *s, const char *name, uint64_t *size,
    uint8_t digest[DIGEST_SIZE])
{
    char *path = xasprintf("%s/%s", s->repo->local_path, name);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct digest *d = digest_new();
    uint8_t *data = xmalloc(CHUNK);
    ssize_t n = 1;
    int rc = 1;

    *size = 0;
    if (fd < 0)
        rc = errno == ENOENT ? 0 : err_sys(ERR_FAILED, "cannot open %s", path);
    while (rc > 0 && n != 0 && !ship_ending(s)) {
        n = read(fd, data, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = err_sys(ERR_FAILED, "cannot read %s", path);
        if (n > 0)
            digest_add(d, data, (size_t)n);
        *size += n > 0 ? (uint64_t)n : 0;
    }
    digest_get(d, digest);
    digest_free(d);
    free(data);
    free(path);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* The first `size` bytes. */
static int
digest_there(struct ship *s, const char *name, uint64_t size,
    uint8_t digest[DIGEST_SIZE])
{
    size_t most = s->rate_back.rate > 0 ? CHUNK_LIMITED : CHUNK;
    struct source *src = store_get(s->vault, name);
    struct digest *d = digest_new();
    uint8_t *data = xmalloc(most);
    long n = src == NULL ? -1 : 1;

    while (n > 0 && size > 0 && !ship_ending(s)) {
        size_t want = (size_t)MIN(size, (uint64_t)most);

        ship_pace(s, &s->rate_back, want, false);
        if ((n = source_read(src, data, want)) <= 0)
            break;
        digest_add(d, data, (size_t)n);
        size -= (uint64_t)n;
    }
    digest_get(d, digest);
    digest_free(d);
    source_free(src);
    free(data);
    return n < 0 ? -1 : 0;
}

static bool
is_unlike(const struct ship *s, const char *name)
{
    for (size_t i = 0; i < s->n_unlike; i++)
        if (strcmp(s->unlike[i], name) == 0)
            return true;
    return false;
}

static void
note_unlike(struct ship *s, const char *name, const char *how)
{
    log_warn("%s: %s is there with %s than here. The local copy stays; \"pitr "
             "verify\" tells which of them is whole",
        store_where(s->vault), name, how);
    pthread_mutex_lock(&s->lock);
    s->unlike =
        xgrow(s->unlike, s->n_unlike, &s->unlike_cap, sizeof *s->unlike);
    s->unlike[s->n_unlike++] = xstrdup(name);
    pthread_mutex_unlock(&s->lock);
}

void
ship_confirm_anew(struct ship *s, const char *name)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n_unlike; i++)
        if (strcmp(s->unlike[i], name) == 0) {
            free(s->unlike[i]);
            s->unlike[i] = s->unlike[--s->n_unlike];
            break;
        }
    pthread_mutex_unlock(&s->lock);
}

/*
 * A segment may be longer there, where the disk here did not keep what it had
 * promised (ship_object.c); what is here is in it then.  What is not there
 * was removed by the vault's own expire.
 */
static int
look_at(struct ship *s, const char *name)
{
    uint8_t here[DIGEST_SIZE], there[DIGEST_SIZE];
    uint64_t size, has = 0;
    int rc = digest_here(s, name, &size, here);

    if (rc <= 0 || ship_ending(s) ||
        (rc = store_stat(s->vault, name, &has)) <= 0)
        return rc;
    if (has < size || (has > size && !ship_is_segment(name))) {
        note_unlike(s, name, has < size ? "fewer bytes" : "more bytes");
        return 0;
    }
    if (digest_there(s, name, size, there) < 0)
        return -1;
    if (ship_ending(s))
        return 0;
    if (memcmp(here, there, DIGEST_SIZE) != 0) {
        note_unlike(s, name, "other bytes");
        return 0;
    }
    confirmed_add(s->confirmed, name, size, here);
    pthread_mutex_lock(&s->lock);
    s->report.confirmed++;
    s->report.confirmed_bytes += size;
    pthread_mutex_unlock(&s->lock);
    /* It gets further; but that writing works again it does not show. */
    if (s->conf->once)
        ship_got_on(s, 0);
    return 0;
}

/* The next one's name, owned, or NULL; *more: there will be others. */
static char *
next_name(struct ship *s, bool *more)
{
    struct ship_item *it = NULL;
    char *name = NULL;

    pthread_mutex_lock(&s->lock);
    *more = !s->conf->once || ship_table_busy(&s->table) ||
        ship_table_log_busy(&s->table);
    while (name == NULL && !ship_table_busy(&s->table) &&
        (it = ship_table_unseen(&s->table)) != NULL) {
        it->look = SHIP_SEEN;
        if (!confirmed_has(s->confirmed, it->name, it->local) &&
            !is_unlike(s, it->name))
            name = xstrdup(it->name);
    }
    if (name == NULL && it == NULL && !ship_table_busy(&s->table))
        s->told.unlike_was = 0;
    if (name == NULL && *more)
        ship_wait(s);
    pthread_mutex_unlock(&s->lock);
    return name;
}

int
ship_confirm(struct ship *s)
{
    bool more = true;
    int rc = 0;

    while (rc >= 0 && more && !ship_ending(s)) {
        char *name = next_name(s, &more);

        if (name == NULL)
            continue;
        more = true;
        rc = look_at(s, name);
        free(name);
    }
    return rc < 0 ? -1 : 0;
}
