/*
 * pins.c -- backups that somebody wants to stay (FORMAT.md, "Pins").
 *
 * A word of the server, that a backup is pinned or no longer, is a signed text
 * of its own, "pin/ID.TIME"; so it is shipped, and can be taken back where
 * nothing can be removed.  The newest of a backup counts.  What is added to a
 * vault by an intruder must not let a pinned backup go: a text that is not good
 * counts as a pin.  An unsigned "pin/ID" is a pin of whoever has the disk.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pitr/expire.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "repo_file.h"
#include "ship_priv.h"

#define PREFIX "pin/"
#define CONTEXT "pitr pin 2"
#define SIGNATURE "signature: "
#define PIN_MAX 4096
#define TIME_DIGITS 20
/* A later one is in no name. */
#define WHEN_MAX UINT64_MAX

/* "pin/ID.TIME": the length of the id, and the time; 0 where it is none. */
static size_t
parse_name(const char *name, uint64_t *when_us)
{
    const char *id = name + strlen(PREFIX), *dot;

    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
        (dot = strrchr(id, '.')) == NULL || dot == id ||
        strlen(dot + 1) != TIME_DIGITS ||
        strspn(dot + 1, "0123456789") != TIME_DIGITS)
        return 0;
    *when_us = strtoull(dot + 1, NULL, 10);
    return (size_t)(dot - id);
}

bool
pin_is_signed(const char *name)
{
    uint64_t when_us;

    return parse_name(name, &when_us) > 0;
}

char *
pin_backup(const char *name)
{
    uint64_t when_us;
    size_t n = parse_name(name, &when_us);

    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return NULL;
    name += strlen(PREFIX);
    return n > 0 ? xstrndup(name, n) : xstrdup(name);
}

static void
format(const struct repo *r, const char *id, uint64_t when_us, bool pinned,
    struct buf *out)
{
    char *repo_id = base32_text(r->id, sizeof r->id);

    buf_fmt(out,
        "pitr-pin 2\nrepository: %s\nbackup: %s\nmade: %" PRIu64
        "\nstate: %s\n",
        repo_id, id, when_us, pinned ? "pinned" : "released");
    free(repo_id);
}

/* The line of a signature; caller owns. */
static char *
signature_line(const uint8_t sig[64])
{
    char *text = base32_text(sig, 64);
    char *line = xasprintf(SIGNATURE "%s\n", text);

    free(text);
    return line;
}

/* 1: that text, well signed; 0: another; -1: its signature is false. */
static int
is_text(const struct repo *r, const char *name, const struct buf *is,
    const struct buf *want)
{
    const char *at = (const char *)is->data + want->len + strlen(SIGNATURE);
    size_t n;
    char *text, *line = NULL;
    uint8_t sig[64];
    int rc = -1;

    if (is->len <= want->len + strlen(SIGNATURE) ||
        memcmp(is->data, want->data, want->len) != 0)
        return 0;
    n = is->len - want->len - strlen(SIGNATURE);
    text = xstrndup(at, n - 1);
    if (base32_parse(text, sig, sizeof sig) == 0)
        line = signature_line(sig);
    /* One spelling only. */
    if (line != NULL && strlen(line) == strlen(SIGNATURE) + n &&
        memcmp(line, at - strlen(SIGNATURE), strlen(line)) == 0)
        rc = sign_check(repo_chain_signer(r->chain, name), CONTEXT, want->data,
            want->len, sig);
    free(line);
    free(text);
    return rc < 0 ? err_set(ERR_VERIFY, "its signature does not match") : 1;
}

/* One that a former signer signed. */
static bool
is_as_listed(const struct repo *r, const char *name, const struct buf *text)
{
    size_t by;
    const struct repo_listed *l = repo_chain_listed(r->chain, name, &by);
    uint8_t digest[DIGEST_SIZE];

    digest_of(text->data, text->len, digest);
    return l == NULL || memcmp(l->digest, digest, DIGEST_SIZE) == 0;
}

