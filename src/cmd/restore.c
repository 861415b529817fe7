/*
 * restore.c -- a backup loaded, then the log replayed up to a cutoff.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strverscmp() */
#endif
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/load.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/replay.h"
#include "pitr/times.h"

struct restore {
    struct common common;
    uint64_t until_us, ahead_bytes;
    const char *until_gtid, *before_gtid, *backup;
    const char *sandbox, *mariadbd, *target, *host, *socket, *user,
        *password_file;
    const char *repository, *secret_key, *passphrase_file, *signer;
    const char *expect, *state;
    unsigned port, jobs;
    bool dry_run, no_verify, force;
    struct opt_list only, exclude, rename;
};

#define FIELD(f) offsetof(struct restore, f)
static const struct opt restore_opts[] = {
    {"until", 'u', OPT_TIME, FIELD(until_us), NULL, 0, 0, "TIME",
        "leave out the first transaction at or after this time, and all "
        "after it",
        NULL},
    {"until-gtid", 0, OPT_STR, FIELD(until_gtid), NULL, 0, 0, "GTID",
        "this transaction is the last one", NULL},
    {"before-gtid", 0, OPT_STR, FIELD(before_gtid), NULL, 0, 0, "GTID",
        "this transaction is the first one left out", NULL},
    {"backup", 0, OPT_STR, FIELD(backup), NULL, 0, 0, "ID",
        "start from this backup (the newest before the cutoff)", NULL},
    {"only", 0, OPT_LIST, FIELD(only), NULL, 0, 0, "SCHEMA[.TABLE]",
        "restore only this, beside what the target has; may be repeated", NULL},
    {"exclude", 0, OPT_LIST, FIELD(exclude), NULL, 0, 0, "SCHEMA[.TABLE]",
        "leave this out; may be repeated", NULL},
    {"rename", 0, OPT_LIST, FIELD(rename), NULL, 0, 0, "OLD=NEW",
        "restore this schema under another name; may be repeated", NULL},
    {"dry-run", 'n', OPT_FLAG, FIELD(dry_run), NULL, 0, 0, NULL,
        "only print what would be done", NULL},
    {"sandbox", 0, OPT_STR, FIELD(sandbox), NULL, 0, 0, "DIR",
        "into a private server, started in this new directory", NULL},
    {"mariadbd", 0, OPT_STR, FIELD(mariadbd), NULL, 0, 0, "PATH",
        "the program for the sandbox", NULL},
    {"target", 0, OPT_STR, FIELD(target), NULL, 0, 0, "SECTION",
        "into the running server of this section", NULL},
    {"socket", 0, OPT_STR, FIELD(socket), NULL, 0, 0, "PATH",
        "into the running server at this socket", NULL},
    {"host", 0, OPT_STR, FIELD(host), NULL, 0, 0, "NAME",
        "into the running server of this host", NULL},
    {"port", 0, OPT_UINT, FIELD(port), NULL, 1, 65535, "N", "its port", NULL},
    {"user", 0, OPT_STR, FIELD(user), NULL, 0, 0, "NAME",
        "account at the target", NULL},
    {"password-file", 0, OPT_STR, FIELD(password_file), NULL, 0, 0, "FILE",
        "first line is its password", NULL},
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "from this repository, without a configuration", NULL},
    {"secret-key", 0, OPT_STR, FIELD(secret_key), NULL, 0, 0, "FILE",
        "the recovery key", "secret_key"},
    {"passphrase-file", 0, OPT_STR, FIELD(passphrase_file), NULL, 0, 0, "FILE",
        "first line is its passphrase; otherwise it is asked for",
        "passphrase_file"},
    {"signer", 0, OPT_STR, FIELD(signer), NULL, 0, 0, "ed25519:...",
        "who must have signed the repository, as init printed it", "signer"},
    CMD_HEAD_OPTS(struct restore),
    {"jobs", 'j', OPT_AUTO, FIELD(jobs), NULL, 1, 64, "N",
        "connections that load (auto: as many as processors)", "jobs"},
    {"ahead", 0, OPT_SIZE, FIELD(ahead_bytes), "512M", 1u << 20, 1ull << 40,
        "SIZE", "log that may wait on the target's disk during the replay",
        NULL},
    {"no-verify", 0, OPT_FLAG, FIELD(no_verify), NULL, 0, 0, NULL,
        "do not read the loaded tables back to compare them", NULL},
    {"force", 0, OPT_FLAG, FIELD(force), NULL, 0, 0, NULL,
        "also into a server that is older than the source", NULL},
    {0}};

