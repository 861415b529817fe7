/*
 * conf.c -- reading the configuration file through libinih.
 */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/buf.h"
#include "pitr/conf.h"
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/opt.h"

#define KEY(f) offsetof(struct conf_server, f)
const struct opt conf_keys[] = {{"host", 0, OPT_STR, KEY(host), NULL, 0, 0,
                                    "NAME", "the server's host, for TCP", NULL},
    {"port", 0, OPT_UINT, KEY(port), NULL, 1, 65535, "N", "its port", NULL},
    {"socket", 0, OPT_STR, KEY(socket), NULL, 0, 0, "PATH",
        "its unix socket; wins over host", NULL},
    {"user", 0, OPT_STR, KEY(user), NULL, 0, 0, "NAME", "account", NULL},
    {"password_file", 0, OPT_STR, KEY(password_file), NULL, 0, 0, "FILE",
        "first line is the password", NULL},
    {"answer_timeout", 0, OPT_DURATION, KEY(answer_us), NULL, 1000000,
        86400000000ull, "TIME", "a server that answers nobody is waited for",
        NULL},
    {"ssl", 0, OPT_FLAG, KEY(ssl), NULL, 0, 0, NULL, "require TLS", NULL},
    {"ssl_verify", 0, OPT_FLAG, KEY(ssl_verify), NULL, 0, 0, NULL,
        "check the server's certificate and name", NULL},
    {"ssl_ca", 0, OPT_STR, KEY(ssl_ca), NULL, 0, 0, "FILE",
        "certificates that are trusted", NULL},
    {"ssl_cert", 0, OPT_STR, KEY(ssl_cert), NULL, 0, 0, "FILE",
        "our certificate", NULL},
    {"ssl_key", 0, OPT_STR, KEY(ssl_key), NULL, 0, 0, "FILE", "its key", NULL},
    {"repository", 0, OPT_STR, KEY(repository), NULL, 0, 0, "DIR",
        "the server's repository", NULL},
    {"signing_key", 0, OPT_STR, KEY(signing_key), NULL, 0, 0, "FILE",
        "the key that signs what is written", NULL},
    {"secret_key", 0, OPT_STR, KEY(secret_key), NULL, 0, 0, "FILE",
        "the recovery key; not on the server", NULL},
    {"passphrase_file", 0, OPT_STR, KEY(passphrase_file), NULL, 0, 0, "FILE",
        "first line is the recovery key's passphrase", NULL},
    {"signer", 0, OPT_STR, KEY(signer), NULL, 0, 0, "ed25519:...",
        "who must have signed the repository", NULL},
    {"vault", 0, OPT_STR, KEY(vault), NULL, 0, 0, "URL...",
        "where the repository is shipped to: sftp://user@host/path", NULL},
    {"ssh_config", 0, OPT_STR, KEY(ssh_config), NULL, 0, 0, "FILE",
        "instead of ~/.ssh/config", NULL},
    {"ssh_identity", 0, OPT_STR, KEY(ssh_identity), NULL, 0, 0, "FILE",
        "the private key for the vaults", NULL},
    {"ssh_known_hosts", 0, OPT_STR, KEY(ssh_known_hosts), NULL, 0, 0, "FILE",
        "the vaults' host keys", NULL},
    {"ssh_jump", 0, OPT_STR, KEY(ssh_jump), NULL, 0, 0, "[USER@]HOST[:PORT]",
        "the bastion", NULL},
    {"ship_limit", 0, OPT_SIZE, KEY(ship_limit), NULL, 4096, 1ull << 40, "SIZE",
        "bytes a second to each vault", NULL},
    {"jobs", 0, OPT_AUTO, KEY(jobs), NULL, 1, 64, "N",
        "connections that work at once", NULL},
    {"level", 0, OPT_AUTO, KEY(level), NULL, 1, 19, "N", "of zstd", NULL},
    {"lock_wait", 0, OPT_DURATION, KEY(lock_wait_us), NULL, 100000,
        3600000000ull, "TIME", "how long a lock may hold up writers", NULL},
    {"backup_nice", 0, OPT_UINT, KEY(backup_nice), NULL, 1, 19, "N",
        "priority of a backup", NULL},
    {"backup_rate", 0, OPT_SIZE, KEY(backup_rate), NULL, 65536, 1ull << 40,
        "SIZE", "bytes of rows a second that a backup reads at most", NULL},
    {"backup_max_load", 0, OPT_UINT, KEY(backup_max_load), NULL, 1, 100000, "N",
        "a backup waits while more statements of others run", NULL},
    {"backup_max_lag", 0, OPT_DURATION, KEY(backup_max_lag_us), NULL, 1000000,
        86400000000ull, "TIME",
        "a backup waits while the server is further behind its source", NULL},
    {"acknowledge", 0, OPT_WORD, KEY(acknowledge), NULL, 0, 0, "local|vault|no",
        "be a semi-synchronous replica of the server", NULL},
    {"flush", 0, OPT_DURATION, KEY(flush_us), NULL, 10000, 60000000, "TIME",
        "the log is durable after this at the latest", NULL},
    {"segment_size", 0, OPT_SIZE, KEY(segment_bytes), NULL, 65536, 1ull << 40,
        "SIZE", "log after which a segment is closed", NULL},
    {"segment_age", 0, OPT_DURATION, KEY(segment_us), NULL, 1000000,
        7 * 86400000000ull, "TIME", "age after which a segment is closed",
        NULL},
    {"retry", 0, OPT_DURATION, KEY(retry_us), NULL, 100000, 3600000000ull,
        "TIME", "longest pause before the stream connects again", NULL},
    {"server_id", 0, OPT_UINT, KEY(server_id), NULL, 1, UINT32_MAX, "N",
        "of the stream, as a replica", NULL},
    {"spool_limit", 0, OPT_SIZE, KEY(spool_limit), NULL, 65536, 1ull << 60,
        "SIZE", "backups wait where the local repository holds as much", NULL},
    {"spool_wait", 0, OPT_DURATION, KEY(spool_wait_us), NULL, 1000000,
        86400000000ull / 2, "TIME", "how long they wait for room at most",
        NULL},
    {"metrics_file", 0, OPT_STR, KEY(metrics_file), NULL, 0, 0, "FILE",
        "where status puts Prometheus' form", NULL},
    {"max_backup_age", 0, OPT_DURATION, KEY(max_backup_age_us), NULL, 1,
        366 * 86400000000ull, "TIME", "of the newest backup", NULL},
    {"max_verify_age", 0, OPT_DURATION, KEY(max_verify_age_us), NULL, 1,
        366 * 86400000000ull, "TIME", "since a backup was verified", NULL},
    {"max_lag", 0, OPT_DURATION, KEY(max_lag_us), NULL, 1, 366 * 86400000000ull,
        "TIME", "of the log in the repository", NULL},
    {"max_vault_lag", 0, OPT_DURATION, KEY(max_vault_lag_us), NULL, 1,
        366 * 86400000000ull, "TIME", "of a vault", NULL},
    {"max_shrink", 0, OPT_UINT, KEY(max_shrink), NULL, 1, 100, "PERCENT",
        "from one backup to the next", NULL},
    {"min_free", 0, OPT_UINT, KEY(min_free), NULL, 1, 100, "PERCENT",
        "of the repository's disk", NULL},
    {"keep", 0, OPT_DURATION, KEY(keep_us), NULL, 1000000,
        36500 * 86400000000ull, "TIME",
        "any moment of this time can be restored", NULL},
    {"keep_local", 0, OPT_DURATION, KEY(keep_local_us), NULL, 1000000,
        36500 * 86400000000ull, "TIME",
        "what every vault has stays here for so long", NULL},
    {"keep_count", 0, OPT_UINT, KEY(keep_count), NULL, 1, 100000, "N",
        "also the newest N backups", NULL},
    {"keep_daily", 0, OPT_UINT, KEY(keep_daily), NULL, 1, 100000, "N",
        "also the newest of each of N days", NULL},
    {"keep_weekly", 0, OPT_UINT, KEY(keep_weekly), NULL, 1, 100000, "N",
        "also the newest of each of N weeks", NULL},
    {"keep_monthly", 0, OPT_UINT, KEY(keep_monthly), NULL, 1, 100000, "N",
        "also the newest of each of N months", NULL},
    {"minimum", 0, OPT_UINT, KEY(minimum), NULL, 1, 100000, "N",
        "so many backups stay whatever their age", NULL},
    {0}};

