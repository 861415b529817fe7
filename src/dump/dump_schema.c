/*
 * dump_schema.c -- the schema object: everything that is not rows, in the
 * order in which it has to be created.
 */
#include <stdlib.h>
#include <string.h>

#include "dump_priv.h"
#include "pitr/mem.h"
#include "pitr/stop.h"

void
dump_objects_free(struct dump_objects *o)
{
    for (size_t i = 0; i < o->n; i++)
        schema_object_free(&o->v[i]);
    free(o->v);
    memset(o, 0, sizeof *o);
}

static int
write_list(struct schema_writer *w, const struct dump_objects *o)
{
    for (size_t i = 0; i < o->n; i++)
        if (schema_write(w, &o->v[i]) < 0)
            return -1;
    return 0;
}

static int
write_databases(struct dump *d, struct schema_writer *w)
{
    struct db_result list, r;
    int rc = 0;

    if (db_query(d->main, &list,
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA "
            "WHERE " DUMP_NOT_SYSTEM("SCHEMA_NAME") " ORDER BY 1") < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < list.rows; i++) {
        struct schema_object o = {.kind = SCHEMA_DATABASE, .table = UINT32_MAX};
        struct buf ident = {0};

        db_ident(&ident, db_text(&list, i, 0));
        if (db_query(d->main, &r, "SHOW CREATE DATABASE %s", buf_cstr(&ident)) <
            0) {
            rc = err_wrap("database %s", db_text(&list, i, 0));
        } else {
            o.name = xstrdup(db_text(&list, i, 0));
            o.schema = xstrdup("");
            rc = dump_definition(&r, o.name, &o.sql);
            db_result_free(&r);
            if (rc == 0)
                rc = schema_write(w, &o);
        }
        buf_free(&ident);
        schema_object_free(&o);
    }
    db_result_free(&list);
    return rc;
}

static int
write_table(struct dump *d, struct schema_writer *w, const struct dump_table *t)
{
    struct schema_object o = {.kind = SCHEMA_TABLE, .table = t->number};
    char *name = db_name2(t->schema, t->name);
    struct db_result r;
    int rc;

    if ((rc = db_query(d->main, &r, "SHOW CREATE TABLE %s", name)) < 0) {
        err_wrap("table %s.%s", t->schema, t->name);
    } else {
        o.schema = xstrdup(t->schema);
        o.name = xstrdup(t->name);
        rc = dump_definition(&r, name, &o.sql);
        db_result_free(&r);
        if (rc == 0)
            rc = schema_write(w, &o);
    }
    schema_object_free(&o);
    free(name);
    return rc;
}

static int
write_tables(struct dump *d, struct schema_writer *w)
{
    for (size_t i = 0; i < d->tables; i++) {
        if (dump_stopping(d))
            return stop_asked() ? stop_error()
                                : err_set(ERR_FAILED, "a worker failed");
        if (write_table(d, w, &d->table[i]) < 0)
            return -1;
    }
    return 0;
}

static int
write_all(struct dump *d, struct schema_writer *w)
{
    if (write_databases(d, w) < 0 || write_list(w, &d->accounts) < 0 ||
        dump_sequences_write(d, w) < 0 || write_tables(d, w) < 0 ||
        dump_objects_write(d, w) < 0 || dump_views_write(d, w) < 0 ||
        dump_triggers_write(d, w) < 0 || dump_events_write(d, w) < 0)
        return -1;
    return write_list(w, &d->grants);
}

int
dump_schema_run(struct dump *d)
{
    struct manifest *m = d->m;
    const struct seal_mark *mark;
    struct schema_writer *w;
    struct sink *seal;
    int rc = -1;

    d->schema_name = xasprintf("backup/%s/schema", m->info.id);
    w = schema_writer_new(repo_put(d->conf->repo, SEAL_SCHEMA, d->schema_name,
        NULL, d->conf->level, STORE_ATOMIC, &seal));
    if (w == NULL || write_all(d, w) < 0)
        goto out;
    /* What is read from here on is rows only. */
    if (dump_pos_now(d->main, &d->schema_at) < 0 || schema_writer_finish(w) < 0)
        goto out;
    mark = seal_last_mark(seal);
    m->schema_size = mark->offset + mark->size;
    memcpy(m->schema_digest, mark->digest, DIGEST_SIZE);
    rc = 0;

out:
    if (rc < 0) {
        dump_hint_gone(d->main);
        err_wrap("schema");
    }
    schema_writer_free(w);
    return rc;
}