/* All that a restore holds, to be let go in one place. */
struct work {
    struct repo *repo;
    struct lock *reading; /* nothing goes meanwhile; NULL: it may */
    struct secret_key *key;
    struct catalog *catalog;
    struct manifest *manifest;
    struct restore_target *target;
    struct db *claim; /* of the target */
    struct plan plan;
    struct scope scope;
    struct sql_event_states events; /* of the scheduler */
    struct replay_report preview, done;
    struct load_report loaded;
    bool logged; /* the target has a log, in which what is restored is not */
};

static int
get_cutoff(const struct restore *o, struct cutoff *out)
{
    int n =
        (o->until_us != 0) + (o->until_gtid != NULL) + (o->before_gtid != NULL);
    const char *gtid = o->until_gtid != NULL ? o->until_gtid : o->before_gtid;

    *out = (struct cutoff){.kind = CUTOFF_NEWEST, .us = o->until_us};
    if (n > 1)
        return err_set(ERR_USAGE,
            "--until, --until-gtid and --before-gtid exclude each other");
    if (o->until_us != 0)
        out->kind = CUTOFF_TIME;
    else if (n == 1)
        out->kind =
            o->until_gtid != NULL ? CUTOFF_UNTIL_GTID : CUTOFF_BEFORE_GTID;
    if (gtid != NULL && gtid_parse(gtid, &out->gtid) < 0) {
        err_rekind(ERR_USAGE);
        return err_wrap(
            o->until_gtid != NULL ? "--until-gtid" : "--before-gtid");
    }
    return 0;
}

static int
get_target(const struct restore *o, struct restore_target_conf *out)
{
    *out = (struct restore_target_conf){.host = o->host,
        .socket = o->socket,
        .user = o->user,
        .password_file = o->password_file,
        .port = o->port,
        .sandbox = o->sandbox,
        .mariadbd = o->mariadbd};
    if (o->target != NULL && o->common.conf == NULL)
        return err_set(ERR_USAGE,
            "--target names a section of the "
            "configuration, and there is none");
    if (o->target != NULL &&
        (out->section = conf_server_find(o->common.conf, o->target)) == NULL)
        return -1;
    return o->dry_run ? 0 : restore_target_check(out);
}

static int
open_repository(const struct restore *o, struct work *w)
{
    uint8_t signer[32];

    if ((w->repo = cmd_repo_read(&o->common, o->repository)) == NULL)
        return -1;
    if (o->signer != NULL && signer_parse(o->signer, signer) < 0)
        return err_wrap("--signer");
    if ((w->key = cmd_secret_key(o->secret_key, o->passphrase_file)) == NULL)
        return -1;
    if (repo_trust(w->repo, w->key, o->signer != NULL ? signer : NULL) < 0)
        return -1;
    if (!o->dry_run && repo_lock_reading(w->repo, "restore", &w->reading) < 0)
        return -1;
    if ((w->catalog = catalog_load(w->repo)) == NULL)
        return -1;
    return cmd_head(w->repo, w->catalog, o->expect, o->state, NULL);
}

static struct replay_conf
replay_conf(const struct restore *o, struct work *w)
{
    return (struct replay_conf){.events = &w->events,
        .source = w->manifest,
        .scope = &w->scope,
        .target = w->target == NULL ? NULL : restore_target_db(w->target),
        .repo = w->repo,
        .key = w->key,
        .catalog = w->catalog,
        .plan = &w->plan,
        .ahead_bytes = o->ahead_bytes};
}

static void
put_boundary(
    struct buf *out, const struct plan *plan, const struct replay_report *r)
{
    const char *none = plan->broken_end ? "none: here the log ends in a gap"
                                        : "none: this is the newest state";
    char *last = report_group(&r->last), *first = report_group(&r->first_out);

