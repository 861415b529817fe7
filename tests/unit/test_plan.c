/*
 * test_plan.c -- which backup and which segments lead to a cutoff, in tables
 * over catalogues made by hand.
 *
 * Times are seconds from T0.  A backup at second s has its snapshot half a
 * second later, since transactions have times in whole seconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pitr/catalog.h"
#include "pitr/mem.h"

#define T0 UINT64_C(1651456800)
#define US(s) ((T0 + (s)) * 1000000)
#define SNAP(s) (US(s) + 500000)
#define NOTHING SIZE_MAX /* no segment */
#define A "bin.000001"
#define B "bin.000002"
#define C "bin.000003"

struct made_backup {
    unsigned at; /* second */
    const char *gtid, *file;
    uint64_t pos;
    uint32_t server; /* 0: 1 */
};
struct made_segment {
    uint32_t epoch;
    const char *file;
    unsigned created;
    uint64_t from_pos;
    const char *from;
    uint64_t to_pos;
    const char *to;
    unsigned newest, complete; /* seconds; 0: not known */
    const char *state_file;    /* NULL: file */
    uint32_t server;           /* 0: 1 */
};

static struct gtid_pos
pos_of(const char *text)
{
    struct gtid_pos p = {0};

    assert_int_equal(gtid_pos_parse(text, &p), 0);
    return p;
}

static struct catalog *
catalog_of(const struct made_backup *b, size_t backups,
    const struct made_segment *s, size_t segments)
{
    struct catalog *c = xcalloc(1, sizeof *c);

    c->backups = backups;
    c->backup = xcalloc(backups + 1, sizeof *c->backup);
    for (size_t i = 0; i < backups; i++)
        c->backup[i] = (struct backup_info){.id = xasprintf("b%zu", i),
            .snapshot_us = SNAP(b[i].at),
            .gtid = pos_of(b[i].gtid),
            .source_file = xstrdup(b[i].file),
            .source_pos = b[i].pos,
            .server_id = b[i].server == 0 ? 1 : b[i].server};
    c->segments = segments;
    c->segment = xcalloc(segments + 1, sizeof *c->segment);
    for (size_t i = 0; i < segments; i++) {
        struct segment_info *x = &c->segment[i];

        x->name = xasprintf("binlog/%zu", i);
        x->start.epoch = s[i].epoch;
        x->start.seq = i + 1;
        x->start.gtid = pos_of(s[i].from);
        x->start.source_file = xstrdup(s[i].file);
        x->start.source_pos = s[i].from_pos;
        x->start.source_created = (uint32_t)(T0 + s[i].created);
        x->start.started_us = US(s[i].created);
        x->start.server_id = s[i].server == 0 ? 1 : s[i].server;
        x->state.gtid = pos_of(s[i].to);
        x->state.newest_us = s[i].newest == 0 ? 0 : US(s[i].newest);
        x->state.complete_until_us = s[i].complete == 0 ? 0 : US(s[i].complete);
        x->state.source_file =
            xstrdup(s[i].state_file == NULL ? s[i].file : s[i].state_file);
        x->state.source_pos = s[i].to_pos;
    }
    return c;
}
#define CATALOG(b, s) catalog_of(b, NELEM(b), s, NELEM(s))

/* --- the chain of a backup --- */

/* One server, two files, the first in two segments:
 *   0: A 4..1000      ""    .. 0-1-10
 *   1: A 1000..2000   0-1-10 .. 0-1-20
 *   2: B 300..900     0-1-20 .. 0-1-30 */
static const struct made_segment plain[] = {
    {1, A, 0, 4, "", 1000, "0-1-10", 100, 0, NULL, 0},
    {1, A, 0, 1000, "0-1-10", 2000, "0-1-20", 200, 0, NULL, 0},
    {1, B, 210, 300, "0-1-20", 900, "0-1-30", 300, 350, NULL, 0},
};

