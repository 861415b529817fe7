/*
 * load_ddl_text.c -- small changes to statements as the server prints them:
 * what to leave out before comparing, CREATE OR REPLACE, grants without
 * passwords, names in a view.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load_priv.h"
#include "pitr/mem.h"

/* The end of `NAME[ ]=[ ]VALUE` where it starts at p (a space before it);
 * NULL where it does not. */
static const char *
option_end(const char *p, const char *name)
{
    size_t n = strlen(name);

    if (strncmp(p, name, n) != 0)
        return NULL;
    p += n;
    while (*p == ' ')
        p++;
    if (*p++ != '=')
        return NULL;
    while (*p == ' ')
        p++;
    if (*p == '\'')
        return ddl_step(p);
    while (isdigit((unsigned char)*p))
        p++;
    return p;
}

bool
ddl_has_directory(const char *sql)
{
    for (const char *p = sql; *p != '\0'; p = ddl_step(p)) {
        if (option_end(p, " DATA DIRECTORY") != NULL ||
            option_end(p, " INDEX DIRECTORY") != NULL)
            return true;
    }
    return false;
}

char *
ddl_table_comparable(const char *sql)
{
    static const char *const options[] = {
        " AUTO_INCREMENT", " DATA DIRECTORY", " INDEX DIRECTORY"};
    static const char old_format[] = " /* mariadb-5.3 */"; /* of a time */
    struct buf b = {0};
    const char *p = sql;

    while (*p != '\0') {
        const char *next = NULL;
        if (strncmp(p, old_format, strlen(old_format)) == 0)
            next = p + strlen(old_format);
        for (size_t i = 0; i < NELEM(options) && next == NULL; i++)
            next = option_end(p, options[i]);
        if (next == NULL) {
            next = ddl_step(p);
            buf_add(&b, p, (size_t)(next - p));
        }
        p = next;
    }
    return buf_take(&b);
}

char *
ddl_or_replace(const char *sql)
{
    if (strncasecmp(sql, "CREATE USER ", 12) == 0 ||
        strncasecmp(sql, "CREATE ROLE ", 12) == 0)
        return xasprintf("CREATE OR REPLACE %s", sql + 7);
    return xstrdup(sql);
}

/* From p to the first of these words that stands outside of quotes; to the end
 * where none does. */
static const char *
until_word(const char *p, const char *const *words)
{
    for (; *p != '\0'; p = ddl_step(p)) {
        for (size_t i = 0; words[i] != NULL; i++) {
            if (strncmp(p, words[i], strlen(words[i])) == 0)
                return p;
        }
    }
    return p;
}

char *
ddl_grant_strip(const char *sql, bool plain)
{
    static const char *const identified[] = {" IDENTIFIED ", NULL};
    static const char *const after[] = {" REQUIRE ", " WITH ", NULL};
    static const char *const limits[] = {
        " IDENTIFIED ", " REQUIRE ", " WITH ", NULL};
    static const char *const grant[] = {" GRANT OPTION", NULL};
    static const char *const admin[] = {" ADMIN OPTION", NULL};
    const char *from, *rest;

    if (!plain) {
        from = until_word(sql, identified);
        rest = *from == '\0' ? from : until_word(from + 1, after);
        return xasprintf("%.*s%s", (int)(from - sql), sql, rest);
    }
    from = until_word(sql, limits);
    rest = "";
    if (*until_word(from, grant) != '\0')
        rest = " WITH GRANT OPTION";
    else if (*until_word(from, admin) != '\0')
        rest = " WITH ADMIN OPTION";
    return xasprintf("%.*s%s", (int)(from - sql), sql, rest);
}

static void
add_name(struct ddl_names *out, const char *p, const char *end)
{
    struct buf b = {0};
    char *name;

    for (; p < end; p++) {
        buf_u8(&b, (uint8_t)*p);
        if (*p == '`')
            p++;
    }
    name = buf_take(&b);
    for (size_t i = 0; i < out->n; i++) {
        if (strcasecmp(out->v[i], name) == 0) {
            free(name);
            return;
        }
    }
    out->v = xgrow(out->v, out->n, &out->cap, sizeof *out->v);
    out->v[out->n++] = name;
}

void
ddl_names(const char *sql, struct ddl_names *out)
{
    const char *p = sql;

    *out = (struct ddl_names){0};
    while (*p != '\0') {
        const char *next = ddl_step(p);
        if (*p == '`' && next - p >= 2)
            add_name(out, p + 1, next - 1);
        p = next;
    }
}

