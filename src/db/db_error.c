/*
 * db_error.c -- from a server's error number to a kind, a text and advice.
 *
 * Numbers: mysqld_error.h (server), errmsg.h (Connector/C).
 */
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include "db_internal.h"
#include "pitr/mem.h"
#include "pitr/utf8.h"

struct advice {
    unsigned number;
    enum err_kind kind;
    const char *hint;
};

#define GRANTS                                                                 \
    "`pitr check' prints the grants it needs; as an administrator run: "

static const struct advice advices[] = {
    {CR_CONNECTION_ERROR, ERR_UNREACHABLE,
        "no server listens there: is mariadb running (systemctl status "
        "mariadb)? SELECT @@socket, @@port, @@bind_address on it tell where; "
        "over the network, a firewall may keep us out"},
    {CR_CONN_HOST_ERROR, ERR_UNREACHABLE,
        "the host does not answer at that port: is mariadb running, and does "
        "bind-address or a firewall keep us out?"},
    {CR_UNKNOWN_HOST, ERR_UNREACHABLE, "the host's name has no address"},
    {CR_SERVER_GONE_ERROR, ERR_UNREACHABLE,
        "the connection was closed: see the server's error log"},
    {CR_SERVER_LOST, ERR_UNREACHABLE,
        "the connection broke: see the server's error log (restart, crash, "
        "KILL, time-out, max_allowed_packet)"},
    {CR_SSL_CONNECTION_ERROR, ERR_FAILED,
        "TLS could not be set up: compare ssl_ca, ssl_cert and ssl_key with "
        "the server's SHOW VARIABLES LIKE 'ssl%'"},
    {ER_CON_COUNT_ERROR, ERR_UNREACHABLE,
        "raise max_connections, or end idle connections (SHOW PROCESSLIST)"},
    {ER_SERVER_SHUTDOWN, ERR_UNREACHABLE, "the server is shutting down"},
    {ER_NORMAL_SHUTDOWN, ERR_UNREACHABLE, NULL},
    {ER_SHUTDOWN_COMPLETE, ERR_UNREACHABLE, NULL},
    {ER_NET_READ_ERROR, ERR_UNREACHABLE, NULL},
    {ER_NET_READ_INTERRUPTED, ERR_UNREACHABLE, NULL},
    {ER_NET_ERROR_ON_WRITE, ERR_UNREACHABLE, NULL},
    {ER_NET_WRITE_INTERRUPTED, ERR_UNREACHABLE, NULL},
    {ER_CONNECTION_KILLED, ERR_UNREACHABLE,
        "somebody or something ended the connection with KILL"},
    {ER_HOST_IS_BLOCKED, ERR_UNREACHABLE,
        "on the server run: FLUSH HOSTS; and see why connections failed"},
    {ER_HOST_NOT_PRIVILEGED, ERR_FAILED,
        "no account allows this host: CREATE USER ... @'this host'"},
    {ER_ACCESS_DENIED_ERROR, ERR_FAILED,
        "user, password or host do not match an account: compare the "
        "configuration with SELECT user, host, plugin FROM mysql.user; or TLS "
        "is wanted (ssl = yes) by the account or require_secure_transport"},
    {ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ERR_FAILED,
        "the account needs a password or the system user of that name "
        "(unix_socket)"},
    {ER_DBACCESS_DENIED_ERROR, ERR_FAILED,
        GRANTS "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON *.* "
               "TO the account"},
    {ER_TABLEACCESS_DENIED_ERROR, ERR_FAILED,
        GRANTS "GRANT the named privilege ON the named table (or *.*) TO the "
               "account"},
    {ER_COLUMNACCESS_DENIED_ERROR, ERR_FAILED,
        GRANTS "GRANT SELECT ON *.* TO the account"},
    {ER_PROCACCESS_DENIED_ERROR, ERR_FAILED,
        GRANTS "GRANT SELECT ON mysql.proc TO the account"},
    {ER_SPECIFIC_ACCESS_DENIED_ERROR, ERR_FAILED,
        GRANTS "GRANT the privilege named above ON *.* TO the account"},
    {ER_LOCK_WAIT_TIMEOUT, ERR_FAILED,
        "another session holds the lock: SHOW PROCESSLIST, SELECT * FROM "
        "information_schema.innodb_trx; end it or try again"},
    {ER_LOCK_DEADLOCK, ERR_FAILED, "try again"},
    {ER_QUERY_INTERRUPTED, ERR_FAILED,
        "the statement was ended from outside (KILL QUERY)"},
    {ER_STATEMENT_TIMEOUT, ERR_FAILED,
        "the statement hit a limit set for this account "
        "(MAX_STATEMENT_TIME)"},
    {ER_NET_PACKET_TOO_LARGE, ERR_FAILED,
        "raise it on that server: SET GLOBAL max_allowed_packet=1073741824"},
    {CR_NET_PACKET_TOO_LARGE, ERR_FAILED,
        "raise it on that server: SET GLOBAL max_allowed_packet=1073741824"},
    {ER_OPTION_PREVENTS_STATEMENT, ERR_FAILED,
        "the server runs with the option named above (read_only?)"},
    {ER_DISK_FULL, ERR_FAILED, "free space on the server's disk"},
    {ER_RECORD_FILE_FULL, ERR_FAILED,
        "free space on the server's disk, or raise the limit of the table "
        "space"},
};