static void
chain(const struct made_backup *b, const struct made_segment *s, size_t n,
    size_t first, size_t segments)
{
    struct catalog *c = catalog_of(b, 1, s, n);
    size_t is_first = 77, is_n = 77;
    int rc = catalog_chain(c, 0, &is_first, &is_n);

    if (first == NOTHING ? rc != 0
                         : rc != 1 || is_first != first || is_n != segments)
        fail_msg("backup at %u, GTID '%s', %s:%u: got %d, %zu, %zu", b->at,
            b->gtid, b->file, (unsigned)b->pos, rc, is_first, is_n);
    catalog_free(c);
}

static void
test_chain_plain(void **state)
{
    static const struct {
        struct made_backup b;
        size_t first, n;
    } cases[] = {
        {{50, "", A, 4, 0}, 0, 3}, /* before the first transaction */
        {{50, "0-1-5", A, 500, 0}, 0, 3},
        {{100, "0-1-10", A, 1000, 0}, 1, 2}, /* the later one suffices */
        {{150, "0-1-15", A, 1500, 0}, 1, 2},
        {{200, "0-1-20", A, 2000, 0}, 1, 2}, /* by its place */
        {{220, "0-1-20", B, 300, 0}, 2, 1},
        {{220, "0-1-20", B, 280, 0}, 2, 1}, /* before what begins it */
        {{250, "0-1-25", B, 600, 0}, 2, 1},
        {{300, "0-1-30", B, 900, 0}, 2, 1},       /* the very end */
        {{320, "0-1-30", B, 1000, 0}, 2, 1},      /* other events since */
        {{360, "0-1-30", C, 300, 0}, 2, 1},       /* a file not streamed yet */
        {{360, "0-1-31", B, 950, 0}, NOTHING, 0}, /* past the end */
        {{360, "0-1-31", C, 400, 0}, NOTHING, 0},
        {{250, "0-1-25,1-1-1", B, 600, 0}, NOTHING, 0}, /* a strange domain */
        {{250, "0-1-25", B, 100, 0}, NOTHING, 0},       /* place, number: no */
        {{250, "0-1-25", A, 1500, 0}, NOTHING, 0},
        {{150, "0-1-15", C, 1500, 0}, NOTHING, 0},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++)
        chain(&cases[i].b, plain, NELEM(plain), cases[i].first, cases[i].n);
    chain(&cases[0].b, plain, 0, NOTHING, 0);
}

/* The log begins after the backup. */
static void
test_chain_late(void **state)
{
    static const struct made_segment late[] = {
        {1, B, 210, 300, "0-1-20", 900, "0-1-30", 300, 350, NULL, 0}};
    static const struct {
        struct made_backup b;
        size_t first;
    } cases[] = {
        {{150, "0-1-15", A, 1500, 0}, NOTHING},     /* transactions between */
        {{200, "0-1-20", A, 2000, 0}, 0},           /* nothing but a new file */
        {{200, "0-1-20", C, 2000, 0}, NOTHING},     /* RESET MASTER between */
        {{200, "0-1-20", B, 300, 0}, NOTHING},      /* that B was another one */
        {{200, "0-1-20", "other.000009", 4, 0}, 0}, /* log_bin was renamed */
        {{220, "0-1-20", B, 300, 0}, 0},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++)
        chain(&cases[i].b, late, 1, cases[i].first, 1);
}

