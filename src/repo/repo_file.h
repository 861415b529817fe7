/*
 * repo_file.h -- the signed text in which a repository says what it is, and its
 * later generations.  FORMAT.md, "Repository file".
 */
#ifndef PITR_REPO_FILE_H
#define PITR_REPO_FILE_H

#include "pitr/repo.h"

#define REPO_FILE "repository"
#define REPO_FILE_MAX 65536
#define REPO_CONTEXT "pitr repository 1"
#define REPO_ENDORSE_CONTEXT "pitr endorsement 1"
#define REPO_HANDOVER_CONTEXT "pitr handover 1"
/* Later generations are the objects "repository-000002" and so on. */
#define REPO_LATER "repository-"
#define REPO_GENERATION_MAX 999999

/* What was there when a generation was made. */
struct repo_listed {
    char *id;                    /* of a backup; of a pin, the object's name */
    uint8_t digest[DIGEST_SIZE]; /* in the manifest's final mark; of the text */
};

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
    /* Of a later generation: */
    uint32_t generation;           /* 1: the first, which has none of these */
    uint8_t previous[DIGEST_SIZE]; /* of the whole text that it follows */
    char *log;                     /* the last segment then; NULL */
    uint64_t log_size;             /* bytes of it that counted */
    uint8_t log_digest[DIGEST_SIZE];
    struct repo_listed *listed; /* all whole backups and pins then */
    size_t n_listed, cap_listed;
    bool by_recovery; /* handed over by a recovery key's identity: */
    uint8_t by[32];
    uint8_t handover[64];
    /* Filled in when parsed: */
    size_t handover_len; /* bytes of the text that it is over; 0: none */
    uint8_t digest[DIGEST_SIZE]; /* of the whole text */
    struct buf text;             /* of repo_chain_load() only */
};

/* What an endorsement signs: the repository's id, the signer, the server. */
void repo_endorsed_bytes(const struct repo_file *f, struct buf *out);

/* The signer that f names, by the identity of secret. */
void repo_endorse(struct repo_file *f, const struct secret_key *secret);
/* signing: of the signer that f names.  old (or, where f is by_recovery,
 * recovery) hands a later generation over. */
void repo_file_format(const struct repo_file *f,
    const struct signing_key *signing, const struct signing_key *old,
    const struct secret_key *recovery, struct buf *out);
/* Checks the signature by the signer that the file names.  -1: ERR_VERIFY. */
int repo_file_parse(const void *p, size_t n, struct repo_file *out);
void repo_file_free(struct repo_file *f); /* content */

/* --- the generations (repo_chain.c) --- */

/*
 * What counts of the generations: the first, and each that was handed over by
 * the one before.
 */
struct repo_chain {
    struct repo_file *file; /* in order */
    size_t n;
    size_t there; /* generations after the first, whether they count or not */
};
bool repo_is_later(const char *name); /* is it the name of one? */
/* 1; 0 where there is none; -1.  strict: an object by that name that is none is
 * ERR_VERIFY; otherwise it is warned of. */
int repo_chain_load(struct store *s, bool strict, struct repo_chain *out);
void repo_chain_free(struct repo_chain *c);
/* Who has to have signed the object of that name. */
const uint8_t *repo_chain_signer(const struct repo_chain *c, const char *name);
/* The backup of an object, or a pin, as a generation has listed it, and which
 * generation; NULL. */
const struct repo_listed *repo_chain_listed(
    const struct repo_chain *c, const char *name, size_t *by);
/* The generation whose last segment is that one: what counted of it; NULL. */
const struct repo_file *repo_chain_log(
    const struct repo_chain *c, const char *name);

#endif
