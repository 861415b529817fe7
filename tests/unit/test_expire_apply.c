/*
 * test_expire_apply.c -- retention applied to a real repository and to a vault
 * of it: what is removed, in which order, and what never is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../src/repo/away.h"
#include "../../src/repo/log_index.h"
#include "../../src/repo/ship_priv.h"
#include "pitr/expire.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "pitr/verify.h"
#include "repo_util.h"

#define DAY0 UINT64_C(1651449600) /* 2022-05-02, a Monday */
#define HOUR_US UINT64_C(3600000000)
#define DAY_US (24 * HOUR_US)
#define AT(day, hour) (DAY0 * 1000000 + (day)*DAY_US + (hour)*HOUR_US)

/* A segment of one transaction a day. */
static void
log_of_day(struct logged *s, unsigned day)
{
    struct segment_writer *w = segment_begun(s->p.repo, &s->tail,
        s->groups == 0 ? SEGMENT_FIRST : SEGMENT_NEXT, AT(day, 0), s->groups);
    struct event_format fmt = {0};
    char gtid[GTID_TEXT];

    s->groups++;
    snprintf(gtid, sizeof gtid, "0-7-%u", s->groups);
    segment_group_write(w, &fmt, gtid, (uint32_t)(DAY0 + day * 86400 + 3600),
        4 + s->groups * 100);
    assert_int_equal(segment_flush(w, AT(day, 23)), 0);
    assert_int_equal(segment_close(w, &s->tail), 0);
}

static char *
id_of_day(unsigned day)
{
    char when[TIME_TEXT];

    return xstrdup(time_compact(AT(day, 2), when));
}

/* Made before the transaction of that day. */
static void
backup_of_day(struct logged *s, unsigned day)
{
    char *id = id_of_day(day), *part = xasprintf("backup/%s/part-000001", id);
    char *gtid = day == 0 ? xstrdup("") : xasprintf("0-7-%u", day);
    struct sink *sink =
        repo_put(s->p.repo, SEAL_ROWS, part, NULL, 1, STORE_ATOMIC, NULL);

    assert_non_null(sink);
    assert_int_equal(sink_finish(sink), 0);
    sink_free(sink);
    backup_make(s->p.repo, id, AT(day, 2), gtid, "bin.000001", 4 + day * 100);
    free(id);
    free(part);
    free(gtid);
}

static int
setup(void **state)
{
    struct logged *s = logged_new();

    for (unsigned day = 0; day < 5; day++) {
        backup_of_day(s, day);
        log_of_day(s, day);
    }
    *state = s;
    return 0;
}

static bool
is_there(struct logged *s, const char *name)
{
    uint64_t size;
    int rc = store_stat(s->p.repo->store, name, &size);

    assert_true(rc >= 0);
    return rc == 1;
}

/* The backups and segments that the catalogue has. */
static void
holds(struct logged *s, size_t backups, size_t segments)
{
    struct catalog *c = catalog_load(s->p.repo);
    struct windows w;

    if (c == NULL)
        fail_msg("%s", err_text());
    assert_int_equal(c->backups, backups);
    assert_int_equal(c->segments, segments);
    catalog_windows(c, &w);
    assert_int_equal(w.n, 1);
    assert_int_equal(w.v[0].to_us, AT(4, 23));
    windows_free(&w);
    catalog_free(c);
}

static const struct expire_policy two_days = {
    .keep_us = 2 * DAY_US, .minimum = 1};

static int
run_with(struct logged *s, const struct expire_policy *policy, uint64_t now_us,
    bool dry_run, const struct expire_vault *vault, struct expire_report *r)
{
    struct expire_conf conf = {.repo = s->p.repo,
        .policy = policy,
        .vault = vault,
        .vaults = vault != NULL,
        .now_us = now_us,
        .dry_run = dry_run};

    return expire_run(&conf, r);
}

/* Removes, or would remove, so many. */
static void
expires(struct logged *s, bool dry_run, uint64_t now_us, size_t backups,
    size_t segments, size_t leftovers)
{
    struct expire_report r;
    int rc = run_with(s, &two_days, now_us, dry_run, NULL, &r);

    if (rc < 0)
        fail_msg("%s", err_text());
    assert_int_equal(r.plan.backups_go, backups);
    assert_int_equal(r.plan.segments_go, segments);
    assert_int_equal(r.leftovers_go, leftovers);
    assert_true((r.bytes > 0) == (backups + segments + leftovers > 0));
    expire_report_free(&r);
}

