/*
 * dump_log.c -- does the server's log have all that is changed there?
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dump_priv.h"
#include "pitr/mem.h"

static bool
is_node(struct db *db)
{
    struct db_result r;
    bool is;

    if (db_query(db, &r, "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'") < 0) {
        err_clear();
        return false;
    }
    is = strcasecmp(db_text(&r, 0, 1), "ON") == 0;
    db_result_free(&r);
    return is;
}

/* Has it applied what its log does not have? */
static int
has_applied(struct db *db)
{
    struct gtid_pos is = {0}, applied = {0};
    struct db_result r;
    int rc = -1;

    if (db_query(db, &r,
            "SELECT @@global.gtid_binlog_pos, @@global.gtid_slave_pos") < 0)
        return -1;
    if (gtid_pos_parse(db_text(&r, 0, 0), &is) == 0 &&
        gtid_pos_parse(db_text(&r, 0, 1), &applied) == 0)
        rc = !gtid_pos_covered(&applied, &is);
    gtid_pos_free(&is);
    gtid_pos_free(&applied);
    db_result_free(&r);
    return rc;
}

/* One that stands still counts as well: by its connections, which needs SLAVE
 * MONITOR, or else by its position. */
static int
is_replica(struct db *db)
{
    struct db_result r;
    bool is;

    if (db_query(db, &r, "SHOW GLOBAL STATUS LIKE 'Slaves_running'") < 0)
        return -1;
    is = strtoull(db_text(&r, 0, 1), NULL, 10) > 0;
    db_result_free(&r);
    if (is)
        return 1;
    if (db_query(db, &r, "SHOW ALL SLAVES STATUS") < 0) {
        err_clear();
        return has_applied(db);
    }
    is = r.rows > 0;
    db_result_free(&r);
    return is;
}

int
dump_log_lacks(struct db *db, const char **why)
{
    uint64_t updates = 1;
    int rc;

    if (db_value_u64(db, &updates, "SELECT @@global.log_slave_updates") < 0)
        return -1;
    if (updates != 0)
        return 0;
    if (is_node(db)) {
        *why = "this node of a cluster does not log what other nodes write "
               "(log_slave_updates is off): such changes after a backup "
               "cannot be restored";
        return 1;
    }
    if ((rc = is_replica(db)) > 0)
        *why = "this replica does not log what it replicates "
               "(log_slave_updates is off): such changes after a backup "
               "cannot be restored";
    return rc;
}
