/*
 * db_connect.c -- opening a connection and setting its session up.
 */
#include <errmsg.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "db_internal.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/secret.h"
#include "pitr/stop.h"
#include "pitr/times.h"

/* Rows and events of up to 1 GiB, with what the protocol puts around them. */
#define PACKET_MAX ((size_t)1200 << 20)

/* Attempts to connect, where a line breaks at once. */
#define TRIES 3
#define TRY_MAX_US 500000 /* later it is a time-out */
#define PAUSE_US UINT64_C(200000)

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void
library_start(void)
{
    /* Not safe from two threads at once, and mysql_init() would do it. */
    mysql_library_init(0, NULL, NULL);
}

static char *
where_text(const struct db_conf *conf)
{
    if (conf->socket != NULL)
        return xasprintf("socket %s", conf->socket);
    if (conf->host != NULL)
        return xasprintf("%s:%u", conf->host, conf->port ? conf->port : 3306);
    return xstrdup("default socket");
}

static void
set_uint(MYSQL *m, enum mysql_option option, unsigned value)
{
    mysql_options(m, option, &value);
}

static void
set_bool(MYSQL *m, enum mysql_option option, bool value)
{
    my_bool v = value;

    mysql_options(m, option, &v);
}

/* Connector/C takes "localhost" for the socket; a port says otherwise. */
static bool
wants_tcp(const struct db_conf *conf)
{
    return conf->socket == NULL && conf->host != NULL &&
        (conf->port != 0 || strcmp(conf->host, "localhost") != 0);
}

/*
 * A server chooses how its client proves who it is, and could choose a way in
 * which the password is sent as it is.  Only one that nobody can pass for may
 * do that.  (Older libraries cannot be told.)
 */
static void
set_plugins(MYSQL *m, const struct db_conf *conf)
{
#if HAVE_DECL_MARIADB_OPT_RESTRICTED_AUTH
    if (wants_tcp(conf) && !conf->ssl_verify)
        mysql_optionsv(m, MARIADB_OPT_RESTRICTED_AUTH,
            "mysql_native_password,client_ed25519,parsec,auth_gssapi_client");
#else
    (void)m;
    (void)conf;
#endif
}

