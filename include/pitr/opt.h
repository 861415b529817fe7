/*
 * opt.h -- commands and their options, as tables.
 *
 * A row says all there is to know of an option: name, type, where it goes,
 * default, range, help.  --help and the check of the man page read the same
 * rows.  An option of the command line that is also a key of the configuration
 * has `conf` set: what the configuration says is its default.
 */
#ifndef PITR_OPT_H
#define PITR_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pitr/conf.h"

enum opt_type {
    OPT_FLAG,     /* bool */
    OPT_STR,      /* const char * */
    OPT_WORD,     /* const char *: one of those that arg has, "a|b|c" */
    OPT_UINT,     /* unsigned */
    OPT_AUTO,     /* unsigned; "auto" is 0 */
    OPT_SIZE,     /* uint64_t bytes: "64M", "1G" (powers of 1024) */
    OPT_DURATION, /* uint64_t microseconds: "500ms", "10s", "5m", "2h", "7d" */
    OPT_TIME,     /* uint64_t microseconds UTC; see time_parse() */
    OPT_LIST,     /* struct opt_list: may be given several times */
};

struct opt_list {
    const char **v;
    size_t n, cap;
};

struct opt {
    const char *name; /* without "--"; NULL ends the table */
    char letter;      /* 0: none */
    enum opt_type type;
    size_t field;     /* offsetof in the command's struct */
    const char *def;  /* NULL: stays zero; "" is not a default */
    uint64_t min, max; /* of numbers, if max is not 0 */
    const char *arg;  /* "FILE", shown in the help */
    const char *help;
    const char *conf; /* key of the configuration with the same meaning */
};

struct command {
    const char *name, *help;
    const char *usage;         /* what follows the name, "" if only options */
    const struct opt *opts;    /* ends with a zero row */
    size_t size;               /* of the struct that the fields are in */
    unsigned max_args;         /* words that are not options */
    bool no_config;            /* runs without a configuration */
    /* o: zeroed, then filled by the rows; starts with struct common. */
    int (*run)(void *o);
};

/* Every command's struct starts with it. */
struct common {
    const char *config, *server;
    bool verbose, quiet, help;
    /* How to reach vaults; they are in the sections, too, where they win. */
    const char *ssh_config, *ssh_identity, *ssh_known_hosts, *ssh_jump;
    struct conf *conf;                 /* NULL with no_config */
    const struct conf_server *section; /* the chosen one; NULL if none */
    const char **args;
    size_t n_args;
};

/*
 * Parse argv (after the command's name) into o.  Returns 0; 1 where only help
 * was asked for (printed to stdout); -1 with ERR_USAGE, hint included.
 */
int opt_parse(const struct command *cmd, int argc, char **argv, void *o);
/* Free what opt_parse() has put into o: lists, words, the configuration. */
void opt_free(const struct command *cmd, void *o);
void opt_help(const struct command *cmd);
extern const struct opt common_opts[];
/* The keys of the configuration; fields are of struct conf_server. */
extern const struct opt conf_keys[];

/* Parse one value by its type; used for the configuration as well.  where: for
 * the error's text, "--jobs" or "pitr.conf line 12: jobs". */
int opt_set(const struct opt *row, const char *value, const char *where,
    void *field);

#endif
