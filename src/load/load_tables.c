/*
 * load_tables.c -- tables are created, several at once and while others are
 * filled: those with rows without what is added later, MERGE tables after their
 * members.
 *
 * The server syncs ten times for a CREATE TABLE, most of that one after the
 * other whatever the number of connections; of many small tables that is nearly
 * all of a restore, and leaves its processors to those who fill.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/progress.h"
#include "pitr/stop.h"

/* The server makes one after the other, more or less. */
#define CREATORS_MAX 8

struct load_making {
    struct load *l;
    struct pool *pool;
    size_t *order; /* of the tables with rows; the bare ones come after */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* a table is there, or no more will be */
    size_t next;
    unsigned running;
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
take_table(struct load_making *m)
{
    struct load_table *t = NULL;

    pthread_mutex_lock(&m->lock);
    if (!m->failed && !stop_asked()) {
        size_t i = m->next++;
        t = table_at(m->l, i < m->l->conf->manifest->tables ? m->order[i] : i);
    }
    pthread_mutex_unlock(&m->lock);
    return t;
}

static void
made(struct load_making *m, struct load_table *t)
{
    pthread_mutex_lock(&m->lock);
    t->made = true;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
}

/* A table that keeps its rows elsewhere may want what is there: one that the
 * target refuses is left out, and said. */
static int
create_some(void *arg, unsigned index)
{
    struct load_making *m = arg;
    struct db *db = load_connect(m->l->conf);
    int rc = db == NULL ? -1 : 0;
    struct load_table *t;

    (void)index;
    while (rc == 0 && (t = take_table(m)) != NULL) {
        if (t->object == NULL || ddl_table_is_merge(t->object->sql))
            continue;
        if ((rc = create_table(db, m->l, t)) == 0)
            made(m, t);
        else if (!has_rows(m->l, t))
            rc = load_skip(db, t->object);
    }
    pthread_mutex_lock(&m->lock);
    if (rc < 0)
        m->failed = true;
    m->running--;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
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
        if (t->object == NULL || !ddl_table_is_merge(t->object->sql))
            continue;
        if ((rc = create_table(db, l, t)) < 0 && !has_rows(l, t))
            rc = load_skip(db, t->object);
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

struct load_making *
load_tables_start(struct load *l, size_t *order)
{
    struct load_making *m = xcalloc(1, sizeof *m);
    unsigned jobs = MIN(MAX(l->conf->jobs, 1u), CREATORS_MAX);

    tell_directories(l);
    m->l = l;
    m->order = order;
    m->running = jobs;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->wake, NULL);
    m->pool = pool_start(jobs, create_some, m);
    if (m->pool == NULL)
        m->failed = true;
    return m;
}

int
load_tables_wait(struct load_making *m, size_t table)
{
    const struct load_table *t = &m->l->table[table];
    int rc;

    pthread_mutex_lock(&m->lock);
    while (!t->made && !m->failed && m->running > 0)
        pthread_cond_wait(&m->wake, &m->lock);
    rc = t->made && !m->failed ? 0 : 1;
    pthread_mutex_unlock(&m->lock);
    return rc;
}

void
load_tables_break_off(struct load_making *m)
{
    pthread_mutex_lock(&m->lock);
    m->failed = true;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
}

int
load_tables_end(struct load_making *m)
{
    int rc = m->pool == NULL ? -1 : pool_join(m->pool);

    if (rc == 0 && !m->failed && !stop_asked())
        rc = create_merges(m->l);
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->lock);
    free(m->order);
    free(m);
    return rc < 0 ? -1 : 0;
}
