/*
 * stream_connect.c -- a connection to the server's log: as whom, from where.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/digest.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "stream_impl.h"

#define ID_FIRST 0x70000000u /* where nobody numbers servers by hand */
#define ID_COUNT 0x0fffffffu
#define WHY_MAX 1000 /* characters of the reason of a gap */

void
origin_free(struct origin *o)
{
    free(o->why);
    gtid_pos_free(&o->gtid);
    free(o->file);
    memset(o, 0, sizeof *o);
}

static void
origin_set(
    struct origin *o, enum segment_cause cause, const char *file, uint64_t pos)
{
    origin_free(o);
    o->cause = cause;
    o->why = xstrdup("");
    o->file = xstrdup(file);
    o->pos = pos;
}

/* The position at a place in the log.  1; 0 where the server cannot tell. */
static int
origin_read_gtid(struct db *db, struct origin *o)
{
    struct buf quoted = {0};
    char *text = NULL;
    int rc;

    db_quote(&quoted, o->file, strlen(o->file));
    rc = db_value(db, &text, "SELECT BINLOG_GTID_POS(%s, %" PRIu64 ")",
        buf_cstr(&quoted), o->pos);
    if (rc > 0)
        rc = text == NULL ? 0 : gtid_pos_parse(text, &o->gtid) < 0 ? -1 : 1;
    free(text);
    buf_free(&quoted);
    return rc;
}

/* A new repository: from now on.  Any backup taken later is covered. */
static int
origin_first(struct db *db, struct origin *o)
{
    struct db_result r = {0};
    char *text = NULL;
    int rc = -1;

    if (db_query(db, &r, "SHOW MASTER STATUS") < 0)
        goto out;
    origin_set(o, SEGMENT_FIRST, r.rows > 0 ? db_cell(&r, 0, 0) : "",
        r.rows > 0 ? strtoull(db_cell(&r, 0, 1), NULL, 10) : 0);
    if ((rc = origin_read_gtid(db, o)) != 0)
        goto out;
    /* Then without the place, which only serves to tell logs apart. */
    origin_set(o, SEGMENT_FIRST, "", 0);
    rc = db_value(db, &text, "SELECT @@global.gtid_binlog_pos");
    if (rc > 0)
        rc = gtid_pos_parse(text == NULL ? "" : text, &o->gtid);

out:
    free(text);
    db_result_free(&r);
    return rc < 0 ? -1 : 0;
}

/* After a gap: from the begin of the oldest file that is there. */
static int
origin_gap(struct db *db, struct origin *o, const struct segment_tail *tail,
    const char *why)
{
    struct db_result r = {0};
    char *was = gtid_pos_text(&tail->state.gtid), *is = NULL;
    int rc = -1;

    if (db_query(db, &r, "SHOW BINARY LOGS") < 0)
        goto out;
    if (r.rows == 0) {
        err_set(ERR_FAILED, "%s: the server has no binary log", db_where(db));
        goto out;
    }
    origin_set(o, SEGMENT_GAP, db_cell(&r, 0, 0), 4);
    if ((rc = origin_read_gtid(db, o)) < 0)
        goto out;
    if (rc == 0) {
        rc = err_set(ERR_FAILED,
            "%s: the server cannot tell the GTID position "
            "at the begin of its file %s",
            db_where(db), o->file);
        goto out;
    }
    is = gtid_pos_text(&o->gtid);
    free(o->why);
    o->why = xasprintf("%.*s; it was read up to '%.*s', and is read again from "
                       "'%.*s' on (file %s)",
        WHY_MAX, why, WHY_MAX, was, WHY_MAX, is, o->file);
    rc = 0;

out:
    free(was);
    free(is);
    db_result_free(&r);
    return rc;
}

static int
origin_choose(struct stream *s)
{
    const struct segment_tail *t = &s->tail;
    int rc = 1;

    if (t->name == NULL)
        return origin_first(s->side, &s->from);
    if (s->gap == NULL &&
        (rc = identity_check_log(s->side, &s->server, t, &s->gap)) < 0)
        return -1;
    if (s->gap != NULL)
        return origin_gap(s->side, &s->from, t, s->gap);
    origin_set(
        &s->from, SEGMENT_NEXT, t->state.source_file, t->state.source_pos);
    gtid_pos_copy(&s->from.gtid, &t->state.gtid);
    return 0;
}

/* Is that number taken, as far as we may know? */
static bool
id_taken(struct stream *s, uint32_t id)
{
    struct db_result r = {0};
    bool taken = id == s->server.server_id;

    if (db_query(s->side, &r, "SHOW SLAVE HOSTS") < 0)
        err_clear(); /* not granted; the server will say so if it is taken */
    for (size_t i = 0; i < r.rows; i++) {
        const char *cell = db_cell(&r, i, 0);

        taken = taken || (cell != NULL && strtoul(cell, NULL, 10) == id);
    }
    db_result_free(&r);
    return taken;
}

static int
id_choose(struct stream *s)
{
    uint32_t n;

    if (s->conf->server_id != 0) {
        s->server_id = s->conf->server_id;
        if (s->server_id != s->server.server_id)
            return 0;
        err_set(ERR_USAGE,
            "the stream's server_id %" PRIu32 " is that of the "
            "server itself",
            s->server_id);
        return err_hint("Give it another, or none: one is chosen then.");
    }
    while (s->server_id == 0 || id_taken(s, s->server_id)) {
        random_bytes(&n, sizeof n);
        s->server_id = ID_FIRST + n % ID_COUNT;
    }
    return 0;
}

static int
repl_start(struct stream *s)
{
    struct repl_conf conf = {.server_id = s->server_id,
        .start = s->from.gtid, /* lent */
        .heartbeat_us = s->heartbeat_us,
        .until_end = s->conf->once,
        .semisync = s->conf->semisync && !s->conf->once};
    struct db *db = db_open(&s->source, "source");
    char *text;

    if (db == NULL || (s->repl = repl_open(db, &conf)) == NULL)
        return -1;
    text = gtid_pos_text(&s->from.gtid);
    log_info("reading the binary log of server %" PRIu32 " (%s) after '%s'",
        s->server.server_id, s->server.version, text);
    free(text);
    return 0;
}

int
stream_connect(struct stream *s)
{
    stream_disconnect(s);
    s->checked = false;
    if ((s->side = db_open(&s->source, "source")) == NULL)
        return -1;
    identity_free(&s->server);
    if (identity_read(s->side, &s->server) < 0 || id_choose(s) < 0 ||
        origin_choose(s) < 0 || caught_ask(s) < 0)
        return -1;
    return repl_start(s);
}

void
stream_disconnect(struct stream *s)
{
    repl_close(s->repl);
    s->repl = NULL;
    db_close(s->side);
    s->side = NULL;
    caught_forget(&s->caught);
    s->ack.since_us = 0;
}
