/*
 * seal_format.h -- the bytes of a sealed object (FORMAT.md, "Sealed object"),
 * and the walk over its records that scanning and opening share.  For the
 * files of codec only.
 */
#ifndef PITR_SEAL_FORMAT_H
#define PITR_SEAL_FORMAT_H

#include <sodium.h>
#include "pitr/sealed.h"

#define SEAL_MAGIC "PITR\r\n\x1a\n"
#define SEAL_MAGIC_SIZE 8
#define SEAL_VERSION 1
#define SEAL_PREFIX_SIZE 16 /* magic, version, kind, size of the header */
#define SEAL_NAME_MAX 255
#define SEAL_HEADER_CONTEXT "pitr object header 1"
#define SEAL_MARK_CONTEXT "pitr object mark 1"
#define SEAL_SIGNATURE 64
#define SEAL_SLOT_KEY SEAL_SLOT_SIZE

#define SEAL_REC_FRAME 1
#define SEAL_REC_MARK 2
#define SEAL_FRAME_HEAD 5 /* type, length */
#define SEAL_MARK_HEAD 6  /* type, flags, size */
#define SEAL_MARK_FIXED 134
#define SEAL_MARK_MAX (SEAL_MARK_FIXED + SEAL_META_MAX)
#define SEAL_ABYTES crypto_secretstream_xchacha20poly1305_ABYTES
#define SEAL_CIPHER_MAX (SEAL_FRAME_PLAIN + SEAL_ABYTES)
#define SEAL_STREAM_HEADER crypto_secretstream_xchacha20poly1305_HEADERBYTES

/* The part of a header that only writing and opening need. */
struct seal_slots {
    unsigned n;
    struct {
        uint8_t id[KEY_ID_SIZE];
        uint8_t key[SEAL_SLOT_KEY];
    } v[SEAL_RECIPIENTS_MAX];
    uint8_t stream[SEAL_STREAM_HEADER];
};

/* Append the header, signed; fills in h's signer, size, digest and slots.  -1
 * where h is out of bounds. */
int seal_header_encode(struct seal_header *h, const struct seal_slots *slots,
    const struct signing_key *signer, struct buf *out);
/* The size that a prefix announces, checked.  -1 with ERR_VERIFY. */
int seal_prefix_decode(const uint8_t p[SEAL_PREFIX_SIZE], uint32_t *size);
/* A whole header: signature first, then its fields, then want. */
int seal_header_decode(const uint8_t *p, size_t n,
    const struct seal_expect *want, struct seal_header *out,
    struct seal_slots *slots);

/* The same of one that is known to be authentic: without the signature. */
int seal_header_take(const uint8_t *p, size_t n, const struct seal_expect *want,
    struct seal_header *out, struct seal_slots *slots);

/* Append a mark, signed, and fill in its size. */
void seal_mark_encode(struct seal_mark *m, const uint8_t header[DIGEST_SIZE],
    const struct signing_key *signer, struct buf *out);
/* Its structure only.  0, or -1 with ERR_VERIFY. */
int seal_mark_decode(const uint8_t *p, size_t n, struct seal_mark *out);
/* The same without its own digest, for who has that. */
int seal_mark_take(const uint8_t *p, size_t n, struct seal_mark *out);
/* Its signature, over the header's digest and its n bytes p. */
int seal_mark_check(const struct seal_header *h, const uint8_t *p, size_t n);

/* The additional data of frame number `index`, from 0. */
#define SEAL_FRAME_AD (DIGEST_SIZE + 8)
void seal_frame_ad(const uint8_t header[DIGEST_SIZE], uint64_t index,
    uint8_t ad[SEAL_FRAME_AD]);

/*
 * A walk over an object: the header, then record after record.  `limit` (0:
 * none) is where it ends, in bytes from the start of the object.
 */
struct seal_walk {
    struct source *src; /* borrowed */
    uint64_t pos, limit;
    uint64_t at;     /* where the last record started */
    uint64_t frames; /* so far */
    struct seal_header h;
    struct seal_slots slots;
    struct digest *run; /* of all bytes before the last record, or with it */
    struct buf rec;     /* the last record */
};

/* Reads the header.  `run` is only kept where digesting is asked for. */
int seal_walk_start(struct seal_walk *w, struct source *src,
    const struct seal_expect *want, uint64_t limit);

enum seal_step {
    SEAL_STEP_FAULT = -1, /* the source failed */
    SEAL_STEP_END,        /* nothing more, or the limit */
    SEAL_STEP_FRAME,      /* in rec, counted and digested */
    SEAL_STEP_MARK,       /* in rec; neither checked nor digested */
    SEAL_STEP_BROKEN,     /* cut short or no record at all; err is set */
};
enum seal_step seal_walk_next(struct seal_walk *w);
/* Check the mark that was read: place, signature, digest.  0, or -1 with
 * ERR_VERIFY. */
int seal_walk_mark(struct seal_walk *w, struct seal_mark *out);
/* Whether the source has nothing more, limit or not: 1, 0, -1. */
int seal_walk_at_end(struct seal_walk *w);
void seal_walk_free(struct seal_walk *w);

/* Put the object's name before what was found wrong with it. */
int seal_wrap(const struct seal_expect *want, const struct seal_header *h);
/* The hint for an object that was changed or cut. */
void seal_hint_damaged(void);

#endif
