/*
 * vaults.c -- shipping to the vaults of a section, each by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/pool.h"
#include "pitr/ship.h"
#include "pitr/state.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "vaults.h"

/* In the background, after a fault that somebody has to mend. */
#define AGAIN_US (UINT64_C(300) * 1000000)
#define LOOK_US UINT64_C(200000)
#define HOUR_US (UINT64_C(3600) * 1000000)

struct one {
    struct vaults *all;
    char *url;
    unsigned watch; /* its number there */
    struct ship_report report;
    struct err_saved *error;
};

struct vaults {
    struct vaults_conf conf;
    struct store_sftp_conf ssh;
    struct one *v;
    size_t n, cap;
    atomic_bool stop;
    struct pool *pool;
};

struct store_sftp_conf
vaults_ssh(const struct conf_server *s)
{
    struct store_sftp_conf c = {0};

    if (s != NULL) {
        c.ssh_config = s->ssh_config;
        c.identity = s->ssh_identity;
        c.known_hosts = s->ssh_known_hosts;
        c.proxy_jump = s->ssh_jump;
    }
    return c;
}

static const char *
urls(const struct vaults_conf *c)
{
    const char *text = c->only != NULL ? c->only : c->section->vault;

    return text == NULL ? "" : text;
}

char *
vaults_next(const char **p)
{
    static const char between[] = " \t,";
    const char *begin = *p + strspn(*p, between);
    size_t n = strcspn(begin, between);

    *p = begin + n;
    return n == 0 ? NULL : xstrndup(begin, n);
}

bool
vaults_any(const struct vaults_conf *c)
{
    const char *p = urls(c);
    char *url = vaults_next(&p);
    bool any = url != NULL;

    free(url);
    return any;
}

char **
vaults_list(const struct conf_server *s, size_t *n)
{
    struct vaults_conf c = {.section = s};
    const char *p = urls(&c);
    char **list = NULL, *url;
    size_t count = 0, cap = 0;

    while ((url = vaults_next(&p)) != NULL) {
        size_t i = 0;

        while (i < count && strcmp(list[i], url) != 0)
            i++;
        if (i < count) {
            free(url);
            continue;
        }
        list = xgrow(list, count, &cap, sizeof *list);
        list[count++] = url;
    }
    *n = count;
    return list;
}

static bool
stopping(struct vaults *v)
{
    return stop_asked() || atomic_load(&v->stop);
}

static int
ship_one(struct one *o)
{
    struct vaults *v = o->all;
    struct ship_conf conf = {.repository = v->conf.section->repository,
        .server = v->conf.section->name,
        .vault = o->url,
        .ssh = &v->ssh,
        .once = v->conf.once,
        .rate = v->conf.limit,
        .stop = &v->stop,
        .watch = v->conf.watch,
        .watch_vault = o->watch};
    struct ship_report r;
    int rc = ship_run(&conf, &r);

    o->report.objects += r.objects;
    o->report.bytes += r.bytes;
    o->report.backups += r.backups;
    o->report.confirmed += r.confirmed;
    o->report.confirmed_bytes += r.confirmed_bytes;
    o->report.lost += r.lost;
    o->report.outages += r.outages;
    return rc;
}

char *
vaults_prefix(const char *url)
{
    return strstr(err_text(), "sftp://") != NULL ? xstrdup("")
                                                 : xasprintf("%s: ", url);
}

/* The failure that was told of this vault within this hour, and goes on; "". */
static char *
told_before(const struct one *o)
{
    char *name = ship_state_name(o->url), *told;
    struct state *s = state_load(o->all->conf.section->repository, name);
    const char *error = state_get(s, "error");
    uint64_t us = state_get_u64(s, "error_us");
    bool goes_on = us > state_get_u64(s, "synced_us") &&
        us / HOUR_US == time_now_us() / HOUR_US;

    told = xstrdup(error != NULL && goes_on ? error : "");
    state_free(s);
    free(name);
    return told;
}

