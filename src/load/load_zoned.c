/*
 * load_zoned.c -- generated columns that are made of a TIMESTAMP go by a time
 * zone: a table in which they are stored, or in an index, is made anew in the
 * source's (dump_zoned.c).
 */
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/zone.h"

/* The target copies the rows, TIMESTAMPs as they are, and computes the rest. */
static int
compute(struct db *db, const struct load_table *t)
{
    char *name = db_name2(t->object->schema, t->object->name);
    int rc = db_exec(db, "ALTER TABLE %s FORCE, ALGORITHM=COPY", name);

    free(name);
    return rc < 0 ? err_wrap("generated columns of %s.%s", t->object->schema,
                        t->object->name)
                  : 0;
}

/* 1 where the session is in it now, 0 where it cannot be, -1. */
static int
enter_zone(struct db *db, const struct manifest *m)
{
    const char *zone = manifest_setting(m, "time_zone");
    const char *system = manifest_setting(m, "system_time_zone");
    char *q;
    int rc;

    if (zone == NULL)
        return 0;
    if (strcmp(zone, "SYSTEM") == 0 && system != NULL) {
        if ((rc = zone_same(db, system)) < 0)
            return -1;
        if (rc == 0)
            return 0;
    }
    q = load_quoted(zone);
    rc = db_exec(db, "SET SESSION time_zone=%s", q);
    free(q);
    if (rc == 0)
        return 1;
    if (err_kind() == ERR_UNREACHABLE)
        return -1;
    log_debug("%s", err_text());
    err_clear();
    return 0;
}

static void
tell(const struct load_table *t)
{
    log_warn("table %s.%s: its generated columns go by the source's time "
             "zone, which the target does not have: they are computed in UTC",
        t->object->schema, t->object->name);
}

int
load_zoned(struct db *db, struct load *l)
{
    const struct manifest *m = l->conf->manifest;
    const char *numbers = manifest_setting(m, "zoned_tables");
    int rc = 0, entered = -1;
    char *end;

    for (const char *p = numbers; p != NULL && rc == 0; p = end) {
        unsigned long number = strtoul(p, &end, 10);

        if (end == p)
            break;
        if (number >= m->tables || l->table[number].object == NULL)
            continue;
        if (stop_asked())
            rc = stop_error();
        else if (entered < 0 && (entered = enter_zone(db, m)) < 0)
            rc = -1;
        else if (entered == 0)
            tell(&l->table[number]);
        else
            rc = compute(db, &l->table[number]);
    }
    if (entered > 0 && rc == 0)
        rc = db_exec(db, "SET SESSION time_zone='+00:00'");
    return rc;
}
