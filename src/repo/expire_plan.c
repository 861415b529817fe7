/*
 * expire_plan.c -- what stays and what goes, each with its reason.  Pure
 * functions; the rules are told in expire.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pitr/expire.h"
#include "pitr/mem.h"
#include "pitr/times.h"

#define SECOND_US UINT64_C(1000000)
#define DAY_US (86400 * SECOND_US)
/* Clocks of a server and of a vault that differ by less are right. */
#define SKEW_US (600 * SECOND_US)

const char *
expire_span(uint64_t us, char out[EXPIRE_SPAN])
{
    if (us > 0 && us % DAY_US == 0)
        snprintf(out, EXPIRE_SPAN, "%" PRIu64 "d", us / DAY_US);
    else if (us > 0 && us % (3600 * SECOND_US) == 0)
        snprintf(out, EXPIRE_SPAN, "%" PRIu64 "h", us / (3600 * SECOND_US));
    else
        snprintf(out, EXPIRE_SPAN, "%g s", (double)us / SECOND_US);
    return out;
}

/* The rules at work on some of the backups. */
struct rules {
    const struct expire_input *in;
    const size_t *order; /* all backups, oldest snapshot first */
    const bool *among;   /* NULL: all; others are as if they were not there */
    char **why;          /* of each backup; NULL where no rule keeps it */
};

static uint64_t
snapshot_us(const struct rules *r, size_t i)
{
    return r->in->catalog->backup[i].snapshot_us;
}

static bool
counts(const struct rules *r, size_t i)
{
    return r->among == NULL || r->among[i];
}

/* The first reason stays. */
static void
keep(struct rules *r, size_t i, const char *why)
{
    if (r->why[i] == NULL)
        r->why[i] = xstrdup(why);
}

/* The moment up to which can be restored from a backup. */
static uint64_t
reach_us(const struct catalog *c, size_t i)
{
    size_t first, n;
    uint64_t until = c->backup[i].snapshot_us;

    if (catalog_chain(c, i, &first, &n))
        until = MAX(until, catalog_whole_until(c, first, n));
    return until;
}

/* All younger than `keep`, and one that reaches back to its begin. */
static void
rule_keep(struct rules *r)
{
    const struct catalog *c = r->in->catalog;
    uint64_t keep_us = r->in->policy->keep_us, newest = 0, limit;
    size_t anchor = SIZE_MAX;
    char span[EXPIRE_SPAN], text[160];

    for (size_t i = 0; i < c->backups; i++)
        if (counts(r, i))
            newest = MAX(newest, snapshot_us(r, i));
    limit = newest > keep_us ? newest - keep_us : 0;
    expire_span(keep_us, span);
    snprintf(text, sizeof text, "younger than %s", span);
    for (size_t k = c->backups; k-- > 0;) {
        size_t i = r->order[k];

        if (!counts(r, i))
            continue;
        if (snapshot_us(r, i) > limit)
            keep(r, i, text);
        else if (anchor == SIZE_MAX ||
            (reach_us(c, anchor) < limit && reach_us(c, i) >= limit))
            anchor = i;
    }
    if (anchor == SIZE_MAX)
        return;
    snprintf(text, sizeof text,
        "the newest that is %s old: what can be restored begins with it", span);
    keep(r, anchor, text);
}

static void
rule_newest(struct rules *r, unsigned n, const char *why)
{
    for (size_t k = r->in->catalog->backups; k-- > 0 && n > 0;)
        if (counts(r, r->order[k])) {
            keep(r, r->order[k], why);
            n--;
        }
}

enum period { DAY, WEEK, MONTH };

static int64_t
period_of(uint64_t us, enum period p)
{
    time_t s = (time_t)(us / SECOND_US);
    int64_t day = s / 86400;
    struct tm tm;

    if (p == DAY)
        return day;
    if (p == WEEK) /* 1970-01-01 was a Thursday */
        return (day + 3) / 7;
    if (gmtime_r(&s, &tm) == NULL)
        return day / 31;
    return (int64_t)tm.tm_year * 12 + tm.tm_mon;
}

