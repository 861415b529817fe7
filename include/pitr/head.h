/*
 * head.h -- how far a repository goes, as a short text, and whether one goes as
 * far as it did.
 *
 * Signatures tell that what is there is genuine; they cannot tell that nothing
 * newer was there.  So whoever reads remembers the head that was seen, and can
 * be told the one that the host has last reported (--expect).  An old
 * repository put back, or one whose newest objects are withheld, does not reach
 * it; one whose history is another does not have it.
 *
 *   20220502T140300Z.20220502T020000Z.42.81371.1.aaaaaaaaaaaaaaaaaaaaaaaa
 *   log whole until  newest backup    |  |     | digests, and a checksum of
 *                                     |  |     | this text
 *                   newest segment's number,   generation of the repository
 *                   bytes of it that count     file
 */
#ifndef PITR_HEAD_H
#define PITR_HEAD_H

#include "pitr/catalog.h"

#define HEAD_DIGEST 6
#define HEAD_TEXT 160

struct head {
    char until[24];     /* compact, or "none" */
    char backup[65];    /* its id, or "none" */
    uint64_t seq, size; /* of the log; 0: there is none */
    uint32_t generation;
    uint8_t backup_digest[HEAD_DIGEST], log_digest[HEAD_DIGEST];
};

/* What the catalogue's repository goes to. */
int head_of(struct repo *r, const struct catalog *c, struct head *out);
const char *head_text(const struct head *h, char out[HEAD_TEXT]);
/* ERR_USAGE where it is none, or was not copied right. */
int head_parse(const char *text, struct head *out);
/*
 * Does the repository go as far as h, and have what h names?  What has expired
 * since is not missed.  ERR_VERIFY, saying what is missing.
 */
int head_check(struct repo *r, const struct catalog *c, const struct head *h);

/* --- what a reader has seen (head_state.c) --- */

/*
 * Where heads are remembered, a file for each repository and place that it was
 * read from.  dir NULL: $XDG_STATE_HOME/pitr, or ~/.local/state/pitr.  Owned;
 * NULL where there is no such place.
 */
char *head_state_path(const struct repo *r, const char *dir);
/* 1 with what is remembered, 0 where nothing is, -1 (ERR_FAILED) where it
 * cannot be used. */
int head_state_load(const char *path, struct head *out);
int head_state_save(
    const char *path, const struct repo *r, const struct head *h);
/*
 * Another repository of the same server was read in this place before: the file
 * that tells, owned; NULL.  Nothing in a repository says that it is the one
 * that was meant, if the same recovery key has endorsed both.
 */
char *head_state_other(const struct repo *r, const char *path);
/* The repository was made anew in its place: what was there is forgotten. */
void head_state_anew(const struct repo *r, const char *dir);

#endif
