/*
 * scope.h -- which part of a server is restored, and under which names.
 *
 * Pure.  Names are compared as they are written, or, of a server that keeps them
 * in lower case, as that compares them.
 */
#ifndef PITR_SCOPE_H
#define PITR_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

struct scope_name {
    char *schema;
    char *table; /* NULL: all of the schema */
};
struct scope_rename {
    char *from, *to;
};
struct scope {
    struct scope_name *only, *exclude;
    struct scope_rename *rename;
    size_t onlys, excludes, renames;
    size_t only_cap, exclude_cap, rename_cap;
    char **known; /* schemas that there are */
    size_t knowns, known_cap;
    bool fold; /* set first: lower_case_table_names of the source is not 0 */
};

/* "db" or "db.table"; back-ticks around a name that has a dot in it.  0, or -1
 * (ERR_USAGE). */
int scope_only(struct scope *s, const char *text);
int scope_exclude(struct scope *s, const char *text);
int scope_rename(struct scope *s, const char *text); /* "old=new" */
/* There is such a schema; to tell it from an alias in a statement. */
void scope_know(struct scope *s, const char *schema);
/* Are these the same schema or table? */
bool scope_same(const struct scope *s, const char *a, const char *b);
bool scope_knows(const struct scope *s, const char *schema);
void scope_free(struct scope *s); /* content */

/* Is it anything but all of the server?  NULL: no. */
bool scope_active(const struct scope *s);
enum scope_part { SCOPE_NONE, SCOPE_SOME, SCOPE_WHOLE };
/* SCOPE_SOME: only tables that were named. */
enum scope_part scope_schema(const struct scope *s, const char *schema);
bool scope_table(const struct scope *s, const char *schema, const char *table);
/* Of a schema: what it is called at the target. */
const char *scope_to(const struct scope *s, const char *schema);

#endif
