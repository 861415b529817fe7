/*
 * store.h on a vault: a real sshd on loopback, also one whose account may only
 * add.  Objects in several files are one; what is cut goes on; nothing that is
 * there can be changed by who may only add; nobody is believed whose host key
 * is not known.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pitr/err.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/store.h"
#include "pitr/times.h"
#include "sshserver.h"

#define MIB ((size_t)1 << 20)

static struct sshserver ss;
static struct store *st;    /* of the account that may do all */
static struct store *adder; /* of the one that may only add */

static struct store *
open_at(unsigned port)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);

    return store_open_sftp(sshserver_url(&ss, port), &conf);
}

static int
set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (sshserver_start(&ss) < 0)
        return -1;
    st = open_at(ss.plain);
    adder = open_at(ss.adding);
    if (st == NULL || adder == NULL)
        fprintf(stderr, "%s\n%s\n", err_text(), err_hint_text());
    return st != NULL && adder != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    store_close(st);
    store_close(adder);
    sshserver_remove(&ss);
    return 0;
}

/* The byte at each place is told by the place. */
static uint8_t
byte_at(uint64_t i)
{
    return (uint8_t)(i * 131 + (i >> 8) * 7 + (i >> 16));
}

static uint8_t *
sample(uint64_t from, size_t n)
{
    uint8_t *p = xmalloc(MAX(n, 1));

    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(from + i);
    return p;
}

static int
write_sample(struct sink *s, uint64_t from, size_t n)
{
    uint8_t *p = sample(from, n);
    int rc = sink_write(s, p, n);

    free(p);
    return rc;
}

