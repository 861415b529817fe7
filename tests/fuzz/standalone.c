/*
 * standalone.c -- run a fuzz harness over the files given as arguments, for
 * compilers without libFuzzer and to look at a finding again.
 *
 * "make tests/fuzz/fuzz_sealed" builds one with this driver.  To search with
 * libFuzzer, build the library with clang and
 * -fsanitize=fuzzer-no-link,address,undefined, then link the harness alone
 * with -fsanitize=fuzzer,address,undefined, and start it on a copy of
 * tests/vectors.
 */
#include <stdio.h>
#include <stdlib.h>
#include "pitr/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        struct buf b = {0};

        if (file_read(argv[i], (size_t)64 << 20, &b) != 0) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput(b.data, b.len);
        buf_free(&b);
    }
    return 0;
}
