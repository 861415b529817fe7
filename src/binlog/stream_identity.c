/*
 * stream_identity.c -- is this still the log of which the repository holds the
 * beginning?
 *
 * A GTID that the server knows is not enough: after a RESET MASTER numbers
 * start again, and a server accepts any position in a domain of which its log
 * has nothing.  So three things are compared, each where it can be:
 *
 * - the GTID position at the recorded place in the recorded file
 *   (BINLOG_GTID_POS), for the same server, and for one of the same server_id
 *   on another machine, whose own numbers are the same again;
 * - the time at which that file was begun, as its Format_description tells: the
 *   same statements after a RESET MASTER make the same positions;
 * - the domains: a log that has nothing of any of ours is another one.
 *
 * What else is missing the server says itself (1236) when it is asked for the
 * position: sql/sql_repl.cc, check_slave_start_position() and
 * gtid_find_binlog_file().
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "stream_impl.h"

#define SOON_US 1000000

void
identity_free(struct identity *i)
{
    free(i->uid);
    free(i->version);
    memset(i, 0, sizeof *i);
}

static void
identity_variable(struct identity *i, const char *name, const char *value)
{
    if (strcasecmp(name, "server_uid") == 0 && i->uid == NULL)
        i->uid = xstrdup(value);
    if (strcasecmp(name, "wsrep_on") == 0)
        i->node = strcasecmp(value, "ON") == 0;
    if (strcasecmp(name, "wsrep_gtid_mode") == 0)
        i->numbers = strcasecmp(value, "ON") == 0;
}

int
identity_read(struct db *db, struct identity *out)
{
    struct db_result r = {0};
    uint64_t id = 0, log_bin = 0;
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (db_value_u64(db, &id, "SELECT @@global.server_id") < 0 ||
        db_value_u64(db, &log_bin, "SELECT @@global.log_bin") < 0 ||
        /* Asked for in a way that may fail to find them: server_uid is there
         * since 10.11.9 or so. */
        db_query(db, &r,
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uid', "
            "'wsrep_on', 'wsrep_gtid_mode')") < 0)
        goto out;
    if (log_bin == 0) {
        err_set(ERR_FAILED, "%s: the binary log is off", db_where(db));
        err_hint("Set log_bin in the server's configuration (and "
                 "binlog_format=ROW or MIXED), and restart it.");
        goto out;
    }
    out->server_id = (uint32_t)id;
    for (size_t i = 0; i < r.rows; i++)
        identity_variable(out, db_text(&r, i, 0), db_text(&r, i, 1));
    if (out->uid == NULL)
        out->uid = xstrdup("");
    out->version = xstrdup(db_version_text(db));
    rc = 0;

out:
    db_result_free(&r);
    return rc;
}

bool
identity_same(const struct identity *i, const struct segment_start *start)
{
    bool known = i->uid[0] != '\0' && start->server_uid[0] != '\0';

    return i->server_id == start->server_id &&
        (!known || strcmp(i->uid, start->server_uid) == 0);
}

/* The same one; or one that has its numbers, as a copy of it on another
 * machine, and no node of a cluster, which may have the same server_id. */
static bool
has_same_files(const struct identity *i, const struct segment_start *start)
{
    return identity_same(i, start) ||
        (i->server_id == start->server_id && !i->node);
}

/* The number of a binlog file; 0 if it has another base name than `like`. */
static uint64_t
file_number(const char *file, const char *like)
{
    const char *dot = strrchr(file, '.'), *other = strrchr(like, '.');

    if (dot == NULL || other == NULL || dot - file != other - like ||
        strncmp(file, like, (size_t)(dot - file)) != 0 ||
        dot[1 + strspn(dot + 1, "0123456789")] != '\0')
        return 0;
    return strtoull(dot + 1, NULL, 10);
}

static int
pos_of_place(struct db *db, const char *file, uint64_t pos,
    struct gtid_pos *out, bool *known)
{
    struct buf quoted = {0};
    char *text = NULL;
    int rc;

    gtid_pos_free(out);
    db_quote(&quoted, file, strlen(file));
    rc = db_value(db, &text, "SELECT BINLOG_GTID_POS(%s, %" PRIu64 ")",
        buf_cstr(&quoted), pos);
    *known = rc > 0 && text != NULL;
    if (*known && gtid_pos_parse(text, out) < 0)
        rc = -1;
    free(text);
    buf_free(&quoted);
    return rc < 0 ? -1 : 0;
}

