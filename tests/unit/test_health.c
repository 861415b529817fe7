/* health.h: what is found, by limits and a clock; the gravest gives the code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pitr/file.h"
#include "pitr/health.h"
#include "pitr/mem.h"
#include "pitr/state.h"

#define S UINT64_C(1000000)
#define H (3600 * S)
#define NOW (1000 * H)

static const struct health_limits limits = {.backup_age_us = 26 * H,
    .lag_us = 300 * S,
    .vault_lag_us = 900 * S,
    .shrink_percent = 20,
    .spool_bytes = 1000,
    .free_percent = 5};

/* A server of which everything is fine. */
static struct health
fine(void)
{
    struct health h = {.server = xstrdup("db"),
        .readable = true,
        .local = true,
        .backups = 2,
        .gap_why = xstrdup(""),
        .gtid = xstrdup("0-1-5"),
        .segments = 3,
        .whole_until_us = NOW - 10 * S,
        .stream = HEALTH_STREAM_RUNS,
        .connected = true,
        .started_us = NOW - 5 * H,
        .told_us = NOW - S,
        .error = xstrdup(""),
        .acknowledge = xstrdup("local"),
        .semisync_known = true,
        .semisync_on = true,
        .vault = xcalloc(1, sizeof *h.vault),
        .vaults = 1,
        .disk_free = 50,
        .disk_size = 100};

    h.newest = (struct health_backup){.id = xstrdup("20220502T020000Z"),
        .snapshot_us = NOW - 5 * H,
        .rows = 1000,
        .row_bytes = 1000000,
        .tables = 10};
    h.before = h.newest;
    h.before.id = xstrdup("20220501T020000Z");
    h.before.snapshot_us = NOW - 29 * H;
    h.vault[0] = (struct health_vault){.url = xstrdup("sftp://v/x"),
        .known = true,
        .runs = true,
        .connected = true,
        .synced_us = NOW - S,
        .error = xstrdup("")};
    return h;
}

/* After a change: exactly this finding, or none. */
static void
judged(struct health *h, const char *code, enum err_kind kind)
{
    health_judge(h, &limits, NOW);
    if (code == NULL && h->findings > 0)
        fail_msg("%s: %s", h->finding[0].code, h->finding[0].text);
    if (code != NULL) {
        if (h->findings != 1)
            fail_msg("%s: %zu findings", code, h->findings);
        assert_string_equal(h->finding[0].code, code);
        assert_true(*h->finding[0].text != '\0');
    }
    assert_int_equal(health_kind(h), kind);
    health_free(h);
}

#define AFTER(change, code, kind)                                              \
    do {                                                                       \
        struct health h = fine();                                              \
        change;                                                                \
        judged(&h, code, kind);                                                \
    } while (0)

static void
test_fine(void **state)
{
    (void)state;
    AFTER((void)0, NULL, ERR_NONE);
}

static void
test_backups(void **state)
{
    (void)state;
    AFTER(h.newest.snapshot_us = NOW - 27 * H, "backup_old", ERR_FAILED);
    AFTER(h.newest.snapshot_us = NOW - 25 * H, NULL, ERR_NONE);
    AFTER(h.newest.snapshot_us = NOW + 60 * S, "clock", ERR_WARNINGS);
    AFTER(h.newest.rows = 799, "backup_shrank", ERR_WARNINGS);
    AFTER(h.newest.rows = 800, NULL, ERR_NONE);
    AFTER(h.newest.row_bytes = 700000, "backup_shrank", ERR_WARNINGS);
    AFTER(h.newest.tables = 7, "backup_shrank", ERR_WARNINGS);
    /* Next to nothing. */
    AFTER((h.before.rows = 90, h.newest.rows = 1), NULL, ERR_NONE);
    AFTER(h.newest.warnings = 1, "backup_warned", ERR_WARNINGS);
    AFTER(h.unfinished_id = xstrdup("20220503T020000Z"), "backup_failed",
        ERR_WARNINGS);
    AFTER(
        {
            free(h.newest.id);
            free(h.before.id);
            h.newest.id = h.before.id = NULL;
        },
        "no_backup", ERR_FAILED);
}

/* Of the two newest backups one verified within the time will do. */
static void
verified(uint64_t newest_us, uint64_t before_us, bool is_fine)
{
    struct health_limits weekly = limits;
    struct health h = fine();

    weekly.verify_age_us = 7 * 24 * H;
    h.newest.verified = newest_us == 0 ? VERIFY_NONE : VERIFY_SIGNATURES;
    h.newest.verified_us = newest_us;
    h.before.verified = before_us == 0 ? VERIFY_NONE : VERIFY_CONTENT;
    h.before.verified_us = before_us;
    health_judge(&h, &weekly, NOW);
    assert_int_equal(h.findings, !is_fine);
    if (!is_fine) {
        assert_string_equal(h.finding[0].code, "not_verified");
        assert_int_equal(health_kind(&h), ERR_WARNINGS);
    }
    health_free(&h);
}

static void
test_not_verified(void **state)
{
    (void)state;
    verified(NOW - H, 0, true);
    verified(0, NOW - H, true);
    verified(NOW - 8 * 24 * H, NOW - H, true);
    verified(0, 0, false);
    verified(NOW - 8 * 24 * H, 0, false);
    verified(NOW - 8 * 24 * H, NOW - 9 * 24 * H, false);
}

/* A server's clock that was ahead once does not hide for ever that the log
 * lags: the stream tells, and it may not be there. */
