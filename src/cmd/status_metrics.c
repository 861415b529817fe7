/*
 * status_metrics.c -- health as numbers: Prometheus' text exposition, and lines
 * for zabbix_sender.  One table for both.
 *
 * Moments are given as such, not as ages: an age in a file that nobody writes
 * any more would stand still.  For Zabbix, which takes values as they are sent,
 * ages are added.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "status.h"

enum unit {
    COUNT,
    MOMENT, /* microseconds, 0: not known; shown in seconds */
};

struct metric {
    const char *prometheus, *zabbix; /* without "pitr_" and "pitr." */
    const char *help;
    enum unit unit;
    uint64_t (*get)(const struct health *h);
};

#define GET(name, expression)                                                  \
    static uint64_t get_##name(const struct health *h)                         \
    {                                                                          \
        return (uint64_t)(expression);                                         \
    }
GET(code, health_kind(h))
GET(findings, h->findings)
GET(readable, h->readable)
GET(backups, h->backups)
GET(snapshot, h->newest.snapshot_us)
GET(rows, h->newest.rows)
GET(row_bytes, h->newest.row_bytes)
GET(stored, h->newest.stored_bytes)
GET(verified, h->newest.verified)
GET(verified_us, h->newest.verified_us)
GET(unfinished, h->unfinished)
GET(oldest, h->oldest_us)
GET(recoverable, h->recoverable_us)
GET(whole, h->whole_until_us)
GET(gaps, h->gaps)
GET(gap_open, h->gap_open)
GET(breaks, h->breaks)
GET(stream, h->stream == HEALTH_STREAM_RUNS)
GET(connected, h->stream == HEALTH_STREAM_RUNS && h->connected)
GET(wanted,
    h->acknowledge != NULL && *h->acknowledge != '\0' &&
        strcmp(h->acknowledge, "no") != 0)
GET(waits, h->stream == HEALTH_STREAM_RUNS && h->semisync_on)
GET(free, h->disk_free)
GET(size, h->disk_size)
GET(repository, h->stored_bytes)

static const struct metric metrics[] = {
    {"up", "up", "the repository could be read", COUNT, get_readable},
    {"status_code", "code", "exit code of pitr status: 0 is fine", COUNT,
        get_code},
    {"findings", "findings", "things to look at", COUNT, get_findings},
    {"backups", "backups", "whole backups in the repository", COUNT,
        get_backups},
    {"backup_timestamp_seconds", "backup.time", "snapshot of the newest backup",
        MOMENT, get_snapshot},
    {"backup_rows", "backup.rows", "rows in the newest backup", COUNT,
        get_rows},
    {"backup_row_bytes", "backup.row_bytes", "their size", COUNT,
        get_row_bytes},
    {"backup_stored_bytes", "backup.stored", "size of the newest backup", COUNT,
        get_stored},
    {"backup_verified", "backup.verified",
        "the newest backup: 0 not verified, 1 signatures, 2 content", COUNT,
        get_verified},
    {"backup_verified_timestamp_seconds", "backup.verified.time",
        "when it was verified", MOMENT, get_verified_us},
    {"backups_unfinished", "backups.unfinished",
        "leftovers of backups that failed", COUNT, get_unfinished},
    {"restorable_from_timestamp_seconds", "restorable.from",
        "oldest moment that can be restored", MOMENT, get_oldest},
    {"restorable_to_timestamp_seconds", "restorable.to",
        "newest moment that can be restored", MOMENT, get_recoverable},
    {"log_whole_until_timestamp_seconds", "log.until",
        "all that was committed before is in the repository", MOMENT,
        get_whole},
    {"log_gaps", "log.gaps", "gaps on record", COUNT, get_gaps},
    {"log_gap_open", "log.gap_open", "a gap after the newest backup", COUNT,
        get_gap_open},
    {"log_breaks", "log.breaks", "places where the log is damaged", COUNT,
        get_breaks},
    {"stream_running", "stream.running", "a stream is running", COUNT,
        get_stream},
    {"stream_connected", "stream.connected", "it gets the server's log", COUNT,
        get_connected},
    {"semisync_wanted", "semisync.wanted", "acknowledge is local or vault",
        COUNT, get_wanted},
    {"semisync_acknowledging", "semisync.on",
        "the server waits for acknowledgements", COUNT, get_waits},
    {"disk_free_bytes", "disk.free", "of the repository's disk", COUNT,
        get_free},
    {"disk_size_bytes", "disk.size", "of the repository's disk", COUNT,
        get_size},
    {"repository_bytes", "repository.bytes", "size of the repository", COUNT,
        get_repository},
};

