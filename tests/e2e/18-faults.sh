#!/bin/bash
# Each write can be the last: stream, backup and expire are killed at a call that
# changes the repository, in the middle of a write, or with everything gone that
# was not synced; or the disk is full from there on.  After each the next run goes
# on by itself, verify is clean, what was there before is there still, and in the
# end what is restored is the truth.  A sample; all of them with PITR_LONG=1.
# PITR_SEED repeats a sample.
. "$(dirname "$0")/lib.sh"

${CC:-cc} --version >/dev/null 2>&1 || {
    echo "there is no C compiler for the library that makes the faults"
    exit 77
}
${CC:-cc} -shared -fPIC -O1 -o "$T/fault.so" "$TOP/tests/fault/fault.c" \
    -ldl -lpthread
seed=${PITR_SEED:-20220502}
RANDOM=$seed
echo "seed $seed"
faults=0

# faulty AT HOW COMMAND...: sets RC.
faulty()
{
    local at=$1 how=$2
    shift 2
    RC=0
    env LD_PRELOAD="${PITR_PRELOAD:+$PITR_PRELOAD:}$T/fault.so" \
        FAULT_PATH="$REPO" FAULT_STASH="$T/stash" \
        FAULT_AT="$at" FAULT_DO="$how" FAULT_SEED="$RANDOM" \
        FAULT_COUNT="$T/count" ${FAULT_CLOCK:+FAULT_CLOCK=$FAULT_CLOCK} \
        "$PITR" "$1" --config "$T/pitr.conf" "${@:2}" \
        >"$T/faulty.log" 2>&1 </dev/null || RC=$?
}

head_now()
{
    pitr status --json 2>/dev/null | grep -oE '"head":"[^"]*"' | cut -d'"' -f4
}

good()
{
    local rc=0
    "$@" >"$T/said" 2>&1 || rc=$?
    [ $rc = 0 ] || [ $rc = 3 ] || {
        cat "$T/faulty.log" "$T/said"
        fail "exit code $rc of: $* (fault $how at $at, seed $seed)"
    }
}

# prepare COMMAND TEXT: so that it has something to do.
prepare()
{
    sql "$SRC" "INSERT INTO d.t (v) VALUES ('$2')"
    # What the newest backup makes superfluous goes, of 2 s ago and more.
    [ "$1" != expire ] || good pitr backup
}

# one AT HOW COMMAND...: the fault; then the same again, without.
one()
{
    local at=$1 how=$2 had
    shift 2
    prepare "$1" "$how $at"
    had=$(head_now)
    faulty "$at" "$how" "$@" 2>/dev/null # the shell tells of each kill
    if [ "$RC" = 0 ] || [ "$RC" = 3 ]; then
        case $how in
        enospc | eio) # what cannot be written need not matter (a state file)
            [ "$(cat "$T/count")" -ge "$at" ] || return 1
            ;;
        *) return 1 ;; # there are fewer calls than that
        esac
    elif [[ $how = e* ]] && ! grep -qE "No space|Input/output" "$T/faulty.log"
    then
        cat "$T/faulty.log"
        fail "$how at $at: it is not said what was wrong"
    fi
    # What was there is there, and whole, before anything is mended.
    [ "$1" = expire ] || good pitr list --expect "$had"
    good pitr verify
    good pitr "$@"
    good pitr verify
    faults=$((faults + 1))
}

# some COMMAND...: faults at a sample of its calls.
some()
{
    local n at how hows=(power enospc torn power kill eio)
    at=0 how=none
    [ "$1" != expire ] || good pitr "$@" # what is there from before
    prepare "$1" 'counted'
    faulty 0 kill "$@"
    n=$(cat "$T/count")
    [ "$n" -gt 3 ] || fail "$1 changes nothing? $n calls"
    echo "$1 changes the repository by $n calls"
    if [ -n "${PITR_LONG:-}" ]; then
        for how in kill torn power enospc eio; do
            for ((at = 1; at <= n; at++)); do
                one $at $how "$@" || break
            done
        done
        return
    fi
    for how in "${hows[@]:0:$SAMPLE}"; do
        one $((RANDOM % n + 1)) "$how" "$@" || true
    done
}

source_server
sql "$SRC" "CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT
    PRIMARY KEY, v TEXT); INSERT INTO d.t (v) SELECT REPEAT(seq, 50)
    FROM d.seq_1_to_300"
set_up
mkdir "$T/stash"
pitr stream --once >/dev/null 2>&1
pitr backup >/dev/null 2>&1

say "stream"
SAMPLE=3
some stream --once
say "backup"
SAMPLE=2
some backup
say "expire"
SAMPLE=2
some expire --keep 1s --minimum 1

say "a clock that was set back: the stream and the backup go on"
FAULT_CLOCK=-3600
faulty 0 kill backup
[ "$RC" = 0 ] || fail "a backup with its clock set back: exit code $RC"
unset FAULT_CLOCK
for back in -7200 -86400; do
    FAULT_CLOCK=$back
    sql "$SRC" "INSERT INTO d.t (v) VALUES ('clock')"
    faulty 0 kill stream --once
    [ "$RC" = 0 ] || [ "$RC" = 3 ] || fail "stream: exit code $RC"
    unset FAULT_CLOCK
    sql "$SRC" "INSERT INTO d.t (v) VALUES ('clock is right')"
    good pitr stream --once
    good pitr verify
done

say "$faults faults; what is restored is the truth"
truth "$SRC" "$T/truth"
restore_to r
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"
