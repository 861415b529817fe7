-- Ignored indexes, since 10.6.
CREATE TABLE `keys`.ignored (id INT PRIMARY KEY, a INT, KEY (a) IGNORED);
INSERT INTO `keys`.ignored VALUES (1, 1);
