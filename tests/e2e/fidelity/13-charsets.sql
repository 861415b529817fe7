-- Every character set with all its single bytes, every collation, and text whose
-- column, table, database and connection have different ones.
CREATE DATABASE charsets CHARACTER SET greek COLLATE greek_bin;
USE charsets;
DELIMITER //
CREATE PROCEDURE make()
BEGIN
    FOR c IN (SELECT CONVERT(character_set_name USING utf8mb4) AS n, maxlen AS w
            FROM information_schema.character_sets
            WHERE character_set_name <> 'binary' ORDER BY 1) DO
        EXECUTE IMMEDIATE CONCAT('CREATE TABLE ', c.n, ' (id INT PRIMARY KEY,',
            ' c CHAR(9), v VARCHAR(300), t TEXT, e ENUM(''a'', ''b''))',
            ' CHARACTER SET ', c.n);
        IF c.w = 1 THEN
            EXECUTE IMMEDIATE CONCAT('INSERT INTO ', c.n, ' SELECT seq,',
                ' CHAR(seq USING ', c.n, '), CHAR(seq, seq USING ', c.n,
                '), CHAR(32, seq USING ', c.n, '), ''b'' FROM seq_0_to_255');
        END IF;
        EXECUTE IMMEDIATE CONCAT('INSERT IGNORE INTO ', c.n, ' VALUES',
            ' (1000, ''abc'', ''naïve Größe'', ''日本語 שלום עולם'', ''a''),',
            ' (1001, ''ไทย'', ''Ελληνικά'', ''русский ґєї'', ''a''),',
            ' (1002, ''漢字かな'', ''한국어'', ''繁體字 简体字'', ''a''),',
            ' (1003, ''ąčęė'', ''şğıİ'', ''€ ™ ± ½'', ''a''),',
            ' (1004, ''~\\\\'', ''¥ ‾ ～ －'', ''💾'', NULL)');
    END FOR;
END //
DELIMITER ;
CALL make();
DROP PROCEDURE make;
SET SESSION group_concat_max_len = 1000000;
SELECT CONCAT('CREATE TABLE collations (id INT PRIMARY KEY, ',
    GROUP_CONCAT('`', collation_name, '` CHAR(4) CHARACTER SET ', character_set_name,
        ' COLLATE `', collation_name, '`' ORDER BY collation_name), ')') INTO @sql
    FROM information_schema.collations WHERE character_set_name IS NOT NULL;
EXECUTE IMMEDIATE @sql;
SELECT CONCAT('INSERT INTO collations VALUES (1', REPEAT(', ''aB''', COUNT(*)),
    '), (2', REPEAT(', NULL', COUNT(*)), '), (3', REPEAT(', '' Z ''', COUNT(*)),
    ')') INTO @sql FROM information_schema.collations
    WHERE character_set_name IS NOT NULL;
EXECUTE IMMEDIATE @sql;
CREATE TABLE `μικτός` (id INT PRIMARY KEY, a VARCHAR(20),
    b VARCHAR(20) CHARACTER SET cp1251 COMMENT 'кириллица',
    c VARCHAR(20) CHARACTER SET sjis COMMENT '日本語',
    d VARCHAR(20) CHARACTER SET utf8mb3, `ключ` VARCHAR(20) CHARACTER SET koi8r)
    CHARACTER SET latin5 COMMENT 'türkçe, ελληνικά, עברית';
INSERT INTO `μικτός` VALUES (1, 'şğı', 'русский', '日本', 'naïve 日本', 'ключ');
-- The client speaks latin1; what is stored is the same all the same.
CREATE TABLE clients (id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET utf8mb3);
SET NAMES latin1;
INSERT INTO clients VALUES (1, 'Ã©'), (2, _latin1 x'E9'), (3, x'C3A9');
SET NAMES cp850;
INSERT INTO clients VALUES (4, _cp850 x'82'), (5, 'é');
SET NAMES utf8mb4;
SET collation_connection = 'utf8mb4_bin';
CREATE TABLE of_connection SELECT 1 AS id, 'literal é' AS v, 2.5 AS d;
SET NAMES utf8mb4;
