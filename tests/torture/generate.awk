# tests/torture/generate.awk -- SQL without end: tables of every shape and type,
# transactions and DDL over them.
#
#   awk -v seed=N -v client=N -v version=1011 [-v across=1] -f generate.awk
#
# across: for a target of another version, which may take a value that does not
# fit for another one; so a statement never has the target convert values.
#
# What it prints depends on these numbers alone.  Client 0 also makes the
# tables that all clients write to (schema `shared`), the others have a model
# of them from the same numbers; each has a schema w1, w2, ... of its own, whose
# definitions it changes.  Statements that fail are part of it: a value may not
# fit, a key may be there, a table of `shared` may have changed.
#
# Some things are left out, since MariaDB itself does not keep them: history of
# versioned tables in a log without blobs (an UPDATE's old row comes without
# them, however it is replayed); a SPATIAL key where there is no primary one (the
# applier looks for rows by it, and finds none); and characters of four bytes in a compressed
# column of utf8mb3 (which by SET NAMES utf8 get in, but in no other way); and
# CONVERT TO of a table with ENUM or SET, whose labels it leaves in the bytes of
# the old character set, and no SHOW CREATE tells them.
#
# The model: tables are numbers; T[t,...] is what is known of one, C[t,i,...]
# of its columns.  k is the column by which rows are found.

# --- chance: Park and Miller's minimal standard, exact in a double ---

function rnd(n) # 0 ... n-1
{
    state = (state * 16807) % 2147483647
    return int(state / 8) % n
}

function chance(percent)
{
    return rnd(100) < percent
}

function pick(list,    n, a)
{
    n = split(list, a, " ")
    return a[1 + rnd(n)]
}

function hex(n,    s)
{
    for (s = ""; n > 0; n--)
        s = s substr("0123456789ABCDEF", 1 + rnd(16), 1) \
            substr("0123456789ABCDEF", 1 + rnd(16), 1)
    return s
}

# --- values ---

function words(max,    s, n)
{
    n = rnd(max + 1)
    for (s = ""; n > 0; n--)
        s = s W[1 + rnd(words_n)]
    return s
}

function text(max)
{
    if (chance(6))
        return "''"
    if (chance(6))
        return "'trailing  '"
    if (chance(4) && max > 100)
        return "REPEAT('" words(3) "', " rnd(max) ")"
    return "'" words(max < 8 ? max : 8) "'"
}

function bytes(max)
{
    if (chance(5))
        return "''"
    if (chance(4) && max > 100)
        return "REPEAT(x'" hex(2) "', " rnd(max) ")"
    return "x'" hex(rnd((max < 24 ? max : 24) + 1)) "'"
}

function fraction(    n)
{
    n = rnd(7)
    return n == 0 ? "" : "." substr(rnd(900000) + 100000, 1, n)
}

function two(n)
{
    return n < 10 ? "0" n : n
}

function date_()
{
    if (chance(4))
        return "0000-00-00"
    if (chance(4))
        return pick("1000-01-01 9999-12-31 2004-02-29 1999-00-00 2001-02-00")
    return (1900 + rnd(200)) "-" two(1 + rnd(12)) "-" two(1 + rnd(28))
}

function clock()
{
    return two(rnd(24)) ":" two(rnd(60)) ":" two(rnd(60)) fraction()
}

function geometry(kind)
{
    if (kind == "GEOMETRY")
        kind = pick("POINT LINESTRING POLYGON")
    if (kind == "POINT")
        return "ST_GeomFromText('POINT(" rnd(99) "." rnd(99) " -" rnd(9) ")')"
    if (kind == "LINESTRING")
        return "ST_GeomFromText('LINESTRING(0 0," rnd(9) " 5,6 " rnd(9) ")', " \
            pick("0 4326") ")"
    return "ST_GeomFromText('POLYGON((0 0," 1 + rnd(9) " 0,5 5,0 0))')"
}

function number(kind, is_unsigned,    r)
{
    r = rnd(12)
    if (r == 0)
        return "0"
    if (r == 1)
        return is_unsigned ? UMAX[kind] : SMAX[kind]
    if (r == 2 && !is_unsigned)
        return "-" SMAX[kind] " - 1"
    if (r == 3 && !is_unsigned)
        return "-" rnd(100)
    return rnd(120)
}

