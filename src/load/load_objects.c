/*
 * load_objects.c -- databases, sequences, routines, triggers and events.
 */
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/progress.h"
#include "pitr/stop.h"

static const char *
kind_text(enum schema_kind kind)
{
    switch (kind) {
    case SCHEMA_DATABASE:
        return "database";
    case SCHEMA_ROLE:
        return "role";
    case SCHEMA_USER:
        return "account";
    case SCHEMA_SEQUENCE:
        return "sequence";
    case SCHEMA_TABLE:
        return "table";
    case SCHEMA_FUNCTION:
        return "function";
    case SCHEMA_PROCEDURE:
        return "procedure";
    case SCHEMA_PACKAGE:
        return "package";
    case SCHEMA_PACKAGE_BODY:
        return "package body";
    case SCHEMA_VIEW:
        return "view";
    case SCHEMA_TRIGGER:
        return "trigger";
    case SCHEMA_EVENT:
        return "event";
    case SCHEMA_GRANT:
        return "a grant of";
    }
    return "object";
}

int
load_skip(struct db *db, const struct schema_object *o)
{
    (void)db;
    if (err_kind() == ERR_UNREACHABLE || stop_asked())
        return -1;
    log_warn("%s %s%s%s is not restored, the target refused it: %s",
        kind_text(o->kind), o->schema, o->schema[0] == '\0' ? "" : ".", o->name,
        err_text());
    err_clear();
    return 0;
}

static int
drop_database(struct db *db, const char *name)
{
    struct buf b = {0};
    int rc;

    buf_str(&b, "DROP DATABASE IF EXISTS ");
    db_ident(&b, name);
    rc = db_exec_bytes(db, (char *)b.data, b.len);
    buf_free(&b);
    return rc;
}

int
load_databases(struct db *db, struct load *l, const struct load_mark *old)
{
    if (old->present)
        log_info("the target holds an unfinished restore of backup %s: its "
                 "schemas are dropped and made again",
            old->backup);
    for (size_t i = 0; old->present && i < old->schemas; i++) {
        if (drop_database(db, old->schema[i]) < 0)
            return -1;
    }
    for (size_t i = 0; old->present && i < old->tables; i++)
        if (db_exec(db, "DROP VIEW IF EXISTS %s", old->table[i]) < 0 ||
            db_exec(db, "DROP TABLE IF EXISTS %s", old->table[i]) < 0)
            return -1;
    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        if (o->kind != SCHEMA_DATABASE || load_scope_stays(l, load_database(o)))
            continue;
        /* Where it is there, load_check_target() has found it empty. */
        if (drop_database(db, load_database(o)) < 0 ||
            db_exec_bytes(db, o->sql, strlen(o->sql)) < 0)
            return err_wrap("database %s", load_database(o));
    }
    return 0;
}

/* Where it was: a SELECT SETVAL() or an ALTER SEQUENCE. */
static int
sequence_state(struct db *db, const char *sql)
{
    char *value = NULL;
    int rc;

    if (strncmp(sql, "SELECT ", 7) != 0)
        return sql[0] == '\0' ? 0 : db_exec_bytes(db, sql, strlen(sql));
    rc = db_value(db, &value, "%s", sql);
    free(value);
    return rc < 0 ? -1 : 0;
}

int
load_sequences(struct db *db, struct load *l)
{
    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        if (o->kind != SCHEMA_SEQUENCE)
            continue;
        if (stop_asked())
            return stop_error();
        if (load_use(db, o->schema) < 0 ||
            db_exec_bytes(db, o->sql, strlen(o->sql)) < 0 ||
            sequence_state(db, o->extra) < 0)
            return err_wrap("sequence %s.%s", o->schema, o->name);
    }
    return 0;
}

/*
 * The server does not create an event whose time is over, and says so only by
 * a note.  Where it was over at the snapshot, the source has kept it because
 * its scheduler was off.
 */
