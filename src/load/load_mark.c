/*
 * load_mark.c -- the mark of a restore that is under way, kept in the target:
 * whose backup it is, which schemas it makes, and what was there before it.
 *
 * It is durable before the first schema is made, so that a restore which ended
 * half way can be told from somebody's data, and started again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/mem.h"

#define MARK "`" LOAD_MARK_SCHEMA "`.`progress`"

static void
add_name(char ***v, size_t *n, size_t *cap, const char *name)
{
    *v = xgrow(*v, *n, cap, sizeof **v);
    (*v)[(*n)++] = xstrdup(name);
}

static void
free_names(char **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i]);
    free(v);
}

void
load_mark_free(struct load_mark *m)
{
    free(m->repository);
    free(m->backup);
    free_names(m->schema, m->schemas);
    free_names(m->table, m->tables);
    free_names(m->kept_schema, m->kept_schemas);
    free_names(m->kept_account, m->kept_accounts);
    *m = (struct load_mark){0};
}

static void
take_row(struct load_mark *m, const char *kind, const char *name)
{
    if (strcmp(kind, "repository") == 0) {
        free(m->repository);
        m->repository = xstrdup(name);
    } else if (strcmp(kind, "backup") == 0) {
        free(m->backup);
        m->backup = xstrdup(name);
    } else if (strcmp(kind, "schema") == 0) {
        add_name(&m->schema, &m->schemas, &m->schema_cap, name);
    } else if (strcmp(kind, "table") == 0) {
        add_name(&m->table, &m->tables, &m->table_cap, name);
    } else if (strcmp(kind, "kept-schema") == 0) {
        add_name(&m->kept_schema, &m->kept_schemas, &m->kept_schema_cap, name);
    } else if (strcmp(kind, "kept-account") == 0) {
        add_name(
            &m->kept_account, &m->kept_accounts, &m->kept_account_cap, name);
    }
}

int
load_mark_read(struct db *db, struct load_mark *out)
{
    struct db_result r = {0};
    uint64_t there = 0;

    *out = (struct load_mark){0};
    if (db_value_u64(db, &there,
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE "
            "TABLE_SCHEMA='" LOAD_MARK_SCHEMA
            "' AND TABLE_NAME='progress'") < 0)
        return -1;
    if (there == 0)
        return 0;
    if (db_query(db, &r, "SELECT kind, name FROM " MARK) < 0)
        return -1;
    for (size_t i = 0; i < r.rows; i++) {
        const char *kind = db_cell(&r, i, 0), *name = db_cell(&r, i, 1);
        if (kind != NULL && name != NULL)
            take_row(out, kind, name);
    }
    /* Its rows come in one transaction: none means it never got so far. */
    out->present = out->repository != NULL && out->backup != NULL;
    db_result_free(&r);
    return 0;
}

static void
add_value(struct buf *b, const char *kind, const char *name)
{
    buf_fmt(b, ", ('%s', ", kind);
    db_quote(b, name, strlen(name));
    buf_str(b, ")");
}

