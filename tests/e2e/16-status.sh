#!/bin/bash
# status: what is wrong is seen at once, in the exit code and in every form: no
# stream, no backup, a stream that was killed, a server that is gone or has
# fallen back to asynchronous, a vault that is away, a backup that shrank, a gap,
# a log that was damaged; and that nothing is wrong.
. "$(dirname "$0")/lib.sh"

. "$(dirname "$0")/vault.sh"

# finds CODE...: exactly these findings.
finds()
{
    pitr status --json >"$T/status.json" 2>"$T/status.err" || true
    grep -oE '"code": *"[a-z_]*"' "$T/status.json" | cut -d'"' -f4 |
        sort -u >"$T/found" || true
    printf '%s\n' "$@" | sed '/^$/d' | sort -u | cmp -s - "$T/found" || return 1
}
# found WITHIN-SECONDS CODE...: soon.
found()
{
    local within=$1
    shift
    wait_until "$within" finds "$@" || {
        cat "$T/status.json" "$T/status.err"
        fail "status did not find: $*"
    }
}
metric()
{
    grep -E "^pitr_$1[{ ]" "$T/pitr.prom" | sed 's/.* //'
}

dump_thread()
{
    sql "$SRC" "SELECT MAX(id) FROM information_schema.processlist
        WHERE command = 'Binlog Dump'"
}
waits_alone()
{
    [ "$(sql "$SRC" "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
        WHERE VARIABLE_NAME = 'Rpl_semi_sync_master_wait_sessions'")" = 1 ]
}

vault_up
source_server --rpl-semi-sync-master-wait-point=AFTER_SYNC \
    --rpl-semi-sync-master-timeout=800
sql "$SRC" "CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY);
    INSERT INTO t SELECT seq FROM seq_1_to_500"
set_up "vault = $URL" "${ssh_keys[@]}" "acknowledge = vault" "retry = 1s" \
    "max_lag = 40s"

say "nothing yet"
expect_exit 1 pitr status
said "no backup" "no stream" "nothing was shipped"
finds no_backup no_stream vault_never || fail "an empty repository"

say "all is fine, in every form"
pitr backup >/dev/null
stream_start
found 20 semisync_off
# Switched on later, the stream becomes a replica that acknowledges.
sql "$SRC" "SET GLOBAL rpl_semi_sync_master_enabled = ON"
wait_until 10 grep -q "semisync_on 1" "$REPO/.state-stream"
sql "$SRC" "INSERT INTO d.t VALUES (1000)"
found 20
pitr check >"$T/said" 2>&1 || true
said "ok .*wait_point=AFTER_SYNC" "ok .*waits for pitr alone" \
    "ok .*append-only" "ok .*reached, and it is this" \
    "ok .*are left there, and what is written is synced" \
    "ok .*the marker was there after"
expect_exit 0 pitr status --metrics-file "$T/pitr.prom"
said "^src: fine" "backup .*500 rows" "stream .*connected" \
    "semi-sync .*waits for it" "vault .*up to date" "head .*\." "GTID 0-1-"
[ "$(metric status_code)" = 0 ] && [ "$(metric stream_connected)" = 1 ] &&
    [ "$(metric semisync_acknowledging)" = 1 ] &&
    [ "$(metric vault_connected)" = 1 ] && [ "$(metric backup_rows)" = 500 ] ||
    fail "the metrics are not right: $(cat "$T/pitr.prom")"
[ "$(stat -c %a "$T/pitr.prom")" = 644 ] || fail "the file's mode"
# Each line is a comment or a sample; each family is there once.
! grep -vE '^(# (HELP|TYPE) pitr_[a-z_]+ .*|pitr_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")?\})? [0-9.]+)$' \
    "$T/pitr.prom" || fail "not what Prometheus reads"
[ -z "$(grep '^# TYPE' "$T/pitr.prom" | sort | uniq -d)" ] || fail "twice"
expect_exit 0 pitr status --zabbix
said '^- pitr\.code\[src\] 0$' '^- pitr\.backup\.time\.age\[src\] [0-9]+$' \
    '^- pitr\.vault\.connected\[src,sftp://.*\] 1$' '^- pitr\.text\[src\] ""$'
# The vault, where it lies: no stream is to be seen, and none is missed.
expect_exit 0 "$PITR" status --config "$T/pitr.conf" --repository "$URL"
expect_exit 2 pitr status --json --zabbix