/* Files in which there was no transaction. */
static void
test_chain_idle(void **state)
{
    static const struct made_segment idle[] = {
        {1, A, 0, 4, "", 1000, "0-1-10", 100, 0, NULL, 0},
        /* Its state still tells the place in A. */
        {1, B, 200, 4, "0-1-10", 1000, "0-1-10", 0, 0, A, 0},
        {1, "bin.000004", 300, 4, "0-1-10", 900, "0-1-20", 310, 350, NULL, 0},
    };
    static const struct {
        struct made_backup b;
        size_t first, n;
    } cases[] = {
        {{150, "0-1-10", A, 1000, 0}, 0, 3},
        {{250, "0-1-10", B, 330, 0}, 1, 2},
        {{250, "0-1-10", B, 5000, 0}, 1, 2},
        {{280, "0-1-10", C, 330, 0}, 2, 1}, /* no segment of that file */
        {{305, "0-1-10", "bin.000004", 330, 0}, 2, 1},
        {{308, "0-1-15", "bin.000004", 600, 0}, 2, 1},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++)
        chain(&cases[i].b, idle, NELEM(idle), cases[i].first, cases[i].n);
}

/* RESET MASTER at second 1000: the same numbers, the same file, other
 * content. */
static const struct made_segment reset[] = {
    {1, A, 0, 4, "", 2000, "0-1-20", 900, 990, NULL, 0},
    {2, A, 1000, 4, "", 2000, "0-1-20", 1900, 1990, NULL, 0},
    {3, A, 3000, 4, "", 500, "0-1-5", 3100, 3110, NULL, 0},
};

static void
test_chain_reset(void **state)
{
    static const struct {
        struct made_backup b;
        size_t first;
    } cases[] = {
        {{10, "", A, 330, 0}, 0},
        {{500, "0-1-10", A, 1000, 0}, 0},
        {{1005, "", A, 330, 0}, 1},
        {{1500, "0-1-10", A, 1000, 0}, 1}, /* and not epoch 1 */
        {{1100, "0-1-3", A, 300, 0}, 1},
        {{3050, "0-1-3", A, 300, 0}, 2},
        /* After the last RESET MASTER, but not streamed: it is in none,
         * whatever the old logs have under these numbers. */
        {{3200, "0-1-10", A, 1000, 0}, NOTHING},
        {{2500, "0-1-10", A, 1000, 0}, NOTHING},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++)
        chain(&cases[i].b, reset, NELEM(reset), cases[i].first, 1);
}

/* A statement with SET TIMESTAMP made the server begin a file. */
static void
test_chain_false_creation(void **state)
{
    static const struct made_backup b = {150, "0-1-5", A, 500, 0};
    struct made_segment s = plain[0];
    struct catalog *c;
    size_t first, n;

    (void)state;
    s.complete = 200;
    c = catalog_of(&b, 1, &s, 1);
    c->segment[0].start.source_created += 365 * 86400;
    assert_int_equal(catalog_chain(c, 0, &first, &n), 1);
    catalog_free(c);
}

/* Another server's log goes by numbers alone. */
static void
test_chain_other_server(void **state)
{
    static const struct made_segment moved[] = {
        {1, A, 0, 4, "", 1000, "0-1-10", 100, 0, NULL, 1},
        {1, "x.000007", 150, 0, "0-1-10", 800, "0-2-20", 200, 250, NULL, 2},
    };
    static const struct {
        struct made_backup b;
        size_t first, n;
    } cases[] = {
        {{50, "0-1-5", A, 500, 1}, 0, 2},
        {{180, "0-2-15", "x.000007", 500, 2}, 1, 1},
        {{180, "0-2-15", A, 1500, 1}, 1, 1}, /* the old one, now a replica */
        {{50, "0-1-5", "y.000001", 500, 3}, 0, 2},
        {{260, "0-2-21", "y.000001", 500, 3}, NOTHING, 0},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++)
        chain(&cases[i].b, moved, NELEM(moved), cases[i].first, cases[i].n);
    /* Of two logs with these numbers, the one that was there at that time. */
    chain(&(struct made_backup){1500, "0-1-10", "y.000001", 4, 9}, reset, 2, 1,
        1);
    chain(
        &(struct made_backup){500, "0-1-10", "y.000001", 4, 9}, reset, 2, 0, 1);
}

