-- INET4 and the collations of Unicode 14, since 10.10.
CREATE TABLE kinds.addresses4 (id INT PRIMARY KEY, a INET4, b INET4 NOT NULL
    DEFAULT '127.0.0.1', KEY (a));
INSERT INTO kinds.addresses4 VALUES (1, '0.0.0.0', DEFAULT),
    (2, '255.255.255.255', '1.2.3.4'), (3, NULL, '10.0.0.1');
CREATE TABLE kinds.uca1400 (a VARCHAR(20) CHARACTER SET utf8mb4
    COLLATE uca1400_swedish_as_ci PRIMARY KEY, b CHAR(9) CHARACTER SET ucs2
    COLLATE uca1400_ai_cs, c TEXT CHARACTER SET utf8mb3
    COLLATE uca1400_nopad_as_cs);
INSERT INTO kinds.uca1400 VALUES ('å', 'Ä', 'ö'), ('ä', NULL, 'x  '), ('', '', '');
