/*
 * scope.h -- which part of a server is restored, and under which names.
 *
 * Pure.  Names are compared as they are written, or, of a server that keeps
 * them in lower case, as that compares them.
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
/* A foreign key. */
struct scope_foreign {
    char *schema, *table;       /* of the rows that refer */
    char *to_schema, *to_table; /* of those that they refer to */
    /* The server itself changes what refers, which is in no log; with reaches
     * that comes to what is wanted, perhaps by way of other tables. */
    bool on_delete, on_update;
    bool reaches;
};
struct scope {
    struct scope_name *only, *exclude;
    struct scope_rename *rename;
    size_t onlys, excludes, renames;
    size_t only_cap, exclude_cap, rename_cap;
    struct scope_foreign *foreign; /* that matter; see scope_foreign_add() */
    size_t foreigns, foreign_cap;
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
/* Is it one of the server's own: accounts, time zones and the like, which are
 * part of a whole server only?  `SYS` is somebody's, unless names are compared
 * without case.  s NULL: as they are written. */
bool scope_is_system(const struct scope *s, const char *schema);
void scope_free(struct scope *s); /* content */

/* Is it anything but all of the server?  NULL: no. */
bool scope_active(const struct scope *s);
enum scope_part { SCOPE_NONE, SCOPE_SOME, SCOPE_WHOLE };
/* SCOPE_SOME: only tables that were named. */
enum scope_part scope_schema(const struct scope *s, const char *schema);
bool scope_table(const struct scope *s, const char *schema, const char *table);
/* Of a schema: what it is called at the target. */
const char *scope_to(const struct scope *s, const char *schema);

/*
 * Foreign keys between what is wanted and what is not (scope_foreign.c).  Add
 * all that there are, their content is the scope's from then on; then settle.
 */
void scope_foreign_add(struct scope *s, struct scope_foreign *f);
void scope_foreign_settle(struct scope *s);
void scope_foreign_free(struct scope *s); /* part of scope_free() */
/* By which foreign key rows that are deleted from the table (else: changed)
 * change some that are wanted, which they do not where not all between is; or
 * NULL. */
const struct scope_foreign *scope_foreign_from(
    const struct scope *s, const char *schema, const char *table, bool deleted);
/* A table that is wanted, and refers to one that is not? */
bool scope_is_orphan(
    const struct scope *s, const char *schema, const char *table);
/* One that others that are wanted follow, where its keys are changed? */
bool scope_is_followed(
    const struct scope *s, const char *schema, const char *table);

#endif
