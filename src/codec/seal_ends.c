/*
 * seal_ends.c -- the header of an object and the mark at its end, as they
 * stand, for who knows their digests from elsewhere and need not check two
 * signatures.
 *
 * Until that is known, only what says where they end is looked at.
 */
#include <stdlib.h>
#include <string.h>
#include "seal_format.h"
#include "pitr/mem.h"

/* Before the names in a header: magic to the moment of its creation. */
#define NAMES_AT (SEAL_PREFIX_SIZE + REPO_ID_SIZE + 32 + 8)

void
seal_ends_free(struct seal_ends *e)
{
    buf_free(&e->header);
    buf_free(&e->mark);
    memset(e, 0, sizeof *e);
}

/* Where the note is: the names before it are passed over. */
static int
find_note(struct seal_ends *e)
{
    struct cur c = cur_of(e->header.data, e->header.len - SEAL_SIGNATURE);

    cur_bytes(&c, NAMES_AT);
    cur_bytes(&c, cur_u32(&c));
    cur_bytes(&c, cur_u32(&c));
    e->note_len = cur_u32(&c);
    e->note = cur_bytes(&c, e->note_len);
    if (c.bad)
        return err_set(ERR_VERIFY, "its header is not valid");
    return 0;
}

int
seal_ends_header(struct source *src, const char *name, struct seal_ends *out)
{
    uint8_t prefix[SEAL_PREFIX_SIZE];
    uint32_t size = 0;
    int rc;

    memset(out, 0, sizeof *out);
    rc = source_read_exact(src, prefix, sizeof prefix, "its header");
    if (rc == 0)
        rc = seal_prefix_decode(prefix, &size);
    if (rc == 0) {
        buf_reserve(&out->header, size);
        buf_add(&out->header, prefix, sizeof prefix);
        rc = source_read_exact(src, out->header.data + sizeof prefix,
            size - sizeof prefix, "its header");
        out->header.len = size;
    }
    if (rc == 0)
        rc = find_note(out);
    if (rc == 0) {
        digest_of(out->header.data, out->header.len, out->header_digest);
        return 0;
    }
    seal_ends_free(out);
    return err_kind() == ERR_VERIFY ? err_wrap("%s", name) : -1;
}

void
seal_ends_mark(
    const void *tail, size_t n, uint64_t object_size, struct seal_ends *out)
{
    const uint8_t *p = tail;
    struct cur c;
    uint32_t size;

    buf_reset(&out->mark);
    out->size = object_size;
    if (n < SEAL_MARK_FIXED)
        return;
    c = cur_of(p + n - 4, 4);
    size = cur_u32(&c);
    if (size < SEAL_MARK_FIXED || size > SEAL_MARK_MAX || size > n)
        return;
    p += n - size;
    c = cur_of(p + 2, 4);
    if (p[0] != SEAL_REC_MARK || cur_u32(&c) != size)
        return;
    buf_add(&out->mark, p, size);
    digest_of(p, size, out->mark_digest);
}

int
seal_ends_take(const struct seal_ends *e, const struct seal_expect *want,
    bool known, struct seal_header *h)
{
    struct seal_slots slots;
    int rc = known
        ? seal_header_take(e->header.data, e->header.len, want, h, &slots)
        : seal_header_decode(e->header.data, e->header.len, want, h, &slots);

    return rc < 0 ? seal_wrap(want, h) : 0;
}

int
seal_mark_known(
    const void *p, size_t n, uint64_t object_size, struct seal_mark *out)
{
    if (seal_mark_take(p, n, out) == 0 && out->offset + n == object_size)
        return 0;
    seal_mark_free(out);
    return err_set(ERR_VERIFY, "its mark is of an object of another length");
}
