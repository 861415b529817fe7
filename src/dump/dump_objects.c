/*
 * dump_objects.c -- routines, packages, views, triggers, events, sequences.
 *
 * The text of a stored program is in the character set of the client that
 * created it.  Where that is UTF-8 it is taken as it is, with whatever bytes
 * are in it; otherwise the server converts it to utf8mb4.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dump_priv.h"
#include "pitr/mem.h"
#include "pitr/stop.h"

struct show {         /* how a kind is asked for, and what it answers */
    const char *what; /* SHOW CREATE what */
    const char *sql;  /* the column with the statement */
};

static const struct show shows[] = {
    [SCHEMA_FUNCTION] = {"FUNCTION", "Create Function"},
    [SCHEMA_PROCEDURE] = {"PROCEDURE", "Create Procedure"},
    [SCHEMA_PACKAGE] = {"PACKAGE", "Create Package"},
    [SCHEMA_PACKAGE_BODY] = {"PACKAGE BODY", "Create Package Body"},
    [SCHEMA_VIEW] = {"VIEW", "Create View"},
    [SCHEMA_TRIGGER] = {"TRIGGER", "SQL Original Statement"},
    [SCHEMA_EVENT] = {"EVENT", "Create Event"},
};

int
dump_definition(const struct db_result *r, const char *name, char **sql)
{
    const char *s = db_text(r, 0, 1);

    if (*s == '\0')
        return err_set(ERR_FAILED, "the server gave no definition of %s", name);
    *sql = xstrdup(s);
    return 0;
}

static char *
text_of(const struct db_result *r, const char *column)
{
    const char *s = db_cell_by(r, 0, column);

    return xstrdup(s != NULL ? s : "");
}

static int
ask(struct dump *d, const struct schema_object *o, const char *results,
    struct db_result *r)
{
    const struct show *show = &shows[o->kind];
    char *name;
    int rc;

    if (db_exec(d->main, "SET SESSION character_set_results = %s", results) < 0)
        return -1;
    name = db_name2(o->schema, o->name);
    if ((rc = db_query(d->main, r, "SHOW CREATE %s %s", show->what, name)) < 0)
        err_wrap("%s %s.%s", show->what, o->schema, o->name);
    free(name);
    if (rc == 0 && db_cell_by(r, 0, show->sql) == NULL) {
        db_result_free(r);
        err_set(ERR_FAILED, "%s %s.%s: the server does not show its text",
            show->what, o->schema, o->name);
        err_hint("The account needs SELECT on mysql.*, and from MariaDB 11.3 "
                 "on SHOW CREATE ROUTINE.");
        rc = -1;
    }
    return rc;
}

/* SHOW CREATE of o->kind into o; extra and definer are the caller's. */
static int
show_create(struct dump *d, struct schema_object *o)
{
    struct db_result r;
    const char *charset;

    if (ask(d, o, "binary", &r) < 0)
        return -1;
    charset = db_cell_by(&r, 0, "character_set_client");
    if (charset == NULL || strncasecmp(charset, "utf8", 4) != 0) {
        db_result_free(&r);
        if (ask(d, o, "utf8mb4", &r) < 0)
            return -1;
    }
    o->table = UINT32_MAX;
    o->sql = text_of(&r, shows[o->kind].sql);
    o->sql_mode = text_of(&r, "sql_mode");
    o->charset_client = text_of(&r, "character_set_client");
    o->collation_connection = text_of(&r, "collation_connection");
    o->collation_database = text_of(&r, "Database Collation");
    o->time_zone = text_of(&r, "time_zone");
    db_result_free(&r);
    return db_exec(d->main, "SET SESSION character_set_results = utf8mb4");
}

/*
 * A view that cannot be opened (a column is gone, its definer may no longer
 * read what it is made of) is shown with '' for each place in ORDER BY and
 * GROUP BY (st_select_lex::print_order()); the information_schema has it as it
 * is.
 */
static int
view_order(struct dump *d, struct schema_object *o)
{
    struct buf schema = {0}, name = {0}, sql = {0};
    char *body = NULL;
    const char *as = strstr(o->sql, " AS ");
    int rc = 0;

    if (as == NULL || strcasestr(as, " by ''") == NULL)
        return 0;
    db_quote(&schema, o->schema, strlen(o->schema));
    db_quote(&name, o->name, strlen(o->name));
    rc = db_value(d->main, &body,
        "SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE"
        " TABLE_SCHEMA = %s AND TABLE_NAME = %s",
        buf_cstr(&schema), buf_cstr(&name));
    if (rc > 0 && body != NULL && body[0] != '\0' &&
        strcasestr(body, " by ''") == NULL) {
        buf_add(&sql, o->sql, (size_t)(as - o->sql) + 4);
        buf_str(&sql, body);
        free(o->sql);
        o->sql = buf_take(&sql);
    }
    free(body);
    buf_free(&schema);
    buf_free(&name);
    return rc < 0 ? err_wrap("view %s.%s", o->schema, o->name) : 0;
}

/* list: rows of schema, name, definer, extra. */
static int
write_each(struct dump *d, struct schema_writer *w, enum schema_kind kind,
    const struct db_result *list)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < list->rows; i++) {
        struct schema_object o = {
            .kind = kind,
            .schema = xstrdup(db_text(list, i, 0)),
            .name = xstrdup(db_text(list, i, 1)),
            .definer = xstrdup(db_cell(list, i, 2)),
            .extra = xstrdup(db_cell(list, i, 3)),
        };

        if (dump_stopping(d))
            rc = stop_asked() ? stop_error()
                              : err_set(ERR_FAILED, "a worker failed");
        if (rc == 0 && (rc = show_create(d, &o)) == 0 && kind == SCHEMA_VIEW)
            rc = view_order(d, &o);
        if (rc == 0)
            rc = schema_write(w, &o);
        schema_object_free(&o);
    }
    return rc;
}

