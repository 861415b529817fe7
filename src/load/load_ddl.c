/*
 * load_ddl.c -- statements as the server prints them, taken apart by their
 * quotes and parentheses; nothing else about them is assumed.
 *
 * Strings are '...' with back-slash escapes and doubled quotes, names are
 * `...` with doubled back-ticks (sql/sql_show.cc, append_unescaped()).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/mem.h"

/* Past the quoted thing that starts at p; its end where it is not closed. */
static const char *
skip_quoted(const char *p)
{
    char q = *p++;

    for (; *p != '\0'; p++) {
        if ((*p == '\\' && q != '`' && p[1] != '\0') || (*p == q && p[1] == q))
            p++;
        else if (*p == q)
            return p + 1;
    }
    return p;
}

const char *
ddl_step(const char *p)
{
    if (*p == '\'' || *p == '`' || *p == '"')
        return skip_quoted(p);
    return p + 1;
}

/* Is the word w here, as a whole word, whatever its case? */
static bool
word_at(const char *p, const char *w)
{
    size_t n = strlen(w);

    return strncasecmp(p, w, n) == 0 && !isalnum((unsigned char)p[n]) &&
        p[n] != '_';
}

/* The first place outside of quotes and parentheses, from p to end, where a
 * word w starts; NULL if none. */
static const char *
find_word(const char *p, const char *end, const char *w)
{
    bool start = true;
    int depth = 0;

    while (p < end && *p != '\0') {
        if (start && depth == 0 && word_at(p, w))
            return p;
        start = !isalnum((unsigned char)*p) && *p != '_';
        if (*p == '(')
            depth++;
        if (*p == ')' && depth > 0)
            depth--;
        p = ddl_step(p);
    }
    return NULL;
}

/* The parenthesis that closes the one at p; NULL if none does. */
static const char *
closing(const char *p)
{
    int depth = 0;

    while (*p != '\0') {
        if (*p == '(')
            depth++;
        if (*p == ')' && --depth == 0)
            return p;
        p = ddl_step(p);
    }
    return NULL;
}

enum def_kind {
    DEF_COLUMN,
    DEF_PRIMARY,
    DEF_UNIQUE,
    DEF_KEY,
    DEF_FULLTEXT,
    DEF_SPATIAL,
    DEF_FOREIGN,
    DEF_OTHER
};

/* One of the definitions between the outer parentheses. */
struct def {
    enum def_kind kind;
    const char *p;
    size_t n;
    bool defer;
};

struct defs {
    struct def *v;
    size_t n, cap;
};

static enum def_kind
kind_of(const char *p, const char *end)
{
    if (*p == '`')
        return DEF_COLUMN;
    if (word_at(p, "PRIMARY"))
        return DEF_PRIMARY;
    if (word_at(p, "UNIQUE"))
        return DEF_UNIQUE;
    if (word_at(p, "KEY"))
        return DEF_KEY;
    if (word_at(p, "FULLTEXT"))
        return DEF_FULLTEXT;
    if (word_at(p, "SPATIAL"))
        return DEF_SPATIAL;
    if (word_at(p, "CONSTRAINT") && find_word(p, end, "FOREIGN") != NULL &&
        find_word(p, end, "CHECK") == NULL)
        return DEF_FOREIGN;
    return DEF_OTHER;
}

static void
add_def(struct defs *d, const char *p, const char *end)
{
    struct def *x;

    while (p < end && isspace((unsigned char)*p))
        p++;
    while (end > p && isspace((unsigned char)end[-1]))
        end--;
    d->v = xgrow(d->v, d->n, &d->cap, sizeof *d->v);
    x = &d->v[d->n++];
    *x = (struct def){.kind = kind_of(p, end), .p = p, .n = (size_t)(end - p)};
}

/* Split what is between open and close at the commas of the first depth. */
static void
split_defs(const char *open, const char *close, struct defs *d)
{
    const char *p = open + 1, *from = p;
    int depth = 0;

    while (p < close) {
        if (*p == '(')
            depth++;
        if (*p == ')')
            depth--;
        if (*p == ',' && depth == 0) {
            add_def(d, from, p);
            from = p + 1;
        }
        p = ddl_step(p);
    }
    add_def(d, from, close);
}

