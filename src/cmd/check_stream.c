/*
 * check_stream.c -- is the log captured?  A marker that is written to it has to
 * arrive in the repository.
 */
#include <stdlib.h>

#include "check.h"
#include "cmd.h"
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/segment.h"
#include "pitr/state.h"
#include "pitr/stop.h"
#include "pitr/times.h"

static int
tail_has(struct repo *r, const struct gtid *marker)
{
    struct segment_tail t = {0};
    int rc = segment_tail_find(r, &t);

    if (rc > 0) {
        rc = gtid_pos_includes(&t.state.gtid, marker);
        segment_tail_free(&t);
    }
    return rc;
}

int
check_arrives(struct repo *r, const struct check_marker *m)
{
    uint64_t begun = time_mono_us();
    int there;

    while ((there = tail_has(r, &m->gtid)) == 0 &&
        time_mono_us() - begun < m->wait_us && !stop_sleep_us(300000))
        continue;
    return there == 0 && stop_asked() ? stop_error() : there;
}

static int
write_marker(struct db *db, struct gtid *out)
{
    char *text = NULL;
    int rc = -1;

    /* A statement that changes nothing and is logged with a GTID of its own. */
    if (db_exec(db, "FLUSH HOSTS") < 0 ||
        db_value(db, &text, "SELECT @@last_gtid") < 0)
        return -1;
    if (text == NULL || *text == '\0')
        err_set(ERR_FAILED,
            "the server gave the marker no GTID: its log is "
            "off, or off for this account");
    else
        rc = gtid_parse(text, out);
    free(text);
    return rc;
}

/* When `stream --once` was at work the last time, and whether it got to where
 * the server was; 0 where the last one was another. */
static uint64_t
last_once_us(const struct repo *r, bool *caught_up)
{
    struct state *s = state_load(r->local_path, "stream");
    uint64_t us =
        state_get_u64(s, "once") != 0 ? state_get_u64(s, "told_us") : 0;

    *caught_up =
        state_get_u64(s, "known_us") != 0 && state_get_u64(s, "failed") == 0;
    state_free(s);
    return us;
}

/* Is the log being captured, by one that runs or, with once_us, from time to
 * time? */
static int
is_captured(const struct repo *r, uint64_t lag_us, uint64_t *once_us)
{
    uint64_t now_us = time_now_us();
    char age[TIME_TEXT];
    int running = repo_is_locked(r, "stream");
    bool caught_up = false;

    *once_us = running == 0 ? last_once_us(r, &caught_up) : 0;
    if (running != 0)
        return running < 0 ? -1 : 0;
    if (*once_us != 0 && caught_up && now_us < *once_us + lag_us)
        return 0;
    if (*once_us == 0)
        err_set(ERR_FAILED,
            "no stream is running: the binary log is not being captured");
    else
        err_set(ERR_FAILED,
            "no stream is running: \"pitr stream --once\" %s %s ago",
            caught_up ? "was" : "has failed",
            time_span(now_us - MIN(now_us, *once_us), age));
    if (*once_us != 0 && !caught_up)
        return err_hint("Run it by hand, and see what it says.");
    return err_hint("Start \"pitr stream\" (as a service), or have cron run it "
                    "with --once; then check again.");
}

void
check_stream(struct db *db, struct repo *r, uint64_t lag_us, struct findings *f,
    struct check_marker *m)
{
    uint64_t begun = time_mono_us(), once_us;
    char text[GTID_TEXT], took[TIME_TEXT], age[TIME_TEXT];
    int there = 0;

    if (is_captured(r, lag_us, &once_us) < 0 ||
        write_marker(db, &m->gtid) < 0) {
        check_fault(f);
        return;
    }
    there = check_arrives(r, m);
    if (there == 0 && once_us != 0 && m->wait_us < lag_us) {
        check_doubt(f,
            "the marker %s has not arrived within %s; \"pitr stream --once\" "
            "was %s ago: --wait 90s waits for its next run",
            gtid_text(&m->gtid, text), time_span(m->wait_us, took),
            time_span(time_now_us() - once_us, age));
        return;
    }
    if (there == 0) {
        err_set(ERR_FAILED,
            "the marker %s has not arrived in the repository "
            "within %s",
            gtid_text(&m->gtid, text), time_span(m->wait_us, took));
        err_hint("Look at what \"pitr stream\" says; it may have lost the "
                 "server, or lag.");
    }
    m->arrived = there > 0;
    if (there <= 0)
        check_fault(f);
    else
        check_good(f, "a marker (GTID %s) was in the repository after %s",
            gtid_text(&m->gtid, text), time_span(time_mono_us() - begun, took));
}
