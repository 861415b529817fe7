/*
 * load_foreign.c -- the foreign keys of a backup's tables, out of their
 * definitions: for who restores only some of them.
 */
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/mem.h"
#include "pitr/sql_read.h"

/* ON DELETE or ON UPDATE, and what is done: NO ACTION and RESTRICT is nothing.
 */
static void
take_action(struct sql_read *r, struct scope_foreign *f)
{
    bool is_delete = sql_at_word(r, "DELETE");
    bool acts;

    if (!is_delete && !sql_at_word(r, "UPDATE"))
        return;
    sql_read_next(r);
    acts = sql_at_word(r, "CASCADE") || sql_at_word(r, "SET");
    if (is_delete)
        f->on_delete = acts;
    else
        f->on_update = acts;
}

/* Behind REFERENCES, up to the end of the key. */
static void
take_reference(
    struct sql_read *r, const struct schema_object *o, struct scope *s)
{
    struct scope_foreign f = {.schema = xstrdup(o->schema),
        .table = xstrdup(o->name),
        .to_schema = xstrdup(o->schema),
        .to_table = sql_text(r)};

    sql_read_next(r);
    if (sql_at(r, '.')) {
        sql_read_next(r);
        free(f.to_schema);
        f.to_schema = f.to_table;
        f.to_table = sql_text(r);
    }
    while (r->kind != SQL_END && r->depth > 0 &&
        !(r->depth == 1 && sql_at(r, ','))) {
        if (sql_take_word(r, "ON"))
            take_action(r, &f);
        else
            sql_read_next(r);
    }
    scope_foreign_add(s, &f);
}

static void
read_table(const struct schema_object *o, struct scope *s)
{
    struct sql_read r;

    sql_read_begin(&r, o->sql, strlen(o->sql), 0);
    while (r.kind != SQL_END) {
        if (sql_take_word(&r, "REFERENCES"))
            take_reference(&r, o, s);
        else
            sql_read_next(&r);
    }
    sql_read_free(&r);
}

int
load_scope_foreign(struct repo *repo, const struct secret_key *key,
    const struct manifest *m, struct scope *s)
{
    char *name = xasprintf("backup/%s/schema", m->info.id);
    struct schema_reader *r = schema_reader_new(
        repo_get(repo, SEAL_SCHEMA, name, key, m->schema_digest));
    int rc = r == NULL ? -1 : 1;

    while (rc == 1) {
        struct schema_object o = {0};

        rc = schema_read(r, &o);
        if (rc == 1 && o.kind == SCHEMA_TABLE)
            read_table(&o, s);
        if (rc == 1)
            schema_object_free(&o);
    }
    schema_reader_free(r);
    if (rc < 0)
        err_wrap("%s", name);
    else
        scope_foreign_settle(s);
    free(name);
    return rc < 0 ? -1 : 0;
}
