/*
 * test_attack.c -- every attack of doc/ATTACKS.md on every kind of object of a
 * small whole repository, as commands see it: opened anew, trusted, planned,
 * looked at as `restore --dry-run` does, and verified with the recovery key.
 *
 * An attack is noticed where one of these says ERR_VERIFY (exit code 14), or
 * verify names damage; what is not noticed must make no difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../src/repo/repo_file.h"
#include "pitr/expire.h"
#include "pitr/file.h"
#include "pitr/head.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/replay.h"
#include "pitr/rewrap.h"
#include "pitr/verify.h"
#include "repo_util.h"

#define LAST 3 /* segments: the last one is growing */

struct object {
    char *name, *path;
    struct buf was;
    bool growing;
};

struct scene {
    struct place p;
    struct segment_tail tail;
    unsigned groups;
    struct secret_key *late; /* a recipient who came later */
    struct head head;
    struct object *v; /* all files */
    size_t n;
};

/* --- the repository --- */

/* All that there can be: two backups, a log whose end grows, a pin, another
 * generation of the repository file, slots of a later recipient. */
static void
fill(struct scene *s)
{
    struct public_key two[2];
    struct repo_rekey how = {.recipients = two, .n = 2};
    struct rewrap_report done;

    backup_write(s->p.repo, FIRST, 15, LIE_NONE);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_FIRST, false);
    two[0] = *secret_key_public(s->p.key);
    two[1] = *secret_key_public(s->late);
    assert_int_equal(repo_rekey(s->p.repo, &how), 0);
    repo_close(s->p.repo);
    assert_non_null(s->p.repo = repo_open(s->p.path, "db1", s->p.signing));
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, false);
    segment_make(s->p.repo, &s->tail, &s->groups, SEGMENT_NEXT, true);
    backup_write(s->p.repo, SECOND, 16, LIE_NONE);
    assert_int_equal(pin_add(s->p.repo, FIRST), 0);
    assert_int_equal(
        rewrap_run(s->p.repo, s->p.key, secret_key_public(s->late), 1, &done),
        0);
    assert_true(done.sealed > 0);
}

static void
objects_load(struct scene *s)
{
    struct store_list l = {0};

    assert_int_equal(store_list(s->p.repo->store, "", false, &l), 0);
    s->v = xcalloc(l.n, sizeof *s->v);
    for (size_t i = 0; i < l.n; i++) {
        struct object *o = &s->v[s->n++];

        o->name = xstrdup(l.v[i].name);
        o->path = place_file(&s->p, o->name);
        o->growing = strncmp(o->name, "binlog/", 7) == 0 &&
            (i + 1 == l.n || strncmp(l.v[i + 1].name, "binlog/", 7) != 0);
        file_load(o->path, &o->was);
    }
    store_list_free(&l);
}

static int
setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof *s);
    struct catalog *c;

    place_make(&s->p);
    s->late = secret_key_new();
    fill(s);
    objects_load(s);
    assert_non_null(c = catalog_load(s->p.repo));
    assert_int_equal(head_of(s->p.repo, c, &s->head), 0);
    catalog_free(c);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].name);
        free(s->v[i].path);
        buf_free(&s->v[i].was);
    }
    free(s->v);
    segment_tail_free(&s->tail);
    secret_key_free(s->late);
    place_free(&s->p);
    free(s);
    return 0;
}

static bool
is_kind(const struct object *o, const char *prefix)
{
    return strncmp(o->name, prefix, strlen(prefix)) == 0;
}

static struct object *
find(struct scene *s, const char *prefix, const char *end)
{
    for (size_t i = 0; i < s->n; i++) {
        size_t n = strlen(s->v[i].name), m = strlen(end);

        if (is_kind(&s->v[i], prefix) && n >= m &&
            strcmp(s->v[i].name + n - m, end) == 0)
            return &s->v[i];
    }
    fail_msg("no object is like %s", prefix);
    return NULL;
}

