/*
 * test_repo.c -- making and opening a repository, whom it trusts, and what
 * happens to its file in the hands of others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../src/repo/repo_file.h"
#include "pitr/head.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "repo_util.h"

static int
setup(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);

    place_make(p);
    *state = p;
    return 0;
}

static int
teardown(void **state)
{
    place_free(*state);
    free(*state);
    return 0;
}

static void
refused(const void *got, enum err_kind kind)
{
    assert_null(got);
    assert_int_equal(err_kind(), kind);
    assert_true(*err_text() != '\0');
    err_clear();
}

static void
test_open(void **state)
{
    struct place *p = *state;
    const struct repo *r = p->repo;
    struct repo *other;
    struct stat st;
    char *file = place_file(p, "repository");

    assert_string_equal(r->server, "db1");
    assert_memory_equal(r->signer, signing_key_public(r->signing), 32);
    assert_int_equal(r->n_recipients, 1);
    assert_memory_equal(
        &r->recipients[0], secret_key_public(p->key), sizeof r->recipients[0]);
    assert_true(r->created_us > 0);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0444);
    assert_int_equal(stat(p->signing, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    other = repo_open(p->path, NULL, NULL);
    assert_non_null(other);
    assert_null(other->signing);
    assert_memory_equal(other->id, r->id, sizeof r->id);
    repo_close(other);
    free(file);
}

static void
test_open_wrong(void **state)
{
    struct place *p = *state;
    struct signing_key *k = signing_key_new();
    char *path = xasprintf("%s/other.key", p->dir);

    assert_int_equal(signing_key_save(k, path), 0);
    refused(repo_open(p->dir, "db1", NULL), ERR_NOREPO);
    refused(repo_open("/tmp/pitr-is-not-there", NULL, NULL), ERR_NOREPO);
    refused(repo_open(p->path, "db2", NULL), ERR_NOREPO);
    refused(repo_open(p->path, "db1", path), ERR_KEY);
    refused(repo_open(p->path, "db1", "/tmp/pitr-is-not-there"), ERR_KEY);
    signing_key_free(k);
    free(path);
}

static void
init_refused(const struct place *p, const char *path, const char *server,
    const char *signing, size_t n, const struct secret_key *key,
    enum err_kind kind)
{
    assert_int_equal(
        repo_init(path, server, signing, secret_key_public(p->key), n, key),
        -1);
    assert_int_equal(err_kind(), kind);
    err_clear();
}

static void
test_init_refused(void **state)
{
    struct place *p = *state;
    struct secret_key *stranger = secret_key_new();
    char *path = xasprintf("%s/new", p->dir);
    char *signing = xasprintf("%s/new.key", p->dir);
    char *file = place_file(p, "repository");
    struct buf before = {0}, after = {0};
    char longest[66], *lost;

    file_load(file, &before);
    init_refused(p, p->path, "db1", signing, 1, NULL, ERR_NOREPO);
    init_refused(p, path, "db1", p->signing, 1, NULL, ERR_KEY);
    init_refused(p, path, "db1", signing, 0, NULL, ERR_USAGE);
    init_refused(p, path, "", signing, 1, NULL, ERR_USAGE);
    init_refused(p, path, "db/1", signing, 1, NULL, ERR_USAGE);
    init_refused(p, path, "db\n1", signing, 1, NULL, ERR_USAGE);
    memset(longest, 'x', 65);
    longest[65] = '\0';
    init_refused(p, path, longest, signing, 1, NULL, ERR_USAGE);
    /* A key that is not among the recipients opens nothing. */
    init_refused(p, path, "db1", signing, 1, stranger, ERR_KEY);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(signing, F_OK), -1);
    file_load(file, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    /* And without what was wrong it is made; also where a file system of its
     * own was mounted for it. */
    longest[64] = '\0';
    assert_int_equal(mkdir(path, 0700), 0);
    lost = xasprintf("%s/lost+found", path);
    assert_int_equal(mkdir(lost, 0700), 0);
    free(lost);
    assert_int_equal(
        repo_init(path, longest, signing, secret_key_public(p->key), 1, NULL),
        0);
    secret_key_free(stranger);
    buf_free(&before);
    buf_free(&after);
    free(path);
    free(signing);
    free(file);
}

