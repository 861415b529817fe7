#!/bin/bash
# A thousand tables in five schemas, of several shapes and engines, with rows in
# most: backed up, changed, restored, equal.  With the figures.  PITR_TABLES=20000
# in the environment: as many (and then some minutes).
. "$(dirname "$0")/lib.sh"

tables()
{
    local i db
    for db in 0 1 2 3 4; do
        echo "CREATE DATABASE many$db;"
    done
    for ((i = 0; i < ${PITR_TABLES:-1000}; i++)); do
        echo "USE many$((i % 5));"
        case $((i % 10)) in
        0) echo "CREATE TABLE t$i (a INT, b VARCHAR(40)); INSERT INTO t$i
            SELECT seq % 3, 'same' FROM seq_1_to_$((1 + i % 1000 / 10));" ;;
        1) echo "CREATE TABLE t$i (a BIGINT UNSIGNED PRIMARY KEY, b DOUBLE,
            KEY (b)); INSERT INTO t$i SELECT 18446744073709551615 - seq * $i,
            SQRT(seq) FROM seq_1_to_30;" ;;
        2) echo "CREATE TABLE t$i (a INT, b INT, c TEXT, PRIMARY KEY (a, b));
            INSERT INTO t$i SELECT 7, seq, REPEAT('x', seq)
            FROM seq_1_to_20;" ;;
        3) echo "CREATE TABLE t$i (a VARCHAR(20) COLLATE utf8mb4_swedish_ci
            PRIMARY KEY, b BLOB); INSERT INTO t$i SELECT CONCAT('ä', seq),
            UNHEX(MD5(seq)) FROM seq_1_to_15;" ;;
        4) echo "CREATE TABLE t$i (a INT AUTO_INCREMENT PRIMARY KEY,
            b TIMESTAMP(3) NULL) ENGINE=Aria; INSERT INTO t$i (b)
            SELECT '2001-02-03 04:05:06.789' + INTERVAL seq DAY
            FROM seq_1_to_5;" ;;
        5) echo "CREATE TABLE t$i (a INT PRIMARY KEY) ENGINE=MyISAM;
            INSERT INTO t$i VALUES (-1), (0), (1);" ;;
        6) echo "CREATE TABLE t$i (a INT PRIMARY KEY, d DATE)
            PARTITION BY HASH (a) PARTITIONS 3; INSERT INTO t$i SELECT seq,
            '1999-12-31' + INTERVAL seq DAY FROM seq_1_to_25;" ;;
        *) echo "CREATE TABLE t$i (id INT PRIMARY KEY, n DECIMAL(20,6),
            e ENUM('a','b') NOT NULL) ; INSERT INTO t$i SELECT seq, seq / 3,
            1 + seq % 2 FROM seq_1_to_$((i % 60 + 1));" ;;
        esac
        ((i % 25)) || echo "CREATE TABLE empty$i LIKE t$i;"
    done
}

source_server --table-open-cache=2500
echo "SET GLOBAL innodb_flush_log_at_trx_commit = 0" |
    mysql_client --socket="$SRC"
tables | mysql_client --socket="$SRC"
set_up
pitr stream --once || fail "stream --once: $?"
pitr backup || fail "backup: $?"
for i in 1 11 21 901; do
    sql "$SRC" "UPDATE many$((i % 5)).t$i SET b = b + 1;
        ALTER TABLE many$((i % 5)).t$i ADD COLUMN later INT DEFAULT 4"
done
pitr stream --once || fail "stream --once: $?"
truth "$SRC" "$T/truth"
restore_to r
cat "$T/r.out"
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"
[ "$(wc -l <"$T/truth.rows")" -gt 20000 ] || fail "there are few rows"
