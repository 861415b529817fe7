/*
 * test_batch.c -- small transactions given as one, and their statements as few:
 * which are joined and which are not, without a server.
 *
 * A log is written as words: "M1:s.t" maps table s.t as number 1 (":v" after it
 * of one that looks versioned, ":a" of another definition, ":t" of one with two
 * TIMESTAMP(0)), "w1", "u1" and "d1" write, update, delete rows of it ("x1"
 * compressed), "!" ends the statement; "#" and a digit are its flags, "@" and a
 * digit its second. "A" is an Annotate_rows, "," ends a transaction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "feed.h"
#include "pitr/mem.h"

struct log {
    struct event_format fmt;
    struct feed_fold fold;
    struct buf raw; /* the event being made */
};

static void
event_head(struct log *l, uint8_t type, unsigned second)
{
    buf_reset(&l->raw);
    buf_u32(&l->raw, 1000 + second);
    buf_u8(&l->raw, type);
    buf_u32(&l->raw, 7); /* server */
    buf_u32(&l->raw, 0); /* size */
    buf_u32(&l->raw, 4711);
    buf_u16(&l->raw, 0);
}

static struct event
event_made(struct log *l)
{
    struct event e;
    uint32_t n = (uint32_t)l->raw.len + (l->fmt.checksum ? 4 : 0);

    for (size_t i = 0; i < 4; i++)
        l->raw.data[9 + i] = (uint8_t)(n >> (8 * i));
    if (l->fmt.checksum)
        buf_u32(&l->raw, event_crc32(0, l->raw.data, l->raw.len));
    assert_int_equal(event_parse(&l->fmt, l->raw.data, l->raw.len, &e), 0);
    return e;
}

static void
id48(struct buf *b, uint32_t id)
{
    buf_u32(b, id);
    buf_u16(b, 0);
}

/* M1:s.t[:k] */
static struct event
map_made(struct log *l, const char *word)
{
    static const struct {
        char kind;
        uint8_t types[3], meta[4], metas;
    } kinds[] = {
        {'p', {3, 15, 12}, {40, 0}, 2},
        {'a', {3, 15, 3}, {40, 0}, 2},
        {'v', {3, 17, 17}, {6, 6}, 2},
        {'t', {3, 17, 17}, {0, 0}, 2},
    };
    char schema[32], table[32], kind = 'p';
    unsigned id;

    assert_true(
        sscanf(word, "M%u:%31[^.].%31[^:]:%c", &id, schema, table, &kind) >= 3);
    event_head(l, EV_TABLE_MAP, 0);
    id48(&l->raw, id);
    buf_u16(&l->raw, 1);
    buf_u8(&l->raw, (uint8_t)strlen(schema));
    buf_add(&l->raw, schema, strlen(schema) + 1);
    buf_u8(&l->raw, (uint8_t)strlen(table));
    buf_add(&l->raw, table, strlen(table) + 1);
    for (size_t i = 0; i < NELEM(kinds); i++) {
        if (kinds[i].kind != kind)
            continue;
        buf_u8(&l->raw, 3);
        buf_add(&l->raw, kinds[i].types, 3);
        buf_u8(&l->raw, kinds[i].metas);
        buf_add(&l->raw, kinds[i].meta, kinds[i].metas);
    }
    buf_u8(&l->raw, 6); /* NULLs */
    return event_made(l);
}

static struct event
rows_made(struct log *l, const char *word)
{
    const char *second = strchr(word, '@'), *flags = strchr(word, '#');
    uint8_t type = EV_WRITE_ROWS_V1;

    type = word[0] == 'u' ? 24 : word[0] == 'd' ? EV_DELETE_ROWS_V1 : type;
    type = word[0] == 'x' ? EV_ROWS_COMPRESSED_FIRST : type;
    event_head(
        l, type, second == NULL ? 0 : (unsigned)strtoul(second + 1, NULL, 10));
    id48(&l->raw, (uint32_t)strtoul(word + 1, NULL, 10));
    buf_u16(&l->raw,
        (uint16_t)((strchr(word, '!') != NULL) |
            (flags == NULL ? 0 : strtoul(flags + 1, NULL, 16))));
    buf_str(&l->raw, word);
    return event_made(l);
}

