/*
 * dump_accounts.c -- roles, users and what they are granted, read while
 * LOCK TABLES keeps the tables of accounts as they are at the snapshot.
 *
 * The connection that has locked them reads them: any other one would wait
 * behind a GRANT that waits for that lock, for ever.
 */
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/mem.h"

static void
object_add(struct dump_objects *to, enum schema_kind kind, const char *name,
    const char *sql, const char *extra)
{
    struct schema_object *o;

    to->v = xgrow(to->v, to->n, &to->cap, sizeof *to->v);
    o = &to->v[to->n++];
    memset(o, 0, sizeof *o);
    o->kind = kind;
    o->table = UINT32_MAX;
    o->schema = xstrdup("");
    o->name = xstrdup(name);
    o->sql = xstrdup(sql);
    o->extra = xstrdup(extra != NULL ? extra : "");
}

/*
 * With skip_name_resolve a server does not load accounts of host names: they
 * cannot log in, and it does not show them.
 */
static bool
not_loaded(struct dump *d, const char *account)
{
    unsigned number = db_errno(d->lock);

    if (number != 1133 && number != 1141)
        return false;
    err_clear();
    dump_warn(d,
        "account %s is not in the backup: the server has not loaded "
        "it (skip_name_resolve?)",
        account);
    return true;
}

static int
read_grants(struct dump *d, const char *account)
{
    struct db_result r;

    if (db_query(d->lock, &r, "SHOW GRANTS FOR %s", account) < 0)
        return err_wrap("account %s", account);
    for (size_t i = 0; i < r.rows; i++)
        object_add(&d->grants, SCHEMA_GRANT, account, db_cell(&r, i, 0), NULL);
    db_result_free(&r);
    return 0;
}

/* since: when its password was set, for that is when it begins to expire.
 * 1, 0 where it was left out, -1. */
static int
read_user(struct dump *d, const char *account, const char *since)
{
    struct db_result r;

    if (db_query(d->lock, &r, "SHOW CREATE USER %s", account) < 0)
        return not_loaded(d, account) ? 0 : err_wrap("account %s", account);
    object_add(&d->accounts, SCHEMA_USER, account, db_cell(&r, 0, 0), since);
    db_result_free(&r);
    return 1;
}

static char *
quoted(const char *user, const char *host)
{
    struct buf b = {0};

    db_quote(&b, user, strlen(user));
    if (host != NULL) {
        buf_str(&b, "@");
        db_quote(&b, host, strlen(host));
    }
    return buf_take(&b);
}

/* Roles come first, as they are stored; PUBLIC is always there. */
static int
one_account(struct dump *d, const char *user, const char *host, bool is_role,
    const char *since)
{
    bool is_public = is_role && strcmp(user, "PUBLIC") == 0;
    char *account =
        is_public ? xstrdup(user) : quoted(user, is_role ? NULL : host);
    int rc = 1;

    if (is_role && !is_public) {
        char *sql = xasprintf("CREATE ROLE %s", account);

        object_add(&d->accounts, SCHEMA_ROLE, account, sql, NULL);
        free(sql);
    } else if (!is_role) {
        rc = read_user(d, account, since);
    }
    if (rc == 1)
        rc = read_grants(d, account);
    free(account);
    return rc;
}

int
dump_accounts_read(struct dump *d)
{
    struct db_result r;
    int rc = 0;

    if (db_query(d->lock, &r,
            "SELECT User, Host, JSON_VALUE(Priv, '$.is_role'),"
            " NULLIF(JSON_VALUE(Priv, '$.password_last_changed'), 0) FROM"
            " mysql.global_priv WHERE NOT (User = 'mariadb.sys' AND"
            " Host = 'localhost')"
            " ORDER BY JSON_VALUE(Priv, '$.is_role') IS NULL, User, Host") < 0)
        return err_wrap("reading the accounts");
    for (size_t i = 0; rc == 0 && i < r.rows; i++) {
        const char *role = db_cell(&r, i, 2);

        rc = one_account(d, db_cell(&r, i, 0), db_cell(&r, i, 1),
            role != NULL && strcmp(role, "0") != 0 &&
                strcmp(role, "false") != 0,
            db_cell(&r, i, 3));
    }
    db_result_free(&r);
    return rc;
}
