/*
 * expire.h -- retention: what may go, why, and its removal.
 *
 * The plan is a pure function of what there is, the policy, the pins, what was
 * verified, and a clock.  A backup stays if any rule keeps it:
 *
 *   - it is younger than `keep`, or the newest one that is not (so that every
 *     moment of that time can be restored);
 *   - it is among the newest `count`, or the newest of one of the last `daily`
 *     days, `weekly` weeks (from Monday) or `monthly` months, in UTC, of those
 *     that have a backup;
 *   - it is needed for there to be `minimum` of them;
 *   - it is pinned, or was not long ago, see release_us.
 *
 * Ages are taken from the newest backup, not from the clock: time stands still
 * where no backup is made, and a clock that runs ahead expires nothing.  The
 * rules are applied twice, to all backups, and to the verified ones as if there
 * were no others; what either keeps stays.  So a backup that was not verified
 * pushes out none that was.
 *
 * What is not on every vault yet, and confirmed there, does not go from here,
 * whatever the rules say.
 *
 * Where there are vaults, the local repository may have a retention of its own
 * (keep_local): what every vault has stays here only for so long, and for there
 * to be `minimum` backups here.  Pins, and what was verified, are the vaults'
 * matter then.
 *
 * Of the log only its beginning goes: the segments before the first that a
 * backup which stays goes on with.  The newest segment always stays.
 */
#ifndef PITR_EXPIRE_H
#define PITR_EXPIRE_H

#include "pitr/catalog.h"

/* --- pins: backups that somebody wants to stay (pins.c) --- */

struct pin {
    char *id;
    char *object;      /* the newest signed one; NULL where there is none */
    uint64_t when_us;  /* in its name */
    bool pinned;       /* what it says */
    bool unsigned_too; /* there is an unsigned one */
};
struct pins {
    struct pin *v;
    size_t n, cap;
};
int pins_load(struct repo *r, struct pins *out);
const struct pin *pins_find(const struct pins *p, const char *id); /* NULL */
bool pins_has(const struct pins *p, const char *id);
/* When the object of a local repository was last written to, by the clock of
 * the disk's machine; its name and text say what the server says.  0: not
 * known. */
uint64_t pin_written_us(const struct repo *r, const char *object);
void pins_free(struct pins *p);
/*
 * Signed where r can sign, which vaults learn of, too; else for this copy of
 * the repository only.  1 if it was so already, 0, -1 (ERR_NOREPO: no such
 * backup; ERR_KEY: a signed one is not taken back without the key).
 */
int pin_add(struct repo *r, const char *id);
int pin_remove(struct repo *r, const char *id);
/* Is it the name of a signed one?  What does it say?  0; -1, ERR_VERIFY. */
bool pin_is_signed(const char *name);
/* The backup that it is about, signed or not; NULL where it is no pin; owned.
 */
char *pin_backup(const char *name);
int pin_read(struct repo *r, const char *name, bool *pinned);

/* --- the plan: pure (expire_plan.c) --- */

struct expire_policy {
    uint64_t keep_us;
    unsigned count, daily, weekly, monthly; /* 0: not asked for */
    unsigned minimum;                       /* at least 1 */
};

struct expire_held {
    char **backup; /* of each: why it has to stay; NULL: it may go */
    size_t backups;
    size_t segment; /* from this one on they have to stay */
    char *log;      /* why; NULL where all may go */
};

struct expire_input {
    const struct catalog *catalog;
    const struct expire_policy *policy;
    const bool *pinned, *verified; /* of each backup */
    char *const *pin_why; /* of each that is pinned, NULL: "pinned"; or NULL */
    const struct expire_held *held; /* NULL: nothing is */
    bool local; /* of what the vaults have: only keep_us and minimum count */
    uint64_t now_us;
};

struct expire_choice {
    bool keep;
    char *why; /* for people */
};

struct expire_plan { /* in the order of the catalogue */
    struct expire_choice *backup, *segment;
    size_t backups, segments; /* how many there are */
    size_t backups_go, segments_go;
};

/* 0; -1 (ERR_FAILED) where the clock cannot be right: before the newest
 * backup. */
int expire_plan_make(const struct expire_input *in, struct expire_plan *out);
void expire_plan_free(struct expire_plan *p); /* content */

/* "7d": for people. */
#define EXPIRE_SPAN 48
const char *expire_span(uint64_t us, char out[EXPIRE_SPAN]);

/* --- its application (expire.c) --- */

struct expire_leftover {
    char *name; /* a folder, an object of the log that counts as nothing, or a
                   word on a backup that is gone */
    bool keep;
    char *why;
};

struct expire_report {
    struct catalog *catalog; /* as it was before */
    struct expire_plan plan;
    bool *pinned, *verified;
    char **pin_why; /* of each backup: why its pin counts still; NULL */
    size_t verified_n;
    struct expire_leftover *leftover;
    size_t leftovers, cap_leftovers, leftovers_go;
    uint64_t bytes; /* that were, or would be, removed */
};

/* Where copies are, of what goes from here. */
struct expire_vault {
    const char *url;
    struct repo *repo; /* opened there; NULL: it cannot be reached */
};

struct expire_conf {
    struct repo *repo;
    const struct expire_policy *policy;
    uint64_t keep_local_us; /* 0: what is here stays as what is there */
    /* A pin that its server takes back counts for so long after that has come
     * here: on a vault, where an intruder on the host may be who does. */
    uint64_t release_us;
    const struct expire_vault *vault;
    size_t vaults;
    uint64_t now_us;
    bool dry_run; /* nothing is removed */
};

/*
 * Locally, where the repository lies.  Needs no secret and no signing key.
 * The report has to be freed in any case.
 */
int expire_run(const struct expire_conf *conf, struct expire_report *out);
/* Backups that expire has let go from a local repository while a vault has
 * them; 0 for one that is not local. */
int expire_away(const struct repo *r, size_t *n);
void expire_report_free(struct expire_report *r); /* content */

#endif
