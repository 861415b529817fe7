-- System-versioned tables with their history, in the open and hidden, in
-- partitions; application periods; WITHOUT OVERLAPS; both kinds at once.
CREATE DATABASE versions;
USE versions;
CREATE TABLE hidden (id INT PRIMARY KEY, v VARCHAR(20)) WITH SYSTEM VERSIONING;
INSERT INTO hidden VALUES (1, 'a'), (2, 'b'), (3, 'c');
UPDATE hidden SET v = CONCAT(v, '2') WHERE id < 3;
DELETE FROM hidden WHERE id = 2;
UPDATE hidden SET v = 'last';
INSERT INTO hidden VALUES (2, 'again');
CREATE TABLE named (id INT, v INT, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START,
    until TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE,
    PERIOD FOR SYSTEM_TIME (since, until)) WITH SYSTEM VERSIONING;
INSERT INTO named (id, v) VALUES (1, 1), (1, 1), (2, 2);
UPDATE named SET v = v + 1;
DELETE FROM named LIMIT 1;
CREATE TABLE some_columns (id INT PRIMARY KEY, a INT, b INT WITHOUT SYSTEM VERSIONING)
    WITH SYSTEM VERSIONING;
INSERT INTO some_columns VALUES (1, 1, 1);
UPDATE some_columns SET b = 2;
UPDATE some_columns SET a = 2;
CREATE TABLE in_parts (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING
    PARTITION BY SYSTEM_TIME LIMIT 3 (PARTITION p0 HISTORY, PARTITION p1 HISTORY,
    PARTITION p2 HISTORY, PARTITION pn CURRENT);
INSERT INTO in_parts VALUES (1, 1), (2, 2), (3, 3);
UPDATE in_parts SET v = v + 10;
UPDATE in_parts SET v = v + 10 WHERE id < 3;
DELETE FROM in_parts WHERE id = 3;
CREATE TABLE myisam (id INT, v INT) ENGINE=MyISAM WITH SYSTEM VERSIONING;
INSERT INTO myisam VALUES (1, 1), (2, 2);
UPDATE myisam SET v = 5 WHERE id = 1;
CREATE TABLE period (id INT, s DATE, e DATE, PERIOD FOR valid (s, e),
    UNIQUE (id, valid WITHOUT OVERLAPS));
INSERT INTO period VALUES (1, '2020-01-01', '2020-06-01'),
    (1, '2020-06-01', '2021-01-01'), (2, '2020-01-01', '2030-01-01');
DELETE FROM period FOR PORTION OF valid FROM '2022-01-01' TO '2023-01-01'
    WHERE id = 2;
CREATE TABLE booking (room INT, s DATETIME, e DATETIME, who VARCHAR(10),
    PERIOD FOR stay (s, e), PRIMARY KEY (room, stay WITHOUT OVERLAPS), KEY (who));
INSERT INTO booking VALUES (1, '2022-01-01', '2022-01-05', 'ann'),
    (1, '2022-01-05', '2022-01-07', 'bob'), (2, '2022-01-01', '2023-01-01', 'cy');
CREATE TABLE bitemporal (id INT, v INT, s DATE, e DATE, PERIOD FOR valid (s, e))
    WITH SYSTEM VERSIONING;
INSERT INTO bitemporal VALUES (1, 1, '2020-01-01', '2021-01-01');
UPDATE bitemporal FOR PORTION OF valid FROM '2020-03-01' TO '2020-04-01' SET v = 2;
-- A column changed under a history that is kept.
SET system_versioning_alter_history = KEEP;
ALTER TABLE hidden ADD COLUMN later INT DEFAULT 5;
SET system_versioning_alter_history = DEFAULT;
UPDATE hidden SET later = 6 WHERE id = 1;
-- History that was written by hand, long ago.
SET timestamp = 1000000000.5;
CREATE TABLE old (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING;
INSERT INTO old VALUES (1, 1);
SET timestamp = 1000000100.25;
UPDATE old SET v = 2;
SET timestamp = DEFAULT;