function real(    r)
{
    r = rnd(14)
    if (r == 0)
        return pick("-0.0 0 1e0 3.402823466e38 1.17549435e-38 1e-45 16777216 " \
            "16777217 0.1 -0.1")
    if (r == 1)
        return pick("1.7976931348623157e308 2.2250738585072014e-308 5e-324 " \
            "9007199254740993 0.12345679104328156")
    return pick("- +") rnd(1000000) "." rnd(1000000) "e" rnd(30) - 15
}

function vector(n,    s)
{
    for (s = real(); n > 1; n--)
        s = s "," (rnd(2000) - 1000) / 8
    sub(/^\+/, "", s)
    return "VEC_FromText('[" s "]')"
}

# A value for column i of table t.
function value(t, i,    kind)
{
    kind = C[t, i, "kind"]
    if (C[t, i, "null"] && chance(15))
        return "NULL"
    if (chance(4) && kind != "GEO" && kind != "VECTOR")
        return "DEFAULT"
    if (kind in SMAX)
        return number(kind, C[t, i, "unsigned"])
    if (kind == "DECIMAL")
        return pick("- +") rnd(1000000) rnd(1000000) "." rnd(1000000)
    if (kind == "REAL")
        return real()
    if (kind == "BIT")
        return chance(50) ? "b'" pick("0 1 101 11111111") "'" : rnd(256)
    if (kind == "DATE")
        return "'" date_() "'"
    if (kind == "DATETIME")
        return chance(15) ? "NOW(6)" : "'" date_() " " clock() "'"
    if (kind == "TIMESTAMP")
        return chance(20) ? "NOW(6)" : chance(10) ? \
            pick("'20380119031407.5' '19700102000000' '20211031023000'") : \
            "'" (1971 + rnd(66)) "-" two(1 + rnd(12)) "-" two(1 + rnd(28)) \
                " " clock() "'"
    if (kind == "TIME")
        return "'" pick("- +") rnd(839) ":" two(rnd(60)) ":" two(rnd(60)) \
            fraction() "'"
    if (kind == "YEAR")
        return pick("0 1901 2155 1970 2022 2000")
    if (kind == "TEXT")
        return text(C[t, i, "max"])
    if (kind == "BYTES")
        return bytes(C[t, i, "max"])
    if (kind == "ENUM")
        return pick("'a' 'programmée' '' 1 2 3 'nothing' 'z'")
    if (kind == "SET")
        return pick("'x' 'x,y' '' 3 7 'ü,x' 'none'")
    if (kind == "JSON")
        return chance(50) ? "JSON_OBJECT('k', " rnd(99) ", 'ü', '" words(2) "')" : \
            pick("'[]' '{\"a\":[1,2.50,null]}' 'null' '3'")
    if (kind == "GEO")
        return geometry(C[t, i, "geo"])
    if (kind == "INET6")
        return "'" pick(":: ::1 fe80::1:2 2001:db8::ff ::ffff:10.1.2.3") "'"
    if (kind == "INET4")
        return "'" rnd(256) "." rnd(256) "." rnd(256) ".1'"
    if (kind == "UUID")
        return chance(30) ? "UUID()" : "LOWER(INSERT(INSERT(INSERT(INSERT('" \
            hex(16) "',9,0,'-'),14,0,'-'),19,0,'-'),24,0,'-'))"
    if (kind == "VECTOR")
        return vector(C[t, i, "max"])
    return "NULL"
}

# --- tables ---

