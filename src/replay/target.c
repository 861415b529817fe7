/*
 * target.c -- the target's side: is it fit, its settings for the time, its
 * replication connection, and everything put back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "feed.h"
#include "pitr/digest.h"
#include "pitr/load.h"
#include "pitr/log.h"
#include "pitr/mem.h"

#define CONNECTION "pitr"
#define HEARTBEAT_MS 5000u
#define RELAY_LOG_MIN 65536u
#define RELAY_LOG_MAX (1u << 30)

#define UTF8_IS_UTF8MB3 "UTF8_IS_UTF8MB3"

/* Global settings as the applier needs them. */
static const struct {
    const char *name;
    const char *value; /* NULL: what was chosen, or the source has */
} settings[] = {
    {"server_id", NULL},
    {"default_storage_engine", NULL},
    {"old_mode", NULL},
    {"innodb_compression_default", NULL},
    {"innodb_default_encryption_key_id", NULL},
    {"time_zone", NULL}, /* of rows: generated columns may go by it */
    /* What the source took, strict or not. */
    {"innodb_strict_mode", "OFF"},
    {"max_heap_table_size", "18446744073709547520"},
    {"gtid_strict_mode", "0"}, /* logs may be out of order */
    {"gtid_ignore_duplicates", "0"},
    {"slave_exec_mode", "STRICT"},
    {"slave_run_triggers_for_rbr", "NO"},
    {"slave_max_allowed_packet", "1073741824"},
    /* A large event is sent when it has been read as a whole, and a place far
     * into a segment is sought: from a slow vault that takes its time.  A
     * target that began anew each time would never get past it. */
    {"slave_net_timeout", "86400"},
    {"replicate_events_marked_for_skip", "REPLICATE"},
    {"relay_log_purge", "1"},
    /* After a crash of the target a restore starts anew. */
    {"sync_relay_log", "0"},
    {"sync_relay_log_info", "0"},
    {"sync_master_info", "0"},
};

struct target {
    const struct replay_conf *conf;
    struct db *db;
    uint32_t server_id;
    char *before[NELEM(settings)]; /* NULL: not changed */
    bool connected;
    char *own_position; /* to be put back; NULL: it is not */
};

int
target_quiet(struct db *db)
{
    return db_exec(db, "SET SESSION sql_log_off=1, slow_query_log=0");
}

struct target *
target_open(const struct replay_conf *conf)
{
    struct target *t = xcalloc(1, sizeof(*t));

    t->conf = conf;
    if ((t->db = db_open(conf->target, "target")) == NULL ||
        target_quiet(t->db) < 0) {
        target_close(t);
        return NULL;
    }
    return t;
}

void
target_close(struct target *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < NELEM(settings); i++)
        free(t->before[i]);
    db_close(t->db);
    free(t->own_position);
    free(t);
}

struct db *
target_db(struct target *t)
{
    return t->db;
}

uint32_t
target_server_id(const struct target *t)
{
    return t->server_id;
}

static bool
in_position(const struct gtid_pos *p, uint32_t id)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].server == id)
            return true;
    return false;
}

/* Is it the id of a server that the catalogue knows of? */
static bool
known_server(const struct catalog *c, uint32_t id)
{
    for (size_t i = 0; i < c->segments; i++) {
        const struct segment_info *s = &c->segment[i];

        if (s->start.server_id == id || in_position(&s->start.gtid, id) ||
            in_position(&s->state.gtid, id))
            return true;
    }
    for (size_t i = 0; i < c->backups; i++)
        if (c->backup[i].server_id == id)
            return true;
    return false;
}

/*
 * An applier drops events that have its own id, without a word.  The catalogue
 * need not know every id in the log, so the target gets a random one; the feed
 * sees whether that is in the log after all.
 */
static uint32_t
choose_server_id(const struct catalog *c)
{
    uint32_t id;

    do {
        random_bytes(&id, sizeof(id));
        id |= 0x40000000; /* unlike those that people choose */
    } while (known_server(c, id) || id == UINT32_MAX);
    return id;
}

/* A connection that an interrupted replay left behind. */
static int
remove_leftover(struct target *t)
{
    log_info("replay: removing the replication connection of a replay that was "
             "interrupted");
    t->connected = true;
    return target_disconnect(t);
}

static bool
is_ours(const struct db_result *r, size_t row)
{
    const char *name = db_cell_by(r, row, "Connection_name");
    const char *user = db_cell_by(r, row, "Master_User");

    return name != NULL && strcasecmp(name, CONNECTION) == 0 && user != NULL &&
        strcmp(user, FEED_USER) == 0;
}

