# tests/e2e/lib.sh -- what the end-to-end tests share.  Sourced first by each.
#
# Gives $T, a folder of this test alone, which goes when the test succeeds; all
# that was started here is ended when the test ends, however it ends.  Set
# PITR to test another program than build/pitr, KEEP=1 to keep the folder,
# PITR_SERVER_BIN and PITR_TARGET_BIN to run other servers than the machine's
# mariadbd, as sources (and what else a test starts) and as sandboxes.
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
        kill -CONT "$pid" 2>/dev/null
        kill -TERM "$pid" 2>/dev/null
    done
    for pid in "${children[@]}"; do
        process_end "$pid" KILL
    done 2>/dev/null
    for dir in "$T"/*/; do
        if [ -f "$dir/child" ]; then
            server_stop "${dir%/}" KILL
        else
            sandbox_stop "${dir%/}"
        fi
    done 2>/dev/null
    if [ $rc -eq 0 ] && [ -z "${KEEP:-}" ]; then
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

# version SOCKET: 1011 of 10.11.19-MariaDB.
version()
{
    sql "$1" "SELECT REGEXP_REPLACE(VERSION(), '^([0-9]+)[.]([0-9]+).*',
        '\\\\1') * 100 + REGEXP_REPLACE(VERSION(), '^([0-9]+)[.]([0-9]+).*',
        '\\\\2')"
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
    for ((i = 0; i < 300; i++)); do
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

# --- the truth, by means of the server alone ---

# truth SOCKET FILE: every row of every table in FILE.rows (one a line, each
# column as hexadecimal, sorted), definitions of all objects and accounts in
# FILE.defs.  Takes nothing from pitr.
truth()
{
    truth_rows "$1" "$2"
    truth_defs "$1" "$2"
    truth_sort "$2"
}

users_schemas="NOT IN ('mysql', 'sys', 'information_schema',
    'performance_schema')"

# One SELECT a table, written by the server itself.  Floats go as DOUBLE, whose
# text is exact; HEX() of a number would round it.  Each view of the
# information_schema is gone through once: with a thousand tables it is slow.
truth_rows()
{
    mysql_client --socket="$1" -N -B --raw -e "
        SET SESSION group_concat_max_len = 1 << 26;
        SELECT CONCAT('SELECT ', QUOTE(CONCAT(table_schema, '.', table_name)),
            columns, IF(versioned AND NOT shown, ', ROW_START, ROW_END', ''),
            ' FROM \`', REPLACE(table_schema, '\`', '\`\`'), '\`.\`',
            REPLACE(table_name, '\`', '\`\`'), '\`',
            IF(versioned, ' FOR SYSTEM_TIME ALL', ''), ';')
        FROM (SELECT table_schema, table_name,
                MAX(IFNULL(generation_expression, '') = 'ROW START') AS shown,
                GROUP_CONCAT(', ', IFNULL(CASE
                    WHEN data_type IN ('float', 'double') THEN
                        CONCAT('HEX(CAST(', n, '*1e0 AS CHAR))')
                    WHEN data_type = 'bit' THEN CONCAT('HEX(', n, '+0)')
                    WHEN data_type IN ('enum', 'set') THEN
                        CONCAT('HEX(', n, '+0), HEX(', n, ')')
                    WHEN data_type IN ('geometry', 'point', 'linestring',
                        'polygon', 'multipoint', 'multilinestring',
                        'multipolygon', 'geometrycollection') THEN
                        CONCAT('HEX(ST_AsWKB(', n, ')), ST_SRID(', n, ')')
                    WHEN character_maximum_length IS NOT NULL THEN
                        CONCAT('HEX(', n, ')')
                    END, CONCAT('HEX(CAST(', n, ' AS CHAR))'))
                    ORDER BY ordinal_position SEPARATOR '') AS columns
            FROM (SELECT *, CONCAT('\`', REPLACE(column_name, '\`', '\`\`'),
                    '\`') AS n FROM information_schema.columns
                WHERE table_schema $users_schemas) c
            GROUP BY table_schema, table_name) x
        JOIN (SELECT table_schema, table_name,
                MAX(table_type = 'SYSTEM VERSIONED') AS versioned
            FROM information_schema.tables
            WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
            AND table_schema $users_schemas
            GROUP BY table_schema, table_name) t
            USING (table_schema, table_name)" >"$2.sql"
    mysql_client --socket="$1" -N -B --init-command="SET time_zone = '+00:00',
        sql_mode = '', character_set_results = utf8mb4" <"$2.sql" >"$2.raw"
}

# Definitions.  What is not content is taken out: when an object was made, and
# the counter of AUTO_INCREMENT, which at the source also counts what was rolled
# back (TRUTH_COUNTERS=1 leaves it in).
truth_defs()
{
    local strip='s/ AUTO_INCREMENT=[0-9]+//'
    [ -z "${TRUTH_COUNTERS:-}" ] || strip=
    mysql_client --socket="$1" -N -B --raw -e "
        SET SESSION group_concat_max_len = 1 << 26;
        SELECT CONCAT('SHOW CREATE DATABASE \`',
            REPLACE(schema_name, '\`', '\`\`'), '\`;')
            FROM information_schema.schemata WHERE schema_name $users_schemas
            ORDER BY schema_name;
        SELECT CONCAT('SHOW CREATE ', CASE table_type WHEN 'VIEW' THEN 'VIEW'
            WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, ' ', q, ';',
            IF(table_type = 'SEQUENCE', CONCAT('SELECT * FROM ', q, ';'), ''))
            FROM (SELECT *, CONCAT('\`', REPLACE(table_schema, '\`', '\`\`'),
                '\`.\`', REPLACE(table_name, '\`', '\`\`'), '\`') AS q
                FROM information_schema.tables
                WHERE table_schema $users_schemas) t
            ORDER BY table_schema, table_name;
        SELECT CONCAT('SELECT event_manipulation, event_object_schema,',
            'event_object_table, trigger_name, action_order,',
            'action_statement, action_timing, sql_mode, definer,',
            'character_set_client, collation_connection, database_collation',
            ' FROM information_schema.triggers',
            ' WHERE trigger_schema = ', QUOTE(schema_name),
            ' ORDER BY event_object_table, action_timing, event_manipulation,',
            ' action_order, trigger_name;')
            FROM information_schema.schemata WHERE schema_name $users_schemas
            ORDER BY schema_name" >"$2.sql"
    # The server gives grants in no certain order.
    mysql_client --socket="$1" -N -B --raw -e "
        SELECT CONCAT('SHOW CREATE USER ', a, ';SHOW GRANTS FOR ', a, ';')
            FROM (SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) AS a
                FROM mysql.global_priv
                WHERE user NOT IN ('root', 'mariadb.sys', 'PUBLIC')
                AND JSON_VALUE(priv, '\$.is_role') IS NULL) u;
        SELECT CONCAT('SHOW GRANTS FOR ', QUOTE(user), ';')
            FROM mysql.global_priv WHERE JSON_VALUE(priv, '\$.is_role')
            AND user <> 'PUBLIC'" >"$2.accounts"
    {
        mysql_client --socket="$1" --force -N -B <"$2.accounts" 2>&1 | sort
        mysql_client --socket="$1" --force -N -B <"$2.sql" 2>&1
        sql "$1" "SELECT db, name, type, specific_name, sql_data_access,
            is_deterministic, security_type, param_list, returns, body,
            definer, sql_mode, comment, character_set_client,
            collation_connection, db_collation, aggregate FROM mysql.proc
            WHERE db $users_schemas ORDER BY db, type, name"
        sql "$1" "SELECT db, name, body, definer, execute_at, interval_value,
            interval_field, starts, ends, status, on_completion, sql_mode,
            comment, time_zone, character_set_client, collation_connection,
            db_collation FROM mysql.event WHERE db $users_schemas
            ORDER BY db, name"
        sql "$1" "SELECT * FROM mysql.roles_mapping ORDER BY 1, 2, 3, 4"
        sql "$1" "SELECT user, host, proxied_host, proxied_user, with_grant
            FROM mysql.proxies_priv WHERE user <> 'root' ORDER BY 1, 2, 3, 4"
    } | sed -E "$strip" >"$2.defs"
}

truth_sort()
{
    [ ! -f "$1.raw" ] || sort "$1.raw" >"$1.rows"
    rm -f "$1.raw" "$1.sql" "$1.accounts"
}

# same A B: two truths are equal; else says in which tables and objects.  Of
# servers of different versions: but for what the newer prints in another way.
same()
{
    local f
    [ -s "$1.rows" ] || fail "the truth in $1 is empty"
    if [ "${PITR_SERVER_BIN:-}" != "${PITR_TARGET_BIN:-}" ]; then
        for f in "$1" "$2"; do
            sed -Ei -f "$TOP/tests/e2e/versions.sed" "$f.rows" "$f.defs"
            sort -o "$f.rows" "$f.rows"
        done
    fi
    if ! cmp -s "$1.rows" "$2.rows"; then
        echo "rows differ, by table (< only in $1, > only in $2):"
        diff "$1.rows" "$2.rows" | grep '^[<>]' | cut -f1 | sort | uniq -c |
            head -20
        diff "$1.rows" "$2.rows" | cut -c1-300 | head -6
        fail "$2 is not $1"
    fi
    if ! cmp -s "$1.defs" "$2.defs"; then
        diff "$1.defs" "$2.defs" | cut -c1-2000 | head -20
        fail "definitions in $2 are not those in $1"
    fi
}

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
