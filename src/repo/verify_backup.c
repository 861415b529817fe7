/*
 * verify_backup.c -- each backup: is all of it there, and is it what was
 * written?
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_priv.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/schema.h"
#include "verify_priv.h"

/* One backup at work. */
struct work {
    const char *id;
    char *folder, *manifest_name, *schema_name;
    const struct store_entry *entry; /* all that is in its folder */
    size_t entries;
    uint64_t manifest_size;
    struct buf note;             /* of the manifest's header */
    struct backup_info info;     /* the same */
    uint8_t digest[DIGEST_SIZE]; /* of the manifest */
    bool manifest_bad;           /* which has been told */
    struct manifest *m;          /* with the key */
    struct verify_sums *sums;
};

static const struct store_entry *
find(const struct work *w, const char *name)
{
    for (size_t i = 0; i < w->entries; i++)
        if (strcmp(w->entry[i].name, name) == 0)
            return &w->entry[i];
    return NULL;
}

/* Kind of an object by its name; 0 where it is none of a backup. */
static enum seal_kind
kind_of(const struct work *w, const char *name)
{
    if (strcmp(name, w->manifest_name) == 0)
        return SEAL_MANIFEST;
    if (strcmp(name, w->schema_name) == 0)
        return SEAL_SCHEMA;
    return strncmp(name + strlen(w->folder), "part-", 5) == 0 ? SEAL_ROWS : 0;
}

/* What is told of the backup in plain. */
static int
read_note(struct verify *v, struct work *w)
{
    struct seal_header h = {0};
    struct seal_mark m = {0};
    int rc = repo_peek(v->repo, SEAL_MANIFEST, w->manifest_name, &h, &m);

    if (rc == 0) {
        seal_header_free(&h);
        rc = err_set(ERR_VERIFY, "it was cut short");
    }
    if (rc < 0)
        return -1;
    w->manifest_size = m.offset + m.size;
    memcpy(w->digest, m.digest, DIGEST_SIZE);
    rc = backup_info_parse(h.meta.data, h.meta.len, &w->info);
    if (rc == 0) {
        buf_add(&w->note, h.meta.data, h.meta.len);
        if (strcmp(w->info.id, w->id) != 0)
            rc = err_set(ERR_VERIFY, "it is of backup %s", w->info.id);
    }
    seal_mark_free(&m);
    seal_header_free(&h);
    return rc;
}

/* What is there, by the names alone. */
struct there {
    bool schema;
    uint64_t parts, bytes; /* bytes: of parts and schema */
};

static struct there
look(const struct work *w)
{
    struct there t = {.schema = find(w, w->schema_name) != NULL};

    for (size_t i = 0; i < w->entries; i++) {
        enum seal_kind kind = kind_of(w, w->entry[i].name);

        t.parts += kind == SEAL_ROWS;
        if (kind == SEAL_ROWS || kind == SEAL_SCHEMA)
            t.bytes += w->entry[i].size;
    }
    return t;
}

/* As many parts, and as large, as the note says? */
static bool
is_complete(const struct work *w)
{
    struct there t = look(w);

    return t.schema && t.parts == w->info.parts &&
        t.bytes == w->info.stored_bytes;
}

static void
tell_incomplete(struct verify *v, const struct work *w)
{
    struct there t = look(w);

    if (!t.schema)
        verify_found(v, VERIFY_DAMAGED, w->schema_name, "it is missing");
    if (t.parts != w->info.parts)
        verify_found(v, VERIFY_DAMAGED, w->folder,
            "it has %" PRIu64 " row parts, its manifest says %" PRIu64, t.parts,
            w->info.parts);
    else if (t.schema && t.bytes != w->info.stored_bytes)
        verify_found(v, VERIFY_DAMAGED, w->folder,
            "its parts and schema have %" PRIu64
            " bytes, its manifest says %" PRIu64,
            t.bytes, w->info.stored_bytes);
}

