/*
 * head.c -- how far a repository goes: as a text, and compared.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/head.h"
#include "pitr/mem.h"
#include "pitr/times.h"

#define NONE "none"
#define CHECKSUM 3
#define TAIL (2 * HEAD_DIGEST + CHECKSUM) /* 15 bytes: 24 of base32 */

/* --- from a catalogue --- */

/* Digests are of the repository too: a head of one is none of another. */
static void
digest_part(
    const struct repo *r, const void *p, size_t n, uint8_t out[HEAD_DIGEST])
{
    uint8_t full[DIGEST_SIZE];
    struct buf b = {0};

    buf_add(&b, r->id, sizeof r->id);
    buf_add(&b, p, n);
    digest_of(b.data, b.len, full);
    memcpy(out, full, HEAD_DIGEST);
    buf_free(&b);
}

/* The digest of a manifest's final mark: of a backup that does not count, or
 * not any more.  1; 0 where it is not there; -1. */
static int
manifest_digest(struct repo *r, const char *id, uint8_t out[HEAD_DIGEST])
{
    char *name = manifest_name(id);
    struct seal_header h = {0};
    struct seal_mark m = {0};
    uint64_t size;
    int rc = store_stat(r->store, name, &size);

    if (rc > 0)
        rc = repo_peek(r, SEAL_MANIFEST, name, &h, &m);
    if (rc > 0)
        digest_part(r, m.digest, sizeof m.digest, out);
    seal_header_free(&h);
    seal_mark_free(&m);
    free(name);
    return rc;
}

/* What the catalogue has read needs no other look. */
static int
backup_digest(struct repo *r, const struct catalog *c, const char *id,
    uint8_t out[HEAD_DIGEST])
{
    for (size_t i = 0; i < c->backups; i++)
        if (strcmp(c->backup[i].id, id) == 0) {
            digest_part(r, c->backup[i].digest, DIGEST_SIZE, out);
            return 1;
        }
    return manifest_digest(r, id, out);
}

static const struct backup_info *
newest_backup(const struct catalog *c)
{
    const struct backup_info *newest = NULL;

    for (size_t i = 0; i < c->backups; i++)
        if (newest == NULL || strcmp(c->backup[i].id, newest->id) > 0)
            newest = &c->backup[i];
    return newest;
}

int
head_of(struct repo *r, const struct catalog *c, struct head *out)
{
    const struct backup_info *b = newest_backup(c);
    const struct segment_info *s =
        c->segments > 0 ? &c->segment[c->segments - 1] : NULL;
    uint64_t until = b == NULL ? 0 : b->snapshot_us;
    char when[TIME_TEXT];

    memset(out, 0, sizeof *out);
    out->generation = r->generation;
    snprintf(out->backup, sizeof out->backup, "%s", b == NULL ? NONE : b->id);
    if (b != NULL)
        digest_part(r, b->digest, sizeof b->digest, out->backup_digest);
    if (s != NULL) {
        out->seq = s->start.seq;
        out->size = s->size;
        digest_part(r, s->digest, sizeof s->digest, out->log_digest);
        until = MAX(until, catalog_whole_until(c, 0, c->segments));
    }
    snprintf(out->until, sizeof out->until, "%.23s",
        until == 0 ? NONE : time_compact(until, when));
    return 0;
}

/* --- the text --- */

static void
checksum(const char *text, size_t n, const uint8_t digests[2 * HEAD_DIGEST],
    uint8_t out[CHECKSUM])
{
    uint8_t full[DIGEST_SIZE];
    struct buf b = {0};

    buf_str(&b, "pitr head 1");
    buf_u8(&b, 0);
    buf_add(&b, text, n);
    buf_add(&b, digests, 2 * HEAD_DIGEST);
    digest_of(b.data, b.len, full);
    memcpy(out, full, CHECKSUM);
    buf_free(&b);
}

const char *
head_text(const struct head *h, char out[HEAD_TEXT])
{
    uint8_t tail[TAIL];
    char *text;
    int n;

    n = snprintf(out, HEAD_TEXT, "%.23s.%.64s.%" PRIu64 ".%" PRIu64 ".%" PRIu32,
        h->until, h->backup, h->seq, h->size, h->generation);
    memcpy(tail, h->backup_digest, HEAD_DIGEST);
    memcpy(tail + HEAD_DIGEST, h->log_digest, HEAD_DIGEST);
    checksum(out, (size_t)n, tail, tail + 2 * HEAD_DIGEST);
    text = base32_text(tail, sizeof tail);
    snprintf(out + n, HEAD_TEXT - (size_t)n, ".%s", text);
    free(text);
    return out;
}

/* Up to the next dot, which is passed; false where it does not fit. */
static bool
word(const char **p, char *out, size_t room)
{
    const char *dot = strchr(*p, '.');
    size_t n = dot == NULL ? 0 : (size_t)(dot - *p);

    if (n == 0 || n >= room)
        return false;
    memcpy(out, *p, n);
    out[n] = '\0';
    *p = dot + 1;
    return true;
}

static bool
number(const char **p, uint64_t max, uint64_t *out)
{
    char text[24];
    uint64_t v = 0;

    if (!word(p, text, sizeof text) ||
        strspn(text, "0123456789") != strlen(text))
        return false;
    for (const char *d = text; *d != '\0'; d++) {
        if (v > (max - (uint64_t)(*d - '0')) / 10)
            return false;
        v = v * 10 + (uint64_t)(*d - '0');
    }
    *out = v;
    return true;
}

