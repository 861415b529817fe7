/*
 * load_claim.c -- one restore at a time into a server: a lock of that server,
 * held by a connection of its own, which ends with the process.
 *
 * The mark (load_mark.c) stays when a restore dies; by itself it does not tell
 * whether one is at work, and who takes it for a dead one's drops what that one
 * has made.
 */
#include "load_priv.h"

#define LOCK "'pitr restore'"

/* Who has it; the connection's number is what KILL takes. */
static int
refuse(struct db *db)
{
    uint64_t id = 0;

    if (db_value_u64(db, &id, "SELECT COALESCE(IS_USED_LOCK(" LOCK "), 0)") < 0)
        return -1;
    err_set(ERR_LOCKED,
        "target (%s): another restore into it is at work (connection %llu)",
        db_where(db), (unsigned long long)id);
    return err_hint("Wait until it has ended. If it is none any more (its "
                    "machine is gone, say), run on the target: KILL %llu;",
        (unsigned long long)id);
}

struct db *
load_claim(const struct db_conf *target)
{
    struct db *db = db_open(target, "target");
    uint64_t got = 0;
    int rc = -1;

    /* It waits, for as long as the restore takes. */
    if (db != NULL && db_exec(db, "SET SESSION wait_timeout=31536000") == 0)
        rc =
            db_value_u64(db, &got, "SELECT COALESCE(GET_LOCK(" LOCK ", 1), 0)");
    if (rc >= 0 && got == 1)
        return db;
    if (rc >= 0)
        refuse(db);
    db_close(db);
    return NULL;
}
