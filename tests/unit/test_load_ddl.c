/*
 * test_load_ddl.c -- statements as the server prints them, taken apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "../../src/load/load_priv.h"
#include "pitr/mem.h"

struct split_case {
    const char *what, *sql, *create;
    const char *index[4];   /* NULL-terminated */
    const char *foreign[3]; /* NULL-terminated */
    bool disable_keys, directory;
};

static const struct split_case split_cases[] = {
    {.what = "nothing to add later",
        .sql = "CREATE TABLE `t` (\n  `a` int(11) NOT NULL,\n  PRIMARY KEY "
               "(`a`)\n) ENGINE=InnoDB",
        .create = "CREATE TABLE `t` (\n  `a` int(11) NOT NULL,\n  PRIMARY KEY "
                  "(`a`)\n) ENGINE=InnoDB"},
    {.what = "each kind of index, a foreign key, checks that stay",
        .sql =
            "CREATE TABLE `t` (\n"
            "  `a` int(11) NOT NULL AUTO_INCREMENT,\n"
            "  `b` varchar(20) DEFAULT 'x,(`' COMMENT 'it''s (\\n a \"w\"\\\\ "
            "`c`, KEY (',\n"
            "  `c` int(11) DEFAULT NULL CHECK (`c` > 0),\n"
            "  PRIMARY KEY (`a`),\n"
            "  UNIQUE KEY `k``1` (`b`),\n"
            "  KEY `c` (`c`,`b` DESC),\n"
            "  FULLTEXT KEY `ft` (`b`),\n"
            "  CONSTRAINT `fk'x` FOREIGN KEY (`c`) REFERENCES `t` (`a`),\n"
            "  CONSTRAINT `FOREIGN` CHECK (`b` <> ') ,\\n KEY x (')\n"
            ") ENGINE=InnoDB COMMENT='ta(''x\\n  KEY `foo` (`b`)'",
        .create =
            "CREATE TABLE `t` (\n"
            "  `a` int(11) NOT NULL AUTO_INCREMENT,\n"
            "  `b` varchar(20) DEFAULT 'x,(`' COMMENT 'it''s (\\n a \"w\"\\\\ "
            "`c`, KEY (',\n"
            "  `c` int(11) DEFAULT NULL CHECK (`c` > 0),\n"
            "  PRIMARY KEY (`a`),\n"
            "  CONSTRAINT `FOREIGN` CHECK (`b` <> ') ,\\n KEY x (')\n"
            ") ENGINE=InnoDB COMMENT='ta(''x\\n  KEY `foo` (`b`)'",
        .index = {"ADD UNIQUE KEY `k``1` (`b`)", "ADD KEY `c` (`c`,`b` DESC)",
            "ADD FULLTEXT KEY `ft` (`b`)"},
        .foreign = {"ADD CONSTRAINT `fk'x` FOREIGN KEY (`c`) REFERENCES `t` "
                    "(`a`)"}},
    {.what = "a column named like a keyword, a table with an odd name",
        .sql = "CREATE TABLE `a(b``c'd` (\n  `KEY` int(11),\n  `UNIQUE KEY "
               "(` int(11) NOT NULL,\n  PRIMARY KEY (`UNIQUE KEY (`),\n  KEY "
               "`x` (`KEY`)\n) ENGINE=InnoDB",
        .create = "CREATE TABLE `a(b``c'd` (\n  `KEY` int(11),\n  `UNIQUE KEY "
                  "(` int(11) NOT NULL,\n  PRIMARY KEY (`UNIQUE KEY (`)\n) "
                  "ENGINE=InnoDB",
        .index = {"ADD KEY `x` (`KEY`)"}},
    {.what = "the counter needs a secondary index: all stay",
        .sql = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `n` int NOT NULL "
               "AUTO_INCREMENT,\n  PRIMARY KEY (`a`),\n  KEY `a` (`a`),\n  "
               "KEY `n` (`n`)\n) ENGINE=InnoDB",
        .create = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `n` int NOT NULL "
                  "AUTO_INCREMENT,\n  PRIMARY KEY (`a`),\n  KEY `a` (`a`),\n  "
                  "KEY `n` (`n`)\n) ENGINE=InnoDB"},
    {.what = "AUTO_INCREMENT in a comment is no counter",
        .sql = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `n` int COMMENT "
               "'AUTO_INCREMENT',\n  PRIMARY KEY (`a`),\n  KEY `n` (`n`)\n) "
               "ENGINE=InnoDB AUTO_INCREMENT=7",
        .create = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `n` int COMMENT "
                  "'AUTO_INCREMENT',\n  PRIMARY KEY (`a`)\n) ENGINE=InnoDB "
                  "AUTO_INCREMENT=7",
        .index = {"ADD KEY `n` (`n`)"}},
    {.what = "without a primary key unique ones stay, others do not",
        .sql = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `b` int,\n  UNIQUE "
               "KEY `a` (`a`),\n  KEY `b` (`b`)\n) ENGINE=InnoDB",
        .create = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `b` int,\n  "
                  "UNIQUE KEY `a` (`a`)\n) ENGINE=InnoDB",
        .index = {"ADD KEY `b` (`b`)"}},
    {.what = "unique over a period, unique by hash",
        .sql = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `s` date NOT NULL,\n"
               "  `e` date NOT NULL,\n  PERIOD FOR `p` (`s`, `e`),\n  PRIMARY "
               "KEY (`a`),\n  UNIQUE KEY `u` (`a`,`p` WITHOUT OVERLAPS),\n  "
               "KEY `e` (`e`)\n) ENGINE=InnoDB",
        .create =
            "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `s` date NOT NULL,\n"
            "  `e` date NOT NULL,\n  PERIOD FOR `p` (`s`, `e`),\n  PRIMARY "
            "KEY (`a`),\n  UNIQUE KEY `u` (`a`,`p` WITHOUT OVERLAPS)\n) "
            "ENGINE=InnoDB",
        .index = {"ADD KEY `e` (`e`)"}},
    {.what = "a stored column beside a foreign key: all stay",
        .sql = "CREATE TABLE `t` (\n  `a` int,\n  `p` int GENERATED ALWAYS "
               "AS (`a` + 1) STORED,\n  KEY `a` (`a`),\n  CONSTRAINT `f` "
               "FOREIGN KEY (`a`) REFERENCES `u` (`id`)\n) ENGINE=InnoDB",
        .create = "CREATE TABLE `t` (\n  `a` int,\n  `p` int GENERATED ALWAYS "
                  "AS (`a` + 1) STORED,\n  KEY `a` (`a`),\n  CONSTRAINT `f` "
                  "FOREIGN KEY (`a`) REFERENCES `u` (`id`)\n) ENGINE=InnoDB"},
    {.what = "MyISAM keeps its keys and has them switched off",
        .sql = "CREATE TABLE `t` (\n  `a` int,\n  KEY `a` (`a`)\n) "
               "ENGINE=MyISAM DATA DIRECTORY='/x/' ",
        .create = "CREATE TABLE `t` (\n  `a` int,\n  KEY `a` (`a`)\n) "
                  "ENGINE=MyISAM DATA DIRECTORY='/x/' ",
        .disable_keys = true,
        .directory = true},
    {.what = "an engine named in a comment is none",
        .sql = "CREATE TABLE `t` (\n  `a` int,\n  KEY `a` (`a`)\n) "
               "COMMENT=' ENGINE=InnoDB DATA DIRECTORY = ''x' ENGINE=MEMORY",
        .create = "CREATE TABLE `t` (\n  `a` int,\n  KEY `a` (`a`)\n) "
                  "COMMENT=' ENGINE=InnoDB DATA DIRECTORY = ''x' "
                  "ENGINE=MEMORY"},
    {.what = "partitions",
        .sql = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `b` int,\n  PRIMARY "
               "KEY (`a`),\n  KEY `b` (`b`)\n) ENGINE=InnoDB\n PARTITION BY "
               "RANGE (`a`)\n(PARTITION `p0` VALUES LESS THAN (10) DATA "
               "DIRECTORY = '/d' ENGINE = InnoDB)",
        .create = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `b` int,\n  "
                  "PRIMARY KEY (`a`)\n) ENGINE=InnoDB\n PARTITION BY "
                  "RANGE (`a`)\n(PARTITION `p0` VALUES LESS THAN (10) DATA "
                  "DIRECTORY = '/d' ENGINE = InnoDB)",
        .index = {"ADD KEY `b` (`b`)"},
        .directory = true},
    {.what = "what does not close stays whole",
        .sql = "CREATE TABLE `t` (\n  `a` int COMMENT 'x",
        .create = "CREATE TABLE `t` (\n  `a` int COMMENT 'x"},
    {.what = "nothing", .sql = "", .create = ""},
};

