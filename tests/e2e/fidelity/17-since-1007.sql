-- UUID, since 10.7.
CREATE TABLE kinds.uuids (id INT PRIMARY KEY, a UUID, b UUID NOT NULL DEFAULT
    '00000000-0000-0000-0000-000000000000', UNIQUE (a));
INSERT INTO kinds.uuids VALUES (1, 'ffffffff-ffff-ffff-ffff-ffffffffffff', DEFAULT),
    (2, '123e4567-e89b-12d3-a456-426655440000', UUID()), (3, NULL, UUID()),
    (4, UUID(), '6ccd780c-baba-1026-9564-5b8c656024db');