/* Without waiting for the disk, which a test of every byte has no time for. */
static void
put(const struct object *o, const void *p, size_t n)
{
    int fd = open(o->path, O_WRONLY | O_CREAT, 0600);

    if (fd < 0) { /* objects are read-only, but to root */
        unlink(o->path);
        fd = open(o->path, O_WRONLY | O_CREAT, 0600);
    }
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    assert_int_equal(ftruncate(fd, (off_t)n), 0); /* O_TRUNC would sync */
    close(fd);
}

static void
put_back(const struct object *o)
{
    put(o, o->was.data, o->was.len);
}

/* --- what commands see --- */

/* As restore --dry-run, up to where a target would be touched. */
static int
dry_run(struct scene *s, struct repo *r, const struct secret_key *key)
{
    struct cutoff newest = {.kind = CUTOFF_NEWEST};
    struct catalog *c = catalog_load(r);
    struct replay_report done = {0};
    struct manifest *m = NULL;
    struct plan plan;
    int rc = -1;

    if (c == NULL || head_check(r, c, &s->head) < 0 ||
        plan_make(c, &newest, NULL, &plan) < 0)
        goto out;
    {
        struct replay_conf conf = {
            .repo = r, .key = key, .catalog = c, .plan = &plan};

        if (replay_preview(&conf, false, &done) < 0 ||
            (m = manifest_load(r, c->backup[plan.backup].id, key)) == NULL ||
            manifest_check(r, m, 1) < 0)
            goto out;
    }
    rc = 0;

out:
    free(done.unfinished);
    manifest_free(m);
    catalog_free(c);
    return rc;
}

/* Does verify, with the key, find damage? */
static bool
verify_finds(struct repo *r, const struct secret_key *key)
{
    struct verify_conf conf = {.repo = r, .key = key, .jobs = 1, .all = true};
    struct verify_report v;
    char *local = r->local_path;
    bool found;

    r->local_path = NULL; /* as on a vault: nothing is remembered */
    if (verify_run(&conf, &v) < 0)
        fail_msg("%s", err_text());
    r->local_path = local;
    found = verify_count(&v, VERIFY_DAMAGED) > 0;
    verify_report_free(&v);
    return found;
}

struct seen {
    enum err_kind kind; /* of opening, trusting, or the dry run */
    bool found;         /* by opening, trusting, or verify */
};

static bool
is_long(void)
{
    return getenv("PITR_LONG") != NULL;
}

static struct seen
look_aloud(struct scene *s, const struct secret_key *key)
{
    struct seen is = {ERR_NONE, true};
    struct repo *r = repo_open(s->p.path, "db1", NULL);

    if (r == NULL || repo_trust(r, key, s->p.repo->signer) < 0) {
        is.kind = err_kind();
    } else {
        if (dry_run(s, r, key) < 0)
            is.kind = err_kind();
        err_clear();
        /* Also where the dry run has seen it, if there is time. */
        if (is.kind != ERR_VERIFY || is_long())
            is.found = verify_finds(r, key);
    }
    err_clear();
    repo_close(r);
    return is;
}

/* Each attack is warned of, and they are many. */
static struct seen
look(struct scene *s, const struct secret_key *key)
{
    int was = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
    struct seen is;

    assert_true(was >= 0 && nowhere >= 0);
    assert_true(dup2(nowhere, STDERR_FILENO) >= 0);
    is = look_aloud(s, key);
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    close(was);
    close(nowhere);
    return is;
}

/* An attack on o that is to be noticed by verify; and nothing but damage is
 * said.  dry: the dry run has to see it too. */
static void
noticed(struct scene *s, const char *what, const struct object *o, size_t at,
    bool dry)
{
    struct seen is = look(s, s->p.key);

    if (!is.found)
        fail_msg("%s at %zu: %s is not noticed", o->name, at, what);
    if ((is.kind != ERR_VERIFY && is.kind != ERR_NONE) ||
        (dry && is.kind == ERR_NONE))
        fail_msg("%s at %zu: %s: kind %d", o->name, at, what, (int)is.kind);
}

static void
test_unharmed(void **state)
{
    struct scene *s = *state;
    const struct secret_key *keys[] = {s->p.key, s->late};

    for (size_t i = 0; i < NELEM(keys); i++) {
        struct seen is = look(s, keys[i]);

        assert_int_equal(is.kind, ERR_NONE);
        assert_false(is.found);
    }
    assert_int_equal(s->n, 1 + 1 + 1 + 3 + 2 * (PARTS + 2) + 2);
}

