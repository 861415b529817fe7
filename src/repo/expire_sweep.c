/*
 * expire_sweep.c -- removing what nothing refers to: segments that the log went
 * around, indexes of segments that are gone, backups that never came to their
 * end, words on backups that are gone and keys of what is.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "away.h"
#include "expire_priv.h"
#include "log_index.h"
#include "pitr/mem.h"
#include "pitr/rewrap.h"

#define DAY_US (UINT64_C(86400) * 1000000)

static struct expire_leftover *
leftover_add(
    struct expire_work *w, const char *name, bool goes, const char *why)
{
    struct expire_report *r = w->report;
    struct expire_leftover l = {
        .name = xstrdup(name), .keep = !goes, .why = xstrdup(why)};

    r->leftover = xgrow(r->leftover, r->leftovers, &r->cap_leftovers, sizeof l);
    r->leftover[r->leftovers++] = l;
    r->leftovers_go += goes;
    return &r->leftover[r->leftovers - 1];
}

int
expire_passed_over(struct expire_work *w)
{
    const struct expire_report *r = w->report;
    size_t cut = r->plan.segments_go;
    uint64_t before = cut > 0 ? r->catalog->segment[cut].start.seq : 0;

    for (size_t i = 0; i < w->all.n; i++) {
        const struct store_entry *e = &w->all.v[i];
        uint32_t epoch;
        uint64_t seq, us;
        bool counted = false;

        if (strncmp(e->name, "binlog/", 7) != 0)
            continue;
        if (segment_name_parse(e->name, &epoch, &seq, &us) < 0) {
            err_clear();
            continue;
        }
        for (size_t k = 0; k < r->catalog->segments && !counted; k++)
            counted = strcmp(r->catalog->segment[k].name, e->name) == 0;
        if (counted || seq >= before)
            continue;
        leftover_add(w, e->name, true, "the log goes on around it");
        if (expire_object(w, e->name, e->size) < 0)
            return err_wrap("expiring the log");
    }
    return 0;
}

/* Indexes of segments that are all gone. */
static int
sweep_indexes(struct expire_work *w)
{
    const struct expire_report *r = w->report;
    size_t cut = r->plan.segments_go;
    uint64_t first, last, before;

    if (cut >= r->catalog->segments)
        return 0;
    before = r->catalog->segment[cut].start.seq;
    for (size_t i = 0; i < w->all.n; i++) {
        const struct store_entry *e = &w->all.v[i];

        if (index_name_parse(e->name, &first, &last) && last < before &&
            expire_object(w, e->name, e->size) < 0)
            return err_wrap("expiring the log");
    }
    return 0;
}

/* When anything in a folder was last written to; 0 where that cannot be told.
 * A backup that is being shipped here is old by its name. */
static uint64_t
changed_us(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    struct stat st;
    uint64_t newest = 0;

    if (d == NULL)
        return 0;
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, "..") != 0 &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            newest = MAX(newest, (uint64_t)st.st_mtime * 1000000);
    closedir(d);
    return newest;
}

static int
is_leftover(struct expire_work *w, const char *id, bool *old)
{
    char *manifest = manifest_name(id);
    char *path = xasprintf("%s/backup/%s", w->repo->local_path, id);
    uint64_t size, changed = changed_us(path);
    int rc = store_stat(w->repo->store, manifest, &size);

    *old = changed != 0 && changed + DAY_US <= w->now_us;
    free(manifest);
    free(path);
    return rc < 0 ? -1 : rc == 0; /* a damaged one is for a person to judge */
}

