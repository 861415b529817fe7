/*
 * manifest.h -- what a backup consists of.
 *
 * A public note in the manifest's header (struct backup_info) tells what can be
 * told without a key: when, from which position, how large.  The content
 * (sealed) lists parts with their digests, and tables with their columns, row
 * counts and checksums.  Text, one record a line, fields separated by tabs,
 * escaped with back-slashes; doc/FORMAT.md.
 */
#ifndef PITR_MANIFEST_H
#define PITR_MANIFEST_H

#include "pitr/digest.h"
#include "pitr/gtid.h"
#include "pitr/repo.h"
#include "pitr/rows.h"

struct backup_info {
    char *id;             /* "20220502T020000Z" */
    uint64_t begun_us;    /* host's clock */
    uint64_t snapshot_us; /* server's clock at the snapshot */
    uint64_t ended_us;
    struct gtid_pos gtid; /* of the snapshot; replay starts after it */
    char *source_file; /* the server's binlog file and offset of the snapshot */
    uint64_t source_pos;
    char *server_version;
    uint32_t server_id;
    int lower_case_table_names;
    uint64_t tables, rows, row_bytes, parts, stored_bytes, warnings;
    /* Of a catalogue only, and not in the note: what the manifest's final mark
     * has. */
    uint8_t digest[DIGEST_SIZE];
    bool stray; /* likewise: the log that seems to go on from it was read, and
                   has not its position */
};

struct manifest_column {
    char *name;
    char *data_type; /* information_schema's DATA_TYPE, see row_select_expr() */
    struct row_col wire;
};

struct manifest_table {
    char *schema, *name, *engine;
    bool history;    /* system-versioned: rows of all times are in */
    struct manifest_column *col; /* those that are stored, in order */
    size_t cols;
    struct rowsum sum;
    uint64_t bytes; /* of rows */
    uint32_t parts; /* how many parts hold rows of it */
    bool left_out;  /* of a restore (load_scope_manifest()) */
};

struct manifest_part {
    char *name; /* of the object */
    uint64_t size;
    uint8_t digest[DIGEST_SIZE]; /* of its final mark */
    uint32_t *table; /* which tables it has rows of */
    uint64_t *rows;  /* how many of each */
    size_t tables;
};

/* A setting of the server that its log goes by and does not carry; the names
 * are in FORMAT.md. */
struct manifest_setting {
    char *name, *value;
};

struct manifest {
    struct backup_info info;
    struct manifest_setting *setting;
    size_t settings;
    struct manifest_table *table;
    size_t tables;
    struct manifest_part *part;
    size_t parts;
    uint64_t schema_size;
    uint8_t schema_digest[DIGEST_SIZE];
    char **warning; /* what the backup could not do exactly */
    size_t warnings;
};

void backup_info_free(struct backup_info *i);
void manifest_free(struct manifest *m); /* and m itself; NULL is fine */

void manifest_set(struct manifest *m, const char *name, const char *value);
/* NULL where the backup does not say; also of m that is NULL.  Borrowed. */
const char *manifest_setting(const struct manifest *m, const char *name);

void manifest_format(const struct manifest *m, struct buf *out);
struct manifest *manifest_parse(const void *p, size_t n); /* ERR_VERIFY */

/* "backup/ID/manifest"; owned. */
char *manifest_name(const char *id);
/* Publish: after this the backup counts. */
int manifest_store(struct repo *r, const struct manifest *m);
/* id: the backup's. */
struct manifest *manifest_load(struct repo *r, const char *id,
    const struct secret_key *key);

/* Is all there that it lists, as large and with those digests?  Reads no
 * content (manifest_check.c).  ERR_VERIFY. */
int manifest_check(
    struct repo *r, const struct manifest *m, unsigned jobs);

/* The public note. */
void backup_info_format(const struct backup_info *i, struct buf *out);
int backup_info_parse(const void *p, size_t n, struct backup_info *out);

#endif
