/*
 * expire.c -- removing what the plan lets go.
 *
 * The order is such that what is left after a crash is always a good
 * repository: a manifest before its parts, the oldest segment before the next.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "away.h"
#include "expire_priv.h"
#include "log_index.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/rewrap.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "pitr/verify.h"

#define DAY_US (UINT64_C(86400) * 1000000)

struct work {
    const struct expire_conf *conf;
    struct repo *repo;
    struct expire_report *report;
    struct store_list all; /* older than the catalogue */
    struct pins pins;
    uint64_t now_us;
    bool dry_run;
};

static int
remove_object(struct work *w, const char *name, uint64_t size)
{
    if (stop_asked())
        return stop_error();
    if (!w->dry_run && store_remove(w->repo->store, name) < 0)
        return -1;
    if (!w->dry_run)
        log_debug("removed %s", name);
    w->report->bytes += size;
    return 0;
}

/* All in a folder, `first` before the others. */
static int
remove_folder(struct work *w, const char *folder, const char *first)
{
    struct store_list l = {0};
    int rc = store_list(w->repo->store, folder, false, &l);

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < l.n && rc == 0; i++)
            if ((strcmp(l.v[i].name, first) == 0) == (pass == 0))
                rc = remove_object(w, l.v[i].name, l.v[i].size);
    store_list_free(&l);
    return rc;
}

static int
remove_backups(struct work *w)
{
    const struct expire_report *r = w->report;
    int rc = 0;

    for (size_t i = 0; i < r->plan.backups && rc == 0; i++) {
        const char *id = r->catalog->backup[i].id;
        char *folder = xasprintf("backup/%s/", id);
        char *manifest = xasprintf("%smanifest", folder);

        if (!r->plan.backup[i].keep)
            rc = remove_folder(w, folder, manifest);
        if (rc < 0)
            err_wrap("expiring backup %s", id);
        free(folder);
        free(manifest);
    }
    return rc;
}

static int
remove_segments(struct work *w)
{
    const struct expire_report *r = w->report;

    for (size_t i = 0; i < r->plan.segments; i++) {
        const struct segment_info *s = &r->catalog->segment[i];
        const struct store_entry *e = store_list_find(&w->all, s->name);

        if (r->plan.segment[i].keep)
            break; /* only ever a beginning */
        if (remove_object(w, s->name, e != NULL ? e->size : s->size) < 0)
            return err_wrap("expiring the log");
    }
    return 0;
}

/* --- what nothing refers to --- */

static struct expire_leftover *
leftover_add(struct work *w, const char *name, bool goes, const char *why)
{
    struct expire_report *r = w->report;
    struct expire_leftover l = {
        .name = xstrdup(name), .keep = !goes, .why = xstrdup(why)};

    r->leftover = xgrow(r->leftover, r->leftovers, &r->cap_leftovers, sizeof l);
    r->leftover[r->leftovers++] = l;
    r->leftovers_go += goes;
    return &r->leftover[r->leftovers - 1];
}

/* Segments that count as nothing, among those that go. */
static int
remove_passed_over(struct work *w)
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
        if (remove_object(w, e->name, e->size) < 0)
            return err_wrap("expiring the log");
    }
    return 0;
}

/* Indexes of segments that are all gone. */
static int
sweep_indexes(struct work *w)
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
            remove_object(w, e->name, e->size) < 0)
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

/* Without the lock on backups: only looks. */
static int
is_leftover(struct work *w, const char *id, bool *old)
{
    char *manifest = xasprintf("backup/%s/manifest", id);
    char *path = xasprintf("%s/backup/%s", w->repo->local_path, id);
    uint64_t size, changed = changed_us(path);
    int rc = store_stat(w->repo->store, manifest, &size);

    *old = changed != 0 && changed + DAY_US <= w->now_us;
    free(manifest);
    free(path);
    return rc < 0 ? -1 : rc == 0; /* a damaged one is for a person to judge */
}

static int
sweep(struct work *w, const char *id, bool running)
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
        rc = remove_folder(w, folder, "");
        if (rc == 0 && !w->dry_run)
            rmdir(path); /* one that was empty */
    }
    free(folder);
    free(path);
    return rc < 0 ? err_wrap("leftovers of backup %s", id) : 0;
}

