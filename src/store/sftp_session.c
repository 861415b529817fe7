/*
 * sftp_session.c -- one SSH connection to the vault: options, host key, the
 * SFTP channel.
 */
#include <libssh/callbacks.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pitr/digest.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "sftp.h"

#define TRIES 6 /* where an sshd turns away */
#define DOOR_US UINT64_C(20000)
#define AT_ONCE_US UINT64_C(3000000)

static void
log_line(int priority, const char *function, const char *text, void *arg)
{
    (void)priority;
    (void)function;
    (void)arg;
    log_debug("libssh: %s", text);
}

static long
seconds(uint64_t us)
{
    return (long)((us + 999999) / 1000000);
}

static void
quote(struct buf *b, const char *word)
{
    buf_str(b, "'");
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            buf_str(b, "'\\''");
        else if (*word == '%') /* libssh expands %h and the like */
            buf_str(b, "%%");
        else
            buf_u8(b, (uint8_t)*word);
    }
    buf_str(b, "'");
}

static void
quoted_option(struct buf *b, const char *option, const char *value)
{
    if (value == NULL)
        return;
    buf_str(b, option);
    quote(b, value);
}

/* What ssh(1) shall take from us when it goes through the bastion: it must not
 * ask anybody, nor believe a host that is not known. */
static void
jump_options(const struct vault *s, struct buf *b)
{
    buf_fmt(b,
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes "
        "-o ConnectTimeout=%ld -o ServerAliveInterval=15",
        seconds(s->conf.connect_us));
    quoted_option(b, " -F ", s->conf.ssh_config);
    quoted_option(b, " -i ", s->conf.identity);
    if (s->conf.known_hosts != NULL) {
        struct buf value = {0};

        buf_fmt(&value, "UserKnownHostsFile=%s", s->conf.known_hosts);
        quoted_option(b, " -o ", buf_cstr(&value));
        buf_free(&value);
    }
}

/*
 * libssh 0.10 makes of ProxyJump a ProxyCommand "ssh -W ...", whose ssh knows
 * nothing of our files; 0.11 would connect by itself, which vault_connect()
 * has switched off so that both do the same.
 */
static void
set_jump(struct vault *s, ssh_session ssh)
{
    char *command = NULL;
    struct buf b = {0};

    if (s->conf.proxy_jump != NULL) {
        const char *last = strrchr(s->conf.proxy_jump, ',');

        jump_options(s, &b);
        if (last != NULL) {
            char *first = xstrndup(
                s->conf.proxy_jump, (size_t)(last - s->conf.proxy_jump));

            quoted_option(&b, " -J ", first);
            free(first);
        }
        buf_str(&b, " -W '[%h]:%p' ");
        if (strncmp(last == NULL ? s->conf.proxy_jump : last + 1, "ssh://",
                6) != 0) {
            struct buf url = {0};

            buf_fmt(
                &url, "ssh://%s", last == NULL ? s->conf.proxy_jump : last + 1);
            quote(&b, buf_cstr(&url));
            buf_free(&url);
        } else {
            quote(&b, last == NULL ? s->conf.proxy_jump : last + 1);
        }
    } else if (ssh_options_get(ssh, SSH_OPTIONS_PROXYCOMMAND, &command) ==
            SSH_OK &&
        strncmp(command, "ssh ", 4) == 0 && strstr(command, " -W '") != NULL) {
        jump_options(s, &b);
        buf_str(&b, command + 3);
    }
    if (b.len > 0)
        ssh_options_set(ssh, SSH_OPTIONS_PROXYCOMMAND, buf_cstr(&b));
    ssh_string_free_char(command);
    buf_free(&b);
}

static int
bad_config(struct vault *s, ssh_session ssh, const char *file)
{
    return err_set(ERR_USAGE, "%s: the ssh configuration %s: %s", s->url.shown,
        file, ssh_get_error(ssh));
}

