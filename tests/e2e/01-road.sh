#!/bin/bash
# The whole road: keys, repository, stream, a backup under load, a mistake, and
# the database as it was the second before it, in a sandbox.  The binary log is
# in the format MIXED here.
# Runs on each version.
. "$(dirname "$0")/lib.sh"

source_server --binlog-format=MIXED
shop_schema | mysql_client --socket="$SRC"
shop_rows 3000 | mysql_client --socket="$SRC"
set_up
[ "$(stat -c %a "$T/key")" = 400 ] || fail "the secret key's mode"
grep -qx 'pitr1[a-z2-7]*' "$T/key.pub" || fail "the public key's form"

say "stream and backup, while two customers buy"
stream_start
write_as shop_customer 1
write_as shop_customer 2
sleep 0.5
pitr backup >"$T/backup.out" 2>&1 || { cat "$T/backup.out"; fail backup; }
cat "$T/backup.out"
sleep 1

say "the truth, at rest, across the beginning of a second"
writers_pause
cutoff=$(wait_second "$SRC")
truth "$SRC" "$T/truth"
last=$(position)
writers_resume
sleep 0.5

say "the mistake"
sql "$SRC" "SET foreign_key_checks = 0; DELETE FROM shop.payments;
    DROP TABLE shop.order_items"
writers_stop
# The log is whole up to the cutoff once the stream has seen the server idle, or
# busy, after it.
streamed

say "restore"
restore_to then --until "@$cutoff"
cat "$T/then.out"
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"
grep -qF "$last" "$T/then.out" || fail "the last transaction is not named"
[ "$(sql "$OUT" "SELECT COUNT(*) FROM shop.payments")" -gt 0 ] ||
    fail "there are no payments"

say "newest: everything, with the mistake"
restore_to newest
truth "$SRC" "$T/now"
truth "$OUT" "$T/newest"
same "$T/now" "$T/newest"

say "the stream ends when asked to; the newest state is the same after it"
stream_stop
[ "$STREAM_RC" = 0 ] || fail "stream: exit code $STREAM_RC"
pitr list
pitr list --json >"$T/list.json"
perl -0ne 'exit !/\A\s*\{.*\}\s*\z/s' "$T/list.json" || fail "list --json"