static void
test_apply(void **state)
{
    struct logged *s = *state;
    char *id = id_of_day(1), *folder = xasprintf("%s/backup/%s", s->p.path, id);

    expires(s, true, AT(5, 0), 2, 2, 0);
    holds(s, 5, 5);
    expires(s, false, AT(5, 0), 2, 2, 0);
    holds(s, 3, 3);
    assert_int_equal(access(folder, F_OK), -1);
    expires(s, false, AT(5, 0), 0, 0, 0);
    holds(s, 3, 3);
    /* The log goes on from what is left. */
    log_of_day(s, 5);
    free(id);
    free(folder);
}

static void
test_apply_pinned(void **state)
{
    struct logged *s = *state;
    char *id = id_of_day(1);
    struct pins pins;

    assert_int_equal(pin_add(s->p.repo, id), 0);
    assert_int_equal(pin_add(s->p.repo, id), 1);
    assert_int_equal(pin_add(s->p.repo, "20220501T000000Z"), -1);
    assert_int_equal(err_kind(), ERR_NOREPO);
    assert_int_equal(pin_add(s->p.repo, "../x"), -1);
    assert_int_equal(pin_add(s->p.repo, ""), -1);
    err_clear();
    assert_int_equal(pins_load(s->p.repo, &pins), 0);
    assert_int_equal(pins.n, 1);
    assert_true(pins_has(&pins, id));
    pins_free(&pins);
    expires(s, false, AT(5, 0), 1, 1, 0);
    holds(s, 4, 4);
    assert_int_equal(pin_remove(s->p.repo, id), 0);
    assert_int_equal(pin_remove(s->p.repo, id), 1);
    expires(s, false, AT(5, 0), 1, 1, 0);
    holds(s, 3, 3);
    free(id);
}

/* What verify remembers counts, as long as it is of the same bytes. */
static void
test_apply_verified(void **state)
{
    struct logged *s = *state;
    char *id = id_of_day(0), *name = xasprintf("backup/%s/manifest", id);
    struct verified *v = verified_load(s->p.repo);
    struct seal_header h;
    struct seal_mark m;

    assert_int_equal(repo_peek(s->p.repo, SEAL_MANIFEST, name, &h, &m), 1);
    verified_set(
        v, name, m.offset + m.size, m.digest, VERIFY_SIGNATURES, AT(5, 0));
    assert_int_equal(verified_save(v, s->p.repo), 0);
    expires(s, true, AT(5, 0), 1, 0, 0);
    m.digest[0] ^= 1;
    verified_set(
        v, name, m.offset + m.size, m.digest, VERIFY_SIGNATURES, AT(5, 0));
    assert_int_equal(verified_save(v, s->p.repo), 0);
    expires(s, true, AT(5, 0), 2, 2, 0);
    verified_free(v);
    seal_mark_free(&m);
    seal_header_free(&h);
    free(id);
    free(name);
}

static void
age(const char *path, uint64_t us)
{
    struct timeval t[2] = {
        {.tv_sec = (time_t)(us / 1000000)}, {.tv_sec = (time_t)(us / 1000000)}};

    assert_int_equal(utimes(path, t), 0);
}

static void
test_leftovers(void **state)
{
    struct logged *s = *state;
    uint64_t now = time_now_us();
    char *part = place_file(&s->p, "backup/20220503T050505Z/part-000001");
    char *folder = place_file(&s->p, "backup/20220503T050505Z");
    struct sink *sink = repo_put(s->p.repo, SEAL_ROWS,
        "backup/20220503T050505Z/part-000001", NULL, 1, STORE_ATOMIC, NULL);
    char *backups = place_file(&s->p, ".lock-backup");
    struct lock *lock;

    assert_int_equal(sink_finish(sink), 0);
    sink_free(sink);
    unlink(backups); /* as on a vault */
    /* Its name is old, but it has just been written to. */
    expires(s, false, now, 2, 2, 0);
    assert_int_equal(access(part, F_OK), 0);
    age(part, now - 2 * DAY_US);
    expires(s, false, now, 0, 0, 0);
    assert_int_equal(access(part, F_OK), 0);
    age(folder, now - 2 * DAY_US);
    /* A backup is running: whose folder is that? */
    assert_non_null(lock = repo_lock(s->p.repo, "backup"));
    expires(s, false, now, 0, 0, 0);
    assert_int_equal(access(part, F_OK), 0);
    lock_free(lock);
    unlink(backups);
    expires(s, true, now, 0, 0, 1);
    assert_int_equal(access(part, F_OK), 0);
    expires(s, false, now, 0, 0, 1);
    assert_int_equal(access(folder, F_OK), -1);
    /* It says that backups are made here, which expire does not know. */
    assert_int_equal(access(backups, F_OK), -1);
    free(backups);
    free(part);
    free(folder);
}

