/*
 * inflate.h -- zlib, for the compressed events of a server's log.
 */
#ifndef PITR_INFLATE_H
#define PITR_INFLATE_H

#include "pitr/buf.h"

/* Append the `size` bytes that n bytes of a zlib stream give.  0; -1
 * (ERR_VERIFY) where they do not give exactly those. */
int inflate_bytes(const void *p, size_t n, size_t size, struct buf *out);

#endif