static void
check_list(char *const *got, size_t n, const char *const *want)
{
    size_t i;

    for (i = 0; want[i] != NULL; i++) {
        assert_true(i < n);
        assert_string_equal(got[i], want[i]);
    }
    assert_int_equal(n, i);
}

static void
test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < NELEM(split_cases); i++) {
        const struct split_case *c = &split_cases[i];
        struct ddl_table t;
        print_message("  %s\n", c->what);
        ddl_table_split(c->sql, DDL_INDEXES_LATER, &t);
        assert_string_equal(t.create, c->create);
        check_list(t.add_index, t.indexes, c->index);
        check_list(t.add_foreign, t.foreigns, c->foreign);
        assert_int_equal(t.disable_keys, c->disable_keys);
        assert_int_equal(t.directory, c->directory);
        ddl_table_free(&t);
    }
}

/* Indexes stay where there are few rows; what waits for other tables does not.
 */
static void
test_split_few_rows(void **state)
{
    size_t kept = 0;

    (void)state;
    for (size_t i = 0; i < NELEM(split_cases); i++) {
        const struct split_case *c = &split_cases[i];
        struct ddl_table t;

        ddl_table_split(c->sql, DDL_INDEXES_FEW_ROWS, &t);
        check_list(t.add_foreign, t.foreigns, c->foreign);
        assert_false(t.disable_keys);
        if (strstr(c->sql, "FULLTEXT") != NULL ||
            strstr(c->sql, "SPATIAL") != NULL) {
            assert_int_equal(t.indexes > 0, c->index[0] != NULL);
        } else {
            assert_int_equal(t.indexes, 0);
            kept += c->index[0] != NULL;
            if (c->foreign[0] == NULL && c->index[0] != NULL)
                assert_non_null(strstr(t.create, c->index[0] + 4));
        }
        ddl_table_free(&t);
    }
    assert_true(kept > 0);
}