static int
set_options(struct vault *s, ssh_session ssh)
{
    const char *file = s->conf.ssh_config;
    long timeout = seconds(s->conf.connect_us);
    int verbosity = SSH_LOG_PROTOCOL, strict = 1;
    bool off = false;

    ssh_set_log_callback(log_line);
    ssh_options_set(ssh, SSH_OPTIONS_LOG_VERBOSITY, &verbosity);
    ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &off);
    if (ssh_options_set(ssh, SSH_OPTIONS_HOST, s->url.host) != SSH_OK)
        return err_set(ERR_USAGE, "%s: %s", s->url.shown, ssh_get_error(ssh));
    if (s->url.user != NULL)
        ssh_options_set(ssh, SSH_OPTIONS_USER, s->url.user);
    if (file != NULL && strcmp(file, "none") != 0 && access(file, R_OK) < 0)
        return err_sys(ERR_USAGE, "the ssh configuration %s", file);
    if ((file == NULL || strcmp(file, "none") != 0) &&
        ssh_options_parse_config(ssh, file) != SSH_OK)
        return bad_config(s, ssh, file == NULL ? "~/.ssh/config" : file);
    /* The configuration's would count more. */
    if (s->url.port != 0)
        ssh_options_set(ssh, SSH_OPTIONS_PORT, &s->url.port);
    if (s->conf.known_hosts != NULL) {
        ssh_options_set(ssh, SSH_OPTIONS_KNOWNHOSTS, s->conf.known_hosts);
        ssh_options_set(
            ssh, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, s->conf.known_hosts);
    }
    /* Whatever "StrictHostKeyChecking no" may stand in the configuration. */
    ssh_options_set(ssh, SSH_OPTIONS_STRICTHOSTKEYCHECK, &strict);
    ssh_options_set(ssh, SSH_OPTIONS_TIMEOUT, &timeout);
    set_jump(s, ssh);
    return 0;
}

/* Connects the socket too, unless a ProxyCommand does.  *turned_away: who
 * answered there hung up. */
static int
connect_session(struct vault *s, ssh_session ssh, bool *turned_away)
{
    uint64_t begun = time_mono_us();
    char *host = NULL, *command = NULL;
    unsigned port = 22;
    bool proxied;
    int rc = -1;
    socket_t fd;

    ssh_options_get_port(ssh, &port);
    ssh_options_get(ssh, SSH_OPTIONS_HOST, &host);
    proxied =
        ssh_options_get(ssh, SSH_OPTIONS_PROXYCOMMAND, &command) == SSH_OK;
    if (!proxied) {
        fd = vault_tcp_connect(host != NULL ? host : s->url.host, port,
            s->conf.connect_us, s->conf.timeout_us);
        if (fd < 0) {
            err_wrap("%s", s->url.shown);
            goto out;
        }
        ssh_options_set(ssh, SSH_OPTIONS_FD, &fd);
    }
    if (ssh_connect(ssh) != SSH_OK) {
        *turned_away = !proxied && time_mono_us() - begun < AT_ONCE_US;
        err_set(ERR_UNREACHABLE, "%s: cannot connect%s: %s", s->url.shown,
            proxied ? " through the ProxyCommand" : "", ssh_get_error(ssh));
        if (proxied)
            err_hint("What the bastion's ssh said is above. The command: %s",
                command);
        goto out;
    }
    rc = 0;

out:
    ssh_string_free_char(host);
    ssh_string_free_char(command);
    return rc;
}

/* The name that ssh-keyscan has for a type of key. */
static const char *
scan_type(ssh_key key)
{
    const char *type = ssh_key_type_to_char(ssh_key_type(key));

    if (type == NULL)
        return "ed25519";
    if (strncmp(type, "ecdsa", 5) == 0)
        return "ecdsa";
    return strncmp(type, "ssh-", 4) == 0 ? type + 4 : type;
}

static int
refuse_host(struct vault *s, ssh_session ssh, ssh_key key,
    enum ssh_known_hosts_e state, const char *print)
{
    const char *type = scan_type(key);
    char *host = NULL, *file = NULL;
    unsigned port = 22;

    ssh_options_get_port(ssh, &port);
    ssh_options_get(ssh, SSH_OPTIONS_HOST, &host);
    ssh_options_get(ssh, SSH_OPTIONS_KNOWNHOSTS, &file);
    if (state == SSH_KNOWN_HOSTS_ERROR) {
        err_set(ERR_UNREACHABLE, "%s: cannot read the known hosts: %s",
            s->url.shown, ssh_get_error(ssh));
    } else if (state == SSH_KNOWN_HOSTS_CHANGED ||
        state == SSH_KNOWN_HOSTS_OTHER) {
        err_set(ERR_UNREACHABLE,
            "%s: THE HOST KEY IS NOT THE ONE THAT IS KNOWN: now %s %s. Either "
            "the vault was set up anew, or somebody is in between",
            s->url.shown, type, print);
        err_hint("Nothing was sent. Ask the vault's administrator for the "
                 "fingerprint of its key (there: ssh-keygen -l -f "
                 "/etc/ssh/ssh_host_%s_key.pub). Only if it is %s, remove the "
                 "old one: ssh-keygen -R '[%s]:%u' -f %s",
            type, print, host, port, file);
    } else {
        err_set(ERR_UNREACHABLE, "%s: the host key is not known: %s %s",
            s->url.shown, type, print);
        err_hint("Ask the vault's administrator for the fingerprint of its "
                 "key (there: ssh-keygen -l -f "
                 "/etc/ssh/ssh_host_%s_key.pub). If it is %s: "
                 "ssh-keyscan -t %s -p %u %s >>%s",
            type, print, type, port, host, file);
    }
    ssh_string_free_char(host);
    ssh_string_free_char(file);
    return -1;
}

