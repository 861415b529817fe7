#!/bin/bash
# A backup that steps back: for a rate of bytes, for statements of others, for
# the lag of a replica; its process is as nice as asked for.  What comes of it
# is as whole as ever.
. "$(dirname "$0")/lib.sh"

port=$((20000 + RANDOM % 20000))
source_server --skip-networking=0 --bind-address=127.0.0.1 --port="$port"
sql "$SRC" "CREATE DATABASE g; USE g;
    CREATE TABLE big (id INT PRIMARY KEY, t VARCHAR(1000));
    INSERT INTO big SELECT seq, REPEAT(MD5(seq), 30) FROM seq_1_to_12000;
    CREATE USER app@localhost; CREATE USER replica@127.0.0.1;
    GRANT REPLICATION SLAVE ON *.* TO replica@127.0.0.1"
set_up "jobs = auto"

ms()
{
    echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

say "12 MB with 4 MiB a second; the priority"
begun=$(ms)
pitr backup --jobs auto --rate 4M --nice 12 >"$T/out" 2>&1 &
child=$!
nice_of()
{
    # pitr is a function: the program may be the shell's child.
    ps -o ni= --pid "$child" --ppid "$child" | grep -q '^ *12$'
}
wait_until 10 nice_of || fail "not nice"
wait "$child" || fail "backup: $(cat "$T/out")"
took=$(($(ms) - begun))
[ $took -ge 1500 ] || fail "only $took ms"

say "while three statements of others run"
for _ in 1 2 3; do
    mariadb --no-defaults --user=app --socket="$SRC" -e "DO SLEEP(60)" \
        >/dev/null 2>&1 &
    children+=($!)
done
running()
{
    [ "$(sql "$SRC" "SELECT COUNT(*) FROM information_schema.PROCESSLIST
        WHERE USER = 'app' AND COMMAND = 'Query'")" = 3 ]
}
wait_until 20 running || fail "the clients do not run"
pitr backup --max-load 2 >"$T/out" 2>&1 &
child=$!
wait_until 20 grep -q 'waits: 3 statements run on the server, more than 2' \
    "$T/out" || fail "it does not wait: $(cat "$T/out")"
sql "$SRC" "KILL USER app@localhost"
wait "$child" || fail "backup: $(cat "$T/out")"
grep -q 'the backup goes on, after' "$T/out" || fail "$(cat "$T/out")"

say "a replica that is behind, and an account that may not see it"
server_init "$T/rep"
server_start "$T/rep" --server-id=2 --log-slave-updates
rep()
{
    sql "$T/rep/sock" "$@"
}
rep "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_SSL=0,
    MASTER_PORT=$port, MASTER_USER='replica', MASTER_USE_GTID=slave_pos,
    MASTER_DELAY=4; START SLAVE"
same_position()
{
    [ "$(rep "SELECT @@gtid_slave_pos")" = "$(position)" ]
}
wait_until 40 same_position || fail "the replica does not come along"
sed -e "s,^socket = .*,socket = $T/rep/sock," \
    -e "s,^repository = .*,repository = $T/repo2," \
    -e "s,^signing_key = .*,signing_key = $T/signing2.key," \
    "$T/pitr.conf" >"$T/rep.conf"
"$PITR" init --config "$T/rep.conf" --recipient-file "$T/key.pub" \
    --secret-key "$T/key" >/dev/null
rc=0
"$PITR" backup --config "$T/rep.conf" --max-lag 1s >"$T/out" 2>&1 || rc=$?
[ $rc = 1 ] && grep -q 'SLAVE MONITOR' "$T/out" || fail "$rc: $(cat "$T/out")"
rep "SET sql_log_bin = 0; GRANT SLAVE MONITOR ON *.* TO pitr@localhost"
sql "$SRC" "CREATE TABLE g.late (id INT)"
behind()
{
    (($(mysql_client --socket="$T/rep/sock" -e "SHOW ALL SLAVES STATUS\\G" |
        sed -n 's/.*Seconds_Behind_Master: //p') > 1))
}
wait_until 20 behind || fail "it is not behind"
"$PITR" backup --config "$T/rep.conf" --max-lag 1s >"$T/out" 2>&1 ||
    fail "backup: $(cat "$T/out")"
grep -q 'behind its source, more than 1' "$T/out" || fail "$(cat "$T/out")"

say "all of them are whole"
pitr verify --all --secret-key "$T/key" >/dev/null
"$PITR" verify --config "$T/rep.conf" --all --secret-key "$T/key" >/dev/null
