#!/bin/bash
# What only newer servers have, as far as this one has it: types, keys,
# collations, packages, grants.  One half comes from the backup, the other from
# the log.  And a target that is older than the source is refused.
# Runs on each version.
. "$(dirname "$0")/lib.sh"

since() # VERSION SQL
{
    ((version < $1)) || echo "$2"
}

features() # SCHEMA
{
    echo "CREATE DATABASE $1; USE $1;"
    since 1005 "CREATE TABLE inet (i INET6 PRIMARY KEY, x INT);
        INSERT INTO inet VALUES ('::', 1), ('2001:db8::ff', 2),
            ('::ffff:10.0.0.1', 3);
        CREATE TABLE overlaps (id INT, s DATE, e DATE, PERIOD FOR p (s, e),
            UNIQUE (id, p WITHOUT OVERLAPS));
        INSERT INTO overlaps VALUES (1, '2000-01-01', '2001-01-01'),
            (1, '2001-01-01', '2003-01-01'), (2, '2000-01-01', '2001-01-01');
        DELETE FROM overlaps FOR PORTION OF p FROM '2002-01-01' TO '2002-02-01';
        CREATE TABLE grown (id INT); INSERT INTO grown VALUES (1), (2);
        SET sql_mode = ''; ALTER TABLE grown ADD p POLYGON NOT NULL;
        SET sql_mode = DEFAULT;
        CREATE TABLE hashed (b BLOB, UNIQUE (b));
        INSERT INTO hashed VALUES (REPEAT('x', 9000)), (NULL), (NULL), ('');"
    since 1006 "CREATE TABLE ignored (a INT PRIMARY KEY, b INT,
        KEY b (b) IGNORED);
        CREATE VIEW from_json AS SELECT * FROM JSON_TABLE('[1, 2]', '\$[*]'
            COLUMNS (n INT PATH '\$')) t;"
    since 1007 "CREATE TABLE uuids (u UUID PRIMARY KEY, v UUID NULL, KEY (v));
        INSERT INTO uuids VALUES ('123e4567-e89b-12d3-a456-426655440000', NULL),
            ('00000000-0000-0000-0000-000000000000',
            'ffffffff-ffff-ffff-ffff-ffffffffffff'), (UUID(), UUID());"
    since 1008 "CREATE TABLE descending (a INT, b VARCHAR(9),
        PRIMARY KEY (a DESC), KEY (b DESC, a));
        INSERT INTO descending SELECT seq, seq FROM seq_1_to_50;"
    since 1010 "CREATE TABLE inet4 (i INET4, UNIQUE (i));
        INSERT INTO inet4 VALUES ('0.0.0.0'), ('255.255.255.255'), (NULL);
        CREATE TABLE uca (a VARCHAR(20) CHARACTER SET utf8mb4
            COLLATE utf8mb4_uca1400_swedish_ai_ci PRIMARY KEY, b VARCHAR(20)
            CHARACTER SET utf16 COLLATE uca1400_nopad_as_cs);
        INSERT INTO uca VALUES ('Å', 'a '), ('Z', 'a'), ('ö', NULL);"
    since 1011 "CREATE TABLE history (id INT PRIMARY KEY, v INT)
            WITH SYSTEM VERSIONING;
        INSERT INTO history VALUES (1, 1), (2, 1), (3, 1);
        UPDATE history SET v = v + 1; DELETE FROM history WHERE id = 2;
        CREATE TABLE shown (id INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START,
            e TIMESTAMP(6) GENERATED ALWAYS AS ROW END,
            PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING;
        INSERT INTO shown (id) VALUES (1), (2); UPDATE shown SET id = id + 1;
        CREATE TABLE parted (id INT) WITH SYSTEM VERSIONING
            PARTITION BY SYSTEM_TIME (PARTITION old HISTORY,
            PARTITION now CURRENT);
        INSERT INTO parted VALUES (1), (2); DELETE FROM parted WHERE id = 1;
        GRANT SELECT ON $1.* TO PUBLIC;"
    since 1104 "DELIMITER //
        CREATE PACKAGE tools PROCEDURE p(); FUNCTION f() RETURNS INT; END //
        CREATE PACKAGE BODY tools
            PROCEDURE p() SELECT f();
            FUNCTION f() RETURNS INT RETURN 42;
        END //
        DELIMITER ;"
    since 1105 "CREATE SEQUENCE small AS TINYINT UNSIGNED START WITH 250
            MAXVALUE 254 CYCLE NOCACHE;
        DO NEXTVAL(small), NEXTVAL(small);
        CREATE SEQUENCE large AS BIGINT UNSIGNED START WITH 18446744073709551000
            NOCACHE;
        DO NEXTVAL(large);
        ALTER SEQUENCE large RESTART WITH 9223372036854775900;
        CREATE TABLE late (t TIMESTAMP(6) NULL);
        INSERT INTO late VALUES ('2106-02-07 06:28:15.999999'),
            ('2038-01-19 03:14:07.999999'), ('2038-01-19 03:14:08');"
    since 1107 "CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3) NOT NULL,
            VECTOR INDEX (v) M=8 DISTANCE=cosine);
        INSERT INTO vectors VALUES (1, VEC_FromText('[1,2,3.25]')),
            (2, VEC_FromText('[-0.1,-1e9,0.1]')),
            (3, x'0000000001000000ffff7f3f');
        CREATE TABLE vector_null (v VECTOR(2));
        INSERT INTO vector_null VALUES (NULL), (VEC_FromText('[0.1,0.2]'));"
    since 1108 "CREATE TABLE by_expression (a INT, b VARCHAR(20),
            c VARCHAR(20) AS (LOWER(b)) VIRTUAL, KEY (c));
        INSERT INTO by_expression (a, b) VALUES (1, 'ABC'), (2, NULL);"
}

