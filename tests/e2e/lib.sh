# tests/e2e/lib.sh -- what the end-to-end tests share.  Sourced first by each.
#
# Gives $T, a folder of this test alone, which goes when the test succeeds; all
# that was started here is ended when the test ends, however it ends.  Set
# PITR to test another program than build/pitr, KEEP=1 to keep the folder,
# PITR_SERVER_BIN and PITR_TARGET_BIN to run other servers than the machine's
# mariadbd, as sources (and what else a test starts) and as sandboxes; PITR_WRAP
# to run pitr by another program: PITR_WRAP="valgrind -q --error-exitcode=99",
# PITR_SLOW for bounds of time that are wider, and waits so many times as long.
set -eu -o pipefail
shopt -s inherit_errexit
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=../../scripts/lib.sh
. "$TOP/scripts/lib.sh"
# shellcheck source=../../scripts/shop.sh
. "$TOP/scripts/shop.sh"
export LC_ALL=C TZ=Europe/Berlin
PITR=${PITR:-$TOP/build/pitr}
# Sockets have short names, so this is not deep.
T=$(mktemp -d "${TMPDIR:-/tmp}/pitr-e2e.XXXXXX")
if [ -n "${PITR_WRAP:-}" ]; then
    printf '#!/bin/sh\nexec %s %s "$@"\n' "$PITR_WRAP" "$PITR" >"$T/pitr"
    chmod +x "$T/pitr"
    PITR=$T/pitr
fi
SRC=$T/src/sock
REPO=$T/repo
export XDG_STATE_HOME=$T/state # what pitr has seen of repositories
children=()

