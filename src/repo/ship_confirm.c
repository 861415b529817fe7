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
#define AGAIN_US (UINT64_C(3600) * 1000000) /* at what is another one there */

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

static struct ship_unlike *
unlike_find(const struct ship *s, const char *name)
{
    for (size_t i = 0; i < s->n_unlike; i++)
        if (strcmp(s->unlike[i].name, name) == 0)
            return &s->unlike[i];
    return NULL;
}

/* Seen to be another one, in this session. */
static bool
is_unlike(const struct ship *s, const char *name)
{
    const struct ship_unlike *u = unlike_find(s, name);

    return u != NULL && u->looked_us != 0;
}

static void
note_unlike(struct ship *s, const char *name, const char *how)
{
    struct ship_unlike *u;

    pthread_mutex_lock(&s->lock);
    if ((u = unlike_find(s, name)) != NULL) { /* still */
        u->looked_us = time_mono_us();
        pthread_mutex_unlock(&s->lock);
        return;
    }
    s->unlike =
        xgrow(s->unlike, s->n_unlike, &s->unlike_cap, sizeof *s->unlike);
    s->unlike[s->n_unlike++] = (struct ship_unlike){
        .name = xstrdup(name), .looked_us = time_mono_us()};
    pthread_mutex_unlock(&s->lock);
    log_warn("%s: %s is there with %s than here. The local copy stays; \"pitr "
             "verify\" tells which of them is whole",
        store_where(s->vault), name, how);
}

static void
unlike_drop(struct ship *s, struct ship_unlike *u)
{
    free(u->name);
    *u = s->unlike[--s->n_unlike];
}

void
ship_confirm_begin(struct ship *s)
{
    for (size_t i = 0; i < s->n_unlike; i++)
        s->unlike[i].looked_us = 0;
}

/* One that was seen to be another some time ago, on a line that holds; NULL. */
static const char *
unlike_due(const struct ship *s)
{
    uint64_t again_us = s->conf->again_us != 0 ? s->conf->again_us : AGAIN_US;

    for (size_t i = 0; i < s->n_unlike && !s->conf->once; i++) {
        const struct ship_unlike *u = &s->unlike[i];
        const struct ship_item *it = ship_table_find(&s->table, u->name);

        if (it != NULL && it->state == SHIP_DONE &&
            time_mono_us() - u->looked_us >= again_us)
            return u->name;
    }
    return NULL;
}

void
ship_confirm_anew(struct ship *s, const char *name)
{
    struct ship_unlike *u;

    pthread_mutex_lock(&s->lock);
    if ((u = unlike_find(s, name)) != NULL)
        unlike_drop(s, u);
    pthread_mutex_unlock(&s->lock);
}

void
ship_confirm_here(struct ship *s)
{
    for (size_t i = s->n_unlike; i-- > 0;)
        if (!s->unlike[i].foreign &&
            ship_table_find(&s->table, s->unlike[i].name) == NULL)
            unlike_drop(s, &s->unlike[i]);
}

/*
 * A segment goes from here only with all that are older.  So one there that is
 * newer than the oldest here, and is not here, was made by another machine, a
 * copy of this one; or by this one, before its repository was put back. Whoever
 * reads the vault goes by the one or by the others.
 */
void
ship_foreign(struct ship *s)
{
    size_t n = 0;
    const char *name;
    bool known = false;

    pthread_mutex_lock(&s->lock);
    for (size_t i = s->n_unlike; i-- > 0;)
        if (s->unlike[i].foreign) {
            known = true;
            unlike_drop(s, &s->unlike[i]);
        }
    if ((name = ship_table_foreign(&s->table, &n)) != NULL) {
        s->unlike =
            xgrow(s->unlike, s->n_unlike, &s->unlike_cap, sizeof *s->unlike);
        s->unlike[s->n_unlike++] = (struct ship_unlike){
            .name =
                xasprintf("%s (not here at all: of another machine?)", name),
            .looked_us = time_mono_us(),
            .foreign = true};
    }
    pthread_mutex_unlock(&s->lock);
    if (n > 0 && !known)
        log_warn("%s: %zu segment%s of the log %s there and not here, the "
                 "newest is %s: another machine, perhaps a copy of this one, "
                 "ships there too, or the repository here was put back to an "
                 "older state. Readers of the vault go by the one or by the "
                 "other. Give a copy a repository and a vault of its own "
                 "(\"pitr init\"), and have the vault's root move away what it "
                 "shipped; to one that was put back copy what it "
                 "lacks from the vault, before its stream is started",
            store_where(s->vault), n, n == 1 ? "" : "s", n == 1 ? "is" : "are",
            name);
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

    if (rc > 0 && !ship_ending(s))
        rc = store_stat(s->vault, name, &has);
    if (rc == 0)
        ship_confirm_anew(s, name);
    if (rc <= 0 || ship_ending(s))
        return rc;
    if (has < size || (has > size && !ship_is_segment(name))) {
        note_unlike(s, name, has < size ? "fewer bytes" : "more bytes");
        return 0;
    }
    if (digest_there(s, name, size, there) < 0) {
        if (err_kind() != ERR_VERIFY || !store_is_gone(s->vault, name))
            return -1;
        err_clear(); /* its own expire was faster */
        ship_confirm_anew(s, name);
        return 0;
    }
    if (ship_ending(s))
        return 0;
    if (memcmp(here, there, DIGEST_SIZE) != 0) {
        note_unlike(s, name, "other bytes");
        return 0;
    }
    ship_confirm_anew(s, name);
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
    const char *due;
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
    if (name == NULL && it == NULL && !ship_table_busy(&s->table)) {
        s->told.unlike_was = 0;
        if ((due = unlike_due(s)) != NULL)
            name = xstrdup(due);
    }
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
