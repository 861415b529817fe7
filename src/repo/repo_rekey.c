/*
 * repo_rekey.c -- another generation of the repository file: other recipients,
 * another signer.
 *
 * It lists what there is, so that a former signing key, which may have been
 * stolen, can add nothing to what came before.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "away.h"
#include "pitr/catalog.h"
#include "pitr/expire.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "repo_file.h"

struct rekey {
    struct repo *r;
    const struct repo_rekey *how;
    struct repo_file file;
    struct signing_key *fresh; /* NULL: the signer stays */
};

/* Who hands over: is that possible? */
static int
check_how(const struct rekey *k)
{
    const struct repo *r = k->r;

    if (r->local_path == NULL) {
        err_set(ERR_USAGE, "%s is not on this machine", store_where(r->store));
        return err_hint("Do it where the repository is written; the vaults are "
                        "brought up to date.");
    }
    if (k->how->recipients != NULL &&
        (k->how->n == 0 || k->how->n > SEAL_RECIPIENTS_MAX))
        return err_set(ERR_USAGE,
            "a repository has 1 to %d recipients, not %zu", SEAL_RECIPIENTS_MAX,
            k->how->n);
    if (k->how->new_signing == NULL && r->signing == NULL)
        return err_set(ERR_KEY, "the signing key is needed");
    if (k->how->recovery == NULL && r->signing == NULL) {
        err_set(ERR_KEY,
            "the signing key, or a recovery key, has to hand the "
            "repository over");
        return err_hint("Name the recovery key with --secret-key.");
    }
    if (k->how->recovery != NULL &&
        !repo_is_recipient(r, secret_key_public(k->how->recovery))) {
        err_set(ERR_KEY, "this recovery key is no recipient of %s",
            store_where(r->store));
        return err_hint("Only a recipient can hand it over.");
    }
    return 0;
}

/* Leave out the generations after `from`. */
static int
go_back(struct rekey *k)
{
    struct repo *r = k->r;
    struct repo_chain *c = r->chain;
    const struct repo_file *f;

    if (k->how->from == 0 || c->file[c->n - 1].generation == k->how->from)
        return 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->file[i].generation == k->how->from) {
            while (c->n > i + 1)
                repo_file_free(&c->file[--c->n]);
            f = &c->file[i];
            memcpy(r->signer, f->signer, sizeof r->signer);
            memcpy(r->recipients, f->recipients, sizeof r->recipients);
            r->n_recipients = f->n_recipients;
            r->generation = f->generation;
            return 0;
        }
    err_set(ERR_USAGE, "there is no generation %lu of %s that counts",
        (unsigned long)k->how->from, store_where(r->store));
    return err_hint("\"pitr list --json\" tells which one does.");
}

static void
list_one(struct repo_file *f, const char *id, const uint8_t digest[DIGEST_SIZE])
{
    f->listed =
        xgrow(f->listed, f->n_listed, &f->cap_listed, sizeof *f->listed);
    f->listed[f->n_listed].id = xstrdup(id);
    memcpy(f->listed[f->n_listed++].digest, digest, DIGEST_SIZE);
}

static int
list_backup(struct rekey *k, const char *id)
{
    char *name = manifest_name(id);
    struct seal_header h = {0};
    struct seal_mark m = {0};
    int rc = repo_peek(k->r, SEAL_MANIFEST, name, &h, &m);

    if (rc > 0)
        list_one(&k->file, id, m.digest);
    if (rc == 0)
        err_set(ERR_VERIFY, "%s changed meanwhile", name);
    seal_mark_free(&m);
    seal_header_free(&h);
    free(name);
    return rc > 0 ? 0 : -1;
}

/* A word on a pin that is good: by its text. */
static int
list_pin(struct rekey *k, const char *name)
{
    struct source *src = NULL;
    struct buf b = {0};
    uint8_t digest[DIGEST_SIZE];
    bool pinned;
    int rc = -1;

    if (pin_read(k->r, name, &pinned) < 0) {
        if (err_kind() != ERR_VERIFY)
            return -1;
        log_warn("%s; it is not listed", err_text());
        err_clear();
        return 0;
    }
    src = store_get(k->r->store, name);
    if (src != NULL && source_slurp(src, REPO_FILE_MAX, &b) == 0) {
        digest_of(b.data, b.len, digest);
        list_one(&k->file, name, digest);
        rc = 0;
    }
    source_free(src);
    buf_free(&b);
    return rc;
}

static int
list_pins(struct rekey *k)
{
    struct store_list l = {0};
    int rc = store_list(k->r->store, "pin/", false, &l);

    for (size_t i = 0; i < l.n && rc == 0; i++)
        if (pin_is_signed(l.v[i].name))
            rc = list_pin(k, l.v[i].name);
    store_list_free(&l);
    return rc;
}

/* What has gone from here, and is on the vaults. */
static int
list_away(struct rekey *k)
{
    struct away a;
    int rc = away_load(k->r, &a);

    for (size_t i = 0; i < a.n && rc == 0; i++) {
        bool listed = false;

        for (size_t b = 0; b < k->file.n_listed && !listed; b++)
            listed = strcmp(k->file.listed[b].id, a.v[i].id) == 0;
        if (!listed)
            list_one(&k->file, a.v[i].id, a.v[i].digest);
    }
    away_free(&a);
    return rc;
}

