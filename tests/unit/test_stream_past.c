/*
 * test_stream_past.c -- what a stream makes of a server whose log is not what
 * it was: purged, begun anew, an incident in it, taken over by another server,
 * put back to an earlier time.  What goes on is the same log, byte for byte;
 * what does not is a gap that says why.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/binlog/stream_impl.h"
#include "pitr/catalog.h"
#include "pitr/file.h"
#include "pitr/mem.h"
#include "stream_util.h"

static void
test_reset_master(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);
    struct txs is, before, after;

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'old')");
    assert_int_equal(stream_once(l), 0);
    oracle(l, &before);
    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(NULL,'new')");
    assert_int_equal(stream_once(l), ERR_GAP);
    sql(l, "INSERT INTO d.t VALUES(NULL,'new too')");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "RESET MASTER");
    oracle(l, &after);
    captured(l, &is);
    txs_equal(&is, before.n - from, &after, 0);
    is.n = before.n - from;
    txs_equal(&is, 0, &before, from);
    txs_free(&is);
    txs_free(&before);
    txs_free(&after);
}

/* After it the same statements make the same GTIDs at the same places. */
static void
test_reset_master_twin(void **state)
{
    struct lab *l = *state;
    struct txs is;

    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(100000001,'twin')");
    sql(l, "RESET MASTER");
    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "DELETE FROM d.t WHERE a=100000001");
    assert_int_equal(stream_once(l), 0);
    sleep(1);
    sql(l, "SET sql_log_bin=0");
    sql(l, "INSERT INTO d.t VALUES(100000001,'twin')");
    sql(l, "SET sql_log_bin=1");
    sql(l, "RESET MASTER");
    sql(l, "DELETE FROM d.t WHERE a=100000001");
    assert_int_equal(stream_once(l), ERR_GAP);
    check_epoch(l, 2, "begun at another time");
    captured(l, &is);
    assert_int_equal(is.n, 2);
    assert_int_equal(is.v[1].epoch, 2);
    txs_free(&is);
}

/* The same while the stream is connected. */
static void
reset_master_live(struct lab *l, bool later_file)
{
    struct txs is, after;

    sql(l, "RESET MASTER");
    repo_make(l);
    stream_start(l, (struct run){0});
    await_begun(l);
    for (int i = 0; i < 5; i++)
        sql(l, "INSERT INTO d.t VALUES(NULL,'old')");
    if (later_file)
        sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'old')");
    await_captured(l);
    sql(l, "RESET MASTER");
    sql(l, "INSERT INTO d.t VALUES(NULL,'new')");
    await_captured(l);
    assert_int_equal(stream_end(l, SIGTERM), 0);
    check_epoch(l, 2, "");
    oracle(l, &after);
    captured(l, &is);
    assert_int_equal(is.n, 6 + after.n);
    txs_equal(&is, 6, &after, 0);
    txs_free(&is);
    txs_free(&after);
}

static void
test_reset_master_live(void **state)
{
    reset_master_live(*state, true);
    sleep(1); /* files are told apart by the second they were begun in */
    reset_master_live(*state, false);
}

/* It says so, and that is a gap. */
static void
test_incident(void **state)
{
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    cause_incident(l);
    assert_int_equal(stream_once(l), ERR_GAP);
    assert_int_equal(stream_once(l), 0);
    sql(l, "DROP TABLE d.m");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "incident");
    check_all(l, from);
}

static void
test_purge(void **state)
{
    struct lab *l = *state;
    struct txs is, after;

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'kept')");
    assert_int_equal(stream_once(l), 0);
    captured(l, &is);
    assert_int_equal(is.n, 1);
    txs_free(&is);

    /* Files that are purged, but of which all is captured, are no gap. */
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "FLUSH BINARY LOGS");
    purge_all(l);
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);

    sql(l, "INSERT INTO d.t VALUES(NULL,'lost')");
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'found')");
    purge_all(l);
    assert_int_equal(stream_once(l), ERR_GAP);
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 2, "");
    oracle(l, &after);
    captured(l, &is);
    txs_equal(&is, 1, &after, 0);
    txs_free(&is);
    txs_free(&after);
}

