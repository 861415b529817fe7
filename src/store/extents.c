/*
 * extents.c -- an object that is several files: names, order, what counts.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "extents.h"
#include "pitr/mem.h"

#define OFFSET_DIGITS 20

static bool
parse_digits(const char *p, size_t n, uint64_t *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)(p[i] - '0');

        if (p[i] < '0' || p[i] > '9' || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

bool
extent_parse(const char *file, size_t *object_bytes, struct extent *e)
{
    const char *plus = strchr(file, '+');
    uint64_t attempt = 0;
    size_t n;

    e->offset = 0;
    e->attempt = 0;
    e->plain = plus == NULL;
    *object_bytes = plus == NULL ? strlen(file) : (size_t)(plus - file);
    if (*object_bytes == 0)
        return false;
    if (plus == NULL)
        return true;
    n = strlen(++plus);
    if (n < OFFSET_DIGITS || !parse_digits(plus, OFFSET_DIGITS, &e->offset) ||
        e->offset > INT64_MAX)
        return false;
    if (n == OFFSET_DIGITS)
        return true;
    plus += OFFSET_DIGITS + 1;
    n -= OFFSET_DIGITS + 1;
    /* One spelling only, so that no two files are the same extent. */
    if (plus[-1] != '.' || n < 1 || n > 3 || plus[0] == '0' ||
        !parse_digits(plus, n, &attempt))
        return false;
    e->attempt = (unsigned)attempt;
    return true;
}

char *
extent_name(const char *object, const struct extent *e)
{
    if (e->plain)
        return xstrdup(object);
    if (e->attempt == 0)
        return xasprintf("%s+%0*" PRIu64, object, OFFSET_DIGITS, e->offset);
    return xasprintf(
        "%s+%0*" PRIu64 ".%u", object, OFFSET_DIGITS, e->offset, e->attempt);
}

bool
extent_same(const struct extent *a, const struct extent *b)
{
    return a->offset == b->offset && a->attempt == b->attempt &&
        a->plain == b->plain;
}

void
extents_add(struct extents *x, const struct extent *e)
{
    x->v = xgrow(x->v, x->n, &x->cap, sizeof(*x->v));
    x->v[x->n++] = *e;
}

static int
by_order(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->plain != y->plain)
        return x->plain ? -1 : 1;
    return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

void
extents_sort(struct extents *x)
{
    if (x->n > 1)
        qsort(x->v, x->n, sizeof(*x->v), by_order);
}

static uint64_t
end_of(const struct extent *e)
{
    return e->size > (uint64_t)INT64_MAX - e->offset ? (uint64_t)INT64_MAX
                                                     : e->offset + e->size;
}

static void
add_piece(struct pieces *out, const struct extent *e, uint64_t end)
{
    out->v = xgrow(out->v, out->n, &out->cap, sizeof(*out->v));
    out->v[out->n++] =
        (struct piece){.from = *e, .start = out->size, .end = end};
    out->size = end;
}

/*
 * Extents start in ascending order, and a later one counts over all before
 * it.  So those that still reach beyond the current place are a stack: the
 * top counts, and what is below it counts again where the top ends.
 */
void
extents_pieces(const struct extents *x, struct pieces *out)
{
    size_t *stack = xcalloc(x->n + 1, sizeof(*stack)), depth = 0, i = 0;

    *out = (struct pieces){0};
    for (;;) {
        uint64_t next;

        while (i < x->n && x->v[i].offset <= out->size)
            stack[depth++] = i++;
        while (depth > 0 && end_of(&x->v[stack[depth - 1]]) <= out->size)
            depth--;
        if (depth == 0)
            break; /* the end, or a hole: what is after it is out of reach */
        next = i < x->n ? x->v[i].offset : UINT64_MAX;
        add_piece(out, &x->v[stack[depth - 1]],
            MIN(next, end_of(&x->v[stack[depth - 1]])));
    }
    free(stack);
}

int
extents_next(const struct extents *x, uint64_t offset, struct extent *e)
{
    *e = (struct extent){.offset = offset, .plain = x->n == 0 && offset == 0};
    for (size_t i = 0; i < x->n; i++) {
        const struct extent *o = &x->v[i];

        if (o->offset == offset && !o->plain && o->attempt >= e->attempt)
            e->attempt = o->attempt + 1;
    }
    if (e->attempt > EXTENT_TRIES_MAX)
        return err_set(ERR_FAILED,
            "%d attempts to go on at byte %" PRIu64 " have left empty files",
            EXTENT_TRIES_MAX, offset);
    return 0;
}

void
extents_free(struct extents *x)
{
    free(x->v);
    *x = (struct extents){0};
}

void
pieces_free(struct pieces *p)
{
    free(p->v);
    *p = (struct pieces){0};
}
