-- Views on views, on functions, on what is missing; several triggers a table;
-- routines, packages and events with the session of their creation.
CREATE DATABASE objects CHARACTER SET latin1;
USE objects;
CREATE TABLE base (id INT PRIMARY KEY, name VARCHAR(50), n INT);
CREATE TABLE fired (n INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(30), id INT);
CREATE TABLE gone (x INT, y INT);
DELIMITER //
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES' //
SET NAMES latin1 //
CREATE PROCEDURE commented() COMMENT 'Ã¼ \ it''s' SELECT 'Ã¼\' //
CREATE FUNCTION ansi(a INT) RETURNS VARCHAR(99) CHARACTER SET utf8mb4
    DETERMINISTIC SQL SECURITY INVOKER COMMENT 'x' RETURN "a" || '\' //
SET NAMES utf8mb4 //
SET sql_mode = DEFAULT //
CREATE FUNCTION `größe`(s TEXT CHARACTER SET utf8mb4) RETURNS INT NO SQL
    COMMENT 'die Größe; 日本'
BEGIN
    -- a comment; with a semicolon, 日本
    DECLARE x VARCHAR(10) DEFAULT 'ä''\n';
    RETURN LENGTH(s) + LENGTH(x);
END //
CREATE FUNCTION types(a DECIMAL(10,3) UNSIGNED, b ENUM('ä','b'), c VARCHAR(5)
    CHARACTER SET ucs2, d BIT(3)) RETURNS SET('x','ö') CHARACTER SET latin1
    READS SQL DATA RETURN 'x' //
CREATE AGGREGATE FUNCTION total(x INT) RETURNS INT
BEGIN
    DECLARE s INT DEFAULT 0;
    DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s;
    LOOP
        FETCH GROUP NEXT ROW;
        SET s = s + x;
    END LOOP;
END //
CREATE PROCEDURE moves(IN a INT, OUT b INT, INOUT c VARCHAR(20) CHARACTER SET greek)
    MODIFIES SQL DATA
BEGIN
    SET b = a + 1;
    SELECT 'α' INTO c;
END //
CREATE DEFINER = 'nobody at all'@'10.%' PROCEDURE strange() SQL SECURITY INVOKER
    BEGIN END //
CREATE PROCEDURE late() SELECT * FROM not_there_yet //
CREATE OR REPLACE PROCEDURE `select`(`from` INT) SELECT `from` //
SET sql_mode = 'ORACLE' //
CREATE PACKAGE pkg COMMENT 'spec' AS
    FUNCTION f RETURN INT;
    PROCEDURE p(a IN OUT VARCHAR2);
END; //
CREATE PACKAGE BODY pkg AS
    state INT := 7;
    FUNCTION f RETURN INT AS BEGIN RETURN state; END;
    PROCEDURE p(a IN OUT VARCHAR2) AS BEGIN a := a || 'ü'; END;
BEGIN
    state := 8;
END; //
CREATE PACKAGE spec_only AS FUNCTION g RETURN INT; END; //
CREATE PROCEDURE ora(a IN INT) AS b INT; BEGIN b := a; NULL; END; //
SET sql_mode = DEFAULT //
CREATE TRIGGER one BEFORE INSERT ON base FOR EACH ROW
    SET NEW.n = IFNULL(NEW.n, 0) + 1 //
CREATE TRIGGER two BEFORE INSERT ON base FOR EACH ROW FOLLOWS one
    SET NEW.n = NEW.n * 10 //
CREATE TRIGGER between_them BEFORE INSERT ON base FOR EACH ROW PRECEDES two
    SET NEW.n = NEW.n + 3 //
CREATE TRIGGER after_insert AFTER INSERT ON base FOR EACH ROW
    INSERT INTO fired (what, id) VALUES ('insert', NEW.id) //
CREATE DEFINER = 'lost'@'nowhere' TRIGGER lost BEFORE DELETE ON fired
    FOR EACH ROW SET @x = 'é' //
CREATE TRIGGER before_update BEFORE UPDATE ON base
    FOR EACH ROW SET NEW.name = CONCAT(NEW.name, 'é') //
SET sql_mode = 'ANSI_QUOTES' //
SET NAMES latin2 //
CREATE TRIGGER after_update AFTER UPDATE ON base FOR EACH ROW
    INSERT INTO "fired" (what, id) VALUES ('update', OLD.id) //
SET NAMES utf8mb4 //
SET sql_mode = DEFAULT //
CREATE TRIGGER before_delete BEFORE DELETE ON base FOR EACH ROW
BEGIN
    INSERT INTO fired (what, id) VALUES ('delete; löschen', OLD.id);
END //
CREATE TRIGGER after_delete AFTER DELETE ON base FOR EACH ROW SET @x = 1 //
SET time_zone = '+03:00' //
CREATE EVENT daily ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'
    ENDS '2037-01-01 00:00:00' ON COMPLETION PRESERVE COMMENT 'täglich 日'
    DO INSERT INTO fired (what) VALUES ('event ä') //
SET time_zone = 'SYSTEM' //
SET sql_mode = 'PIPES_AS_CONCAT' //
CREATE DEFINER = 'lost'@'nowhere' EVENT piped ON SCHEDULE
    EVERY '1:30' HOUR_MINUTE STARTS '2031-03-30 02:30:00' DO SET @a = 'a' || 'b' //
