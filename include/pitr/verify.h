/*
 * verify.h -- is what a repository holds what was written, and is all of it
 * there?
 *
 * Without a secret: every object's header, its marks' signatures and digests,
 * that each backup has as many parts as its manifest says, the chain of the
 * log.  With the recovery key also the content: every frame, the manifest's
 * list against the parts, every table's rows against their checksum, every
 * event's CRC, where transactions begin and end, and the GTIDs.
 *
 * What was found good is remembered in the file ".verified" of a local
 * repository, so that the next time only what is new has to be read.  It is no
 * proof of anything: nothing but verify (to skip work) and expire (which
 * backups may push others out) goes by it.
 */
#ifndef PITR_VERIFY_H
#define PITR_VERIFY_H

#include "pitr/catalog.h"

enum verify_level {
    VERIFY_NONE,
    VERIFY_SIGNATURES, /* signatures, digests, completeness */
    VERIFY_CONTENT,    /* that, and what is sealed */
};

enum verify_kind {
    VERIFY_DAMAGED,    /* not what was written, or missing */
    VERIFY_GAP,        /* of the log, recorded when it came about */
    VERIFY_UNFINISHED, /* a backup whose manifest is not there, or not all of it
                          yet; does not count */
    VERIFY_NOTHING,    /* a segment that was begun and never written, or that
                          the log went around; does not count */
};

struct verify_finding {
    enum verify_kind kind;
    char *object; /* name in the store; a backup's folder where it is that */
    char *text;   /* what is wrong, for people */
};

struct verify_backup {
    char *id;
    bool damaged;
    bool unchanged; /* not read: it was found good before */
    uint64_t objects, bytes;
};

struct verify_report {
    enum verify_level level;
    struct verify_finding *finding;
    size_t findings, cap_findings;
    struct verify_backup *backup;
    size_t backups, cap_backups;
    size_t segments; /* of the log */
    bool log_damaged;
    uint64_t objects;   /* read now */
    uint64_t unchanged; /* not read, since nothing has changed */
    uint64_t bytes;     /* read now, as stored */
    uint64_t rows, events, transactions; /* of VERIFY_CONTENT */
    struct catalog *catalog; /* what counts; NULL where something is damaged */
};

struct verify_conf {
    struct repo *repo;
    const struct secret_key *key; /* NULL: without secrets */
    unsigned jobs;
    bool all; /* also what was found good before */
};

/*
 * 0 when it went through all, whatever it found: that is in the report, which
 * has to be freed in any case.  -1 where it could not (ERR_KEY: the key is none
 * of the repository's recipients; ERR_LOCKED; ERR_UNREACHABLE; stopped).
 */
int verify_run(const struct verify_conf *conf, struct verify_report *out);
size_t verify_count(const struct verify_report *r, enum verify_kind kind);
void verify_report_free(struct verify_report *r); /* content */

/* --- what was verified before --- */

struct verified;
/* Never fails: what cannot be used (absent, damaged, not ours) is an empty one,
 * with a warning where it is there. */
struct verified *verified_load(const struct repo *r);
void verified_free(struct verified *v);
/* The level of an object that has this size and, in its last mark, this
 * digest.  The level of a manifest is that of its whole backup. */
enum verify_level verified_level(const struct verified *v, const char *name,
    uint64_t size, const uint8_t digest[DIGEST_SIZE]);
/* The level of a backup, and when (may be NULL) it was reached. */
enum verify_level verified_backup(const struct verified *v, struct repo *r,
    const char *id, uint64_t *when_us);
/* Was any object of that name good? */
bool verified_has(const struct verified *v, const char *name);
/* A higher level of the same bytes stays. */
void verified_set(struct verified *v, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE], enum verify_level level,
    uint64_t when_us);
void verified_drop(struct verified *v, const char *name);
/* Forget all that is not in this list. */
void verified_keep(struct verified *v, const struct store_list *all);
/* Replaces the file.  1 where the repository cannot be written to. */
int verified_save(const struct verified *v, const struct repo *r);

#endif
