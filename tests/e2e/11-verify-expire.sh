#!/bin/bash
# Verifying and expiring with a real server: what is good is found good, with and
# without the key, and is not read twice; damage of every kind of object is
# named and gives exit code 14; retention removes what it said it would, obeys
# pins and what was verified, and what it leaves restores to the same rows.
. "$(dirname "$0")/lib.sh"

source_server
shop_schema | mysql_client --socket="$SRC"
shop_rows 300 | mysql_client --socket="$SRC"
set_up "segment_age = 1s" "keep = 1s"

# round N: changes, a backup, changes; each second of the log is a segment.
round()
{
    sql "$SRC" "UPDATE shop.customers SET city = 'before $1' WHERE id < 9"
    pitr stream --once >/dev/null
    pitr backup >/dev/null
    sql "$SRC" "UPDATE shop.customers SET city = 'after $1' WHERE id < 9"
    pitr stream --once >/dev/null
    sleep 1.1
}
for n in 1 2 3; do
    round $n
done
truth "$SRC" "$T/truth"
mapfile -t ids < <(backups)
[ ${#ids[@]} = 3 ] || fail "${#ids[@]} backups instead of 3"

# number KEY: of $T/said, which is JSON.
number()
{
    grep -oE "\"$1\": *[0-9]+" "$T/said" | head -1 | grep -oE '[0-9]+$'
}

say "all is good, and is not read twice"
expect_exit 0 pitr verify
said "backup ${ids[0]} +good" "log +good"
expect_exit 0 pitr verify --json
[ "$(number objects)" = 0 ] || fail "what was good is read again"
expect_exit 0 pitr verify --json --secret-key "$T/key"
rows=$(number rows)
[ "$rows" -gt 900 ] || fail "$rows rows verified"
[ "$(number transactions)" -gt 0 ] || fail "no transactions verified"
expect_exit 0 pitr verify --json --all
[ "$(number unchanged)" = 0 ] || fail "--all leaves something out"
expect_exit 12 pitr verify --secret-key "$T/signing.key"
expect_exit 14 pitr verify --signer "ed25519:$(printf 'a%.0s' {1..52})"

say "what somebody has seen while a verify reads is not withheld from that"
mkfifo "$T/slow"
exec {slow}<>"$T/slow"
dd if=/dev/zero of="$T/slow" bs=4096 count=16 oflag=nonblock status=none
rm -f "$REPO/.state-verify"
"$PITR" verify --config "$T/pitr.conf" >"$T/slow" 2>"$T/slow.log" &
verify=$!
children+=("$verify")
wait_until 20 test -e "$REPO/.state-verify" || fail "verify does not end"
sql "$SRC" "UPDATE shop.customers SET city = 'meanwhile' WHERE id < 9"
pitr stream --once >/dev/null
expect_exit 0 pitr list # and remembers that
cat "$T/slow" >/dev/null {slow}>&- &
reader=$!
rc=0
wait "$verify" || rc=$?
exec {slow}>&-
wait "$reader"
[ $rc = 0 ] || {
    cat "$T/slow.log"
    fail "exit code $rc of a verify beside a list"
}
sql "$SRC" "UPDATE shop.customers SET city = 'after 3' WHERE id < 9"
pitr stream --once >/dev/null

say "a copy, without a configuration; what is remembered is not of its bytes"
cp -a "$REPO" "$T/copy"
expect_exit 0 "$PITR" verify --repository "$T/copy" --json
[ "$(number objects)" -gt 9 ] && [ "$(number unchanged)" = 0 ] ||
    fail "of a copy, what was read elsewhere is taken for good"

# damage FILE: flips a bit in its middle.
damage()
{
    local size byte
    size=$(stat -c %s "$1")
    byte=$(od -An -tu1 -j $((size / 2)) -N1 "$1" | tr -d ' ')
    chmod u+w "$1"
    printf "\\x$(printf %02x $((byte ^ 1)))" |
        dd of="$1" bs=1 seek=$((size / 2)) conv=notrunc status=none
}

say "a broken log: what is before and after it can still be restored"
cp -r "$REPO" "$T/broken"
lost=$(cd "$T/broken" && ls binlog/* | sed -n 3p)
rm "$T/broken/$lost"
broken()
{
    local cmd=$1
    shift
    "$PITR" "$cmd" --repository "$T/broken" "$@"
}
expect_exit 14 broken list
said "BROKEN: .*missing" "backups" "what can be restored" "log is broken"
expect_exit 14 broken list --json
said '"broken": *"'
expect_exit 14 broken verify
said "DAMAGED: $lost: it is missing"
expect_exit 3 broken restore --dry-run --secret-key "$T/key"
said "backup ${ids[2]}" "the log is broken"
expect_exit 14 broken restore --dry-run --secret-key "$T/key" \
    --backup "${ids[0]}"
said "the newest state cannot be restored" "What can be restored:"

say "the segments that the newest backup needs were taken away"
for sql in "CREATE DATABASE gone" "DROP DATABASE gone"; do
    sql "$SRC" "$sql"
    pitr stream --once >/dev/null
done
cp -a "$REPO" "$T/late"
(cd "$T/late/binlog" && ls | head -n -1 | xargs rm)
expect_exit 3 "$PITR" verify --repository "$T/late" --all
said "GAP: .*does not go on from the newest backup"

say "damage is named, of each kind"
segment=$(cd "$T/copy" && ls binlog/* | sed -n 2p)
for object in "backup/${ids[0]}/manifest" "backup/${ids[1]}/schema" \
    "backup/${ids[2]}/part-000001" "$segment"; do
    damage "$T/copy/$object"
done
for key in "" "--secret-key=$T/key"; do
    expect_exit 14 "$PITR" verify --repository "$T/copy" --all $key
    for object in "backup/${ids[0]}/manifest" "backup/${ids[1]}/schema" \
        "backup/${ids[2]}/part-000001" "$segment"; do
        said "DAMAGED: $object"
    done
done
expect_exit 14 "$PITR" verify --repository "$T/copy" --json
said '"good": *false' '"kind": *"damaged"'

say "what verify found is seen in status, until it finds nothing"
part=$REPO/backup/${ids[2]}/part-000001
cp -p "$part" "$T/part"
damage "$part"
expect_exit 14 pitr verify --all --secret-key "$T/key"
expect_exit 14 pitr status
said "verify found 1 damaged object .*${ids[2]}/part-000001"
mv -f "$T/part" "$part"
expect_exit 0 pitr verify
expect_exit 14 pitr status # it looked less closely than who found it
expect_exit 0 pitr verify --secret-key "$T/key"
pitr status >"$T/said" || true
! grep -q "verify found" "$T/said" || fail "it is told of for ever"

say "a file that may not grow is an error, and no end by a signal"
expect_exit 1 bash -c 'ulimit -f 1; exec "$@"' - "$PITR" backup \
    --config "$T/pitr.conf"
said "File too large"

say "expire: a dry run removes nothing"
find "$REPO" -name .\* -prune -o -type f -print | sort >"$T/before"
expect_exit 0 pitr expire --dry-run
said "would remove +backup ${ids[0]}" "keep +backup ${ids[1]}" \
    "keep +backup ${ids[2]}" "would remove +log"
find "$REPO" -name .\* -prune -o -type f -print | sort | cmp - "$T/before"

say "a pin is obeyed, and shown"
expect_exit 10 pitr keep 20200101T000000Z
expect_exit 2 pitr keep
expect_exit 0 pitr keep "${ids[0]}"
expect_exit 0 pitr list
said "pinned"
expect_exit 0 pitr list --json
said '"pinned": *true'
expect_exit 0 pitr expire
[ "$(backups | wc -l)" = 3 ] || fail "a pinned backup, or one it needs, is gone"
expect_exit 0 pitr keep "${ids[0]}" --remove
# An expire at work has its plan: until it has ended nobody is told of a pin.
exec {lock}<"$REPO/.lock-expire"
flock "$lock"
expect_exit 124 timeout 1 "$PITR" keep --config "$T/pitr.conf" "${ids[0]}"
said "waiting for expire"
exec {lock}<&-
! pitr list | grep -q pinned || fail "it is pinned all the same"

say "a running backup's folder is not swept; a leftover is"
mkdir "$REPO/backup/20200101T000000Z"
echo x >"$REPO/backup/20200101T000000Z/part-000001"
expect_exit 0 pitr expire --dry-run
said "keep +leftover backup/20200101T000000Z"
touch -d '3 days ago' "$REPO/backup/20200101T000000Z/part-000001" \
    "$REPO/backup/20200101T000000Z"

say "what may not be on the vault stays here"
{ cat "$T/pitr.conf"; echo "vault = sftp://127.0.0.1:1/none"; } >"$T/vault.conf"
expect_exit 3 "$PITR" expire --config "$T/vault.conf" --dry-run
said "127.0.0.1" "keep +backup ${ids[0]}.*would go, but .*cannot be reached" \
    "would remove 0 of 3 backups, 0 of"

say "nothing is removed while a restore reads; it is after that"
"$PITR" restore --config "$T/pitr.conf" --secret-key "$T/key" \
    --sandbox "$T/first" --backup "${ids[0]}" >"$T/first.out" 2>&1 &
restore=$!
children+=($restore)
wait_until 60 grep -q "${ids[0]}" "$T/first.out"
kill -STOP $restore
expect_exit 11 pitr expire
said "nothing was removed.*held by process $restore \\(restore\\)" "wait until"
[ "$(backups | wc -l)" = 3 ] || fail "a backup went under a restore"
kill -TERM $restore
kill -CONT $restore
! wait $restore || fail "it was to be stopped"

say "expire"
expect_exit 0 pitr expire
said "removed +backup ${ids[0]}" "removed +leftover"
[ "$(backups)" = "${ids[1]}"$'\n'"${ids[2]}" ] || fail "others are left"
[ ! -e "$REPO/backup/${ids[0]}" ] || fail "its folder is left"
[ ! -e "$REPO/backup/20200101T000000Z" ] || fail "the leftover is left"
expect_exit 0 pitr verify --all --secret-key "$T/key"
expect_exit 0 pitr expire --json
said '"keep": *true'

say "one that was not verified pushes out none that was"
round 4
truth "$SRC" "$T/truth"
expect_exit 0 pitr expire --keep 1s --minimum 1 --dry-run
said "keep +backup ${ids[1]}.*verified, as newer ones are not" \
    "keep +backup ${ids[2]}.*verified"
expect_exit 0 pitr verify
expect_exit 0 pitr expire --keep 1s --minimum 1
said "removed +backup ${ids[1]}"

say "what is left restores, once nothing is removed any more"
flock "$REPO/.lock-expire" bash -c 'touch "$1/removing"; sleep 1' - "$T" &
wait_until 5 test -e "$T/removing"
restore_to r --backup "${ids[2]}"
grep -q "waiting for expire" "$T/r.out" || fail "it did not say why it waited"
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"
