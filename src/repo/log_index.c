/*
 * log_index.c -- the bytes of an index of segments: made, taken apart, checked.
 * FORMAT.md, "Indexes of the log".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log_index.h"
#include "pitr/compress.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "repo_file.h"

#define MAGIC "PITRIDX1"
#define CONTEXT "pitr index 1"
#define NAME_BYTES 255
#define SIGNATURE 64

char *
index_name(uint64_t first, uint64_t last)
{
    return xasprintf(INDEX_PREFIX "%010" PRIu64 "-%010" PRIu64, first, last);
}

bool
index_name_parse(const char *name, uint64_t *first, uint64_t *last)
{
    size_t skip = strlen(INDEX_PREFIX);
    char *end, *again;
    bool good;

    if (strncmp(name, INDEX_PREFIX, skip) != 0)
        return false;
    *first = strtoull(name + skip, &end, 10);
    if (*end != '-')
        return false;
    *last = strtoull(end + 1, NULL, 10);
    /* Signs, spaces, too many digits: not what is made of these numbers. */
    again = index_name(*first, *last);
    good = *first > 0 && *first <= *last && strcmp(again, name) == 0;
    free(again);
    return good;
}

void
index_file_free(struct index_file *f)
{
    free(f->v);
    buf_free(&f->plain);
    memset(f, 0, sizeof *f);
}

/* --- made --- */

static void
compress(const struct index_entry *v, size_t n, struct buf *out)
{
    struct sink *z = zstd_sink(sink_to_buf(out), ZSTD_LEVEL_DEFAULT);
    struct buf b = {0};

    for (size_t i = 0; i < n; i++) {
        buf_reset(&b);
        buf_lstr(&b, v[i].name);
        buf_add(&b, v[i].header, DIGEST_SIZE);
        buf_lbytes(&b, v[i].note, v[i].note_len);
        buf_lbytes(&b, v[i].mark, v[i].mark_len);
        (void)sink_write(z, b.data, b.len); /* memory does not fail */
    }
    (void)sink_finish(z);
    sink_free(z);
    buf_free(&b);
}

void
index_format(const struct repo *r, const char *name,
    const struct index_entry *v, size_t n, struct buf *out)
{
    uint8_t sig[SIGNATURE];

    buf_add(out, MAGIC, strlen(MAGIC));
    buf_add(out, r->id, sizeof r->id);
    buf_add(out, signing_key_public(r->signing), 32);
    buf_lstr(out, r->server);
    buf_lstr(out, name);
    buf_u64(out, time_now_us());
    compress(v, n, out);
    sign_make(r->signing, CONTEXT, out->data, out->len, sig);
    buf_add(out, sig, sizeof sig);
}

/* --- read --- */

static bool
may_sign(const struct repo *r, const uint8_t signer[32])
{
    for (size_t i = 0; i < r->chain->n; i++)
        if (memcmp(signer, r->chain->file[i].signer, 32) == 0)
            return true;
    return false;
}

/* The signature first: nothing of what was not signed is looked at.  A former
 * signer's will do, for what is in it is proved by other signatures. */
static int
check_signature(const struct repo *r, const uint8_t *p, size_t n)
{
    const size_t signer = strlen(MAGIC) + REPO_ID_SIZE;

    if (n < signer + 32 + SIGNATURE || memcmp(p, MAGIC, strlen(MAGIC)) != 0)
        return err_set(ERR_VERIFY, "it is no index of the log, or was cut");
    if (!may_sign(r, p + signer))
        return err_set(ERR_VERIFY, "it was signed by a stranger");
    return sign_check(p + signer, CONTEXT, p, n - SIGNATURE, p + n - SIGNATURE);
}

/* One entry, taken out of f->plain, in which its name is ended where the digest
 * began that follows it. */
static bool
take_entry(struct index_file *f, struct cur *c, struct index_entry *e)
{
    uint32_t n = cur_u32(c);
    const uint8_t *name = n <= NAME_BYTES ? cur_bytes(c, n) : NULL;
    const uint8_t *header = cur_bytes(c, DIGEST_SIZE);
    uint8_t mark[DIGEST_SIZE];

    e->note_len = cur_u32(c);
    e->note = cur_bytes(c, e->note_len);
    e->mark_len = cur_u32(c);
    e->mark = cur_bytes(c, e->mark_len);
    if (c->bad || name == NULL || memchr(name, '\0', n) != NULL)
        return false;
    memcpy(e->header, header, DIGEST_SIZE);
    e->name = (char *)f->plain.data + (name - f->plain.data);
    e->name[n] = '\0';
    digest_of(e->mark, e->mark_len, mark);
    segment_link(e->name, e->header, e->note, e->note_len, mark, e->link);
    return true;
}

