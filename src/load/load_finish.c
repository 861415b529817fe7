/*
 * load_finish.c -- events of the scheduler after the replay, and the end of
 * the mark.
 *
 * An applier leaves each event that it creates or alters SLAVESIDE_DISABLED
 * (sql/event_parse_data.cc); what it is at the source was read in the backup
 * and in the log's statements (sql_event.h).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/log_mark.h"
#include "pitr/mem.h"

/* One row of information_schema.EVENTS. */
enum {
    EV_SCHEMA,
    EV_NAME,
    EV_DEFINER,
    EV_SQL_MODE,
    EV_CLIENT,
    EV_CONNECTION,
    EV_DATABASE,
    EV_ZONE,
};
#define EVENTS_SQL                                                             \
    "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, "                               \
    "SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, "                   \
    "DATABASE_COLLATION, TIME_ZONE FROM information_schema.EVENTS "            \
    "WHERE STATUS='SLAVESIDE_DISABLED' ORDER BY 1, 2"

/* ALTER EVENT makes its session's settings and user the event's own, so both
 * are given again. */
static int
set_status(struct db *db, const struct load *l, const struct db_result *r,
    size_t row, const char *status)
{
    char *cell[EV_ZONE + 1];
    struct schema_object o;
    const char *at;
    struct buf b = {0};
    int rc;

    for (size_t i = 0; i <= EV_ZONE; i++) {
        const char *text = db_cell(r, row, i);
        cell[i] = xstrdup(text == NULL ? "" : text);
    }
    /* Of no kind: an event's timestamp is for creating it only. */
    o = (struct schema_object){.schema = cell[EV_SCHEMA],
        .name = cell[EV_NAME],
        .sql_mode = cell[EV_SQL_MODE],
        .charset_client = cell[EV_CLIENT],
        .collation_connection = cell[EV_CONNECTION],
        .collation_database = cell[EV_DATABASE],
        .time_zone = cell[EV_ZONE]};
    buf_str(&b, "ALTER DEFINER=");
    at = strrchr(cell[EV_DEFINER], '@');
    if (at != NULL) {
        char *user =
            xstrndup(cell[EV_DEFINER], (size_t)(at - cell[EV_DEFINER]));
        db_ident(&b, user);
        buf_str(&b, "@");
        db_ident(&b, at + 1);
        free(user);
    } else {
        db_ident(&b, cell[EV_DEFINER]);
    }
    buf_str(&b, " EVENT ");
    db_ident(&b, o.schema);
    buf_str(&b, ".");
    db_ident(&b, o.name);
    buf_fmt(&b, " %s", status);
    rc = load_object_create(db, l, &o, buf_cstr(&b));
    if (rc < 0)
        err_wrap("event %s.%s", o.schema, o.name);
    for (size_t i = 0; i <= EV_ZONE; i++)
        free(cell[i]);
    buf_free(&b);
    return rc;
}

static const struct {
    enum sql_event_status status;
    const char *text; /* in the information_schema */
    const char *sql;
} statuses[] = {
    {SQL_EVENT_ENABLED, "ENABLED", "ENABLE"},
    {SQL_EVENT_DISABLED, "DISABLED", "DISABLE"},
    {SQL_EVENT_SLAVESIDE, "SLAVESIDE_DISABLED", NULL},
};

void
load_event_states(const struct load *l, struct sql_event_states *out)
{
    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        if (o->kind != SCHEMA_EVENT)
            continue;
        for (size_t k = 0; k < NELEM(statuses); k++)
            if (strcmp(o->extra, statuses[k].text) == 0)
                sql_event_states_set(
                    out, o->schema, o->name, statuses[k].status);
    }
}

static int
one_event(struct db *db, const struct load *l,
    const struct sql_event_states *known, const struct db_result *r, size_t row)
{
    const char *schema = db_text(r, row, EV_SCHEMA);
    const char *name = db_text(r, row, EV_NAME);
    enum sql_event_status status = sql_event_states_get(known, schema, name);

    for (size_t i = 0; i < NELEM(statuses); i++) {
        if (statuses[i].status != status)
            continue;
        if (statuses[i].sql == NULL)
            return 0; /* as it was at the source */
        return set_status(db, l, r, row, statuses[i].sql);
    }
    log_warn("event %s.%s was made by the replayed log, and it could not be "
             "told whether it was on: it is on now",
        schema, name);
    return set_status(db, l, r, row, "ENABLE");
}

static int
finish_events(struct db *db, const struct load *l, const struct load_mark *m)
{
    const struct sql_event_states *known = l->conf->events;
    struct sql_event_states recorded = {0};
    struct db_result r = {0};
    int rc = db_query(db, &r, EVENTS_SQL);

    if (known == NULL) {
        load_event_states(l, &recorded);
        known = &recorded;
    }

    for (size_t i = 0; rc == 0 && i < r.rows; i++) {
        const char *schema = db_text(&r, i, EV_SCHEMA);
        if (!load_name_in(m->kept_schema, m->kept_schemas, schema))
            rc = one_event(db, l, known, &r, i); /* not the target's own */
    }
    db_result_free(&r);
    sql_event_states_free(&recorded);
    return rc;
}

int
load_mark_log(const struct load_conf *conf)
{
    struct db *db = conf->install_plugins ? NULL : load_connect(conf);
    int rc = conf->install_plugins ? 0 : -1; /* a sandbox has no log */

    if (db != NULL && db_exec(db, "SET SESSION sql_log_bin=1") == 0)
        rc = log_mark_write(db);
    db_close(db);
    return rc < 0 ? err_wrap("a mark in the target's log") : rc;
}

int
load_finish(const struct load_conf *conf)
{
    struct load l = {.conf = conf};
    struct load_mark m = {0};
    struct db *db = load_connect(conf);
    int rc = -1;

    if (db == NULL || load_read_schema(&l) < 0 || load_mark_read(db, &m) < 0)
        goto out;
    if (!m.present) {
        err_set(ERR_FAILED, "target (%s) is not being restored", db_where(db));
        goto out;
    }
    if (finish_events(db, &l, &m) < 0)
        goto out;
    rc = load_mark_remove(db);

out:
    if (rc < 0)
        err_wrap("finishing the restore");
    load_mark_free(&m);
    load_free(&l);
    db_close(db);
    return rc;
}