struct vault_metric {
    const char *prometheus, *zabbix, *help;
    enum unit unit;
    uint64_t (*get)(const struct health_vault *v);
};
#define VAULT(name, expression)                                                \
    static uint64_t vault_##name(const struct health_vault *v)                 \
    {                                                                          \
        return (uint64_t)(expression);                                         \
    }
VAULT(running, v->runs)
VAULT(connected, v->runs && v->connected)
VAULT(synced, v->synced_us)
VAULT(log, v->log_us)
VAULT(objects, v->objects)
VAULT(bytes, v->bytes)
VAULT(error, v->error_us)
VAULT(durable, !v->no_fsync)

static const struct vault_metric vault_metrics[] = {
    {"vault_running", "vault.running", "somebody ships there", COUNT,
        vault_running},
    {"vault_connected", "vault.connected", "a line is up", COUNT,
        vault_connected},
    {"vault_synced_timestamp_seconds", "vault.synced",
        "all that there was then is on the vault", MOMENT, vault_synced},
    {"vault_log_timestamp_seconds", "vault.log",
        "all of the log up to then is on the vault", MOMENT, vault_log},
    {"vault_to_ship_objects", "vault.objects", "objects still to be shipped",
        COUNT, vault_objects},
    {"vault_to_ship_bytes", "vault.bytes", "bytes still to be shipped", COUNT,
        vault_bytes},
    {"vault_failure_timestamp_seconds", "vault.failure", "last failure", MOMENT,
        vault_error},
    {"vault_durable", "vault.durable",
        "what is there survives a power cut (fsync@openssh.com)", COUNT,
        vault_durable},
};

static bool
is_shown(enum unit unit, uint64_t v)
{
    return unit == COUNT || v != 0;
}

/* Nothing is claimed of a vault that was never seen. */
static bool
vault_is_shown(const struct vault_metric *m, const struct health_vault *v)
{
    return m->get != vault_durable || v->fsync_known;
}

static void
put_value(enum unit unit, uint64_t v, struct buf *out)
{
    if (unit == MOMENT)
        buf_fmt(out, "%" PRIu64 ".%03u\n", v / 1000000,
            (unsigned)(v / 1000 % 1000));
    else
        buf_fmt(out, "%" PRIu64 "\n", v);
}

/* --- Prometheus --- */

static void
put_label(const char *name, const char *value, struct buf *out)
{
    buf_fmt(out, "%s=\"", name);
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\\' || *p == '"')
            buf_u8(out, '\\');
        if ((unsigned char)*p >= ' ')
            buf_u8(out, (uint8_t)*p);
    }
    buf_str(out, "\"");
}

static void
put_family(const char *name, const char *help, struct buf *out)
{
    buf_fmt(out, "# HELP pitr_%s %s\n# TYPE pitr_%s gauge\n", name, help, name);
}

static void
put_sample(const char *name, const char *server, const char *vault,
    enum unit unit, uint64_t v, struct buf *out)
{
    if (!is_shown(unit, v))
        return;
    buf_fmt(out, "pitr_%s{", name);
    put_label("server", server, out);
    if (vault != NULL) {
        buf_str(out, ",");
        put_label("vault", vault, out);
    }
    buf_str(out, "} ");
    put_value(unit, v, out);
}

