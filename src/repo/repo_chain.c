/*
 * repo_chain.c -- the generations of the repository file: which of them count,
 * and who has to have signed what.
 *
 * Each later one is handed over by the one before: signed by that one's signer,
 * or by a recovery key among its recipients.  A thief of the signing key can
 * make one, too; so where two follow on the same one, that of a recovery key
 * counts, and else the one with the lower number, whose name was taken first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/segment.h"
#include "repo_file.h"

static int
load_one(struct store *s, const char *name, struct repo_file *out)
{
    struct source *src = store_get(s, name);
    struct buf text = {0};
    int rc = -1;

    if (src != NULL && source_slurp(src, REPO_FILE_MAX, &text) == 0)
        rc = repo_file_parse(text.data, text.len, out);
    if (rc == 0) {
        out->text = text;
        memset(&text, 0, sizeof text);
    } else {
        err_wrap("%s/%s", store_where(s), name);
    }
    source_free(src);
    buf_free(&text);
    return rc;
}

/* --- which of them count --- */

static bool
is_recipient(const struct repo_file *f, const uint8_t identity[32])
{
    for (size_t i = 0; i < f->n_recipients; i++)
        if (memcmp(f->recipients[i].identity, identity, 32) == 0)
            return true;
    return false;
}

static bool
hands_over(const struct repo_file *from, const struct repo_file *to)
{
    const uint8_t *by = to->by_recovery ? to->by : from->signer;

    if (to->generation <= from->generation ||
        memcmp(to->previous, from->digest, DIGEST_SIZE) != 0 ||
        memcmp(to->id, from->id, sizeof to->id) != 0 ||
        strcmp(to->server, from->server) != 0 ||
        (to->by_recovery && !is_recipient(from, to->by)))
        return false;
    if (sign_check(by, REPO_HANDOVER_CONTEXT, to->text.data, to->handover_len,
            to->handover) == 0)
        return true;
    err_clear();
    return false;
}

/* The one that follows on f, among n sorted by generation; NULL. */
static struct repo_file *
follower(const struct repo_file *f, struct repo_file *v, size_t n)
{
    struct repo_file *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (hands_over(f, &v[i]) &&
            (best == NULL || (v[i].by_recovery && !best->by_recovery)))
            best = &v[i];
    return best;
}

/* From the first on; what does not count is dropped. */
static void
choose(struct store *s, struct repo_chain *c)
{
    size_t n = 1;
    struct repo_file *next;

    while ((next = follower(&c->file[n - 1], c->file + n, c->n - n)) != NULL) {
        struct repo_file one = *next;

        *next = c->file[n];
        c->file[n++] = one;
        /* The rest stays sorted, for the lower number counts. */
        for (size_t i = (size_t)(next - c->file); i > n; i--)
            if (c->file[i - 1].generation > c->file[i].generation) {
                one = c->file[i];
                c->file[i] = c->file[i - 1];
                c->file[i - 1] = one;
            }
    }
    for (size_t i = n; i < c->n; i++) {
        log_warn("%s/" REPO_LATER "%06lu does not count: it was not handed "
                 "over by the generation before, or another follows on that",
            store_where(s), (unsigned long)c->file[i].generation);
        repo_file_free(&c->file[i]);
    }
    c->n = n;
}

/* --- reading them --- */

static int
load_later(struct store *s, const char *name, bool strict, struct repo_chain *c)
{
    struct repo_file *f = &c->file[c->n];
    char *should = NULL;
    int rc = load_one(s, name, f);

    if (rc == 0) {
        should = xasprintf(REPO_LATER "%06lu", (unsigned long)f->generation);
        if (strcmp(should, name) != 0) {
            repo_file_free(f);
            rc = err_set(
                ERR_VERIFY, "%s/%s: it is %s", store_where(s), name, should);
        }
        free(should);
    }
    c->n += rc == 0;
    if (rc == 0 || strict || err_kind() != ERR_VERIFY)
        return rc;
    log_warn("%s: it does not count", err_text());
    err_clear();
    return 0;
}

