#!/bin/bash
# Every failure says what, where and what to do next, and has its exit code;
# and nothing is left half done.
. "$(dirname "$0")/lib.sh"

source_server
sql "$SRC" "CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, v TEXT);
    INSERT INTO t SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_20000"
set_up

say "usage: unknown command, option, value, nothing at all"
expect_exit 2 "$PITR" bakcup
said 'no command "bakcup"' 'pitr --help'
expect_exit 2 pitr backup --jbos 3
said 'no option --jbos' 'pitr backup --help'
expect_exit 2 pitr backup --jobs many
said '--jobs' 'many' 'or auto'
expect_exit 2 pitr backup -j3x
said '--jobs' '3x'
expect_exit 2 pitr backup --lock-wait 2h
said '2h is out of range .100ms to 1h.'
expect_exit 2 pitr restore -nx
said 'no option -nx'
expect_exit 2 pitr restore --until "half past two" --sandbox "$T/r"
said 'half past two' '2022-05-02 14:03:00'
expect_exit 2 pitr restore --until-gtid 0-1 --sandbox "$T/r" \
    --secret-key "$T/key"
said '0-1'
expect_exit 2 pitr restore --secret-key "$T/key"
said '--sandbox'
expect_exit 2 "$PITR"
expect_exit 2 "$PITR" keygen
said '--out'
expect_exit 0 "$PITR" --help
expect_exit 0 "$PITR" --version
expect_exit 0 "$PITR" restore --help
expect_exit 0 "$PITR" help restore
said 'usage: pitr restore'
expect_exit 2 "$PITR" --config "$T/pitr.conf" list
said 'the command comes first'
mkdir "$T/paper"
expect_exit 1 "$PITR" keygen --out "$T/k2" --no-passphrase --paper "$T/paper"
said "$T/paper"
[ ! -e "$T/k2" ] && [ ! -e "$T/k2.pub" ] || fail "half of a key was left"

say "configuration: an unknown key, a bad value, with file and line; no file"
cp "$T/pitr.conf" "$T/good.conf"
sed 's/^user/usr/' "$T/good.conf" >"$T/bad.conf"
expect_exit 2 "$PITR" backup --config "$T/bad.conf"
said "bad.conf line 4" "usr"
echo "jobs = several" >>"$T/pitr.conf"
expect_exit 2 pitr backup
said "pitr.conf line 8" "jobs" "several" "or auto"
for line in "repository = $REPO # ours" "acknowledge = always"; do
    { grep -v "^${line%% *} " "$T/good.conf"; echo "$line"; } >"$T/bad.conf"
    expect_exit 2 "$PITR" list --config "$T/bad.conf"
    said "bad.conf line [0-9]+: ${line%% *}" "${line##* }"
done
cp "$T/good.conf" "$T/pitr.conf"
expect_exit 2 "$PITR" backup --config "$T/nowhere.conf"
said "nowhere.conf"
expect_exit 2 "$PITR" backup --config "$T"
said "$T: Is a directory"
expect_exit 2 pitr backup --server other
said "other" "src"
grep -v signing_key "$T/good.conf" >"$T/bad.conf"
expect_exit 2 "$PITR" backup --config "$T/bad.conf"
said "signing_key"

say "the server: wrong password, nobody there, a missing grant, no log"
(umask 077 && echo wrong >"$T/wrong")
sed "s|/password|/wrong|" "$T/good.conf" >"$T/bad.conf"
for c in backup "stream --once"; do
    # shellcheck disable=SC2086
    expect_exit 1 "$PITR" $c --config "$T/bad.conf"
    said "denied" "password"
done
sed "s|src/sock|no/sock|" "$T/good.conf" >"$T/bad.conf"
for c in backup "stream --once"; do
    # shellcheck disable=SC2086
    expect_exit 15 "$PITR" $c --config "$T/bad.conf"
    said "no/sock" "running"
done
sql "$SRC" "REVOKE RELOAD, EVENT ON *.* FROM pitr@localhost"
expect_exit 1 pitr backup
said "RELOAD" "EVENT" "pitr check"
expect_exit 1 pitr check
said "RELOAD" "EVENT" "check --grants"
sql "$SRC" "REVOKE REPLICATION SLAVE ON *.* FROM pitr@localhost"
expect_exit 1 pitr stream --once
said "GRANT REPLICATION SLAVE"
mysql_client --socket="$SRC" <"$T/grants.sql"

say "the server: its process is stopped in the middle of a backup"
sed "s|^socket|answer_timeout = 1s\n&|" "$T/good.conf" >"$T/bad.conf"
frozen()
{
    "$PITR" backup --config "$T/bad.conf" --rate 2M &
    sleep 0.7
    kill -STOP "$(cat "$T/src/child")"
    wait $!
}
expect_exit 15 frozen
kill -CONT "$(cat "$T/src/child")"
said "has not answered for" "answer_timeout"

