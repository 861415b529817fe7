/*
 * segment_link.c -- what the next segment's header says of all that is public
 * at the ends of the one before: one digest.
 *
 * Who has an authentic header can so tell, without a signature, whether those
 * bytes of the one before are what its writer saw; and so on, to the oldest.
 */
#include <string.h>

#include "pitr/segment.h"

#define CONTEXT "pitr segment link 1"

void
segment_link(const char *name, const uint8_t header[DIGEST_SIZE],
    const void *note, size_t n, const uint8_t mark[DIGEST_SIZE],
    uint8_t out[DIGEST_SIZE])
{
    struct buf b = {0};

    buf_reserve(&b, 512 + n);
    buf_add(&b, CONTEXT, sizeof CONTEXT); /* with its zero byte */
    buf_lstr(&b, name);
    buf_add(&b, header, DIGEST_SIZE);
    buf_lbytes(&b, note, n);
    buf_add(&b, mark, DIGEST_SIZE);
    digest_of(b.data, b.len, out);
    buf_free(&b);
}

void
segment_link_of(const struct seal_header *h, const struct seal_mark *m,
    uint8_t out[DIGEST_SIZE])
{
    segment_link(h->name, h->digest, h->meta.data, h->meta.len, m->self, out);
}
