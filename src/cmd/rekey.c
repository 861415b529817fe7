/*
 * rekey.c -- who can read what is written from now on, and who signs it.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/log.h"

struct rekey {
    struct common common;
    const char *repository, *signing_key, *new_signing_key;
    const char *secret_key, *passphrase_file;
    unsigned from;
    struct opt_list add, add_file, remove;
};

#define FIELD(f) offsetof(struct rekey, f)
static const struct opt rekey_opts[] = {
    {"add-recipient", 0, OPT_LIST, FIELD(add), NULL, 0, 0, "pitr1...",
        "also seal for this public key from now on", NULL},
    {"add-recipient-file", 0, OPT_LIST, FIELD(add_file), NULL, 0, 0, "FILE",
        "the same, from a file that keygen wrote", NULL},
    {"remove-recipient", 0, OPT_LIST, FIELD(remove), NULL, 0, 0, "KEY",
        "no longer seal for this one: a public key, or its id", NULL},
    {"new-signing-key", 0, OPT_STR, FIELD(new_signing_key), NULL, 0, 0, "FILE",
        "make a new signing key; the one until now counts no longer", NULL},
    {"secret-key", 0, OPT_STR, FIELD(secret_key), NULL, 0, 0, "FILE",
        "a recovery key hands over, where the signing key was stolen or lost",
        NULL},
    {"passphrase-file", 0, OPT_STR, FIELD(passphrase_file), NULL, 0, 0, "FILE",
        "first line is its passphrase; otherwise it is asked for",
        "passphrase_file"},
    {"from", 0, OPT_UINT, FIELD(from), NULL, 1, 999999, "N",
        "follow on this generation; those after it were a thief's", NULL},
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "of this repository", "repository"},
    {"signing-key", 0, OPT_STR, FIELD(signing_key), NULL, 0, 0, "FILE",
        "its signing key until now", "signing_key"},
    {0}};

static int
change_recipients(
    const struct rekey *o, const struct repo *r, struct recipients *out)
{
    memcpy(out->v, r->recipients, r->n_recipients * sizeof out->v[0]);
    out->n = r->n_recipients;
    for (size_t i = 0; i < o->remove.n; i++)
        if (recipients_remove(out, o->remove.v[i]) < 0)
            return -1;
    if (recipients_add(out, &o->add, &o->add_file) < 0)
        return -1;
    if (out->n > 0)
        return 0;
    err_set(ERR_USAGE, "no recipient would be left");
    return err_hint("What is sealed for nobody could never be read.");
}

static int
report(const struct rekey *o)
{
    struct repo *r = repo_open(o->repository, NULL,
        o->new_signing_key != NULL ? o->new_signing_key : o->signing_key);
    struct buf text = {0};
    char *signer;
    int rc;

    if (r == NULL)
        return -1;
    signer = signer_text(r->signer);
    buf_fmt(&text, "generation %lu of the repository's file, signed by: %s\n",
        (unsigned long)r->generation, signer);
    report_recipients(r, &text);
    if (o->new_signing_key != NULL)
        buf_fmt(&text,
            "Say signing_key = %s in the configuration, and --signer %s\n"
            "wherever the old one was given. What the old key signs from now "
            "on does not count.\n",
            o->new_signing_key, signer);
    if (o->add.n + o->add_file.n > 0)
        buf_str(&text,
            "What exists is not sealed for the new recipient: \"pitr rewrap\" "
            "does that.\n");
    if (o->remove.n > 0)
        buf_str(&text,
            "What exists can still be opened with the removed key. When that "
            "may not be, make a new backup, let the old ones expire, and "
            "remember that copies may have been kept.\n");
    if (o->remove.n > 0 && o->secret_key == NULL)
        buf_str(&text,
            "Who has the removed key and can add to the repository can "
            "overrule "
            "this. Where that matters, let a recovery key hand over: "
            "--secret-key.\n");
    rc = report_out(&text);
    buf_free(&text);
    free(signer);
    repo_close(r);
    return rc;
}

static int
rekey_run(void *arg)
{
    struct rekey *o = arg;
    struct recipients to = {.n = 0};
    struct repo_rekey how = {
        .new_signing = o->new_signing_key, .from = o->from};
    struct secret_key *key = NULL;
    struct repo *r = NULL;
    bool changes = o->add.n + o->add_file.n + o->remove.n > 0;
    bool without = o->secret_key != NULL && o->new_signing_key != NULL;
    int rc = -1;

    if (o->repository == NULL || (o->signing_key == NULL && !without)) {
        if (cmd_section(&o->common) == NULL)
            return -1;
        err_set(ERR_USAGE, "repository and signing_key have to be said");
        return err_hint("Add them to the section of the server; see "
                        "pitr.conf(5).");
    }
    if (!changes && o->new_signing_key == NULL) {
        err_set(ERR_USAGE, "what is to be changed?");
        return err_hint("\"pitr rekey --help\" shows what it takes.");
    }
    if (o->secret_key != NULL &&
        (key = cmd_secret_key(o->secret_key, o->passphrase_file)) == NULL)
        goto out;
    how.recovery = key;
    r = repo_open(o->repository, NULL, without ? NULL : o->signing_key);
    if (r == NULL || change_recipients(o, r, &to) < 0)
        goto out;
    if (changes) {
        how.recipients = to.v;
        how.n = to.n;
    }
    if (repo_rekey(r, &how) == 0)
        rc = report(o);

out:
    secret_key_free(key);
    repo_close(r);
    return rc;
}

const struct command cmd_rekey = {
    .name = "rekey",
    .help = "change who can read, or the signing key, from now on",
    .usage = "",
    .opts = rekey_opts,
    .size = sizeof(struct rekey),
    .run = rekey_run,
};
