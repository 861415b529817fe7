/*
 * test_dump_words.c -- what a statement of the log can touch, by its words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "dump_priv.h"

struct sample {
    const char *sql;
    bool harmless, creates;
    const char *first; /* its first word */
};

static const struct sample samples[] = {
    {"ALTER TABLE t ADD x INT", false, false, "alter"},
    {"SET STATEMENT sql_mode = '' FOR ALTER TABLE t ADD x INT", false, false,
        "alter"},
    {"SET STATEMENT a='for', b=1 FOR SET STATEMENT c=2 FOR DROP TABLE t", false,
        false, "drop"},
    {"/*!100001 SET STATEMENT x=1 FOR */ TRUNCATE t", false, false, "truncate"},
    {"SET STATEMENT max_statement_time=1 FOR ANALYZE TABLE t", true, false,
        "analyze"},
    {"SET PASSWORD FOR x@y = PASSWORD('z')", true, false, "set"},
    {"-- a note\ncreate table `for` (i int)", false, true, "create"},
    {"SET STATEMENT a=1 FOR CREATE TABLE n (i INT)", false, true, "create"},
    {"CREATE OR REPLACE TABLE t (i INT)", false, false, "create"},
    {"CREATE TEMPORARY TABLE t (i INT)", true, false, "create"},
    {"DROP USER u", true, false, "drop"},
    {"RENAME TABLE a TO b", false, false, "rename"},
};

static void
test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        const struct sample *s = &samples[i];
        struct dump_words w;

        dump_words_of(s->sql, strlen(s->sql), 0, &w);
        assert_true(w.n > 0);
        if (strcmp(w.v[0], s->first) != 0 ||
            dump_words_harmless(&w) != s->harmless ||
            dump_words_create_new(&w) != s->creates)
            fail_msg("%s", s->sql);
        dump_words_free(&w);
    }
}

/* One that does not end, or says nothing, is not harmless. */
static void
test_cut(void **state)
{
    static const char *const cut[] = {
        "", "SET STATEMENT sql_mode=''", "/* */", "SET STATEMENT a=1 FOR"};

    (void)state;
    for (size_t i = 0; i < sizeof(cut) / sizeof(*cut); i++) {
        struct dump_words w;

        dump_words_of(cut[i], strlen(cut[i]), 0, &w);
        assert_false(dump_words_harmless(&w));
        dump_words_free(&w);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
