#!/bin/bash
# Another server takes over: a replica that is behind is waited for, one that
# goes on without the last transactions of the former is followed, and a backup
# that has those is no start for its log.  A restore into the server whose log is
# captured is a gap there.
. "$(dirname "$0")/lib.sh"

row()
{
    sql "$SRC" "INSERT INTO d.t VALUES ($1)"
}
rows_of()
{
    sql "$OUT" "SELECT GROUP_CONCAT(id ORDER BY id) FROM d.t"
}
B=$T/b/sock

port=$((20000 + RANDOM % 20000))
source_server --skip-networking=0 --bind-address=127.0.0.1 --port="$port"
server_init "$T/b"
server_start "$T/b" --server-id=2 --log-bin="$T/b/data/other" \
    --log-slave-updates=ON
sql "$SRC" "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY);
    CREATE USER replica@'%' IDENTIFIED BY 'r';
    GRANT REPLICATION SLAVE ON *.* TO replica@'%'"
sql "$B" "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=$port,
    MASTER_USER='replica', MASTER_PASSWORD='r', MASTER_USE_GTID=slave_pos;
    START SLAVE"
set_up
pitr stream --once
row 1
pitr backup
first=$(backups)
row 2
pitr stream --once
sql "$B" "SELECT MASTER_GTID_WAIT('$(position)', 20)" | grep -qx 0 ||
    fail "the replica does not replicate"

say "an address that is moved to a replica too early"
sql "$B" "STOP SLAVE SQL_THREAD; STOP SLAVE; CHANGE MASTER TO MASTER_DELAY=600;
    START SLAVE"
row 3
pitr stream --once
A=$SRC SRC=$B
configure
expect_exit 15 pitr stream --once
said "is a replica that has not come to 0-1-"
[ "$(pitr list | grep -c GAP)" = 0 ] || fail "it has made a gap"

say "it takes over, and a backup of the former has what was lost"
sql "$B" "STOP SLAVE; CHANGE MASTER TO MASTER_DELAY=0; START SLAVE"
sql "$B" "SELECT MASTER_GTID_WAIT('$(position "$A")', 20)" | grep -qx 0 ||
    fail "the replica does not come to the end"
sql "$B" "STOP SLAVE; RESET SLAVE ALL"
SRC=$A
configure
row 666
pitr backup
lost=$(backups | tail -1)
SRC=$B
configure
row 4
row 5
takeover=$(position)
pitr stream --once
expect_exit 3 pitr restore --dry-run --secret-key "$T/key"
said "backup $lost has transactions that the log does not go on with" \
    "backup $first as of" "last transaction in: .*$(position)"
expect_exit 3 pitr restore --dry-run --secret-key "$T/key" --backup "$lost"
said "backup $lost as of" "none from the log"

say "a restore into the server itself is a gap in its log"
pitr backup
row 6
pitr stream --once
expect_exit 3 pitr restore --secret-key "$T/key" --only d --rename d=then \
    --socket "$B" --user root
said "is a gap now: make a backup"
row 7
expect_exit 13 pitr stream --once
said "a restore into the server was begun" "what it changed is not in"
expect_exit 13 pitr status
expect_exit 3 pitr restore --dry-run --secret-key "$T/key"
said "gap in the log follows"
sql "$B" "RENAME TABLE then.t TO d.was"
pitr backup
row 8
pitr stream --once
expect_exit 3 pitr status
[ "$(pitr list | grep -c GAP)" = 2 ] || fail "not one gap before, one after"
[ -n "${PITR_LONG:-}" ] || exit 0
restore_to r2
[ "$(rows_of)" = 1,2,3,4,5,6,7,8 ] || fail "after the restore: $(rows_of)"
[ "$(sql "$OUT" "SELECT COUNT(*) FROM d.was")" = 6 ] || fail "d.was"
sandbox_stop "$T/r2"
expect_exit 3 pitr restore --secret-key "$T/key" --sandbox "$T/r1" \
    --until-gtid "$takeover"
OUT=$(sandbox_socket "$T/r1")
[ "$(rows_of)" = 1,2,3,4,5 ] || fail "after the takeover: $(rows_of)"
