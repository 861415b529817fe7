/*
 * verify.c -- all of a repository, object by object: the order of the work,
 * what was found, what is remembered.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/expire.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/progress.h"
#include "pitr/state.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "slots.h"
#include "verify_priv.h"

#define SAVE_US UINT64_C(30000000)

/* --- what is found --- */

void
verify_found(struct verify *v, enum verify_kind kind, const char *object,
    const char *fmt, ...)
{
    struct verify_report *r = v->report;
    struct verify_finding f = {.kind = kind, .object = xstrdup(object)};
    struct buf text = {0};
    char line[2048];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_str(&text, line);
    f.text = buf_take(&text);
    pthread_mutex_lock(&v->lock);
    r->finding =
        xgrow(r->finding, r->findings, &r->cap_findings, sizeof *r->finding);
    r->finding[r->findings++] = f;
    if (kind == VERIFY_DAMAGED)
        verified_drop(v->known, object);
    pthread_mutex_unlock(&v->lock);
}

int
verify_fault(struct verify *v, const char *object)
{
    const char *text = err_text(), *at = strstr(text, object);
    size_t n = strlen(object);

    if (stop_asked() ||
        (err_kind() != ERR_VERIFY && err_kind() != ERR_KEY &&
            err_kind() != ERR_FAILED))
        return -1;
    if (at != NULL && strncmp(at + n, ": ", 2) == 0)
        text = at + n + 2; /* it is named beside it */
    verify_found(v, VERIFY_DAMAGED, object, "%s", text);
    err_clear();
    return 0;
}

bool
verify_is_gone(struct verify *v, const char *object)
{
    if (err_kind() != ERR_VERIFY || !store_is_gone(v->repo->store, object))
        return false;
    log_info("%s was removed meanwhile", object);
    err_clear();
    return true;
}

void
verify_good(struct verify *v, const char *name, uint64_t size,
    const uint8_t *digest, enum verify_level level)
{
    log_debug("%s is good", name);
    pthread_mutex_lock(&v->lock);
    v->report->objects++;
    v->report->bytes += size;
    pthread_mutex_unlock(&v->lock);
    if (digest != NULL)
        verify_remember(v, name, size, digest, level);
    progress_add(0, size);
}

/* With the lock held.  Not being able to remember must not end the work. */
static void
save(struct verify *v)
{
    v->saved_us = time_mono_us();
    if (!v->remember || verified_save(v->known, v->repo) >= 0)
        return;
    v->remember = false;
    log_warn("what was verified is not remembered: %s", err_text());
    err_clear();
}

void
verify_remember(struct verify *v, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE], enum verify_level level)
{
    pthread_mutex_lock(&v->lock);
    verified_set(v->known, name, size, digest, level, v->now_us);
    if (time_mono_us() - v->saved_us >= SAVE_US)
        save(v);
    pthread_mutex_unlock(&v->lock);
}

bool
verify_was_good(struct verify *v, const char *name, uint64_t size,
    const uint8_t digest[DIGEST_SIZE])
{
    bool known;

    pthread_mutex_lock(&v->lock); /* another worker may add to what is known */
    known = verified_level(v->known, name, size, digest) >= v->level;
    pthread_mutex_unlock(&v->lock);
    return known;
}

size_t
verify_count(const struct verify_report *r, enum verify_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < r->findings; i++)
        n += r->finding[i].kind == kind;
    return n;
}

void
verify_report_free(struct verify_report *r)
{
    for (size_t i = 0; i < r->findings; i++) {
        free(r->finding[i].object);
        free(r->finding[i].text);
    }
    for (size_t i = 0; i < r->backups; i++)
        free(r->backup[i].id);
    free(r->finding);
    free(r->backup);
    catalog_free(r->catalog);
    memset(r, 0, sizeof *r);
}

/* --- one object, without a secret --- */