int
head_parse(const char *text, struct head *out)
{
    const char *p = text;
    uint8_t tail[TAIL], sum[CHECKSUM];
    uint64_t generation = 0;

    memset(out, 0, sizeof *out);
    if (!word(&p, out->until, sizeof out->until) ||
        !word(&p, out->backup, sizeof out->backup) ||
        !number(&p, UINT64_MAX, &out->seq) ||
        !number(&p, UINT64_MAX, &out->size) ||
        !number(&p, UINT32_MAX, &generation) ||
        base32_parse(p, tail, sizeof tail) < 0) {
        err_set(ERR_USAGE, "\"%.100s\" is not a head", text);
        return err_hint("It is the line after \"head\" in what \"pitr list\" "
                        "prints on the server.");
    }
    checksum(text, (size_t)(p - text) - 1, tail, sum);
    if (memcmp(sum, tail + 2 * HEAD_DIGEST, CHECKSUM) != 0) {
        err_set(ERR_USAGE, "the head was not copied right: \"%.100s\"", text);
        return err_hint("It has a checksum, which does not fit. Compare it, "
                        "character by character, with what was printed.");
    }
    out->generation = (uint32_t)generation;
    memcpy(out->backup_digest, tail, HEAD_DIGEST);
    memcpy(out->log_digest, tail + HEAD_DIGEST, HEAD_DIGEST);
    return 0;
}

/* --- compared --- */

static int
withheld(const struct repo *r, const struct head *h, const char *what)
{
    err_set(ERR_VERIFY, "%s does not go as far as it did (%s): %s",
        store_where(r->store), h->until, what);
    return err_hint(
        "An older state of the repository was put in its place, or its newest "
        "objects are withheld or lost. Do not take what is left for the "
        "newest: look at another copy first. Where there is none, --state none "
        "and no --expect go by what is left.");
}

static int
another(const struct repo *r, const char *what)
{
    err_set(ERR_VERIFY,
        "%s has another history than it had: %s is not what "
        "it was",
        store_where(r->store), what);
    return err_hint("Somebody who has the signing key, or an older copy of the "
                    "repository that was gone on with, made it. Look at "
                    "another copy first.");
}

static int
check_backup(struct repo *r, const struct catalog *c, const struct head *h)
{
    const struct backup_info *newest = newest_backup(c);
    uint8_t is[HEAD_DIGEST];
    char *text;
    int rc;

    if (strcmp(h->backup, NONE) == 0)
        return 0;
    if (newest == NULL || strcmp(newest->id, h->backup) < 0) {
        text = xasprintf("backup %s is missing, and none is newer", h->backup);
        rc = withheld(r, h, text);
        free(text);
        return rc;
    }
    if ((rc = backup_digest(r, c, h->backup, is)) <= 0)
        return rc; /* expired since */
    return memcmp(is, h->backup_digest, HEAD_DIGEST) == 0
        ? 0
        : another(r, h->backup);
}

/* The digest in the mark of a segment that ends at this many bytes. */
static int
mark_digest(struct repo *r, const struct segment_info *s, uint64_t size,
    uint8_t out[HEAD_DIGEST])
{
    struct seal_expect want = repo_expect(r, SEAL_SEGMENT, s->name);
    struct source *src = store_get(r->store, s->name);
    struct seal_mark m = {0};
    int rc = src == NULL ? -1 : seal_scan(src, &want, size, false, NULL, &m);

    if (rc > 0)
        digest_part(r, m.digest, sizeof m.digest, out);
    seal_mark_free(&m);
    source_free(src);
    return rc < 0 ? -1 : 0;
}

static int
check_log(struct repo *r, const struct catalog *c, const struct head *h)
{
    const struct segment_info *s = NULL, *last = NULL;
    uint8_t is[HEAD_DIGEST];
    char *text;
    int rc;

    for (size_t i = 0; i < c->segments; i++) {
        last = &c->segment[i];
        if (last->start.seq == h->seq)
            s = last;
    }
    if (h->seq == 0 || (s == NULL && last != NULL && last->start.seq > h->seq))
        return 0; /* it has expired, or the log went around it */
    if (s == NULL || (s->size < h->size && s == last)) {
        text = s == NULL
            ? xasprintf("segment %" PRIu64 " of the log is missing", h->seq)
            : xasprintf("%s had %" PRIu64 " bytes, and has %" PRIu64, s->name,
                  h->size, s->size);
        rc = withheld(r, h, text);
        free(text);
        return rc;
    }
    /* A later one's link tells how much counts: a disk had lost the rest. */
    if (s->size < h->size)
        return 0;
    if (s->size == h->size)
        digest_part(r, s->digest, sizeof s->digest, is);
    else if (mark_digest(r, s, h->size, is) < 0)
        return err_kind() == ERR_VERIFY ? another(r, s->name) : -1;
    return memcmp(is, h->log_digest, HEAD_DIGEST) == 0 ? 0
                                                       : another(r, s->name);
}

static int
check_generation(struct repo *r, const struct head *h)
{
    char *text;
    int rc = 0;

    if (r->generation < h->generation) {
        text = xasprintf("generation %" PRIu32 " of its repository file is "
                         "missing",
            h->generation);
        rc = withheld(r, h, text);
        free(text);
    }
    return rc;
}

int
head_check(struct repo *r, const struct catalog *c, const struct head *h)
{
    if (check_generation(r, h) < 0)
        return -1;
    return check_backup(r, c, h) < 0 || check_log(r, c, h) < 0 ? -1 : 0;
}
