/*
 * repo_util.h -- what the tests of the repository layer share: a repository in
 * a temporary directory, made and thrown away; events of a binary log; bytes
 * of files.
 */
#ifndef REPO_UTIL_H
#define REPO_UTIL_H

#include "pitr/event.h"
#include "pitr/manifest.h"
#include "pitr/repo.h"
#include "pitr/segment.h"

struct place {
    char dir[64];   /* temporary, removed with all below it */
    char *path;     /* DIR/repo */
    char *signing;  /* DIR/signing.key */
    struct secret_key *key;
    struct repo *repo; /* open for writing */
};
/* A repository of server "db1", sealed for key, endorsed by it. */
void place_make(struct place *p);
void place_free(struct place *p);
char *place_file(const struct place *p, const char *name); /* owned */

/* A whole file; test fails where it cannot be read or written. */
void file_load(const char *path, struct buf *out);
void file_store(const char *path, const void *p, size_t n);

struct gtid_pos pos_of(const char *text);

/* A Format_description, raw. */
void event_format_raw(struct buf *out);
/* One transaction of one statement: a Gtid and a Query, raw, with CRCs. */
void group_raw(const struct gtid *g, uint32_t when_s, struct buf *gtid,
    struct buf *query);

/* Write a transaction to a segment. */
void segment_group_write(struct segment_writer *w, struct event_format *fmt,
    const char *gtid, uint32_t when_s, uint64_t pos);

/* A backup that has only its manifest. */
void backup_make(struct repo *r, const char *id, uint64_t snapshot_us,
    const char *gtid, const char *file, uint64_t pos);

#endif