static void
tell_strangers(struct verify *v, const struct work *w)
{
    for (size_t i = 0; i < w->entries; i++)
        if (kind_of(w, w->entry[i].name) == 0)
            verify_found(v, VERIFY_NOTHING, w->entry[i].name,
                "it does not belong to a backup");
}

/* Was all of it found good before, and is as it was?  1, 0, -1. */
static int
is_known(struct verify *v, const struct work *w)
{
    for (size_t i = 0; i < w->entries; i++) {
        const struct store_entry *e = &w->entry[i];
        enum seal_kind kind = kind_of(w, e->name);
        int rc;

        if (kind == 0)
            continue;
        rc = verify_known(v, kind, e->name, e->size);
        if (rc < 0 && err_kind() == ERR_VERIFY) {
            err_clear(); /* found again, and told of, when it is read */
            rc = 0;
        }
        if (rc <= 0)
            return rc;
    }
    return 1;
}

/* --- without the key --- */

static int
scan_one(struct verify *v, void *arg, size_t i)
{
    const struct work *w = arg;
    const struct store_entry *e = &w->entry[i];
    enum seal_kind kind = kind_of(w, e->name);
    uint8_t digest[DIGEST_SIZE];

    bool manifest = kind == SEAL_MANIFEST;

    if (kind == 0 || (manifest && w->manifest_bad))
        return 0;
    if (verify_scan(v, kind, e->name, 0, manifest ? w->digest : NULL, digest) <
        0)
        return verify_fault(v, e->name);
    /* A manifest is remembered when all of its backup is good. */
    verify_good(
        v, e->name, e->size, manifest ? NULL : digest, VERIFY_SIGNATURES);
    return 0;
}

static int
scan_all(struct verify *v, struct work *w)
{
    return verify_each(v, w->entries, scan_one, w);
}

/* --- with it --- */

static int
read_schema(struct verify *v, const struct work *w)
{
    const struct manifest *m = w->m;
    struct schema_reader *r = schema_reader_new(repo_get(
        v->repo, SEAL_SCHEMA, w->schema_name, v->conf->key, m->schema_digest));
    struct schema_object o;
    int rc = -1;

    while (r != NULL && (rc = schema_read(r, &o)) > 0) {
        bool fits = o.kind != SCHEMA_TABLE || o.table == UINT32_MAX ||
            (o.table < m->tables &&
                strcmp(o.schema, m->table[o.table].schema) == 0 &&
                strcmp(o.name, m->table[o.table].name) == 0);

        if (!fits)
            rc = err_set(ERR_VERIFY,
                "table %s.%s is not number %" PRIu32 " of the manifest",
                o.schema, o.name, o.table);
        schema_object_free(&o);
        if (rc < 0)
            break;
    }
    schema_reader_free(r);
    return rc;
}

/* Is an object there as the manifest lists it?  Its absence is found by
 * opening it. */
static int
check_size(const struct work *w, const char *name, uint64_t size)
{
    const struct store_entry *e = find(w, name);

    if (e == NULL)
        return err_set(ERR_VERIFY, "it is missing");
    if (e->size != size)
        return err_set(ERR_VERIFY,
            "it has %" PRIu64 " bytes, its manifest says %" PRIu64, e->size,
            size);
    return 0;
}

/* 0 is the schema, the others are the parts. */
static int
open_one(struct verify *v, void *arg, size_t i)
{
    const struct work *w = arg;
    const struct manifest *m = w->m;
    const struct manifest_part *p = i == 0 ? NULL : &m->part[i - 1];
    const char *name = p == NULL ? w->schema_name : p->name;
    uint64_t size = p == NULL ? m->schema_size : p->size;
    int there = check_size(w, name, size);
    struct err_saved *why = there < 0 ? err_take() : NULL;
    int rc = p == NULL ? read_schema(v, w) : verify_part(v, w->sums, i - 1);

    if (why != NULL && !(rc < 0 && err_kind() == ERR_UNREACHABLE)) {
        err_put(why); /* the plainer of the two reasons */
        rc = -1;
        why = NULL;
    }
    err_saved_free(why);
    if (rc < 0)
        return verify_fault(v, name);
    verify_good(v, name, size, p == NULL ? m->schema_digest : p->digest,
        VERIFY_CONTENT);
    return 0;
}