/*
 * Is what the server has at our place what we have?  It may have less domains
 * than we where one was deleted (FLUSH BINARY LOGS DELETE_DOMAIN_ID), but then
 * its log has nothing of that domain now.
 */
static bool
pos_agrees(const struct gtid_pos *theirs, const struct gtid_pos *ours,
    const struct gtid_pos *newest)
{
    if (theirs->n == 0 && ours->n > 0)
        return false;
    for (size_t i = 0; i < theirs->n; i++) {
        const struct gtid *g = gtid_pos_get(ours, theirs->v[i].domain);

        if (g == NULL || !gtid_equal(g, &theirs->v[i]))
            return false;
    }
    for (size_t i = 0; i < ours->n; i++) {
        uint32_t domain = ours->v[i].domain;

        if (gtid_pos_get(theirs, domain) == NULL &&
            gtid_pos_get(newest, domain) != NULL)
            return false;
    }
    return true;
}

/*
 * The place as it is recorded, in a file of the server's list.  That list
 * itself (SHOW BINARY LOGS) is not told while a group of commits waits for
 * another that waits for us; this is (sql/sql_repl.cc,
 * gtid_state_from_binlog_pos(), takes the lock of the list alone).  1, 0, 2: it
 * knows no such place; -1.
 */
static int
check_place(struct db *db, const struct segment_state *state,
    const struct gtid_pos *newest)
{
    struct gtid_pos is = {0};
    bool known = false;
    int rc =
        pos_of_place(db, state->source_file, state->source_pos, &is, &known);

    if (rc == 0)
        rc = !known ? 2 : pos_agrees(&is, &state->gtid, newest);
    gtid_pos_free(&is);
    return rc;
}

/*
 * The file is there, and the place in it has not what we have, or is unknown. 0
 * with *why; 2: that cannot be told; -1.  Positions have 32 bits, in events as
 * well as in the question: a larger file tells nothing.
 */
static int
check_why(struct db *db, const struct segment_state *state, uint64_t size,
    bool unknown, char **why)
{
    struct gtid_pos is = {0};
    bool known = false;

    if (size > UINT32_MAX)
        return 2;
    if (unknown && state->source_pos <= size) {
        /* No event ends there; or the server cannot read the file so. */
        if (pos_of_place(db, state->source_file, 4, &is, &known) < 0)
            return -1;
        gtid_pos_free(&is);
        if (!known)
            return 2;
    }
    *why = xasprintf("the server's file %s is not the one that was read up to "
                     "byte %" PRIu64 " (RESET MASTER, a restored server, or "
                     "the end of its log was lost in a crash)",
        state->source_file, state->source_pos);
    return 0;
}

int
identity_check_files(struct db *db, const struct segment_state *state,
    const struct gtid_pos *newest, char **why)
{
    struct db_result r = {0};
    const char *file = state->source_file, *last;
    int rc = -1, at;

    if (state->source_pos == 0)
        return 2;
    at = check_place(db, state, newest);
    if (at == 1 || at < 0)
        return at;
    if (db_query(db, &r, "SHOW BINARY LOGS") < 0)
        goto out;
    rc = 2;
    for (size_t i = 0; i < r.rows; i++) {
        if (strcmp(db_text(&r, i, 0), file) != 0)
            continue;
        rc = check_why(
            db, state, strtoull(db_text(&r, i, 1), NULL, 10), at == 2, why);
        goto out;
    }
    last = r.rows > 0 ? db_text(&r, r.rows - 1, 0) : "";
    if (r.rows > 0 && file_number(last, file) == 0) {
        *why = xasprintf("the server's log has files of another name (%s) than "
                         "%s, which was read before: whether it is the same "
                         "log cannot be told (log_bin was changed, or the "
                         "server was restored)",
            last, file);
        rc = 0;
    } else if (r.rows > 0 &&
        file_number(last, file) < file_number(file, file)) {
        *why = xasprintf("the server's newest file is %s, but %s was read "
                         "before (RESET MASTER or a restored server)",
            last, file);
        rc = 0;
    }

out:
    db_result_free(&r);
    return rc;
}

