/*
 * scope_text.c -- is what a statement touches wanted?  By its first words, the
 * names of what it defines, and the schemas that it names.
 *
 * Not a parser of SQL.  Where it cannot be told for sure, the answer is
 * "mixed", and the restore is refused before it begins.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "feed.h"
#include "pitr/mem.h"
#include "pitr/sql_read.h"
#include "pitr/utf8.h"

struct word {
    char *text;
    bool quoted; /* a name in quotes: no keyword */
    char after;  /* what follows, where it is no word: '.', ',' ... */
};

struct words {
    struct word *v;
    size_t n, cap;
};

static void
words_of(const char *sql, size_t n, uint64_t mode, struct words *out)
{
    struct sql_read r;
    bool before = false; /* the token before is the last of out */

    sql_read_begin(&r, sql, n, mode);
    for (sql_read_past_set(&r); r.kind != SQL_END; sql_read_next(&r)) {
        if (before && r.kind == SQL_OTHER)
            out->v[out->n - 1].after = r.other;
        before = r.kind == SQL_WORD || r.kind == SQL_NAME;
        if (!before)
            continue;
        out->v = xgrow(out->v, out->n, &out->cap, sizeof *out->v);
        out->v[out->n++] =
            (struct word){.text = sql_text(&r), .quoted = r.kind == SQL_NAME};
    }
    sql_read_free(&r);
}

static void
words_free(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i].text);
    free(w->v);
}

/* A name in the character set of a client that does not speak UTF-8 cannot be
 * compared. */
static bool
has_foreign(const struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!utf8_valid(w->v[i].text))
            return true;
    return false;
}

static bool
is(const struct words *w, size_t i, const char *text)
{
    return i < w->n && !w->v[i].quoted && strcasecmp(w->v[i].text, text) == 0;
}

static bool
is_any(const struct words *w, size_t i, const char *const *list, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (is(w, i, list[k]))
            return true;
    return false;
}

/* --- what is touched --- */

struct verdict {
    const struct scope *scope;
    bool wanted, unwanted, unclear;
};

static void
add(struct verdict *v, bool wanted)
{
    v->wanted |= wanted;
    v->unwanted |= !wanted;
}

static enum scope_text
result(const struct verdict *v)
{
    if (v->unclear || (v->wanted && v->unwanted))
        return SCOPE_TEXT_MIXED;
    return v->wanted ? SCOPE_TEXT_WANTED : SCOPE_TEXT_UNWANTED;
}

/* All of a schema, for statements of which the tables are not known. */
static void
add_schema(struct verdict *v, const char *schema)
{
    enum scope_part part = scope_schema(v->scope, schema);

    for (size_t i = 0; i < v->scope->excludes; i++)
        if (part == SCOPE_WHOLE &&
            scope_same(v->scope, v->scope->exclude[i].schema, schema))
            part = SCOPE_SOME; /* but for some tables */
    v->unclear |= part == SCOPE_SOME;
    add(v, part == SCOPE_WHOLE);
}

/* Can another name for the schema be written into the text?  See
 * scope_rename.c. */
static bool
may_rename(const struct verdict *v, const char *name, bool of_tables)
{
    const char *to = scope_to(v->scope, name);

    if (to == name)
        return true;
    for (const char *p = to; *p != '\0'; p++)
        of_tables &= (unsigned char)*p < 0x80;
    return of_tables && strpbrk(name, "`\"") == NULL;
}

/* Schemas that are named: those that are known to be some, and of what is
 * wanted none that will have another name, but in definitions of tables. */
static void
add_mentions(struct verdict *v, const struct words *w, bool unwanted_only,
    bool of_tables)
{
    for (size_t i = 0; i < w->n; i++) {
        const char *name = w->v[i].text;

        if (w->v[i].after != '.' || !scope_knows(v->scope, name))
            continue;
        if (!unwanted_only)
            add_schema(v, name);
        else if (scope_schema(v->scope, name) == SCOPE_NONE)
            v->unwanted = true;
        v->unclear |= !may_rename(v, name, of_tables);
    }
}

/* [schema.]name at i; returns the next word's index. */
static size_t
take_target(struct verdict *v, const struct words *w, size_t i,
    const char *session, bool table)
{
    const char *schema = session, *name;

    if (i >= w->n)
        return i;
    name = w->v[i].text;
    if (w->v[i].after == '.' && i + 1 < w->n) {
        schema = name;
        name = w->v[++i].text;
    }
    add(v,
        table ? scope_table(v->scope, schema, name)
              : scope_schema(v->scope, schema) == SCOPE_WHOLE);
    return i + 1;
}

