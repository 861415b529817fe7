/*
 * sandbox_priv.h -- what sandbox.c and sandbox_place.c share: where a sandbox
 * lies and what it is made with.
 */
#ifndef PITR_SANDBOX_PRIV_H
#define PITR_SANDBOX_PRIV_H

#include <stdbool.h>
#include "pitr/db.h"

struct sandbox_place {
    char *dir; /* absolute */
    char *datadir, *tmpdir, *socket, *pid_file, *error_log, *install_log;
    char *mariadbd, *install_db;
    char *basedir; /* NULL: the programs' own */
    char *user;    /* name of this process's user */
};

/* Find the programs, make dir. */
int sandbox_place_make(
    struct sandbox_place *p, const char *dir, const char *mariadbd);
void sandbox_place_free(struct sandbox_place *p);

/* The server's command line; NULL-terminated. */
char **sandbox_argv(const struct sandbox_place *p, int lower_case_table_names);
void sandbox_argv_free(char **argv);

/* Accounts that a fresh data directory has, and the source may not. */
int sandbox_clean_accounts(struct db *db);
int sandbox_readme(const struct sandbox_place *p);
/* The mark of a sandbox that is being made (sandbox_leftover.c). */
int sandbox_mark(const struct sandbox_place *p);
int sandbox_unmark(const struct sandbox_place *p);
bool sandbox_is_marked(const struct sandbox_place *p);
/* Stop its server if it still runs, remove the directory. */
int sandbox_clear_leftover(const struct sandbox_place *p);

/* Its last lines; owned. */
char *sandbox_log_tail(const char *path);

#endif
