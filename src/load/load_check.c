/*
 * load_check.c -- is the target fit for this backup?  Nothing is written here.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/zone.h"

unsigned
load_major_minor(const char *text)
{
    unsigned long major, minor;
    char *end;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    major = strtoul(text, &end, 10);
    if (*end != '.' || end[1] < '0' || end[1] > '9')
        return 0;
    minor = strtoul(end + 1, NULL, 10);
    return major > 1000 || minor > 99 ? 0 : (unsigned)(major * 100 + minor);
}

static int
check_version(struct db *db, const struct load_conf *c)
{
    unsigned source = load_major_minor(c->manifest->info.server_version);
    unsigned target = db_version(db) / 100;
    /* The source was upgraded after the backup. */
    bool log = load_major_minor(c->log_version) > MAX(source, target);

    if (target < 1005) {
        err_set(ERR_FAILED, "target (%s) is MariaDB %s, which is too old",
            db_where(db), db_version_text(db));
        return err_hint("MariaDB 10.5 or newer is needed");
    }
    for (size_t i = 0; i < c->manifest->tables; i++) {
        const struct manifest_table *t = &c->manifest->table[i];
        if (t->history && !t->left_out && target < 1011) {
            err_set(ERR_FAILED,
                "table %s.%s keeps its history, which a server "
                "before 10.11 cannot be given back (target is %s)",
                t->schema, t->name, db_version_text(db));
            return err_hint("restore into MariaDB 10.11 or newer");
        }
    }
    if ((source <= target && !log) || c->force_version)
        return 0;
    err_set(ERR_FAILED, "the %s is of MariaDB %s, the target (%s) is only %s",
        log ? "log" : "backup",
        log ? c->log_version : c->manifest->info.server_version, db_where(db),
        db_version_text(db));
    return err_hint("restore into the same or a newer version, or try "
                    "--force");
}

/* SHOW ALL SLAVES STATUS, a replica that runs: gtid_slave_pos cannot be set. */
static int
check_replica(struct db *db)
{
    struct db_result r = {0};
    int rc = 0;

    if (db_query(db, &r, "SHOW ALL SLAVES STATUS") < 0)
        return -1;
    for (size_t i = 0; i < r.rows && rc == 0; i++) {
        const char *io = db_cell_by(&r, i, "Slave_IO_Running");
        const char *sql = db_cell_by(&r, i, "Slave_SQL_Running");
        const char *name = db_cell_by(&r, i, "Connection_name");
        if ((io == NULL || strcmp(io, "No") == 0) &&
            (sql == NULL || strcmp(sql, "No") == 0))
            continue;
        rc = err_set(ERR_FAILED,
            "target (%s) is a replica, connection '%s' is running",
            db_where(db), name == NULL ? "" : name);
        err_hint("restore into another server or --sandbox DIR; or run "
                 "STOP ALL SLAVES on the target");
    }
    db_result_free(&r);
    return rc;
}

static int
check_cluster(struct db *db)
{
    struct db_result r = {0};
    const char *size;
    int rc = 0;

    if (db_query(db, &r, "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'") < 0)
        return -1;
    size = r.rows > 0 ? db_cell(&r, 0, 1) : NULL;
    if (size != NULL && strtoul(size, NULL, 10) > 1) {
        rc = err_set(ERR_FAILED,
            "target (%s) is a node of a Galera cluster of %s: what is loaded "
            "would not reach the others",
            db_where(db), size);
        err_hint("stop the other nodes, restore into this one, then let them "
                 "join again by a full state transfer");
    }
    db_result_free(&r);
    return rc;
}

/* Streams of pitr number themselves from here on. */
#define STREAM_ID 0x70000000u

/* Registered ones, without streams of pitr.  -1: it is not told. */
static int
count_replicas(struct db *db)
{
    struct db_result r = {0};
    int n = 0;

    if (db_query(db, &r, "SHOW SLAVE HOSTS") < 0) {
        err_clear();
        return -1;
    }
    for (size_t i = 0; i < r.rows; i++)
        n += strtoul(db_text(&r, i, 0), NULL, 10) < STREAM_ID;
    db_result_free(&r);
    return n;
}

/*
 * The load is not logged; but a target that logs what it replicates has the
 * replay in its log, and replicas would be sent changes of tables that they do
 * not have.
 */
