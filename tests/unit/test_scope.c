/*
 * test_scope.c -- which part of a server is wanted, and is a statement of it?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "../../src/replay/feed.h"
#include "pitr/mem.h"

static void
test_names(void **state)
{
    struct scope s = {0};

    (void)state;
    assert_false(scope_active(NULL));
    assert_false(scope_active(&s));
    assert_true(scope_table(&s, "a", "b"));
    assert_int_equal(scope_only(&s, "shop"), 0);
    assert_int_equal(scope_only(&s, "`b.l``og`.posts"), 0);
    assert_int_equal(scope_exclude(&s, "shop.log"), 0);
    assert_int_equal(scope_rename(&s, "shop=`sho=p`"), 0);
    assert_true(scope_active(&s));
    assert_int_equal(scope_schema(&s, "shop"), SCOPE_WHOLE);
    assert_int_equal(scope_schema(&s, "b.l`og"), SCOPE_SOME);
    assert_int_equal(scope_schema(&s, "Shop"), SCOPE_NONE);
    assert_true(scope_table(&s, "shop", "t"));
    assert_false(scope_table(&s, "shop", "log"));
    assert_true(scope_table(&s, "b.l`og", "posts"));
    assert_false(scope_table(&s, "b.l`og", "t"));
    assert_string_equal(scope_to(&s, "shop"), "sho=p");
    assert_string_equal(scope_to(&s, "x"), "x");
    scope_free(&s);
    scope_exclude(&s, "shop");
    assert_true(scope_table(&s, "blog", "t"));
    assert_false(scope_table(&s, "mysql", "global_priv"));
    assert_int_equal(scope_schema(&s, "mysql"), SCOPE_NONE);
    scope_free(&s);
}

/* Of a server that keeps names in lower case. */
static void
test_folded(void **state)
{
    static const char sql[] = "INSERT INTO SHOP.T VALUES (1)";
    struct scope s = {.fold = true};

    (void)state;
    assert_int_equal(scope_only(&s, "Shop.Posts"), 0);
    assert_int_equal(scope_rename(&s, "sHop=New"), 0);
    assert_string_equal(s.only[0].schema, "shop");
    assert_int_equal(scope_schema(&s, "SHOP"), SCOPE_SOME);
    assert_true(scope_table(&s, "shop", "POSTS"));
    assert_string_equal(scope_to(&s, "SHOP"), "new");
    assert_true(scope_knows(&s, "sHOP"));
    assert_int_equal(
        scope_text(&s, "misc", sql, strlen(sql), 0), SCOPE_TEXT_MIXED);
    scope_free(&s);
}

static void
test_bad_names(void **state)
{
    static const char *const bad[] = {"", ".", "a.", ".a", "`a", "`a`b"};
    struct scope s = {0};

    (void)state;
    for (size_t i = 0; i < NELEM(bad); i++)
        if (strcmp(bad[i], "`a") != 0)
            assert_int_equal(scope_only(&s, bad[i]), -1);
    assert_int_equal(scope_rename(&s, "a"), -1);
    assert_int_equal(scope_rename(&s, "a="), -1);
    assert_int_equal(scope_rename(&s, "=a"), -1);
    assert_false(scope_active(&s));
    scope_free(&s);
}

#define YES SCOPE_TEXT_WANTED
#define NO SCOPE_TEXT_UNWANTED
#define ROWS SCOPE_TEXT_ROWS
#define MIX SCOPE_TEXT_MIXED

/* Wanted: shop but for shop.log, blog.posts.  There are also misc and old, and
 * old, which is wanted, is to be called new. */
