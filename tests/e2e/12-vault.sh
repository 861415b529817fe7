#!/bin/bash
# A vault: an sshd whose account may only add.  The stream ships what it
# captures, seconds behind, over an sshd that is killed and comes back; whoever
# has the account's key can neither change nor remove; and when the machine is
# lost, repository and all, the vault's address and the secret key are enough.
. "$(dirname "$0")/lib.sh"

. "$(dirname "$0")/vault.sh"

# The extents of an object, in their order, are the object.
vault_is_the_same()
{
    local f
    (cd "$REPO" && find * -type f) | sort >"$T/objects"
    [ -s "$T/objects" ] || fail "there are no objects"
    while read -r f; do
        { cat "$V/vault/$f" "$V/vault/$f"+* 2>/dev/null || true; } |
            cmp - "$REPO/$f" || return 1
    done <"$T/objects"
}

vault_up
source_server
shop_schema | mysql_client --socket="$SRC"
shop_rows 3000 | mysql_client --socket="$SRC"
set_up "vault = $URL" "${ssh_keys[@]}"

say "the stream ships what it captures, and the backup beside it"
stream_start
pitr backup
backup_is_there()
{
    [ -f "$V/vault/backup/$1/manifest" ]
}
id=$(backups)
wait_until 20 backup_is_there "$id" || fail "the backup is not on the vault"
worst=0
for i in 1 2 3 4 5; do
    sql "$SRC" "UPDATE shop.customers SET city = 'fast $i' WHERE id = $i"
    begun=${EPOCHREALTIME/[.,]/}
    want=$(position)
    until vault_reached "$want"; do
        [ $((${EPOCHREALTIME/[.,]/} - begun)) -lt 8000000 ] ||
            fail "not on the vault after 8 s"
        sleep 0.02
    done
    took=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
    ((took <= worst)) || worst=$took
    sleep 0.$((i * 17 % 10))
done
echo "from commit to the vault, the slowest of five: $worst ms"
((worst < ${PITR_SLOW:+2}3000)) || fail "too slow"

say "the vault goes away and comes back; the capture does not care"
write_as shop_customer 1
for i in 1 2 3; do
    sleep 0.7
    vault_down
    sleep 1
    vault_up
done
streamed
process_lives "$STREAM" || fail "the stream ended with the vault"

say "whoever has the account's key can only add"
(cd "$V/vault" && find . -type f -size +0 ! -name '*+*' | sort | head -5) \
    >"$T/targets"
echo x >"$T/x"
{
    while read -r f; do
        echo "-rm $f"
        echo "-rename $f $f.gone"
        echo "-put $T/x $f"
        echo "-reput $T/x $f"
        echo "-chmod 644 $f"
        echo "-ln -s $f $f.link"
    done
    echo "-rmdir binlog"
    echo "-rename backup away"
} <"$T/targets" | sed "s| \./| $V/vault/|g; s|rmdir |rmdir $V/vault/|" \
    >"$T/batch"
(cd "$V/vault" && xargs sha256sum) <"$T/targets" >"$T/sums"
sftp -q -b "$T/batch" -F none -P "$PORT" -i "$V/id" \
    -o UserKnownHostsFile="$V/known_hosts" "$account@127.0.0.1" \
    >"$T/attack.log" 2>&1 || true
[ "$(grep -ciE 'denied|failure|not permitted|unsupported' "$T/attack.log")" \
    -ge 20 ] || {
    cat "$T/attack.log"
    fail "the attack was not refused as it should be"
}
(cd "$V/vault" && sha256sum --quiet -c "$T/sums") ||
    fail "the intruder has changed something"

say "two that ship to the same vault: the second is told"
expect_exit 11 pitr ship --once
said "ship"

writers_stop
streamed
truth "$SRC" "$T/truth"
wait_until 20 vault_reached "$(position)" || fail "the vault does not catch up"
stream_stop
grep -q "is on $URL" "$T/stream.log" || fail "the stream did not say it"

say "ship --once brings the rest, then nothing"
pitr backup >/dev/null
pitr ship --once | tee "$T/shipped"
grep -q "1 backup$" "$T/shipped" || fail "the second backup was not shipped"
vault_is_the_same || fail "the vault is not the same as the repository"
pitr ship --once 2>/dev/null | grep -q "shipped 0 B, 0 objects" ||
    fail "there was something left to ship"
