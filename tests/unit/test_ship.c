/*
 * ship.h against a real sshd on loopback whose account may only add: the vault
 * ends identical to the local repository, also where connections are cut at
 * random; a backup counts there only when it is whole; what is other bytes, or
 * another's vault, is refused and left as it is; what expired there stays gone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/repo/log_index.h"
#include "../../src/repo/ship_priv.h"
#include "pitr/catalog.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/state.h"
#include "pitr/times.h"
#include "repo_util.h"
#include "sshserver.h"

#define SECOND_US UINT64_C(1000000)

static struct sshserver ss;
static struct store_sftp_conf ssh;
static unsigned vaults; /* how many were made */
static uint64_t again_us;

struct lab {
    struct place p;
    char *url, *vault; /* a folder of its own on the vault; its path here */
    struct segment_tail tail;
    struct segment_writer *w;
    struct event_format fmt;
    unsigned seq;
};

static int
group_set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (sshserver_start(&ss) < 0)
        return -1;
    ssh = sshserver_conf(&ss);
    return 0;
}

static int
group_tear_down(void **state)
{
    (void)state;
    sshserver_remove(&ss);
    return 0;
}

static void
new_vault(struct lab *l)
{
    free(l->url);
    free(l->vault);
    l->vault = xasprintf("%s/v%u", ss.vault, ++vaults);
    l->url = xasprintf("%s/v%u", sshserver_url(&ss, ss.adding), vaults);
    assert_int_equal(sshserver_sh(&ss, "mkdir -m 700 %s && chown %s %s",
                         l->vault, ss.user, l->vault),
        0);
}

static int
set_up(void **state)
{
    struct lab *l = xcalloc(1, sizeof *l);

    place_make(&l->p);
    new_vault(l);
    *state = l;
    return 0;
}

static int
tear_down(void **state)
{
    struct lab *l = *state;

    segment_abort(l->w);
    segment_tail_free(&l->tail);
    place_free(&l->p);
    free(l->url);
    free(l->vault);
    free(l);
    return 0;
}

/* --- a repository with something in it --- */

static void
object(struct lab *l, const char *name, size_t n)
{
    struct sink *s = store_put(l->p.repo->store, name, STORE_ATOMIC);
    uint8_t *data = xmalloc(n);

