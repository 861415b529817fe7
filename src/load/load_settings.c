/*
 * load_settings.c -- settings of the target that are changed for the time of a
 * restore.  What they were is also written down in the target, so that a
 * restore which was killed can be followed by one that puts them back.
 */
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"

#define TABLE "`" LOAD_MARK_SCHEMA "`.`settings`"

struct setting {
    const char *name, *value;
    bool must;  /* a restore without it would be wrong */
    bool alone; /* only where the target serves nothing else */
};

static const struct setting settings[] = {
    {"event_scheduler", "OFF", true, false},
    {"max_allowed_packet", "1073741824", false, false},
    {"strict_password_validation", "OFF", false, false},
    /* A server with a log refuses functions that the source had. */
    {"log_bin_trust_function_creators", "ON", false, false},
    {"innodb_flush_log_at_trx_commit", "0", false, true},
    {"sync_binlog", "0", false, true},
};

struct load_settings {
    struct db_conf target;      /* its strings are the caller's */
    char *old[NELEM(settings)]; /* NULL: not changed */
};

static struct db *
settings_connect(const struct db_conf *target)
{
    struct db *db = db_open(target, "target");

    if (db == NULL)
        return NULL;
    if (db_exec(db, "SET SESSION sql_log_bin=0") == 0)
        return db;
    err_hint("the account needs all privileges WITH GRANT OPTION");
    db_close(db);
    return NULL;
}

/* Does it serve anything but what a restore makes? */
static int
in_use(struct db *db, bool *out)
{
    struct load_mark m = {0};
    struct db_result r = {0};
    int rc = -1;

    *out = false;
    if (load_mark_read(db, &m) < 0)
        goto out;
    if (db_query(db, &r,
            "SELECT DISTINCT TABLE_SCHEMA FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', "
            "'performance_schema', '" LOAD_MARK_SCHEMA "')") < 0)
        goto out;
    for (size_t i = 0; i < r.rows; i++) {
        if (!load_name_in(m.schema, m.schemas, db_text(&r, i, 0)))
            *out = true;
    }
    rc = 0;

out:
    load_mark_free(&m);
    db_result_free(&r);
    return rc;
}

static bool
is_number(const char *s)
{
    return s[0] != '\0' && strspn(s, "0123456789") == strlen(s);
}

int
load_settings_set(struct db *db, const char *name, const char *value)
{
    char *q;
    int rc;

    if (is_number(value))
        return db_exec(db, "SET GLOBAL %s=%s", name, value);
    q = load_quoted(value);
    rc = db_exec(db, "SET GLOBAL %s=%s", name, q);
    free(q);
    return rc;
}

#define NO_SUCH_SCHEMA 1049
#define NO_SUCH_TABLE 1146

/* Was that the error? */
static bool
no_table(struct db *db)
{
    if (db_errno(db) != NO_SUCH_TABLE && db_errno(db) != NO_SUCH_SCHEMA)
        return false;
    err_clear();
    return true;
}

/* What it was: as this restore wrote it down, or now. */
int
load_settings_remember(struct db *db, const char *name, char **old)
{
    bool table = true;
    char *q;
    int rc =
        db_value(db, old, "SELECT value FROM " TABLE " WHERE name='%s'", name);

    if (rc < 0 && no_table(db)) {
        table = false;
        rc = 0;
    }
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (db_value(db, old,
            "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES "
            "WHERE VARIABLE_NAME='%s'",
            name) < 0)
        return -1;
    if (*old == NULL || !table)
        return 0;
    q = load_quoted(*old);
    rc = db_exec(db, "INSERT INTO " TABLE " VALUES ('%s', %s)", name, q);
    free(q);
    return rc;
}

static int
apply_one(struct db *db, const struct setting *s, char **old)
{
    if (load_settings_remember(db, s->name, old) < 0)
        return -1;
    if (*old == NULL || strcmp(*old, "DISABLED") == 0 ||
        load_settings_set(db, s->name, s->value) == 0)
        return 0;
    if (s->must)
        return -1;
    log_debug("%s", err_text());
    err_clear();
    return 0;
}

