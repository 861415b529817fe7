/*
 * test_sql_event.c -- what statements do to events of the scheduler.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "pitr/mem.h"
#include "pitr/sql_event.h"
#include "pitr/sql_read.h"

#define C SQL_EVENT_CREATE
#define A SQL_EVENT_ALTER
#define ON SQL_EVENT_ENABLED
#define OFF SQL_EVENT_DISABLED
#define SLAVE SQL_EVENT_SLAVESIDE
#define ANSI SQL_MODE_ANSI_QUOTES

static const struct parse_case {
    const char *sql;
    enum sql_event_kind kind;
    const char *schema, *name;
    enum sql_event_status status;
    const char *to_schema, *to_name;
    bool if_not_exists;
    uint64_t mode;
} parse_cases[] = {
    {.sql = "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DO 1", C, NULL, "e", 0},
    {.sql = "create or replace definer=`a``b`@`%` event if not exists "
            "`d.x`.`e``1` on "
            "schedule every 1 day enable do select 1",
        C,
        "d.x",
        "e`1",
        ON,
        NULL,
        NULL,
        true},
    {.sql = "CREATE DEFINER=event@localhost EVENT d.event ON SCHEDULE AT NOW() "
            "+ "
            "INTERVAL 1 DAY ON COMPLETION NOT PRESERVE DISABLE COMMENT "
            "'ENABLE' DO X",
        C,
        "d",
        "event",
        OFF},
    {.sql = "CREATE EVENT e ON SCHEDULE AT f(ENABLE) DISABLE ON SLAVE DO "
            "ENABLE",
        C,
        NULL,
        "e",
        SLAVE},
    {.sql = "CREATE DEFINER = CURRENT_USER() EVENT e ON SCHEDULE EVERY '1:30' "
            "HOUR_MINUTE COMMENT 'it''s \\' DISABLE ' DO DO 1",
        C,
        NULL,
        "e",
        0},
    {.sql = "CREATE EVENT e ON SCHEDULE EVERY 1 DAY COMMENT '\\' DISABLE DO DO "
            "1",
        C,
        NULL,
        "e",
        OFF,
        NULL,
        NULL,
        false,
        SQL_MODE_NO_BACKSLASH_ESCAPES},
    {.sql = "CREATE EVENT \"a\\\" ON SCHEDULE EVERY 1 DAY DISABLE DO DO 1",
        C,
        NULL,
        "a\\",
        OFF,
        NULL,
        NULL,
        false,
        ANSI},
    {.sql = "ALTER /* ENABLE */ EVENT e -- DISABLE\n # DISABLE\n COMMENT 'x'",
        A,
        NULL,
        "e",
        0},
    {.sql = "ALTER EVENT d.e /*!50106 DISABLE */", A, "d", "e", OFF},
    {.sql = "ALTER EVENT d.e /*M!100000 DISABLE ON SLAVE */ DO DO 1",
        A,
        "d",
        "e",
        SLAVE},
    {.sql = "ALTER EVENT e RENAME TO x.f ENABLE", A, NULL, "e", ON, "x", "f"},
    {.sql = "ALTER EVENT e RENAME TO x.f RENAME TO g",
        A,
        NULL,
        "e",
        0,
        NULL,
        "g"},
    {.sql = "ALTER EVENT e RENAME TO `f`", A, NULL, "e", 0, NULL, "f"},
    {.sql = "SET STATEMENT max_statement_time=1 FOR ALTER EVENT e DISABLE",
        A,
        NULL,
        "e",
        OFF},
    {.sql = "DROP EVENT IF EXISTS d.e", SQL_EVENT_DROP, "d", "e"},
    {.sql = "drop schema if exists `d`", SQL_EVENT_DROP_DATABASE, "d"},
    {.sql = "DROP TABLE event", SQL_EVENT_NONE},
    {.sql = "CREATE TABLE event (a INT)", SQL_EVENT_NONE},
    {.sql = "CREATE USER event@localhost", SQL_EVENT_NONE},
    {.sql = "ALTER EVENT", SQL_EVENT_NONE},
    {.sql = "INSERT INTO t VALUES ('CREATE EVENT e')", SQL_EVENT_NONE},
    {.sql = "", SQL_EVENT_NONE},
};

static void
same_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_true(a == b);
    else
        assert_string_equal(a, b);
}

static void
test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < NELEM(parse_cases); i++) {
        const struct parse_case *c = &parse_cases[i];
        struct sql_event e;

        print_message("  %s\n", c->sql);
        sql_event_parse(c->sql, strlen(c->sql), c->mode, &e);
        assert_int_equal(e.kind, c->kind);
        same_text(e.schema, c->schema);
        same_text(e.name, c->name);
        assert_int_equal(e.status, c->status);
        same_text(e.to_schema, c->to_schema);
        same_text(e.to_name, c->to_name);
        assert_int_equal(e.if_not_exists, c->if_not_exists);
        sql_event_free(&e);
    }
}

/* Cut anywhere, it is taken without harm (see ASan). */
static void
test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < NELEM(parse_cases); i++)
        for (size_t n = strlen(parse_cases[i].sql); n > 0; n--) {
            char *sql = malloc(n);
            struct sql_event e;

            memcpy(sql, parse_cases[i].sql, n);
            sql_event_parse(sql, n, parse_cases[i].mode, &e);
            sql_event_free(&e);
            free(sql);
        }
}

static void
apply(struct sql_event_states *s, const char *sql, bool elsewhere)
{
    struct sql_event e;

    sql_event_parse(sql, strlen(sql), 0, &e);
    assert_int_not_equal(e.kind, SQL_EVENT_NONE);
    sql_event_states_apply(s, &e, "d", elsewhere);
    sql_event_free(&e);
}

static void
test_states(void **state)
{
    struct sql_event_states s = {0};

    (void)state;
    sql_event_states_set(&s, "d", "old", OFF);
    apply(&s, "ALTER EVENT OLD COMMENT 'x'", false);
    assert_int_equal(sql_event_states_get(&s, "d", "old"), OFF);
    apply(&s, "CREATE EVENT IF NOT EXISTS old ON SCHEDULE EVERY 1 DAY DO X",
        false);
    assert_int_equal(sql_event_states_get(&s, "d", "old"), OFF);
    apply(&s, "ALTER EVENT old ENABLE", false);
    assert_int_equal(sql_event_states_get(&s, "d", "old"), ON);
    apply(&s, "ALTER EVENT old RENAME TO x.other", false);
    assert_int_equal(sql_event_states_get(&s, "d", "old"), SQL_EVENT_SAME);
    assert_int_equal(sql_event_states_get(&s, "x", "other"), ON);
    apply(&s, "CREATE OR REPLACE EVENT x.other ON SCHEDULE EVERY 1 DAY DO X",
        true);
    assert_int_equal(sql_event_states_get(&s, "x", "other"), SLAVE);
    apply(&s, "CREATE EVENT new ON SCHEDULE EVERY 1 DAY DO X", false);
    assert_int_equal(sql_event_states_get(&s, "d", "new"), ON);
    apply(&s, "ALTER EVENT unknown COMMENT 'x'", false);
    assert_int_equal(sql_event_states_get(&s, "d", "unknown"), SQL_EVENT_SAME);
    apply(&s, "DROP EVENT new", false);
    assert_int_equal(sql_event_states_get(&s, "d", "new"), SQL_EVENT_SAME);
    apply(&s, "DROP DATABASE x", false);
    assert_int_equal(sql_event_states_get(&s, "x", "other"), SQL_EVENT_SAME);
    sql_event_states_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_states),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
