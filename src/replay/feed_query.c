/*
 * feed_query.c -- what the target's I/O thread asks before the dump.
 *
 * Source: MariaDB sql/slave.cc, get_master_version_and_clock() and
 * register_slave_on_master().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "feed.h"
#include "pitr/log.h"
#include "pitr/mem.h"

#define COM_QUIT 1
#define COM_QUERY 3
#define COM_PING 14
#define COM_BINLOG_DUMP 18
#define DUMP_ANNOTATE_ROWS                                                     \
    2 /* sql/sql_repl.h, BINLOG_SEND_ANNOTATE_ROWS_EVENT */
#define COM_REGISTER_SLAVE 21
#define COM_SET_OPTION 27

struct asked {
    struct feed_conn *c;
    const struct feed_answers *a;
    struct feed_session *s;
    const char *rest; /* of the query, after what was recognized */
};

static void
one_value(struct feed_conn *c, const char *name, const char *value)
{
    feed_packet_result(c, 1, &name, &value);
}

static void
ask_clock(struct asked *q)
{
    char now[32];

    snprintf(now, sizeof(now), "%lld", (long long)time(NULL));
    one_value(q->c, "UNIX_TIMESTAMP()", now);
}

static const char *const variable_columns[] = {"Variable_name", "Value"};

static void
ask_server_id(struct asked *q)
{
    char id[16];
    const char *row[] = {"server_id", id};

    snprintf(id, sizeof(id), "%u", (unsigned)q->a->server_id);
    feed_packet_result(q->c, 2, variable_columns, row);
}

/* Nothing else is known: no semi-sync, above all. */
static void
ask_variables(struct asked *q)
{
    feed_packet_result(q->c, 2, variable_columns, NULL);
}

static void
ask_checksum(struct asked *q)
{
    one_value(
        q->c, "@master_binlog_checksum", q->a->checksum ? "CRC32" : "NONE");
}

static void
ask_domain(struct asked *q)
{
    one_value(q->c, "@@GLOBAL.gtid_domain_id", "0");
}

static void
ask_version(struct asked *q)
{
    one_value(q->c, "VERSION()", q->a->version);
}

static void
ask_gtid_pos(struct asked *q)
{
    one_value(q->c, "binlog_gtid_pos", NULL);
}

static void
ask_unknown_variable(struct asked *q)
{
    feed_packet_error(q->c, 1193, "HY000", "Unknown system variable");
}

/* SET @slave_connect_state='D-S-N,...' */
static void
set_connect_state(struct asked *q)
{
    const char *from = strchr(q->rest, '\'');
    const char *to = from == NULL ? NULL : strchr(from + 1, '\'');
    struct gtid_pos pos = {0};
    char *text;
    int rc;

    if (to == NULL) {
        feed_packet_error(q->c, 1064, "42000", "no quoted position");
        return;
    }
    text = xstrndup(from + 1, (size_t)(to - from - 1));
    rc = gtid_pos_parse(text, &pos);
    free(text);
    if (rc < 0) {
        err_clear();
        gtid_pos_free(&pos);
        feed_packet_error(q->c, 1941, "HY000", "Could not parse GTID list");
        return;
    }
    gtid_pos_free(&q->s->state);
    q->s->state = pos;
    q->s->has_state = true;
    feed_packet_ok(q->c);
}

/* SET @master_heartbeat_period= NANOSECONDS */
static void
set_heartbeat(struct asked *q)
{
    const char *from = q->rest + strspn(q->rest, " =");
    unsigned long long ns = strtoull(from, NULL, 10);

    if (*from < '0' || *from > '9') {
        feed_packet_error(q->c, 1064, "42000", "no number");
        return;
    }
    q->s->heartbeat_us = ns / 1000;
    feed_packet_ok(q->c);
}

static void
set_any(struct asked *q)
{
    feed_packet_ok(q->c);
}

/* The first row whose words begin the query. */
static const struct {
    const char *words;
    void (*answer)(struct asked *q);
} queries[] = {
    {"SELECT UNIX_TIMESTAMP()", ask_clock},
    {"SHOW VARIABLES LIKE 'SERVER_ID'", ask_server_id},
    {"SHOW VARIABLES LIKE", ask_variables},
    {"SELECT @master_binlog_checksum", ask_checksum},
    {"SELECT @@GLOBAL.gtid_domain_id", ask_domain},
    {"SELECT binlog_gtid_pos", ask_gtid_pos},
    {"SELECT VERSION()", ask_version},
    {"SELECT @@", ask_unknown_variable},
    {"SET @slave_connect_state", set_connect_state},
    {"SET @master_heartbeat_period", set_heartbeat},
    {"SET ", set_any},
};

static void
query_answer(struct feed_conn *c, struct cur in, const struct feed_answers *a,
    struct feed_session *s)
{
    char *sql = cur_str(&in, cur_left(&in));
    struct asked q = {.c = c, .a = a, .s = s};

    for (size_t i = 0; sql != NULL && i < NELEM(queries); i++) {
        size_t n = strlen(queries[i].words);

        if (strncasecmp(sql, queries[i].words, n) != 0)
            continue;
        log_debug("replay: the target asks: %.200s", sql);
        q.rest = sql + n;
        queries[i].answer(&q);
        free(sql);
        return;
    }
    log_debug("replay: the target asks, and is refused: %.200s",
        sql == NULL ? "" : sql);
    feed_packet_error(c, 1064, "42000",
        "this is a replay, which answers only what a replica asks");
    free(sql);
}

enum feed_command
feed_command(struct feed_conn *c, struct cur in,
    const struct feed_answers *answers, struct feed_session *s)
{
    uint8_t command = cur_u8(&in);

    if (in.bad)
        return FEED_QUIT;
    switch (command) {
    case COM_QUIT:
        return FEED_QUIT;
    case COM_QUERY:
        query_answer(c, in, answers, s);
        return FEED_ANSWERED;
    case COM_PING:
    case COM_REGISTER_SLAVE:
        feed_packet_ok(c);
        return FEED_ANSWERED;
    case COM_SET_OPTION:
        feed_packet_eof(c);
        return FEED_ANSWERED;
    case COM_BINLOG_DUMP:
        cur_u32(&in); /* position: none with GTIDs */
        s->annotated = (cur_u16(&in) & DUMP_ANNOTATE_ROWS) != 0;
        if (s->has_state)
            return FEED_DUMP;
        feed_packet_error(c, 1236, "HY000", "only a replica with GTIDs is fed");
        return FEED_ANSWERED;
    default:
        log_debug("replay: the target sends command %u", (unsigned)command);
        feed_packet_error(c, 1047, "08S01", "Unknown command");
        return FEED_ANSWERED;
    }
}

void
feed_session_free(struct feed_session *s)
{
    gtid_pos_free(&s->state);
    *s = (struct feed_session){0};
}