int
pin_read(struct repo *r, const char *name, bool *pinned)
{
    uint64_t when_us = 0;
    size_t n = parse_name(name, &when_us);
    char *id = xstrndup(name + strlen(PREFIX), n);
    struct source *src = store_get(r->store, name);
    struct buf is = {0}, want = {0};
    int rc = src == NULL || source_slurp(src, PIN_MAX, &is) < 0 ? -1 : 0;

    for (int state = 1; rc == 0 && state >= 0; state--) {
        buf_reset(&want);
        format(r, id, when_us, state == 1, &want);
        if ((rc = is_text(r, name, &is, &want)) > 0)
            *pinned = state == 1;
    }
    if (rc == 0)
        rc = err_set(ERR_VERIFY, "it is not what pitr has written");
    if (rc > 0 && !is_as_listed(r, name, &is))
        rc = err_set(ERR_VERIFY,
            "it is another than was there when its signer was replaced");
    source_free(src);
    buf_free(&is);
    buf_free(&want);
    free(id);
    return rc < 0 ? err_wrap("%s", name) : 0;
}

/* --- all of them --- */

static struct pin *
pin_of(struct pins *p, const char *id, size_t n)
{
    for (size_t i = 0; i < p->n; i++)
        if (strlen(p->v[i].id) == n && memcmp(p->v[i].id, id, n) == 0)
            return &p->v[i];
    p->v = xgrow(p->v, p->n, &p->cap, sizeof *p->v);
    p->v[p->n] = (struct pin){.id = xstrndup(id, n)};
    return &p->v[p->n++];
}

/* In the order of their names, so that the last one of a backup counts. */
static int
take(struct repo *r, const char *name, struct pins *out)
{
    uint64_t when_us;
    size_t n = parse_name(name, &when_us);
    const char *id = name + strlen(PREFIX);
    struct pin *p = pin_of(out, id, n > 0 ? n : strlen(id));

    if (n == 0) {
        p->unsigned_too = true;
        return 0;
    }
    free(p->object);
    p->object = xstrdup(name);
    p->when_us = when_us;
    if (pin_read(r, name, &p->pinned) == 0)
        return 0;
    if (err_kind() != ERR_VERIFY)
        return -1;
    log_warn("%s; it counts as a pin", err_text());
    err_clear();
    p->pinned = true;
    return 0;
}

int
pins_load(struct repo *r, struct pins *out)
{
    struct store_list l = {0};
    int rc;

    memset(out, 0, sizeof *out);
    rc = store_list(r->store, PREFIX, false, &l);
    for (size_t i = 0; i < l.n && rc == 0; i++)
        rc = take(r, l.v[i].name, out);
    store_list_free(&l);
    return rc < 0 ? err_wrap("pins") : 0;
}

const struct pin *
pins_find(const struct pins *p, const char *id)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->v[i].id, id) == 0)
            return &p->v[i];
    return NULL;
}

bool
pins_has(const struct pins *p, const char *id)
{
    const struct pin *pin = pins_find(p, id);

    return pin != NULL && (pin->pinned || pin->unsigned_too);
}

void
pins_free(struct pins *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->v[i].id);
        free(p->v[i].object);
    }
    free(p->v);
    memset(p, 0, sizeof *p);
}