# Adds column number i to the model and returns its definition; `plain`:
# nothing that depends on other columns.
function column(t, i, name, plain,    k, s, cs)
{
    C[t, i, "name"] = name
    C[t, i, "null"] = chance(75)
    C[t, i, "gone"] = C[t, i, "generated"] = C[t, i, "unsigned"] = 0
    C[t, i, "blob"] = C[t, i, "packed"] = 0
    k = rnd(plain ? 34 : 38)
    if (k >= 30 && k < 32 && (T[t, "parted"] || T[t, "engine"] == "Aria"))
        k = 0
    if (version >= 1010 && chance(8))
        k = 40
    if (version >= 1107 && chance(4))
        k = 41
    if (k < 7) {
        C[t, i, "kind"] = pick("TINYINT SMALLINT MEDIUMINT INT BIGINT")
        s = C[t, i, "kind"]
        if (C[t, i, "unsigned"] = chance(40))
            s = s (chance(20) ? " ZEROFILL" : " UNSIGNED")
    } else if (k < 9) {
        C[t, i, "kind"] = "DECIMAL"
        s = pick("DECIMAL(10,2) DECIMAL(65,30) DECIMAL(38,0) DECIMAL(20,20)")
    } else if (k < 12) {
        C[t, i, "kind"] = "REAL"
        s = pick("FLOAT DOUBLE FLOAT DOUBLE FLOAT(9,3)")
    } else if (k < 13) {
        C[t, i, "kind"] = "BIT"
        s = "BIT(" pick("1 8 13 64") ")"
    } else if (k < 18) {
        C[t, i, "kind"] = pick("DATE DATETIME TIMESTAMP TIME YEAR DATETIME " \
            "TIMESTAMP TIME")
        s = C[t, i, "kind"]
        if (s ~ /TIME/)
            s = s "(" rnd(7) ")"
    } else if (k < 24) {
        C[t, i, "kind"] = "TEXT"
        C[t, i, "max"] = 4 + rnd(60)
        s = pick("CHAR VARCHAR VARCHAR") "(" C[t, i, "max"] ")"
        if (chance(30)) {
            s = pick("TINYTEXT TEXT MEDIUMTEXT LONGTEXT")
            C[t, i, "max"] = s == "TINYTEXT" ? 60 : 3000
            C[t, i, "blob"] = 1
            C[t, i, "packed"] = chance(20) && T[t, "engine"] == "InnoDB"
            if (C[t, i, "packed"])
                s = s " COMPRESSED"
        }
        cs = pick("latin1 utf8mb4 ucs2 utf16 utf32 utf8 cp1251 koi8r gbk " \
            "sjis ascii latin2 utf16le hebrew big5 euckr tis620")
        if (chance(70))
            s = s " CHARACTER SET " cs (chance(30) ? " COLLATE " cs "_bin" : "")
    } else if (k < 27) {
        C[t, i, "kind"] = "BYTES"
        C[t, i, "max"] = 1 + rnd(50)
        s = pick("BINARY VARBINARY") "(" C[t, i, "max"] ")"
        if (chance(40)) {
            s = pick("TINYBLOB BLOB MEDIUMBLOB LONGBLOB")
            C[t, i, "max"] = s == "TINYBLOB" ? 200 : 5000
            C[t, i, "blob"] = 1
        }
    } else if (k < 29) {
        C[t, i, "kind"] = pick("ENUM SET")
        T[t, "labels"] = 1
        s = C[t, i, "kind"] == "ENUM" ? "ENUM('a','programmée','','z')" : \
            "SET('x','y','ü')"
        if (chance(40))
            s = s " CHARACTER SET latin1"
    } else if (k < 30) {
        C[t, i, "kind"] = "JSON"
        s = "JSON"
    } else if (k < 32) {
        C[t, i, "kind"] = "GEO"
        T[t, "geo"] = 1
        C[t, i, "geo"] = pick("POINT GEOMETRY LINESTRING POLYGON")
        s = C[t, i, "geo"]
    } else if (k < 33) {
        C[t, i, "kind"] = "INET6"
        s = "INET6"
    } else if (k < 34) {
        C[t, i, "kind"] = "TIMESTAMP"
        C[t, i, "null"] = 0
        return "`" name "` TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)" \
            " ON UPDATE CURRENT_TIMESTAMP(6)"
    } else if (k < 38) {
        C[t, i, "kind"] = "GENERATED"
        C[t, i, "generated"] = 1
        return "`" name "` " pick("BIGINT DOUBLE VARCHAR(30)") " AS (n % " \
            1 + rnd(99) " + 1) " pick("VIRTUAL PERSISTENT")
    } else if (k == 40) {
        C[t, i, "kind"] = s = pick("UUID INET4")
    } else {
        C[t, i, "kind"] = "VECTOR"
        C[t, i, "null"] = 1
        C[t, i, "max"] = 1 + rnd(6)
        s = "VECTOR(" C[t, i, "max"] ")"
    }
    s = "`" name "` " s (C[t, i, "null"] ? " NULL" : " NOT NULL")
    if (C[t, i, "null"] && chance(10))
        s = s " INVISIBLE"
    if (chance(10) && C[t, i, "kind"] in SMAX)
        s = s " DEFAULT " rnd(100)
    if (chance(5) && C[t, i, "kind"] == "TEXT")
        s = s " DEFAULT (CONCAT('d', 1 + 1))"
    if (chance(10))
        s = s " COMMENT '" words(3) "'"
    return s
}