static int
part_named(const struct manifest *m, const char *name)
{
    for (size_t i = 0; i < m->parts; i++)
        if (strcmp(m->part[i].name, name) == 0)
            return 1;
    return 0;
}

/* Do the manifest's lists agree with what it says in plain? */
static int
check_manifest(const struct work *w)
{
    const struct manifest *m = w->m;
    uint64_t rows = 0, bytes = 0, stored = m->schema_size;
    struct buf note = {0};
    bool same;

    backup_info_format(&m->info, &note);
    same = note.len == w->note.len &&
        memcmp(note.data, w->note.data, note.len) == 0;
    buf_free(&note);
    if (!same)
        return err_set(ERR_VERIFY, "its content and its note do not agree");
    for (size_t i = 0; i < m->tables; i++) {
        rows += m->table[i].sum.rows;
        bytes += m->table[i].bytes;
    }
    for (size_t i = 0; i < m->parts; i++)
        stored += m->part[i].size;
    if (m->tables != m->info.tables || m->parts != m->info.parts ||
        rows != m->info.rows || bytes != m->info.row_bytes ||
        stored != m->info.stored_bytes)
        return err_set(ERR_VERIFY, "its totals are not those of its lists");
    return 0;
}

static int
open_all(struct verify *v, struct work *w)
{
    if (check_manifest(w) < 0 && verify_fault(v, w->manifest_name) < 0)
        return -1;
    for (size_t i = 0; i < w->entries; i++)
        if (kind_of(w, w->entry[i].name) == SEAL_ROWS &&
            !part_named(w->m, w->entry[i].name))
            verify_found(v, VERIFY_DAMAGED, w->entry[i].name,
                "its backup's manifest does not list it");
    w->sums = verify_sums_new(w->m);
    if (verify_each(v, w->m->parts + 1, open_one, w) < 0)
        return -1;
    verify_sums_compare(v, w->sums);
    return 0;
}

/* --- a backup --- */

/* Without its list, the others can still be looked at by themselves. */
static int
manifest_fault(struct verify *v, struct work *w)
{
    w->manifest_bad = true;
    return verify_fault(v, w->manifest_name) < 0 ? -1 : scan_all(v, w);
}

static int
read_content(struct verify *v, struct work *w)
{
    w->m = manifest_load(v->repo, w->id, v->conf->key);
    if (w->m != NULL) {
        verify_good(
            v, w->manifest_name, w->manifest_size, NULL, VERIFY_CONTENT);
        return open_all(v, w);
    }
    if (manifest_fault(v, w) < 0)
        return -1;
    tell_incomplete(v, w);
    return 0;
}

/* Expired while it was being read: then nothing is wrong with it. */
static int
is_removed(struct verify *v, const struct work *w, size_t findings)
{
    struct verify_report *r = v->report;
    uint64_t size;
    int rc = store_stat(v->repo->store, w->manifest_name, &size);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    log_info("backup %s was removed meanwhile", w->id);
    while (r->findings > findings) {
        r->findings--;
        free(r->finding[r->findings].object);
        free(r->finding[r->findings].text);
    }
    return 1;
}

static bool
found_damage(const struct verify_report *r, size_t since)
{
    for (size_t i = since; i < r->findings; i++)
        if (r->finding[i].kind == VERIFY_DAMAGED)
            return true;
    return false;
}

