/*
 * sealed.h -- the sealed object: signed header, encrypted frames, signed marks.
 *
 * doc/FORMAT.md gives every byte.  In short:
 *
 *   object := header { frame | mark }
 *
 * The header is plain and signed by the server's signing key.  It says what
 * the object is (repository, server, name, kind), carries a public note of the
 * layer above (meta), and holds the file key sealed to each recipient.  Frames
 * are crypto_secretstream messages, bound to the header and to their index.  A
 * mark is plain and signed: it holds the length and the BLAKE2b-256 digest of
 * all bytes of the object before it and a public note.  So without any secret
 * it can be checked what an object holds up to its last mark, and an object
 * that is still growing, or whose writer died, is taken up to its last good
 * mark.  A closed object ends with the frame that is tagged final and a mark
 * that is flagged final.
 */
#ifndef PITR_SEALED_H
#define PITR_SEALED_H

#include <stdbool.h>
#include "pitr/digest.h"
#include "pitr/io.h"
#include "pitr/keys.h"

#define SEAL_RECIPIENTS_MAX 16
#define SEAL_META_MAX 65536      /* bytes, of a header or a mark */
#define SEAL_HEADER_MAX (1 << 18) /* bytes */
#define SEAL_FRAME_PLAIN (256 * 1024)
#define REPO_ID_SIZE 16

enum seal_kind {
    SEAL_MANIFEST = 1,
    SEAL_SCHEMA = 2,
    SEAL_ROWS = 3,
    SEAL_SEGMENT = 4,
};

struct seal_header {
    enum seal_kind kind;
    uint8_t repo_id[REPO_ID_SIZE];
    char *server; /* names are at most 255 bytes, UTF-8 */
    char *name;   /* the object's name in the store */
    uint64_t created_us;
    uint8_t signer[32];
    struct buf meta;
    /* filled in when written or read: */
    uint32_t size;               /* bytes of the header in the object */
    uint8_t digest[DIGEST_SIZE]; /* of those bytes */
    unsigned slots;              /* recipients */
};
void seal_header_free(struct seal_header *h); /* its content, not h */

struct seal_mark {
    uint64_t offset;             /* where the mark starts: bytes before it */
    uint64_t size;               /* bytes of the mark itself */
    uint64_t frames;             /* before it */
    uint8_t digest[DIGEST_SIZE]; /* of the bytes before it */
    uint64_t made_us;            /* clock of the writer's host */
    uint8_t self[DIGEST_SIZE];   /* of all bytes of the mark itself */
    bool final;
    bool torn; /* seal_scan() only: more follows, which no good mark covers */
    struct buf meta;
};
void seal_mark_free(struct seal_mark *m);

/* --- writing --- */

/*
 * Start an object on next (taken; NULL gives NULL).  h is copied; its
 * created_us, signer, size, digest and slots are filled in.  With n recipients,
 * 1..16.  signer is borrowed until the sink is freed.
 */
struct sink *seal_sink(struct sink *next, struct seal_header *h,
    const struct signing_key *signer, const struct public_key *recipients,
    size_t n);
/* The note of the marks from now on; copied.  At most SEAL_META_MAX bytes, else
 * the next flush fails.  sink_flush() writes what is pending as a
 * frame, then a mark, then flushes next; sink_finish() likewise with both
 * flagged final. */
void seal_set_meta(struct sink *seal, const void *meta, size_t n);
/* The digest of the header written; borrowed. */
const uint8_t *seal_header_digest(struct sink *seal);
/* After sink_flush() or sink_finish() (of the chain that ends in it): the last
 * mark written.  Borrowed, until the next flush. */
const struct seal_mark *seal_last_mark(struct sink *seal);

/*
 * --- reading ---
 *
 * Errors start with the object's name where it is known, and say which of
 * these it is: no object, changed, cut short, signed by somebody else, moved
 * from another repository, server or name, not for this key.
 */

/* What the reader knows and what therefore has to be so. */
struct seal_expect {
    enum seal_kind kind;
    const uint8_t *repo_id; /* 16 bytes */
    const char *server, *name;
    const uint8_t *signer; /* 32 bytes: who must have signed */
};

/*
 * Read and check the header of src (borrowed, left after the header).  Any
 * field of want may be NULL (kind 0) where it is not known.  -1: ERR_VERIFY,
 * and nothing of a header that fails has been used.
 */
int seal_read_header(struct source *src, const struct seal_expect *want,
    struct seal_header *out);

/*
 * Walk an object without any secret: the header, then every mark, checking
 * signatures and digests.  Gives the last good mark.  An object that goes on
 * after its last good mark (a torn write: last->torn) is fine here unless
 * must_be_final; but a mark that is wrong and has more behind it is not, for
 * it was durable once.  `limit` (0: none) stops at the mark whose end is at
 * that length; there has to be one.
 * Returns 1 with *last filled in; 0 if the object has a header but no good
 * mark; -1 (ERR_VERIFY) otherwise.  src is borrowed; h may be NULL.
 */