/*
 * Another server replicates, and has not come to our position yet: as when it
 * is about to take over, or an address was moved to it too early.  It would say
 * that it has no such position, for which no gap is to be made.
 */
static int
check_behind(struct db *db, const struct gtid_pos *ours,
    const struct gtid_pos *newest, const struct gtid_pos *applied)
{
    struct db_result r = {0};
    const struct gtid *behind = NULL;
    char text[GTID_TEXT];
    bool runs;

    for (size_t i = 0; i < ours->n && behind == NULL; i++) {
        uint32_t domain = ours->v[i].domain;
        bool known = gtid_pos_get(newest, domain) != NULL ||
            gtid_pos_get(applied, domain) != NULL;

        if (known && !gtid_pos_includes(newest, &ours->v[i]) &&
            !gtid_pos_includes(applied, &ours->v[i]))
            behind = &ours->v[i];
    }
    if (behind == NULL)
        return 0;
    if (db_query(db, &r, "SHOW GLOBAL STATUS LIKE 'Slaves_running'") < 0)
        return -1;
    runs = strtoull(db_text(&r, 0, 1), NULL, 10) > 0;
    db_result_free(&r);
    if (!runs)
        return 0;
    err_set(ERR_UNREACHABLE,
        "%s: the server is a replica that has not come to %s yet, up to which "
        "the log was read",
        db_where(db), gtid_text(behind, text));
    return err_hint("Once it has, or is no replica any more, the stream goes "
                    "on by itself.");
}

/*
 * Another server has applied more or less of a domain than we have, and nothing
 * of it is in its log (log_slave_updates was off).  It would send us what comes
 * next all the same, as of a domain that it does not serve, and would refuse
 * only with its first own transaction there.
 */
static int
check_applied(const struct gtid_pos *ours, const struct gtid_pos *newest,
    const struct gtid_pos *applied, char **why)
{
    char is[GTID_TEXT], was[GTID_TEXT];

    for (size_t i = 0; i < ours->n; i++) {
        const struct gtid *g = gtid_pos_get(applied, ours->v[i].domain);

        if (g == NULL || gtid_equal(g, &ours->v[i]) ||
            gtid_pos_get(newest, ours->v[i].domain) != NULL)
            continue;
        *why = xasprintf("the server is at %s as a replica, which its log does "
                         "not have (log_slave_updates is off, or its log was "
                         "begun anew), and the log was read up to %s",
            gtid_text(g, is), gtid_text(&ours->v[i], was));
        return 0;
    }
    return 1;
}

/* Domains: `all` of ours have to be known to another server, which shall have
 * taken over; at least one to the same. */
static int
check_domains(const struct gtid_pos *ours, const struct gtid_pos *newest,
    const struct gtid_pos *applied, bool all, char **why)
{
    size_t known = 0;
    char *is, *was;

    for (size_t i = 0; i < ours->n; i++) {
        uint32_t domain = ours->v[i].domain;

        known += gtid_pos_get(newest, domain) != NULL ||
            gtid_pos_get(applied, domain) != NULL;
    }
    if (ours->n == 0 || known == ours->n || (!all && known > 0))
        return 1;
    is = gtid_pos_text(newest);
    was = gtid_pos_text(ours);
    *why = xasprintf("the server's log, which is at '%s', has nothing of what "
                     "was read up to '%s' (RESET MASTER or another server)",
        is, was);
    free(is);
    free(was);
    return 0;
}

static int
pos_read(struct db *db, const char *variable, struct gtid_pos *out)
{
    char *text = NULL;
    int rc = db_value(db, &text, "SELECT @@global.%s", variable);

    if (rc >= 0)
        rc = gtid_pos_parse(text == NULL ? "" : text, out);
    free(text);
    return rc < 0 ? -1 : 0;
}

/* A node gives the same transaction another GTID than the others, unless told
 * to give the same, and then the same server_id, too. */
static int
check_node(const struct identity *i, const struct gtid_pos *ours, char **why)
{
    char *was;

    if (!i->node || i->numbers)
        return 1;
    was = gtid_pos_text(ours);
    *why = xasprintf("the server is another node of a Galera cluster, in which "
                     "each gives GTIDs of its own (wsrep_gtid_mode is off): "
                     "those up to '%s' say nothing there",
        was);
    free(was);
    return 0;
}