static void
test_chain_domains(void **state)
{
    static const struct made_segment v[] = {
        {1, A, 0, 4, "0-1-5", 1000, "0-1-9,1-1-3", 100, 0, NULL, 0},
        {1, A, 0, 1000, "0-1-9,1-1-3", 2000, "0-1-9,1-1-8,2-1-1", 200, 250,
            NULL, 0},
    };
    static const struct {
        struct made_backup b;
        size_t first, n;
    } cases[] = {
        {{50, "0-1-6", A, 300, 0}, 0, 2},
        {{60, "0-1-6,1-1-1", A, 500, 0}, 0, 2},
        {{100, "0-1-9,1-1-3", A, 1000, 0}, 1, 1},
        {{150, "0-1-9,1-1-5", A, 1500, 0}, 1, 1},
        {{150, "1-1-5", A, 1500, 0}, NOTHING, 0},
        {{150, "0-1-9,1-1-5,3-1-1", A, 1500, 0}, NOTHING, 0},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++)
        chain(&cases[i].b, v, NELEM(v), cases[i].first, cases[i].n);
}

/* --- windows --- */

static void
window(const struct windows *w, size_t i, size_t backup, size_t backups,
    uint64_t from, uint64_t to, const char *gtid)
{
    struct gtid_pos p = pos_of(gtid);

    assert_true(i < w->n);
    assert_int_equal(w->v[i].backup, backup);
    assert_int_equal(w->v[i].backups, backups);
    assert_int_equal(w->v[i].from_us, from);
    assert_int_equal(w->v[i].to_us, to);
    assert_true(gtid_pos_equal(&w->v[i].to, &p));
    gtid_pos_free(&p);
}

static void
test_windows(void **state)
{
    /* Two in the first log, one behind its end, one in the second log, one
     * after all. */
    static const struct made_backup b[] = {{100, "0-1-2", A, 200, 0},
        {500, "0-1-10", A, 1000, 0}, {995, "0-1-22", A, 2200, 0},
        {1500, "0-1-10", A, 1000, 0}, {5000, "0-1-7", A, 700, 0}};
    struct catalog *c = CATALOG(b, reset);
    struct windows w;
    struct buf text = {0};

    (void)state;
    catalog_windows(c, &w);
    assert_int_equal(w.n, 4);
    window(&w, 0, 0, 2, SNAP(100), US(990), "0-1-20");
    window(&w, 1, 2, 1, SNAP(995), SNAP(995), "0-1-22");
    window(&w, 2, 3, 1, SNAP(1500), US(1990), "0-1-20");
    window(&w, 3, 4, 1, SNAP(5000), SNAP(5000), "0-1-7");
    windows_text(c, &w, &text);
    assert_non_null(strstr(buf_cstr(&text), "(backup b2, without log)"));
    assert_non_null(strstr(buf_cstr(&text), "(backup b4, without log)"));
    assert_null(strstr(buf_cstr(&text), "b0"));
    assert_non_null(strstr(buf_cstr(&text), "02:01:40")); /* from: T0 + 100 */
    assert_non_null(strstr(buf_cstr(&text), "02:16:30")); /* to: T0 + 990 */
    windows_free(&w);
    catalog_free(c);

    buf_reset(&text);
    c = catalog_of(NULL, 0, reset, 1);
    catalog_windows(c, &w);
    assert_int_equal(w.n, 0);
    windows_text(c, &w, &text);
    assert_string_equal(
        buf_cstr(&text), "  nothing: there is no whole backup\n");
    windows_free(&w);
    buf_free(&text);
    catalog_free(c);
}

/* The last segment was just begun and knows nothing yet. */
static void
test_windows_fresh_segment(void **state)
{
    static const struct made_backup b[] = {{50, "0-1-5", A, 500, 0}};
    static const struct made_segment s[] = {
        {1, A, 0, 4, "", 1000, "0-1-10", 100, 0, NULL, 0},
        {1, B, 150, 4, "0-1-10", 1000, "0-1-10", 0, 0, A, 0}};
    struct catalog *c = CATALOG(b, s);
    struct windows w;

    (void)state;
    assert_int_equal(catalog_whole_until(c, 0, 2), US(100));
    catalog_windows(c, &w);
    assert_int_equal(w.n, 1);
    window(&w, 0, 0, 1, SNAP(50), US(100), "0-1-10");
    windows_free(&w);
    catalog_free(c);
}

