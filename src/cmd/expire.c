/*
 * expire.c -- apply the retention, or say what it would do.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/expire.h"
#include "pitr/json.h"
#include "pitr/times.h"
#include "retention.h"

struct expire {
    struct common common;
    const char *repository;
    uint64_t keep_us, keep_local_us;
    unsigned count, daily, weekly, monthly, minimum;
    bool dry_run, json;
};

#define FIELD(f) offsetof(struct expire, f)
static const struct opt expire_opts[] = {
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "of this repository, without a configuration", NULL},
    {"keep", 'k', OPT_DURATION, FIELD(keep_us), RETENTION_KEEP, 1000000,
        36500 * 86400000000ull, "TIME",
        "any moment of this time can be restored", "keep"},
    {"keep-local", 0, OPT_DURATION, FIELD(keep_local_us), NULL, 1000000,
        36500 * 86400000000ull, "TIME",
        "here only of this time, what every vault has", "keep_local"},
    {"keep-count", 0, OPT_UINT, FIELD(count), NULL, 1, 100000, "N",
        "also the newest N backups", "keep_count"},
    {"keep-daily", 0, OPT_UINT, FIELD(daily), NULL, 1, 100000, "N",
        "also the newest of each of N days", "keep_daily"},
    {"keep-weekly", 0, OPT_UINT, FIELD(weekly), NULL, 1, 100000, "N",
        "also the newest of each of N weeks", "keep_weekly"},
    {"keep-monthly", 0, OPT_UINT, FIELD(monthly), NULL, 1, 100000, "N",
        "also the newest of each of N months", "keep_monthly"},
    {"minimum", 0, OPT_UINT, FIELD(minimum), RETENTION_MINIMUM, 1, 100000, "N",
        "so many backups stay whatever their age", "minimum"},
    {"dry-run", 'n', OPT_FLAG, FIELD(dry_run), NULL, 0, 0, NULL,
        "only print what would be done, and why", NULL},
    {"json", 0, OPT_FLAG, FIELD(json), NULL, 0, 0, NULL, "for scripts", NULL},
    {0}};

static const char *
verb(const struct expire *o, bool keep)
{
    return keep ? "keep" : o->dry_run ? "would remove" : "removed";
}

/* Segments with the same fate and reason are one line. */
static void
put_log(const struct expire *o, const struct expire_report *r, struct buf *out)
{
    const struct expire_choice *s = r->plan.segment;

    for (size_t i = 0, end; i < r->plan.segments; i = end) {
        for (end = i + 1; end < r->plan.segments && s[end].keep == s[i].keep &&
             strcmp(s[end].why, s[i].why) == 0;
             end++)
            continue;
        buf_fmt(out, "  %s  log: %zu segment%s from %s: %s\n",
            verb(o, s[i].keep), end - i, end - i == 1 ? "" : "s",
            r->catalog->segment[i].name, s[i].why);
    }
}

static void
put_text(const struct expire *o, const struct repo *repo,
    const struct expire_report *r, struct buf *out)
{
    char when[TIME_BOTH], size[TIME_TEXT];

    buf_fmt(out, "repository %s, server \"%s\"\n", store_where(repo->store),
        repo->server);
    for (size_t i = 0; i < r->plan.backups; i++)
        buf_fmt(out, "  %s  backup %s, as of %s%s: %s\n",
            verb(o, r->plan.backup[i].keep), r->catalog->backup[i].id,
            time_both(r->catalog->backup[i].snapshot_us, when),
            r->verified[i] ? ", verified" : "", r->plan.backup[i].why);
    put_log(o, r, out);
    for (size_t i = 0; i < r->leftovers; i++)
        buf_fmt(out, "  %s  leftover %s: %s\n", verb(o, r->leftover[i].keep),
            r->leftover[i].name, r->leftover[i].why);
    if (r->plan.backups > 0 && r->verified_n == 0)
        buf_str(out,
            "no backup has been verified: the newer count for more than the "
            "older (\"pitr verify\")\n");
    buf_fmt(out,
        "%s %zu of %zu backups, %zu of %zu segments, %zu leftovers: %s\n",
        verb(o, false), r->plan.backups_go, r->plan.backups,
        r->plan.segments_go, r->plan.segments, r->leftovers_go,
        size_text(r->bytes, size));
}

static void
put_choice(struct json *j, const char *key, const char *name, bool keep,
    const char *why)
{
    json_object(j, NULL);
    json_str(j, key, name);
    json_bool(j, "keep", keep);
    json_str(j, "why", why);
}

static void
put_json(const struct expire *o, const struct repo *repo,
    const struct expire_report *r, struct buf *out)
{
    char *id = base32_text(repo->id, sizeof repo->id);
    struct json j;

    json_begin(&j, out);
    json_object(&j, NULL);
    json_str(&j, "repository", id);
    json_str(&j, "server", repo->server);
    json_bool(&j, "dry_run", o->dry_run);
    json_u64(&j, "bytes", r->bytes);
    json_array(&j, "backups");
    for (size_t i = 0; i < r->plan.backups; i++) {
        put_choice(&j, "id", r->catalog->backup[i].id, r->plan.backup[i].keep,
            r->plan.backup[i].why);
        json_time(&j, "snapshot", r->catalog->backup[i].snapshot_us);
        json_bool(&j, "pinned", r->pinned[i]);
        json_bool(&j, "verified", r->verified[i]);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_array(&j, "segments");
    for (size_t i = 0; i < r->plan.segments; i++) {
        put_choice(&j, "name", r->catalog->segment[i].name,
            r->plan.segment[i].keep, r->plan.segment[i].why);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_array(&j, "leftovers");
    for (size_t i = 0; i < r->leftovers; i++) {
        put_choice(&j, "name", r->leftover[i].name, r->leftover[i].keep,
            r->leftover[i].why);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    buf_str(out, "\n");
    free(id);
}

static int
expire_cmd_run(void *arg)
{
    struct expire *o = arg;
    struct retention conf = {
        .section = o->repository == NULL ? o->common.section : NULL,
        .policy = {.keep_us = o->keep_us,
            .count = o->count,
            .daily = o->daily,
            .weekly = o->weekly,
            .monthly = o->monthly,
            .minimum = o->minimum},
        .keep_local_us = o->repository == NULL ? o->keep_local_us : 0,
        .dry_run = o->dry_run};
    struct repo *repo = cmd_repo_read(&o->common, o->repository);
    struct expire_report r = {0};
    struct buf text = {0};
    int rc = -1;

    if (repo == NULL || retention_run(&conf, repo, &r) < 0)
        goto out;
    if (o->json)
        put_json(o, repo, &r, &text);
    else
        put_text(o, repo, &r, &text);
    rc = o->json || o->dry_run ? report_out(&text) : report_news(&text);

out:
    buf_free(&text);
    expire_report_free(&r);
    repo_close(repo);
    return rc;
}

const struct command cmd_expire = {
    .name = "expire",
    .help = "remove what the retention no longer keeps",
    .usage = "",
    .opts = expire_opts,
    .size = sizeof(struct expire),
    .run = expire_cmd_run,
};