void
status_prometheus(
    const struct health *h, size_t n, uint64_t now_us, struct buf *out)
{
    for (size_t k = 0; k < NELEM(metrics); k++) {
        const struct metric *m = &metrics[k];

        put_family(m->prometheus, m->help, out);
        for (size_t i = 0; i < n; i++)
            if (h[i].readable || m->get == get_readable || m->get == get_code ||
                m->get == get_findings)
                put_sample(m->prometheus, h[i].server, NULL, m->unit,
                    m->get(&h[i]), out);
    }
    for (size_t k = 0; k < NELEM(vault_metrics); k++) {
        const struct vault_metric *m = &vault_metrics[k];

        put_family(m->prometheus, m->help, out);
        for (size_t i = 0; i < n; i++)
            for (size_t v = 0; v < h[i].vaults; v++)
                if (vault_is_shown(m, &h[i].vault[v]))
                    put_sample(m->prometheus, h[i].server, h[i].vault[v].url,
                        m->unit, m->get(&h[i].vault[v]), out);
    }
    put_family("status_timestamp_seconds", "when this was looked at", out);
    for (size_t i = 0; i < n; i++)
        put_sample(
            "status_timestamp_seconds", h[i].server, NULL, MOMENT, now_us, out);
}

/* --- Zabbix --- */

/* A parameter of a key, which ends at a comma or a bracket unless quoted. */
static void
put_parameter(const char *value, struct buf *key)
{
    if (strpbrk(value, ",]\"") == NULL && *value != ' ' && *value != '[') {
        buf_str(key, value);
        return;
    }
    buf_str(key, "\"");
    for (const char *p = value; *p != '\0'; p++)
        buf_fmt(key, "%s%c", *p == '"' ? "\\" : "", *p);
    buf_str(key, "\"");
}

/* As one word of a line. */
static void
put_quoted(const char *text, struct buf *out)
{
    buf_str(out, "\"");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\' || *p == '"')
            buf_u8(out, '\\');
        buf_u8(out, (unsigned char)*p < ' ' ? ' ' : (uint8_t)*p);
    }
    buf_str(out, "\"");
}

/* "- key[server,vault] value"; the host is that of the agent's configuration.
 */
static void
put_line(const char *name, const char *suffix, const char *server,
    const char *vault, struct buf *out)
{
    struct buf key = {0};

    buf_fmt(&key, "pitr.%s%s[", name, suffix);
    put_parameter(server, &key);
    if (vault != NULL) {
        buf_str(&key, ",");
        put_parameter(vault, &key);
    }
    buf_str(&key, "]");
    buf_str(out, "- ");
    if (strpbrk(buf_cstr(&key), " \t\"\\") == NULL)
        buf_str(out, buf_cstr(&key));
    else
        put_quoted(buf_cstr(&key), out);
    buf_str(out, " ");
    buf_free(&key);
}

static void
put_item(const char *key, const char *server, const char *vault, enum unit unit,
    uint64_t v, uint64_t now_us, struct buf *out)
{
    if (!is_shown(unit, v))
        return;
    put_line(key, "", server, vault, out);
    buf_fmt(out, "%" PRIu64 "\n", unit == MOMENT ? v / 1000000 : v);
    if (unit != MOMENT)
        return;
    put_line(key, ".age", server, vault, out);
    buf_fmt(out, "%" PRIu64 "\n", (now_us > v ? now_us - v : 0) / 1000000);
}

/* The findings as one text. */
static void
put_findings(const struct health *h, struct buf *out)
{
    struct buf text = {0};

    for (size_t i = 0; i < h->findings; i++)
        buf_fmt(&text, "%s%s", i > 0 ? "; " : "", h->finding[i].text);
    put_line("text", "", h->server, NULL, out);
    put_quoted(buf_cstr(&text), out);
    buf_str(out, "\n");
    buf_free(&text);
}

void
status_zabbix(
    const struct health *h, size_t n, uint64_t now_us, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < NELEM(metrics); k++) {
            const struct metric *m = &metrics[k];

            if (h[i].readable || m->get == get_readable || m->get == get_code ||
                m->get == get_findings)
                put_item(m->zabbix, h[i].server, NULL, m->unit, m->get(&h[i]),
                    now_us, out);
        }
        put_findings(&h[i], out);
        for (size_t v = 0; v < h[i].vaults; v++)
            for (size_t k = 0; k < NELEM(vault_metrics); k++)
                if (vault_is_shown(&vault_metrics[k], &h[i].vault[v]))
                    put_item(vault_metrics[k].zabbix, h[i].server,
                        h[i].vault[v].url, vault_metrics[k].unit,
                        vault_metrics[k].get(&h[i].vault[v]), now_us, out);
    }
}
