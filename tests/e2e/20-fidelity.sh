#!/bin/bash
# Everything that a server can hold, restored half from the rows of a backup and
# half from the log (with PITR_LONG=1 also all from either), and compared in full
# with what the server itself says.  doc/CASES.md tells which case is where.
#
# fidelity/*-since-NNNN.sql are for that version (10.6 is 1006) and later ones.
# Runs on each version.
. "$(dirname "$0")/lib.sh"

HERE=$TOP/tests/e2e/fidelity

# run FILE...: those for this version, in the order of their names.
run()
{
    local f since
    for f; do
        since=${f##*-since-} since=${since%.sql}
        [[ $f != *-since-* || $since -le $VERSION ]] || continue
        [[ $f != *-long.sql || -n ${PITR_LONG:-} ]] || continue
        mysql_client --socket="$SRC" <"$f" >"$T/filled" 2>&1 || {
            cat "$T/filled"
            fail "$f"
        }
    done
}

source_server --default-time-zone=+08:00 --log-bin-trust-function-creators=1
VERSION=$(version "$SRC")
set_up
pitr stream --once
pitr backup >"$T/backup.out" 2>&1 || { cat "$T/backup.out"; fail "backup"; }
run "$HERE"/*.sql
mkdir "$T/src/data/lost+found" # its folder is a file system's own
# 10.5 wants it of whoever reads a table with NEXTVAL() as a default.
((VERSION >= 1006)) ||
    sql "$SRC" "GRANT INSERT ON cols.numbers TO pitr@localhost"
pitr backup >"$T/backup.out" 2>&1 || { cat "$T/backup.out"; fail "backup"; }
sql "$SRC" "SET GLOBAL log_bin_compress = ON"
run "$HERE"/then/*.sql
before=$(position)
pitr backup >"$T/backup.out" 2>&1 || { cat "$T/backup.out"; fail "backup"; }
[ "$(position)" = "$before" ] || fail "a backup has written to the server's log"
pitr stream --once
# What the source is asked for is what each restored server is asked for.
ask()
{
    TRUTH_COUNTERS=1 truth "$1" "$2"
    # Another version shows other columns and types of the same things.
    [ "${PITR_SERVER_BIN:-}" != "${PITR_TARGET_BIN:-}" ] ||
        truth_catalogue "$1" "$2"
}

rmdir "$T/src/data/lost+found"
ask "$SRC" "$T/truth"
by_index="SELECT id FROM times.zoned FORCE INDEX (h) WHERE h = 0 AND id < 2"
indexed=$(sql "$SRC" "$by_index")
[ "$indexed" = 1 ] || fail "that index"

mapfile -t ids < <(backups)
# restored NAME NUMBER: by the backup of that number.
restored()
{
    local rc=0
    say "$1"
    pitr restore --secret-key "$T/key" --sandbox "$T/r$2" \
        --backup "${ids[$2]}" >"$T/said" 2>&1 || rc=$?
    # A later server than 10.5 stores no negative zero, which is said.
    if [ $rc = 3 ] && ((VERSION < 1006)) &&
        [ "${PITR_SERVER_BIN:-}" != "${PITR_TARGET_BIN:-}" ]; then
        said "negative zero"
    elif [ $rc != 0 ]; then
        cat "$T/said"
        fail "exit code $rc"
    fi
    grep -E '^(loaded|replayed|done)' "$T/said"
    OUT=$(sandbox_socket "$T/r$2")
    [ "$(sql "$OUT" "$by_index")" = "$indexed" ] ||
        fail "an index goes by another time zone"
    ask "$OUT" "$T/r$2.truth"
    same "$T/truth" "$T/r$2.truth"
    sandbox_stop "$T/r$2"
}
restored "half and half" 1
if [ -n "${PITR_LONG:-}" ]; then
    restored "rows alone" 2
    restored "the log alone" 0
fi

say "FLOAT and DOUBLE, beside a round trip by mariadb-dump"
# How many values of a table of floats are another one afterwards.
differ()
{
    truth_rows "$1" "$T/floats"
    grep -aP '^numbers\.(many_)?floats\t' "$T/floats.raw" | sort >"$T/theirs"
    diff "$T/ours" "$T/theirs" | grep -c '^<' || true
}
grep -aP '^numbers\.(many_)?floats\t' "$T/truth.rows" >"$T/ours"
server_init "$T/stock"
server_start "$T/stock"
mariadb-dump --no-defaults --user=root --socket="$SRC" numbers \
    floats many_floats >"$T/stock.sql"
sql "$T/stock/sock" "CREATE DATABASE numbers"
mysql_client --socket="$T/stock/sock" numbers <"$T/stock.sql"
lost=$(differ "$T/stock/sock")
grep -aP '^numbers\.(many_)?floats\t' "$T/r1.truth.rows" >"$T/theirs"
kept=$(diff "$T/ours" "$T/theirs" | grep -c '^<' || true)
echo "of $(wc -l <"$T/ours") rows: pitr changes $kept, mariadb-dump $lost"
[ "$kept" = 0 ] && [ "$lost" -gt 100 ] || fail "the comparison with mariadb-dump"
