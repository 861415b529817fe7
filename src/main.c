/*
 * main.c -- the table of commands, the last word on an error, the exit code.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "pitr/err.h"
#include "pitr/keys.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/utf8.h"

static const struct command *const commands[] = {&cmd_keygen, &cmd_init,
    &cmd_check, &cmd_backup, &cmd_stream, &cmd_ship, &cmd_list, &cmd_status,
    &cmd_restore, &cmd_verify, &cmd_expire, &cmd_keep, &cmd_rekey, &cmd_rewrap};

static void
help(FILE *out)
{
    fprintf(out,
        "pitr %s: backups of MariaDB, and its log, to any moment\n\n"
        "usage: pitr COMMAND [options]\n\n",
        PACKAGE_VERSION);
    for (size_t i = 0; i < NELEM(commands); i++)
        fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->help);
    fprintf(out,
        "\n\"pitr COMMAND --help\" lists its options; pitr(1) "
        "explains them.\n");
}

static const struct command *
find_command(const char *name)
{
    for (size_t i = 0; i < NELEM(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    err_set(ERR_USAGE, "there is no command \"%s\"", name);
    err_hint(*name == '-' ? "The command comes first, its options after it; "
                            "\"pitr --help\" lists the commands."
                          : "\"pitr --help\" lists the commands.");
    return NULL;
}

/* "help COMMAND" is "COMMAND --help". */
static int
run(int argc, char **argv)
{
    static char help_option[] = "--help";
    bool help_asked = strcmp(argv[1], "help") == 0;
    const struct command *cmd = find_command(argv[help_asked ? 2 : 1]);
    void *o;
    int rc;

    if (cmd == NULL)
        return -1;
    o = xcalloc(1, cmd->size);
    if (help_asked) {
        argv[2] = help_option;
        argc = 3;
    }
    rc = opt_parse(cmd, argc - 2, argv + 2, o);
    if (rc == 0)
        rc = cmd->run(o);
    else if (rc == 1)
        rc = 0; /* only help was asked for */
    opt_free(cmd, o);
    free(o);
    return rc;
}

static int
exit_code(int rc)
{
    const char *hint = err_hint_text();
    size_t n = strlen(hint);
    char *text;

    if (rc == 0)
        return log_warnings() > 0 ? ERR_WARNINGS : 0;
    text = xasprintf("pitr: %s\n%s%s", err_text(), hint,
        n == 0 || hint[n - 1] == '\n' ? "" : "\n");
    utf8_harmless(text, strlen(text));
    if (*err_text() != '\0') /* all was said */
        fputs(text, stderr);
    free(text);
    if (stop_asked())
        return 128 + stop_signal();
    return err_kind() == ERR_NONE ? ERR_FAILED : (int)err_kind();
}

/* What is secret is kept out of core files one by one; what libraries make of
 * it is not.  Whom root of the machine lets look into the process is another
 * matter. */
static void
no_core(void)
{
    struct rlimit none;

    if (getrlimit(RLIMIT_CORE, &none) == 0) {
        none.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &none);
    }
    prctl(PR_SET_DUMPABLE, 0);
}

int
main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        printf("pitr %s\n", PACKAGE_VERSION);
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0 ||
        (argc == 2 && strcmp(argv[1], "help") == 0)) {
        help(argc < 2 ? stderr : stdout);
        return argc < 2 ? ERR_USAGE : 0;
    }
    no_core();
    log_setup(LOG_NORMAL);
    stop_setup();
    if (keys_setup() < 0)
        return exit_code(-1);
    return exit_code(run(argc, argv));
}
