/*
 * repl_wait.c -- waiting for the server without being stuck in a read.
 *
 * Connector/C reads ahead into a cache of its own, and a TLS library keeps
 * the rest of a record: a socket with nothing to read does not mean that there
 * is no packet.  Source: Connector/C ma_pvio.c (ma_pvio_cache_read).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_DEFAULT */
#endif
#ifndef HAVE_TLS
#define HAVE_TLS 1 /* for the whole struct st_ma_pvio */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <mysql.h>
#include <poll.h>
#include <string.h>
#include "pitr/mem.h"
#include "pitr/stop.h"
#include "pitr/times.h"
#include "repl_internal.h"

/* Connector/C's header of its transport wants this type, and is not strict. */
typedef unsigned char uchar;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <ma_pvio.h>
#pragma GCC diagnostic pop

/*
 * Bytes that the TLS library has decrypted and not handed out.  pitr does not
 * link with that library, Connector/C does, with one of two; where its function
 * is not to be found the next heartbeat brings what was missed.
 */
static bool
tls_pending(MYSQL *m)
{
    void *ssl = m->net.pvio->ctls != NULL ? m->net.pvio->ctls->ssl : NULL;
    const char *library = NULL;
    void *symbol;
    int (*openssl)(const void *);
    size_t (*gnutls)(void *);

    if (ssl == NULL ||
        mariadb_get_infov(m, MARIADB_TLS_LIBRARY, &library) != 0 ||
        library == NULL)
        return false;
    if (strncmp(library, "GnuTLS", 6) == 0) {
        if ((symbol = dlsym(RTLD_DEFAULT, "gnutls_record_check_pending")) ==
            NULL)
            return false;
        memcpy(&gnutls, &symbol, sizeof gnutls);
        return gnutls(ssl) > 0;
    }
    if (strncmp(library, "OpenSSL", 7) != 0 &&
        strncmp(library, "LibreSSL", 8) != 0)
        return false;
    if ((symbol = dlsym(RTLD_DEFAULT, "SSL_pending")) == NULL)
        return false;
    memcpy(&openssl, &symbol, sizeof openssl);
    return openssl(ssl) > 0;
}

static bool
is_buffered(MYSQL *m)
{
    const MARIADB_PVIO *pvio = m->net.pvio;

    if (pvio == NULL)
        return true; /* the read will say that the connection is gone */
    if (pvio->cache != NULL && pvio->cache + pvio->cache_size > pvio->cache_pos)
        return true;
    return tls_pending(m);
}

bool
repl_more(const struct repl *r)
{
    return is_buffered(r->db->mysql);
}

void
repl_set_read_timeout(struct repl *r, uint64_t us)
{
    MARIADB_PVIO *pvio = r->db->mysql->net.pvio;

    if (pvio != NULL && pvio->methods->set_timeout != NULL)
        pvio->methods->set_timeout(
            pvio, PVIO_READ_TIMEOUT, (int)((us + 999999) / 1000000));
}

static int
too_silent(struct repl *r)
{
    char span[TIME_TEXT];

    db_break(r->db);
    err_set(ERR_UNREACHABLE, "%s (%s): not even a heartbeat for %s",
        r->db->role, r->db->where,
        time_span(time_mono_us() - r->heard_us, span));
    return err_hint("is the network up, and the server alive?");
}

int
repl_wait(struct repl *r, uint64_t wait_us)
{
    uint64_t start;
    struct pollfd fds[3] = {
        {.fd = mysql_get_socket(r->db->mysql), .events = POLLIN},
        /* A caller that goes on after a stop wants to wait all the same. */
        {.fd = stop_asked() ? -1 : stop_fd(), .events = POLLIN},
        {.fd = r->wake_fd, .events = POLLIN},
    };

    if (is_buffered(r->db->mysql))
        return 1;
    start = time_mono_us();
    for (;;) {
        uint64_t past = time_mono_us() - start;
        uint64_t left = past < wait_us ? wait_us - past : 0;
        int ms = (int)MIN((left + 999) / 1000, (uint64_t)1000000);
        int n = poll(fds, 3, ms);
        if (n < 0 && errno != EINTR)
            return err_sys(ERR_FAILED, "poll");
        if (n > 0 && fds[0].revents != 0)
            return 1;
        if (time_mono_us() - r->heard_us > r->silence_us)
            return too_silent(r);
        if (stop_asked() || fds[2].revents != 0 ||
            time_mono_us() - start >= wait_us)
            return 0;
    }
}
