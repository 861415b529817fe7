/*
 * plan.c -- which backup and which segments lead to a cutoff.  Pure functions
 * of the catalogue; what cannot be done is refused with what can.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pitr/catalog.h"
#include "pitr/err.h"
#include "pitr/mem.h"
#include "pitr/times.h"

/* The newest first, as of the times. */
static void
put_positions(const struct catalog *c, const struct windows *w, struct buf *out)
{
    for (size_t i = w->n; i-- > 0;) {
        char *from = gtid_pos_text(&c->backup[w->v[i].backup].gtid);
        char *to = gtid_pos_text(&w->v[i].to);

        buf_fmt(out, "  after GTID %s, up to %s\n", *from ? from : "(empty)",
            *to ? to : "(empty)");
        free(from);
        free(to);
    }
}

/* With the windows as the hint; of GTIDs, too. */
static int
refuse(const struct catalog *c, enum err_kind kind, const char *what,
    const char *advice, bool gtids)
{
    struct windows w;
    struct buf text = {0};

    catalog_windows(c, &w);
    windows_text(c, &w, &text);
    if (gtids)
        put_positions(c, &w, &text);
    err_set(kind, "%s", what);
    err_hint("%sWhat can be restored:\n%s", advice, buf_cstr(&text));
    buf_free(&text);
    windows_free(&w);
    return -1;
}

/* The chain of a backup and the state at its end. */
struct reach {
    size_t first, n;
    uint64_t to_us;
    const struct gtid_pos *to;
};

static void
reach_of(const struct catalog *c, size_t backup, struct reach *out)
{
    const struct backup_info *b = &c->backup[backup];

    out->first = out->n = 0;
    out->to_us = b->snapshot_us;
    out->to = &b->gtid;
    if (catalog_chain(c, backup, &out->first, &out->n)) {
        const struct segment_state *s =
            &c->segment[out->first + out->n - 1].state;

        out->to_us = catalog_whole_until(c, out->first, out->n);
        if (out->to_us < b->snapshot_us)
            out->to_us = b->snapshot_us;
        out->to = &s->gtid;
    }
}

static bool
reaches(const struct catalog *c, size_t backup, const struct cutoff *cut,
    struct reach *out)
{
    const struct backup_info *b = &c->backup[backup];

    reach_of(c, backup, out);
    switch (cut->kind) {
    case CUTOFF_NEWEST:
        return true;
    case CUTOFF_TIME:
        return b->snapshot_us <= cut->us && cut->us <= out->to_us;
    case CUTOFF_UNTIL_GTID:
    case CUTOFF_BEFORE_GTID:
        return !gtid_pos_includes(&b->gtid, &cut->gtid) &&
            gtid_pos_includes(out->to, &cut->gtid);
    }
    return false;
}

/* Could a log without damage lead from this backup to the cutoff? */
static bool
is_before_cutoff(const struct backup_info *b, const struct cutoff *cut)
{
    return cut->kind == CUTOFF_TIME ? b->snapshot_us <= cut->us
                                    : !gtid_pos_includes(&b->gtid, &cut->gtid);
}

/* The damage but for which the cutoff might have been reached; NULL. */
static const char *
damage_before(
    const struct catalog *c, const struct cutoff *cut, const char *backup_id)
{
    bool any = false;

    for (size_t i = 0; i < c->backups; i++)
        if (backup_id == NULL || strcmp(backup_id, c->backup[i].id) == 0)
            any |= is_before_cutoff(&c->backup[i], cut);
    for (size_t i = 0; i < c->segments && any; i++) {
        const struct segment_state *s = &c->segment[i].state;
        bool there = cut->kind == CUTOFF_TIME
            ? cut->us <= segment_newest(s)
            : gtid_pos_includes(&s->gtid, &cut->gtid);

        if (c->segment[i].broken != NULL && there)
            return c->segment[i].broken;
    }
    return NULL;
}

