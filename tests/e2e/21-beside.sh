#!/bin/bash
# A part of a server, restored beside what the target has: one schema, single
# tables, all but some, under another name; the log goes the same way.  What is
# there stays as it was, and what cannot be told apart is refused at first.
. "$(dirname "$0")/lib.sh"

source_server
sql "$SRC" "CREATE DATABASE shop; CREATE DATABASE blog; CREATE DATABASE misc;
    CREATE TABLE shop.orders (id INT PRIMARY KEY, v VARCHAR(20), KEY (v));
    CREATE TABLE shop.items (id INT PRIMARY KEY, o INT, FOREIGN KEY (o)
        REFERENCES shop.orders (id) ON DELETE CASCADE);
    CREATE TABLE shop.log (n INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20))
        ENGINE=MyISAM;
    CREATE SEQUENCE shop.numbers;
    CREATE TABLE shop.numbered (id INT DEFAULT NEXTVAL(shop.numbers), v INT);
    CREATE VIEW shop.open AS SELECT id, v FROM shop.orders WHERE v <> 'done';
    CREATE TABLE blog.posts (id INT PRIMARY KEY, t TEXT);
    CREATE TABLE misc.other (id INT PRIMARY KEY);
    INSERT INTO shop.orders VALUES (1, 'new'), (2, 'done'), (3, 'new');
    INSERT INTO shop.items VALUES (1, 1), (2, 1), (3, 2);
    INSERT INTO shop.log (what) VALUES ('one');
    INSERT INTO shop.numbered (v) VALUES (1), (2);
    INSERT INTO blog.posts VALUES (1, 'first'); INSERT INTO misc.other VALUES (1);
    USE shop;
    CREATE TRIGGER logged AFTER INSERT ON orders FOR EACH ROW
        INSERT INTO log (what) VALUES (NEW.id);
    CREATE PROCEDURE count_them() SELECT COUNT(*) FROM orders;
    CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM log"
set_up
pitr stream --once
pitr backup
# One transaction over schemas, statements over tables of two of them, definitions
# of each, from sessions that use another.
sql "$SRC" "USE blog;
    BEGIN; INSERT INTO shop.orders VALUES (4, 'both'); INSERT INTO blog.posts
        VALUES (2, 'both'); INSERT INTO misc.other VALUES (2); COMMIT;
    BEGIN; INSERT INTO blog.posts VALUES (3, 'x'); UPDATE shop.orders o,
        blog.posts p SET o.v = 'multi', p.t = 'multi' WHERE o.id = 1; COMMIT;
    CREATE TABLE drafts (id INT PRIMARY KEY); INSERT INTO drafts VALUES (1);
    DROP TABLE misc.other; CREATE DATABASE later; CREATE TABLE later.t (a INT);
    CREATE TABLE shop.named (id INT PRIMARY KEY, o INT, FOREIGN KEY (o)
        REFERENCES shop.orders (id)) COMMENT 'shop.named';
    INSERT INTO shop.named VALUES (1, 1);
    CREATE TABLE shop.gone (a INT); TRUNCATE shop.gone; DROP TABLE shop.gone;
    USE shop; ALTER TABLE orders ADD COLUMN n INT DEFAULT 7;
    CREATE TABLE fresh (id INT PRIMARY KEY) SELECT id FROM orders;
    INSERT INTO log (what) VALUES ('two'); INSERT INTO numbered (v) VALUES (3);
    DELETE FROM items WHERE id = 2; INSERT INTO items VALUES (7, 3);
    DELETE FROM orders WHERE id = 2; ALTER EVENT nightly ENABLE;
    CREATE USER somebody@localhost; GRANT SELECT ON shop.* TO somebody@localhost;
    UPDATE blog.posts SET t = CONCAT(t, '!')"
pitr stream --once
truth "$SRC" "$T/truth"

server_init "$T/target"
server_start "$T/target" --server-id=50 --gtid-strict-mode=OFF --general-log \
    --general-log-file="$T/target/general" --slow-query-log --long-query-time=0 \
    --slow-query-log-file="$T/target/slow"
