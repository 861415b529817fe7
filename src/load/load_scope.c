/*
 * load_scope.c -- a part of a backup, under other names where asked for: what
 * is left out, what its statements say then, and what may be in its place at
 * the target.
 *
 * Accounts and grants are of a server, not of a schema, and are left out.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"

void
load_scope_manifest(struct manifest *m, const struct scope *s)
{
    for (size_t i = 0; i < m->tables && scope_active(s); i++) {
        struct manifest_table *t = &m->table[i];
        const char *to = scope_to(s, t->schema);
        t->left_out = !scope_table(s, t->schema, t->name);
        if (to != t->schema) {
            char *copy = xstrdup(to);
            free(t->schema);
            t->schema = copy;
        }
    }
}

static bool
wanted(const struct scope *s, const struct schema_object *o)
{
    switch (o->kind) {
    case SCHEMA_DATABASE:
        return scope_schema(s, load_database(o)) != SCOPE_NONE;
    case SCHEMA_ROLE:
    case SCHEMA_USER:
    case SCHEMA_GRANT:
        return false;
    case SCHEMA_SEQUENCE:
    case SCHEMA_TABLE:
    case SCHEMA_VIEW:
        return scope_table(s, o->schema, o->name);
    case SCHEMA_TRIGGER:
        return scope_table(s, o->schema, o->extra);
    case SCHEMA_FUNCTION:
    case SCHEMA_PROCEDURE:
    case SCHEMA_PACKAGE:
    case SCHEMA_PACKAGE_BODY:
    case SCHEMA_EVENT:
        return scope_schema(s, o->schema) == SCOPE_WHOLE;
    }
    return true;
}

static void
put_back(char **where, struct buf *b)
{
    free(*where);
    *where = buf_take(b);
}

/* Back-ticked names of schemas before a dot; `all`: the first name at all. */
static void
rename_in(char **sql, const struct scope *s, bool first)
{
    struct buf b = {0};
    const char *p = *sql;

    while (*p != '\0') {
        const char *next = ddl_step(p);
        if (*p == '`' && next - p > 2 && (first || *next == '.')) {
            struct ddl_names name;
            char *one = xstrndup(p, (size_t)(next - p));
            ddl_names(one, &name);
            db_ident(&b, scope_to(s, name.v[0]));
            ddl_names_free(&name);
            free(one);
            first = false;
        } else {
            buf_add(&b, p, (size_t)(next - p));
        }
        p = next;
    }
    put_back(sql, &b);
}

static void
set_text(char **where, const char *text)
{
    char *copy = xstrdup(text);

    free(*where);
    *where = copy;
}

bool
load_scope_object(const struct scope *s, struct schema_object *o)
{
    if (!scope_active(s))
        return true;
    if (!wanted(s, o))
        return false;
    if (s->renames == 0)
        return true;
    if (o->kind == SCHEMA_DATABASE) {
        rename_in(&o->sql, s, true);
        set_text(&o->name, scope_to(s, load_database(o)));
        return true;
    }
    set_text(&o->schema, scope_to(s, o->schema));
    if (o->kind == SCHEMA_TABLE || o->kind == SCHEMA_VIEW)
        rename_in(&o->sql, s, false);
    if (o->kind == SCHEMA_SEQUENCE)
        rename_in(&o->extra, s, false);
    return true;
}

/* Does a text name the schema, before a dot? */
static bool
mentions(const char *sql, const char *schema)
{
    size_t n = strlen(schema);
    bool start = true;

    for (const char *p = sql; *p != '\0';) {
        const char *next = ddl_step(p);
        bool word = isalnum((unsigned char)*p) || *p == '_' ||
            (unsigned char)*p >= 0x80;
        if (*p == '`' && (size_t)(next - p) == n + 2 &&
            strncmp(p + 1, schema, n) == 0 && *next == '.')
            return true;
        if (word && start && strncmp(p, schema, n) == 0 && p[n] == '.')
            return true;
        start = !word;
        p = next;
    }
    return false;
}

/* Text that people wrote is not changed. */
static void
tell_mentions(const struct load *l, const struct scope *s)
{
    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        if (o->kind < SCHEMA_FUNCTION || o->kind == SCHEMA_VIEW ||
            o->kind == SCHEMA_GRANT)
            continue;
        for (size_t k = 0; k < s->renames; k++)
            if (mentions(o->sql, s->rename[k].from))
                log_warn("%s.%s names the schema %s in its text, which stays "
                         "as it is",
                    o->schema, o->name, s->rename[k].from);
    }
}

static bool
is_there(const struct load *l, const struct scope_name *x)
{
    const struct scope *s = l->conf->scope;
    const char *schema = scope_to(s, x->schema);

    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        if (x->table == NULL ? o->kind == SCHEMA_DATABASE &&
                    strcmp(load_database(o), schema) == 0
                             : strcmp(o->schema, schema) == 0 &&
                    strcmp(o->name, x->table) == 0)
            return true;
    }
    return false;
}

/* What may be a slip of the pen, or is made by the log after the backup. */
static void
tell_strangers(const struct load *l, const struct scope *s)
{
    for (size_t i = 0; i < s->onlys; i++)
        if (!is_there(l, &s->only[i]))
            log_warn("%s%s%s is not in the backup: only what the log after it "
                     "makes of that is restored",
                s->only[i].schema, s->only[i].table == NULL ? "" : ".",
                s->only[i].table == NULL ? "" : s->only[i].table);
    for (size_t i = 0; i < s->excludes; i++)
        if (!scope_knows(s, s->exclude[i].schema))
            log_warn("the backup has no table in the schema %s, which is to "
                     "be left out",
                s->exclude[i].schema);
    for (size_t i = 0; i < s->renames; i++)
        if (!scope_knows(s, s->rename[i].from))
            log_warn("the backup has no table in the schema %s, which is to "
                     "be called %s",
                s->rename[i].from, s->rename[i].to);
}

