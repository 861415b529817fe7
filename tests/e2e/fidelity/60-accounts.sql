-- Accounts: authentication of each kind, roles of roles, default roles, grants at
-- every level, proxies, limits, locks, expiry.
CREATE DATABASE acc;
CREATE DATABASE `acc_1`;
CREATE TABLE acc.t (a INT, b INT, `c d` INT);
CREATE TABLE acc.`t.2` (a INT);
CREATE VIEW acc.v AS SELECT a FROM acc.t;
CREATE SEQUENCE acc.s;
CREATE PROCEDURE acc.p() SELECT 1;
CREATE FUNCTION acc.f() RETURNS INT NO SQL RETURN 1;
CREATE ROLE reader, `wri ter`, admins WITH ADMIN CURRENT_USER;
CREATE ROLE top WITH ADMIN admins;
CREATE ROLE `rôle 日`;
GRANT SELECT ON acc.* TO reader;
GRANT reader TO `wri ter`;
GRANT `wri ter` TO admins WITH ADMIN OPTION;
GRANT INSERT, SELECT (a), UPDATE (b, `c d`), REFERENCES (a) ON acc.t TO `wri ter`;
GRANT ALL ON `acc\_1`.* TO admins WITH GRANT OPTION;
GRANT RELOAD, PROCESS ON *.* TO `rôle 日`;
CREATE USER native@'%' IDENTIFIED BY 'it''s "secret" \\ 日';
CREATE USER hashed@localhost IDENTIFIED BY PASSWORD
    '*6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9';
CREATE USER via@localhost IDENTIFIED VIA mysql_native_password USING
    '*6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9';
CREATE USER two_ways@localhost IDENTIFIED VIA unix_socket OR
    mysql_native_password USING PASSWORD('b');
CREATE USER nobody@localhost IDENTIFIED VIA mysql_native_password USING 'invalid';
CREATE USER sock@localhost IDENTIFIED VIA unix_socket;
CREATE USER sock_as@localhost IDENTIFIED VIA unix_socket AS 'other';
CREATE USER empty@'192.168.0.%' IDENTIFIED BY '';
CREATE USER ''@localhost;
CREATE USER net@'10.0.0.0/255.0.0.0' IDENTIFIED BY 'x';
CREATE USER 'o''bri`en "x"'@'h-%.example.com' IDENTIFIED BY 'x';
CREATE USER 'користувач'@'2001:db8::%' IDENTIFIED BY 'x';
CREATE USER ssl_any@'%' REQUIRE SSL;
CREATE USER ssl_cert@'%' IDENTIFIED BY 'x' REQUIRE X509;
CREATE USER ssl_long@'%' REQUIRE SUBJECT '/CN=a''b/O=ü' AND ISSUER '/CN=ca'
    AND CIPHER 'ECDHE-RSA-AES256-GCM-SHA384';
CREATE USER limits@'%' WITH MAX_QUERIES_PER_HOUR 1 MAX_UPDATES_PER_HOUR 2
    MAX_CONNECTIONS_PER_HOUR 3 MAX_USER_CONNECTIONS 4 MAX_STATEMENT_TIME 5.5;
CREATE USER locked@'%' IDENTIFIED BY 'x' ACCOUNT LOCK;
CREATE USER expired@'%' IDENTIFIED BY 'x' PASSWORD EXPIRE;
CREATE USER never@'%' IDENTIFIED BY 'x' PASSWORD EXPIRE NEVER;
CREATE USER in_days@'%' IDENTIFIED BY 'x' PASSWORD EXPIRE INTERVAL 90 DAY;
SET timestamp = UNIX_TIMESTAMP() - 30 * 86400;
CREATE USER in_days_old@'%' IDENTIFIED BY 'x' PASSWORD EXPIRE INTERVAL 31 DAY
    ACCOUNT LOCK;
SET timestamp = DEFAULT;
GRANT admins TO native@'%' WITH ADMIN OPTION;
GRANT reader TO hashed@localhost;
GRANT `rôle 日` TO hashed@localhost;
SET DEFAULT ROLE admins FOR native@'%';
SET DEFAULT ROLE `rôle 日` FOR hashed@localhost;
GRANT USAGE ON *.* TO via@localhost WITH GRANT OPTION;
GRANT SELECT, SHOW VIEW ON acc.v TO via@localhost;
GRANT SELECT (a) ON acc.v TO net@'10.0.0.0/255.0.0.0';
GRANT EXECUTE ON PROCEDURE acc.p TO via@localhost WITH GRANT OPTION;
GRANT EXECUTE, ALTER ROUTINE ON FUNCTION acc.f TO reader;
GRANT ALL ON *.* TO 'o''bri`en "x"'@'h-%.example.com' WITH GRANT OPTION;
GRANT BINLOG MONITOR, REPLICATION SLAVE ADMIN, SLAVE MONITOR ON *.*
    TO limits@'%';
GRANT ALL ON `acc`.* TO 'користувач'@'2001:db8::%';
GRANT SELECT, DELETE HISTORY ON acc.t TO locked@'%' WITH GRANT OPTION;
GRANT SELECT ON acc.s TO locked@'%';
GRANT CREATE, SELECT ON acc.not_there_yet TO locked@'%';
GRANT SELECT ON `no such %`.* TO locked@'%';
GRANT SELECT ON `acc%`.* TO ssl_any@'%';
GRANT PROXY ON native@'%' TO sock@localhost WITH GRANT OPTION;
GRANT PROXY ON ''@'%' TO two_ways@localhost;
GRANT PROXY ON 'o''bri`en "x"'@'h-%.example.com' TO sock_as@localhost;
CREATE USER dropped@'%';
DROP USER dropped@'%';
CREATE USER renamed_from@'%' IDENTIFIED BY 'y';
GRANT SELECT (b) ON acc.t TO renamed_from@'%';
RENAME USER renamed_from@'%' TO renamed_to@localhost;
CREATE DEFINER=native@'%' SQL SECURITY DEFINER VIEW acc.of_native AS SELECT 1;
CREATE DEFINER=reader VIEW acc.of_role AS SELECT 2 AS two;
SET PASSWORD FOR empty@'192.168.0.%' = PASSWORD('later');
-- On what is no longer there.
CREATE DATABASE `acc gone`;
CREATE TABLE `acc gone`.t (a INT);
CREATE PROCEDURE `acc gone`.p() SELECT 1;
CREATE TABLE acc.gone (a INT, `b c` INT);
CREATE TABLE acc.less (a INT, b INT, `c d` INT);
CREATE USER stale@localhost, stale_too@localhost;
GRANT SELECT ON `acc gone`.t TO stale@localhost;
GRANT EXECUTE ON PROCEDURE `acc gone`.p TO stale@localhost;
GRANT SELECT, DROP ON acc.gone TO stale@localhost, stale_too@localhost;
GRANT UPDATE (`b c`) ON acc.gone TO stale@localhost WITH GRANT OPTION;
GRANT INSERT, SELECT (a, b), UPDATE (`c d`) ON acc.less TO stale@localhost;
DROP DATABASE `acc gone`;
DROP TABLE acc.gone;
ALTER TABLE acc.less DROP COLUMN b, DROP COLUMN `c d`;
