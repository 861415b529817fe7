/*
 * rewrap.c -- slots for other recipients, for all that exists.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "by_name.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/rewrap.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "slots.h"

struct run {
    struct repo *r;
    const struct secret_key *key;
    const struct public_key *to;
    size_t n;
    struct rewrap_report *report;
    struct slots_file file; /* the one being filled */
    char group[64];         /* what it is for */
    unsigned files;
    char when[TIME_TEXT];
};

/* Kind of an object by its name; 0 where it is none that is sealed. */
static enum seal_kind
kind_of(const char *name)
{
    const char *last = strrchr(name, '/');

    if (strncmp(name, "binlog/", 7) == 0)
        return SEAL_SEGMENT;
    if (strncmp(name, "backup/", 7) != 0 || last == NULL)
        return 0;
    if (strcmp(last, "/manifest") == 0)
        return SEAL_MANIFEST;
    if (strcmp(last, "/schema") == 0)
        return SEAL_SCHEMA;
    return strncmp(last, "/part-", 6) == 0 ? SEAL_ROWS : 0;
}

/* Publish what has been collected. */
static int
put_file(struct run *w)
{
    struct slots_file *f = &w->file;
    struct buf b = {0};
    struct sink *sink;
    uint8_t salt[5];
    char *text;
    int rc = -1;

    if (f->n == 0)
        return 0;
    random_bytes(salt, sizeof salt);
    text = base32_text(salt, sizeof salt);
    f->name = xasprintf(SLOTS_PREFIX "%s-%04u-%s", w->when, ++w->files, text);
    f->made_us = time_now_us();
    slots_file_format(w->r, f, w->key, &b);
    sink = store_put(w->r->store, f->name, STORE_ATOMIC);
    if (sink != NULL && sink_write(sink, b.data, b.len) == 0)
        rc = sink_finish(sink);
    if (rc == 0)
        w->report->sealed += f->n;
    sink_free(sink);
    slots_file_free(f);
    buf_free(&b);
    free(text);
    return rc;
}

/* It is at fault itself, and not the rest.  Told of; 0, or -1. */
static int
passed_over(struct run *w)
{
    if (err_kind() == ERR_KEY)
        w->report->locked++;
    else if (err_kind() == ERR_VERIFY)
        w->report->damaged++;
    else
        return -1;
    log_warn("%s", err_text());
    err_clear();
    return 0;
}

static int
one(struct run *w, enum seal_kind kind, const char *name)
{
    struct seal_expect want = repo_expect(w->r, kind, name);
    struct seal_more more = {.find = slots_find, .arg = w->r};
    struct source *src = store_get(w->r->store, name);
    struct seal_rewrapped keys;
    struct slots_file *f = &w->file;
    int rc = -1;

    w->report->objects++;
    if (src != NULL)
        rc = seal_rewrap(src, &want, w->key, &more, w->to, w->n, &keys);
    source_free(src);
    if (rc < 0 && err_kind() == ERR_VERIFY &&
        store_is_gone(w->r->store, name)) {
        log_debug("%s was removed meanwhile", name);
        err_clear();
        w->report->objects--;
        return 0;
    }
    if (rc < 0)
        return passed_over(w);
    if (keys.n == 0)
        return 0;
    f->v = xgrow(f->v, f->n, &f->cap, sizeof *f->v);
    f->v[f->n++] = (struct slots_entry){.name = xstrdup(name), .keys = keys};
    return f->n == SLOTS_ENTRIES ? put_file(w) : 0;
}

/* Each backup's are apart, and the log's, so that they can go with it. */
static int
begin_group(struct run *w, const char *name)
{
    const char *end = strchr(name + 7, '/');
    char group[sizeof w->group] = "";

    snprintf(group, sizeof group, "%.*s",
        (int)(end == NULL ? 6 : MIN(end - name, 60)), name);
    if (strcmp(group, w->group) == 0)
        return 0;
    memcpy(w->group, group, sizeof group);
    return put_file(w);
}

int
rewrap_run(struct repo *r, const struct secret_key *key,
    const struct public_key *to, size_t n, struct rewrap_report *out)
{
    struct run w = {.r = r, .key = key, .to = to, .n = n, .report = out};
    struct store_list l = {0};
    int rc;

    memset(out, 0, sizeof *out);
    time_compact(time_now_us(), w.when);
    if (!slots_may_make(r, secret_key_public(key))) {
        err_set(ERR_KEY, "this recovery key is no recipient of %s",
            store_where(r->store));
        return err_hint("Only what a recipient has sealed for others is used.");
    }
    rc = store_list(r->store, "", false, &l);
    for (size_t i = 0; i < l.n && rc == 0; i++) {
        enum seal_kind kind = kind_of(l.v[i].name);

        if (kind == 0)
            continue;
        if (stop_asked())
            rc = stop_error();
        else
            rc = begin_group(&w, l.v[i].name);
        if (rc == 0)
            rc = one(&w, kind, l.v[i].name);
    }
    if (rc == 0)
        rc = put_file(&w);
    slots_file_free(&w.file);
    store_list_free(&l);
    return rc;
}

static bool
is_listed(const struct store_list *l, const char *name)
{
    bool found;

    by_name_place(l->v, l->n, sizeof *l->v, name, &found);
    return found;
}

int
rewrap_sweep(struct repo *r, const struct rewrap_sweeping *how, size_t *removed,
    uint64_t *bytes)
{
    const struct store_list *all = how->all;

    for (size_t i = 0; i < all->n; i++) {
        const char *name = all->v[i].name;
        struct slots_file f;
        bool needed = false;
        int may = 1;

        if (strncmp(name, SLOTS_PREFIX, strlen(SLOTS_PREFIX)) != 0)
            continue;
        if (slots_file_load(r, name, &f) < 0) {
            if (err_kind() != ERR_VERIFY)
                return -1;
            err_clear(); /* a person has to look at it */
            continue;
        }
        for (size_t k = 0; k < f.n && !needed; k++)
            needed = is_listed(all, f.v[k].name);
        slots_file_free(&f);
        if (!needed && how->may_go != NULL)
            may = how->may_go(how->arg, &all->v[i]);
        if (may < 0)
            return -1;
        if (needed || may == 0)
            continue;
        if (!how->dry_run && store_remove(r->store, name) < 0)
            return -1;
        (*removed)++;
        *bytes += all->v[i].size;
    }
    return 0;
}
