/*
 * load_schema.c -- the backup's schema object in memory, and the sessions in
 * which it is created again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"

/* Up to here a table is created with its indexes: of 3,000 tables of three
 * rows a third of the server's time was the ALTER TABLE that adds them. */
#define FEW_ROWS 1000
#define FEW_BYTES (1u << 20)

static int
read_objects(struct load *l, struct schema_reader *r)
{
    size_t cap = 0;
    int rc;

    for (;;) {
        struct schema_object o = {0};
        if ((rc = schema_read(r, &o)) <= 0)
            return rc;
        if (!load_scope_object(l->conf->scope, &o)) {
            schema_object_free(&o);
            continue;
        }
        l->object = xgrow(l->object, l->objects, &cap, sizeof *l->object);
        l->object[l->objects++] = o;
    }
}

/* A table that is created with its foreign keys wants the indexes that they
 * refer to, whichever of the two comes first. */
static void
keep_referred(struct load *l)
{
    size_t n = l->conf->manifest->tables;

    for (size_t i = 0; i < n; i++) {
        const struct schema_object *from = l->table[i].object;

        for (size_t k = 0; l->table[i].ddl.refers && k < n; k++) {
            struct load_table *t = &l->table[k];

            if (t->ddl.indexes == 0 ||
                !ddl_table_refers(from->sql, from->schema, t->object->schema,
                    t->object->name))
                continue;
            ddl_table_free(&t->ddl);
            ddl_table_split(t->object->sql, DDL_INDEXES_STAY, &t->ddl);
        }
    }
}

/* Tables whose rows are in the backup by their number, the others in a list
 * of their own. */
static int
find_tables(struct load *l)
{
    const struct manifest *m = l->conf->manifest;

    l->table = xcalloc(m->tables + 1, sizeof *l->table);
    l->bare = xcalloc(l->objects + 1, sizeof *l->bare);
    for (size_t i = 0; i < l->objects; i++) {
        const struct schema_object *o = &l->object[i];
        struct load_table *t;
        if (o->kind != SCHEMA_TABLE)
            continue;
        if (o->table == UINT32_MAX)
            t = &l->bare[l->bares++];
        else if (o->table < m->tables && l->table[o->table].object == NULL)
            t = &l->table[o->table];
        else
            return err_set(ERR_VERIFY,
                "table %s.%s has number %" PRIu32
                " in the schema, which the manifest does not have",
                o->schema, o->name, o->table);
        t->object = o;
        ddl_table_split(o->sql,
            o->table < m->tables && m->table[o->table].sum.rows <= FEW_ROWS &&
                    m->table[o->table].bytes <= FEW_BYTES
                ? DDL_INDEXES_FEW_ROWS
                : DDL_INDEXES_LATER,
            &t->ddl);
    }
    keep_referred(l);
    for (size_t i = 0; i < m->tables; i++) {
        if (l->table[i].object == NULL && !m->table[i].left_out)
            return err_set(ERR_VERIFY, "the schema lacks table %s.%s",
                m->table[i].schema, m->table[i].name);
    }
    return 0;
}

int
load_read_schema(struct load *l)
{
    const struct load_conf *c = l->conf;
    char *name = xasprintf("backup/%s/schema", c->manifest->info.id);
    struct schema_reader *r = schema_reader_new(repo_get(
        c->repo, SEAL_SCHEMA, name, c->key, c->manifest->schema_digest));
    int rc = -1;

    if (r != NULL && read_objects(l, r) == 0 && find_tables(l) == 0)
        rc = 0;
    else
        err_wrap("%s", name);
    schema_reader_free(r);
    free(name);
    return rc;
}

void
load_free(struct load *l)
{
    for (size_t i = 0; l->table != NULL && i < l->conf->manifest->tables; i++)
        ddl_table_free(&l->table[i].ddl);
    for (size_t i = 0; i < l->bares; i++)
        ddl_table_free(&l->bare[i].ddl);
    for (size_t i = 0; i < l->objects; i++)
        schema_object_free(&l->object[i]);
    free(l->object);
    free(l->table);
    free(l->bare);
    free(l->account);
    for (size_t i = 0; i < l->stay; i++)
        free(l->stays[i]);
    free(l->stays);
    *l = (struct load){.conf = l->conf};
}

/* A session variable that only some versions have. */
static int
set_if_there(struct db *db, const char *name, const char *value)
{
    char *old = NULL;
    int rc = db_value(db, &old,
        "SELECT VARIABLE_VALUE FROM information_schema.SESSION_VARIABLES "
        "WHERE VARIABLE_NAME='%s'",
        name);

    free(old);
    if (rc <= 0)
        return rc;
    return db_exec(db, "SET SESSION %s=%s", name, value);
}

/*
 * What is created here was valid at the source, whatever today's defaults are:
 * a MEMORY table was as large as its max_heap_table_size let it be, no engine
 * is exchanged for another, "utf8" is what it was before 10.6, a charset
 * without a collation has its old default one.
 */
static int
session_setup(struct db *db)
{
    if (db_exec(db, "SET SESSION sql_log_bin=0") < 0)
        return err_hint("the account needs all privileges WITH GRANT OPTION");
    if (db_exec(db,
            "SET SESSION foreign_key_checks=0, unique_checks=0, "
            "check_constraint_checks=0, sql_log_off=1, "
            "innodb_strict_mode=0, lock_wait_timeout=86400, "
            "max_heap_table_size=18446744073709547520, "
            "innodb_lock_wait_timeout=86400, "
            "sql_mode=CONCAT(@@sql_mode, "
            "',NO_ENGINE_SUBSTITUTION,NO_DIR_IN_CREATE')") < 0 ||
        db_exec(db, "SET @pitr_sql_mode=@@sql_mode") < 0)
        return -1;
    if (set_if_there(db, "system_versioning_alter_history", "KEEP") < 0 ||
        set_if_there(db, "system_versioning_insert_history", "1") < 0 ||
        set_if_there(db, "character_set_collations", "''") < 0)
        return -1;
    /* Before that version there is nothing else that "utf8" could be. */
    return db_version(db) < 100601
        ? 0
        : db_exec(db, "SET SESSION old_mode='UTF8_IS_UTF8MB3'");
}

struct db *
load_connect(const struct load_conf *conf)
{
    struct db *db = db_open(conf->target, "target");

    if (db == NULL)
        return NULL;
    if (session_setup(db) < 0) {
        db_close(db);
        return NULL;
    }
    return db;
}

int
load_use(struct db *db, const char *schema)
{
    struct buf b = {0};
    int rc;

    buf_str(&b, "USE ");
    db_ident(&b, schema);
    rc = db_exec_bytes(db, (char *)b.data, b.len);
    buf_free(&b);
    return rc;
}

bool
load_name_in(char *const *v, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(v[i], name) == 0)
            return true;
    }
    return false;
}

const char *
load_database(const struct schema_object *o)
{
    return o->name[0] != '\0' ? o->name : o->schema;
}

bool
load_has_schema(const struct load *l, const char *schema)
{
    for (size_t i = 0; i < l->objects; i++) {
        if (l->object[i].kind == SCHEMA_DATABASE &&
            strcmp(load_database(&l->object[i]), schema) == 0)
            return !load_scope_stays(l, schema);
    }
    return false;
}

char *
load_quoted(const char *s)
{
    struct buf b = {0};

    db_quote(&b, s, strlen(s));
    return buf_take(&b);
}
