/*
 * load_grant.c -- one GRANT, as SHOW GRANTS gave it.
 *
 * What is granted on a table stays when the table, or a column of it, is
 * dropped; but nobody can be given it then.  A log that revokes it later, or
 * makes the table again, goes by its being there.
 */
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"

#define NO_SUCH_TABLE 1146
#define NO_SUCH_COLUMN 1054
#define NO_SUCH_ROUTINE 1305

/* Its columns are those that the grant names. */
static int
for_table(struct db *db, struct stand_ins *s, const char *sql,
    const struct ddl_grant *g)
{
    char *before = xstrndup(sql, (size_t)(g->on - sql));
    struct ddl_names columns;
    int rc;

    ddl_names(before, &columns);
    if (columns.n == 0) {
        columns.v = xcalloc(1, sizeof *columns.v);
        columns.v[columns.n++] = xstrdup("a");
    }
    rc = stand_in_table(db, s, g->schema, g->name, &columns);
    ddl_names_free(&columns);
    free(before);
    return rc;
}

/* Only with its schema: alone it would take the grant with it as it goes. */
static int
for_routine(struct db *db, const struct load *l, struct stand_ins *s,
    const struct ddl_grant *g)
{
    bool function = strncmp(g->on, " ON FUNCTION ", 13) == 0;

    if (load_has_schema(l, g->schema) ||
        (!function && strncmp(g->on, " ON PROCEDURE ", 14) != 0))
        return -1;
    return stand_in_routine(db, s, function, g->schema, g->name, 0);
}

static int
make_missing(struct db *db, const struct load *l, struct stand_ins *s,
    const char *sql, const char *text)
{
    unsigned number = db_errno(db);
    struct ddl_grant g;
    char *column;
    int rc = -1;

    if (!ddl_grant_on(sql, &g))
        return -1;
    if (scope_is_system(NULL, g.schema)) {
        rc = -1;
    } else if (number == NO_SUCH_TABLE) {
        rc = for_table(db, s, sql, &g);
    } else if (number == NO_SUCH_ROUTINE) {
        rc = for_routine(db, l, s, &g);
    } else if (number == NO_SUCH_COLUMN &&
        (column = missing_column(text)) != NULL) {
        rc = stand_in_column(db, s, g.schema, g.name, column);
        free(column);
    }
    free(g.schema);
    free(g.name);
    return rc;
}

int
load_grant(struct db *db, const struct load *l, const char *sql)
{
    struct stand_ins s = {0};
    struct err_saved *e = NULL;
    char *tried = NULL;
    int rc;

    while ((rc = db_exec_bytes(db, sql, strlen(sql))) < 0) {
        char *text = xstrdup(err_text());
        bool again = err_kind() != ERR_UNREACHABLE && !stop_asked() &&
            (tried == NULL || strcmp(tried, text) != 0);

        e = err_take();
        free(tried);
        tried = text;
        if (!again || make_missing(db, l, &s, sql, text) < 0)
            break;
        err_saved_free(e);
        e = NULL;
    }
    rc = stand_ins_end(db, &s, rc, e);
    free(tried);
    return rc;
}
