/*
 * sandbox_priv.h -- what sandbox.c and sandbox_place.c share: where a sandbox
 * lies and what it is made with.
 */
#ifndef PITR_SANDBOX_PRIV_H
#define PITR_SANDBOX_PRIV_H

#include <stdbool.h>
#include "pitr/db.h"
#include "pitr/manifest.h"

struct sandbox_place {
    char *dir; /* absolute */
    char *datadir, *tmpdir, *socket, *pid_file, *error_log, *install_log;
    char *mariadbd, *install_db;
    char *basedir;     /* NULL: the programs' own */
    char *user;        /* name of this process's user */
    int lower_case;    /* lower_case_table_names */
    char *page_size;   /* NULL: the program's default */
    char *zone;        /* for TZ; NULL: this process's */
    struct lock *lock; /* from sandbox_claim() on */
};

/* Find the programs, make dir. */
int sandbox_place_make(
    struct sandbox_place *p, const char *dir, const char *mariadbd);
void sandbox_place_free(struct sandbox_place *p);

/* The server's command line; NULL-terminated. */
char **sandbox_argv(const struct sandbox_place *p);
void sandbox_argv_free(char **argv);

/* sandbox_zones.c */
/* p->zone as the backup's source has it; a warning where there is none. */
void sandbox_zone_choose(struct sandbox_place *p, const struct manifest *like);
/* Where the source has time zones with names, so has the sandbox then. */
int sandbox_zones_fill(
    const struct sandbox_place *p, const struct manifest *like);
/* Of a program in PATH and the usual places, or in more ("DIR:..."); owned,
 * NULL where there is none. */
char *sandbox_program(const char *const *names, const char *more);

/* Accounts that a fresh data directory has, and the source may not. */
int sandbox_clean_accounts(struct db *db);
int sandbox_readme(const struct sandbox_place *p);
/*
 * sandbox_leftover.c.  Make dir, or take one that is empty or holds what an
 * interrupted restore has left: its server is stopped, the rest removed.  Mark
 * and lock it; ERR_LOCKED where another restore is at work there.
 */
int sandbox_claim(struct sandbox_place *p);
/* It is complete: nothing replaces it from now on. */
int sandbox_unmark(const struct sandbox_place *p);

/* Its last lines, of errors if it has such; owned. */
char *sandbox_log_tail(const char *path);

#endif