/* --- bytes --- */

/* Signatures are in base32, which is read in either case. */
static bool
only_case(const struct object *o, size_t i, uint8_t was, uint8_t is)
{
    size_t line = i;

    if (!is_kind(o, "repository") || tolower(was) != tolower(is))
        return false;
    while (line > 0 && o->was.data[line - 1] != '\n')
        line--;
    return memcmp(o->was.data + line, "signature: ", 11) == 0;
}

/* test_sealed_attack.c takes one object at every byte; here the whole
 * repository is gone through for each, so that it is every byte only if there
 * is time. */
static size_t
step_of(const struct object *o)
{
    return is_long() ? 1 : is_kind(o, "backup/") ? 97 : 61;
}

static void
flip(struct scene *s, const struct object *o)
{
    struct buf b = {0};

    buf_add(&b, o->was.data, o->was.len);
    for (size_t i = 0; i < b.len; i += step_of(o)) {
        uint8_t was = b.data[i];

        b.data[i] ^= (uint8_t)(1u << (i % 8));
        put(o, b.data, b.len);
        if (only_case(o, i, was, b.data[i]))
            look(s, s->p.key);
        else if (o->growing) /* torn, or damaged: it never counts in full */
            assert_int_equal(look(s, s->p.key).kind, ERR_VERIFY);
        else
            noticed(s, "a bit flipped", o, i, false);
        b.data[i] = was;
    }
    put_back(o);
    buf_free(&b);
}

static void
test_flipped(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < s->n; i++)
        if (!is_kind(&s->v[i], "backup/" SECOND))
            flip(s, &s->v[i]);
}

static void
test_cut(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < s->n; i++) {
        const struct object *o = &s->v[i];

        if (is_kind(o, "backup/" SECOND))
            continue;
        for (size_t n = 0; n < o->was.len; n += step_of(o)) {
            put(o, o->was.data, n);
            if (o->growing)
                assert_int_equal(look(s, s->p.key).kind, ERR_VERIFY);
            else
                noticed(s, "cut", o, n, is_kind(o, "binlog/"));
        }
        put_back(o);
    }
}

static void
test_added(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < s->n; i++) {
        const struct object *o = &s->v[i];
        struct buf b = {0};

        buf_add(&b, o->was.data, o->was.len);
        buf_u8(&b, 'x');
        put(o, b.data, b.len);
        if (o->growing) /* a torn write, which was never promised */
            assert_int_equal(look(s, s->p.key).kind, ERR_NONE);
        else
            noticed(s, "a byte added", o, b.len, false);
        put_back(o);
        buf_free(&b);
    }
}

/* --- records --- */

struct record {
    size_t at, size;
};

/* The frames and marks of a sealed object, by FORMAT.md; 0 of others. */
static size_t
records(const struct object *o, struct record *v, size_t max)
{
    struct cur c = cur_of(o->was.data, o->was.len);
    size_t at, n = 0;

    cur_bytes(&c, 12);
    at = cur_u32(&c);
    if (o->was.len < 16 || memcmp(o->was.data, "PITR\r\n\x1a\n", 8) != 0)
        return 0;
    while (at < o->was.len && n < max) {
        bool frame = o->was.data[at] == 1;

        c = cur_of(o->was.data + at + (frame ? 1 : 2), 4);
        v[n].at = at;
        v[n].size = cur_u32(&c) + (frame ? 5 : 0);
        at += v[n++].size;
    }
    assert_int_equal(at, o->was.len);
    return n;
}

static void
add_record(struct buf *b, const struct object *o, const struct record *r)
{
    buf_add(b, o->was.data + r->at, r->size);
}

