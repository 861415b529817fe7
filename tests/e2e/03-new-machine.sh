#!/bin/bash
# Another machine: there is only a copy of the repository, a secret key, and a
# MariaDB server.  Also with a passphrase, with a second recipient's key, with a
# key typed in from paper; and without what is needed it is refused.  What
# statements leave to their server (zones, engine, "utf8") is the source's there.
. "$(dirname "$0")/lib.sh"

TZ=Asia/Kathmandu source_server --lower-case-table-names=1 \
    --innodb-strict-mode=OFF
mariadb-tzinfo-to-sql /usr/share/zoneinfo/Europe/Berlin Europe/Berlin |
    mysql_client --socket="$SRC" mysql
left_to_the_server() # NAME ZONE
{
    sql "$SRC" "USE shop; SET time_zone = '$2', binlog_format = MIXED;
        CREATE EVENT ev_$1 ON SCHEDULE EVERY 1 DAY STARTS '2037-07-01 12:00:00'
            DO DO 1;
        CREATE TABLE Made_$1 (id INT PRIMARY KEY, t TIMESTAMP NOT NULL
            DEFAULT '2022-07-01 00:00:00', v VARCHAR(9) CHARACTER SET utf8);
        INSERT INTO maDE_$1 (id, v) VALUES (1, DATE_FORMAT(NOW(), '%H:%i'));
        CREATE TABLE parted_$1 (t TIMESTAMP NOT NULL) PARTITION BY RANGE
            (UNIX_TIMESTAMP(t)) (PARTITION p VALUES LESS THAN
            (UNIX_TIMESTAMP('2022-07-01 00:00:00')));
        INSERT INTO parted_$1 VALUES ('2022-06-30 23:59:59')"
}
shop_schema | mysql_client --socket="$SRC"
shop_rows 1000 | mysql_client --socket="$SRC"
sql "$SRC" "SET GLOBAL default_storage_engine = Aria, GLOBAL old_mode = '',
    GLOBAL innodb_compression_default = ON"
left_to_the_server a SYSTEM
left_to_the_server b Europe/Berlin
configure
account "$SRC"
echo "correct horse, battery" >"$T/pass"
chmod 600 "$T/pass"
"$PITR" keygen --out "$T/key" --passphrase-file "$T/pass" --paper "$T/paper"
"$PITR" keygen --out "$T/key2" --no-passphrase >/dev/null
"$PITR" keygen --out "$T/stranger" --no-passphrase >/dev/null
pitr init --recipient "$(cat "$T/key.pub")" --recipient-file "$T/key2.pub" \
    >"$T/init.out"
cat "$T/init.out"
signer=$(grep -o 'ed25519:[a-z2-7]*' "$T/init.out")
pitr stream --once >/dev/null
pitr backup >/dev/null
cp -r "$REPO" "$T/old"
sql "$SRC" "UPDATE shop.customers SET city = 'after the backup' WHERE id < 9"
left_to_the_server c SYSTEM
left_to_the_server d Europe/Berlin
sql "$SRC" "USE shop; ALTER TABLE Made_a MODIFY t DATETIME, ADD n DATETIME
    DEFAULT NOW(); CREATE TABLE pages (id INT PRIMARY KEY) ENGINE=InnoDB;
    CREATE TABLE strict ($(printf 'c%s CHAR(60), ' {1..199}) id INT)
    CHARACTER SET latin1 ENGINE=InnoDB"
pitr stream --once >/dev/null
truth "$SRC" "$T/truth"

say "the machine is lost"
mkdir "$T/new"
cp -r "$REPO" "$T/new/copy"
cp "$T/key" "$T/key2" "$T/stranger" "$T/pass" "$T/paper" "$T/new"
server_stop "$T/src" KILL
rm -rf "$REPO" "$T/src" "$T/signing.key" "$T/pitr.conf" "$T/password"

# Nothing of a home, of a configuration, of the working directory, or of a zone.
elsewhere()
{
    env -i PATH="$PATH" HOME=/nonexistent ASAN_OPTIONS="${ASAN_OPTIONS:-}" \
        "$PITR" "$@"
}
cd /
from=(--repository "$T/new/copy" --signer "$signer")

