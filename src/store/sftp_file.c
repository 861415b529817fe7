/*
 * sftp_file.c -- single requests on the vault's files, and what their failing
 * means.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "sftp.h"

/* A file system with less than this is as good as full. */
#define FULL_BYTES (UINT64_C(1) << 20)

char *
vault_path(const struct vault *s, const char *name)
{
    size_t n = strlen(s->base);

    if (name[0] == '\0')
        return xstrdup(s->base);
    return xasprintf(
        "%s%s%s", s->base, n > 0 && s->base[n - 1] == '/' ? "" : "/", name);
}

char *
vault_folder_of(const char *name)
{
    const char *slash = strrchr(name, '/');

    return xstrndup(name, slash == NULL ? 0 : (size_t)(slash - name) + 1);
}

static const char *
status_text(const struct vault_req *r, char out[160])
{
    struct cur in = cur_of(r->data, r->len);
    const uint8_t *p;
    size_t n;

    switch (r->status) {
    case SFTP_NO_SUCH_FILE:
        return "No such file or directory";
    case SFTP_DENIED:
        return "Permission denied";
    case SFTP_EXISTS:
        return "it exists already";
    case SFTP_WRITE_PROTECT:
        return "read-only file system";
    case SFTP_NO_SPACE:
        return "no space left";
    case SFTP_QUOTA:
        return "quota exceeded";
    case SFTP_UNSUPPORTED:
        return "the server does not support it";
    default:
        break;
    }
    (void)vault_get_u32(&in);
    p = vault_get_bytes(&in, &n);
    if (p == NULL || n == 0)
        return "the server does not say why";
    n = MIN(n, 100);
    snprintf(out, 160, "the server says \"%.*s\"", (int)n, (const char *)p);
    for (char *q = out; *q != '\0'; q++)
        if ((unsigned char)*q < 0x20 || (unsigned char)*q > 0x7e)
            *q = '?';
    return out;
}

int
vault_fail(struct vault_conn *c, const struct vault_req *r, const char *verb,
    const char *path)
{
    char text[160];

    err_set(ERR_FAILED, "%s: cannot %s %s: %s", c->store->url.shown, verb, path,
        status_text(r, text));
    if (r->status == SFTP_DENIED)
        err_hint("Check the owner and mode of the folder on the vault, and "
                 "what its sshd allows the account.");
    return -1;
}

/* The status of a reply that has no other content; -1 lost.  Frees r. */
static int
status_of(struct vault_req *r)
{
    int status = r == NULL ? -1 : (int)r->status;

    vault_drop(r);
    return status;
}

bool
vault_take_handle(const struct vault_req *r, struct vault_handle *h)
{
    struct cur in = cur_of(r->data, r->len);
    size_t n;
    const uint8_t *p = vault_get_bytes(&in, &n);

    if (p == NULL || n > sizeof h->v)
        return false;
    memcpy(h->v, p, n);
    h->n = n;
    return true;
}

struct vault_req *
vault_send_read(struct vault_conn *c, const struct vault_handle *h,
    uint64_t from, uint32_t n)
{
    struct buf b = {0};
    struct vault_req *r;

    vault_begin(&b, SFTP_REQ_READ);
    vault_put_bytes(&b, h->v, h->n);
    vault_put_u64(&b, from);
    vault_put_u32(&b, n);
    if ((r = vault_send(c, &b)) != NULL) {
        r->offset = from;
        r->asked = n;
    }
    buf_free(&b);
    return r;
}

const uint8_t *
vault_take_data(const struct vault_req *r, size_t *n)
{
    struct cur in = cur_of(r->data, r->len);
    const uint8_t *p = vault_get_bytes(&in, n);

    return p == NULL || *n == 0 || *n > r->asked ? NULL : p;
}

int
vault_open_file(struct vault_conn *c, const char *path, uint32_t flags,
    struct vault_handle *h)
{
    struct buf b = {0};
    struct vault_req *r;
    int status = 0;

    vault_begin(&b, SFTP_REQ_OPEN);
    vault_put_str(&b, path);
    vault_put_u32(&b, flags);
    vault_put_u32(&b, flags == SFTP_FOR_READING ? 0 : 0x04);
    if (flags != SFTP_FOR_READING)
        vault_put_u32(&b, 0400);
    r = vault_ask(c, &b, SFTP_HANDLE);
    buf_free(&b);
    if (r == NULL)
        return -1;
    if (r->type == SFTP_HANDLE) {
        if (!vault_take_handle(r, h)) {
            vault_drop(r);
            return vault_lose(c, "the server's handle is not one");
        }
    } else if ((status = (int)r->status) == SFTP_OK) {
        vault_drop(r);
        return vault_lose(c, "the server opened a file without a handle");
    }
    vault_drop(r);
    return status;
}

void
vault_close_later(struct vault_conn *c, const struct vault_handle *h)
{
    struct buf b = {0};
    struct err_saved *before;

    if (c->channel == NULL)
        return;
    before = err_take(); /* a loss here is found out by the next one */
    vault_begin(&b, SFTP_REQ_CLOSE);
    vault_put_bytes(&b, h->v, h->n);
    vault_drop(vault_send(c, &b));
    buf_free(&b);
    err_clear();
    if (before != NULL)
        err_put(before);
}

int
vault_stat_file(
    struct vault_conn *c, const char *path, bool follow, struct vault_attrs *a)
{
    struct buf b = {0};
    struct vault_req *r;

    vault_begin(&b, follow ? SFTP_REQ_STAT : SFTP_REQ_LSTAT);
    vault_put_str(&b, path);
    r = vault_ask(c, &b, SFTP_ATTRS);
    buf_free(&b);
    if (r != NULL && r->type == SFTP_ATTRS) {
        struct cur in = cur_of(r->data, r->len);

        vault_get_attrs(&in, a);
        if (in.bad)
            r->status = SFTP_FAILURE;
    } else if (r != NULL && r->status == SFTP_OK) {
        r->status = SFTP_FAILURE;
    }
    return status_of(r);
}

struct vault_req *
vault_send_fsync(struct vault_conn *c, const struct vault_handle *h)
{
    struct buf b = {0};
    struct vault_req *r;

    vault_begin(&b, SFTP_REQ_EXTENDED);
    vault_put_str(&b, "fsync@openssh.com");
    vault_put_bytes(&b, h->v, h->n);
    r = vault_send(c, &b);
    buf_free(&b);
    return r;
}

const char *
vault_full(struct vault_conn *c, const char *path, char out[160])
{
    struct store_room room = {0};
    uint64_t inodes = 0, inodes_free = 0;
    char free_text[TIME_TEXT];

    snprintf(out, 160, "Is its disk full, or a quota used up?");
    if (vault_statvfs(c, path, &room, &inodes, &inodes_free) < 0 || !room.known)
        return out;
    if (room.read_only)
        snprintf(out, 160, "The vault's file system is read-only.");
    else if (room.free < FULL_BYTES)
        snprintf(out, 160,
            "The vault's disk is full: %s left. What was written stays, "
            "and is gone on with when there is room.",
            size_text(room.free, free_text));
    else if (inodes > 0 && inodes_free == 0)
        snprintf(out, 160, "The vault's file system has no inodes left.");
    else
        snprintf(out, 160, "Its disk has %s left; is a quota used up?",
            size_text(room.free, free_text));
    return out;
}
