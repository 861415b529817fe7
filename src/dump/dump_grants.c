/*
 * dump_grants.c -- the privileges that a backup and a stream need.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pitr/dump.h"
#include "pitr/mem.h"

static const struct {
    const char *name;
    unsigned since; /* version; 0: always (10.5 is the oldest) */
} needed[] = {
    {"SELECT", 0},            /* rows, mysql.* for accounts and routines */
    {"RELOAD", 0},            /* BACKUP STAGE */
    {"PROCESS", 0},           /* who blocks; open transactions */
    {"LOCK TABLES", 0},       /* tables without transactions, accounts */
    {"SHOW VIEW", 0},         /* SHOW CREATE VIEW */
    {"TRIGGER", 0},           /* SHOW CREATE TRIGGER */
    {"EVENT", 0},             /* SHOW CREATE EVENT */
    {"BINLOG MONITOR", 0},    /* SHOW MASTER STATUS, BINLOG_GTID_POS */
    {"REPLICATION SLAVE", 0}, /* reading the log */
    {"SHOW CREATE ROUTINE", 110300},
};

char *
dump_grants(unsigned version, const char *account)
{
    struct buf b = {0};

    for (size_t i = 0; i < NELEM(needed); i++) {
        if (needed[i].since > version)
            continue;
        buf_fmt(&b, "%s%s", b.len == 0 ? "GRANT " : ", ", needed[i].name);
    }
    buf_fmt(&b, " ON *.* TO %s", account);
    return buf_take(&b);
}

int
dump_missing_grants(struct db *db, struct buf *out)
{
    struct db_result r;

    /* Its own account and the role in force, as the view names grantees. */
    if (db_query(db, &r,
            "SELECT DISTINCT PRIVILEGE_TYPE FROM"
            " information_schema.USER_PRIVILEGES WHERE GRANTEE IN"
            " (CONCAT('''', LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER())"
            " - 1 - CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1))),"
            " '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), ''''),"
            " CONCAT('''', IFNULL(CURRENT_ROLE(), ''), '''@'''''))") < 0)
        return -1;
    for (size_t i = 0; i < NELEM(needed); i++) {
        bool have = needed[i].since > db_version(db);

        for (size_t k = 0; !have && k < r.rows; k++)
            have = strcasecmp(needed[i].name, db_text(&r, k, 0)) == 0;
        if (!have)
            buf_fmt(out, "%s\n", needed[i].name);
    }
    db_result_free(&r);
    return 0;
}