say "keys: not there, readable by others, another repository's"
mv "$T/signing.key" "$T/away.key"
expect_exit 12 pitr backup
said "signing.key"
cp "$T/away.key" "$T/signing.key"
chmod 644 "$T/signing.key"
expect_exit 12 pitr backup
said "signing.key" "0644|chmod"
rm "$T/signing.key"
sed "s|$REPO|$T/repo2|; s|/signing\.key|/signing2.key|" "$T/good.conf" >"$T/two.conf"
"$PITR" init --config "$T/two.conf" --recipient-file "$T/key.pub" >/dev/null
cp "$T/signing2.key" "$T/signing.key"
expect_exit 12 pitr backup
said "signing.key"
rm "$T/signing.key"
mv "$T/away.key" "$T/signing.key"
expect_exit 12 "$PITR" keygen --out "$T/k3" --passphrase-file "$T/nofile"
said "nofile"
expect_exit 1 "$PITR" keygen --out "$T/key" --no-passphrase
said "$T/key"

say "the repository: not there, another server's, not empty at init"
sed "s|$REPO|$T/norepo|" "$T/good.conf" >"$T/bad.conf"
expect_exit 10 "$PITR" backup --config "$T/bad.conf"
said "norepo" "pitr init"
expect_exit 10 "$PITR" list --config "$T/bad.conf"
said "norepo"
sed "s|^\[src\]|[another]|" "$T/good.conf" >"$T/bad.conf"
expect_exit 10 "$PITR" backup --config "$T/bad.conf"
said "another" "src"
mkdir "$T/full"
touch "$T/full/file"
sed "s|$REPO|$T/full|; s|/signing\.key|/signing3.key|" "$T/good.conf" >"$T/bad.conf"
expect_exit 10 "$PITR" init --config "$T/bad.conf" --recipient-file "$T/key.pub"
said "full" "empty"
[ ! -e "$T/signing3.key" ] || fail "a failed init has left a signing key"
expect_exit 10 pitr init --recipient-file "$T/key.pub"
said "$REPO is a repository already" 'list --repository'
expect_exit 2 pitr init
said "recipient" "keygen"

say "nothing that failed is listed; then a backup and a log"
expect_exit 0 pitr list
said "backups" "none"
[ -z "$(backups)" ] || fail "a failed backup is listed"
pitr stream --once >/dev/null
pitr backup >/dev/null
sql "$SRC" "INSERT INTO d.t VALUES (0, 'later')"
sleep 1.1
pitr stream --once >/dev/null
expect_exit 3 pitr check --wait 100ms
said "marker .* has not arrived within 0.1s" "stream --once.* --wait"
expect_exit 1 "$PITR" check --wait 2s \
    --config <(cat "$T/good.conf" && echo max_lag = 2s)
# One that always fails captures nothing, however often cron runs it.
sed "s|/password|/wrong|" "$T/good.conf" >"$T/bad.conf"
expect_exit 1 "$PITR" stream --once --config "$T/bad.conf"
expect_exit 1 pitr check --wait 100ms
said "stream --once\" has failed .* ago" "see what it says"

say "cutoffs outside of the windows, which are printed"
for when in "2001-02-03 04:05:06" "2099-01-01"; do
    expect_exit 13 pitr restore --until "$when" --sandbox "$T/r" \
        --secret-key "$T/key"
    said "$(date +%Y-%m-%d)" " UTC"
done
expect_exit 13 pitr restore --until-gtid 0-1-999999 --sandbox "$T/r" \
    --secret-key "$T/key"
said "0-1-999999" "after GTID 0-1-[0-9]+, up to 0-1-[0-9]+"
expect_exit 13 pitr restore --until-gtid 7-1-5 --sandbox "$T/r" \
    --secret-key "$T/key"
expect_exit 10 pitr restore --backup 20010203T040506Z --sandbox "$T/r" \
    --secret-key "$T/key"
said "20010203T040506Z"
[ ! -e "$T/r" ] || fail "a refused restore has made its sandbox"

say "a target that is not empty, or not there"
expect_exit 1 pitr restore --secret-key "$T/key" --socket "$SRC" --user root
said "has schemas of the backup.* d " "--sandbox"
[ "$(sql "$SRC" "SELECT COUNT(*) FROM d.t")" = 20001 ] || fail "it was touched"
mkdir "$T/used"
touch "$T/used/file"
expect_exit 1 pitr restore --secret-key "$T/key" --sandbox "$T/used"
said "used" "not empty"
expect_exit 15 pitr restore --secret-key "$T/key" --socket "$T/none" --user root
said "none"
expect_exit 1 pitr restore --secret-key "$T/key" --sandbox "$T/s" \
    --mariadbd /bin/nonesuch
