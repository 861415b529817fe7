/*
 * feed_source.c -- the groups of the plan's segments that the cutoff lets
 * through, in log order, with the way back after a broken connection.
 *
 * What has been decided at the start of each segment is kept (struct mark), so
 * that going back means reading one segment again, seldom two.  A replica's
 * state is found by equality with a state that was brought about before, never
 * by comparing sequence numbers, which may go back in a log.
 *
 * START ALTER is not passed on: an applier that meets a COMMIT ALTER without
 * its start does the whole ALTER, so one that the cutoff splits is simply not
 * done.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "feed.h"
#include "pitr/mem.h"
#include "pitr/stop.h"

/* What had been decided at one moment. */
struct mark {
    struct cutoff_state cutoff;
    struct gtid_pos state; /* of a replica */
    uint64_t groups;       /* given */
    uint64_t bytes;
    bool incident;  /* one came, and nothing wanted after it yet */
    bool restarted; /* likewise: the server was started anew */
};

struct feed_source {
    const struct replay_conf *conf;
    struct mark now;
    struct mark *mark; /* at the start of each segment reached so far */
    size_t marks, marks_cap;
    uint64_t given; /* groups begun so far, at most */

    size_t next_segment; /* of the plan: to be opened next */
    const struct segment_info *info;
    struct segment_reader *reader;
    struct buf format;
    bool wanted, over;
    bool fresh; /* the group is given for the first time */
    struct feed_opens opens;
};

static void
mark_free(struct mark *m)
{
    cutoff_free(&m->cutoff);
    gtid_pos_free(&m->state);
}

static void
mark_copy(struct mark *to, const struct mark *from)
{
    mark_free(to);
    *to = *from;
    to->cutoff.from = to->cutoff.done = to->cutoff.ended = (struct gtid_pos){0};
    to->state = (struct gtid_pos){0};
    gtid_pos_copy(&to->cutoff.from, &from->cutoff.from);
    gtid_pos_copy(&to->cutoff.done, &from->cutoff.done);
    gtid_pos_copy(&to->cutoff.ended, &from->cutoff.ended);
    gtid_pos_copy(&to->state, &from->state);
}

static const struct segment_info *
plan_segment(const struct replay_conf *conf, size_t i)
{
    return &conf->catalog->segment[conf->plan->first_segment + i];
}

bool
feed_cutoff_over(const struct replay_conf *conf, const struct cutoff_state *s)
{
    const struct gtid_pos *all;

    if (s->all_ended)
        return true;
    if (conf->plan->segments == 0 || s->ended.n == 0)
        return false;
    all = &plan_segment(conf, conf->plan->segments - 1)->state.gtid;
    for (size_t i = 0; i < all->n; i++)
        if (gtid_pos_get(&s->ended, all->v[i].domain) == NULL)
            return false;
    return true;
}

struct feed_source *
feed_source_new(const struct replay_conf *conf)
{
    struct feed_source *s = xcalloc(1, sizeof(*s));
    const struct gtid_pos *from =
        &conf->catalog->backup[conf->plan->backup].gtid;
    const struct gtid_pos *log_start =
        conf->plan->segments == 0 ? from : &plan_segment(conf, 0)->start.gtid;

    s->conf = conf;
    cutoff_begin(&s->now.cutoff, &conf->plan->cutoff, from, log_start);
    gtid_pos_copy(&s->now.state, from);
    return s;
}

static void
segment_leave(struct feed_source *s)
{
    segment_reader_free(s->reader);
    s->reader = NULL;
    s->wanted = false;
}

void
feed_source_free(struct feed_source *s)
{
    if (s == NULL)
        return;
    segment_leave(s);
    mark_free(&s->now);
    for (size_t i = 0; i < s->marks; i++)
        mark_free(&s->mark[i]);
    free(s->mark);
    free(s->opens.v);
    buf_free(&s->format);
    free(s);
}