static void
tell_other(const struct identity *i, const struct segment_start *start)
{
    if (i->server_id == start->server_id)
        log_warn("the server has server_id %" PRIu32 " as before, but another "
                 "server_uid (%s, not %s): it was moved, or is another one, "
                 "and its log has to go on from the same position",
            i->server_id, i->uid, start->server_uid);
    else
        log_info("the server is another one (server_id %" PRIu32
                 ", before %" PRIu32 "); its log has to go on from the same "
                 "position",
            i->server_id, start->server_id);
}

/* Of a server that may wait for us: what it does not answer soon is asked
 * further, and *later is left. */
static int
check_files_soon(const struct db_conf *source,
    const struct segment_state *state, const struct gtid_pos *newest,
    struct later **later, char **why)
{
    int rc;

    if ((*later = later_start(source, state, newest)) == NULL)
        return -1;
    if ((rc = later_result(*later, SOON_US, why)) == LATER_OPEN) {
        log_info("the server does not tell its files now; they are compared "
                 "as soon as it does");
        return 2;
    }
    later_free(*later);
    *later = NULL;
    return rc;
}

int
identity_check_log(struct db *db, const struct db_conf *waits,
    const struct identity *i, const struct segment_tail *tail,
    struct later **later, char **why)
{
    struct gtid_pos newest = {0}, applied = {0};
    bool same = identity_same(i, &tail->start);
    bool twin = has_same_files(i, &tail->start);
    int rc = -1;

    if (pos_read(db, "gtid_binlog_pos", &newest) < 0 ||
        pos_read(db, "gtid_slave_pos", &applied) < 0)
        goto out;
    if (!same && check_behind(db, &tail->state.gtid, &newest, &applied) < 0)
        goto out;
    if (!same)
        tell_other(i, &tail->start);
    rc = 2;
    if (!same && check_node(i, &tail->state.gtid, why) == 0)
        rc = 0;
    if (twin)
        rc = waits != NULL
            ? check_files_soon(waits, &tail->state, &newest, later, why)
            : identity_check_files(db, &tail->state, &newest, why);
    if (rc == 2 &&
        (rc = check_domains(&tail->state.gtid, &newest, &applied, !same, why)) >
            0)
        rc = 2;
    if (rc == 2 && !same &&
        (rc = check_applied(&tail->state.gtid, &newest, &applied, why)) > 0)
        rc = 2;

out:
    gtid_pos_free(&newest);
    gtid_pos_free(&applied);
    return rc;
}

int
identity_check_file(const struct identity *i, const struct segment_tail *tail,
    const char *file, uint32_t created, char **why)
{
    const struct segment_start *start = &tail->start;
    const struct segment_state *state = &tail->state;
    uint64_t number = file_number(file, state->source_file);

    if (!has_same_files(i, start))
        return 1;
    if (strcmp(file, start->source_file) == 0 &&
        created != start->source_created) {
        *why = xasprintf("the server's file %s was begun at another time than "
                         "the one of that name that was read (RESET MASTER or "
                         "a restored server)",
            file);
        return 0;
    }
    if (state->source_pos > 0 && number > 0 &&
        number < file_number(state->source_file, state->source_file)) {
        *why = xasprintf("the server goes on in %s, but %s was read before "
                         "(RESET MASTER or a restored server)",
            file, state->source_file);
        return 0;
    }
    return 1;
}

/*
 * Positions in events are of 32 bits: in a larger file they tell nothing.  Of a
 * transaction further on it cannot be told, as what is not part of one may lie
 * between.
 */
int
identity_check_place(const struct segment_tail *tail, const char *file,
    const struct event *first, char **why)
{
    const struct segment_state *state = &tail->state;
    uint64_t at = first->end_pos - (uint64_t)first->size;

    if (state->source_pos > INT32_MAX || first->end_pos < first->size ||
        strcmp(file, state->source_file) != 0 || at >= state->source_pos)
        return 1;
    *why = xasprintf("the server's file %s has a transaction at byte %" PRIu64
                     ", and was read up to byte %" PRIu64
                     " before (RESET MASTER, a restored server, or the end of "
                     "its log was lost in a crash)",
        file, at, state->source_pos);
    return 0;
}
