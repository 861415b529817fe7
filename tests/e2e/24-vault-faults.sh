#!/bin/bash
# A vault that refuses: full, a quota used up, read-only, not writable, at another
# path, with another key, without fsync, with a file there already.  Each has its error, its
# exit code and its hint; the capture goes on; nothing is lost, nothing is
# overwritten; and when it is mended, all gets there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vault.sh"
mounted=''
unmount()
{
    [ -z "$mounted" ] || umount -l "$mounted" || true
    mounted=''
}
trap 'rc=$?; set +e; unmount; (exit $rc); vault_finish' EXIT

# new_vault NAME: an empty one at $URL, its folder is $D.
new_vault()
{
    D=$V/$1
    mkdir -p -m 700 "$D"
    chown "$account" "$D"
    URL=sftp://$account@127.0.0.1:$PORT$D
    sed -i "s|^vault = .*|vault = $URL|" "$T/pitr.conf"
}

is_the_same()
{
    local f
    (cd "$REPO" && find repository b* -type f) >"$T/objects"
    while read -r f; do
        { cat "$D/$f" "$D/$f"+* 2>/dev/null || true; } | cmp - "$REPO/$f" ||
            fail "$f is not the same"
    done <"$T/objects"
}

vault_up
source_server
sql "$SRC" "CREATE DATABASE d; USE d; CREATE TABLE t (id INT AUTO_INCREMENT
    PRIMARY KEY, v VARBINARY(1024));
    INSERT INTO t (v) SELECT RANDOM_BYTES(1024) FROM seq_1_to_1500"
set_up "vault = $URL" "${ssh_keys[@]}"
pitr backup >/dev/null

say "a path that is not there; a key that is not let in"
new_vault one
rmdir "$D"
expect_exit 10 pitr ship --once
said "$D"
new_vault one
ssh-keygen -q -t ed25519 -N '' -f "$T/other"
sed "s|^ssh_identity = .*|ssh_identity = $T/other|" "$T/pitr.conf" \
    >"$T/other.conf"
expect_exit 15 "$PITR" ship --once --config "$T/other.conf"
said "does not let user" "authorized_keys"

say "a folder that the account may not write to"
chmod 500 "$D"
[ "$(id -u)" != 0 ] || chown root "$D"
expect_exit 1 pitr ship --once
said "permission denied" "owner and mode"
chmod 755 "$D"
expect_exit 1 pitr ship --once
said "permission denied" "owner and mode"
chmod 700 "$D"
chown "$account" "$D"

