#!/bin/bash
# compare.sh -- what a server holds, told by that server alone; nothing of it
# comes from pitr.
#
#   tests/e2e/compare.sh SOCKET           prints it
#   tests/e2e/compare.sh SOCKET SOCKET    compares two; exit code 1: they differ
#
# Sourced by lib.sh, for the functions.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -eu -o pipefail
    TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    # shellcheck source=../../scripts/lib.sh
    . "$TOP/scripts/lib.sh"
fi

# truth SOCKET FILE: every row of every table in FILE.rows (one a line, each
# column as hexadecimal, sorted), definitions of all objects and accounts in
# FILE.defs.
truth()
{
    truth_rows "$1" "$2"
    truth_defs "$1" "$2"
    truth_sort "$2"
}

# As bytes: a schema Mysql is somebody's.
users_schemas="NOT IN (BINARY 'mysql', BINARY 'sys', BINARY 'information_schema',
    BINARY 'performance_schema')"

# One SELECT a table, written by the server itself.  Floats go as DOUBLE, whose
# text is exact; HEX() of a number would round it.  Of what is longer than
# 100,000 bytes there is a digest.  Each view of the information_schema is gone
# through once: with a thousand tables it is slow.
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
                        CONCAT('HEX(', n, ')')
                    WHEN character_maximum_length > 100000 THEN
                        CONCAT('IF(LENGTH(', n, ') > 100000, CONCAT(LENGTH(', n,
                            '), '':'', SHA2(', n, ', 512)), HEX(', n, '))')
                    WHEN character_maximum_length IS NOT NULL OR
                        data_type = 'vector' THEN CONCAT('HEX(', n, ')')
                    END, CONCAT('HEX(CAST(', n, ' AS CHAR))'))
                    ORDER BY ordinal_position SEPARATOR '') AS columns
            FROM (SELECT *, CONCAT('\`', REPLACE(column_name, '\`', '\`\`'),
                    '\`') AS n FROM information_schema.columns
                WHERE table_schema $users_schemas) c
            GROUP BY BINARY table_schema, BINARY table_name) x
        JOIN (SELECT table_schema AS s, table_name AS n,
                table_type = 'SYSTEM VERSIONED' AS versioned
            FROM information_schema.tables
            WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
            AND table_schema $users_schemas) t
            ON BINARY table_schema = BINARY s AND BINARY table_name = BINARY n
        " >"$2.sql"
    mysql_client --socket="$1" -N -B --init-command="SET time_zone = '+00:00',
        sql_mode = '', character_set_results = utf8mb4" <"$2.sql" >"$2.raw"
}

# Definitions.  What is not content is taken out: when an object was made, and
# the counter of AUTO_INCREMENT, which at the source also counts what was rolled
# back (TRUTH_COUNTERS=1 leaves it in).
truth_defs()
{
    local strip='s/ AUTO_INCREMENT=[0-9]+//;'
    [ -z "${TRUTH_COUNTERS:-}" ] || strip=
    mysql_client --socket="$1" -N -B --raw -e "
        SET SESSION group_concat_max_len = 1 << 26;
        SELECT CONCAT('SHOW CREATE DATABASE \`',
            REPLACE(schema_name, '\`', '\`\`'), '\`;')
            FROM information_schema.schemata WHERE schema_name $users_schemas
            ORDER BY BINARY schema_name;
        SELECT CONCAT('SHOW CREATE ', CASE table_type WHEN 'VIEW' THEN 'VIEW'
            WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, ' ', q, ';',
            IF(table_type = 'SEQUENCE', CONCAT('SELECT * FROM ', q, ';'), ''))
            FROM (SELECT *, CONCAT('\`', REPLACE(table_schema, '\`', '\`\`'),
                '\`.\`', REPLACE(table_name, '\`', '\`\`'), '\`') AS q
                FROM information_schema.tables
                WHERE table_schema $users_schemas) t
            ORDER BY BINARY table_schema, BINARY table_name;
        SELECT CONCAT('SELECT event_manipulation, event_object_schema,',
            'event_object_table, trigger_name, action_order,',
            'action_statement, action_timing, sql_mode, definer,',
            'character_set_client, collation_connection, database_collation',
            ' FROM information_schema.triggers',
            ' WHERE trigger_schema = ', QUOTE(schema_name),
            ' ORDER BY BINARY event_object_table, action_timing,',
            ' event_manipulation,',
            ' action_order, trigger_name;')
            FROM information_schema.schemata WHERE schema_name $users_schemas
            ORDER BY BINARY schema_name" >"$2.sql"
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
        mysql_client --socket="$1" --init-command="SET time_zone = '+00:00'" --force -N -B <"$2.sql" 2>&1
        sql "$1" "SELECT db, name, type, specific_name, sql_data_access,
            is_deterministic, security_type, param_list, returns, body,
            definer, sql_mode, comment, character_set_client,
            collation_connection, db_collation, aggregate FROM mysql.proc
            WHERE db $users_schemas ORDER BY BINARY db, type, BINARY name"
        sql "$1" "SELECT db, name, body, definer, execute_at, interval_value,
            interval_field, starts, ends, status, on_completion, sql_mode,
            comment, time_zone, character_set_client, collation_connection,
            db_collation FROM mysql.event WHERE db $users_schemas
            ORDER BY BINARY db, BINARY name"
        sql "$1" "SELECT * FROM mysql.roles_mapping ORDER BY 1, 2, 3, 4"
        sql "$1" "SELECT user, host, proxied_host, proxied_user, with_grant
            FROM mysql.proxies_priv WHERE user <> 'root' ORDER BY 1, 2, 3, 4"
    } | sed -E "$strip"'s, /\* mariadb-5.3 \*/,,g' >"$2.defs"
}