static void
put_sample(struct store *to, const char *name, size_t n)
{
    struct sink *s = store_put(to, name, STORE_ATOMIC);

    assert_non_null(s);
    assert_int_equal(write_sample(s, 0, n), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
}

/* -1 with err, or 0: it is the sample from `from` to n. */
static int
check_sample(struct store *of, const char *name, uint64_t from, uint64_t n)
{
    struct source *s = store_get_from(of, name, from);
    uint8_t *b = xmalloc(100003);
    uint64_t at = from;
    long got = 0;

    if (s == NULL) {
        free(b);
        return -1;
    }
    while ((got = source_read(s, b, 100003)) > 0)
        for (long i = 0; i < got; i++, at++)
            if (b[i] != byte_at(at)) {
                err_set(ERR_VERIFY, "%s: byte %lu", name, (unsigned long)at);
                got = -1;
                break;
            }
    source_free(s);
    free(b);
    if (got == 0 && at != n)
        return err_set(ERR_VERIFY, "%s: ends at %lu, not %lu", name,
            (unsigned long)at, (unsigned long)n);
    return got < 0 ? -1 : 0;
}

#define assert_ok(call)                                                        \
    do {                                                                       \
        err_clear();                                                           \
        if ((call) < 0)                                                        \
            fail_msg("%s: %s", #call, err_text());                             \
    } while (0)

static uint64_t
size_of(struct store *of, const char *name)
{
    uint64_t size = 12345;

    assert_int_equal(store_stat(of, name, &size), 1);
    return size;
}

static void
make_file(const char *name, uint64_t from, size_t n)
{
    char path[256];
    uint8_t *p = sample(from, n);

    snprintf(path, sizeof path, "%s/%s", ss.vault, name);
    assert_int_equal(file_create(path, 0444, p, n), 0);
    free(p);
}

static void
an_object_as_it_was_written(void **state)
{
    static const size_t sizes[] = {0, 1, 32767, 32768, 32769, 65536, 1000003};
    struct store *both[] = {st, adder};

    (void)state;
    for (size_t i = 0; i < NELEM(sizes); i++)
        for (size_t j = 0; j < 2; j++) {
            char name[64], path[256];
            struct stat sb;
            uint64_t size;

            snprintf(name, sizeof name, "whole/%zu/%zu", j, sizes[i]);
            assert_int_equal(store_stat(both[j], name, &size), 0);
            put_sample(both[j], name, sizes[i]);
            assert_int_equal(size_of(both[j], name), sizes[i]);
            assert_ok(check_sample(both[j], name, 0, sizes[i]));
            assert_ok(check_sample(both[j], name, sizes[i] / 2, sizes[i]));
            assert_ok(check_sample(both[j], name, sizes[i], sizes[i]));
            snprintf(path, sizeof path, "%s/%s", ss.vault, name);
            assert_int_equal(stat(path, &sb), 0);
            assert_int_equal(sb.st_mode & 07777, 0400);
            assert_null(store_put(both[j], name, STORE_GROWING));
            assert_int_equal(err_kind(), ERR_FAILED);
            assert_non_null(strstr(err_text(), "exists already"));
        }
    assert_null(store_get(st, "whole/none"));
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_null(store_get(st, "nowhere/none"));
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_true(store_is_vault(st));
    assert_int_equal(log_warnings(), 0); /* fsync is there */
}

static void
a_growing_object_is_read_as_it_grows(void **state)
{
    struct sink *s = store_put(adder, "grow/a", STORE_GROWING);
    size_t n = 0;

    (void)state;
    assert_non_null(s);
    for (size_t step = 1; step < 300000; step = step * 3 + 1) {
        assert_int_equal(write_sample(s, n, step), 0);
        n += step;
        assert_int_equal(sink_flush(s), 0);
        /* The size may be from a moment ago; the bytes are all there. */
        assert_ok(check_sample(st, "grow/a", 0, n));
    }
    sink_free(s);
    assert_int_equal(size_of(adder, "grow/a"), n);
}

static void
lists(void **state)
{
    static const char *const want[] = {
        "list/a", "list/b/c", "list/b/d/e", "list/f-1", "list/f.2"};
    struct store_list l;

    (void)state;
    for (size_t i = 0; i < NELEM(want); i++)
        put_sample(st, want[i], 100 + i);
    make_file("list/a+00000000000000000090", 90, 60);
    make_file("list/not an object", 0, 10);
    make_file("list/.hidden", 0, 10);
    make_file("list/a+12", 0, 10);
    assert_int_equal(sshserver_sh(&ss, "ln -s a vault/list/link"), 0);
    usleep(10000);
    store_close(st); /* what was remembered goes with it */
    assert_non_null(st = open_at(ss.plain));
    assert_ok(store_list(st, "list/", false, &l));
    assert_int_equal(l.n, NELEM(want));
    for (size_t i = 0; i < NELEM(want); i++) {
        assert_string_equal(l.v[i].name, want[i]);
        assert_int_equal(l.v[i].size, i == 0 ? 150 : 100 + i);
    }
    store_list_free(&l);
    assert_ok(store_list(st, "list/", true, &l));
    assert_int_equal(l.n, 4);
    assert_string_equal(l.v[0].name, "list/a");
    assert_string_equal(l.v[1].name, "list/b/");
    store_list_free(&l);
    assert_ok(store_list(st, "list/none/", false, &l));
    assert_int_equal(l.n, 0);
    store_list_free(&l);
    assert_int_equal(size_of(st, "list/a"), 150);
    assert_ok(check_sample(st, "list/a", 0, 150));
}

static void
removing(void **state)
{
    struct store_list l;
    struct source *src;
    uint64_t size;
    uint8_t byte;

    (void)state;
    put_sample(st, "gone/deep/er/a", 100);
    put_sample(st, "gone/b", 100);
    make_file("gone/deep/er/a+00000000000000000100", 100, 50);
    make_file("gone/deep/er/a+00000000000000000100.1", 100, 70);
    assert_ok(store_remove(st, "gone/deep/er/a"));
    assert_int_equal(store_stat(st, "gone/deep/er/a", &size), 0);
    assert_ok(store_remove(st, "gone/deep/er/a"));
    assert_ok(store_list(st, "gone/", true, &l));
    assert_int_equal(l.n, 1); /* the empty folders went too */
    assert_string_equal(l.v[0].name, "gone/b");
    store_list_free(&l);
    /* By another, behind the back of who has looked at the folder. */
    put_sample(st, "gone/c", 100);
    assert_int_equal(size_of(st, "gone/c"), 100);
    assert_int_equal(sshserver_sh(&ss, "rm -f vault/gone/c"), 0);
    src = store_get(st, "gone/c");
    assert_true(src == NULL || source_read(src, &byte, 1) < 0);
    assert_int_equal(err_kind(), ERR_VERIFY);
    assert_true(store_is_gone(st, "gone/c"));
    assert_int_equal(err_kind(), ERR_VERIFY);
    err_clear();
    source_free(src);
}

static void
append_sample(struct store *to, const char *name, uint64_t at, size_t n)
{
    struct sink *s = store_append(to, name, at);

    if (s == NULL)
        fail_msg("%s", err_text());
    assert_int_equal(write_sample(s, at, n), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
}

static void
going_on_with_an_object(void **state)
{
    struct store *local;
    struct sink *s;

    (void)state;
    append_sample(adder, "more/a", 0, 70000); /* there was nothing */
    append_sample(adder, "more/a", 70000, 1);
    append_sample(adder, "more/a", 70001, 200000);
    assert_int_equal(size_of(adder, "more/a"), 270001);
    append_sample(adder, "more/a", 269990, 100); /* over the end */
    append_sample(adder, "more/a", 100000, 100); /* inside */
    assert_int_equal(size_of(adder, "more/a"), 270090);
    for (int i = 0; i < 3; i++) { /* cut before a byte was there */
        assert_non_null(s = store_append(adder, "more/a", 270090));
        sink_free(s);
    }
    append_sample(adder, "more/a", 270090, 50);
    append_sample(adder, "more/a", 0, 10);
    assert_int_equal(size_of(adder, "more/a"), 270140);
    assert_ok(check_sample(adder, "more/a", 0, 270140));
    assert_ok(check_sample(st, "more/a", 269995, 270140));
    for (uint64_t from = 99990; from < 100110; from += 7)
        assert_ok(check_sample(st, "more/a", from, 270140));
    assert_null(store_append(adder, "more/a", 270141));
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_null(store_append(adder, "more/none", 1));

    assert_non_null(local = store_open(ss.vault));
    assert_false(store_is_vault(local));
    assert_null(store_append(local, "more/a", 270140));
    assert_int_equal(err_kind(), ERR_FAILED);
    store_close(local);
}

/* The later one counts where two overlap. */
static void
overlaps_and_holes(void **state)
{
    struct source *s;
    struct sink *k;
    struct buf b = {0};

    (void)state;
    assert_int_equal(sshserver_sh(&ss,
                         "mkdir -m 777 vault/over && cd vault/over && "
                         "printf aaaaa >x && "
                         "printf bb >x+00000000000000000002 && "
                         "printf c >x+00000000000000000002.1 && "
                         "printf ddd >x+00000000000000000005 && "
                         "printf eee >x+00000000000000000009 && "
                         "printf f >y+00000000000000000001 && chmod 444 *"),
        0);
    assert_int_equal(size_of(st, "over/x"), 8);
    assert_non_null(s = store_get(st, "over/x"));
    assert_ok(source_slurp(s, 100, &b));
    source_free(s);
    assert_string_equal(buf_cstr(&b), "aacbaddd");
    buf_free(&b);
    assert_int_equal(size_of(st, "over/y"), 0); /* no beginning */
    assert_non_null(k = store_append(st, "over/x", 8));
    assert_int_equal(sink_write(k, "h", 1), 0);
    assert_int_equal(sink_finish(k), 0);
    sink_free(k);
    assert_int_equal(size_of(st, "over/x"), 12); /* the hole is filled */
}

static void
same_bytes(struct store *a, struct store *b, const char *name, uint64_t from)
{
    struct source *x = store_get_from(a, name, from);
    struct source *y = store_get_from(b, name, from);
    struct buf p = {0}, q = {0};

    assert_non_null(x);
    assert_non_null(y);
    assert_ok(source_slurp(x, 64 * MIB, &p));
    assert_ok(source_slurp(y, 64 * MIB, &q));
    assert_int_equal(p.len, q.len);
    if (p.len > 0)
        assert_memory_equal(p.data, q.data, p.len);
    source_free(x);
    source_free(y);
    buf_free(&p);
    buf_free(&q);
}

/* On the vault's own machine it is a folder with the same objects. */
static void
seen_where_it_stands(void **state)
{
    struct store *local = store_open(ss.vault);
    struct store_list a, b;
    uint64_t size;

    (void)state;
    assert_non_null(local);
    assert_ok(store_list(st, "", false, &a));
    assert_ok(store_list(local, "", false, &b));
    assert_int_equal(a.n, b.n);
    assert_true(a.n > 20);
    for (size_t i = 0; i < a.n; i++) {
        assert_string_equal(a.v[i].name, b.v[i].name);
        assert_int_equal(a.v[i].size, b.v[i].size);
        assert_int_equal(size_of(local, a.v[i].name), a.v[i].size);
        same_bytes(st, local, a.v[i].name, 0);
        same_bytes(st, local, a.v[i].name, a.v[i].size / 2);
        same_bytes(st, local, a.v[i].name, a.v[i].size);
    }
    store_list_free(&a);
    store_list_free(&b);
    assert_ok(store_remove(local, "more/a"));
    assert_int_equal(store_stat(local, "more/a", &size), 0);
    assert_ok(store_list(local, "more/", false, &b));
    assert_int_equal(b.n, 0);
    store_list_free(&b);
    assert_int_equal(
        sshserver_sh(&ss, "test ! -e vault/more"), 0); /* all of it */
    store_close(local);
}

/* Written while the connections are cut again and again. */
static void
cut_while_writing(void **state)
{
    const size_t total = 24 * MIB, step = 50000;
    uint64_t size = 0;
    int cuts = 0, tries = 0;
    struct sink *s = NULL;
    uint64_t at = 0;

    (void)state;
    while (at < total && tries++ < 100) {
        int rc;

        if (store_stat(adder, "cut/a", &size) < 0)
            fail_msg("%s", err_text());
        at = size;
        if ((s = store_append(adder, "cut/a", at)) == NULL)
            fail_msg("%s", err_text());
        rc = 0;
        while (rc == 0 && at < total) {
            size_t n = MIN(step, total - at);

            rc = write_sample(s, at, n);
            at += n;
            if (cuts < 8 && at > (uint64_t)(cuts + 1) * 2 * MIB) {
                cuts += sshserver_signal_sessions(&ss, SIGKILL) > 0;
            }
        }
        if (rc == 0)
            rc = sink_finish(s);
        if (rc < 0) {
            assert_int_equal(err_kind(), ERR_UNREACHABLE);
            at = 0;
        }
        sink_free(s);
    }
    assert_int_equal(cuts, 8);
    assert_true(tries > 4);
    assert_int_equal(size_of(adder, "cut/a"), total);
    assert_ok(check_sample(adder, "cut/a", 0, total));
}

static atomic_bool cutter_stops;

static int
cutter(void *arg, unsigned index)
{
    (void)index;
    for (int i = 0; i < 100 && !cutter_stops; i++) {
        *(int *)arg += sshserver_signal_sessions(&ss, SIGKILL) > 0;
        usleep(150000);
    }
    return 0;
}

/* A reader does not notice; listing and asking do not either. */
static void
cut_while_reading(void **state)
{
    const size_t total = 24 * MIB;
    uint8_t *b = xmalloc(4 * MIB);
    struct store_list l;
    struct pool *p;
    struct source *s;
    size_t at = 0;
    int cuts = 0;

    (void)state;
    put_sample(st, "cut/b", total);
    cutter_stops = false;
    p = pool_start(1, cutter, &cuts);
    assert_non_null(s = store_get(st, "cut/b"));
    while (at < total) {
        long got = source_read(s, b, 70000);

        if (got <= 0)
            fail_msg("%s", err_text());
        for (long i = 0; i < got; i++)
            if (b[i] != byte_at(at + (size_t)i))
                fail_msg("byte %zu", at + (size_t)i);
        at += (size_t)got;
        usleep(1000);
        if (at % 5 == 0) {
            assert_ok(store_list(st, "cut/", false, &l));
            store_list_free(&l);
        }
    }
    assert_int_equal(source_read(s, b, 10), 0);
    source_free(s);
    cutter_stops = true;
    assert_int_equal(pool_join(p), 0);
    assert_true(cuts >= 1);
    free(b);
}

/* One that hangs is as good as cut. */
static void
a_server_that_hangs(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    struct store *own;
    struct source *s;
    struct sink *k;
    uint8_t b[1000];
    size_t at = 0;
    long got;
    int rc = 0;

    (void)state;
    conf.timeout_us = 700000;
    conf.connections = 1;
    assert_non_null(own = store_open_sftp(sshserver_url(&ss, ss.plain), &conf));
    put_sample(own, "hang/a", 4 * MIB);
    assert_non_null(s = store_get(own, "hang/a"));
    assert_int_equal(source_read(s, b, sizeof b), sizeof b);
    sshserver_signal_sessions(&ss, SIGSTOP);
    for (at = sizeof b; (got = source_read(s, b, sizeof b)) > 0;
         at += (size_t)got)
        assert_int_equal(b[0], byte_at(at));
    assert_int_equal(got, 0);
    assert_int_equal(at, 4 * MIB);
    source_free(s);
    assert_non_null(k = store_put(own, "hang/b", STORE_GROWING));
    sshserver_signal_sessions(&ss, SIGSTOP);
    while (rc == 0 && at < 64 * MIB) {
        rc = write_sample(k, 0, MIB);
        at += MIB;
    }
    assert_int_equal(rc, -1);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    sink_free(k);
    store_close(own);
    sshserver_signal_sessions(&ss, SIGKILL);
}

struct crowd {
    struct store *st;
};

static int
one_of_many(void *arg, unsigned index)
{
    struct crowd *c = arg;
    char name[64];
    struct sink *s;

    for (unsigned i = 0; i < 4; i++) {
        size_t n = 300000 + index * 1000 + i;

        snprintf(name, sizeof name, "many/%u/%u", index, i);
        if ((s = store_put(c->st, name, STORE_ATOMIC)) == NULL)
            return -1;
        if (write_sample(s, 0, n) < 0 || sink_finish(s) < 0) {
            sink_free(s);
            return -1;
        }
        sink_free(s);
        if (check_sample(c->st, name, 0, n) < 0)
            return -1;
    }
    return 0;
}

/* More threads than connections, each with a sink or a source. */
static void
many_threads(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    struct crowd c;
    struct store_list l;
    int rc;

    (void)state;
    conf.connections = 2;
    c.st = store_open_sftp(sshserver_url(&ss, ss.plain), &conf);
    assert_non_null(c.st);
    rc = pool_join(pool_start(8, one_of_many, &c));
    if (rc < 0)
        fail_msg("%s", err_text());
    assert_ok(store_list(c.st, "many/", false, &l));
    assert_int_equal(l.n, 32);
    store_list_free(&l);
    store_close(c.st);
}

/* What an intruder on the host may try with the account's key. */
static void
only_adding(void **state)
{
    static const char *const attacks[] = {"rm vault/adds/a",
        "rename vault/adds/a vault/adds/b", "rename vault/adds vault/other",
        "rename -l vault/adds/a vault/adds/b", "put evil vault/adds/a",
        "reput bigger vault/adds/a", "put -p evil vault/adds/a",
        "chmod 600 vault/adds/a", "chmod 777 vault/adds",
        "chown 0 vault/adds/a", "rmdir vault/adds",
        "symlink vault/adds/a vault/adds/link", "cp evil vault/adds/a",
        "cp vault/adds/b vault/adds/a"};
    struct buf log = {0};
    char path[256];
    struct stat before, after;

    (void)state;
    put_sample(adder, "adds/a", 5000);
    put_sample(adder, "adds/b", 5000);
    append_sample(adder, "adds/a", 5000, 5000);
    assert_int_equal(store_remove(adder, "adds/a"), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    assert_non_null(strstr(err_text(), "Permission denied"));
    assert_null(store_put(adder, "adds/a", STORE_ATOMIC));
    snprintf(path, sizeof path, "%s/adds/a", ss.vault);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(sshserver_sh(&ss,
                         "head -c 100 /dev/zero >evil; "
                         "head -c 20000 /dev/zero >bigger"),
        0);
    for (size_t i = 0; i < NELEM(attacks); i++) {
        /* The paths are the server's; those of put are ours. */
        if (sshserver_sh(&ss,
                "echo '%s' | sed 's# vault/# %s/#g' >batch; "
                "sftp -b batch -q -F none -o IdentityFile=id -o "
                "IdentitiesOnly=yes "
                "-o UserKnownHostsFile=known_hosts -o BatchMode=yes -P %u "
                "%s@127.0.0.1",
                attacks[i], ss.vault, ss.adding, ss.user) == 0)
            fail_msg("\"%s\" was allowed", attacks[i]);
    }
    /* They failed for that reason, and not for not having connected. */
    assert_int_equal(sshserver_sh(&ss, "grep -c . sh.log >n"), 0);
    assert_int_equal(
        sshserver_sh(&ss,
            "echo 'ls %s/adds' >batch; sftp -b batch -q -F none "
            "-o IdentityFile=id -o IdentitiesOnly=yes "
            "-o UserKnownHostsFile=known_hosts -o BatchMode=yes -P %u "
            "%s@127.0.0.1 | grep -q adds/a",
            ss.vault, ss.adding, ss.user),
        0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_mtime, after.st_mtime);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mode, after.st_mode);
    assert_ok(check_sample(st, "adds/a", 0, 10000));
    assert_ok(check_sample(st, "adds/b", 0, 5000));
    buf_free(&log);
}

/* An intruder may add to an object what breaks it; not to what it was. */
static void
as_of_a_moment(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    struct store *before;
    struct sink *s;

    (void)state;
    put_sample(adder, "past/a", 5000);
    put_sample(adder, "past/b", 5000);
    append_sample(adder, "past/a", 5000, 5000);
    conf.as_of_us = time_now_us();
    usleep(2100000);
    assert_non_null(s = store_append(adder, "past/a", 100));
    assert_int_equal(sink_write(s, "evil", 4), 0);
    assert_int_equal(sink_finish(s), 0);
    sink_free(s);
    put_sample(adder, "past/c", 100);
    assert_int_equal(check_sample(adder, "past/a", 0, 10000), -1);
    assert_non_null(
        before = store_open_sftp(sshserver_url(&ss, ss.adding), &conf));
    assert_ok(check_sample(before, "past/a", 0, 10000));
    assert_ok(check_sample(before, "past/b", 0, 5000));
    assert_null(store_get(before, "past/c"));
    assert_null(store_append(before, "past/a", 100));
    assert_null(store_put(before, "past/d", STORE_ATOMIC));
    store_close(before);
}

static void
refused(unsigned port, const struct store_sftp_conf *conf, enum err_kind kind,
    const char *text, const char *hint)
{
    uint64_t begun = time_mono_us();

    err_clear();
    assert_null(store_open_sftp(sshserver_url(&ss, port), conf));
    if (err_kind() != kind || strstr(err_text(), text) == NULL ||
        strstr(err_hint_text(), hint) == NULL)
        fail_msg("[%d] %s (%s)", (int)err_kind(), err_text(), err_hint_text());
    assert_true(time_mono_us() - begun < 10000000);
}

static void
hosts_that_are_not_believed(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    char file[128], config[128];

    (void)state;
    snprintf(file, sizeof file, "%s/hosts2", ss.dir);
    snprintf(config, sizeof config, "%s/config2", ss.dir);
    conf.known_hosts = file;
    assert_int_equal(sshserver_sh(&ss,
                         "grep -v :%u known_hosts >hosts2; "
                         "printf 'StrictHostKeyChecking no\\n"
                         "Host *\\n StrictHostKeyChecking no\\n'"
                         " >config2",
                         ss.plain),
        0);
    refused(ss.plain, &conf, ERR_UNREACHABLE,
        "not known: ed25519 SHA256:", "ssh-keyscan -t ed25519 -p");
    conf.ssh_config = config; /* it may say what it likes */
    refused(ss.plain, &conf, ERR_UNREACHABLE,
        "not known: ed25519 SHA256:", "ssh-keyscan");
    assert_int_equal(sshserver_sh(&ss,
                         "echo \"[127.0.0.1]:%u $(cut -d' ' -f1,2 "
                         "other.pub)\" >>hosts2",
                         ss.plain),
        0);
    refused(ss.plain, &conf, ERR_UNREACHABLE, "NOT THE ONE THAT IS KNOWN",
        "ssh-keygen -R");
    snprintf(file, sizeof file, "%s/none", ss.dir);
    refused(ss.plain, &conf, ERR_UNREACHABLE, "not known", "ssh-keyscan");
    assert_int_equal(access(file, F_OK), -1); /* nothing was learnt */
}

static void
what_is_not_there(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    char file[128], url[256];
    int fd;

    (void)state;
    snprintf(file, sizeof file, "%s/stranger", ss.dir);
    conf.identity = file;
    refused(ss.plain, &conf, ERR_UNREACHABLE, "does not let user", file);
    snprintf(file, sizeof file, "%s/no-key", ss.dir);
    refused(ss.plain, &conf, ERR_UNREACHABLE, "does not let user",
        "cannot be read");
    conf = sshserver_conf(&ss);
    conf.ssh_config = file;
    refused(ss.plain, &conf, ERR_USAGE, "no-key", "");
    conf = sshserver_conf(&ss);
    snprintf(url, sizeof url, "sftp://%s@127.0.0.1:%u/%s/nowhere", ss.user,
        ss.plain, ss.dir);
    assert_null(store_open_sftp(url, &conf));
    assert_int_equal(err_kind(), ERR_NOREPO);
    snprintf(url, sizeof url, "sftp://%s@127.0.0.1:%u%s/id.pub", ss.user,
        ss.plain, ss.dir);
    assert_null(store_open_sftp(url, &conf));
    assert_int_equal(err_kind(), ERR_NOREPO);
    refused(ss.bastion, &conf, ERR_UNREACHABLE, "", "");

    /* One that takes the connection and says nothing. */
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    conf.connect_us = 1000000;
    refused(ntohs(a.sin_port), &conf, ERR_UNREACHABLE, "imeout", "");
    close(fd);
    refused(ntohs(a.sin_port), &conf, ERR_UNREACHABLE, "refused", "");
}

/* Through another sshd, as the store's own options say it, or as ~/.ssh/config
 * would. */
static void
through_a_bastion(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    char jump[128], config[128], url[256];
    struct store *s;

    (void)state;
    snprintf(jump, sizeof jump, "%s@127.0.0.1:%u", ss.user, ss.bastion);
    conf.proxy_jump = jump;
    s = store_open_sftp(sshserver_url(&ss, ss.adding), &conf);
    if (s == NULL)
        fail_msg("%s: %s", err_text(), err_hint_text());
    put_sample(s, "jump/a", 3 * MIB);
    assert_ok(check_sample(s, "jump/a", 0, 3 * MIB));
    store_close(s);

    assert_int_equal(
        sshserver_sh(&ss,
            "printf 'Host door\\n HostName 127.0.0.1\\n Port %u\\n User %s\\n"
            "Host safe\\n HostName 127.0.0.1\\n Port %u\\n User %s\\n"
            " ProxyJump door\\n"
            "Host *\\n IdentityFile %s/id\\n"
            " UserKnownHostsFile %s/known_hosts\\n' >config",
            ss.bastion, ss.user, ss.adding, ss.user, ss.dir, ss.dir),
        0);
    snprintf(config, sizeof config, "%s/config", ss.dir);
    snprintf(url, sizeof url, "sftp://safe%s", ss.vault);
    conf = (struct store_sftp_conf){
        .ssh_config = config, .connect_us = 5000000, .retry_us = 20000000};
    s = store_open_sftp(url, &conf);
    if (s == NULL)
        fail_msg("%s: %s", err_text(), err_hint_text());
    assert_string_equal(store_where(s), url);
    assert_ok(check_sample(s, "jump/a", 0, 3 * MIB));
    sshserver_signal_sessions(&ss, SIGKILL);
    assert_ok(check_sample(s, "jump/a", 0, 3 * MIB));
    store_close(s);

    /* The bastion's host key counts as much as the vault's. */
    assert_int_equal(sshserver_sh(&ss,
                         "grep -v :%u known_hosts >hosts3; "
                         "sed -i s/known_hosts/hosts3/ config",
                         ss.bastion),
        0);
    assert_null(store_open_sftp(url, &conf));
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
}

static void
over_ipv6_and_from_home(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
        .sin6_port = htons((uint16_t)ss.plain),
        .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char url[256];
    struct store *s;

    (void)state;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
        snprintf(url, sizeof url, "sftp://%s@[::1]:%u%s", ss.user, ss.plain,
            ss.vault);
        if ((s = store_open_sftp(url, &conf)) == NULL)
            fail_msg("%s", err_text());
        put_sample(s, "six/a", 1000);
        assert_ok(check_sample(s, "six/a", 0, 1000));
        store_close(s);
    }
    if (fd >= 0)
        close(fd);
    /* Relative to the login directory, which may be any. */
    snprintf(url, sizeof url, "sftp://%s@127.0.0.1:%u/~/no/such/folder",
        ss.user, ss.plain);
    assert_null(store_open_sftp(url, &conf));
    assert_int_equal(err_kind(), ERR_NOREPO);
}

/* Many at once: readers get what they would have read themselves, whether or
 * not it was fetched, and when the line is cut or the object grows meanwhile.
 */
static void
fetched_ahead(void **state)
{
    static const size_t size[] = {1, 8191, 40000, 106496, 106497, 3 * MIB};
    struct store_sftp_conf conf = sshserver_conf(&ss);
    const char *name[NELEM(size) + 2] = {"ahead/none", "ahead/grows"};
    char text[NELEM(size)][32];
    struct store *s;
    struct sink *sink;

    (void)state;
    s = store_open_sftp(sshserver_url(&ss, ss.plain), &conf);
    assert_non_null(s);
    for (size_t i = 0; i < NELEM(size); i++) {
        snprintf(text[i], sizeof text[i], "ahead/%zu", i);
        put_sample(s, name[i + 2] = text[i], size[i]);
    }
    put_sample(s, "ahead/grows", 1000);
    for (int cut = 0; cut < 2; cut++) {
        store_prefetch(s, name, NELEM(name));
        if (cut)
            sshserver_signal_sessions(&ss, SIGKILL);
        for (size_t i = 0; i < NELEM(size); i++) {
            size_t tail = MIN(size[i], (size_t)70000);

            assert_ok(check_sample(s, text[i], 0, size[i]));
            assert_ok(check_sample(s, text[i], size[i] - tail, size[i]));
        }
        assert_null(store_get(s, "ahead/none"));
        assert_int_equal(err_kind(), ERR_VERIFY);
        assert_ok(check_sample(s, "ahead/grows", 0, 1000));
    }
    store_prefetch(s, name, NELEM(name));
    assert_non_null(sink = store_append(s, "ahead/grows", 1000));
    assert_int_equal(write_sample(sink, 1000, 1000), 0);
    assert_int_equal(sink_finish(sink), 0);
    sink_free(sink);
    assert_ok(check_sample(s, "ahead/grows", 0, 2000));
    store_prefetch(s, name, NELEM(name)); /* in two pieces now */
    assert_ok(check_sample(s, "ahead/grows", 0, 2000));
    store_close(s);
}

struct wide {
    struct store *st;
    const char *name[40];
};

/* One lists what takes many answers; another looks into many folders. */
static int
read_wide(void *arg, unsigned index)
{
    struct wide *w = arg;
    struct store_list l;
    size_t n = 0;

    if (index == 0) {
        if (store_list(w->st, "wide/", false, &l) < 0)
            return -1;
        for (size_t i = 0; i < l.n; i++)
            n += l.v[i].size == 0 &&
                (i == 0 || strcmp(l.v[i - 1].name, l.v[i].name) < 0);
        store_list_free(&l);
        return n == 1500 ? 0 : err_set(ERR_FAILED, "%zu of 1500", n);
    }
    store_prefetch(w->st, w->name, NELEM(w->name));
    for (size_t i = 0; i < NELEM(w->name); i++)
        if (check_sample(w->st, w->name[i], 0, 3) < 0)
            return -1;
    return 0;
}

/* By connections that were made before they were needed, or were not. */
static void
read_by_several(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    struct wide w;

    (void)state;
    assert_int_equal(sshserver_sh(&ss,
                         "mkdir vault/wide && cd vault/wide && seq 1500 | "
                         "xargs touch"),
        0);
    for (size_t i = 0; i < NELEM(w.name); i++) {
        w.name[i] = xasprintf("folder/%zu/a", i);
        put_sample(st, w.name[i], 3);
    }
    for (unsigned warm = 0; warm < 4; warm++) {
        w.st = store_open_sftp(sshserver_url(&ss, ss.plain), &conf);
        assert_non_null(w.st);
        store_warm(w.st, warm);
        assert_ok(pool_join(pool_start(2, read_wide, &w)));
        store_close(w.st);
    }
    w.st = store_open_sftp(sshserver_url(&ss, ss.plain), &conf);
    assert_non_null(w.st);
    store_warm(w.st, 3);
    store_close(w.st); /* nobody needed them */
    for (size_t i = 0; i < NELEM(w.name); i++)
        free((char *)w.name[i]);
}

/* The key is in an agent, and nowhere else that is told. */
static void
with_an_agent(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    const char *url = sshserver_url(&ss, ss.adding);
    char path[128];
    struct store *s;

    (void)state;
    conf.identity = NULL;
    snprintf(path, sizeof path, "%s/agent", ss.dir);
    setenv("SSH_AUTH_SOCK", path, 1);
    setenv("HOME", "/nonexistent", 1);
    assert_null(store_open_sftp(url, &conf));
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    assert_non_null(strstr(err_hint_text(), "agent"));
    assert_int_equal(
        sshserver_sh(&ss, "ssh-agent -a agent >agent.sh && ssh-add -q id"), 0);
    s = store_open_sftp(url, &conf);
    if (s == NULL)
        fail_msg("%s: %s", err_text(), err_hint_text());
    put_sample(s, "agent/a", 1000);
    store_close(s);
    assert_int_equal(sshserver_sh(&ss,
                         ". ./agent.sh >agent.log && ssh-agent -k >>agent.log"),
        0);
    unsetenv("SSH_AUTH_SOCK");
}

/* Down for a while, and there again. */
static void
the_server_starts_again(void **state)
{
    struct store_sftp_conf conf = sshserver_conf(&ss);
    struct store *own;
    struct source *s;
    uint8_t b[100];
    size_t at = sizeof b;
    long got;

    (void)state;
    conf.retry_us = 500000;
    assert_non_null(own = store_open_sftp(sshserver_url(&ss, ss.plain), &conf));
    put_sample(own, "again/a", 8 * MIB);
    assert_non_null(s = store_get(own, "again/a"));
    assert_int_equal(source_read(s, b, sizeof b), sizeof b);
    sshserver_halt(&ss);
    while ((got = source_read(s, b, sizeof b)) > 0)
        at += (size_t)got;
    if (got == 0)
        fail_msg("the end at byte %zu", at);
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    source_free(s);
    assert_null(store_put(own, "again/b", STORE_ATOMIC));
    assert_int_equal(err_kind(), ERR_UNREACHABLE);
    assert_int_equal(sshserver_again(&ss), 0);
    put_sample(own, "again/b", 1000);
    assert_ok(check_sample(own, "again/a", 0, 8 * MIB));
    store_close(own);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_as_it_was_written),
        cmocka_unit_test(a_growing_object_is_read_as_it_grows),
        cmocka_unit_test(lists), cmocka_unit_test(removing),
        cmocka_unit_test(going_on_with_an_object),
        cmocka_unit_test(overlaps_and_holes),
        cmocka_unit_test(seen_where_it_stands),
        cmocka_unit_test(cut_while_writing),
        cmocka_unit_test(cut_while_reading),
        cmocka_unit_test(a_server_that_hangs), cmocka_unit_test(many_threads),
        cmocka_unit_test(only_adding), cmocka_unit_test(as_of_a_moment),
        cmocka_unit_test(hosts_that_are_not_believed),
        cmocka_unit_test(what_is_not_there),
        cmocka_unit_test(through_a_bastion),
        cmocka_unit_test(over_ipv6_and_from_home),
        cmocka_unit_test(fetched_ahead), cmocka_unit_test(read_by_several),
        cmocka_unit_test(with_an_agent),
        cmocka_unit_test(the_server_starts_again)};

    if (!sshserver_installed()) {
        puts("there is no OpenSSH server and client here");
        return 77;
    }
    alarm(900); /* it ends by itself */
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