/* The value of an option like ENGINE=InnoDB after the definitions. */
static char *
option(const char *tail, const char *name)
{
    const char *p = find_word(tail, tail + strlen(tail), name);
    size_t n = 0;

    if (p == NULL)
        return xstrdup("");
    p += strlen(name);
    while (*p == ' ' || *p == '=')
        p++;
    while (isalnum((unsigned char)p[n]) || p[n] == '_' || p[n] == '-')
        n++;
    return xstrndup(p, n);
}

/* Does the index's first part name the column that the definition col is? */
static bool
starts_with_column(const struct def *index, const struct def *col)
{
    const char *end = index->p + index->n, *p = index->p;
    const char *name_end = ddl_step(col->p);
    size_t n = (size_t)(name_end - col->p);

    while (p < end && *p != '(')
        p = ddl_step(p);
    return p + 1 + n <= end && memcmp(p + 1, col->p, n) == 0;
}

static const struct def *
find_def(const struct defs *d, enum def_kind kind)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->v[i].kind == kind)
            return &d->v[i];
    }
    return NULL;
}

static const struct def *
auto_increment(const struct defs *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct def *x = &d->v[i];
        if (x->kind == DEF_COLUMN &&
            find_word(x->p, x->p + x->n, "AUTO_INCREMENT") != NULL)
            return x;
    }
    return NULL;
}

static bool
has_word(const struct def *x, const char *w)
{
    return find_word(x->p, x->p + x->n, w) != NULL;
}

/* WITHOUT OVERLAPS stands inside the parentheses of the key. */
static bool
is_period_key(const struct def *x)
{
    const char *end = x->p + x->n;
    const char *p = x->p;

    while (p < end) {
        if (word_at(p, "WITHOUT"))
            return true;
        p = ddl_step(p);
    }
    return false;
}

/* CREATE TABLE allows a foreign key on a column that a stored one is made of,
 * ALTER TABLE does not (innobase/handler/handler0alter.cc); and a foreign key
 * without its index gets one that nobody asked for. */
static bool
has_stored(const struct defs *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct def *x = &d->v[i];
        if (x->kind == DEF_COLUMN &&
            (has_word(x, "STORED") || has_word(x, "PERSISTENT")))
            return true;
    }
    return false;
}

/*
 * Which definitions can be added when the rows are in, so that the table is
 * the same afterwards?  Indexes are listed by class (primary, unique, other)
 * and within one by age; so an index that has to stay keeps all others of its
 * class, and the rule is simple: all or none.
 *
 * With few rows an ALTER TABLE costs more than keeping the indexes up to date.
 */
static void
choose(struct defs *d, enum ddl_indexes how)
{
    const struct def *primary = find_def(d, DEF_PRIMARY);
    const struct def *counter = auto_increment(d);
    bool keys = true, unique = primary != NULL, foreign = true;

    if (find_def(d, DEF_FOREIGN) != NULL && has_stored(d))
        keys = unique = foreign = false;
    if (counter != NULL &&
        (primary == NULL || !starts_with_column(primary, counter)))
        keys = unique = false;
    if (how == DDL_INDEXES_STAY ||
        (how == DDL_INDEXES_FEW_ROWS && find_def(d, DEF_FULLTEXT) == NULL &&
            find_def(d, DEF_SPATIAL) == NULL))
        keys = unique = false;
    for (size_t i = 0; i < d->n; i++) {
        const struct def *x = &d->v[i];
        if (x->kind == DEF_UNIQUE && (has_word(x, "HASH") || is_period_key(x)))
            unique = false;
    }
    for (size_t i = 0; i < d->n; i++) {
        struct def *x = &d->v[i];
        if (x->kind == DEF_FOREIGN)
            x->defer = foreign;
        else if (x->kind == DEF_UNIQUE)
            x->defer = unique;
        else if (x->kind == DEF_KEY || x->kind == DEF_FULLTEXT ||
            x->kind == DEF_SPATIAL)
            x->defer = keys;
    }
}

