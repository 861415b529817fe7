/*
 * load.c -- a backup into a server, in this order: the mark, databases,
 * accounts, sequences, tables, rows and indexes, foreign keys, the comparison
 * with the source, code, grants.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "load_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/progress.h"
#include "pitr/stop.h"
#include "pitr/times.h"

/* All up to the tables. */
static int
make_schemas(struct db *db, struct load *l)
{
    struct load_mark old = {0};
    int rc = -1;

    if (load_mark_read(db, &old) == 0 && load_mark_write(db, l) == 0 &&
        load_databases(db, l, &old) == 0 && load_accounts(db, l) == 0 &&
        load_sequences(db, l) == 0)
        rc = 0;
    load_mark_free(&old);
    return rc;
}

/* Without the comparison, what the server complained of is all there is. */
static void
tell_warnings(const struct load *l)
{
    for (size_t i = 0; i < l->conf->manifest->tables; i++) {
        const struct manifest_table *t = &l->conf->manifest->table[i];
        if (l->table[i].warnings == 0)
            continue;
        if (l->conf->verify)
            log_debug("%s.%s: %" PRIu64 " warnings while storing rows",
                t->schema, t->name, l->table[i].warnings);
        else
            log_warn("%s.%s: %" PRIu64 " warnings of the target while storing "
                     "rows, and it was not compared with the source",
                t->schema, t->name, l->table[i].warnings);
    }
}

static int
fill(struct db *db, struct load *l, struct load_report *out)
{
    uint64_t from;

    progress_start("loading", l->conf->manifest->info.row_bytes);
    if (load_history_init(l, db) < 0 || load_rows(l, out) < 0 ||
        load_zoned(db, l) < 0)
        return -1;
    from = time_mono_us();
    if (load_foreign_keys(db, l) < 0)
        return -1;
    out->index_us += time_mono_us() - from;
    progress_stop();
    tell_warnings(l);
    return 0;
}

static int
compare(struct db *db, struct load *l, struct load_report *out)
{
    uint64_t from = time_mono_us();

    if (!l->conf->verify)
        return 0;
    if (load_verify(l, out) < 0 || load_compare_definitions(db, l) < 0)
        return -1;
    progress_stop();
    out->verify_us = time_mono_us() - from;
    return 0;
}

int
load_run(const struct load_conf *conf, struct load_report *out)
{
    struct load l = {.conf = conf};
    struct db *db = load_connect(conf);
    uint64_t from = time_mono_us();
    int rc = -1;

    *out = (struct load_report){0};
    for (size_t i = 0; i < conf->manifest->tables; i++)
        out->tables += !conf->manifest->table[i].left_out;
    if (db == NULL || load_read_schema(&l) < 0 || load_check_target(db, &l) < 0)
        goto out;
    if (make_schemas(db, &l) < 0 || fill(db, &l, out) < 0)
        goto out;
    out->load_us = time_mono_us() - from;
    if (compare(db, &l, out) < 0)
        goto out;
    if (load_code(db, &l) < 0 || load_grants(db, &l) < 0)
        goto out;
    if (conf->events != NULL)
        load_event_states(&l, conf->events);
    rc = 0;

out:
    progress_stop();
    load_free(&l);
    db_close(db);
    return rc < 0 ? err_wrap("loading backup %s", conf->manifest->info.id) : 0;
}
