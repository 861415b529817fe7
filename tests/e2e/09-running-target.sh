#!/bin/bash
# Into a running server that is in use for something else: its settings, its own
# schemas and accounts and its own replication stay as they were; the restored
# part is right; afterwards it goes on as a primary whose GTIDs continue.
. "$(dirname "$0")/lib.sh"

source_server
shop_schema | mysql_client --socket="$SRC"
shop_rows 2000 | mysql_client --socket="$SRC"
sql "$SRC" "USE shop; CREATE TABLE heap (id INT PRIMARY KEY, v CHAR(99)) ENGINE=MEMORY;
    INSERT INTO heap SELECT seq, MD5(seq) FROM seq_1_to_1000;
    CREATE TABLE gone (a INT); CREATE VIEW broken AS SELECT a FROM gone;
    DROP TABLE gone; SET GLOBAL log_bin_trust_function_creators = ON;
    CREATE FUNCTION unsafe() RETURNS INT MODIFIES SQL DATA RETURN 1"
set_up
stream_start
write_as shop_customer 1
sleep 0.5
pitr backup
sleep 1
sql "$SRC" "USE shop; CREATE FUNCTION unsafe_too() RETURNS INT MODIFIES SQL DATA
    RETURN 2; INSERT INTO heap SELECT seq, MD5(seq) FROM seq_1001_to_2000"
writers_pause
cutoff=$(wait_second "$SRC")
truth "$SRC" "$T/truth"
last=$(position)
writers_resume
sleep 1
writers_stop
streamed

server_init "$T/target"
# The same clock as the source since 1996, but not before.
TZ=Europe/Madrid server_start "$T/target" --server-id=50 --log-bin=mine --event-scheduler=ON \
    --max-heap-table-size=16K --lc-messages=de_DE \
    --sync-binlog=1 --innodb-flush-log-at-trx-commit=1 --gtid-strict-mode=OFF
TARGET=$T/target/sock
sql "$TARGET" "CREATE DATABASE other; CREATE TABLE other.t (id INT PRIMARY KEY);
    INSERT INTO other.t VALUES (1), (2);
    CREATE USER admin@localhost IDENTIFIED BY 'a';
    GRANT ALL ON *.* TO admin@localhost WITH GRANT OPTION;
    GRANT PROXY ON ''@'%' TO admin@localhost WITH GRANT OPTION"
(umask 077 && echo a >"$T/admin-password")
settings()
{
    # What goes by itself is left out.
    sql "$TARGET" "SHOW GLOBAL VARIABLES" |
        grep -viE '^(gtid_|last_|timestamp|rand_seed|innodb_buffer_pool_load|identity|pseudo_|insert_id|error_count|warning_count)'
}
settings >"$T/before"

say "a dry run changes nothing and names the boundary"
position "$TARGET" >"$T/position"
pitr restore --dry-run --until "@$cutoff" --secret-key "$T/key" >"$T/dry"
cat "$T/dry"
grep -q "last transaction in: .*$last " "$T/dry" || fail "the plan's boundary"
[ "$(position "$TARGET")" = "$(cat "$T/position")" ] || fail "it was changed"

say "restore; another one, while that is at work, takes it for no leftover"
into_target=(restore --config "$T/pitr.conf" --until "@$cutoff" --secret-key
    "$T/key" --socket "$TARGET" --user admin --password-file
    "$T/admin-password")
"$PITR" "${into_target[@]}" >"$T/first" 2>&1 &
first=$!
children+=("$first")
is_at_work()
{
    [ "$(sql "$TARGET" "SELECT COUNT(*) FROM information_schema.schemata
        WHERE schema_name LIKE '%pitr%'")" = 1 ]
}
wait_until 20 is_at_work || fail "the restore does not begin"
kill -STOP "$first"
expect_exit 11 "$PITR" "${into_target[@]}"
said "another restore into it is at work" "KILL [0-9]+"
kill -CONT "$first"
rc=0
wait "$first" || rc=$?
mv "$T/first" "$T/said"
cat "$T/said"
[ $rc = 3 ] || fail "exit code $rc of the restore"
said "its own time zone .* is not the source's"
[ "$(sql "$TARGET" "SELECT SUM(id) FROM other.t")" = 3 ] ||
    fail "the other schema was touched"
settings >"$T/after"
diff "$T/before" "$T/after" || fail "settings were not put back"
[ -z "$(sql "$TARGET" "SHOW ALL SLAVES STATUS")" ] ||
    fail "a replication connection was left"
[ "$(sql "$TARGET" "SELECT COUNT(*) FROM information_schema.processlist
    WHERE user = 'system user'")" = 0 ] || fail "an applier was left"
! ls "$T/target/data" | grep -iE 'relay|pitr|master-.*info' ||
    fail "files of the replication were left"
mariadb --no-defaults --socket="$TARGET" --user=admin --password=a \
    -e "DROP DATABASE other; DROP USER admin@localhost"
truth "$TARGET" "$T/restored"
same "$T/truth" "$T/restored"

say "it goes on as a primary: its GTIDs come after the last one restored"
sql "$TARGET" "DELETE FROM shop.payments LIMIT 1"
now=$(position "$TARGET")
case $now in
*0-50-*) ;;
*) fail "the target's own GTID is not in its position: $now" ;;
esac
seq=$(tr ',' '\n' <<<"$now" | grep '^0-50-' | cut -d- -f3)
[ "$seq" -gt "${last##*-}" ] || fail "GTIDs do not continue: $now after $last"

say "and can be backed up and streamed itself, into a repository of its own"
sed "s|$SRC|$TARGET|; s|$REPO|$T/repo2|; s|/signing.key|/signing2.key|" \
    "$T/pitr.conf" >"$T/pitr2.conf"
"$PITR" init --config "$T/pitr2.conf" --recipient-file "$T/key.pub" >/dev/null
"$PITR" stream --config "$T/pitr2.conf" --once
"$PITR" backup --config "$T/pitr2.conf"

say "a replica of another server, and a server without room for it, are refused"
sql "$TARGET" "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1,
    MASTER_USER='x'; START SLAVE"
expect_exit 1 pitr restore --secret-key "$T/key" --socket "$TARGET" --user root
said "replica"
sql "$TARGET" "STOP SLAVE; RESET SLAVE ALL"
expect_exit 1 pitr restore --secret-key "$T/key" --socket "$TARGET" --user root
said "shop"
stream_stop