static size_t
skip_if_exists(const struct words *w, size_t i)
{
    if (!is(w, i, "IF"))
        return i;
    return i + (is(w, i + 1, "NOT") ? 3 : 2);
}

static const char *const objects[] = {"TABLE", "TABLES", "VIEW", "SEQUENCE",
    "PROCEDURE", "FUNCTION", "PACKAGE", "EVENT", "TRIGGER", "INDEX", "DATABASE",
    "SCHEMA", "USER", "ROLE", "SERVER"};

/* The word that says what a CREATE, ALTER or DROP is about. */
static size_t
find_object(const struct words *w)
{
    for (size_t i = 1; i < w->n && i < 24; i++)
        if (is_any(w, i, objects, NELEM(objects)) && w->v[i].after != '=')
            return i;
    return w->n;
}

/* ALTER DATABASE may go without a name: the session's. */
static enum scope_text
of_database(
    struct verdict *v, const struct words *w, size_t i, const char *session)
{
    static const char *const options[] = {
        "DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "COMMENT"};
    const char *name;
    enum scope_part part;

    i = skip_if_exists(w, i);
    if (i >= w->n)
        return SCOPE_TEXT_MIXED;
    name = w->v[i].text;
    if (is(w, 0, "ALTER") && is_any(w, i, options, NELEM(options)) &&
        (is(w, i, "DEFAULT") || !is_any(w, i + 1, options, NELEM(options))))
        name = session;
    part = scope_schema(v->scope, name);
    if (part == SCOPE_NONE)
        return SCOPE_TEXT_UNWANTED;
    return part == SCOPE_SOME || scope_to(v->scope, name) != name
        ? SCOPE_TEXT_MIXED
        : SCOPE_TEXT_WANTED;
}

/* a WAIT 5 TO b, a NOWAIT TO b */
static size_t
skip_wait(const struct words *w, size_t i)
{
    if (w->v[i - 1].after == ',')
        return i;
    return is(w, i, "NOWAIT") ? i + 1 : is(w, i, "WAIT") ? i + 2 : i;
}

/* The name at i; of several, those after commas and after TO, too. */
static void
add_targets(struct verdict *v, const struct words *w, size_t i,
    const char *session, bool several)
{
    while (i < w->n) {
        i = take_target(v, w, i, session, true);
        i = skip_wait(w, i);
        if (!several || (w->v[i - 1].after != ',' && !is(w, i, "TO")))
            return;
        i += is(w, i, "TO");
    }
}

/*
 * Other tables that an ALTER TABLE changes, behind its own name: a new name,
 * one that changes places with a partition, becomes one, or is made of one.
 */
static void
add_altered(
    struct verdict *v, const struct words *w, size_t i, const char *session)
{
    for (; i + 1 < w->n; i++) {
        if (is(w, i, "TABLE"))
            take_target(v, w, i + 1, session, true);
        else if (is(w, i, "RENAME") && w->v[i].after != '(' &&
            !is(w, i + 1, "COLUMN") && !is(w, i + 1, "INDEX") &&
            !is(w, i + 1, "KEY"))
            take_target(v, w,
                i + 1 + (is(w, i + 1, "TO") || is(w, i + 1, "AS")), session,
                true);
    }
}

/* Other tables that one that is wanted cannot be made without: at the target
 * they are not there. */
static void
add_needed(
    struct verdict *v, const struct words *w, size_t i, const char *session)
{
    if (is(w, 0, "CREATE") && i > 0 && is(w, i, "LIKE"))
        take_target(v, w, i + 1, session, true);
    for (; i + 1 < w->n; i++)
        if (is(w, i, "REFERENCES"))
            take_target(v, w, i + 1, session, true);
}

/* The word behind [schema.]name at i. */
static size_t
behind_name(const struct words *w, size_t i)
{
    return i + (i < w->n && w->v[i].after == '.' ? 2 : 1);
}

static void
of_table(
    struct verdict *v, const struct words *w, size_t i, const char *session)
{
    size_t behind = behind_name(w, i);

