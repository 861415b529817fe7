#!/bin/bash
# Torture, one round: tables of every shape and type, three clients that write
# and change definitions as chance has it (tests/torture/generate.awk), backups
# and moments between; the database restored to each moment equals the server's
# own account of it.  `scripts/torture` runs it with one seed after another;
# here it is one, for some seconds.
#
# PITR_TORTURE_SEED decides what is done, PITR_TORTURE_MOMENTS how long,
# PITR_TORTURE_TRIES how often a backup is tried before the clients pause.  When
# clients overtake each other, and when what they do meets a backup, is up to the
# machine: what is kept of a failure has the server's log and the repository.
# Runs on each version.
. "$(dirname "$0")/lib.sh"
seed=${PITR_TORTURE_SEED:-20221108}
moments=${PITR_TORTURE_MOMENTS:-1}
tries=${PITR_TORTURE_TRIES:-1}
RANDOM=$seed

# pick VARIABLE WORD...: not for $(...), where bash has another RANDOM.
pick()
{
    local -n picked=$1
    shift
    shift $((RANDOM % $#))
    picked=$1
}

generate() # CLIENT
{
    awk -v seed="$seed" -v client="$1" -v version="$version" \
        -v across="$across" -f "$TOP/tests/torture/generate.awk"
}

nap()
{
    sleep "$((RANDOM % 2)).$((RANDOM % 9))"
}

across=''
[ "${PITR_SERVER_BIN:-}" = "${PITR_TARGET_BIN:-}" ] || across=1
pick format ROW ROW ROW MIXED
pick image FULL MINIMAL
pick compress ON OFF
pick checksum CRC32 CRC32 NONE
pick charset utf8mb4 latin1
pick zone SYSTEM +05:30 -11:00
pick file_size 256K 16M
pick strict ON OFF
pick segment_size 64K 1M
settings=(--binlog-format="$format" --binlog-row-image="$image"
    --log-bin-compress="$compress" --log-bin-compress-min-len=64
    --binlog-checksum="$checksum" --character-set-server="$charset"
    --default-time-zone="$zone" --max-binlog-size="$file_size"
    --innodb-lock-wait-timeout=1 --gtid-strict-mode="$strict"
    --log-bin-trust-function-creators=1)
# What a statement does may depend on the version; see generate.awk.
[ -z "$across" ] || settings+=(--binlog-format=ROW)
echo "seed $seed: ${settings[*]}"
source_server "${settings[@]}"
version=$(version "$SRC")
generate 0 | mysql_client --socket="$SRC" --force 2>>"$T/writers.log"
sql "$SRC" "CREATE DATABASE torture; CREATE TABLE torture.marks (n INT)"
set_up
stream_start --segment-size "$segment_size"

# Exit code 3: a warning, such as of a view on a table that is gone.  DDL that
# comes at the wrong time is refused by name, and then it is tried again; in the
# end while the clients rest.
backup()
{
    local try rc
    for ((try = 0; try < tries + 4; try++)); do
        rc=0
        ((try < tries)) || writers_pause
        pitr backup --lock-wait "$((tries + 1))s" >"$T/backup.out" 2>&1 ||
            rc=$?
        ((try < tries)) || writers_resume
        [ $rc != 0 ] && [ $rc != 3 ] || return 0
        grep -E '^pitr: ' "$T/backup.out" | cut -c1-200 || true
        grep -qE 'run the backup again|at a quieter time|XA ROLLBACK' \
            "$T/backup.out" || break
    done
    cat "$T/backup.out"
    fail "backup: exit code $rc"
}

# A transaction of now, in every domain that a client may have; prints the GTID
# of the last.
mark()
{
    local d out
    for d in 0 1 2 3; do
        out=$(sql "$SRC" "SET gtid_domain_id = $d;
            INSERT INTO torture.marks VALUES ($1); SELECT @@last_gtid")
    done
    echo "$out"
}

declare -A cutoff
moment() # N
{
    local gtid kind
    writers_pause
    pick kind time until before
    case $kind in
    time) # after it comes a transaction whose time is not a client's invention
        cutoff[$1]="--until @$(wait_second "$SRC")"
        asked "$SRC" "$T/truth$1"
        mark "$1" >/dev/null
        ;;
    until)
        gtid=$(mark "$1")
        asked "$SRC" "$T/truth$1"
        cutoff[$1]="--until-gtid $gtid"
        ;;
    before)
        asked "$SRC" "$T/truth$1"
        # The first of the marks, in domain 0.
        gtid=$(mark "$1")
        gtid=$(sql "$SRC" "SELECT @@gtid_binlog_pos" | tr ',' '\n' |
            grep '^0-')
        cutoff[$1]="--before-gtid $gtid"
        ;;
    esac
    writers_resume
}

# The truth, but for rows of history that end when they begin, as a clock that
# was set makes them: a backup leaves them out, and says so; and for what tables
# keep of an engine that they had: SHOW CREATE TABLE of an Aria table has the row
# format of InnoDB once it is partitioned, and not before.
asked() # SOCKET FILE
{
    truth "$1" "$2"
    awk -F '\t' '!($NF == $(NF - 1) && $NF ~ /^[0-9][0-9][0-9][0-9]-/)' \
        "$2.rows" >"$2.kept"
    mv "$2.kept" "$2.rows"
    sed -Ei 's/(ENGINE=(InnoDB|MyISAM) .*) PAGE_CHECKSUM=[01]/\1/
        s/(ENGINE=Aria .*) ROW_FORMAT=[A-Z]+/\1/' "$2.defs"
}

nobody_is_left()
{
    [ "$(sql "$SRC" "SELECT COUNT(*) FROM information_schema.processlist
        WHERE command <> 'Binlog Dump' AND user = 'root'
        AND id <> CONNECTION_ID()")" = 0 ]
}

for i in 1 2 3; do
    write_as generate $i
done
nap
backup
for ((n = 1; n <= moments; n++)); do
    nap
    moment "$n"
    ((RANDOM % 3)) || { nap; backup; }
done
sleep 0.3
writers_stop
wait_until 20 nobody_is_left || fail "the writers do not end"
streamed
asked "$SRC" "$T/truth0"
cutoff[0]=

for ((n = 0; n <= moments; n++)); do
    rc=0
    # shellcheck disable=SC2086
    pitr restore --secret-key "$T/key" --sandbox "$T/r$n" ${cutoff[$n]} \
        >"$T/r$n.out" 2>&1 || rc=$?
    [ $rc = 0 ] || [ $rc = 3 ] || {
        cat "$T/r$n.out"
        fail "seed $seed, moment $n (${cutoff[$n]}): exit code $rc"
    }
    OUT=$(sandbox_socket "$T/r$n")
    asked "$OUT" "$T/restored$n"
    echo "moment $n ${cutoff[$n]}: $(wc -l <"$T/truth$n.rows") rows," \
        "$(grep '^replayed' "$T/r$n.out")"
    same "$T/truth$n" "$T/restored$n"
    sandbox_stop "$T/r$n"
    rm -rf "$T/r$n"
done
stream_stop
