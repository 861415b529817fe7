/*
 * list.c -- what a repository holds, and what can be restored from it.
 */
#include "cmd.h"
#include "pitr/err.h"
#include "pitr/log.h"

struct list {
    struct common common;
    const char *repository, *expect, *state;
    bool json;
};

#define FIELD(f) offsetof(struct list, f)
static const struct opt list_opts[] = {
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "of this repository, without a configuration", NULL},
    CMD_HEAD_OPTS(struct list),
    {"json", 0, OPT_FLAG, FIELD(json), NULL, 0, 0, NULL, "for scripts", NULL},
    {0}};

/* All was listed; but damage must not go unnoticed in a script. */
static int
conclude(const struct catalog *c)
{
    if (c->breaks == 0)
        return 0;
    err_set(ERR_VERIFY,
        "the log is broken in %zu place%s: no moment within "
        "can be restored",
        c->breaks, c->breaks == 1 ? "" : "s");
    return err_hint("\"pitr verify\" names all that is damaged. Take it from "
                    "another copy of the repository, and look at this disk; "
                    "make a new backup now.");
}

/* Who looks for an older one has to know where. */
static void
put_away(const struct repo *repo, struct buf *out)
{
    size_t n;

    if (expire_away(repo, &n) < 0) {
        log_warn("%s", err_text());
        err_clear();
    }
    if (n > 0)
        buf_fmt(out,
            "\n%zu older backup%s, and the log from there on, went from here: "
            "--repository sftp://... lists a vault's\n",
            n, n == 1 ? "" : "s");
}

static int
list_run(void *arg)
{
    struct list *o = arg;
    struct repo *repo = cmd_repo_read(&o->common, o->repository);
    struct catalog *c = NULL;
    struct pins pins = {0};
    struct buf text = {0};
    struct err_saved *behind = NULL;
    struct head head;
    int rc = -1;

    if (repo == NULL || (c = catalog_load(repo)) == NULL ||
        pins_load(repo, &pins) < 0)
        goto out;
    if (head_of(repo, c, &head) < 0)
        goto out;
    /* All is listed all the same. */
    if (cmd_head(repo, c, o->expect, o->state, NULL) < 0) {
        if (err_kind() != ERR_VERIFY)
            goto out;
        behind = err_take();
    }
    if (o->json)
        list_json(repo, c, &pins, &head, &text);
    else {
        list_text(repo, c, &pins, &head, &text);
        put_away(repo, &text);
    }
    if (report_out(&text) == 0)
        rc = behind != NULL ? err_put(behind) : conclude(c);
    else
        err_saved_free(behind);

out:
    buf_free(&text);
    pins_free(&pins);
    catalog_free(c);
    repo_close(repo);
    return rc;
}

const struct command cmd_list = {
    .name = "list",
    .help = "backups, log, and the moments that can be restored",
    .usage = "",
    .opts = list_opts,
    .size = sizeof(struct list),
    .run = list_run,
};
