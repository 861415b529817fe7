/*
 * status.c -- is everything protected, as far as can be seen from here?
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "pitr/utf8.h"
#include "status.h"
#include "vaults.h"

struct status {
    struct common common;
    const char *repository, *metrics_file;
    bool json, prometheus, zabbix;
    uint64_t backup_age_us, verify_age_us, lag_us, vault_lag_us;
    unsigned shrink_percent, free_percent;
};

#define YEAR_US (366 * 86400000000ull)
#define FIELD(f) offsetof(struct status, f)
static const struct opt status_opts[] = {
    {"repository", 0, OPT_STR, FIELD(repository), NULL, 0, 0, "DIR",
        "of this repository, without a configuration", NULL},
    {"json", 0, OPT_FLAG, FIELD(json), NULL, 0, 0, NULL, "for scripts", NULL},
    {"prometheus", 0, OPT_FLAG, FIELD(prometheus), NULL, 0, 0, NULL,
        "as Prometheus reads it", NULL},
    {"zabbix", 0, OPT_FLAG, FIELD(zabbix), NULL, 0, 0, NULL,
        "as zabbix_sender reads it", NULL},
    {"metrics-file", 0, OPT_STR, FIELD(metrics_file), NULL, 0, 0, "FILE",
        "also put Prometheus' form into this file, as a whole", "metrics_file"},
    {"max-backup-age", 0, OPT_DURATION, FIELD(backup_age_us), "26h", 1, YEAR_US,
        "TIME", "age of the newest backup", "max_backup_age"},
    {"max-verify-age", 0, OPT_DURATION, FIELD(verify_age_us), NULL, 1, YEAR_US,
        "TIME", "since a backup was verified (not looked at)",
        "max_verify_age"},
    {"max-lag", 0, OPT_DURATION, FIELD(lag_us), "5m", 1, YEAR_US, "TIME",
        "how far the log in the repository may be behind", "max_lag"},
    {"max-vault-lag", 0, OPT_DURATION, FIELD(vault_lag_us), "15m", 1, YEAR_US,
        "TIME", "how far a vault may be behind", "max_vault_lag"},
    {"max-shrink", 0, OPT_UINT, FIELD(shrink_percent), "20", 1, 100, "PERCENT",
        "how much smaller than the one before a backup may be", "max_shrink"},
    {"min-free", 0, OPT_UINT, FIELD(free_percent), "5", 1, 100, "PERCENT",
        "what has to be free on the repository's disk", "min_free"},
    {0}};

/* What a section says counts for it, also where several are looked at. */
static struct health_limits
limits_of(const struct status *o, const struct conf_server *s)
{
    struct health_limits l = {.backup_age_us = o->backup_age_us,
        .verify_age_us = o->verify_age_us,
        .lag_us = o->lag_us,
        .vault_lag_us = o->vault_lag_us,
        .shrink_percent = o->shrink_percent,
        .free_percent = o->free_percent,
        .spool_bytes = s != NULL ? s->spool_limit : 0};

    if (s == NULL || s == o->common.section)
        return l;
    if (s->max_backup_age_us != 0)
        l.backup_age_us = s->max_backup_age_us;
    if (s->max_verify_age_us != 0)
        l.verify_age_us = s->max_verify_age_us;
    if (s->max_lag_us != 0)
        l.lag_us = s->max_lag_us;
    if (s->max_vault_lag_us != 0)
        l.vault_lag_us = s->max_vault_lag_us;
    if (s->max_shrink != 0)
        l.shrink_percent = s->max_shrink;
    if (s->min_free != 0)
        l.free_percent = s->min_free;
    return l;
}

/* s: NULL with --repository and no section. */
static void
look(const struct status *o, const struct conf_server *s, uint64_t now_us,
    struct health *out)
{
    struct health_limits limits = limits_of(o, s);
    struct common one = o->common;
    struct repo *r;
    char **vault = NULL;
    size_t n = 0;

    one.section = s;
    r = cmd_repo_read(&one, o->repository);
    if (s != NULL)
        vault = vaults_list(s, &n);
    health_look(r,
        s != NULL       ? s->name
            : r != NULL ? r->server
                        : "-",
        vault, n, out);
    health_judge(out, &limits, now_us);
    for (size_t i = 0; i < n; i++)
        free(vault[i]);
    free(vault);
    repo_close(r);
}

/* A reader sees the old file or the new one.  It holds no secret, and who reads
 * it is another account. */
