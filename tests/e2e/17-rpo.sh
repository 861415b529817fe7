#!/bin/bash
# Nothing acknowledged is lost: clients write down each commit that the server
# confirmed; at a random moment the server is killed and its data directory is
# gone, with acknowledge = vault the whole host's: stream, repository and keys,
# too.  After the restore every confirmed commit is there.  PITR_RPO_ROUNDS says
# how many times (scripts/rpo), PITR_SEED repeats one.
. "$(dirname "$0")/lib.sh"

. "$(dirname "$0")/vault.sh"

rounds=${PITR_RPO_ROUNDS:-2}
CLIENTS=6
seed=${PITR_SEED:-$RANDOM}
RANDOM=$seed
echo "seed $seed, $rounds rounds"

# client N: what it prints was confirmed before.
client()
{
    local i
    for ((i = 1; ; i++)); do
        echo "INSERT INTO d.t VALUES ($1, $i, REPEAT('x', $((i * 37 % 3000))));"
        echo "SELECT $1, $i;"
    done
}
clients_start()
{
    local n
    writers=()
    for ((n = 1; n <= CLIENTS; n++)); do
        mariadb --no-defaults --user=root --socket="$SRC" -N -B --unbuffered \
            < <(client $n 2>/dev/null) >"$T/confirmed.$n" 2>/dev/null &
        writers+=($!)
        children+=($!)
    done
}

waits_for_us()
{
    [ "$(sql "$SRC" "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
        WHERE VARIABLE_NAME = 'Rpl_semi_sync_master_clients'")" = 1 ]
}

confirmed_enough()
{
    [ "$(cat "$T"/confirmed.* 2>/dev/null | wc -l)" -gt $((CLIENTS * 2)) ]
}

# round HOW: HOW is local or vault.
round()
{
    local how=$1 n missing from
    server_init "$T/src"
    # It never falls back: what is confirmed was acknowledged.
    server_start "$T/src" \
        --rpl-semi-sync-master-timeout=600000 \
        --rpl-semi-sync-master-wait-point=AFTER_SYNC --max-binlog-size=16384
    sql "$SRC" "CREATE DATABASE d; CREATE TABLE d.t (client INT, i INT, x TEXT,
            PRIMARY KEY (client, i))"
    find "$V/vault" -mindepth 1 -delete
    set_up "vault = $URL" "${ssh_keys[@]}" "acknowledge = $how"
    pitr backup >/dev/null 2>&1
    sql "$SRC" "SET GLOBAL rpl_semi_sync_master_enabled = ON"
    stream_start
    wait_until 20 waits_for_us || fail "the stream is no semi-sync replica"
    clients_start
    wait_until 30 confirmed_enough || {
        tail -5 "$T/stream.log"
        fail "hardly anything is confirmed"
    }
    sleep 0.$((RANDOM % 90 + 10))
    # Every other time the stream dies first; the server begins new files all the
    # time, so that the next one asks for the begin of one: by that alone it may
    # not acknowledge what no vault has.
    if ((r % 4 > 2 || r % 4 == 0)); then
        kill -KILL "$STREAM"
        process_end "$STREAM"
        stream_start
        sleep 0.$((RANDOM % 90 + 10))
    fi

    # All at once, as a power cut.
    if [ "$how" = vault ]; then
        kill -KILL "$(cat "$T/src/child")" "$STREAM"
        rm -rf "$REPO"
        rm -f "$T/signing.key"
        from=$URL
    else
        kill -KILL "$(cat "$T/src/child")"
        from=$REPO
    fi
    server_stop "$T/src" KILL
    rm -rf "$T/src"
    for n in "${writers[@]}"; do
        process_end "$n"
    done
    [ "$how" = vault ] || kill -KILL "$STREAM"
    process_end "$STREAM"
    # A line that was cut was not confirmed.
    cat "$T"/confirmed.* | grep -E '^[0-9]+	[0-9]+$' | sort >"$T/confirmed"

    restore_to r --repository "$from"
    sql "$OUT" "SELECT client, i FROM d.t" | sort >"$T/restored"
    sandbox_stop "$T/r"
    missing=$(comm -23 "$T/confirmed" "$T/restored")
    [ -z "$missing" ] || {
        echo "$missing" | head
        fail "confirmed, and lost ($how, seed $seed)"
    }
    echo "$how: $(wc -l <"$T/confirmed") confirmed, $(wc -l <"$T/restored")" \
        "restored, none lost"
    # What was seen of it goes too: the next round has a repository of its own.
    rm -rf "$T/r" "$REPO" "$T"/key* "$T/signing.key" "$T"/confirmed.* \
        "$XDG_STATE_HOME"
}

vault_up
for ((r = 1; r <= rounds; r++)); do
    if ((r % 2)); then
        round vault
    else
        round local
    fi
done