    add_targets(v, w, i, session, is(w, 0, "DROP") || is(w, 0, "RENAME"));
    if (is(w, 0, "ALTER"))
        add_altered(v, w, behind, session);
    if (v->wanted)
        add_needed(v, w, behind, session);
}

/* ALTER EVENT may take it elsewhere. */
static void
of_event(
    struct verdict *v, const struct words *w, size_t i, const char *session)
{
    take_target(v, w, i, session, false);
    for (; is(w, 0, "ALTER") && i + 2 < w->n && !is(w, i, "DO"); i++)
        if (is(w, i, "RENAME") && is(w, i + 1, "TO"))
            take_target(v, w, i + 2, session, false);
}

/* Names of tables before a dot are schemas there: unless there is a SELECT. */
static bool
defines_tables(const struct words *w, size_t at)
{
    static const char *const kinds[] = {
        "TABLE", "TABLES", "SEQUENCE", "INDEX", "TRUNCATE"};

    if (!is_any(w, at, kinds, NELEM(kinds)) &&
        !(is(w, 0, "DROP") && is(w, at, "VIEW")))
        return false;
    for (size_t i = at; i < w->n; i++)
        if (is(w, i, "SELECT"))
            return false;
    return true;
}

static enum scope_text
of_definition(struct verdict *v, const struct words *w, const char *session)
{
    /* Of TRUNCATE the word TABLE may be missing, and others be the name. */
    size_t at = is(w, 0, "TRUNCATE") ? is(w, 1, "TABLE") : find_object(w);
    size_t i = at + 1;
    bool table = is(w, at, "TABLE") || is(w, at, "TABLES") ||
        is(w, at, "VIEW") || is(w, at, "SEQUENCE") || is(w, at, "TRUNCATE");

    if (at >= w->n)
        return SCOPE_TEXT_MIXED;
    if (is(w, at, "USER") || is(w, at, "ROLE") || is(w, at, "SERVER"))
        return SCOPE_TEXT_UNWANTED;
    if (is(w, at, "DATABASE") || is(w, at, "SCHEMA"))
        return of_database(v, w, i, session);
    i += is(w, at, "PACKAGE") && is(w, i, "BODY");
    i = skip_if_exists(w, i);
    if (is(w, at, "TRIGGER") && is(w, 0, "DROP")) {
        /* Its table is not named: not where only some tables are wanted. */
        size_t end = take_target(v, w, i, session, false);
        const char *schema = end == i + 2 ? w->v[i].text : session;
        v->unclear = scope_schema(v->scope, schema) == SCOPE_SOME;
    } else if (is(w, at, "TRIGGER") || is(w, at, "INDEX")) {
        while (i < w->n && !is(w, i, "ON"))
            i++;
        take_target(v, w, i + 1, session, true);
    } else if (table) {
        of_table(v, w, i, session);
    } else if (is(w, at, "EVENT")) {
        of_event(v, w, i, session);
    } else {
        take_target(v, w, i, session, false);
    }
    if (v->wanted)
        add_mentions(v, w, true, defines_tables(w, at));
    return result(v);
}

/* ANALYZE UPDATE ... does what it analyzes. */
static bool
analyzes_rows(const struct words *w)
{
    static const char *const of_table[] = {
        "TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"};

    return is(w, 0, "ANALYZE") && !is_any(w, 1, of_table, NELEM(of_table));
}

enum scope_text
scope_text(const struct scope *s, const char *session, const char *sql,
    size_t n, uint64_t sql_mode)
{
    static const char *const part_of_any[] = {
        "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "XA", "RELEASE", "START"};
    static const char *const leave_out[] = {"GRANT", "REVOKE", "SET", "FLUSH",
        "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "INSTALL", "UNINSTALL"};
    static const char *const defining[] = {
        "CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE"};
    struct verdict v = {.scope = s};
    struct words w = {0};
    enum scope_text what;

    words_of(sql, n, sql_mode, &w);
    if (has_foreign(&w)) {
        what = SCOPE_TEXT_MIXED;
    } else if (is_any(&w, 0, part_of_any, NELEM(part_of_any))) {
        what = SCOPE_TEXT_WANTED;
    } else if (w.n == 0 ||
        (is_any(&w, 0, leave_out, NELEM(leave_out)) && !analyzes_rows(&w))) {
        what = SCOPE_TEXT_UNWANTED;
    } else if (is_any(&w, 0, defining, NELEM(defining))) {
        what = of_definition(&v, &w, session);
    } else {
        if (session[0] != '\0')
            add_schema(&v, session);
        add_mentions(&v, &w, false, false);
        what = result(&v);
        if (what == SCOPE_TEXT_UNWANTED)
            what = SCOPE_TEXT_ROWS;
    }
    words_free(&w);
    return what;
}