# truth_catalogue SOCKET FILE: what the information_schema and the tables of
# accounts say of all that, in FILE.catalogue.  Left out is what is not content:
# estimates of sizes, when an object was made and by whom it was granted, and
# the number of the server that made an event.
truth_catalogue()
{
    local view columns of
    while read -r view columns; do
        [ -n "$view" ] || continue
        of="information_schema.$view"
        case $view in
        mysql.*) of="$view WHERE user <> 'root'" ;;
        user_privileges | schema_privileges | table_privileges | \
            column_privileges) of+=" WHERE grantee NOT LIKE '''root''@%'" ;;
        schemata) of+=" WHERE schema_name $users_schemas" ;;
        triggers) of+=" WHERE trigger_schema $users_schemas" ;;
        routines) of+=" WHERE routine_schema $users_schemas" ;;
        parameters) of+=" WHERE specific_schema $users_schemas" ;;
        events) of+=" WHERE event_schema $users_schemas" ;;
        referential_constraints | key_column_usage | check_constraints | \
            table_constraints) of+=" WHERE constraint_schema $users_schemas" ;;
        *) of+=" WHERE table_schema $users_schemas" ;;
        esac
        echo "SELECT '$view', $columns FROM $of;"
    done < <(truth_views "$(version "$1")") >"$2.sql"
    mysql_client --socket="$1" -N -B --force \
        --init-command="SET time_zone = '+00:00'" <"$2.sql" 2>&1 |
        sed 's, /\* mariadb-5.3 \*/,,' | sort >"$2.catalogue"
    rm -f "$2.sql"
}