/* A backup's manifest, as of now, as if one had been made. */
static void
backup_now(struct lab *l, const char *id)
{
    struct repo *r = repo_open(l->repo_path, NULL, l->signing_path);
    struct manifest *m = xcalloc(1, sizeof *m);
    struct db_result res;
    uint64_t now;
    char *text;

    assert_non_null(r);
    assert_int_equal(db_query(l->db, &res, "SHOW MASTER STATUS"), 0);
    assert_int_equal(db_value(l->db, &text, "SELECT @@gtid_binlog_pos"), 1);
    assert_int_equal(db_value_u64(l->db, &now,
                         "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS "
                         "UNSIGNED)"),
        1);
    m->info.id = xstrdup(id);
    m->info.begun_us = m->info.snapshot_us = m->info.ended_us = now;
    assert_int_equal(gtid_pos_parse(text, &m->info.gtid), 0);
    m->info.source_file = xstrdup(db_cell(&res, 0, 0));
    m->info.source_pos = strtoull(db_cell(&res, 0, 1), NULL, 10);
    m->info.server_version = xstrdup("of a test");
    m->info.server_id = 7;
    if (manifest_store(r, m) < 0)
        fail_msg("%s", err_text());
    db_result_free(&res);
    free(text);
    manifest_free(m);
    repo_close(r);
}

/* Is the newest backup covered up to what the server has now? */
static bool
backup_is_covered(struct lab *l)
{
    struct repo *r = repo_open(l->repo_path, NULL, NULL);
    struct catalog *c;
    size_t first, n;
    bool covered;

    assert_non_null(r);
    if ((c = catalog_load(r)) == NULL)
        fail_msg("%s", err_text());
    covered = catalog_chain(c, c->backups - 1, &first, &n);
    catalog_free(c);
    repo_close(r);
    return covered;
}

/* The first stream starts after the first backup: the log between is in. */
static void
test_backup_first(void **state)
{
    struct lab *l = *state;
    size_t from;

    repo_make(l);
    backup_now(l, "20220501T020000Z");
    sql(l, "INSERT INTO d.t VALUES(NULL,'between two backups')");
    backup_now(l, "20220502T020000Z");
    from = now_in_log(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'after it')");
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'before the stream')");
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
    check_epoch(l, 1, NULL);
    assert_true(backup_is_covered(l));

    /* Its position is at the end of a file that is gone: nothing is missing. */
    repo_make(l);
    backup_now(l, "20220502T020000Z");
    from = now_in_log(l);
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'in the next file')");
    assert_int_equal(stream_once(l), 0);
    check_all(l, from);
    assert_true(backup_is_covered(l));
}

/* As before, but the log between is purged: a gap, on record and said once. */
static void
test_backup_first_gap(void **state)
{
    struct lab *l = *state;
    struct txs is, want;

    repo_make(l);
    backup_now(l, "20220502T020000Z");
    sql(l, "INSERT INTO d.t VALUES(NULL,'lost')");
    sql(l, "FLUSH BINARY LOGS");
    sql(l, "INSERT INTO d.t VALUES(NULL,'found')");
    purge_all(l);
    assert_int_equal(stream_once(l), ERR_GAP);
    check_epoch(l, 1, "newest backup is at");
    assert_false(backup_is_covered(l));
    assert_int_equal(stream_once(l), 0);
    oracle(l, &want);
    captured(l, &is);
    txs_equal(&is, 0, &want, 0);
    txs_free(&is);
    txs_free(&want);
}

/* The server loses its newest transactions: put back from a copy. */
static void
test_server_put_back(void **state)
{
    struct lab *l = *state;
    char *copy = xasprintf("cp -a %s/data %s/copy", l->ts.dir, l->ts.dir);
    char *back = xasprintf("rm -rf %s/data && mv %s/copy %s/data", l->ts.dir,
        l->ts.dir, l->ts.dir);

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'common')");
    assert_int_equal(stream_once(l), 0);
    db_close(l->db);
    l->db = NULL;
    testserver_halt(&l->ts, SIGTERM);
    assert_int_equal(system(copy), 0);
    assert_int_equal(testserver_again(&l->ts, stream_options), 0);
    sql_open(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'undone')");
    assert_int_equal(stream_once(l), 0);
    db_close(l->db);
    l->db = NULL;
    testserver_halt(&l->ts, SIGTERM);
    assert_int_equal(system(back), 0);
    assert_int_equal(testserver_again(&l->ts, stream_options), 0);
    sql_open(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'instead')");
    assert_int_equal(stream_once(l), ERR_GAP);
    check_epoch(l, 2, "");
    free(copy);
    free(back);
}