int
verify_scan(struct verify *v, enum seal_kind kind, const char *name,
    uint64_t length, const uint8_t *want, uint8_t digest[DIGEST_SIZE])
{
    struct seal_expect expect = repo_expect(v->repo, kind, name);
    struct source *src = store_get(v->repo->store, name);
    struct seal_mark m = {0};
    int rc = -1;

    if (src == NULL ||
        seal_scan(src, &expect, length, length == 0, NULL, &m) < 0)
        goto out;
    rc = 0;
    memcpy(digest, m.digest, DIGEST_SIZE);
    if (want != NULL && memcmp(want, m.digest, DIGEST_SIZE) != 0)
        rc = err_set(ERR_VERIFY,
            "%s: it is another object than was recorded: the digest does not "
            "match",
            name);
    seal_mark_free(&m);

out:
    source_free(src);
    return rc;
}

int
verify_known(
    struct verify *v, enum seal_kind kind, const char *name, uint64_t size)
{
    struct seal_header h;
    struct seal_mark m;
    int rc;

    if (v->conf->all)
        return 0;
    if ((rc = repo_peek(v->repo, kind, name, &h, &m)) <= 0) {
        if (rc == 0)
            seal_header_free(&h);
        return rc;
    }
    rc = m.offset + m.size == size && verify_was_good(v, name, size, m.digest);
    seal_mark_free(&m);
    seal_header_free(&h);
    return rc;
}

/* --- several at once --- */

struct each {
    struct verify *v;
    int (*fn)(struct verify *v, void *arg, size_t i);
    void *arg;
    size_t n;
    atomic_size_t next;
    atomic_bool failed;
};

static int
each_work(void *arg, unsigned index)
{
    struct each *e = arg;

    (void)index;
    while (!atomic_load(&e->failed) && !stop_asked()) {
        size_t i = atomic_fetch_add(&e->next, 1);

        if (i >= e->n)
            break;
        if (e->fn(e->v, e->arg, i) < 0) {
            atomic_store(&e->failed, true);
            return -1;
        }
    }
    return 0;
}

int
verify_each(struct verify *v, size_t n,
    int (*fn)(struct verify *v, void *arg, size_t i), void *arg)
{
    struct each e = {.v = v, .fn = fn, .arg = arg, .n = n};
    size_t threads = MIN(MAX(v->conf->jobs, 1u), n);

    atomic_init(&e.next, 0);
    atomic_init(&e.failed, false);
    return n == 0 ? 0 : pool_join(pool_start((unsigned)threads, each_work, &e));
}

/* --- all --- */

/* Who gives a key wants the content verified: better to say at once that it is
 * the wrong one. */
static int
check_key(struct repo *r, const struct secret_key *key)
{
    int rc;

    if (repo_is_recipient(r, secret_key_public(key)))
        return 0;
    if ((rc = slots_has_key(r, secret_key_public(key))) != 0)
        return rc < 0 ? -1 : 0;
    err_set(ERR_KEY, "this recovery key is no recipient of the repository %s",
        store_where(r->store));
    return err_hint("\"pitr init\" named the recipients. Without "
                    "--secret-key, signatures and digests are verified.");
}

/* One at a time, since it has one memory.  A copy that is only read is
 * verified all the same, without one. */
static int
take_lock(struct verify *v, struct lock **out)
{
    *out = v->repo->local_path == NULL ? NULL : repo_lock(v->repo, "verify");
    v->remember = *out != NULL;
    if (*out != NULL || v->repo->local_path == NULL)
        return 0;
    if (err_kind() == ERR_LOCKED)
        return -1;
    log_info("what is verified will not be remembered: %s", err_text());
    err_clear();
    return 0;
}

static int
verify_pins(struct verify *v, const struct store_list *all)
{
    int rc = 0;
    bool pinned;

    for (size_t i = 0; i < all->n && rc == 0; i++) {
        const struct store_entry *e = &all->v[i];

        if (!pin_is_signed(e->name))
            continue;
        if (pin_read(v->repo, e->name, &pinned) == 0)
            verify_good(v, e->name, e->size, NULL, VERIFY_NONE);
        else if (!verify_is_gone(v, e->name))
            rc = verify_fault(v, e->name);
    }
    return rc;
}

