/*
 * sftp_remove.c -- removing an object of the vault, where the account may.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "sftp.h"

static struct vault_req *
send_path(struct vault_conn *c, uint8_t type, const char *name)
{
    char *path = vault_path(c->store, name);
    struct buf b = {0};
    struct vault_req *r;

    vault_begin(&b, type);
    vault_put_str(&b, path);
    r = vault_send(c, &b);
    buf_free(&b);
    free(path);
    return r;
}

/* Those that are empty now; the server refuses the others. */
static void
prune(struct vault_conn *c, const char *name)
{
    char *folder = xstrdup(name), *slash;

    while ((slash = strrchr(folder, '/')) != NULL && c->channel != NULL) {
        *slash = '\0';
        vault_drop(send_path(c, SFTP_REQ_RMDIR, folder));
    }
    free(folder);
}

/* The last one first: what is left, should this be cut short, is the start of
 * an object without its end, which nobody takes for a whole one. */
static int
remove_files(struct vault_conn *c, void *arg)
{
    struct vault_lookup want = {.name = arg, .fresh = true};
    int rc = vault_lookup(c, &want);

    for (size_t i = want.found.n; i-- > 0 && rc == 0;) {
        char *file = extent_name(want.name, &want.found.v[i]);
        struct vault_req *r = send_path(c, SFTP_REQ_REMOVE, file);

        if (r == NULL || vault_wait(c, r) < 0)
            rc = -1;
        else if (r->type != SFTP_STATUS)
            rc = vault_lose(c, "the server's answer is of another kind");
        else if (r->status != SFTP_OK && r->status != SFTP_NO_SUCH_FILE)
            rc = vault_fail(c, r, "remove", file);
        vault_drop(r);
        free(file);
    }
    if (rc == 0 && want.found.n > 0)
        prune(c, want.name);
    extents_free(&want.found);
    return rc;
}

int
vault_remove(void *impl, const char *name)
{
    char *own;
    int rc;

    if (vault_in_the_past(impl))
        return -1;
    own = xstrdup(name);
    rc = vault_run(impl, remove_files, own);
    vault_forget(impl, name);
    free(own);
    return rc;
}