/* Where everything stands. */
static int
list_all(struct rekey *k)
{
    struct repo_file *f = &k->file;
    struct catalog *c = catalog_load(k->r);
    int rc = c == NULL ? -1 : 0;

    if (rc == 0 && c->breaks > 0) {
        rc = err_set(
            ERR_VERIFY, "the log is broken: %s", catalog_break(c, 0)->broken);
        err_hint("Mend it first: take what is damaged from another copy.");
    }
    if (rc == 0 && c->segments > 0) {
        const struct segment_info *s = &c->segment[c->segments - 1];

        f->log = xstrdup(s->name);
        f->log_size = s->size;
        memcpy(f->log_digest, s->digest, DIGEST_SIZE);
    }
    for (size_t i = 0; rc == 0 && i < c->backups; i++)
        rc = list_backup(k, c->backup[i].id);
    if (rc == 0)
        rc = list_away(k);
    if (rc == 0)
        rc = list_pins(k);
    catalog_free(c);
    return rc;
}

/* The number after all that are taken, whether they count or not. */
static int
next_number(struct rekey *k)
{
    struct store_list l = {0};
    uint32_t top = 1;

    if (store_list(k->r->store, "", true, &l) < 0)
        return -1;
    for (size_t i = 0; i < l.n; i++)
        if (repo_is_later(l.v[i].name))
            top = MAX(top,
                (uint32_t)strtoul(l.v[i].name + strlen(REPO_LATER), NULL, 10));
    store_list_free(&l);
    k->file.generation = top + 1;
    return top < REPO_GENERATION_MAX
        ? 0
        : err_set(ERR_FAILED, "there are too many generations");
}

static int
fill(struct rekey *k)
{
    const struct repo *r = k->r;
    const struct repo_rekey *how = k->how;
    struct repo_file *f = &k->file;
    const struct repo_file *before = &r->chain->file[r->chain->n - 1];

    memcpy(f->id, r->id, sizeof f->id);
    f->server = xstrdup(r->server);
    f->created_us = time_now_us();
    memcpy(f->previous, before->digest, DIGEST_SIZE);
    f->n_recipients = how->recipients != NULL ? how->n : r->n_recipients;
    memcpy(f->recipients,
        how->recipients != NULL ? how->recipients : r->recipients,
        f->n_recipients * sizeof *f->recipients);
    memcpy(f->signer,
        k->fresh != NULL ? signing_key_public(k->fresh) : r->signer, 32);
    if (how->recovery != NULL) {
        f->by_recovery = true;
        repo_endorse(f, how->recovery);
    }
    return next_number(k) < 0 || list_all(k) < 0 ? -1 : 0;
}

static int
publish(struct rekey *k)
{
    char *name =
        xasprintf(REPO_LATER "%06lu", (unsigned long)k->file.generation);
    struct sink *sink = NULL;
    struct buf b = {0};
    int rc = -1;

    repo_file_format(&k->file, k->fresh != NULL ? k->fresh : k->r->signing,
        k->r->signing, k->how->recovery, &b);
    if (b.len > REPO_FILE_MAX) {
        err_set(ERR_FAILED,
            "%zu backups and pins are too many for one hand-over",
            k->file.n_listed);
        err_hint("Let old ones expire first.");
    } else if ((sink = store_put(k->r->store, name, STORE_ATOMIC)) != NULL &&
        sink_write(sink, b.data, b.len) == 0) {
        rc = sink_finish(sink);
    }
    sink_free(sink);
    buf_free(&b);
    free(name);
    return rc;
}

static int
locked(struct rekey *k)
{
    const char *path = k->how->new_signing;
    int rc;

    if (path != NULL && (k->fresh = signing_key_new()) == NULL)
        return -1;
    if (fill(k) < 0)
        return -1;
    /* The key first: without it the new generation would be of no use. */
    if (path != NULL && signing_key_save(k->fresh, path) < 0)
        return -1;
    if ((rc = publish(k)) < 0 && path != NULL)
        unlink(path);
    return rc;
}

int
repo_rekey(struct repo *r, const struct repo_rekey *how)
{
    struct rekey k = {.r = r, .how = how};
    struct lock *backup = NULL, *stream = NULL;
    int rc = -1;

    if (how->from != 0 && (how->recovery == NULL || how->new_signing == NULL))
        return err_set(ERR_USAGE,
            "only a recovery key can go back behind a generation, and with "
            "another signing key");
    if (go_back(&k) < 0 || check_how(&k) < 0)
        return -1;
    if ((backup = repo_lock(r, "backup")) != NULL &&
        (stream = repo_lock(r, "stream")) != NULL)
        rc = locked(&k);
    if (rc < 0)
        err_wrap("%s: another generation", store_where(r->store));
    lock_free(stream);
    lock_free(backup);
    signing_key_free(k.fresh);
    repo_file_free(&k.file);
    return rc;
}