static void
set_options(MYSQL *m, const struct db_conf *conf, const char *role)
{
    size_t packet = PACKET_MAX;

    set_uint(m, MYSQL_OPT_CONNECT_TIMEOUT,
        conf->connect_timeout_s ? conf->connect_timeout_s : 10);
    if (conf->read_timeout_s != 0)
        set_uint(m, MYSQL_OPT_READ_TIMEOUT, conf->read_timeout_s);
    set_uint(m, MYSQL_OPT_LOCAL_INFILE, 0);
    set_bool(m, MYSQL_OPT_RECONNECT, false);
    mysql_options(m, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options4(m, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "pitr");
    mysql_options4(m, MYSQL_OPT_CONNECT_ATTR_ADD, "pitr_role", role);
    if (conf->ssl_key != NULL)
        mysql_options(m, MYSQL_OPT_SSL_KEY, conf->ssl_key);
    if (conf->ssl_cert != NULL)
        mysql_options(m, MYSQL_OPT_SSL_CERT, conf->ssl_cert);
    if (conf->ssl_ca != NULL)
        mysql_options(m, MYSQL_OPT_SSL_CA, conf->ssl_ca);
    if (conf->ssl || conf->ssl_verify)
        set_bool(m, MYSQL_OPT_SSL_ENFORCE, true);
    /* Said in both cases: from Connector/C 3.4 on it is on by default. */
    set_bool(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, conf->ssl_verify);
    set_plugins(m, conf);
}

/* After two minutes without a sign of its machine the connection is lost; for
 * the server itself see db_alive.c. */
static void
watch_line(my_socket fd)
{
    static const int on = 1, idle_s = 60, every_s = 10, probes = 6;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static int
real_connect(struct db *db, const struct db_conf *conf)
{
    MYSQL *m = db->mysql;
    struct passwd pwbuf, *pw = NULL;
    char text[1024];
    const char *user = conf->user;

    if (user == NULL &&
        getpwuid_r(geteuid(), &pwbuf, text, sizeof text, &pw) == 0 &&
        pw != NULL)
        user = pw->pw_name;
    set_uint(m, MYSQL_OPT_PROTOCOL,
        wants_tcp(conf) ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET);
    if (mysql_real_connect(m, wants_tcp(conf) ? conf->host : "localhost", user,
            conf->password ? conf->password->p : NULL, NULL, conf->port,
            conf->socket, 0) == NULL)
        return db_fail(db, "cannot connect");
    /* The library's own copy, in memory like any other. */
    if (m->passwd != NULL)
        secret_wipe(m->passwd, strlen(m->passwd));
    if (wants_tcp(conf))
        watch_line(mysql_get_socket(m));
    if ((conf->ssl || conf->ssl_verify) && mysql_get_ssl_cipher(m) == NULL) {
        err_set(ERR_FAILED,
            "%s (%s): the connection is not encrypted, but ssl is required",
            db->role, db->where);
        return err_hint("The server has no TLS (SHOW VARIABLES LIKE "
                        "'have_ssl'): it needs ssl_cert and ssl_key.");
    }
    if (!mariadb_connection(m))
        return err_set(ERR_FAILED, "%s (%s): %s is not a MariaDB server",
            db->role, db->where, mysql_get_server_info(m));
    db->version = (unsigned)mysql_get_server_version(m);
    return 0;
}

/*
 * The server's own settings and init_connect may have changed any of these;
 * sql_select_limit, for one, would cut tables short without a word; and what is
 * looked for in a message is English.
 */
static int
session_setup(struct db *db)
{
    if (db_exec(db, "SET NAMES utf8mb4") < 0)
        return -1;
    return db_exec(db,
        "SET SESSION time_zone='+00:00',"
        "sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO',"
        "net_read_timeout=86400, net_write_timeout=86400,"
        "wait_timeout=2147483, interactive_timeout=2147483,"
        "max_statement_time=0, autocommit=1,"
        "sql_select_limit=18446744073709551615, sql_big_selects=1,"
        "sql_safe_updates=0, sql_auto_is_null=0, sql_quote_show_create=1,"
        /* Read for each table that is opened, and no plan of ours needs it. */
        "use_stat_tables=NEVER,"
        "group_concat_max_len=1073741824, lc_messages='en_US'");
}

/*
 * Nothing was asked of the server yet, so there is no harm in another try: the
 * line broke while we shook hands, or its queue of a socket was full.
 */
static bool
line_broke(const struct db *db)
{
    char full[16];

    snprintf(full, sizeof full, "(%d)", EAGAIN);
    switch (db->last_errno) {
    case CR_SERVER_LOST:
    case CR_SERVER_LOST_EXTENDED:
    case CR_SERVER_GONE_ERROR:
    case CR_SERVER_HANDSHAKE_ERR:
        return true;
    case CR_CONNECTION_ERROR:
        return strstr(err_text(), full) != NULL;
    }
    return false;
}

/* broken: it failed as a line that breaks does. */
static struct db *
open_once(const struct db_conf *conf, const char *role, bool *broken)
{
    struct db *db = xcalloc(1, sizeof *db);

    pthread_once(&library_once, library_start);
    *broken = false;
    db->fd = -1;
    db->role = xstrdup(role);
    db->where = where_text(conf);
    if ((db->mysql = mysql_init(NULL)) == NULL) {
        err_set(ERR_FAILED, "cannot initialise the MariaDB client library");
        goto fail;
    }
    set_options(db->mysql, conf, role);
    if (real_connect(db, conf) < 0 || db_alive_watch(db, conf) < 0 ||
        session_setup(db) < 0) {
        *broken = line_broke(db);
        goto fail;
    }
    return db;

fail:
    db_close(db);
    return NULL;
}

struct db *
db_open(const struct db_conf *conf, const char *role)
{
    struct db *db;
    bool broken;

    for (unsigned i = 1;; i++) {
        uint64_t began = time_mono_us();

        db = open_once(conf, role, &broken);
        if (db != NULL || !broken || i == TRIES ||
            time_mono_us() - began > TRY_MAX_US || stop_sleep_us(i * PAUSE_US))
            return db;
        log_debug("connecting once more: %s", err_text());
        err_clear();
    }
}

bool
db_answers(const struct db_conf *conf, unsigned seconds)
{
    struct db_conf quick = *conf;
    struct db db = {.mysql = mysql_init(NULL), .fd = -1};
    bool yes = true;

    if (db.mysql == NULL)
        return true;
    quick.connect_timeout_s = quick.read_timeout_s = seconds;
    db.role = db.where = (char *)"alive";
    set_options(db.mysql, &quick, "alive");
    if (real_connect(&db, &quick) < 0)
        switch (db.last_errno) {
        case CR_CONNECTION_ERROR:
        case CR_CONN_HOST_ERROR:
        case CR_UNKNOWN_HOST:
        case CR_SERVER_GONE_ERROR:
        case CR_SERVER_LOST:
        case CR_SERVER_LOST_EXTENDED:
        case CR_SERVER_HANDSHAKE_ERR:
            yes = false;
        }
    mysql_close(db.mysql);
    err_clear();
    return yes;
}

void
db_close(struct db *db)
{
    if (db == NULL)
        return;
    db_alive_forget(db);
    if (db->mysql != NULL)
        mysql_close(db->mysql);
    free(db->where);
    free(db->role);
    free(db);
}

unsigned long
db_thread_id(const struct db *db)
{
    return mysql_thread_id(db->mysql);
}

unsigned
db_version(const struct db *db)
{
    return db->version;
}

const char *
db_version_text(const struct db *db)
{
    return mysql_get_server_info(db->mysql);
}

const char *
db_where(const struct db *db)
{
    return db->where;
}

unsigned
db_errno(const struct db *db)
{
    return db->last_errno;
}

unsigned
db_warnings(const struct db *db)
{
    return db->warnings;
}

void
db_kill_query(const struct db_conf *conf, unsigned long thread_id)
{
    struct err_saved *saved = err_take();
    struct db *db = db_open(conf, "kill");

    if (db != NULL)
        db_exec(db, "KILL QUERY %lu", thread_id);
    db_close(db);
    err_clear();
    if (saved != NULL)
        err_put(saved);
}
