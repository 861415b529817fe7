/*
 * test_repo_faults.c -- what is at fault by itself, in each corner of a
 * repository: the files in which it remembers things; objects that the right
 * key has signed and that are wrong, as of a faulty or a later version; what
 * does not belong there; places that cannot be written to.  It is told, nothing
 * else suffers, and nothing is removed or believed on the strength of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../src/repo/away.h"
#include "../../src/repo/ship_priv.h"
#include "pitr/expire.h"
#include "pitr/file.h"
#include "pitr/head.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/part.h"
#include "pitr/rewrap.h"
#include "pitr/times.h"
#include "pitr/verify.h"
#include "repo_util.h"

#define MISSING "20220501T020000Z"
#define OBJECTS (2 * (PARTS + 2) + 3)
#define URL "sftp://vault.example.net/db1"

static int
setup(void **state)
{
    struct logged *s = logged_new();

    history_write(s->p.repo, &s->tail, &s->groups, 3, false);
    *state = s;
    return 0;
}

static void
put_text(struct logged *s, const char *name, const char *text)
{
    char *path = place_file(&s->p, name);
    char *folder = file_folder(path);

    assert_int_equal(dir_make(folder, 0700), 0);
    file_store(path, text, strlen(text));
    free(folder);
    free(path);
}

/* It failed, so, and says that. */
static void
refused(int rc, enum err_kind kind, const char *says)
{
    assert_int_equal(rc, -1);
    if (strstr(err_text(), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err_text(), says);
    assert_int_equal(err_kind(), kind);
    err_clear();
}

/* Verified without the key: so many objects are read, nothing is damaged. */
static void
is_good(struct logged *s, uint64_t read, size_t strangers)
{
    struct verify_conf conf = {.repo = s->p.repo, .jobs = 2};
    struct verify_report r;

    if (verify_run(&conf, &r) < 0)
        fail_msg("%s", err_text());
    assert_int_equal(verify_count(&r, VERIFY_DAMAGED), 0);
    assert_int_equal(verify_count(&r, VERIFY_NOTHING), strangers);
    assert_int_equal(r.objects, read);
    verify_report_free(&r);
}

/* --- what is remembered --- */

/* One line that is wrong, and nothing of the memory counts: it is no proof, so
 * all is read again. */
static void
test_verified_lines(void **state)
{
    static const char digest[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const char *const lines[] = {"1", "x 1 1 @ b", "1 x 1 @ b",
        "1 1 x @ b", "1 1 1 @", "1 1 1 @ ", "1 1 1 aa b", "0 1 1 @ b",
        "9 1 1 @ b", "1 1 99999999999999999999 @ b", "1 1 1 @ a", ""};
    struct logged *s = *state;
    char *path = place_file(&s->p, ".verified"), *head;
    uint8_t zero[DIGEST_SIZE] = {0};
    struct buf was = {0};

    /* Its first three lines are as they should be. */
    is_good(s, OBJECTS, 0);
    assert_int_equal(file_read(path, 1 << 20, &was), 0);
    head = xstrdup(buf_cstr(&was));
    *(strchr(strstr(head, "\nplace ") + 1, '\n') + 1) = '\0';
    for (size_t i = 0; i <= NELEM(lines); i++) {
        const char *line = i < NELEM(lines) ? lines[i] : "1 1 1 @ b";
        const char *at = strchr(line, '@');
        struct buf b = {0};
        struct verified *v;
        unsigned warned = log_warnings();

        buf_fmt(&b, "%s1 1 1 %s a\n", head, digest);
        buf_fmt(&b, "%.*s%s%s\nend\n",
            (int)(at == NULL ? strlen(line) : (size_t)(at - line)), line,
            at == NULL ? "" : digest, at == NULL ? "" : at + 1);
        put_text(s, ".verified", buf_cstr(&b));
        v = verified_load(s->p.repo);
        /* The last one is as it should be. */
        assert_int_equal(log_warnings(), warned + (i < NELEM(lines)));
        assert_int_equal(verified_level(v, "a", 1, zero),
            i < NELEM(lines) ? VERIFY_NONE : VERIFY_SIGNATURES);
        verified_free(v);
        buf_free(&b);
    }
    /* An early version's had no place, and is no fault. */
    put_text(s, ".verified", "pitr-verified 1\n");
    {
        unsigned warned = log_warnings();

        is_good(s, OBJECTS, 0);
        assert_int_equal(log_warnings(), warned);
    }
    put_text(s, ".verified", "");
    is_good(s, OBJECTS, 0);
    is_good(s, 0, 0);
    buf_free(&was);
    free(head);
    free(path);
}

/* Where it cannot be remembered, the work is done all the same. */
static void
test_verified_place(void **state)
{
    struct logged *s = *state;
    char *path = place_file(&s->p, ".verified");

    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < 2; i++) {
        unsigned warned = log_warnings();

        is_good(s, OBJECTS, 0);
        assert_true(log_warnings() > warned);
    }
    assert_int_equal(rmdir(path), 0);
    is_good(s, OBJECTS, 0);
    is_good(s, 0, 0);
    free(path);
}

/* Nobody knows what the vaults alone have: nothing goes, nobody hands over. */
static void
test_away_damaged(void **state)
{
    struct logged *s = *state;
    char *id = base32_text(s->p.repo->id, sizeof s->p.repo->id);
    char *key = xasprintf("%s/new.key", s->p.dir);
    char *texts[] = {xstrdup("pitr-away 1\n"),
        xasprintf("pitr-away 1\nrepository %s\nno line", id),
        xasprintf("pitr-away 1\nrepository %s\naa b\n", id),
        xasprintf("pitr-away 1\nrepository %s\n%.52s \n", id,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")};
    struct expire_policy none = {.minimum = 1};
    struct expire_vault vault = {.url = URL};
    struct expire_conf conf = {.repo = s->p.repo,
        .policy = &none,
        .vault = &vault,
        .vaults = 1,
        .now_us = time_now_us()};
    struct repo_rekey how = {.new_signing = key};
    size_t n;

    for (size_t i = 0; i < NELEM(texts); i++) {
        struct expire_report r;

        put_text(s, ".away", texts[i]);
        assert_int_equal(expire_away(s->p.repo, &n), -1);
        assert_true(*err_hint_text() != '\0');
        refused(-1, ERR_VERIFY, ".away is not what pitr has written");
        refused(expire_run(&conf, &r), ERR_VERIFY, ".away");
        expire_report_free(&r);
        refused(repo_rekey(s->p.repo, &how), ERR_VERIFY, ".away");
        assert_int_equal(access(key, F_OK), -1);
        free(texts[i]);
    }
    is_good(s, OBJECTS, 0);
    free(key);
    free(id);
}

/* A backup that has gone from here can be pinned: it was on a vault, and the
 * pin is shipped there.  One of which nobody knows cannot. */
static void
test_pin_elsewhere(void **state)
{
    struct logged *s = *state;
    struct pins pins;

    refused(pin_add(s->p.repo, MISSING), ERR_NOREPO, "there is no backup");
    put_text(s, ".shipped-0011223344556677",
        "pitr-shipped 1\nbackup " FIRST "\nbackup " MISSING);
    /* The line was cut. */
    refused(pin_add(s->p.repo, MISSING), ERR_NOREPO, "there is no backup");
    put_text(s, ".shipped-0011223344556677",
        "pitr-shipped 1\nbackup " FIRST "\nbackup " MISSING "\n");
    assert_int_equal(pin_add(s->p.repo, MISSING), 0);
    assert_int_equal(pins_load(s->p.repo, &pins), 0);
    assert_true(pins_has(&pins, MISSING));
    assert_false(pins_has(&pins, FIRST));
    pins_free(&pins);
}

/* What is no pin counts as one; of the end of time, nothing can follow it. */
static void
test_pin_of_no_time(void **state)
{
    struct logged *s = *state;
    unsigned warned = log_warnings();
    struct pins pins;

    put_text(s, "pin/" FIRST ".18446744073709551615", "");
    assert_int_equal(pins_load(s->p.repo, &pins), 0);
    assert_true(pins_has(&pins, FIRST));
    assert_int_equal(log_warnings(), warned + 1);
    pins_free(&pins);
    assert_int_equal(pin_add(s->p.repo, FIRST), 1);
    refused(pin_remove(s->p.repo, FIRST), ERR_FAILED, "nothing can follow it");
}

/* The memory of what a vault has: a torn line is ended before the next one, a
 * bad one counts as nothing; where it cannot be written, it is told once. */
static void
test_confirmed_file(void **state)
{
    struct logged *s = *state;
    char *path = ship_file_path(s->p.path, "confirmed", URL);
    char *id = base32_text(s->p.repo->id, sizeof s->p.repo->id);
    uint8_t digest[DIGEST_SIZE] = {7};
    struct confirmed *c;
    struct buf b = {0};
    unsigned warned;

    buf_fmt(&b,
        "pitr-confirmed 1\nrepository %s\nvault " URL
        "\nx aa a\n1 aa\n1 aa a\n1 a",
        id);
    file_store(path, b.data, b.len);
    warned = log_warnings();
    c = confirmed_load(s->p.repo, URL);
    assert_false(confirmed_has(c, "a", 1));
    confirmed_add(c, "b", 2, digest);
    confirmed_add(c, "c", 3, digest);
    confirmed_free(c);
    c = confirmed_load(s->p.repo, URL);
    assert_true(confirmed_has(c, "b", 2) && confirmed_has(c, "c", 3));
    assert_int_equal(log_warnings(), warned);
    /* Gone while it is at work; then something else is in its place. */
    unlink(path);
    for (int i = 0; i < 2; i++) {
        confirmed_add(c, i == 0 ? "d" : "e", 4, digest);
        assert_int_equal(log_warnings(), warned + 1);
    }
    assert_true(confirmed_has(c, "d", 4) && confirmed_has(c, "e", 4));
    confirmed_free(c);
    assert_int_equal(mkdir(path, 0700), 0);
    c = confirmed_load(s->p.repo, URL);
    assert_int_equal(log_warnings(), warned + 2);
    assert_false(confirmed_has(c, "b", 2));
    confirmed_add(c, "b", 2, digest);
    assert_true(confirmed_has(c, "b", 2));
    assert_int_equal(log_warnings(), warned + 3);
    confirmed_free(c);
    buf_free(&b);
    free(path);
    free(id);
}

/* --- well signed, and wrong --- */

/* Seal a text, with this note in its header and this one in its marks. */
static void
seal_by_hand(struct logged *s, enum seal_kind kind, const char *name,
    const struct buf *header, const struct buf *mark, const void *p, size_t n)
{
    struct sink *seal;
    struct sink *sink =
        repo_put(s->p.repo, kind, name, header, 1, STORE_ATOMIC, &seal);

    assert_non_null(sink);
    if (mark != NULL)
        seal_set_meta(seal, mark->data, mark->len);
    assert_int_equal(sink_write(sink, p, n), 0);
    assert_int_equal(sink_finish(sink), 0);
    sink_free(sink);
}

static void
lists(struct logged *s, size_t backups, size_t broken, size_t segments)
{
    struct catalog *c = catalog_load(s->p.repo);

    if (c == NULL)
        fail_msg("%s", err_text());
    assert_int_equal(c->backups, backups);
    assert_int_equal(c->n_broken, broken);
    assert_int_equal(c->segments, segments);
    assert_int_equal(c->breaks, 0);
    catalog_free(c);
}

/* Does verify, without the key or with it, name this object as damaged? */
static void
finds(struct logged *s, bool with_key, const char *object)
{
    struct verify_conf conf = {.repo = s->p.repo,
        .key = with_key ? s->p.key : NULL,
        .jobs = 1,
        .all = true};
    struct verify_report r;
    bool named = false;

    if (verify_run(&conf, &r) < 0)
        fail_msg("%s", err_text());
    for (size_t i = 0; i < r.findings; i++)
        named |= r.finding[i].kind == VERIFY_DAMAGED &&
            strcmp(r.finding[i].object, object) == 0;
    assert_true(named);
    verify_report_free(&r);
}

/* A manifest that says, in plain or within, that it is another backup's. */
static void
test_manifest_of_another(void **state)
{
    struct logged *s = *state;
    struct manifest *m = manifest_load(s->p.repo, SECOND, s->p.key);
    static const char name[] = "backup/20220504T020000Z/manifest";
    struct buf note = {0}, text = {0};

    assert_non_null(m);
    backup_info_format(&m->info, &note);
    manifest_format(m, &text);
    seal_by_hand(s, SEAL_MANIFEST, name, &note, NULL, text.data, text.len);
    lists(s, 2, 1, 3);
    finds(s, false, name);
    assert_null(manifest_load(s->p.repo, "20220504T020000Z", s->p.key));
    refused(-1, ERR_VERIFY, "it says that it is of backup " SECOND);
    manifest_free(m);
    buf_free(&note);
    buf_free(&text);
}

/* What a segment says of itself. */
struct said {
    struct segment_start start;
    struct segment_state state;
};

static struct said
said_of(struct logged *s)
{
    struct catalog *c = catalog_load(s->p.repo);
    const struct segment_info *last = &c->segment[c->segments - 1];
    struct buf a = {0}, b = {0};
    struct said out;

    /* A copy, gone on from the last one. */
    segment_start_format(&last->start, &a);
    segment_state_format(&last->state, &b);
    assert_int_equal(segment_start_parse(a.data, a.len, &out.start), 0);
    assert_int_equal(segment_state_parse(b.data, b.len, &out.state), 0);
    free(out.start.prev_name);
    out.start.prev_name = xstrdup(last->name);
    out.start.prev_size = last->size;
    memcpy(out.start.prev_digest, last->digest, DIGEST_SIZE);
    memcpy(out.start.prev_link, last->link, DIGEST_SIZE);
    out.start.linked = true;
    out.start.seq++;
    gtid_pos_free(&out.start.gtid);
    gtid_pos_copy(&out.start.gtid, &last->state.gtid);
    out.state.groups = 0;
    catalog_free(c);
    buf_free(&a);
    buf_free(&b);
    return out;
}

static char *
segment_by_hand(struct logged *s, const struct said *what, uint64_t seq,
    const struct buf *mark, const void *p, size_t n)
{
    char *name =
        segment_name(what->start.epoch, seq, what->start.started_us + 1000000);
    struct buf start = {0}, state = {0};

    segment_start_format(&what->start, &start);
    segment_state_format(&what->state, &state);
    seal_by_hand(
        s, SEAL_SEGMENT, name, &start, mark == NULL ? &state : mark, p, n);
    buf_free(&start);
    buf_free(&state);
    return name;
}

static void
said_free(struct said *x)
{
    segment_start_free(&x->start);
    segment_state_free(&x->state);
}

/* Another's header, another's position, a note that nobody can read: the newest
 * of that kind counts as nothing, or what follows it is parted; the log before
 * it is as good as it was. */
static void
test_segments_by_hand(void **state)
{
    struct logged *s = *state;
    struct said what = said_of(s);
    struct segment_tail tail;
    struct buf nonsense = {0};
    struct catalog *c;
    unsigned warned = log_warnings();
    char *name = segment_by_hand(s, &what, what.start.seq + 3, NULL, "x", 1);

    lists(s, 2, 0, 3);
    assert_int_equal(log_warnings(), warned + 1);
    store_remove(s->p.repo->store, name);
    free(name);

    buf_str(&nonsense, "of a later version");
    name = segment_by_hand(s, &what, what.start.seq, &nonsense, "x", 1);
    lists(s, 2, 0, 3);
    assert_int_equal(log_warnings(), warned + 2);
    /* But nobody may go on from what came before it. */
    refused(segment_tail_find(s->p.repo, &tail), ERR_VERIFY, name);
    store_remove(s->p.repo->store, name);
    free(name);

    gtid_pos_free(&what.start.gtid);
    what.start.gtid = pos_of("0-7-99");
    name = segment_by_hand(s, &what, what.start.seq, NULL, "x", 1);
    assert_non_null(c = catalog_load(s->p.repo));
    assert_int_equal(c->segments, 4);
    assert_int_equal(c->breaks, 1);
    assert_non_null(strstr(c->segment[3].broken, "GTID positions do not meet"));
    catalog_free(c);
    finds(s, false, "binlog/");
    store_remove(s->p.repo->store, name);
    free(name);
    lists(s, 2, 0, 3);
    buf_free(&nonsense);
    said_free(&what);
}

/* Read it to its end: refused, as it says. */
static void
unreadable(struct logged *s, const struct said *what, const void *p, size_t n,
    const char *says)
{
    char *name = segment_by_hand(s, what, what->start.seq, NULL, p, n);
    struct catalog *c = catalog_load(s->p.repo);
    struct segment_reader *r;
    struct event e;
    int step, rc = -1;

    assert_int_equal(c->segments, 4);
    r = segment_open(s->p.repo, &c->segment[3], s->p.key);
    while (r != NULL && (rc = segment_read(r, &e, &step)) > 0)
        continue;
    if (rc == 0)
        fail_msg("it was read, not refused: %s", says);
    if (strstr(err_text(), name) == NULL)
        fail_msg("\"%s\" does not name %s", err_text(), name);
    refused(-1, ERR_VERIFY, says);
    segment_reader_free(r);
    finds(s, true, name);
    store_remove(s->p.repo->store, name);
    catalog_free(c);
    free(name);
}

/* Its content is not what its mark says of it: none of it is used. */
static void
test_segment_content(void **state)
{
    static const uint8_t huge[EVENT_HEADER_SIZE] = {
        [9] = 0xff, [10] = 0xff, [11] = 0xff, [12] = 0x7f};
    struct logged *s = *state;
    struct said what = said_of(s);
    struct buf b = {0};

    buf_str(&b, BINLOG_MAGIC);
    event_format_raw(&b);
    what.state.bytes = what.state.complete_bytes = b.len;
    unreadable(s, &what, "MZ", 2, "2 bytes where 4 belong");
    unreadable(s, &what, "text, and no log", 16, "not a binary log");
    unreadable(s, &what, b.data, b.len - 1, "bytes where");
    unreadable(s, &what, b.data, 4, "ends at byte 4");
    buf_u8(&b, 0);
    unreadable(s, &what, b.data, b.len, "bytes, not");
    what.state.bytes = what.state.complete_bytes = b.len;
    unreadable(s, &what, b.data, b.len, "a part of an event");
    b.len--;
    buf_add(&b, huge, sizeof huge);
    what.state.bytes = what.state.complete_bytes = b.len;
    unreadable(s, &what, b.data, b.len, "an event of 2147483647 bytes");
    b.data[b.len - sizeof huge + 9] = EVENT_HEADER_SIZE;
    memset(b.data + b.len - sizeof huge + 10, 0, 3);
    unreadable(s, &what, b.data, b.len, "at byte");
    buf_free(&b);
    said_free(&what);
}

/* A log of which nothing can be read was something once: the stream does not
 * begin anew over it. */
static void
test_tail_damaged(void **state)
{
    struct logged *s = *state;
    struct segment_tail tail;
    struct catalog *c = catalog_load(s->p.repo);
    unsigned warned = log_warnings();

    for (size_t i = 0; i < c->segments; i++) {
        put_text(s, c->segment[i].name, "rubbish");
        if (i == 0) { /* as large as no aborted one is */
            char *path = place_file(&s->p, c->segment[i].name);

            assert_int_equal(truncate(path, 4 << 20), 0);
            free(path);
        }
    }
    put_text(s, "binlog/notes", "no segment");
    assert_int_equal(segment_tail_find(s->p.repo, &tail), -1);
    assert_non_null(strstr(err_hint_text(), "pitr verify"));
    refused(-1, ERR_VERIFY, "none of the 3 segments");
    assert_int_equal(log_warnings(), warned + 3);
    catalog_free(c);
}

/* --- what does not belong there --- */

static void
test_strangers(void **state)
{
    struct logged *s = *state;
    struct expire_policy one = {.minimum = 1};
    struct expire_conf conf = {
        .repo = s->p.repo, .policy = &one, .now_us = time_now_us()};
    struct expire_report r;
    char *path = place_file(&s->p, "binlog/notes");

    put_text(s, "binlog/notes", "of an administrator");
    put_text(s, "backup/" FIRST "/notes", "of an administrator");
    is_good(s, OBJECTS, 2);
    lists(s, 2, 0, 3);
    /* What is not ours does not expire, but with the folder that goes. */
    assert_int_equal(expire_run(&conf, &r), 0);
    assert_int_equal(r.plan.backups_go, 1);
    expire_report_free(&r);
    assert_int_equal(access(path, F_OK), 0);
    free(path);
    path = place_file(&s->p, "backup/" FIRST);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
}

/* Slots that are damaged are for a person to look at. */
static void
test_slots_stay(void **state)
{
    struct logged *s = *state;
    struct store_list all = {0};
    struct rewrap_sweeping how = {.all = &all};
    size_t n = 0;
    uint64_t bytes = 0;
    char *path = place_file(&s->p, "slots/20220502T020000Z-0001-aaaaaaaa");

    put_text(s, "slots/20220502T020000Z-0001-aaaaaaaa", "rubbish");
    assert_int_equal(store_list(s->p.repo->store, "", false, &all), 0);
    assert_int_equal(rewrap_sweep(s->p.repo, &how, &n, &bytes), 0);
    assert_int_equal(n, 0);
    assert_int_equal(access(path, F_OK), 0);
    store_list_free(&all);
    free(path);
}

/* --- keys --- */

/* Made by who joined later: what was there before stays shut for it, is counted
 * so, and the rest is done. */
static void
test_rewrap_locked(void **state)
{
    struct logged *s = *state;
    struct secret_key *second = secret_key_new(), *third = secret_key_new();
    struct public_key both[2] = {
        *secret_key_public(s->p.key), *secret_key_public(second)};
    struct repo_rekey how = {.recipients = both, .n = 2};
    struct rewrap_report done;
    struct repo *r;

    assert_int_equal(repo_rekey(s->p.repo, &how), 0);
    assert_non_null(r = repo_open(s->p.path, "db1", s->p.signing));
    backup_write(r, "20220504T020000Z", 17, LIE_NONE);
    assert_int_equal(
        rewrap_run(r, second, secret_key_public(third), 1, &done), 0);
    assert_int_equal(done.objects, OBJECTS + PARTS + 2);
    assert_int_equal(done.locked, OBJECTS);
    assert_int_equal(done.sealed, PARTS + 2);
    assert_int_equal(done.damaged, 0);
    repo_close(r);
    secret_key_free(second);
    secret_key_free(third);
}

/* A pin that is no good is not vouched for by the next signer; and what cannot
 * be, or makes no sense, leaves no key behind. */
static void
test_rekey_refused(void **state)
{
    struct logged *s = *state;
    char *key = xasprintf("%s/new.key", s->p.dir);
    char *nowhere = xasprintf("%s/no/new.key", s->p.dir);
    struct repo_rekey how = {.new_signing = nowhere};
    struct repo *reader;
    unsigned warned;

    refused(repo_rekey(s->p.repo, &how), ERR_FAILED, "no/new.key");
    how.from = 1;
    refused(repo_rekey(s->p.repo, &how), ERR_USAGE, "only a recovery key");
    how = (struct repo_rekey){.new_signing = key};
    put_text(s, "repository-999999", "");
    refused(repo_rekey(s->p.repo, &how), ERR_LOCKED, "in this moment");
    assert_non_null(reader = repo_open(s->p.path, "db1", NULL));
    how.recovery = s->p.key;
    refused(repo_rekey(reader, &how), ERR_FAILED, "too many generations");
    how.recovery = NULL;
    repo_close(reader);
    assert_int_equal(store_remove(s->p.repo->store, "repository-999999"), 0);
    assert_int_equal(access(key, F_OK), -1);
    put_text(s, "pin/" FIRST ".00000000000000000007", "rubbish");
    warned = log_warnings();
    assert_int_equal(repo_rekey(s->p.repo, &how), 0);
    assert_int_equal(log_warnings(), warned + 1);
    assert_int_equal(access(key, F_OK), 0);
    free(nowhere);
    free(key);
}

static void
init_refused(const struct place *p, const char *path, const char *signing,
    enum err_kind kind, const char *says)
{
    refused(
        repo_init(path, "db1", signing, secret_key_public(p->key), 1, p->key),
        kind, says);
}

/* A repository that cannot be made leaves no signing key: the same command,
 * once the fault is mended, makes it. */
static void
test_init_places(void **state)
{
    struct logged *s = *state;
    char *file = xasprintf("%s/file", s->p.dir);
    char *below = xasprintf("%s/new", file);
    char *path = xasprintf("%s/new", s->p.dir);
    char *below_key = xasprintf("%s/none/new.key", s->p.dir);
    char *key = xasprintf("%s/new.key", s->p.dir);

    file_store(file, "", 0);
    init_refused(&s->p, below, key, ERR_NOREPO, "cannot look into");
    assert_int_equal(access(key, F_OK), -1);
    init_refused(&s->p, path, below_key, ERR_FAILED, below_key);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(
        repo_init(path, "db1", key, secret_key_public(s->p.key), 1, s->p.key),
        0);
    free(file);
    free(below);
    free(path);
    free(below_key);
    free(key);
}

/* --- what is too large --- */

static void
test_too_large(void **state)
{
    struct buf out = {0};
    struct part_writer *w = part_writer_new(sink_to_buf(&out));

    (void)state;
    refused(part_write_row(w, 0, "", (size_t)UINT32_MAX + 1), ERR_FAILED,
        "too large");
    part_writer_free(w);
    buf_free(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, logged_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_verified_lines),
        TEST(test_verified_place),
        TEST(test_away_damaged),
        TEST(test_pin_elsewhere),
        TEST(test_pin_of_no_time),
        TEST(test_confirmed_file),
        TEST(test_manifest_of_another),
        TEST(test_segments_by_hand),
        TEST(test_segment_content),
        TEST(test_tail_damaged),
        TEST(test_strangers),
        TEST(test_slots_stay),
        TEST(test_rewrap_locked),
        TEST(test_rekey_refused),
        TEST(test_init_places),
        TEST(test_too_large),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
