/*
 * expire.c -- removing what the plan lets go.
 *
 * The order is such that what is left after a crash is always a good
 * repository: a manifest before its parts, the oldest segment before the next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "away.h"
#include "expire_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "pitr/verify.h"

int
expire_object(struct expire_work *w, const char *name, uint64_t size)
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

int
expire_folder(struct expire_work *w, const char *folder, const char *first)
{
    struct store_list l = {0};
    int rc = store_list(w->repo->store, folder, false, &l);

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < l.n && rc == 0; i++)
            if ((strcmp(l.v[i].name, first) == 0) == (pass == 0))
                rc = expire_object(w, l.v[i].name, l.v[i].size);
    store_list_free(&l);
    return rc;
}

static int
remove_backups(struct expire_work *w)
{
    const struct expire_report *r = w->report;
    int rc = 0;

    for (size_t i = 0; i < r->plan.backups && rc == 0; i++) {
        const char *id = r->catalog->backup[i].id;
        char *folder = xasprintf("backup/%s/", id);
        char *manifest = xasprintf("%smanifest", folder);

        if (!r->plan.backup[i].keep)
            rc = expire_folder(w, folder, manifest);
        if (rc < 0)
            err_wrap("expiring backup %s", id);
        free(folder);
        free(manifest);
    }
    return rc;
}

static int
remove_segments(struct expire_work *w)
{
    const struct expire_report *r = w->report;

    for (size_t i = 0; i < r->plan.segments; i++) {
        const struct segment_info *s = &r->catalog->segment[i];
        const struct store_entry *e = store_list_find(&w->all, s->name);

        if (r->plan.segment[i].keep)
            break; /* only ever a beginning */
        if (expire_object(w, s->name, e != NULL ? e->size : s->size) < 0)
            return err_wrap("expiring the log");
    }
    return 0;
}

/* Was its pin taken back only now?  Then it counts still; why; owned. */
static char *
just_released(const struct expire_work *w, const char *id)
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
load(struct expire_work *w)
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
plan(struct expire_work *w)
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
add_going(struct expire_work *w, struct away *a)
{
    const struct expire_report *r = w->report;
    int rc = 1;

    for (size_t i = 0; i < r->plan.backups && rc > 0; i++) {
        const char *id = r->catalog->backup[i].id;
        char *name = manifest_name(id);
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
    char *name = manifest_name(id);
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
write_away(struct expire_work *w)
{
    struct away a = {0};
    int rc = -1;

    w->full = false;
    if (w->conf->vaults == 0 || w->dry_run)
        return 0;
    if (away_load(w->repo, &a) < 0 || add_going(w, &a) < 0)
        goto out;
    rc = 0;
    for (size_t i = a.n; i-- > 0 && rc >= 0;)
        if ((rc = is_away(w->conf, a.v[i].id)) == 0)
            away_drop(&a, i);
    if (rc >= 0) {
        rc = away_save(&a, w->repo);
        w->full = rc < 0 && (errno == ENOSPC || errno == EDQUOT);
    }

out:
    away_free(&a);
    return rc;
}

static int
remove_log(struct expire_work *w)
{
    if (w->log_done)
        return 0;
    w->log_done = true;
    return expire_passed_over(w) < 0 ? -1 : remove_segments(w);
}

/*
 * The largest object of a backup that goes.  Until the next run takes the rest,
 * that backup is damaged here; it is on every vault.
 */
static int
remove_largest(struct expire_work *w)
{
    const struct expire_report *r = w->report;
    const struct store_entry *most = NULL;

    for (size_t i = 0; i < r->plan.backups && most == NULL; i++) {
        char *folder = xasprintf("backup/%s/", r->catalog->backup[i].id);
        char *manifest = xasprintf("%smanifest", folder);

        for (size_t k = 0; k < w->all.n && !r->plan.backup[i].keep; k++) {
            const struct store_entry *e = &w->all.v[k];

            if (strncmp(e->name, folder, strlen(folder)) == 0 &&
                strcmp(e->name, manifest) != 0 &&
                (most == NULL || e->size > most->size))
                most = e;
        }
        free(folder);
        free(manifest);
    }
    return most == NULL ? 0 : expire_object(w, most->name, most->size);
}

/*
 * A disk that is full is what expire is for, and has no room for what is
 * written down first.  So what may go without that goes before: the log; and if
 * that is not enough, a part.
 */
static int
write_away_anyhow(struct expire_work *w)
{
    struct err_saved *why;
    int rc;

    if ((rc = write_away(w)) == 0 || !w->full)
        return rc;
    why = err_take();
    if ((rc = remove_log(w)) == 0 && (rc = write_away(w)) < 0 && w->full &&
        (rc = remove_largest(w)) == 0)
        rc = write_away(w);
    if (rc < 0 && !stop_asked())
        return err_put(why);
    err_saved_free(why);
    return rc;
}

static int
run(struct expire_work *w)
{
    if (load(w) < 0 || plan(w) < 0 || write_away_anyhow(w) < 0)
        return -1;
    return remove_backups(w) < 0 || remove_log(w) < 0 ? -1 : expire_sweep(w);
}

int
expire_run(const struct expire_conf *conf, struct expire_report *out)
{
    struct repo *r = conf->repo;
    struct expire_work w = {.conf = conf,
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
    /* A restore has it, too: repo_lock_reading(). */
    if (!w.dry_run && (lock = repo_lock(r, "expire")) == NULL)
        return err_wrap("nothing was removed");
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
