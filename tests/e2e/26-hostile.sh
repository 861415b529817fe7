#!/bin/bash
# Peers that mean harm: a MariaDB server (of the stream, of the backup, the target
# of a restore), strangers at the port of a restore, an SFTP server.  They change,
# cut, repeat and swallow packets, lie about lengths, send without end, ask for
# files and passwords, name files "../" (tests/hostile).  pitr may fail, with an
# error of its own; it may not crash, hang, take memory without bound, write
# outside, give anything away, or leave a repository that is not whole.
# PITR_HOSTILE_SECONDS says for how long (scripts/hostile), PITR_SEED repeats.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vault.sh"
${CC:-cc} --version >/dev/null 2>&1 || {
    echo "there is no C compiler for the hostile peers"
    exit 77
}
for SFTP_SERVER in /usr/lib/openssh/sftp-server \
    /usr/libexec/openssh/sftp-server ''; do
    [ ! -x "$SFTP_SERVER" ] || break
done
for peer in bounded server sftp stranger; do
    ${CC:-cc} -O1 -o "$V/$peer" "$TOP/tests/hostile/$peer.c"
done
seconds=${PITR_HOSTILE_SECONDS:-2} seed=${PITR_SEED:-20220502}
read -ra parts <<<"${PITR_HOSTILE_PARTS:-stream backup ship list}"
echo "seed $seed"
# What a connection that is lost may take is a matter of its timeouts.
LIMIT=${PITR_SLOW:+3}90 MEMORY=${PITR_SLOW:+3}1200
declare -A times=() good=()

# hostile_server SOCKET: at PORT.
hostile_server()
{
    ATTACKS=$T/attacks
    rm -f "$V/port"
    "$V/server" "$1" "$V/port" "$seed" "pa55 w'ord" >"$ATTACKS" &
    SERVER=$! # ends with this shell
    wait_until 10 test -s "$V/port" || fail "the hostile server does not start"
    PORT=$(cat "$V/port")
}
hostile_server_stop()
{
    kill -KILL "$SERVER"
    wait "$SERVER" 2>/dev/null || true
}

failed()
{
    tail -n 30 "$T/said"
    cat "$ATTACKS"
    fail "$part: $1 (seed $seed)"
}
# under ARGUMENT...: pitr, with all bounds.
under()
{
    local rc=0
    "$V/bounded" "$LIMIT" "$MEMORY" "$PITR" "$@" >"$T/said" 2>&1 \
        </dev/null || rc=$?
    ! grep -qE "Sanitizer|runtime error" "$T/said" || failed "a sanitizer"
    ! grep -q STOLEN "$ATTACKS" || failed "a secret was given away"
    case $rc in
    0 | 1 | 3 | 1[0-5]) ;;
    *) failed "exit code $rc" ;;
    esac
    # Nothing that a terminal would obey.
    ! tr -d '\n\r\t' <"$T/said" | grep -qP '[\x00-\x08\x0b-\x1f\x7f]' ||
        failed "control characters in what was said"
    [ -z "${PITR_HOSTILE_VERBOSE:-}" ] ||
        echo "$SECONDS s: $part, seed $seed: exit code $rc;" \
            "$(tr '\n' ',' <"$ATTACKS")"
    times[$part]=$((${times[$part]:-0} + 1))
    ((rc != 0 && rc != 3)) || good[$part]=$((${good[$part]:-0} + 1))
}
# whole WHERE: a repository that can be read to its last row and event.
whole()
{
    local rc=0
    "$PITR" verify --repository "$1" --all --secret-key "$T/key" \
        >"$T/verified" 2>&1 || rc=$?
    ((rc == 0 || rc == 3 || rc == 13)) || {
        cat "$T/verified"
        failed "verify of $1: exit code $rc"
    }
}
fresh_copy()
{
    rm -rf "$REPO" "$XDG_STATE_HOME" # another history each time
    cp -r "$T/base" "$REPO"
}
nothing_outside()
{
    (cd "$V" && find . -path ./vault -prune -o -path ./h -prune -o -print) | sort >"$T/outside"
    cmp -s "$T/outside" "$T/outside.before" || {
        diff "$T/outside.before" "$T/outside"
        failed "something was written outside"
    }
    [ -z "$(find "$V/vault" "$REPO" -name '*evil*')" ] || failed "evil files"
}

