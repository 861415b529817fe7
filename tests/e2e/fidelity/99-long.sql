-- Only with PITR_LONG: sizes around 16 MiB, where packets are split, and a row of
-- 60 MB.
CREATE TABLE strings.long_ones (id INT PRIMARY KEY, b LONGBLOB);
INSERT INTO strings.long_ones VALUES
    (1, REPEAT(CHAR(0, 255, 39, 92), 4194304)),
    (2, CONCAT(REPEAT(CHAR(1, 2, 3, 4), 4194303), x'050607')),
    (3, REPEAT('0123456789abcde\n', 1048575));
INSERT INTO strings.long_ones VALUES (4, REPEAT('0123456789', 6000000));
