/*
 * plan.c -- a repository of a week, for scripts/bench-plan:
 *
 *   plan DIRECTORY SIGNING-KEY SECRET-KEY SEGMENTS DAYS
 *
 * Made by the program's own parts, really sealed and signed, so that nothing of
 * it is passed over: SEGMENTS segments of two transactions, as far apart as
 * DAYS days make them, the last one growing, and a whole backup each day.
 * Nothing is synced: it is thrown away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../unit/repo_util.h"
#include "pitr/keys.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"

#define DAY_S 86400

/* In the place of the C library's: waiting for a disk is not what is measured.
 */
int fsync(int fd);
int
fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd);
int
fdatasync(int fd)
{
    (void)fd;
    return 0;
}

static void
die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, err_text());
    exit(1);
}

static struct repo *
make(const char *dir, const char *signing, const char *secret)
{
    struct secret_key *key = secret_key_load(secret, NULL, NULL);
    struct repo *r = NULL;

    if (key == NULL ||
        repo_init(dir, "bench", signing, secret_key_public(key), 1, key) < 0 ||
        (r = repo_open(dir, "bench", signing)) == NULL)
        die(dir);
    secret_key_free(key);
    return r;
}

static void
backup(struct repo *r, uint32_t when_s, unsigned groups)
{
    char id[TIME_TEXT], gtid[GTID_TEXT];

    time_compact(when_s * UINT64_C(1000000), id);
    snprintf(gtid, sizeof gtid, "0-7-%u", groups);
    backup_write_at(r, id, when_s * UINT64_C(1000000), groups == 0 ? "" : gtid,
        4 + groups * 100, LIE_NONE);
}

int
main(int argc, char **argv)
{
    unsigned segments, days, groups = 0;
    struct segment_tail tail = {0};
    struct repo *r = NULL;
    uint64_t due;

    if (argc != 6 || keys_setup() < 0)
        return 2;
    segments = (unsigned)strtoul(argv[4], NULL, 10);
    days = (unsigned)strtoul(argv[5], NULL, 10);
    r = make(argv[1], argv[2], argv[3]);
    for (unsigned i = 0; i < segments; i++) {
        uint32_t when_s =
            T0 + (uint32_t)((uint64_t)i * days * DAY_S / segments);
        uint32_t step_s = days * DAY_S / segments;
        struct event_format fmt = {0};
        struct segment_writer *w;
        char gtid[GTID_TEXT];

        if (i % ((segments + days - 1) / days) == 0)
            backup(r, when_s, groups);
        w = segment_begun(r, &tail, i == 0 ? SEGMENT_FIRST : SEGMENT_NEXT,
            when_s * UINT64_C(1000000), groups);
        for (int k = 0; k < 2; k++) {
            groups++;
            snprintf(gtid, sizeof gtid, "0-7-%u", groups);
            segment_group_write(w, &fmt, gtid,
                when_s + 1 + (uint32_t)k * (step_s / 2), 4 + groups * 100);
        }
        if (segment_flush(w, (when_s + step_s) * UINT64_C(1000000)) < 0)
            die("segment");
        if (i + 1 == segments)
            segment_abort(w);
        else if (segment_close(w, &tail) < 0)
            die("segment");
    }
    if (segment_index_update(r, &due) < 0)
        die("indexes");
    segment_tail_free(&tail);
    repo_close(r);
    return 0;
}
