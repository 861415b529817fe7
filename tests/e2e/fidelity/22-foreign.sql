-- Foreign keys in a circle, across databases, to oneself, on a generated
-- column's base; rows without their parents.
CREATE DATABASE fk_one;
CREATE DATABASE fk_two;
USE fk_one;
SET foreign_key_checks = 0;
CREATE TABLE a (id INT PRIMARY KEY, b INT, CONSTRAINT to_b FOREIGN KEY (b)
    REFERENCES b (id) ON DELETE CASCADE ON UPDATE SET NULL);
CREATE TABLE b (id INT PRIMARY KEY, c INT, CONSTRAINT to_c FOREIGN KEY (c)
    REFERENCES fk_two.c (id));
CREATE TABLE fk_two.c (id INT PRIMARY KEY, a INT, CONSTRAINT to_a FOREIGN KEY (a)
    REFERENCES fk_one.a (id) ON UPDATE CASCADE);
INSERT INTO a VALUES (1, 1), (2, NULL), (3, 99);
INSERT INTO b VALUES (1, 1), (2, NULL);
INSERT INTO fk_two.c VALUES (1, 1), (2, NULL), (77, 78);
CREATE TABLE orphan (id INT PRIMARY KEY, x INT, FOREIGN KEY (x)
    REFERENCES nowhere (id));
INSERT INTO orphan VALUES (1, 5);
SET foreign_key_checks = 1;
CREATE TABLE tree (id INT PRIMARY KEY, up INT, name VARCHAR(10), UNIQUE (name, id),
    FOREIGN KEY (up) REFERENCES tree (id) ON DELETE SET NULL);
INSERT INTO tree VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 1, 'c'), (4, 3, 'd');
CREATE TABLE base (id INT PRIMARY KEY, a INT, v INT AS (a * 2) VIRTUAL,
    p INT AS (a + 1) STORED, KEY (v), FOREIGN KEY (a) REFERENCES tree (id)
    ON DELETE CASCADE, FOREIGN KEY (p) REFERENCES tree (id)
    ON DELETE CASCADE);
INSERT INTO base (id, a) VALUES (1, 1), (2, 2), (3, 3);
CREATE TABLE many (x INT, y VARCHAR(10), z INT, CONSTRAINT `two columns`
    FOREIGN KEY (y, x) REFERENCES tree (name, id) ON UPDATE NO ACTION);
INSERT INTO many VALUES (1, 'a', 1), (2, 'b', 2), (NULL, 'x', 3);
