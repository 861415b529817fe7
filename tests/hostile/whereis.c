/*
 * whereis.c -- where in the memory of a process is a text?
 *
 *   whereis PID < TEXT
 *
 * Prints "locked N", times in memory that is locked and left out of core files,
 * and "plain N", anywhere else.  The text comes on standard input, without a
 * newline at its end, so that it is on no command line.
 */
#include "hostile.h"

#include <fcntl.h>

static size_t
count(int mem, uint64_t from, uint64_t to, const uint8_t *text, size_t n)
{
    static uint8_t piece[1 << 20];
    size_t found = 0, keep = 0;

    for (uint64_t at = from; at < to;) {
        size_t want = sizeof piece - keep;
        ssize_t got;
        uint8_t *p = piece, *hit;

        if (want > to - at)
            want = (size_t)(to - at);
        if ((got = pread(mem, piece + keep, want, (off_t)at)) <= 0)
            return found;
        at += (uint64_t)got;
        while ((hit = memmem(p, (size_t)(piece + keep + got - p), text, n)) !=
            NULL) {
            found++;
            p = hit + 1;
        }
        want = keep + (size_t)got;
        keep = want < n - 1 ? want : n - 1;
        if (p > piece + want - keep) /* not the same one again */
            keep = (size_t)(piece + want - p);
        memmove(piece, piece + want - keep, keep);
    }
    return found;
}

int
main(int argc, char **argv)
{
    char path[64], line[4096];
    uint8_t text[1024];
    ssize_t n = read(0, text, sizeof text);
    uint64_t from = 0, to = 0;
    size_t locked = 0, plain = 0;
    FILE *maps;
    int mem;

    if (argc != 2 || n < 4)
        return 2;
    snprintf(path, sizeof path, "/proc/%s/mem", argv[1]);
    mem = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%s/smaps", argv[1]);
    maps = fopen(path, "r");
    if (mem < 0 || maps == NULL)
        return 2;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long long a, b;
        char may[5];

        if (sscanf(line, "%llx-%llx %4s", &a, &b, may) == 3) {
            from = a;
            to = may[0] == 'r' ? b : a;
        } else if (strncmp(line, "VmFlags:", 8) == 0) {
            size_t found = count(mem, from, to, text, (size_t)n);

            if (strstr(line, " lo") != NULL && strstr(line, " dd") != NULL)
                locked += found;
            else
                plain += found;
        }
    }
    printf("locked %zu\nplain %zu\n", locked, plain);
    return 0;
}
