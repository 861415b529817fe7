-- Columns that are invisible, generated, defaulted by an expression or a
-- sequence; rows that violate a CHECK; a table of 2,000 columns.
CREATE DATABASE cols;
USE cols;
CREATE SEQUENCE numbers START WITH 1000 INCREMENT BY 7 MINVALUE 10 CACHE 3 CYCLE;
CREATE SEQUENCE down START WITH -5 INCREMENT BY -2 MINVALUE -1000 MAXVALUE 5
    NOCACHE;
CREATE SEQUENCE untouched MAXVALUE 99;
CREATE SEQUENCE spent MINVALUE 1 MAXVALUE 3 NOCACHE;
CREATE SEQUENCE round MINVALUE 1 MAXVALUE 3 NOCACHE CYCLE;
SELECT NEXTVAL(numbers), NEXTVAL(numbers), NEXTVAL(down), NEXTVAL(spent),
    NEXTVAL(spent), NEXTVAL(spent), NEXTVAL(round), NEXTVAL(round),
    NEXTVAL(round);
SELECT NEXTVAL(round);
SELECT SETVAL(numbers, 2000);
CREATE TABLE visible (id INT PRIMARY KEY, hidden INT INVISIBLE DEFAULT 7,
    secret VARCHAR(20) INVISIBLE NOT NULL DEFAULT 'x', shown TEXT);
INSERT INTO visible (id, shown) VALUES (1, 'a');
INSERT INTO visible (id, hidden, secret, shown) VALUES (2, NULL, 'set', 'b');
CREATE TABLE hidden_key (shown INT, id INT AUTO_INCREMENT INVISIBLE PRIMARY KEY);
INSERT INTO hidden_key (shown) VALUES (1), (1), (2);
CREATE TABLE generated (id INT PRIMARY KEY, a INT, b VARCHAR(20),
    v INT AS (a * 2) VIRTUAL, p VARCHAR(30) AS (CONCAT(b, '-', a)) PERSISTENT,
    q INT AS (v + 1) STORED, r JSON AS (JSON_OBJECT('a', a)) VIRTUAL,
    w INT AS (id MOD 3) VIRTUAL INVISIBLE, KEY (v), KEY (p), UNIQUE (w, id));
INSERT INTO generated (id, a, b) VALUES (1, 5, 'five'), (2, NULL, NULL),
    (3, -1, ''), (4, 1000000000, 'x');
CREATE TABLE computed (a INT AS (1) VIRTUAL);
INSERT INTO computed () VALUES (), (), ();
CREATE TABLE expressions (id INT PRIMARY KEY, a INT DEFAULT (id + 1),
    b VARCHAR(99) DEFAULT (CONCAT('n', 1 + 1)), c DATETIME DEFAULT (NOW() +
    INTERVAL 1 DAY), d TEXT DEFAULT 'text', e BLOB DEFAULT x'00ff',
    f INT DEFAULT NEXTVAL(numbers), g JSON DEFAULT JSON_ARRAY(1, 2),
    h BIT(5) DEFAULT b'10101', i VARCHAR(40) DEFAULT (UUID()),
    j POINT DEFAULT (POINT(1, 2)));
INSERT INTO expressions (id) VALUES (1), (2);
INSERT INTO expressions (id, a, d) VALUES (3, NULL, '');
CREATE TABLE checked (id INT PRIMARY KEY, a INT CHECK (a > 0), b INT,
    CONSTRAINT `b ≥ a` CHECK (b >= a), CONSTRAINT `%.'"` CHECK (id < 100));
SET check_constraint_checks = 0;
INSERT INTO checked VALUES (1, -5, -10), (2, 5, 1), (500, 1, 1);
SET check_constraint_checks = 1;
INSERT INTO checked VALUES (3, 1, 2);
SET SESSION group_concat_max_len = 1000000;
SELECT CONCAT('CREATE TABLE wide (', GROUP_CONCAT('c', seq, ' INT' ORDER BY seq),
    ') ENGINE=MyISAM') INTO @sql FROM seq_1_to_2000;
EXECUTE IMMEDIATE @sql;
SELECT CONCAT('INSERT INTO wide VALUES (', GROUP_CONCAT(seq ORDER BY seq), '), (',
    GROUP_CONCAT('NULL' ORDER BY seq), ')') INTO @sql FROM seq_1_to_2000;
EXECUTE IMMEDIATE @sql;
SELECT CONCAT('CREATE TABLE wide_innodb (', GROUP_CONCAT('c', seq,
    ' TINYINT DEFAULT ', seq MOD 100 ORDER BY seq), ')') INTO @sql
    FROM seq_1_to_1000;
EXECUTE IMMEDIATE @sql;
INSERT INTO wide_innodb () VALUES (), ();
-- Columns added and dropped in place: what a table holds is not what it shows.
CREATE TABLE instant (id INT PRIMARY KEY, a INT, b VARCHAR(10));
INSERT INTO instant VALUES (1, 1, 'a'), (2, 2, 'b');
ALTER TABLE instant ADD COLUMN c INT DEFAULT 3 FIRST, ALGORITHM=INSTANT;
ALTER TABLE instant DROP COLUMN a, ALGORITHM=INSTANT;
ALTER TABLE instant ADD COLUMN d TIMESTAMP NOT NULL DEFAULT
    '2020-02-02 02:02:02', ALGORITHM=INSTANT;
INSERT INTO instant (id, b) VALUES (3, 'c');
