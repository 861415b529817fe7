/*
 * check_semisync.c -- does the server wait for acknowledgements, how long, and
 * whose?
 *
 * MariaDB waits for one replica, whichever is first.  So a stream that
 * acknowledges stands in for a replica that lags: that one may then be without
 * what was confirmed, which is wanted for backups and not for failover.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check.h"
#include "pitr/db.h"
#include "pitr/state.h"

/* Longer than that, and clients give up before the server does. */
#define TIMEOUT_MS 60000

static bool
acknowledges(const struct conf_server *s)
{
    return s->acknowledge != NULL && strcmp(s->acknowledge, "no") != 0;
}

static uint64_t
clients(struct db *db)
{
    uint64_t n = 0;

    if (db_value_u64(db, &n,
            "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
            "WHERE VARIABLE_NAME = 'Rpl_semi_sync_master_clients'") < 0)
        err_clear();
    return n;
}

/* Is the stream one of them? */
static bool
is_client(const struct conf_server *s)
{
    struct state *st = NULL;
    bool yes;

    if (s->repository != NULL)
        st = state_load(s->repository, "stream");
    yes = state_get_u64(st, "connected") != 0 &&
        state_get_u64(st, "semisync_on") != 0;
    state_free(st);
    return yes;
}

static void
check_wait_point(struct db *db, struct findings *f)
{
    char *v = NULL;

    if (check_variable(db, "rpl_semi_sync_master_wait_point", &v) < 0)
        check_fault(f);
    else if (strcasecmp(v, "AFTER_SYNC") != 0)
        check_doubt(f,
            "rpl_semi_sync_master_wait_point=%s: others see a transaction "
            "before it is acknowledged, and may act on what is lost then; set "
            "AFTER_SYNC",
            v);
    else
        check_good(f, "rpl_semi_sync_master_wait_point=AFTER_SYNC");
    free(v);
}

static void
check_timeout(struct db *db, struct findings *f)
{
    char *v = NULL;
    uint64_t ms;

    if (check_variable(db, "rpl_semi_sync_master_timeout", &v) < 0) {
        check_fault(f);
        return;
    }
    ms = strtoull(v, NULL, 10);
    free(v);
    if (ms > TIMEOUT_MS)
        check_doubt(f,
            "rpl_semi_sync_master_timeout=%" PRIu64 " ms: while nobody "
            "acknowledges, each commit stands still for that long",
            ms);
    else
        check_good(f,
            "rpl_semi_sync_master_timeout=%" PRIu64 " ms: after that the "
            "server goes on without acknowledgements, and \"pitr status\" "
            "says so",
            ms);
}

void
check_semisync(struct db *db, const struct conf_server *s, struct findings *f)
{
    char *on = NULL;
    uint64_t n;
    bool enabled, ours = acknowledges(s);

    if (check_variable(db, "rpl_semi_sync_master_enabled", &on) < 0) {
        err_clear(); /* an old server, without the plugin */
        if (ours)
            check_doubt(f,
                "acknowledge = %s, but the server cannot wait: it has no "
                "rpl_semi_sync_master_enabled",
                s->acknowledge);
        return;
    }
    enabled = strcmp(on, "1") == 0 || strcasecmp(on, "ON") == 0;
    free(on);
    if (!ours && !enabled)
        return;
    if (ours && !enabled) {
        check_doubt(f,
            "acknowledge = %s, but rpl_semi_sync_master_enabled=OFF: the "
            "server does not wait, and what it confirms may be lost with it",
            s->acknowledge);
        return;
    }
    n = clients(db);
    if (ours && is_client(s) && n > 0)
        n--;
    if (!ours) {
        check_good(f,
            "the server waits for one of %" PRIu64 " replicas; pitr does not "
            "acknowledge (acknowledge = no)",
            n);
        return;
    }
    check_wait_point(db, f);
    check_timeout(db, f);
    if (n > 0)
        check_doubt(f,
            "the server waits for one acknowledgement, and has %" PRIu64
            " other replica%s that give%s them: pitr stands in for one that "
            "lags, so a failover to it may lack what was confirmed",
            n, n == 1 ? "" : "s", n == 1 ? "s" : "");
    else
        check_good(f, "acknowledge = %s: the server waits for pitr alone",
            s->acknowledge);
}
