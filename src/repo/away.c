/*
 * away.c -- the file .away of a local repository: backups that are on the
 * vaults only, and the digest in the final mark of each one's manifest.
 *
 *   pitr-away 1
 *   repository ID
 *   DIGEST BACKUP          a line each
 *
 * A new signer's hand-over lists what there is, so that what the former one
 * signs later does not count; and what is away has to be in it, too.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "away.h"
#include "pitr/expire.h"
#include "pitr/file.h"
#include "pitr/mem.h"

#define FILE_MAX (16u << 20)

static char *
head_of(const struct repo *r)
{
    char *id = base32_text(r->id, sizeof r->id);
    char *head = xasprintf("pitr-away 1\nrepository %s\n", id);

    free(id);
    return head;
}

static struct away_one *
find(struct away *a, const char *id)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i].id, id) == 0)
            return &a->v[i];
    return NULL;
}

void
away_add(struct away *a, const char *id, const uint8_t digest[DIGEST_SIZE])
{
    struct away_one *o = find(a, id);

    if (o == NULL) {
        a->v = xgrow(a->v, a->n, &a->cap, sizeof *a->v);
        o = &a->v[a->n++];
        o->id = xstrdup(id);
    }
    memcpy(o->digest, digest, DIGEST_SIZE);
}

/* The lines after the head, which are changed. */
static int
take_lines(struct away *a, char *text)
{
    char *end, *blank;
    uint8_t digest[DIGEST_SIZE];

    for (; *text != '\0'; text = end + 1) {
        if ((end = strchr(text, '\n')) == NULL ||
            (blank = memchr(text, ' ', (size_t)(end - text))) == NULL)
            return -1;
        *end = *blank = '\0';
        if (base32_parse(text, digest, sizeof digest) < 0 || blank + 1 == end)
            return -1;
        away_add(a, blank + 1, digest);
    }
    return 0;
}

int
away_load(const struct repo *r, struct away *out)
{
    char *path = xasprintf("%s/.away", r->local_path), *head = head_of(r);
    struct buf b = {0};
    char *text = NULL;
    int rc = file_read_own(path, FILE_MAX, &b);

    *out = (struct away){0};
    if (rc == 0) {
        bool whole = memchr(b.data, 0, b.len) == NULL;

        text = buf_take(&b);
        if (!whole || strncmp(text, head, strlen(head)) != 0 ||
            take_lines(out, text + strlen(head)) < 0)
            rc = err_set(ERR_VERIFY, "%s is not what pitr has written", path);
    }
    if (rc < 0) {
        away_free(out);
        err_hint("It tells which backups are on the vaults only. Compare it "
                 "with \"pitr list\" of a vault before it is removed.");
    }
    free(text);
    free(path);
    free(head);
    buf_free(&b);
    return rc < 0 ? -1 : 0;
}

int
away_save(const struct away *a, const struct repo *r)
{
    char *path = xasprintf("%s/.away", r->local_path);
    char *head = head_of(r);
    struct buf text = {0};
    int rc, saved;

    buf_str(&text, head);
    for (size_t i = 0; i < a->n; i++) {
        char *digest = base32_text(a->v[i].digest, DIGEST_SIZE);

        buf_fmt(&text, "%s %s\n", digest, a->v[i].id);
        free(digest);
    }
    rc = file_replace(path, 0600, text.data, text.len,
        "remembering what is on the vaults only");
    if (rc == 0)
        rc = dir_sync(r->local_path);
    saved = errno;
    buf_free(&text);
    free(path);
    free(head);
    errno = saved;
    return rc;
}

int
expire_away(const struct repo *r, size_t *n)
{
    struct away a = {0};
    int rc = r->local_path == NULL ? 0 : away_load(r, &a);

    *n = a.n;
    away_free(&a);
    return rc;
}

void
away_drop(struct away *a, size_t i)
{
    free(a->v[i].id);
    a->n--;
    memmove(&a->v[i], &a->v[i + 1], (a->n - i) * sizeof *a->v);
}

void
away_free(struct away *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->v[i].id);
    free(a->v);
    *a = (struct away){0};
}
