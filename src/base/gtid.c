/*
 * gtid.c -- GTIDs and positions made of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/buf.h"
#include "pitr/gtid.h"
#include "pitr/mem.h"

const char *
gtid_text(const struct gtid *g, char out[GTID_TEXT])
{
    snprintf(out, GTID_TEXT, "%" PRIu32 "-%" PRIu32 "-%" PRIu64, g->domain,
        g->server, g->seq);
    return out;
}

/* Decimal digits at *s, at most max; *s is moved behind them. */
static bool
take_number(const char **s, uint64_t max, uint64_t *out)
{
    const char *p = *s;
    uint64_t v = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        if (v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *s = p;
    *out = v;
    return true;
}

static bool
take_gtid(const char **s, struct gtid *out)
{
    uint64_t domain, server, seq;

    if (!take_number(s, UINT32_MAX, &domain) || *(*s)++ != '-' ||
        !take_number(s, UINT32_MAX, &server) || *(*s)++ != '-' ||
        !take_number(s, UINT64_MAX, &seq))
        return false;
    *out = (struct gtid){(uint32_t)domain, (uint32_t)server, seq};
    return true;
}

static int
not_gtid(const char *what, const char *s)
{
    err_set(ERR_FAILED, "'%.200s' is not a %s", s, what);
    return err_hint("a GTID is DOMAIN-SERVER-SEQUENCE, like 0-1-4711; a "
                    "position is one GTID a domain, separated by commas");
}

int
gtid_parse(const char *s, struct gtid *out)
{
    const char *p = s;
    struct gtid g;

    if (!take_gtid(&p, &g) || *p != '\0')
        return not_gtid("GTID", s);
    *out = g;
    return 0;
}

bool
gtid_equal(const struct gtid *a, const struct gtid *b)
{
    return a->domain == b->domain && a->server == b->server && a->seq == b->seq;
}

void
gtid_pos_free(struct gtid_pos *p)
{
    free(p->v);
    *p = (struct gtid_pos){0};
}

void
gtid_pos_copy(struct gtid_pos *to, const struct gtid_pos *from)
{
    if (to == from)
        return;
    gtid_pos_free(to);
    for (size_t i = 0; i < from->n; i++)
        gtid_pos_set(to, &from->v[i]);
}

static const char *
skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

int
gtid_pos_parse(const char *s, struct gtid_pos *out)
{
    struct gtid_pos pos = {0};
    const char *p = skip_space(s);
    struct gtid g;

    while (*p != '\0' || pos.n > 0) {
        if (!take_gtid(&p, &g))
            goto bad;
        if (gtid_pos_get(&pos, g.domain) != NULL) {
            gtid_pos_free(&pos);
            return err_set(ERR_FAILED,
                "'%.200s' names domain %" PRIu32 " twice", s, g.domain);
        }
        gtid_pos_set(&pos, &g);
        p = skip_space(p);
        if (*p == '\0')
            break;
        if (*p++ != ',')
            goto bad;
        p = skip_space(p);
    }
    gtid_pos_free(out);
    *out = pos;
    return 0;

bad:
    gtid_pos_free(&pos);
    return not_gtid("GTID position", s);
}

char *
gtid_pos_text(const struct gtid_pos *p)
{
    struct buf b = {0};
    char text[GTID_TEXT];

    for (size_t i = 0; i < p->n; i++) {
        if (i > 0)
            buf_u8(&b, ',');
        buf_str(&b, gtid_text(&p->v[i], text));
    }
    return buf_take(&b);
}

/* Where the domain is, or belongs. */
static size_t
find_domain(const struct gtid_pos *p, uint32_t domain)
{
    size_t lo = 0, hi = p->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (p->v[mid].domain < domain)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void
gtid_pos_set(struct gtid_pos *p, const struct gtid *g)
{
    struct gtid copy = *g; /* g may be one of p's own */
    size_t i = find_domain(p, copy.domain);

    if (p->v == NULL || i == p->n || p->v[i].domain != copy.domain) {
        p->v = xgrow(p->v, p->n, &p->cap, sizeof(*p->v));
        memmove(&p->v[i + 1], &p->v[i], (p->n - i) * sizeof(*p->v));
        p->n++;
    }
    p->v[i] = copy;
}

void
gtid_pos_drop(struct gtid_pos *p, uint32_t domain)
{
    size_t i = find_domain(p, domain);

    if (i == p->n || p->v[i].domain != domain)
        return;
    p->n--;
    memmove(&p->v[i], &p->v[i + 1], (p->n - i) * sizeof(*p->v));
}

const struct gtid *
gtid_pos_get(const struct gtid_pos *p, uint32_t domain)
{
    size_t i = find_domain(p, domain);

    return i < p->n && p->v[i].domain == domain ? &p->v[i] : NULL;
}

bool
gtid_pos_equal(const struct gtid_pos *a, const struct gtid_pos *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (!gtid_equal(&a->v[i], &b->v[i]))
            return false;
    }
    return true;
}

bool
gtid_pos_covered(const struct gtid_pos *a, const struct gtid_pos *b)
{
    for (size_t i = 0; i < a->n; i++) {
        if (!gtid_pos_includes(b, &a->v[i]))
            return false;
    }
    return true;
}

bool
gtid_pos_includes(const struct gtid_pos *p, const struct gtid *g)
{
    const struct gtid *last = gtid_pos_get(p, g->domain);

    return last != NULL && g->seq <= last->seq;
}
