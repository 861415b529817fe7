#!/bin/bash
# Backups under fire: money goes back and forth between InnoDB, MyISAM and Aria
# tables, definitions and accounts change all the time, transactions stay open
# and idle, connections of the backup are killed.  Each backup is of one instant,
# at which no money is missing, or fails and says why; restored to its own place
# in the log, and from there on to the end, it is what the server says.
#
# Writers record each statement that took long: by the backup none is held up for
# longer than lock_wait, and tables without transactions for as long as they are
# read in addition, which the backup tells.
. "$(dirname "$0")/lib.sh"
LOCK_WAIT=2000 # ms, what --lock-wait is by default
NOISE=1000     # ms, of a busy machine
rounds=1
[ -z "${PITR_LONG:-}" ] || rounds=12
[ -z "${PITR_SLOW:-}" ] || NOISE=4000
RANDOM=20221114

bank()
{
    local t
    echo "CREATE DATABASE m; USE m; CREATE DATABASE d; CREATE USER visitor;
        CREATE TABLE stall (who VARCHAR(20), us BIGINT,
            at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6));"
    for t in "a InnoDB" "b MyISAM" "c Aria" "d InnoDB" "l InnoDB"; do
        echo "CREATE TABLE ${t% *} (id INT PRIMARY KEY, amount BIGINT NOT NULL)
            ENGINE=${t#* };
            INSERT INTO ${t% *} SELECT seq, 1000000 FROM seq_0_to_15;"
    done
    echo "CREATE TABLE big (id INT PRIMARY KEY, t TEXT) ENGINE=MyISAM;
        INSERT INTO big SELECT seq, REPEAT(MD5(seq), 10) FROM seq_1_to_20000;
        CREATE TABLE open_ (id INT PRIMARY KEY, n INT);
        INSERT INTO open_ SELECT seq, 0 FROM seq_1_to_9;
        CREATE TABLE d.t (v INT, KEY (v));
        CREATE TABLE d.u (id INT PRIMARY KEY, v INT);"
}
SUM="(SELECT SUM(amount) FROM m.a) + (SELECT SUM(amount) FROM m.b) +
    (SELECT SUM(amount) FROM m.c) + (SELECT SUM(amount) FROM m.d) +
    (SELECT SUM(amount) FROM m.l)"

# repeat NAME STATEMENTS: without end, and what took longer than 20 ms is
# recorded.  @n and @id are other numbers each time.
repeat()
{
    local i=0
    echo "USE m; SET @t = SYSDATE(6), @n = 0;"
    while :; do
        i=$((i + 1))
        echo "SET @n = $i, @id = $((i * 7 % 16)); $2
            SET @d = TIMESTAMPDIFF(MICROSECOND, @t, SYSDATE(6));
            INSERT INTO stall (who, us) SELECT '$1', @d FROM DUAL
                WHERE @d > 20000;
            DO SLEEP(0.001); SET @t = SYSDATE(6);"
    done
}
locked()
{
    repeat "LOCK TABLES" "LOCK TABLES l WRITE, b WRITE;
        UPDATE l SET amount = amount - @n WHERE id = @id;
        UPDATE b SET amount = amount + @n WHERE id = @id; UNLOCK TABLES;"
}
joined()
{
    repeat "several tables" "UPDATE a JOIN c USING (id)
        SET a.amount = a.amount - @n, c.amount = c.amount + @n
        WHERE id = @id;"
}
committed()
{
    repeat "InnoDB" "BEGIN;
        UPDATE a SET amount = amount - @n WHERE id = @id;
        UPDATE d SET amount = amount + @n WHERE id = @id; COMMIT;"
}
rows()
{
    repeat "altered table" "INSERT INTO d.t (v) VALUES (@n), (@n);
        DELETE FROM d.t WHERE v < @n - 200; INSERT INTO d.u VALUES (@n, @n);"
}
changes()
{
    local i=0
    echo "USE d;"
    while :; do
        i=$((i + 1))
        echo "ALTER TABLE t ADD COLUMN c$i INT DEFAULT $i;
            ALTER TABLE t DROP COLUMN c$i; DO SLEEP(0.03);
            CREATE TABLE n$i (id INT) ENGINE=Aria; TRUNCATE TABLE n$((i - 1));
            RENAME TABLE n$i TO o$i; DROP TABLE o$((i - 2));
            CREATE OR REPLACE VIEW v AS SELECT v, $i AS i FROM t;"
    done
}
grants()
{
    while :; do
        echo "GRANT SELECT ON d.* TO visitor; REVOKE SELECT ON d.* FROM visitor;"
    done
}
# Open until the client goes: one that reads, one that writes.
idle()
{
    echo "BEGIN; $1"
    while sleep 0.5; do
        echo
    done
}