/* --- plans --- */

struct wish {
    enum cutoff_kind kind;
    uint64_t us;
    const char *gtid;
    const char *backup;    /* NULL: chosen */
    enum err_kind refused; /* ERR_NONE: it is planned, as follows */
    size_t is_backup, first, n;
    bool broken_end;
};

static void
plans(const struct catalog *c, const struct wish *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct cutoff cut = {.kind = v[i].kind, .us = v[i].us};
        struct plan p;
        int rc;

        if (v[i].gtid != NULL)
            assert_int_equal(gtid_parse(v[i].gtid, &cut.gtid), 0);
        rc = plan_make(c, &cut, v[i].backup, &p);
        if (rc != (v[i].refused == ERR_NONE ? 0 : -1))
            fail_msg("case %zu: %d, %s", i, rc, err_text());
        if (rc < 0) {
            assert_int_equal(err_kind(), v[i].refused);
            assert_true(*err_text() != '\0' && *err_hint_text() != '\0');
            if (v[i].refused == ERR_GAP)
                assert_non_null(
                    strstr(err_hint_text(), "What can be restored"));
        } else if (p.backup != v[i].is_backup || p.segments != v[i].n ||
            (p.segments > 0 && p.first_segment != v[i].first) ||
            p.broken_end != v[i].broken_end) {
            fail_msg("case %zu: backup %zu, segments %zu+%zu, broken %d", i,
                p.backup, p.first_segment, p.segments, p.broken_end);
        } else {
            assert_int_equal(p.cutoff.kind, v[i].kind);
            assert_int_equal(p.cutoff.us, v[i].us);
        }
        err_clear();
    }
}
#define PLANS(c, v) plans(c, v, NELEM(v))

