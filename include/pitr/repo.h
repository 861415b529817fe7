/*
 * repo.h -- a repository: what the objects of one server's backups have in
 * common, and the ends of the chains through which they are written and read.
 *
 * One repository holds one server.  Its file "repository" is a signed text
 * that says so (doc/FORMAT.md); objects are
 *
 *   backup/ID/part-000001 ...   rows
 *   backup/ID/schema            what is not rows
 *   backup/ID/manifest          published last: makes the backup count
 *   binlog/EEEE-SSSSSSSSSS-TIME segments; see segment.h
 *   slots/TIME-NNNN             file keys for recipients that came later
 *
 * The file is never changed: who signs or who can read is changed by another
 * generation of it, "repository-NNNNNN", which the one before hands over.
 */
#ifndef PITR_REPO_H
#define PITR_REPO_H

#include <stdbool.h>
#include "pitr/file.h"
#include "pitr/keys.h"
#include "pitr/lock.h"
#include "pitr/sealed.h"
#include "pitr/store.h"

struct repo {
    struct store *store;
    uint8_t id[REPO_ID_SIZE];
    char *server;
    uint64_t created_us;
    uint32_t generation;         /* of its file, the one that counts */
    uint8_t signer[32];          /* who signs now */
    struct public_key recipients[SEAL_RECIPIENTS_MAX];
    size_t n_recipients;
    struct signing_key *signing; /* NULL where only reading */
    char *local_path;            /* NULL on a vault */
    struct repo_chain *chain;    /* the generations; opaque */
    struct slots *slots;         /* likewise; see slots.c */
};

/*
 * Make a repository in the directory path (created if need be; must be empty):
 * a new signing key at signing_path (must not exist), the signed repository
 * file.  With secret (one of the recipients) the signing key is endorsed, and
 * it is proved that what is sealed to the recipients is opened by it.
 */
int repo_init(const char *path, const char *server, const char *signing_path,
    const struct public_key *recipients, size_t n,
    const struct secret_key *secret);

/*
 * Open one; path is of store_open(), and so may be a vault.  server (may be
 * NULL) must be its server: ERR_NOREPO.  signing_path: needed for writing,
 * must be the repository's (ERR_KEY).
 */
struct repo *repo_open(const char *path, const char *server,
    const char *signing_path);
/* The same in a store that is open already; takes it, also on failure. */
struct repo *repo_open_store(struct store *store, const char *server,
    const char *signing_path);
void repo_close(struct repo *r); /* NULL is fine */

/*
 * May the reader trust the repository's signer?  With an endorsement by key's
 * identity, or with expect (32 bytes, may be NULL) equal to it, of any of its
 * generations (each vouches for those after it, and names the one before): 0.
 * Otherwise
 * warns, once, with the signer's text to compare, and returns 0; -1 with
 * ERR_VERIFY where an endorsement or expect says otherwise.
 */
int repo_trust(struct repo *r, const struct secret_key *key,
    const uint8_t *expect);

/*
 * Make the next generation of a local repository's file, for new recipients (n
 * of them; what exists is not sealed to them by that), a new signing key, or
 * both.  It is handed over by the signing key (r was opened to write), or by
 * `recovery`, the key of one of its recipients, where that is given.  It lists
 * what there is: what the former signer signs from now on does not count.
 * Backup and stream must not run (ERR_LOCKED).
 */
struct repo_rekey {
    const struct public_key *recipients; /* NULL: as they are */
    size_t n;
    const char *new_signing; /* file to make; NULL: the signer stays */
    const struct secret_key *recovery; /* NULL: the signing key hands over */
    uint32_t from; /* the generation that it follows on, where those after it
                      were made by a thief; 0: the newest */
};
int repo_rekey(struct repo *r, const struct repo_rekey *how);
/* Can the key open what is written from now on? */
bool repo_is_recipient(const struct repo *r, const struct public_key *k);

/* One writer of a kind ("backup", "stream") at a time: ERR_LOCKED. */
struct lock *repo_lock(const struct repo *r, const char *what);
/*
 * What is here is read for long: nothing is removed until the lock is freed, and
 * this waits for a removing that is under way, but not for ever.  0; -1 where it
 * was stopped.  *out is NULL where no lock can be had, which is said: a vault
 * from afar (not said), another account's repository, a disk that is only read.
 */
int repo_lock_reading(const struct repo *r, const char *what, struct lock **out);
/* Is one at work?  1, 0, -1.  Keeps nobody from it. */
int repo_is_locked(const struct repo *r, const char *what);

/*
 * The chain zstd -> seal -> store for a new object.  meta: public note for the
 * header.  *seal_out (may be NULL) gets the seal stage, for seal_set_meta().
 */
struct sink *repo_put(struct repo *r, enum seal_kind kind, const char *name,
    const struct buf *meta, int level, enum store_put how,
    struct sink **seal_out);
/* What has to be so of an object of this repository; name is borrowed. */
struct seal_expect repo_expect(
    const struct repo *r, enum seal_kind kind, const char *name);
/* The chain of an object that may be growing: up to length; see open_source().
 * With slots that came later. */
struct source *repo_open_object(struct repo *r, enum seal_kind kind,
    const char *name, const struct secret_key *key, uint64_t length,
    const uint8_t digest[DIGEST_SIZE]);
/* The chain store -> open -> unzstd of a closed object; see open_source(). */
struct source *repo_get(struct repo *r, enum seal_kind kind, const char *name,
    const struct secret_key *key, const uint8_t digest[DIGEST_SIZE]);
/* The header of an object and, for a closed one, its last mark.  No secret is
 * needed.  mark may be NULL.  1, 0 if it is not closed (or has no mark), -1. */
int repo_peek(struct repo *r, enum seal_kind kind, const char *name,
    struct seal_header *h, struct seal_mark *mark);

#define ZSTD_LEVEL_DEFAULT 1

#endif
