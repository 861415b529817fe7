/*
 * event.h -- events of the binary log: the bounds-checked grammar, no I/O.
 *
 * Source: MariaDB sql/log_event.h and log_event.cc; the knowledge base's
 * "2-Binlog Event Header", "Gtid_log_event", "Query_log_event".  Raw bytes are
 * always kept as they came; an unknown type is described by its number only.
 */
#ifndef PITR_EVENT_H
#define PITR_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include "pitr/buf.h"
#include "pitr/gtid.h"

#define EVENT_HEADER_SIZE 19
#define EVENT_SIZE_MAX (1u << 30) /* and a little: bounded at twice that */
#define EVENT_FLAG_ARTIFICIAL 0x20
#define BINLOG_MAGIC "\xfe" "bin"

enum event_type {
    EV_QUERY = 2, EV_STOP = 3, EV_ROTATE = 4, EV_INTVAR = 5, EV_LOAD = 6,
    EV_RAND = 13, EV_USER_VAR = 14, EV_FORMAT = 15, EV_XID = 16,
    EV_BEGIN_LOAD = 17, EV_EXECUTE_LOAD = 18, EV_TABLE_MAP = 19,
    EV_WRITE_ROWS_V1 = 23, EV_DELETE_ROWS_V1 = 25,
    EV_INCIDENT = 26, EV_HEARTBEAT = 27,
    EV_WRITE_ROWS = 30, EV_DELETE_ROWS = 32, EV_XA_PREPARE = 38,
    EV_ANNOTATE_ROWS = 160, EV_CHECKPOINT = 161, EV_GTID = 162,
    EV_GTID_LIST = 163, EV_START_ENCRYPTION = 164,
    EV_QUERY_COMPRESSED = 165,
    EV_ROWS_COMPRESSED_FIRST = 166, EV_ROWS_COMPRESSED_LAST = 171,
};

struct event {          /* the common header, of a borrowed buffer */
    const uint8_t *raw; /* whole event, header and checksum included */
    uint32_t size;      /* bytes of raw */
    uint32_t timestamp; /* seconds since 1970 UTC: start of the statement */
    uint8_t type;
    uint32_t server_id;
    uint32_t end_pos; /* in the server's file; wraps at 4 GiB */
    uint16_t flags;
    const uint8_t *body; /* after the header */
    uint32_t body_size;  /* without the checksum */
};

/* What has to be known of a log to read its events. */
struct event_format {
    bool known;    /* a Format_description was seen */
    bool checksum; /* events end with a CRC32 */
    char server_version[51];
};

/*
 * Parse one event's header from exactly n bytes.  A Format_description updates
 * *fmt first, since it tells of its own checksum; before the first one the
 * caller says in fmt->checksum whether events have a CRC.  Checks the CRC where there
 * is one.  0, or -1 (ERR_VERIFY: "CRC", "size", ...).
 */
int event_parse(struct event_format *fmt, const void *p, size_t n,
    struct event *out);
/* The header alone, of an event that was parsed before; body_size is 0. */
void event_header(const void *p, size_t n, struct event *out);
uint32_t event_crc32(uint32_t crc, const void *p, size_t n); /* zlib's */

/* "Gtid", ...; "unknown (172)" until the thread's next call. */
const char *event_type_text(uint8_t type);

#define GTID_FL_STANDALONE 1
#define GTID_FL_GROUP_COMMIT_ID 2
#define GTID_FL_TRANSACTIONAL 4
#define GTID_FL_DDL 32
#define GTID_FL_PREPARED_XA 64
#define GTID_FL_COMPLETED_XA 128
#define EVENT_XID_MAX 128
struct event_xid {
    uint32_t format;
    uint8_t gtrid_size, bqual_size;
    uint8_t data[EVENT_XID_MAX]; /* gtrid, bqual */
};
struct event_gtid {
    struct gtid gtid;
    uint8_t flags;  /* GTID_FL_* (FL_STANDALONE: one event, no end of its own) */
    uint64_t time_us; /* of the event's header */
    struct event_xid xid; /* with GTID_FL_PREPARED_XA or COMPLETED_XA */
    bool start_alter, end_alter; /* FL_START_ALTER_E1; COMMIT or ROLLBACK ALTER */
    uint64_t alter_seq; /* end_alter: of the START ALTER that it ends */
};
int event_gtid(const struct event *e, struct event_gtid *out);

struct event_query {
    const char *schema;
    size_t schema_size;
    const char *sql; /* not NUL-terminated */
    size_t sql_size;
    uint16_t error;
    uint64_t sql_mode;     /* of the session; 0 if it is not told */
    const uint8_t *packed; /* of a compressed event: the statement; else NULL */
    size_t packed_size;
};
/* All of it is borrowed from e.  The statement of a compressed event is not
 * expanded yet: its sql is "", its size 0. */
int event_query(const struct event *e, struct event_query *out);
/* Expand it into space, which is borrowed from then on.  0, or -1. */
int event_query_expand(struct event_query *q, struct buf *space);

struct event_rotate {
    uint64_t position;
    const char *file; /* not NUL-terminated */
    size_t file_size;
};
int event_rotate(const struct event *e, struct event_rotate *out);
int event_gtid_list(const struct event *e, struct gtid_pos *out);

/*
 * Where groups (transactions) begin and end.  Feed every stored event in
 * order; zero it to start.
 */
enum group_step {
    GROUP_OUTSIDE, /* not part of a transaction (Format, Rotate, Stop ...) */
    GROUP_BEGIN,   /* the Gtid that begins one */
    GROUP_INSIDE,
    GROUP_END, /* the event that completes it */
};
struct group_state {
    bool open, standalone;
    bool abandoned; /* the last group was cut off by the end of its file (a
                       crash of the server): it has no end, and never was;
                       reset by the next GROUP_BEGIN */
    struct event_gtid gtid; /* of the group that is open or just ended */
};
/*
 * The step (enum group_step), or -1 where the events do not follow each other
 * (ERR_VERIFY).  Artificial events change nothing: INSIDE or OUTSIDE as it
 * was.  A Format, Rotate or Stop while a group is open abandons it.
 */
int group_next(struct group_state *g, const struct event *e);

/* Is a statement's text DDL or account management, by its first words?
 * Comments and spaces are skipped; what stands in executable comments counts;
 * SET STATEMENT ... FOR is seen through.  Temporary tables are not DDL here:
 * nothing that lasts is changed. */
bool sql_is_ddl(const char *sql, size_t n, uint64_t sql_mode);

#endif
