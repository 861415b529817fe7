/*
 * repo.c -- opening a repository, trusting it, and the chains of its objects.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/compress.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "repo_file.h"
#include "slots.h"

#define FRAMES_LEVEL_MAX 2
/* How long apart it is looked whether expire has ended. */
#define REMOVING_LOOK_US 200000
#define REMOVING_MOST_US 300000000

/* strict: to write, for which the newest generation has to be known. */
static int
load_file(struct repo *r, const char *path, bool strict)
{
    const struct repo_file *f;
    uint64_t size;
    int there;

    r->chain = xcalloc(1, sizeof *r->chain);
    there = repo_chain_load(r->store, strict, r->chain);
    /* What is no file is told from what is not there. */
    if (there < 0 || (there == 0 && store_stat(r->store, REPO_FILE, &size) < 0))
        return -1;
    if (there == 0) {
        err_set(ERR_NOREPO,
            "%s is not a repository of pitr: it has no file "
            "\"%s\"",
            path, REPO_FILE);
        return err_hint(
            "Check the path; \"pitr init\" makes a new repository. Of one that "
            "was lost, a vault's copy can be put in its place (doc/VAULT.md).");
    }
    f = &r->chain->file[r->chain->n - 1];
    memcpy(r->id, f->id, sizeof r->id);
    memcpy(r->signer, f->signer, sizeof r->signer);
    memcpy(r->recipients, f->recipients, sizeof r->recipients);
    r->n_recipients = f->n_recipients;
    r->created_us = r->chain->file[0].created_us;
    r->generation = f->generation;
    r->server = xstrdup(f->server);
    return 0;
}

static int
load_signing(struct repo *r, const char *signing_path)
{
    if ((r->signing = signing_key_load(signing_path)) == NULL)
        return -1;
    if (memcmp(signing_key_public(r->signing), r->signer, 32) == 0)
        return 0;
    err_set(ERR_KEY, "%s is not the signing key of the repository %s",
        signing_path, store_where(r->store));
    for (size_t i = 0; i < r->chain->n; i++)
        if (memcmp(signing_key_public(r->signing), r->chain->file[i].signer,
                32) == 0)
            return err_hint("It was, until \"pitr rekey\" made another one; "
                            "name that as signing_key in the configuration.");
    return err_hint("Each repository has its own; check signing_key in the "
                    "configuration.");
}

struct repo *
repo_open_store(
    struct store *store, const char *server, const char *signing_path)
{
    struct repo *r = xcalloc(1, sizeof *r);
    const char *path = store_where(store);

    r->store = store;
    if (!store_is_vault(store))
        r->local_path = xstrdup(path);
    if (load_file(r, path, signing_path != NULL) < 0)
        goto fail;
    if (server != NULL && strcmp(server, r->server) != 0) {
        err_set(ERR_NOREPO,
            "%s is the repository of server \"%s\", not of "
            "\"%s\"",
            path, r->server, server);
        err_hint("Check repository in the configuration; a server has a "
                 "repository of its own.");
        goto fail;
    }
    if (signing_path != NULL && load_signing(r, signing_path) < 0)
        goto fail;
    return r;

fail:
    repo_close(r);
    return NULL;
}

struct repo *
repo_open(const char *path, const char *server, const char *signing_path)
{
    struct store *store = store_open(path);

    return store == NULL ? NULL : repo_open_store(store, server, signing_path);
}

void
repo_close(struct repo *r)
{
    if (r == NULL)
        return;
    store_close(r->store);
    signing_key_free(r->signing);
    if (r->chain != NULL)
        repo_chain_free(r->chain);
    free(r->chain);
    slots_free(r->slots);
    free(r->server);
    free(r->local_path);
    free(r);
}

/* 1 where a generation holds an endorsement by the identity of key, 0 where
 * none does, -1 where one is false. */
static int
endorsed_by(const struct repo *r, const struct secret_key *key)
{
    int rc = 0;

    for (size_t i = 0; i < r->chain->n && rc >= 0; i++) {
        const struct repo_file *f = &r->chain->file[i];
        struct buf b = {0};

        if (!f->endorsed ||
            memcmp(f->endorser, secret_key_public(key)->identity, 32) != 0)
            continue;
        repo_endorsed_bytes(f, &b);
        rc = sign_check(f->endorser, REPO_ENDORSE_CONTEXT, b.data, b.len,
                 f->endorsement) < 0
            ? -1
            : 1;
        buf_free(&b);
    }
    return rc;
}

