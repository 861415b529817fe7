/*
 * stream_connect.c -- a connection to the server's log.
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
        .semisync = s->conf->semisync && !s->conf->once && ack_may_begin(s)};
    struct db *db = db_open(&s->source, "source");
    char *text;

    if (s->conf->durable != NULL)
        conf.wake_fd = ship_watch_fd(s->conf->durable);
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
    s->placed = s->from.cause != SEGMENT_NEXT ||
        !identity_same(&s->server, &s->tail.start);
    return repl_start(s);
}

void
stream_disconnect(struct stream *s)
{
    repl_close(s->repl);
    s->repl = NULL;
    db_close(s->side);
    s->side = NULL;
    later_free(s->later);
    s->later = NULL;
    caught_forget(&s->caught);
    ack_forget(s);
}
