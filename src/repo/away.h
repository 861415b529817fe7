/*
 * away.h -- backups that are on the vaults only: what expire has let go from a
 * local repository.
 */
#ifndef PITR_REPO_AWAY_H
#define PITR_REPO_AWAY_H

#include "pitr/repo.h"

struct away_one {
    char *id;
    uint8_t digest[DIGEST_SIZE]; /* in the manifest's final mark */
};
struct away {
    struct away_one *v;
    size_t n, cap;
};

/* 0, also where there are none; -1 where the file is not what pitr wrote. */
int away_load(const struct repo *r, struct away *out);
void away_add(
    struct away *a, const char *id, const uint8_t digest[DIGEST_SIZE]);
void away_drop(struct away *a, size_t i);
/* Replaces the file, durably.  -1 with errno. */
int away_save(const struct away *a, const struct repo *r);
void away_free(struct away *a);

#endif
