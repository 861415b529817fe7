/*
 * repo_init.c -- making a repository, and proving that its key opens it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pitr/mem.h"
#include "pitr/times.h"
#include "repo_file.h"

/* 1 if the directory is absent or empty, 0 if not.  A file system of its own
 * has lost+found, which is nothing of ours or anybody's. */
static int
dir_is_free(const char *path)
{
    static const char *const fine[] = {".", "..", "lost+found"};
    DIR *d = opendir(path);
    struct dirent *e;
    int empty = 1;

    if (d == NULL)
        return errno == ENOENT
            ? 1
            : err_sys(ERR_NOREPO, "cannot look into %s", path);
    while (empty && (e = readdir(d)) != NULL) {
        empty = 0;
        for (size_t i = 0; i < NELEM(fine); i++)
            empty |= strcmp(e->d_name, fine[i]) == 0;
    }
    closedir(d);
    return empty;
}

static bool
server_name_ok(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n <= 64 &&
        strspn(s,
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
            "0123456789._-") == n;
}

/* Seal a few bytes to the recipients, in memory, and open them with secret. */
static int
prove(const struct repo_file *f, const struct signing_key *signing,
    const struct secret_key *secret)
{
    static const char words[] = "what is sealed here can be opened";
    struct seal_header h = {.kind = SEAL_MANIFEST, .server = f->server};
    struct buf sealed = {0}, opened = {0};
    struct sink *sink = NULL;
    struct source *src = NULL;
    char name[] = "proof";
    int rc = -1;

    h.name = name;
    memcpy(h.repo_id, f->id, sizeof h.repo_id);
    sink = seal_sink(
        sink_to_buf(&sealed), &h, signing, f->recipients, f->n_recipients);
    if (sink == NULL || sink_write(sink, words, sizeof words) < 0 ||
        sink_finish(sink) < 0)
        goto out;
    src = open_source(
        source_of_memory(sealed.data, sealed.len), NULL, secret, 0, NULL, NULL);
    if (src == NULL || source_slurp(src, 4096, &opened) < 0)
        goto out;
    if (opened.len != sizeof words ||
        memcmp(opened.data, words, sizeof words) != 0) {
        err_set(ERR_KEY, "the secret key does not give back what was sealed");
        goto out;
    }
    rc = 0;

out:
    sink_free(sink);
    source_free(src);
    buf_free(&sealed);
    buf_free(&opened);
    return rc;
}

void
repo_endorse(struct repo_file *f, const struct secret_key *secret)
{
    struct buf b = {0};

    repo_endorsed_bytes(f, &b);
    memcpy(f->endorser, secret_key_public(secret)->identity, 32);
    sign_make_identity(
        secret, REPO_ENDORSE_CONTEXT, b.data, b.len, f->endorsement);
    f->endorsed = true;
    buf_free(&b);
}

static bool
is_repository(const char *path)
{
    char *name = xasprintf("%s/repository", path);
    bool yes = access(name, F_OK) == 0;

    free(name);
    return yes;
}

static int
check_place(const char *path, const char *server, const char *signing_path)
{
    int is_free;

    if (!server_name_ok(server))
        return err_set(ERR_USAGE,
            "\"%s\" cannot be a server's name: 1 to 64 of A-Z a-z 0-9 . _ -",
            server);
    if ((is_free = dir_is_free(path)) < 0)
        return -1;
    if (!is_free && is_repository(path)) {
        err_set(ERR_NOREPO, "%s is a repository already", path);
        return err_hint("It is as it was.  \"pitr list --repository %s\" shows "
                        "what it has; a new one needs a directory of its own.",
            path);
    }
    if (!is_free) {
        err_set(ERR_NOREPO, "%s is not empty", path);
        return err_hint("Give a directory that does not exist yet, or remove "
                        "what is there if it is not needed.");
    }
    if (access(signing_path, F_OK) == 0) {
        err_set(ERR_KEY, "the signing key %s exists already", signing_path);
        return err_hint("A repository has a signing key of its own; name "
                        "another file with signing_key.");
    }
    return 0;
}

int
repo_init(const char *path, const char *server, const char *signing_path,
    const struct public_key *recipients, size_t n,
    const struct secret_key *secret)
{
    struct repo_file f = {
        .n_recipients = n, .generation = 1, .created_us = time_now_us()};
    struct signing_key *signing = NULL;
    struct buf text = {0};
    char *file = xasprintf("%s/%s", path, REPO_FILE);
    int rc = -1;

    f.server = xstrdup(server);
    if (n == 0 || n > SEAL_RECIPIENTS_MAX) {
        err_set(ERR_USAGE, "a repository has 1 to %d recipients, not %zu",
            SEAL_RECIPIENTS_MAX, n);
        goto out;
    }
    memcpy(f.recipients, recipients, n * sizeof *recipients);
    if (check_place(path, server, signing_path) < 0)
        goto out;
    random_bytes(f.id, sizeof f.id);
    if ((signing = signing_key_new()) == NULL)
        goto out;
    memcpy(f.signer, signing_key_public(signing), 32);
    if (secret != NULL) {
        if (prove(&f, signing, secret) < 0)
            goto out;
        repo_endorse(&f, secret);
    }
    repo_file_format(&f, signing, NULL, NULL, &text);
    /* The key first: a repository file without its key would be of no use. */
    if (signing_key_save(signing, signing_path) < 0)
        goto out;
    if (dir_make(path, 0700) < 0 ||
        file_create(file, 0444, text.data, text.len) < 0) {
        unlink(signing_path);
        goto out;
    }
    rc = 0;

out:
    if (rc < 0)
        err_wrap("repository %s", path);
    signing_key_free(signing);
    repo_file_free(&f);
    buf_free(&text);
    free(file);
    return rc;
}
