-- History goes on (fidelity/23-since-1011.sql).
UPDATE versions.hidden SET v = CONCAT(v, '!');
DELETE FROM versions.hidden WHERE id = 3;
DELETE FROM versions.named WHERE id = 2;
UPDATE versions.in_parts SET v = 0;
DELETE FROM versions.period FOR PORTION OF valid FROM '2020-02-01' TO '2020-03-01'
    WHERE id = 1;
UPDATE versions.bitemporal FOR PORTION OF valid FROM '2020-05-01' TO '2020-06-01'
    SET v = 3;
UPDATE versions.myisam SET v = 6;
