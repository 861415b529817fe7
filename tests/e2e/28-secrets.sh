#!/bin/bash
# Secrets: passwords and passphrases are in locked memory alone, in no log, no
# command line, no environment and no core file; files that others may read are
# refused; over TCP a server that is not the one that the certificate names, or
# whose certificate nobody vouches for, gets nothing.
. "$(dirname "$0")/lib.sh"
command -v openssl >/dev/null || {
    echo "there is no openssl"
    exit 77
}
${CC:-cc} --version >/dev/null 2>&1 || {
    echo "there is no C compiler for what looks into memory"
    exit 77
}
${CC:-cc} -O1 -o "$T/whereis" "$TOP/tests/hostile/whereis.c"
PORT=$((20000 + RANDOM % 12000))

# authority NAME, and what it vouches for: 127.0.0.1, and no name.
authority()
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -days 2 -subj "/CN=$1" -keyout "$T/$1.key" -out "$T/$1.pem"
}
certificate()
{
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/CN=db.example.net" -keyout "$T/server.key" -out "$T/server.csr"
    echo "subjectAltName = IP:127.0.0.1" >"$T/server.ext"
    openssl x509 -req -in "$T/server.csr" -CA "$T/ca.pem" -CAkey "$T/ca.key" \
        -CAcreateserial -days 2 -extfile "$T/server.ext" -out "$T/server.pem"
}
{
    authority ca
    authority other
    certificate
} >"$T/openssl.log" 2>&1

# nowhere_plain PID TEXT: in locked memory at most.
nowhere_plain()
{
    # A sanitizer's own memory is terabytes, and it keeps what was freed.
    if grep -qaE '__asan_init|__tsan_init' "$PITR"; then
        echo "locked 1: not looked at" >"$T/where"
        return
    fi
    printf %s "$2" | "$T/whereis" "$1" >"$T/where" || fail "whereis: $?"
    grep -qx "plain 0" "$T/where" || {
        cat "$T/where"
        fail "a secret is in memory that is not locked"
    }
}

source_server --skip-networking=0 --bind-address=127.0.0.1 --port=$PORT \
    --ssl-ca="$T/ca.pem" --ssl-cert="$T/server.pem" --ssl-key="$T/server.key"
sql "$SRC" "CREATE DATABASE d; USE d; CREATE TABLE d.t (id INT PRIMARY KEY);
    INSERT INTO d.t SELECT seq FROM seq_1_to_1000"
SECRET="pa55 w'ord"
PHRASE="correct horse 4711"
configure
account "$SRC"
(umask 077 && echo "$PHRASE" >"$T/phrase")
"$PITR" keygen --out "$T/key" --passphrase-file "$T/phrase" >"$T/all.log" 2>&1
pitr init --recipient-file "$T/key.pub" --secret-key "$T/key" \
    --passphrase-file "$T/phrase" --verbose >>"$T/all.log" 2>&1

say "a stick that knows no modes takes a key"
echo '#include <errno.h>
int fchmod(int fd, int mode) { (void)fd; (void)mode; errno = EPERM; return -1; }' |
    ${CC:-cc} -shared -fPIC -x c -o "$T/no_modes.so" -
expect_exit 0 env LD_PRELOAD="${PITR_PRELOAD:+$PITR_PRELOAD:}$T/no_modes.so" \
    "$PITR" keygen --out "$T/stick" --paper "$T/stick.paper" --no-passphrase
expect_exit 0 "$PITR" keygen --out "$T/stick2" --from-paper "$T/stick.paper" \
    --no-passphrase
cmp "$T/stick" "$T/stick2" || fail "another key"

say "files that others may read"
chmod 644 "$T/password"
expect_exit 12 pitr backup
said "$T/password" "chmod|mode|others"
chmod 600 "$T/password"
install -m 644 "$T/server.key" "$T/public.key"
sed "s|^socket|ssl_key = $T/public.key\n&|" "$T/pitr.conf" >"$T/public.conf"
expect_exit 12 "$PITR" backup --config "$T/public.conf"
said "ssl_key" "can be read by everybody" "chmod"

