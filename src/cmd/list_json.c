/*
 * list_json.c -- the catalogue for scripts.
 */
#include <stdlib.h>

#include "cmd.h"
#include "pitr/json.h"

static void
put_gtid(struct json *j, const char *key, const struct gtid_pos *pos)
{
    char *text = gtid_pos_text(pos);

    json_str(j, key, text);
    free(text);
}

static void
put_backup(struct json *j, const struct backup_info *b, bool pinned)
{
    json_object(j, NULL);
    json_str(j, "id", b->id);
    json_time(j, "snapshot", b->snapshot_us);
    json_time(j, "begun", b->begun_us);
    json_time(j, "ended", b->ended_us);
    put_gtid(j, "gtid", &b->gtid);
    json_str(j, "server_version", b->server_version);
    json_u64(j, "server_id", b->server_id);
    json_u64(j, "tables", b->tables);
    json_u64(j, "rows", b->rows);
    json_u64(j, "row_bytes", b->row_bytes);
    json_u64(j, "stored_bytes", b->stored_bytes);
    json_u64(j, "warnings", b->warnings);
    json_bool(j, "pinned", pinned);
    json_end_object(j);
}

static void
put_segment(struct json *j, const struct segment_info *s)
{
    json_object(j, NULL);
    json_str(j, "name", s->name);
    json_u64(j, "epoch", s->start.epoch);
    json_u64(j, "sequence", s->start.seq);
    json_u64(j, "stored_bytes", s->size);
    json_bool(j, "closed", s->closed);
    json_time(j, "started", s->start.started_us);
    json_u64(j, "transactions", s->state.groups);
    put_gtid(j, "after", &s->start.gtid);
    put_gtid(j, "to", &s->state.gtid);
    if (s->state.newest_us != 0)
        json_time(j, "newest", s->state.newest_us);
    if (s->state.complete_until_us != 0)
        json_time(j, "complete_until", s->state.complete_until_us);
    if (segment_is_gap(&s->start))
        json_str(j, "gap", s->start.why);
    if (s->broken != NULL)
        json_str(j, "broken", s->broken);
    json_end_object(j);
}

static void
put_windows(struct json *j, const struct catalog *c)
{
    struct windows w;

    catalog_windows(c, &w);
    json_array(j, "windows");
    for (size_t i = 0; i < w.n; i++) {
        json_object(j, NULL);
        json_time(j, "from", w.v[i].from_us);
        json_time(j, "to", w.v[i].to_us);
        json_str(j, "backup", c->backup[w.v[i].backup].id);
        put_gtid(j, "gtid", &w.v[i].to);
        json_end_object(j);
    }
    json_end_array(j);
    windows_free(&w);
}

void
list_json(const struct repo *r, const struct catalog *c,
    const struct pins *pins, const struct head *head, struct buf *out)
{
    char text[HEAD_TEXT];
    char *id = base32_text(r->id, sizeof r->id);
    char *signer = signer_text(r->signer);
    struct json j;

    json_begin(&j, out);
    json_object(&j, NULL);
    json_str(&j, "repository", id);
    json_str(&j, "server", r->server);
    json_str(&j, "signer", signer);
    json_u64(&j, "generation", r->generation);
    json_array(&j, "recipients");
    for (size_t i = 0; i < r->n_recipients; i++) {
        char *key = public_key_text(&r->recipients[i]);

        json_str(&j, NULL, key);
        free(key);
    }
    json_end_array(&j);
    json_array(&j, "backups");
    for (size_t i = 0; i < c->backups; i++)
        put_backup(&j, &c->backup[i], pins_has(pins, c->backup[i].id));
    json_end_array(&j);
    json_array(&j, "unfinished");
    for (size_t i = 0; i < c->n_broken; i++)
        json_str(&j, NULL, c->broken[i]);
    json_end_array(&j);
    json_array(&j, "segments");
    for (size_t i = 0; i < c->segments; i++)
        put_segment(&j, &c->segment[i]);
    json_end_array(&j);
    put_windows(&j, c);
    json_str(&j, "head", head_text(head, text));
    json_end_object(&j);
    buf_str(out, "\n");
    free(id);
    free(signer);
}
