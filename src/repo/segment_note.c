/*
 * segment_note.c -- the public notes of a segment: of its header, of its marks.
 * FORMAT.md, "Binlog segments".
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/segment.h"

#define NOTE_VERSION 1
#define NOTE_LINKED 2 /* of a header: the link follows */
#define TEXT_MAX 4096 /* bytes of a text in a note */
#define GTID_BYTES 16

void
segment_start_free(struct segment_start *s)
{
    free(s->why);
    gtid_pos_free(&s->gtid);
    free(s->server_version);
    free(s->source_file);
    free(s->server_uid);
    free(s->prev_name);
    memset(s, 0, sizeof *s);
}

bool
segment_is_gap(const struct segment_start *s)
{
    return s->cause == SEGMENT_GAP ||
        (s->cause == SEGMENT_FIRST && *s->why != '\0');
}

void
segment_state_free(struct segment_state *s)
{
    gtid_pos_free(&s->gtid);
    free(s->source_file);
    memset(s, 0, sizeof *s);
}

void
segment_info_free(struct segment_info *s)
{
    free(s->name);
    segment_start_free(&s->start);
    segment_state_free(&s->state);
    free(s->broken);
    memset(s, 0, sizeof *s);
}

static void
gtid_put(const struct gtid_pos *p, struct buf *out)
{
    buf_u32(out, (uint32_t)p->n);
    for (size_t i = 0; i < p->n; i++) {
        buf_u32(out, p->v[i].domain);
        buf_u32(out, p->v[i].server);
        buf_u64(out, p->v[i].seq);
    }
}

/* Ascending domains only, so that a position has one form. */
static void
gtid_get(struct cur *c, struct gtid_pos *out)
{
    uint32_t n = cur_u32(c);

    if (n == 0 || n > cur_left(c) / GTID_BYTES) {
        c->bad |= n > 0;
        return;
    }
    /* As many as there are: a log has a hundred thousand of these. */
    out->v = xmalloc(n * sizeof *out->v);
    out->cap = n;
    for (uint32_t i = 0; i < n && !c->bad; i++) {
        struct gtid *g = &out->v[i];

        g->domain = cur_u32(c);
        g->server = cur_u32(c);
        g->seq = cur_u64(c);
        if (i > 0 && g->domain <= g[-1].domain)
            c->bad = true;
        else
            out->n++;
    }
}

static int
note_version(struct cur *c, unsigned max, const char *what)
{
    uint8_t v = cur_u8(c);

    if (!c->bad && v >= NOTE_VERSION && v <= max)
        return v;
    err_set(ERR_VERIFY, "%s of a segment: version %u is not known", what, v);
    return err_hint("It was written by a newer pitr; use one that is at least "
                    "as new.");
}

static int
note_bad(const char *what)
{
    return err_set(ERR_VERIFY, "%s of a segment is malformed", what);
}

void
segment_start_format(const struct segment_start *s, struct buf *out)
{
    buf_u8(out, s->linked ? NOTE_LINKED : NOTE_VERSION);
    buf_u32(out, s->epoch);
    buf_u64(out, s->seq);
    buf_u8(out, (uint8_t)s->cause);
    buf_lstr(out, s->why);
    gtid_put(&s->gtid, out);
    buf_u64(out, s->started_us);
    buf_lstr(out, s->server_version);
    buf_lstr(out, s->source_file);
    buf_u64(out, s->source_pos);
    buf_u32(out, s->source_created);
    buf_u32(out, s->server_id);
    buf_lstr(out, s->server_uid);
    buf_lstr(out, s->prev_name);
    buf_u64(out, s->prev_size);
    buf_add(out, s->prev_digest, DIGEST_SIZE);
    if (s->linked)
        buf_add(out, s->prev_link, DIGEST_SIZE);
}

const uint8_t *
segment_note_link(const void *note, size_t n)
{
    const uint8_t *p = note;

    return n > DIGEST_SIZE && p[0] == NOTE_LINKED ? p + n - DIGEST_SIZE : NULL;
}

static bool
start_is_sane(const struct segment_start *s)
{
    bool first = s->cause == SEGMENT_FIRST;

    if (s->epoch == 0 || s->seq == 0)
        return false;
    if (s->cause < SEGMENT_FIRST || s->cause > SEGMENT_GAP)
        return false;
    /* The first has nothing before it, all others have. */
    if (first && s->linked)
        return false;
    return first == (s->prev_size == 0) && first == (s->prev_name[0] == '\0');
}

int
segment_start_parse(const void *p, size_t n, struct segment_start *out)
{
    struct cur c = cur_of(p, n);
    const uint8_t *digest;
    int version;

    memset(out, 0, sizeof *out);
    version = note_version(&c, NOTE_LINKED, "the header's note");
    if (version < 0)
        return -1;
    out->linked = version == NOTE_LINKED;
    out->epoch = cur_u32(&c);
    out->seq = cur_u64(&c);
    out->cause = cur_u8(&c);
    out->why = cur_lstr(&c, TEXT_MAX);
    gtid_get(&c, &out->gtid);
    out->started_us = cur_u64(&c);
    out->server_version = cur_lstr(&c, TEXT_MAX);
    out->source_file = cur_lstr(&c, TEXT_MAX);
    out->source_pos = cur_u64(&c);
    out->source_created = cur_u32(&c);
    out->server_id = cur_u32(&c);
    out->server_uid = cur_lstr(&c, TEXT_MAX);
    out->prev_name = cur_lstr(&c, TEXT_MAX);
    out->prev_size = cur_u64(&c);
    if ((digest = cur_bytes(&c, DIGEST_SIZE)) != NULL)
        memcpy(out->prev_digest, digest, DIGEST_SIZE);
    if (out->linked && (digest = cur_bytes(&c, DIGEST_SIZE)) != NULL)
        memcpy(out->prev_link, digest, DIGEST_SIZE);
    if (c.bad || cur_left(&c) != 0 || !start_is_sane(out)) {
        segment_start_free(out);
        return note_bad("the header's note");
    }
    return 0;
}

void
segment_state_format(const struct segment_state *s, struct buf *out)
{
    buf_u8(out, NOTE_VERSION);
    buf_u64(out, s->bytes);
    buf_u64(out, s->complete_bytes);
    buf_u64(out, s->groups);
    gtid_put(&s->gtid, out);
    buf_u64(out, s->newest_us);
    buf_u64(out, s->first_us);
    buf_u64(out, s->complete_until_us);
    buf_lstr(out, s->source_file);
    buf_u64(out, s->source_pos);
}

int
segment_state_parse(const void *p, size_t n, struct segment_state *out)
{
    struct cur c = cur_of(p, n);

    memset(out, 0, sizeof *out);
    if (note_version(&c, NOTE_VERSION, "a mark's note") < 0)
        return -1;
    out->bytes = cur_u64(&c);
    out->complete_bytes = cur_u64(&c);
    out->groups = cur_u64(&c);
    gtid_get(&c, &out->gtid);
    out->newest_us = cur_u64(&c);
    out->first_us = cur_u64(&c);
    out->complete_until_us = cur_u64(&c);
    out->source_file = cur_lstr(&c, TEXT_MAX);
    out->source_pos = cur_u64(&c);
    if (c.bad || cur_left(&c) != 0 || out->complete_bytes > out->bytes) {
        segment_state_free(out);
        return note_bad("a mark's note");
    }
    return 0;
}