/* Its replay was killed if nobody answers it any more. */
int
target_end_leftover(struct target *t)
{
    struct db_result r = {0};
    int rc = db_query(t->db, &r, "SHOW ALL SLAVES STATUS");

    for (size_t i = 0; rc == 0 && i < r.rows; i++) {
        const char *io = db_cell_by(&r, i, "Slave_IO_Running");

        if (is_ours(&r, i) && (io == NULL || strcmp(io, "Yes") != 0))
            rc = remove_leftover(t);
    }
    db_result_free(&r);
    return rc;
}

static int
check_replication(struct target *t)
{
    struct db_result r = {0};
    bool leftover = false;
    int rc = -1;

    if (db_query(t->db, &r, "SHOW ALL SLAVES STATUS") < 0)
        goto out;
    for (size_t i = 0; i < r.rows; i++) {
        const char *name = db_cell_by(&r, i, "Connection_name");

        if (is_ours(&r, i)) {
            leftover = true;
            continue;
        }
        err_set(ERR_FAILED, "the target is a replica (connection '%s')",
            name == NULL ? "" : name);
        err_hint("A replay sets the target's replication position.  Restore "
                 "into another server, or remove its replication with STOP "
                 "SLAVE and RESET SLAVE ALL.");
        goto out;
    }
    rc = leftover ? remove_leftover(t) : 0;

out:
    db_result_free(&r);
    return rc;
}

static int
check_skipping(struct target *t)
{
    char *skip = NULL;
    int rc = db_value(t->db, &skip, "SELECT @@global.slave_skip_errors");

    if (rc > 0 && skip != NULL && strcasecmp(skip, "OFF") != 0 &&
        skip[0] != '\0') {
        err_set(ERR_FAILED, "the target has slave_skip_errors=%s", skip);
        err_hint("Remove slave_skip_errors from its configuration and restart "
                 "it: a replay must not pass over errors.");
        rc = -1;
    }
    free(skip);
    return rc < 0 ? -1 : 0;
}

/* Without UTF8_IS_UTF8MB3, of which a server before 10.6 has no word.  Owned.
 */
static char *
old_mode_without(const char *value)
{
    char *copy = xstrdup(value), *save = NULL;
    struct buf out = {0};

    for (char *w = strtok_r(copy, ",", &save); w != NULL;
         w = strtok_r(NULL, ",", &save))
        if (strcmp(w, UTF8_IS_UTF8MB3) != 0)
            buf_fmt(&out, "%s%s", out.len > 0 ? "," : "", w);
    free(copy);
    return buf_take(&out);
}

/*
 * Statements of the log do not carry these.  Before 10.6 nothing but utf8mb3
 * could be "utf8", and old_mode had no word for it.  Owned, NULL: not changed.
 */
static char *
source_setting(struct target *t, const char *name)
{
    const char *value = manifest_setting(t->conf->source, name), *version;
    bool knows = db_version(t->db) >= 100601;

    if (value == NULL)
        return NULL;
    /* Who else works on the target sees it. */
    if (strcmp(name, "time_zone") == 0 &&
        manifest_setting(t->conf->source, "zoned_tables") == NULL)
        return NULL;
    version = t->conf->source->info.server_version;
    if (strcmp(name, "old_mode") == 0 && !knows)
        return old_mode_without(value);
    if (strcmp(name, "old_mode") == 0 && strncmp(version, "10.5.", 5) == 0)
        return xasprintf(
            "%s%s" UTF8_IS_UTF8MB3, value, value[0] != '\0' ? "," : "");
    return xstrdup(value);
}

/* Of the source's, one that the target does not know may never be needed. */
static int
setting_change(struct target *t, size_t i, const char *value, bool must)
{
    char *before = NULL;

    if (load_settings_remember(t->db, settings[i].name, &before) < 0)
        return -1;
    if (before == NULL)
        return 0;
    if (load_settings_set(t->db, settings[i].name, value) == 0) {
        t->before[i] = before;
        return 0;
    }
    free(before);
    if (must)
        return -1;
    log_warn("the source had %s=%s, which the target does not take (%s): "
             "statements of the log that go by it have the target's",
        settings[i].name, value, err_text());
    err_clear();
    return 0;
}

