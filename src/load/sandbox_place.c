/*
 * sandbox_place.c -- where a sandbox lies, the programs it is made with, the
 * command line of its server.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "pitr/digest.h"
#include "pitr/file.h"
#include "pitr/lock.h"
#include "pitr/mem.h"
#include "sandbox_priv.h"

static bool
is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        access(path, X_OK) == 0;
}

/* dir/name if it is a program; owned, else NULL. */
static char *
program_in(const char *dir, size_t n, const char *name)
{
    char *path = xasprintf("%.*s/%s", (int)n, dir, name);

    if (is_program(path))
        return path;
    free(path);
    return NULL;
}

char *
sandbox_program(const char *const *names, const char *more)
{
    const char *path = getenv("PATH");
    char *all = xasprintf(
        "%s%s:/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/libexec:"
        "/usr/local/mysql/bin:/usr/local/mariadb/bin",
        more, path == NULL ? "/usr/bin" : path);
    char *found = NULL;

    for (size_t i = 0; names[i] != NULL && found == NULL; i++) {
        for (const char *p = all; found == NULL; p++) {
            size_t n = strcspn(p, ":");
            if (n > 0)
                found = program_in(p, n, names[i]);
            p += n;
            if (*p == '\0')
                break;
        }
    }
    free(all);
    return found;
}

static int
find_programs(struct sandbox_place *p, const char *mariadbd)
{
    static const char *const servers[] = {"mariadbd", "mysqld", NULL};
    static const char *const installers[] = {
        "mariadb-install-db", "mysql_install_db", NULL};
    char *dir, *more;

    p->mariadbd = mariadbd != NULL ? realpath(mariadbd, NULL)
                                   : sandbox_program(servers, "");
    if (p->mariadbd == NULL || !is_program(p->mariadbd)) {
        err_set(ERR_FAILED, "%s: no such program",
            mariadbd != NULL ? mariadbd : "mariadbd");
        return err_hint(
            "on Debian: apt-get install mariadb-server-core; or name one with "
            "--mariadbd PATH");
    }
    dir = file_folder(p->mariadbd);
    more = xasprintf("%s:%s/../bin:%s/../scripts:", dir, dir, dir);
    p->install_db = sandbox_program(installers, more);
    /* Packages of a distribution find their own files. */
    if (strncmp(dir, "/usr/", 5) != 0 || strncmp(dir, "/usr/local/", 11) == 0)
        p->basedir = xasprintf("%s/..", dir);
    free(more);
    free(dir);
    if (p->install_db != NULL)
        return 0;
    err_set(ERR_FAILED, "mariadb-install-db: no such program");
    return err_hint("on Debian: apt-get install mariadb-server-core");
}

static int
own_name(char **out)
{
    struct passwd pw, *found = NULL;
    char space[16384];

    if (getpwuid_r(geteuid(), &pw, space, sizeof space, &found) != 0 ||
        found == NULL)
        return err_set(ERR_FAILED, "user %u has no name", (unsigned)geteuid());
    *out = xstrdup(pw.pw_name);
    return 0;
}

/* A socket's path has to fit into sockaddr_un. */
static int
check_socket(const char *socket)
{
    size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

    if (strlen(socket) <= max)
        return 0;
    err_set(ERR_FAILED, "%s: the path of a socket has at most %zu bytes",
        socket, max);
    return err_hint("give a directory with a shorter path");
}

int
sandbox_place_make(
    struct sandbox_place *p, const char *dir, const char *mariadbd)
{
    char *cwd = NULL;

    if (dir[0] != '/' && (cwd = getcwd(NULL, 0)) == NULL)
        return err_sys(ERR_FAILED, "getcwd");
    p->dir = cwd == NULL ? xstrdup(dir) : xasprintf("%s/%s", cwd, dir);
    free(cwd);
    p->datadir = xasprintf("%s/data", p->dir);
    p->tmpdir = xasprintf("%s/tmp", p->dir);
    p->socket = xasprintf("%s/mysqld.sock", p->dir);
    p->pid_file = xasprintf("%s/mysqld.pid", p->dir);
    p->error_log = xasprintf("%s/error.log", p->dir);
    p->install_log = xasprintf("%s/install.log", p->dir);
    if (own_name(&p->user) < 0 || check_socket(p->socket) < 0 ||
        find_programs(p, mariadbd) < 0 || sandbox_claim(p) < 0)
        return -1;
    /*
     * Its own, because a server that starts removes all temporary tables from
     * its tmpdir: in /tmp also those of another server that is at work.
     */
    return dir_make(p->tmpdir, 0700);
}

void
sandbox_place_free(struct sandbox_place *p)
{
    free(p->dir);
    free(p->datadir);
    free(p->tmpdir);
    free(p->socket);
    free(p->pid_file);
    free(p->error_log);
    free(p->install_log);
    free(p->mariadbd);
    free(p->install_db);
    free(p->basedir);
    free(p->user);
    free(p->page_size);
    free(p->zone);
    lock_free(p->lock);
    *p = (struct sandbox_place){0};
}

/* --- the command line --- */

#define ARGS 40

/* A quarter of the memory, 128 MiB to 2 GiB. */
static uint64_t
pool_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t quarter =
        pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 4 : 0;

    return MIN(MAX(quarter, UINT64_C(128) << 20), UINT64_C(2) << 30);
}

/* Unlike any of the archive, whose events the applier would leave out. */
static uint32_t
server_id(void)
{
    uint32_t id;

    random_bytes(&id, sizeof id);
    return id | 0x80000000u;
}