static int
check_replicas(struct db *db, const struct load_conf *c)
{
    int n = count_replicas(db);
    uint64_t logs = 0;

    if (n <= 0)
        return 0;
    if (db_value_u64(db, &logs,
            "SELECT @@global.log_bin AND @@global.log_slave_updates") < 0)
        return -1;
    if (logs != 0 && c->log_version != NULL && !c->force_version) {
        err_set(ERR_FAILED,
            "target (%s) has %d replica%s and log_slave_updates on: %s would "
            "be sent the replay without the tables that it goes into, and stop",
            db_where(db), n, n == 1 ? "" : "s", n == 1 ? "it" : "they");
        return err_hint("Restore with --sandbox DIR, and take from there what "
                        "is wanted. Or detach the replicas, and set them up "
                        "anew from this server afterwards; --force does it "
                        "all the same.");
    }
    log_warn("target (%s) has %d replica%s: the restore does not reach %s, and "
             "replication stops where a later statement needs what was "
             "restored",
        db_where(db), n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
    return 0;
}

static const char *
engine_file(const char *engine)
{
    static const char *const known[][2] = {
        {"ARCHIVE", "ha_archive"},
        {"BLACKHOLE", "ha_blackhole"},
        {"FEDERATED", "ha_federatedx"},
        {"CONNECT", "ha_connect"},
        {"SPIDER", "ha_spider"},
        {"ROCKSDB", "ha_rocksdb"},
        {"S3", "ha_s3"},
        {"SPHINX", "ha_sphinx"},
        {"OQGRAPH", "ha_oqgraph"},
        {"MROONGA", "ha_mroonga"},
        {"Columnstore", "ha_columnstore"},
    };

    for (size_t i = 0; i < NELEM(known); i++) {
        if (strcasecmp(engine, known[i][0]) == 0)
            return known[i][1];
    }
    return NULL;
}

static int
one_engine(struct db *db, const struct load *l, const struct load_table *t,
    const struct db_result *r, struct ddl_names *tried)
{
    const char *engine = t->ddl.engine, *file = engine_file(engine);

    if (engine[0] == '\0' || strcasecmp(engine, "MERGE") == 0)
        return 0;
    for (size_t i = 0; i < r->rows; i++) {
        const char *support = db_cell(r, i, 1);
        if (strcasecmp(db_text(r, i, 0), engine) == 0 && support != NULL &&
            (strcmp(support, "YES") == 0 || strcmp(support, "DEFAULT") == 0))
            return 0;
    }
    if (load_name_in(tried->v, tried->n, engine))
        return 0;
    if (l->conf->install_plugins && file != NULL) {
        tried->v = xgrow(tried->v, tried->n, &tried->cap, sizeof *tried->v);
        tried->v[tried->n++] = xstrdup(engine);
        return db_exec(db, "INSTALL SONAME '%s'", file);
    }
    err_set(ERR_FAILED,
        "target (%s) lacks the storage engine %s of table "
        "%s.%s",
        db_where(db), engine, t->object->schema, t->object->name);
    if (file != NULL)
        err_hint("run on the target: INSTALL SONAME '%s'", file);
    return -1;
}

static int
check_engines(struct db *db, const struct load *l)
{
    struct db_result r = {0};
    struct ddl_names tried = {0};
    int rc = db_query(db, &r, "SHOW ENGINES");

    for (size_t i = 0; rc == 0 && i < l->conf->manifest->tables; i++)
        rc = l->table[i].object == NULL
            ? 0
            : one_engine(db, l, &l->table[i], &r, &tried);
    for (size_t i = 0; rc == 0 && i < l->bares; i++)
        rc = one_engine(db, l, &l->bare[i], &r, &tried);
    ddl_names_free(&tried);
    db_result_free(&r);
    return rc;
}

/* The options stand behind the columns; servers quote the name or not. */
static bool
is_encrypted(const char *create)
{
    const char *options = strstr(create, "\n)"), *next;

    while (options != NULL && (next = strstr(options + 1, "\n)")) != NULL)
        options = next;
    return options != NULL &&
        (strcasestr(options, "`ENCRYPTED`=YES") != NULL ||
            strcasestr(options, " ENCRYPTED=YES") != NULL ||
            strcasestr(options, "`ENCRYPTED`='YES'") != NULL);
}

/* Whether it has that key only the server knows, when the table is made. */
static int
check_encryption(struct db *db, const struct load *l)
{
    uint64_t plugins;

    for (size_t i = 0; i < l->conf->manifest->tables; i++) {
        const struct schema_object *o = l->table[i].object;

        if (o == NULL || !is_encrypted(o->sql))
            continue;
        if (db_value_u64(db, &plugins,
                "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE"
                " PLUGIN_TYPE = 'ENCRYPTION' AND PLUGIN_STATUS = 'ACTIVE'") < 0)
            return -1;
        if (plugins > 0)
            return 0;
        err_set(ERR_FAILED,
            "table %s.%s is encrypted, and the target (%s) has no encryption "
            "plugin",
            o->schema, o->name, db_where(db));
        return err_hint("start a server with the plugin and a key of the same "
                        "number, as the source has them, and restore into it "
                        "with --socket");
    }
    return 0;
}

static bool
has_upper(const char *s)
{
    for (; *s != '\0'; s++) {
        if (isupper((unsigned char)*s))
            return true;
    }
    return false;
}

static int
check_letter_case(struct db *db, const struct load *l)
{
    uint64_t lower = 0;

    if (db_value_u64(db, &lower, "SELECT @@lower_case_table_names") < 0)
        return -1;
    for (size_t i = 0; lower != 0 && i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        bool upper =
            (o->kind == SCHEMA_DATABASE && has_upper(load_database(o)));
        if (o->kind == SCHEMA_TABLE || o->kind == SCHEMA_VIEW)
            upper = has_upper(o->name) || has_upper(o->schema);
        if (!upper)
            continue;
        err_set(ERR_FAILED,
            "%s%s%s has capital letters, which the target (%s) does not keep: "
            "its lower_case_table_names is %" PRIu64,
            o->schema, o->schema[0] == '\0' ? "" : ".", o->name, db_where(db),
            lower);
        return err_hint("restore into a server with "
                        "lower_case_table_names=0, or --sandbox DIR");
    }
    return 0;
}

static int
check_privileges(struct db *db)
{
    char *role = NULL;
    uint64_t lacks = 0;
    int rc;

    if (db_value(db, &role, "SELECT CURRENT_ROLE()") < 0)
        return -1;
    if (role != NULL) { /* what a role gives is not listed there */
        free(role);
        return 0;
    }
    rc = db_value_u64(db, &lacks,
        "SELECT 16 - COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE "
        "GRANTEE = CONCAT('''', SUBSTRING(CURRENT_USER(), 1, "
        "LENGTH(CURRENT_USER()) - LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', "
        "-1)) - 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''') "
        "AND IS_GRANTABLE='YES' AND PRIVILEGE_TYPE IN ('SELECT', 'INSERT', "
        "'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX', 'REFERENCES', "
        "'CREATE VIEW', 'CREATE ROUTINE', 'TRIGGER', 'EVENT', 'CREATE USER', "
        "'RELOAD', 'SUPER')");
    if (rc < 0 || lacks == 0)
        return rc < 0 ? -1 : 0;
    rc = err_set(ERR_FAILED,
        "target (%s): the account lacks privileges that a restore needs",
        db_where(db));
    err_hint("run on the target: GRANT ALL PRIVILEGES ON *.* TO the account "
             "WITH GRANT OPTION");
    return rc;
}

static void
add_drop(struct buf *b, const char *what, const char *name)
{
    buf_fmt(b, " %s ", what);
    db_ident(b, name);
    buf_str(b, ";");
}

/* Schemas of the backup that have something in them and aren't this
 * repository's unfinished work. */
static int
check_schemas(struct db *db, const struct load *l, const struct load_mark *m)
{
    struct db_result r = {0};
    struct buf list = {0}, drop = {0};
    int rc = -1;

    if (db_query(db, &r,
            "SELECT s, COUNT(*) FROM ("
            "SELECT TABLE_SCHEMA s FROM information_schema.TABLES UNION ALL "
            "SELECT ROUTINE_SCHEMA FROM information_schema.ROUTINES UNION ALL "
            "SELECT EVENT_SCHEMA FROM information_schema.EVENTS) x "
            "GROUP BY s ORDER BY s") < 0)
        goto out;
    for (size_t i = 0; i < r.rows; i++) {
        const char *name = db_text(&r, i, 0);
        if (!load_has_schema(l, name) ||
            load_name_in(m->schema, m->schemas, name))
            continue;
        buf_fmt(&list, "%s %s (%s)", list.len > 0 ? "," : "", name,
            db_text(&r, i, 1));
        add_drop(&drop, "DROP DATABASE", name);
    }
    rc = 0;
    if (list.len > 0) {
        rc = err_set(ERR_FAILED,
            "target (%s) has schemas of the backup with objects in them:%s",
            db_where(db), buf_cstr(&list));
        err_hint("restore beside it with --sandbox DIR; or, if what is there "
                 "is to be replaced, run on the target:%s",
            buf_cstr(&drop));
    }

out:
    db_result_free(&r);
    buf_free(&list);
    buf_free(&drop);
    return rc;
}

static int
check_mark(const struct load *l, const struct load_mark *m, struct db *db)
{
    char hex[2 * REPO_ID_SIZE + 1];

    if (!m->present)
        return 0;
    for (size_t i = 0; i < REPO_ID_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", l->conf->repo->id[i]);
    if (strcmp(hex, m->repository) == 0)
        return 0;
    err_set(ERR_FAILED,
        "target (%s) holds an unfinished restore of backup %s of another "
        "repository (%s)",
        db_where(db), m->backup, m->repository);
    return err_hint("finish that one first; or, if it is given up, run on the "
                    "target: DROP DATABASE `" LOAD_MARK_SCHEMA "`;");
}

/* What appeared since the unfinished restore was begun: its replay may have
 * made it and would fail to make it again, but it may be somebody's. */
static int
check_extras(struct db *db, const struct load *l, const struct load_mark *m)
{
    struct db_result s = {0}, a = {0};
    struct buf drop = {0};
    int rc = -1;

    if (!m->present)
        return 0;
    if (db_query(db, &s,
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA "
            "WHERE SCHEMA_NAME <> '" LOAD_MARK_SCHEMA "'") < 0 ||
        db_query(db, &a, LOAD_ACCOUNTS_SQL) < 0)
        goto out;
    for (size_t i = 0; i < s.rows; i++) {
        const char *name = db_text(&s, i, 0);
        if (!load_name_in(m->kept_schema, m->kept_schemas, name) &&
            !load_name_in(m->schema, m->schemas, name))
            add_drop(&drop, "DROP DATABASE", name);
    }
    for (size_t i = 0; i < a.rows; i++) {
        const char *name = db_text(&a, i, 0);
        if (!load_name_in(m->kept_account, m->kept_accounts, name) &&
            !load_has_account(l, name))
            load_drop_account(&drop, name);
    }
    rc = 0;
    if (drop.len > 0) {
        rc = err_set(ERR_FAILED,
            "target (%s) has schemas or accounts that were not there when the "
            "unfinished restore was begun",
            db_where(db));
        err_hint("if they come from that restore, run on the target:%s",
            buf_cstr(&drop));
    }

out:
    db_result_free(&s);
    db_result_free(&a);
    buf_free(&drop);
    return rc;
}

int
load_check_target(struct db *db, struct load *l)
{
    struct load_mark m = {0};
    int rc = -1;

    if (load_mark_read(db, &m) < 0)
        goto out;
    if (check_version(db, l->conf) < 0 || check_replica(db) < 0 ||
        check_cluster(db) < 0 || check_privileges(db) < 0 ||
        check_letter_case(db, l) < 0 || check_mark(l, &m, db) < 0 ||
        load_scope_target(db, l, &m) < 0 || check_schemas(db, l, &m) < 0 ||
        check_extras(db, l, &m) < 0 || check_engines(db, l) < 0 ||
        check_encryption(db, l) < 0)
        goto out;
    rc = 0;

out:
    load_mark_free(&m);
    return rc;
}

/* What the log has as statements that tell the time, and events, go by the
 * server's own zones. */
static int
tell_zones(struct db *db, const struct manifest *m)
{
    const char *zone = manifest_setting(m, "system_time_zone");
    const char *named = manifest_setting(m, "named_time_zones");
    uint64_t has = 1;
    int same = zone == NULL ? 1 : zone_same(db, zone);

    if (same < 0)
        return -1;
    if (same == 0)
        log_warn("target (%s): its own time zone (SYSTEM) is not the source's: "
                 "times that statements of the log tell, and when events run, "
                 "will be off; --sandbox takes the source's, or start the "
                 "target with it (TZ=NAME)",
            db_where(db));
    if (named == NULL || strcmp(named, "0") == 0)
        return 0;
    if (db_value_u64(db, &has, "SELECT COUNT(*) FROM mysql.time_zone_name") < 0)
        return -1;
    if (has == 0)
        log_warn("target (%s) knows no time zones by name, as the source does: "
                 "events in such a zone are left out, and statements of the "
                 "log that were made in one stop the replay; run "
                 "mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql",
            db_where(db));
    return 0;
}

int
load_check(const struct load_conf *conf)
{
    struct load l = {.conf = conf};
    struct db *db = load_connect(conf);
    int rc = -1;

    if (db != NULL && load_read_schema(&l) == 0)
        rc = load_check_target(db, &l);
    if (rc == 0 && !conf->install_plugins) /* a sandbox has told */
        rc = tell_zones(db, conf->manifest);
    if (rc == 0)
        rc = check_replicas(db, conf);
    load_free(&l);
    db_close(db);
    return rc;
}
