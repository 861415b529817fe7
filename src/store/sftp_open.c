/*
 * sftp_open.c -- opening and closing a vault as a store.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pitr/file.h"
#include "pitr/mem.h"
#include "sftp.h"

#define SECOND_US UINT64_C(1000000)
#define CONNECTIONS 4

static void
take_conf(struct store_sftp_conf *own, const struct store_sftp_conf *conf)
{
    if (conf != NULL)
        *own = *conf;
    own->ssh_config = xstrdup(own->ssh_config);
    own->identity = xstrdup(own->identity);
    own->known_hosts = xstrdup(own->known_hosts);
    own->proxy_jump = xstrdup(own->proxy_jump);
    if (own->connections == 0)
        own->connections = CONNECTIONS;
    own->connections = MIN(own->connections, (unsigned)SFTP_CONNS_MAX);
    if (own->connect_us == 0)
        own->connect_us = 15 * SECOND_US;
    if (own->timeout_us == 0)
        own->timeout_us = 60 * SECOND_US;
    if (own->retry_us == 0)
        own->retry_us = 180 * SECOND_US;
}

static void
close_vault(void *impl)
{
    struct vault *s = impl;

    vault_forget_all(s);
    vault_ahead_forget(s);
    vault_pool_stop(s);
    sftp_url_free(&s->url);
    free((char *)s->conf.ssh_config);
    free((char *)s->conf.identity);
    free((char *)s->conf.known_hosts);
    free((char *)s->conf.proxy_jump);
    free(s->base);
    free(s);
}

/* The login directory's path, to which the URL's is relative. */
static int
resolve(struct vault_conn *c, const char *path, char **out)
{
    struct buf b = {0};
    struct vault_req *r;
    struct cur in;
    const uint8_t *home;
    size_t n;
    int rc = -1;

    vault_begin(&b, SFTP_REQ_REALPATH);
    vault_put_str(&b, ".");
    r = vault_ask(c, &b, SFTP_NAME);
    buf_free(&b);
    if (r == NULL)
        return -1;
    in = cur_of(r->data, r->len);
    if (r->type == SFTP_NAME && vault_get_u32(&in) == 1 &&
        (home = vault_get_bytes(&in, &n)) != NULL && n > 0 &&
        memchr(home, 0, n) == NULL) {
        *out = xasprintf("%.*s%s%s", (int)n, (const char *)home,
            home[n - 1] == '/' || path[0] == '\0' ? "" : "/", path);
        rc = 0;
    } else {
        rc = err_set(ERR_FAILED,
            "%s: the server does not tell the login "
            "directory",
            c->store->url.shown);
    }
    vault_drop(r);
    return rc;
}

static int
find_base(struct vault_conn *c)
{
    struct vault *s = c->store;
    struct vault_attrs a = {0};
    int status;

    if (!s->url.relative)
        s->base = xstrdup(s->url.path);
    else if (resolve(c, s->url.path, &s->base) < 0)
        return -1;
    status = vault_stat_file(c, s->base, true, &a);
    if (status < 0)
        return -1;
    if (status == SFTP_OK && (!a.has_mode || S_ISDIR(a.mode)))
        return 0;
    if (status == SFTP_OK) {
        err_set(ERR_NOREPO, "%s is not a folder", s->url.shown);
    } else if (status == SFTP_NO_SUCH_FILE) {
        err_set(ERR_NOREPO, "%s: there is no such folder on the vault",
            s->url.shown);
        err_hint("Where the account is confined (chroot), the path is what "
                 "the account sees: look with sftp(1). \"/~/\" at the start "
                 "stands for the login directory.");
    } else {
        struct vault_req r = {.type = SFTP_STATUS, .status = (uint32_t)status};

        vault_fail(c, &r, "open", s->base);
    }
    return -1;
}

struct store *
store_open_sftp(const char *url, const struct store_sftp_conf *conf)
{
    static const struct store_ops ops = {.put = vault_put,
        .get = vault_get,
        .append = vault_append,
        .stat = vault_stat,
        .written = vault_written,
        .remove = vault_remove,
        .list = vault_list,
        .prefetch = vault_prefetch,
        .warm = vault_warm,
        .room = vault_room,
        .may_remove = vault_may_remove,
        .close = close_vault};
    struct vault *s = xcalloc(1, sizeof(*s));
    int rc = -1;

    if (sftp_url_parse(url, &s->url) < 0) {
        free(s);
        return NULL;
    }
    if (conf != NULL && conf->identity != NULL &&
        file_check_not_public(conf->identity) < 0) {
        err_wrap("%s", s->url.shown);
        sftp_url_free(&s->url);
        free(s);
        return NULL;
    }
    take_conf(&s->conf, conf);
    if (vault_pool_start(s) == 0 && vault_enter(&s->conn[0], NULL) == 0) {
        rc = find_base(&s->conn[0]);
        vault_leave(&s->conn[0]);
    }
    if (rc < 0) {
        close_vault(s);
        return NULL;
    }
    return store_new(&ops, s, s->url.shown);
}