/* Another server_id goes on with the same history: no gap. */
static void
test_failover(void **state)
{
    static const char *const other[] = {
        "--log-bin=mb", "--server-id=8", "--binlog-format=ROW", NULL};
    static const char *const no_log[] = {"--server-id=7", NULL};
    struct lab *l = *state;
    size_t from = now_in_log(l);

    repo_make(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'first')");
    assert_int_equal(stream_once(l), 0);

    /* The server is away, and then there without its log. */
    db_close(l->db);
    l->db = NULL;
    testserver_halt(&l->ts, SIGTERM);
    assert_int_equal(stream_once(l), ERR_UNREACHABLE);
    stream_start(l, (struct run){0});
    usleep(300000); /* it tries again, until it is told to end */
    assert_int_equal(stream_end(l, SIGTERM), 0);
    assert_int_equal(testserver_again(&l->ts, no_log), 0);
    sql_open(l);
    assert_int_equal(stream_once(l), ERR_FAILED);
    server_again(l, SIGTERM, other);
    assert_int_equal(stream_once(l), 0);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'second')");
    assert_int_equal(stream_once(l), 0);
    server_again(l, SIGTERM, stream_options);
    sql(l, "INSERT INTO d.t VALUES(NULL,'third')");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
    check_all(l, from);
}

/* Our position has a domain that the server has deleted. */
static void
test_domain_deleted(void **state)
{
    struct lab *l = *state;
    struct txs is;

    repo_make(l);
    sql(l, "SET gtid_domain_id=11");
    sql(l, "INSERT INTO d.t VALUES(NULL,'eleven')");
    sql(l, "SET gtid_domain_id=0");
    sql(l, "INSERT INTO d.t VALUES(NULL,'null')");
    assert_int_equal(stream_once(l), 0);
    sql(l, "FLUSH BINARY LOGS");
    purge_all(l);
    sql(l, "FLUSH BINARY LOGS DELETE_DOMAIN_ID=(11)");
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'more')");
    assert_int_equal(stream_once(l), 0);
    purge_all(l);
    sql(l, "INSERT INTO d.t VALUES(NULL,'and more')");
    assert_int_equal(stream_once(l), 0);
    check_epoch(l, 1, NULL);
    captured(l, &is);
    assert_int_equal(is.n, 2);
    txs_free(&is);
}

/* A backup that cannot be read is no place to begin at: from now on. */
static void
test_backup_damaged(void **state)
{
    struct lab *l = *state;
    char *path, *away;
    size_t from;

    repo_make(l);
    backup_now(l, "20220502T020000Z");
    path = xasprintf("%s/backup/20220502T020000Z/manifest", l->repo_path);
    away = xasprintf("%s/away", l->dir);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(file_create(path, 0400, "damaged", 7), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'before')");
    from = now_in_log(l);
    assert_int_equal(stream_once(l), 0);
    sql(l, "INSERT INTO d.t VALUES(NULL,'after')");
    assert_int_equal(stream_once(l), 0);
    assert_int_equal(rename(away, path), 0);
    check_all(l, from);
    assert_false(backup_is_covered(l));
    free(path);
    free(away);
}

/* What was recorded, against what the server has: the same log, or not?  want:
 * part of the reason why not; NULL where it is. */
