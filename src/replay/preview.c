/*
 * preview.c -- what a cutoff means for a log, read without applying anything.
 */
#include <stdlib.h>
#include <string.h>
#include "feed.h"

struct preview {
    const struct replay_conf *conf;
    struct cutoff_state cutoff;
    struct feed_opens opens;
    uint64_t bytes;
    bool incident, stray;
    struct feed_scope part;
    const struct segment_info *skipped; /* the last one with transactions */
    size_t segments;                    /* up to the one with the cutoff */
};

static const struct segment_info *
plan_segment(const struct replay_conf *conf, size_t i)
{
    return &conf->catalog->segment[conf->plan->first_segment + i];
}

/*
 * Does all of a segment pass, for sure?  Not while the backup's position is
 * still to come, nor once something was left out.
 */
static bool
passes_whole(const struct preview *p, const struct segment_info *s)
{
    const struct cutoff *c = &p->conf->plan->cutoff;

    if (p->cutoff.from.n > 0 || p->cutoff.ended.n > 0 || p->cutoff.all_ended)
        return false;
    switch (c->kind) {
    case CUTOFF_NEWEST:
        return true;
    case CUTOFF_TIME:
        return s->state.newest_us < c->us;
    case CUTOFF_UNTIL_GTID:
    case CUTOFF_BEFORE_GTID:
        return !gtid_pos_includes(&s->state.gtid, &c->gtid);
    }
    return false;
}

static void
pass_whole(struct preview *p, const struct segment_info *s)
{
    p->cutoff.groups += s->state.groups;
    for (size_t i = 0; i < s->state.gtid.n; i++)
        gtid_pos_set(&p->cutoff.done, &s->state.gtid.v[i]);
    p->bytes += s->state.complete_bytes;
    if (s->state.groups == 0)
        return;
    p->skipped = s;
    p->cutoff.any_last = false; /* that is in here now */
}

static int
preview_group(struct preview *p, const struct segment_info *s,
    const struct event_gtid *g, bool *wanted)
{
    *wanted = cutoff_wants(&p->cutoff, g);
    if (!*wanted)
        return 0;
    if (p->incident)
        return feed_incident(&p->cutoff, s->name);
    feed_opens_note(&p->opens, g);
    return 0;
}

/* 1 read through, 0 nothing more can be wanted, -1. */
static int
preview_segment(struct preview *p, const struct segment_info *s)
{
    struct segment_reader *r = segment_open(p->conf->repo, s, p->conf->key);
    char gtid[GTID_TEXT];
    bool wanted = false;
    struct event e;
    int step, rc = -1;

    if (r == NULL)
        return -1;
    while ((rc = segment_read(r, &e, &step)) == 1) {
        if (step == GROUP_BEGIN &&
            preview_group(p, s, segment_group(r), &wanted) < 0) {
            rc = -1;
            break;
        }
        if (e.type == EV_INCIDENT) {
            p->incident = true;
            if (wanted) {
                rc = feed_incident(&p->cutoff, s->name);
                break;
            }
        }
        if (wanted && p->part.scope != NULL &&
            feed_scope_take(&p->part, &e, step) < 0) {
            rc = -1;
            err_wrap(
                "transaction %s", gtid_text(&segment_group(r)->gtid, gtid));
            break;
        }
        if (wanted)
            p->bytes += e.size;
        if (step == GROUP_END)
            wanted = false;
        if (step == GROUP_BEGIN && !wanted && !cutoff_jumped(&p->cutoff) &&
            feed_cutoff_over(p->conf, &p->cutoff)) {
            rc = 2;
            break;
        }
    }
    segment_reader_free(r);
    return rc < 0 ? -1 : rc == 2 ? 0 : 1;
}

/* The last transaction let through lies in a segment that was not opened. */
static int
find_last(struct preview *p)
{
    struct segment_reader *r;
    struct event e;
    int step, rc;

    if (p->skipped == NULL || p->cutoff.any_last)
        return 0;
    if ((r = segment_open(p->conf->repo, p->skipped, p->conf->key)) == NULL)
        return -1;
    while ((rc = segment_read(r, &e, &step)) == 1) {
        if (step != GROUP_END)
            continue;
        p->cutoff.last = *segment_group(r);
        p->cutoff.any_last = true;
    }
    segment_reader_free(r);
    return rc;
}

static int
preview_read(struct preview *p, bool boundary_only)
{
    char gtid[GTID_TEXT];

    for (size_t i = 0; i < p->conf->plan->segments; i++) {
        const struct segment_info *s = plan_segment(p->conf, i);
        int rc;

        p->segments = i + 1;
        if (boundary_only && passes_whole(p, s)) {
            pass_whole(p, s);
            continue;
        }
        rc = preview_segment(p, s);
        if (rc <= 0)
            return rc;
    }
    if (p->incident && !feed_cutoff_over(p->conf, &p->cutoff))
        return feed_incident(&p->cutoff,
            plan_segment(p->conf, p->conf->plan->segments - 1)->name);
    p->stray = p->cutoff.from.n > 0 && !feed_cutoff_over(p->conf, &p->cutoff);
    if (p->stray)
        return err_set(ERR_GAP, "the backup's position %s is not in the log",
            gtid_text(&p->cutoff.from.v[0], gtid));
    return 0;
}

static void
preview_begin(struct preview *p, const struct replay_conf *conf)
{
    const struct gtid_pos *from =
        &conf->catalog->backup[conf->plan->backup].gtid;

    memset(p, 0, sizeof(*p));
    p->conf = conf;
    if (scope_active(conf->scope))
        p->part.scope = conf->scope;
    cutoff_begin(&p->cutoff, &conf->plan->cutoff, from,
        conf->plan->segments == 0 ? from : &plan_segment(conf, 0)->start.gtid);
}

static void
preview_end(struct preview *p)
{
    cutoff_free(&p->cutoff);
    feed_scope_free(&p->part);
    free(p->opens.v);
}

static int
preview_whole(struct preview *p, bool boundary_only)
{
    const struct replay_conf *conf = p->conf;

    if (conf->plan->segments == 0)
        return 0;
    if (preview_read(p, boundary_only) < 0)
        return -1;
    /* A log whose numbers go back hides a GTID from those who only look at
     * the ends of segments. */
    if (boundary_only && cutoff_end(&p->cutoff) < 0) {
        err_clear();
        preview_end(p);
        preview_begin(p, conf);
        if (preview_read(p, false) < 0)
            return -1;
    }
    return cutoff_end(&p->cutoff) < 0 ? -1 : find_last(p);
}

int
replay_preview(const struct replay_conf *conf, bool boundary_only,
    struct replay_report *out)
{
    struct preview p;
    int rc;

    memset(out, 0, sizeof(*out));
    preview_begin(&p, conf);
    rc = preview_whole(&p, boundary_only);
    if (rc == 0) {
        out->segments = p.segments;
        out->groups = p.cutoff.groups;
        out->bytes = p.bytes;
        out->last = p.cutoff.last;
        out->first_out = p.cutoff.first_out;
        out->any_last = p.cutoff.any_last;
        out->any_out = p.cutoff.any_out;
        out->early = p.cutoff.early;
        out->left_out = p.part.left_out;
        out->cascaded = p.part.cascaded;
        out->cascade = p.part.cascade;
        out->unfinished = feed_opens_text(&p.opens);
    }
    out->stray = rc < 0 && p.stray;
    preview_end(&p);
    return rc < 0 ? err_wrap("looking for the boundary") : 0;
}
