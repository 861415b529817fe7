/*
 * load_index.c -- what a table gets when its rows are in: secondary indexes in
 * one go, foreign keys when all tables are there.
 */
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/progress.h"
#include "pitr/stop.h"

static void
alter_table(struct buf *b, const struct schema_object *o)
{
    buf_reset(b);
    buf_str(b, "ALTER TABLE ");
    db_ident(b, o->schema);
    buf_str(b, ".");
    db_ident(b, o->name);
    buf_str(b, " ");
}

/* Up to the next one that needs a statement of its own.  Returns how many. */
static size_t
some_indexes(const struct load_table *t, size_t from, struct buf *b)
{
    size_t i = from;

    alter_table(b, t->object);
    do {
        buf_str(b, i == from ? "" : ", ");
        buf_str(b, t->ddl.add_index[i++]);
    } while (i < t->ddl.indexes && !t->ddl.alone[i] && !t->ddl.alone[i - 1]);
    return i - from;
}

static int
make_indexes(struct db *db, const struct load_table *t, struct buf *b)
{
    for (size_t i = 0; i < t->ddl.indexes;) {
        i += some_indexes(t, i, b);
        if (db_exec_bytes(db, (char *)b->data, b->len) < 0)
            return -1;
    }
    if (!t->ddl.disable_keys)
        return 0;
    alter_table(b, t->object);
    buf_str(b, "ENABLE KEYS");
    return db_exec_bytes(db, (char *)b->data, b->len);
}

int
load_index(struct db *db, const struct load_table *t)
{
    struct buf b = {0};
    int rc = -1;

    /* The connection is one for rows; names and comments are utf8mb4. */
    if (db_exec(db, "SET NAMES utf8mb4") == 0 && make_indexes(db, t, &b) == 0 &&
        db_exec(db, "SET NAMES binary") == 0)
        rc = 0;
    buf_free(&b);
    if (rc < 0)
        err_wrap("indexes of %s.%s", t->object->schema, t->object->name);
    return rc;
}

static int
add_foreign_keys(
    struct db *db, const struct load_table *t, size_t from, size_t to)
{
    struct buf b = {0};
    int rc;

    alter_table(&b, t->object);
    for (size_t i = from; i < to; i++) {
        buf_str(&b, i == from ? "" : ", ");
        buf_str(&b, t->ddl.add_foreign[i]);
    }
    rc = db_exec_bytes(db, (char *)b.data, b.len);
    buf_free(&b);
    return rc;
}

/* Of the error at hand. */
static bool
is_refused(void)
{
    return err_kind() != ERR_UNREACHABLE && !stop_asked();
}

/*
 * With foreign_key_checks=0 a table that others refer to can be altered so that
 * no server takes their keys again: each one that is refused is said, and is no
 * reason to have nothing at all.
 */
static int
foreign_keys_of(struct db *db, const struct load_table *t)
{
    /* Names in a REFERENCES without a schema are of this one. */
    if (load_use(db, t->object->schema) < 0)
        return -1;
    if (add_foreign_keys(db, t, 0, t->ddl.foreigns) == 0)
        return 0;
    if (!is_refused())
        return -1;
    for (size_t i = 0; i < t->ddl.foreigns; i++) {
        err_clear();
        if (add_foreign_keys(db, t, i, i + 1) == 0)
            continue;
        if (!is_refused())
            return -1;
        log_warn("table %s.%s: a foreign key is not restored, the target "
                 "refused it: %s",
            t->object->schema, t->object->name, err_text());
    }
    err_clear();
    return 0;
}

int
load_foreign_keys(struct db *db, struct load *l)
{
    progress_note("foreign keys");
    for (size_t i = 0; i < l->conf->manifest->tables; i++) {
        const struct load_table *t = &l->table[i];
        if (stop_asked())
            return stop_error();
        if (t->ddl.foreigns > 0 && foreign_keys_of(db, t) < 0)
            return err_wrap(
                "foreign keys of %s.%s", t->object->schema, t->object->name);
    }
    return 0;
}