uint64_t
pin_written_us(const struct repo *r, const char *object)
{
    const char *base = object + strlen(PREFIX);
    char *path = xasprintf("%s/" PREFIX, r->local_path);
    DIR *d = opendir(path);
    uint64_t newest = 0;
    struct dirent *e;
    struct stat st;
    size_t n = strlen(base);

    while (d != NULL && (e = readdir(d)) != NULL)
        if (strncmp(e->d_name, base, n) == 0 &&
            (e->d_name[n] == '\0' || e->d_name[n] == '+') &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            newest = MAX(newest, (uint64_t)st.st_mtime * 1000000);
    if (d != NULL)
        closedir(d);
    free(path);
    return newest;
}

/* --- making and taking back --- */

/* Here, or on a vault once. */
static int
check_backup(struct repo *r, const char *id)
{
    char *manifest = manifest_name(id);
    uint64_t size;
    int rc =
        strchr(id, '/') != NULL ? 0 : store_stat(r->store, manifest, &size);

    free(manifest);
    if (rc < 0)
        return -1;
    if (rc > 0 ||
        (*id != '\0' && r->local_path != NULL &&
            ship_was_shipped(r->local_path, id)))
        return 0;
    err_set(ERR_NOREPO, "there is no backup %s", id);
    return err_hint("\"pitr list\" shows the backups.");
}

static int
put(struct repo *r, const char *name, const struct buf *text)
{
    struct sink *sink = store_put(r->store, name, STORE_ATOMIC);
    int rc = -1;

    if (sink != NULL && sink_write(sink, text->data, text->len) == 0)
        rc = sink_finish(sink);
    sink_free(sink);
    return rc;
}

static int
put_unsigned(struct repo *r, const char *id)
{
    char *name = xasprintf(PREFIX "%s", id), when[TIME_TEXT];
    struct buf text = {0};
    int rc;

    buf_fmt(&text, "pitr-pin 1\nbackup: %s\nsince: %s\n", id,
        time_rfc3339(time_now_us(), when));
    rc = put(r, name, &text);
    buf_free(&text);
    free(name);
    return rc;
}

/* after: that of the newest one so far, of a clock that may have been ahead. */
static int
put_signed(struct repo *r, const char *id, bool pinned, uint64_t after_us)
{
    uint64_t when_us = MAX(time_now_us(), after_us + 1);
    char *name = xasprintf(PREFIX "%s.%0*" PRIu64, id, TIME_DIGITS, when_us);
    char *line;
    struct buf text = {0};
    uint8_t sig[64];
    int rc;

    format(r, id, when_us, pinned, &text);
    sign_make(r->signing, CONTEXT, text.data, text.len, sig);
    line = signature_line(sig);
    buf_str(&text, line);
    rc = put(r, name, &text);
    buf_free(&text);
    free(line);
    free(name);
    return rc;
}

int
pin_add(struct repo *r, const char *id)
{
    struct pins pins = {0};
    const struct pin *is;
    int rc = -1;

    if (check_backup(r, id) < 0 || pins_load(r, &pins) < 0)
        goto out;
    is = pins_find(&pins, id);
    /* An unsigned one is made a signed one, so that it is shipped; and beside a
     * signed one there may be one that the server cannot take back. */
    if (is != NULL && (r->signing == NULL ? is->unsigned_too : is->pinned))
        rc = 1;
    else if (is != NULL && is->when_us >= WHEN_MAX)
        rc = err_set(
            ERR_FAILED, "%s is of no time: nothing can follow it", is->object);
    else if (r->signing == NULL)
        rc = put_unsigned(r, id);
    else
        rc = put_signed(r, id, true, is == NULL ? 0 : is->when_us);

out:
    pins_free(&pins);
    return rc;
}

static int
release(struct repo *r, const struct pin *p)
{
    if (r->signing != NULL && p->when_us < WHEN_MAX)
        return put_signed(r, p->id, false, p->when_us);
    if (r->signing != NULL)
        return err_set(
            ERR_FAILED, "%s is of no time: nothing can follow it", p->object);
    err_set(ERR_KEY, "backup %s is pinned by its server", p->id);
    return err_hint("It is for the server to take that back: \"pitr keep "
                    "--remove %s\" there.",
        p->id);
}

int
pin_remove(struct repo *r, const char *id)
{
    char *name = xasprintf(PREFIX "%s", id);
    struct pins pins = {0};
    const struct pin *is;
    int rc = pins_load(r, &pins);

    if (rc < 0)
        goto out;
    if ((is = pins_find(&pins, id)) == NULL ||
        (!is->pinned && !is->unsigned_too)) {
        rc = 1;
        goto out;
    }
    if (is->unsigned_too)
        rc = store_remove(r->store, name);
    if (rc == 0 && is->pinned && is->unsigned_too && r->signing == NULL)
        log_warn("backup %s: the pin of this copy is taken back; it stays "
                 "pinned by its server",
            id);
    else if (rc == 0 && is->pinned)
        rc = release(r, is);

out:
    pins_free(&pins);
    free(name);
    return rc;
}
