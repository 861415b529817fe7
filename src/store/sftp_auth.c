/*
 * sftp_auth.c -- proving to the vault who we are: with keys, and never by
 * asking somebody, for nobody may be there.
 */
#include <stdlib.h>
#include <unistd.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "sftp.h"

static char *
user_of(ssh_session ssh)
{
    char *user = NULL, *copy;

    if (ssh_options_get(ssh, SSH_OPTIONS_USER, &user) != SSH_OK)
        return xstrdup("(the local user's name)");
    copy = xstrdup(user);
    ssh_string_free_char(user);
    return copy;
}

/* A certificate beside the key, as ssh(1) has it: KEY-cert.pub. */
static void
add_certificate(const char *path, ssh_key key)
{
    char *name = xasprintf("%s-cert.pub", path);
    ssh_key cert = NULL;

    if (access(name, R_OK) == 0 &&
        ssh_pki_import_cert_file(name, &cert) == SSH_OK &&
        ssh_pki_copy_cert_to_privkey(cert, key) != SSH_OK)
        log_warn("%s does not belong to %s and is not used", name, path);
    ssh_key_free(cert);
    free(name);
}

/* An SSH_AUTH_ code; *unread where the file could not be used. */
static int
try_file(ssh_session ssh, const char *path, bool *unread)
{
    ssh_key key = NULL;
    int rc;

    *unread = false;
    if (ssh_pki_import_privkey_file(path, NULL, NULL, NULL, &key) != SSH_OK) {
        *unread = true;
        return SSH_AUTH_DENIED;
    }
    add_certificate(path, key);
    rc = ssh_userauth_publickey(ssh, NULL, key);
    ssh_key_free(key);
    return rc;
}

static int
denied(struct vault *s, ssh_session ssh, bool unread, int methods)
{
    const char *identity = s->conf.identity;
    char *user = user_of(ssh);

    err_set(ERR_UNREACHABLE, "%s: the server does not let user \"%s\" in",
        s->url.shown, user);
    if (!(methods & SSH_AUTH_METHOD_PUBLICKEY))
        err_hint("It accepts no keys from this user; only keys are used.");
    else if (unread && access(identity, R_OK) < 0)
        err_hint("The key file %s cannot be read.", identity);
    else if (unread)
        err_hint("The key file %s cannot be used as it is: it has a "
                 "passphrase, or is no private key. Load it into an agent "
                 "(SSH_AUTH_SOCK), or make one without a passphrase for this "
                 "account only.",
            identity);
    else if (identity != NULL)
        err_hint("Tried: %s, and an agent's keys. Is its public key in the "
                 "vault's authorized_keys of \"%s\"?",
            identity, user);
    else
        err_hint("Tried: an agent's keys (SSH_AUTH_SOCK), those that the ssh "
                 "configuration names, ~/.ssh/id_*. Is one of their public "
                 "keys in the vault's authorized_keys of \"%s\"?",
            user);
    free(user);
    return -1;
}

int
vault_authenticate(struct vault *s, ssh_session ssh, bool *again)
{
    bool unread = false;
    int methods, rc = ssh_userauth_none(ssh, NULL);

    *again = false;
    if (rc == SSH_AUTH_SUCCESS)
        return 0;
    methods = rc == SSH_AUTH_ERROR ? 0 : ssh_userauth_list(ssh, NULL);
    if (methods & SSH_AUTH_METHOD_PUBLICKEY) {
        if (s->conf.identity == NULL)
            rc = ssh_userauth_publickey_auto(ssh, NULL, NULL);
        else if ((rc = try_file(ssh, s->conf.identity, &unread)) ==
            SSH_AUTH_DENIED)
            rc = ssh_userauth_agent(ssh, NULL);
    }
    if (rc == SSH_AUTH_SUCCESS)
        return 0;
    if (rc == SSH_AUTH_PARTIAL) {
        err_set(ERR_UNREACHABLE,
            "%s: the server wants a second proof besides the key",
            s->url.shown);
        return err_hint("An account for backups needs to get in with its key "
                        "alone.");
    }
    if (rc == SSH_AUTH_ERROR && !ssh_is_connected(ssh)) {
        *again = true;
        return err_set(ERR_UNREACHABLE, "%s: while authenticating: %s",
            s->url.shown, ssh_get_error(ssh));
    }
    return denied(s, ssh, unread, methods);
}
