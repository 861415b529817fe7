/*
 * fuzz_texts.c -- outside bytes as what is read before, or beside, a sealed
 * object.  The first byte says as what:
 *
 *   m  a manifest                 r  the repository file, any generation
 *   i  the note of a manifest     h  a head
 *   s  the notes of a segment     n  the name of a segment
 *   c  a configuration            t  a time
 *   u  the URL of a vault         x  the name of a file on a vault
 *   k  an object of slots         g  GTIDs
 *
 * What is taken has to come out again as it was, where there is a way back.
 * With FUZZ_KINDS in the environment only those letters are tried.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/repo/repo_file.h"
#include "../../src/repo/slots.h"
#include "../../src/store/extents.h"
#include "../../src/store/sftp_url.h"
#include "pitr/conf.h"
#include "pitr/head.h"
#include "pitr/manifest.h"
#include "pitr/mem.h"
#include "pitr/segment.h"
#include "pitr/times.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same(const struct buf *a, const struct buf *b)
{
    if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)
        abort();
}

static void
manifest_try(const uint8_t *p, size_t n)
{
    struct manifest *m = manifest_parse(p, n), *again;
    struct buf a = {0}, b = {0};

    if (m == NULL)
        return;
    manifest_format(m, &a);
    if ((again = manifest_parse(a.data, a.len)) == NULL)
        abort();
    manifest_format(again, &b);
    same(&a, &b);
    manifest_free(m);
    manifest_free(again);
    buf_free(&a);
    buf_free(&b);
}

static void
info_try(const uint8_t *p, size_t n)
{
    struct backup_info i;
    struct buf b = {0};

    if (backup_info_parse(p, n, &i) < 0)
        return;
    backup_info_format(&i, &b);
    backup_info_free(&i);
    buf_free(&b);
}

static void
segment_try(const uint8_t *p, size_t n)
{
    struct segment_start start;
    struct segment_state state;
    struct buf b = {0};

    if (segment_start_parse(p, n, &start) == 0) {
        segment_start_format(&start, &b);
        segment_start_free(&start);
    }
    err_clear();
    buf_reset(&b);
    if (segment_state_parse(p, n, &state) == 0) {
        segment_state_format(&state, &b);
        segment_state_free(&state);
    }
    buf_free(&b);
}

static void
conf_try(const uint8_t *p, size_t n)
{
    int fd = memfd_create("conf", 0);
    char path[64];

    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    conf_free(conf_load(path));
    close(fd);
}

static void
repository_try(const uint8_t *p, size_t n)
{
    struct repo_file f;

    if (repo_file_parse(p, n, &f) == 0)
        repo_file_free(&f);
}

/* Entries of slots, well signed by a recipient: what does not fit then has to
 * be found in peace. */
static void
slots_try(const uint8_t *p, size_t n)
{
    char server[] = "db1", name[] = "slots/x";
    struct secret_key *k = secret_key_from_paper("aaaq eaye auda px6t "
                                                 "baeq ucym buha 6kzq "
                                                 "cair eeyu culb o5ov "
                                                 "damr ugy4 dupb 667g "
                                                 "uiku qgvr zsrq wamb");
    struct repo_file file = {.generation = 1, .n_recipients = 1};
    struct repo_chain chain = {.file = &file, .n = 1};
    struct repo r = {.server = server, .chain = &chain};
    struct slots_file f = {.name = name};
    struct buf b = {0};
    uint8_t sig[64];

    if (k == NULL)
        abort();
    file.recipients[0] = *secret_key_public(k);
    slots_file_format(&r, &f, k, &b); /* without entries */
    b.len -= 4 + sizeof sig;
    buf_add(&b, p, n);
    sign_make_identity(k, "pitr slots 1", b.data, b.len, sig);
    buf_add(&b, sig, sizeof sig);
    if (slots_file_parse(&r, name, b.data, b.len, &f) == 0)
        slots_file_free(&f);
    buf_free(&b);
    secret_key_free(k);
}

static void
name_try(const char *text)
{
    struct extent e;
    size_t object;
    char *name, *own;
    uint32_t epoch;
    uint64_t seq, us;

    if (segment_name_parse(text, &epoch, &seq, &us) == 0) {
        name = segment_name(epoch, seq, us);
        if (strcmp(name, text) != 0)
            abort();
        free(name);
    }
    if (!extent_parse(text, &object, &e))
        return;
    own = xstrndup(text, object);
    name = extent_name(own, &e);
    if (strcmp(name, text) != 0)
        abort();
    free(own);
    free(name);
}

static void
url_try(const char *text)
{
    struct sftp_url u, again;

    if (sftp_url_parse(text, &u) < 0)
        return;
    if (sftp_url_parse(u.shown, &again) < 0 ||
        strcmp(u.shown, again.shown) != 0 || strcmp(u.path, again.path) != 0)
        abort();
    sftp_url_free(&u);
    sftp_url_free(&again);
}

static void
head_try(const char *text)
{
    char back[HEAD_TEXT];
    struct head h;

    if (head_parse(text, &h) == 0)
        head_text(&h, back);
}

static void
text_try(uint8_t kind, const char *text)
{
    struct gtid_pos pos = {0};
    struct gtid one;
    uint64_t us;

    switch (kind) {
    case 'h':
        head_try(text);
        break;
    case 'n':
    case 'x':
        name_try(text);
        break;
    case 't':
        (void)time_parse(text, UINT64_C(1651456800000000), &us);
        break;
    case 'u':
        url_try(text);
        break;
    case 'g':
        if (gtid_pos_parse(text, &pos) == 0)
            gtid_pos_free(&pos);
        (void)gtid_parse(text, &one);
        break;
    default:
        break;
    }
}

static uint8_t
kind_of(uint8_t first)
{
    static const char *kinds;

    if (kinds == NULL && (kinds = getenv("FUZZ_KINDS")) == NULL)
        kinds = "";
    if (kinds[0] == '\0' || (first != 0 && strchr(kinds, first) != NULL))
        return first;
    return (uint8_t)kinds[first % strlen(kinds)];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        uint8_t kind;
        void (*fn)(const uint8_t *p, size_t n);
    } bytes[] = {{'m', manifest_try}, {'i', info_try}, {'s', segment_try},
        {'c', conf_try}, {'r', repository_try}, {'k', slots_try}};
    uint8_t kind;
    char *text;

    if (size == 0 || size > 65536)
        return 0;
    if (keys_setup() < 0)
        abort();
    kind = kind_of(data[0]);
    for (size_t i = 0; i < NELEM(bytes); i++)
        if (bytes[i].kind == kind) {
            uint8_t *exact = xmemdup(data + 1, size - 1);

            bytes[i].fn(exact, size - 1);
            free(exact);
        }
    text = xstrndup((const char *)data + 1, size - 1);
    text_try(kind, text);
    free(text);
    err_clear();
    return 0;
}
