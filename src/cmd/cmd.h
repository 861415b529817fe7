/*
 * cmd.h -- the commands, and what they share: from options to connections,
 * repositories and keys.
 */
#ifndef PITR_CMD_H
#define PITR_CMD_H

#include "pitr/catalog.h"
#include "pitr/db.h"
#include "pitr/expire.h"
#include "pitr/head.h"
#include "pitr/opt.h"
#include "pitr/repo.h"

extern const struct command cmd_keygen, cmd_init, cmd_check, cmd_backup,
    cmd_stream, cmd_ship, cmd_list, cmd_status, cmd_restore, cmd_verify,
    cmd_expire, cmd_keep, cmd_rekey, cmd_rewrap;

/* The section that the command works on; ERR_USAGE where none was chosen. */
const struct conf_server *cmd_section(const struct common *c);

/*
 * How to connect to a section's server.  Strings are borrowed from the
 * section; the password is read from its file and has to be freed with
 * cmd_conn_free().
 */
struct cmd_conn {
    struct db_conf conf;
    struct secret *password;
};
int cmd_conn_open(const struct conf_server *s, struct cmd_conn *out);
void cmd_conn_free(struct cmd_conn *c);

/* The section's repository, to write to; NULL on error. */
struct repo *cmd_repo_write(const struct conf_server *s);
/* A repository to read from: path, or else the section's. */
struct repo *cmd_repo_read(const struct common *c, const char *path);

/* The recovery key of a file; the passphrase comes from passphrase_file or the
 * terminal. */
struct secret_key *cmd_secret_key(
    const char *path, const char *passphrase_file);

/*
 * Does the repository go as far as `expect` (a head; may be NULL) and as what
 * was seen of it before, which is remembered in the directory `state` (NULL: the
 * user's; "none": not)?  ERR_VERIFY; else what is seen now is remembered.  out
 * (may be NULL) gets the head, also where it is refused for what was
 * remembered.
 */
int cmd_head(struct repo *r, const struct catalog *c, const char *expect,
    const char *state, struct head *out);

/* The rows of the options that go with it. */
#define CMD_HEAD_OPTS(type)                                                    \
    {"expect", 0, OPT_STR, offsetof(type, expect), NULL, 0, 0, "HEAD",         \
        "the repository has to go as far: what list printed on the server",    \
        NULL},                                                                 \
    {                                                                          \
        "state", 0, OPT_STR, offsetof(type, state), NULL, 0, 0, "DIR",         \
            "where it is remembered how far it went; none: nowhere", NULL      \
    }

/* --- recipients (recipients.c) --- */

struct recipients {
    struct public_key v[SEAL_RECIPIENTS_MAX];
    size_t n;
};
/* Those of the lists, as texts and as files.  One twice is ERR_USAGE. */
int recipients_add(struct recipients *r, const struct opt_list *texts,
    const struct opt_list *files);
/* A public key, or its id. */
int recipients_remove(struct recipients *r, const char *which);

/* Where err is that another process is at the same work: with --quiet there is
 * nothing to say but the exit code. */
void cmd_busy(void);

unsigned cmd_jobs(unsigned asked); /* 0: as many as there are processors */

/* --- reports, for people, on standard output (report.c) --- */

/* "GTID 0-1-5 of 2022-05-02 16:03:00 +0200 (14:03:00 UTC)" */
char *report_group(const struct event_gtid *g);
/* A line for each recipient: its key id. */
void report_recipients(const struct repo *r, struct buf *out);
/* Print a text to standard output; ERR_FAILED where that fails (a full disk, a
 * closed pipe). */
int report_out(const struct buf *text);
/* The same for what only tells that all went well: not with --quiet. */
int report_news(const struct buf *text);

/* --- list --- */
void list_text(const struct repo *r, const struct catalog *c,
    const struct pins *pins, const struct head *head, struct buf *out);
void list_json(const struct repo *r, const struct catalog *c,
    const struct pins *pins, const struct head *head, struct buf *out);

/* --- restore --- */
struct restore_target;
struct restore_target_conf {
    const struct conf_server *section;                /* --target; NULL */
    const char *host, *socket, *user, *password_file; /* NULL: not given */
    unsigned port;
    const char *sandbox, *mariadbd; /* directory; program */
    const struct manifest *like; /* of a sandbox */
};
/* Which one is meant?  ERR_USAGE unless exactly one; nothing is touched. */
int restore_target_check(const struct restore_target_conf *c);
struct restore_target *restore_target_open(const struct restore_target_conf *c);
const struct db_conf *restore_target_db(const struct restore_target *t);
/* ok: a sandbox is left running, else it is stopped.  Frees t; NULL is fine. */
void restore_target_close(struct restore_target *t, bool ok);

#endif
