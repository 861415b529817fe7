# Backups while definitions change all the time: each ends soon, whole or with a
# clear word, and nobody who works on the server is held up for long.  An ALTER
# that waits for the backup's lock while it holds its table must not wait for a
# backup that waits for that table.
. "$(dirname "$0")/lib.sh"

changes()
{
    local i=0
    echo "USE d;"
    while :; do
        i=$((i + 1))
        echo "ALTER TABLE t ADD COLUMN c$i INT DEFAULT $i;
            ALTER TABLE t DROP COLUMN c$i; DO SLEEP(0.03);"
    done
}
grants()
{
    while :; do
        echo "GRANT SELECT ON d.* TO visitor; REVOKE SELECT ON d.* FROM visitor;"
    done
}
rows()
{
    local i=0
    echo "USE d;"
    while :; do
        i=$((i + 1))
        echo "INSERT INTO t (v) VALUES ($i), ($i);
            DELETE FROM t WHERE v < $i - 200; INSERT INTO u VALUES ($i, $i);
            UPDATE beat SET at = NOW(6);"
    done
}

source_server
sql "$SRC" "CREATE DATABASE d; CREATE TABLE d.t (v INT, KEY (v));
    CREATE TABLE d.u (id INT PRIMARY KEY, v INT);
    CREATE USER visitor;
    CREATE TABLE d.beat (at TIMESTAMP(6)); INSERT INTO d.beat VALUES (NOW(6))"
set_up
pitr stream --once
write_as changes
write_as rows
write_as grants

whole=0
rounds=6
[ -z "${PITR_LONG:-}" ] || rounds=25
for ((n = 0; n < rounds; n++)); do
    rc=0
    timeout -s KILL 40 "$PITR" backup --config "$T/pitr.conf" \
        >"$T/backup.out" 2>&1 || rc=$?
    case $rc in
    0) whole=$((whole + 1)) ;;
    1) grep -qiE 'changed|created|lock' "$T/backup.out" ||
        { cat "$T/backup.out"; fail "round $n: without a reason"; } ;;
    *)
        sql "$SRC" "SHOW FULL PROCESSLIST"
        cat "$T/backup.out"
        fail "round $n: exit code $rc"
        ;;
    esac
    sleep 0.2
    stall=$(sql "$SRC" "SELECT TIMESTAMPDIFF(SECOND, at, NOW(6)) FROM d.beat")
    ((stall < 10)) || fail "round $n: a writer has stood still for $stall s"
done
echo "$whole of $n backups were whole"
((whole > 0)) || fail "no backup came through"
writers_stop
truth "$SRC" "$T/truth"
pitr stream --once
restore_to r
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"
