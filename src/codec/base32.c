/*
 * base32.c -- RFC 4648 base32 in lower case without padding.
 */
#include <string.h>
#include "pitr/keys.h"
#include "pitr/mem.h"

static size_t
text_size(size_t n)
{
    return n / 5 * 8 + (n % 5 * 8 + 4) / 5;
}

char *
base32_text(const void *p, size_t n)
{
    const uint8_t *in = p;
    char *out = xmalloc(text_size(n) + 1);
    size_t len = 0;
    unsigned acc = 0, bits = 0;

    for (size_t i = 0; i < n; i++) {
        acc = (acc << 8 | in[i]) & 0xfff;
        for (bits += 8; bits >= 5; bits -= 5) {
            unsigned v = acc >> (bits - 5) & 31;

            out[len++] = (char)(v < 26 ? 'a' + v : '2' + (v - 26));
        }
    }
    if (bits > 0) {
        unsigned v = acc << (5 - bits) & 31;

        out[len++] = (char)(v < 26 ? 'a' + v : '2' + (v - 26));
    }
    out[len] = '\0';
    return out;
}

static int
digit_value(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= '2' && c <= '7')
        return c - '2' + 26;
    return -1;
}

int
base32_parse(const char *s, void *out, size_t n)
{
    uint8_t *to = out;
    size_t len = strlen(s), at = 0;
    unsigned acc = 0, bits = 0;

    if (len != text_size(n))
        return -1;
    for (size_t i = 0; i < len; i++) {
        int v = digit_value(s[i]);

        if (v < 0)
            return -1;
        acc = (acc << 5 | (unsigned)v) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            to[at++] = (uint8_t)(acc >> bits);
        }
    }
    /* The bits left over are zero, so that bytes have one text only. */
    return (acc & ((1u << bits) - 1)) == 0 ? 0 : -1;
}