# The key column's value for row number n.
function key(t, n)
{
    if (T[t, "key"] == "huge")
        return "18446744073709551000 + " n
    if (T[t, "key"] == "binary")
        return "UNHEX(MD5(" n "))"
    if (T[t, "key"] == "text")
        return "CONCAT('ä', " n ")"
    if (T[t, "key"] == "counter" && chance(40))
        return "NULL"
    return n
}

function key_columns(t,    k)
{
    k = T[t, "key"] = pick("counter counter int huge binary text pair none " \
        "unique counter int")
    if (k == "counter")
        return "k INT AUTO_INCREMENT PRIMARY KEY"
    if (k == "int")
        return "k INT PRIMARY KEY"
    if (k == "huge")
        return "k BIGINT UNSIGNED PRIMARY KEY"
    if (k == "binary")
        return "k VARBINARY(16) PRIMARY KEY"
    if (k == "text")
        return "k VARCHAR(20) COLLATE " \
            pick("utf8mb4_swedish_ci utf8mb4_bin utf8mb4_german2_ci " \
                "utf8mb4_unicode_520_nopad_ci") " PRIMARY KEY"
    if (k == "pair")
        return "k INT, j VARCHAR(8) DEFAULT 'j', PRIMARY KEY (j, k)"
    if (k == "unique")
        return "k INT NULL, UNIQUE KEY (k)"
    return "k INT"
}

function index_(t, i)
{
    if (C[t, i, "kind"] == "GEO")
        return C[t, i, "null"] || T[t, "key"] ~ /none|unique/ ? "" : \
            "SPATIAL KEY (`" C[t, i, "name"] "`)"
    if (C[t, i, "kind"] ~ /^(VECTOR|JSON|GENERATED)$/ ||
        C[t, i, "packed"])
        return ""
    if (C[t, i, "kind"] == "TEXT" && chance(25))
        return "FULLTEXT KEY (`" C[t, i, "name"] "`)"
    if (C[t, i, "kind"] == "BYTES" && C[t, i, "blob"] && chance(10) &&
        T[t, "engine"] == "InnoDB")
        return "UNIQUE KEY (`" C[t, i, "name"] "`)"
    return "KEY (`" C[t, i, "name"] "`" (C[t, i, "blob"] ? "(10)" : "") \
        (version >= 1008 && chance(20) ? " DESC" : "") ")"
}

function partitions(t)
{
    if (T[t, "key"] ~ /^(counter|int|none|unique)$/ && chance(50))
        return " PARTITION BY RANGE (k) (PARTITION p0 VALUES LESS THAN (20)," \
            " PARTITION p1 VALUES LESS THAN (90)," \
            " PARTITION p2 VALUES LESS THAN MAXVALUE)"
    if (T[t, "key"] ~ /^(counter|int|huge|none|unique)$/)
        return " PARTITION BY HASH (k) PARTITIONS " 1 + rnd(5)
    return " PARTITION BY KEY (k) PARTITIONS " 1 + rnd(4)
}

