/*
 * backup_info.c -- the public note of a manifest.  FORMAT.md, "Manifest".
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/manifest.h"

#define INFO_VERSION 1

void
backup_info_free(struct backup_info *i)
{
    free(i->id);
    free(i->server_version);
    free(i->source_file);
    gtid_pos_free(&i->gtid);
    memset(i, 0, sizeof *i);
}

void
backup_info_format(const struct backup_info *i, struct buf *out)
{
    char *gtid = gtid_pos_text(&i->gtid);

    buf_u8(out, INFO_VERSION);
    buf_lstr(out, i->id);
    buf_u64(out, i->begun_us);
    buf_u64(out, i->snapshot_us);
    buf_u64(out, i->ended_us);
    buf_lstr(out, gtid);
    buf_lstr(out, i->source_file);
    buf_u64(out, i->source_pos);
    buf_lstr(out, i->server_version);
    buf_u32(out, i->server_id);
    buf_u8(out, (uint8_t)i->lower_case_table_names);
    buf_u64(out, i->tables);
    buf_u64(out, i->rows);
    buf_u64(out, i->row_bytes);
    buf_u64(out, i->parts);
    buf_u64(out, i->stored_bytes);
    buf_u64(out, i->warnings);
    free(gtid);
}

int
backup_info_parse(const void *p, size_t n, struct backup_info *out)
{
    struct cur c = cur_of(p, n);
    char *gtid;
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (cur_u8(&c) != INFO_VERSION)
        c.bad = true;
    out->id = cur_lstr(&c, 64);
    out->begun_us = cur_u64(&c);
    out->snapshot_us = cur_u64(&c);
    out->ended_us = cur_u64(&c);
    gtid = cur_lstr(&c, SEAL_META_MAX);
    out->source_file = cur_lstr(&c, 1024);
    out->source_pos = cur_u64(&c);
    out->server_version = cur_lstr(&c, 256);
    out->server_id = cur_u32(&c);
    out->lower_case_table_names = cur_u8(&c);
    out->tables = cur_u64(&c);
    out->rows = cur_u64(&c);
    out->row_bytes = cur_u64(&c);
    out->parts = cur_u64(&c);
    out->stored_bytes = cur_u64(&c);
    out->warnings = cur_u64(&c);
    if (!c.bad && cur_left(&c) == 0 && gtid_pos_parse(gtid, &out->gtid) == 0)
        rc = 0;
    free(gtid);
    if (rc < 0) {
        backup_info_free(out);
        err_set(ERR_VERIFY, "the note of a manifest is not valid");
    }
    return rc;
}