int
load_scope_tell(const struct load_conf *conf)
{
    struct load l = {.conf = conf};
    int rc = 0;

    if (!scope_active(conf->scope))
        return 0;
    if ((rc = load_read_schema(&l)) == 0) {
        log_info("a part of the server: accounts and grants are left out");
        tell_strangers(&l, conf->scope);
        tell_mentions(&l, conf->scope);
    }
    load_free(&l);
    return rc;
}

/* Two schemas under one name. */
static int
check_names(const struct load *l)
{
    for (size_t i = 0; i < l->objects; i++)
        for (size_t k = 0; k < i; k++)
            if (l->object[i].kind == SCHEMA_DATABASE &&
                l->object[k].kind == SCHEMA_DATABASE &&
                strcmp(load_database(&l->object[i]),
                    load_database(&l->object[k])) == 0)
                return err_set(ERR_USAGE, "two schemas would be restored as %s",
                    load_database(&l->object[i]));
    return 0;
}

/* The name that a schema of the target has at the source. */
static const char *
source_name(const struct scope *s, const char *schema)
{
    for (size_t i = 0; i < s->renames; i++)
        if (strcmp(s->rename[i].to, schema) == 0)
            return s->rename[i].from;
    return schema;
}

bool
load_scope_stays(const struct load *l, const char *schema)
{
    return load_name_in(l->stays, l->stay, schema);
}

static bool
is_relation(const struct schema_object *o)
{
    return o->kind == SCHEMA_TABLE || o->kind == SCHEMA_VIEW ||
        o->kind == SCHEMA_SEQUENCE;
}

char *
load_scope_beside(const struct load *l, const struct schema_object *o)
{
    return is_relation(o) && load_scope_stays(l, o->schema)
        ? db_name2(o->schema, o->name)
        : NULL;
}

/* Is something of the backup at the target already, and not by an unfinished
 * restore? */
static int
check_objects(struct db *db, const struct load *l, const struct load_mark *m,
    const char *schema)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        char *name, *q, *t;
        uint64_t there = 0;
        if (!is_relation(o) || strcmp(o->schema, schema) != 0)
            continue;
        name = db_name2(o->schema, o->name);
        q = load_quoted(o->schema);
        t = load_quoted(o->name);
        if (db_value_u64(db, &there,
                "SELECT COUNT(*) FROM information_schema.TABLES WHERE "
                "TABLE_SCHEMA=%s AND TABLE_NAME=%s",
                q, t) < 0)
            rc = -1;
        if (rc == 0 && there > 0 && !load_name_in(m->table, m->tables, name)) {
            rc = err_set(ERR_FAILED, "target (%s) has %s.%s already",
                db_where(db), o->schema, o->name);
            err_hint("give it another schema with --rename %s=..., or move it "
                     "away first",
                source_name(l->conf->scope, schema));
        }
        free(name);
        free(q);
        free(t);
    }
    return rc;
}

/* What is not in the backup and only the log makes, if the target has it: the
 * schema, or the table. */
static int
check_later(struct db *db, const struct load *l, const struct load_mark *m)
{
    const struct scope *s = l->conf->scope;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->onlys; i++) {
        const struct scope_name *x = &s->only[i];
        const char *schema = scope_to(s, x->schema);
        char *q, *t, *name;
        uint64_t there = 0;

        if (is_there(l, x) || load_name_in(m->schema, m->schemas, schema))
            continue;
        q = load_quoted(schema);
        t = load_quoted(x->table == NULL ? "" : x->table);
        name = x->table == NULL ? xstrdup(schema)
                                : xasprintf("%s.%s", schema, x->table);
        rc = db_value_u64(db, &there,
            x->table == NULL
                ? "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE "
                  "SCHEMA_NAME=%s AND %s=''"
                : "SELECT COUNT(*) FROM information_schema.TABLES WHERE "
                  "TABLE_SCHEMA=%s AND TABLE_NAME=%s",
            q, t);
        if (rc >= 0 && there > 0) {
            rc = err_set(ERR_FAILED,
                "target (%s) has %s already, which is not in the backup and "
                "which the log after it makes",
                db_where(db), name);
            err_hint(
                "restore it with --sandbox DIR and copy from there what is "
                "wanted, or move it away first");
        }
        free(q);
        free(t);
        free(name);
    }
    return rc;
}

int
load_scope_target(struct db *db, struct load *l, const struct load_mark *m)
{
    const struct scope *s = l->conf->scope;

    if (!scope_active(s))
        return 0;
    if (check_names(l) < 0 || check_later(db, l, m) < 0)
        return -1;
    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        const char *name = load_database(o);
        uint64_t there = 0;
        char *q;
        int rc;

        if (o->kind != SCHEMA_DATABASE ||
            scope_schema(s, source_name(s, name)) != SCOPE_SOME ||
            load_name_in(m->schema, m->schemas, name))
            continue;
        q = load_quoted(name);
        rc = db_value_u64(db, &there,
            "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE "
            "SCHEMA_NAME=%s",
            q);
        free(q);
        if (rc < 0 || (there > 0 && check_objects(db, l, m, name) < 0))
            return -1;
        if (there == 0)
            continue;
        l->stays = xgrow(l->stays, l->stay, &l->stay_cap, sizeof *l->stays);
        l->stays[l->stay++] = xstrdup(name);
    }
    return 0;
}
