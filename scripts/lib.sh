# scripts/lib.sh -- private MariaDB servers, for the demo, the benches and the
# tests.  Sourced, after `set -eu -o pipefail`.
#
# A server lives in a folder of its own: DIR/data, DIR/sock, DIR/pid, DIR/log.
# It has no network unless told, belongs to whoever started the script, and
# only what was started here is ever stopped.

# The client with nothing of the user's configuration.
mysql_client()
{
    mariadb --no-defaults --user=root --default-character-set=utf8mb4 \
        --max-allowed-packet=1G "$@"
}

# sql SOCKET STATEMENT...: rows without headings, fields separated by tabs.
sql()
{
    local sock=$1
    shift
    mysql_client --socket="$sock" -N -B -e "$*"
}

# server_init DIR: an empty data directory.  With PITR_TEMPLATE set, one is
# made there once and copied from then on.
server_init()
{
    local dir=$1 template=${PITR_TEMPLATE:-}
    mkdir -p "$dir"
    if [ -z "$template" ]; then
        server_install "$dir/data"
        return
    fi
    if [ ! -e "$template/done" ]; then
        rm -rf "$template/data"
        server_install "$template/data"
        : >"$template/done"
    fi
    cp -a --sparse=always "$template/data" "$dir/data"
}

server_install()
{
    local out program=mariadb-install-db
    [ -z "${PITR_SERVER_BIN:-}" ] ||
        program=${PITR_SERVER_BIN%/*/*}/bin/mariadb-install-db
    # A server that starts empties its tmpdir of what looks like its own: no
    # two of them may share one.
    mkdir -p "$1.tmp"
    out=$("$program" --no-defaults --datadir="$1" --tmpdir="$1.tmp" \
        --user="$(id -un)" --auth-root-authentication-method=normal \
        --skip-test-db --innodb-log-file-size=16M 2>&1) || {
        echo "$out" >&2
        echo "mariadb-install-db failed" >&2
        return 1
    }
    rm -rf "$1.tmp"
}

# With PITR_SERVER_BIN set, another one than the machine's.
server_program()
{
    [ -z "${PITR_SERVER_BIN:-}" ] || { echo "$PITR_SERVER_BIN"; return; }
    command -v mariadbd || echo /usr/sbin/mariadbd
}

# version SOCKET: 1011 of 10.11.19-MariaDB.
version()
{
    sql "$1" "SELECT REGEXP_REPLACE(VERSION(), '^([0-9]+)[.]([0-9]+).*',
        '\\\\1') * 100 + REGEXP_REPLACE(VERSION(), '^([0-9]+)[.]([0-9]+).*',
        '\\\\2')"
}

# server_start DIR [MARIADBD-OPTION...]: start and wait until it answers.  What
# is given here is kept in DIR/options for a restart without any.
server_start()
{
    local dir=$1
    shift
    [ $# -eq 0 ] && [ -f "$dir/options" ] || printf '%s\n' "$@" >"$dir/options"
    local options
    mapfile -t options < <(grep . "$dir/options" || true)
    # Last of a setting counts, so that the caller's come after ours.
    "$(server_program)" --no-defaults --user="$(id -un)" \
        --datadir="$dir/data" --socket="$dir/sock" --pid-file="$dir/pid" \
        --log-error="$dir/log" --tmpdir="$dir" --skip-networking \
        --log-bin="$dir/data/binlog" --server-id=1 --binlog-format=ROW \
        --gtid-strict-mode=ON --character-set-server=utf8mb4 \
        --innodb-log-file-size=16M --innodb-buffer-pool-size=64M \
        --innodb-flush-log-at-trx-commit=2 --sync-binlog=0 \
        --max-allowed-packet=64M --performance-schema=OFF \
        "${options[@]}" >>"$dir/log" 2>&1 </dev/null &
    local pid=$!
    echo "$pid" >"$dir/child"
    local i
    for ((i = 0; i < 600; i++)); do
        if sql "$dir/sock" "DO 0" >/dev/null 2>&1; then
            return 0
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    tail -20 "$dir/log" >&2
    echo "the server in $dir does not start" >&2
    return 1
}

# server_stop DIR [SIGNAL]: ends the server and waits until it is gone.
server_stop()
{
    local dir=$1 signal=${2:-TERM} pid
    [ -f "$dir/child" ] || return 0
    pid=$(cat "$dir/child")
    rm -f "$dir/child"
    # One that has ended by itself may have left its number to another.
    ! tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null |
        grep -qxF -- "--datadir=$dir/data" || process_end "$pid" "$signal"
    wait "$pid" 2>/dev/null || true
}

# process_ours PID: a child of this shell, one of its group, or one whose parent
# has gone; where it ended long ago, the number may be another's by now.
process_ours()
{
    local its own
    # State, parent, group...
    its=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 1
    own=$(sed 's/.*) //' "/proc/$$/stat")
    read -ra its <<<"$its"
    read -ra own <<<"$own"
    [ "${its[1]}" = $$ ] || [ "${its[1]}" = 1 ] || [ "${its[2]}" = "${own[2]}" ]
}

# process_end PID [SIGNAL]: of a child of this shell or of another's; kills what
# has not gone after half a minute.
process_end()
{
    local pid=$1 signal=${2:-TERM} i
    kill -"$signal" "$pid" 2>/dev/null || true
    for ((i = 0; i < 600; i++)); do
        process_lives "$pid" || break
        sleep 0.05
    done
    ! process_lives "$pid" || kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# A process that has ended but was not waited for does not live.
process_lives()
{
    local state
    state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) || return 1
    [ -n "$state" ] && [ "$state" != Z ]
}

# sandbox_stop DIR: the server that `pitr restore --sandbox DIR` left running.
sandbox_socket()
{
    { find "$1" -maxdepth 2 -type s 2>/dev/null || true; } | head -1
}

sandbox_stop()
{
    local sock pid
    sock=$(sandbox_socket "$1")
    [ -n "$sock" ] || return 0
    pid=$(cat "$(sql "$sock" "SELECT @@pid_file" 2>/dev/null)" 2>/dev/null) ||
        return 0
    process_end "$pid"
}

# wait_until SECONDS COMMAND...: tries it until it succeeds, with PITR_SLOW set
# for so many times as long.  The command sees this function's local variables;
# hence its name.
wait_until()
{
    local wait_until_end=$((SECONDS + $1 * ${PITR_SLOW:-1}))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt "$wait_until_end" ] || return 1
        sleep 0.1
    done
}

# The server's own clock, in seconds.
server_time()
{
    sql "$1" "SELECT UNIX_TIMESTAMP()"
}

# wait_second SOCKET: returns just after the server's clock has gone on to a
# new second, and prints it.
wait_second()
{
    local from now
    from=$(server_time "$1")
    now=$from
    while [ "$now" = "$from" ]; do
        sleep 0.02
        now=$(server_time "$1")
    done
    echo "$now"
}
