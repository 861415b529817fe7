#!/bin/bash
# A line to the vault, through a bastion, that is cut at random: the vault ends
# as the local repository is, byte for byte, in pieces; verifying and expiring
# work on it where it lies; and from a machine that has nothing but its address
# and the keys, options on the command line, the restore is right.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vault.sh"
cuts=${PITR_LONG:+100}
cuts=${cuts:-10}
rows=$((cuts * 250))

JUMP=$((PORT + 1))
echo "[127.0.0.1]:$JUMP $(cut -d' ' -f1,2 "$V/host.pub")" >>"$V/known_hosts"
{
    grep -vE '^(Port|Subsystem|ForceCommand)' "$V/conf"
    echo "Port $JUMP"
    echo "PermitOpen 127.0.0.1:$PORT"
    echo "ForceCommand /bin/false"
} >"$V/jump.conf"
bastion_up()
{
    /usr/sbin/sshd -D -f "$V/jump.conf" -E "$V/jump.log" </dev/null &
    BASTION=$!
    children+=("$BASTION")
}

# sever: all connections of either server, but not the server.
sever()
{
    local pid of=$SSHD
    ((RANDOM % 3 > 0)) || of=$BASTION
    for pid in $(descendants "$of"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
}

is_the_same()
{
    local f
    (cd "$REPO" && find repository b* -type f) | sort >"$T/objects"
    while read -r f; do
        { cat "$V/vault/$f" "$V/vault/$f"+* 2>/dev/null || true; } |
            cmp -s - "$REPO/$f" || return 1
    done <"$T/objects"
}

vault_up
bastion_up
source_server
shop_schema | mysql_client --socket="$SRC"
shop_rows 300 | mysql_client --socket="$SRC"
sql "$SRC" "CREATE DATABASE d; USE d; CREATE TABLE t (id INT AUTO_INCREMENT
    PRIMARY KEY, v VARBINARY(1024));
    INSERT INTO t (v) SELECT RANDOM_BYTES(1024) FROM seq_1_to_$rows"
set_up "vault = $URL" "${ssh_keys[@]}" "ssh_jump = $account@127.0.0.1:$JUMP" \
    "ship_limit = 1M" "retry = 1s" "segment_age = 2s"

say "$cuts cuts, with a backup, a log and customers at work"
RANDOM=${SEED:=$$}
echo "SEED=$SEED"
stream_start
write_as shop_customer 1
pitr backup >/dev/null
for ((i = 1; i <= cuts; i++)); do
    tenths=$((RANDOM % ${PITR_LONG:+2}6 + 2))
    sleep $((tenths / 10)).$((tenths % 10))
    sever
    [ $i != $((cuts / 2)) ] || pitr backup >/dev/null
done
writers_stop
streamed
truth "$SRC" "$T/truth"
wait_until 60 vault_reached "$(position)" || {
    tail -20 "$T/stream.log"
    fail "the vault does not catch up"
}
stream_stop
grep -q "connecting again\|it is tried again" "$T/stream.log" ||
    fail "no connection was lost"
expect_exit 0 pitr ship --once --limit 1G
is_the_same || fail "the vault is not the same as the repository"
pieces=$(find "$V/vault" -name '*+*' | wc -l)
echo "$pieces pieces"
((pieces > 0)) || fail "nothing was cut"

say "where it lies, in pieces, with a segment that grows: verify and expire"
sed -i 's/^ship_limit/#&/; s/^segment_age = .*/segment_age = 1h/' "$T/pitr.conf"
stream_start
pitr backup >/dev/null
sql "$SRC" "INSERT INTO d.t (v) VALUES (RANDOM_BYTES(999))"
mapfile -t ids < <(backups)
# The newest one whole, the newest segment begun and not ended.
is_there()
{
    [ -n "$(find "$V/vault/backup/${ids[-1]}" -name 'manifest*')" ] &&
        vault_reached "$(position)"
}
wait_until 30 is_there || fail "the vault does not catch up again"
write_as shop_customer 1
for how in "" "--secret-key=$T/key" --all; do
    expect_exit 0 "$PITR" verify --repository "$V/vault" $how
done
expect_exit 0 "$PITR" expire --repository "$V/vault" --keep 1s --minimum 1
said "removed +backup ${ids[0]}" "removed +log"
writers_stop
wait_until 30 is_there || fail "the vault is not gone on with after expire"
truth "$SRC" "$T/truth"
stream_stop
[ -z "$(find "$V/vault" -path "*/backup/${ids[0]}*")" ] || fail "pieces are left"
expect_exit 0 "$PITR" verify --repository "$V/vault" --all

say "and a restore through the bastion, without a configuration, cut as well"
server_stop "$T/src" KILL
rm -rf "$REPO" "$T/signing.key" "$T/pitr.conf"
rc=0
: >"$T/said"
{ # a first connection that fails is told at once; later ones are taken up again
    wait_until 30 grep -q "as of" "$T/said"
    for i in 1 2 4 8; do
        sever
        sleep "0.$i"
    done
} 2>/dev/null &
cutter=$!
HOME=$T/nobody "$PITR" restore --repository "$URL" --ssh-config none \
    --ssh-identity "$V/id" --ssh-known-hosts "$V/known_hosts" \
    --ssh-jump "$account@127.0.0.1:$JUMP" --secret-key "$T/key" \
    --sandbox "$T/r" >"$T/said" 2>&1 || rc=$?
wait "$cutter"
[ $rc = 0 ] || {
    cat "$T/said"
    fail "restore: exit code $rc"
}
truth "$(sandbox_socket "$T/r")" "$T/restored"
same "$T/truth" "$T/restored"