static int
setting_apply(struct target *t, size_t i)
{
    char *own = NULL;
    const char *value = settings[i].value;
    bool must = true;
    int rc = 0;

    if (value == NULL && strcmp(settings[i].name, "server_id") == 0) {
        value = own = xasprintf("%" PRIu32, t->server_id);
    } else if (value == NULL) {
        value = own = source_setting(t, settings[i].name);
        must = false;
    }
    if (value != NULL)
        rc = setting_change(t, i, value, must);
    free(own);
    return rc;
}

/* What they were is written down in the target, and not in its log. */
static int
settings_apply(struct target *t)
{
    if (db_exec(t->db, "SET SESSION sql_log_bin=0") < 0)
        return -1;
    for (size_t i = 0; i < NELEM(settings); i++)
        if (setting_apply(t, i) < 0)
            return -1;
    return db_exec(t->db, "SET SESSION sql_log_bin=1");
}

static int
settings_back(struct target *t)
{
    int rc = 0;

    for (size_t i = NELEM(settings); i-- > 0;) {
        if (t->before[i] == NULL)
            continue;
        if (load_settings_set(t->db, settings[i].name, t->before[i]) < 0)
            rc = err_wrap("putting back the target's %s", settings[i].name);
        free(t->before[i]);
        t->before[i] = NULL;
    }
    return rc;
}

static int
set_position(struct target *t, const struct gtid_pos *pos)
{
    char *text = gtid_pos_text(pos);
    int rc = db_exec(t->db, "SET GLOBAL gtid_slave_pos = '%s'", text);

    free(text);
    return rc;
}

int
target_check(struct target *t)
{
    return check_replication(t) < 0 || check_skipping(t) < 0 ? -1 : 0;
}

int
target_prepare(struct target *t)
{
    if (target_check(t) < 0)
        return -1;
    t->server_id = choose_server_id(t->conf->catalog);
    if (settings_apply(t) < 0)
        return -1;
    /* Of a part, the target keeps its own: it has not all of that log. */
    if (scope_active(t->conf->scope) &&
        db_value(t->db, &t->own_position, "SELECT @@global.gtid_slave_pos") < 0)
        return -1;
    return set_position(
        t, &t->conf->catalog->backup[t->conf->plan->backup].gtid);
}

/* Filters of the target's configuration would silently leave things out. */
static int
check_filters(struct target *t)
{
    struct db_result r = {0};
    int rc = -1;

    if (db_query(t->db, &r, "SHOW SLAVE '" CONNECTION "' STATUS") < 0)
        goto out;
    for (size_t i = 0; i < r.cols && r.rows > 0; i++) {
        const char *v = db_cell(&r, 0, i);

        if (strncasecmp(r.name[i], "Replicate_", 10) != 0 || v == NULL ||
            v[0] == '\0')
            continue;
        err_set(ERR_FAILED, "the target filters replication: %s is %s",
            r.name[i], v);
        err_hint("Remove the replicate-* settings from the target's "
                 "configuration for the restore.");
        goto out;
    }
    rc = 0;

out:
    db_result_free(&r);
    return rc;
}

/* Often enough also for a target whose slave_net_timeout somebody made short
 * while we run. */
static int
change_master(struct target *t, unsigned port, const char *password)
{
    uint64_t timeout_s, period_ms;

    if (db_value_u64(t->db, &timeout_s, "SELECT @@global.slave_net_timeout") <
        0)
        return -1;
    period_ms = MIN(HEARTBEAT_MS, timeout_s * 500);
    t->connected = true;
    return db_exec(t->db,
        "CHANGE MASTER '" CONNECTION "' TO MASTER_HOST='127.0.0.1', "
        "MASTER_PORT=%u, MASTER_USER='" FEED_USER "', MASTER_PASSWORD='%s', "
        "MASTER_USE_GTID=slave_pos, MASTER_SSL=0, MASTER_CONNECT_RETRY=1, "
        "MASTER_HEARTBEAT_PERIOD=%" PRIu64 ".%03" PRIu64,
        port, password, period_ms / 1000, period_ms % 1000);
}

/* Relay logs are removed whole, when they have been applied: small ones give
 * back their disk soon.  The setting is that of this connection only. */
static int
limit_relay_log(struct target *t)
{
    uint64_t size = t->conf->ahead_bytes / 4;

    size = MIN(MAX(size, RELAY_LOG_MIN), RELAY_LOG_MAX);
    if (db_exec(t->db, "SET default_master_connection='" CONNECTION "'") < 0 ||
        db_exec(t->db, "SET GLOBAL max_relay_log_size=%" PRIu64,
            size / 4096 * 4096) < 0)
        return -1;
    return db_exec(t->db, "SET default_master_connection=''");
}