source_server --log-bin-trust-function-creators=1
version=$(version "$SRC")
echo "the source is $version"
features one | mysql_client --socket="$SRC"
set_up
pitr stream --once
if ((version >= 1011)); then
    say "a row of history that ends when it begins is left out, and said"
    sql "$SRC" "SET timestamp = 1000000000; INSERT INTO one.history VALUES (9, 9);
        DELETE FROM one.history WHERE id = 9"
    sql "$SRC" "SET sql_log_bin = 0; CREATE TABLE mysql.mine (id INT)"
    expect_exit 3 pitr backup
    said "table one.history: 1 rows of its history" \
        "table mysql.mine is in a schema of the server's own.*--exclude"
    sql "$SRC" "SET sql_log_bin = 0; DROP TABLE mysql.mine; DELETE HISTORY FROM one.history
        BEFORE SYSTEM_TIME '2002-01-01'"
else
    pitr backup
fi
features two | mysql_client --socket="$SRC"
((version < 1107)) || sql "$SRC" "DELETE FROM one.vectors WHERE id = 2;
    UPDATE one.vectors SET v = x'000000000000000000000080' WHERE id = 1"
((version < 1011)) || sql "$SRC" "UPDATE one.history SET v = v + 1"
pitr stream --once
truth "$SRC" "$T/truth"
restore_to r
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"
if ((version >= 1011)); then
    for db in one two; do
        for t in history shown parted; do
            [ "$(sql "$SRC" "SELECT id FROM $db.$t ORDER BY 1")" = \
                "$(sql "$OUT" "SELECT id FROM $db.$t ORDER BY 1")" ] ||
                fail "current rows of $db.$t"
        done
    done
fi
((version < 1104)) || [ "$(sql "$OUT" "SELECT one.tools.f()")" = 42 ] ||
    fail "a package does not work"

say "a target older than the source is refused, unless forced"
[ -n "${PITR_OLDER_BIN:-}" ] || exit 0
expect_exit 1 pitr restore --secret-key "$T/key" --sandbox "$T/older" \
    --mariadbd "$PITR_OLDER_BIN"
said "is only|which a server before 10.11" "--force|10.11 or newer"
