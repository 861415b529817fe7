/*
 * verified.c -- the memory of what was found good: a text in the repository's
 * directory, replaced as a whole.
 *
 *   pitr-verified 2
 *   repository ID
 *   place PLACE                        of no other copy
 *   LEVEL MOMENT SIZE DIGEST NAME      sorted by name
 *   end
 *
 * Of a copy nothing was read, whoever made it and of whatever was good: the
 * file that came along says nothing of its bytes.
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
#include <sys/stat.h>
#include <unistd.h>

#include "by_name.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/verify.h"
#include "repo_file.h"

#define FIRST_LINE "pitr-verified 2\n"
#define OLD_LINE "pitr-verified 1\n" /* had no place */
#define FILE_MAX (1u << 28)

struct record {
    char *name;
    uint64_t size, when_us;
    uint8_t digest[DIGEST_SIZE];
    enum verify_level level;
};

struct verified {
    struct record *v; /* sorted by name */
    size_t n, cap;
};

static size_t
place_of(const struct verified *v, const char *name, bool *found)
{
    return by_name_place(v->v, v->n, sizeof *v->v, name, found);
}

void
verified_set(struct verified *v, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE], enum verify_level level,
    uint64_t when_us)
{
    bool found;
    size_t i = place_of(v, name, &found);
    enum verify_level before = verified_level(v, name, size, digest);

    if (!found) {
        v->v = xgrow(v->v, v->n, &v->cap, sizeof *v->v);
        memmove(v->v + i + 1, v->v + i, (v->n - i) * sizeof *v->v);
        v->n++;
        v->v[i].name = xstrdup(name);
    }
    v->v[i].size = size;
    v->v[i].when_us = when_us;
    v->v[i].level = MAX(level, before);
    memcpy(v->v[i].digest, digest, DIGEST_SIZE);
}

void
verified_drop(struct verified *v, const char *name)
{
    bool found;
    size_t i = place_of(v, name, &found);

    if (!found)
        return;
    free(v->v[i].name);
    v->n--;
    memmove(v->v + i, v->v + i + 1, (v->n - i) * sizeof *v->v);
}

void
verified_keep(struct verified *v, const struct store_list *all)
{
    size_t kept = 0, k = 0;

    for (size_t i = 0; i < v->n; i++) {
        while (k < all->n && strcmp(all->v[k].name, v->v[i].name) < 0)
            k++;
        if (k < all->n && strcmp(all->v[k].name, v->v[i].name) == 0)
            v->v[kept++] = v->v[i];
        else
            free(v->v[i].name);
    }
    v->n = kept;
}

static const struct record *
same_object(const struct verified *v, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE])
{
    bool found;
    size_t i = place_of(v, name, &found);

    return found && v->v[i].size == size &&
            memcmp(v->v[i].digest, digest, DIGEST_SIZE) == 0
        ? &v->v[i]
        : NULL;
}

enum verify_level
verified_level(const struct verified *v, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE])
{
    const struct record *r = same_object(v, name, size, digest);

    return r == NULL ? VERIFY_NONE : r->level;
}

bool
verified_has(const struct verified *v, const char *name)
{
    bool found;

    (void)place_of(v, name, &found);
    return found;
}

enum verify_level
verified_backup(
    const struct verified *v, struct repo *r, const char *id, uint64_t *when_us)
{
    char *name = manifest_name(id);
    enum verify_level level = VERIFY_NONE;
    const struct record *record;
    struct seal_header h = {0};
    struct seal_mark m = {0};
    int rc = repo_peek(r, SEAL_MANIFEST, name, &h, &m);

    if (rc > 0 &&
        (record = same_object(v, name, m.offset + m.size, m.digest)) != NULL) {
        level = record->level;
        if (when_us != NULL)
            *when_us = record->when_us;
    }
    if (rc < 0)
        err_clear(); /* then it is not what was verified */
    if (rc > 0)
        seal_mark_free(&m);
    if (rc >= 0)
        seal_header_free(&h);
    free(name);
    return level;
}

/* --- the file --- */

static char *
file_name(const struct repo *r)
{
    return xasprintf("%s/.verified", r->local_path);
}

/* When the repository file was made here, which nobody can set, unlike what is
 * copied with a file; where the file system does not know it, its number. */
static char *
place_text(const struct repo *r)
{
    char *path = xasprintf("%s/" REPO_FILE, r->local_path), *text;
    struct statx st;

    memset(&st, 0, sizeof st);
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME,
            &st) < 0)
        text = xstrdup("unknown");
    else if ((st.stx_mask & STATX_BTIME) != 0)
        text = xasprintf("%" PRId64 ".%09" PRIu32, (int64_t)st.stx_btime.tv_sec,
            (uint32_t)st.stx_btime.tv_nsec);
    else
        text = xasprintf("%" PRIu64, (uint64_t)st.stx_ino);
    free(path);
    return text;
}