finish()
{
    local rc=$? pid dir
    trap - EXIT INT TERM
    set +e
    for pid in "${children[@]}"; do
        ! process_ours "$pid" || kill -CONT "$pid" 2>/dev/null
        ! process_ours "$pid" || kill -TERM "$pid" 2>/dev/null
    done
    for pid in "${children[@]}"; do
        ! process_ours "$pid" || process_end "$pid" KILL
    done 2>/dev/null
    for dir in "$T"/*/; do
        if [ -f "$dir/child" ]; then
            server_stop "${dir%/}" KILL
        else
            sandbox_stop "${dir%/}"
        fi
    done 2>/dev/null
    if { [ $rc = 0 ] || [ $rc = 77 ]; } && [ -z "${KEEP:-}" ]; then
        rm -rf "$T"
    else
        echo "kept: $T"
    fi
    exit $rc
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say()
{
    echo "--- $*"
}

fail()
{
    echo "FAILED: $*" >&2
    exit 1
}

# source_server [MARIADBD-OPTION...]: the server that is backed up, at $SRC.
source_server()
{
    server_init "$T/src"
    server_start "$T/src" "$@"
}

# account SOCKET: the account of pitr, which has exactly what `pitr check
# --grants` says.
account()
{
    (umask 077 && echo "pa55 w'ord" >"$T/password")
    sql "$1" "CREATE USER pitr@localhost IDENTIFIED BY 'pa55 w\\'ord'"
    pitr check --grants >"$T/grants.sql" || fail "check --grants: $?"
    mysql_client --socket="$1" <"$T/grants.sql"
}

# configure [LINE...]: pitr.conf for the server at $SRC; lines are added.
configure()
{
    {
        echo "# of a test"
        echo "[src]"
        echo "socket = $SRC"
        echo "user = pitr"
        echo "password_file = $T/password"
        echo "repository = $REPO"
        echo "signing_key = $T/signing.key"
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$T/pitr.conf"
}

pitr()
{
    local cmd=$1
    shift
    if [ -n "${PITR_TARGET_BIN:-}" ] && [[ $cmd == restore && \
        " $* " == *" --sandbox "* && " $* " != *" --mariadbd "* ]]; then
        set -- "$@" --mariadbd "$PITR_TARGET_BIN"
    fi
    "$PITR" "$cmd" --config "$T/pitr.conf" "$@"
}

# set_up [LINE...]: account, configuration, key and repository: what comes
# before the first backup.
set_up()
{
    configure "$@"
    account "$SRC"
    "$PITR" keygen --out "$T/key" --no-passphrase >/dev/null
    pitr init --recipient-file "$T/key.pub" --secret-key "$T/key" >/dev/null
}

# stream_start [OPTION...]: in the background; returns when it is at work.
stream_start()
{
    "$PITR" stream --config "$T/pitr.conf" "$@" >>"$T/stream.log" 2>&1 &
    STREAM=$!
    children+=("$STREAM")
    if ! wait_until 20 stream_is_up_or_gone || ! process_lives "$STREAM"; then
        cat "$T/stream.log"
        fail "the stream does not start"
    fi
}

stream_is_up_or_gone()
{
    ! process_lives "$STREAM" || stream_is_up
}

# The server shows the thread that sends it the log.
stream_is_up()
{
    [ "$(sql "$SRC" "SELECT COUNT(*) FROM information_schema.processlist
        WHERE command = 'Binlog Dump'")" -gt 0 ]
}

# stream_stop: as systemd would; its exit code is in STREAM_RC.
stream_stop()
{
    local i
    kill -TERM "$STREAM"
    for ((i = 0; i < 300 * ${PITR_SLOW:-1}; i++)); do
        process_lives "$STREAM" || break
        sleep 0.05
    done
    STREAM_RC=0
    process_lives "$STREAM" && fail "the stream does not stop on SIGTERM"
    wait "$STREAM" || STREAM_RC=$?
}

position()
{
    sql "${1:-$SRC}" "SELECT @@gtid_binlog_pos"
}

# streamed [GTID-POSITION]: waits until the repository's log has come to the
# position, by default the server's now.
streamed()
{
    local want=${1:-$(position)}
    wait_until 30 log_reached "$want" || {
        pitr list || true
        fail "the log in the repository has not come to $want"
    }
}

# Of a position with one domain: reached or passed; with several: exactly there.
log_reached()
{
    local to
    pitr list --json >"$T/list.json" 2>/dev/null || return 1
    to=$(grep -oE '"to": *"[0-9,-]*"' "$T/list.json" | tail -1 | cut -d'"' -f4)
    [ "$to" = "$1" ] || { [[ $1 != *,* && $to != *,* ]] &&
        ((${to##*-} >= ${1##*-})); }
}

# The ids of all backups, oldest first.
backups()
{
    pitr list --json >"$T/list.json"
    { grep -oE '"id": *"[^"]*"' "$T/list.json" || true; } | cut -d'"' -f4
}

# streamed_until TIME: the log is known to be whole up to TIME (seconds since
# 1970), so that a restore to it is possible.
streamed_until()
{
    wait_until 30 log_is_whole_until "$1" || {
        pitr list || true
        fail "the log in the repository is not whole until $1"
    }
}

log_is_whole_until()
{
    pitr restore --dry-run --secret-key "$T/key" --until "@$1"
}

# restore_to NAME [OPTION...]: into a sandbox $T/NAME; its socket is in OUT,
# what pitr said in $T/NAME.out.
restore_to()
{
    local name=$1
    shift
    pitr restore --secret-key "$T/key" --sandbox "$T/$name" "$@" \
        >"$T/$name.out" 2>&1 || {
        local rc=$?
        cat "$T/$name.out"
        fail "restore $name: exit code $rc"
    }
    OUT=$(sandbox_socket "$T/$name")
    [ -n "$OUT" ] || fail "the sandbox $name has no socket"
}

# expect_exit CODE COMMAND...: runs it; what it printed is in $T/said.
expect_exit()
{
    local want=$1 rc=0
    shift
    "$@" >"$T/said" 2>&1 </dev/null || rc=$?
    [ "$rc" = "$want" ] || {
        cat "$T/said"
        fail "exit code $rc instead of $want: $*"
    }
}

# said PATTERN...: all of these (extended, any case) are in $T/said.
said()
{
    local p
    for p in "$@"; do
        grep -qiE -- "$p" "$T/said" || {
            cat "$T/said"
            fail "it did not say: $p"
        }
    done
}

# --- the truth, by means of the server alone: truth, same ---

# shellcheck source=compare.sh
. "$TOP/tests/e2e/compare.sh"

# --- people at work ---

writers=()
# write_as COMMAND [ARGUMENT...]: a client is fed with what it prints, until
# writers_stop.  Errors (a table that was dropped) are ignored, as users do.
write_as()
{
    # Not through a function: the process that is paused has to be the client.
    mariadb --no-defaults --user=root --default-character-set=utf8mb4 \
        --socket="$SRC" --force < <("$@" 2>/dev/null) \
        >>"$T/writers.log" 2>&1 &
    writers+=($!)
    children+=($!)
}

# writers_pause: stops the clients, and waits until the server has done what it
# had from them.  What a client does after writers_resume is a statement that
# starts then.
writers_pause()
{
    kill -STOP "${writers[@]}"
    wait_until 20 nothing_runs || fail "the writers do not come to rest"
}

nothing_runs()
{
    [ "$(sql "$SRC" "SELECT COUNT(*) FROM information_schema.processlist
        WHERE command IN ('Query', 'Execute') AND id <> CONNECTION_ID()")" = 0 ]
}

writers_resume()
{
    kill -CONT "${writers[@]}"
}

writers_stop()
{
    local pid
    for pid in "${writers[@]}"; do
        process_end "$pid"
    done
    writers=()
}