said "nonesuch"
rm -rf "$T/s"

say "a byte flipped, bytes missing, an object gone: refused by name"
damage() # PATTERN OF FILE, OFFSET FROM END
{
    local f
    f=$(find "$T/hurt" -type f -path "$1" | sort | tail -1)
    [ -n "$f" ] || fail "no object is like $1"
    chmod u+w "$f"
    perl -e 'open F, "+<", $ARGV[0] or die; seek F, -$ARGV[1], 2; read F, $c, 1;
        seek F, -$ARGV[1], 2; print F chr(ord($c) ^ 1)' "$f" "$2"
    damaged=${f##*/}
}
i=0
for what in '*/part-000001:5000' '*/part-000001:20' '*/schema:300' \
    '*/manifest:300' '*/binlog/*:300' '*/repository:30'; do
    i=$((i + 1))
    rm -rf "$T/hurt"
    cp -r "$REPO" "$T/hurt"
    damage "${what%:*}" "${what#*:}"
    expect_exit 14 "$PITR" restore --repository "$T/hurt" \
        --secret-key "$T/key" --sandbox "$T/h$i"
    said "$damaged"
    rm -rf "$T/h$i"
done
for what in part-000001 schema; do
    rm -rf "$T/hurt"
    cp -r "$REPO" "$T/hurt"
    find "$T/hurt" -name "$what" -delete
    expect_exit 14 "$PITR" restore --repository "$T/hurt" \
        --secret-key "$T/key" --sandbox "$T/g$what"
    said "$what"
    rm -rf "$T/g$what"
done
rm -rf "$T/hurt"
cp -r "$REPO" "$T/hurt"
part=$(find "$T/hurt" -name part-000001)
chmod u+w "$part"
truncate -s -10 "$part"
expect_exit 14 "$PITR" restore --repository "$T/hurt" --secret-key "$T/key" \
    --sandbox "$T/cut"
said "part-000001"
rm -rf "$T/cut"

say "a server without a binary log"
server_stop "$T/src"
server_start "$T/src" --skip-log-bin
expect_exit 1 pitr backup
said "log_bin"
expect_exit 1 pitr stream --once
said "log_bin"
expect_exit 1 pitr check
said "log_bin"

say "a sandbox that was stopped, or killed, while its tables were made"
at_work()
{
    pgrep -f -- "--datadir=$T/r/data" >/dev/null
}
makes_tables()
{
    at_work && [ -d "$T/r/data/mysql" ]
}
for signal in TERM KILL; do
    "$PITR" restore --config "$T/pitr.conf" --secret-key "$T/key" \
        --sandbox "$T/r" >"$T/ended.out" 2>&1 &
    pid=$!
    children+=("$pid")
    wait_until 20 makes_tables || fail "nothing is made"
    if [ $signal = KILL ]; then
        left=$(pgrep -f -- "--datadir=$T/r/data") || fail "nothing is at work"
        # shellcheck disable=SC2086
        kill -STOP $left
        # shellcheck disable=SC2206
        children+=($left)
        # As a timer would whose last restore takes longer.
        expect_exit 11 pitr restore --secret-key "$T/key" --sandbox "$T/./r/"
        said "held by process $pid \(restore\)"
        process_lives "${left%%$'\n'*}" || fail "what was at work is killed"
    fi
    kill -$signal "$pid"
    rc=0
    wait "$pid" 2>/dev/null || rc=$?
    if [ $signal = TERM ]; then
        [ $rc = 143 ] || fail "exit code $rc"
        ! at_work || fail "the program that makes the tables goes on"
    fi
done

say "after all this a restore works"
restore_to r
[ "$(sql "$OUT" "SELECT v FROM d.t WHERE id = 0")" = later ] ||
    fail "the row is not there"
for pid in $left; do
    ! process_lives "$pid" || fail "process $pid of the killed restore lives"
done

say "the lines that it prints work, whatever the person's own defaults"
mkdir "$T/home"
printf '[client]\nuser = nobody\n' >"$T/home/.my.cnf"
printed() # LABEL
{
    HOME=$T/home sh -c "$(sed -n "s/^$1 with: *//p" "$T/r.out") ${2:-}"
}
[ "$(printed "Look around" "-N -e 'SELECT COUNT(*) FROM d.t'")" = 20001 ] ||
    fail "it does not look around"
printed "Stop it"
has_ended()
{
    [ ! -S "$OUT" ]
}
wait_until 30 has_ended || fail "it does not stop"
