/*
 * crc32.c -- zlib's CRC-32 (polynomial 0xEDB88320), sixteen bytes a step: each
 * byte of the log passes through it.
 */
#include <pthread.h>
#include "pitr/event.h"

#define SLICES 16

static uint32_t table[SLICES][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void
table_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int s = 1; s < SLICES; s++)
            table[s][i] =
                table[s - 1][i] >> 8 ^ table[0][table[s - 1][i] & 0xFF];
}

/* Four bytes, the first the lowest; compilers make one load of it. */
static inline uint32_t
le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
        (uint32_t)p[3] << 24;
}

/* What four bytes contribute that stand `slice` bytes before the block's
 * end. */
static inline uint32_t
fold(uint32_t w, int slice)
{
    return table[slice][w & 0xFF] ^ table[slice - 1][w >> 8 & 0xFF] ^
        table[slice - 2][w >> 16 & 0xFF] ^ table[slice - 3][w >> 24];
}

uint32_t
event_crc32(uint32_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;

    pthread_once(&table_once, table_fill);
    crc = ~crc;
    for (; n >= SLICES; n -= SLICES, p += SLICES)
        crc = fold(le32(p) ^ crc, 15) ^ fold(le32(p + 4), 11) ^
            fold(le32(p + 8), 7) ^ fold(le32(p + 12), 3);
    for (; n > 0; n--, p++)
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xFF];
    return ~crc;
}
