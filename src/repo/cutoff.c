/*
 * cutoff.c -- which transactions of the log a cutoff lets through.
 *
 * Times are not monotonic in a log, so nothing is skipped and gone on with:
 * the first transaction of a domain that is out ends that domain.
 */
#include <string.h>

#include "pitr/catalog.h"
#include "pitr/err.h"

void
cutoff_begin(struct cutoff_state *s, const struct cutoff *c,
    const struct gtid_pos *from, const struct gtid_pos *log_start)
{
    memset(s, 0, sizeof *s);
    s->cutoff = c;
    gtid_pos_copy(&s->done, from);
    for (size_t i = 0; i < from->n; i++)
        if (!gtid_pos_includes(log_start, &from->v[i]))
            gtid_pos_set(&s->from, &from->v[i]);
}

int
cutoff_end(const struct cutoff_state *s)
{
    char text[GTID_TEXT];

    if (s->all_ended ||
        (s->cutoff->kind != CUTOFF_UNTIL_GTID &&
            s->cutoff->kind != CUTOFF_BEFORE_GTID))
        return 0;
    err_set(ERR_GAP, "the transaction %s is not in the log after the backup",
        gtid_text(&s->cutoff->gtid, text));
    return err_hint("\"pitr list\" shows the positions that the log covers; "
                    "give a GTID that is in it, or a time with --until.");
}

void
cutoff_free(struct cutoff_state *s)
{
    gtid_pos_free(&s->from);
    gtid_pos_free(&s->done);
    gtid_pos_free(&s->ended);
}

/* Is g the first one that the cutoff leaves out? */
static bool
is_past(const struct cutoff *c, const struct event_gtid *g)
{
    switch (c->kind) {
    case CUTOFF_TIME:
        return g->time_us >= c->us;
    case CUTOFF_BEFORE_GTID:
        return gtid_equal(&g->gtid, &c->gtid);
    case CUTOFF_UNTIL_GTID: /* ended by the one after it, see below */
    case CUTOFF_NEWEST:
        break;
    }
    return false;
}

#define JUMP_US 60000000u /* statements that run at once differ by less */

bool
cutoff_jumped(const struct cutoff_state *s)
{
    return s->cutoff->kind == CUTOFF_TIME && s->any_out &&
        s->first_out.time_us >= s->cutoff->us + JUMP_US;
}

static void
leave_out(struct cutoff_state *s, const struct event_gtid *g)
{
    gtid_pos_set(&s->ended, &g->gtid);
    if (!s->any_out)
        s->first_out = *g;
    s->any_out = true;
}

bool
cutoff_wants(struct cutoff_state *s, const struct event_gtid *g)
{
    const struct gtid *from = gtid_pos_get(&s->from, g->gtid.domain);

    /* The overlap of the dump and the log is by position in the log: all up to
     * the dump's GTID of that domain, whatever the numbers in between. */
    if (from != NULL) {
        if (gtid_equal(from, &g->gtid))
            gtid_pos_drop(&s->from, g->gtid.domain);
        return false;
    }
    if (s->all_ended || gtid_pos_get(&s->ended, g->gtid.domain) != NULL) {
        s->early += cutoff_jumped(s) && g->time_us < s->cutoff->us;
        leave_out(s, g);
        return false;
    }
    if (is_past(s->cutoff, g)) {
        leave_out(s, g);
        s->all_ended |= s->cutoff->kind == CUTOFF_BEFORE_GTID;
        return false;
    }
    gtid_pos_set(&s->done, &g->gtid);
    s->last = *g;
    s->any_last = true;
    s->groups++;
    s->all_ended |= s->cutoff->kind == CUTOFF_UNTIL_GTID &&
        gtid_equal(&g->gtid, &s->cutoff->gtid);
    return true;
}
