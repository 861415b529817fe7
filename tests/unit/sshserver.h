/*
 * sshserver.h -- a private sshd for a test, on loopback: its own keys and
 * configuration, three ports, nothing of the user's.  Nothing of it stays.
 */
#ifndef PITR_SSHSERVER_H
#define PITR_SSHSERVER_H

#include <stdbool.h>
#include <sys/types.h>
#include "pitr/store.h"

struct sshserver {
    char dir[64];   /* id, id.pub, known_hosts, vault/, ... */
    char vault[80]; /* a folder that the account owns */
    const char *user;
    unsigned plain, adding, bastion; /* ports: all may be done; only added;
                                        only forwarded to the first two */
    pid_t pid;
};

bool sshserver_installed(void);
int sshserver_start(struct sshserver *ss); /* 0, or -1 with the log shown */
int sshserver_again(struct sshserver *ss); /* after a halt */
void sshserver_halt(struct sshserver *ss);
void sshserver_remove(struct sshserver *ss);
/* Send a signal to all connections of now, but not to the server. */
int sshserver_signal_sessions(const struct sshserver *ss, int signal);
/* "sftp://user@127.0.0.1:PORT/DIR/vault"; borrowed until the next call. */
const char *sshserver_url(const struct sshserver *ss, unsigned port);
/* The test's key and known hosts, no configuration, short times.  Borrows. */
struct store_sftp_conf sshserver_conf(const struct sshserver *ss);
/* Run a command of sh in the directory; its exit code. */
int sshserver_sh(const struct sshserver *ss, const char *fmt, ...) PRINTF(2, 3);

#endif