static void
test_clock_was_ahead(void **state)
{
    struct health two = fine();

    (void)state;
    two.whole_until_us = NOW + 3650 * 24 * H;
    two.known_us = NOW - 400 * S;
    health_judge(&two, &limits, NOW);
    assert_int_equal(two.findings, 2);
    assert_string_equal(two.finding[0].code, "clock");
    assert_non_null(strstr(two.finding[0].text, "or in a new repository"));
    assert_string_equal(two.finding[1].code, "log_behind");
    assert_non_null(strstr(two.finding[1].text, "until 6m"));
    health_free(&two);
    AFTER((h.whole_until_us = NOW + 9 * H, h.known_us = NOW - S), "clock",
        ERR_WARNINGS);
    AFTER((h.whole_until_us = NOW - S, h.known_us = NOW - 400 * S), NULL,
        ERR_NONE);
}

static void
test_log(void **state)
{
    (void)state;
    AFTER(h.gap_open = true, "gap", ERR_GAP);
    AFTER(h.gaps = 1, "gap_before", ERR_WARNINGS);
    AFTER(h.breaks = 1, "damaged", ERR_VERIFY);
    AFTER(h.whole_until_us = NOW - 400 * S, "log_behind", ERR_FAILED);
    AFTER(h.whole_until_us = NOW + 31 * S, "clock", ERR_WARNINGS);
    AFTER(h.damaged = 1, "verify_failed", ERR_VERIFY);
    AFTER(h.stream = HEALTH_STREAM_STOPPED, "stream_stopped", ERR_FAILED);
    AFTER(h.stream = HEALTH_STREAM_NEVER, "no_stream", ERR_FAILED);
    AFTER(h.stream = HEALTH_STREAM_ONCE, NULL, ERR_NONE);
    AFTER(h.told_us = NOW - 300 * S, "stream_silent", ERR_WARNINGS);
    AFTER((h.connected = false, h.lost_us = NOW - 20 * S), "stream_interrupted",
        ERR_WARNINGS);
    AFTER((h.connected = false, h.lost_us = NOW - 301 * S),
        "stream_interrupted", ERR_FAILED);
    AFTER(h.semisync_on = false, "semisync_off", ERR_WARNINGS);
    AFTER(h.ack_us = NOW - 6 * S, "ack_late", ERR_WARNINGS);
    AFTER((memcpy(h.acknowledge, "no", 3), h.semisync_on = false), NULL,
        ERR_NONE);
}

static void
test_vaults(void **state)
{
    (void)state;
    AFTER(h.vault[0].known = false, "vault_never", ERR_WARNINGS);
    AFTER(h.vault[0].runs = false, "ship_stopped", ERR_WARNINGS);
    AFTER((h.vault[0].runs = false, h.vault[0].once = true), NULL, ERR_NONE);
    AFTER(h.vault[0].synced_us = NOW - 901 * S, "vault_behind", ERR_FAILED);
    AFTER((h.vault[0].connected = false, h.vault[0].error_us = NOW - S),
        "vault_away", ERR_WARNINGS);
    /* A line that is up again, but not for long: has anything got there? */
    AFTER((h.vault[0].synced_us = NOW - 9 * S, h.vault[0].error_us = NOW - S),
        "vault_away", ERR_WARNINGS);
    AFTER((h.vault[0].synced_us = NOW - S, h.vault[0].error_us = NOW - 9 * S),
        NULL, ERR_NONE);
    AFTER((h.vault[0].synced_us = NOW - 99 * S,
              h.vault[0].error_us = NOW - 90 * S),
        NULL, ERR_NONE);
    AFTER((h.vault[0].fsync_known = h.vault[0].no_fsync = true),
        "vault_no_fsync", ERR_WARNINGS);
    AFTER(h.vault[0].unlike = 1, "vault_differs", ERR_VERIFY);
    AFTER(h.disk_free = 4, "disk_full", ERR_WARNINGS);
    AFTER(h.stored_bytes = 1000, "spool_full", ERR_WARNINGS);
}

static void
test_gravest(void **state)
{
    struct health h = fine();

    (void)state;
    h.disk_free = 1;
    h.gap_open = true;
    h.stream = HEALTH_STREAM_STOPPED;
    health_judge(&h, &limits, NOW);
    assert_int_equal(h.findings, 3);
    assert_int_equal(health_kind(&h), ERR_GAP);
    health_free(&h);
}

static void
test_state_file(void **state)
{
    char dir[] = "/tmp/pitr-health-XXXXXX";
    struct buf b = {0};
    struct state *s;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_null(state_load(dir, "x"));
    state_begin(&b);
    state_put(&b, "error", "two\nlines");
    state_put_u64(&b, "err", 42);
    state_store(dir, "x", &b);
    state_store(dir, "x", &b);
    /* What cannot be written leaves the error that was there. */
    err_set(ERR_GAP, "kept");
    state_store("/nowhere", "x", &b);
    assert_string_equal(err_text(), "kept");
    err_clear();
    s = state_load(dir, "x");
    assert_non_null(s);
    assert_string_equal(state_get(s, "error"), "two lines");
    assert_int_equal(state_get_u64(s, "err"), 42);
    assert_null(state_get(s, "erro"));
    assert_int_equal(state_get_u64(NULL, "err"), 0);
    state_free(s);
    buf_free(&b);
    assert_int_equal(dir_remove(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fine),
        cmocka_unit_test(test_backups),
        cmocka_unit_test(test_not_verified),
        cmocka_unit_test(test_clock_was_ahead),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_vaults),
        cmocka_unit_test(test_gravest),
        cmocka_unit_test(test_state_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