static struct event
gtid_made(struct log *l)
{
    event_head(l, EV_GTID, 0);
    buf_u64(&l->raw, 1);
    buf_u32(&l->raw, 0);
    buf_u8(&l->raw, GTID_FL_TRANSACTIONAL);
    buf_add(&l->raw, (uint8_t[6]){0}, 6);
    return event_made(l);
}

static struct event
plain_made(struct log *l, uint8_t type)
{
    event_head(l, type, 0);
    buf_u64(&l->raw, 1);
    return event_made(l);
}

static struct event
word_made(struct log *l, const char *word)
{
    if (word[0] == 'A')
        return plain_made(l, EV_ANNOTATE_ROWS);
    return word[0] == 'M' ? map_made(l, word) : rows_made(l, word);
}

static void
begin(struct log *l)
{
    struct event e = gtid_made(l);

    l->fold.gathering = feed_fold_begins(&l->fold, &e, 1);
    assert_true(l->fold.gathering);
    assert_int_equal(feed_fold_take(&l->fold, &e, GROUP_BEGIN), FOLD_TAKEN);
}

/* false: the transaction is none of those that are folded. */
static bool
end(struct log *l)
{
    struct event e = plain_made(l, EV_XID);

    if (feed_fold_take(&l->fold, &e, GROUP_END) != FOLD_WHOLE)
        return false;
    assert_true(l->fold.groups == 0 || feed_fold_fits(&l->fold));
    feed_fold_join(&l->fold, &e);
    return true;
}

static bool
take_all(struct log *l, const char *words)
{
    char *copy = xstrdup(words), *at = NULL;
    bool folds = true;

    begin(l);
    for (char *w = strtok_r(copy, " ", &at); w != NULL && folds;
         w = strtok_r(NULL, " ", &at)) {
        if (w[0] == ',') {
            folds = end(l);
            begin(l);
        } else {
            struct event e = word_made(l, w);

            folds = feed_fold_take(&l->fold, &e, GROUP_INSIDE) == FOLD_TAKEN;
        }
    }
    folds = folds && end(l);
    free(copy);
    return folds;
}

/* What is sent, in words again. */
static char *
sent(struct log *l)
{
    const struct buf *body;
    struct buf out = {0};
    struct event head, e;
    size_t at = 0;

    assert_int_equal(feed_fold_body(&l->fold, l->fmt.checksum, &body), 0);
    while (feed_fold_event(body, &at, &head)) {
        /* Its checksum is right. */
        assert_int_equal(event_parse(&l->fmt, head.raw, head.size, &e), 0);
        buf_str(&out, out.len > 0 ? " " : "");
        if (e.type == EV_ANNOTATE_ROWS)
            buf_str(&out, "A");
        else
            buf_fmt(&out, "%c%u%s",
                e.type == EV_TABLE_MAP ? 'M' : (char)e.body[8],
                (unsigned)feed_table_id(&e),
                feed_ends_statement(&e) ? "!" : "");
    }
    return buf_take(&out);
}

/* A log, with and without checksums; want: NULL where it is not folded. */
static void
becomes(char **parent, size_t parents, const char *words, const char *want)
{
    for (int checksum = 0; checksum < 2; checksum++) {
        struct log l = {.fmt = {.known = true, .checksum = checksum != 0},
            .fold = {.on = true,
                .off_at = UINT64_MAX,
                .batch = {.on = true, .off_at = UINT64_MAX}}};
        char **names = xcalloc(parents + 1, sizeof(*names)), *got = NULL;

        for (size_t i = 0; i < parents; i++)
            names[i] = xstrdup(parent[i]);
        feed_batch_parents(&l.fold.batch, names, parents);
        if (take_all(&l, words))
            got = sent(&l);
        if (got == NULL || want == NULL ? got != want : strcmp(got, want) != 0)
            print_error("%s: %s\n", words, got == NULL ? "not folded" : got);
        assert_true(got == NULL ? want == NULL
                                : want != NULL && strcmp(got, want) == 0);
        free(got);
        feed_fold_free(&l.fold);
        buf_free(&l.raw);
    }
}