static void
add_result(struct verify *v, const struct work *w, bool damaged, bool unchanged)
{
    struct verify_report *r = v->report;
    struct verify_backup b = {.id = xstrdup(w->id),
        .damaged = damaged,
        .unchanged = unchanged,
        .objects = w->entries};

    for (size_t i = 0; i < w->entries; i++)
        b.bytes += w->entry[i].size;
    if (unchanged)
        r->unchanged += w->entries;
    r->backup = xgrow(r->backup, r->backups, &r->cap_backups, sizeof b);
    r->backup[r->backups++] = b;
}

/* 1 where it need not be read, since nothing has changed; 0; -1. */
static int
read_backup(struct verify *v, struct work *w)
{
    int rc;

    tell_strangers(v, w);
    if (is_complete(w)) {
        if ((rc = is_known(v, w)) != 0)
            return rc;
    } else if (v->conf->key == NULL) { /* else the list tells it better */
        tell_incomplete(v, w);
    }
    return v->conf->key != NULL ? read_content(v, w) : scan_all(v, w);
}

static int
verify_backup(struct verify *v, struct work *w)
{
    size_t findings = v->report->findings;
    bool damaged;
    int rc, gone = 0;

    if (find(w, w->manifest_name) == NULL) {
        verify_found(v, VERIFY_UNFINISHED, w->folder,
            "it has no manifest: running, or it failed; it does not count");
        return 0;
    }
    if (read_note(v, w) == 0) {
        rc = read_backup(v, w);
    } else if (manifest_is_arriving(v->repo, w->manifest_name)) {
        verify_found(v, VERIFY_UNFINISHED, w->folder,
            "its manifest is still arriving, or its upload was cut; it does "
            "not count");
        return 0;
    } else {
        rc = manifest_fault(v, w);
    }
    if (rc < 0)
        return -1;
    damaged = found_damage(v->report, findings);
    if (damaged && (gone = is_removed(v, w, findings)) != 0)
        return gone < 0 ? -1 : 0;
    /* The manifest's mark in the memory stands for the whole backup. */
    if (!damaged && rc == 0)
        verify_remember(
            v, w->manifest_name, w->manifest_size, w->digest, v->level);
    if (damaged) {
        pthread_mutex_lock(&v->lock);
        verified_drop(v->known, w->manifest_name);
        pthread_mutex_unlock(&v->lock);
    }
    add_result(v, w, damaged, rc > 0);
    return 0;
}

static void
work_free(struct work *w)
{
    verify_sums_free(w->sums);
    manifest_free(w->m);
    backup_info_free(&w->info);
    buf_free(&w->note);
    free(w->folder);
    free(w->manifest_name);
    free(w->schema_name);
}

/* The folder is listed once more: a listing is no snapshot, and one that has
 * the manifest may lack a part that was published before it. */
static int
verify_folder(struct verify *v, const char *folder, const char *id)
{
    struct store_list l = {0};
    struct work w = {.id = id,
        .folder = xstrdup(folder),
        .manifest_name = xasprintf("%smanifest", folder),
        .schema_name = xasprintf("%sschema", folder)};
    int rc = store_list(v->repo->store, folder, false, &l);

    w.entry = l.v;
    w.entries = l.n;
    if (rc == 0 && l.n > 0)
        rc = verify_backup(v, &w);
    work_free(&w);
    store_list_free(&l);
    return rc;
}

int
verify_backups(struct verify *v, const struct store_list *all)
{
    char *last = xstrdup("");
    int rc = 0;

    for (size_t i = 0; i < all->n && rc == 0; i++) {
        const char *name = all->v[i].name, *slash;
        char *id;

        if (strncmp(name, "backup/", 7) != 0 ||
            (slash = strchr(name + 7, '/')) == NULL ||
            (*last != '\0' && strncmp(name, last, strlen(last)) == 0))
            continue;
        free(last);
        last = xstrndup(name, (size_t)(slash - name) + 1);
        id = xstrndup(name + 7, (size_t)(slash - name) - 7);
        rc = verify_folder(v, last, id);
        free(id);
    }
    free(last);
    return rc;
}
