#!/bin/bash
# Keys change while backups go on: a second recipient, for what comes and for
# what exists; another signing key, handed over by the old one; and the way back
# from a thief of it, with the recovery key alone.
. "$(dirname "$0")/lib.sh"

source_server
sql "$SRC" "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY);
    INSERT INTO d.t VALUES (1)"
set_up
"$PITR" keygen --out "$T/key2" --no-passphrase >/dev/null
first=$(pitr list --json | grep -oE 'ed25519:[a-z2-7]{52}' | head -1)
pitr stream --once >/dev/null
pitr backup >/dev/null
sql "$SRC" "INSERT INTO d.t VALUES (2)"
pitr stream --once >/dev/null

# with KEY COMMAND...: can be planned with that key, all signatures checked
with()
{
    local key=$1
    shift
    pitr restore --dry-run --secret-key "$key" "$@"
}

say "a second recipient: for what comes; then for what exists"
expect_exit 12 with "$T/key2"
said "not sealed to the key"
expect_exit 2 pitr rekey
expect_exit 2 pitr rekey --add-recipient-file "$T/key.pub"
said "is a recipient already"
expect_exit 0 pitr rekey --add-recipient-file "$T/key2.pub"
said "generation 2" "pitr rewrap" "recipient: [a-z2-7]{26}"
pitr backup >/dev/null
expect_exit 12 with "$T/key2" --signer "$first"
said "pitr rewrap"
expect_exit 2 pitr rewrap --secret-key "$T/key"
expect_exit 12 pitr rewrap --secret-key "$T/signing.key" \
    --recipient-file "$T/key2.pub"
expect_exit 0 pitr rewrap --secret-key "$T/key" --recipient-file "$T/key2.pub"
expect_exit 0 with "$T/key2" --backup "$(backups | head -1)" --signer "$first"
expect_exit 0 pitr verify --secret-key "$T/key2" --signer "$first"
expect_exit 0 pitr rewrap --secret-key "$T/key" --recipient-file "$T/key2.pub"
said " 0 of them"

say "another signing key: refused while a stream runs"
cp "$T/signing.key" "$T/stolen.key"
stream_start
expect_exit 11 pitr rekey --new-signing-key "$T/signing2.key"
stream_stop
[ ! -e "$T/signing2.key" ] || fail "a refused rekey has left a key"
expect_exit 0 pitr rekey --new-signing-key "$T/signing2.key"
said "generation 3" "signing_key = $T/signing2.key" "ed25519:"
expect_exit 12 pitr backup
said "rekey"
cp "$T/pitr.conf" "$T/old.conf"
sed -i 's/signing\.key/signing2.key/' "$T/pitr.conf"
sql "$SRC" "INSERT INTO d.t VALUES (3)"
pitr stream --once >/dev/null
pitr backup >/dev/null
expect_exit 0 pitr verify --secret-key "$T/key" --signer "$first" --all
expect_exit 0 pitr list
second=$(pitr list --json | grep -oE 'ed25519:[a-z2-7]{52}' | head -1)
[ "$second" != "$first" ] || fail "the signer is the same"
expect_exit 0 with "$T/key" --signer "$second"
expect_exit 14 with "$T/key" --signer "ed25519:$(printf 'a%.0s' {1..52})"

say "the second key alone restores all"
pitr restore --secret-key "$T/key2" --signer "$second" \
    --backup "$(backups | head -1)" --sandbox "$T/r" >"$T/r.out"
OUT=$(sandbox_socket "$T/r")
[ "$(sql "$OUT" "SELECT GROUP_CONCAT(id) FROM d.t")" = 1,2,3 ] ||
    fail "rows are missing"
sandbox_stop "$T/r"

say "a thief hands over to himself; the recovery key takes it back"
expect_exit 0 pitr rekey --new-signing-key "$T/thief.key"
expect_exit 12 pitr backup
expect_exit 12 pitr rekey --secret-key "$T/key" --from 3 --add-recipient-file \
    "$T/key2.pub"
expect_exit 3 pitr rekey --secret-key "$T/key" --from 3 \
    --new-signing-key "$T/signing3.key"
said "generation 5" "repository-000004 does not count"
sed -i 's/signing2\.key/signing3.key/' "$T/pitr.conf"
sed "s/signing3\.key/thief.key/" "$T/pitr.conf" >"$T/thief.conf"
expect_exit 12 "$PITR" backup --config "$T/thief.conf"
expect_exit 3 pitr backup
said "repository-000004 does not count"
sql "$SRC" "INSERT INTO d.t VALUES (4)"
pitr stream --once >/dev/null || [ $? = 3 ]
expect_exit 3 with "$T/key"
expect_exit 14 pitr verify --secret-key "$T/key" --all
said "DAMAGED: repository-000004"
rm -f "$REPO/repository-000004"
expect_exit 0 pitr verify --secret-key "$T/key" --all

say "what was taken away is noticed"
expect_exit 0 pitr list
mv "$REPO/repository-000005" "$T/withheld"
expect_exit 14 pitr list
said "generation 5 of its repository file is missing"
mv "$T/withheld" "$REPO/repository-000005"
expect_exit 0 pitr list

say "what has a name like one and is none keeps nobody from reading"
mkdir "$REPO/repository-000009"
: >"$REPO/repository-"$'\001'
: >"$REPO/backup/none"
rm -f "$REPO/.state-verify"
mkfifo "$REPO/.state-verify"
expect_exit 3 pitr list
said "repository-000009/ is no generation"
expect_exit 3 timeout 20 "$PITR" verify --config "$T/pitr.conf"
expect_exit 3 with "$T/key"
rmdir "$REPO/repository-000009"
rm "$REPO/repository-"$'\001' "$REPO/backup/none"
expect_exit 0 pitr list
