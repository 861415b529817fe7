/*
 * opt.c -- a command's line: defaults, then the configuration, then argv.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/opt.h"

#define COMMON(f) offsetof(struct common, f)
const struct opt common_opts[] = {
    {"config", 'c', OPT_STR, COMMON(config), NULL, 0, 0, "FILE",
        "configuration (" CONF_DEFAULT ")", NULL},
    {"server", 's', OPT_STR, COMMON(server), NULL, 0, 0, "NAME",
        "section of the configuration; may be left out where there is one",
        NULL},
    {"verbose", 'v', OPT_FLAG, COMMON(verbose), NULL, 0, 0, NULL,
        "say more of what is done", NULL},
    {"quiet", 'q', OPT_FLAG, COMMON(quiet), NULL, 0, 0, NULL,
        "say only what went wrong", NULL},
    {"ssh-identity", 0, OPT_STR, COMMON(ssh_identity), NULL, 0, 0, "FILE",
        "the private key for the vaults", "ssh_identity"},
    {"ssh-known-hosts", 0, OPT_STR, COMMON(ssh_known_hosts), NULL, 0, 0, "FILE",
        "the vaults' host keys", "ssh_known_hosts"},
    {"ssh-jump", 0, OPT_STR, COMMON(ssh_jump), NULL, 0, 0, "[USER@]HOST[:PORT]",
        "the bastion", "ssh_jump"},
    {"ssh-config", 0, OPT_STR, COMMON(ssh_config), NULL, 0, 0, "FILE",
        "instead of ~/.ssh/config; none", "ssh_config"},
    {"help", 'h', OPT_FLAG, COMMON(help), NULL, 0, 0, NULL, "this text", NULL},
    {0}};

/* A row by "--name" (length n), or by its letter where name is NULL. */
static const struct opt *
find_row(const struct opt *rows, const char *name, size_t n, char letter)
{
    for (; rows != NULL && rows->name != NULL; rows++)
        if (name == NULL
                ? rows->letter == letter
                : strlen(rows->name) == n && memcmp(rows->name, name, n) == 0)
            return rows;
    return NULL;
}

static const struct opt *
find_opt(const struct command *cmd, const char *name, size_t n, char letter)
{
    const struct opt *row = find_row(common_opts, name, n, letter);

    return row != NULL ? row : find_row(cmd->opts, name, n, letter);
}

static int
usage_error(const struct command *cmd)
{
    return err_hint("\"pitr %s --help\" shows what it takes.", cmd->name);
}

/* One option at argv[*i]; its value may be the next word. */
static int
take_option(const struct command *cmd, int argc, char **argv, int *i, void *o)
{
    const char *word = argv[*i], *eq = NULL, *value;
    bool is_long = word[1] == '-';
    const struct opt *row;
    char *where;
    int rc;

    if (is_long) {
        eq = strchr(word, '=');
        row = find_opt(cmd, word + 2,
            eq == NULL ? strlen(word + 2) : (size_t)(eq - word - 2), 0);
    } else {
        row = find_opt(cmd, NULL, 0, word[1]);
        if (word[2] != '\0' && row != NULL && row->type != OPT_FLAG)
            eq = word + 1; /* "-j4" */
        else if (word[2] != '\0')
            row = NULL;
    }
    if (row == NULL) {
        err_set(ERR_USAGE, "pitr %s has no option %s", cmd->name, word);
        return usage_error(cmd);
    }
    if (row->type == OPT_FLAG) {
        if (eq != NULL) {
            err_set(ERR_USAGE, "--%s takes no value", row->name);
            return usage_error(cmd);
        }
        *(bool *)((char *)o + row->field) = true;
        return 0;
    }
    value = eq != NULL ? eq + 1 : *i + 1 < argc ? argv[++*i] : NULL;
    if (value == NULL) {
        err_set(ERR_USAGE, "--%s needs a value: %s", row->name, row->arg);
        return usage_error(cmd);
    }
    where = xasprintf("--%s", row->name);
    rc = opt_set(row, value, where, (char *)o + row->field);
    free(where);
    return rc < 0 ? usage_error(cmd) : 0;
}

static int
take_words(const struct command *cmd, int argc, char **argv, void *o)
{
    struct common *common = o;
    bool only_words = false;

    common->args = xcalloc((size_t)argc + 1, sizeof *common->args);
    common->n_args = 0;
    for (int i = 0; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (take_option(cmd, argc, argv, &i, o) < 0)
                return -1;
        } else if (common->n_args == cmd->max_args) {
            err_set(
                ERR_USAGE, "pitr %s does not take \"%s\"", cmd->name, argv[i]);
            return usage_error(cmd);
        } else {
            common->args[common->n_args++] = argv[i];
        }
    }
    return 0;
}

static int
set_defaults(const struct command *cmd, void *o)
{
    for (const struct opt *row = cmd->opts; row != NULL && row->name != NULL;
         row++)
        if (row->def != NULL &&
            opt_set(row, row->def, row->name, (char *)o + row->field) < 0)
            return -1;
    return 0;
}