static int
make_table(struct db *db)
{
    if (db_exec(db, "CREATE DATABASE IF NOT EXISTS `" LOAD_MARK_SCHEMA "`") < 0)
        return -1;
    return db_exec(db,
        "CREATE TABLE IF NOT EXISTS " TABLE
        " (name VARCHAR(64) PRIMARY KEY, value TEXT NOT NULL) ENGINE=InnoDB "
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
}

/*
 * All that is written down, whoever changed it, and whether or not the restore
 * that did is still there to say so.  0, or -1 where one does not go back.
 */
static int
put_back(struct db *db)
{
    struct db_result r = {0};
    int rc = db_query(db, &r, "SELECT name, value FROM " TABLE);

    for (size_t i = 0; rc == 0 && i < r.rows; i++) {
        const char *name = db_text(&r, i, 0), *value = db_text(&r, i, 1);

        if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] == '\0' &&
            strcmp(value, "DISABLED") != 0)
            rc = load_settings_set(db, name, value);
    }
    db_result_free(&r);
    return rc;
}

/* What a restore that was killed has left is not what anything begins with. */
static int
begin_anew(struct db *db)
{
    return make_table(db) < 0 || put_back(db) < 0 ||
            db_exec(db, "DELETE FROM " TABLE) < 0
        ? -1
        : 0;
}

/* It is not in the log of a server that goes on being used: neither is the
 * load, nor what an applier does, as a rule. */
static int
tell_shared(struct db *db)
{
    uint64_t logs = 0;

    log_info("the target has other schemas: its durability settings stay as "
             "they are, which makes the restore slower");
    if (db_value_u64(db, &logs, "SELECT @@global.log_bin") < 0)
        return -1;
    if (logs != 0)
        log_warn("what is restored does not get into the target's binary log: "
                 "from a backup of it that was made before, nothing later than "
                 "this can be restored. When this is done, make another "
                 "(\"pitr backup\")");
    return 0;
}

struct load_settings *
load_settings_apply(const struct db_conf *target)
{
    struct load_settings *s = xcalloc(1, sizeof *s);
    struct db *db = settings_connect(target);
    struct err_saved *e;
    bool shared = false;

    s->target = *target;
    if (db == NULL || in_use(db, &shared) < 0 || begin_anew(db) < 0)
        goto fail;
    if (shared && tell_shared(db) < 0)
        goto fail;
    for (size_t i = 0; i < NELEM(settings); i++) {
        if ((!shared || !settings[i].alone) &&
            apply_one(db, &settings[i], &s->old[i]) < 0)
            goto fail;
    }
    db_close(db);
    return s;

fail:
    err_wrap("preparing the target's settings");
    e = err_take();
    db_close(db);
    if (load_settings_restore(s) < 0)
        err_clear();
    err_put(e);
    return NULL;
}

int
load_settings_restore(struct load_settings *s)
{
    struct db *db;
    int rc = 0;

    if (s == NULL)
        return 0;
    if ((db = settings_connect(&s->target)) == NULL)
        rc = -1;
    for (size_t i = 0; i < NELEM(settings); i++) {
        if (db != NULL && s->old[i] != NULL &&
            strcmp(s->old[i], "DISABLED") != 0 &&
            load_settings_set(db, settings[i].name, s->old[i]) < 0)
            rc = -1;
        free(s->old[i]);
    }
    if (rc == 0 && put_back(db) < 0 && !no_table(db))
        rc = -1;
    if (rc == 0 &&
        (db_exec(db, "DROP TABLE IF EXISTS " TABLE) < 0 ||
            load_mark_schema_drop(db) < 0))
        rc = -1;
    if (rc < 0)
        err_wrap("putting the target's settings back");
    db_close(db);
    free(s);
    return rc;
}