static int
write_query(struct dump *d, struct schema_writer *w, enum schema_kind kind,
    const char *sql)
{
    struct db_result list;
    int rc;

    if (db_query(d->main, &list, "%s", sql) < 0)
        return -1;
    rc = write_each(d, w, kind, &list);
    db_result_free(&list);
    return rc;
}

int
dump_objects_write(struct dump *d, struct schema_writer *w)
{
    static const enum schema_kind kinds[] = {
        SCHEMA_FUNCTION, SCHEMA_PROCEDURE, SCHEMA_PACKAGE, SCHEMA_PACKAGE_BODY};

    for (size_t i = 0; i < NELEM(kinds); i++) {
        char *sql = xasprintf("SELECT ROUTINE_SCHEMA, ROUTINE_NAME, DEFINER,"
                              " ROUTINE_COMMENT FROM"
                              " information_schema.ROUTINES WHERE"
                              " ROUTINE_TYPE = '%s' AND " DUMP_NOT_SYSTEM(
                                  "ROUTINE_SCHEMA") " ORDER BY 1, 2",
            shows[kinds[i]].what);
        int rc = write_query(d, w, kinds[i], sql);

        free(sql);
        if (rc < 0)
            return -1;
    }
    return 0;
}

int
dump_views_write(struct dump *d, struct schema_writer *w)
{
    /* TABLES, not VIEWS: the latter has to open what a view is made of. */
    return write_query(d, w, SCHEMA_VIEW,
        "SELECT TABLE_SCHEMA, TABLE_NAME, '', '' FROM"
        " information_schema.TABLES WHERE TABLE_TYPE = 'VIEW' "
        "AND " DUMP_NOT_SYSTEM("TABLE_SCHEMA") " ORDER BY 1, 2");
}

int
dump_triggers_write(struct dump *d, struct schema_writer *w)
{
    /* ACTION_ORDER counts within table, time and event: creating them in this
     * order gives it again. */
    return write_query(d, w, SCHEMA_TRIGGER,
        "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, DEFINER, EVENT_OBJECT_TABLE FROM"
        " information_schema.TRIGGERS WHERE " DUMP_NOT_SYSTEM(
            "TRIGGER_SCHEMA") " ORDER BY EVENT_OBJECT_SCHEMA, "
                              "EVENT_OBJECT_TABLE, ACTION_TIMING,"
                              " EVENT_MANIPULATION, ACTION_ORDER");
}

int
dump_events_write(struct dump *d, struct schema_writer *w)
{
    return write_query(d, w, SCHEMA_EVENT,
        "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, STATUS FROM"
        " information_schema.EVENTS WHERE " DUMP_NOT_SYSTEM(
            "EVENT_SCHEMA") " ORDER BY 1, 2");
}

/* Is the number a below b?  BIGINTs, with a sign or (from 11.5 on) without. */
static bool
below(const char *a, const char *b)
{
    if (*a == '-' || *b == '-')
        return strtoll(a, NULL, 10) < strtoll(b, NULL, 10);
    return strtoull(a, NULL, 10) < strtoull(b, NULL, 10);
}

/*
 * The statement that brings a new sequence to where this one is.  SETVAL only
 * goes forward, or to a later round; a value before the start needs a restart.
 */
static char *
sequence_state(const char *name, const struct db_result *r)
{
    const char *next = db_text(r, 0, 0), *start = db_text(r, 0, 1);
    uint64_t round = strtoull(db_text(r, 0, 3), NULL, 10);
    bool behind =
        *db_text(r, 0, 2) == '-' ? below(start, next) : below(next, start);

    if (round == 0 && behind)
        return xasprintf("ALTER SEQUENCE %s RESTART WITH %s", name, next);
    return xasprintf(
        "SELECT SETVAL(%s, %s, 0, %" PRIu64 ")", name, next, round);
}

static int
read_sequence(struct dump *d, struct schema_object *o)
{
    char *name = db_name2(o->schema, o->name);
    struct db_result r;
    int rc = -1;

    if (db_query(d->main, &r, "SHOW CREATE SEQUENCE %s", name) < 0)
        goto out;
    if (dump_definition(&r, name, &o->sql) < 0) {
        db_result_free(&r);
        goto out;
    }
    db_result_free(&r);
    if (db_query(d->main, &r,
            "SELECT next_not_cached_value, start_value, increment, cycle_count"
            " FROM %s",
            name) < 0)
        goto out;
    o->extra = sequence_state(name, &r);
    db_result_free(&r);
    rc = 0;

out:
    if (rc < 0)
        err_wrap("sequence %s.%s", o->schema, o->name);
    free(name);
    return rc;
}

int
dump_sequences_write(struct dump *d, struct schema_writer *w)
{
    struct db_result list;
    int rc = 0;

    if (db_query(d->main, &list,
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
            " WHERE TABLE_TYPE = 'SEQUENCE' AND " DUMP_NOT_SYSTEM(
                "TABLE_SCHEMA") " ORDER BY 1, 2") < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < list.rows; i++) {
        struct schema_object o = {
            .kind = SCHEMA_SEQUENCE,
            .table = UINT32_MAX,
            .schema = xstrdup(db_text(&list, i, 0)),
            .name = xstrdup(db_text(&list, i, 1)),
        };

        rc = read_sequence(d, &o);
        if (rc == 0)
            rc = schema_write(w, &o);
        schema_object_free(&o);
    }
    db_result_free(&list);
    return rc;
}