# What held up whom since the time $1, in ms; the worst in `worst`.
#
# LOCK TABLES ... WRITE waits for whoever has read the InnoDB table in a
# transaction that is still open, as a backup's is until its end.
stalls()
{
    local who ms
    sleep 0.3
    worst=0
    while IFS=$'\t' read -r who ms; do
        echo "    $who: $ms ms"
        case $who in
        "LOCK TABLES") ((ms < LOCK_WAIT + took + NOISE)) ||
            fail "LOCK TABLES stood still for $ms ms" ;;
        InnoDB) ((ms < LOCK_WAIT + NOISE)) ||
            fail "an InnoDB writer stood still for $ms ms" ;;
        *) ((ms < LOCK_WAIT + told + NOISE)) ||
            fail "$who: stood still for $ms ms" ;;
        esac
        ((ms <= worst)) || worst=$ms
    done < <(sql "$SRC" "SELECT who, MAX(us) DIV 1000 FROM m.stall
        WHERE at > '$1' GROUP BY who ORDER BY who")
}

# For how long the backup says that it locked tables, in ms.
locked_for()
{
    local text
    text=$(sed -n 's/.*locked for writing for \([0-9.]*\)s.*/\1/p' \
        "$T/backup.out")
    awk -v s="${text:-0}" 'BEGIN { print int(s * 1000) }'
}

whole=0 failed=0 longest=0 list=()
# round TEXT [CODE...]: a backup, which ends with one of these exit codes.
round()
{
    local rc=0 since told worst took=$EPOCHREALTIME
    since=$(sql "$SRC" "SELECT NOW(6)")
    timeout -s KILL 60 "$PITR" backup --config "$T/pitr.conf" \
        >"$T/backup.out" 2>&1 || rc=$?
    took=$(((${EPOCHREALTIME/./} - ${took/./}) / 1000))
    told=$(locked_for)
    echo "$1: exit code $rc after $took ms, tables locked for $told ms;" \
        "held up at the longest:"
    [[ " ${*:2} " == *" $rc "* ]] || {
        sql "$SRC" "SHOW FULL PROCESSLIST"
        cat "$T/backup.out"
        fail "$1: exit code $rc"
    }
    if [ $rc = 0 ]; then
        whole=$((whole + 1))
        list+=("$(backups | tail -1)")
    else
        failed=$((failed + 1))
        grep '^pitr: ' "$T/backup.out" | head -1 | cut -c1-150
        grep -qiE 'changed|created|lock|lost|gone|killed|quiet' \
            "$T/backup.out" ||
            { cat "$T/backup.out"; fail "$1: without a reason"; }
        [ "$(backups | wc -l)" = $whole ] || fail "$1: it is listed"
    fi
    stalls "$since"
    ((worst <= longest)) || longest=$worst
}

# Kill some connection of the backup, once it has several.
killer()
{
    local i id
    for ((i = 0; i < 200; i++)); do
        id=$(sql "$SRC" "SELECT id FROM information_schema.processlist
            WHERE user = 'pitr' ORDER BY RAND($1) LIMIT 1 OFFSET 3")
        [ -z "$id" ] || break
        sleep 0.02
    done
    sleep "0.$(($1 % 4))"
    sql "$SRC" "KILL $id" || true
}

source_server --innodb-lock-wait-timeout=2 --aria-log-file-size=8M
bank | mysql_client --socket="$SRC"
set_up
pitr stream --once
for w in locked joined committed rows; do
    write_as $w
done
sleep 0.5
round "writers" 0
write_as idle "SELECT * FROM m.open_; SELECT COUNT(*) FROM m.d;"
write_as idle "UPDATE m.open_ SET n = n + 1; INSERT INTO m.d VALUES (99, 0);"
round "and idle transactions" 0
write_as changes
write_as grants
for ((n = 1; n <= rounds; n++)); do
    round "and DDL" 0 1
    killer $n &
    round "and a killed connection" 0 1 15
    wait $!
done
echo "$whole backups whole, $failed failed and said why;" \
    "the longest that a writer stood still: $longest ms"
writers_stop
truth "$SRC" "$T/truth"
pitr stream --once

# Each by itself, and the log from it on: the second; with PITR_LONG the first
# three, and the last.
if [ -n "${PITR_LONG:-}" ]; then
    list=("${list[@]:0:3}" "${list[-1]}")
else
    list=("${list[1]}")
fi
for id in "${list[@]}"; do
    gtid=$(pitr list --json | tr -d ' \n' |
        sed -n "s/.*\"id\":\"$id\"[^}]*\"gtid\":\"\([0-9-]*\)\".*/\1/p")
    restore_to r --backup "$id" --before-gtid "${gtid%-*}-$((${gtid##*-} + 1))"
    [ "$(sql "$OUT" "SELECT $SUM")" = 80000000 ] ||
        fail "backup $id: money was made or lost"
    sandbox_stop "$T/r"
    rm -rf "$T/r"
    restore_to r --backup "$id"
    truth "$OUT" "$T/restored"
    same "$T/truth" "$T/restored"
    sandbox_stop "$T/r"
    rm -rf "$T/r"
done
echo "at the instant of ${#list[@]} backups, and after the log, all money is" \
    "there"