static int
take_entries(struct index_file *f)
{
    struct cur c;

    /* Hundreds of them are kept at once. */
    f->plain.data = xrealloc(f->plain.data, f->plain.len);
    f->plain.cap = MAX(f->plain.len, 1);
    c = cur_of(f->plain.data, f->plain.len);
    while (cur_left(&c) > 0) {
        struct index_entry e = {0};

        if (!take_entry(f, &c, &e))
            return err_set(ERR_VERIFY, "it is signed, but not valid");
        f->v = xgrow(f->v, f->n, &f->cap, sizeof *f->v);
        f->v[f->n++] = e;
    }
    return 0;
}

static int
take(const struct repo *r, const char *name, const uint8_t *p, size_t n,
    struct index_file *out)
{
    struct cur c = cur_of(p, n - SIGNATURE);
    const uint8_t *id;
    char *server = NULL, *own = NULL;
    struct source *z;
    int rc = -1;

    cur_bytes(&c, strlen(MAGIC));
    id = cur_bytes(&c, REPO_ID_SIZE);
    cur_bytes(&c, 32);
    server = cur_lstr(&c, NAME_BYTES);
    own = cur_lstr(&c, NAME_BYTES);
    cur_u64(&c);
    if (c.bad || id == NULL || server == NULL || own == NULL) {
        err_set(ERR_VERIFY, "it is signed, but not valid");
    } else if (memcmp(id, r->id, REPO_ID_SIZE) != 0) {
        err_set(ERR_VERIFY, "it belongs to another repository");
    } else if (strcmp(server, r->server) != 0 || strcmp(own, name) != 0) {
        err_set(
            ERR_VERIFY, "it was written under another name: \"%.80s\"", own);
    } else {
        z = unzstd_source(source_of_memory(c.p, cur_left(&c)), 0);
        rc = source_slurp(z, INDEX_PLAIN_MAX, &out->plain);
        source_free(z);
        if (rc == 0)
            rc = take_entries(out);
    }
    free(server);
    free(own);
    return rc;
}

/* So many bytes and no more: to see that there are none costs a vault's round
 * trips. */
static int
read_object(struct repo *r, const char *name, uint64_t size, struct buf *out)
{
    struct source *src = NULL;
    int rc;

    if (size == 0 || size > INDEX_MAX)
        return err_set(ERR_VERIFY, "it has %" PRIu64 " bytes", size);
    if ((src = store_get(r->store, name)) == NULL)
        return -1;
    buf_reserve(out, (size_t)size);
    rc = source_read_exact(src, out->data, (size_t)size, "it");
    out->len = rc < 0 ? 0 : (size_t)size;
    source_free(src);
    return rc;
}

int
index_parse(const struct repo *r, const char *name, const void *p, size_t n,
    struct index_file *out)
{
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (check_signature(r, p, n) == 0)
        rc = take(r, name, p, n, out);
    if (rc < 0)
        index_file_free(out);
    return rc;
}

int
index_load(
    struct repo *r, const char *name, uint64_t size, struct index_file *out)
{
    struct buf b = {0};
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (read_object(r, name, size, &b) == 0)
        rc = index_parse(r, name, b.data, b.len, out);
    if (rc < 0)
        err_wrap("%s", name);
    buf_free(&b);
    return rc;
}

/* --- those that there are --- */

void
index_list_free(struct index_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        index_file_free(&l->v[i].file);
        free(l->v[i].name);
    }
    free(l->v);
    memset(l, 0, sizeof *l);
}

int
index_list_load(struct repo *r, struct index_list *out)
{
    struct store_list l = {0};
    int rc = store_list(r->store, INDEX_PREFIX, true, &l);

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < l.n; i++) {
        uint64_t first, last;

        if (!index_name_parse(l.v[i].name, &first, &last))
            continue; /* not ours to judge */
        out->v = xgrow(out->v, out->n, &out->cap, sizeof *out->v);
        out->v[out->n++] = (struct index_listed){.name = xstrdup(l.v[i].name),
            .size = l.v[i].size,
            .first = first,
            .last = last};
    }
    store_list_free(&l);
    return rc;
}