# CREATE TABLE; its model is t.
function create(t, name,    s, i, n, x, parted)
{
    T[t, "name"] = name
    T[t, "engine"] = pick("InnoDB InnoDB InnoDB InnoDB InnoDB InnoDB MyISAM " \
        "Aria Aria")
    T[t, "versioned"] = T[t, "geo"] = T[t, "labels"] = T[t, "rows"] = 0
    s = key_columns(t) ", n INT"
    n = T[t, "cols"] = 1 + rnd(9)
    parted = T[t, "parted"] = chance(15)
    for (i = 1; i <= n; i++) {
        s = s ",\n  " column(t, i, pick("c v Größe d`é_") i, 0)
    }
    gsub(/d`é_/, "d``é_", s)
    for (i = 1; i <= n; i++) {
        gsub(/`/, "``", C[t, i, "name"])
        if (chance(25) && !(parted && C[t, i, "kind"] == "GEO") &&
            (x = index_(t, i)) != "" && !(parted && x ~ /FULLTEXT|UNIQUE/))
            s = s ",\n  " x
    }
    if (!no_blob && version >= 1011 && !parted && T[t, "engine"] == "InnoDB" && chance(12)) {
        T[t, "versioned"] = 1
        x = " WITH SYSTEM VERSIONING"
    } else {
        x = ""
    }
    s = "CREATE TABLE " name " (\n  " s ")\n ENGINE=" T[t, "engine"]
    if (chance(40))
        s = s " DEFAULT CHARSET=" pick("latin1 utf8mb4 ucs2 utf8 cp1250")
    if (T[t, "engine"] == "InnoDB" && chance(20))
        s = s " ROW_FORMAT=" pick("DYNAMIC COMPACT REDUNDANT COMPRESSED")
    if (chance(10))
        s = s " COMMENT='" words(4) "'"
    return s x (parted ? partitions(t) : "")
}

# --- rows ---

function find(t,    n)
{
    if (chance(12))
        return " WHERE n " pick("< > =") " " rnd(200)
    n = 1 + rnd(T[t, "rows"] + 5)
    return " WHERE k = " (T[t, "key"] == "counter" ? n : key(t, n))
}

function insert(t,    i, s, v, rows, verb)
{
    s = "k, n"
    for (i = 1; i <= T[t, "cols"]; i++)
        if (!C[t, i, "gone"] && !C[t, i, "generated"])
            s = s ", `" C[t, i, "name"] "`"
    rows = chance(30) ? 1 + rnd(12) : 1
    for (v = ""; rows > 0; rows--) {
        T[t, "rows"]++
        v = v (v == "" ? "" : ",\n ") "(" \
            key(t, chance(85) ? T[t, "rows"] : rnd(T[t, "rows"] + 1)) \
            ", " rnd(200)
        for (i = 1; i <= T[t, "cols"]; i++)
            if (!C[t, i, "gone"] && !C[t, i, "generated"])
                v = v ", " value(t, i)
        v = v ")"
    }
    verb = chance(8) && !T[t, "versioned"] ? "REPLACE" : \
        chance(30) ? "INSERT IGNORE" : "INSERT"
    s = verb " INTO " T[t, "name"] " (" s ") VALUES " v
    if (verb == "INSERT" && chance(25))
        s = s " ON DUPLICATE KEY UPDATE n = n + 1"
    return s
}

function update(t,    i, s, n)
{
    s = "n = n + 1"
    for (n = rnd(4); n > 0 && T[t, "cols"] > 0; n--) {
        i = 1 + rnd(T[t, "cols"])
        if (!C[t, i, "gone"] && !C[t, i, "generated"])
            s = s ", `" C[t, i, "name"] "` = " value(t, i)
    }
    return "UPDATE " (chance(40) ? "IGNORE " : "") T[t, "name"] " SET " s find(t)
}

function rows(t,    r)
{
    r = rnd(100)
    if (r < 55 || T[t, "rows"] < 5)
        return insert(t)
    if (r < 80)
        return update(t)
    if (r < 93)
        return "DELETE FROM " T[t, "name"] find(t)
    if (r < 95)
        return "DELETE FROM " T[t, "name"] " ORDER BY n, k LIMIT 5"
    if (r < 97 && T[t, "key"] == "none")
        return "INSERT INTO " T[t, "name"] " SELECT * FROM " T[t, "name"] \
            " LIMIT 3"
    return "UPDATE " T[t, "name"] " SET n = FLOOR(RAND() * 100), n = n + 0" \
        find(t)
}