static bool
has_signed(const struct repo *r, const uint8_t signer[32])
{
    for (size_t i = 0; i < r->chain->n; i++)
        if (memcmp(signer, r->chain->file[i].signer, 32) == 0)
            return true;
    return false;
}

int
repo_trust(struct repo *r, const struct secret_key *key, const uint8_t *expect)
{
    char *is = signer_text(r->signer), *want = NULL;
    int rc = -1, endorsed = 0;

    if (expect != NULL && !has_signed(r, expect)) {
        want = signer_text(expect);
        err_set(ERR_VERIFY, "%s is signed by %s, not by %s as expected",
            store_where(r->store), is, want);
        err_hint("This is another repository than the one you mean, or "
                 "somebody has put a forged one in its place. Do not restore "
                 "from it before you know which.");
        goto out;
    }
    if (expect == NULL && key != NULL && (endorsed = endorsed_by(r, key)) < 0) {
        err_wrap("%s: endorsement", store_where(r->store));
        goto out;
    }
    if (expect == NULL && !endorsed)
        log_warn("the signer of %s is trusted without proof; compare it with "
                 "what \"pitr init\" printed, and give it with --signer: %s",
            store_where(r->store), is);
    rc = 0;

out:
    free(is);
    free(want);
    return rc;
}

bool
repo_is_recipient(const struct repo *r, const struct public_key *k)
{
    for (size_t i = 0; i < r->n_recipients; i++)
        if (memcmp(r->recipients[i].box, k->box, sizeof k->box) == 0)
            return true;
    return false;
}

/* What was read before the lock was had may be of before a rekey: then what is
 * written now would be signed by who counts no longer. */
static int
check_generation(const struct repo *r)
{
    struct store_list l = {0};
    size_t there = 0;
    int rc = store_list(r->store, "", true, &l);

    for (size_t i = 0; i < l.n; i++)
        there += repo_is_later(l.v[i].name);
    store_list_free(&l);
    if (rc < 0 || there == r->chain->there)
        return rc;
    err_set(ERR_LOCKED, "%s was changed by \"pitr rekey\" in this moment",
        r->local_path);
    return err_hint("Run it again.");
}

struct lock *
repo_lock(const struct repo *r, const char *what)
{
    char *path;
    struct lock *l;

    if (r->local_path == NULL) {
        err_set(ERR_FAILED, "%s: a vault is not written to as a repository",
            store_where(r->store));
        return NULL;
    }
    path = xasprintf("%s/.lock-%s", r->local_path, what);
    l = lock_take(path, what);
    free(path);
    if (l != NULL && check_generation(r) < 0) {
        lock_free(l);
        l = NULL;
    }
    return l;
}

int
repo_lock_reading(const struct repo *r, const char *what, struct lock **out)
{
    char *path;
    uint64_t from = time_mono_us();
    bool told = false;
    int rc;

    *out = NULL;
    if (r->local_path == NULL)
        return 0;
    path = xasprintf("%s/.lock-expire", r->local_path);
    while ((rc = lock_share(path, what, out)) < 0 && err_kind() == ERR_LOCKED) {
        if (!told)
            log_info("waiting for expire: %s", err_text());
        told = true;
        err_clear();
        if (time_mono_us() - from > REMOVING_MOST_US) {
            rc = 1;
            break;
        }
        if (stop_sleep_us(REMOVING_LOOK_US)) {
            stop_error();
            break;
        }
    }
    free(path);
    if (rc == 1)
        log_info(
            "%s: no lock can be had here, so an expire that runs meanwhile "
            "may remove what is read",
            r->local_path);
    return rc < 0 ? -1 : 0;
}

int
repo_is_locked(const struct repo *r, const char *what)
{
    char *path;
    int rc;

    if (r->local_path == NULL)
        return 0;
    path = xasprintf("%s/.lock-%s", r->local_path, what);
    rc = lock_is_held(path);
    free(path);
    return rc;
}

