/*
 * db_command.c -- a raw command of the protocol and its one answer.
 */
#include "db_internal.h"

int
db_command(struct db *db, unsigned command, const void *p, size_t n,
    uint64_t *affected, unsigned *warnings, const char *what)
{
    MYSQL *m = db->mysql;
    unsigned long size;
    struct cur c;
    uint64_t rows;

    db->last_errno = 0;
    db_wait_begin(db);
    if (m->methods->db_command(
            m, (enum enum_server_command)command, p, n, 1, NULL) != 0)
        size = packet_error;
    else
        size = mysql_net_read_packet(m);
    db_wait_end(db);
    if (size == packet_error)
        return db_fail(db, what);
    c = cur_of(m->net.read_pos, size);
    if (cur_u8(&c) != 0x00)
        return err_set(ERR_FAILED, "%s (%s): %s: unexpected answer 0x%02x",
            db->role, db->where, what, m->net.read_pos[0]);
    rows = cur_lenenc(&c);
    cur_lenenc(&c); /* last insert id */
    m->server_status = cur_u16(&c);
    m->warning_count = cur_u16(&c);
    if (c.bad)
        return err_set(ERR_FAILED, "%s (%s): %s: broken answer", db->role,
            db->where, what);
    if (affected != NULL)
        *affected = rows;
    if (warnings != NULL)
        *warnings = m->warning_count;
    return 0;
}
