#!/bin/bash
# Five moments of a database under continuous writes: three clients in a shop,
# one that moves money between tables, one that changes definitions all the
# time.  Each moment's truth is taken at the server; the database restored to
# it, by time or by GTID, equals it in every row and definition.
# Runs on each version.
. "$(dirname "$0")/lib.sh"

# Money moves between tables of different engines' keys; the sum never changes
# in a whole transaction.
bank()
{
    cat <<'SQL'
CREATE DATABASE bank;
USE bank;
CREATE TABLE giro (id INT PRIMARY KEY, amount BIGINT NOT NULL, f FLOAT);
CREATE TABLE savings (owner VARBINARY(16) PRIMARY KEY, amount BIGINT NOT NULL);
CREATE TABLE journal (n BIGINT AUTO_INCREMENT PRIMARY KEY, who INT,
  amount BIGINT, at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), note TEXT);
CREATE TABLE heap_of_notes (note VARCHAR(200), n INT);
INSERT INTO giro SELECT seq, 1000000, seq / 7 FROM seq_0_to_63;
INSERT INTO savings SELECT UNHEX(MD5(seq)), 1000000 FROM seq_0_to_63;
SQL
}

transfers()
{
    local i=0 a n
    echo "USE bank;"
    while :; do
        i=$((i + 1)) a=$((RANDOM % 64)) n=$((RANDOM % 1000))
        echo "BEGIN; UPDATE giro SET amount = amount - $n, f = f * 1.01
            WHERE id = $a;
            INSERT INTO journal (who, amount, note)
                VALUES ($a, $n, REPEAT('äöü$i ', $((n % 40))));
            UPDATE savings SET amount = amount + $n
                WHERE owner = UNHEX(MD5($a)); COMMIT;"
        case $((i % 30)) in
        3) echo "INSERT INTO heap_of_notes VALUES ('twice', $n), ('twice', $n);" ;;
        9) echo "DELETE FROM heap_of_notes WHERE n = $n LIMIT 1;" ;;
        15) echo "BEGIN; DELETE FROM journal; ROLLBACK;" ;;
        21) echo "DELETE FROM journal ORDER BY n LIMIT 20;" ;;
        esac
    done
}

definitions()
{
    local i=0
    # Not without end for who is paused in a transaction.
    echo "USE bank; SET lock_wait_timeout = 2;"
    while :; do
        i=$((i + 1))
        echo "CREATE TABLE t$i (id INT PRIMARY KEY, v INT) SELECT seq AS id,
            seq * $i AS v FROM seq_1_to_20;
            ALTER TABLE t$i ADD COLUMN w VARCHAR(20) DEFAULT 'new$i' FIRST,
                ADD KEY (v);
            UPDATE t$i SET w = CONCAT(v, '!') WHERE id % 2;
            RENAME TABLE t$i TO u$i;
            ALTER TABLE giro COMMENT = 'changed $i times';
            ALTER TABLE heap_of_notes ADD COLUMN c$i INT DEFAULT $i;
            ALTER TABLE heap_of_notes DROP COLUMN c$i;
            CREATE OR REPLACE VIEW newest AS SELECT id, w FROM u$i;
            TRUNCATE TABLE u$((i - 1));
            DROP TABLE IF EXISTS u$((i - 3));
            DO SLEEP(0.05);"
    done
}

source_server
# A read lock and row locks can wait for each other: not for long.
sql "$SRC" "SET GLOBAL innodb_lock_wait_timeout = 2"
shop_schema | mysql_client --socket="$SRC"
shop_rows 2000 | mysql_client --socket="$SRC"
bank | mysql_client --socket="$SRC"
set_up
stream_start --segment-size 256K
for i in 1 2 3; do
    write_as shop_customer $i
done
write_as transfers
write_as definitions

# moment_by_time N: the clients rest over the beginning of a second, which is
# the cutoff.
moment_by_time()
{
    writers_pause
    cutoff[$1]="--until @$(wait_second "$SRC")"
    truth "$SRC" "$T/truth$1"
    last[$1]=$(position)
    writers_resume
}

# moment_by_gtid N OPTION: nobody rests; a read lock stands while the truth is
# taken, and the position is the server's.
moment_by_gtid()
{
    local gtid try lock
    # Beside DDL the server may refuse the lock as a deadlock.
    for try in 1 2 3 4 5; do
        read_lock && break
        [ $try != 5 ] || fail "there is no read lock to be had"
    done
    truth "$SRC" "$T/truth$1"
    sleep 1
    [ "$(position)" = "$gtid" ] || fail "the read lock does not hold"
    last[$1]=$gtid
    eval "exec ${LOCK[1]}>&-"
    wait "$lock" || true
    case $2 in
    --until-gtid) cutoff[$1]="--until-gtid $gtid" ;;
    --before-gtid)
        cutoff[$1]="--before-gtid ${gtid%-*}-$((${gtid##*-} + 1))" ;;
    esac
}

# In a session of its own; gives gtid and lock.
read_lock()
{
    coproc LOCK { exec mariadb --no-defaults --user=root --socket="$SRC" -N -B \
        --unbuffered; }
    echo "FLUSH TABLES WITH READ LOCK; SELECT @@gtid_binlog_pos;" \
        >&"${LOCK[1]}"
    lock=$LOCK_PID
    read -r gtid <&"${LOCK[0]}" && [ -n "$gtid" ]
}

declare -A cutoff last
sleep 1
pitr backup >"$T/backup.out" 2>&1 || { cat "$T/backup.out"; fail backup; }
sleep 0.5
moment_by_time 1
sleep 1
moment_by_gtid 2 --until-gtid
sleep 1
moment_by_time 3
say "a second backup, between the moments"
pitr backup >"$T/backup.out" 2>&1 || { cat "$T/backup.out"; fail backup; }
sleep 0.5
moment_by_gtid 4 --before-gtid
sql "$SRC" "FLUSH BINARY LOGS"
sleep 1
moment_by_time 5
sleep 0.5
writers_stop
streamed

for n in 1 2 3 4 5; do
    say "moment $n: ${cutoff[$n]}, after ${last[$n]}"
    # shellcheck disable=SC2086
    restore_to "r$n" ${cutoff[$n]}
    grep -E '^(replayed|last)' "$T/r$n.out" | tail -2
    truth "$OUT" "$T/restored$n"
    same "$T/truth$n" "$T/restored$n"
    grep -q "last transaction in: .*${last[$n]} " "$T/r$n.out" ||
        fail "the last transaction is not ${last[$n]}"
    # What the shop's own rules say: no half transaction.
    [ "$(sql "$OUT" "SELECT (SELECT SUM(amount) FROM bank.giro) +
        (SELECT SUM(amount) FROM bank.savings)")" = 128000000 ] ||
        fail "money was made or lost"
    sandbox_stop "$T/r$n"
done
say "the moments differ"
for n in 2 3 4 5; do
    ! cmp -s "$T/truth1.rows" "$T/truth$n.rows" || fail "moment $n is moment 1"
done
# By the first backup as well, over the second one.
first=$(backups | head -1)
# shellcheck disable=SC2086
restore_to again ${cutoff[5]} --backup "$first"
truth "$OUT" "$T/again"
same "$T/truth5" "$T/again"
stream_stop
[ "$STREAM_RC" = 0 ] || fail "stream: exit code $STREAM_RC"
