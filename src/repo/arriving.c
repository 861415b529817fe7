/*
 * arriving.c -- is a manifest that is not whole on its way?
 *
 * On a vault it is visible from its first byte on, and has none of its end
 * until all has come; a line that breaks leaves it so until shipping goes on.
 * That is no damage: the backup is not there yet.  One that was whole once is
 * damaged; that it was is known where a generation of the repository file
 * lists it, where verify remembers it, and where backups are made, for there
 * they are published whole; and is taken for so where nothing has been added
 * for a day.
 */
#include <stdlib.h>
#include <unistd.h>

#include "catalog_priv.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "pitr/verify.h"
#include "repo_file.h"

#define DAY_US (UINT64_C(86400) * 1000000)

/* Up to max bytes from the start; how many, or -1. */
static long
read_some(struct source *src, uint8_t *p, size_t max)
{
    size_t n = 0;
    long got = 1;

    while (n < max && got > 0) {
        got = source_read(src, p + n, max - n);
        n += got > 0 ? (size_t)got : 0;
    }
    return got < 0 ? -1 : (long)n;
}

/* Is what is there the beginning of an object?  1, 0, -1. */
static int
is_beginning(struct repo *r, const char *name)
{
    struct seal_expect want = repo_expect(r, SEAL_MANIFEST, name);
    struct source *src = store_get(r->store, name);
    uint8_t *p = xmalloc(SEAL_HEADER_MAX);
    long n = -1;
    int rc = -1;

    if (src != NULL)
        n = read_some(src, p, SEAL_HEADER_MAX);
    if (n >= 0)
        rc = seal_is_begun(p, (size_t)n);
    source_free(src);
    src = rc == 0 ? store_get(r->store, name) : NULL;
    if (src != NULL)
        rc = seal_is_cut(src, &want);
    source_free(src);
    free(p);
    return rc;
}

/* By the clock of where it lies, which need not be ours. */
static int
is_recent(struct repo *r, const char *name)
{
    uint64_t us, now = time_now_us();
    int rc = store_written(r->store, name, &us);

    if (rc > 0)
        rc = (us > now ? us - now : now - us) < DAY_US;
    return rc;
}

static bool
was_whole(struct repo *r, const char *name)
{
    struct verified *v;
    char *lock;
    size_t by;
    bool was = repo_chain_listed(r->chain, name, &by) != NULL;

    if (!was && r->local_path != NULL) {
        lock = xasprintf("%s/.lock-backup", r->local_path);
        was = access(lock, F_OK) == 0;
        free(lock);
    }
    if (was)
        return true;
    v = verified_load(r);
    was = verified_has(v, name);
    verified_free(v);
    return was;
}

bool
manifest_is_arriving(struct repo *r, const char *name)
{
    struct err_saved *why;
    bool is;

    if (err_kind() != ERR_VERIFY)
        return false;
    why = err_take();
    is = is_recent(r, name) > 0 && is_beginning(r, name) > 0 &&
        !was_whole(r, name);

    err_clear();
    if (is)
        err_saved_free(why);
    else
        err_put(why);
    return is;
}
