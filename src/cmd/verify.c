/*
 * verify.c -- is what a repository holds what was written?
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/json.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "pitr/verify.h"

struct verify_opts {
    struct common common;
    const char *repository, *secret_key, *passphrase_file, *signer;
    const char *expect, *state;
    unsigned jobs;
    bool all, json;
};

#define FIELD(f) offsetof(struct verify_opts, f)
static const struct opt verify_rows[] = {
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "of this repository, without a configuration", NULL},
    {"secret-key", 0, OPT_STR, FIELD(secret_key), NULL, 0, 0, "FILE",
        "the recovery key: also verify what is sealed", "secret_key"},
    {"passphrase-file", 0, OPT_STR, FIELD(passphrase_file), NULL, 0, 0, "FILE",
        "first line is its passphrase; otherwise it is asked for",
        "passphrase_file"},
    {"signer", 0, OPT_STR, FIELD(signer), NULL, 0, 0, "ed25519:...",
        "who must have signed the repository, as init printed it", "signer"},
    CMD_HEAD_OPTS(struct verify_opts),
    {"all", 'a', OPT_FLAG, FIELD(all), NULL, 0, 0, NULL,
        "also what was found good before and has not changed", NULL},
    {"jobs", 'j', OPT_AUTO, FIELD(jobs), NULL, 1, 64, "N",
        "objects read at once (auto: as many as processors)", "jobs"},
    {"json", 0, OPT_FLAG, FIELD(json), NULL, 0, 0, NULL, "for scripts", NULL},
    {0}};

static const struct {
    const char *text, *json;
} kinds[] = {[VERIFY_DAMAGED] = {"DAMAGED", "damaged"},
    [VERIFY_GAP] = {"GAP", "gap"},
    [VERIFY_UNFINISHED] = {"unfinished", "unfinished"},
    [VERIFY_NOTHING] = {"not counted", "not_counted"}};

static const char *
level_text(enum verify_level l)
{
    return l == VERIFY_CONTENT ? "content" : "signatures";
}

static void
put_text(
    const struct repo *repo, const struct verify_report *r, struct buf *out)
{
    char size[TIME_TEXT];

    buf_fmt(out, "repository %s, server \"%s\"\n", store_where(repo->store),
        repo->server);
    for (size_t i = 0; i < r->backups; i++) {
        const struct verify_backup *b = &r->backup[i];

        buf_fmt(out, "  backup %s  %s: %" PRIu64 " objects, %s\n", b->id,
            b->damaged         ? "DAMAGED"
                : b->unchanged ? "good before, unchanged"
                               : "good",
            b->objects, size_text(b->bytes, size));
    }
    buf_fmt(out, "  log  %s: %zu segment%s\n",
        r->log_damaged ? "DAMAGED" : "good", r->segments,
        r->segments == 1 ? "" : "s");
    for (size_t i = 0; i < r->findings; i++)
        buf_fmt(out, "%s: %s: %s\n", kinds[r->finding[i].kind].text,
            r->finding[i].object, r->finding[i].text);
    buf_fmt(out, "verified the %s of %" PRIu64 " objects, %s",
        level_text(r->level), r->objects, size_text(r->bytes, size));
    if (r->level == VERIFY_CONTENT)
        buf_fmt(out, ", %" PRIu64 " rows, %" PRIu64 " transactions", r->rows,
            r->transactions);
    if (r->unchanged > 0)
        buf_fmt(out, "; %" PRIu64 " unchanged since they were found good",
            r->unchanged);
    buf_str(out, "\n");
}

static void
put_json(
    const struct repo *repo, const struct verify_report *r, struct buf *out)
{
    char *id = base32_text(repo->id, sizeof repo->id);
    char *signer = signer_text(repo->signer);
    struct json j;

    json_begin(&j, out);
    json_object(&j, NULL);
    json_str(&j, "repository", id);
    json_str(&j, "server", repo->server);
    json_str(&j, "signer", signer);
    json_bool(&j, "good", verify_count(r, VERIFY_DAMAGED) == 0);
    json_str(&j, "level", level_text(r->level));
    json_u64(&j, "objects", r->objects);
    json_u64(&j, "unchanged", r->unchanged);
    json_u64(&j, "bytes", r->bytes);
    json_u64(&j, "rows", r->rows);
    json_u64(&j, "events", r->events);
    json_u64(&j, "transactions", r->transactions);
    json_u64(&j, "segments", r->segments);
    json_array(&j, "backups");
    for (size_t i = 0; i < r->backups; i++) {
        json_object(&j, NULL);
        json_str(&j, "id", r->backup[i].id);
        json_bool(&j, "good", !r->backup[i].damaged);
        json_bool(&j, "unchanged", r->backup[i].unchanged);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_array(&j, "findings");
    for (size_t i = 0; i < r->findings; i++) {
        json_object(&j, NULL);
        json_str(&j, "kind", kinds[r->finding[i].kind].json);
        json_str(&j, "object", r->finding[i].object);
        json_str(&j, "text", r->finding[i].text);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    buf_str(out, "\n");
    free(id);
    free(signer);
}

static bool
finds(const struct verify_report *r)
{
    return verify_count(r, VERIFY_DAMAGED) + verify_count(r, VERIFY_GAP) > 0;
}

/* The exit code.  A gap is not damage, but has to be looked at as long as it
 * is there. */