static void
test_trust(void **state)
{
    struct place *p = *state;
    struct secret_key *stranger = secret_key_new();
    uint8_t other[32];
    unsigned long warned = log_warnings();

    memcpy(other, p->repo->signer, 32);
    other[7] ^= 1;
    assert_int_equal(repo_trust(p->repo, p->key, NULL), 0);
    assert_int_equal(repo_trust(p->repo, p->key, p->repo->signer), 0);
    assert_int_equal(repo_trust(p->repo, NULL, p->repo->signer), 0);
    assert_int_equal(log_warnings(), warned);
    assert_int_equal(repo_trust(p->repo, p->key, other), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    /* Nothing proves it: said, not refused. */
    assert_int_equal(repo_trust(p->repo, stranger, NULL), 0);
    assert_true(log_warnings() > warned);
    warned = log_warnings();
    assert_int_equal(repo_trust(p->repo, NULL, NULL), 0);
    assert_true(log_warnings() > warned);
    secret_key_free(stranger);
}

/* A repository file for the same place, signed by a key of the attacker, that
 * carries the endorsement of the true one. */
static void
test_trust_forged(void **state)
{
    struct place *p = *state;
    char *path = place_file(p, "repository");
    struct signing_key *theirs = signing_key_new();
    struct buf text = {0};
    struct repo_file f;
    struct repo *r;
    unsigned long warned = log_warnings();

    file_load(path, &text);
    assert_int_equal(repo_file_parse(text.data, text.len, &f), 0);
    assert_true(f.endorsed);
    memcpy(f.signer, signing_key_public(theirs), 32);
    buf_reset(&text);
    repo_file_format(&f, theirs, NULL, NULL, &text);
    file_store(path, text.data, text.len);
    r = repo_open(p->path, "db1", NULL);
    assert_non_null(r); /* well signed, but by whom? */
    assert_int_equal(repo_trust(r, p->key, NULL), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    assert_int_equal(repo_trust(r, p->key, p->repo->signer), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    assert_int_equal(log_warnings(), warned);
    repo_close(r);
    refused(repo_open(p->path, "db1", p->signing), ERR_KEY);
    /* Another server's endorsement does not do either. */
    memcpy(f.signer, p->repo->signer, 32);
    f.id[3] ^= 1;
    buf_reset(&text);
    repo_file_format(&f, p->repo->signing, NULL, NULL, &text);
    file_store(path, text.data, text.len);
    r = repo_open(p->path, "db1", NULL);
    assert_non_null(r);
    assert_int_equal(repo_trust(r, p->key, NULL), -1);
    err_clear();
    repo_close(r);
    repo_file_free(&f);
    signing_key_free(theirs);
    buf_free(&text);
    free(path);
}

/* The file that was opened is the one whose endorsement counts, and the one
 * that is used. */
static void
test_trust_swapped(void **state)
{
    struct place *p = *state;
    char *path = place_file(p, "repository");
    char *other = xasprintf("%s/new", p->dir);
    char *signing = xasprintf("%s/new.key", p->dir);
    char *other_file = xasprintf("%s/repository", other);
    struct buf text = {0};

    assert_int_equal(
        repo_init(other, "db1", signing, secret_key_public(p->key), 1, p->key),
        0);
    file_load(other_file, &text);
    file_store(path, text.data, text.len);
    assert_int_equal(repo_trust(p->repo, p->key, NULL), 0);
    assert_memory_equal(
        p->repo->signer, signing_key_public(p->repo->signing), 32);
    refused(repo_open(p->path, "db1", p->signing), ERR_KEY);
    buf_free(&text);
    free(path);
    free(other);
    free(signing);
    free(other_file);
}

static int
parse(const void *p, size_t n)
{
    void *exact = xmemdup(p, n); /* so that reading past it is seen */
    struct repo_file f;
    int rc = repo_file_parse(exact, n, &f);

    if (rc == 0)
        repo_file_free(&f);
    else
        assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    free(exact);
    return rc;
}

static void
test_file_flipped(void **state)
{
    struct place *p = *state;
    char *path = place_file(p, "repository");
    struct buf text = {0};
    size_t value;

    file_load(path, &text);
    assert_int_equal(parse(text.data, text.len), 0);
    /* The value of the last line, "signature: ...". */
    for (value = text.len - 1; text.data[value - 1] != ' '; value--)
        continue;
    for (size_t i = 0; i < text.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t is = text.data[i], now = is ^ (uint8_t)(1u << bit);

            text.data[i] = now;
            /* base32 is read in either case: the same signature. */
            assert_int_equal(parse(text.data, text.len),
                i >= value && tolower(now) == is ? 0 : -1);
            text.data[i] = is;
        }
    }
    buf_free(&text);
    free(path);
}

static void
test_file_cut(void **state)
{
    struct place *p = *state;
    char *path = place_file(p, "repository");
    struct buf text = {0};

    file_load(path, &text);
    for (size_t n = 0; n < text.len; n++)
        assert_int_equal(parse(text.data, n), -1);
    buf_str(&text, "\n");
    assert_int_equal(parse(text.data, text.len), -1);
    text.len--;
    buf_str(&text, "server: db2\n");
    assert_int_equal(parse(text.data, text.len), -1);
    buf_free(&text);
    free(path);
}

static void
test_file_lines(void **state)
{
    static const char *const odd[] = {"pitr-repository 1\n",
        "pitr-repository 2\nsignature: aa\n", "pitr-repository 1\n\n",
        "pitr-repository 1\n: \n", "pitr-repository 1\nid: \n",
        "pitr-repository 1\nid:x\n", "pitr-repository 1\nsignature: \n",
        "pitr-repository 1\nstranger: 1\n"};

    (void)state;
    for (size_t i = 0; i < NELEM(odd); i++)
        assert_int_equal(parse(odd[i], strlen(odd[i])), -1);
}

/* What the file says is read again as it was, with all recipients. */
static void
test_file_round(void **state)
{
    struct signing_key *k = signing_key_new();
    struct repo_file f = {.n_recipients = SEAL_RECIPIENTS_MAX}, again;
    struct buf text = {0};

    (void)state;
    f.server = xstrdup("db-1.example_x");
    f.created_us = UINT64_C(1651456980123456);
    random_bytes(f.id, sizeof f.id);
    random_bytes(f.recipients, sizeof f.recipients);
    memcpy(f.signer, signing_key_public(k), 32);
    repo_file_format(&f, k, NULL, NULL, &text);
    assert_int_equal(repo_file_parse(text.data, text.len, &again), 0);
    assert_string_equal(again.server, f.server);
    assert_int_equal(again.created_us, f.created_us);
    assert_memory_equal(again.id, f.id, sizeof f.id);
    assert_memory_equal(again.signer, f.signer, 32);
    assert_int_equal(again.n_recipients, SEAL_RECIPIENTS_MAX);
    assert_memory_equal(again.recipients, f.recipients, sizeof f.recipients);
    assert_false(again.endorsed);
    repo_file_free(&again);
    repo_file_free(&f);
    buf_free(&text);
    signing_key_free(k);
}

static void
test_lock(void **state)
{
    struct place *p = *state;
    struct lock *a = repo_lock(p->repo, "stream");
    struct lock *b = repo_lock(p->repo, "backup");

    assert_non_null(a);
    assert_non_null(b);
    refused(repo_lock(p->repo, "stream"), ERR_LOCKED);
    lock_free(a);
    a = repo_lock(p->repo, "stream");
    assert_non_null(a);
    lock_free(a);
    lock_free(b);
}

/* An object is given back; peeking needs no secret. */
static void
test_objects(void **state)
{
    struct place *p = *state;
    struct buf meta = {0}, got = {0};
    struct seal_header h;
    struct seal_mark m;
    struct source *src;
    struct sink *s;

    buf_str(&meta, "note");
    s = repo_put(
        p->repo, SEAL_SCHEMA, "backup/x/schema", &meta, 1, STORE_ATOMIC, NULL);
    assert_non_null(s);
    assert_int_equal(sink_write(s, "content", 7), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    assert_int_equal(
        repo_peek(p->repo, SEAL_SCHEMA, "backup/x/schema", &h, &m), 1);
    assert_memory_equal(h.meta.data, "note", 4);
    src = repo_get(p->repo, SEAL_SCHEMA, "backup/x/schema", p->key, m.digest);
    assert_non_null(src);
    assert_int_equal(source_slurp(src, 100, &got), 0);
    assert_int_equal(got.len, 7);
    assert_memory_equal(got.data, "content", 7);
    source_free(src);
    /* Of another kind, of another name, with another digest: no. */
    refused(repo_get(p->repo, SEAL_ROWS, "backup/x/schema", p->key, NULL),
        ERR_VERIFY);
    refused(repo_get(p->repo, SEAL_SCHEMA, "backup/y/schema", p->key, NULL),
        ERR_VERIFY);
    m.digest[0] ^= 1;
    buf_reset(&got);
    src = repo_get(p->repo, SEAL_SCHEMA, "backup/x/schema", p->key, m.digest);
    assert_int_equal(src == NULL ? -1 : source_slurp(src, 100, &got), -1);
    assert_int_equal(err_kind(), ERR_VERIFY);
    source_free(src);
    refused(repo_put(p->repo, SEAL_SCHEMA, "backup/x/schema", NULL, 1,
                STORE_ATOMIC, NULL),
        ERR_FAILED);
    seal_header_free(&h);
    seal_mark_free(&m);
    buf_free(&meta);
    buf_free(&got);
}

/* Where what was seen of a repository is remembered. */
static void
test_head_state(void **state)
{
    struct place *p = *state;
    char *was = xstrdup(getenv("XDG_STATE_HOME")), *path;
    char *home = xstrdup(getenv("HOME"));

    setenv("XDG_STATE_HOME", p->path, 1);
    path = head_state_path(p->repo, NULL);
    assert_memory_equal(path, p->path, strlen(p->path));
    free(path);
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", p->path, 1);
    path = head_state_path(p->repo, NULL);
    assert_non_null(strstr(path, "/.local/state/pitr/"));
    free(path);
    setenv("HOME", "/nonexistent", 1); /* none is made */
    assert_null(head_state_path(p->repo, NULL));
    if (was != NULL)
        setenv("XDG_STATE_HOME", was, 1);
    if (home != NULL)
        setenv("HOME", home, 1);
    free(was);
    free(home);
}

/* Who has no key hands nothing over. */
static void
test_rekey_refused(void **state)
{
    struct place *p = *state;
    struct repo *r = repo_open(p->path, NULL, NULL);
    struct repo_rekey how = {.n = 0};

    assert_non_null(r);
    assert_int_equal(repo_rekey(r, &how), -1);
    assert_int_equal(err_kind(), ERR_KEY);
    assert_non_null(strstr(err_text(), "signing key is needed"));
    repo_close(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trust, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trust_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trust_swapped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_flipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_cut, setup, teardown),
        cmocka_unit_test(test_file_lines),
        cmocka_unit_test(test_file_round),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rekey_refused, setup, teardown),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
