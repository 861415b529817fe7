/*
 * restore_target.c -- the server that a restore goes into: a sandbox of its
 * own, a section of the configuration, or one named by options.
 */
#include <stdlib.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/sandbox.h"

struct restore_target {
    struct cmd_conn conn;
    struct sandbox *sandbox; /* NULL: a running server */
};

int
restore_target_check(const struct restore_target_conf *c)
{
    bool direct = c->host != NULL || c->socket != NULL;
    int n = (c->sandbox != NULL) + (c->section != NULL) + direct;

    if (n == 1)
        return 0;
    err_set(ERR_USAGE,
        n == 0 ? "it is not said where to restore to"
               : "several places to restore to are said");
    return err_hint("Give one of --sandbox DIR (a private server that pitr "
                    "starts there), --target SECTION, or --socket / --host "
                    "of a running server without these schemas.");
}

struct restore_target *
restore_target_open(const struct restore_target_conf *c)
{
    struct restore_target *t = xcalloc(1, sizeof *t);
    struct conf_server direct = {.host = c->host,
        .socket = c->socket,
        .port = c->port,
        .user = c->user,
        .password_file = c->password_file};

    if (c->sandbox != NULL) {
        t->sandbox = sandbox_start(c->sandbox, c->mariadbd, c->like);
        if (t->sandbox != NULL)
            return t;
    } else if (cmd_conn_open(
                   c->section != NULL ? c->section : &direct, &t->conn) == 0) {
        return t;
    }
    free(t);
    return NULL;
}

const struct db_conf *
restore_target_db(const struct restore_target *t)
{
    return t->sandbox != NULL ? sandbox_conf(t->sandbox) : &t->conn.conf;
}

void
restore_target_close(struct restore_target *t, bool ok)
{
    if (t == NULL)
        return;
    if (t->sandbox != NULL && ok) {
        if (sandbox_leave(t->sandbox) < 0)
            log_warn("%s", err_text());
    } else if (t->sandbox != NULL) {
        struct err_saved *first = err_take(); /* what failed before */

        sandbox_stop(t->sandbox);
        err_clear();
        err_put(first);
    }
    cmd_conn_free(&t->conn);
    free(t);
}
