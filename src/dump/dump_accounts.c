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

/* An account as mysql.global_priv has it. */
struct account {
    const char *user, *host;
    bool is_role;
    const char *since; /* when its password was set: it expires from then on */
    const char *required[3]; /* NULL, or the values of require_words[] */
    char *quoted;
};
static const char *const require_words[] = {"ISSUER", "SUBJECT", "CIPHER"};

/*
 * A statement that the server printed, with quotes that it left as they are
 * (10.5, 11.8) escaped.  Owned.
 */
static char *
escape_required(const struct account *a, const char *sql)
{
    char *text = xstrdup(sql);

    for (size_t i = 0; i < NELEM(require_words); i++) {
        const char *value = a->required[i], *at;
        struct buf b = {0};
        char *raw;

        if (value == NULL || strpbrk(value, "'\\") == NULL)
            continue;
        raw = xasprintf("%s '%s'", require_words[i], value);
        if ((at = strstr(text, raw)) != NULL) {
            buf_fmt(&b, "%.*s%s ", (int)(at - text), text, require_words[i]);
            db_quote(&b, value, strlen(value));
            buf_str(&b, at + strlen(raw));
            free(text);
            text = buf_take(&b);
        }
        free(raw);
    }
    return text;
}

/* The server prints names in them with whatever quotes they have. */
static int
read_proxies(struct dump *d, const struct account *a)
{
    struct db_result r;
    struct buf user = {0}, host = {0};
    int rc;

    db_quote(&user, a->user, strlen(a->user));
    db_quote(&host, a->host, strlen(a->host));
    rc = db_query(d->lock, &r,
        "SELECT Proxied_user, Proxied_host, With_grant FROM mysql.proxies_priv"
        " WHERE User = %s AND Host = %s ORDER BY 1, 2",
        buf_cstr(&user), buf_cstr(&host));
    for (size_t i = 0; rc == 0 && i < r.rows; i++) {
        struct buf b = {0};

        buf_str(&b, "GRANT PROXY ON ");
        db_ident(&b, db_text(&r, i, 0));
        buf_str(&b, "@");
        db_ident(&b, db_text(&r, i, 1));
        buf_str(&b, " TO ");
        db_ident(&b, a->user);
        buf_str(&b, "@");
        db_ident(&b, a->host);
        if (strcmp(db_text(&r, i, 2), "0") != 0)
            buf_str(&b, " WITH GRANT OPTION");
        object_add(&d->grants, SCHEMA_GRANT, a->quoted, buf_cstr(&b), NULL);
        buf_free(&b);
    }
    if (rc == 0)
        db_result_free(&r);
    buf_free(&user);
    buf_free(&host);
    return rc;
}

static int
read_grants(struct dump *d, const struct account *a)
{
    struct db_result r;

    if (db_query(d->lock, &r, "SHOW GRANTS FOR %s", a->quoted) < 0)
        return -1;
    for (size_t i = 0; i < r.rows; i++) {
        const char *printed = db_text(&r, i, 0);
        char *sql;

        if (strncmp(printed, "GRANT PROXY ", 12) == 0)
            continue;
        sql = escape_required(a, printed);
        object_add(&d->grants, SCHEMA_GRANT, a->quoted, sql, NULL);
        free(sql);
    }
    db_result_free(&r);
    return a->is_role ? 0 : read_proxies(d, a);
}

/* 1, 0 where it was left out, -1. */
static int
read_user(struct dump *d, const struct account *a)
{
    struct db_result r;
    char *sql;

    if (db_query(d->lock, &r, "SHOW CREATE USER %s", a->quoted) < 0)
        return not_loaded(d, a->quoted) ? 0 : -1;
    sql = escape_required(a, db_text(&r, 0, 0));
    object_add(&d->accounts, SCHEMA_USER, a->quoted, sql, a->since);
    free(sql);
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
one_account(struct dump *d, struct account *a)
{
    bool is_public = a->is_role && strcmp(a->user, "PUBLIC") == 0;
    int rc = 1;

    a->quoted = is_public ? xstrdup(a->user)
                          : quoted(a->user, a->is_role ? NULL : a->host);
    if (a->is_role && !is_public) {
        char *sql = xasprintf("CREATE ROLE %s", a->quoted);

        object_add(&d->accounts, SCHEMA_ROLE, a->quoted, sql, NULL);
        free(sql);
    } else if (!a->is_role) {
        rc = read_user(d, a);
    }
    if (rc == 1)
        rc = read_grants(d, a);
    if (rc < 0)
        err_wrap("account %s", a->quoted);
    free(a->quoted);
    return rc < 0 ? -1 : 0;
}

int
dump_accounts_read(struct dump *d)
{
    struct db_result r;
    int rc = 0;

    if (db_query(d->lock, &r,
            "SELECT User, Host, JSON_VALUE(Priv, '$.is_role'),"
            " NULLIF(JSON_VALUE(Priv, '$.password_last_changed'), 0),"
            " JSON_VALUE(Priv, '$.x509_issuer'),"
            " JSON_VALUE(Priv, '$.x509_subject'),"
            " JSON_VALUE(Priv, '$.ssl_cipher') FROM"
            " mysql.global_priv WHERE NOT (User = 'mariadb.sys' AND"
            " Host = 'localhost')"
            " ORDER BY JSON_VALUE(Priv, '$.is_role') IS NULL, User, Host") < 0)
        return err_wrap("reading the accounts");
    for (size_t i = 0; rc == 0 && i < r.rows; i++) {
        const char *role = db_cell(&r, i, 2);
        struct account a = {.user = db_text(&r, i, 0),
            .host = db_text(&r, i, 1),
            .is_role = role != NULL && strcmp(role, "0") != 0 &&
                strcmp(role, "false") != 0,
            .since = db_cell(&r, i, 3)};

        for (size_t k = 0; k < NELEM(a.required); k++)
            a.required[k] = db_cell(&r, i, 4 + k);
        rc = one_account(d, &a);
    }
    db_result_free(&r);
    return rc;
}
