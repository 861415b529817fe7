/*
 * repl_open.c -- becoming a replica: what a replica sends before the events.
 *
 * Source: MariaDB sql/slave.cc (get_master_version_and_clock,
 * register_slave_on_master), sql/sql_repl.cc (init_binlog_sender).
 */
#include <mysql.h>
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>
#include "pitr/mem.h"
#include "pitr/times.h"
#include "repl_internal.h"

#define DUMP_NON_BLOCK 1
#define DUMP_ANNOTATE_ROWS 2

/* Nothing for this long, though a heartbeat is due much sooner, means that
 * the other end is gone. */
#define SILENCE_MIN_US (60 * (uint64_t)1000000)

/* How this replica wants its events: heartbeats, checksums as they are, GTIDs
 * and all that MariaDB has. */
static int
set_variables(struct repl *r, const struct repl_conf *conf)
{
    struct db *db = r->db;
    char *alg = NULL, *start = gtid_pos_text(&conf->start);
    int rc = -1;

    if (conf->heartbeat_us != 0 &&
        db_exec(db, "SET @master_heartbeat_period=%llu",
            (unsigned long long)conf->heartbeat_us * 1000) < 0)
        goto out;
    if (db_exec(db,
            "SET @master_binlog_checksum=@@global.binlog_checksum,"
            "@mariadb_slave_capability=4") < 0)
        goto out;
    if (db_value(db, &alg, "SELECT @master_binlog_checksum") < 0)
        goto out;
    /* Until the first Format_description says it. */
    r->fmt.checksum = alg != NULL && strcmp(alg, "NONE") != 0;
    /*
     * Strict where the server is: then a hole at our position is a gap.  Where
     * numbers may go back a hole cannot be told from that.
     */
    rc = db_exec(db,
        "SET @slave_connect_state='%s',"
        "@slave_gtid_strict_mode=@@global.gtid_strict_mode,"
        "@slave_gtid_ignore_duplicates=0",
        start);

out:
    free(alg);
    free(start);
    return rc;
}

/* Where the server waits for acknowledgements, be one of those that give
 * them. */
static int
set_semisync(struct repl *r)
{
    struct db_result res;
    const char *value;
    int rc = 0;

    if (db_query(r->db, &res,
            "SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_master_enabled'") < 0)
        return -1;
    value = db_cell(&res, 0, 1);
    if (value != NULL && strcmp(value, "ON") == 0) {
        rc = db_exec(r->db, "SET @rpl_semi_sync_slave=1");
        r->semisync = rc == 0;
    }
    db_result_free(&res);
    return rc;
}

/* server id u32; host, user, password as u8 size and bytes; port u16; rank
 * u32; primary's id u32. */
static int
register_replica(struct repl *r, const struct repl_conf *conf)
{
    struct buf b = {0};
    int rc;

    buf_u32(&b, conf->server_id);
    buf_u8(&b, 4);
    buf_str(&b, "pitr");
    buf_u8(&b, 0);
    buf_u8(&b, 0);
    buf_u16(&b, 0);
    buf_u32(&b, 0);
    buf_u32(&b, 0);
    rc = db_command(r->db, COM_REGISTER_SLAVE, b.data, b.len, NULL, NULL,
        "registering as a replica");
    buf_free(&b);
    return rc;
}

/* position u32, flags u16, server id u32, file name. */
static int
ask_for_events(struct repl *r, const struct repl_conf *conf)
{
    MYSQL *m = r->db->mysql;
    struct buf b = {0};
    int rc;

    buf_u32(&b, 4);
    buf_u16(&b, DUMP_ANNOTATE_ROWS | (conf->until_end ? DUMP_NON_BLOCK : 0));
    buf_u32(&b, conf->server_id);
    rc = m->methods->db_command(
        m, COM_BINLOG_DUMP, (const char *)b.data, b.len, 1, NULL);
    buf_free(&b);
    return rc != 0 ? db_fail(r->db, "asking for the binary log") : 0;
}

/* Being logged in already, "access denied" is about the privilege: say so in
 * place of the general advice. */
static void
hint_privilege(struct db *db)
{
    unsigned number = db_errno(db);
    char *text;

    if (number != ER_SPECIFIC_ACCESS_DENIED_ERROR &&
        number != ER_ACCESS_DENIED_ERROR)
        return;
    text = xstrdup(err_text());
    err_set(ERR_FAILED, "%s", text);
    err_hint("as an administrator run: GRANT REPLICATION SLAVE ON *.* TO the "
             "account");
    free(text);
}

struct repl *
repl_open(struct db *db, const struct repl_conf *conf)
{
    struct repl *r = xcalloc(1, sizeof *r);

    r->db = db;
    r->until_end = conf->until_end;
    r->wake_fd = conf->wake_fd > 0 ? conf->wake_fd : -1;
    r->heard_us = time_mono_us();
    r->silence_us = MAX(4 * conf->heartbeat_us, SILENCE_MIN_US);
    if (conf->heartbeat_us == 0)
        r->silence_us = UINT64_MAX;
    if (set_variables(r, conf) < 0 || (conf->semisync && set_semisync(r) < 0) ||
        (conf->server_id != 0 && register_replica(r, conf) < 0) ||
        ask_for_events(r, conf) < 0)
        goto fail;
    if (conf->heartbeat_us != 0)
        repl_set_read_timeout(r, r->silence_us);
    /* The first packet tells whether the server has that position. */
    if ((r->first = repl_packet(r)) == 0)
        goto fail;
    return r;

fail:
    hint_privilege(db);
    repl_close(r);
    return NULL;
}

void
repl_close(struct repl *r)
{
    if (r == NULL)
        return;
    db_break(r->db); /* events may be on the way: nothing can be said */
    db_close(r->db);
    buf_free(&r->format_event);
    buf_free(&r->file);
    free(r);
}