static void
rule_periods(struct rules *r, enum period p, unsigned n)
{
    static const char *const what[] = {"day", "week", "month"};
    int64_t last = INT64_MIN;
    char text[80];

    snprintf(
        text, sizeof text, "the newest of one of the last %u %ss", n, what[p]);
    for (size_t k = r->in->catalog->backups; k-- > 0 && n > 0;) {
        size_t i = r->order[k];
        int64_t period = period_of(snapshot_us(r, i), p);

        if (!counts(r, i) || period == last)
            continue;
        last = period;
        keep(r, i, text);
        n--;
    }
}

/* Whatever the others say: so many stay. */
static void
rule_minimum(struct rules *r)
{
    unsigned minimum = MAX(r->in->policy->minimum, 1u), kept = 0;
    char text[80];

    for (size_t i = 0; i < r->in->catalog->backups; i++)
        kept += r->why[i] != NULL && counts(r, i);
    snprintf(text, sizeof text, "at least %u backup%s stay%s", minimum,
        minimum == 1 ? "" : "s", minimum == 1 ? "s" : "");
    for (size_t k = r->in->catalog->backups; k-- > 0 && kept < minimum;) {
        size_t i = r->order[k];

        if (!counts(r, i) || r->why[i] != NULL)
            continue;
        keep(r, i, text);
        kept++;
    }
}

static void
rules_apply(struct rules *r)
{
    const struct expire_policy *p = r->in->policy;
    char text[80];

    rule_keep(r);
    snprintf(text, sizeof text, "among the newest %u", p->count);
    rule_newest(r, p->count, text);
    rule_periods(r, DAY, p->daily);
    rule_periods(r, WEEK, p->weekly);
    rule_periods(r, MONTH, p->monthly);
    rule_minimum(r);
}

/* --- backups --- */

/* By snapshot: names come from the clock of pitr's host. */
static size_t *
order_of(const struct catalog *c)
{
    size_t *v = xcalloc(c->backups + 1, sizeof *v);

    for (size_t i = 0; i < c->backups; i++) {
        size_t k = i;

        for (; k > 0 &&
             c->backup[v[k - 1]].snapshot_us > c->backup[i].snapshot_us;
             k--)
            v[k] = v[k - 1];
        v[k] = i;
    }
    return v;
}

/* all, verified: what the rules say of it; taken. */
static void
choose(const struct expire_input *in, size_t i, bool any_verified, char *all,
    char *verified, struct expire_choice *out)
{
    const char *held = in->held == NULL ? NULL : in->held->backup[i];
    char span[EXPIRE_SPAN];

    out->keep = true;
    expire_span(in->policy->keep_us, span);
    if (in->pinned[i] && !in->local)
        out->why = xstrdup(in->pin_why != NULL && in->pin_why[i] != NULL
                ? in->pin_why[i]
                : "pinned");
    else if (all != NULL)
        out->why = xstrdup(all);
    else if (verified != NULL)
        out->why = xasprintf("verified, as newer ones are not: %s", verified);
    else if (held != NULL)
        out->why = xasprintf("would go, but %s", held);
    else {
        out->keep = false;
        out->why = in->local
            ? xasprintf("older than %s here, and every vault has it", span)
            : xasprintf("older than %s, and no rule keeps it%s", span,
                  any_verified ? "" : " (no backup has been verified)");
    }
    free(all);
    free(verified);
}

static void
plan_backups(const struct expire_input *in, struct expire_plan *out)
{
    size_t n = in->catalog->backups, *order = order_of(in->catalog);
    char **all = xcalloc(n + 1, sizeof *all);
    char **good = xcalloc(n + 1, sizeof *good);
    struct rules r = {.in = in, .order = order, .why = all};
    bool any_verified = false;

    rules_apply(&r);
    r.among = in->verified;
    r.why = good;
    if (!in->local)
        rules_apply(&r);
    out->backup = xcalloc(n + 1, sizeof *out->backup);
    out->backups = n;
    for (size_t i = 0; i < n; i++)
        any_verified |= in->verified[i];
    for (size_t i = 0; i < n; i++) {
        choose(in, i, any_verified, all[i], good[i], &out->backup[i]);
        out->backups_go += !out->backup[i].keep;
    }
    free(all);
    free(good);
    free(order);
}