static void
add_deferred(const struct def *x, struct ddl_table *out)
{
    char *text = xasprintf("ADD %.*s", (int)x->n, x->p);

    if (x->kind == DEF_FOREIGN) {
        out->add_foreign[out->foreigns++] = text;
        return;
    }
    /* InnoDB builds one FULLTEXT index at a time in place. */
    out->alone[out->indexes] = x->kind == DEF_FULLTEXT;
    out->add_index[out->indexes++] = text;
}

static void
put_together(const char *sql, const char *open, const char *close,
    const struct defs *d, struct ddl_table *out)
{
    struct buf b = {0};
    bool first = true;

    out->add_index = xcalloc(d->n, sizeof *out->add_index);
    out->alone = xcalloc(d->n, sizeof *out->alone);
    out->add_foreign = xcalloc(d->n, sizeof *out->add_foreign);
    buf_add(&b, sql, (size_t)(open - sql) + 1);
    for (size_t i = 0; i < d->n; i++) {
        const struct def *x = &d->v[i];
        if (x->defer) {
            add_deferred(x, out);
            continue;
        }
        buf_str(&b, first ? "\n  " : ",\n  ");
        buf_add(&b, x->p, x->n);
        first = false;
    }
    buf_str(&b, "\n");
    buf_str(&b, close);
    out->create = buf_take(&b);
}

/* The parenthesis before the first definition: what stands before it can only
 * be CREATE TABLE and names. */
static const char *
opening(const char *sql)
{
    const char *p = sql;

    while (*p != '\0' && *p != '(')
        p = ddl_step(p);
    return *p == '(' ? p : NULL;
}

void
ddl_table_split(const char *sql, enum ddl_indexes how, struct ddl_table *out)
{
    const char *open = opening(sql);
    const char *close = open == NULL ? NULL : closing(open);
    const char *tail = close == NULL ? "" : close + 1;
    struct defs d = {0};

    *out = (struct ddl_table){.engine = option(tail, "ENGINE")};
    out->directory = ddl_has_directory(tail);
    if (close != NULL)
        split_defs(open, close, &d);
    if (strcasecmp(out->engine, "InnoDB") == 0 && d.n > 0) {
        choose(&d, how);
        put_together(sql, open, close, &d, out);
        out->refers = find_def(&d, DEF_FOREIGN) != NULL && out->foreigns == 0;
    } else {
        /* ARCHIVE takes no row below its AUTO_INCREMENT. */
        out->create = strcasecmp(out->engine, "ARCHIVE") == 0
            ? ddl_table_comparable(sql)
            : xstrdup(sql);
        out->disable_keys = how == DDL_INDEXES_LATER &&
            (strcasecmp(out->engine, "MyISAM") == 0 ||
                strcasecmp(out->engine, "Aria") == 0) &&
            (find_def(&d, DEF_KEY) != NULL ||
                find_def(&d, DEF_FULLTEXT) != NULL);
    }
    free(d.v);
}

void
ddl_table_free(struct ddl_table *t)
{
    for (size_t i = 0; i < t->indexes; i++)
        free(t->add_index[i]);
    for (size_t i = 0; i < t->foreigns; i++)
        free(t->add_foreign[i]);
    free(t->add_index);
    free(t->alone);
    free(t->add_foreign);
    free(t->create);
    free(t->engine);
    *t = (struct ddl_table){0};
}

bool
ddl_table_is_merge(const char *sql)
{
    const char *open = opening(sql);
    const char *close = open == NULL ? NULL : closing(open);
    char *engine = close == NULL ? xstrdup("") : option(close + 1, "ENGINE");
    bool yes = strcasecmp(engine, "MRG_MyISAM") == 0 ||
        strcasecmp(engine, "MERGE") == 0;

    free(engine);
    return yes;
}

bool
ddl_table_refers(
    const char *sql, const char *own, const char *schema, const char *name)
{
    struct buf b = {0};
    bool yes;

    buf_str(&b, "REFERENCES ");
    if (strcmp(own, schema) != 0) {
        db_ident(&b, schema);
        buf_str(&b, ".");
    }
    db_ident(&b, name);
    buf_str(&b, " (");
    yes = strstr(sql, buf_cstr(&b)) != NULL;
    buf_free(&b);
    return yes;
}