TARGET=$T/target/sock
sql "$TARGET" "CREATE DATABASE mine; CREATE TABLE mine.t (id INT PRIMARY KEY);
    INSERT INTO mine.t VALUES (1); CREATE DATABASE blog;
    CREATE TABLE blog.of_target (id INT); INSERT INTO blog.of_target VALUES (9);
    CREATE USER keeper@localhost; SET GLOBAL gtid_slave_pos = '5-6-7'"
truth "$TARGET" "$T/before"

LEFT_OUT="''"
# part SCHEMA [NAME]: the truth of a schema at the source, and at the target where
# it may have another name; without the tables LEFT_OUT, and accounts.
part()
{
    local to=${2:-$1}
    truth "$TARGET" "$T/now"
    grep -a "^$1\." "$T/truth.rows" >"$T/a.rows"
    grep -a "^$to\." "$T/now.rows" | sed "s/^$to\./$1./" >"$T/b.rows"
    cmp "$T/a.rows" "$T/b.rows" || {
        diff "$T/a.rows" "$T/b.rows" | head
        fail "rows of $1"
    }
    sql "$SRC" "SELECT table_name, table_type, engine, table_rows IS NULL FROM
        information_schema.tables WHERE table_schema = '$1'
        AND table_name NOT IN ($LEFT_OUT) ORDER BY 1;
        SELECT trigger_name, action_statement FROM information_schema.triggers
        WHERE trigger_schema = '$1'; SELECT name, body FROM mysql.proc WHERE
        db = '$1'; SELECT name, status FROM mysql.event WHERE db = '$1'" \
        >"$T/a.defs"
    sql "$TARGET" "SELECT table_name, table_type, engine, table_rows IS NULL FROM
        information_schema.tables WHERE table_schema = '$to' ORDER BY 1;
        SELECT trigger_name, action_statement FROM information_schema.triggers
        WHERE trigger_schema = '$to'; SELECT name, body FROM mysql.proc WHERE
        db = '$to'; SELECT name, status FROM mysql.event WHERE db = '$to'" \
        >"$T/b.defs"
    cmp "$T/a.defs" "$T/b.defs" || {
        diff "$T/a.defs" "$T/b.defs"
        fail "objects of $1"
    }
}

# untouched: all that the target had is there and nothing else than the schemas
# given.
untouched()
{
    local s
    truth "$TARGET" "$T/now"
    for s; do
        sed -i "/^$s\./d" "$T/now.rows"
    done
    diff "$T/before.rows" "$T/now.rows" || fail "the target's own rows"
    [ "$(sql "$TARGET" "SELECT GROUP_CONCAT(schema_name ORDER BY 1) FROM
        information_schema.schemata WHERE schema_name $users_schemas")" = \
        "$(printf '%s\n' blog mine "$@" | sort -u | paste -sd,)" ] ||
        fail "schemas of the target"
    [ "$(sql "$TARGET" "SELECT GROUP_CONCAT(user ORDER BY 1) FROM mysql.user
        WHERE user NOT IN ('root', 'mariadb.sys', 'PUBLIC')")" = keeper ] ||
        fail "accounts of the target"
    [ "$(sql "$TARGET" "SELECT @@gtid_slave_pos")" = 5-6-7 ] ||
        fail "the target's replication position"
}
beside()
{
    expect_exit 3 pitr restore --secret-key "$T/key" --socket "$TARGET" \
        --user root "$@"
    said "does not get into the target's binary log" "pitr backup"
}

say "one schema"
beside --only shop
said "accounts and grants are left out"
part shop
untouched shop
expect_exit 1 pitr restore --secret-key "$T/key" --socket "$TARGET" --user root \
    --only shop
said "shop"
sql "$TARGET" "DROP DATABASE shop"
expect_exit 3 pitr restore --dry-run --secret-key "$T/key" --only shpo \
    --only shop.itmes --exclude blgo.posts --rename sohp=past
said "shpo is not in the backup" "shop.itmes is not" "the schema blgo" \
    "the schema sohp"

say "under another name, all but a table"
beside --only shop --rename shop=past --exclude shop.log --exclude shop.numbered
sed -i '/^shop\.\(log\|numbered\)\t/d' "$T/truth.rows"
LEFT_OUT="'log', 'numbered'"
part shop past
[ "$(sql "$TARGET" "SELECT COUNT(*) FROM past.open")" = 3 ] || fail "the view"
untouched past
sql "$TARGET" "DROP DATABASE past"