static int
segment_enter(struct feed_source *s)
{
    size_t i = s->next_segment;

    if (stop_asked())
        return stop_error();
    s->info = plan_segment(s->conf, i);
    if (i == s->marks) {
        s->mark = xgrow(s->mark, s->marks, &s->marks_cap, sizeof(*s->mark));
        memset(&s->mark[i], 0, sizeof(s->mark[i]));
        mark_copy(&s->mark[i], &s->now);
        s->marks++;
    }
    buf_reset(&s->format);
    s->reader = segment_open(s->conf->repo, s->info, s->conf->key);
    if (s->reader == NULL)
        return -1;
    s->next_segment++;
    return 0;
}

int
feed_incident(const struct cutoff_state *s, const char *segment)
{
    char gtid[GTID_TEXT];

    err_set(ERR_GAP,
        "the server wrote an incident into its log (segment %s): "
        "transactions may be missing from here on",
        segment);
    if (s->any_last)
        return err_hint("What is before it can be restored: --until-gtid %s",
            gtid_text(&s->last.gtid, gtid));
    return err_hint("Restore a backup that was made after it.");
}

/* A Gtid event was read: is its group given? */
static int
group_begin(struct feed_source *s)
{
    const struct event_gtid *g = segment_group(s->reader);

    s->wanted = cutoff_wants(&s->now.cutoff, g);
    if (!s->wanted)
        return 0;
    if (s->now.incident)
        return feed_incident(&s->now.cutoff, s->info->name);
    feed_opens_note(&s->opens, g);
    if (g->start_alter) {
        s->wanted = false;
        return 0;
    }
    s->fresh = ++s->now.groups > s->given;
    if (s->fresh)
        s->given = s->now.groups;
    return 0;
}

/* Is it a file's start of which `created` says that the server was started
 * anew, and not only the next segment of the same file? */
static bool
is_restart(const struct feed_source *s, const struct event *e)
{
    struct cur c = cur_of(e->body, e->body_size);
    size_t i = s->next_segment - 1;

    cur_bytes(&c, 2 + 50); /* version of the format, of the server */
    return i > 0 && cur_u32(&c) != 0 &&
        strcmp(plan_segment(s->conf, i - 1)->start.source_file,
            s->info->start.source_file) != 0;
}

static void
outside(struct feed_source *s, const struct event *e)
{
    if (e->type == EV_FORMAT) {
        buf_reset(&s->format);
        buf_add(&s->format, e->raw, e->size);
        s->now.restarted |= is_restart(s, e);
    } else if (e->type == EV_INCIDENT) {
        s->now.incident = true;
    }
}

/* The log is read to its end, or as far as anything can be wanted. */
static int
source_over(struct feed_source *s)
{
    char gtid[GTID_TEXT];

    segment_leave(s);
    s->over = true;
    if (cutoff_end(&s->now.cutoff) < 0)
        return -1;
    if (feed_cutoff_over(s->conf, &s->now.cutoff))
        return 0;
    if (s->now.incident)
        return feed_incident(&s->now.cutoff, s->info->name);
    if (s->now.cutoff.from.n > 0)
        return err_set(ERR_GAP, "the backup's position %s is not in the log",
            gtid_text(&s->now.cutoff.from.v[0], gtid));
    return 0;
}

/* The next event of the segments.  1, 0 at the end of the last, -1. */
static int
segments_read(struct feed_source *s, struct event *e, int *step)
{
    for (;;) {
        int rc;

        if (s->reader == NULL) {
            if (s->next_segment == s->conf->plan->segments)
                return 0;
            if (segment_enter(s) < 0)
                return -1;
        }
        rc = segment_read(s->reader, e, step);
        if (rc != 0)
            return rc;
        segment_leave(s);
    }
}

