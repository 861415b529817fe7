-- Keys: beyond 2^63, sparse, with one value in the first column, strings under
-- odd collations, none at all; indexes of every kind.
CREATE DATABASE `keys`;
USE `keys`;
CREATE TABLE huge (id BIGINT UNSIGNED PRIMARY KEY, v INT);
INSERT INTO huge SELECT 18446744073709551615 - seq * seq, seq FROM seq_0_to_200;
INSERT INTO huge VALUES (0, 0), (9223372036854775807, 1),
    (9223372036854775808, 2);
CREATE TABLE bimodal (id BIGINT PRIMARY KEY, v INT);
INSERT INTO bimodal SELECT seq, 1 FROM seq_1_to_100;
INSERT INTO bimodal SELECT 9223372036854775807 - seq, 2 FROM seq_0_to_100;
INSERT INTO bimodal SELECT -9223372036854775808 + CAST(seq AS SIGNED), 3
    FROM seq_0_to_100;
CREATE TABLE one_value (a INT, b INT, c INT, PRIMARY KEY (a, b));
INSERT INTO one_value SELECT 1, seq, seq FROM seq_1_to_200;
CREATE TABLE by_string (s VARCHAR(50) COLLATE utf8mb4_nopad_bin PRIMARY KEY,
    v INT) CHARACTER SET utf8mb4;
INSERT INTO by_string VALUES ('', 0), (' ', 1), ('a', 2), ('a ', 3), ('A', 4),
    ('ä', 5), ('💾', 6), ('\0', 7);
CREATE TABLE by_german (s VARCHAR(50) COLLATE latin1_german2_ci PRIMARY KEY)
    CHARACTER SET latin1;
INSERT INTO by_german VALUES ('Müller'), ('Muller'), ('Masse'), ('z');
CREATE TABLE by_czech (s CHAR(20) COLLATE utf8mb4_czech_ci PRIMARY KEY)
    CHARACTER SET utf8mb4;
INSERT INTO by_czech VALUES ('ch'), ('h'), ('c'), ('i'), ('č');
CREATE TABLE by_bytes (b BINARY(4) PRIMARY KEY, v INT);
INSERT INTO by_bytes SELECT UNHEX(LPAD(HEX(seq * 9973), 8, '0')), seq
    FROM seq_0_to_300;
CREATE TABLE by_time (t TIMESTAMP(6) PRIMARY KEY, d DECIMAL(20, 10));
INSERT INTO by_time SELECT '2022-10-30 00:30:00' + INTERVAL seq * 20 MINUTE,
    seq / 3 FROM seq_1_to_100;
CREATE TABLE by_decimal (d DECIMAL(40,20) PRIMARY KEY, e FLOAT, UNIQUE (e));
INSERT INTO by_decimal SELECT seq / 7, seq / 7 FROM seq_1_to_50;
CREATE TABLE by_enum (e ENUM('z', 'a', 'm'), y YEAR, PRIMARY KEY (y, e));
INSERT INTO by_enum VALUES ('z', 2000), ('a', 2000), ('m', 1999), (1, 2155);
CREATE TABLE none (a INT, b VARCHAR(20));
INSERT INTO none VALUES (1, 'twice'), (1, 'twice'), (NULL, NULL), (NULL, NULL),
    (2, 'once'), (1, 'twice ');
CREATE TABLE none_blob (b BLOB);
INSERT INTO none_blob SELECT REPEAT(CHAR(seq MOD 3), 100) FROM seq_1_to_100;
CREATE TABLE all_kinds (id INT, a VARCHAR(100), b TEXT, c INT, d INT, e INT,
    g POINT NOT NULL, u VARCHAR(3000), PRIMARY KEY (id, c), UNIQUE KEY u (u), UNIQUE (a(10), c), KEY pre (b(20)), KEY two (c, d) COMMENT 'two''s',
    KEY down (d DESC), FULLTEXT KEY `ft ü` (b), FULLTEXT (a, b), SPATIAL KEY (g),
    KEY (e) KEY_BLOCK_SIZE=4) ENGINE=InnoDB;
INSERT INTO all_kinds SELECT seq, CONCAT('name ', seq), CONCAT('words of the ',
    seq, ' text'), seq MOD 7, seq MOD 11, seq, POINT(seq, -seq), UUID()
    FROM seq_1_to_100;
CREATE TABLE long_unique (a BLOB, b TEXT, UNIQUE (a), UNIQUE (b, a));
INSERT INTO long_unique VALUES ('x', 'y'), (REPEAT('x', 5000), 'y'), (NULL, NULL),
    (NULL, 'z');
