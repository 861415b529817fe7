-- Names of databases, tables, columns, indexes, partitions and routines in other
-- scripts, and with every character that a file name or a statement dislikes.
CREATE DATABASE `a.b/c\\d%e``f'g"h`;
CREATE DATABASE `Großе База 数据`;
CREATE DATABASE `select`;
USE `a.b/c\\d%e``f'g"h`;
CREATE TABLE `t.1/2\\3%4``5'6"7 8` (`c.1/2\\3%4``5'6"7 8` INT PRIMARY KEY,
    `from` INT DEFAULT 5, `ß` VARCHAR(5), ` leading` INT, `a;b` INT, `?` INT,
    `:x` INT, `--` INT, `/*` INT, KEY `k.1/2%4``5'6"7 8` (`from`),
    KEY `日本 ключ` (`ß`)) COMMENT 'quote '' back-slash \\ "double" `back-tick` % 
new line, 日本語';
INSERT INTO `t.1/2\\3%4``5'6"7 8` VALUES (1, 2, 'ß', 3, 4, 5, 6, 7, 8);
CREATE TABLE `日本語テーブル` (`キー` INT PRIMARY KEY, `値` TEXT COMMENT 'コメント')
    COMMENT 'タイトル';
INSERT INTO `日本語テーブル` VALUES (1, '日本');
CREATE TABLE `CamelCase` (`MixedCol` INT);
CREATE TABLE `camelcase` (`mixedcol` INT);
INSERT INTO `CamelCase` VALUES (1);
INSERT INTO `camelcase` VALUES (2);
CREATE TABLE `con` (`prn` INT);
INSERT INTO con VALUES (1);
CREATE TABLE `@sign$dollar#hash` (a INT, CONSTRAINT `c``c'c` CHECK (a <> 7));
INSERT INTO `@sign$dollar#hash` VALUES (1);
CREATE TABLE `0123456789012345678901234567890123456789012345678901234567890123`
    (`0123456789012345678901234567890123456789012345678901234567890123` INT);
INSERT INTO `0123456789012345678901234567890123456789012345678901234567890123`
    VALUES (5);
CREATE TABLE `äöüÄÖÜ日本ключ€` (a INT) PARTITION BY LIST (a)
    (PARTITION `p.1/2%4``5'6 ä` VALUES IN (1), PARTITION `日` VALUES IN (2));
INSERT INTO `äöüÄÖÜ日本ключ€` VALUES (1), (2);
CREATE SEQUENCE `seq.1/2``3 日`;
SELECT NEXTVAL(`seq.1/2``3 日`);
CREATE VIEW `view.1/2``3'4 日` AS SELECT `from` AS `as`, `ß` AS `s p`
    FROM `t.1/2\\3%4``5'6"7 8`;
DELIMITER //
CREATE TRIGGER `trg.1/2``3'4 日` BEFORE INSERT ON `t.1/2\\3%4``5'6"7 8` FOR EACH ROW
    SET NEW.`from` = 9 //
CREATE FUNCTION `fn.1/2``3'4 日`(`p 日` INT) RETURNS INT NO SQL RETURN `p 日` //
CREATE PROCEDURE `pr.1/2``3'4 日`() SELECT 1 //
CREATE EVENT `ev.1/2``3'4 日` ON SCHEDULE EVERY 1 YEAR DISABLE COMMENT 'a''b\\c日'
    DO DO 1 //
DELIMITER ;
USE `Großе База 数据`;
CREATE TABLE `таблица` (`столбец` VARCHAR(20) CHARACTER SET koi8r DEFAULT 'да');
INSERT INTO `таблица` VALUES (DEFAULT), ('нет');
USE `select`;
CREATE TABLE `table` (`column` INT PRIMARY KEY, `order` INT, KEY `group` (`order`));
INSERT INTO `table` VALUES (1, 2);
-- Somebody's, though they look like the server's own.
CREATE DATABASE `SYS`;
CREATE TABLE `SYS`.mine (a INT);
INSERT INTO `SYS`.mine VALUES (1);
CREATE DATABASE `MySQL`;
CREATE VIEW `MySQL`.mine AS SELECT a FROM `SYS`.mine;
CREATE PROCEDURE `MySQL`.p() SELECT 1;