/* Without record i; with it twice; exchanged with the next one. */
static void
rearrange(struct scene *s, const struct object *o, const struct record *v,
    size_t n, size_t i, int how)
{
    static const char *const what[] = {
        "a record dropped", "a record repeated", "records exchanged"};
    struct buf b = {0};

    buf_add(&b, o->was.data, v[0].at);
    for (size_t k = 0; k < n; k++) {
        if (how == 2 && k == i && i + 1 < n) {
            add_record(&b, o, &v[k + 1]);
            add_record(&b, o, &v[k++]);
            continue;
        }
        if (how != 0 || k != i)
            add_record(&b, o, &v[k]);
        if (how == 1 && k == i)
            add_record(&b, o, &v[k]);
    }
    put(o, b.data, b.len);
    if (o->growing)
        look(s, s->p.key); /* below */
    else
        noticed(s, what[how], o, i, false);
    put_back(o);
    buf_free(&b);
}

static void
test_records(void **state)
{
    struct scene *s = *state;
    struct record v[64];
    size_t sealed = 0;

    for (size_t k = 0; k < s->n; k++) {
        const struct object *o = &s->v[k];
        size_t n = records(o, v, NELEM(v));

        sealed += n > 0;
        for (size_t i = 0; i < n; i++)
            for (int how = 0; how < 3; how++)
                if (how != 2 || i + 1 < n)
                    rearrange(s, o, v, n, i, how);
    }
    assert_int_equal(sealed, 3 + 2 * (PARTS + 2));
}

/* --- objects --- */

static void
test_exchanged(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->n; k++) {
            const struct object *o = &s->v[i];

            if (i == k || (!is_long() && (i + k) % 3 != 0))
                continue;
            put(o, s->v[k].was.data, s->v[k].was.len);
            /* A growing one that is another counts as nothing: then the head
             * tells. */
            if (o->growing)
                assert_int_equal(look(s, s->p.key).kind, ERR_VERIFY);
            else
                noticed(s, s->v[k].name, o, k,
                    !is_kind(o, "pin/") && !is_kind(o, "slots/") &&
                        !is_kind(o, "backup/" FIRST));
            put_back(o);
        }
}

/* The same of another repository: the same names, the same recovery key. */
static void
test_another_repository(void **state)
{
    struct scene *s = *state, other = {0};
    struct secret_key *mine;

    place_make(&other.p);
    mine = other.p.key;
    other.p.key = s->p.key;
    other.late = s->late;
    {
        /* Made anew, for our key. */
        char *path = xasprintf("%s/again", other.p.dir);
        char *signing = xasprintf("%s/again.key", other.p.dir);

        assert_int_equal(repo_init(path, "db1", signing,
                             secret_key_public(s->p.key), 1, s->p.key),
            0);
        repo_close(other.p.repo);
        free(other.p.path);
        free(other.p.signing);
        other.p.path = path;
        other.p.signing = signing;
        assert_non_null(other.p.repo = repo_open(path, "db1", signing));
    }
    fill(&other);
    objects_load(&other);
    for (size_t i = 0; i < s->n; i++) {
        const struct object *o = &s->v[i];
        const struct object *theirs = NULL;

        for (size_t k = 0; k < other.n && theirs == NULL; k++)
            if (strncmp(other.v[k].name, o->name, 12) == 0 &&
                (!is_kind(o, "backup/") ||
                    strcmp(other.v[k].name, o->name) == 0))
                theirs = &other.v[k];
        assert_non_null(theirs);
        put(o, theirs->was.data, theirs->was.len);
        if (o->growing)
            assert_int_equal(look(s, s->p.key).kind, ERR_VERIFY);
        else
            noticed(s, "another repository's", o, 0, false);
        put_back(o);
    }
    /* All of it: the signer is not the one that is expected. */
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i].name, "repository") == 0)
            put(&s->v[i], other.v[0].was.data, 0);
    {
        struct repo *r = repo_open(other.p.path, "db1", NULL);

        assert_non_null(r);
        assert_int_equal(repo_trust(r, s->p.key, s->p.repo->signer), -1);
        assert_int_equal(err_kind(), ERR_VERIFY);
        err_clear();
        repo_close(r);
    }
    other.p.key = mine;
    for (size_t i = 0; i < other.n; i++) {
        free(other.v[i].name);
        free(other.v[i].path);
        buf_free(&other.v[i].was);
    }
    free(other.v);
    segment_tail_free(&other.tail);
    place_free(&other.p);
}

