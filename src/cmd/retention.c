/*
 * retention.c -- applying the retention, with the section's vaults asked for
 * what is there.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/opt.h"
#include "pitr/times.h"
#include "retention.h"
#include "vaults.h"

struct copies {
    struct expire_vault *v;
    size_t n, cap;
};

static struct repo *
vault_open(const char *url, const struct conf_server *s)
{
    struct store_sftp_conf ssh = vaults_ssh(s);
    struct store *store = store_open_sftp(url, &ssh);
    struct repo *r =
        store == NULL ? NULL : repo_open_store(store, s->name, NULL);

    if (r == NULL) {
        char *prefix = vaults_prefix(url);

        log_warn("%s%s. What may not be there stays here", prefix, err_text());
        free(prefix);
        err_clear();
    }
    return r;
}

static void
copies_open(const struct conf_server *s, struct copies *c)
{
    const char *p;
    char *url;

    if (s == NULL || s->vault == NULL)
        return;
    p = s->vault;
    while ((url = vaults_next(&p)) != NULL) {
        c->v = xgrow(c->v, c->n, &c->cap, sizeof *c->v);
        c->v[c->n++] =
            (struct expire_vault){.url = url, .repo = vault_open(url, s)};
    }
}

static void
copies_close(struct copies *c)
{
    for (size_t i = 0; i < c->n; i++) {
        repo_close(c->v[i].repo);
        free((char *)c->v[i].url);
    }
    free(c->v);
}

struct retention
retention_of(const struct conf_server *s)
{
    struct retention r = {.section = s,
        .policy = {.keep_us = s->keep_us,
            .count = s->keep_count,
            .daily = s->keep_daily,
            .weekly = s->keep_weekly,
            .monthly = s->keep_monthly,
            .minimum = s->minimum},
        .keep_local_us = s->keep_local_us};
    static const struct opt keep = {.name = "keep", .type = OPT_DURATION},
                            minimum = {.name = "minimum", .type = OPT_UINT};

    if (r.policy.keep_us == 0)
        opt_set(&keep, RETENTION_KEEP, keep.name, &r.policy.keep_us);
    if (r.policy.minimum == 0)
        opt_set(&minimum, RETENTION_MINIMUM, minimum.name, &r.policy.minimum);
    return r;
}

int
retention_run(
    const struct retention *c, struct repo *repo, struct expire_report *out)
{
    struct expire_conf conf = {.repo = repo,
        .policy = &c->policy,
        .keep_local_us = c->keep_local_us,
        .release_us = c->section == NULL || c->section->signing_key == NULL
            ? c->policy.keep_us
            : 0,
        .now_us = time_now_us(),
        .dry_run = c->dry_run};
    struct copies copies = {0};
    int rc;

    memset(out, 0, sizeof *out);
    copies_open(c->section, &copies);
    conf.vault = copies.v;
    conf.vaults = copies.n;
    /* A retention that counts on copies, and there are none? */
    if (c->keep_local_us != 0 && copies.n == 0) {
        err_set(ERR_USAGE, "keep_local is for a repository that has a vault");
        rc = err_hint("Without one, what is here is all there is: \"keep\" "
                      "says how long it stays. Or add \"vault = ...\"; see "
                      "pitr.conf(5).");
    } else {
        rc = expire_run(&conf, out);
    }
    copies_close(&copies);
    return rc;
}
