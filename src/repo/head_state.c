/*
 * head_state.c -- the heads that a reader has seen: a file for each repository
 * and place, replaced as a whole.
 *
 * Two copies of a repository may rightly differ in how far they go (a vault is
 * seconds behind), so each is held only against itself.
 */
#include <dirent.h>
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
#define SERVER_LINE "server " /* early versions had none */

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

/* The text of a file; 1, 0 where there is none, -1. */
static int
read_text(const char *path, struct buf *b)
{
    int rc = file_read(path, 4096, b);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    /* Others may not write there: what is remembered would be theirs. */
    if (file_check_private(path) < 0)
        return err_rekind(ERR_FAILED);
    while (b->len > 0 && b->data[b->len - 1] == '\n')
        b->len--;
    if (strncmp(buf_cstr(b), FIRST_LINE, strlen(FIRST_LINE)) != 0)
        return err_set(ERR_FAILED, "it is not what pitr has written");
    return 1;
}

int
head_state_load(const char *path, struct head *out)
{
    struct buf b = {0};
    char *text, *end;
    int rc = read_text(path, &b);

    if (rc > 0) {
        text = (char *)b.data + strlen(FIRST_LINE);
        if ((end = strchr(text, '\n')) != NULL)
            *end = '\0'; /* the server, of which nothing is asked here */
        rc = head_parse(text, out) < 0 ? err_rekind(ERR_FAILED) : 1;
    }
    if (rc < 0)
        err_wrap("%s", path);
    buf_free(&b);
    return rc;
}

int
head_state_save(const char *path, const struct repo *r, const struct head *h)
{
    char text[HEAD_TEXT], *fresh = xasprintf("%s.%ld", path, (long)getpid());
    char *line = xasprintf(
        FIRST_LINE "%s\n" SERVER_LINE "%s\n", head_text(h, text), r->server);
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

static bool
is_of_server(const char *path, const char *server)
{
    struct buf b = {0};
    char *line = xasprintf("\n" SERVER_LINE "%s", server);
    size_t n = strlen(line);
    bool is = read_text(path, &b) > 0 && b.len > n &&
        memcmp(b.data + b.len - n, line, n) == 0;

    err_clear();
    free(line);
    buf_free(&b);
    return is;
}

/* "ID-PLACE.head" of another ID. */
static bool
is_same_place(const char *own, const char *name)
{
    const char *place = strchr(own, '-'), *its = strchr(name, '-');

    return place != NULL && its != NULL && strcmp(place, its) == 0 &&
        strcmp(own, name) != 0;
}

char *
head_state_other(const struct repo *r, const char *path)
{
    char *dir = file_folder(path), *found = NULL;
    const char *own = strrchr(path, '/');
    DIR *d = opendir(dir);
    struct dirent *e;

    while (
        d != NULL && own != NULL && found == NULL && (e = readdir(d)) != NULL) {
        if (!is_same_place(own + 1, e->d_name))
            continue;
        found = xasprintf("%s/%s", dir, e->d_name);
        if (!is_of_server(found, r->server)) {
            free(found);
            found = NULL;
        }
    }
    if (d != NULL)
        closedir(d);
    free(dir);
    return found;
}

void
head_state_anew(const struct repo *r, const char *dir)
{
    char *path = head_state_path(r, dir), *other;
    bool gone = path != NULL;

    while (gone && (other = head_state_other(r, path)) != NULL) {
        gone = unlink(other) == 0;
        free(other);
    }
    free(path);
}