static int
check_host(struct vault *s, ssh_session ssh)
{
    enum ssh_known_hosts_e state = ssh_session_is_known_server(ssh);
    unsigned char *hash = NULL;
    char *print = NULL;
    ssh_key key = NULL;
    size_t n;

    if (state == SSH_KNOWN_HOSTS_OK)
        return 0;
    if (ssh_get_server_publickey(ssh, &key) == SSH_OK &&
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &n) == 0)
        print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, n);
    refuse_host(s, ssh, key, state, print != NULL ? print : "(no key)");
    ssh_string_free_char(print);
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    return -1;
}

static int
open_channel(struct vault_conn *c, ssh_session ssh, bool *again)
{
    struct vault *s = c->store;

    if ((c->channel = ssh_channel_new(ssh)) == NULL ||
        ssh_channel_open_session(c->channel) != SSH_OK) {
        *again = true;
        return err_set(ERR_UNREACHABLE, "%s: cannot open a channel: %s",
            s->url.shown, ssh_get_error(ssh));
    }
    if (ssh_channel_request_sftp(c->channel) != SSH_OK) {
        /* Only its own "no" is one; a line that was cut is tried again. */
        *again = ssh_get_error_code(ssh) != SSH_REQUEST_DENIED;
        if (*again)
            return err_set(ERR_UNREACHABLE, "%s: cannot begin SFTP: %s",
                s->url.shown, ssh_get_error(ssh));
        err_set(ERR_UNREACHABLE, "%s: the server offers no SFTP: %s",
            s->url.shown, ssh_get_error(ssh));
        return err_hint("Its sshd_config needs \"Subsystem sftp "
                        "internal-sftp\".");
    }
    return 0;
}

static void
once(void)
{
    ssh_init();
    /* See set_jump(). */
    setenv("OPENSSH_PROXYJUMP", "1", 0);
}

/* Where many come at the same moment, as from cron, an sshd turns some away
 * (MaxStartups): they come again one by one.  True: no more. */
static bool
wait_at_door(const struct vault *s, unsigned tries)
{
    uint16_t n;

    random_bytes(&n, sizeof n);
    return s->closing ||
        stop_sleep_us((DOOR_US + n * (DOOR_US / 10000)) << (tries - 1));
}

int
vault_connect(struct vault_conn *c, bool *again)
{
    static pthread_once_t control = PTHREAD_ONCE_INIT;
    struct vault *s = c->store;
    long timeout = seconds(s->conf.timeout_us);

    pthread_once(&control, once);
    for (unsigned tries = 1;; tries++) {
        bool turned_away = false;

        *again = false;
        if ((c->ssh = ssh_new()) == NULL)
            return err_set(ERR_FAILED, "libssh: no session");
        if (set_options(s, c->ssh) < 0)
            goto fail;
        *again = true;
        if (connect_session(s, c->ssh, &turned_away) == 0)
            break;
        if (!turned_away || tries == TRIES || wait_at_door(s, tries))
            goto fail;
        vault_disconnect(c);
    }
    *again = false;
    if (check_host(s, c->ssh) < 0 || vault_authenticate(s, c->ssh, again) < 0 ||
        open_channel(c, c->ssh, again) < 0)
        goto fail;
    ssh_options_set(c->ssh, SSH_OPTIONS_TIMEOUT, &timeout);
    ssh_set_log_level(SSH_LOG_WARN);
    c->generation++;
    c->heard_us = time_mono_us();
    c->why[0] = '\0';
    *again = true;
    if (vault_hello(c) < 0)
        goto fail;
    log_debug("%s: connected%s%s", s->url.shown,
        c->has_fsync ? "" : ", no fsync", c->has_statvfs ? "" : ", no statvfs");
    return 0;

fail:
    vault_disconnect(c);
    return -1;
}

void
vault_disconnect(struct vault_conn *c)
{
    if (c->ssh == NULL)
        return;
    /* Saying goodbye to somebody who does not listen would block. */
    ssh_silent_disconnect(c->ssh);
    ssh_free(c->ssh);
    c->ssh = NULL;
    c->channel = NULL;
}