int seal_scan(struct source *src, const struct seal_expect *want,
    uint64_t limit, bool must_be_final, struct seal_header *h,
    struct seal_mark *last);

/*
 * Is this, the first n bytes (SEAL_HEADER_MAX, or all there are), an object
 * whose writer got no further than its header?  What is there is the beginning
 * of one, and the rest, if any, are zeros, as a power cut leaves them.
 */
bool seal_is_begun(const void *p, size_t n);

/*
 * Is this an object that ends before its final mark, and is good up to there?
 * 1, 0, -1 where src (borrowed) fails.
 */
int seal_is_cut(struct source *src, const struct seal_expect *want);

/*
 * Find the last mark of a closed object from its end: given its last bytes (up
 * to SEAL_TAIL_MAX) and the header; checks the signature, which covers length
 * and digest, but not the digest itself.  1; 0 if no final mark is there (a
 * growing object); -1 (ERR_VERIFY) if one is there that is not this object's.
 */
#define SEAL_TAIL_MAX (SEAL_META_MAX + 256)
int seal_tail_mark(const void *tail, size_t n, uint64_t object_size,
    const struct seal_header *h, struct seal_mark *out);

/*
 * The header of an object, and the mark at its end if there is one, as they
 * stand: for who knows from elsewhere what their digests have to be.  Until
 * then nothing is looked at but where they end, and where the header's note is.
 */
struct seal_ends {
    struct buf header, mark; /* bytes; empty where there is no mark */
    uint8_t header_digest[DIGEST_SIZE], mark_digest[DIGEST_SIZE]; /* of them */
    const uint8_t *note; /* of the header; borrowed from it */
    size_t note_len;
    uint64_t size; /* of the object */
};
void seal_ends_free(struct seal_ends *e); /* its content */
/* src is left after the header.  0, or -1. */
int seal_ends_header(
    struct source *src, const char *name, struct seal_ends *out);
/* tail: the last n bytes of the object (SEAL_TAIL_MAX, or all). */
void seal_ends_mark(
    const void *tail, size_t n, uint64_t object_size, struct seal_ends *out);
/* Take the header apart.  known: it is authentic; otherwise its signature is
 * checked, as by seal_read_header().  For the mark: seal_tail_mark(). */
int seal_ends_take(const struct seal_ends *e, const struct seal_expect *want,
    bool known, struct seal_header *h);
/* A mark, known to be authentic, that is at the end of an object of that size;
 * without `self`.  0, or -1. */
int seal_mark_known(
    const void *p, size_t n, uint64_t object_size, struct seal_mark *out);

/*
 * Open an object: gives only authenticated plaintext.  Takes src (NULL gives
 * NULL).  key must be one of the recipients (ERR_KEY).  With `length` 0 the
 * object has to be closed: its end is reported only after the final frame and
 * the final mark were seen and agree.  With another `length` the object is
 * taken up to that many bytes, which must be the end of a mark (a growing or
 * crashed object, of which a signed link or a scan told the length).
 * `digest` (may be NULL): what the last mark's digest has to be.
 * `header_out` (may be NULL) gets the header.  Each byte that is read is
 * authentic, but that the object is whole is known only once source_read() has
 * returned 0: read it to its end.
 */
struct source *open_source(struct source *src, const struct seal_expect *want,
    const struct secret_key *key, uint64_t length,
    const uint8_t digest[DIGEST_SIZE], struct seal_header *header_out);

/*
 * --- other recipients ---
 *
 * An object is not written again.  For a recipient that its header has no slot
 * for, the file key sealed to that one is kept elsewhere (repo.h).  What is
 * found there need not be trusted: with a wrong file key no frame opens.
 */

#define SEAL_SLOT_SIZE 80 /* crypto_box_seal of a file key */

struct seal_more {
    /* The slot of the object with this header digest for this key: 1, 0 where
     * there is none, -1. */
    int (*find)(void *arg, const uint8_t header[DIGEST_SIZE],
        const uint8_t id[KEY_ID_SIZE], uint8_t slot[SEAL_SLOT_SIZE]);
    void *arg;
};
/* As open_source(); more may be NULL. */
struct source *open_source_more(struct source *src,
    const struct seal_expect *want, const struct secret_key *key,
    uint64_t length, const uint8_t digest[DIGEST_SIZE],
    struct seal_header *header_out, const struct seal_more *more);

struct seal_rewrapped {
    uint8_t header[DIGEST_SIZE];
    unsigned n;
    struct {
        uint8_t id[KEY_ID_SIZE];
        uint8_t slot[SEAL_SLOT_SIZE];
    } v[SEAL_RECIPIENTS_MAX];
};
/*
 * Seal the file key of the object src (borrowed; only its header is read) to
 * those of n recipients who have no slot yet, neither in its header nor in
 * more.  -1: ERR_KEY where key does not open it.
 */
int seal_rewrap(struct source *src, const struct seal_expect *want,
    const struct secret_key *key, const struct seal_more *more,
    const struct public_key *to, size_t n, struct seal_rewrapped *out);

const char *seal_kind_text(enum seal_kind kind); /* "manifest", ... */

#endif