/* Something was changed or taken away: what that keeps from being restored. */
static int
refuse_damage(
    const struct catalog *c, const char *what, const char *damage, bool gtids)
{
    char *text = xasprintf("%s: the log is broken: %s", what, damage);

    refuse(c, ERR_VERIFY, text,
        "Take what is damaged from another copy of the repository; \"pitr "
        "verify\" names all of it. ",
        gtids);
    free(text);
    return -1;
}

static int
refuse_cutoff(
    const struct catalog *c, const struct cutoff *cut, const char *backup_id)
{
    const char *damage = damage_before(c, cut, backup_id);
    char text[TIME_BOTH + GTID_TEXT + 160], when[TIME_BOTH], gtid[GTID_TEXT];
    const char *from = backup_id == NULL ? "" : " from that backup";

    if (cut->kind == CUTOFF_TIME)
        snprintf(text, sizeof text,
            "%s cannot be restored%s: it is outside "
            "of what backups and log cover",
            time_both(cut->us, when), from);
    else
        snprintf(text, sizeof text,
            "the transaction %s is not in the log "
            "after any backup%s",
            gtid_text(&cut->gtid, gtid), from);
    if (damage != NULL)
        return refuse_damage(c, text, damage, cut->kind != CUTOFF_TIME);
    return refuse(c, ERR_GAP, text,
        cut->kind == CUTOFF_TIME ? "Without --until, the newest state is "
                                   "restored. "
                                 : "",
        cut->kind != CUTOFF_TIME);
}

/* Is there log that goes on after what is reached from a backup? */
static bool
is_cut_off(const struct catalog *c, size_t backup, const struct reach *r)
{
    if (r->n > 0)
        return r->first + r->n < c->segments;
    return c->segments > 0 &&
        segment_newest(&c->segment[c->segments - 1].state) >
        c->backup[backup].snapshot_us;
}

/* Is it a break that cuts it off? */
static const char *
damage_after(const struct catalog *c, size_t backup, const struct reach *r)
{
    if (r->n > 0)
        return r->first + r->n < c->segments
            ? c->segment[r->first + r->n].broken
            : NULL;
    for (size_t i = 0; i < c->segments; i++)
        if (c->segment[i].broken != NULL &&
            segment_newest(&c->segment[i].state) >
                c->backup[backup].snapshot_us)
            return c->segment[i].broken;
    return NULL;
}

static void
plan_set(struct plan *p, const struct catalog *c, size_t backup,
    const struct reach *r)
{
    p->backup = backup;
    p->first_segment = r->first;
    p->segments = r->n;
    p->broken_end = is_cut_off(c, backup, r);
    p->damage = p->broken_end ? damage_after(c, backup, r) : NULL;
}

int
plan_make(const struct catalog *c, const struct cutoff *cutoff,
    const char *backup_id, struct plan *out)
{
    bool known = backup_id == NULL, found = false;
    uint64_t furthest = 0;
    struct reach r;

    memset(out, 0, sizeof *out);
    out->cutoff = *cutoff;
    if (c->backups == 0)
        return refuse(c, ERR_GAP, "the repository has no whole backup",
            "Make one with \"pitr backup\". ", false);
    for (size_t i = c->backups; i-- > 0;) {
        if (backup_id != NULL && strcmp(backup_id, c->backup[i].id) != 0)
            continue;
        known = true;
        if (!reaches(c, i, cutoff, &r) || (found && r.to_us <= furthest))
            continue;
        plan_set(out, c, i, &r);
        found = true;
        furthest = r.to_us;
        if (cutoff->kind != CUTOFF_NEWEST) /* the newest of those that do */
            break;
    }
    if (found && cutoff->kind == CUTOFF_NEWEST && out->damage != NULL)
        return refuse_damage(
            c, "the newest state cannot be restored", out->damage, false);
    if (found)
        return 0;
    if (!known) {
        err_set(ERR_NOREPO, "there is no backup %s", backup_id);
        return err_hint("\"pitr list\" shows the backups.");
    }
    return refuse_cutoff(c, cutoff, backup_id);
}