do_stream()
{
    fresh_copy
    hostile_server "$SRC"
    with_port
    under stream --once --config "$T/hostile.conf"
    hostile_server_stop
    whole "$REPO"
}
do_backup()
{
    fresh_copy
    hostile_server "$SRC"
    with_port
    under backup --config "$T/hostile.conf"
    hostile_server_stop
    whole "$REPO"
}
# Another server, which the backup is restored into.
do_target()
{
    hostile_server "$T/dst/sock"
    under restore --repository "$T/base" --secret-key "$T/key" \
        --host 127.0.0.1 --port "$PORT" --user root --force
    hostile_server_stop
}
do_strangers()
{
    ATTACKS=$T/attacks
    : >"$ATTACKS"
    "$V/bounded" 120 4000 "$PITR" restore --repository "$T/base" \
        --secret-key "$T/key" --sandbox "$T/r" >"$T/said" 2>&1 &
    local pid=$! rc=0 restore
    children+=("$pid")
    until restore=$(descendants $pid) && [ -n "$restore" ]; do
        process_lives $pid || break
    done
    restore=${restore%%$'\n'*}
    [ -z "$restore" ] || "$V/stranger" "$restore" "$seed" >"$ATTACKS"
    wait $pid || rc=$?
    [ $rc = 0 ] || [ $rc = 3 ] || failed "exit code $rc of the restore"
    truth "$(sandbox_socket "$T/r")" "$T/now"
    same "$T/truth" "$T/now"
    sandbox_stop "$T/r"
    rm -rf "$T/r"
    strangers=$((${strangers:-0} + $(cut -d' ' -f1 "$ATTACKS")))
    times[$part]=$((${times[$part]:-0} + 1))
    good[$part]=${times[$part]}
}
# with_port: the configuration of a server at PORT.
with_port()
{
    sed "s/^socket = .*/host = 127.0.0.1\nport = $PORT/" "$T/pitr.conf" \
        >"$T/hostile.conf"
}
# Another folder each time: a session that was attacked may live on a little.
hostile_vault()
{
    D=$V/vault/$seed-$part
    mkdir "$D"
    URL=sftp://$(id -un)@127.0.0.1:$VAULT_PORT$D
    {
        cat "$T/pitr.conf"
        printf '%s\n' "vault = $URL" "${ssh_keys[@]}"
    } >"$T/vault.conf"
    ATTACKS=$V/h/story
    : >"$ATTACKS"
    echo "$seed once" >"$V/h/token"
}
do_ship()
{
    local rc=0
    fresh_copy
    hostile_vault
    if ((seed % 2)); then # something is there already
        cp -r "$REPO/repository" "$REPO/binlog" "$D"
    fi
    under ship --once --config "$T/vault.conf"
    nothing_outside
    # Once it is honest, all gets there.
    rm -f "$V/h/token"
    rm -f "$REPO"/.shipped-* "$REPO"/.confirmed-*
    "$PITR" ship --once --config "$T/vault.conf" >"$T/said" 2>&1 || rc=$?
    ((rc == 0 || rc == 3)) || failed "exit code $rc of the ship after it"
    whole "$D"
}
do_list()
{
    local what=(list verify "restore --dry-run --secret-key $T/key")
    hostile_vault
    cp -r "$T/base/." "$D"
    rm -rf "$XDG_STATE_HOME"
    # shellcheck disable=SC2086
    under ${what[seed % 3]} --repository "$URL" --config "$T/vault.conf"
    nothing_outside
}

mkdir -m 777 "$V/h"
# Not internal-sftp: a program, for which the account needs a shell.
sed -i "/^ForceCommand/d" "$V/conf"
echo "ForceCommand $V/sftp $SFTP_SERVER $V/h/token $V/h/story" >>"$V/conf"
: >"$V/h/story"
VAULT_PORT=$PORT
[ -n "$SFTP_SERVER" ] && vault_up || parts=(stream backup)
source_server
sql "$SRC" "CREATE DATABASE d; USE d; CREATE TABLE t (id INT AUTO_INCREMENT
    PRIMARY KEY, v TEXT, b BLOB); INSERT INTO t (v) SELECT REPEAT(seq, 9)
    FROM seq_1_to_200; CREATE VIEW w AS SELECT id FROM t"
set_up "retry = 1s"
pitr backup >/dev/null 2>&1
pitr stream --once >/dev/null 2>&1
mv "$REPO" "$T/base"
for i in 1 2 3 4 5; do
    sql "$SRC" "INSERT INTO d.t (v, b) SELECT UUID(), RANDOM_BYTES(50)
        FROM d.t LIMIT 20; FLUSH BINARY LOGS"
done
if [[ " ${parts[*]} " == *" strangers "* ]]; then
    mv "$T/base" "$REPO"
    pitr stream --once >/dev/null 2>&1
    mv "$REPO" "$T/base"
    truth "$SRC" "$T/truth"
fi
if [[ " ${parts[*]} " == *" target "* ]]; then
    server_init "$T/dst"
    server_start "$T/dst" --server-id=2
fi
(cd "$V" && touch port && find . -path ./vault -prune -o -path ./h -prune -o -print) |
    sort >"$T/outside.before"

end=$((SECONDS + seconds)) first=$seed
while ((SECONDS < end || seed == first)); do
    for part in "${parts[@]}"; do
        "do_$part"
    done
    seed=$((seed + 1))
done
for part in "${parts[@]}"; do
    echo "$part: ${times[$part]} attacked, ${good[$part]:-0} did it all the same"
done
[ -z "${strangers:-}" ] || echo "strangers knocked $strangers times"
