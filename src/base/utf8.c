/*
 * utf8.c -- what bytes are text, and which of it may be shown.
 */
#include <stdbool.h>
#include <string.h>

#include "pitr/utf8.h"

/*
 * The ranges of the second byte are those of Unicode's table 3-7: no overlong
 * forms, no surrogates, nothing above U+10FFFF.
 */
size_t
utf8_len(const uint8_t *p, size_t left)
{
    uint8_t lo = 0x80, hi = 0xBF;
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (p[0] == 0xE0)
        lo = 0xA0;
    else if (p[0] == 0xED)
        hi = 0x9F;
    else if (p[0] == 0xF0)
        lo = 0x90;
    else if (p[0] == 0xF4)
        hi = 0x8F;
    if (left < n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return n;
}

bool
utf8_valid(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t left = strlen(text), n;

    for (; left > 0; p += n, left -= n)
        if ((n = utf8_len(p, left)) == 0)
            return false;
    return true;
}

void
utf8_harmless(void *text, size_t n)
{
    uint8_t *p = text;

    while (n > 0) {
        size_t len = utf8_len(p, n);
        bool shown = len > 0;

        if (len == 1)
            shown =
                p[0] != 0x7F && (p[0] >= 0x20 || p[0] == '\n' || p[0] == '\t');
        else if (len == 2)
            shown = p[0] != 0xC2 || p[1] >= 0xA0;
        len = len == 0 ? 1 : len;
        if (!shown)
            memset(p, '?', len);
        p += len;
        n -= len;
    }
}