static void
same_log(struct lab *l, const struct identity *who, const char *file,
    uint64_t pos, const char *gtid, const char *want)
{
    struct segment_tail t = {
        .start = {.server_id = 7, .server_uid = xstrdup("b")},
        .state = {.source_file = xstrdup(file), .source_pos = pos}};
    char *why = NULL;
    int rc;

    assert_int_equal(gtid_pos_parse(gtid, &t.state.gtid), 0);
    rc = identity_check_log(l->db, NULL, who, &t, NULL, &why);
    if (rc < 0)
        fail_msg("%s", err_text());
    if ((rc > 0) != (want == NULL))
        fail_msg("%s:%llu '%s': %d, %s", file, (unsigned long long)pos, gtid,
            rc, why == NULL ? "the same" : why);
    if (want != NULL && strstr(why, want) == NULL)
        fail_msg("%s", why);
    free(why);
    segment_tail_free(&t);
}

static void
test_identity(void **state)
{
    struct lab *l = *state;
    struct identity i, other = {.server_id = 7, .uid = "a", .version = ""};
    struct db_result r;
    const char *file;
    char *gtid, *more, *path;
    uint64_t pos, first;

    sql(l, "RESET MASTER");
    sql(l, "SET gtid_domain_id=5");
    sql(l, "INSERT INTO d.t VALUES(NULL,'another domain')");
    sql(l, "SET gtid_domain_id=0");
    assert_int_equal(db_query(l->db, &r, "SHOW MASTER STATUS"), 0);
    first = strtoull(db_text(&r, 0, 1), NULL, 10);
    db_result_free(&r);
    sql(l, "INSERT INTO d.t VALUES(NULL,'last')");
    assert_int_equal(identity_read(l->db, &i), 0);
    assert_int_equal(db_query(l->db, &r, "SHOW MASTER STATUS"), 0);
    assert_int_equal(db_value(l->db, &gtid, "SELECT @@gtid_binlog_pos"), 1);
    assert_string_equal(gtid, "0-7-1,5-7-1");
    file = db_text(&r, 0, 0);
    pos = strtoull(db_text(&r, 0, 1), NULL, 10);
    free(i.uid);
    i.uid = xstrdup("");

    same_log(l, &i, file, pos, gtid, NULL);
    same_log(l, &i, file, pos, "0-7-2,5-7-1", "is not the one");
    same_log(l, &i, file, pos, "0-8-1,5-7-1", "is not the one");
    /* A domain that was deleted there; one that we do not have. */
    more = xasprintf("%s,77-7-1", gtid);
    same_log(l, &i, file, pos, more, NULL);
    same_log(l, &i, file, pos, "0-7-1", "is not the one");
    /* A place before all, within an event, behind the end. */
    same_log(l, &i, file, 4, gtid, "is not the one");
    same_log(l, &i, file, first, "5-7-1", NULL);
    same_log(l, &i, file, first, gtid, "is not the one");
    same_log(l, &i, file, pos - 1, gtid, "is not the one");
    same_log(l, &i, file, pos + 1, gtid, "is not the one");
    /* A file that is gone, by domains; that is to come; of another name. */
    same_log(l, &i, "mb.000000", 4711, gtid, NULL);
    same_log(l, &i, "mb.900000", 4711, gtid, "newest file is mb.000001");
    same_log(l, &i, "xx.000001", 4711, "5-7-1,77-7-1", "another name");
    same_log(l, &i, "mb.000000", 4711, "77-7-1", "nothing of what");
    same_log(l, &i, "", 0, gtid, NULL);
    /* Its copy on another machine: the same files, or the same numbers. */
    same_log(l, &other, file, pos, gtid, NULL);
    same_log(l, &other, file, pos, "0-7-9,5-7-1", "is not the one");
    same_log(l, &other, "mb.900000", 4711, gtid, "newest file is mb.000001");
    same_log(l, &other, "xx.000001", 4711, gtid, "another name");
    /* Another server has to know all domains. */
    i.server_id = 8;
    same_log(l, &i, file, pos, "0-7-9,5-7-1", NULL);
    same_log(l, &i, file, pos, more, "nothing of what");
    /* A node's numbers count only where all give the same. */
    i.node = true;
    same_log(l, &i, file, pos, gtid, "wsrep_gtid_mode is off");
    i.numbers = true;
    same_log(l, &i, file, pos, gtid, NULL);
    i.node = false;
    /* What it has applied and not logged has to be what we have. */
    sql(l, "SET GLOBAL gtid_slave_pos='77-7-3'");
    same_log(l, &i, file, pos, "0-7-1,77-7-3", NULL);
    same_log(l, &i, file, pos, more, "is at 77-7-3 as a replica");
    sql(l, "SET GLOBAL gtid_slave_pos=''");
    i.server_id = 7;
    /* A file after a transaction of gigabytes: places beyond 32 bits cannot be
     * asked for, and one below may be a larger one of which a part is lost. */
    sql(l, "FLUSH BINARY LOGS");
    path = xasprintf("%s/data/%s", l->ts.dir, file);
    assert_int_equal(truncate(path, (off_t)5 << 30), 0);
    same_log(l, &i, file, pos, gtid, NULL);
    same_log(l, &i, file, pos + ((uint64_t)1 << 32), gtid, NULL);
    same_log(l, &i, file, pos, "0-7-2,5-7-1", NULL);
    same_log(l, &i, file, pos, "77-7-1", "nothing of what");
    /* One that the server cannot read. */
    assert_int_equal(truncate(path, (off_t)pos), 0);
    same_log(l, &i, file, pos - 1, gtid, "is not the one");
    spoil(path);
    same_log(l, &i, file, pos - 1, gtid, NULL);
    sql(l, "RESET MASTER");
    free(path);
    free(more);
    free(gtid);
    db_result_free(&r);
    identity_free(&i);
}