static int
sweep(struct expire_work *w, const char *id, bool running)
{
    char *folder = xasprintf("backup/%s/", id);
    char *path = xasprintf("%s/backup/%s", w->repo->local_path, id);
    bool old = false;
    int rc = is_leftover(w, id, &old);

    if (rc > 0 && (running || !old))
        leftover_add(w, folder, false,
            running ? "without a manifest, but a backup is running"
                    : "without a manifest, but written to within a day");
    if (rc > 0 && !running && old) {
        leftover_add(
            w, folder, true, "without a manifest, and not touched for a day");
        rc = expire_folder(w, folder, "");
        if (rc == 0 && !w->dry_run)
            rmdir(path); /* one that was empty */
    }
    free(folder);
    free(path);
    return rc < 0 ? err_wrap("leftovers of backup %s", id) : 0;
}

/*
 * The lock on backups is looked at, and not taken: a backup that begins now has
 * a folder of its own, and is not to be kept from it by this; and where no
 * backup is ever made, on a vault, no such lock is to be left (arriving.c).
 */
static int
sweep_backups(struct expire_work *w)
{
    const struct catalog *c = w->report->catalog;
    int running = c->n_broken == 0 ? 0 : repo_is_locked(w->repo, "backup");
    int rc = running < 0 ? -1 : 0;

    for (size_t i = 0; i < c->n_broken && rc == 0; i++)
        rc = sweep(w, c->broken[i], running > 0);
    return rc;
}

/* Is the backup here, in whole or in part, or, of what went from here, on a
 * vault? */
static bool
is_wanted(const struct expire_work *w, const struct away *a, const char *id)
{
    const struct expire_report *r = w->report;
    bool is = false;

    for (size_t i = 0; i < r->plan.backups && !is; i++)
        is =
            r->plan.backup[i].keep && strcmp(r->catalog->backup[i].id, id) == 0;
    for (size_t i = 0; i < r->catalog->n_broken && !is; i++)
        is = strcmp(r->catalog->broken[i], id) == 0;
    for (size_t i = 0; i < a->n && !is; i++)
        is = strcmp(a->v[i].id, id) == 0;
    return is;
}

/*
 * Words on backups that are gone.  Not at once: they may have come here before
 * the backup did; and a vault is told again what its server still has.
 */
static int
sweep_pins(struct expire_work *w)
{
    struct away a = {0};
    int rc = away_load(w->repo, &a);

    for (size_t i = 0; i < w->all.n && rc >= 0; i++) {
        const struct store_entry *e = &w->all.v[i];
        char *id = pin_backup(e->name);
        uint64_t us;

        if (id != NULL && !is_wanted(w, &a, id) &&
            (us = pin_written_us(w->repo, e->name)) != 0 &&
            us + DAY_US <= w->now_us) {
            leftover_add(w, e->name, true, "its backup is gone");
            rc = expire_object(w, e->name, e->size);
        }
        free(id);
    }
    away_free(&a);
    return rc < 0 ? err_wrap("pins") : 0;
}

/* Are slots on every vault?  What they open may be there still, and gone from
 * here. */
static int
is_shipped(void *arg, const struct store_entry *e)
{
    const struct expire_conf *conf = arg;
    uint64_t size = 0;
    int rc = 1;

    for (size_t i = 0; i < conf->vaults && rc > 0; i++) {
        struct repo *r = conf->vault[i].repo;

        rc = r == NULL ? 0 : store_stat(r->store, e->name, &size);
        if (rc > 0)
            rc = size == e->size;
    }
    return rc;
}

/* Keys of what is gone. */
static int
sweep_slots(struct expire_work *w)
{
    struct store_list now = {0};
    struct rewrap_sweeping how = {.all = &now,
        .may_go = is_shipped,
        .arg = (void *)w->conf,
        .dry_run = w->dry_run};
    size_t n = 0;
    int rc = store_list(w->repo->store, "", false, &now);

    if (rc == 0)
        rc = rewrap_sweep(w->repo, &how, &n, &w->report->bytes);
    store_list_free(&now);
    return rc < 0 ? err_wrap("slots") : 0;
}

int
expire_sweep(struct expire_work *w)
{
    return sweep_indexes(w) < 0 || sweep_backups(w) < 0 || sweep_pins(w) < 0
        ? -1
        : sweep_slots(w);
}
