/*
 * health.h -- is a server protected, as far as its repository can tell?
 *
 * Needs no secret.  health_look() gathers what is there: the catalogue, what
 * was verified, who holds a lock, what the stream and the shipping say of
 * themselves (state.h), the disk.  health_judge() is pure: it makes findings
 * of that, by limits and a clock.
 */
#ifndef PITR_HEALTH_H
#define PITR_HEALTH_H

#include "pitr/catalog.h"
#include "pitr/head.h"
#include "pitr/verify.h"

struct health_limits { /* 0: not judged */
    uint64_t backup_age_us;
    uint64_t verify_age_us; /* since the newest backup that was verified */
    uint64_t lag_us;        /* of the log in the repository */
    uint64_t vault_lag_us;
    unsigned shrink_percent; /* rows or bytes, from one backup to the next */
    unsigned free_percent;   /* of the repository's disk */
    uint64_t spool_bytes;    /* spool_limit */
};

enum health_stream {
    HEALTH_STREAM_UNKNOWN, /* it cannot be told from here */
    HEALTH_STREAM_NEVER,   /* there was none */
    HEALTH_STREAM_STOPPED, /* none runs */
    HEALTH_STREAM_ONCE,    /* run from time to time, without end by cron */
    HEALTH_STREAM_RUNS,
};

struct health_backup {
    char *id;
    uint64_t snapshot_us, rows, row_bytes, stored_bytes, tables, warnings;
    enum verify_level verified;
    uint64_t verified_us; /* 0: not */
};

struct health_vault {
    char *url;
    bool known;     /* something has been told of it */
    bool runs;      /* somebody ships there now */
    bool once;      /* the last who did was to end by itself */
    bool connected; /* as was told last */
    uint64_t told_us;
    uint64_t log_us;    /* all of the log up to then is there */
    uint64_t synced_us; /* all that there was then is there */
    uint64_t objects, bytes; /* that are still to be shipped */
    uint64_t error_us;       /* the last failure; 0: none known */
    char *error;
    bool fsync_known; /* its server was asked */
    bool no_fsync; /* the vault cannot promise that it is durable */
    uint64_t unlike; /* objects that have other bytes there */
    char *unlike_name; /* one of them; "" */
};

struct health_finding {
    enum err_kind kind; /* ERR_WARNINGS, ERR_GAP, ERR_FAILED, or that of what
                           could not be read */
    const char *code;   /* for scripts; static */
    char *text;
};

struct health {
    char *server;
    bool readable;      /* the repository; if not there is nothing more */
    bool local;         /* not on a vault: locks and states can be seen */
    size_t backups;
    struct health_backup newest, before; /* id NULL: none */
    uint64_t oldest_us, recoverable_us;  /* 0: nothing */
    size_t gaps;         /* on record */
    bool gap_open;       /* after the newest backup */
    char *gap_why;       /* of the last one; "" */
    size_t segments, breaks; /* see catalog.h */
    uint64_t whole_until_us; /* of the newest epoch; 0: not known */
    char *gtid;              /* at its end; "" */
    bool backup_runs;
    size_t unfinished;
    char *unfinished_id; /* the newest, if newer than the newest backup */

    enum health_stream stream;
    bool connected;
    uint64_t pid, started_us, told_us, lost_us;
    uint64_t known_us; /* by its word the log is whole until then; 0 */
    char *error; /* why it is not connected; "" */
    char *acknowledge; /* "no", "local", "vault" */
    bool semisync_known, semisync_on; /* the server waits for us */
    uint64_t semisync_clients, semisync_off_us; /* since when; 0 */
    uint64_t ack_us; /* since when an acknowledgement is due; 0 */

    uint64_t damaged, verify_us; /* by the last verify here; 0: none */
    char *damage;                /* the first of it; "" */

    struct health_vault *vault;
    size_t vaults;
    uint64_t disk_free, disk_size, stored_bytes; /* size 0: not known */
    char head[HEAD_TEXT]; /* how far the repository goes; "" */

    struct health_finding *finding;
    size_t findings, cap_findings;
};

/* vault: URLs to tell of, n of them.  Never fails: where the repository (NULL,
 * or not to be read) is the fault, err becomes a finding. */
void health_look(struct repo *r, const char *server, char *const *vault,
    size_t n, struct health *out);
void health_judge(
    struct health *h, const struct health_limits *l, uint64_t now_us);
/* The exit code: the gravest finding's; 0 where there is none. */
enum err_kind health_kind(const struct health *h);
void health_free(struct health *h); /* content */

#endif