/* The place of the first transaction that the server sends. */
static void
test_identity_place(void **state)
{
    struct segment_tail t = {
        .state = {.source_file = "mb.000005", .source_pos = 4711}};
    struct event e = {.type = EV_GTID, .size = 42};
    char *why = NULL;

    (void)state;
    e.end_pos = 4711 + 42;
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 1);
    e.end_pos = 6000;
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 1);
    e.end_pos = 0;
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 1);
    e.end_pos = 4711 + 41;
    assert_int_equal(identity_check_place(&t, "mb.000006", &e, &why), 1);
    assert_null(why);
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 0);
    assert_non_null(strstr(why, "byte 4710"));
    free(why);
    t.state.source_pos = (uint64_t)1 << 32; /* may have wrapped */
    assert_int_equal(identity_check_place(&t, "mb.000005", &e, &why), 1);
}

/* What the server does not tell at once: here since its process is stopped. */
static void
test_identity_later(void **state)
{
    struct lab *l = *state;
    struct db_conf conf = testserver_conf(&l->ts);
    struct segment_state is = {0};
    struct gtid_pos newest = {0};
    struct later *later;
    struct db_result r;
    char *gtid, *why = NULL;
    int status;

    conf.connect_timeout_s = conf.read_timeout_s = 1;
    sql(l, "INSERT INTO d.t VALUES(NULL,'last')");
    assert_int_equal(db_query(l->db, &r, "SHOW MASTER STATUS"), 0);
    assert_int_equal(db_value(l->db, &gtid, "SELECT @@gtid_binlog_pos"), 1);
    is.source_file = xstrdup(db_text(&r, 0, 0));
    is.source_pos = strtoull(db_text(&r, 0, 1), NULL, 10);
    assert_int_equal(gtid_pos_parse(gtid, &is.gtid), 0);
    gtid_pos_copy(&newest, &is.gtid);
    for (int wrong = 0; wrong <= 1; wrong++) {
        is.gtid.v[0].seq += (uint64_t)wrong;
        kill(l->ts.pid, SIGSTOP);
        assert_int_equal(waitpid(l->ts.pid, &status, WUNTRACED), l->ts.pid);
        later = later_start(&conf, &is, &newest);
        assert_non_null(later);
        /* Longer than a connection has time: it is made again. */
        assert_int_equal(
            later_result(later, wrong ? 1300000 : 100000, &why), LATER_OPEN);
        assert_int_equal(later_since(later)->n, is.gtid.n);
        kill(l->ts.pid, SIGCONT);
        assert_int_equal(later_result(later, 20000000, &why), wrong ? 0 : 1);
        later_free(later);
    }
    assert_non_null(strstr(why, "is not the one that was read"));
    free(why);
    /* One that is not waited for ends by itself. */
    kill(l->ts.pid, SIGSTOP);
    assert_int_equal(waitpid(l->ts.pid, &status, WUNTRACED), l->ts.pid);
    assert_non_null(later = later_start(&conf, &is, &newest));
    assert_int_equal(later_result(later, 100000, &why), LATER_OPEN);
    later_free(later);
    kill(l->ts.pid, SIGCONT);
    /* What cannot be asked at all is an error, and not asked again. */
    conf.user = "nobody";
    assert_non_null(later = later_start(&conf, &is, &newest));
    assert_int_equal(later_result(later, 20000000, &why), -1);
    assert_int_equal(err_kind(), ERR_FAILED);
    err_clear();
    later_free(later);
    segment_state_free(&is);
    gtid_pos_free(&newest);
    db_result_free(&r);
    free(gtid);
}