/* told: by a process before this one.  From cron that is one mail an hour. */
static void
warn(const struct one *o, const char *told)
{
    char *prefix = vaults_prefix(o->url);
    char *text = xasprintf("%s%s%s", err_text(),
        *err_hint_text() == '\0' ? "" : ". ", err_hint_text());

    if (err_kind() == ERR_LOCKED && o->all->conf.once)
        log_info("%sanother process ships there: %s", prefix, err_text());
    else if (strcmp(text, told) == 0)
        log_warn_again("%snot shipped: %s", prefix, text);
    else
        log_warn("%snot shipped: %s", prefix, text);
    free(text);
    free(prefix);
}

/* The capture goes on whatever is wrong with a vault; what is wrong is said
 * when it begins, and tried again. */
static void
ship_on_and_on(struct one *o)
{
    char *said = NULL;

    while (ship_one(o) < 0 && !stopping(o->all)) {
        uint64_t until = time_mono_us() + AGAIN_US;

        if (said == NULL || strcmp(said, err_text()) != 0)
            warn(o, "");
        free(said);
        said = xstrdup(err_text());
        err_clear();
        while (!stopping(o->all) && time_mono_us() < until)
            stop_sleep_us(LOOK_US);
    }
    err_clear();
    free(said);
}

static int
work(void *arg, unsigned index)
{
    struct vaults *v = arg;
    struct one *o = &v->v[index];
    char *told;

    if (v->conf.background && !v->conf.once) {
        ship_on_and_on(o);
        return 0;
    }
    told = told_before(o);
    if (ship_one(o) < 0) {
        /* The others go on, so it is said now. */
        if (v->conf.background || (v->n > 1 && !stopping(v)))
            warn(o, told);
        o->error = err_take();
    }
    free(told);
    return 0;
}

static bool
has(const struct vaults *v, const char *url)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->v[i].url, url) == 0)
            return true;
    return false;
}

struct vaults *
vaults_start(const struct vaults_conf *c)
{
    struct vaults *v = xcalloc(1, sizeof *v);
    const char *p = urls(c);
    char *url;

    v->conf = *c;
    v->ssh = vaults_ssh(c->section);
    while ((url = vaults_next(&p)) != NULL) {
        if (has(v, url)) {
            free(url);
            continue;
        }
        v->v = xgrow(v->v, v->n, &v->cap, sizeof *v->v);
        v->v[v->n] = (struct one){.all = v, .url = url};
        if (c->watch != NULL)
            v->v[v->n].watch = ship_watch_join(c->watch);
        v->n++;
    }
    if (v->n == 0)
        err_set(ERR_USAGE, "no vault is named");
    else
        v->pool = pool_start((unsigned)v->n, work, v);
    if (v->pool == NULL) {
        vaults_join(v, NULL);
        return NULL;
    }
    return v;
}

void
vaults_stop(struct vaults *v)
{
    if (v != NULL)
        atomic_store(&v->stop, true);
}

int
vaults_join(struct vaults *v, struct ship_report *sum)
{
    struct err_saved *first = NULL;
    int rc = 0;

    if (v == NULL)
        return 0;
    if (v->pool != NULL && pool_join(v->pool) < 0) {
        first = err_take();
        /* Asked to end, it has. */
        if (!v->conf.once && stop_asked()) {
            err_saved_free(first);
            first = NULL;
        }
    }
    for (size_t i = 0; i < v->n; i++) {
        struct one *o = &v->v[i];

        if (sum != NULL) {
            sum->objects += o->report.objects;
            sum->bytes += o->report.bytes;
            sum->backups += o->report.backups;
            sum->confirmed += o->report.confirmed;
            sum->confirmed_bytes += o->report.confirmed_bytes;
            sum->lost += o->report.lost;
            sum->outages += o->report.outages;
        }
        if (first == NULL)
            first = o->error;
        else
            err_saved_free(o->error);
        free(o->url);
    }
    free(v->v);
    free(v);
    if (first != NULL)
        rc = err_put(first);
    return rc;
}
