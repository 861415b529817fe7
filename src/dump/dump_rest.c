/*
 * dump_rest.c -- what goes with the rows and the objects: settings that the log
 * goes by; and what is left out, which is said.
 */
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/mem.h"
#include "pitr/zone.h"

/* How far the source's time zone is told beyond now. */
#define ZONE_AHEAD_S (32u * 86400u)

/*
 * What statements of the log go by and do not carry: an engine, and options,
 * that they do not name, what "utf8" is, what the time zone SYSTEM is, which
 * zones have names, which one sessions have.
 */
int
dump_settings_note(struct dump *d)
{
    struct db_result r;
    char *v = NULL;

    if (db_query(d->main, &r,
            "SELECT LOWER(VARIABLE_NAME), VARIABLE_VALUE FROM"
            " information_schema.GLOBAL_VARIABLES WHERE VARIABLE_NAME IN"
            " ('default_storage_engine', 'old_mode', 'innodb_page_size',"
            " 'innodb_compression_default', 'innodb_default_encryption_key_id',"
            " 'time_zone')"
            " UNION ALL SELECT 'named_time_zones', COUNT(*) FROM"
            " mysql.time_zone_name ORDER BY 1") < 0)
        return -1;
    for (size_t i = 0; i < r.rows; i++)
        manifest_set(d->m, db_text(&r, i, 0), db_text(&r, i, 1));
    db_result_free(&r);
    v = zone_of(d->main, d->m->info.snapshot_us / 1000000 + ZONE_AHEAD_S);
    if (v == NULL)
        return -1;
    manifest_set(d->m, "system_time_zone", v);
    free(v);
    return 0;
}

/* Somebody's own among the server's own: what it came with, in any version, and
 * what known plugins make. */
static int
warn_of_strangers(struct dump *d)
{
    struct db_result r;

    if (db_query(d->main, &r,
            "SELECT TABLE_SCHEMA, TABLE_NAME, 'table' FROM"
            " information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' AND"
            " (CAST(TABLE_SCHEMA AS BINARY) = 'mysql' AND TABLE_NAME NOT REGEXP"
            " '^(columns?_(stats|priv)|db|event|func|general_log|global_priv|"
            "gtid_slave_pos.*|help_.*|host|index_stats|innodb_.*|ndb_.*|"
            "password_reuse_.*|plugin|proc|procs_priv|proxies_priv|"
            "roles_mapping|servers|slow_log|spider_.*|table_stats|"
            "tables_priv|time_zone.*|transaction_registry|user|wsrep_.*)$'"
            " OR CAST(TABLE_SCHEMA AS BINARY) = 'sys' AND TABLE_NAME <> "
            "'sys_config')"
            " UNION ALL SELECT ROUTINE_SCHEMA, ROUTINE_NAME,"
            " LOWER(ROUTINE_TYPE) FROM information_schema.ROUTINES WHERE"
            " CAST(ROUTINE_SCHEMA AS BINARY) = 'mysql' AND ROUTINE_NAME NOT IN"
            " ('AddGeometryColumn', 'DropGeometryColumn')"
            " UNION ALL SELECT EVENT_SCHEMA, EVENT_NAME, 'event' FROM"
            " information_schema.EVENTS WHERE CAST(EVENT_SCHEMA AS BINARY)"
            " IN ('mysql', 'sys')"
            " ORDER BY 1, 2") < 0)
        return -1;
    for (size_t i = 0; i < r.rows; i++)
        dump_warn(d,
            "%s %s.%s is in a schema of the server's own, and not in the "
            "backup%s",
            db_text(&r, i, 2), db_text(&r, i, 0), db_text(&r, i, 1),
            strcmp(db_text(&r, i, 2), "table") == 0
                ? "; where the log writes to it, a restore has to leave it "
                  "out with --exclude"
                : "");
    db_result_free(&r);
    return 0;
}

/* From before MySQL 5.1, with a name that is none today. */
static int
warn_of_old_names(struct dump *d)
{
    struct db_result r;

    if (db_query(d->main, &r,
            "SELECT TABLE_SCHEMA, COUNT(*) FROM information_schema.TABLES WHERE"
            " LEFT(TABLE_SCHEMA, 9) = '#mysql50#' GROUP BY 1 ORDER BY 1") < 0)
        return -1;
    for (size_t i = 0; i < r.rows; i++)
        dump_warn(d,
            "schema %s with %s tables is not in the backup, since no server "
            "can make one of that name: ALTER DATABASE ... UPGRADE DATA "
            "DIRECTORY NAME gives it a proper one",
            db_text(&r, i, 0), db_text(&r, i, 1));
    db_result_free(&r);
    return 0;
}

/* What is not captured and would be missed is said. */
int
dump_rest_warn(struct dump *d)
{
    static const struct {
        const char *table, *what;
    } rest[] = {
        {"func", "user-defined functions (mysql.func)"},
        {"servers", "server definitions (mysql.servers)"},
    };

    for (size_t i = 0; i < NELEM(rest); i++) {
        uint64_t n = 0;

        if (db_value_u64(d->main, &n, "SELECT COUNT(*) FROM mysql.%s",
                rest[i].table) < 0)
            return -1;
        if (n > 0)
            dump_warn(d, "%llu %s are not part of the backup",
                (unsigned long long)n, rest[i].what);
    }
    return warn_of_old_names(d) < 0 ? -1 : warn_of_strangers(d);
}
