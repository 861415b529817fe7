/*
 * common.c -- from options and configuration to what commands work with.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/file.h"
#include "pitr/log.h"
#include "pitr/pool.h"
#include "vaults.h"

const struct conf_server *
cmd_section(const struct common *c)
{
    if (c->section != NULL)
        return c->section;
    if (c->conf != NULL)
        return conf_server_find(c->conf, NULL);
    err_set(ERR_USAGE, "there is no configuration: no %s, and no --config",
        CONF_DEFAULT);
    err_hint("doc/pitr.conf.example is one to start from.");
    return NULL;
}

int
cmd_conn_open(const struct conf_server *s, struct cmd_conn *out)
{
    memset(out, 0, sizeof *out);
    out->conf = (struct db_conf){.host = s->host,
        .socket = s->socket,
        .port = s->port,
        .user = s->user,
        .patience_us = s->answer_us,
        .ssl = s->ssl,
        .ssl_verify = s->ssl_verify,
        .ssl_ca = s->ssl_ca,
        .ssl_cert = s->ssl_cert,
        .ssl_key = s->ssl_key};
    if (s->ssl_key != NULL && file_check_not_public(s->ssl_key) < 0)
        return err_wrap("ssl_key");
    if (s->password_file != NULL &&
        (out->password = secret_from_file(s->password_file)) == NULL)
        return err_wrap("password_file");
    out->conf.password = out->password;
    return 0;
}

void
cmd_conn_free(struct cmd_conn *c)
{
    secret_free(c->password);
    memset(c, 0, sizeof *c);
}

static int
need_key(const struct conf_server *s, const char *value, const char *key)
{
    if (value != NULL)
        return 0;
    err_set(ERR_USAGE, "section [%s] does not say %s", s->name, key);
    return err_hint("Add \"%s = ...\" to it; see pitr.conf(5).", key);
}

struct repo *
cmd_repo_write(const struct conf_server *s)
{
    if (need_key(s, s->repository, "repository") < 0 ||
        need_key(s, s->signing_key, "signing_key") < 0)
        return NULL;
    return repo_open(s->repository, s->name, s->signing_key);
}

/* Of the catalogue: the log, its indexes, the backups. */
#define READERS 3

/* A directory, or a vault as the section (may be NULL) says to reach it. */
static struct repo *
open_read(const struct common *c, const struct conf_server *s,
    const char *where, const char *server)
{
    struct store_sftp_conf ssh = vaults_ssh(s);
    struct store *store;

    if (s == NULL)
        ssh = (struct store_sftp_conf){.ssh_config = c->ssh_config,
            .identity = c->ssh_identity,
            .known_hosts = c->ssh_known_hosts,
            .proxy_jump = c->ssh_jump};

    if (strncmp(where, "sftp://", 7) != 0)
        return repo_open(where, server, NULL);
    if ((store = store_open_sftp(where, &ssh)) == NULL)
        return NULL;
    store_warm(store, READERS);
    return repo_open_store(store, server, NULL);
}

struct repo *
cmd_repo_read(const struct common *c, const char *path)
{
    const struct conf_server *s;

    if (path != NULL)
        return open_read(c, c->section, path, c->server);
    if ((s = cmd_section(c)) == NULL) {
        err_hint("Or name the repository with --repository DIR.");
        return NULL;
    }
    if (need_key(s, s->repository, "repository") < 0)
        return NULL;
    return open_read(c, s, s->repository, s->name);
}

static struct secret *
ask_passphrase(void *arg)
{
    const char *file = arg;

    return file != NULL ? secret_from_file(file)
                        : secret_ask("Passphrase of the recovery key: ", 0);
}

struct secret_key *
cmd_secret_key(const char *path, const char *passphrase_file)
{
    if (path == NULL) {
        err_set(ERR_KEY, "the recovery key is needed");
        err_hint("Name its file with --secret-key FILE. Only who has it can "
                 "read the backups.");
        return NULL;
    }
    return secret_key_load(path, ask_passphrase, (void *)passphrase_file);
}

void
cmd_busy(void)
{
    if (err_kind() == ERR_LOCKED && log_quiet())
        err_set(ERR_LOCKED, "%s", "");
}

unsigned
cmd_jobs(unsigned asked)
{
    return asked != 0 ? asked : pool_cpus();
}
