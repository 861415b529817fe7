/*
 * sql_event.h -- what statements do to events of the scheduler, by their text.
 *
 * An applier makes every event that it creates or alters SLAVESIDE_DISABLED
 * (sql/event_parse_data.cc, check_originator_id()); so what it was at the source
 * has to be read in the statements.  Pure; no I/O.
 */
#ifndef PITR_SQL_EVENT_H
#define PITR_SQL_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sql_event_status {
    SQL_EVENT_SAME, /* the statement does not say */
    SQL_EVENT_ENABLED,
    SQL_EVENT_DISABLED,
    SQL_EVENT_SLAVESIDE,
};

enum sql_event_kind {
    SQL_EVENT_NONE, /* it is about something else */
    SQL_EVENT_CREATE,
    SQL_EVENT_ALTER,
    SQL_EVENT_DROP,
    SQL_EVENT_DROP_DATABASE,
};

struct sql_event {
    enum sql_event_kind kind;
    char *schema; /* NULL: the session's */
    char *name;
    char *to_schema, *to_name; /* RENAME TO; to_name NULL: none */
    enum sql_event_status status;
    bool if_not_exists;
};

/* sql_mode: as of sql_read_begin().  Never fails. */
void sql_event_parse(
    const char *sql, size_t n, uint64_t sql_mode, struct sql_event *out);
void sql_event_free(struct sql_event *s); /* content */

/* What is known of each event. */
struct sql_event_state {
    char *schema, *name;
    enum sql_event_status status;
};
struct sql_event_states {
    struct sql_event_state *v;
    size_t n, cap;
};
void sql_event_states_set(struct sql_event_states *s, const char *schema,
    const char *name, enum sql_event_status status);
/* SQL_EVENT_SAME where it is not known. */
enum sql_event_status sql_event_states_get(
    const struct sql_event_states *s, const char *schema, const char *name);
/*
 * session: the session's schema.  elsewhere: the statement was executed at
 * another server first, and came to the source by replication.
 */
void sql_event_states_apply(struct sql_event_states *s,
    const struct sql_event *e, const char *session, bool elsewhere);
void sql_event_states_free(struct sql_event_states *s); /* content */

#endif