static int
sweep_all(struct work *w)
{
    const struct catalog *c = w->report->catalog;
    struct lock *lock = NULL;
    bool running = false;
    int rc = 0;

    if (c->n_broken == 0)
        return 0;
    if (!w->dry_run && (lock = repo_lock(w->repo, "backup")) == NULL) {
        if (err_kind() != ERR_LOCKED)
            return -1;
        err_clear();
        running = true;
    }
    for (size_t i = 0; i < c->n_broken && rc == 0; i++)
        rc = sweep(w, c->broken[i], running);
    lock_free(lock);
    return rc;
}

/* Is the backup here, in whole or in part, or, of what went from here, on a
 * vault? */
static bool
is_wanted(const struct work *w, const struct away *a, const char *id)
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
sweep_pins(struct work *w)
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
            rc = remove_object(w, e->name, e->size);
        }
        free(id);
    }
    away_free(&a);
    return rc < 0 ? err_wrap("pins") : 0;
}

/* Keys of what is gone. */
static int
sweep_slots(struct work *w)
{
    struct store_list now = {0};
    size_t n = 0;
    int rc = store_list(w->repo->store, "", false, &now);

    if (rc == 0)
        rc = rewrap_sweep(w->repo, &now, w->dry_run, &n, &w->report->bytes);
    store_list_free(&now);
    return rc < 0 ? err_wrap("slots") : 0;
}

/* --- all --- */

/* Was its pin taken back only now?  Then it counts still; why; owned. */
static char *
just_released(const struct work *w, const char *id)
{
    const struct pin *p = pins_find(&w->pins, id);
    char came[TIME_BOTH], until[TIME_BOTH];
    uint64_t us;

    if (w->conf->release_us == 0 || p == NULL || p->object == NULL ||
        pins_has(&w->pins, id))
        return NULL;
    us = pin_written_us(w->repo, p->object);
    if (us != 0 && us + w->conf->release_us <= w->now_us)
        return NULL;
    return xasprintf(
        "pinned: its server has taken that back, which came here at %s, and "
        "counts from %s on",
        time_both(us, came), time_both(us + w->conf->release_us, until));
}

static int
load(struct work *w)
{
    struct expire_report *r = w->report;
    struct verified *known = NULL;
    size_t n;

    if (store_list(w->repo->store, "", false, &w->all) < 0 ||
        (r->catalog = catalog_load(w->repo)) == NULL ||
        pins_load(w->repo, &w->pins) < 0)
        return -1;
    n = r->catalog->backups;
    r->pinned = xcalloc(n + 1, sizeof *r->pinned);
    r->pin_why = xcalloc(n + 1, sizeof *r->pin_why);
    r->verified = xcalloc(n + 1, sizeof *r->verified);
    known = verified_load(w->repo);
    for (size_t i = 0; i < n; i++) {
        const char *id = r->catalog->backup[i].id;

        r->pin_why[i] = just_released(w, id);
        r->pinned[i] = r->pin_why[i] != NULL || pins_has(&w->pins, id);
        r->verified[i] =
            verified_backup(known, w->repo, id, NULL) > VERIFY_NONE;
        r->verified_n += r->verified[i];
    }
    verified_free(known);
    return 0;
}

/*
 * What the rules let go is looked for on the vaults; what is not there stays,
 * and the log that it needs.
 */
static int
plan(struct work *w)
{
    const struct expire_conf *conf = w->conf;
    struct expire_report *r = w->report;
    struct expire_policy local = {
        .keep_us = conf->keep_local_us, .minimum = conf->policy->minimum};
    struct expire_input in = {.catalog = r->catalog,
        .policy = conf->policy,
        .pinned = r->pinned,
        .pin_why = r->pin_why,
        .verified = r->verified,
        .now_us = w->now_us};
    struct expire_plan base = {0}, here = {0};
    struct expire_held held = {0};
    int rc = -1;

    if (conf->vaults == 0)
        return expire_plan_make(&in, &r->plan);
    if (expire_plan_make(&in, &base) < 0)
        goto out;
    if (conf->keep_local_us != 0) {
        in.local = true;
        in.policy = &local;
    }
    if (expire_plan_make(&in, &here) < 0 ||
        expire_find_held(
            conf, r->catalog, &base, &here, &w->pins, &w->all, &held) < 0)
        goto out;
    in.held = &held;
    rc = expire_plan_make(&in, &r->plan);

out:
    expire_plan_free(&base);
    expire_plan_free(&here);
    expire_held_free(&held);
    return rc;
}