/* One event on, wanted or not.  1, 0 at the end, -1. */
static int
source_step(struct feed_source *s, struct event *e, int *step)
{
    int rc;

    if (s->over)
        return 0;
    rc = segments_read(s, e, step);
    if (rc <= 0)
        return rc < 0 ? -1 : source_over(s);
    if (*step == GROUP_OUTSIDE)
        outside(s, e);
    else if (*step == GROUP_BEGIN && group_begin(s) < 0)
        return -1;
    else if (s->wanted && e->type == EV_INCIDENT)
        return feed_incident(&s->now.cutoff, s->info->name);
    if (*step == GROUP_BEGIN && !s->wanted &&
        !segment_group(s->reader)->start_alter &&
        feed_cutoff_over(s->conf, &s->now.cutoff))
        return source_over(s);
    return 1;
}

/* What a statement makes of events of the scheduler. */
static int
note_events(struct feed_source *s, const struct event *e)
{
    struct buf space = {0};
    struct sql_event what;
    struct event_query q;
    char *schema;
    int rc = -1;

    if (event_query(e, &q) == 0 && event_query_expand(&q, &space) == 0)
        rc = 0;
    else
        err_wrap("segment %s", s->info->name);
    if (rc == 0 && q.error == 0) {
        schema = xstrndup(q.schema, q.schema_size);
        sql_event_parse(q.sql, q.sql_size, q.sql_mode, &what);
        sql_event_states_apply(s->conf->events, &what,
            scope_to(s->conf->scope, schema),
            e->server_id != s->info->start.server_id);
        sql_event_free(&what);
        free(schema);
    }
    buf_free(&space);
    return rc;
}

int
feed_source_next(struct feed_source *s, struct event *e, int *step)
{
    int rc;

    while ((rc = source_step(s, e, step)) == 1) {
        if (*step == GROUP_OUTSIDE || !s->wanted)
            continue;
        s->now.bytes += e->size;
        if (s->fresh && s->conf->events != NULL &&
            (e->type == EV_QUERY || e->type == EV_QUERY_COMPRESSED) &&
            (segment_group(s->reader)->flags & GTID_FL_STANDALONE) != 0 &&
            note_events(s, e) < 0)
            return -1;
        if (*step == GROUP_END) {
            gtid_pos_set(&s->now.state, &segment_group(s->reader)->gtid);
            s->wanted = s->now.restarted = false;
        }
        return 1;
    }
    return rc;
}

/* Read on from mark i until the state is pos.  1 found, 0 not, -1. */
static int
seek_from(struct feed_source *s, size_t i, const struct gtid_pos *pos)
{
    struct event e;
    int step = GROUP_OUTSIDE, rc;

    segment_leave(s);
    mark_copy(&s->now, &s->mark[i]);
    s->next_segment = i;
    s->over = false;
    for (;;) {
        if (gtid_pos_equal(&s->now.state, pos))
            return 1;
        if (s->now.groups == s->given)
            return 0;
        do {
            rc = feed_source_next(s, &e, &step);
            if (rc <= 0)
                return rc;
        } while (step != GROUP_END);
    }
}

int
feed_source_seek(struct feed_source *s, const struct gtid_pos *pos)
{
    char *text;

    if (s->marks == 0 && gtid_pos_equal(&s->now.state, pos))
        return 0;
    for (size_t i = s->marks; i-- > 0;) {
        int rc = seek_from(s, i, pos);

        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    text = gtid_pos_text(pos);
    err_set(ERR_FAILED,
        "the target asks for the log from %s, which the replay has not brought "
        "about: somebody else changed its gtid_slave_pos",
        text);
    free(text);
    return -1;
}

const struct buf *
feed_source_format(const struct feed_source *s)
{
    return &s->format;
}

bool
feed_source_restarted(const struct feed_source *s)
{
    return s->now.restarted;
}

const struct gtid_pos *
feed_source_state(const struct feed_source *s)
{
    return &s->now.state;
}

const struct cutoff_state *
feed_source_cutoff(const struct feed_source *s)
{
    return &s->now.cutoff;
}

const struct feed_opens *
feed_source_opens(const struct feed_source *s)
{
    return &s->opens;
}

uint64_t
feed_source_bytes(const struct feed_source *s)
{
    return s->now.bytes;
}