static int
conclude(const struct verify_report *r)
{
    size_t damaged = verify_count(r, VERIFY_DAMAGED);
    size_t gaps = verify_count(r, VERIFY_GAP);

    if (gaps > 0)
        log_warn("the log has %zu gap%s: no moment within can be restored",
            gaps, gaps == 1 ? "" : "s");
    if (damaged == 0)
        return 0;
    err_set(ERR_VERIFY, "verification failed: %zu fault%s found", damaged,
        damaged == 1 ? "" : "s");
    return err_hint("Take what is damaged from another copy of the repository, "
                    "and look at this disk. If a backup is lost, make a new "
                    "one now.");
}

/* Who is trusted: said by the key's endorsement, or by --signer; without
 * either, what is in the repository itself. */
static int
trust(const struct verify_opts *o, struct repo *repo,
    const struct secret_key *key)
{
    uint8_t signer[32];

    if (o->signer != NULL && signer_parse(o->signer, signer) < 0)
        return err_wrap("--signer");
    if (o->signer == NULL && key == NULL)
        return 0;
    return repo_trust(repo, key, o->signer != NULL ? signer : NULL);
}

static int
verify_cmd_run(void *arg)
{
    struct verify_opts *o = arg;
    struct verify_conf conf = {.jobs = cmd_jobs(o->jobs), .all = o->all};
    struct verify_report r = {0};
    struct secret_key *key = NULL;
    struct buf text = {0};
    int rc = -1;

    if ((conf.repo = cmd_repo_read(&o->common, o->repository)) == NULL)
        goto out;
    if (o->secret_key != NULL &&
        (key = cmd_secret_key(o->secret_key, o->passphrase_file)) == NULL)
        goto out;
    conf.key = key;
    if (trust(o, conf.repo, key) < 0 || verify_run(&conf, &r) < 0)
        goto out;
    if (o->json)
        put_json(conf.repo, &r, &text);
    else
        put_text(conf.repo, &r, &text);
    if ((o->json || finds(&r) ? report_out(&text) : report_news(&text)) == 0)
        rc = conclude(&r);
    if (rc == 0)
        rc = cmd_head(conf.repo, r.catalog, o->expect, o->state, NULL);

out:
    buf_free(&text);
    verify_report_free(&r);
    secret_key_free(key);
    repo_close(conf.repo);
    return rc;
}

const struct command cmd_verify = {
    .name = "verify",
    .help = "check that what there is, is what was written",
    .usage = "",
    .opts = verify_rows,
    .size = sizeof(struct verify_opts),
    .run = verify_cmd_run,
};
