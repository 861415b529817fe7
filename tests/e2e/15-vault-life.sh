#!/bin/bash
# What is on the vault may go from here: only what was read back from there, the
# oldest first, and what is left goes on: the stream, shipping, verifying,
# restoring; what went is restored from the vault.  A local repository that is
# full holds up backups, and not the log.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vault.sh"

vault_up
source_server
shop_schema | mysql_client --socket="$SRC"
shop_rows 200 | mysql_client --socket="$SRC"
set_up "vault = $URL" "${ssh_keys[@]}" "segment_age = 1s" "keep = 7d" \
    "keep_local = 1s" "minimum = 1"

# round N: a backup between two changes; each has a segment of its own.
round()
{
    sql "$SRC" "UPDATE shop.customers SET city = 'before $1' WHERE id < 9"
    pitr stream --once >/dev/null 2>&1
    pitr backup >/dev/null
    sql "$SRC" "UPDATE shop.customers SET city = 'after $1' WHERE id < 9"
    pitr stream --once >/dev/null 2>&1
    sleep 1.1
}
round 1
first=$(position)
truth "$SRC" "$T/truth1"
round 2
round 3
third=$(position)
mapfile -t ids < <(backups)
[ ${#ids[@]} = 3 ] || fail "${#ids[@]} backups instead of 3"

say "nothing goes that is not confirmed, and it is said why"
mv "$V/vault/binlog" "$V/binlog"
mv "$V/vault/backup/${ids[0]}/schema" "$V/schema"
expect_exit 0 pitr expire --dry-run
said "keep +backup ${ids[0]}.*would go, but schema is not on $URL" \
    "keep +log.*would go, but binlog/.* is not on"
mv "$V/binlog" "$V/vault/binlog"
mv "$V/schema" "$V/vault/backup/${ids[0]}/schema"
expect_exit 0 pitr expire --dry-run
said "would remove +backup ${ids[0]}.*older than 1 s here, and every vault" \
    "keep +backup ${ids[1]}.*what can be restored begins with it" \
    "would remove +log"
mv "$REPO"/.confirmed-* "$T/confirmed"
expect_exit 0 pitr expire --dry-run
said "keep +backup ${ids[0]}.*is not confirmed yet on" "would remove 0 of 3 "
expect_exit 2 "$PITR" expire --config <(grep -v ^vault "$T/pitr.conf")
said "keep_local is for a repository that has a vault"

say "what has other bytes there is seen in status, until it has not"
spoiled=$V/vault/backup/${ids[0]}/part-000001
cp -p "$spoiled" "$T/part"
printf 'spoiled' | dd of="$spoiled" bs=1 seek=$(($(stat -c %s "$spoiled") / 2)) \
    conv=notrunc status=none
expect_exit 14 pitr ship --once
expect_exit 14 pitr status
said "1 object is there with other bytes than here: .*part-000001"
mv -f "$T/part" "$spoiled"
pitr ship --once >/dev/null
pitr status --json >"$T/said" || true
! grep -q "vault_differs" "$T/said" || fail "it is told of for ever"
rm "$REPO"/.confirmed-*

say "read back again, once; and a pin, which the vault's own expire obeys"
expect_exit 0 pitr keep "${ids[0]}"
expect_exit 0 pitr ship --once
said "read back .* objects, as here" "shipped .*1 object, 0 backups"
expect_exit 0 pitr ship --once
! grep -q "read back" "$T/said" || fail "what was confirmed is read again"

vault_expire()
{
    expect_exit 0 "$PITR" expire --repository "$V/vault" --keep 1s \
        --minimum 1 --dry-run
}
vault_expire
said "keep +backup ${ids[0]}.*pinned" "would remove 0 of 3 "
expect_exit 12 "$PITR" keep --repository "$V/vault" --remove "${ids[0]}"
# What was made there is taken back there, and not by the server.
expect_exit 0 "$PITR" keep --repository "$V/vault" "${ids[0]}"
said "is pinned"
expect_exit 0 pitr keep --remove "${ids[0]}"
pitr ship --once >/dev/null 2>&1
sleep 1.1
vault_expire
said "keep +backup ${ids[0]}.*: pinned$"
expect_exit 0 "$PITR" keep --repository "$V/vault" --remove "${ids[0]}"
# What the server takes back counts as long after as the vault keeps.
vault_expire
said "would remove +backup ${ids[0]}" "would remove 1 of 3 "
# The clock of files is read in whole seconds.
touch -d '+1 second' "$V/vault/pin/"*
expect_exit 0 "$PITR" expire --repository "$V/vault" --keep 1s --dry-run \
    --minimum 1 --json
said '"why": *"pinned: its server has taken that back'
sleep 2.1
vault_expire
said "would remove +backup ${ids[0]}" "would remove 1 of 3 "

say "a full spool: the log goes on, the backup waits, and fails in time"
holds()
{
    find "$REPO" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }'
}
# full WAIT [LINE]: a configuration in which the repository is full.
full()
{
    grep -v ^keep_local "$T/pitr.conf"
    printf '%s\n' "spool_limit = $(holds)" "spool_wait = $1" "${@:2}"
}
full 1s >"$T/full.conf"
expect_exit 1 "$PITR" backup --config "$T/full.conf"
said "spool_limit is .*the backup waits" "no room was made for 1.0s" "dry-run"
[ "$(backups | wc -l)" = 3 ] || fail "there are other backups than three"
sql "$SRC" "UPDATE shop.customers SET city = 'full' WHERE id < 9"
expect_exit 3 "$PITR" stream --once --config "$T/full.conf"
said "backups wait; the log goes on"
streamed

say "who keeps it from making room is named"
full 1s "keep_local = 1s" >"$T/full.conf"
echo "4711 (restore)" >"$REPO/.lock-expire"
exec {lock}<"$REPO/.lock-expire"
flock --shared "$lock"
expect_exit 1 "$PITR" backup --config "$T/full.conf"
said "no room was made for 1.0s: .*held by process 4711 .restore" "spool_wait"
exec {lock}<&-

say "with keep_local it lets go what every vault has"
full 30s "keep_local = 1s" >"$T/full.conf"
expect_exit 3 "$PITR" backup --config "$T/full.conf"
said "the backup waits" "were removed here" "there is room again" \
    "backup 20.* tables"
! backups | grep -q "${ids[0]}" || fail "the oldest has not gone"
ids+=("$(backups | tail -1)")

say "a disk without room for a word on what goes: other things make some"
pitr ship --once >/dev/null
if ${CC:-cc} -shared -fPIC -O1 -o "$T/fault.so" "$TOP/tests/fault/fault.c" \
    -ldl -lpthread 2>/dev/null; then
    before=$(ls "$REPO/binlog" | wc -l)
    # Here nothing does, and so it fails in the end.
    expect_exit 1 env LD_PRELOAD="${PITR_PRELOAD:+$PITR_PRELOAD:}$T/fault.so" \
        FAULT_PATH="$REPO" FAULT_AT=2 FAULT_DO=enospc \
        "$PITR" expire --config "$T/pitr.conf"
    said "No space left"
    [ "$(ls "$REPO/binlog" | wc -l)" -lt "$before" ] || fail "nothing made room"
    [ -f "$REPO/backup/${ids[1]}/manifest" ] || fail "gone, and not noted"
fi

say "what every vault has goes; keys to it only when they are there, too"
"$PITR" keygen --out "$T/second" --no-passphrase >/dev/null
expect_exit 0 pitr rewrap --secret-key "$T/key" \
    --recipient-file "$T/second.pub"
slots=$(ls "$REPO/slots" | wc -l)
expect_exit 0 pitr expire
said "removed +backup ${ids[1]}"
[ "$(backups)" = "${ids[2]}"$'\n'"${ids[3]}" ] || fail "others are left"
expect_exit 0 pitr keep "${ids[0]}"
expect_exit 10 pitr keep 20200101T000000Z
expect_exit 0 pitr list
said "2 older backups, and the log .* went from here"
expect_exit 0 pitr verify --all --secret-key "$T/key"
expect_exit 13 pitr restore --dry-run --secret-key "$T/key" \
    --until-gtid "$first"

say "the log goes on, and is shipped; nothing else is"
[ "$(ls "$REPO/slots" | wc -l)" = "$slots" ] || fail "keys are nowhere"
round 4
expect_exit 0 pitr ship --once
said "shipped .* 0 backups"
# Who endorsed the signer is not this key's owner: that is warned of.
expect_exit 3 pitr restore --dry-run --repository "$URL" --backup "${ids[1]}" \
    --until-gtid "$third" --secret-key "$T/second"
expect_exit 0 pitr verify --secret-key "$T/key"
"$PITR" list --repository "$V/vault" --json >"$T/there.json"
[ "$(grep -oE "\"id\": *\"20[^\"]*\"" "$T/there.json" | wc -l)" = 5 ] ||
    fail "the vault has not all five backups"
vault_reached "$(position)" || fail "the vault's log is behind"

say "what is still on its way to the vault is no backup that failed"
id=$(backups | tail -1)
mv "$V/vault/backup/$id/manifest" "$T/manifest"
pitr status --repository "$URL" >"$T/said" 2>&1 || true
! grep -q "not come to its end" "$T/said" || {
    cat "$T/said"
    fail "a backup that is being shipped has failed"
}
touch -d '2 days ago' "$V/vault/backup/$id/"*
pitr status --repository "$URL" >"$T/said" 2>&1 || true
said "the last backup .$id. did not come to its end"
mv "$T/manifest" "$V/vault/backup/$id/manifest"

say "what went from here is restored from the vault, what is here can be from here"
restore_to old --repository "$URL" --until-gtid "$first"
truth "$OUT" "$T/old"
same "$T/truth1" "$T/old"
expect_exit 0 pitr restore --dry-run --secret-key "$T/key"