say "TLS: the server's certificate is verified"
tls()
{
    sed "s|^socket = .*|host = $1\nport = $PORT\nssl_verify = yes\nssl_ca = $T/$2.pem|" \
        "$T/pitr.conf" >"$T/tls.conf"
}
tls 127.0.0.1 ca
"$PITR" backup --config "$T/tls.conf" --verbose >>"$T/all.log" 2>&1 ||
    fail "a backup over TLS: $?"
tls 127.0.0.1 other
expect_exit 1 "$PITR" backup --config "$T/tls.conf"
said "TLS|SSL|certificate"
tls localhost ca
expect_exit 1 "$PITR" backup --config "$T/tls.conf"
said "TLS|SSL|certificate"

say "a server that asks for the password as it is, or for a file"
${CC:-cc} -O1 -o "$T/server" "$TOP/tests/hostile/server.c"
# asked SEED PACKET ATTACK
asked()
{
    rm -f "$T/port"
    "$T/server" "$SRC" "$T/port" "$1" "$SECRET" "$2" "$3" >"$T/attacks" &
    local server=$!
    wait_until 10 test -s "$T/port" || fail "the hostile server does not start"
    sed "s|^socket = .*|host = 127.0.0.1\nport = $(cat "$T/port")|" \
        "$T/pitr.conf" >"$T/hostile.conf"
    "$PITR" stream --once --config "$T/hostile.conf" >>"$T/all.log" 2>&1 &&
        fail "it went on"
    kill -KILL $server
    wait $server 2>/dev/null || true
    grep -q "$3" "$T/attacks" || fail "it did not ask"
    ! grep STOLEN "$T/attacks" || fail "it got it"
}
for seed in 1 2 3 4 5 6 7 8; do # each of the ways to ask
    asked $seed 1 "asks for the password"
done
asked 1 2 "asks for a file"

say "a stream: where is the password?"
stream_start --verbose
nowhere_plain "$STREAM" "$SECRET"
grep -q "^locked [1-9]" "$T/where" || fail "it is not there at all?"
! tr '\0' '\n' <"/proc/$STREAM/cmdline" | grep -qF "$SECRET" ||
    fail "it is on the command line"
! tr '\0' '\n' <"/proc/$STREAM/environ" | grep -qF "$SECRET" ||
    fail "it is in the environment"
grep -q "^Max core file size  *0 " "/proc/$STREAM/limits" || fail "core files"
sql "$SRC" "INSERT INTO d.t VALUES (2000)"
streamed

say "a core file"
# cores COMMAND...: does it leave one, when it is aborted?
cores()
{
    (
        cd "$T"
        ulimit -c unlimited 2>/dev/null || exit 2
        exec perl -e 'my $p = fork; if (!$p) { exec @ARGV; exit 127 }
            select undef, undef, undef, 0.5; kill "ABRT", $p; waitpid $p, 0;
            exit(($? & 128) ? 0 : 1)' "$@"
    ) >/dev/null 2>&1
}
stream_stop
if command -v perl >/dev/null && cores sleep 9; then
    ! cores "$PITR" stream --config "$T/pitr.conf" || fail "it left a core file"
else
    echo "this machine leaves no core files: not tested"
fi
rm -f "$T"/core*

say "a restore: where is the passphrase?"
pitr restore --secret-key "$T/key" --passphrase-file "$T/phrase" --verbose \
    --sandbox "$T/r" >>"$T/all.log" 2>&1 &
restore=$!
children+=("$restore")
wait_until 20 test -d "$T/r/data" || fail "the restore does not begin"
pid=$restore
[ -z "$(cat "/proc/$pid/task/$pid/children")" ] ||
    pid=$(tr ' ' '\n' <"/proc/$pid/task/$pid/children" | head -1)
kill -STOP "$pid"
nowhere_plain "$pid" "$PHRASE"
kill -CONT "$pid"
rc=0
wait "$restore" || rc=$?
[ $rc = 0 ] || [ $rc = 3 ] || fail "exit code $rc of the restore"
[ "$(sql "$(sandbox_socket "$T/r")" "SELECT COUNT(*) FROM d.t")" = 1001 ] ||
    fail "not what was there"

say "nothing of it was said or written"
cat "$T/stream.log" >>"$T/all.log"
! grep -rlF -e "$SECRET" -e "$PHRASE" "$T/all.log" "$REPO" "$T/state" ||
    fail "a secret was written down"