bool
repo_is_later(const char *name)
{
    const char *digits = name + strlen(REPO_LATER);

    return strncmp(name, REPO_LATER, strlen(REPO_LATER)) == 0 &&
        strspn(digits, "0123456789") == 6 && digits[6] == '\0';
}

/* Who may only add to a vault can make folders and names of all kinds there. */
static void
tell_stranger(const struct store *s, const char *name)
{
    if (strncmp(name, REPO_LATER, strlen(REPO_LATER)) == 0)
        log_warn("%s/%s is no generation of the repository file: it does not "
                 "count",
            store_where(s), name);
}

int
repo_chain_load(struct store *s, bool strict, struct repo_chain *out)
{
    struct store_list l = {0};
    int rc;

    memset(out, 0, sizeof *out);
    if (store_list(s, "", true, &l) < 0)
        return -1;
    if (store_list_find(&l, REPO_FILE) == NULL) {
        store_list_free(&l);
        return 0;
    }
    out->file = xcalloc(l.n + 1, sizeof *out->file);
    rc = load_one(s, REPO_FILE, &out->file[0]);
    out->n = rc == 0;
    for (size_t i = 0; i < l.n && rc == 0; i++)
        if (repo_is_later(l.v[i].name)) {
            rc = load_later(s, l.v[i].name, strict, out);
            out->there++;
        } else {
            tell_stranger(s, l.v[i].name);
        }
    if (rc == 0 && out->file[0].generation != 1)
        rc = err_set(ERR_VERIFY, "%s/%s is a later generation of it",
            store_where(s), REPO_FILE);
    if (rc == 0)
        choose(s, out);
    else
        repo_chain_free(out);
    store_list_free(&l);
    return rc < 0 ? -1 : 1;
}

void
repo_chain_free(struct repo_chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        repo_file_free(&c->file[i]);
    free(c->file);
    memset(c, 0, sizeof *c);
}

/* --- who signs what --- */

/* "backup/ID/..." to ID, and a pin as it is; its length, 0 for others. */
static size_t
listed_name(const char *name, const char **out)
{
    const char *slash;

    *out = name;
    if (strncmp(name, "pin/", 4) == 0)
        return strlen(name);
    if (strncmp(name, "backup/", 7) != 0 ||
        (slash = strchr(name + 7, '/')) == NULL)
        return 0;
    *out = name + 7;
    return (size_t)(slash - *out);
}

const struct repo_listed *
repo_chain_listed(const struct repo_chain *c, const char *name, size_t *by)
{
    const char *id;
    size_t n = listed_name(name, &id);

    for (size_t g = 1; g < c->n && n > 0; g++)
        for (size_t i = 0; i < c->file[g].n_listed; i++) {
            const struct repo_listed *p = &c->file[g].listed[i];

            if (strlen(p->id) == n && memcmp(p->id, id, n) == 0) {
                *by = g;
                return p;
            }
        }
    return NULL;
}

/* The generation that says up to where the log of this segment was there; 0. */
static size_t
log_pinned_by(const struct repo_chain *c, const char *name)
{
    uint32_t epoch;
    uint64_t seq, last, us;

    if (segment_name_parse(name, &epoch, &seq, &us) < 0) {
        err_clear();
        return 0;
    }
    for (size_t g = 1; g < c->n; g++)
        if (c->file[g].log != NULL &&
            segment_name_parse(c->file[g].log, &epoch, &last, &us) == 0 &&
            seq <= last)
            return g;
    return 0;
}

const uint8_t *
repo_chain_signer(const struct repo_chain *c, const char *name)
{
    size_t g = 0;

    if (c->n > 1 && repo_chain_listed(c, name, &g) == NULL &&
        strncmp(name, "binlog/", 7) == 0)
        g = log_pinned_by(c, name);
    return c->file[g > 0 ? g - 1 : c->n - 1].signer;
}

const struct repo_file *
repo_chain_log(const struct repo_chain *c, const char *name)
{
    for (size_t g = 1; g < c->n; g++)
        if (c->file[g].log != NULL && strcmp(c->file[g].log, name) == 0)
            return &c->file[g];
    return NULL;
}
