/*
 * catalog.h -- what a repository holds and what can be restored from it.
 * Needs no secret.
 */
#ifndef PITR_CATALOG_H
#define PITR_CATALOG_H

#include "pitr/manifest.h"
#include "pitr/segment.h"

struct catalog {
    struct backup_info *backup; /* whole ones, oldest first */
    size_t backups;
    char **broken; /* ids of backup folders without a good manifest */
    size_t n_broken;
    struct segment_info *segment; /* by sequence */
    size_t segments;
    size_t breaks; /* segments whose link does not hold */
    char *forked;  /* two segments of one number: two machines have written it;
                      for people, NULL */
    bool signatures; /* to be set before the log is loaded: those of every
                        segment are checked, and no index is used */
};

/*
 * Reads the headers of all objects and checks signatures and links.  What is
 * damaged does not fail the rest, but is warned of: a backup whose manifest is
 * does not count (ERR_VERIFY where no whole backup is left); a segment that is,
 * or is missing, breaks the log in two, and nothing goes across the break.
 */
struct catalog *catalog_load(struct repo *r);
/* Only the log, into a catalogue that has none, without a warning.  0, or -1. */
int catalog_load_log(struct repo *r, struct catalog *c);
/* Only the backups, likewise. */
int catalog_load_backups(struct repo *r, struct catalog *c);
/* The first break at or after segment i; NULL. */
const struct segment_info *catalog_break(const struct catalog *c, size_t i);
/* One past the last segment of the run that starts at `first`: the next one is
 * of another epoch, or its link is broken. */
size_t catalog_run_end(const struct catalog *c, size_t first);
void catalog_free(struct catalog *c);

/* A span of time to any moment of which can be restored. */
struct window {
    size_t backup;       /* index: the oldest backup in it */
    size_t backups;      /* how many start points it has */
    uint64_t from_us;    /* the oldest one's snapshot */
    uint64_t to_us;      /* last moment known to be whole; = from_us where no
                            log covers the backup */
    struct gtid_pos to;  /* position at its end */
};
struct windows {
    struct window *v;
    size_t n;
};
/*
 * The log that goes on from a backup: where its snapshot's position lies in an
 * unbroken run of segments.  1 with the first segment to read and their number
 * (at least one); 0 where no log covers it.  Pure.
 */
int catalog_chain(const struct catalog *c, size_t backup, size_t *first,
    size_t *n);
/*
 * Is there a gap between the newest backup and the end of the log?  A backup
 * whose position is ahead of the log is no answer yet: the one before it is
 * asked then.
 */
bool catalog_gap_is_open(const struct catalog *c);
/* The moment up to which the log is known to be whole: of a segment, of n
 * segments of one epoch.  0: not known. */
uint64_t segment_whole_until(const struct segment_state *s);
uint64_t catalog_whole_until(const struct catalog *c, size_t first, size_t n);
/* No transaction in it says that it is later; 0: not known.  For who must not
 * overlook any: it may be false, and far too late. */
uint64_t segment_newest(const struct segment_state *s);

/* Pure. */
void catalog_windows(const struct catalog *c, struct windows *out);
void windows_free(struct windows *w);
/* Text for people, a line a window, both clocks. */
void windows_text(const struct catalog *c, const struct windows *w,
    struct buf *out);

enum cutoff_kind { CUTOFF_NEWEST, CUTOFF_TIME, CUTOFF_UNTIL_GTID,
    CUTOFF_BEFORE_GTID };
struct cutoff {
    enum cutoff_kind kind;
    uint64_t us;      /* CUTOFF_TIME: first transaction left out is at or past */
    struct gtid gtid;
};

/* The plan: which backup, which segments.  Indexes into the catalogue. */
struct plan {
    size_t backup;
    size_t first_segment, segments; /* 0 segments: the backup alone */
    struct cutoff cutoff;
    bool broken_end; /* there is more log, beyond a gap */
    const char *damage; /* the same, beyond a break: why; borrowed from the
                           catalogue; NULL */
};
/*
 * Pure.  ERR_GAP where the cutoff is outside of the windows (the error's hint
 * lists them); ERR_VERIFY where that is so because something is damaged, and
 * where the newest state is beyond what is.  backup_id (may be NULL) forces one.  For the newest state the
 * backup whose log reaches furthest is taken, for a moment the newest before
 * it, for a GTID the newest that does not yet include it.
 */
int plan_make(const struct catalog *c, const struct cutoff *cutoff,
    const char *backup_id, struct plan *out);

/* Are the first n of the plan's segments there, as the catalogue has them from
 * indexes?  A look at their ends.  0, or -1 (ERR_VERIFY). */
int plan_check(struct repo *r, const struct catalog *c, const struct plan *p,
    size_t n);

/*
 * The cutoff as a filter over the log in its order: for each domain, the first
 * transaction at or past the moment ends that domain; a GTID ends all.
 * Feed every group in order, starting after the backup's position.
 */
struct cutoff_state {
    const struct cutoff *cutoff;
    struct gtid_pos from;    /* the backup's; groups included in it are skipped */
    struct gtid_pos done;    /* last one let through, in each domain */
    struct gtid_pos ended;   /* domains that ended, with the one left out */
    struct event_gtid last, first_out; /* over all domains, log order */
    bool any_last, any_out, all_ended;
    uint64_t groups;         /* let through */
    uint64_t early; /* left out although of before the moment: they come after
                       one whose clock was ahead */
};
/*
 * from: the backup's position, exclusive.  log_start: the position at which
 * the first segment starts (its start.gtid); what it includes already will not
 * come.
 */
void cutoff_begin(struct cutoff_state *s, const struct cutoff *c,
    const struct gtid_pos *from, const struct gtid_pos *log_start);
bool cutoff_wants(struct cutoff_state *s, const struct event_gtid *g);
/* Is the first one that is left out so far past the moment that its clock may
 * have been ahead, so that others that come after it are wanted?  Also true where
 * nothing happened for a while; early tells. */
bool cutoff_jumped(const struct cutoff_state *s);
/* After the last group: ERR_GAP where the cutoff's GTID never came. */
int cutoff_end(const struct cutoff_state *s);
void cutoff_free(struct cutoff_state *s);

#endif