    buf_fmt(out, "last transaction in:    %s\n",
        r->any_last ? last : "none from the log: the backup is as it was");
    buf_fmt(out, "first transaction out:  %s\n", r->any_out ? first : none);
    if (r->unfinished != NULL)
        buf_fmt(out, "not done at the cutoff: %s\n", r->unfinished);
    free(last);
    free(first);
}

/* How old the newest state is: of a repository whose newest objects are
 * withheld it is older than it should be. */
static void
put_age(struct buf *out, const struct work *w)
{
    const struct plan *p = &w->plan;
    uint64_t until = w->catalog->backup[p->backup].snapshot_us;
    uint64_t now = time_now_us();
    char when[TIME_BOTH], age[TIME_TEXT];

    if (p->segments > 0)
        until = MAX(until,
            catalog_whole_until(w->catalog, p->first_segment, p->segments));
    buf_fmt(out, "the newest state is of  %s", time_both(until, when));
    if (until < now)
        buf_fmt(out, ", %s ago", time_span(now - until, age));
    buf_str(out, "\n");
}

/* What is wanted, and which schemas there are. */
static int
get_scope(const struct restore *o, struct work *w)
{
    const char *backup = w->catalog->backup[w->plan.backup].id;
    struct scope *s = &w->scope;

    manifest_free(w->manifest); /* of another backup that was tried */
    w->manifest = NULL;
    scope_free(s);
    s->fold = w->catalog->backup[w->plan.backup].lower_case_table_names != 0;
    for (size_t i = 0; i < o->only.n; i++)
        if (scope_only(s, o->only.v[i]) < 0)
            return err_wrap("--only");
    for (size_t i = 0; i < o->exclude.n; i++)
        if (scope_exclude(s, o->exclude.v[i]) < 0)
            return err_wrap("--exclude");
    for (size_t i = 0; i < o->rename.n; i++)
        if (scope_rename(s, o->rename.v[i]) < 0)
            return err_wrap("--rename");
    if (!scope_active(s))
        return 0;
    if ((w->manifest = manifest_load(w->repo, backup, w->key)) == NULL)
        return -1;
    for (size_t i = 0; i < w->manifest->tables; i++)
        scope_know(s, w->manifest->table[i].schema);
    load_scope_manifest(w->manifest, s);
    return load_scope_foreign(w->repo, w->key, w->manifest, s);
}

/* What a part of the log lacks, of what was done to what is wanted. */
static void
warn_of_part(const struct replay_report *r)
{
    const struct scope_foreign *f = r->cascade;

    if (r->left_out > 0)
        log_warn("%" PRIu64 " statements of other schemas are in the log as "
                 "text and left out: if triggers, functions or foreign keys "
                 "of theirs changed what is wanted, that is missing; a "
                 "restore of all with "
                 "--sandbox has it",
            r->left_out);
    if (r->cascaded > 0)
        log_warn("%" PRIu64
                 " times rows were deleted or changed in %s.%s%s, to "
                 "which a foreign key of %s.%s refers: what the server then "
                 "did to rows that refer to those (ON DELETE, ON UPDATE) is in "
                 "no log, and missing where not all of these tables are "
                 "restored; a restore of all with --sandbox has it",
            r->cascaded, f->to_schema, f->to_table,
            r->cascaded > 1 ? " (or the like)" : "", f->schema, f->table);
}

/*
 * Another server may have taken over without the last transactions of the one
 * before, and a backup may have them.  What the ends of segments tell cannot
 * show that: the log does not go on from it, but from an older one.
 */
static int
older_backup(const struct restore *o, struct work *w)
{
    struct backup_info *b = &w->catalog->backup[w->plan.backup];

    if (!w->preview.stray)
        return -1;
    log_warn("backup %s has transactions that the log does not go on with, as "
             "of a server that was given up with them (%s)%s",
        b->id, err_text(),
        o->backup != NULL ? "" : ": an older backup is taken");
    err_clear();
    b->stray = true;
    return 0;
}

/* The plan and its boundary. */
static int
plan(const struct restore *o, struct work *w, const struct cutoff *cutoff)
{
    int rc;

    do {
        struct replay_conf conf;

        if (plan_make(w->catalog, cutoff, o->backup, &w->plan) < 0 ||
            get_scope(o, w) < 0)
            return -1;
        conf = replay_conf(o, w);
        /* Of a part every statement has to be looked at. */
        rc = replay_preview(&conf, !scope_active(&w->scope), &w->preview);
    } while (rc < 0 && older_backup(o, w) == 0);
    return rc;
}