static void
test_plan_none(void **state)
{
    static const struct wish v[] = {
        {CUTOFF_NEWEST, 0, NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_TIME, US(1), NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-5", NULL, ERR_GAP, 0, 0, 0, false}};
    struct catalog *c = catalog_of(NULL, 0, plain, NELEM(plain));

    (void)state;
    PLANS(c, v);
    catalog_free(c);
}

static void
test_plan_without_log(void **state)
{
    static const struct made_backup b[] = {{100, "0-1-5", A, 500, 0}};
    static const struct wish v[] = {
        {CUTOFF_NEWEST, 0, NULL, NULL, ERR_NONE, 0, 0, 0, false},
        {CUTOFF_TIME, SNAP(100), NULL, NULL, ERR_NONE, 0, 0, 0, false},
        {CUTOFF_TIME, SNAP(100) - 1, NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_TIME, SNAP(100) + 1, NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-5", NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_BEFORE_GTID, 0, "0-1-6", NULL, ERR_GAP, 0, 0, 0, false}};
    struct catalog *c = catalog_of(b, 1, NULL, 0);

    (void)state;
    PLANS(c, v);
    catalog_free(c);
}

static const struct made_backup three[] = {{50, "0-1-5", A, 500, 0},
    {150, "0-1-15", A, 1500, 0}, {250, "0-1-25", B, 600, 0}};

static void
test_plan_time(void **state)
{
    static const struct wish v[] = {
        {CUTOFF_NEWEST, 0, NULL, NULL, ERR_NONE, 2, 2, 1, false},
        {CUTOFF_NEWEST, 0, NULL, "b0", ERR_NONE, 0, 0, 3, false},
        {CUTOFF_NEWEST, 0, NULL, "b9", ERR_NOREPO, 0, 0, 0, false},
        /* Before all, exactly at the begin, inside. */
        {CUTOFF_TIME, SNAP(50) - 1, NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_TIME, SNAP(50), NULL, NULL, ERR_NONE, 0, 0, 3, false},
        {CUTOFF_TIME, US(100), NULL, NULL, ERR_NONE, 0, 0, 3, false},
        {CUTOFF_TIME, SNAP(150) - 1, NULL, NULL, ERR_NONE, 0, 0, 3, false},
        {CUTOFF_TIME, SNAP(150), NULL, NULL, ERR_NONE, 1, 1, 2, false},
        {CUTOFF_TIME, SNAP(250) - 1, NULL, NULL, ERR_NONE, 1, 1, 2, false},
        {CUTOFF_TIME, SNAP(250), NULL, NULL, ERR_NONE, 2, 2, 1, false},
        /* Exactly at the end, after it. */
        {CUTOFF_TIME, US(350), NULL, NULL, ERR_NONE, 2, 2, 1, false},
        {CUTOFF_TIME, US(350) + 1, NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_TIME, UINT64_MAX, NULL, NULL, ERR_GAP, 0, 0, 0, false},
        /* From one backup. */
        {CUTOFF_TIME, US(340), NULL, "b0", ERR_NONE, 0, 0, 3, false},
        {CUTOFF_TIME, US(100), NULL, "b1", ERR_GAP, 0, 0, 0, false},
    };
    struct catalog *c = CATALOG(three, plain);

    (void)state;
    PLANS(c, v);
    catalog_free(c);
}

static void
test_plan_gtid(void **state)
{
    static const struct wish v[] = {
        {CUTOFF_UNTIL_GTID, 0, "0-1-5", NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-6", NULL, ERR_NONE, 0, 0, 3, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-15", NULL, ERR_NONE, 0, 0, 3, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-16", NULL, ERR_NONE, 1, 1, 2, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-26", NULL, ERR_NONE, 2, 2, 1, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-30", NULL, ERR_NONE, 2, 2, 1, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-31", NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_UNTIL_GTID, 0, "4-1-6", NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_BEFORE_GTID, 0, "0-1-6", NULL, ERR_NONE, 0, 0, 3, false},
        {CUTOFF_BEFORE_GTID, 0, "0-1-16", NULL, ERR_NONE, 1, 1, 2, false},
        {CUTOFF_BEFORE_GTID, 0, "0-1-5", NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_BEFORE_GTID, 0, "0-1-31", NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-26", "b0", ERR_NONE, 0, 0, 3, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-12", "b1", ERR_GAP, 0, 0, 0, false},
    };
    struct catalog *c = CATALOG(three, plain);

    (void)state;
    PLANS(c, v);
    catalog_free(c);
}

static void
test_plan_gaps(void **state)
{
    static const struct made_backup b[] = {{500, "0-1-10", A, 1000, 0},
        {1500, "0-1-10", A, 1000, 0}, {2500, "0-1-30", A, 2500, 0}};
    static const struct wish v[] = {
        {CUTOFF_TIME, US(700), NULL, NULL, ERR_NONE, 0, 0, 1, true},
        {CUTOFF_TIME, US(990), NULL, NULL, ERR_NONE, 0, 0, 1, true},
        {CUTOFF_TIME, US(991), NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_TIME, US(1400), NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_TIME, US(1990), NULL, NULL, ERR_NONE, 1, 1, 1, true},
        {CUTOFF_TIME, US(2100), NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_NEWEST, 0, NULL, NULL, ERR_NONE, 2, 0, 0, true},
        {CUTOFF_NEWEST, 0, NULL, "b0", ERR_NONE, 0, 0, 1, true},
        /* A number that both logs have: the newer one. */
        {CUTOFF_UNTIL_GTID, 0, "0-1-15", NULL, ERR_NONE, 1, 1, 1, true},
        {CUTOFF_UNTIL_GTID, 0, "0-1-15", "b0", ERR_NONE, 0, 0, 1, true},
    };
    struct catalog *c = CATALOG(b, reset);

    (void)state;
    PLANS(c, v);
    catalog_free(c);
}

/* The newest state is the one that reaches furthest: here a backup lies in no
 * log, but the log of the one before goes on beyond it. */
static void
test_plan_newest_reaches(void **state)
{
    static const struct made_backup b[] = {
        {50, "0-1-5", A, 500, 0}, {250, "9-9-9", B, 600, 0}};
    static const struct wish v[] = {
        {CUTOFF_NEWEST, 0, NULL, NULL, ERR_NONE, 0, 0, 3, false},
        {CUTOFF_NEWEST, 0, NULL, "b1", ERR_NONE, 1, 0, 0, true}};
    struct catalog *c = CATALOG(b, plain);

    (void)state;
    PLANS(c, v);
    catalog_free(c);
}

/* Damage parts the log in two: each side goes as far as it does, what lies
 * beyond is refused as damage, and so is the newest state if it does. */
static void
test_plan_damage(void **state)
{
    static const struct wish v[] = {
        {CUTOFF_NEWEST, 0, NULL, NULL, ERR_NONE, 2, 2, 1, false},
        {CUTOFF_NEWEST, 0, NULL, "b0", ERR_VERIFY, 0, 0, 0, false},
        {CUTOFF_TIME, SNAP(50) - 1, NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_TIME, US(100), NULL, NULL, ERR_NONE, 0, 0, 2, true},
        {CUTOFF_TIME, US(200), NULL, NULL, ERR_NONE, 1, 1, 1, true},
        {CUTOFF_TIME, US(200) + 1, NULL, NULL, ERR_VERIFY, 0, 0, 0, false},
        {CUTOFF_TIME, SNAP(250), NULL, NULL, ERR_NONE, 2, 2, 1, false},
        {CUTOFF_TIME, US(350), NULL, "b0", ERR_VERIFY, 0, 0, 0, false},
        {CUTOFF_TIME, US(100), NULL, "b2", ERR_GAP, 0, 0, 0, false},
        {CUTOFF_TIME, US(350) + 1, NULL, NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-18", NULL, ERR_NONE, 1, 1, 1, true},
        {CUTOFF_UNTIL_GTID, 0, "0-1-22", NULL, ERR_VERIFY, 0, 0, 0, false},
        {CUTOFF_UNTIL_GTID, 0, "0-1-31", NULL, ERR_GAP, 0, 0, 0, false},
        {CUTOFF_BEFORE_GTID, 0, "0-1-26", NULL, ERR_NONE, 2, 2, 1, false}};
    struct catalog *c = CATALOG(three, plain);
    struct windows w;

    (void)state;
    c->segment[2].broken = xstrdup("it was cut short");
    c->breaks = 1;
    PLANS(c, v);
    catalog_windows(c, &w);
    assert_int_equal(w.n, 2);
    window(&w, 0, 0, 2, SNAP(50), US(200), "0-1-20");
    window(&w, 1, 2, 1, SNAP(250), US(350), "0-1-30");
    windows_free(&w);
    catalog_free(c);
}

/* Who says SET TIMESTAMP does not make the log reach further. */
static void
test_windows_false_time(void **state)
{
    static const struct made_backup b = {50, "0-1-5", A, 500, 0};
    struct made_segment s = plain[0];
    struct catalog *c;
    struct windows w;

    (void)state;
    s.newest = 365 * 86400;
    s.complete = 120;
    c = catalog_of(&b, 1, &s, 1);
    c->segment[0].state.marked_us = US(121);
    catalog_windows(c, &w);
    assert_int_equal(w.n, 1);
    window(&w, 0, 0, 1, SNAP(50), US(120), "0-1-10");
    windows_free(&w);
    /* While a backlog is read, the transactions tell how far it is. */
    c->segment[0].state.newest_us = US(119);
    c->segment[0].state.complete_until_us = 0;
    assert_int_equal(catalog_whole_until(c, 0, 1), US(119));
    catalog_free(c);
}

/* ... nor is the log before a gap newer than the one after it. */
static void
test_plan_false_time(void **state)
{
    static const struct made_backup b[] = {
        {50, "0-1-5", A, 500, 0}, {250, "0-1-15", B, 600, 0}};
    static const struct made_segment s[] = {
        {1, A, 0, 4, "", 1000, "0-1-10", 365 * 86400, 120, NULL, 0},
        {2, B, 210, 300, "0-1-12", 900, "0-1-20", 300, 350, NULL, 0}};
    static const struct wish v[] = {
        {CUTOFF_NEWEST, 0, NULL, NULL, ERR_NONE, 1, 1, 1, false},
        {CUTOFF_TIME, US(200), NULL, NULL, ERR_GAP, 0, 0, 0, false}};
    struct catalog *c = CATALOG(b, s);

    (void)state;
    c->segment[0].state.marked_us = US(121);
    c->segment[1].state.marked_us = US(351);
    PLANS(c, v);
    catalog_free(c);
}

/* ... but a backlog that has such a one goes on from the backup in it; the log
 * that ended before the backup does not. */
static void
test_chain_false_time(void **state)
{
    static const struct made_backup b = {250, "0-1-15", A, 1500, 0};
    struct made_segment s = plain[1];
    struct catalog *c;
    size_t first, n;

    (void)state;
    s.newest = 365 * 86400;
    s.complete = 120;
    c = catalog_of(&b, 1, &s, 1);
    c->segment[0].state.marked_us = US(400);
    assert_int_equal(catalog_chain(c, 0, &first, &n), 1);
    assert_int_equal(n, 1);
    c->segment[0].state.marked_us = US(200);
    assert_int_equal(catalog_chain(c, 0, &first, &n), 0);
    catalog_free(c);
}

/* ... and where it is all that tells how new a segment is, it is not taken for
 * older than the backup before it. */
static void
test_plan_false_backlog(void **state)
{
    static const struct made_backup b[] = {
        {150, "0-1-15", A, 1500, 0}, {250, "9-9-9", A, 600, 0}};
    static const struct wish whole[] = {
        {CUTOFF_NEWEST, 0, NULL, "b1", ERR_NONE, 1, 0, 0, true}};
    static const struct wish broken[] = {
        {CUTOFF_TIME, US(300), NULL, "b0", ERR_VERIFY, 0, 0, 0, false},
        {CUTOFF_NEWEST, 0, NULL, "b1", ERR_VERIFY, 0, 0, 0, false}};
    struct catalog *c = CATALOG(b, plain);
    struct segment_state *s = &c->segment[2].state;

    (void)state;
    s->complete_until_us = US(200);
    s->newest_us = US(365 * 86400);
    s->marked_us = US(351);
    PLANS(c, whole);
    c->segment[2].broken = xstrdup("it was cut short");
    c->breaks = 1;
    PLANS(c, broken);
    catalog_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_plain),
        cmocka_unit_test(test_chain_late),
        cmocka_unit_test(test_chain_idle),
        cmocka_unit_test(test_chain_reset),
        cmocka_unit_test(test_chain_false_creation),
        cmocka_unit_test(test_chain_other_server),
        cmocka_unit_test(test_chain_domains),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_windows_fresh_segment),
        cmocka_unit_test(test_windows_false_time),
        cmocka_unit_test(test_plan_false_time),
        cmocka_unit_test(test_chain_false_time),
        cmocka_unit_test(test_plan_false_backlog),
        cmocka_unit_test(test_plan_none),
        cmocka_unit_test(test_plan_without_log),
        cmocka_unit_test(test_plan_time),
        cmocka_unit_test(test_plan_gtid),
        cmocka_unit_test(test_plan_gaps),
        cmocka_unit_test(test_plan_newest_reaches),
        cmocka_unit_test(test_plan_damage),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
