#!/bin/bash
# Each write of shipping, on either side, and of a restore can be the last: killed,
# killed within a write, powerless, the disk full, an I/O error.  After each the
# same command does it; the vault is whole; what is restored is the truth.
# Only with PITR_LONG=1: at PITR_FAULTS (3) calls of each kind that chance
# chooses, or with "all" at all.  PITR_SEED repeats it; PITR_PARTS is some of
# "ship vault restore", so that it can be run in pieces.
if [ -z "${PITR_LONG:-}" ]; then
    echo "only with PITR_LONG=1: it takes some minutes"
    exit 77
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vault.sh"
${CC:-cc} -shared -fPIC -O1 -o "$V/fault.so" "$TOP/tests/fault/fault.c" \
    -ldl -lpthread
for SFTP_SERVER in /usr/lib/openssh/sftp-server \
    /usr/libexec/openssh/sftp-server ''; do
    [ ! -x "$SFTP_SERVER" ] || break
done
[ -n "$SFTP_SERVER" ] || {
    echo "there is no sftp-server to make faults in"
    exit 77
}
seed=${PITR_SEED:-20220502} parts=${PITR_PARTS:-ship vault restore}
RANDOM=$seed
echo "seed $seed"
hows=(kill torn power enospc eio)
# moments N: ats, of 1 to N.
moments()
{
    local i
    ats=()
    if [ "${PITR_FAULTS:-3}" = all ]; then
        mapfile -t ats < <(seq "$1")
        return
    fi
    for ((i = 0; i < ${PITR_FAULTS:-3}; i++)); do
        ats+=($((RANDOM % $1 + 1)))
    done
}
faults=0 how='' at=0

good()
{
    local rc=0
    "$@" >"$T/said" 2>&1 || rc=$?
    [ $rc = 0 ] || [ $rc = 3 ] || {
        tail -n 20 "$T/faulty.log" "$T/said"
        fail "exit code $rc of: $* (fault $how at $at, seed $seed)"
    }
}
# faulty PATH COMMAND...: the fault of $how and $at, in pitr itself.
faulty()
{
    local path=$1
    shift
    rm -f "$T/count"
    env LD_PRELOAD="${PITR_PRELOAD:+$PITR_PRELOAD:}$V/fault.so" \
        FAULT_PATH="$path" FAULT_STASH="$V/stash" \
        FAULT_AT="$at" FAULT_DO="$how" FAULT_SEED="$RANDOM" \
        FAULT_COUNT="$T/count" FAULT_COMM="${PITR##*/}" "$PITR" "$1" --config "$T/pitr.conf" \
        "${@:2}" >"$T/faulty.log" 2>&1 </dev/null || true
}
new_vault()
{
    D=$V/vault/$faults-$at-$how
    mkdir "$D"
    sed -i "s|^vault = .*|vault = sftp://$(id -un)@127.0.0.1:$PORT$D|" \
        "$T/pitr.conf"
    rm -f "$REPO"/.shipped-* "$REPO"/.confirmed-* "$REPO"/.state-*
}
vault_is_whole()
{
    good pitr ship --once
    good "$PITR" verify --repository "$D" --all --state none
    (cd "$REPO" && find repository b* -type f) >"$T/objects"
    while read -r f; do
        cat "$D/$f" "$D/$f"+* 2>/dev/null | cmp -s - "$REPO/$f" ||
            [ -n "$(find "$D" -path "$D/$f+*" -size 0)" ] ||
            good "$PITR" verify --repository "$D" --all --secret-key "$T/key" \
                --state none
    done <"$T/objects"
    rm -rf "$D"
    faults=$((faults + 1))
}

# The first session on the vault has the fault; those after it are fine.
mkdir -m 777 "$V/stash" "$V/h"
cat >"$V/sftp" <<END
#!/bin/sh
if mv $V/h/fault $V/h/fault.\$\$ 2>/dev/null; then
    . $V/h/fault.\$\$
    export LD_PRELOAD=$V/fault.so
fi
exec $SFTP_SERVER
END
chmod 755 "$V/sftp"
sed -i "/^ForceCommand/d" "$V/conf"
echo "ForceCommand $V/sftp" >>"$V/conf"
faulty_vault()
{
    echo "export FAULT_PATH=$D FAULT_STASH=$V/stash FAULT_AT=$at" \
        "FAULT_DO=$how FAULT_SEED=$RANDOM" \
        >"$V/h/fault"
    pitr ship --once >"$T/faulty.log" 2>&1 || true
    rm -f "$V/h/fault"
}

vault_up
source_server
sql "$SRC" "CREATE DATABASE d; USE d; CREATE TABLE t (id INT AUTO_INCREMENT
    PRIMARY KEY, v TEXT); INSERT INTO t (v) SELECT REPEAT(seq, 50)
    FROM seq_1_to_300"
set_up "vault = $URL" "${ssh_keys[@]}"
good pitr backup
for i in 1 2 3; do
    sql "$SRC" "INSERT INTO d.t (v) VALUES ('$i')"
    good pitr stream --once
done
truth "$SRC" "$T/truth"

# each COMMAND...: for each kind of end and each moment.
each()
{
    for how in "${hows[@]}"; do
        moments "$n"
        for at in "${ats[@]}"; do
            "$@"
        done
    done
    echo "$faults faults, nothing lost"
}
ship_here()
{
    new_vault
    faulty "$REPO" ship --once
    vault_is_whole
}
ship_there()
{
    new_vault
    faulty_vault
    vault_is_whole
}
restored()
{
    sandbox_stop "$T/r"
    rm -rf "$T/r"
    faulty "$T/r" restore --secret-key "$T/key" --sandbox "$T/r"
    # A restore that ended well despite it (a file that may be missing) is
    # not repeated into the same folder.
    if [ -z "$(sandbox_socket "$T/r")" ] ||
        ! tail -n 9 "$T/faulty.log" | grep -q "restored"; then
        sandbox_stop "$T/r"
        # A folder that was hardly begun is not known for ours: it says so.
        [ "$at" -gt 12 ] || rm -rf "$T/r"
        good pitr restore --secret-key "$T/key" --sandbox "$T/r"
    fi
    truth "$(sandbox_socket "$T/r")" "$T/now"
    same "$T/truth" "$T/now"
    faults=$((faults + 1))
}

if [[ $parts == *ship* ]]; then
    say "shipping: what it writes here"
    how=none at=0
    new_vault
    faulty "$REPO" ship --once
    n=$(cat "$T/count")
    echo "$n calls"
    rm -rf "$D"
    each ship_here
fi
if [[ $parts == *vault* ]]; then
    say "shipping: what the vault writes"
    n=30 # it tells nobody how many calls it makes: about so many
    each ship_there
fi
if [[ $parts == *restore* ]]; then
    say "a restore into a sandbox"
    how=none at=0
    faulty "$T/r" restore --secret-key "$T/key" --sandbox "$T/r"
    sandbox_stop "$T/r"
    n=$(cat "$T/count")
    echo "$n calls"
    each restored
fi
