/*
 * ship.c -- bring the vaults up to date.
 */
#include <inttypes.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "vaults.h"

struct ship_cmd {
    struct common common;
    bool once;
    const char *vault;
    uint64_t limit;
};

#define FIELD(f) offsetof(struct ship_cmd, f)
static const struct opt ship_opts[] = {
    {"once", 0, OPT_FLAG, FIELD(once), NULL, 0, 0, NULL,
        "end when all that is there now is on the vaults (for cron)", NULL},
    {"vault", 0, OPT_STR, FIELD(vault), NULL, 0, 0, "URL",
        "to this one, sftp://user@host/path, instead of the configuration's",
        "vault"},
    {"limit", 0, OPT_SIZE, FIELD(limit), NULL, 4096, 1ull << 40, "RATE",
        "bytes a second to each vault", "ship_limit"},
    {0}};

static int
report(const struct ship_report *r)
{
    char bytes[TIME_TEXT];
    struct buf text = {0};
    int rc;

    if (r->confirmed > 0)
        buf_fmt(&text, "read back %s, %" PRIu64 " object%s, as here\n",
            size_text(r->confirmed_bytes, bytes), r->confirmed,
            r->confirmed == 1 ? "" : "s");
    buf_fmt(&text, "shipped %s, %" PRIu64 " object%s, %" PRIu64 " backup%s\n",
        size_text(r->bytes, bytes), r->objects, r->objects == 1 ? "" : "s",
        r->backups, r->backups == 1 ? "" : "s");
    rc = report_news(&text);
    buf_free(&text);
    return rc;
}

static int
ship_cmd_run(void *arg)
{
    struct ship_cmd *o = arg;
    const struct conf_server *s = cmd_section(&o->common);
    struct ship_report r = {0};
    struct vaults *v;

    mem_for_long();
    if (s == NULL)
        return -1;
    struct vaults_conf conf = {
        .section = s, .only = o->vault, .once = o->once, .limit = o->limit};
    if (s->repository == NULL || !vaults_any(&conf)) {
        const char *key = s->repository == NULL ? "repository" : "vault";

        err_set(ERR_USAGE, "section [%s] does not say %s", s->name, key);
        return err_hint("Add \"%s = ...\" to it; see pitr.conf(5).", key);
    }
    if ((v = vaults_start(&conf)) == NULL || vaults_join(v, &r) < 0) {
        if (o->once)
            cmd_busy();
        return -1;
    }
    return report(&r);
}

const struct command cmd_ship = {
    .name = "ship",
    .help = "bring the vaults up to date",
    .usage = "",
    .opts = ship_opts,
    .size = sizeof(struct ship_cmd),
    .run = ship_cmd_run,
};
