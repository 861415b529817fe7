/*
 * rewrap.c -- let another recipient read what exists already.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/rewrap.h"

struct rewrap {
    struct common common;
    const char *repository, *secret_key, *passphrase_file, *signer;
    struct opt_list recipient, recipient_file;
};

#define FIELD(f) offsetof(struct rewrap, f)
static const struct opt rewrap_opts[] = {
    {"recipient", 'r', OPT_LIST, FIELD(recipient), NULL, 0, 0, "pitr1...",
        "a public key that shall open what exists", NULL},
    {"recipient-file", 'R', OPT_LIST, FIELD(recipient_file), NULL, 0, 0, "FILE",
        "the same, from a file that keygen wrote", NULL},
    {"secret-key", 0, OPT_STR, FIELD(secret_key), NULL, 0, 0, "FILE",
        "a recovery key that opens it now", "secret_key"},
    {"passphrase-file", 0, OPT_STR, FIELD(passphrase_file), NULL, 0, 0, "FILE",
        "first line is its passphrase; otherwise it is asked for",
        "passphrase_file"},
    {"signer", 0, OPT_STR, FIELD(signer), NULL, 0, 0, "ed25519:...",
        "who must have signed the repository, as init printed it", "signer"},
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "of this repository, without a configuration", NULL},
    {0}};

static int
trusted(const struct rewrap *o, struct repo *r, const struct secret_key *key)
{
    uint8_t signer[32];

    if (o->signer != NULL && signer_parse(o->signer, signer) < 0)
        return err_wrap("--signer");
    return repo_trust(r, key, o->signer != NULL ? signer : NULL);
}

static int
report(const struct rewrap_report *r)
{
    struct buf text = {0};
    int rc;

    buf_fmt(&text,
        "%" PRIu64 " objects, %" PRIu64 " of them sealed for who could not "
        "open them\n",
        r->objects, r->sealed);
    rc = report_news(&text);
    buf_free(&text);
    if (rc < 0 || r->damaged + r->locked == 0)
        return rc;
    err_set(r->damaged > 0 ? ERR_VERIFY : ERR_KEY,
        "%" PRIu64 " objects were left out: %" PRIu64 " damaged, %" PRIu64
        " that this key does not open",
        r->damaged + r->locked, r->damaged, r->locked);
    return err_hint("What is damaged has to come from another copy; what does "
                    "not open, from a run with the key that does.");
}

static int
rewrap_cmd_run(void *arg)
{
    struct rewrap *o = arg;
    struct recipients to = {.n = 0};
    struct rewrap_report done;
    struct secret_key *key = NULL;
    struct repo *r = NULL;
    int rc = -1;

    if (recipients_add(&to, &o->recipient, &o->recipient_file) < 0)
        return -1;
    if (to.n == 0) {
        err_set(ERR_USAGE, "for whom? --recipient says it");
        return err_hint("\"pitr rewrap --help\" shows what it takes.");
    }
    if ((r = cmd_repo_read(&o->common, o->repository)) == NULL ||
        (key = cmd_secret_key(o->secret_key, o->passphrase_file)) == NULL ||
        trusted(o, r, key) < 0)
        goto out;
    if (rewrap_run(r, key, to.v, to.n, &done) == 0)
        rc = report(&done);

out:
    secret_key_free(key);
    repo_close(r);
    return rc;
}

const struct command cmd_rewrap = {
    .name = "rewrap",
    .help = "let another recipient read what exists already",
    .usage = "",
    .opts = rewrap_opts,
    .size = sizeof(struct rewrap),
    .run = rewrap_cmd_run,
};
