/*
 * ship_confirmed.c -- .confirmed-HASH in the local repository: which objects
 * were read back from a vault, and found to be what is here.
 *
 *   pitr-confirmed 1
 *   repository ID
 *   vault URL
 *   SIZE DIGEST NAME        a line an object, appended
 *
 * A line that was cut by a crash counts as nothing; it is ended before the next
 * is added.  What is not here any more is left out when the file is written
 * anew.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "by_name.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "ship_priv.h"

#define FILE_MAX (1u << 28)
/* Written anew when so many more lines are there than objects. */
#define STALE_MAX 1000

struct record {
    char *name;
    uint64_t size;
    uint8_t digest[DIGEST_SIZE];
};

struct confirmed {
    char *path, *head; /* of the file: its name, its first lines */
    struct record *v;  /* sorted by name */
    size_t n, cap;
    size_t lines; /* in the file */
    bool ended;   /* its last line is */
    bool usable;  /* the file may be added to */
};

static size_t
place_of(const struct confirmed *c, const char *name, bool *found)
{
    return by_name_place(c->v, c->n, sizeof *c->v, name, found);
}

static void
set(struct confirmed *c, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE])
{
    bool found;
    size_t i = place_of(c, name, &found);

    if (!found) {
        c->v = xgrow(c->v, c->n, &c->cap, sizeof *c->v);
        memmove(c->v + i + 1, c->v + i, (c->n - i) * sizeof *c->v);
        c->n++;
        c->v[i].name = xstrdup(name);
    }
    c->v[i].size = size;
    memcpy(c->v[i].digest, digest, DIGEST_SIZE);
}

static void
clear(struct confirmed *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->v[i].name);
    c->n = 0;
}

bool
confirmed_has(const struct confirmed *c, const char *name, uint64_t size)
{
    bool found;
    size_t i = place_of(c, name, &found);

    return found && c->v[i].size == size;
}

/* A line without its end: size, digest, name.  It is cut up. */
static void
take_line(struct confirmed *c, char *line)
{
    uint8_t d[DIGEST_SIZE];
    char *digest, *name;
    uint64_t size = strtoull(line, &digest, 10);

    if (digest == line || *digest != ' ')
        return;
    name = strchr(++digest, ' ');
    if (name == NULL || name[1] == '\0')
        return;
    *name++ = '\0';
    if (base32_parse(digest, d, sizeof d) == 0)
        set(c, name, size, d);
}

/* False where it is not the file of this repository and this vault. */
static bool
take_text(struct confirmed *c, char *text)
{
    char *end;

    if (strncmp(text, c->head, strlen(c->head)) != 0)
        return false;
    for (text += strlen(c->head); (end = strchr(text, '\n')) != NULL;
         text = end + 1) {
        *end = '\0';
        take_line(c, text);
        c->lines++;
    }
    c->ended = *text == '\0';
    return true;
}

struct confirmed *
confirmed_load(const struct repo *r, const char *vault)
{
    struct confirmed *c = xcalloc(1, sizeof *c);
    char *id = base32_text(r->id, sizeof r->id), *text;
    struct buf b = {0};
    int rc;

    c->path = ship_file_path(r->local_path, "confirmed", vault);
    c->head =
        xasprintf("pitr-confirmed 1\nrepository %s\nvault %s\n", id, vault);
    c->usable = true;
    rc = file_read_own(c->path, FILE_MAX, &b);
    if (rc == 0 && b.len > 0) {
        bool whole = memchr(b.data, 0, b.len) == NULL;

        text = buf_take(&b);
        if (!whole || !take_text(c, text))
            rc = err_set(ERR_FAILED,
                "%s is of another repository, or not what "
                "pitr has written",
                c->path);
        free(text);
    }
    if (rc < 0) {
        log_warn("%s; it does not count, and is made anew", err_text());
        err_clear();
        clear(c);
        c->lines = 0;
    }
    buf_free(&b);
    free(id);
    return c;
}

void
confirmed_free(struct confirmed *c)
{
    if (c == NULL)
        return;
    clear(c);
    free(c->v);
    free(c->path);
    free(c->head);
    free(c);
}

static void
put_line(const struct record *r, struct buf *out)
{
    char *digest = base32_text(r->digest, sizeof r->digest);

    buf_fmt(out, "%" PRIu64 " %s %s\n", r->size, digest, r->name);
    free(digest);
}

/* The whole file, replaced. */
static int
write_anew(struct confirmed *c)
{
    struct buf text = {0};
    int rc;

    buf_str(&text, c->head);
    for (size_t i = 0; i < c->n; i++)
        put_line(&c->v[i], &text);
    rc = file_replace(
        c->path, 0600, text.data, text.len, "remembering what is on a vault");
    if (rc == 0) {
        c->lines = c->n;
        c->ended = true;
    }
    buf_free(&text);
    return rc;
}

/* Not being able to remember must not end the work. */
static void
not_remembered(struct confirmed *c)
{
    log_warn("what is confirmed is not remembered: %s", err_text());
    err_clear();
    c->usable = false;
}

static int
append(struct confirmed *c, const struct record *r)
{
    struct buf text = {0};
    ssize_t done = -1;
    int rc = 0,
        fd = open(c->path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);

    if (!c->ended)
        buf_str(&text, "\n");
    put_line(r, &text);
    if (fd >= 0)
        done = write(fd, text.data, text.len);
    c->ended = done == (ssize_t)text.len;
    if (!c->ended) {
        errno = done >= 0 ? ENOSPC : errno; /* a part of it was written */
        rc = err_sys(ERR_FAILED, "cannot write %s", c->path);
    }
    if (fd >= 0)
        close(fd);
    c->lines++;
    buf_free(&text);
    return rc;
}

void
confirmed_add(struct confirmed *c, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE])
{
    struct record r = {.name = (char *)name, .size = size};

    memcpy(r.digest, digest, DIGEST_SIZE);
    set(c, name, size, digest);
    if (c->usable && (c->lines == 0 ? write_anew(c) : append(c, &r)) < 0)
        not_remembered(c);
}

/* Both are sorted. */
void
confirmed_keep(struct confirmed *c, const struct ship_table *here)
{
    size_t kept = 0, k = 0;

    for (size_t i = 0; i < c->n; i++) {
        while (k < here->n && strcmp(here->v[k]->name, c->v[i].name) < 0)
            k++;
        if (k < here->n && strcmp(here->v[k]->name, c->v[i].name) == 0)
            c->v[kept++] = c->v[i];
        else
            free(c->v[i].name);
    }
    c->n = kept;
    if (c->usable && c->lines > c->n + STALE_MAX && write_anew(c) < 0)
        not_remembered(c);
}

int
confirmed_forget(struct confirmed *c)
{
    clear(c);
    c->lines = 0;
    if (c->usable && unlink(c->path) < 0 && errno != ENOENT)
        return err_sys(ERR_FAILED, "cannot remove %s", c->path);
    return 0;
}