/* --- the log --- */

/* The first segment that a backup which stays goes on with, and whose that is;
 * 0 with SIZE_MAX where none has log. */
static size_t
first_needed(const struct catalog *c, const struct expire_plan *p, size_t *by)
{
    size_t cut = SIZE_MAX;

    *by = SIZE_MAX;
    for (size_t i = 0; i < c->backups; i++) {
        size_t first, n;

        if (!p->backup[i].keep || !catalog_chain(c, i, &first, &n))
            continue;
        if (first < cut) {
            cut = first;
            *by = i;
        }
    }
    return *by == SIZE_MAX ? 0 : cut;
}

/*
 * Of a broken log it cannot be told what goes on from where, and what is
 * damaged may be mended from another copy: only what is older than every backup
 * that stays, by its times, is let go; a false time of them makes it stay.
 */
static size_t
surely_older(const struct catalog *c, const struct expire_plan *p, size_t cut)
{
    uint64_t oldest = UINT64_MAX, until;
    size_t i = 0;

    for (size_t k = 0; k < c->backups; k++)
        if (p->backup[k].keep)
            oldest = MIN(oldest, c->backup[k].snapshot_us);
    for (; i < cut; i++) {
        until = segment_newest(&c->segment[i].state);
        if (until == 0 || until + SKEW_US >= oldest)
            break;
    }
    return i;
}

static void
plan_segments(const struct expire_input *in, struct expire_plan *out)
{
    const struct catalog *c = in->catalog;
    size_t by, needed = first_needed(c, out, &by);
    size_t cut = c->breaks == 0 ? needed : surely_older(c, out, needed);
    bool any_held = in->held != NULL && in->held->log != NULL;
    size_t held = any_held ? in->held->segment : c->segments;

    out->segments = c->segments;
    out->segment = xcalloc(c->segments + 1, sizeof *out->segment);
    for (size_t i = 0; i < c->segments; i++) {
        struct expire_choice *s = &out->segment[i];

        s->keep = i >= MIN(cut, held);
        if (by == SIZE_MAX)
            s->why = xstrdup(c->backups == 0
                    ? "there is no whole backup"
                    : "no backup that stays has log that goes on from it");
        else if (i >= cut && i < needed)
            s->why = xstrdup("the log is broken: what a backup that stays "
                             "goes on with is not known");
        else if (i >= held && i < cut)
            s->why = xasprintf("would go, but %s", in->held->log);
        else
            s->why = xasprintf(s->keep
                    ? "part of the log that goes on from backup %s"
                    : "older than all that goes on from backup %s",
                c->backup[by].id);
        out->segments_go += !s->keep;
    }
}

/* --- all --- */

static int
check_clock(const struct expire_input *in)
{
    uint64_t newest = 0;
    char now[TIME_BOTH], then[TIME_BOTH];

    for (size_t i = 0; i < in->catalog->backups; i++)
        newest = MAX(newest, in->catalog->backup[i].snapshot_us);
    if (in->now_us + SKEW_US >= newest)
        return 0;
    err_set(ERR_FAILED,
        "nothing was removed: the clock says %s, the newest backup is of %s",
        time_both(in->now_us, now), time_both(newest, then));
    return err_hint("One of them is wrong. Set this machine's clock right; if "
                    "it is, that backup was made by a wrong one (or forged): "
                    "take it out of the repository.");
}

int
expire_plan_make(const struct expire_input *in, struct expire_plan *out)
{
    memset(out, 0, sizeof *out);
    if (check_clock(in) < 0)
        return -1;
    plan_backups(in, out);
    plan_segments(in, out);
    return 0;
}

void
expire_plan_free(struct expire_plan *p)
{
    for (size_t i = 0; i < p->backups; i++)
        free(p->backup[i].why);
    for (size_t i = 0; i < p->segments; i++)
        free(p->segment[i].why);
    free(p->backup);
    free(p->segment);
    memset(p, 0, sizeof *p);
}