say "a table into a schema that has others"
# Item 3 went with its order, which no log says; item 7 came without one.
expect_exit 3 pitr restore --secret-key "$T/key" --socket "$TARGET" --user root \
    --only blog.posts --only shop.items
said "1 times rows .* in shop.orders, .* a foreign key of shop.items refers"
[ "$(sql "$TARGET" "SELECT GROUP_CONCAT(id, t ORDER BY id) FROM blog.posts;
    SELECT COUNT(*) FROM blog.of_target; SELECT GROUP_CONCAT(id) FROM shop.items")" \
    = "$(sql "$SRC" "SELECT GROUP_CONCAT(id, t ORDER BY id) FROM blog.posts;
    SELECT 1; SELECT '1,3,7'")" ] ||
    fail "single tables"
expect_exit 1 pitr restore --secret-key "$T/key" --socket "$TARGET" --user root \
    --only blog.posts
said "has blog.posts already" "rename"
sql "$TARGET" "DROP TABLE blog.posts; DROP DATABASE shop"
untouched

say "the replay's password is in no log of the target"
! grep -aE "MASTER_PASSWORD|SHA1" "$T/target/general" "$T/target/slow" ||
    fail "it is"
grep -q "SHOW DATABASES\|SELECT" "$T/target/general" || fail "there is no log"

before=$(position)
before=${before%-*}-$((${before##*-} + 1))

say "what a trigger may have done elsewhere is not in a statement's text"
sql "$SRC" "SET SESSION binlog_format = STATEMENT; USE blog;
    UPDATE posts SET t = LEFT(t, 20) WHERE id = 1"
pitr stream --once
expect_exit 3 pitr restore --dry-run --secret-key "$T/key" --only shop
said "1 statements? of other schemas" "trigger"

say "what cannot be told apart is refused before anything is done"
sql "$SRC" "SET SESSION binlog_format = STATEMENT; USE blog;
    INSERT INTO shop.orders (id, v) SELECT 50, LEFT(t, 9) FROM posts WHERE id = 1"
pitr stream --once
expect_exit 2 pitr restore --secret-key "$T/key" --socket "$TARGET" --user root \
    --only shop
said "touches both" "INSERT INTO shop.orders" "sandbox"
untouched
expect_exit 2 pitr restore --secret-key "$T/key" --socket "$TARGET" --user root \
    --rename nonsense

say "what only the log makes is not made of what the target has"
sql "$TARGET" "CREATE DATABASE later; CREATE TABLE later.t (mine INT);
    INSERT INTO later.t VALUES (5); CREATE TABLE blog.drafts (mine INT)"
truth "$TARGET" "$T/before"
for part in later blog.drafts; do
    expect_exit 1 pitr restore --secret-key "$T/key" --socket "$TARGET" \
        --user root --only "$part" --before-gtid "$before"
    said "has $part already"
done
expect_exit 1 pitr restore --secret-key "$T/key" --socket "$TARGET" --user root \
    --exclude shop --exclude misc --rename blog=blog2 --before-gtid "$before"
said "schema later that is not in the backup"
[ "$(sql "$TARGET" "SELECT mine FROM later.t")" = 5 ] || fail "a table is gone"

say "a table that was dropped, back into its own server, whose log lacks it"
pitr backup >/dev/null
sql "$SRC" "DROP TABLE shop.fresh"
dropped=$(position)
pitr stream --once
expect_exit 3 pitr restore --secret-key "$T/key" --socket "$SRC" --user root \
    --only shop.fresh --before-gtid "$dropped"
said "does not get into the target's binary log"
expect_exit 13 pitr stream --once
said "a restore into the server was begun"
expect_exit 13 pitr status
pitr backup >/dev/null
sql "$SRC" "SET sql_log_bin = 0; CREATE TABLE shop.quiet (id INT PRIMARY KEY);
    SET sql_log_bin = 1; INSERT INTO shop.quiet VALUES (1)"
pitr stream --once
expect_exit 1 pitr restore --secret-key "$T/key" --sandbox "$T/lacks"
said "1146: .*shop.quiet" "sql_log_bin=0" "--backup ID"
