/*
 * head_state.c -- the heads that a reader has seen: a file for each repository
 * and place, replaced as a whole.
 *
 * Two copies of a repository may rightly differ in how far they go (a vault is
 * seconds behind), so each is held only against itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pitr/file.h"
#include "pitr/head.h"
#include "pitr/mem.h"

#define FIRST_LINE "pitr-head 1\n"

static char *
state_dir(const char *dir)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct stat st;

    if (dir != NULL)
        return xstrdup(dir);
    if (xdg != NULL && xdg[0] == '/')
        return xasprintf("%s/pitr", xdg);
    /* A home is not made where there is none. */
    if (home != NULL && home[0] == '/' && stat(home, &st) == 0)
        return xasprintf("%s/.local/state/pitr", home);
    return NULL;
}

char *
head_state_path(const struct repo *r, const char *dir)
{
    char *base = state_dir(dir), *id, *place, *path, *real = NULL;
    const char *where = store_where(r->store);
    uint8_t digest[DIGEST_SIZE];

    if (base == NULL)
        return NULL;
    if (r->local_path != NULL && (real = realpath(where, NULL)) != NULL)
        where = real;
    digest_of(where, strlen(where), digest);
    id = base32_text(r->id, sizeof r->id);
    place = base32_text(digest, 5);
    path = xasprintf("%s/%s-%s.head", base, id, place);
    free(real);
    free(base);
    free(id);
    free(place);
    return path;
}

int
head_state_load(const char *path, struct head *out)
{
    struct buf b = {0};
    const char *text;
    int rc = file_read(path, 4096, &b);

    if (rc != 0) {
        buf_free(&b);
        return rc < 0 ? -1 : 0;
    }
    /* Others may not write there: what is remembered would be theirs. */
    if ((rc = file_check_private(path)) < 0) {
        err_rekind(ERR_FAILED);
        goto out;
    }
    while (b.len > 0 && b.data[b.len - 1] == '\n')
        b.len--;
    text = buf_cstr(&b);
    if (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0)
        rc = err_set(ERR_FAILED, "it is not what pitr has written");
    else
        rc = head_parse(text + strlen(FIRST_LINE), out);
    if (rc < 0)
        err_rekind(ERR_FAILED);
    else
        rc = 1;

out:
    if (rc < 0)
        err_wrap("%s", path);
    buf_free(&b);
    return rc;
}

int
head_state_save(const char *path, const struct head *h)
{
    char text[HEAD_TEXT], *fresh = xasprintf("%s.%ld", path, (long)getpid());
    char *line = xasprintf(FIRST_LINE "%s\n", head_text(h, text));
    char *dir = file_folder(path);
    int rc = dir_make(dir, 0700);

    if (rc == 0 && unlink(fresh) < 0 && errno != ENOENT)
        rc = err_sys(ERR_FAILED, "cannot replace %s", fresh);
    if (rc == 0)
        rc = file_create(fresh, 0600, line, strlen(line));
    if (rc == 0 && rename(fresh, path) < 0) {
        rc = err_sys(ERR_FAILED, "cannot replace %s", path);
        unlink(fresh);
    }
    free(dir);
    free(line);
    free(fresh);
    return rc;
}