# --- definitions of its own tables ---

function ddl(t,    r, i, name, was)
{
    r = rnd(100)
    name = T[t, "name"]
    if (r < 18) {
        i = ++T[t, "cols"]
        return "ALTER TABLE " name " ADD COLUMN " column(t, i, "a" (++serial), 1) \
            (chance(30) ? " FIRST" : "") (chance(20) ? ", ALGORITHM=COPY" : "")
    }
    if (r < 28 && T[t, "cols"] > 1) {
        i = 1 + rnd(T[t, "cols"])
        if (!C[t, i, "gone"]) {
            C[t, i, "gone"] = 1
            return "ALTER TABLE " name " DROP COLUMN `" C[t, i, "name"] "`"
        }
    }
    if (r < 36 && T[t, "cols"] > 0) {
        i = 1 + rnd(T[t, "cols"])
        if (!C[t, i, "gone"] && !C[t, i, "generated"]) {
            was = "`" C[t, i, "name"] "`"
            return "ALTER TABLE " name (across ? \
                " DROP COLUMN " was ", ADD COLUMN " : \
                " CHANGE COLUMN " was " ") column(t, i, "m" (++serial), 1)
        }
    }
    if (r < 44 && T[t, "cols"] > 0) {
        i = 1 + rnd(T[t, "cols"])
        was = C[t, i, "gone"] ? "" : index_(t, i)
        if (was != "")
            return "ALTER TABLE " name " ADD " was
    }
    if (r < 48)
        return "TRUNCATE TABLE " name
    if (r < 54) {
        T[t, "name"] = "r" (++serial)
        return "RENAME TABLE " name " TO " T[t, "name"]
    }
    if (r < 58 && !T[t, "versioned"] && !T[t, "geo"]) {
        T[t, "engine"] = pick("InnoDB Aria MyISAM InnoDB")
        return "ALTER TABLE " name " ENGINE=" T[t, "engine"]
    }
    if (r < 62 && !T[t, "labels"])
        return "ALTER TABLE " name " CONVERT TO CHARACTER SET " \
            pick("utf8mb4 utf8 ucs2 utf16")
    if (r < 68 && T[t, "parted"]) {
        T[t, "parted"] = 0
        return "ALTER TABLE " name " REMOVE PARTITIONING"
    }
    if (r < 68 && !T[t, "geo"] && !T[t, "versioned"]) {
        T[t, "parted"] = 1
        return "ALTER TABLE " name partitions(t)
    }
    if (r < 71)
        return "ALTER TABLE " name " COMMENT='" words(3) "', FORCE"
    if (r < 74 && !no_blob && version >= 1011 && T[t, "engine"] == "InnoDB") {
        T[t, "versioned"] = !T[t, "versioned"]
        return "ALTER TABLE " name (T[t, "versioned"] ? " ADD" : " DROP") \
            " SYSTEM VERSIONING"
    }
    if (r < 78)
        return "CREATE OR REPLACE VIEW v" rnd(4) " AS SELECT k, n, '" words(2) \
            "' AS w FROM " name
    if (r < 81)
        return "CREATE TABLE s" (++serial) " (PRIMARY KEY (a)) AS SELECT seq" \
            " AS a, REPEAT('x', seq) AS b, RAND() AS c FROM seq_1_to_" 1 + rnd(30)
    if (r < 84)
        return "CREATE TABLE l" (++serial) " LIKE " name
    if (r < 87)
        return "CREATE OR REPLACE SEQUENCE q" rnd(3) " START WITH " rnd(50) \
            " INCREMENT BY " 1 + rnd(5) " CACHE " 1 + rnd(20) (chance(30) ? " CYCLE" : "")
    if (r < 90)
        return "CREATE OR REPLACE TRIGGER g" rnd(4) " BEFORE INSERT ON " name \
            " FOR EACH ROW SET NEW.n = NEW.n + " rnd(5)
    if (r < 93)
        return "CREATE TABLE f" (++serial) " (id INT AUTO_INCREMENT PRIMARY KEY," \
            " p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE " \
            pick("CASCADE RESTRICT") " ON UPDATE CASCADE)"
    if (r < 95)
        return "ALTER DATABASE w" client " CHARACTER SET " \
            pick("latin1 utf8mb4 ucs2")
    was = "DROP TABLE " name ";\n"
    return was create(t, "n" (++serial))
}

