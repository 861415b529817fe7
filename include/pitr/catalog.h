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
    char **broken; /* ids of backup folders without a manifest */
    size_t n_broken;
    struct segment_info *segment; /* by sequence */
    size_t segments;
};

/*
 * Reads the headers of all objects and checks signatures and links.  A link
 * that does not hold is ERR_VERIFY.
 */
struct catalog *catalog_load(struct repo *r);
void catalog_free(struct catalog *c);

/* A span of time to any moment of which can be restored. */
struct window {
    size_t backup;       /* index: the oldest backup in it */
    uint64_t from_us;    /* its snapshot */
    uint64_t to_us;      /* last moment known to be whole; = from_us where no
                            log covers the backup */
    struct gtid_pos to;  /* position at its end */
};
struct windows {
    struct window *v;
    size_t n;
};
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
    bool broken_end; /* newest: a gap follows the last segment */
};
/*
 * Pure.  ERR_GAP where the cutoff is outside of the windows (the error's hint
 * lists them).  backup_id (may be NULL) forces one.  For a GTID the newest
 * backup that does not yet include it is taken.
 */
int plan_make(const struct catalog *c, const struct cutoff *cutoff,
    const char *backup_id, struct plan *out);

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
};
void cutoff_begin(struct cutoff_state *s, const struct cutoff *c,
    const struct gtid_pos *from);
bool cutoff_wants(struct cutoff_state *s, const struct event_gtid *g);
void cutoff_free(struct cutoff_state *s);

#endif