static const struct {
    const char *session, *sql;
    enum scope_text want;
} texts[] = {
    {"old", "INSERT INTO t VALUES (1)", YES},
    {"misc", "INSERT INTO t VALUES ('old.t')", ROWS},
    {"misc", "SELECT `misc`.`f`(1)", ROWS},
    {"misc", "INSERT INTO old.t VALUES (1)", MIX},
    {"old", "UPDATE t a SET a.b = 1", YES},
    {"shop", "INSERT INTO t VALUES (1)", MIX},
    {"blog", "DELETE FROM t", MIX},
    {"misc", "UPDATE t, old . t SET x = 1", MIX},
    {"", "COMMIT", YES},
    {"misc", "SAVEPOINT x", YES},
    {"misc", "XA START 'x'", YES},
    {"shop", "GRANT SELECT ON shop.* TO x", NO},
    {"shop", "CREATE USER x", NO},
    {"shop", "DROP ROLE IF EXISTS x", NO},
    {"shop", "SET PASSWORD FOR x = 'y'", NO},
    {"misc", "CREATE TABLE shop.t (a INT)", YES},
    {"shop", "CREATE TABLE t (a INT)", YES},
    {"shop", "CREATE TABLE log (a INT)", NO},
    {"misc", "create or replace table if not exists `shop` . `t` (a int)", YES},
    {"misc", "CREATE TABLE t (a INT)", NO},
    {"misc", "CREATE TABLE t LIKE shop.t", NO},
    {"shop", "CREATE TABLE t LIKE misc.t", MIX},
    {"shop", "CREATE TABLE t SELECT a.b FROM u a", YES},
    {"old", "ALTER TABLE t ADD x INT", YES},
    {"misc", "ALTER TABLE old.t ADD x INT", MIX},
    {"shop", "ALTER ONLINE TABLE t RENAME TO misc.t", MIX},
    {"shop", "ALTER TABLE t RENAME COLUMN a TO b", YES},
    {"shop", "RENAME TABLE a TO b, c TO d", YES},
    {"shop", "RENAME TABLE a TO misc.a", MIX},
    {"misc", "DROP TABLE IF EXISTS shop.t, blog.posts /* generated */", YES},
    {"misc", "DROP TABLE shop.t, t", MIX},
    {"misc", "TRUNCATE shop.t", YES},
    {"misc", "TRUNCATE TABLE t", NO},
    {"blog", "CREATE INDEX i ON posts (a)", YES},
    {"blog", "CREATE INDEX i ON other (a)", NO},
    {"misc",
        "CREATE TRIGGER shop.x BEFORE INSERT ON shop.t FOR EACH ROW "
        "SET @a = 1",
        YES},
    {"shop", "DROP TRIGGER x", YES},
    {"blog", "DROP TRIGGER x", MIX},
    {"misc", "CREATE DEFINER=`a`@`b` PROCEDURE shop.p() SELECT 1", YES},
    {"shop", "CREATE FUNCTION misc.f() RETURNS INT RETURN 1", NO},
    {"shop", "ALTER EVENT e DISABLE", YES},
    {"misc",
        "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`b` SQL SECURITY DEFINER "
        "VIEW `shop`.`v` AS SELECT 1",
        YES},
    {"misc", "CREATE VIEW shop.v AS SELECT * FROM misc.t", MIX},
    {"misc", "CREATE DATABASE shop", YES},
    {"misc", "DROP DATABASE IF EXISTS misc", NO},
    {"misc", "DROP DATABASE blog", MIX},
    {"misc", "DROP DATABASE old", MIX},
    {"misc", "INSERT INTO `gr\xf6\xdf`.t VALUES (1)", MIX},
    {"misc", "INSERT INTO `größe`.t VALUES ('gr\xf6\xdf')", ROWS},
    {"misc", "ALTER DATABASE shop COMMENT 'x'", YES},
    {"shop", "ALTER DATABASE CHARACTER SET latin1", YES},
    {"misc", "ALTER SCHEMA DEFAULT COLLATE = latin1_bin", NO},
    {"misc", "OPTIMIZE TABLE shop.t", NO},
    {"old", "ANALYZE TABLE t", NO},
    {"old", "ANALYZE FORMAT=JSON UPDATE t SET a = 1", YES},
    {"misc", "ANALYZE UPDATE old.t SET a = 1", MIX},
    /* more tables than the first */
    {"misc", "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE shop.t", MIX},
    {"shop", "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE log", MIX},
    {"blog", "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE posts", MIX},
    {"shop", "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", YES},
    {"misc", "ALTER TABLE t CONVERT PARTITION p TO TABLE shop.u", MIX},
    {"misc", "ALTER TABLE t CONVERT TABLE shop.u TO PARTITION p VALUES IN (1)",
        MIX},
    {"shop", "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4", YES},
    {"misc", "RENAME TABLE t NOWAIT TO shop.t", MIX},
    {"misc", "RENAME TABLE t WAIT 5 TO u, u TO shop.t", MIX},
    {"misc", "ALTER EVENT e ON COMPLETION PRESERVE RENAME TO shop.e", MIX},
    {"shop", "ALTER EVENT e RENAME TO f DO SELECT 1", YES},
    /* names that are words */
    {"shop", "TRUNCATE event", YES},
    {"misc", "TRUNCATE shop.user", YES},
    {"misc", "TRUNCATE role", NO},
    {"shop", "CREATE TABLE body (a INT)", YES},
    {"shop", "ALTER TABLE body ADD log INT", YES},
    /* what is not there to be made of */
    {"shop", "CREATE TABLE t LIKE log", MIX},
    {"shop", "CREATE TABLE t (LIKE u)", YES},
    {"blog", "CREATE TABLE posts LIKE other", MIX},
    {"blog", "CREATE TABLE other LIKE posts", NO},
    {"shop", "CREATE TABLE t (a INT CHECK (a LIKE log))", YES},
    {"shop", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES log (n)", MIX},
    {"shop", "ALTER TABLE log ADD FOREIGN KEY (a) REFERENCES t (n)", NO},
    {"misc", "SET STATEMENT max_statement_time=9 FOR ALTER TABLE shop.t FORCE",
        YES},
    {"misc", "SET STATEMENT max_statement_time=9 FOR UPDATE t SET a = 1", ROWS},
};

static void
test_text(void **state)
{
    struct scope s = {0};

    (void)state;
    scope_only(&s, "shop");
    scope_only(&s, "old");
    scope_only(&s, "blog.posts");
    scope_exclude(&s, "shop.log");
    scope_rename(&s, "old=new");
    scope_know(&s, "misc");
    for (size_t i = 0; i < NELEM(texts); i++) {
        const char *sql = texts[i].sql;

        print_message("  %s: %s\n", texts[i].session, sql);
        assert_int_equal(scope_text(&s, texts[i].session, sql, strlen(sql), 0),
            texts[i].want);
        for (size_t n = 0; n < strlen(sql); n++) { /* cut anywhere: no harm */
            char *copy = malloc(n + 1);
            memcpy(copy, sql, n);
            scope_text(&s, texts[i].session, copy, n, 0);
            free(copy);
        }
    }
    scope_free(&s);
}

static void
refer(struct scope *s, const char *child, const char *parent, bool on_delete,
    bool on_update)
{
    struct scope_foreign f = {.schema = xstrdup("shop"),
        .table = xstrdup(child),
        .to_schema = xstrdup("shop"),
        .to_table = xstrdup(parent),
        .on_delete = on_delete,
        .on_update = on_update};

    scope_foreign_add(s, &f);
}

/* groups <- people <- orders <- items, of which orders and items are wanted. */
static void
test_foreign(void **state)
{
    struct scope s = {0};
    const struct scope_foreign *f;

    (void)state;
    scope_only(&s, "shop.orders");
    scope_only(&s, "shop.items");
    refer(&s, "people", "groups", false, true);
    refer(&s, "orders", "people", true, false);
    refer(&s, "items", "orders", true, true);
    refer(&s, "notes", "people", true, true);
    refer(&s, "items", "kinds", false, false);
    scope_foreign_settle(&s);
    assert_int_equal(s.foreigns, 4);
    f = scope_foreign_from(&s, "shop", "people", true);
    assert_non_null(f);
    assert_string_equal(f->table, "orders");
    assert_null(scope_foreign_from(&s, "shop", "people", false));
    f = scope_foreign_from(&s, "shop", "groups", false);
    assert_non_null(f);
    assert_string_equal(f->table, "people");
    assert_null(scope_foreign_from(&s, "shop", "groups", true));
    /* The target does that itself. */
    assert_null(scope_foreign_from(&s, "shop", "orders", true));
    assert_true(scope_is_followed(&s, "shop", "orders"));
    assert_false(scope_is_followed(&s, "shop", "items"));
    assert_true(scope_is_orphan(&s, "shop", "items"));
    assert_true(scope_is_orphan(&s, "shop", "orders"));
    assert_false(scope_is_orphan(&s, "shop", "notes"));
    scope_free(&s);
}

static int
check_kept(const struct feed_kept *k, const char *sql)
{
    static const uint8_t fixed[4 + 4 + 1 + 2 + 2 + 1];
    struct event e = {.type = EV_QUERY};
    struct buf b = {0};
    int rc;

    buf_add(&b, fixed, sizeof fixed);
    buf_str(&b, sql);
    e.body = b.data;
    e.body_size = (uint32_t)b.len;
    rc = feed_kept_check(k, &e);
    buf_free(&b);
    err_clear();
    return rc;
}

/* The target's own are not made, altered or dropped by the log. */
static void
test_kept(void **state)
{
    static const struct {
        const char *sql;
        int want;
    } t[] = {
        {"CREATE DATABASE mine", -1},
        {"SET STATEMENT lock_wait_timeout=1 FOR CREATE OR REPLACE SCHEMA mine",
            -1},
        {"DROP SCHEMA IF EXISTS `Mine`", -1},
        {"ALTER DATABASE mine CHARACTER SET latin1", -1},
        {"DROP TABLE IF EXISTS `a`.`b`,`mine`.`t` /* generated */", -1},
        {"CREATE DATABASE IF NOT EXISTS other", 0},
        {"DROP TABLE mine", 0},
        {"CREATE VIEW v AS SELECT mine.a FROM x mine", 0},
        {"INSERT INTO t VALUES ('DROP DATABASE mine')", 0},
    };
    char name[] = "mine", *names[] = {name};
    struct feed_kept k = {.name = names, .n = 1};

    (void)state;
    for (size_t i = 0; i < NELEM(t); i++) {
        print_message("  %s\n", t[i].sql);
        assert_int_equal(check_kept(&k, t[i].sql), t[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_folded),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
