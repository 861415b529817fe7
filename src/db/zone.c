/*
 * zone.c -- a server's own time zone, told by what it makes of moments, and the
 * zone of this machine that makes the same of them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "pitr/buf.h"
#include "pitr/mem.h"
#include "pitr/zone.h"

#define NAMES "/usr/share/zoneinfo/zone1970.tab"
#define ZONE_MOST_S (10000ull * ZONE_STEP_S) /* what is asked for at most */
#define SEARCH_S 20                          /* it takes some milliseconds */

/* Of a session in SYSTEM.  A recursion is bounded at 1000 rows from 10.6 on. */
static int
ask(struct db *db, uint64_t until_s, struct db_result *r)
{
    if (db_exec(db, "SET SESSION time_zone='SYSTEM'") < 0)
        return -1;
    return db_query(db, r,
        "SET STATEMENT max_recursive_iterations=1000 FOR "
        "SELECT s, TIMESTAMPDIFF(SECOND, '1970-01-01', FROM_UNIXTIME(s)) - s "
        "FROM (WITH RECURSIVE a(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM a "
        "WHERE n < 99) SELECT (x.n * 100 + y.n) * %u + %u AS s "
        "FROM a x, a y) z WHERE s <= %" PRIu64 " ORDER BY s",
        ZONE_STEP_S, ZONE_STEP_S, until_s);
}

char *
zone_of(struct db *db, uint64_t until_s)
{
    struct db_result r;
    struct buf b = {0};
    long was = 0;
    int rc = ask(db, until_s, &r);

    if (rc == 0 && r.rows == 0) {
        rc = err_set(ERR_FAILED, "the server tells nothing of its time zone");
        db_result_free(&r);
    }
    if (rc < 0)
        return NULL;
    buf_fmt(&b, "%" PRIu64, until_s);
    for (size_t i = 0; i < r.rows; i++) {
        long now = strtol(db_text(&r, i, 1), NULL, 10);

        if (i == 0)
            buf_fmt(&b, " %ld", now);
        else if (now != was)
            buf_fmt(&b, " %s:%ld", db_text(&r, i, 0), now);
        was = now;
    }
    db_result_free(&r);
    if (db_exec(db, "SET SESSION time_zone='+00:00'") < 0) {
        buf_free(&b);
        return NULL;
    }
    return buf_take(&b);
}

uint64_t
zone_until(const char *zone)
{
    return zone == NULL ? 0 : strtoull(zone, NULL, 10);
}

int
zone_same(struct db *db, const char *zone)
{
    char *here = zone_of(db, zone_until(zone));
    int rc = here == NULL ? -1 : strcmp(here, zone) == 0;

    free(here);
    return rc;
}

/* --- the machine's --- */

static bool
offset_is(uint64_t at, long offset)
{
    time_t t = (time_t)at;
    struct tm tm;

    return localtime_r(&t, &tm) != NULL && tm.tm_gmtoff == offset;
}

/* Does this process's zone fit? */
static bool
fits(const char *zone)
{
    char *p;
    uint64_t until = strtoull(zone, &p, 10), at = ZONE_STEP_S;
    long offset = strtol(p, &p, 10);

    if (until > ZONE_MOST_S)
        return false;
    while (at <= until) {
        uint64_t to = until + 1;
        long next = offset;

        if (*p == ' ') {
            to = strtoull(p, &p, 10);
            if (*p == ':')
                next = strtol(p + 1, &p, 10);
        }
        if (to <= at) /* not written by us */
            return false;
        for (; at < to && at <= until; at += ZONE_STEP_S)
            if (!offset_is(at, offset))
                return false;
        offset = next;
    }
    return true;
}

static bool
fits_as(const char *zone, const char *name)
{
    if (setenv("TZ", name, 1) < 0)
        return false;
    tzset();
    return fits(zone);
}

static bool
said(const char *zone, const char *name)
{
    return fits_as(zone, name) && puts(name) >= 0;
}

/* Three fields, separated by TAB: countries, place, name. */
static bool
said_listed(const char *zone, FILE *f)
{
    char line[1024];

    while (fgets(line, sizeof line, f) != NULL) {
        char *tab = strchr(line, '\t');

        if (line[0] == '#' || tab == NULL ||
            (tab = strchr(tab + 1, '\t')) == NULL)
            continue;
        tab[1 + strcspn(tab + 1, "\t\n")] = '\0';
        if (said(zone, tab + 1))
            return true;
    }
    return false;
}

/* Prints the name, or nothing. */
static void
search(const char *zone)
{
    FILE *f = fopen(NAMES, "re");
    bool found = said(zone, "UTC") || (f != NULL && said_listed(zone, f));
    char name[64];

    if (f != NULL)
        fclose(f);
    for (int h = -14; h <= 12 && !found; h++) {
        snprintf(name, sizeof name, "Etc/GMT%+d", h);
        found = said(zone, name);
    }
}

/* In a process of its own, since TZ is all of a process's. */
char *
zone_here(const char *zone)
{
    char name[64] = "";
    size_t n = 0;
    ssize_t got;
    int fd[2];
    pid_t pid;

    if (fits(zone))
        return xstrdup("");
    if (pipe2(fd, O_CLOEXEC) < 0)
        return NULL;
    if ((pid = fork()) == 0) {
        alarm(SEARCH_S);
        if (dup2(fd[1], 1) < 0)
            _exit(1);
        search(zone);
        fflush(stdout);
        _exit(0);
    }
    close(fd[1]);
    while (pid > 0 && n < sizeof name - 1 &&
        ((got = read(fd[0], name + n, sizeof name - 1 - n)) > 0 ||
            (got < 0 && errno == EINTR)))
        n += got > 0 ? (size_t)got : 0;
    close(fd[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    name[n] = '\0';
    name[strcspn(name, "\n")] = '\0';
    return name[0] == '\0' ? NULL : xstrdup(name);
}