static size_t
type_size(enum opt_type type)
{
    switch (type) {
    case OPT_FLAG:
        return sizeof(bool);
    case OPT_UINT:
    case OPT_AUTO:
        return sizeof(unsigned);
    case OPT_STR:
    case OPT_WORD:
        return sizeof(const char *);
    default:
        return sizeof(uint64_t);
    }
}

/* What the section says, where it says anything, becomes the default. */
static void
set_from_section(
    const struct command *cmd, const struct conf_server *section, void *o)
{
    static const char zero[sizeof(uint64_t)];

    for (const struct opt *row = cmd->opts; row != NULL && row->name != NULL;
         row++) {
        const struct opt *key;
        size_t n = type_size(row->type);

        if (row->conf == NULL)
            continue;
        key = find_row(conf_keys, row->conf, strlen(row->conf), 0);
        if (key != NULL && key->type == row->type &&
            memcmp((const char *)section + key->field, zero, n) != 0)
            memcpy(
                (char *)o + row->field, (const char *)section + key->field, n);
    }
}

/* What the command line says of vaults wins over every section: vaults are
 * reached by these. */
static void
set_sections(const struct common *c)
{
    for (size_t i = 0; c->conf != NULL && i < c->conf->servers; i++) {
        struct conf_server *s = &c->conf->server[i];

        s->ssh_config = c->ssh_config != NULL ? c->ssh_config : s->ssh_config;
        s->ssh_identity =
            c->ssh_identity != NULL ? c->ssh_identity : s->ssh_identity;
        s->ssh_known_hosts = c->ssh_known_hosts != NULL ? c->ssh_known_hosts
                                                        : s->ssh_known_hosts;
        s->ssh_jump = c->ssh_jump != NULL ? c->ssh_jump : s->ssh_jump;
    }
}

/*
 * The configuration: the one that was named must be there; without a name the
 * default one is read if it exists, and a command that needs it says so.
 */
static int
read_config(const struct command *cmd, void *o)
{
    struct common *common = o;
    const char *path = common->config;

    if (cmd->no_config)
        return 0;
    if (path == NULL && access(CONF_DEFAULT, F_OK) != 0) {
        if (common->server == NULL)
            return 0;
        err_set(ERR_USAGE,
            "--server needs a configuration, and there is no "
            "%s",
            CONF_DEFAULT);
        return err_hint("Name one with --config FILE.");
    }
    if ((common->conf = conf_load(path == NULL ? CONF_DEFAULT : path)) == NULL)
        return -1;
    if (common->server == NULL && common->conf->servers != 1)
        return 0; /* the command says so if it needs one */
    common->section = conf_server_find(common->conf, common->server);
    return common->section == NULL ? -1 : 0;
}

/* What take_words() has allocated. */
static void
free_words(const struct command *cmd, void *o)
{
    struct common *common = o;

    for (const struct opt *row = cmd->opts; row != NULL && row->name != NULL;
         row++)
        if (row->type == OPT_LIST)
            free(((struct opt_list *)(void *)((char *)o + row->field))->v);
    free(common->args);
    common->args = NULL;
}

int
opt_parse(const struct command *cmd, int argc, char **argv, void *o)
{
    struct common *common = o, first;

    if (take_words(cmd, argc, argv, o) < 0)
        return -1;
    if (common->help) {
        opt_help(cmd);
        return 1;
    }
    log_setup(common->quiet   ? LOG_QUIET
            : common->verbose ? LOG_VERBOSE
                              : LOG_NORMAL);
    if (read_config(cmd, o) < 0)
        return -1;
    set_sections(common);
    /* Again from the start, now that the lower layers of defaults are known. */
    free_words(cmd, o);
    first = *common;
    memset(o, 0, cmd->size);
    *common = first;
    if (set_defaults(cmd, o) < 0)
        return -1;
    if (common->section != NULL)
        set_from_section(cmd, common->section, o);
    return take_words(cmd, argc, argv, o);
}

void
opt_free(const struct command *cmd, void *o)
{
    free_words(cmd, o);
    conf_free(((struct common *)o)->conf);
}

static void
help_rows(const struct opt *rows)
{
    for (; rows != NULL && rows->name != NULL; rows++) {
        char left[80];

        snprintf(left, sizeof left, "%s--%s%s%s", rows->letter ? "" : "    ",
            rows->name, rows->arg ? " " : "", rows->arg ? rows->arg : "");
        if (rows->letter)
            printf("  -%c, %-24s %s", rows->letter, left, rows->help);
        else
            printf("  %-28s %s", left, rows->help);
        if (rows->def != NULL)
            printf(" (%s)", rows->def);
        putchar('\n');
    }
}

void
opt_help(const struct command *cmd)
{
    printf("usage: pitr %s [options]%s%s\n\n%s\n", cmd->name,
        *cmd->usage ? " " : "", cmd->usage, cmd->help);
    if (cmd->opts != NULL && cmd->opts->name != NULL) {
        printf("\noptions:\n");
        help_rows(cmd->opts);
    }
    printf("\nfor every command:\n");
    help_rows(common_opts);
}
