#!/bin/bash
# Gaps: purged logs, RESET MASTER, a server put back.  The stream says so, goes
# on from what there is, and what can be restored is told right: each side of
# the gap, never across it.
. "$(dirname "$0")/lib.sh"

# row N: a transaction, and a second in which nothing else happens.
row()
{
    sql "$SRC" "INSERT INTO d.t VALUES ($1, NOW(6))"
}
rows_of()
{
    sql "$OUT" "SELECT GROUP_CONCAT(id ORDER BY id) FROM d.t"
}

source_server
sql "$SRC" "CREATE DATABASE d;
    CREATE TABLE d.t (id INT PRIMARY KEY, at TIMESTAMP(6))"
set_up
pitr stream --once
row 1
pitr backup
row 2
pitr stream --once
before=$(wait_second "$SRC")
truth "$SRC" "$T/truth-before"
row 3
pitr stream --once
wait_second "$SRC" >/dev/null

say "logs are purged while no stream runs"
row 4
sql "$SRC" "FLUSH BINARY LOGS"
row 5
sql "$SRC" "FLUSH BINARY LOGS"
row 6
last=$(sql "$SRC" "SHOW BINARY LOGS" | tail -1 | cut -f1)
# A file that the server still holds open for a replica is not purged.
purged()
{
    sql "$SRC" "PURGE BINARY LOGS TO '$last'"
    [ "$(sql "$SRC" "SHOW BINARY LOGS" | wc -l)" = 1 ]
}
wait_until 30 purged || fail "the logs cannot be purged"
expect_exit 13 pitr stream --once
said "gap" "pitr list"
expect_exit 0 pitr list
said "GAP" "purged|no longer"
grep -q '"gap"' <(pitr list --json) || fail "list --json tells of no gap"
expect_exit 0 pitr stream --once

say "before the gap everything can be restored, after it nothing yet"
restore_to r1 --until "@$before"
truth "$OUT" "$T/r1.truth"
same "$T/truth-before" "$T/r1.truth"
sandbox_stop "$T/r1"
expect_exit 13 pitr restore --secret-key "$T/key" --sandbox "$T/no" \
    --until-gtid "$(position)"
[ ! -e "$T/no" ] || fail "a refused restore has made its sandbox"
# The newest that there is: up to the gap, with a warning.
expect_exit 3 pitr restore --secret-key "$T/key" --sandbox "$T/r2"
said "gap"
OUT=$(sandbox_socket "$T/r2")
[ "$(rows_of)" = 1,2,3 ] || fail "newest before the gap: $(rows_of)"
sandbox_stop "$T/r2"

say "a backup begins a new window"
pitr backup
row 7
pitr stream --once
wait_second "$SRC" >/dev/null
restore_to r3
[ "$(rows_of)" = 1,2,3,4,5,6,7 ] || fail "after the gap: $(rows_of)"
sandbox_stop "$T/r3"
restore_to r4 --until "@$before"
truth "$OUT" "$T/r4.truth"
same "$T/truth-before" "$T/r4.truth"
sandbox_stop "$T/r4"

say "RESET MASTER, with GTIDs that begin again, under a running stream"
stream_start
row 8
streamed
sql "$SRC" "RESET MASTER"
for i in 9 10 11 12; do row $i; done
wait_until 60 eval '[ "$(pitr list --json | grep -o "\"gap\"" | wc -l)" -ge 2 ]' ||
    { pitr list; cat "$T/stream.log"; fail "RESET MASTER was not noticed"; }
pitr backup
row 13
streamed
stream_stop
[ "$STREAM_RC" = 3 ] || fail "a stream that saw a gap: exit code $STREAM_RC"
restore_to r5
[ "$(rows_of)" = 1,2,3,4,5,6,7,8,9,10,11,12,13 ] ||
    fail "after RESET MASTER: $(rows_of)"
sandbox_stop "$T/r5"
pitr list
[ "$(pitr list | grep -c GAP)" = 2 ] || fail "there are not two gaps"

say "a transaction whose clock is ahead ends its domain, which is said"
row 14
sql "$SRC" "SET timestamp = UNIX_TIMESTAMP() + 86400;
    INSERT INTO d.t VALUES (15, NULL)"
row 16
cutoff=$(wait_second "$SRC")
pitr stream --once
expect_exit 3 pitr restore --dry-run --secret-key "$T/key" --until "@$cutoff"
said "1 transactions of before that moment" "until-gtid"
expect_exit 13 pitr restore --dry-run --secret-key "$T/key" \
    --until "@$((cutoff + 600))"
said "outside of what backups and log cover"
expect_exit 0 pitr restore --dry-run --secret-key "$T/key" \
    --until-gtid "$(position)"
