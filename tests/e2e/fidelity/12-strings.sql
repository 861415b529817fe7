-- Strings and bytes: every byte value, sizes around each limit, trailing spaces,
-- ENUM and SET with the error value, wide character sets, JSON.
CREATE DATABASE strings;
USE strings;
CREATE TABLE bytes (id INT PRIMARY KEY, b BINARY(255), vb VARBINARY(300),
    tb TINYBLOB, bl BLOB, mb MEDIUMBLOB, lb LONGBLOB);
INSERT INTO bytes SELECT seq, CHAR(seq), CHAR(seq), CHAR(seq),
    REPEAT(CHAR(seq), 3), CONCAT('\\', CHAR(seq), '''', CHAR(seq)), CHAR(seq, 0)
    FROM seq_0_to_255;
INSERT INTO bytes SELECT 1000, '', x, LEFT(x, 255), x, x, x FROM (SELECT
    GROUP_CONCAT(CHAR(seq) ORDER BY seq SEPARATOR '') x FROM seq_0_to_255) y;
INSERT INTO bytes VALUES (1001, '', '', '', '', '', ''),
    (1002, NULL, NULL, NULL, NULL, NULL, NULL),
    (1003, 'a  ', 'a  ', 'a  ', 'a  ', 'a  ', x'00'),
    (1004, x'0000', x'00', x'2000', x'0020', x'0a', x'0d0a1a00');
CREATE TABLE sizes (id INT PRIMARY KEY, tt TINYTEXT, t TEXT, mt MEDIUMTEXT,
    lt LONGTEXT, v VARCHAR(16000), lb LONGBLOB) CHARACTER SET utf8mb4;
INSERT INTO sizes VALUES (1, REPEAT('x', 255), REPEAT('y', 65535),
        REPEAT('z', 65536), REPEAT('é', 70000), REPEAT('日', 16000),
        REPEAT(x'00', 250)),
    (2, REPEAT('é', 127), REPEAT('💾', 16383), REPEAT('m', 200000),
        REPEAT(x'0a', 251), '', REPEAT(x'ff00', 300000)),
    (3, '', '', '', '', ' ', '');
-- 16 MiB: a packet is split there.
INSERT INTO sizes (id, mt) VALUES (4, REPEAT('0123456789abcde', 1118481));

CREATE TABLE chars (id INT PRIMARY KEY, c CHAR(10), v VARCHAR(10), t TEXT,
    c8 CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin);
INSERT INTO chars VALUES (1, 'a   ', 'a   ', 'a   ', 'a   '),
    (2, '', '', '', ''), (3, ' ', ' ', ' ', ' '), (4, 'a\t', 'a\t', 'a\0', 'a\0'),
    (5, NULL, NULL, NULL, NULL), (6, '\\N', '\\0', '\\''"`', 'NULL');
CREATE TABLE wide (id INT PRIMARY KEY, a CHAR(8) CHARACTER SET ucs2,
    b CHAR(8) CHARACTER SET utf16, c CHAR(8) CHARACTER SET utf32,
    d CHAR(8) CHARACTER SET utf16le, e VARCHAR(8) CHARACTER SET ucs2,
    f VARCHAR(8) CHARACTER SET utf16, g TEXT CHARACTER SET utf32,
    h TEXT CHARACTER SET utf16le, i ENUM('ä', '日', 'x') CHARACTER SET utf16,
    j SET('ä', '日', 'x') CHARACTER SET utf32);
INSERT INTO wide VALUES (1, 'é日', 'é日💾', 'é日💾', 'é日💾', 'é日  ', '💾 ',
        'é日💾', 'é日💾', '日', 'ä,x'),
    (2, '', '', '', '', '', '', '', '', NULL, ''),
    (3, '\0', '\0', '\0', '\0', '\0', '\0', '\0', '\0', 1, 'ä,日,x'),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE enums (id INT PRIMARY KEY,
    e ENUM('a', 'programmée', '', 'it''s', 'a,b', 'b ') CHARACTER SET latin1,
    n ENUM('x', 'y') NOT NULL, s SET('a', 'b', 'ü', 'w x') CHARACTER SET latin1,
    u ENUM('ja', 'ні', '否') CHARACTER SET utf8mb4);
INSERT INTO enums VALUES (1, 'programmée', 'y', 'a,ü', '否'), (2, '', 'x', '', 2),
    (3, NULL, 'x', NULL, NULL), (4, 'it''s', 'x', 'a,b,ü,w x', 'ja'),
    (5, 'a,b', 'y', 'w x', 'ні');
SET sql_mode = '';
INSERT INTO enums VALUES (6, 'no such value', 'neither', 'a,no', 'nope');
SET sql_mode = DEFAULT;
SET SESSION group_concat_max_len = 100000;
SELECT CONCAT('CREATE TABLE set64 (id INT PRIMARY KEY, s SET(',
    GROUP_CONCAT(QUOTE(CONCAT('m', seq)) ORDER BY seq), '))') INTO @sql
    FROM seq_1_to_64;
EXECUTE IMMEDIATE @sql;
SELECT CONCAT('CREATE TABLE enum1000 (id INT PRIMARY KEY, e ENUM(',
    GROUP_CONCAT(QUOTE(CONCAT('m', seq)) ORDER BY seq), '))') INTO @sql
    FROM seq_1_to_1000;
EXECUTE IMMEDIATE @sql;
INSERT INTO set64 VALUES (1, 18446744073709551615), (2, 9223372036854775808),
    (3, 1), (4, 0), (5, NULL);
INSERT INTO enum1000 VALUES (1, 1), (2, 255), (3, 256), (4, 1000), (5, NULL);
CREATE TABLE json (id INT PRIMARY KEY, j JSON, k JSON CHECK (JSON_VALID(k)));
INSERT INTO json VALUES (1, '{"a": [1, 2.50, "ü\\n"], "b" : null}', '[]'),
    (2, '"\\ud83d\\udcbe"', '  {"x":  1e400}  '), (3, NULL, NULL);
CREATE TABLE compressed (id INT PRIMARY KEY, v VARCHAR(1000) COMPRESSED,
    t TEXT COMPRESSED=zlib, b LONGBLOB COMPRESSED) CHARACTER SET utf8mb4;
INSERT INTO compressed VALUES (1, REPEAT('ä', 900), REPEAT('text ', 9000),
    REPEAT(x'00', 100000)), (2, '', '', ''), (3, 'short', 'short', x'00'),
    (4, NULL, NULL, NULL);
