/*
 * load_session.c -- an object is created in a session like the one in which it
 * was created at first: its sql_mode, character sets, time zone and its
 * database's collation are stored with it by the server (sql/sp_head.cc,
 * sql/sql_trigger.cc, sql/event_data_objects.cc).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"

static bool
is_ascii(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s >= 0x80)
            return false;
    }
    return true;
}

static int
unhex(const char *hex, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        const char *a = strchr(digits, hex[0]), *b = strchr(digits, hex[1]);
        if (a == NULL || b == NULL)
            return err_set(ERR_FAILED, "not hexadecimal: \"%.20s\"", hex);
        buf_u8(out, (uint8_t)((a - digits) << 4 | (b - digits)));
    }
    return 0;
}

/* The statement in the character set that its client spoke. */
static int
in_charset(struct db *db, const char *sql, const char *charset, struct buf *out)
{
    char *q, *hex = NULL;
    int rc;

    if (charset[0] == '\0' || is_ascii(sql) ||
        strncasecmp(charset, "utf8", 4) == 0 ||
        strcasecmp(charset, "binary") == 0) {
        buf_str(out, sql);
        return 0;
    }
    q = load_quoted(sql);
    rc = db_value(db, &hex, "SELECT HEX(CONVERT(%s USING %s))", q, charset);
    if (rc > 0 && hex != NULL)
        rc = unhex(hex, out);
    free(q);
    free(hex);
    return rc;
}

static void
add_set(struct buf *b, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    buf_fmt(b, ", %s=", name);
    db_quote(b, value, strlen(value));
}

static int
enter(struct db *db, const struct load *l, const struct schema_object *o)
{
    struct buf b = {0};
    int rc;

    buf_str(&b, "SET SESSION sql_mode=");
    db_quote(&b, o->sql_mode, strlen(o->sql_mode));
    add_set(&b, "character_set_client", o->charset_client);
    add_set(&b, "collation_connection", o->collation_connection);
    add_set(&b, "time_zone", o->time_zone);
    /* An event may lie in the past by now, but did not at the snapshot. */
    if (o->kind == SCHEMA_EVENT)
        buf_fmt(&b, ", timestamp=%" PRIu64, l->event_s);
    rc = db_exec_bytes(db, (char *)b.data, b.len);
    buf_free(&b);
    return rc;
}

static int
leave(struct db *db)
{
    if (db_exec(db,
            "SET SESSION sql_mode=@pitr_sql_mode, "
            "time_zone='+00:00', timestamp=DEFAULT") < 0)
        return -1;
    return db_exec(db, "SET NAMES utf8mb4");
}

static int
set_collation(struct db *db, const char *schema, const char *collation)
{
    struct buf b = {0};
    int rc;

    buf_str(&b, "ALTER DATABASE ");
    db_ident(&b, schema);
    buf_fmt(&b, " COLLATE %s", collation);
    rc = db_exec_bytes(db, (char *)b.data, b.len);
    buf_free(&b);
    return rc;
}

/* *old is set where the schema's collation had to be changed. */
static int
enter_collation(struct db *db, const struct schema_object *o, char **old)
{
    char *now = NULL;

    if (o->collation_database[0] == '\0')
        return 0;
    if (db_value(db, &now, "SELECT @@collation_database") < 0)
        return -1;
    if (now == NULL || strcmp(now, o->collation_database) == 0) {
        free(now);
        return 0;
    }
    if (set_collation(db, o->schema, o->collation_database) < 0) {
        free(now);
        return -1;
    }
    *old = now;
    return 0;
}

int
load_object_create(struct db *db, const struct load *l,
    const struct schema_object *o, const char *sql)
{
    struct buf text = {0};
    struct err_saved *e = NULL;
    char *collation = NULL;
    int rc = -1;

    if (load_use(db, o->schema) < 0 ||
        in_charset(db, sql, o->charset_client, &text) < 0 ||
        enter_collation(db, o, &collation) < 0)
        goto out;
    rc = enter(db, l, o);
    if (rc == 0)
        rc = db_exec_bytes(db, (char *)text.data, text.len);
    if (rc < 0)
        e = err_take();
    if (leave(db) < 0 && rc == 0)
        rc = -1;

out:
    if (collation != NULL && set_collation(db, o->schema, collation) < 0 &&
        rc == 0)
        rc = -1;
    if (e != NULL)
        rc = err_put(e);
    free(collation);
    buf_free(&text);
    return rc;
}