/* The right signer, repository, kind and name, but of another server; and who
 * has only the public keys, who can seal, but not sign. */
static void
seal_in_place(struct scene *s, const struct object *o, enum seal_kind kind,
    const char *server, const struct signing_key *signer)
{
    struct seal_header h = {.kind = kind};
    struct buf b = {0};
    struct sink *sink;

    h.server = xstrdup(server);
    h.name = xstrdup(o->name);
    memcpy(h.repo_id, s->p.repo->id, sizeof h.repo_id);
    sink = seal_sink(sink_to_buf(&b), &h, signer, s->p.repo->recipients,
        s->p.repo->n_recipients);
    assert_non_null(sink);
    assert_int_equal(sink_write(sink, "x", 1), 0);
    assert_int_equal(sink_finish(sink), 0);
    sink_free(sink);
    put(o, b.data, b.len);
    free(h.server);
    free(h.name);
    buf_free(&b);
}

static void
test_forged(void **state)
{
    struct scene *s = *state;
    struct signing_key *theirs = signing_key_new();
    const struct {
        enum seal_kind kind;
        const char *prefix, *end;
    } v[] = {{SEAL_MANIFEST, "backup/" SECOND, "manifest"},
        {SEAL_SCHEMA, "backup/" SECOND, "schema"},
        {SEAL_ROWS, "backup/" SECOND, "part-000002"},
        {SEAL_SEGMENT, "binlog/0001-0000000002", "Z"}};

    for (size_t i = 0; i < NELEM(v); i++) {
        const struct object *o = find(s, v[i].prefix, v[i].end);

        seal_in_place(s, o, v[i].kind, "db1", theirs);
        noticed(s, "forged with the public keys", o, 0, true);
        seal_in_place(s, o, v[i].kind, "db2", s->p.repo->signing);
        noticed(s, "another server's", o, 0, true);
        put_back(o);
    }
    signing_key_free(theirs);
}

static void
test_removed(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < s->n; i++) {
        const struct object *o = &s->v[i];
        struct seen is;

        unlink(o->path);
        is = look(s, s->p.key);
        if (strcmp(o->name, "repository") == 0) {
            assert_int_equal(is.kind, ERR_NOREPO);
        } else if (is_kind(o, "pin/") || is_kind(o, "slots/")) {
            /* Of no account to what is restored with this key. */
            assert_int_equal(is.kind, ERR_NONE);
        } else if (strcmp(o->name, "backup/" FIRST "/manifest") == 0 ||
            is_kind(o, "binlog/0001-0000000001")) {
            /* As if expired: nothing newer is touched by it. */
            assert_int_equal(is.kind, ERR_NONE);
        } else if (is_kind(o, "backup/" FIRST)) {
            assert_int_equal(is.kind, ERR_NONE); /* not the one restored */
            assert_true(is.found);
        } else if (is.kind != ERR_VERIFY) {
            fail_msg("%s removed: kind %d", o->name, (int)is.kind);
        }
        /* Without its slots, the later key opens nothing. */
        if (is_kind(o, "slots/")) {
            struct seen late = look(s, s->late);

            assert_true(late.found || late.kind == ERR_KEY);
        }
        put_back(o);
    }
    assert_int_equal(look(s, s->p.key).kind, ERR_NONE);
}

/* As it was some time ago: each time a piece more is taken away. */
static void
test_old_state(void **state)
{
    struct scene *s = *state;

    for (size_t i = s->n; i-- > 0;) {
        if (!is_kind(&s->v[i], "backup/" SECOND) &&
            !is_kind(&s->v[i], "binlog/0001-000000000" /* 2, 3 */))
            continue;
        if (is_kind(&s->v[i], "binlog/0001-0000000001"))
            continue;
        unlink(s->v[i].path);
        assert_int_equal(look(s, s->p.key).kind, ERR_VERIFY);
    }
    for (size_t i = 0; i < s->n; i++)
        put_back(&s->v[i]);
    assert_int_equal(look(s, s->p.key).kind, ERR_NONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unharmed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_added, setup, teardown),
        cmocka_unit_test_setup_teardown(test_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exchanged, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_another_repository, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_state, setup, teardown),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
