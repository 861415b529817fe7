/*
 * load_tables.c -- tables are created, several at once: those with rows
 * without what is added later, MERGE tables after their members.
 */
#include <pthread.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/progress.h"
#include "pitr/stop.h"

struct making {
    struct load *l;
    pthread_mutex_t lock;
    size_t next;
    bool failed;
};

static bool
has_rows(const struct load *l, const struct load_table *t)
{
    return t >= l->table && t < l->table + l->conf->manifest->tables;
}

static int
disable_keys(struct db *db, const char *name)
{
    struct buf b = {0};
    int rc;

    buf_str(&b, "ALTER TABLE ");
    db_ident(&b, name);
    buf_str(&b, " DISABLE KEYS");
    rc = db_exec_bytes(db, (char *)b.data, b.len);
    buf_free(&b);
    return rc;
}

static int
create_table(struct db *db, const struct load *l, const struct load_table *t)
{
    const struct schema_object *o = t->object;
    const char *sql = has_rows(l, t) ? t->ddl.create : o->sql;

    if (load_use(db, o->schema) < 0 ||
        db_exec_bytes(db, sql, strlen(sql)) < 0 ||
        (has_rows(l, t) && t->ddl.disable_keys &&
            disable_keys(db, o->name) < 0))
        return err_wrap("table %s.%s", o->schema, o->name);
    return 0;
}

static struct load_table *
table_at(struct load *l, size_t i)
{
    size_t n = l->conf->manifest->tables;

    if (i < n)
        return &l->table[i];
    return i - n < l->bares ? &l->bare[i - n] : NULL;
}

static struct load_table *
take_table(struct making *m)
{
    struct load_table *t = NULL;

    pthread_mutex_lock(&m->lock);
    if (!m->failed && !stop_asked())
        t = table_at(m->l, m->next++);
    pthread_mutex_unlock(&m->lock);
    return t;
}

static int
create_some(void *arg, unsigned index)
{
    struct making *m = arg;
    struct db *db = load_connect(m->l->conf);
    int rc = db == NULL ? -1 : 0;
    struct load_table *t;

    (void)index;
    while (rc == 0 && (t = take_table(m)) != NULL) {
        if (t->object != NULL && !ddl_table_is_merge(t->object->sql))
            rc = create_table(db, m->l, t);
    }
    if (rc < 0) {
        pthread_mutex_lock(&m->lock);
        m->failed = true;
        pthread_mutex_unlock(&m->lock);
    }
    db_close(db);
    return rc;
}

static int
create_merges(struct load *l)
{
    struct db *db = load_connect(l->conf);
    int rc = db == NULL ? -1 : 0;
    struct load_table *t;

    for (size_t i = 0; rc == 0 && (t = table_at(l, i)) != NULL; i++) {
        if (t->object != NULL && ddl_table_is_merge(t->object->sql))
            rc = create_table(db, l, t);
    }
    db_close(db);
    return rc;
}

static void
tell_directories(struct load *l)
{
    struct load_table *t, *first = NULL;
    size_t n = 0;

    for (size_t i = 0; (t = table_at(l, i)) != NULL; i++) {
        if (t->ddl.directory && n++ == 0)
            first = t;
    }
    if (n > 0)
        log_warn("%zu table%s with a DATA or INDEX DIRECTORY (%s.%s%s): now in "
                 "the target's own data directory",
            n, n == 1 ? "" : "s", first->object->schema, first->object->name,
            n == 1 ? "" : ", ...");
}

int
load_tables(struct load *l)
{
    struct making m = {.l = l};
    int rc;

    progress_note("creating tables");
    tell_directories(l);
    pthread_mutex_init(&m.lock, NULL);
    rc = pool_join(pool_start(MAX(l->conf->jobs, 1u), create_some, &m));
    pthread_mutex_destroy(&m.lock);
    return rc < 0 ? -1 : create_merges(l);
}
