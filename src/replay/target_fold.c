/*
 * target_fold.c -- what a target has that does not let transactions or
 * statements be joined (feed_fold.c, feed_batch.c), as it is before the replay.
 * What comes after that is seen in the log's statements.
 */
#include <stdlib.h>
#include <string.h>
#include "feed.h"
#include "pitr/log.h"
#include "pitr/mem.h"

/*
 * InnoDB's dictionary tells versioning columns by one of two bits of PRTYPE
 * (DATA_VERS_START, DATA_VERS_END: data0type.h; both are of a column that is
 * versioned), and a transaction's number from a time by MTYPE (DATA_INT);
 * reading it opens no table.
 */
static int
may_fold(struct db *db)
{
    uint64_t logs, versioned;

    if (db_value_u64(db, &logs,
            "SELECT @@global.log_bin AND @@global.log_slave_updates") < 0 ||
        db_value_u64(db, &versioned,
            "SELECT COUNT(*) FROM information_schema.INNODB_SYS_COLUMNS "
            "WHERE MTYPE = 6 AND (PRTYPE & 49152) IN (16384, 32768)") < 0)
        return -1;
    return logs == 0 && versioned == 0 ? 1 : 0;
}

/*
 * A name as files have it: what is no letter, digit or _ is @ and four digits
 * of its code.  NULL for others than ASCII, which have forms of their own.
 */
static char *
plain_name(const char *name)
{
    char *out = xmalloc(strlen(name) + 1), *to = out;

    for (const char *p = name; *p != '\0'; p++) {
        char code[5] = {0}, *end = NULL;

        if (*p != '@') {
            *to++ = *p;
            continue;
        }
        memcpy(code, p + 1, strnlen(p + 1, 4));
        *to = (char)strtoul(code, &end, 16);
        if (end != code + 4 || strncmp(code, "00", 2) != 0 || *to <= 0) {
            free(out);
            return NULL;
        }
        to++;
        p += 4;
    }
    *to = '\0';
    return out;
}

/* The tables that foreign keys refer to; of the dictionary, too.  1, 0 where
 * one has a name that cannot be compared, -1. */
static int
parents(struct db *db, struct feed_batch *b)
{
    struct db_result r = {0};
    char **name;
    size_t n = 0;
    bool all;

    if (db_query(db, &r,
            "SELECT DISTINCT REF_NAME FROM "
            "information_schema.INNODB_SYS_FOREIGN") < 0)
        return -1;
    name = xcalloc(r.rows + 1, sizeof(*name));
    while (n < r.rows && (name[n] = plain_name(db_cell(&r, n, 0))) != NULL)
        n++;
    feed_batch_parents(b, name, n);
    all = n == r.rows;
    db_result_free(&r);
    return all ? 1 : 0;
}

int
target_may_fold(struct target *t, struct feed_fold *out)
{
    struct db *db = target_db(t);
    uint64_t merge;
    int rc = may_fold(db);

    out->on = rc == 1;
    if (rc != 1)
        return rc;
    if (db_value_u64(db, &merge,
            "SELECT COUNT(*) FROM information_schema.TABLES "
            "WHERE ENGINE = 'MRG_MyISAM'") < 0 ||
        (rc = parents(db, &out->batch)) < 0)
        return -1;
    out->batch.on = merge == 0 && rc == 1;
    log_debug("replay: small transactions are given as one, their statements "
              "%s; foreign keys refer to %zu tables",
        out->batch.on ? "too" : "are not", out->batch.parents);
    return 0;
}
