/*
 * json.c -- writing JSON into a buffer.
 */
#include <inttypes.h>
#include <string.h>

#include "pitr/json.h"
#include "pitr/times.h"
#include "pitr/utf8.h"

static void
add_char(struct buf *out, uint8_t c)
{
    switch (c) {
    case '"':
        buf_str(out, "\\\"");
        break;
    case '\\':
        buf_str(out, "\\\\");
        break;
    case '\n':
        buf_str(out, "\\n");
        break;
    case '\r':
        buf_str(out, "\\r");
        break;
    case '\t':
        buf_str(out, "\\t");
        break;
    default:
        if (c < 0x20 || c == 0x7F)
            buf_fmt(out, "\\u%04x", c);
        else
            buf_u8(out, c);
    }
}

static void
add_string(struct buf *out, const char *s)
{
    const uint8_t *p = (const uint8_t *)s;
    size_t left = strlen(s), n;

    buf_u8(out, '"');
    while (left > 0) {
        if ((n = utf8_len(p, left)) == 0) {
            buf_str(out, "\xEF\xBF\xBD");
            n = 1;
        } else if (n == 1) {
            add_char(out, *p);
        } else {
            buf_add(out, p, n);
        }
        p += n;
        left -= n;
    }
    buf_u8(out, '"');
}

static void
before_value(struct json *j, const char *key)
{
    if (j->comma)
        buf_u8(j->out, ',');
    if (key != NULL) {
        add_string(j->out, key);
        buf_u8(j->out, ':');
    }
    j->comma = true;
}

static void
open_level(struct json *j, const char *key, uint8_t c)
{
    before_value(j, key);
    buf_u8(j->out, c);
    j->depth++;
    j->comma = false;
}

static void
close_level(struct json *j, uint8_t c)
{
    buf_u8(j->out, c);
    j->depth--;
    j->comma = j->depth > 0;
}

void
json_begin(struct json *j, struct buf *out)
{
    *j = (struct json){.out = out};
}

void
json_object(struct json *j, const char *key)
{
    open_level(j, key, '{');
}

void
json_array(struct json *j, const char *key)
{
    open_level(j, key, '[');
}

void
json_end_object(struct json *j)
{
    close_level(j, '}');
}

void
json_end_array(struct json *j)
{
    close_level(j, ']');
}

void
json_str(struct json *j, const char *key, const char *v)
{
    before_value(j, key);
    if (v != NULL)
        add_string(j->out, v);
    else
        buf_str(j->out, "null");
}

void
json_u64(struct json *j, const char *key, uint64_t v)
{
    before_value(j, key);
    buf_fmt(j->out, "%" PRIu64, v);
}

void
json_bool(struct json *j, const char *key, bool v)
{
    before_value(j, key);
    buf_str(j->out, v ? "true" : "false");
}

void
json_time(struct json *j, const char *key, uint64_t us)
{
    char text[TIME_TEXT];

    json_str(j, key, time_rfc3339(us, text));
}