static int
put_file(const char *path, const struct buf *text)
{
    char *tmp = xasprintf("%s.%ld.tmp", path, (long)getpid());
    FILE *f = NULL;
    int rc = -1, fd;

    /* Of one that was killed and had our number, as all in a container. */
    (void)unlink(tmp);
    fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd >= 0 && fchmod(fd, 0644) == 0 && (f = fdopen(fd, "w")) != NULL) {
        bool whole = fwrite(text->data, 1, text->len, f) == text->len;

        whole = fclose(f) == 0 && whole;
        fd = -1;
        if (whole && rename(tmp, path) == 0)
            rc = 0;
    }
    if (rc < 0)
        err_sys(ERR_FAILED, "cannot write %s", path);
    if (rc < 0 && errno != EEXIST)
        unlink(tmp);
    if (fd >= 0)
        close(fd);
    free(tmp);
    return rc;
}

/* The health of servers is told whether or not somebody keeps a file of it. */
static void
put_metrics(const char *path, const struct health *h, size_t n, uint64_t now_us)
{
    struct buf text = {0};

    status_prometheus(h, n, now_us, &text);
    utf8_harmless(text.data, text.len);
    if (put_file(path, &text) < 0) {
        log_warn("%s", err_text());
        err_clear();
    }
    buf_free(&text);
}

/*
 * The file that sections name has all the servers of these: it is written where
 * each of them was looked at, and in its own repository.
 */
static void
put_files(
    const struct status *o, const struct health *h, size_t n, uint64_t now_us)
{
    const struct conf *c = o->common.conf;
    const struct conf_server *one = o->common.section;
    struct health *some = xcalloc(n, sizeof *some);

    if (o->metrics_file != NULL &&
        (one == NULL || o->metrics_file != one->metrics_file))
        put_metrics(o->metrics_file, h, n, now_us);
    for (size_t i = 0; c != NULL && o->repository == NULL && i < c->servers;
         i++) {
        const char *path = c->server[i].metrics_file;
        size_t k = 0, missing = 0;

        for (size_t j = 0; path != NULL && j < c->servers; j++) {
            const char *other = c->server[j].metrics_file;

            if (other == NULL || strcmp(other, path) != 0)
                continue;
            if (j < i || (one != NULL && one != &c->server[j]))
                missing++; /* or the file is written already */
            else
                some[k++] = h[one != NULL ? 0 : j];
        }
        if (k > 0 && missing == 0)
            put_metrics(path, some, k, now_us);
    }
    free(some);
}

static int
print(const struct status *o, const struct health *h, size_t n, uint64_t now_us)
{
    struct buf out = {0};
    int rc;

    if (o->json)
        status_json(h, n, now_us, &out);
    else if (o->prometheus)
        status_prometheus(h, n, now_us, &out);
    else if (o->zabbix)
        status_zabbix(h, n, now_us, &out);
    else
        for (size_t i = 0; i < n; i++)
            if (h[i].findings > 0 || !log_quiet())
                status_text(&h[i], now_us, &out);
    rc = report_out(&out);
    buf_free(&out);
    put_files(o, h, n, now_us);
    return rc;
}

/* The exit code is that of the server that is worst off. */
static int
conclude(const struct health *h, size_t n)
{
    enum err_kind worst = ERR_NONE;
    size_t findings = 0;

    for (size_t i = 0; i < n; i++) {
        enum err_kind kind = health_kind(&h[i]);

        findings += h[i].findings;
        if (worst == ERR_NONE || (worst == ERR_WARNINGS && kind != ERR_NONE))
            worst = kind;
    }
    if (worst == ERR_NONE)
        return 0;
    /* They have been printed. */
    if (log_quiet())
        return err_set(worst, "%s", "");
    return err_set(
        worst, "%zu thing%s to look at", findings, findings == 1 ? "" : "s");
}

static int
status_run(void *arg)
{
    struct status *o = arg;
    const struct conf *c = o->common.conf;
    uint64_t now_us = time_now_us();
    struct health *h;
    size_t n = 1;
    int rc;

    if (o->json + o->prometheus + o->zabbix > 1)
        return err_set(
            ERR_USAGE, "--json, --prometheus, --zabbix: one at a time");
    if (o->repository == NULL && o->common.section == NULL && c == NULL)
        return cmd_section(&o->common) == NULL ? -1 : 0;
    if (o->repository == NULL && o->common.section == NULL)
        n = c->servers;
    h = xcalloc(n, sizeof *h);
    for (size_t i = 0; i < n; i++)
        look(o, n > 1 ? &c->server[i] : o->common.section, now_us, &h[i]);
    rc = print(o, h, n, now_us);
    if (rc == 0)
        rc = conclude(h, n);
    for (size_t i = 0; i < n; i++)
        health_free(&h[i]);
    free(h);
    return rc;
}

const struct command cmd_status = {
    .name = "status",
    .help = "health, in several forms; the exit code tells, too",
    .usage = "",
    .opts = status_opts,
    .size = sizeof(struct status),
    .run = status_run,
};
