/*
 * event_group.c -- where a transaction of the log begins and ends.
 *
 * The rules are the server's own for skipping a group when it looks for a
 * replica's position: sql/sql_repl.cc (send_event_to_slave), sql/log_event.h
 * (is_part_of_group, is_group_event).
 */
#include <string.h>
#include "pitr/event.h"

/* Outside of groups by its nature. */
static bool
is_outsider(uint8_t type)
{
    switch (type) {
    case 1: /* Start_v3 */
    case EV_STOP:
    case EV_ROTATE:
    case EV_FORMAT:
    case EV_INCIDENT:
    case EV_HEARTBEAT:
    case EV_CHECKPOINT:
    case EV_GTID_LIST:
    case EV_START_ENCRYPTION:
        return true;
    default:
        return false;
    }
}

/* Only prepares the event that completes a standalone group. */
static bool
is_preparing(uint8_t type)
{
    switch (type) {
    case EV_INTVAR:
    case EV_RAND:
    case EV_USER_VAR:
    case EV_TABLE_MAP:
    case EV_ANNOTATE_ROWS:
        return true;
    default:
        return false;
    }
}

static bool
sql_equals(const struct event_query *q, const char *s)
{
    return q->sql_size == strlen(s) && memcmp(q->sql, s, q->sql_size) == 0;
}

/* 1 where e completes the group, 0, or -1.  COMMIT and ROLLBACK are too short
 * to come as compressed events. */
static int
completes(const struct group_state *g, const struct event *e)
{
    struct event_query q;

    if (g->standalone)
        return !is_preparing(e->type);
    if (e->type == EV_XID || e->type == EV_XA_PREPARE)
        return 1;
    if (e->type != EV_QUERY)
        return 0;
    if (event_query(e, &q) < 0)
        return -1;
    return sql_equals(&q, "COMMIT") || sql_equals(&q, "ROLLBACK");
}

static int
begin_group(struct group_state *g, const struct event *e)
{
    char text[GTID_TEXT];

    if (g->open)
        return err_set(ERR_VERIFY,
            "binlog: a transaction begins inside of transaction %s",
            gtid_text(&g->gtid.gtid, text));
    if (event_gtid(e, &g->gtid) < 0)
        return -1;
    g->open = true;
    g->standalone = (g->gtid.flags & GTID_FL_STANDALONE) != 0;
    g->abandoned = false;
    return GROUP_BEGIN;
}

/* A file that ends within a group was cut by a crash: the server, too, drops
 * what has no end.  An incident in place of a standalone group's event is its
 * end for a replica (sql/slave.cc), and so it is here. */
static int
outsider(struct group_state *g, const struct event *e)
{
    if (g->open && g->standalone && e->type == EV_INCIDENT) {
        g->open = false;
        return GROUP_END;
    }
    if (g->open &&
        (e->type == EV_FORMAT || e->type == EV_ROTATE || e->type == EV_STOP)) {
        g->open = false;
        g->abandoned = true;
    }
    return g->open ? GROUP_INSIDE : GROUP_OUTSIDE;
}

int
group_next(struct group_state *g, const struct event *e)
{
    int done;

    if (e->flags & EVENT_FLAG_ARTIFICIAL)
        return g->open ? GROUP_INSIDE : GROUP_OUTSIDE;
    if (e->type == EV_GTID)
        return begin_group(g, e);
    if (is_outsider(e->type))
        return outsider(g, e);
    if (!g->open)
        return err_set(ERR_VERIFY,
            "binlog: event %s that ends at the server's offset %u is outside "
            "of a transaction",
            event_type_text(e->type), e->end_pos);
    if ((done = completes(g, e)) < 0)
        return -1;
    if (!done)
        return GROUP_INSIDE;
    g->open = false;
    return GROUP_END;
}