/* Cut anywhere, a statement is still taken without harm (see ASan). */
static void
test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < NELEM(split_cases); i++) {
        for (size_t n = strlen(split_cases[i].sql); n > 0; n--) {
            char *sql = xstrndup(split_cases[i].sql, n);
            char *plain = ddl_table_comparable(sql);
            char *grant = ddl_grant_strip(sql, n % 2);
            char *account = load_account_plain(sql);
            struct ddl_names names;
            struct ddl_table t;
            ddl_names(sql, &names);
            ddl_names_free(&names);
            ddl_table_split(sql, n % 2, &t);
            assert_non_null(t.create);
            ddl_table_free(&t);
            free(account);
            free(grant);
            free(plain);
            free(sql);
        }
    }
}

static void
test_comparable(void **state)
{
    char *s = ddl_table_comparable(
        "CREATE TABLE `t` (\n  `a` int NOT NULL AUTO_INCREMENT COMMENT ' "
        "AUTO_INCREMENT=3',\n  `d` time(3) /* mariadb-5.3 */ DEFAULT NULL\n) "
        "ENGINE=InnoDB AUTO_INCREMENT=17 DEFAULT "
        "CHARSET=utf8mb4 DATA DIRECTORY='/a b/' (PARTITION `p` DATA "
        "DIRECTORY = '/d' ENGINE = InnoDB)");

    (void)state;
    assert_string_equal(s,
        "CREATE TABLE `t` (\n  `a` int NOT NULL AUTO_INCREMENT COMMENT ' "
        "AUTO_INCREMENT=3',\n  `d` time(3) DEFAULT NULL\n) "
        "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 (PARTITION "
        "`p` ENGINE = InnoDB)");
    free(s);
}

