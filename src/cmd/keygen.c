/*
 * keygen.c -- make a recovery key, or read one back from paper.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"

#define KEY_TEXT_MAX 65536

struct keygen {
    struct common common;
    const char *out, *paper, *from_paper, *passphrase_file;
    bool no_passphrase;
};

#define FIELD(f) offsetof(struct keygen, f)
static const struct opt keygen_opts[] = {
    {"out", 'o', OPT_STR, FIELD(out), NULL, 0, 0, "FILE",
        "the secret key; FILE.pub gets the public one", NULL},
    {"paper", 0, OPT_STR, FIELD(paper), NULL, 0, 0, "FILE",
        "also write the secret key as a text to print; - for the terminal",
        NULL},
    {"from-paper", 0, OPT_STR, FIELD(from_paper), NULL, 0, 0, "FILE",
        "take the key from such a text, typed in again", NULL},
    {"passphrase-file", 0, OPT_STR, FIELD(passphrase_file), NULL, 0, 0, "FILE",
        "first line is the passphrase; otherwise it is asked for", NULL},
    {"no-passphrase", 0, OPT_FLAG, FIELD(no_passphrase), NULL, 0, 0, NULL,
        "leave the file unprotected", NULL},
    {0}};

static struct secret_key *
get_key(const struct keygen *o)
{
    struct secret_key *key = NULL;
    struct buf text = {0};
    int rc;

    if (o->from_paper == NULL)
        return secret_key_new();
    /* At once: a buffer that moved would leave a copy behind. */
    buf_reserve(&text, KEY_TEXT_MAX + 2);
    if ((rc = file_read(o->from_paper, KEY_TEXT_MAX, &text)) > 0)
        err_set(ERR_KEY, "there is no file %s", o->from_paper);
    if (rc == 0 && file_check_private(o->from_paper) == 0 &&
        (key = secret_key_from_paper(buf_cstr(&text))) == NULL)
        err_wrap("%s", o->from_paper);
    secret_wipe(text.data, text.cap);
    buf_free(&text);
    return key;
}

static int
get_passphrase(const struct keygen *o, struct secret **out)
{
    *out = NULL;
    if (o->no_passphrase)
        return 0;
    *out = o->passphrase_file != NULL
        ? secret_from_file(o->passphrase_file)
        : secret_ask("Passphrase for the new key: ", 1);
    if (*out == NULL)
        return -1;
    if ((*out)->len == 0) {
        secret_free(*out);
        *out = NULL;
        err_set(ERR_KEY, "the passphrase is empty");
        return err_hint("--no-passphrase makes a key file without one.");
    }
    return 0;
}

static int
write_paper(const struct keygen *o, const struct secret_key *key)
{
    struct secret *paper = secret_key_paper(key);
    int rc;

    if (strcmp(o->paper, "-") == 0) {
        struct buf b = {.data = (uint8_t *)paper->p, .len = paper->len};

        rc = report_out(&b);
    } else {
        rc = file_create(o->paper, 0400, paper->p, paper->len);
    }
    secret_free(paper);
    return rc;
}

/* All that is wanted of a key, or nothing: a second try must not stumble over
 * what the first one has left. */
static int
write_all(const struct keygen *o, const struct secret_key *key,
    const struct secret *pass, const char *public)
{
    char *file = xasprintf("%s.pub", o->out);
    char *line = xasprintf("%s\n", public);
    int rc = -1;

    if (secret_key_save(key, o->out, pass) < 0)
        goto out;
    if (file_create(file, 0444, line, strlen(line)) < 0)
        unlink(o->out);
    else if (o->paper == NULL || write_paper(o, key) == 0)
        rc = 0;
    else if (unlink(o->out) == 0)
        unlink(file);

out:
    free(file);
    free(line);
    return rc;
}

static int
keygen_run(void *arg)
{
    struct keygen *o = arg;
    struct secret_key *key = NULL;
    struct secret *pass = NULL;
    struct buf report = {0};
    char *public = NULL;
    int rc = -1;

    if (o->out == NULL) {
        err_set(ERR_USAGE, "--out FILE says where the secret key goes");
        return err_hint("\"pitr keygen --help\" shows what it takes.");
    }
    if (o->no_passphrase && o->passphrase_file != NULL)
        return err_set(ERR_USAGE,
            "--passphrase-file and --no-passphrase exclude each other");
    if ((key = get_key(o)) == NULL || get_passphrase(o, &pass) < 0)
        goto out;
    public = public_key_text(secret_key_public(key));
    if (write_all(o, key, pass, public) < 0)
        goto out;
    buf_fmt(&report,
        "secret key: %s (keep it away from the server)\n"
        "public key: %s\n",
        o->out, public);
    rc = report_out(&report);

out:
    secret_key_free(key);
    secret_free(pass);
    buf_free(&report);
    free(public);
    return rc;
}

const struct command cmd_keygen = {
    .name = "keygen",
    .help = "make a recovery key pair",
    .usage = "",
    .opts = keygen_opts,
    .size = sizeof(struct keygen),
    .no_config = true,
    .run = keygen_run,
};