# --- what a client does ---

function mine()
{
    return 1 + rnd(tables)
}

function is_mine(t)
{
    return t > shared
}

function anybodys()
{
    return 1 + rnd(shared)
}

function any(    t)
{
    return chance(60) ? shared + mine() : anybodys()
}

function sometimes(    r, t)
{
    r = rnd(26)
    if (r == 0)
        return "SET time_zone = '" pick("+00:00 +05:30 -11:00 SYSTEM") "'"
    if (r == 1)
        return "SET sql_mode = '" pick("STRICT_ALL_TABLES NO_BACKSLASH_ESCAPES " \
            "ALLOW_INVALID_DATES NO_AUTO_VALUE_ON_ZERO " \
            "STRICT_TRANS_TABLES,NO_ZERO_DATE") (chance(40) ? "," : "") "'"
    if (r == 2)
        return "SET sql_mode = ''"
    if (r == 3)
        return "SET SESSION binlog_row_image = " pick("FULL MINIMAL " no_blob)
    if (r == 4)
        return across ? "DO 4" : "SET SESSION binlog_format = " pick("ROW MIXED")
    if (r == 5 && sets_clock)
        return "SET timestamp = " pick("DEFAULT DEFAULT 1635640200.123456 " \
            "1000000000")
    if (r == 6)
        return "SET timestamp = DEFAULT"
    if (r == 7)
        return "SET NAMES " pick("utf8mb4 latin1")
    if (r == 8)
        return "SET @u = '" words(3) "', @n = " rnd(99) ";\nUPDATE " \
            T[shared + 1, "name"] " SET n = @n WHERE n = @n + 1"
    if (r == 9)
        return "CREATE OR REPLACE TEMPORARY TABLE tmp AS SELECT seq FROM " \
            "seq_1_to_" rnd(20) ";\nINSERT INTO parent (id) SELECT seq + " \
            rnd(500) " FROM tmp ON DUPLICATE KEY UPDATE x = x + 1"
    if (r == 10)
        return "DROP TEMPORARY TABLE IF EXISTS tmp"
    if (r == 11)
        return "INSERT INTO parent (x) SELECT NEXTVAL(q0) FROM seq_1_to_" \
            1 + rnd(5)
    if (r == 12)
        return "DELETE FROM parent WHERE id < " rnd(60)
    if (r == 13)
        return "UPDATE parent SET id = id + 1000 WHERE id = " rnd(200)
    if (r == 14)
        return xa()
    if (r == 15)
        return "DO SLEEP(0.0" rnd(10) ")"
    if (r == 16 && client == 1)
        return "FLUSH BINARY LOGS"
    if (r == 17)
        return "SET insert_id = " 1000 + rnd(1000) ";\nINSERT INTO parent (x)" \
            " VALUES (1)"
    if (r == 18)
        return "SET foreign_key_checks = " rnd(2)
    if (r == 19)
        return "CREATE OR REPLACE PROCEDURE p(a INT) INSERT INTO parent (x)" \
            " VALUES (a), (a + " rnd(9) ")"
    if (r == 20)
        return "CALL p(" rnd(99) ")"
    if (r == 21 && client == 2)
        return "CREATE OR REPLACE USER 'u" rnd(5) "'@'" \
            pick("% localhost 10.0.0.1") "' IDENTIFIED BY '" words(2) "'"
    if (r == 22 && client == 2)
        return "GRANT " pick("SELECT INSERT ALL") " ON w2.* TO 'u" rnd(5) "'@'%'"
    if (r == 23)
        return "SELECT SETVAL(q0, " rnd(900) ")"
    t = any()
    return T[t, "versioned"] && is_mine(t) && !sets_clock ? "DELETE HISTORY FROM " T[t, "name"] : "DO 1"
}

