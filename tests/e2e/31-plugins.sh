#!/bin/bash
# What needs a plugin at the source: ARCHIVE tables, accounts of other
# authentication plugins, encrypted tables.  One half comes from the backup, the
# other from the log.  A target that lacks the key is refused before anything is
# done; a sandbox loads the others by itself.
# Runs on each version.
. "$(dirname "$0")/lib.sh"

plugins()
{
    dirname "${PITR_SERVER_BIN:-/usr/sbin/mariadbd}" |
        sed 's,/s*bin$,/lib/mysql/plugin,'
}
for p in ha_archive auth_ed25519 file_key_management; do
    [ -e "$(plugins)/$p.so" ] || {
        trap - EXIT
        rm -rf "$T"
        echo "$p.so is not there"
        exit 77
    }
done

things() # SCHEMA
{
    cat <<SQL
CREATE DATABASE $1;
USE $1;
CREATE TABLE archived (id INT NOT NULL AUTO_INCREMENT, v VARCHAR(99), b BLOB,
    d DOUBLE, KEY (id)) ENGINE=ARCHIVE;
INSERT INTO archived (v, b, d) SELECT seq, REPEAT(CHAR(seq), seq), seq / 7
    FROM seq_1_to_500;
CREATE TABLE archived_unique (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    v VARCHAR(99)) ENGINE=ARCHIVE;
INSERT INTO archived_unique (v) SELECT seq FROM seq_1_to_50;
CREATE TABLE archived_parts (id INT) ENGINE=ARCHIVE
    PARTITION BY HASH (id) PARTITIONS 3;
INSERT INTO archived_parts SELECT seq FROM seq_1_to_50;
CREATE TABLE secret (id INT PRIMARY KEY, t TEXT) ENCRYPTED=YES
    ENCRYPTION_KEY_ID=2;
INSERT INTO secret SELECT seq, REPEAT('geheim', seq) FROM seq_1_to_300;
CREATE TABLE open_ (id INT PRIMARY KEY) ENCRYPTED=NO;
CREATE USER ed_$1@localhost IDENTIFIED VIA ed25519 USING PASSWORD('s3 cret');
CREATE USER both_$1@'%' IDENTIFIED VIA ed25519 USING PASSWORD('a')
    OR mysql_native_password USING PASSWORD('b');
GRANT SELECT ON $1.* TO ed_$1@localhost;
SQL
    # PASSWORD() of parsec has a salt, which the log does not have.
    [ -z "$parsec" ] || [ "$1" = second ] ||
        echo "CREATE USER pa_$1@localhost IDENTIFIED VIA parsec USING PASSWORD('p');"
}

printf '1;%064d\n2;%064d\n' 1 2 >"$T/keys"
crypt=(--plugin-load-add=file_key_management
    --file-key-management-filename="$T/keys")
loaded=(--plugin-maturity=unknown --plugin-load-add=ha_archive
    --plugin-load-add=auth_ed25519)
parsec=''
[ ! -e "$(plugins)/auth_parsec.so" ] || {
    parsec=yes
    loaded+=(--plugin-load-add=auth_parsec)
}
source_server "${loaded[@]}" "${crypt[@]}"
set_up
things first | mysql_client --socket="$SRC"
pitr stream --once
pitr backup >"$T/backup.out" 2>&1 || { cat "$T/backup.out"; fail backup; }
things second | mysql_client --socket="$SRC"
sql "$SRC" "INSERT INTO first.archived (v) VALUES ('by the log');
    UPDATE first.secret SET t = 'x' WHERE id < 9"
pitr stream --once
truth "$SRC" "$T/truth"

say "into a sandbox, which has no key"
expect_exit 1 pitr restore --secret-key "$T/key" --sandbox "$T/r"
said "encrypt"

say "into a server that has one"
target_bin=${PITR_TARGET_BIN:-${PITR_SERVER_BIN:-}}
if [ "$target_bin" = "${PITR_SERVER_BIN:-}" ]; then
    server_init "$T/target"
else
    PITR_TEMPLATE='' PITR_SERVER_BIN=$target_bin server_init "$T/target"
fi
PITR_SERVER_BIN=$target_bin server_start "$T/target" "${loaded[@]}" \
    "${crypt[@]}" --server-id=9
pitr restore --secret-key "$T/key" --socket "$T/target/sock" --user root \
    >"$T/r.out" 2>&1 || { cat "$T/r.out"; fail restore; }
truth "$T/target/sock" "$T/restored"
same "$T/truth" "$T/restored"
[ "$(mariadb --no-defaults --socket="$T/target/sock" --user=ed_second \
    --password='s3 cret' -N -e "SELECT COUNT(*) FROM second.archived")" = 500 ] ||
    fail "who has a password of ed25519 cannot log in"
