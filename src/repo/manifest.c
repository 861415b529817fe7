/*
 * manifest.c -- publishing and loading a manifest; freeing it.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/manifest.h"

#define MANIFEST_MAX (1u << 30)

static void
table_free(struct manifest_table *t)
{
    for (size_t i = 0; i < t->cols; i++) {
        free(t->col[i].name);
        free(t->col[i].data_type);
    }
    free(t->col);
    free(t->schema);
    free(t->name);
    free(t->engine);
}

void
manifest_free(struct manifest *m)
{
    if (m == NULL)
        return;
    backup_info_free(&m->info);
    for (size_t i = 0; i < m->tables; i++)
        table_free(&m->table[i]);
    for (size_t i = 0; i < m->parts; i++) {
        free(m->part[i].name);
        free(m->part[i].table);
        free(m->part[i].rows);
    }
    for (size_t i = 0; i < m->warnings; i++)
        free(m->warning[i]);
    for (size_t i = 0; i < m->settings; i++) {
        free(m->setting[i].name);
        free(m->setting[i].value);
    }
    free(m->setting);
    free(m->table);
    free(m->part);
    free(m->warning);
    free(m);
}

void
manifest_set(struct manifest *m, const char *name, const char *value)
{
    m->setting = xrealloc(m->setting, (m->settings + 1) * sizeof *m->setting);
    m->setting[m->settings].name = xstrdup(name);
    m->setting[m->settings++].value = xstrdup(value);
}

const char *
manifest_setting(const struct manifest *m, const char *name)
{
    for (size_t i = 0; m != NULL && i < m->settings; i++)
        if (strcmp(m->setting[i].name, name) == 0)
            return m->setting[i].value;
    return NULL;
}

char *
manifest_name(const char *id)
{
    return xasprintf("backup/%s/manifest", id);
}

int
manifest_store(struct repo *r, const struct manifest *m)
{
    char *name = manifest_name(m->info.id);
    struct buf note = {0}, text = {0};
    struct sink *sink;
    int rc = -1;

    backup_info_format(&m->info, &note);
    manifest_format(m, &text);
    sink = repo_put(
        r, SEAL_MANIFEST, name, &note, ZSTD_LEVEL_DEFAULT, STORE_ATOMIC, NULL);
    if (sink != NULL && sink_write(sink, text.data, text.len) == 0)
        rc = sink_finish(sink);
    if (rc < 0)
        err_wrap("backup %s: manifest", m->info.id);
    sink_free(sink);
    buf_free(&note);
    buf_free(&text);
    free(name);
    return rc;
}

struct manifest *
manifest_load(struct repo *r, const char *id, const struct secret_key *key)
{
    char *name = manifest_name(id);
    struct source *src = repo_get(r, SEAL_MANIFEST, name, key, NULL);
    struct manifest *m = NULL;
    struct buf text = {0};

    if (src != NULL && source_slurp(src, MANIFEST_MAX, &text) == 0)
        m = manifest_parse(text.data, text.len);
    if (m != NULL && strcmp(m->info.id, id) != 0) {
        err_set(ERR_VERIFY, "it says that it is of backup %s", m->info.id);
        manifest_free(m);
        m = NULL;
    }
    if (m == NULL)
        err_wrap("backup %s: manifest", id);
    source_free(src);
    buf_free(&text);
    free(name);
    return m;
}