static void
test_grants(void **state)
{
    static const struct {
        const char *sql, *stripped, *plain;
    } c[] = {
        {"GRANT USAGE ON *.* TO `b`@`%` IDENTIFIED BY PASSWORD '*AB' REQUIRE "
         "SSL WITH GRANT OPTION MAX_USER_CONNECTIONS 3",
            "GRANT USAGE ON *.* TO `b`@`%` REQUIRE SSL WITH GRANT OPTION "
            "MAX_USER_CONNECTIONS 3",
            "GRANT USAGE ON *.* TO `b`@`%` WITH GRANT OPTION"},
        {"GRANT ALL PRIVILEGES ON *.* TO `a IDENTIFIED `@`h` IDENTIFIED VIA "
         "mysql_native_password USING ' WITH ' OR unix_socket WITH GRANT "
         "OPTION",
            "GRANT ALL PRIVILEGES ON *.* TO `a IDENTIFIED `@`h` WITH GRANT "
            "OPTION",
            "GRANT ALL PRIVILEGES ON *.* TO `a IDENTIFIED `@`h` WITH GRANT "
            "OPTION"},
        {"GRANT `r` TO `x`@`h` WITH ADMIN OPTION",
            "GRANT `r` TO `x`@`h` WITH ADMIN OPTION",
            "GRANT `r` TO `x`@`h` WITH ADMIN OPTION"},
        {"GRANT SELECT (`a`) ON `d`.`t` TO `x`@`h`",
            "GRANT SELECT (`a`) ON `d`.`t` TO `x`@`h`",
            "GRANT SELECT (`a`) ON `d`.`t` TO `x`@`h`"},
        {"GRANT USAGE ON *.* TO `x`@`h` WITH MAX_QUERIES_PER_HOUR 9",
            "GRANT USAGE ON *.* TO `x`@`h` WITH MAX_QUERIES_PER_HOUR 9",
            "GRANT USAGE ON *.* TO `x`@`h`"},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(c); i++) {
        char *stripped = ddl_grant_strip(c[i].sql, false);
        char *plain = ddl_grant_strip(c[i].sql, true);
        assert_string_equal(stripped, c[i].stripped);
        assert_string_equal(plain, c[i].plain);
        free(stripped);
        free(plain);
    }
}

static void
test_accounts(void **state)
{
    static const char *const c[][2] = {
        {"'a'@'%'", "a@%"},
        {"`a``b`@`h`", "a`b@h"},
        {"'it''s'@'h\\'x'", "it's@h'x"},
        {"'role'", "role"},
        {"''@''", "@"},
        {"PUBLIC", "PUBLIC"},
        {"`a@b`@`c`", "a@b@c"},
    };
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < NELEM(c); i++) {
        char *s = load_account_plain(c[i][0]);
        assert_string_equal(s, c[i][1]);
        free(s);
    }
    load_drop_account(&b, "a@b@c");
    load_drop_account(&b, "r`1");
    assert_string_equal(
        buf_cstr(&b), " DROP USER `a@b`@`c`; DROP ROLE `r``1`;");
    buf_free(&b);
}

static void
test_replace(void **state)
{
    char *s = ddl_or_replace("CREATE USER `a`@`b` IDENTIFIED BY PASSWORD ''");

    (void)state;
    assert_string_equal(
        s, "CREATE OR REPLACE USER `a`@`b` IDENTIFIED BY PASSWORD ''");
    free(s);
}

static void
test_names(void **state)
{
    struct ddl_names n;

    (void)state;
    ddl_names("select `t`.`a``b` AS `A``B`, '`no`' from `d`.`t`", &n);
    assert_int_equal(n.n, 3);
    assert_string_equal(n.v[0], "t");
    assert_string_equal(n.v[1], "a`b");
    assert_string_equal(n.v[2], "d");
    ddl_names_free(&n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_few_rows),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_comparable),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
