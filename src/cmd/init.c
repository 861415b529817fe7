/*
 * init.c -- make a server's repository.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/head.h"
#include "pitr/log.h"

struct init {
    struct common common;
    const char *repository, *signing_key, *secret_key, *passphrase_file;
    struct opt_list recipient, recipient_file;
};

#define FIELD(f) offsetof(struct init, f)
static const struct opt init_opts[] = {
    {"recipient", 'r', OPT_LIST, FIELD(recipient), NULL, 0, 0, "pitr1...",
        "a public key that everything is sealed for; 1 to 16 times", NULL},
    {"recipient-file", 'R', OPT_LIST, FIELD(recipient_file), NULL, 0, 0, "FILE",
        "the same, from a file that keygen wrote", NULL},
    {"secret-key", 0, OPT_STR, FIELD(secret_key), NULL, 0, 0, "FILE",
        "prove that this key opens what is sealed, and endorse the signer",
        "secret_key"},
    {"passphrase-file", 0, OPT_STR, FIELD(passphrase_file), NULL, 0, 0, "FILE",
        "first line is its passphrase; otherwise it is asked for",
        "passphrase_file"},
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "where to make it", "repository"},
    {"signing-key", 0, OPT_STR, FIELD(signing_key), NULL, 0, 0, "FILE",
        "where the new signing key goes", "signing_key"},
    {0}};

static int
collect(const struct init *o, struct recipients *r)
{
    if (recipients_add(r, &o->recipient, &o->recipient_file) < 0)
        return -1;
    if (r->n > 0)
        return 0;
    err_set(ERR_USAGE, "a repository needs at least one --recipient");
    return err_hint("\"pitr keygen\" makes a key; its public half is the "
                    "recipient.");
}

static int
report(const struct init *o, const struct recipients *r, bool proved)
{
    struct repo *repo = repo_open(o->repository, NULL, o->signing_key);
    struct buf text = {0};
    char *signer;
    int rc;

    if (repo == NULL)
        return -1;
    head_state_anew(repo, NULL);
    signer = signer_text(repo->signer);
    buf_fmt(&text,
        "repository: %s, for server \"%s\", %zu recipient%s\n"
        "signed by:  %s\n",
        o->repository, repo->server, r->n, r->n == 1 ? "" : "s", signer);
    buf_str(&text,
        proved ? "The secret key opens what is sealed here, and "
                 "has endorsed the signer.\n"
               : "Write the signer down beside the secret key: a "
                 "restore is told it with --signer.\n");
    rc = report_out(&text);
    buf_free(&text);
    free(signer);
    repo_close(repo);
    return rc;
}

static int
init_run(void *arg)
{
    struct init *o = arg;
    struct recipients r = {.n = 0};
    struct secret_key *key = NULL;
    const char *server =
        o->common.section != NULL ? o->common.section->name : o->common.server;
    int rc = -1;

    if (o->repository == NULL || o->signing_key == NULL || server == NULL) {
        if (cmd_section(&o->common) == NULL)
            return -1;
        err_set(ERR_USAGE, "repository and signing_key have to be said");
        return err_hint("Add them to the section of the server; see "
                        "pitr.conf(5).");
    }
    if (collect(o, &r) < 0)
        return -1;
    if (o->secret_key != NULL &&
        (key = cmd_secret_key(o->secret_key, o->passphrase_file)) == NULL)
        return -1;
    if (repo_init(o->repository, server, o->signing_key, r.v, r.n, key) == 0)
        rc = report(o, &r, key != NULL);
    secret_key_free(key);
    return rc;
}

const struct command cmd_init = {
    .name = "init",
    .help = "make the repository of a server",
    .usage = "",
    .opts = init_opts,
    .size = sizeof(struct init),
    .run = init_run,
};
