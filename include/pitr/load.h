/*
 * load.h -- a backup into a server that does not have those schemas yet.
 */
#ifndef PITR_LOAD_H
#define PITR_LOAD_H

#include "pitr/db.h"
#include "pitr/sql_event.h"
#include "pitr/manifest.h"
#include "pitr/repo.h"
#include "pitr/scope.h"

struct load_conf {
    const struct db_conf *target;
    struct repo *repo;
    const struct secret_key *key;
    const struct manifest *manifest;
    const struct scope *scope; /* NULL: all of it */
    const char *log_version; /* of the newest server whose log will be replayed;
                                NULL: none will */
    unsigned jobs;
    bool verify;          /* read every table back and compare its checksum */
    bool force_version;   /* an older target than the source */
    bool install_plugins; /* storage engines and authentication plugins that
                             the backup needs and the target has not loaded:
                             for a sandbox; elsewhere refused with the
                             statement to run */
    struct sql_event_states *events; /* load_run() sets what the backup says of
                                        each, load_finish() goes by it; NULL:
                                        by the backup alone */
};

/*
 * Of a part of a backup: to be called once, before anything else is done with
 * the manifest.  Tables are marked or called otherwise, as the scope says.
 */
void load_scope_manifest(struct manifest *m, const struct scope *s);
/* Foreign keys of the backup's tables into the scope. */
int load_scope_foreign(struct repo *r, const struct secret_key *key,
    const struct manifest *m, struct scope *s);
/* Tell, by the backup's schema, what of a scope that backup does not have, and
 * which texts go by a former name.  No target is needed. */
int load_scope_tell(const struct load_conf *conf);

struct load_report {
    uint64_t tables, rows, bytes;
    uint64_t verified_tables;
    uint64_t load_us, index_us, verify_us;
};

/*
 * To be held as long as a restore is at work on a target (db_close() lets go):
 * two would each take what the other makes for a leftover.  NULL; ERR_LOCKED.
 */
struct db *load_claim(const struct db_conf *target);
/*
 * Is the target fit?  Not a replica, version, none of the backup's schemas
 * there, or only such as a restore of this same repository has left half done
 * (they are then dropped by load_run()).  Checked before anything is written.
 */
int load_check(const struct load_conf *conf);
int load_run(const struct load_conf *conf, struct load_report *out);

/*
 * Settings of the target that are changed for the time of a restore (events
 * off, durability relaxed, ...) and put back by load_settings_restore().
 */
struct load_settings;
struct load_settings *load_settings_apply(const struct db_conf *target);
int load_settings_restore(struct load_settings *s); /* frees s */
/*
 * For others that change a global setting for the time of a restore: what it
 * was (owned; NULL: the server has none such).  While load_settings_apply() is
 * in force it is written down in the target, and put back by
 * load_settings_restore(), or after a kill by the next load_settings_apply().
 * The session must not write a log.
 */
int load_settings_remember(struct db *db, const char *name, char **old);
/* SET GLOBAL; a value of digits alone is a number, others are quoted. */
int load_settings_set(struct db *db, const char *name, const char *value);

/* Of a restore under way: schemas that the target had before, and that are none
 * of the backup's; added to *out, owned. */
int load_kept_schemas(struct db *db, char ***out, size_t *n);

/*
 * After the replay: events of the scheduler get the status that they have by
 * the backup and the log, and the mark of a restore that is under way is
 * removed.
 */
int load_finish(const struct load_conf *conf);

/*
 * Whoever captures the log of a running target is told by a mark in it that
 * what is restored is not there (log_mark.h): before load_run(), and when all is
 * done and the settings are back.  1; 0 where that log has nothing yet; -1.
 */
int load_mark_log(const struct load_conf *conf);

#endif