int
target_connect(
    struct target *t, unsigned port, const char *password, const char *threads)
{
    if (change_master(t, port, password) < 0 || limit_relay_log(t) < 0 ||
        check_filters(t) < 0)
        return -1;
    return db_exec(t->db, "START SLAVE '" CONNECTION "' %s", threads);
}

static unsigned
cell_number(const struct db_result *r, const char *column)
{
    const char *v = db_cell_by(r, 0, column);

    return v == NULL ? 0 : (unsigned)strtoul(v, NULL, 10);
}

int
target_status(struct target *t, struct target_status *out)
{
    struct db_result r = {0};
    const char *io, *sql, *state, *space;

    memset(out, 0, sizeof(*out));
    if (db_query(t->db, &r, "SHOW SLAVE '" CONNECTION "' STATUS") < 0) {
        db_result_free(&r);
        return -1;
    }
    if (r.rows != 1) {
        db_result_free(&r);
        return err_set(ERR_FAILED,
            "somebody removed the target's replication "
            "connection '" CONNECTION "'");
    }
    io = db_cell_by(&r, 0, "Slave_IO_Running");
    sql = db_cell_by(&r, 0, "Slave_SQL_Running");
    state = db_cell_by(&r, 0, "Slave_SQL_Running_State");
    space = db_cell_by(&r, 0, "Relay_Log_Space");
    out->io_running = io != NULL && strcmp(io, "No") != 0;
    out->sql_running = sql != NULL && strcmp(sql, "No") != 0;
    out->idle = state != NULL &&
        strncmp(state, "Slave has read all relay log", 28) == 0;
    out->relay_bytes = space == NULL ? 0 : strtoull(space, NULL, 10);
    out->io_errno = cell_number(&r, "Last_IO_Errno");
    out->sql_errno = cell_number(&r, "Last_SQL_Errno");
    out->io_error = xstrdup(db_cell_by(&r, 0, "Last_IO_Error"));
    out->sql_error = xstrdup(db_cell_by(&r, 0, "Last_SQL_Error"));
    db_result_free(&r);
    return 0;
}

void
target_status_free(struct target_status *s)
{
    free(s->io_error);
    free(s->sql_error);
    s->io_error = s->sql_error = NULL;
}

int
target_position(struct target *t, struct gtid_pos *out)
{
    char *text = NULL;
    int rc = db_value(t->db, &text, "SELECT @@global.gtid_slave_pos");

    if (rc == 0)
        rc = err_set(ERR_FAILED, "the target has no gtid_slave_pos");
    if (rc > 0)
        rc = gtid_pos_parse(text == NULL ? "" : text, out);
    free(text);
    return rc < 0 ? -1 : 0;
}

int
target_disconnect(struct target *t)
{
    if (!t->connected)
        return 0;
    if (db_exec(t->db, "STOP SLAVE '" CONNECTION "'") < 0 ||
        db_exec(t->db, "RESET SLAVE '" CONNECTION "' ALL") < 0)
        return err_wrap("removing the target's replication connection");
    t->connected = false;
    return 0;
}

/* XA transactions that the cutoff split are still prepared. */
static int
roll_back_prepared(struct target *t, const struct feed_opens *opens)
{
    int rc;

    /* Its own log has the preparing only if it logs what it replicates. */
    rc = db_exec(t->db, "SET SESSION sql_log_bin=@@global.log_slave_updates");
    for (size_t i = 0; i < opens->n && rc == 0; i++) {
        struct buf xid = {0};

        if ((opens->v[i].flags & GTID_FL_PREPARED_XA) == 0)
            continue;
        feed_xid_sql(&opens->v[i].xid, &xid);
        rc = db_exec(t->db, "XA ROLLBACK %s", buf_cstr(&xid));
        buf_free(&xid);
    }
    if (rc == 0)
        rc = db_exec(t->db, "SET SESSION sql_log_bin=1");
    return rc;
}

int
target_finish(struct target *t, const struct feed_opens *opens,
    const struct gtid_pos *pos)
{
    int rc = target_disconnect(t);

    if (rc == 0 && opens != NULL && roll_back_prepared(t, opens) < 0)
        rc = err_wrap("an XA transaction that the cutoff leaves out");
    /* What was not passed on counts as done, too. */
    if (rc == 0 && t->own_position != NULL)
        rc = db_exec(t->db, "SET GLOBAL gtid_slave_pos='%s'", t->own_position);
    else if (rc == 0 && pos != NULL)
        rc = set_position(t, pos);
    if (settings_back(t) < 0)
        rc = -1;
    return rc;
}
