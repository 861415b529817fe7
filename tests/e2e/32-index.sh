#!/bin/bash
# A log of so many segments that it has an index: a restore that needs them all
# gets the same rows; and what the index does not see, a segment that was changed,
# is found before the target is touched.
. "$(dirname "$0")/lib.sh"

if [ -z "${PITR_LONG:-}" ]; then
    echo "long (PITR_LONG=1)"
    exit 77
fi

source_server
sql "$SRC" "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v LONGBLOB)"
set_up "segment_size = 64K"
pitr backup >/dev/null
for ((i = 1; i < 390; i++)); do
    echo "INSERT INTO d.t SELECT $i, GROUP_CONCAT(UNHEX(SHA2(RAND(), 512))
        SEPARATOR '') FROM d.seq_1_to_1100;"
done | mysql_client --socket="$SRC"
pitr stream --once >/dev/null
index=$REPO/index/0000000001-0000000384
[ -f "$index" ] || fail "there is no index of $(ls "$REPO/binlog" | wc -l)"

say "the log by its index is the log"
truth "$SRC" "$T/truth"
restore_to r
truth "$OUT" "$T/restored"
same "$T/truth" "$T/restored"

say "a segment that was changed: no target is begun"
segment=$(find "$REPO/binlog" -type f | sort | sed -n 200p)
chmod u+w "$segment"
printf 'x' | dd of="$segment" bs=1 seek=100 conv=notrunc status=none
expect_exit 14 pitr restore --secret-key "$T/key" --sandbox "$T/none"
said "${segment##*/}"
