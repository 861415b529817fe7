/*
 * load_accounts.c -- roles, users and what they may do.
 *
 * The account that pitr itself is connected as stays as it is, or the restore
 * could lock itself out; it only gets the recorded grants in addition.  The
 * server's own account mariadb.sys stays too.
 */
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"

#define NOT_LOADED 1524 /* ER_PLUGIN_IS_NOT_LOADED */

char *
load_account_plain(const char *quoted)
{
    struct buf b = {0};
    const char *p = quoted;

    while (*p != '\0') {
        const char *next = ddl_step(p);
        char q = *p;
        if (next - p < 2) {
            buf_u8(&b, (uint8_t)q);
            p = next;
            continue;
        }
        for (p++; p < next - 1; p++) {
            if (*p == q || (*p == '\\' && q != '`'))
                p++;
            buf_u8(&b, (uint8_t)*p);
        }
        p = next;
    }
    return buf_take(&b);
}

static bool
is_account(const struct schema_object *o)
{
    return o->kind == SCHEMA_USER || o->kind == SCHEMA_ROLE;
}

bool
load_has_account(const struct load *l, const char *plain)
{
    for (size_t i = 0; i < l->objects; i++) {
        char *name;
        bool same;
        if (!is_account(&l->object[i]))
            continue;
        name = load_account_plain(l->object[i].name);
        same = strcmp(name, plain) == 0;
        free(name);
        if (same)
            return true;
    }
    return false;
}

void
load_drop_account(struct buf *b, const char *plain)
{
    const char *at = strrchr(plain, '@');
    char *user;

    if (at == NULL) {
        buf_str(b, " DROP ROLE ");
        db_ident(b, plain);
    } else {
        user = xstrndup(plain, (size_t)(at - plain));
        buf_str(b, " DROP USER ");
        db_ident(b, user);
        buf_str(b, "@");
        db_ident(b, at + 1);
        free(user);
    }
    buf_str(b, ";");
}

static bool
is_ours(const struct load *l, const char *plain)
{
    return strcmp(plain, l->account) == 0;
}

static bool
is_servers(const char *plain)
{
    return strcmp(plain, "mariadb.sys@localhost") == 0 ||
        strcmp(plain, "PUBLIC") == 0 || strcmp(plain, "public") == 0;
}

/* Install the plugin of an authentication method that has a library of the
 * usual name.  Tries the CREATE again. */
static int
with_plugin(struct db *db, const char *sql)
{
    static const char *const sonames[] = {
        "auth_ed25519", "auth_gssapi", "auth_pam", "auth_parsec"};

    for (size_t i = 0; i < NELEM(sonames); i++) {
        const char *method = strchr(sonames[i], '_') + 1;
        if (strstr(sql, method) == NULL)
            continue;
        if (db_exec(db, "INSTALL SONAME '%s'", sonames[i]) < 0)
            return -1;
        return db_exec_bytes(db, sql, strlen(sql));
    }
    return -1;
}

/* A password ages from the moment at which it was set: that is the clock at
 * which its account is created.  "": now. */
static int
set_clock(struct db *db, const char *since)
{
    bool known =
        since[0] != '\0' && strspn(since, "0123456789") == strlen(since);

    if (db_exec(db, "SET SESSION timestamp=%s", known ? since : "DEFAULT") == 0)
        return 0;
    if (err_kind() == ERR_UNREACHABLE)
        return -1;
    log_warn(
        "passwords that expire after some days begin anew: %s", err_text());
    err_clear();
    return 0;
}

static int
create_account(struct db *db, struct load *l, const struct schema_object *o)
{
    char *plain = load_account_plain(o->name);
    char *sql = ddl_or_replace(o->sql);
    int rc = 0;

    if (is_servers(plain))
        goto out;
    if (is_ours(l, plain)) {
        log_info("account %s is the one in use here: its password and limits "
                 "stay as they are on the target",
            o->name);
        goto out;
    }
    rc = set_clock(db, o->extra);
    if (rc == 0)
        rc = db_exec_bytes(db, sql, strlen(sql));
    if (rc < 0 && db_errno(db) == NOT_LOADED && l->conf->install_plugins)
        rc = with_plugin(db, sql);
    if (rc < 0)
        rc = load_skip(db, o);

out:
    free(plain);
    free(sql);
    return rc;
}

int
load_accounts(struct db *db, struct load *l)
{
    if (db_value(db, &l->account, "SELECT CURRENT_USER()") < 0)
        return -1;
    for (size_t i = 0; i < l->objects; i++) {
        if (stop_asked())
            return stop_error();
        if (is_account(&l->object[i]) &&
            create_account(db, l, &l->object[i]) < 0)
            return -1;
    }
    return set_clock(db, "");
}

/* The right of every first account to be a proxy for anybody; it has it here
 * too, if in another spelling. */
static bool
is_proxy_for_all(const char *sql)
{
    return strncmp(sql, "GRANT PROXY ON ``@`%` ", 22) == 0 ||
        strncmp(sql, "GRANT PROXY ON ''@'%' ", 22) == 0;
}

static int
grant(struct db *db, struct load *l, const struct schema_object *o)
{
    char *plain = load_account_plain(o->name);
    char *sql = ddl_grant_strip(o->sql, is_ours(l, plain));
    int rc = 0;

    if (strcmp(plain, "mariadb.sys@localhost") != 0 &&
        !(is_ours(l, plain) && is_proxy_for_all(sql))) {
        rc = load_grant(db, l, sql);
        if (rc < 0)
            rc = load_skip(db, o);
    }
    free(sql);
    free(plain);
    return rc;
}

/* What the backup's grants say that we are to a role: 0 nothing, 1 a member,
 * 2 one who may grant it. */
static int
recorded_member(const struct load *l, const char *role)
{
    int best = 0;

    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        struct ddl_names names;
        char *plain;
        if (o->kind != SCHEMA_GRANT || strncmp(o->sql, "GRANT `", 7) != 0)
            continue;
        plain = load_account_plain(o->name);
        ddl_names(o->sql, &names);
        if (is_ours(l, plain) && names.n > 0 && strcmp(names.v[0], role) == 0)
            best = MAX(best, strstr(o->sql, " WITH ADMIN OPTION") ? 2 : 1);
        ddl_names_free(&names);
        free(plain);
    }
    return best;
}

/* Who creates a role may grant it, which was needed up to here; the recorded
 * grants say who shall go on to. */
static int
give_up_roles(struct db *db, const struct load *l)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        char *plain;
        int member;
        if (o->kind != SCHEMA_ROLE)
            continue;
        plain = load_account_plain(o->name);
        member = recorded_member(l, plain);
        if (!is_servers(plain) && member < 2)
            rc = db_exec(db, "REVOKE %s%s FROM CURRENT_USER",
                member == 1 ? "ADMIN OPTION FOR " : "", o->name);
        if (rc < 0 && err_kind() != ERR_UNREACHABLE) {
            log_debug("%s", err_text()); /* it could not be created */
            err_clear();
            rc = 0;
        }
        free(plain);
    }
    return rc;
}

int
load_grants(struct db *db, struct load *l)
{
    for (size_t i = 0; i < l->objects; i++) {
        if (stop_asked())
            return stop_error();
        if (l->object[i].kind == SCHEMA_GRANT &&
            grant(db, l, &l->object[i]) < 0)
            return -1;
    }
    return give_up_roles(db, l);
}
