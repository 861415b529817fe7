#!/bin/bash
# What is not rows: users, roles and grants; routines, views, triggers, events
# with their definers, modes and charsets; sequences; versioned tables; names
# in other scripts.  Half of them come from the backup, half from the log.
# Runs on each version.
. "$(dirname "$0")/lib.sh"

objects() # SUFFIX
{
    local s=$1 uuid=UUID history="WITH SYSTEM VERSIONING"
    ((version >= 1007)) || uuid="CHAR(36)"
    # A server before 10.11 cannot be given history; see below.
    ((version >= 1011)) || history=
    cat <<SQL
CREATE DATABASE \`app $s\` CHARACTER SET latin1;
CREATE DATABASE \`Größe.$s/%\`;
USE \`app $s\`;
CREATE TABLE \`t-1\` (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50)
    CHARACTER SET ucs2, big BIGINT UNSIGNED, f FLOAT, d DOUBLE,
    e ENUM('a','programmée',''), s SET('x','y'), b BIT(12), bin VARBINARY(300),
    t TIME(6), y YEAR, ts TIMESTAMP(6) NULL, dt DATETIME, j JSON, i INET6,
    u $uuid, g POINT, v INT AS (y * 2) VIRTUAL, p DOUBLE AS (d + 1) PERSISTENT,
    hidden INT INVISIBLE DEFAULT 7, CHECK (y > 0), KEY (name))
    COMMENT 'it''s "quoted" 日本';
INSERT INTO \`t-1\` (id, name, big, f, d, e, s, b, bin, t, y, ts, dt, j, i, u, g)
    VALUES (1, 'naïve 日本', 18446744073709551615, 0.12345679104328156,
    2.2250738585072014e-308, 'programmée', 'x,y', b'101010101010',
    x'00ff0a0d5c27', '-838:59:59.000001', 2155, '2038-01-19 03:14:07.999999',
    '9999-12-31 23:59:59', '{"a": [1, 2.5, "ü"]}', 'fe80::1', UUID(),
    POINT(1.5, -2.5)), (2, NULL, 0, 16777216, -0.0, NULL, '', b'0', '', NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
INSERT INTO \`t-1\` (id, name) VALUES (0, 'zero'), (-5, 'trailing  ');
SET sql_mode = '';
INSERT INTO \`t-1\` (dt) VALUES ('0000-00-00');
SET sql_mode = DEFAULT;
CREATE TABLE child (id INT PRIMARY KEY, parent INT, CONSTRAINT \`fk ü\`
    FOREIGN KEY (parent) REFERENCES \`t-1\` (id) ON DELETE SET NULL);
INSERT INTO child VALUES (1, 1), (2, NULL);
CREATE TABLE versions (id INT PRIMARY KEY, v INT) $history;
INSERT INTO versions VALUES (1, 1), (2, 1);
UPDATE versions SET v = v + 1;
DELETE FROM versions WHERE id = 2;
CREATE SEQUENCE numbers START WITH 100 INCREMENT BY 10 CACHE 3;
SELECT NEXTVAL(numbers), NEXTVAL(numbers);
CREATE TABLE numbered (id INT PRIMARY KEY DEFAULT NEXTVAL(numbers), t TEXT);
INSERT INTO numbered (t) VALUES ('one'), ('two');
CREATE TABLE aria (a INT, b TEXT, FULLTEXT (b)) ENGINE=Aria;
INSERT INTO aria VALUES (1, 'words to be found');
CREATE TABLE parts (a INT, b INT) PARTITION BY RANGE (a)
    (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1, 1), (11, 1), (1, 1);

CREATE ROLE \`reader $s\`, \`writer $s\` WITH ADMIN root@localhost;
GRANT SELECT ON \`app $s\`.* TO \`reader $s\`;
GRANT \`reader $s\` TO \`writer $s\`;
GRANT INSERT, SELECT (big), UPDATE (name) ON \`app $s\`.\`t-1\` TO \`writer $s\`;
CREATE USER 'native $s'@'%' IDENTIFIED BY 'it''s secret';
CREATE USER 'ed $s'@'10.0.0.0/255.0.0.0' IDENTIFIED BY 'x'
    REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 90 MAX_USER_CONNECTIONS 3;
CREATE USER 'socket $s'@localhost IDENTIFIED VIA unix_socket;
CREATE USER 'locked $s'@localhost IDENTIFIED BY 'y' ACCOUNT LOCK;
CREATE USER 'old $s'@localhost IDENTIFIED BY 'z' PASSWORD EXPIRE INTERVAL 9 DAY;
GRANT \`writer $s\` TO 'native $s'@'%' WITH ADMIN OPTION;
SET DEFAULT ROLE \`writer $s\` FOR 'native $s'@'%';
GRANT PROXY ON 'native $s'@'%' TO 'socket $s'@localhost;
GRANT ALL ON \`Größe.$s/\\%\`.* TO 'ed $s'@'10.0.0.0/255.0.0.0' WITH GRANT OPTION;

DELIMITER //
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT' //
SET NAMES latin1 //
CREATE DEFINER='native $s'@'%' FUNCTION f(a INT) RETURNS VARCHAR(99)
    CHARACTER SET utf8mb4 DETERMINISTIC SQL SECURITY INVOKER
    COMMENT 'says' RETURN "a" || '-' || '$s' //
SET NAMES utf8mb4 //
SET sql_mode = DEFAULT //
CREATE PROCEDURE p(IN a INT, OUT b INT) MODIFIES SQL DATA
BEGIN
    -- a comment, with a ; in it
    SET b = a + 1;
END //
SET sql_mode = 'ORACLE' //
CREATE PACKAGE pkg AS FUNCTION g RETURN INT; END; //
CREATE PACKAGE BODY pkg AS FUNCTION g RETURN INT AS BEGIN RETURN 42; END; END; //
SET sql_mode = DEFAULT //
CREATE TRIGGER first BEFORE INSERT ON child FOR EACH ROW
    SET NEW.parent = IFNULL(NEW.parent, 1) //
CREATE DEFINER='nobody'@'nowhere' TRIGGER lost BEFORE UPDATE ON numbered
    FOR EACH ROW SET NEW.id = NEW.id + 0 //
CREATE TRIGGER second BEFORE INSERT ON child FOR EACH ROW FOLLOWS first
    SET NEW.id = NEW.id + 0 //
CREATE TRIGGER middle BEFORE INSERT ON child FOR EACH ROW PRECEDES second
    SET NEW.id = NEW.id * 1 //
SET time_zone = '+03:00' //
CREATE EVENT daily ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'
    ON COMPLETION PRESERVE COMMENT 'täglich' DO INSERT INTO aria VALUES (2, 'e') //
CREATE EVENT off ON SCHEDULE EVERY 2 HOUR DISABLE DO DO 1 //
CREATE EVENT once ON SCHEDULE AT '2037-05-05 05:05:05' DO DO 2 //
CREATE EVENT never ON SCHEDULE EVERY 3 HOUR DISABLE DO DO 3 //
SET time_zone = DEFAULT //
DELIMITER ;
CREATE VIEW base AS SELECT id, name, f(id) AS said FROM \`t-1\`;
CREATE DEFINER='native $s'@'%' SQL SECURITY INVOKER VIEW above AS
    SELECT * FROM base WHERE id > 0 WITH CASCADED CHECK OPTION;
CREATE VIEW \`Größe.$s/%\`.elsewhere AS SELECT * FROM above;
-- ALTER ROUTINE too, since an applier gives it to a routine's definer unasked.
GRANT EXECUTE, ALTER ROUTINE ON FUNCTION f TO 'native $s'@'%';
GRANT SHOW VIEW, SELECT ON above TO \`writer $s\`;
SQL
}

source_server --log-bin-trust-function-creators=1
version=$(version "$SRC")
objects one | mysql_client --socket="$SRC" >/dev/null
set_up
# 10.5 wants it of whoever reads a table with such a default, and says so.
((version >= 1006)) ||
    sql "$SRC" "GRANT INSERT ON \`app one\`.numbers TO pitr@localhost"
pitr stream --once
pitr backup || [ $? = 3 ] || fail "backup"
objects two | mysql_client --socket="$SRC" >/dev/null
sql "$SRC" "ALTER EVENT \`app one\`.daily DISABLE;
    ALTER EVENT \`app one\`.off ENABLE; DROP TRIGGER \`app one\`.middle;
    DROP USER 'old one'@localhost; REVOKE SELECT ON \`app one\`.*
    FROM \`reader one\`; SELECT NEXTVAL(\`app one\`.numbers)" >/dev/null
pitr stream --once
truth "$SRC" "$T/truth"
restore_to r
cat "$T/r.out"
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"

[ "$(sql "$OUT" "SELECT * FROM \`app one\`.versions")" = "1	2" ] ||
    fail "current rows of a table with history"
say "and they work: a log-in, a role, a routine in its mode, a trigger"
[ "$(mariadb --no-defaults --socket="$OUT" --user="native one" \
    --password="it's secret" -N -B -e "SELECT CURRENT_ROLE(),
    \`app one\`.f(3)")" = "writer one	3-one" ] || fail "log-in with a role"
[ "$(sql "$OUT" "INSERT INTO \`app two\`.child VALUES (9, NULL);
    SELECT parent FROM \`app two\`.child WHERE id = 9")" = 1 ] ||
    fail "the trigger does not fire"
[ "$(sql "$OUT" "CALL \`app one\`.p(1, @b); SELECT @b")" = 2 ] || fail "p"
