/*
 * repo_file.h -- the signed text in which a repository says what it is.
 * FORMAT.md, "Repository file".
 */
#ifndef PITR_REPO_FILE_H
#define PITR_REPO_FILE_H

#include "pitr/repo.h"

#define REPO_FILE "repository"
#define REPO_FILE_MAX 65536
#define REPO_CONTEXT "pitr repository 1"
#define REPO_ENDORSE_CONTEXT "pitr endorsement 1"

/* What the file says. */
struct repo_file {
    uint8_t id[REPO_ID_SIZE];
    char *server;
    uint64_t created_us;
    uint8_t signer[32];
    struct public_key recipients[SEAL_RECIPIENTS_MAX];
    size_t n_recipients;
    bool endorsed;
    uint8_t endorser[32]; /* identity key of one of the recipients */
    uint8_t endorsement[64];
};

/* What an endorsement signs: the repository's id, the signer, the server. */
void repo_endorsed_bytes(const struct repo_file *f, struct buf *out);

void repo_file_format(const struct repo_file *f,
    const struct signing_key *signing, struct buf *out);
/* Checks the signature by the signer that the file names.  -1: ERR_VERIFY. */
int repo_file_parse(const void *p, size_t n, struct repo_file *out);
void repo_file_free(struct repo_file *f); /* content */

#endif
