/*
 * feed_handshake.c -- greeting and authentication with mysql_native_password.
 *
 * The scheme needs SHA-1, which pitr has no other use for: the target computes
 * the answer that is expected, over its SQL connection.
 */
#include <string.h>
#include "feed.h"
#include "pitr/digest.h"

#define CAP_LONG_PASSWORD 1u
#define CAP_LONG_FLAG 4u
#define CAP_CONNECT_WITH_DB 8u
#define CAP_PROTOCOL_41 0x200u
#define CAP_SSL 0x800u
#define CAP_TRANSACTIONS 0x2000u
#define CAP_SECURE_CONNECTION 0x8000u
#define CAP_PLUGIN_AUTH 0x80000u
#define CAP_LENENC_AUTH 0x200000u
/* No TLS (loopback), no compression, EOF packets as of old. */
#define CAPABILITIES                                                           \
    (CAP_LONG_PASSWORD | CAP_LONG_FLAG | CAP_PROTOCOL_41 | CAP_TRANSACTIONS |  \
        CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH)

#define PLUGIN "mysql_native_password"
#define STATUS_AUTOCOMMIT 2
#define CHARSET_UTF8MB4 45

void
feed_salt(char salt[FEED_SALT + 1])
{
    random_bytes(salt, FEED_SALT);
    /* Printable: a NUL would end it for some clients. */
    for (int i = 0; i < FEED_SALT; i++)
        salt[i] = (char)('!' + ((uint8_t)salt[i]) % 64);
    salt[FEED_SALT] = '\0';
}

void
feed_greeting(struct feed_conn *c, const char *server_version,
    uint32_t thread_id, const char salt[FEED_SALT + 1])
{
    static const uint8_t zeros[10];
    struct buf b = {0};

    buf_u8(&b, 10); /* protocol version */
    buf_str(&b, server_version);
    buf_u8(&b, 0);
    buf_u32(&b, thread_id);
    buf_add(&b, salt, 8);
    buf_u8(&b, 0);
    buf_u16(&b, CAPABILITIES & 0xFFFF);
    buf_u8(&b, CHARSET_UTF8MB4);
    buf_u16(&b, STATUS_AUTOCOMMIT);
    buf_u16(&b, CAPABILITIES >> 16);
    buf_u8(&b, FEED_SALT + 1);
    buf_add(&b, zeros, sizeof(zeros));
    buf_add(&b, salt + 8, FEED_SALT - 8 + 1);
    buf_add(&b, PLUGIN, sizeof(PLUGIN));
    c->seq = 0;
    feed_packet_add(c, b.data, b.len);
    buf_free(&b);
}

void
feed_auth_switch(struct feed_conn *c, const char salt[FEED_SALT + 1])
{
    struct buf b = {0};

    buf_u8(&b, 0xFE);
    buf_add(&b, PLUGIN, sizeof(PLUGIN));
    buf_add(&b, salt, FEED_SALT + 1);
    feed_packet_add(c, b.data, b.len);
    buf_free(&b);
}

/* A string that ends with a NUL; bad if it does not or does not fit. */
static void
cur_cstr(struct cur *in, char *out, size_t size)
{
    const uint8_t *nul = memchr(in->p, 0, cur_left(in));

    out[0] = '\0';
    if (nul == NULL || (size_t)(nul - in->p) >= size) {
        in->bad = true;
        return;
    }
    memcpy(out, in->p, (size_t)(nul - in->p) + 1);
    cur_bytes(in, (size_t)(nul - in->p) + 1);
}

int
feed_login_parse(struct cur *in, struct feed_login *out)
{
    uint32_t caps = cur_u32(in);
    const uint8_t *token;
    char schema[256];
    uint64_t n;

    memset(out, 0, sizeof(*out));
    cur_u32(in); /* largest packet */
    cur_u8(in);  /* charset */
    cur_bytes(in, 23);
    if (in->bad || (caps & CAP_SSL) != 0 || (caps & CAP_PROTOCOL_41) == 0 ||
        (caps & CAP_SECURE_CONNECTION) == 0 || cur_left(in) == 0)
        return -1;
    cur_cstr(in, out->user, sizeof(out->user));
    if (in->bad)
        return -1;
    n = (caps & CAP_LENENC_AUTH) != 0 ? cur_lenenc(in) : cur_u8(in);
    if (in->bad || n > cur_left(in))
        return -1;
    token = cur_bytes(in, (size_t)n);
    out->token_size = (size_t)n;
    if (n == FEED_TOKEN)
        memcpy(out->token, token, FEED_TOKEN);
    if ((caps & CAP_CONNECT_WITH_DB) != 0 && cur_left(in) > 0)
        cur_cstr(in, schema, sizeof(schema));
    if ((caps & CAP_PLUGIN_AUTH) != 0 && cur_left(in) > 0)
        cur_cstr(in, out->plugin, sizeof(out->plugin));
    return in->bad ? -1 : 0;
}

static int
hex_sha1(const char *hex, uint8_t out[FEED_TOKEN])
{
    if (hex == NULL || strlen(hex) != 2 * FEED_TOKEN)
        return -1;
    for (int i = 0; i < 2 * FEED_TOKEN; i++) {
        char h = hex[i];
        int v = h >= '0' && h <= '9' ? h - '0'
            : h >= 'a' && h <= 'f'   ? h - 'a' + 10
                                     : -1;
        if (v < 0)
            return -1;
        out[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : out[i / 2] | v);
    }
    return 0;
}

/* SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))) */
int
feed_token(struct db *db, const char *password, const char salt[FEED_SALT + 1],
    uint8_t out[FEED_TOKEN])
{
    struct db_result r = {0};
    struct buf hex = {0};
    uint8_t mask[FEED_TOKEN];
    int rc = -1;

    for (int i = 0; i < FEED_SALT; i++)
        buf_fmt(&hex, "%02x", (unsigned)(uint8_t)salt[i]);
    if (db_query(db, &r,
            "SELECT SHA1('%s'), SHA1(CONCAT(UNHEX('%s'), "
            "UNHEX(SHA1(UNHEX(SHA1('%s'))))))",
            password, buf_cstr(&hex), password) < 0)
        goto out;
    if (r.rows != 1 || hex_sha1(db_text(&r, 0, 0), out) < 0 ||
        hex_sha1(db_text(&r, 0, 1), mask) < 0) {
        err_set(ERR_FAILED, "the target's SHA1() gave no digest");
        goto out;
    }
    for (int i = 0; i < FEED_TOKEN; i++)
        out[i] ^= mask[i];
    rc = 0;

out:
    db_result_free(&r);
    buf_free(&hex);
    return rc;
}

bool
feed_token_equal(const uint8_t *a, const uint8_t *b)
{
    volatile uint8_t diff = 0;

    for (int i = 0; i < FEED_TOKEN; i++)
        diff |= (uint8_t)(a[i] ^ b[i]);
    return diff == 0;
}