/* The stream's word is of the server's clock as it is now. */
static void
test_clock_set_back(void **state)
{
    struct caught c = {.known_us = UINT64_C(4102444800) * 1000000};
    const struct gtid g = {.domain = 0, .server = 1, .seq = 7};

    (void)state;
    c.moment_us = UINT64_C(1651500000) * 1000000;
    gtid_pos_set(&c.missing, &g);
    caught_group(&c, &g);
    assert_int_equal(c.known_us, UINT64_C(1651500000) * 1000000);
    gtid_pos_free(&c.missing);
}

/* The file with which the server goes on. */
static void
test_identity_file(void **state)
{
    struct identity i = {.server_id = 7, .uid = "", .version = ""};
    struct segment_tail t = {.start = {.server_id = 7,
                                 .server_uid = "",
                                 .source_file = "mb.000004",
                                 .source_created = 1000},
        .state = {.source_file = "mb.000005", .source_pos = 4711}};
    char *why = NULL;

    (void)state;
    assert_int_equal(identity_check_file(&i, &t, "mb.000005", 2000, &why), 1);
    assert_int_equal(identity_check_file(&i, &t, "mb.000006", 2000, &why), 1);
    assert_int_equal(
        identity_check_file(&i, &t, "other.000001", 2000, &why), 1);
    assert_null(why);
    assert_int_equal(identity_check_file(&i, &t, "mb.000004", 1001, &why), 0);
    assert_non_null(strstr(why, "another time"));
    free(why);
    assert_int_equal(identity_check_file(&i, &t, "mb.000003", 2000, &why), 0);
    assert_non_null(strstr(why, "goes on in mb.000003"));
    free(why);
    i.uid = "elsewhere"; /* on another machine, or it was moved there */
    assert_int_equal(identity_check_file(&i, &t, "mb.000003", 2000, &why), 0);
    free(why);
    i.server_id = 8; /* another server has files of its own */
    assert_int_equal(identity_check_file(&i, &t, "mb.000003", 2000, &why), 1);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_purge, stream_after_each),
        cmocka_unit_test_teardown(test_backup_first, stream_after_each),
        cmocka_unit_test_teardown(test_backup_first_gap, stream_after_each),
        cmocka_unit_test_teardown(test_backup_damaged, stream_after_each),
        cmocka_unit_test_teardown(test_failover, stream_after_each),
        cmocka_unit_test_teardown(test_domain_deleted, stream_after_each),
        cmocka_unit_test_teardown(test_server_put_back, stream_after_each),
        cmocka_unit_test_teardown(test_incident, stream_after_each),
        cmocka_unit_test_teardown(test_reset_master, stream_after_each),
        cmocka_unit_test_teardown(test_reset_master_twin, stream_after_each),
        cmocka_unit_test_teardown(test_reset_master_live, stream_after_each),
        cmocka_unit_test_teardown(test_identity, stream_after_each),
        cmocka_unit_test_teardown(test_identity_later, stream_after_each),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_identity_file),
        cmocka_unit_test(test_identity_place),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (!testserver_installed())
        return 77; /* automake: skipped */
    return cmocka_run_group_tests(tests, stream_setup, stream_teardown);
}
