/*
 * sftp_room.c -- what a vault's server can say of itself: the file system below
 * it, and what its account may do.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/err.h"
#include "pitr/mem.h"
#include "sftp.h"

int
vault_statvfs(struct vault_conn *c, const char *path, struct store_room *out,
    uint64_t *inodes, uint64_t *inodes_free)
{
    struct buf b = {0};
    struct vault_req *r;
    uint64_t v[11] = {0};
    int rc = 0;

    out->syncs = c->has_fsync;
    if (c->channel == NULL || !c->has_statvfs)
        return 0;
    vault_begin(&b, SFTP_REQ_EXTENDED);
    vault_put_str(&b, "statvfs@openssh.com");
    vault_put_str(&b, path);
    r = vault_ask(c, &b, SFTP_EXTENDED_REPLY);
    buf_free(&b);
    if (r == NULL)
        return -1;
    if (r->type == SFTP_EXTENDED_REPLY) {
        struct cur in = cur_of(r->data, r->len);

        /* bsize frsize blocks bfree bavail files ffree favail fsid flag .. */
        for (size_t i = 0; i < NELEM(v); i++)
            v[i] = vault_get_u64(&in);
        out->known = !in.bad;
    }
    vault_drop(r);
    if (out->known) {
        bool huge = v[1] != 0 && v[2] > UINT64_MAX / v[1];

        out->read_only = (v[9] & 1) != 0;
        out->size = huge ? UINT64_MAX : v[2] * v[1];
        out->free =
            v[1] != 0 && v[4] > UINT64_MAX / v[1] ? UINT64_MAX : v[4] * v[1];
        *inodes = v[5];
        *inodes_free = v[7];
    }
    return rc;
}

static int
ask_room(struct vault_conn *c, void *room)
{
    uint64_t inodes, inodes_free;

    return vault_statvfs(c, c->store->base, room, &inodes, &inodes_free);
}

int
vault_room(void *impl, struct store_room *out)
{
    return vault_run(impl, ask_room, out);
}

/* A name that nobody uses: what is denied is denied before it is looked for. */
static int
ask_remove(struct vault_conn *c, void *may)
{
    char *path = vault_path(c->store, "pitr-check-not-there");
    struct buf b = {0};
    struct vault_req *r;
    int rc = -1;

    vault_begin(&b, SFTP_REQ_REMOVE);
    vault_put_str(&b, path);
    r = vault_ask(c, &b, SFTP_STATUS);
    if (r != NULL && r->type == SFTP_STATUS) {
        *(bool *)may = r->status != SFTP_DENIED;
        rc = 0;
    }
    vault_drop(r);
    buf_free(&b);
    free(path);
    return rc;
}

int
vault_may_remove(void *impl)
{
    bool may = true;

    if (vault_run(impl, ask_remove, &may) < 0)
        return -1;
    return may;
}