say "what is there already, with the same bytes, is fine; with others it is not"
cp -r "$REPO/." "$D"
rm -f "$D"/.*[a-z]*
chown -R "$account" "$D"
expect_exit 0 pitr ship --once
said "shipped 0 B"
manifest=$(cd "$REPO" && ls backup/*/manifest)
chmod u+w "$D/$manifest"
printf X | dd of="$D/$manifest" bs=1 seek=99 conv=notrunc status=none
cp "$D/$manifest" "$T/spoilt"
rm "$REPO"/.confirmed-* "$REPO"/.shipped-*
expect_exit 14 pitr ship --once
said "$manifest" "other bytes" "pitr verify"
cmp "$T/spoilt" "$D/$manifest"
rm "$D/$manifest"
expect_exit 0 pitr ship --once
is_the_same

say "a server without fsync"
vault_down
sed -i '/^ForceCommand/s/$/,fsync/' "$V/conf"
vault_up
new_vault two
expect_exit 1 pitr status
said "vault .*nothing was shipped there"
! pitr status --prometheus 2>/dev/null | grep "^pitr_vault_durable" ||
    fail "it is told whether a vault that was never seen is durable"
expect_exit 3 pitr ship --once
said "no fsync@openssh.com"
is_the_same
durable()
{
    local is=$1
    pitr status --json >"$T/said" 2>/dev/null || true
    said "\"durable\": *$([ "$is" = 1 ] && echo true || echo false)"
    pitr status --prometheus >"$T/said" 2>/dev/null || true
    said "^pitr_vault_durable\{server=\"src\",vault=\"$URL\"\} $is$"
    pitr status --zabbix >"$T/said" 2>/dev/null || true
    said "^- pitr\.vault\.durable\[src,$URL\] $is$"
}
durable 0
pitr status >"$T/said" 2>/dev/null || true
said "warning .*cannot promise that what it has is durable" \
    "vault .*: up to date .*, NOT DURABLE"
vault_down
sed -i '/^ForceCommand/s/,fsync$//' "$V/conf"
vault_up
expect_exit 0 pitr ship --once
durable 1

say "a quota that is used up: the capture goes on; with more of it, so does shipping"
${CC:-cc} -shared -fPIC -O1 -o "$V/quota.so" "$TOP/tests/fault/quota.c" -ldl
mkdir -m 700 "$V/beside"
chown "$account" "$V/beside"
new_vault three
echo "vault = sftp://$account@127.0.0.1:$PORT$V/beside" >>"$T/pitr.conf"
vault_down
echo 400000 >"$V/quota"
QUOTA_PATH=$D QUOTA_FILE=$V/quota LD_PRELOAD=$V/quota.so vault_up
holds()
{
    find "$D" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
}
expect_exit 1 pitr ship --once
said "cannot write backup/.*failure" "left; is a quota used up"
[ -f "$V/beside/$manifest" ] || fail "one vault holds up the other"
echo "retry = 1s" >>"$T/pitr.conf"
stream_start
sql "$SRC" "INSERT INTO d.t VALUES (NULL, 'while the quota is used up')"
streamed
wait_until 20 grep -q "it is tried again.*quota" "$T/stream.log" ||
    fail "the stream does not say it"
pitr status >"$T/said" 2>/dev/null || true
said "FAILED .*cannot (write|create) .*is a quota used up" \
    "vault .*to ship" "last failure .*is a quota used up"
[ "$(holds)" -le 400000 ] || fail "there is more than the quota allows"
echo 100000000 >"$V/quota"
caught_up()
{
    pitr status --json 2>/dev/null | grep -oE '"objects_to_ship": *[0-9]+' |
        grep -oE '[0-9]+$' | tr '\n' ' ' >"$T/to-ship"
    [ "$(cat "$T/to-ship")" = "0 0 " ] && grep -q "shipping goes on, after" "$T/stream.log"
}
wait_until 40 caught_up || fail "it does not go on with more quota"
stream_stop
[ "$STREAM_RC" = 3 ] || fail "exit code $STREAM_RC of a stream that warned"
expect_exit 0 pitr ship --once
is_the_same
sed -i '/^retry/d; /beside$/d' "$T/pitr.conf"
: >"$T/stream.log"
vault_down
vault_up

mkdir "$V/small"
if [ "$(id -u)" != 0 ] ||
    ! mount -t tmpfs -o size=1m,mode=755 tmpfs "$V/small" 2>/dev/null; then
    echo "only root can mount a small disk: not tested: full, read-only"
    exit 0
fi
mounted=$V/small

say "a vault that is full: the capture goes on, and so does shipping, with room"
new_vault small/vault
expect_exit 1 pitr ship --once
said "cannot write" "disk is full"
stream_start
sql "$SRC" "INSERT INTO d.t VALUES (NULL, 'while the vault is full')"
streamed
wait_until 20 grep -q "it is tried again" "$T/stream.log" ||
    fail "the stream does not warn"
process_lives "$STREAM" || fail "the stream ended with the vault"
expect_exit 1 pitr check --wait 1s
said "the marker has not arrived there within"
mount -o remount,size=16m "$mounted"
stream_stop
[ "$STREAM_RC" = 3 ] || fail "exit code $STREAM_RC of a stream that warned"
expect_exit 0 pitr ship --once
is_the_same

say "read-only"
mount -o remount,ro "$mounted"
pitr backup >/dev/null
expect_exit 1 pitr ship --once
said "read-only"
mount -o remount,rw "$mounted"
expect_exit 0 pitr ship --once
is_the_same
expect_exit 0 "$PITR" verify --repository "$D" --all