pitr stream --once
vault_is_the_same || fail "stream --once did not ship"

say "from cron: what goes well says nothing, and shipping holds up no capture"
expect_exit 0 pitr stream --once --quiet
[ ! -s "$T/said" ] || fail "stream --once --quiet said: $(cat "$T/said")"
expect_exit 0 pitr ship --once --quiet
[ ! -s "$T/said" ] || fail "ship --once --quiet said: $(cat "$T/said")"
expect_exit 0 pitr backup --quiet
[ ! -s "$T/said" ] || fail "backup --quiet said: $(cat "$T/said")"
sql "$SRC" "USE shop; CREATE TABLE noise (id INT PRIMARY KEY, v CHAR(32));
    INSERT INTO noise SELECT seq, MD5(RAND()) FROM seq_1_to_20000"
{ cat "$T/pitr.conf"; echo "ship_limit = 16K"; } >"$T/slow.conf"
"$PITR" stream --once --config "$T/slow.conf" >"$T/slow.out" 2>&1 &
slow=$!
children+=("$slow")
ships()
{
    grep -q "(ship-" "$REPO"/.lock-ship-*
}
wait_until 10 ships || fail "it does not ship"
sql "$SRC" "DELETE FROM shop.noise WHERE id = 7"
expect_exit 0 pitr stream --once --quiet
[ ! -s "$T/said" ] || fail "stream --once --quiet said: $(cat "$T/said")"
log_reached "$(position)" || fail "shipping keeps the log from being captured"
expect_exit 11 pitr ship --once --quiet
[ ! -s "$T/said" ] || fail "ship --once --quiet said: $(cat "$T/said")"
process_end "$slow"
vault_down
expect_exit 3 pitr stream --once --quiet
said "not shipped"
expect_exit 3 pitr stream --once --quiet
[ ! -s "$T/said" ] || fail "each minute the same: $(cat "$T/said")"
vault_up
pitr ship --once >/dev/null
truth "$SRC" "$T/truth"

say "refused: another's vault, no vault, an unknown host key"
"$PITR" init --config "$T/pitr.conf" --repository "$T/other" \
    --signing-key "$T/other.key" --recipient-file "$T/key.pub" >/dev/null
sed "s|^repository = .*|repository = $T/other|" "$T/pitr.conf" >"$T/other.conf"
expect_exit 10 "$PITR" ship --once --config "$T/other.conf"
said "another repository"
expect_exit 10 pitr ship --once --vault "$URL/none"
: >"$T/nobody_known"
sed "s|^ssh_known_hosts = .*|ssh_known_hosts = $T/nobody_known|" \
    "$T/pitr.conf" >"$T/unknown.conf"
expect_exit 15 "$PITR" ship --once --config "$T/unknown.conf"
said "host key is not known" "SHA256:"
vault_is_the_same || fail "something has changed on the vault"

say "another signing key, and a later recipient's slots, come to the vault"
"$PITR" keygen --out "$T/key2" --no-passphrase >/dev/null
pitr rekey --new-signing-key "$T/signing2.key" \
    --add-recipient-file "$T/key2.pub" >/dev/null
sed -i "s|/signing\.key|/signing2.key|" "$T/pitr.conf"
pitr rewrap --secret-key "$T/key" --recipient-file "$T/key2.pub" >/dev/null
pitr stream --once
vault_is_the_same || fail "the new generation, or slots, were not shipped"
signer=$(pitr list --json | grep -oE 'ed25519:[a-z2-7]{52}' | head -1)
expect_exit 0 pitr verify --repository "$URL" --secret-key "$T/key2" \
    --signer "$signer"

say "the machine is lost"
server_stop "$T/src" KILL
rm -rf "$REPO" "$T/src" "$T/signing.key" "$T/pitr.conf"
{
    echo "[src]"
    printf '%s\n' "repository = $URL" "${ssh_keys[@]}"
} >"$T/pitr.conf"
pitr list
pitr list --repository "$URL" --json >/dev/null
pitr verify
restore_to r --repository "$URL"
"$PITR" keygen --out "$T/key3" --no-passphrase >/dev/null
expect_exit 0 pitr rewrap --secret-key "$T/key" --recipient-file "$T/key3.pub"
expect_exit 0 pitr verify --secret-key "$T/key3" --signer "$signer"
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"