# The views and their columns, a line each, for a version such as 1011.
truth_views()
{
    local k
    cat <<'VIEWS' | tr '\n' ' ' | tr ';' '\n'
schemata schema_name, default_character_set_name, default_collation_name,
    schema_comment;
tables table_schema, table_name, table_type, engine, version, row_format,
    table_collation, checksum IS NULL, TRIM(REPLACE(create_options,
    'page_checksum=1', '')), table_comment, temporary;
columns table_schema, table_name, column_name, ordinal_position, column_default,
    is_nullable, data_type, character_maximum_length, character_octet_length,
    numeric_precision, numeric_scale, datetime_precision, character_set_name,
    collation_name, column_type, column_key, extra, column_comment,
    is_generated, generation_expression;
statistics table_schema, table_name, non_unique, index_schema, index_name,
    seq_in_index, column_name, collation, sub_part, packed, nullable,
    index_type, comment, index_comment;
table_constraints constraint_schema, constraint_name, table_schema, table_name,
    constraint_type;
key_column_usage constraint_schema, constraint_name, table_schema, table_name,
    column_name, ordinal_position, position_in_unique_constraint,
    referenced_table_schema, referenced_table_name, referenced_column_name;
referential_constraints constraint_schema, constraint_name,
    unique_constraint_schema, unique_constraint_name, match_option, update_rule,
    delete_rule, table_name, referenced_table_name;
check_constraints constraint_schema, table_name, constraint_name, level,
    check_clause;
partitions table_schema, table_name, partition_name, subpartition_name,
    partition_ordinal_position, subpartition_ordinal_position, partition_method,
    subpartition_method, partition_expression, subpartition_expression,
    partition_description, partition_comment, nodegroup;
views table_schema, table_name, view_definition, check_option, is_updatable,
    definer, security_type, character_set_client, collation_connection,
    algorithm;
triggers trigger_schema, trigger_name, event_manipulation, event_object_schema,
    event_object_table, action_order, action_statement, action_orientation,
    action_timing, sql_mode, definer, character_set_client,
    collation_connection, database_collation;
routines specific_name, routine_schema, routine_name, routine_type, data_type,
    character_maximum_length, numeric_precision, datetime_precision,
    character_set_name, collation_name, dtd_identifier, routine_body,
    routine_definition, parameter_style, is_deterministic, sql_data_access,
    security_type, sql_mode, routine_comment, definer, character_set_client,
    collation_connection, database_collation;
parameters specific_schema, specific_name, ordinal_position, parameter_mode,
    parameter_name, data_type, character_set_name, collation_name,
    dtd_identifier, routine_type;
events event_schema, event_name, definer, time_zone, event_body,
    event_definition, event_type, execute_at, interval_value, interval_field,
    sql_mode, starts, ends, status, on_completion, event_comment,
    character_set_client, collation_connection, database_collation;
user_privileges grantee, privilege_type, is_grantable;
schema_privileges grantee, table_schema, privilege_type, is_grantable;
table_privileges grantee, table_schema, table_name, privilege_type,
    is_grantable;
column_privileges grantee, table_schema, table_name, column_name,
    privilege_type, is_grantable;
mysql.db user, host, db, select_priv, insert_priv, update_priv, delete_priv,
    create_priv, drop_priv, grant_priv, references_priv, index_priv, alter_priv,
    create_tmp_table_priv, lock_tables_priv, create_view_priv, show_view_priv,
    create_routine_priv, alter_routine_priv, execute_priv, event_priv,
    trigger_priv, delete_history_priv;
mysql.tables_priv user, host, db, table_name, table_priv, column_priv;
mysql.columns_priv user, host, db, table_name, column_name, column_priv;
mysql.procs_priv user, host, db, routine_name, routine_type, proc_priv;
mysql.proxies_priv user, host, proxied_host, proxied_user, with_grant;
mysql.roles_mapping user, host, role, admin_option;
VIEWS
    # Of an account's JSON every key but the number of the version; what says
    # the same as its absence is taken for that.
    printf '\nmysql.global_priv user, host'
    for k in access plugin authentication_string auth_or account_locked is_role \
        password_lifetime password_last_changed ssl_type ssl_cipher x509_issuer \
        x509_subject max_questions max_updates max_connections \
        max_user_connections max_statement_time default_role; do
        printf ", NULLIF(NULLIF(NULLIF(NULLIF(NULLIF(
            JSON_EXTRACT(priv, '$.%s'), 0), -1), FALSE), '\"\"'), '[]')" $k
    done | tr '\n' ' '
    echo
    [ "$1" -lt 1006 ] ||
        echo "statistics table_schema, table_name, index_name, ignored"
    [ "$1" -lt 1104 ] || echo "periods table_schema, table_name, period," \
        "start_column_name, end_column_name"
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
    [ ! -f "$1.catalogue" ] || cmp -s "$1.catalogue" "$2.catalogue" || {
        diff "$1.catalogue" "$2.catalogue" | cut -c1-2000 | head -20
        fail "the catalogue of $2 is not that of $1"
    }
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    [ $# = 1 ] || [ $# = 2 ] || {
        sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
        exit 2
    }
    fail()
    {
        echo "$*" >&2
        exit 1
    }
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    n=0
    for socket; do
        n=$((n + 1))
        truth "$socket" "$folder/$n"
        truth_catalogue "$socket" "$folder/$n"
    done
    if [ $n = 1 ]; then
        cat "$folder/1.rows" "$folder/1.defs" "$folder/1.catalogue"
    else
        same "$folder/1" "$folder/2"
        echo "equal: $(wc -l <"$folder/1.rows") rows," \
            "$(wc -l <"$folder/1.defs") lines of definitions"
    fi
fi