# One in a client's life at a time, and never with tables without transactions.
function xa(    id, s, n)
{
    id = "'x" client "'"
    s = "XA START " id
    for (n = 1 + rnd(3); n > 0; n--)
        s = s ";\nUPDATE parent SET x = x + 1 WHERE id = " rnd(50) \
            ";\nINSERT INTO parent (x) VALUES (" rnd(99) ")"
    s = s ";\nXA END " id ";\nXA PREPARE " id
    if (chance(30))
        s = s ";\nDO SLEEP(0.05)"
    return s ";\nXA " pick("COMMIT ROLLBACK COMMIT") " " id
}

function transaction(    n, t, s)
{
    s = "BEGIN"
    for (n = 1 + rnd(8); n > 0; n--) {
        t = any()
        if (T[t, "engine"] == "InnoDB")
            s = s ";\n" rows(t)
        if (chance(10))
            s = s ";\nSAVEPOINT s" rnd(2)
        if (chance(8))
            s = s ";\nROLLBACK TO s" rnd(2)
        if (chance(4))
            s = s ";\nDO SLEEP(0.02)"
    }
    return s ";\n" (chance(85) ? "COMMIT" : "ROLLBACK")
}

function say(sql)
{
    # Or what there is already would keep most of them from being done.  The
    # log has the mode that is set, and the server read the text in the one
    # before: a backslash may be another thing to who replays it.
    if (sql ~ /^ALTER TABLE/ && sql !~ /\\/)
        sql = "SET STATEMENT sql_mode = '' FOR " sql
    print sql ";"
}

function work(    r, t)
{
    r = rnd(100)
    if (r < 45)
        say(rows(any()))
    else if (r < 75)
        say(transaction())
    else if (r < 75 + ddl_percent)
        say(ddl(shared + mine()))
    else
        say(sometimes())
}

function initial()
{
    say("SET sql_mode = '', system_versioning_alter_history = KEEP, " \
        "lock_wait_timeout = 3")
    if (domains)
        say("SET gtid_domain_id = " client)
    say("CREATE DATABASE w" client " CHARACTER SET " \
        pick("latin1 utf8mb4 utf8mb4 ucs2"))
    say("USE w" client)
    say("CREATE TABLE parent (id INT AUTO_INCREMENT PRIMARY KEY, x BIGINT)")
    say("CREATE SEQUENCE q0 CACHE 5")
}

BEGIN {
    words_n = split("a|b c|ä|ß|Ж|日本|😀|é|%|_|0|xyz|\\\\n|''|é", W, "|")
    split("TINYINT 127 SMALLINT 32767 MEDIUMINT 8388607 INT 2147483647 " \
        "BIGINT 9223372036854775807", x, " ")
    for (i = 1; i < 11; i += 2)
        SMAX[x[i]] = x[i + 1]
    split("TINYINT 255 SMALLINT 65535 MEDIUMINT 16777215 INT 4294967295 " \
        "BIGINT 18446744073709551615", x, " ")
    for (i = 1; i < 11; i += 2)
        UMAX[x[i]] = x[i + 1]

    # The same for every client.
    state = (seed * 7919 + 12345) % 2147483646 + 1
    for (i = 0; i < 20; i++)
        rnd(2)
    domains = chance(40)
    no_blob = chance(30) ? "NOBLOB" : ""
    ddl_percent = 3 + rnd(15)
    shared = 3
    if (client == 0)
        print "SET sql_mode = '';\nCREATE DATABASE shared;"
    for (t = 1; t <= shared; t++) {
        s = create(t, "shared.s" t)
        if (client == 0)
            say(s)
    }
    if (client == 0)
        exit

    state = (seed * 104729 + client * 7907) % 2147483646 + 1
    for (i = 0; i < 20; i++)
        rnd(2)
    # Who sets the clock makes rows of history that end when they begin, which a
    # backup leaves out; then a DELETE HISTORY in the log does not find them.
    sets_clock = chance(50)
    initial()
    tables = 3 + rnd(4)
    for (t = shared + 1; t <= shared + tables; t++)
        say(create(t, "t" t))
    for (i = 0; i < 20; i++)
        say(rows(any()))
    for (n = 0; !limit || n < limit; n++)
        work()
}