char **
sandbox_argv(const struct sandbox_place *p)
{
    static const char *const fixed[] = {"--skip-networking",
        "--event-scheduler=OFF", "--skip-slave-start", "--skip-log-bin",
        "--replicate-annotate-row-events=OFF", "--max-allowed-packet=1G",
        "--slave-max-allowed-packet=1G", "--innodb-log-file-size=512M",
        "--innodb-log-buffer-size=32M", "--innodb-sort-buffer-size=16M",
        "--relay-log=relay", "--key-buffer-size=64M", "--secure-file-priv="};
    char **a = xcalloc(ARGS, sizeof *a);
    size_t n = 0;

    a[n++] = xstrdup(p->mariadbd);
    a[n++] = xstrdup("--no-defaults");
    if (p->basedir != NULL)
        a[n++] = xasprintf("--basedir=%s", p->basedir);
    if (geteuid() == 0)
        a[n++] = xstrdup("--user=root");
    a[n++] = xasprintf("--datadir=%s", p->datadir);
    a[n++] = xasprintf("--tmpdir=%s", p->tmpdir);
    a[n++] = xasprintf("--socket=%s", p->socket);
    a[n++] = xasprintf("--pid-file=%s", p->pid_file);
    a[n++] = xasprintf("--log-error=%s", p->error_log);
    a[n++] = xasprintf("--server-id=%u", (unsigned)server_id());
    a[n++] = xasprintf("--lower-case-table-names=%d", p->lower_case);
    if (p->page_size != NULL)
        a[n++] = xasprintf("--innodb-page-size=%s", p->page_size);
    a[n++] = xasprintf(
        "--innodb-buffer-pool-size=%llu", (unsigned long long)pool_bytes());
    for (size_t i = 0; i < NELEM(fixed); i++)
        a[n++] = xstrdup(fixed[i]);
    return a;
}

void
sandbox_argv_free(char **argv)
{
    for (size_t i = 0; argv[i] != NULL; i++)
        free(argv[i]);
    free(argv);
}

/* --- around the server --- */

int
sandbox_clean_accounts(struct db *db)
{
    struct db_result r = {0};
    int rc;

    if (db_exec(db, "SET SESSION sql_log_bin=0") < 0)
        return -1;
    rc = db_query(db, &r,
        "SELECT User, Host FROM mysql.user WHERE is_role='N' AND "
        "CONCAT(User, '@', Host) NOT IN (CURRENT_USER(), "
        "'mariadb.sys@localhost')");
    for (size_t i = 0; rc == 0 && i < r.rows; i++) {
        struct buf b = {0};
        buf_str(&b, "DROP USER ");
        db_ident(&b, db_text(&r, i, 0));
        buf_str(&b, "@");
        db_ident(&b, db_text(&r, i, 1));
        rc = db_exec_bytes(db, (char *)b.data, b.len);
        buf_free(&b);
    }
    db_result_free(&r);
    return rc;
}

int
sandbox_readme(const struct sandbox_place *p)
{
    struct buf b = {0};
    char *path = xasprintf("%s/README", p->dir);
    int rc;

    buf_fmt(&b,
        "A sandbox of pitr: a private MariaDB server without network.\n\n"
        "Connect, as the system user %s:\n"
        "    mariadb --no-defaults --socket=%s --user=%s\n\n"
        "Stop:\n"
        "    mariadb --no-defaults --socket=%s --user=%s -e SHUTDOWN\n\n"
        "Start again:\n"
        "    %s%s%s%s --no-defaults%s --datadir=%s \\\n"
        "        --tmpdir=%s --socket=%s --pid-file=%s \\\n"
        "        --log-error=%s --lower-case-table-names=%d%s%s \\\n"
        "        --skip-networking --skip-slave-start &\n\n"
        "What it says: %s\n"
        "When it is stopped and no longer needed, remove %s.\n",
        p->user, p->socket, p->user, p->socket, p->user,
        p->zone != NULL ? "TZ=" : "", p->zone != NULL ? p->zone : "",
        p->zone != NULL ? " " : "", p->mariadbd,
        geteuid() == 0 ? " --user=root" : "", p->datadir, p->tmpdir, p->socket,
        p->pid_file, p->error_log, p->lower_case,
        p->page_size != NULL ? " --innodb-page-size=" : "",
        p->page_size != NULL ? p->page_size : "", p->error_log, p->dir);
    rc = file_create(path, 0644, b.data, b.len);
    free(path);
    buf_free(&b);
    return rc;
}

#define TAIL_BYTES 16384
#define TAIL_LINES 15

/* The last lines that are errors, or of all where none is. */
static char *
last_lines(const char *text, bool errors)
{
    const char *line[TAIL_LINES] = {0}, *p = text, *end;
    size_t n = 0;
    struct buf out = {0};

    for (; *p != '\0'; p = *end == '\0' ? end : end + 1) {
        const char *mark = strstr(p, "[ERROR]");

        end = p + strcspn(p, "\n");
        if (!errors || (mark != NULL && mark < end))
            line[n++ % TAIL_LINES] = p;
    }
    for (size_t i = n < TAIL_LINES ? 0 : n - TAIL_LINES; i < n; i++) {
        p = line[i % TAIL_LINES];
        buf_fmt(&out, "%.*s\n", (int)strcspn(p, "\n"), p);
    }
    return buf_take(&out);
}

char *
sandbox_log_tail(const char *path)
{
    char *text = xcalloc(1, TAIL_BYTES + 1), *tail;
    FILE *f = fopen(path, "re");

    if (f == NULL) {
        free(text);
        return xstrdup("(it cannot be read)");
    }
    if (fseek(f, -TAIL_BYTES, SEEK_END) < 0)
        rewind(f);
    text[fread(text, 1, TAIL_BYTES, f)] = '\0';
    fclose(f);
    tail = last_lines(text, strstr(text, "[ERROR]") != NULL);
    free(text);
    return tail;
}
