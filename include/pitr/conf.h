/*
 * conf.h -- the configuration file: INI, a section for each server, keys
 * before the first section for all of them.  The only user of libinih.
 */
#ifndef PITR_CONF_H
#define PITR_CONF_H

#include <stdbool.h>

#include <stddef.h>
#include <stdint.h>

#define CONF_DEFAULT SYSCONFDIR "/pitr/pitr.conf"

struct conf_server { /* strings are NULL where nothing is said */
    char *name;
    /* the server */
    const char *host, *socket, *user, *password_file;
    unsigned port;
    uint64_t answer_us; /* 0: see db.h, patience_us */
    bool ssl, ssl_verify;
    const char *ssl_ca, *ssl_cert, *ssl_key;
    /* the repository */
    const char *repository, *signing_key, *secret_key, *passphrase_file;
    const char *acknowledge; /* "local", "vault", "no" */
    const char *signer; /* what the reader expects, "ed25519:..." */
    /* the vaults */
    const char *vault; /* URLs, with blanks or commas between; the key may be
                          there several times */
    const char *ssh_config, *ssh_identity, *ssh_known_hosts, *ssh_jump;
    uint64_t ship_limit; /* bytes a second, to each; 0: none */
    /* the work */
    unsigned jobs;       /* 0: as many as there are processors */
    unsigned level;      /* of zstd */
    uint64_t lock_wait_us, flush_us, segment_bytes, segment_us, retry_us;
    unsigned server_id;  /* 0: chosen */
    unsigned backup_nice, backup_max_load; /* 0: see gentle.h */
    uint64_t backup_rate, backup_max_lag_us;
    uint64_t spool_limit, spool_wait_us; /* of the local repository */
    /* what status warns of; 0: as the command says */
    const char *metrics_file;
    uint64_t max_backup_age_us, max_verify_age_us, max_lag_us, max_vault_lag_us;
    unsigned max_shrink, min_free; /* percent */
    /* the retention; see expire.h */
    uint64_t keep_us, keep_local_us;
    unsigned keep_count, keep_daily, keep_weekly, keep_monthly, minimum;
};

struct conf {
    char *path;
    struct conf_server *server;
    size_t servers;
    char **value; /* the texts that the servers' strings point into */
    size_t values, cap_values;
};

/* Read it.  An unknown key or a bad value is ERR_USAGE with file and line. */
struct conf *conf_load(const char *path);
/* The named one; with name NULL the only one there is.  ERR_USAGE. */
const struct conf_server *conf_server_find(const struct conf *c,
    const char *name);
void conf_free(struct conf *c);

#endif