/* Print the plan: which backup, which log, the boundary. */
static int
plan_and_print(const struct restore *o, struct work *w)
{
    const struct backup_info *b;
    struct cutoff cutoff;
    struct buf text = {0};
    char when[TIME_BOTH], size[TIME_TEXT];
    int rc;

    if (get_cutoff(o, &cutoff) < 0 || plan(o, w, &cutoff) < 0)
        return -1;
    b = &w->catalog->backup[w->plan.backup];
    buf_fmt(&text, "backup %s as of %s: %" PRIu64 " tables, %s of rows\n",
        b->id, time_both(b->snapshot_us, when), b->tables,
        size_text(b->row_bytes, size));
    if (w->plan.segments > 0)
        buf_fmt(&text,
            "then the log from GTID position of the backup on: "
            "%zu segment%s\n",
            w->plan.segments, w->plan.segments == 1 ? "" : "s");
    put_boundary(&text, &w->plan, &w->preview);
    if (w->plan.cutoff.kind == CUTOFF_NEWEST)
        put_age(&text, w);
    rc = o->dry_run ? report_out(&text) : report_news(&text);
    buf_free(&text);
    if (w->preview.early > 0)
        log_warn(
            "%" PRIu64 " transactions of before that moment come after the "
            "first one that is out, whose clock was ahead, and are out too: "
            "--until-gtid goes by the log's order",
            w->preview.early);
    warn_of_part(&w->preview);
    if (w->plan.broken_end && w->plan.cutoff.kind == CUTOFF_NEWEST)
        log_warn("a gap in the log follows: later transactions cannot be "
                 "restored from this backup");
    return rc;
}

/* Of the newest server whose log there is up to the cutoff; NULL. */
static const char *
log_version(const struct work *w)
{
    const struct segment_info *s = &w->catalog->segment[w->plan.first_segment];
    const char *newest = NULL;

    for (size_t i = 0; i < MIN(w->plan.segments, w->preview.segments); i++)
        if (newest == NULL || strverscmp(s[i].start.server_version, newest) > 0)
            newest = s[i].start.server_version;
    return newest;
}

#define WARNINGS_MOST 20

/* What the backup said when it was made: that some changes are not in the log,
 * above all. */
static int
put_warnings(const struct manifest *m)
{
    struct buf text = {0};
    int rc;

    for (size_t i = 0; i < m->warnings && i < WARNINGS_MOST; i++)
        buf_fmt(&text, "the backup warned:      %s\n", m->warning[i]);
    if (m->warnings > WARNINGS_MOST)
        buf_fmt(&text, "                        and %zu times more\n",
            m->warnings - WARNINGS_MOST);
    rc = text.len == 0 ? 0 : report_out(&text);
    buf_free(&text);
    return rc;
}

static struct load_conf
load_conf(const struct restore *o, struct work *w)
{
    return (struct load_conf){
        .target = w->target == NULL ? NULL : restore_target_db(w->target),
        .repo = w->repo,
        .key = w->key,
        .manifest = w->manifest,
        .events = &w->events,
        .scope = &w->scope,
        .log_version = log_version(w),
        .jobs = cmd_jobs(o->jobs),
        .verify = !o->no_verify,
        .force_version = o->force,
        .install_plugins = o->sandbox != NULL};
}

static int
do_load(const struct restore *o, struct work *w)
{
    struct load_conf conf = load_conf(o, w);
    struct load_settings *settings;
    struct replay_conf replay = replay_conf(o, w);
    int rc = -1, logged;

    if (plan_check(w->repo, w->catalog, &w->plan, w->preview.segments) < 0 ||
        (w->claim = load_claim(conf.target)) == NULL ||
        replay_end_leftover(conf.target) < 0 || load_check(&conf) < 0 ||
        replay_check(&replay) < 0 || (logged = load_mark_log(&conf)) < 0 ||
        (settings = load_settings_apply(conf.target)) == NULL)
        return -1;
    w->logged = logged > 0;
    if (load_run(&conf, &w->loaded) == 0 &&
        replay_run(&replay, &w->done) == 0 && load_finish(&conf) == 0)
        rc = 0;
    if (rc < 0) {
        struct err_saved *first = err_take();

        load_settings_restore(settings);
        err_clear();
        err_put(first);
        err_wrap(scope_active(&w->scope)
                ? "what was to be restored is incomplete at the target"
                : "the target is incomplete and must not be used");
        return err_hint("The same command starts over, and replaces what "
                        "it has created so far.");
    }
    rc = load_settings_restore(settings);
    return w->logged && load_mark_log(&conf) < 0 ? -1 : rc;
}

