/*
 * fuzz_sftp.c -- whatever a vault's server answers: its version, names, sizes,
 * handles, data.  The store is the real one; below it, in place of an SSH
 * channel, the input is what arrives.  Replies have the numbers 0, 1, 2 ... of
 * the requests, so that an input can be an answer.
 *
 * First byte: how much arrives at once.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/store/sftp.h"
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/store.h"
#include "pitr/times.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cur arriving;
static size_t at_once;

/* --- in place of libssh's --- */

int
ssh_channel_read_timeout(ssh_channel channel, void *dest, uint32_t count,
    int is_stderr, int timeout_ms)
{
    size_t n = MIN(MIN((size_t)count, cur_left(&arriving)), at_once);

    (void)channel, (void)is_stderr, (void)timeout_ms;
    if (n > 0)
        memcpy(dest, cur_bytes(&arriving, n), n);
    return (int)n;
}

int
ssh_channel_poll(ssh_channel channel, int is_stderr)
{
    (void)channel, (void)is_stderr;
    return cur_left(&arriving) > 0 ? 1 : SSH_EOF;
}

int
ssh_channel_poll_timeout(ssh_channel channel, int timeout, int is_stderr)
{
    (void)timeout;
    return ssh_channel_poll(channel, is_stderr);
}

int
ssh_channel_is_eof(ssh_channel channel)
{
    (void)channel;
    return cur_left(&arriving) == 0;
}

int
ssh_channel_is_closed(ssh_channel channel)
{
    return ssh_channel_is_eof(channel);
}

uint32_t
ssh_channel_window_size(ssh_channel channel)
{
    (void)channel;
    return 1u << 20;
}

int
ssh_channel_write(ssh_channel channel, const void *data, uint32_t len)
{
    (void)channel, (void)data;
    return (int)len;
}

const char *
ssh_get_error(void *error)
{
    (void)error;
    return "";
}

/* --- in place of sftp_session.c --- */

int
vault_connect(struct vault_conn *c, bool *again)
{
    static char session, channel;

    *again = false;
    if (cur_left(&arriving) == 0)
        return err_set(ERR_UNREACHABLE, "nothing more arrives");
    c->ssh = (ssh_session)(void *)&session;
    c->channel = (ssh_channel)(void *)&channel;
    c->generation++;
    c->next_id = 0;
    c->heard_us = time_mono_us();
    c->why[0] = '\0';
    if (vault_hello(c) == 0)
        return 0;
    vault_disconnect(c);
    return -1;
}

void
vault_disconnect(struct vault_conn *c)
{
    c->ssh = NULL;
    c->channel = NULL;
}

/* --- --- */

static void
object_try(struct store *s, const char *name)
{
    uint64_t size;
    uint8_t piece[4096];
    struct source *src;
    struct sink *k;

    if (store_stat(s, name, &size) != 1)
        return;
    src = store_get(s, name);
    while (src != NULL && source_read(src, piece, sizeof piece) > 0)
        continue;
    source_free(src);
    k = store_append(s, name, size);
    if (k != NULL && sink_write(k, piece, 100) == 0)
        sink_flush(k);
    sink_free(k);
}

/* A lost connection is tried again without a pause, once. */
static void
no_waiting(void)
{
    if (stop_asked())
        return;
    stop_setup();
    raise(SIGHUP);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct store_sftp_conf conf = {
        .connections = 1, .timeout_us = 100000, .retry_us = 1};
    struct store_list list = {0};
    struct store_room room;
    struct store *s;

    arriving = cur_of(data, size);
    at_once = cur_u8(&arriving) + (size_t)1;
    no_waiting();
    s = store_open_sftp("sftp://vault.example/v", &conf);
    if (s != NULL) {
        if (store_list(s, "", false, &list) == 0)
            for (size_t i = 0; i < list.n; i++)
                if (strchr(list.v[i].name, '\n') != NULL ||
                    strstr(list.v[i].name, "..") == list.v[i].name)
                    abort();
        store_list_free(&list);
        store_room(s, &room);
        object_try(s, "a");
        store_remove(s, "a");
        store_close(s);
    }
    err_clear();
    return 0;
}