_Static_assert(NELEM(conf_keys) <= 65, "one bit of `seen` for each key");

#define SECTION_MAX 48 /* inih cuts a longer name silently */

struct reading {
    FILE *f;
    const char *path;
    unsigned line;
    bool failed;
    struct conf *conf;
    struct conf_server all; /* keys before the first section */
    uint64_t seen;          /* rows set in the section being read */
    char section[64];
};

/* inih's reader: as fgets(), but counts, and refuses what it would cut. */
static char *
read_line(char *s, int n, void *stream)
{
    struct reading *r = stream;
    size_t len;

    if (r->failed)
        return NULL;
    if (fgets(s, n, r->f) == NULL) {
        if (ferror(r->f)) { /* as of a directory */
            err_sys(ERR_USAGE, "cannot read the configuration %s", r->path);
            r->failed = true;
        }
        return NULL;
    }
    r->line++;
    len = strlen(s);
    if (len + 1 == (size_t)n && s[len - 1] != '\n' && !feof(r->f)) {
        err_set(ERR_USAGE, "%s line %u: the line is longer than %d bytes",
            r->path, r->line, n - 2);
        r->failed = true;
        return NULL;
    }
    return s;
}

static struct conf_server *
enter_section(struct reading *r, const char *name)
{
    struct conf *c = r->conf;

    if (strcmp(r->section, name) == 0)
        return *name == '\0' ? &r->all : &c->server[c->servers - 1];
    for (size_t i = 0; i < c->servers; i++)
        if (strcmp(c->server[i].name, name) == 0) {
            err_set(ERR_USAGE, "%s line %u: section [%s] is there twice",
                r->path, r->line, name);
            return NULL;
        }
    if (strlen(name) > SECTION_MAX) {
        err_set(ERR_USAGE,
            "%s line %u: the section's name is too long "
            "(%d at most)",
            r->path, r->line, SECTION_MAX);
        return NULL;
    }
    snprintf(r->section, sizeof r->section, "%s", name);
    r->seen = 0;
    c->server = xrealloc(c->server, (c->servers + 1) * sizeof *c->server);
    c->server[c->servers] = r->all;
    c->server[c->servers].name = xstrdup(name);
    return &c->server[c->servers++];
}