static const struct advice *
advice_of(unsigned number)
{
    for (size_t i = 0; i < NELEM(advices); i++)
        if (advices[i].number == number)
            return &advices[i];
    return NULL;
}

bool
db_errno_is_lost(unsigned number)
{
    const struct advice *a = advice_of(number);

    return a != NULL && a->kind == ERR_UNREACHABLE;
}

/* One line of what may be anything. */
static char *
one_line(const char *text)
{
    char *line = xstrdup(text != NULL && *text ? text : "unknown error");

    utf8_harmless(line, strlen(line));
    for (char *p = line; *p != '\0'; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    return line;
}

int
db_fail_with(struct db *db, unsigned number, const char *text, const char *what)
{
    const struct advice *a = advice_of(number);
    char *line = one_line(text);

    db->last_errno = number;
    if (db_errno_is_lost(number) && db_alive_fail(db)) {
        free(line);
        return -1;
    }
    err_set(a ? a->kind : ERR_FAILED, "%s (%s): %s%s%s (%u)", db->role,
        db->where, what ? what : "", what ? ": " : "", line, number);
    free(line);
    if (a != NULL && a->hint != NULL)
        err_hint("%s", a->hint);
    return -1;
}

int
db_fail(struct db *db, const char *what)
{
    return db_fail_with(
        db, mysql_errno(db->mysql), mysql_error(db->mysql), what);
}

/* Bytes of the statement that may be shown: nothing from a word on that a
 * secret could follow. */
static size_t
shown_part(const char *sql, size_t n)
{
    static const char *const secret[] = {"IDENTIFIED", "PASSWORD", "USING"};

    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < NELEM(secret); w++) {
            size_t len = strlen(secret[w]);
            if (len <= n - i && strncasecmp(sql + i, secret[w], len) == 0)
                return i;
        }
    return n;
}

int
db_fail_sql(struct db *db, const char *sql, size_t n)
{
    enum { SHOWN = 120 };
    char what[SHOWN + 8];
    size_t part;

    if (db_errno_is_lost(mysql_errno(db->mysql)))
        return db_fail(db, NULL);
    part = shown_part(sql, MIN(n, (size_t)SHOWN));
    for (size_t i = 0; i < part; i++)
        what[i] = (unsigned char)sql[i] < 0x20 ? ' ' : sql[i];
    snprintf(what + part, sizeof what - part, "%s", part < n ? "..." : "");
    return db_fail(db, what);
}

void
db_break(struct db *db)
{
    my_socket fd = mysql_get_socket(db->mysql);

    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
}
