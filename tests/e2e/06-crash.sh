#!/bin/bash
# kill -9 of the stream, of a backup, of a restore, at any moment: no lock is
# left, nothing half written counts, the next run goes on, and what is restored
# in the end is right.  Only one works at a time.
. "$(dirname "$0")/lib.sh"

source_server
shop_schema | mysql_client --socket="$SRC"
shop_rows 20000 | mysql_client --socket="$SRC"
set_up
write_as shop_customer 1
write_as shop_customer 2

# killed_after SECONDS COMMAND...: in the background, killed unless it was done.
killed_after()
{
    local after=$1 pid
    shift
    "$@" >"$T/killed.out" 2>&1 &
    pid=$!
    children+=("$pid")
    sleep "$after"
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}
program=("$PITR")
conf=(--config "$T/pitr.conf")

say "two at once: the second is told"
stream_start
expect_exit 11 pitr stream --once
said "stream" "held by process $STREAM"

say "the stream is killed again and again"
for i in 1 2 3 4 5 6; do
    sleep 0.$((i * 13 % 10))
    kill -KILL "$STREAM"
    wait "$STREAM" 2>/dev/null || true
    stream_start
done
# The server takes a while to see that a killed replica is gone; the last
# stream has to be at work all the same.
streamed

say "backups are killed at several moments, then one is let through"
for after in 0.05 0.1 0.2 0.3; do
    killed_after $after "${program[@]}" backup "${conf[@]}"
done
sleep 0.3
whole=$(backups | wc -l)
pitr backup --lock-wait 10s >"$T/backup.out" 2>&1 ||
    { cat "$T/backup.out"; fail "backup after kills"; }
[ "$(backups | wc -l)" = $((whole + 1)) ] || fail "the backup is not listed"
# No lock outlives a killed backup: writers and DDL go on.
timeout 10 mariadb --no-defaults --user=root --socket="$SRC" \
    -e "CREATE TABLE shop.after_kills (id INT)" || fail "DDL is still locked out"

sleep 0.5
writers_pause
cutoff=$(wait_second "$SRC")
truth "$SRC" "$T/truth"
writers_resume
sleep 1.2
writers_stop
streamed

say "a restore is killed at several moments; started again, it ends right"
server_init "$T/target"
server_start "$T/target" --server-id=77 --log-bin=other
TARGET=$T/target/sock
into=(restore "${conf[@]}" --secret-key "$T/key" --until "@$cutoff"
    --socket "$TARGET" --user root)
# What a restore changes for its time, as it is before any.
settings()
{
    sql "$TARGET" "SELECT @@global.server_id, @@global.gtid_strict_mode,
        @@global.slave_run_triggers_for_rbr, @@global.sync_relay_log,
        @@global.slave_max_allowed_packet, @@global.slave_net_timeout,
        @@global.event_scheduler,
        @@global.innodb_flush_log_at_trx_commit, @@global.max_allowed_packet"
}
is_replaying()
{
    [ "$(sql "$TARGET" "SELECT @@global.server_id")" != 77 ]
}
settings >"$T/settings"
for after in 0.3 0.6 0.9; do
    killed_after $after "${program[@]}" "${into[@]}"
    ! grep -q '^done in' "$T/killed.out" || break
done
# And while it replays.
"$PITR" "${into[@]}" >"$T/killed.out" 2>&1 &
pid=$!
children+=("$pid")
wait_until 30 is_replaying || fail "the target's server_id was never changed"
kill -KILL "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
if grep -q '^done in' "$T/killed.out"; then
    say "(it was too fast for the last)"
else
    "$PITR" "${into[@]}" >"$T/again.out" 2>&1 || {
        cat "$T/again.out"
        fail "the restore after kills"
    }
fi 2>/dev/null
truth "$TARGET" "$T/restored"
same "$T/truth" "$T/restored"
settings | diff "$T/settings" - ||
    fail "settings of the target are not what they were before the kills"
[ -z "$(sql "$TARGET" "SHOW ALL SLAVES STATUS")" ] ||
    fail "a replication connection was left"
stream_stop
[ "$STREAM_RC" = 0 ] || [ "$STREAM_RC" = 3 ] || fail "stream: $STREAM_RC"