/* The next word of a line, ended in place; NULL where there is none. */
static char *
word(char **at)
{
    char *s = *at, *end = strchr(s, ' ');

    if (end == NULL || end == s)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return s;
}

static bool
number(const char *s, uint64_t *out)
{
    char *end;

    if (s == NULL || *s < '0' || *s > '9')
        return false;
    errno = 0;
    *out = strtoull(s, &end, 10);
    return *end == '\0' && errno == 0;
}

static bool
take_record(struct verified *v, char *line)
{
    uint64_t level, when, size;
    uint8_t digest[DIGEST_SIZE];
    char *text;

    if (!number(word(&line), &level) || !number(word(&line), &when) ||
        !number(word(&line), &size) || (text = word(&line)) == NULL ||
        base32_parse(text, digest, sizeof digest) < 0)
        return false;
    if (level < VERIFY_SIGNATURES || level > VERIFY_CONTENT || *line == '\0' ||
        (v->n > 0 && strcmp(v->v[v->n - 1].name, line) >= 0))
        return false;
    verified_set(v, line, size, digest, (enum verify_level)level, when);
    return true;
}

/* The lines after the head, which are changed.  False where they are not all
 * right. */
static bool
take_records(struct verified *v, char *text)
{
    char *end;

    while (strcmp(text, "end\n") != 0) {
        if ((end = strchr(text, '\n')) == NULL)
            return false;
        *end = '\0';
        if (!take_record(v, text))
            return false;
        text = end + 1;
    }
    return true;
}

/* The text, which is changed.  False where it is not all right. */
static bool
take_text(struct verified *v, char *text, const struct repo *r)
{
    char *id = base32_text(r->id, sizeof r->id), *place = place_text(r), *end;
    char *want = xasprintf(FIRST_LINE "repository %s\nplace ", id);
    bool good = strncmp(text, want, strlen(want)) == 0 &&
        (end = strchr(text += strlen(want), '\n')) != NULL;

    if (good) {
        *end = '\0';
        if (strcmp(text, place) == 0 && strcmp(place, "unknown") != 0)
            good = take_records(v, end + 1);
        else
            log_info("%s is a copy: what was verified where it comes from does "
                     "not count for it",
                r->local_path);
    }
    free(id);
    free(place);
    free(want);
    return good;
}

struct verified *
verified_load(const struct repo *r)
{
    struct verified *v = xcalloc(1, sizeof *v);
    char *path, *text = NULL;
    struct buf b = {0};
    int rc;

    if (r->local_path == NULL)
        return v;
    path = file_name(r);
    rc = file_read_own(path, FILE_MAX, &b);
    if (rc == 0) {
        bool whole = b.len > 0 && memchr(b.data, 0, b.len) == NULL;

        text = buf_take(&b);
        if (!whole ||
            (strncmp(text, OLD_LINE, strlen(OLD_LINE)) != 0 &&
                !take_text(v, text, r)))
            rc = err_set(ERR_FAILED, "%s: its content is not valid", path);
    }
    if (rc < 0) {
        log_warn("%s; it is not used", err_text());
        err_clear();
        verified_free(v);
        v = xcalloc(1, sizeof *v);
    }
    free(text);
    free(path);
    buf_free(&b);
    return v;
}

void
verified_free(struct verified *v)
{
    if (v == NULL)
        return;
    for (size_t i = 0; i < v->n; i++)
        free(v->v[i].name);
    free(v->v);
    free(v);
}

static void
format(const struct verified *v, const struct repo *r, struct buf *out)
{
    char *id = base32_text(r->id, sizeof r->id), *place = place_text(r);

    buf_fmt(out, FIRST_LINE "repository %s\nplace %s\n", id, place);
    for (size_t i = 0; i < v->n; i++) {
        const struct record *x = &v->v[i];
        char *digest = base32_text(x->digest, sizeof x->digest);

        buf_fmt(out, "%d %" PRIu64 " %" PRIu64 " %s %s\n", (int)x->level,
            x->when_us, x->size, digest, x->name);
        free(digest);
    }
    buf_str(out, "end\n");
    free(id);
    free(place);
}

int
verified_save(const struct verified *v, const struct repo *r)
{
    char *path;
    struct buf text = {0};
    int rc;

    if (r->local_path == NULL)
        return 1;
    path = file_name(r);
    format(v, r, &text);
    rc = file_replace(
        path, 0644, text.data, text.len, "remembering what was verified");
    if (rc == 0)
        rc = dir_sync(r->local_path);
    buf_free(&text);
    free(path);
    return rc;
}
