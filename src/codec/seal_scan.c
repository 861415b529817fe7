/*
 * seal_scan.c -- how far an object is good, found without any secret.
 */
#include <stdlib.h>
#include <string.h>
#include "seal_format.h"

struct scan {
    struct seal_walk w;
    struct seal_mark *last; /* the caller's */
    bool found;
};

/*
 * A mark that fails.  Where it is the last thing of the object, a crash can
 * have left it so: only what was written since the last flush may be torn, and
 * that is at most one mark.  Where more follows, it was durable once, and so
 * was changed.
 */
static int
mark_failed(struct scan *s)
{
    struct err_saved *why = err_take();
    int end = seal_walk_at_end(&s->w);

    if (end == 1) {
        err_saved_free(why);
        if (s->found)
            s->last->torn = true;
        return 0;
    }
    if (end < 0)
        err_saved_free(why);
    else
        err_put(why);
    return -1;
}

/* 1: go on; 0: the object's good part ends here; -1. */
static int
mark_found(struct scan *s, bool strict)
{
    struct seal_mark m;
    int end;

    if (seal_walk_mark(&s->w, &m) < 0)
        return strict ? -1 : mark_failed(s);
    if (s->found)
        seal_mark_free(s->last);
    *s->last = m; /* takes what it holds */
    s->found = true;
    if (!m.final)
        return 1;
    if ((end = seal_walk_at_end(&s->w)) < 0)
        return -1;
    if (end == 0) {
        err_set(ERR_VERIFY, "bytes were added after its end");
        seal_hint_damaged();
        return -1;
    }
    return 0;
}

static int
scan_records(struct scan *s, bool strict)
{
    for (;;) {
        int rc;

        switch (seal_walk_next(&s->w)) {
        case SEAL_STEP_FAULT:
            return -1;
        case SEAL_STEP_END:
            /* Frames that no mark covers. */
            if (s->found && s->last->offset + s->last->size != s->w.pos)
                s->last->torn = true;
            return 0;
        case SEAL_STEP_FRAME:
            break;
        case SEAL_STEP_MARK:
            if ((rc = mark_found(s, strict)) <= 0)
                return rc;
            break;
        case SEAL_STEP_BROKEN:
            if (strict)
                return -1;
            err_clear();
            if (s->found)
                s->last->torn = true;
            return 0;
        }
    }
}

static int
scan_check_end(const struct scan *s, uint64_t limit, bool must_be_final)
{
    const struct seal_mark *m = s->last;

    if (must_be_final && (!s->found || !m->final)) {
        err_set(ERR_VERIFY,
            "it is not complete: it ends without its final "
            "mark");
        seal_hint_damaged();
        return -1;
    }
    if (limit != 0 && (!s->found || m->offset + m->size != limit)) {
        err_set(ERR_VERIFY,
            "it has no mark that ends at byte %llu, up to "
            "which it should be good",
            (unsigned long long)limit);
        seal_hint_damaged();
        return -1;
    }
    return 0;
}

int
seal_scan(struct source *src, const struct seal_expect *want, uint64_t limit,
    bool must_be_final, struct seal_header *h, struct seal_mark *last)
{
    struct scan s = {.last = last};
    int rc = -1;

    memset(last, 0, sizeof(*last));
    if (h != NULL)
        memset(h, 0, sizeof(*h));
    if (seal_walk_start(&s.w, src, want, limit) < 0 ||
        scan_records(&s, must_be_final || limit != 0) < 0 ||
        scan_check_end(&s, limit, must_be_final) < 0) {
        seal_wrap(want, &s.w.h);
        seal_mark_free(last);
        goto out;
    }
    if (h != NULL) {
        *h = s.w.h; /* takes what it holds */
        memset(&s.w.h, 0, sizeof(s.w.h));
    }
    rc = s.found;

out:
    seal_walk_free(&s.w);
    return rc;
}

int
seal_is_cut(struct source *src, const struct seal_expect *want)
{
    enum seal_step step = SEAL_STEP_FRAME;
    struct seal_mark m = {0};
    struct seal_walk w;
    int rc = seal_walk_start(&w, src, want, 0);

    while (rc == 0 && !m.final && step >= SEAL_STEP_FRAME &&
        step != SEAL_STEP_BROKEN) {
        step = seal_walk_next(&w);
        if (step != SEAL_STEP_MARK)
            continue;
        seal_mark_free(&m);
        rc = seal_walk_mark(&w, &m);
    }
    if (rc == 0 && !m.final)
        rc = step == SEAL_STEP_FAULT ? -1 : seal_walk_at_end(&w);
    seal_mark_free(&m);
    seal_walk_free(&w);
    if (rc < 0 && err_kind() == ERR_VERIFY) {
        err_clear();
        rc = 0;
    }
    return rc;
}

int
seal_tail_mark(const void *tail, size_t n, uint64_t object_size,
    const struct seal_header *h, struct seal_mark *out)
{
    const uint8_t *p = tail;
    struct cur c;
    uint32_t size;

    memset(out, 0, sizeof(*out));
    if (n < SEAL_MARK_FIXED)
        return 0;
    c = cur_of(p + n - 4, 4);
    size = cur_u32(&c);
    if (size < SEAL_MARK_FIXED || size > SEAL_MARK_MAX || size > n ||
        size > object_size)
        return 0;
    p += n - size;
    if (seal_mark_decode(p, size, out) < 0) {
        err_clear();
        return 0;
    }
    if (!out->final) {
        seal_mark_free(out);
        return 0;
    }
    if (seal_mark_check(h, p, size) < 0)
        goto fail;
    if (out->offset != object_size - size) {
        err_set(ERR_VERIFY, "its final mark is of an object of another length");
        goto fail;
    }
    return 1;

fail:
    seal_hint_damaged();
    seal_mark_free(out);
    return seal_wrap(NULL, h);
}