SET sql_mode = DEFAULT //
SET time_zone = DEFAULT //
CREATE EVENT off ON SCHEDULE EVERY 2 HOUR DISABLE DO DO 1 //
CREATE EVENT off_slave ON SCHEDULE EVERY 3 HOUR DISABLE ON SLAVE DO DO 1 //
CREATE EVENT once ON SCHEDULE AT '2037-05-05 05:05:05' DO DO 2 //
CREATE EVENT later ON SCHEDULE EVERY 3 HOUR DISABLE DO DO 3 //
CREATE EVENT earlier ON SCHEDULE EVERY 3 HOUR DO DO 3 //
ALTER EVENT later ENABLE //
ALTER EVENT earlier DISABLE //
CREATE EVENT kept ON SCHEDULE EVERY 4 HOUR ENABLE COMMENT 'disable' DO DO 'DISABLE' //
ALTER EVENT kept COMMENT 'disabled? no' //
CREATE EVENT off_kept ON SCHEDULE EVERY 4 HOUR DISABLE DO DO 4 //
ALTER EVENT off_kept RENAME TO off_renamed //
CREATE EVENT on_named ON SCHEDULE EVERY 4 HOUR DO DO 4 //
ALTER EVENT on_named RENAME TO on_renamed //
ALTER EVENT on_renamed DO DO 5 //
DELIMITER ;
INSERT INTO base (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c');
UPDATE base SET name = 'changed' WHERE id = 1;
DELETE FROM base WHERE id = 3;
CREATE VIEW v_base AS SELECT id, name, `größe`(name) AS size FROM base;
CREATE VIEW a_on_view AS SELECT id, size FROM v_base WHERE id > 0;
CREATE ALGORITHM=MERGE DEFINER='lost'@'nowhere' SQL SECURITY INVOKER VIEW checked AS
    SELECT * FROM base WHERE id > 0 WITH CASCADED CHECK OPTION;
CREATE ALGORITHM=TEMPTABLE VIEW counted AS SELECT COUNT(*) AS `count(*)`, 'ä日' AS
    `naïve 日` FROM base GROUP BY name HAVING COUNT(*) > 0 ORDER BY 1 LIMIT 5;
CREATE VIEW broken AS SELECT x, y AS z FROM gone WHERE x > 1;
CREATE VIEW broken_too AS SELECT z FROM broken;
CREATE VIEW broken_function AS SELECT ansi(id) FROM base;
CREATE VIEW with_recursive AS WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL
    SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r;
CREATE VIEW `utf8 names` AS SELECT 'ß' AS `ß`, _latin1 x'e9' AS `é`;
CREATE VIEW fk_one.elsewhere AS SELECT id FROM objects.v_base;
DROP TABLE gone;
-- Views on views whose definer may nothing else, is gone, or had it from a grant
-- on the view itself; on columns and functions that are gone.
CREATE USER viewer@localhost, leaver@localhost;
GRANT SELECT ON objects.base TO viewer@localhost, leaver@localhost;
CREATE DEFINER=viewer@localhost VIEW of_viewer AS SELECT id, name FROM base;
GRANT SELECT ON objects.of_viewer TO viewer@localhost;
CREATE DEFINER=viewer@localhost VIEW of_viewer_too AS
    SELECT id FROM of_viewer WHERE name IS NOT NULL;
CREATE DEFINER=leaver@localhost VIEW of_leaver AS SELECT id, name FROM base;
CREATE DEFINER=viewer@localhost VIEW a_leaver AS SELECT name FROM of_leaver;
DROP USER leaver@localhost;
CREATE TABLE lessened (a INT, b INT, c INT, d VARCHAR(9));
INSERT INTO lessened VALUES (1, 2, 3, 'x');
CREATE FUNCTION lost_function(a INT, b VARCHAR(9)) RETURNS INT NO SQL RETURN 1;
CREATE VIEW less_column AS SELECT x.a, x.b AS bb FROM lessened x WHERE x.b > 0;
CREATE VIEW less_order AS SELECT a FROM lessened ORDER BY c;
CREATE VIEW a_less_column AS SELECT bb FROM less_column;
CREATE VIEW less_function AS SELECT lost_function(a, 'x,(') AS f FROM lessened;
CREATE VIEW narrow AS SELECT a, b FROM lessened;
CREATE VIEW on_narrow AS SELECT b FROM narrow;
CREATE VIEW to_be_dropped AS SELECT b FROM lessened;
CREATE TRIGGER less_trigger BEFORE UPDATE ON lessened FOR EACH ROW SET NEW.c = 1;
CREATE TRIGGER less_too BEFORE DELETE ON lessened FOR EACH ROW SET @x = OLD.b;
ALTER TABLE lessened DROP COLUMN b, DROP COLUMN c;
CREATE OR REPLACE VIEW narrow AS SELECT a FROM base JOIN lessened ON a = id;
DROP FUNCTION lost_function;
CREATE USER sorter@localhost;
CREATE DEFINER=sorter@localhost VIEW sorted AS SELECT name, COUNT(*) AS n, 'x''' AS q
    FROM base GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1;
