/*
 * opt_value.c -- one value of an option or a key, by the type in its row.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/buf.h"
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/opt.h"
#include "pitr/times.h"

static int
bad(const char *where, const char *value, const char *want)
{
    return err_set(ERR_USAGE, "%s: \"%s\" is not %s", where, value, want);
}

struct unit {
    const char *name;
    uint64_t times;
};

static const struct unit sizes[] = {{"", 1}, {"K", 1ull << 10},
    {"M", 1ull << 20}, {"G", 1ull << 30}, {"T", 1ull << 40}, {NULL, 0}};

static const struct unit spans[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000},
    {"m", 60000000}, {"h", 3600000000ull}, {"d", 86400000000ull}, {NULL, 0}};

/* A whole number and, where there are units, one of them. */
static int
number(const char *s, const struct unit *units, uint64_t *out)
{
    char *end;
    uint64_t v;

    errno = 0;
    v = strtoull(s, &end, 10);
    if (*s < '0' || *s > '9' || errno != 0)
        return -1;
    if (units == NULL) {
        *out = v;
        return *end == '\0' ? 0 : -1;
    }
    for (; units->name != NULL; units++)
        if (strcmp(units->name, end) == 0) {
            *out = v * units->times;
            return v > UINT64_MAX / units->times ? -1 : 0;
        }
    return -1;
}

/* A bound, in the largest unit of which it is a whole number; owned. */
static char *
bound(uint64_t v, const struct unit *units)
{
    const struct unit *best = NULL;

    for (; units != NULL && units->name != NULL; units++)
        if (v != 0 && v % units->times == 0)
            best = units;
    return best == NULL
        ? xasprintf("%" PRIu64, v)
        : xasprintf("%" PRIu64 "%s", v / best->times, best->name);
}

static int
set_number(const struct opt *row, const char *value, const char *where,
    const struct unit *units, const char *want, uint64_t *out)
{
    if (number(value, units, out) < 0)
        return bad(where, value, want);
    if (row->max != 0 && (*out < row->min || *out > row->max)) {
        char *min = bound(row->min, units), *max = bound(row->max, units);

        err_set(ERR_USAGE, "%s: %s is out of range (%s to %s)", where, value,
            min, max);
        free(min);
        free(max);
        return -1;
    }
    return 0;
}

static int
set_flag(const char *value, const char *where, bool *out)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};

    for (size_t i = 0; i < NELEM(yes); i++)
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *out = strcmp(value, yes[i]) == 0;
            return 0;
        }
    return bad(where, value, "\"yes\" or \"no\"");
}

static int
set_time(const char *value, const char *where, uint64_t *out)
{
    if (time_parse(value, time_now_us(), out) < 0)
        return err_wrap("%s", where);
    return 0;
}

/* "a|b|c" in words: "a, b or c". */
static int
bad_word(const char *value, const char *where, const char *words)
{
    struct buf want = {0};
    int rc;

    for (const char *p = words; *p != '\0'; p++)
        if (*p != '|')
            buf_u8(&want, (uint8_t)*p);
        else
            buf_str(&want, strchr(p + 1, '|') != NULL ? ", " : " or ");
    rc = bad(where, value, buf_cstr(&want));
    buf_free(&want);
    return rc;
}

static int
set_word(
    const char *value, const char *where, const char *words, const char **out)
{
    size_t len;

    for (const char *p = words; *p != '\0'; p += len + (p[len] == '|')) {
        len = strcspn(p, "|");
        if (strlen(value) == len && strncmp(p, value, len) == 0) {
            *out = value;
            return 0;
        }
    }
    return bad_word(value, where, words);
}

int
opt_set(
    const struct opt *row, const char *value, const char *where, void *field)
{
    uint64_t v = 0;

    switch (row->type) {
    case OPT_FLAG:
        return set_flag(value, where, field);
    case OPT_STR:
        if (*value == '\0')
            return err_set(ERR_USAGE, "%s: the value is empty", where);
        *(const char **)field = value;
        return 0;
    case OPT_WORD:
        return set_word(value, where, row->arg, field);
    case OPT_AUTO:
        if (strcmp(value, "auto") == 0) {
            *(unsigned *)field = 0;
            return 0;
        }
        /* fall through */
    case OPT_UINT:
        if (set_number(row, value, where, NULL,
                row->type == OPT_AUTO ? "a whole number, or auto"
                                      : "a whole number",
                &v) < 0)
            return -1;
        if (v > UINT32_MAX)
            return bad(where, value, "a number of 32 bits");
        *(unsigned *)field = (unsigned)v;
        return 0;
    case OPT_SIZE:
        return set_number(row, value, where, sizes,
            "a size in bytes, like 512K, 64M or 1G", field);
    case OPT_DURATION:
        return set_number(row, value, where, spans,
            "a length of time, like 500ms, 10s, 5m, 2h or 7d", field);
    case OPT_TIME:
        return set_time(value, where, field);
    case OPT_LIST: {
        struct opt_list *l = field;

        l->v = xgrow(l->v, l->n, &l->cap, sizeof *l->v);
        l->v[l->n++] = value;
        return 0;
    }
    }
    return bad(where, value, "of a known type");
}