static int
report_done(const struct restore *o, const struct work *w, uint64_t begun_us)
{
    const struct load_report *l = &w->loaded;
    const struct db_conf *db = restore_target_db(w->target);
    char a[TIME_TEXT], b[TIME_TEXT], c[TIME_TEXT], d[TIME_TEXT], e[TIME_TEXT];
    struct buf text = {0};
    int rc;

    buf_fmt(&text,
        "loaded %" PRIu64 " tables, %" PRIu64 " rows, %s in %s; indexes %s; "
        "%s\n",
        l->tables, l->rows, size_text(l->bytes, a), time_span(l->load_us, b),
        time_span(l->index_us, c),
        o->no_verify ? "not compared (--no-verify)"
                     : "every table's rows equal the backup's checksum");
    if (w->plan.segments > 0)
        buf_fmt(&text, "replayed %" PRIu64 " transactions, %s of log in %s\n",
            w->done.groups, size_text(w->done.bytes, a),
            time_span(w->done.replay_us, d));
    put_boundary(&text, &w->plan, &w->done);
    buf_fmt(&text, "done in %s\n", time_span(time_mono_us() - begun_us, e));
    if (w->logged)
        buf_str(&text,
            "What was restored is not in the target's binary log. Where its "
            "log is captured,\nthat is a gap now: make a backup, from which on "
            "all can be restored again.\nReplicas of the target have nothing "
            "of it, and stop where a later statement needs it.\n");
    if (o->sandbox != NULL)
        buf_fmt(&text,
            "The server runs in %s, whose README tells the rest.\n"
            "Look around with: mariadb --no-defaults --socket=%s --user=%s\n"
            "Stop it with:     mariadb --no-defaults --socket=%s --user=%s "
            "-e SHUTDOWN\n",
            o->sandbox, db->socket, db->user, db->socket, db->user);
    rc = report_news(&text);
    buf_free(&text);
    return rc;
}

static int
restore_run(void *arg)
{
    struct restore *o = arg;
    struct restore_target_conf target;
    struct load_conf load;
    struct work w = {0};
    uint64_t begun_us = time_mono_us();
    bool restored = false;
    int rc = -1;

    if (get_target(o, &target) < 0 || open_repository(o, &w) < 0 ||
        plan_and_print(o, &w) < 0)
        goto out;
    if (w.manifest == NULL)
        w.manifest =
            manifest_load(w.repo, w.catalog->backup[w.plan.backup].id, w.key);
    if (w.manifest == NULL || put_warnings(w.manifest) < 0 ||
        manifest_check(w.repo, w.manifest, cmd_jobs(o->jobs)) < 0)
        goto out;
    load = load_conf(o, &w);
    if (load_scope_tell(&load) < 0)
        goto out;
    if (o->dry_run) {
        rc = 0;
        goto out;
    }
    target.like = w.manifest;
    if ((w.target = restore_target_open(&target)) == NULL || do_load(o, &w) < 0)
        goto out;
    restored = true;
    rc = report_done(o, &w, begun_us);

out:
    db_close(w.claim);
    restore_target_close(w.target, restored);
    manifest_free(w.manifest);
    catalog_free(w.catalog);
    secret_key_free(w.key);
    lock_free(w.reading);
    repo_close(w.repo);
    sql_event_states_free(&w.events);
    scope_free(&w.scope);
    free(w.preview.unfinished);
    free(w.done.unfinished);
    return rc;
}

const struct command cmd_restore = {
    .name = "restore",
    .help = "rebuild the database as it was at a moment",
    .usage = "",
    .opts = restore_opts,
    .size = sizeof(struct restore),
    .run = restore_run,
};
