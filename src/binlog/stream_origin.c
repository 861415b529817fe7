/*
 * stream_origin.c -- from where the server's log is read.
 *
 * Where the repository's log ends; after a gap, from the oldest file that the
 * server has.  Where there is no log yet: from the newest backup's position, so
 * that the backup is covered, or from now on if there is none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/catalog.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "stream_impl.h"

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

/* From now on.  Any backup taken later is covered. */
static int
origin_now(struct db *db, struct origin *o)
{
    struct db_result r = {0};
    char *text = NULL;
    int rc = -1;

    if (db_query(db, &r, "SHOW MASTER STATUS") < 0)
        goto out;
    origin_set(o, SEGMENT_FIRST, db_text(&r, 0, 0),
        strtoull(db_text(&r, 0, 1), NULL, 10));
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

/* Of a server that may wait for us. */
static const struct db_conf *
waits(const struct stream *s)
{
    return s->conf->semisync ? &s->source : NULL;
}

/* The name of the oldest file; "", which stands for it where a place is asked
 * for, of a server that may wait for us, as it may not tell its list then. */
static int
oldest_file(struct stream *s, char **name)
{
    struct db_result r;

    *name = NULL;
    if (waits(s) == NULL) {
        if (db_query(s->side, &r, "SHOW BINARY LOGS") < 0)
            return -1;
        *name = xstrdup(db_text(&r, 0, 0));
        db_result_free(&r);
    } else {
        *name = xstrdup("");
    }
    return 0;
}

/* After a gap: from the begin of the oldest file that is there. */
static int
origin_gap(struct stream *s, enum segment_cause cause,
    const struct segment_tail *tail, const char *why)
{
    struct origin *o = &s->from;
    char *was = gtid_pos_text(&tail->state.gtid), *is = NULL, *file;
    const char *of;
    int rc = -1;

    if (oldest_file(s, &file) < 0)
        goto out;
    origin_set(o, cause, file, 4);
    if ((rc = origin_read_gtid(s->side, o)) < 0)
        goto out;
    if (rc == 0) {
        rc = err_set(ERR_FAILED,
            "%s: the server cannot tell the GTID position "
            "at the begin of its oldest file %s",
            db_where(s->side), o->file);
        goto out;
    }
    is = gtid_pos_text(&o->gtid);
    of = file[0] != '\0' ? "file " : "its oldest file";
    free(o->why);
    o->why = cause == SEGMENT_FIRST
        ? xasprintf("%.*s; the newest backup is at '%.*s', and the log is read "
                    "from '%.*s' on (%s%s)",
              WHY_MAX, why, WHY_MAX, was, WHY_MAX, is, of, o->file)
        : xasprintf("%.*s; it was read up to '%.*s', and is read again from "
                    "'%.*s' on (%s%s)",
              WHY_MAX, why, WHY_MAX, was, WHY_MAX, is, of, o->file);
    rc = 0;

out:
    free(was);
    free(is);
    free(file);
    return rc;
}

/*
 * The newest backup, as if the log had been read up to its snapshot: then the
 * same questions tell whether the server still has what comes next.  1; 0 where
 * there is none, or none that can be read, which was warned of; -1.
 */
static int
newest_backup(struct stream *s, struct segment_tail *out)
{
    struct catalog *c = catalog_load(s->conf->repo);
    const struct backup_info *b = NULL;

    memset(out, 0, sizeof *out);
    if (c == NULL && err_kind() != ERR_VERIFY)
        return -1;
    if (c == NULL) {
        log_warn("the log is not begun at a backup: %s", err_text());
        err_clear();
        return 0;
    }
    for (size_t i = 0; i < c->backups; i++)
        if (b == NULL || c->backup[i].snapshot_us >= b->snapshot_us)
            b = &c->backup[i];
    if (b != NULL) {
        out->start.server_id = b->server_id;
        out->start.server_uid = xstrdup("");
        out->state.source_file = xstrdup(b->source_file);
        out->state.source_pos = b->source_pos;
        gtid_pos_copy(&out->state.gtid, &b->gtid);
        out->name = xstrdup(b->id);
    }
    catalog_free(c);
    return b != NULL;
}

/* There is no log yet. */
static int
origin_first(struct stream *s)
{
    struct segment_tail backup = {0};
    int rc = newest_backup(s, &backup);

    if (rc == 0)
        rc = origin_now(s->side, &s->from);
    else if (rc > 0 && s->gap == NULL)
        rc = identity_check_log(
            s->side, waits(s), &s->server, &backup, &s->later, &s->gap);
    if (rc >= 0 && backup.name != NULL && s->gap != NULL) {
        rc = origin_gap(s, SEGMENT_FIRST, &backup, s->gap);
    } else if (rc >= 0 && backup.name != NULL) {
        log_info("the log is begun at backup %s", backup.name);
        origin_set(&s->from, SEGMENT_FIRST, backup.state.source_file,
            backup.state.source_pos);
        gtid_pos_copy(&s->from.gtid, &backup.state.gtid);
    }
    segment_tail_free(&backup);
    return rc < 0 ? -1 : 0;
}

int
origin_choose(struct stream *s)
{
    const struct segment_tail *t = &s->tail;
    int rc = 0;

    s->agrees = false;
    if (t->name == NULL)
        return origin_first(s);
    if (s->gap == NULL &&
        (rc = identity_check_log(
             s->side, waits(s), &s->server, t, &s->later, &s->gap)) < 0)
        return -1;
    s->agrees = rc == 1;
    if (s->gap != NULL)
        return origin_gap(s, SEGMENT_GAP, t, s->gap);
    origin_set(
        &s->from, SEGMENT_NEXT, t->state.source_file, t->state.source_pos);
    gtid_pos_copy(&s->from.gtid, &t->state.gtid);
    return 0;
}
