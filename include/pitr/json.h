/*
 * json.h -- writing JSON into a buffer.  Commas and nesting are kept right;
 * strings that are not UTF-8 have the bytes that are wrong replaced by U+FFFD.
 */
#ifndef PITR_JSON_H
#define PITR_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include "pitr/buf.h"

struct json {
    struct buf *out; /* borrowed */
    unsigned depth;
    bool comma;
};

void json_begin(struct json *j, struct buf *out);
void json_object(struct json *j, const char *key); /* key NULL in arrays */
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_str(struct json *j, const char *key, const char *v); /* NULL: null */
void json_u64(struct json *j, const char *key, uint64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_time(struct json *j, const char *key, uint64_t us); /* RFC 3339 */

#endif
