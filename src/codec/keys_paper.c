/*
 * keys_paper.c -- a recovery key on paper (FORMAT.md, "Paper form").
 *
 * Five lines of four groups of four characters.  Lines 1 to 4 hold the seed,
 * line 5 the start of the key's identifier; each ends with a checksum over its
 * number and its bytes, so that a slip is found where it is.
 */
#include <ctype.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "keys_impl.h"
#include "pitr/digest.h"

#define PAPER_CONTEXT "pitr paper 1"
#define PAPER_LINES 5
#define LINE_DATA 8
#define LINE_CHECK 2
#define LINE_BYTES (LINE_DATA + LINE_CHECK)
#define LINE_CHARS 16
#define GROUP_CHARS 4

static void
line_check(
    unsigned number, const uint8_t data[LINE_DATA], uint8_t check[LINE_CHECK])
{
    struct digest *d = digest_new();
    uint8_t full[DIGEST_SIZE], n = (uint8_t)number;

    digest_add(d, PAPER_CONTEXT, sizeof(PAPER_CONTEXT));
    digest_add(d, &n, 1);
    digest_add(d, data, LINE_DATA);
    digest_get(d, full);
    digest_free(d);
    memcpy(check, full, LINE_CHECK);
    secret_wipe(full, sizeof(full));
}

/* What the lines hold without their checksums. */
struct paper {
    uint8_t data[PAPER_LINES * LINE_DATA];
};

static void
paper_fill(const struct secret_key *k, struct paper *p)
{
    uint8_t id[KEY_ID_SIZE];

    memcpy(p->data, k->seed, SEED_SIZE);
    public_key_id(&k->pub, id);
    memcpy(p->data + SEED_SIZE, id, LINE_DATA);
}

struct secret *
secret_key_paper(const struct secret_key *k)
{
    struct paper *p = locked_new(sizeof(*p));
    struct secret *out;
    struct buf b = {0};

    paper_fill(k, p);
    buf_reserve(&b, 256);
    for (unsigned i = 0; i < PAPER_LINES; i++) {
        uint8_t line[LINE_BYTES];
        char *text;

        memcpy(line, p->data + i * LINE_DATA, LINE_DATA);
        line_check(i + 1, line, line + LINE_DATA);
        text = base32_text(line, sizeof(line));
        for (size_t c = 0; c < LINE_CHARS; c += GROUP_CHARS) {
            buf_add(&b, text + c, GROUP_CHARS);
            buf_u8(&b, c + GROUP_CHARS < LINE_CHARS ? ' ' : '\n');
        }
        secret_wipe(line, sizeof(line));
        secret_wipe(text, LINE_CHARS);
        free(text);
    }
    out = secret_new(b.data, b.len);
    buf_free_wiped(&b);
    locked_free(p);
    return out;
}

/*
 * Take the text's characters without blanks and hyphens.  0 and 8 are no
 * digits of base32 and can only be meant as o and b.
 */
static int
paper_chars(const char *text, char chars[PAPER_LINES * LINE_CHARS])
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (isspace(c) || c == '-')
            continue;
        if (n == PAPER_LINES * LINE_CHARS)
            return err_set(ERR_KEY,
                "the paper form has more than %d lines of %d characters; "
                "nothing else belongs into that file",
                PAPER_LINES, LINE_CHARS);
        chars[n++] = (char)(c == '0' ? 'o' : c == '8' ? 'b' : c);
    }
    /* What is not there is found by the checksum of its line. */
    memset(chars + n, '=', PAPER_LINES * LINE_CHARS - n);
    return 0;
}

static int
paper_line(unsigned number, const char *chars, uint8_t data[LINE_DATA])
{
    char text[LINE_CHARS + 1];
    uint8_t line[LINE_BYTES] = {0}, check[LINE_CHECK];
    int rc = -1;

    memcpy(text, chars, LINE_CHARS);
    text[LINE_CHARS] = '\0';
    if (memchr(text, '=', LINE_CHARS) != NULL) {
        err_set(ERR_KEY, "line %u of the paper form is not complete", number);
        err_hint("there are %d lines of %d characters each", PAPER_LINES,
            LINE_CHARS);
        goto out;
    }
    if (base32_parse(text, line, sizeof(line)) < 0) {
        err_set(ERR_KEY,
            "line %u of the paper form has a character that does "
            "not occur in it",
            number);
        err_hint("there are only letters and the digits 2 to 7; a 1 is an i "
                 "or an l");
        goto out;
    }
    line_check(number, line, check);
    if (memcmp(check, line + LINE_DATA, LINE_CHECK) != 0) {
        err_set(ERR_KEY,
            "line %u of the paper form has a slip: its checksum "
            "does not fit",
            number);
        err_hint("compare that line with the paper, character by character; "
                 "each line has %d",
            LINE_CHARS);
        goto out;
    }
    memcpy(data, line, LINE_DATA);
    rc = 0;

out:
    secret_wipe(text, sizeof(text));
    secret_wipe(line, sizeof(line));
    return rc;
}

struct secret_key *
secret_key_from_paper(const char *text)
{
    char *chars = locked_new(PAPER_LINES * LINE_CHARS);
    struct paper *p = locked_new(sizeof(*p));
    struct secret_key *k = NULL;
    uint8_t id[KEY_ID_SIZE];

    if (paper_chars(text, chars) < 0)
        goto out;
    for (unsigned i = 0; i < PAPER_LINES; i++)
        if (paper_line(i + 1, chars + i * LINE_CHARS, p->data + i * LINE_DATA) <
            0)
            goto out;
    k = secret_key_from_seed(p->data);
    public_key_id(&k->pub, id);
    if (memcmp(id, p->data + SEED_SIZE, LINE_DATA) != 0) {
        err_set(ERR_KEY, "the lines of the paper form do not belong together");
        err_hint("line 5 must be of the same paper; compare all lines once "
                 "more");
        secret_key_free(k);
        k = NULL;
    }

out:
    locked_free(chars);
    locked_free(p);
    return k;
}
