/*
 * keep.c -- pin a backup, so that it never expires; or no longer.
 */
#include "cmd.h"
#include "pitr/err.h"
#include "pitr/expire.h"

struct keep {
    struct common common;
    const char *repository;
    bool remove;
};

#define FIELD(f) offsetof(struct keep, f)
static const struct opt keep_opts[] = {
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "of this repository, without a configuration", NULL},
    {"remove", 0, OPT_FLAG, FIELD(remove), NULL, 0, 0, NULL,
        "let it expire as others do", NULL},
    {0}};

/* The section's with its key, so that the pin is signed, and shipped. */
static struct repo *
open_repo(const struct keep *o)
{
    const struct conf_server *s = o->common.section;

    if (o->repository == NULL && s != NULL && s->signing_key != NULL)
        return cmd_repo_write(s);
    return cmd_repo_read(&o->common, o->repository);
}

static int
keep_run(void *arg)
{
    struct keep *o = arg;
    struct repo *repo = NULL;
    struct lock *lock = NULL;
    struct buf text = {0};
    const char *id;
    int rc = -1;

    if (o->common.n_args != 1) {
        err_set(ERR_USAGE, "which backup?");
        err_hint("\"pitr list\" shows their ids: pitr keep ID");
        return -1;
    }
    id = o->common.args[0];
    /* An expire that is at work has its plan already. */
    if ((repo = open_repo(o)) == NULL ||
        (!o->remove && repo_lock_reading(repo, "keep", &lock) < 0))
        goto out;
    rc = o->remove ? pin_remove(repo, id) : pin_add(repo, id);
    if (rc < 0)
        goto out;
    if (o->remove)
        buf_fmt(&text, "backup %s %s\n", id,
            rc == 1 ? "was not pinned" : "is pinned no longer");
    else
        buf_fmt(&text, "backup %s %s pinned: it does not expire\n", id,
            rc == 1 ? "was already" : "is");
    rc = report_news(&text);

out:
    buf_free(&text);
    lock_free(lock);
    repo_close(repo);
    return rc;
}

const struct command cmd_keep = {
    .name = "keep",
    .help = "pin a backup, so that it never expires",
    .usage = "ID",
    .opts = keep_opts,
    .size = sizeof(struct keep),
    .max_args = 1,
    .run = keep_run,
};