static int
create_event(struct db *db, struct load *l, const struct schema_object *o)
{
    char *schema = load_quoted(o->schema), *name = load_quoted(o->name);
    uint64_t there = 0;
    int rc = -1;

    l->event_s = l->conf->manifest->info.snapshot_us / 1000000;
    if (load_object_create(db, l, o, o->sql) < 0 ||
        db_value_u64(db, &there,
            "SELECT COUNT(*) FROM information_schema.EVENTS "
            "WHERE EVENT_SCHEMA=%s AND EVENT_NAME=%s",
            schema, name) < 0)
        goto out;
    rc = 0;
    l->event_s = LOAD_EVENT_PAST;
    if (there == 0)
        rc = load_object_create(db, l, o, o->sql);

out:
    free(schema);
    free(name);
    return rc;
}

/*
 * Nobody can make a trigger with NEW.x where the table's column x was dropped
 * since; the server keeps the one that is there.
 */
static int
create_trigger(struct db *db, struct load *l, const struct schema_object *o)
{
    struct stand_ins s = {0};
    struct err_saved *e = NULL;
    char *column = NULL;
    int rc;

    while ((rc = load_object_create(db, l, o, o->sql)) < 0) {
        char *missing = missing_column(err_text());
        bool again = missing != NULL && !stop_asked() &&
            (column == NULL || strcmp(column, missing) != 0);

        free(column);
        column = missing;
        e = err_take();
        if (!again || stand_in_column(db, &s, o->schema, o->extra, column) < 0)
            break;
        err_saved_free(e);
        e = NULL;
    }
    rc = stand_ins_end(db, &s, rc, e);
    free(column);
    return rc;
}

/*
 * The server shows a routine's comment as UTF-8 in a text of its client's
 * character set, and with back-slashes doubled whatever the sql_mode: read
 * again, that is another one.
 */
static int
create_routine(struct db *db, struct load *l, const struct schema_object *o)
{
    char *name = db_name2(o->schema, o->name), *comment = load_quoted(o->extra);
    const char *what = o->kind == SCHEMA_FUNCTION ? "FUNCTION" : "PROCEDURE";
    bool odd = strchr(o->extra, '\\') != NULL;
    int rc = load_object_create(db, l, o, o->sql);

    for (const char *p = o->extra; *p != '\0'; p++)
        odd = odd || (unsigned char)*p >= 0x80;
    if (rc == 0 && odd)
        rc = db_exec(db, "ALTER %s %s COMMENT %s", what, name, comment);
    free(name);
    free(comment);
    return rc;
}

static int
create_one(struct db *db, struct load *l, const struct schema_object *o)
{
    if (o->kind == SCHEMA_FUNCTION || o->kind == SCHEMA_PROCEDURE)
        return create_routine(db, l, o);
    if (o->kind == SCHEMA_EVENT)
        return create_event(db, l, o);
    if (o->kind == SCHEMA_TRIGGER)
        return create_trigger(db, l, o);
    return load_object_create(db, l, o, o->sql);
}

static int
create_kind(struct db *db, struct load *l, enum schema_kind kind)
{
    int rc;

    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        if (o->kind != kind)
            continue;
        if (stop_asked())
            return stop_error();
        rc = create_one(db, l, o);
        if (rc < 0 && load_skip(db, o) < 0)
            return -1;
    }
    return 0;
}

int
load_code(struct db *db, struct load *l)
{
    progress_note("routines, views, triggers, events");
    if (create_kind(db, l, SCHEMA_FUNCTION) < 0 ||
        create_kind(db, l, SCHEMA_PROCEDURE) < 0 ||
        create_kind(db, l, SCHEMA_PACKAGE) < 0 ||
        create_kind(db, l, SCHEMA_PACKAGE_BODY) < 0)
        return -1;
    if (load_views(db, l) < 0)
        return -1;
    if (create_kind(db, l, SCHEMA_TRIGGER) < 0 ||
        create_kind(db, l, SCHEMA_EVENT) < 0)
        return -1;
    return 0;
}
