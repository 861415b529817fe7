#!/bin/bash
# The same log, applied by mariadb-binlog | mariadb and by pitr, in one run:
# both are right, and pitr is several times as fast.  The figure to publish
# comes from scripts/bench-replay with its defaults; here log and tables are
# short, and the bound has slack for the start of the applier and a busy machine.
# Runs alone: it measures time.
. "$(dirname "$0")/lib.sh"
[ -z "${PITR_SLOW:-}" ] || {
    echo "it measures time, and the program is one that is slow"
    exit 77
}

PITR=$PITR TMPDIR=$T "$TOP/scripts/bench-replay" --number 6000 --rows 5000 |
    tee "$T/out"
ratio=$(sed -n 's/^ratio //p' "$T/out")
awk -v r="$ratio" 'BEGIN { exit !(r >= 2) }' || fail "only $ratio times"