/* Segments that were taken away before all others leave no break behind. */
static void
tell_open_gap(struct verify *v, const struct catalog *c)
{
    if (verify_count(v->report, VERIFY_GAP) == 0 && catalog_gap_is_open(c))
        verify_found(v, VERIFY_GAP, c->segment[0].name,
            "the log does not go on from the newest backup: nothing later can "
            "be restored");
}

static int
run(struct verify *v, const struct store_list *all)
{
    uint64_t bytes = 0;
    int rc;

    for (size_t i = 0; i < all->n; i++)
        bytes += all->v[i].size;
    progress_start("verify", bytes);
    rc = verify_beside(v, all) < 0 || verify_backups(v, all) < 0 ||
            verify_log(v, all) < 0 || verify_pins(v, all) < 0
        ? -1
        : 0;
    if (rc == 0 && v->report->catalog != NULL)
        rc = catalog_load_backups(v->repo, v->report->catalog);
    if (rc == 0 && v->report->catalog != NULL)
        tell_open_gap(v, v->report->catalog);
    progress_stop();
    return rc;
}

/* Was something found before that this run, which looks less closely, cannot
 * have found good?  Not what is not there any more. */
static bool
found_closer(const struct verify *v, const struct store_list *all)
{
    struct state *s = state_load(v->repo->local_path, "verify");
    const char *object = state_get(s, "object");
    bool found = state_get_u64(s, "damaged") > 0 &&
        state_get_u64(s, "level") > (uint64_t)v->level && object != NULL &&
        store_list_find(all, object) != NULL;

    state_free(s);
    return found;
}

/* For status: who only has a timer run this does not see what it says. */
static void
tell(const struct verify *v, const struct store_list *all)
{
    const struct verify_report *r = v->report;
    struct buf text = {0};
    size_t first = 0;

    if (verify_count(r, VERIFY_DAMAGED) == 0 && found_closer(v, all))
        return;
    while (first < r->findings && r->finding[first].kind != VERIFY_DAMAGED)
        first++;
    state_begin(&text);
    state_put_u64(&text, "told_us", time_now_us());
    state_put_u64(&text, "level", (uint64_t)v->level);
    state_put_u64(&text, "damaged", verify_count(r, VERIFY_DAMAGED));
    if (first < r->findings) {
        state_put(&text, "object", r->finding[first].object);
        state_put(&text, "why", r->finding[first].text);
    }
    state_store(v->repo->local_path, "verify", &text);
    buf_free(&text);
}

int
verify_run(const struct verify_conf *conf, struct verify_report *out)
{
    struct verify v = {.conf = conf,
        .repo = conf->repo,
        .report = out,
        .level = conf->key != NULL ? VERIFY_CONTENT : VERIFY_SIGNATURES,
        .now_us = time_now_us(),
        .saved_us = time_mono_us()};
    struct store_list all = {0};
    struct lock *lock = NULL;
    int rc = -1;

    memset(out, 0, sizeof *out);
    out->level = v.level;
    if ((conf->key != NULL && check_key(conf->repo, conf->key) < 0) ||
        take_lock(&v, &lock) < 0)
        return -1;
    pthread_mutex_init(&v.lock, NULL);
    v.known = verified_load(conf->repo);
    if (store_list(conf->repo->store, "", false, &all) == 0) {
        rc = run(&v, &all);
        verified_keep(v.known, &all);
        save(&v);
        /* One that did not get to its end has found nothing good. */
        if (lock != NULL && (rc == 0 || verify_count(out, VERIFY_DAMAGED) > 0))
            tell(&v, &all);
    }
    store_list_free(&all);
    verified_free(v.known);
    pthread_mutex_destroy(&v.lock);
    lock_free(lock);
    return rc;
}