say "several servers: the file of all, which a look at one leaves alone"
{
    echo "metrics_file = $T/all.prom"
    cat "$T/pitr.conf"
    printf '[%s]\nrepository = %s\n' 'the "other", too' "$T/none"
} >"$T/two.conf"
two()
{
    "$PITR" status --config "$T/two.conf" "$@"
}
expect_exit 0 two --server src --quiet
[ ! -s "$T/said" ] || fail "all is well, and it says: $(cat "$T/said")"
[ ! -e "$T/all.prom" ] || fail "a file of all servers has one"
expect_exit 10 two --quiet
said "cannot open repository"
! grep -q "^src" "$T/said" || fail "what is well is told with --quiet"
for m in status_timestamp_seconds status_code up; do
    [ "$(grep -c "^pitr_$m{server=" "$T/all.prom")" = 2 ] ||
        fail "$m of both servers: $(cat "$T/all.prom")"
done
expect_exit 10 two --zabbix
said '^- pitr\.code\[src\] 0$' \
    '^- "pitr\.code\[\\"the \\\\\\"other\\\\\\", too\\"\]" 10$'
expect_exit 3 pitr status --metrics-file "$T/none/pitr.prom"
said "^src: fine" "cannot write"

say "the vault goes away"
vault_down
sql "$SRC" "INSERT INTO d.t VALUES (1010)"
found 20 vault_away semisync_off
expect_exit 3 pitr status
said "vault .*NOT connected" "last failure" "ASYNCHRONOUS"
vault_up
# What it did not wait for is acknowledged late, and the next one in time.
sql "$SRC" "INSERT INTO d.t VALUES (1011)"
found 20

say "a commit that the vault has only after its connection was lost"
sql "$SRC" "SET GLOBAL rpl_semi_sync_master_timeout = 60000"
vault_down
begun=$SECONDS
sql "$SRC" "INSERT INTO d.t VALUES (1012)" &
waits=$!
wait_until 10 waits_alone || fail "the commit does not wait"
streamed
sql "$SRC" "KILL $(dump_thread)"
wait_until 10 grep -q "Lost connection" "$T/stream.log"
process_lives "$waits" || fail "acknowledged without the vault"
vault_up
# No other commits; it does not wait for the timeout.
wait "$waits" || fail "the commit failed"
((SECONDS - begun < 30)) || fail "confirmed only after $((SECONDS - begun)) s"
sql "$SRC" "SET GLOBAL rpl_semi_sync_master_timeout = 800"
found 20

say "the stream stands still: the server falls back, and it is seen"
kill -STOP "$STREAM"
sql "$SRC" "INSERT INTO d.t VALUES (1001)"
kill -CONT "$STREAM"
grep -q "semisync_on" "$REPO/.state-stream" || fail "no state of the stream"
wait_until 20 grep -q "does not wait for ack" "$T/stream.log" ||
    fail "the stream has not seen it"
# The next commit that is acknowledged brings it back.
sql "$SRC" "INSERT INTO d.t VALUES (1002)"
found 20
say "the server is gone"
server_stop "$T/src" KILL
found 20 stream_interrupted
expect_exit 3 pitr status
said "interrupted for"
server_start "$T/src"
sql "$SRC" "SET GLOBAL rpl_semi_sync_master_enabled = ON"
found 20

say "a backup that is smaller than the one before, and one that was killed"
sql "$SRC" "DELETE FROM d.t WHERE id > 100"
pitr backup >/dev/null
found 20 backup_shrank
pitr backup >/dev/null
found 20
mkdir "$REPO/backup/20990101T000000Z"
: >"$REPO/backup/20990101T000000Z/part-000001"
found 5 backup_failed
rm -r "$REPO/backup/20990101T000000Z"
expect_exit 1 pitr status --max-backup-age 1ms
said "newest backup is .* old"

say "the stream ends in good order, begins again, and is killed"
stream_stop
[ "$STREAM_RC" = 3 ] || fail "exit code $STREAM_RC of a stream that warned"
stream_start
kill -KILL "$STREAM"
process_end "$STREAM"
finds stream_stopped ship_stopped || fail "a killed stream"
expect_exit 1 pitr status
said "stream has stopped"
expect_exit 1 pitr check
said "no stream is running" "nobody ships there now"

say "a gap, until there is a backup again"
sql "$SRC" "INSERT INTO d.t VALUES (2000)"
sql "$SRC" "RESET MASTER"
stream_start
found 20 gap
expect_exit 13 pitr status
pitr backup >/dev/null
found 20 gap_before
stream_stop

say "damage, and no repository"
f=$(find "$REPO/binlog" -type f | sort | head -1)
printf 'x' | dd of="$f" bs=1 seek=300 conv=notrunc 2>/dev/null
expect_exit 14 pitr status
mv "$REPO" "$REPO.away"
expect_exit 10 pitr status --metrics-file "$T/pitr.prom"
[ "$(metric up)" = 0 ] && [ "$(metric status_code)" = 10 ] ||
    fail "the metrics without a repository"
mv "$REPO.away" "$REPO"
