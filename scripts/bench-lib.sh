# scripts/bench-lib.sh -- what the benches share: clocks, medians, tables and
# charts.  Sourced, after `set -eu -o pipefail` and scripts/lib.sh.
#
# A bench says what it found as Markdown on standard output, and what it is doing
# on standard error; with BENCH_OUT=DIR it leaves its charts there, as SVG.

BENCH=$(basename "$0")
BENCH=${BENCH#bench-}
pitr=${PITR:-$PWD/build/pitr}
D=$(mktemp -d "${TMPDIR:-/tmp}/pitr-bench.XXXXXX")
bench_children=()
bench_finish()
{
    local rc=$? dir pid
    trap - EXIT
    set +e
    for pid in "${bench_children[@]}"; do
        ! process_ours "$pid" || process_end "$pid"
    done
    for dir in "$D"/*/; do
        if [ -f "$dir/child" ]; then
            server_stop "${dir%/}"
        else
            sandbox_stop "${dir%/}"
        fi
    done
    rm -rf "$D"
    exit $rc
} 2>/dev/null
# Ticks that the host of a virtual machine took away, and all.
bench_ticks()
{
    awk '/^cpu / { for (i = 2; i <= 9; i++) n += $i; print $9, n }' /proc/stat
}
read -r bench_stolen bench_all < <(bench_ticks)
bench_noise()
{
    local rc=$? stolen all
    read -r stolen all < <(bench_ticks)
    stolen=$((100 * (stolen - bench_stolen) / (all - bench_all + 1)))
    [ "$stolen" -lt 2 ] ||
        note "the host took $stolen % of the time: these figures say little"
    return $rc
}
trap 'bench_noise; bench_finish' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[ -x "$pitr" ] || { echo "no $pitr: run scripts/build first" >&2; exit 2; }

note()
{
    echo "$BENCH: $*" >&2
}

need()
{
    command -v "$1" >/dev/null || {
        echo "$BENCH: $1 is missing: scripts/deps --bench installs it" >&2
        exit 2
    }
}

# Seconds and hundredths since a moment ($EPOCHREALTIME).
since()
{
    local us=$((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}))
    printf '%d.%02d\n' $((us / 1000000)) $((us / 10000 % 100))
}

# timed NAME COMMAND...: its wall seconds are added to wall[NAME], a list; its
# peak resident memory in MiB, of that process alone, to peak[NAME].  Fails with
# the command's output when the command fails.
declare -A wall=() peak=()
timed()
{
    local name=$1 begun pid kb rc=0 most=0
    shift
    sync # what others have written is not for this one to wait for
    begun=$EPOCHREALTIME
    "$@" >"$D/timed.out" 2>&1 &
    pid=$!
    while kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) &&
        [ -n "$kb" ]; do
        [ "$kb" -le "$most" ] || most=$kb
        sleep 0.05
    done
    wait "$pid" || rc=$?
    wall[$name]="${wall[$name]:-} $(since "$begun")"
    [ $rc = 0 ] || {
        tail -5 "$D/timed.out" | cut -c1-300 >&2
        note "failed: $*"
        exit 1
    }
    most=$((most / 1024))
    [ "$most" -le "${peak[$name]:-0}" ] || peak[$name]=$most
}

# The median of numbers.
median()
{
    printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 }
        END { n = int((NR + 1) / 2)
              print NR % 2 ? v[n] : (v[n] + v[n + 1]) / 2 }'
}

# Median wall seconds of what was timed under a name.
wall_of()
{
    # shellcheck disable=SC2086
    median ${wall[$1]}
}

# The median of what each round has of one by what it has of the other: a shared
# machine is twice as fast in one round as in the next.
paired() # "NUMBER..." "NUMBER..."
{
    local -a a b each=()
    local i
    read -ra a <<<"$1"
    read -ra b <<<"$2"
    for i in "${!a[@]}"; do
        each+=("$(ratio "${a[i]}" "${b[i]}")")
    done
    printf '%.2f\n' "$(median "${each[@]}")"
}

# Every run of what was timed under these names, for who wants to know how much
# the machine's noise is.
runs_of()
{
    local name
    say "" "Every run, in seconds:"
    for name; do
        [ -z "${wall[$name]:-}" ] || say "$name${wall[$name]};"
    done | sed '$ s/;$//'
}

ratio()
{
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / (b > 0 ? b : 0.01) }'
}

megabytes()
{
    du -cb "$@" | tail -1 | awk '{ printf "%.0f", $1 / 1000000 }'
}

bench_machine()
{
    printf '%s, %d processors, MariaDB %s, %s\n' "$(uname -m)" "$(nproc)" \
        "$("$(server_program)" --version | grep -o '[0-9.]*-MariaDB' |
            head -1)" "$(date -u +%Y-%m-%d)"
}

# say LINE...: Markdown.
say()
{
    printf '%s\n' "$@"
}

# against WORK PEER PEER_NAME PITR_NAME WANTED [inverse]: a row of a table that
# says how many times as fast pitr is (inverse: how many times the peer's time
# it takes), of what was timed under these names.
against_head()
{
    say "| work | against | its s | pitr s | ratio | wanted |" \
        "| --- | --- | ---: | ---: | ---: | ---: |"
}

against()
{
    local r
    if [ "${6:-}" = inverse ]; then
        r=$(paired "${wall[$4]}" "${wall[$3]}")
    else
        r=$(paired "${wall[$3]}" "${wall[$4]}")
    fi
    say "| $1 | $2 | $(wall_of "$3") | $(wall_of "$4") | $r | $5 |"
}

# chart FILE TITLE UNIT: bars of the lines "label<TAB>number" that are read.
chart()
{
    [ -n "${BENCH_OUT:-}" ] || { cat >/dev/null; return 0; }
    mkdir -p "$BENCH_OUT"
    awk -F '\t' -v title="$2" -v unit="$3" '
        { label[NR] = $1; v[NR] = $2; if ($2 > max) max = $2 }
        END {
            h = 40 + NR * 26
            printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\""
            printf " height=\"%d\" font-family=\"sans-serif\"", h
            print " font-size=\"13\">"
            print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
            printf "<text x=\"10\" y=\"20\" font-weight=\"bold\">%s</text>\n", \
                title
            for (i = 1; i <= NR; i++) {
                y = 34 + (i - 1) * 26
                w = max > 0 ? 330 * v[i] / max : 0
                c = label[i] ~ /^pitr/ ? "#1f6f54" : "#9aa5b1"
                printf "<text x=\"300\" y=\"%d\" text-anchor=\"end\">%s", \
                    y + 15, label[i]
                print "</text>"
                printf "<rect x=\"310\" y=\"%d\" width=\"%.1f\"", y, w
                printf " height=\"20\" fill=\"%s\"/>\n", c
                printf "<text x=\"%.1f\" y=\"%d\">%s %s</text>\n", \
                    316 + w, y + 15, v[i], unit
            }
            print "</svg>"
        }' >"$BENCH_OUT/$1.svg"
}

# settle SOCKET: what was filled before has been written, and no table is open,
# so that it is not paid for by who is measured next, or first.
settle()
{
    local i dirty
    sql "$1" "SET GLOBAL innodb_max_dirty_pages_pct=0,
        innodb_max_dirty_pages_pct_lwm=0"
    for ((i = 0; i < 600; i++)); do
        dirty=$(sql "$1" "SELECT VARIABLE_VALUE FROM
            information_schema.GLOBAL_STATUS
            WHERE VARIABLE_NAME='Innodb_buffer_pool_pages_dirty'")
        [ "$dirty" -gt 50 ] || break
        sleep 0.2
    done
    sql "$1" "SET GLOBAL innodb_max_dirty_pages_pct=90; FLUSH TABLES"
    sync
}

# bench_repository SOCKET: an account, keys, a configuration $D/pitr.conf and a
# repository $D/repository for the server at that socket.
bench_repository()
{
    sql "$1" "CREATE USER pitr@localhost IDENTIFIED BY 'b'"
    (umask 077 && echo b >"$D/password")
    cat >"$D/pitr.conf" <<CONF
[b]
socket = $1
user = pitr
password_file = $D/password
repository = $D/repository
signing_key = $D/signing.key
CONF
    "$pitr" check --config "$D/pitr.conf" --grants |
        mysql_client --socket="$1"
    "$pitr" keygen --out "$D/key" --no-passphrase >/dev/null
    "$pitr" init --config "$D/pitr.conf" --recipient-file "$D/key.pub" \
        --secret-key "$D/key" >/dev/null
}
