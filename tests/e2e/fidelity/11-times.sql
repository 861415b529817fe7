-- Dates and times: limits, fractions, zero and impossible dates that an old
-- sql_mode let in, both hours of a night on which clocks are put back.
CREATE DATABASE times;
USE times;
CREATE TABLE t (id INT PRIMARY KEY, d DATE, y YEAR, t0 TIME, t3 TIME(3),
    t6 TIME(6), dt0 DATETIME, dt1 DATETIME(1), dt6 DATETIME(6));
INSERT INTO t VALUES
    (1, '1000-01-01', 1901, '-838:59:59', '-838:59:59.999', '-838:59:59.999999',
        '1000-01-01', '1000-01-01 00:00:00.1', '1000-01-01 00:00:00.000001'),
    (2, '9999-12-31', 2155, '838:59:59', '838:59:59.999', '838:59:59.999999',
        '9999-12-31 23:59:59', '9999-12-31 23:59:59.9',
        '9999-12-31 23:59:59.999999'),
    (3, '0001-01-01', 0, '00:00:00', '-00:00:00.001', '-00:00:00.000001',
        '0001-01-01 00:00:00', '0001-01-01 00:00:00.0',
        '0001-01-01 00:00:00.000001'),
    (4, '2024-02-29', 1970, '24:00:00', '-24:00:00.001', '100:00:00.5',
        '2024-02-29 12:00:00', '2024-02-29 12:00:00.5',
        '2024-02-29 12:00:00.500001'),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SET sql_mode = 'ALLOW_INVALID_DATES';
INSERT INTO t (id, d, dt0, dt6) VALUES
    (10, '0000-00-00', '0000-00-00', '0000-00-00'),
    (11, '2023-02-31', '2023-02-31 01:02:03', '2023-04-31 01:02:03.000004'),
    (12, '2023-00-00', '2023-00-00', '2023-00-00 23:59:59.999999'),
    (13, '2023-12-00', '2023-12-00', '0000-00-00 11:22:33.444444'),
    (14, '0000-05-05', '0000-05-05', '0000-12-31 00:00:00');
SET sql_mode = DEFAULT;
CREATE TABLE defaults (id INT PRIMARY KEY, a TIMESTAMP NOT NULL
    DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    b DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    c TIMESTAMP(3) NULL, d TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:00');
INSERT INTO defaults (id) VALUES (1), (2);
SET sql_mode = '';
CREATE TABLE zeros (id INT PRIMARY KEY, a TIMESTAMP NOT NULL
    DEFAULT '0000-00-00 00:00:00', b DATE NOT NULL DEFAULT '0000-00-00',
    c DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00');
INSERT INTO zeros (id) VALUES (1);
SET sql_mode = DEFAULT;
CREATE TABLE stamps (id INT PRIMARY KEY, a TIMESTAMP NULL, b TIMESTAMP(6) NULL);
SET time_zone = '+00:00';
INSERT INTO stamps VALUES (1, '1970-01-01 00:00:01', '1970-01-01 00:00:00.1'),
    (2, '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999'),
    (3, NULL, NULL), (4, '2022-03-27 01:30:00', '2022-03-27 01:30:00.123456');
-- The server's own zone has been put back an hour on that night: 02:30 twice.
SET time_zone = 'SYSTEM';
SET timestamp = 1667089800.25;
INSERT INTO stamps VALUES (10, NOW(), NOW(6));
SET timestamp = 1667093400.75;
INSERT INTO stamps VALUES (11, NOW(), NOW(6));
SET timestamp = DEFAULT;
SET time_zone = '-11:30';
INSERT INTO stamps VALUES (12, '2022-12-31 23:59:59', '2023-01-01 00:00:00.5');
SET time_zone = DEFAULT;
INSERT INTO stamps VALUES (13, '2022-06-06 06:06:06', '2022-06-06 06:06:06.6');
-- The formats of servers before 10.1, which an upgrade leaves as they are.
SET GLOBAL mysql56_temporal_format = OFF;
CREATE TABLE old_formats (id INT PRIMARY KEY, t TIME, t6 TIME(6), dt DATETIME,
    dt3 DATETIME(3), ts TIMESTAMP NULL, ts6 TIMESTAMP(6) NULL);
SET GLOBAL mysql56_temporal_format = ON;
INSERT INTO old_formats VALUES (1, '-838:59:59', '838:59:59.999999',
    '9999-12-31 23:59:59', '9999-12-31 23:59:59.999', '2038-01-18 03:14:07',
    '2038-01-18 03:14:07.999999'),
    (2, '838:59:59', '-00:00:00.000001', '1000-01-01', '1000-01-01 00:00:00.001',
    '1970-01-02 00:00:01', '1970-01-02 00:00:01.000001'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL);
-- Made of a TIMESTAMP: by the time zone of who writes, which is the server's in
-- the first, and UTC in the second.
CREATE TABLE zoned (id INT PRIMARY KEY, ts TIMESTAMP NULL, d DATE AS (DATE(ts))
    STORED, h INT AS (HOUR(ts)) VIRTUAL, m VARCHAR(9) AS (MONTHNAME(d)) VIRTUAL,
    KEY (h));
CREATE TABLE zoned_utc (id INT PRIMARY KEY, ts TIMESTAMP(6) NULL, h INT
    AS (HOUR(ts)) STORED);
INSERT INTO zoned (id, ts) VALUES (1, '2024-01-01 00:30:00'),
    (2, '2024-06-30 23:30:00'), (3, NULL);
SET time_zone = '+00:00';
INSERT INTO zoned_utc (id, ts) VALUES (1, '2024-01-01 00:30:00'), (2, NULL);
SET time_zone = DEFAULT;
