/*
 * sshserver.c -- see sshserver.h.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pitr/file.h"
#include "pitr/mem.h"
#include "sshserver.h"

#define SSHD "/usr/sbin/sshd"
#define WAIT_TRIES 200

static char id_file[96], hosts_file[96];

bool
sshserver_installed(void)
{
    return access(SSHD, X_OK) == 0 &&
        system("command -v ssh sftp ssh-keygen "
               ">/dev/null 2>&1") == 0;
}

int
sshserver_sh(const struct sshserver *ss, const char *fmt, ...)
{
    struct buf b = {0};
    char *text;
    va_list ap;
    int rc;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    buf_fmt(&b, "cd %s && { %s\n} </dev/null >>sh.log 2>&1", ss->dir, text);
    rc = system(buf_cstr(&b));
    free(text);
    buf_free(&b);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static unsigned
free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        abort();
    close(fd);
    return ntohs(a.sin_port);
}

static bool
answers(unsigned port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    yes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return yes;
}

static int
write_conf(struct sshserver *ss)
{
    struct buf b = {0};
    char path[96];
    int rc;

    /* ::1 may not be there: sshd goes on with what there is. */
    buf_fmt(&b,
        "ListenAddress 127.0.0.1\nListenAddress ::1\n"
        "Port %u\nPort %u\nPort %u\n"
        "HostKey %s/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        "AuthorizedKeysFile %s/authorized\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "Subsystem sftp internal-sftp\nLogLevel INFO\nMaxStartups 100\n"
        "Match LocalPort %u\n"
        "ForceCommand internal-sftp -P remove,rename,posix-rename,rmdir,"
        "setstat,fsetstat,lsetstat,symlink,copy-data\n"
        "Match LocalPort %u\n"
        "ForceCommand /bin/false\nPermitOpen 127.0.0.1:%u 127.0.0.1:%u\n"
        "Match LocalPort %u\nForceCommand internal-sftp\n",
        ss->plain, ss->adding, ss->bastion, ss->dir, ss->dir, ss->adding,
        ss->bastion, ss->plain, ss->adding, ss->plain);
    snprintf(path, sizeof path, "%s/conf", ss->dir);
    rc = file_create(path, 0600, b.data, b.len);
    buf_free(&b);
    return rc;
}

static void
show_log(const struct sshserver *ss)
{
    char command[192];

    snprintf(
        command, sizeof command, "cat %s/log %s/sh.log >&2", ss->dir, ss->dir);
    if (system(command) != 0)
        fputs("no log\n", stderr);
}

int
sshserver_again(struct sshserver *ss)
{
    char conf[96], log[96];

    snprintf(conf, sizeof conf, "%s/conf", ss->dir);
    snprintf(log, sizeof log, "%s/log", ss->dir);
    if ((ss->pid = fork()) == 0) {
        int fd = open("/dev/null", O_RDWR);

        /* A test that dies leaves no server. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, 0);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(SSHD, SSHD, "-D", "-f", conf, "-E", log, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < WAIT_TRIES; i++) {
        if (answers(ss->plain) && answers(ss->adding) && answers(ss->bastion))
            return 0;
        if (waitpid(ss->pid, NULL, WNOHANG) == ss->pid) {
            ss->pid = 0;
            break;
        }
        usleep(50000);
    }
    show_log(ss);
    return -1;
}

int
sshserver_start(struct sshserver *ss)
{
    struct passwd *pw = getpwuid(geteuid());

    if (geteuid() == 0) {
        /* What an append-only account may not do, root may.  sshd wants this
         * folder when it starts as root. */
        pw = getpwnam("nobody");
        mkdir("/run/sshd", 0755);
    }
    if (pw == NULL)
        return -1;
    ss->user = xstrdup(pw->pw_name);
    strcpy(ss->dir, "/tmp/pitr-test-ssh-XXXXXX");
    if (mkdtemp(ss->dir) == NULL || chmod(ss->dir, 0755) < 0)
        return -1;
    snprintf(ss->vault, sizeof ss->vault, "%s/vault", ss->dir);
    snprintf(id_file, sizeof id_file, "%s/id", ss->dir);
    snprintf(hosts_file, sizeof hosts_file, "%s/known_hosts", ss->dir);
    if (mkdir(ss->vault, 0700) < 0 ||
        (geteuid() == 0 && chown(ss->vault, pw->pw_uid, pw->pw_gid) < 0))
        return -1;
    ss->plain = free_port();
    do
        ss->adding = free_port();
    while (ss->adding == ss->plain);
    do
        ss->bastion = free_port();
    while (ss->bastion == ss->plain || ss->bastion == ss->adding);
    if (sshserver_sh(ss,
            "for k in host other id stranger; do "
            "ssh-keygen -q -t ed25519 -N '' -C '' -f $k || exit; done; "
            "cp id.pub authorized; key=$(cut -d' ' -f1,2 host.pub); "
            "for p in %u %u %u; do for a in 127.0.0.1 ::1; do "
            "echo \"[$a]:$p $key\"; done; done >known_hosts",
            ss->plain, ss->adding, ss->bastion) != 0 ||
        write_conf(ss) < 0) {
        show_log(ss);
        return -1;
    }
    return sshserver_again(ss);
}

/* The process's parent, or 0. */
static pid_t
parent_of(pid_t pid)
{
    char path[64], line[512], *p;
    long parent = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if ((f = fopen(path, "r")) == NULL)
        return 0;
    if (fgets(line, sizeof line, f) != NULL &&
        (p = strrchr(line, ')')) != NULL && strlen(p) > 4)
        parent = strtol(p + 4, NULL, 10);
    fclose(f);
    return (pid_t)parent;
}

static bool
descends(pid_t pid, pid_t from)
{
    for (int depth = 0; depth < 8 && pid > 1; depth++)
        if ((pid = parent_of(pid)) == from)
            return true;
    return false;
}

int
sshserver_signal_sessions(const struct sshserver *ss, int signal)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    pid_t found[256];
    size_t n = 0;

    /* All first: the children of one that is gone have another parent. */
    while (d != NULL && (e = readdir(d)) != NULL && n < NELEM(found)) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

        if (pid > 1 && ss->pid > 1 && descends(pid, ss->pid))
            found[n++] = pid;
    }
    if (d != NULL)
        closedir(d);
    for (size_t i = 0; i < n; i++)
        kill(found[i], signal);
    return (int)n;
}

void
sshserver_halt(struct sshserver *ss)
{
    if (ss->pid <= 0)
        return;
    sshserver_signal_sessions(ss, SIGKILL);
    kill(ss->pid, SIGTERM);
    waitpid(ss->pid, NULL, 0);
    ss->pid = 0;
}

void
sshserver_remove(struct sshserver *ss)
{
    sshserver_halt(ss);
    if (ss->dir[0] != '\0')
        dir_remove(ss->dir);
    free((char *)ss->user);
}

const char *
sshserver_url(const struct sshserver *ss, unsigned port)
{
    static char url[256];

    snprintf(
        url, sizeof url, "sftp://%s@127.0.0.1:%u%s", ss->user, port, ss->vault);
    return url;
}

struct store_sftp_conf
sshserver_conf(const struct sshserver *ss)
{
    (void)ss;
    return (struct store_sftp_conf){.ssh_config = "none",
        .identity = id_file,
        .known_hosts = hosts_file,
        .connect_us = 5000000,
        .timeout_us = 20000000,
        .retry_us = 20000000};
}