    assert_non_null(s);
    random_bytes(data, n);
    for (size_t i = 0; i < n; i++) /* an X in its place is another byte */
        data[i] |= 0x80;
    assert_int_equal(sink_write(s, data, n), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    free(data);
}

static void
backup(struct lab *l, const char *id, unsigned parts, size_t each)
{
    char name[128];

    for (unsigned i = 1; i <= parts; i++) {
        snprintf(name, sizeof name, "backup/%s/part-%06u", id, i);
        object(l, name, each);
    }
    snprintf(name, sizeof name, "backup/%s/schema", id);
    object(l, name, 5000);
    backup_make(l->p.repo, id, 1650000000 * SECOND_US, "0-1-1", "bin.1", 4);
}

static void
begin(struct lab *l)
{
    struct segment_start s = {
        .cause = l->tail.name == NULL ? SEGMENT_FIRST : SEGMENT_NEXT,
        .started_us = UINT64_C(1651500180) * SECOND_US,
        .source_created = 1651500000,
        .server_id = 1,
        .source_pos = 4};
    struct buf format = {0};

    s.why = xstrdup("");
    s.server_version = xstrdup("10.11.19-MariaDB-log");
    s.source_file = xstrdup("bin.000001");
    s.server_uid = xstrdup("");
    if (l->tail.name != NULL)
        gtid_pos_copy(&s.gtid, &l->tail.state.gtid);
    event_format_raw(&format);
    l->w = segment_begin(l->p.repo, &l->tail, &s, &format, 1);
    assert_non_null(l->w);
    segment_start_free(&s);
    buf_free(&format);
}

static void
transactions(struct lab *l, unsigned n)
{
    char gtid[32];

    for (; n > 0; n--) {
        snprintf(gtid, sizeof gtid, "0-1-%u", ++l->seq);
        segment_group_write(l->w, &l->fmt, gtid, 1651500200, 300 * l->seq);
    }
    assert_int_equal(segment_flush(l->w, 0), 0);
}

static void
end(struct lab *l)
{
    assert_int_equal(segment_close(l->w, &l->tail), 0);
    l->w = NULL;
}

static void
segment(struct lab *l, unsigned n)
{
    begin(l);
    transactions(l, n);
    end(l);
}

/* --- shipping --- */

static struct ship_conf
conf_of(struct lab *l)
{
    return (struct ship_conf){.repository = l->p.path,
        .server = "db1",
        .vault = l->url,
        .ssh = &ssh,
        .once = true,
        .poll_us = 20000,
        .retry_us = SECOND_US,
        .again_us = again_us};
}

static struct ship_report
ship(struct lab *l)
{
    struct ship_conf conf = conf_of(l);
    struct ship_report r;

    err_clear();
    if (ship_run(&conf, &r) < 0)
        fail_msg("%s\n%s", err_text(), err_hint_text());
    return r;
}

static void
refused_at(int line, struct lab *l, enum err_kind kind, const char *what)
{
    struct ship_conf conf = conf_of(l);
    struct ship_report r;

    err_clear();
    if (ship_run(&conf, &r) != -1)
        fail_msg("line %d: it was not refused", line);
    if (err_kind() != kind || strstr(err_text(), what) == NULL)
        fail_msg("line %d: %d: %s", line, err_kind(), err_text());
}

#define refused(l, kind, what) refused_at(__LINE__, l, kind, what)

struct running {
    struct ship_conf conf;
    char *url; /* the lab may go on to another vault */
    struct ship_report report;
    atomic_bool stop;
    pthread_t thread;
    int rc;
};

static void *
run(void *arg)
{
    struct running *r = arg;

    r->rc = ship_run(&r->conf, &r->report);
    if (r->rc < 0)
        fprintf(stderr, "ship: %s\n", err_text());
    return NULL;
}

static void
start_paced(struct lab *l, struct running *r, uint64_t rate, uint64_t retry_us)
{
    memset(r, 0, sizeof *r);
    r->conf = conf_of(l);
    r->conf.once = false;
    r->conf.rate = rate;
    r->conf.retry_us = retry_us;
    r->conf.stop = &r->stop;
    r->conf.vault = r->url = xstrdup(l->url);
    assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
}

static void
start(struct lab *l, struct running *r)
{
    start_paced(l, r, 0, SECOND_US);
}

static void
stop(struct running *r)
{
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    free(r->url);
    assert_int_equal(r->rc, 0);
}

static void
load(struct store *s, const char *name, struct buf *out)
{
    struct source *src = store_get(s, name);

    buf_reset(out);
    if (src == NULL || source_slurp(src, 64u << 20, out) < 0)
        fail_msg("%s", err_text());
    source_free(src);
}

static bool
same_bytes(struct store *a, struct store *b, const char *name)
{
    struct buf x = {0}, y = {0};
    bool same;

    load(a, name, &x);
    load(b, name, &y);
    same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    buf_free(&x);
    buf_free(&y);
    return same;
}

static struct store *
open_vault(struct lab *l)
{
    struct store *v = store_open_sftp(l->url, &ssh);

    if (v == NULL)
        fail_msg("%s", err_text());
    return v;
}

/* Does the vault hold the same objects with the same bytes? */
static bool
equal(struct lab *l, bool say)
{
    struct store *v = open_vault(l);
    struct store_list here, there;
    bool same;

    assert_int_equal(store_list(l->p.repo->store, "", false, &here), 0);
    assert_int_equal(store_list(v, "", false, &there), 0);
    same = here.n == there.n;
    for (size_t i = 0; same && i < here.n; i++)
        same = strcmp(here.v[i].name, there.v[i].name) == 0 &&
            here.v[i].size == there.v[i].size &&
            same_bytes(l->p.repo->store, v, here.v[i].name);
    if (!same && say) {
        for (size_t i = 0; i < MAX(here.n, there.n); i++)
            fprintf(stderr, "%-40s %8lu | %-40s %8lu\n",
                i < here.n ? here.v[i].name : "",
                i < here.n ? (unsigned long)here.v[i].size : 0,
                i < there.n ? there.v[i].name : "",
                i < there.n ? (unsigned long)there.v[i].size : 0);
    }
    store_list_free(&here);
    store_list_free(&there);
    store_close(v);
    return same;
}

static void
assert_identical(struct lab *l)
{
    assert_true(equal(l, true));
}

/* So many times slower is what is tested, as with a sanitizer. */
static unsigned
slow(void)
{
    const char *times = getenv("PITR_SLOW");

    return times != NULL && atoi(times) > 1 ? (unsigned)atoi(times) : 1;
}

static void
becomes_identical(struct lab *l, unsigned seconds)
{
    uint64_t until = time_mono_us() + slow() * seconds * SECOND_US;

    while (!equal(l, false)) {
        if (time_mono_us() > until) {
            equal(l, true);
            fail_msg("the vault does not catch up");
        }
        usleep(20000);
    }
}

static uint64_t
vault_size(struct lab *l, const char *name)
{
    struct store *v = open_vault(l);
    uint64_t size = 0;

    assert_true(store_stat(v, name, &size) >= 0);
    store_close(v);
    return size;
}

/* A manifest on the vault: all of its backup is there in full. */
static void
assert_only_whole_backups(struct lab *l)
{
    struct store *v = open_vault(l);
    struct store_list here, there;

    assert_int_equal(store_list(v, "backup/", false, &there), 0);
    assert_int_equal(store_list(l->p.repo->store, "backup/", false, &here), 0);
    for (size_t i = 0; i < there.n; i++) {
        size_t folder = strlen(there.v[i].name) - strlen("manifest");

        if (!ship_is_manifest(there.v[i].name))
            continue;
        for (size_t k = 0; k < here.n; k++) {
            uint64_t size = 0;

            if (strncmp(here.v[k].name, there.v[i].name, folder) != 0 ||
                ship_is_manifest(here.v[k].name))
                continue;
            assert_int_equal(store_stat(v, here.v[k].name, &size), 1);
            assert_int_equal(size, here.v[k].size);
        }
    }
    store_list_free(&here);
    store_list_free(&there);
    store_close(v);
}

/* --- the tests --- */

static void
all_goes_there_once(void **state)
{
    struct lab *l = *state;
    struct ship_report r;

    r = ship(l); /* nothing but the repository file */
    assert_identical(l);
    backup(l, "20220502T020000Z", 5, 300000);
    backup(l, "20220503T020000Z", 1, 10);
    segment(l, 20);
    begin(l); /* left without an end */
    transactions(l, 3);
    object(l, "backup/20220504T020000Z/part-000001", 70000); /* unfinished */
    r = ship(l);
    assert_int_equal(r.backups, 2);
    assert_int_equal(r.objects, (5 + 2) + (1 + 2) + 2 + 1);
    assert_identical(l);
    r = ship(l);
    assert_int_equal(r.objects + r.bytes + r.backups, 0);
    transactions(l, 3);
    segment_abort(l->w);
    l->w = NULL;
    r = ship(l);
    assert_int_equal(r.objects, 1);
    assert_true(r.bytes > 0 && r.bytes < 5000);
    assert_identical(l);
    assert_int_equal(log_warnings(), 0);
}

static void
the_log_as_it_grows(void **state)
{
    struct lab *l = *state;
    struct running r;
    uint64_t worst = 0;

    segment(l, 5);
    begin(l);
    start(l, &r);
    becomes_identical(l, 10);
    for (unsigned i = 0; i < 12; i++) {
        uint64_t begun;

        transactions(l, 1 + i % 3);
        begun = time_mono_us();
        becomes_identical(l, 5);
        worst = MAX(worst, time_mono_us() - begun);
        if (i % 5 == 4) {
            end(l);
            becomes_identical(l, 5);
            begin(l);
        }
        if (i == 7)
            backup(l, "20220502T020000Z", 3, 100000);
    }
    printf("from durable here to seen on the vault: %lu ms at most\n",
        (unsigned long)(worst / 1000));
    becomes_identical(l, 5);
    stop(&r);
    assert_int_equal(r.report.backups, 1);
    assert_int_equal(r.report.outages, 0);
    /* One handle a segment: it was not opened for each flush. */
    assert_int_equal(
        sshserver_sh(&ss, "! ls %s/binlog | grep -q +", l->vault), 0);
}

static void
cut_at_random(void **state)
{
    struct lab *l = *state;
    struct running r;
    unsigned warnings = log_warnings();
    unsigned cuts = getenv("PITR_LONG") != NULL ? 100 : 20;

    segment(l, 50);
    backup(l, "20220502T020000Z", 6, 3000000);
    backup(l, "20220503T020000Z", 3, 1000000);
    begin(l);
    start_paced(l, &r, 4000000, 20000);
    for (unsigned i = 0; i < cuts; i++) {
        /* Time to connect in. */
        usleep(slow() * (10000 + (unsigned)rand() % 400000));
        sshserver_signal_sessions(&ss, SIGKILL);
        transactions(l, 5);
        if (i % 8 == 7) {
            end(l);
            begin(l);
        }
        assert_only_whole_backups(l);
    }
    becomes_identical(l, 60);
    stop(&r);
    printf("%u cuts, %lu connections lost, %lu outages\n", cuts,
        (unsigned long)r.report.lost, (unsigned long)r.report.outages);
    assert_true(r.report.lost > cuts / 5);
    /* Something was gone on with. */
    assert_int_equal(sshserver_sh(&ss, "find %s | grep -q +", l->vault), 0);
    assert_int_equal(log_warnings() - warnings, r.report.outages);
    assert_identical(l);
}

static void
a_host_that_is_down(void **state)
{
    struct lab *l = *state;
    struct running r;
    unsigned warnings;

    begin(l);
    transactions(l, 1);
    sshserver_halt(&ss);
    refused(l, ERR_UNREACHABLE, "127.0.0.1");
    warnings = log_warnings();
    start(l, &r);
    sleep(3);
    transactions(l, 5);
    assert_int_equal(log_warnings() - warnings, 1);
    assert_int_equal(sshserver_again(&ss), 0);
    becomes_identical(l, 10);
    sshserver_halt(&ss);
    transactions(l, 5);
    sleep(2);
    assert_int_equal(sshserver_again(&ss), 0);
    becomes_identical(l, 10);
    assert_int_equal(log_warnings() - warnings, 2);
    stop(&r);
    assert_int_equal(r.report.outages, 2);
}

static void
stopped_while_down(void **state)
{
    struct lab *l = *state;
    struct running r;
    uint64_t begun;

    segment(l, 1);
    sshserver_halt(&ss);
    start(l, &r);
    sleep(1);
    begun = time_mono_us();
    stop(&r);
    assert_true(time_mono_us() - begun < 3 * SECOND_US);
    assert_int_equal(sshserver_again(&ss), 0);
}

static void
anothers_vault(void **state)
{
    struct lab *l = *state;
    struct place other;
    struct ship_conf conf = conf_of(l);
    struct ship_report r;
    char *url = xasprintf("%s/none", l->url);

    ship(l);
    place_make(&other);
    conf.repository = other.path;
    assert_int_equal(ship_run(&conf, &r), -1);
    assert_int_equal(err_kind(), ERR_NOREPO);
    assert_non_null(strstr(err_text(), "another repository"));
    assert_identical(l);
    place_free(&other);

    conf = conf_of(l);
    conf.vault = url;
    assert_int_equal(ship_run(&conf, &r), -1);
    assert_int_equal(err_kind(), ERR_NOREPO);
    conf.once = false; /* of no use to try again */
    assert_int_equal(ship_run(&conf, &r), -1);
    assert_int_equal(err_kind(), ERR_NOREPO);
    conf = conf_of(l);
    conf.server = "db2";
    assert_int_equal(ship_run(&conf, &r), -1);
    assert_int_equal(err_kind(), ERR_NOREPO);
    free(url);

    new_vault(l);
    assert_int_equal(sshserver_sh(&ss,
                         "mkdir -m 755 %s/binlog && echo x "
                         ">%s/binlog/0001-0000000001-20220502T140300Z",
                         l->vault, l->vault),
        0);
    refused(l, ERR_NOREPO, "says whose");
}

/* Change what is on the vault, as its owner could. */
static void
spoil(struct lab *l, const char *name, const char *how)
{
    if (sshserver_sh(&ss, "f=%s/%s; %s", l->vault, name, how) != 0)
        fail_msg("%s: %s", name, how);
}

static void
other_bytes_stop_it(void **state)
{
    static const char flip[] = "printf X | dd of=$f bs=1 seek=200 conv=notrunc";
    struct lab *l = *state;
    char *name;

    segment(l, 5);
    object(l, "backup/20220502T020000Z/part-000001", 100000);
    ship(l);
    spoil(l, "backup/20220502T020000Z/part-000001", flip);
    refused(l, ERR_VERIFY, "with other bytes");
    new_vault(l); /* shorter, and other bytes at its start, at its end */
    ship(l);
    spoil(l, "backup/20220502T020000Z/part-000001",
        "truncate -s 5000 $f && printf X | dd of=$f bs=1 conv=notrunc");
    refused(l, ERR_VERIFY, "with other bytes");
    assert_int_equal(
        vault_size(l, "backup/20220502T020000Z/part-000001"), 5000);
    new_vault(l);
    ship(l);
    spoil(l, "backup/20220502T020000Z/part-000001",
        "truncate -s 50000 $f && printf XY | dd of=$f bs=1 seek=49998 "
        "conv=notrunc");
    refused(l, ERR_VERIFY, "with other bytes");
    new_vault(l); /* longer than a closed one */
    ship(l);
    spoil(l, "backup/20220502T020000Z/part-000001", "echo more >>$f");
    refused(l, ERR_VERIFY, "with more bytes");
    new_vault(l);
    ship(l);
    name = xstrdup(l->tail.name);
    spoil(l, name, "echo more >>$f");
    refused(l, ERR_VERIFY, "with more bytes");
    free(name);
}

/* A copy of the machine ships to the same vault. */
static void
segments_of_another_machine(void **state)
{
    struct lab *l = *state;
    struct catalog *c;
    struct repo *there;
    char *name;

    segment(l, 5);
    segment(l, 5);
    segment(l, 5);
    ship(l);
    name = xstrdup(l->tail.name);
    spoil(l, name, "cp $f ${f%?????}0000Z");
    refused(l, ERR_VERIFY, "not here at all");
    segment(l, 5);
    refused(l, ERR_VERIFY, "not here at all");
    assert_true(vault_size(l, l->tail.name) > 0);
    there = repo_open(l->vault, NULL, NULL);
    assert_non_null(there);
    c = catalog_load(there);
    assert_non_null(c);
    assert_non_null(strstr(c->forked, "have the same number"));
    catalog_free(c);
    repo_close(there);
    spoil(l, name, "rm ${f%?????}0000Z");
    ship(l);
    free(name);
}

/* The local disk has lost what it had promised to keep. */
static void
a_segment_that_is_longer_there(void **state)
{
    struct lab *l = *state;
    struct store_list list;
    unsigned warnings;
    char *path, *name;
    struct buf b = {0};

    begin(l);
    transactions(l, 2);
    assert_int_equal(store_list(l->p.repo->store, "binlog/", false, &list), 0);
    name = xstrdup(list.v[0].name);
    transactions(l, 50);
    ship(l);
    segment_abort(l->w);
    l->w = NULL;
    path = place_file(&l->p, name);
    file_load(path, &b);
    file_store(path, b.data, list.v[0].size);
    assert_int_equal(segment_tail_find(l->p.repo, &l->tail), 1);
    l->seq = 2;
    segment(l, 3);
    warnings = log_warnings();
    ship(l);
    assert_int_equal(log_warnings() - warnings, 1);
    assert_int_equal(vault_size(l, name), b.len);
    assert_true(vault_size(l, l->tail.name) > 0);
    store_list_free(&list);
    buf_free(&b);
    free(path);
    free(name);
}

static void
what_expired_there_stays_gone(void **state)
{
    struct lab *l = *state;
    struct store *v;
    struct store_list list;
    struct ship_report r;
    uint64_t due;

    backup(l, "20220502T020000Z", 2, 1000);
    backup(l, "20220503T020000Z", 2, 1000);
    backup(l, "20220504T020000Z", 2, 1000);
    for (unsigned i = 0; i < 4; i++)
        segment(l, 2);
    assert_int_equal(index_update(l->p.repo, 2, &due), 0);
    ship(l);
    assert_true(vault_size(l, "index/0000000001-0000000002") > 0);
    spoil(l, "index", "rm $f/*");
    spoil(l, "backup/20220503T020000Z", "rm $f/manifest $f/part-000001");
    spoil(l, "backup/20220502T020000Z", "rm -r $f");
    spoil(l, "binlog", "rm $f/0001-000000000[12]-*");
    r = ship(l);
    assert_int_equal(r.objects, 0);
    backup(l, "20220505T020000Z", 1, 1000);
    r = ship(l);
    assert_int_equal(r.backups, 1);
    v = open_vault(l);
    assert_int_equal(store_list(v, "backup/", true, &list), 0);
    assert_int_equal(list.n, 3);
    store_list_free(&list);
    assert_int_equal(store_list(v, "binlog/", true, &list), 0);
    assert_int_equal(list.n, 2);
    store_list_free(&list);
    store_close(v);
    /* The memory of one vault is not that of another, and is only one. */
    new_vault(l);
    r = ship(l);
    assert_int_equal(r.backups, 4);
    assert_identical(l);
    assert_int_equal(sshserver_sh(&ss, "rm %s/.shipped-*", l->p.path), 0);
    r = ship(l);
    assert_int_equal(r.objects, 0);
    /* A vault that was made anew at the same place gets all. */
    assert_int_equal(sshserver_sh(&ss, "rm -r %s/*", l->vault), 0);
    r = ship(l);
    assert_int_equal(r.backups, 4);
    assert_identical(l);
}

/* How many objects the memory of this vault says are confirmed there. */
static unsigned
confirmed(struct lab *l)
{
    struct confirmed *c = confirmed_load(l->p.repo, l->url);
    struct store_list list;
    unsigned n = 0;

    assert_int_equal(store_list(l->p.repo->store, "", false, &list), 0);
    for (size_t i = 0; i < list.n; i++)
        n += confirmed_has(c, list.v[i].name, list.v[i].size);
    store_list_free(&list);
    confirmed_free(c);
    return n;
}

static void
what_is_there_is_read_back(void **state)
{
    struct lab *l = *state;
    struct ship_report r;
    struct running run;
    uint64_t until;

    backup(l, "20220502T020000Z", 3, 200000);
    object(l, "backup/20220503T020000Z/part-000001", 70000); /* unfinished */
    segment(l, 5);
    segment(l, 5);
    begin(l);
    transactions(l, 2);
    r = ship(l);
    /* Not the newest segment, nor what is not whole. */
    assert_int_equal(r.confirmed, 3 + 2 + 2);
    assert_true(r.confirmed_bytes > 600000);
    assert_int_equal(confirmed(l), 7);
    r = ship(l);
    assert_int_equal(r.confirmed, 0);
    /* While the stream runs; the memory of before is another vault's. */
    new_vault(l);
    assert_int_equal(confirmed(l), 0);
    start(l, &run);
    until = time_mono_us() + 20 * SECOND_US;
    while (confirmed(l) < 7 && time_mono_us() < until)
        usleep(20000);
    end(l);
    begin(l);
    while (confirmed(l) < 8 && time_mono_us() < until)
        usleep(20000);
    stop(&run);
    assert_int_equal(confirmed(l), 8);
    assert_int_equal(run.report.confirmed, 8);
    /* A vault that was made anew has nothing. */
    assert_int_equal(sshserver_sh(&ss, "rm -r %s/*", l->vault), 0);
    r = ship(l);
    assert_int_equal(r.confirmed, 8);
}

/* A disk there that lies: found when it is read back, and the rest goes on. */
static void
what_is_another_there(void **state)
{
    static const char flip[] =
        "printf X | dd of=$f bs=1 seek=150000 conv=notrunc";
    struct lab *l = *state;
    unsigned warnings;
    struct ship_report r;

    backup(l, "20220502T020000Z", 2, 200000);
    segment(l, 5);
    ship(l);
    /* As if it had not been looked at yet. */
    assert_int_equal(sshserver_sh(&ss, "rm %s/.confirmed-*", l->p.path), 0);
    spoil(l, "backup/20220502T020000Z/part-000002", flip);
    backup(l, "20220503T020000Z", 1, 1000);
    segment(l, 5);
    warnings = log_warnings();
    refused(l, ERR_VERIFY, "backup/20220502T020000Z/part-000002");
    assert_int_equal(log_warnings() - warnings, 1);
    assert_int_equal(confirmed(l), 1 + 2 + 3 + 1);
    assert_true(vault_size(l, "backup/20220503T020000Z/manifest") > 0);
    /* Its owner takes it away: it is shipped again. */
    spoil(l, "backup/20220502T020000Z/part-000002", "rm $f");
    r = ship(l);
    assert_int_equal(r.objects, 1);
    assert_int_equal(r.confirmed, 1);
    assert_identical(l);
}

/* Until status is told of so many that are others there. */
static void
becomes_unlike(struct lab *l, uint64_t n)
{
    uint64_t until = time_mono_us() + slow() * 10 * SECOND_US, is = 0;
    char *name = ship_state_name(l->url);

    do {
        struct state *s = state_load(l->p.path, name);

        is = state_get_u64(s, "unlike");
        state_free(s);
        usleep(20000);
    } while (is != n && time_mono_us() < until);
    free(name);
    assert_int_equal(is, n);
}

/* What was another one is not for ever, while one process runs. */
static void
what_was_mended_there(void **state)
{
    static const char part[] = "backup/20220502T020000Z/part-000001",
                      gone[] = "backup/20220503T020000Z/part-000001",
                      flip[] =
                          "printf X | dd of=$f bs=1 seek=15000 conv=notrunc";
    struct lab *l = *state;
    unsigned warnings;
    struct running run;

    backup(l, "20220502T020000Z", 1, 20000);
    backup(l, "20220503T020000Z", 1, 20000);
    segment(l, 5);
    ship(l);
    assert_int_equal(sshserver_sh(&ss, "rm %s/.confirmed-*", l->p.path), 0);
    spoil(l, part, flip);
    spoil(l, gone, flip);
    start(l, &run);
    becomes_unlike(l, 2);
    /* Expired here. */
    assert_int_equal(
        sshserver_sh(&ss, "rm -r %s/backup/20220503T020000Z", l->p.path), 0);
    becomes_unlike(l, 1);
    /* The vault's root has put it right; the next connection sees it. */
    assert_int_equal(
        sshserver_sh(&ss, "cat %s/%s >%s/%s", l->p.path, part, l->vault, part),
        0);
    sshserver_halt(&ss);
    backup(l, "20220504T020000Z", 1, 1000); /* so that it is seen */
    usleep(300000);
    assert_int_equal(sshserver_again(&ss), 0);
    becomes_unlike(l, 0);
    stop(&run);
    /* ... or a line that holds, in a while. */
    assert_int_equal(sshserver_sh(&ss, "rm %s/.confirmed-*", l->p.path), 0);
    spoil(l, part, flip);
    again_us = SECOND_US / 5;
    warnings = log_warnings();
    start(l, &run);
    becomes_unlike(l, 1);
    usleep(500000);
    assert_int_equal(log_warnings() - warnings, 1);
    assert_int_equal(
        sshserver_sh(&ss, "cat %s/%s >%s/%s", l->p.path, part, l->vault, part),
        0);
    becomes_unlike(l, 0);
    stop(&run);
    again_us = 0;
}

static void
a_limit(void **state)
{
    struct lab *l = *state;
    struct ship_conf conf = conf_of(l);
    struct ship_report r;
    uint64_t begun = time_mono_us(), took;

    backup(l, "20220502T020000Z", 3, 200000);
    segment(l, 1);
    conf.rate = 300000; /* there, and back */
    assert_int_equal(ship_run(&conf, &r), 0);
    took = time_mono_us() - begun;
    assert_in_range(took, 3000000, 8000000);
    assert_identical(l);
}

/* A look that was slow must not keep the log waiting for a minute. */
static void
looks_are_seldom_but_not_too_seldom(void **state)
{
    (void)state;
    assert_int_equal(ship_look_pause(200000, 0), 200000);
    assert_int_equal(ship_look_pause(200000, 10000), 500000);
    assert_int_equal(ship_look_pause(200000, 1400000), 5000000);
    assert_int_equal(ship_look_pause(200000, UINT64_MAX), 5000000);
    assert_int_equal(ship_look_pause(9000000, 1400000), 9000000);
}

static void
only_one_at_a_time(void **state)
{
    struct lab *l = *state;
    struct running r, other;
    char *first = xstrdup(l->url);

    segment(l, 1);
    start(l, &r);
    becomes_identical(l, 10);
    refused(l, ERR_LOCKED, first);
    new_vault(l); /* another vault at the same time is fine */
    start(l, &other);
    becomes_identical(l, 10);
    stop(&other);
    stop(&r);
    free(first);
}

static void
the_rate_by_itself(void **state)
{
    struct rate r;

    (void)state;
    rate_init(&r, 1000);
    assert_int_equal(rate_take(&r, 500, false, 100), 0);
    assert_int_equal(rate_take(&r, 500, false, 100), 500000);
    /* The log goes at once, and what follows pays. */
    assert_int_equal(rate_take(&r, 100, true, 100), 0);
    assert_int_equal(rate_take(&r, 100, true, 100), 100000);
    assert_int_equal(rate_take(&r, 1, false, 100), 1200000);
    /* Nothing is saved up. */
    assert_int_equal(rate_take(&r, 500, false, 90000000), 0);
    assert_int_equal(rate_take(&r, 500, false, 90000000), 500000);
    rate_free(&r);
    rate_init(&r, 0);
    assert_int_equal(rate_take(&r, 1u << 30, false, 1), 0);
    rate_free(&r);
}

/* Two vaults: what both have is there; a later segment means all of the ones
 * before it. */
static void
who_waits_for_the_vaults(void **state)
{
    struct ship_watch *w = ship_watch_new();
    unsigned a, b;

    (void)state;
    assert_non_null(w);
    assert_false(ship_watch_reached(w, "binlog/1", 0)); /* nobody ships */
    a = ship_watch_join(w);
    b = ship_watch_join(w);
    assert_int_equal(
        ship_watch_wait(w, "binlog/1", 0, 1000), SHIP_WATCH_NOTHING);
    ship_watch_grown(w, "binlog/1", 100);
    assert_int_equal(ship_watch_wait(w, "binlog/1", 99, 0), SHIP_WATCH_GREW);
    assert_int_equal(
        ship_watch_wait(w, "binlog/1", 100, 1000), SHIP_WATCH_NOTHING);
    ship_watch_has(w, a, "binlog/1", 100);
    assert_false(ship_watch_reached(w, "binlog/1", 100));
    ship_watch_has(w, b, "binlog/1", 99);
    assert_false(ship_watch_reached(w, "binlog/1", 100));
    assert_true(ship_watch_reached(w, "binlog/1", 99));
    ship_watch_grown(w, "binlog/2", 10);
    assert_int_equal(
        ship_watch_wait(w, "binlog/1", UINT64_MAX, 0), SHIP_WATCH_NEXT);
    ship_watch_has(w, b, "binlog/2", 1);
    assert_true(ship_watch_reached(w, "binlog/1", 100));
    assert_false(ship_watch_reached(w, "binlog/2", 1));
    ship_watch_free(w);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_by_itself),
        cmocka_unit_test(who_waits_for_the_vaults),
        T(all_goes_there_once),
        T(the_log_as_it_grows),
        T(cut_at_random),
        T(a_host_that_is_down),
        T(stopped_while_down),
        T(anothers_vault),
        T(other_bytes_stop_it),
        T(segments_of_another_machine),
        T(a_segment_that_is_longer_there),
        T(what_expired_there_stays_gone),
        T(what_is_there_is_read_back),
        T(what_is_another_there),
        T(what_was_mended_there),
        T(a_limit),
        cmocka_unit_test(looks_are_seldom_but_not_too_seldom),
        T(only_one_at_a_time),
    };

    if (!sshserver_installed()) {
        puts("there is no sshd");
        return 77;
    }
    assert_int_equal(keys_setup(), 0);
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