struct sink *
repo_put(struct repo *r, enum seal_kind kind, const char *name,
    const struct buf *meta, int level, enum store_put how,
    struct sink **seal_out)
{
    struct seal_header h = {.kind = kind, .server = r->server};
    char *own = xstrdup(name);
    struct sink *seal;

    h.name = own;
    memcpy(h.repo_id, r->id, sizeof h.repo_id);
    if (meta != NULL)
        h.meta = *meta;
    seal = seal_sink(store_put(r->store, name, how), &h, r->signing,
        r->recipients, r->n_recipients);
    if (seal_out != NULL)
        *seal_out = seal;
    free(own);
    /* With a longer search goes a longer memory. */
    return kind == SEAL_ROWS && level <= FRAMES_LEVEL_MAX
        ? zstd_frames_sink(seal, level)
        : zstd_sink(seal, level);
}

struct seal_expect
repo_expect(const struct repo *r, enum seal_kind kind, const char *name)
{
    return (struct seal_expect){.kind = kind,
        .repo_id = r->id,
        .server = r->server,
        .name = name,
        .signer = repo_chain_signer(r->chain, name)};
}

struct source *
repo_open_object(struct repo *r, enum seal_kind kind, const char *name,
    const struct secret_key *key, uint64_t length,
    const uint8_t digest[DIGEST_SIZE])
{
    struct seal_expect want = repo_expect(r, kind, name);
    struct seal_more more = {.find = slots_find, .arg = r};

    return open_source_more(
        store_get(r->store, name), &want, key, length, digest, NULL, &more);
}

/* The digest that a generation has listed a manifest with; NULL. */
static const uint8_t *
pinned(const struct repo *r, enum seal_kind kind, const char *name)
{
    const struct repo_listed *p = NULL;
    size_t by;

    if (kind == SEAL_MANIFEST)
        p = repo_chain_listed(r->chain, name, &by);
    return p == NULL ? NULL : p->digest;
}

struct source *
repo_get(struct repo *r, enum seal_kind kind, const char *name,
    const struct secret_key *key, const uint8_t digest[DIGEST_SIZE])
{
    if (digest == NULL)
        digest = pinned(r, kind, name);
    return unzstd_source(repo_open_object(r, kind, name, key, 0, digest),
        kind == SEAL_ROWS ? UNZSTD_FRAMES : UNZSTD_FRAME);
}

/* The last mark of a closed object, by its tail.  The object may be growing:
 * only what was there when its size was asked for is looked at. */
static int
peek_mark(struct repo *r, const char *name, const struct seal_header *h,
    struct seal_mark *mark)
{
    uint8_t *tail = NULL;
    struct source *src = NULL;
    uint64_t size;
    size_t n;
    int rc;

    if ((rc = store_stat(r->store, name, &size)) <= 0)
        return rc < 0 ? -1 : err_set(ERR_VERIFY, "%s is gone", name);
    n = (size_t)MIN(size, (uint64_t)SEAL_TAIL_MAX);
    tail = xmalloc(MAX(n, 1));
    if ((src = store_get_from(r->store, name, size - n)) == NULL)
        rc = -1;
    else if ((rc = source_read_full(src, tail, n)) == 0 && n > 0)
        rc = err_set(ERR_VERIFY, "%s is shorter than it was", name);
    if (rc >= 0)
        rc = seal_tail_mark(tail, n, size, h, mark);
    source_free(src);
    free(tail);
    return rc;
}

int
repo_peek(struct repo *r, enum seal_kind kind, const char *name,
    struct seal_header *h, struct seal_mark *mark)
{
    struct seal_expect want = repo_expect(r, kind, name);
    struct source *src = store_get(r->store, name);
    const uint8_t *digest;
    int rc = -1;

    if (src == NULL || seal_read_header(src, &want, h) < 0)
        goto out;
    rc = 1;
    if (mark != NULL)
        rc = peek_mark(r, name, h, mark);
    if (rc > 0 && mark != NULL && (digest = pinned(r, kind, name)) != NULL &&
        memcmp(digest, mark->digest, DIGEST_SIZE) != 0) {
        seal_mark_free(mark);
        rc = err_set(ERR_VERIFY,
            "%s is another object than was there when its signer was replaced",
            name);
    }
    if (rc < 0)
        seal_header_free(h);

out: /* the error names the object */
    source_free(src);
    return rc;
}