void
ddl_names_free(struct ddl_names *n)
{
    for (size_t i = 0; i < n->n; i++)
        free(n->v[i]);
    free(n->v);
    *n = (struct ddl_names){0};
}

char *
ddl_view_replace(const char *sql, bool ours)
{
    static const char definer[] = " DEFINER=";
    static const char *const words[] = {definer, " VIEW ", NULL};
    const char *from, *rest;

    if (strncmp(sql, "CREATE ", 7) != 0)
        return xstrdup(sql);
    from = until_word(sql, words);
    if (!ours || strncmp(from, definer, strlen(definer)) != 0)
        return xasprintf("CREATE OR REPLACE %s", sql + 7);
    rest = ddl_step(from + strlen(definer));
    if (*rest == '@')
        rest = ddl_step(rest + 1);
    return xasprintf("CREATE OR REPLACE %.*s%sCURRENT_USER%s",
        (int)(from - sql) - 7, sql + 7, definer, rest);
}

/* Names with dots between them, from the back-tick at p on; its end. */
static const char *
dotted(const char *p, struct ddl_names *out)
{
    struct buf one = {0};
    const char *end;

    *out = (struct ddl_names){0};
    for (;;) {
        end = ddl_step(p);
        buf_reset(&one);
        buf_add(&one, p, (size_t)(end - p));
        /* One at a time: a name may come twice. */
        if (end - p >= 2) {
            struct ddl_names name;

            ddl_names(buf_cstr(&one), &name);
            out->v = xgrow(out->v, out->n, &out->cap, sizeof *out->v);
            out->v[out->n++] = xstrdup(name.n > 0 ? name.v[0] : "");
            ddl_names_free(&name);
        }
        if (end[0] != '.' || end[1] != '`')
            break;
        p = end + 1;
    }
    buf_free(&one);
    return end;
}

/* Tables stand behind "from" and "join", perhaps with parentheses between. */
static bool
behind_from(const char *sql, const char *p)
{
    while (p > sql && (p[-1] == ' ' || p[-1] == '('))
        p--;
    return p - sql > 4 &&
        (strncmp(p - 4, "from", 4) == 0 || strncmp(p - 4, "join", 4) == 0);
}

bool
ddl_view_table(const char *sql, const char *alias, char **schema, char **name)
{
    const char *p = sql;
    bool found = false;

    while (*p != '\0' && !found) {
        struct ddl_names at, as = {0};
        bool table;

        if (*p != '`') {
            p = ddl_step(p);
            continue;
        }
        table = behind_from(sql, p);
        p = dotted(p, &at);
        if (p[0] == ' ' && p[1] == '`')
            dotted(p + 1, &as);
        found = table && at.n == 2 &&
            strcmp(as.n > 0 ? as.v[0] : at.v[1], alias) == 0;
        if (found) {
            *schema = xstrdup(at.v[0]);
            *name = xstrdup(at.v[1]);
        }
        ddl_names_free(&at);
        ddl_names_free(&as);
    }
    return found;
}

/* A function of the view's own schema goes without one. */
bool
ddl_view_calls(
    const char *sql, const char *schema, const char *name, size_t *arguments)
{
    const char *p = sql;

    while (*p != '\0') {
        struct ddl_names at;
        bool found;
        int depth = 1;

        if (*p != '`') {
            p = ddl_step(p);
            continue;
        }
        p = dotted(p, &at);
        found = *p == '(' && at.n <= 2 &&
            (at.n == 1 || strcasecmp(at.v[0], schema) == 0) &&
            strcasecmp(at.v[at.n - 1], name) == 0;
        ddl_names_free(&at);
        if (!found)
            continue;
        *arguments = p[1] != ')';
        for (p++; *p != '\0' && depth > 0; p = ddl_step(p)) {
            if (*p == '(')
                depth++;
            else if (*p == ')')
                depth--;
            else if (*p == ',' && depth == 1)
                ++*arguments;
        }
        return true;
    }
    return false;
}

bool
ddl_grant_on(const char *sql, struct ddl_grant *out)
{
    static const char *const on[] = {" ON ", NULL};
    struct ddl_names at;
    const char *p;
    bool yes;

    *out = (struct ddl_grant){.on = until_word(sql, on)};
    for (p = out->on; *p != '\0' && *p != '`'; p++)
        if (*p == '*')
            return false;
    if (*p == '\0')
        return false;
    p = dotted(p, &at);
    yes = at.n == 2 && strncmp(p, " TO ", 4) == 0;
    if (yes) {
        out->schema = xstrdup(at.v[0]);
        out->name = xstrdup(at.v[1]);
    }
    ddl_names_free(&at);
    return yes;
}