/* A manifest that is damaged is no leftover: a person has to look at it. */
static void
test_damaged_stays(void **state)
{
    struct logged *s = *state;
    uint64_t now = time_now_us();
    char *id = id_of_day(4), *name = xasprintf("backup/%s/manifest", id);
    char *path = place_file(&s->p, name), *folder = file_folder(path);
    struct buf b = {0};

    file_load(path, &b);
    b.data[b.len / 2] ^= 1; /* in its note's or its content's bytes */
    b.data[20] ^= 1;
    file_store(path, b.data, b.len);
    age(path, now - 2 * DAY_US);
    age(folder, now - 2 * DAY_US);
    expires(s, false, now, 1, 1, 0);
    assert_true(is_there(s, name));
    buf_free(&b);
    free(id);
    free(name);
    free(path);
    free(folder);
}

static void
test_refused(void **state)
{
    struct logged *s = *state;
    struct expire_report r;
    struct lock *lock;

    assert_non_null(lock = repo_lock(s->p.repo, "expire"));
    assert_int_equal(run_with(s, &two_days, AT(5, 0), false, NULL, &r), -1);
    assert_int_equal(err_kind(), ERR_LOCKED);
    expire_report_free(&r);
    lock_free(lock);
    assert_int_equal(run_with(s, &two_days, AT(4, 0), false, NULL, &r), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    expire_report_free(&r);
    err_clear();
}

/* Of a log that is broken only that goes which is older than every backup that
 * stays, by its times; the rest may be mended from another copy. */
static void
test_broken_log(void **state)
{
    struct logged *s = *state;
    struct catalog *c = catalog_load(s->p.repo);
    struct expire_policy one = {.keep_us = 1, .minimum = 1};
    struct expire_report r;
    char *path = place_file(&s->p, c->segment[1].name);

    /* Days 3 and 4 stay.  The clock of the log may differ by some minutes. */
    unlink(path);
    if (run_with(s, &one, AT(5, 0), false, NULL, &r) < 0)
        fail_msg("%s", err_text());
    assert_int_equal(r.catalog->breaks, 1);
    assert_int_equal(r.plan.backups_go, 3);
    assert_int_equal(r.plan.segments_go, 2);
    expire_report_free(&r);
    for (size_t i = 0; i < c->segments; i++)
        assert_int_equal(is_there(s, c->segment[i].name), i > 2);
    catalog_free(c);
    free(path);
}

/* There is an index of these segments. */
static bool
has_index(struct logged *s, uint64_t first, uint64_t last)
{
    char *name = index_name(first, last);
    bool is = is_there(s, name);

    free(name);
    return is;
}

/* An index goes when the last of its segments does, not before; one of which
 * some are gone is no fault of what is left. */
static void
test_indexes_go(void **state)
{
    struct logged *s = *state;
    unsigned warned = log_warnings();
    struct expire_report r;
    uint64_t due;

    log_of_day(s, 5);
    log_of_day(s, 6); /* the newest is in none */
    assert_int_equal(index_update(s->p.repo, 2, &due), 0);
    assert_int_equal(due, 9);
    for (unsigned i = 1; i < 7; i += 2)
        assert_true(has_index(s, i, i + 1));
    assert_int_equal(
        run_with(s, &(struct expire_policy){.keep_us = DAY_US, .minimum = 1},
            AT(7, 0), true, NULL, &r),
        0);
    assert_int_equal(r.plan.segments_go, 3);
    expire_report_free(&r);
    assert_true(has_index(s, 1, 2));
    /* Three go: an index and a half. */
    assert_int_equal(run_with(s, &(struct expire_policy){.minimum = 2},
                         AT(7, 0), false, NULL, &r),
        0);
    assert_int_equal(r.plan.segments_go, 3);
    expire_report_free(&r);
    assert_false(has_index(s, 1, 2));
    assert_true(has_index(s, 3, 4));
    assert_true(has_index(s, 5, 6));
    {
        struct catalog *c = catalog_load(s->p.repo);

        assert_non_null(c);
        assert_int_equal(c->segments, 4);
        assert_int_equal(c->breaks, 0);
        assert_int_equal(c->segment[0].start.seq, 4);
        assert_true(c->segment[0].indexed);
        catalog_free(c);
    }
    assert_int_equal(run_with(s, &(struct expire_policy){.minimum = 1},
                         AT(7, 0), false, NULL, &r),
        0);
    assert_int_equal(r.plan.segments_go, 1);
    expire_report_free(&r);
    assert_false(has_index(s, 3, 4));
    assert_true(has_index(s, 5, 6));
    assert_int_equal(log_warnings(), warned);
}

/* What the log went around goes with what is around it. */
static void
test_passed_over(void **state)
{
    struct logged *s = *state;
    char *name = segment_name(1, 6, AT(5, 0)), *path = place_file(&s->p, name);

    file_store(path, "begun", 5);
    s->tail.last_seq = 6; /* as segment_tail_find() would have it */
    log_of_day(s, 5);
    log_of_day(s, 6);
    backup_of_day(s, 6);
    backup_of_day(s, 7);
    {
        struct expire_policy one = {.keep_us = 1, .minimum = 1};
        struct expire_report r;

        assert_int_equal(run_with(s, &one, AT(8, 0), false, NULL, &r), 0);
        assert_int_equal(r.plan.segments_go, 6);
        assert_int_equal(r.leftovers_go, 1);
        expire_report_free(&r);
    }
    assert_false(is_there(s, name));
    free(name);
    free(path);
}

/* So many go where the repository has this vault; 0: no keep_local. */
static void
goes_with(struct logged *s, const struct expire_vault *vault,
    unsigned keep_local_days, size_t backups, size_t segments)
{
    struct expire_conf conf = {.repo = s->p.repo,
        .policy = &two_days,
        .keep_local_us = keep_local_days * DAY_US,
        .vault = vault,
        .vaults = 1,
        .now_us = AT(5, 0),
        .dry_run = true};
    struct expire_report r;

    if (expire_run(&conf, &r) < 0)
        fail_msg("%s", err_text());
    assert_int_equal(r.plan.backups_go, backups);
    assert_int_equal(r.plan.segments_go, segments);
    expire_report_free(&r);
}

/* As if ship had read it back. */
static void
confirm(struct logged *s, const char *url, const char *name)
{
    struct confirmed *c = confirmed_load(s->p.repo, url);
    uint8_t digest[DIGEST_SIZE] = {1};
    uint64_t size;

    assert_int_equal(store_stat(s->p.repo->store, name, &size), 1);
    confirmed_add(c, name, size, digest);
    assert_true(confirmed_has(c, name, size));
    assert_false(confirmed_has(c, name, size + 1));
    confirmed_free(c);
}

static void
confirm_all(struct logged *s, const char *url)
{
    struct store_list l;

    assert_int_equal(store_list(s->p.repo->store, "", false, &l), 0);
    for (size_t i = 0; i < l.n; i++)
        confirm(s, url, l.v[i].name);
    store_list_free(&l);
}

static void
shipped_once(struct logged *s, const char *url, const char *id)
{
    char *text = xasprintf("pitr-shipped 1\nbackup %s\n", id);
    char *path = ship_file_path(s->p.path, "shipped", url);

    file_store(path, text, strlen(text));
    free(text);
    free(path);
}

static struct repo *
copy_of(struct logged *s, const char *where)
{
    char *command = xasprintf("cp -r %s %s", s->p.path, where);
    struct repo *r;

    assert_int_equal(system(command), 0);
    assert_non_null(r = repo_open(where, NULL, NULL));
    free(command);
    return r;
}

/* A vault that has all, less and less of it, has expired it, or is away. */
static void
test_vault(void **state)
{
    struct logged *s = *state;
    char *copy = xasprintf("%s/vault", s->p.dir);
    char *id = id_of_day(1), *name;
    struct catalog *c = catalog_load(s->p.repo);
    struct expire_vault vault = {.url = "sftp://vault/x"};
    struct store *store;
    struct expire_report r;
    struct place other;

    goes_with(s, &vault, 0, 0, 0); /* cannot be reached */
    vault.repo = copy_of(s, copy);
    store = vault.repo->store;
    goes_with(s, &vault, 0, 0, 0); /* there, but nobody has looked */
    confirm_all(s, vault.url);
    goes_with(s, &vault, 0, 2, 2);
    /* The second segment has not come there whole, or not at all. */
    name = xasprintf("%s/%s", copy, c->segment[1].name);
    assert_int_equal(truncate(name, (off_t)c->segment[1].size - 1), 0);
    goes_with(s, &vault, 0, 2, 1);
    assert_int_equal(store_remove(store, c->segment[1].name), 0);
    goes_with(s, &vault, 0, 2, 1);
    /* It has expired: it was there. */
    assert_int_equal(store_remove(store, c->segment[0].name), 0);
    goes_with(s, &vault, 0, 2, 2);
    /* A part that is missing; then the manifest, too. */
    free(name);
    name = xasprintf("backup/%s/part-000001", id);
    assert_int_equal(store_remove(store, name), 0);
    goes_with(s, &vault, 0, 1, 1);
    free(name);
    name = xasprintf("backup/%s/manifest", id);
    assert_int_equal(store_remove(store, name), 0);
    goes_with(s, &vault, 0, 1, 1);
    /* But it was whole there once. */
    shipped_once(s, vault.url, id);
    goes_with(s, &vault, 0, 2, 2);
    repo_close(vault.repo);
    /* Another repository is no copy. */
    place_make(&other);
    vault.repo = other.repo;
    assert_int_equal(run_with(s, &two_days, AT(5, 0), false, &vault, &r), -1);
    assert_int_equal(err_kind(), ERR_NOREPO);
    expire_report_free(&r);
    holds(s, 5, 5);
    place_free(&other);
    catalog_free(c);
    free(copy);
    free(id);
    free(name);
}

/* A new signer's hand-over names what has gone from here: it counts on. */
static void
test_away(void **state)
{
    struct logged *s = *state;
    char *copy = xasprintf("%s/vault", s->p.dir);
    char *key = xasprintf("%s/new.key", s->p.dir);
    char *command =
        xasprintf("cp %s/repository-000002 %s/ && cp -r %s/binlog/* %s/binlog/",
            s->p.path, copy, s->p.path, copy);
    struct expire_vault vault = {.url = "sftp://vault/x"};
    struct expire_conf conf = {.repo = s->p.repo,
        .policy = &two_days,
        .keep_local_us = DAY_US,
        .vault = &vault,
        .vaults = 1,
        .now_us = AT(5, 0)};
    struct repo_rekey how = {.new_signing = key};
    struct expire_report r;
    struct catalog *c;
    struct away away;
    char *id = id_of_day(0), *manifest = xasprintf("backup/%s/manifest", id);

    vault.repo = copy_of(s, copy);
    confirm_all(s, vault.url);
    assert_int_equal(expire_run(&conf, &r), 0);
    assert_int_equal(r.plan.backups_go, 3);
    expire_report_free(&r);
    assert_int_equal(away_load(s->p.repo, &away), 0);
    assert_int_equal(away.n, 3);
    away_free(&away);
    /* What the vault lets go is forgotten. */
    assert_int_equal(store_remove(vault.repo->store, manifest), 0);
    assert_int_equal(expire_run(&conf, &r), 0);
    expire_report_free(&r);
    assert_int_equal(away_load(s->p.repo, &away), 0);
    assert_int_equal(away.n, 2);
    away_free(&away);
    if (repo_rekey(s->p.repo, &how) < 0)
        fail_msg("%s", err_text());
    repo_close(vault.repo);
    assert_int_equal(system(command), 0);
    assert_non_null(vault.repo = repo_open(copy, NULL, NULL));
    assert_int_equal(vault.repo->generation, 2);
    if ((c = catalog_load(vault.repo)) == NULL)
        fail_msg("%s", err_text());
    assert_int_equal(c->backups, 4);
    catalog_free(c);
    repo_close(vault.repo);
    free(copy);
    free(key);
    free(command);
    free(id);
    free(manifest);
}

/* keep_local: what `keep` keeps has to be on the vault still. */
static void
test_keep_local_pinned(void **state)
{
    struct logged *s = *state;
    char *copy = xasprintf("%s/vault", s->p.dir), *id = id_of_day(0);
    struct expire_vault vault = {.url = "sftp://vault/x"};
    struct store_list l;

    /* It stays there, so it may go from here; once they know of it there. */
    assert_int_equal(pin_add(s->p.repo, id), 0);
    vault.repo = copy_of(s, copy);
    goes_with(s, &vault, 1, 0, 0);
    confirm_all(s, vault.url);
    goes_with(s, &vault, 0, 1, 0);
    goes_with(s, &vault, 1, 3, 3);
    assert_int_equal(store_list(vault.repo->store, "pin/", false, &l), 0);
    assert_int_equal(l.n, 1);
    assert_int_equal(store_remove(vault.repo->store, l.v[0].name), 0);
    goes_with(s, &vault, 1, 2, 0);
    store_list_free(&l);
    repo_close(vault.repo);
    free(copy);
    free(id);
}

static bool
is_pinned(struct repo *r, const char *id)
{
    struct pins pins;
    bool is;

    assert_int_equal(pins_load(r, &pins), 0);
    is = pins_has(&pins, id);
    pins_free(&pins);
    return is;
}

/* Pinned and released by the server, seen by a copy that has no key; what is
 * not good counts as a pin. */
static void
test_signed_pins(void **state)
{
    struct logged *s = *state;
    char *copy = xasprintf("%s/vault", s->p.dir), *id = id_of_day(1), *path;
    unsigned warnings;
    struct store_list l;
    struct repo *there;
    struct buf b = {0};
    bool pinned;

    assert_int_equal(pin_remove(s->p.repo, id), 1);
    assert_int_equal(pin_add(s->p.repo, id), 0);
    there = copy_of(s, copy);
    assert_true(is_pinned(there, id));
    assert_int_equal(pin_remove(there, id), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    assert_true(is_pinned(there, id));
    /* One of the copy's own beside it. */
    warnings = log_warnings();
    assert_int_equal(pin_add(there, id), 0);
    assert_int_equal(pin_add(there, id), 1);
    assert_int_equal(pin_remove(there, id), 0);
    assert_int_equal(log_warnings(), warnings + 1);
    assert_true(is_pinned(there, id));
    assert_int_equal(pin_remove(there, id), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    repo_close(there);
    dir_remove(copy);
    assert_int_equal(pin_remove(s->p.repo, id), 0);
    assert_int_equal(pin_remove(s->p.repo, id), 1);
    assert_false(is_pinned(s->p.repo, id));
    there = copy_of(s, copy);
    assert_false(is_pinned(there, id));
    /* The copy's own. */
    assert_int_equal(pin_add(there, id), 0);
    assert_int_equal(pin_add(there, id), 1);
    assert_true(is_pinned(there, id));
    assert_int_equal(pin_remove(there, id), 0);
    assert_false(is_pinned(there, id));
    /* Every byte of the release changed; cut; another's; another name. */
    assert_int_equal(store_list(there->store, "pin/", false, &l), 0);
    assert_int_equal(l.n, 2);
    assert_int_equal(pin_read(there, l.v[0].name, &pinned), 0);
    assert_true(pinned);
    path = xasprintf("%s/%s", copy, l.v[1].name);
    file_load(path, &b);
    warnings = log_warnings();
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= i % 2 == 0 ? 1 : 0x20;
        file_store(path, b.data, b.len);
        b.data[i] ^= i % 2 == 0 ? 1 : 0x20;
        pinned = true;
        if (pin_read(there, l.v[1].name, &pinned) == 0)
            fail_msg("byte %zu of a pin does not matter", i);
        assert_int_equal(err_kind(), ERR_VERIFY);
        file_store(path, b.data, i);
        assert_int_equal(pin_read(there, l.v[1].name, &pinned), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
    }
    assert_true(is_pinned(there, id));
    assert_int_equal(log_warnings(), warnings + 1);
    file_store(path, b.data, b.len);
    assert_false(is_pinned(there, id));
    free(path);
    path = xasprintf("%s/pin/%s.%020d", copy, id, 7);
    file_store(path, b.data, b.len);
    assert_false(is_pinned(there, id)); /* not the newest */
    free(path);
    path = xasprintf("%s/pin/%s.99999999999999999999", copy, id);
    file_store(path, b.data, b.len);
    assert_true(is_pinned(there, id));
    store_list_free(&l);
    repo_close(there);
    buf_free(&b);
    free(path);
    free(copy);
    free(id);
}

/* All words on a backup came here at that moment. */
static void
words_came(struct repo *r, const char *id, uint64_t us)
{
    struct store_list l;

    assert_int_equal(store_list(r->store, "pin/", false, &l), 0);
    for (size_t i = 0; i < l.n; i++) {
        char *of = pin_backup(l.v[i].name);
        char *path = xasprintf("%s/%s", r->local_path, l.v[i].name);

        assert_non_null(of);
        if (strcmp(of, id) == 0)
            age(path, us);
        free(path);
        free(of);
    }
    store_list_free(&l);
}

/* So many backups and words on them go. */
static void
vault_expires(
    struct repo *there, uint64_t release_us, size_t backups, size_t words)
{
    struct expire_conf conf = {.repo = there,
        .policy = &two_days,
        .release_us = release_us,
        .now_us = AT(5, 0)};
    struct expire_report r;

    if (expire_run(&conf, &r) < 0)
        fail_msg("%s", err_text());
    assert_int_equal(r.plan.backups_go, backups);
    assert_int_equal(r.leftovers_go, words);
    expire_report_free(&r);
}

/* A pin that is taken back counts on a vault as long as what it was there to
 * promise, by the vault's clock; unless the vault has a pin of its own. */
static void
test_released_there(void **state)
{
    struct logged *s = *state;
    char *copy = xasprintf("%s/vault", s->p.dir), *id = id_of_day(1);
    struct repo *there;

    assert_int_equal(pin_add(s->p.repo, id), 0);
    assert_int_equal(pin_remove(s->p.repo, id), 0);
    there = copy_of(s, copy);
    words_came(there, id, AT(4, 0));
    vault_expires(there, 2 * DAY_US, 1, 0);
    vault_expires(there, 2 * DAY_US, 0, 0);
    /* It was another who took it back: pinned once more. */
    assert_int_equal(pin_add(there, id), 0);
    words_came(there, id, AT(3, 0));
    vault_expires(there, 2 * DAY_US, 0, 0);
    assert_int_equal(pin_remove(there, id), 0);
    words_came(there, id, AT(3, 0));
    vault_expires(there, 2 * DAY_US, 1, 2);
    repo_close(there);
    dir_remove(copy);

    /* In pieces, as an append-only account leaves it: the last one tells. */
    there = copy_of(s, copy);
    {
        struct store_list l;
        char *path;

        words_came(there, id, AT(3, 0));
        assert_int_equal(store_list(there->store, "pin/", false, &l), 0);
        path = xasprintf("%s/%s+00000000000000000000", copy, l.v[1].name);
        file_store(path, "", 0);
        age(path, AT(4, 0));
        vault_expires(there, 2 * DAY_US, 1, 0);
        age(path, AT(3, 0));
        vault_expires(there, 2 * DAY_US, 1, 2);
        free(path);
        store_list_free(&l);
    }
    repo_close(there);
    free(copy);
    free(id);
}

/* Words on what is gone go, but not those that have only just come. */
static void
test_words_go(void **state)
{
    struct logged *s = *state;
    char *gone = id_of_day(1), *stays = id_of_day(3), *ahead;
    struct store_list l;

    assert_int_equal(pin_add(s->p.repo, gone), 0);
    assert_int_equal(pin_remove(s->p.repo, gone), 0);
    assert_int_equal(pin_add(s->p.repo, stays), 0);
    words_came(s->p.repo, stays, AT(1, 0));
    words_came(s->p.repo, gone, AT(4, 12));
    expires(s, false, AT(5, 0), 2, 2, 0);
    words_came(s->p.repo, gone, AT(4, 0));
    expires(s, true, AT(5, 0), 0, 0, 2);
    expires(s, false, AT(5, 0), 0, 0, 2);
    expires(s, false, AT(5, 0), 0, 0, 0);
    assert_int_equal(store_list(s->p.repo->store, "pin/", false, &l), 0);
    assert_int_equal(l.n, 1);
    store_list_free(&l);
    assert_true(is_pinned(s->p.repo, stays));
    /* One that leaves no number for the next. */
    ahead = xasprintf("%s/pin/%s.18446744073709551615", s->p.path, stays);
    file_store(ahead, "x", 1);
    assert_true(is_pinned(s->p.repo, stays));
    assert_int_equal(pin_remove(s->p.repo, stays), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    free(ahead);
    free(gone);
    free(stays);
}

static void
test_keep_local(void **state)
{
    struct logged *s = *state;
    char *copy = xasprintf("%s/vault", s->p.dir);
    char *id = id_of_day(2), *manifest = xasprintf("backup/%s/manifest", id);
    struct expire_vault vault = {.url = "sftp://vault/x"};
    struct catalog *c = catalog_load(s->p.repo);

    vault.repo = copy_of(s, copy);
    confirm_all(s, vault.url);
    goes_with(s, &vault, 0, 2, 2);
    goes_with(s, &vault, 1, 3, 3);
    shipped_once(s, vault.url, id);
    assert_int_equal(store_remove(vault.repo->store, manifest), 0);
    goes_with(s, &vault, 1, 2, 2);
    assert_int_equal(store_remove(vault.repo->store, c->segment[0].name), 0);
    goes_with(s, &vault, 1, 2, 2);
    catalog_free(c);
    repo_close(vault.repo);
    free(copy);
    free(id);
    free(manifest);
}

/* The memory of what was confirmed: whose it is, and torn. */
static void
test_confirmed(void **state)
{
    static const char *const url = "sftp://vault/x";
    struct logged *s = *state;
    char *path = ship_file_path(s->p.path, "confirmed", url);
    char *id = id_of_day(0), *name = xasprintf("backup/%s/manifest", id);
    struct catalog *c = catalog_load(s->p.repo);
    uint64_t size;
    unsigned warnings = log_warnings();
    struct confirmed *is;
    struct buf b = {0};

    assert_int_equal(store_stat(s->p.repo->store, name, &size), 1);
    confirm(s, url, name);
    file_load(path, &b);
    for (size_t cut = b.len - 1; cut > 0; cut -= MIN(cut, 13)) {
        /* Cut anywhere, it is used as far as it goes, and gone on with. */
        file_store(path, b.data, cut);
        is = confirmed_load(s->p.repo, url);
        assert_false(confirmed_has(is, name, size));
        confirmed_free(is);
        confirm(s, url, c->segment[0].name);
        confirm(s, url, name);
        is = confirmed_load(s->p.repo, url);
        assert_true(confirmed_has(is, name, size));
        assert_true(confirmed_has(is, c->segment[0].name, c->segment[0].size));
        confirmed_free(is);
    }
    file_store(path, b.data, b.len);
    warnings = log_warnings();
    is = confirmed_load(s->p.repo, url);
    assert_true(confirmed_has(is, name, size));
    confirmed_free(is);
    assert_int_equal(log_warnings(), warnings);
    /* What others could have written is not believed, and replaced. */
    assert_int_equal(chmod(path, 0622), 0);
    is = confirmed_load(s->p.repo, url);
    assert_false(confirmed_has(is, name, size));
    assert_int_equal(log_warnings(), ++warnings);
    confirmed_add(is, name, size, (const uint8_t[DIGEST_SIZE]){0});
    confirmed_free(is);
    is = confirmed_load(s->p.repo, url);
    assert_true(confirmed_has(is, name, size));
    confirmed_free(is);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
        is = confirmed_load(s->p.repo, url);
        assert_false(confirmed_has(is, name, size));
        confirmed_free(is);
        assert_int_equal(log_warnings(), ++warnings);
        assert_int_equal(chown(path, 0, (gid_t)-1), 0);
    }
    b.data[40] ^= 1; /* in the repository's id */
    file_store(path, b.data, b.len);
    is = confirmed_load(s->p.repo, url);
    assert_false(confirmed_has(is, name, size));
    confirmed_free(is);
    assert_int_equal(log_warnings(), ++warnings);
    catalog_free(c);
    buf_free(&b);
    free(path);
    free(id);
    free(name);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_apply, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_apply_pinned, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_apply_verified, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(test_leftovers, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_damaged_stays, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_broken_log, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(test_vault, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_keep_local, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_keep_local_pinned, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_signed_pins, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_released_there, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(test_words_go, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(test_away, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(test_confirmed, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_passed_over, setup, logged_teardown),
        cmocka_unit_test_setup_teardown(
            test_indexes_go, setup, logged_teardown),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