static void
mark_rows(const struct load *l, const struct load_mark *kept, struct buf *b)
{
    char hex[2 * REPO_ID_SIZE + 1];

    for (size_t i = 0; i < REPO_ID_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", l->conf->repo->id[i]);
    buf_fmt(b, "INSERT INTO " MARK " VALUES ('repository', '%s')", hex);
    add_value(b, "backup", l->conf->manifest->info.id);
    for (size_t i = 0; i < l->objects; i++) {
        char *beside = load_scope_beside(l, &l->object[i]);
        if (l->object[i].kind == SCHEMA_DATABASE &&
            !load_scope_stays(l, load_database(&l->object[i])))
            add_value(b, "schema", load_database(&l->object[i]));
        if (beside != NULL)
            add_value(b, "table", beside);
        free(beside);
    }
    /* What an earlier attempt made and this backup does not have. */
    for (size_t i = 0; i < kept->schemas; i++) {
        if (!load_has_schema(l, kept->schema[i]))
            add_value(b, "schema", kept->schema[i]);
    }
    for (size_t i = 0; i < kept->kept_schemas; i++)
        add_value(b, "kept-schema", kept->kept_schema[i]);
    for (size_t i = 0; i < kept->kept_accounts; i++)
        add_value(b, "kept-account", kept->kept_account[i]);
}

/* What is there now, before anything was done. */
static int
look_around(struct db *db, const struct load *l, struct load_mark *out)
{
    struct db_result s = {0}, a = {0};
    int rc = -1;

    if (db_query(
            db, &s, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA") < 0)
        goto out;
    for (size_t i = 0; i < s.rows; i++) {
        const char *name = db_text(&s, i, 0);
        if (!load_has_schema(l, name))
            add_name(&out->kept_schema, &out->kept_schemas,
                &out->kept_schema_cap, name);
    }
    if (db_query(db, &a, LOAD_ACCOUNTS_SQL) < 0)
        goto out;
    for (size_t i = 0; i < a.rows; i++)
        add_name(&out->kept_account, &out->kept_accounts,
            &out->kept_account_cap, db_text(&a, i, 0));
    rc = 0;

out:
    db_result_free(&s);
    db_result_free(&a);
    return rc;
}

int
load_mark_write(struct db *db, const struct load *l)
{
    struct load_mark kept = {0};
    struct buf b = {0};
    int rc = -1;

    if (load_mark_read(db, &kept) < 0)
        goto out;
    if (!kept.present && look_around(db, l, &kept) < 0)
        goto out;
    mark_rows(l, &kept, &b);
    if (db_exec(db, "CREATE DATABASE IF NOT EXISTS `" LOAD_MARK_SCHEMA "`") < 0)
        goto out;
    if (db_exec(db,
            "CREATE TABLE IF NOT EXISTS " MARK
            " (kind VARCHAR(20) NOT NULL, name TEXT NOT NULL) ENGINE=InnoDB "
            "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin") < 0)
        goto out;
    if (db_exec(db, "BEGIN") < 0 || db_exec(db, "DELETE FROM " MARK) < 0 ||
        db_exec_bytes(db, (char *)b.data, b.len) < 0 ||
        db_exec(db, "COMMIT") < 0)
        goto out;
    /* Durable, whatever innodb_flush_log_at_trx_commit is just now. */
    rc = db_exec(db, "FLUSH LOCAL ENGINE LOGS");

out:
    if (rc < 0)
        err_wrap("marking the target as being restored");
    load_mark_free(&kept);
    buf_free(&b);
    return rc;
}

int
load_mark_schema_drop(struct db *db)
{
    uint64_t tables = 0;

    if (db_value_u64(db, &tables,
            "SELECT COUNT(*) FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA='" LOAD_MARK_SCHEMA "'") < 0)
        return -1;
    if (tables > 0)
        return 0;
    return db_exec(db, "DROP DATABASE IF EXISTS `" LOAD_MARK_SCHEMA "`");
}

int
load_mark_remove(struct db *db)
{
    /* What was loaded has to be on disk before it counts as done. */
    if (db_exec(db, "FLUSH LOCAL ENGINE LOGS") < 0 ||
        db_exec(db, "DROP TABLE IF EXISTS " MARK) < 0)
        return -1;
    return load_mark_schema_drop(db);
}

/* --- for the replay --- */

int
load_kept_schemas(struct db *db, char ***out, size_t *n)
{
    struct load_mark m = {0};
    size_t cap = 0;
    int rc = load_mark_read(db, &m);

    for (size_t i = 0; rc == 0 && i < m.kept_schemas; i++)
        if (!scope_is_system(NULL, m.kept_schema[i]) &&
            strcmp(m.kept_schema[i], LOAD_MARK_SCHEMA) != 0)
            add_name(out, n, &cap, m.kept_schema[i]);
    load_mark_free(&m);
    return rc;
}