/* What is going, and is on the vaults, is written down first. */
static int
add_going(struct work *w, struct away *a)
{
    const struct expire_report *r = w->report;
    int rc = 1;

    for (size_t i = 0; i < r->plan.backups && rc > 0; i++) {
        const char *id = r->catalog->backup[i].id;
        char *name = xasprintf("backup/%s/manifest", id);
        struct seal_header h = {0};
        struct seal_mark m = {0};

        if (!r->plan.backup[i].keep &&
            (rc = repo_peek(w->repo, SEAL_MANIFEST, name, &h, &m)) > 0)
            away_add(a, id, m.digest);
        if (rc == 0)
            err_set(ERR_VERIFY, "%s changed meanwhile", name);
        seal_mark_free(&m);
        seal_header_free(&h);
        free(name);
    }
    return rc > 0 ? 0 : -1;
}

/* 1 where a vault has it or may have, 0, -1. */
static int
is_away(const struct expire_conf *conf, const char *id)
{
    char *name = xasprintf("backup/%s/manifest", id);
    uint64_t size;
    int rc = 0;

    for (size_t i = 0; i < conf->vaults && rc == 0; i++)
        rc = conf->vault[i].repo == NULL
            ? 1
            : store_stat(conf->vault[i].repo->store, name, &size);
    free(name);
    return rc;
}

/* Backups that are on the vaults only (away.h). */
static int
write_away(struct work *w)
{
    struct away a = {0};
    int rc = -1;

    if (w->conf->vaults == 0 || w->dry_run)
        return 0;
    if (away_load(w->repo, &a) < 0 || add_going(w, &a) < 0)
        goto out;
    rc = 0;
    for (size_t i = a.n; i-- > 0 && rc >= 0;)
        if ((rc = is_away(w->conf, a.v[i].id)) == 0)
            away_drop(&a, i);
    if (rc >= 0)
        rc = away_save(&a, w->repo);

out:
    away_free(&a);
    return rc;
}

static int
run(struct work *w)
{
    if (load(w) < 0 || plan(w) < 0 || write_away(w) < 0)
        return -1;
    return remove_backups(w) < 0 || remove_passed_over(w) < 0 ||
            remove_segments(w) < 0 || sweep_indexes(w) < 0 ||
            sweep_all(w) < 0 || sweep_pins(w) < 0
        ? -1
        : sweep_slots(w);
}

int
expire_run(const struct expire_conf *conf, struct expire_report *out)
{
    struct repo *r = conf->repo;
    struct work w = {.conf = conf,
        .repo = r,
        .report = out,
        .now_us = conf->now_us,
        .dry_run = conf->dry_run};
    struct lock *lock = NULL;
    int rc;

    memset(out, 0, sizeof *out);
    if (r->local_path == NULL) {
        err_set(ERR_USAGE, "%s is not on this machine", store_where(r->store));
        return err_hint("Run \"pitr expire\" where the vault's disk is: its "
                        "account must not be able to remove anything.");
    }
    if (!w.dry_run && (lock = repo_lock(r, "expire")) == NULL)
        return -1;
    rc = run(&w);
    store_list_free(&w.all);
    pins_free(&w.pins);
    lock_free(lock);
    return rc;
}

void
expire_report_free(struct expire_report *r)
{
    for (size_t i = 0; r->pin_why != NULL && i < r->catalog->backups; i++)
        free(r->pin_why[i]);
    free(r->pin_why);
    expire_plan_free(&r->plan);
    catalog_free(r->catalog);
    for (size_t i = 0; i < r->leftovers; i++) {
        free(r->leftover[i].name);
        free(r->leftover[i].why);
    }
    free(r->leftover);
    free(r->pinned);
    free(r->verified);
    memset(r, 0, sizeof *r);
}