say "with the first key and its passphrase"
elsewhere restore "${from[@]}" --secret-key "$T/new/key" \
    --passphrase-file "$T/new/pass" --sandbox "$T/r1"
truth "$(sandbox_socket "$T/r1")" "$T/restored1"
same "$T/truth" "$T/restored1"
sandbox_stop "$T/r1"

say "with the second key, and no word on the signer: done, with a warning"
expect_exit 3 elsewhere restore --repository "$T/new/copy" \
    --secret-key "$T/new/key2" --sandbox "$T/r2"
said "ed25519:" "newest state is of .* ago"
truth "$(sandbox_socket "$T/r2")" "$T/restored2"
same "$T/truth" "$T/restored2"
sandbox_stop "$T/r2"

say "with the first key from paper, typed in again"
tr 'a-z' 'A-Z' <"$T/new/paper" >"$T/new/typed"
chmod 644 "$T/new/typed"
expect_exit 12 elsewhere keygen --out "$T/new/key3" --no-passphrase \
    --from-paper "$T/new/typed"
said "can be read by others" "chmod"
chmod 600 "$T/new/typed"
elsewhere keygen --out "$T/new/key3" --from-paper "$T/new/typed" \
    --no-passphrase
cmp "$T/key.pub" "$T/new/key3.pub"
elsewhere restore "${from[@]}" --secret-key "$T/new/key3" --dry-run

say "refused: an old repository put back, by memory and by the head told"
head=$(elsewhere list --repository "$T/new/copy" --state "$T/seen" | tail -1 |
    tr -d " ")
mv "$T/new/copy" "$T/new/real"
cp -r "$T/old" "$T/new/copy"
for c in list verify "restore --dry-run --secret-key $T/new/key3"; do
    for how in "--state=$T/seen" "--state=none --expect=$head"; do
        # shellcheck disable=SC2086
        expect_exit 14 elsewhere $c --repository "$T/new/copy" $how
        said "does not go as far" "withheld"
    done
done
expect_exit 2 elsewhere list --repository "$T/new/copy" --expect "x$head"
said "copied right"
expect_exit 0 elsewhere list --repository "$T/new/copy"
rm -r "$T/new/copy"

say "told: another repository of the same server in its place"
printf "[src]\nsocket = x\nrepository = $T/new/copy\n" >"$T/new/another.conf"
elsewhere init --config "$T/new/another.conf" \
    --signing-key "$T/new/another.key" --recipient-file "$T/key.pub" >/dev/null
for i in 1 2; do
    expect_exit 3 elsewhere list --repository "$T/new/copy" --state "$T/seen"
    said "was another repository of server \"src\".*remove $T/seen/"
done
expect_exit 0 elsewhere list --repository "$T/new/copy" --state "$T/other"
rm -rf "$T/new/copy"
find "$T/seen" -type f ! -exec grep -qF "$head" {} \; -delete
mv "$T/new/real" "$T/new/copy"
expect_exit 0 elsewhere list --repository "$T/new/copy" --state "$T/seen" \
    --expect "$head"

say "refused: a stranger's key, a wrong passphrase, none, another signer"
expect_exit 12 elsewhere restore "${from[@]}" --secret-key "$T/new/stranger" \
    --sandbox "$T/r3"
said "not sealed to the key"
echo "wrong" >"$T/new/pass"
expect_exit 12 elsewhere restore "${from[@]}" --secret-key "$T/new/key" \
    --passphrase-file "$T/new/pass" --sandbox "$T/r3"
said "passphrase"
expect_exit 12 elsewhere restore "${from[@]}" --secret-key "$T/new/key" \
    --sandbox "$T/r3"
said "passphrase"
expect_exit 12 elsewhere restore "${from[@]}" --sandbox "$T/r3"
said "--secret-key"
other=ed25519:$(printf 'a%.0s' {1..52})
expect_exit 14 elsewhere restore --repository "$T/new/copy" \
    --signer "$other" --secret-key "$T/new/key2" --sandbox "$T/r3"
said "signe"
[ ! -e "$T/r3" ] || fail "a refused restore has made its sandbox"
