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
    char dir[64];  /* temporary, removed with all below it */
    char *path;    /* DIR/repo */
    char *signing; /* DIR/signing.key */
    struct secret_key *key;
    struct repo *repo; /* open for writing */
};
/* A repository of server "db1", sealed for key, endorsed by it. */
void place_make(struct place *p);
void place_free(struct place *p);
/* A place with a log that is written to. */
struct logged {
    struct place p;
    struct segment_tail tail; /* as the writer left it */
    unsigned groups;          /* transactions so far */
};
struct logged *logged_new(void);
int logged_teardown(void **state);
char *place_file(const struct place *p, const char *name); /* owned */
/*
 * The place's repository once more, for reading, with somebody else at work in
 * between: called before each "list", "get" and "stat" of name; false: it is as
 * if it were not there, or, of a listing, is asked of each entry as "entry".
 */
struct between {
    bool (*before)(void *arg, const char *what, const char *name);
    void *arg;
    struct store *store; /* filled in */
};
struct repo *place_between(const struct place *p, struct between *b);

/* A whole file; test fails where it cannot be read or written. */
void file_load(const char *path, struct buf *out);
void file_store(const char *path, const void *p, size_t n);

struct gtid_pos pos_of(const char *text);

/* A Format_description, raw. */
void event_format_raw(struct buf *out);
/* One transaction of one statement: a Gtid and a Query, raw, with CRCs. */
void group_raw(
    const struct gtid *g, uint32_t when_s, struct buf *gtid, struct buf *query);

/* Write a transaction to a segment. */
void segment_group_write(struct segment_writer *w, struct event_format *fmt,
    const char *gtid, uint32_t when_s, uint64_t pos);

/* A backup that has only its manifest. */
void backup_make(struct repo *r, const char *id, uint64_t snapshot_us,
    const char *gtid, const char *file, uint64_t pos);

/* Times of what follows: seconds after 2022-05-02 02:00 UTC. */
#define T0 UINT32_C(1651456800)
#define US(s) ((T0 + (s)) * UINT64_C(1000000))

/* The next segment, begun after tail (zeroed: the first), after so many
 * transactions in all; a Format_description is in it. */
struct segment_writer *segment_begun(struct repo *r,
    const struct segment_tail *tail, enum segment_cause cause,
    uint64_t started_us, unsigned groups);

/*
 * The next segment, after tail (zeroed: the first), of two transactions, each
 * ten seconds after the one before, in marks of their own.  *groups counts them
 * all.  open: it is left growing.
 */
void segment_make(struct repo *r, struct segment_tail *tail, unsigned *groups,
    enum segment_cause cause, bool open);

/* A whole backup has so many tables and parts, and so many rows of each of two
 * tables in each part. */
#define TABLES 3
#define PARTS 3
#define ROWS 40

/* What a wrong backup has wrong. */
enum lie {
    LIE_NONE,
    LIE_CONTENT, /* a row with other bytes */
    LIE_ROWS,    /* a row less than the manifest's sum */
    LIE_HOLDS,   /* rows of a table that the manifest does not list there */
    LIE_TOTALS,  /* the note is not the content's */
    LIE_SCHEMA,  /* a table under another's number */
    LIE_PART,    /* an object that is in the folder, but not in the list */
};

/* A whole backup of second `second`; of a moment and a position. */
void backup_write(
    struct repo *r, const char *id, unsigned second, enum lie lie);
void backup_write_at(struct repo *r, const char *id, uint64_t us,
    const char *gtid, uint64_t pos, enum lie lie);

/* Two whole backups and so many segments, the last one open or not. */
#define FIRST "20220502T020000Z"
#define SECOND "20220503T020000Z"
void history_write(struct repo *r, struct segment_tail *tail, unsigned *groups,
    unsigned segments, bool open);

#endif