static void
test_joined(void **state)
{
    (void)state;
    becomes(NULL, 0, "M1:s.a w1!", "M1 w1!");
    becomes(NULL, 0, "A M1:s.a w1! A M2:s.b u2! , A M1:s.a x1! M2:s.b d2!",
        "M1 M2 w1 u2 x1 d2!");
    /* Statements of several events, of several tables. */
    becomes(NULL, 0,
        "M1:s.a M2:s.b w1 w1 u2! M3:s.c M1:s.a d1 d3! , M2:s.b w2!",
        "M1 M2 M3 w1 w1 u2 d1 d3 w2!");
    /* Some look alike, and are others. */
    becomes(NULL, 0, "M1:s.a w1! M2:t.a w2! M3:s.aa w3! M4:mysqlx.a w4!",
        "M1 M2 M3 M4 w1 w2 w3 w4!");
    becomes(NULL, 0, "M1:s.a:t w1! M1:s.a:t w1!", "M1 w1 w1!");
}

static void
test_parted(void **state)
{
    (void)state;
    /* Another second; that of the first event counts. */
    becomes(NULL, 0, "M1:s.a w1@1! M2:s.b w2@2! M1:s.a w1@2! M1:s.a w1@1!",
        "M1 w1! M2 M1 w2 w1! M1 w1!");
    becomes(NULL, 0, "M1:s.a w1@1 w1@2! M1:s.a w1@1!", "M1 w1 w1 w1!");
    /* Another definition, another number, another case of letters. */
    becomes(
        NULL, 0, "M1:s.a w1! M1:s.a:a w1! M1:s.a:a u1!", "M1 w1! M1 w1 u1!");
    becomes(NULL, 0, "M1:s.a w1! M2:s.a w2! M2:s.a w2!", "M1 w1! M2 w2 w2!");
    becomes(NULL, 0, "M1:s.a w1! M2:S.A w2!", "M1 w1! M2 w2!");
    becomes(NULL, 0, "M1:s.a w1! M1:s.b w1!", "M1 w1! M1 w1!");
    /* Checks that are switched off, of the first event. */
    becomes(NULL, 0, "M1:s.a w1! M1:s.a w1#2! M1:s.a w1#2! A M1:s.a u1!",
        "M1 w1! M1 w1! M1 w1! M1 u1!");
    becomes(NULL, 0, "M1:s.a w1#4! M1:s.a w1#80! M1:s.a w1#8! M1:s.a w1!",
        "M1 w1! M1 w1! M1 w1 w1!");
    becomes(NULL, 0, "M1:s.a w1! M1:s.a w1 w1#2!", "M1 w1 w1 w1!");
    /* Its own numbers are at odds: as it was logged. */
    becomes(NULL, 0, "M1:s.a w1! M2:s.b M2:s.c w2! M1:s.a w1!",
        "M1 w1! M2 M2 w2! M1 w1!");
}

static void
test_alone(void **state)
{
    char shop[] = "shop/order", other[] = "other/x";
    char *parent[] = {shop, other};

    (void)state;
    becomes(NULL, 0, "M1:s.a w1! A M2:s.v:v w2! M2:s.v:v u2! M1:s.a w1!",
        "M1 w1! A M2 w2! M2 u2! M1 w1!");
    becomes(NULL, 0, "M1:s.a w1! M2:mysql.b w2! M2:mysql.b w2! M1:s.a w1!",
        "M1 w1! M2 w2! M2 w2! M1 w1!");
    becomes(parent, 2,
        "M1:shop.line w1! M2:Shop.ORDER d2! M1:shop.line w1! M3:s.x w3! "
        "M4:other.x w4! M5:shop.orders w5! M1:shop.line d1!",
        "M1 w1! M2 d2! M1 M3 w1 w3! M4 w4! M5 M1 w5 d1!");
    becomes(parent, 2, "M1:s.a M2:shop.order w1! M1:s.a w1! M1:s.a w1!",
        "M1 M2 w1! M1 w1 w1!");
}

