/*
 * slots_file.c -- the bytes of an object of slots: made, taken apart, checked.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "repo_file.h"
#include "slots.h"

#define MAGIC "PITRSLT1"
#define CONTEXT "pitr slots 1"
#define NAME_MAX_BYTES 255
#define SIGNATURE 64

void
slots_file_free(struct slots_file *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->v[i].name);
    free(f->v);
    free(f->name);
    memset(f, 0, sizeof *f);
}

void
slots_file_format(const struct repo *r, const struct slots_file *f,
    const struct secret_key *maker, struct buf *out)
{
    uint8_t sig[SIGNATURE];

    buf_add(out, MAGIC, strlen(MAGIC));
    buf_add(out, r->id, sizeof r->id);
    buf_lstr(out, r->server);
    buf_lstr(out, f->name);
    buf_u64(out, f->made_us);
    buf_add(out, secret_key_public(maker)->identity, 32);
    buf_u32(out, (uint32_t)f->n);
    for (size_t i = 0; i < f->n; i++) {
        const struct seal_rewrapped *k = &f->v[i].keys;

        buf_lstr(out, f->v[i].name);
        buf_add(out, k->header, sizeof k->header);
        buf_u8(out, (uint8_t)k->n);
        for (unsigned j = 0; j < k->n; j++) {
            buf_add(out, k->v[j].id, KEY_ID_SIZE);
            buf_add(out, k->v[j].slot, SEAL_SLOT_SIZE);
        }
    }
    sign_make_identity(maker, CONTEXT, out->data, out->len, sig);
    buf_add(out, sig, sizeof sig);
}

static void
take(struct cur *c, void *out, size_t n)
{
    const uint8_t *p = cur_bytes(c, n);

    if (p != NULL)
        memcpy(out, p, n);
}

static void
take_entry(struct cur *c, struct slots_file *f)
{
    struct slots_entry *e;

    f->v = xgrow(f->v, f->n, &f->cap, sizeof *f->v);
    e = &f->v[f->n++];
    memset(e, 0, sizeof *e);
    if ((e->name = cur_lstr(c, NAME_MAX_BYTES)) == NULL)
        c->bad = true;
    take(c, e->keys.header, sizeof e->keys.header);
    e->keys.n = cur_u8(c);
    if (e->keys.n > SEAL_RECIPIENTS_MAX)
        c->bad = true;
    for (unsigned j = 0; j < e->keys.n && !c->bad; j++) {
        take(c, e->keys.v[j].id, KEY_ID_SIZE);
        take(c, e->keys.v[j].slot, SEAL_SLOT_SIZE);
    }
}

static bool
is_maker(const struct repo *r, const uint8_t identity[32])
{
    for (size_t g = 0; g < r->chain->n; g++) {
        const struct repo_file *f = &r->chain->file[g];

        for (size_t i = 0; i < f->n_recipients; i++)
            if (memcmp(f->recipients[i].identity, identity, 32) == 0)
                return true;
    }
    return false;
}

bool
slots_may_make(const struct repo *r, const struct public_key *k)
{
    return is_maker(r, k->identity);
}

/* The signature first: nothing of what was not signed is looked at. */
static int
check_signature(const struct repo *r, const uint8_t *p, size_t n)
{
    struct cur c = cur_of(p, n);
    const uint8_t *maker;

    cur_bytes(&c, strlen(MAGIC) + sizeof r->id);
    cur_bytes(&c, cur_u32(&c));
    cur_bytes(&c, cur_u32(&c));
    cur_u64(&c);
    maker = cur_bytes(&c, 32);
    if (maker == NULL || cur_left(&c) < SIGNATURE ||
        memcmp(p, MAGIC, strlen(MAGIC)) != 0)
        return err_set(ERR_VERIFY, "it is no object of slots, or was cut");
    if (!is_maker(r, maker))
        return err_set(ERR_VERIFY, "it was not made by a recipient");
    return sign_check(maker, CONTEXT, p, n - SIGNATURE, p + n - SIGNATURE);
}

static int
parse(const struct repo *r, const char *name, const uint8_t *p, size_t n,
    struct slots_file *out)
{
    struct cur c;
    uint8_t id[REPO_ID_SIZE];
    char *server = NULL;
    uint32_t entries;
    int rc = -1;

    if (check_signature(r, p, n) < 0)
        return -1;
    c = cur_of(p, n - SIGNATURE);
    cur_bytes(&c, strlen(MAGIC));
    take(&c, id, sizeof id);
    server = cur_lstr(&c, NAME_MAX_BYTES);
    out->name = cur_lstr(&c, NAME_MAX_BYTES);
    out->made_us = cur_u64(&c);
    take(&c, out->maker, sizeof out->maker);
    entries = cur_u32(&c);
    for (uint32_t i = 0; i < entries && !c.bad; i++)
        take_entry(&c, out);
    if (c.bad || cur_left(&c) != 0 || server == NULL || out->name == NULL)
        err_set(ERR_VERIFY, "it is signed, but not valid");
    else if (memcmp(id, r->id, sizeof id) != 0)
        err_set(ERR_VERIFY, "it belongs to another repository");
    else if (strcmp(server, r->server) != 0 || strcmp(out->name, name) != 0)
        err_set(ERR_VERIFY, "it was written under another name: \"%.80s\"",
            out->name);
    else
        rc = 0;
    free(server);
    return rc;
}

int
slots_file_parse(const struct repo *r, const char *name, const void *p,
    size_t n, struct slots_file *out)
{
    memset(out, 0, sizeof *out);
    if (parse(r, name, p, n, out) == 0)
        return 0;
    slots_file_free(out);
    return err_wrap("%s", name);
}

int
slots_file_load(struct repo *r, const char *name, struct slots_file *out)
{
    struct source *src = store_get(r->store, name);
    struct buf b = {0};
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (src != NULL && source_slurp(src, SLOTS_MAX, &b) == 0)
        rc = slots_file_parse(r, name, b.data, b.len, out);
    source_free(src);
    buf_free(&b);
    return rc;
}
