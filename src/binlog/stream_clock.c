/*
 * stream_clock.c -- up to which moment nothing is missing.
 *
 * The timestamps of events cannot tell: they are the begin of a statement, so a
 * transaction that is committed later can have an earlier one, and an idle
 * server has none at all.  So the server is asked for its clock and for its
 * position, in this order: NOW(6) is fixed when a statement begins, the
 * variable is read while it runs.  A transaction that was committed (its client
 * had its answer) before that moment was in the binary log before the position
 * was read.  Once every GTID of the position was appended, in the log's order,
 * all that was committed before that moment is in.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/times.h"
#include "stream_impl.h"

void
caught_forget(struct caught *c)
{
    c->moment_us = 0;
    c->missing.n = 0;
}

static void
caught_settle(struct caught *c)
{
    if (c->moment_us == 0 || c->missing.n > 0)
        return;
    c->known_us = c->moment_us; /* earlier than before, if it was set back */
    c->moment_us = 0;
}

void
caught_group(struct caught *c, const struct gtid *g)
{
    struct gtid_pos *m = &c->missing;

    for (size_t i = 0; i < m->n; i++) {
        if (!gtid_equal(&m->v[i], g))
            continue;
        memmove(&m->v[i], &m->v[i + 1], (m->n - i - 1) * sizeof *m->v);
        m->n--;
        caught_settle(c);
        return;
    }
}

/*
 * Is g, the newest of its domain in the server's log, in what we have?  A
 * server that does not log what it applies as a replica can have something
 * older there than where its domain is: numbers are only given upwards.
 */
static bool
have_already(const struct gtid *g, const struct gtid_pos *have,
    const struct gtid_pos *applied)
{
    const struct gtid *ours = gtid_pos_get(have, g->domain);
    const struct gtid *theirs = gtid_pos_get(applied, g->domain);

    if (ours == NULL)
        return false;
    return gtid_equal(ours, g) ||
        (theirs != NULL && gtid_equal(ours, theirs) && g->seq < ours->seq);
}

int
caught_ask(struct stream *s)
{
    struct caught *c = &s->caught;
    const struct gtid_pos *have = stream_gtid(s);
    struct gtid_pos is = {0}, applied = {0};
    struct db_result r = {0};
    int rc = -1;

    c->asked_us = time_mono_us();
    caught_forget(c);
    if (db_query(s->side, &r,
            "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED), "
            "@@global.gtid_binlog_pos, @@global.gtid_slave_pos") < 0 ||
        gtid_pos_parse(db_text(&r, 0, 1), &is) < 0 ||
        gtid_pos_parse(db_text(&r, 0, 2), &applied) < 0)
        goto out;
    for (size_t i = 0; i < is.n; i++)
        if (!have_already(&is.v[i], have, &applied))
            gtid_pos_set(&c->missing, &is.v[i]);
    c->moment_us = strtoull(db_text(&r, 0, 0), NULL, 10);
    caught_settle(c);
    rc = 0;

out:
    gtid_pos_free(&is);
    gtid_pos_free(&applied);
    db_result_free(&r);
    return rc;
}