/* Strings live as long as the configuration. */
static const char *
keep_value(struct conf *c, const char *value)
{
    c->value = xgrow(c->value, c->values, &c->cap_values, sizeof *c->value);
    return c->value[c->values++] = xstrdup(value);
}

/* Of a key that was found, and is there for the first time. */
static int
take_value(struct reading *r, const struct opt *row, const char *where,
    const char *value, struct conf_server *s)
{
    /* Or the comment would be part of a path. */
    if (strstr(value, " #") != NULL || strstr(value, "\t#") != NULL) {
        err_set(ERR_USAGE, "%s: \"%s\" has a # in it", where, value);
        return err_hint("A comment stands on a line of its own, which begins "
                        "with #.");
    }
    return opt_set(
        row, keep_value(r->conf, value), where, (char *)s + row->field);
}

/* inih's handler: 1 to go on, 0 for an error. */
static int
take_key(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    struct conf_server *s;
    const struct opt *row = conf_keys;
    char *where;
    int rc = -1;

    if (r->failed)
        return 0;
    while (row->name != NULL && strcmp(row->name, name) != 0)
        row++;
    where = xasprintf("%s line %u: %s", r->path, r->line, name);
    if ((s = enter_section(r, section)) == NULL) {
        goto out;
    } else if (row->name == NULL) {
        err_set(ERR_USAGE, "%s line %u: there is no key \"%s\"", r->path,
            r->line, name);
        err_hint("pitr.conf(5) lists the keys.");
    } else if ((r->seen >> (row - conf_keys) & 1) && row->field == KEY(vault)) {
        /* Several of them hardly fit on a line. */
        char *both = xasprintf("%s %s", s->vault, value);

        s->vault = keep_value(r->conf, both);
        free(both);
        rc = 0;
    } else if (r->seen >> (row - conf_keys) & 1) {
        err_set(ERR_USAGE, "%s: it is there twice", where);
    } else {
        r->seen |= 1ull << (row - conf_keys);
        rc = take_value(r, row, where, value, s);
    }

out:
    free(where);
    r->failed = rc < 0;
    return rc == 0;
}

struct conf *
conf_load(const char *path)
{
    struct reading r = {.path = path, .conf = xcalloc(1, sizeof *r.conf)};
    int rc;

    if ((r.f = fopen(path, "re")) == NULL) {
        err_sys(ERR_USAGE, "cannot read the configuration %s", path);
        err_hint("doc/pitr.conf.example is one to start from; --config names "
                 "another file.");
        conf_free(r.conf);
        return NULL;
    }
    r.conf->path = xstrdup(path);
    rc = ini_parse_stream(read_line, &r, take_key, &r);
    fclose(r.f);
    if (rc != 0 && !r.failed) {
        err_set(ERR_USAGE,
            "%s line %d: neither a [section] nor \"key = "
            "value\"",
            path, rc);
        r.failed = true;
    }
    if (!r.failed && r.conf->servers == 0) {
        err_set(ERR_USAGE, "%s has no section with a server's keys", path);
        err_hint("A server is a line [name] and, below it, its socket or host, "
                 "repository and signing_key; doc/pitr.conf.example has one.");
        r.failed = true;
    }
    if (r.failed) {
        conf_free(r.conf);
        return NULL;
    }
    return r.conf;
}

const struct conf_server *
conf_server_find(const struct conf *c, const char *name)
{
    struct buf names = {0};

    for (size_t i = 0; i < c->servers; i++)
        if (name == NULL ? c->servers == 1
                         : strcmp(c->server[i].name, name) == 0)
            return &c->server[i];
    for (size_t i = 0; i < c->servers; i++)
        buf_fmt(&names, "%s%s", i > 0 ? ", " : "", c->server[i].name);
    if (name == NULL) {
        err_set(ERR_USAGE, "%s has several servers", c->path);
        err_hint("Choose one with --server NAME: %s", buf_cstr(&names));
    } else {
        err_set(ERR_USAGE, "%s has no section [%s]", c->path, name);
        err_hint("It has: %s", buf_cstr(&names));
    }
    buf_free(&names);
    return NULL;
}

void
conf_free(struct conf *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->servers; i++)
        free(c->server[i].name);
    for (size_t i = 0; i < c->values; i++)
        free(c->value[i]);
    free(c->value);
    free(c->server);
    free(c->path);
    free(c);
}