/* More tables than are opened at once. */
static void
test_many_tables(void **state)
{
    struct buf words = {0}, want = {0};

    (void)state;
    for (unsigned i = 1; i <= FEED_BATCH_TABLES + 2; i++)
        buf_fmt(&words, "M%u:s.t%u w%u! ", i, i, i);
    for (unsigned i = 1; i <= FEED_BATCH_TABLES; i++)
        buf_fmt(&want, "M%u ", i);
    for (unsigned i = 1; i <= FEED_BATCH_TABLES; i++)
        buf_fmt(&want, "w%u%s ", i, i == FEED_BATCH_TABLES ? "!" : "");
    buf_fmt(&want, "M%u M%u w%u w%u!", FEED_BATCH_TABLES + 1,
        FEED_BATCH_TABLES + 2, FEED_BATCH_TABLES + 1, FEED_BATCH_TABLES + 2);
    becomes(NULL, 0, buf_cstr(&words), buf_cstr(&want));
    buf_free(&words);
    buf_free(&want);
}

/* What an applier would skip without a word is left to it as it is. */
static void
test_not_folded(void **state)
{
    (void)state;
    becomes(NULL, 0, "M1:s.a w1! w1!", NULL);
    becomes(NULL, 0, "M1:s.a w1! M2:s.b w1!", NULL);
    becomes(NULL, 0, "w1!", NULL);
    becomes(NULL, 0, "M1:s.a w1 M2:s.b w2!", NULL);
    becomes(NULL, 0, "M1:s.a w1", NULL);
    becomes(NULL, 0, "M1:s.a", NULL);
    becomes(NULL, 0, "M1:s.a w1! , M2:s.b w1!", NULL);
    becomes(NULL, 0, "M1:s.a w1! , w1!", NULL);
    becomes(NULL, 0, "M1:s.a w1! , M1:s.a", NULL);
}

/* Statements that switch it off, and from where on. */
static void
test_words(void **state)
{
    static const struct {
        const char *sql;
        bool off, off_with_parents;
    } cases[] = {
        {"CREATE TABLE a (id INT)", false, false},
        {"ALTER TABLE a ADD CONSTRAINT FOREIGN KEY (x) REFERENCES b (y)", true,
            true},
        {"create table m (id int) engine=Merge union=(a,b)", true, true},
        {"CREATE TABLE m (id INT) ENGINE='mrg_myISAM'", true, true},
        {"RENAME TABLE a TO b", false, true},
        {"alter database `#mysql50#x` upgrade data directory name", false,
            true},
        {"ALTER TABLE a ENGINE=InnoDB", false, false},
        {"", false, false},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(cases); i++) {
        for (int with = 0; with < 2; with++) {
            struct feed_batch b = {.on = true, .off_at = UINT64_MAX};
            char **names = xcalloc(1, sizeof(*names));
            bool off = with ? cases[i].off_with_parents : cases[i].off;

            names[0] = xstrdup("s/p");
            feed_batch_parents(&b, names, 1);
            if (!with) {
                feed_batch_free(&b);
                b.parents = 0;
                b.parent = NULL;
            }
            feed_batch_query(&b, cases[i].sql, strlen(cases[i].sql), 77);
            assert_true(b.off_at == (off ? 77 : UINT64_MAX));
            /* Read once more from before, and one after it. */
            feed_batch_query(&b, cases[i].sql, strlen(cases[i].sql), 99);
            assert_true(b.off_at == (off ? 77 : UINT64_MAX));
            feed_batch_free(&b);
        }
    }
}

/* As it was before that statement, and no more after it. */
static void
test_off(void **state)
{
    for (unsigned at = 0; at < 3; at++) {
        struct log l = {.fmt.known = true,
            .fold = {.on = true,
                .off_at = UINT64_MAX,
                .batch = {.on = true, .off_at = at}}};
        char *got;

        (void)state;
        assert_true(take_all(&l, "M1:s.a w1! A M1:s.a w1!"));
        got = sent(&l);
        assert_string_equal(got, at < 1 ? "M1 w1! A M1 w1!" : "M1 w1 w1!");
        free(got);
        feed_fold_free(&l.fold);
        buf_free(&l.raw);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_parted),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_many_tables),
        cmocka_unit_test(test_not_folded),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
