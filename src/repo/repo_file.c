/*
 * repo_file.c -- formatting, parsing and checking the repository file.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "repo_file.h"

#define FIRST_LINE "pitr-repository 1"

void
repo_endorsed_bytes(const struct repo_file *f, struct buf *out)
{
    buf_add(out, f->id, sizeof f->id);
    buf_add(out, f->signer, sizeof f->signer);
    buf_lstr(out, f->server);
}

static void
put_base32(struct buf *out, const char *key, const void *p, size_t n)
{
    char *text = base32_text(p, n);

    buf_fmt(out, "%s: %s\n", key, text);
    free(text);
}

void
repo_file_format(const struct repo_file *f, const struct signing_key *signing,
    struct buf *out)
{
    uint8_t sig[64];
    char *text;

    buf_str(out, FIRST_LINE "\n");
    put_base32(out, "id", f->id, sizeof f->id);
    buf_fmt(out, "server: %s\n", f->server);
    buf_fmt(out, "created: %llu\n", (unsigned long long)f->created_us);
    text = signer_text(f->signer);
    buf_fmt(out, "signer: %s\n", text);
    free(text);
    for (size_t i = 0; i < f->n_recipients; i++) {
        text = public_key_text(&f->recipients[i]);
        buf_fmt(out, "recipient: %s\n", text);
        free(text);
    }
    if (f->endorsed) {
        put_base32(out, "endorser", f->endorser, sizeof f->endorser);
        put_base32(out, "endorsement", f->endorsement, sizeof f->endorsement);
    }
    sign_make(signing, REPO_CONTEXT, out->data, out->len, sig);
    put_base32(out, "signature", sig, sizeof sig);
}

/* One "key: value" of the text between *p and end; owned strings. */
static int
next_line(const char **p, const char *end, char **key, char **value)
{
    const char *eol, *colon;

    if (*p == end)
        return 0;
    eol = memchr(*p, '\n', (size_t)(end - *p));
    colon = eol == NULL ? NULL : memchr(*p, ':', (size_t)(eol - *p));
    if (colon == NULL || eol - colon < 3 || colon[1] != ' ')
        return err_set(ERR_VERIFY, "a line that is not \"key: value\"");
    *key = xstrndup(*p, (size_t)(colon - *p));
    *value = xstrndup(colon + 2, (size_t)(eol - colon - 2));
    *p = eol + 1;
    return 1;
}

static int
parse_number(const char *s, uint64_t *out)
{
    char *end;

    *out = strtoull(s, &end, 10);
    return *s < '0' || *s > '9' || *end != '\0' ? -1 : 0;
}

static int
take_value(struct repo_file *f, const char *key, char *value)
{
    if (strcmp(key, "id") == 0)
        return base32_parse(value, f->id, sizeof f->id);
    if (strcmp(key, "server") == 0) {
        free(f->server);
        f->server = xstrdup(value);
        return 0;
    }
    if (strcmp(key, "created") == 0)
        return parse_number(value, &f->created_us);
    if (strcmp(key, "signer") == 0)
        return signer_parse(value, f->signer);
    if (strcmp(key, "recipient") == 0)
        return f->n_recipients == SEAL_RECIPIENTS_MAX
            ? -1
            : public_key_parse(value, &f->recipients[f->n_recipients++]);
    if (strcmp(key, "endorser") == 0)
        return base32_parse(value, f->endorser, sizeof f->endorser);
    if (strcmp(key, "endorsement") == 0) {
        f->endorsed = true;
        return base32_parse(value, f->endorsement, sizeof f->endorsement);
    }
    return -1;
}

static int
parse_lines(struct repo_file *f, const char *p, const char *end, uint8_t *sig,
    const char **signed_end)
{
    char *key = NULL, *value = NULL;
    int rc;

    for (;;) {
        const char *line = p;

        if ((rc = next_line(&p, end, &key, &value)) <= 0)
            return rc < 0 ? -1 : err_set(ERR_VERIFY, "it has no signature");
        if (strcmp(key, "signature") == 0) {
            rc = base32_parse(value, sig, 64);
            *signed_end = line;
            if (p != end)
                rc = -1;
        } else {
            rc = take_value(f, key, value);
        }
        if (rc < 0)
            err_set(ERR_VERIFY, "its line \"%s\" is not valid", key);
        free(key);
        free(value);
        if (rc < 0 || *signed_end != NULL)
            return rc;
    }
}

int
repo_file_parse(const void *p, size_t n, struct repo_file *out)
{
    const char *text = p, *end = text + n, *signed_end = NULL;
    size_t first = sizeof FIRST_LINE; /* with the end of line for the NUL */
    uint8_t sig[64];

    memset(out, 0, sizeof *out);
    if (n < first || memcmp(text, FIRST_LINE "\n", first) != 0)
        return err_set(ERR_VERIFY, "it does not start with \"%s\"", FIRST_LINE);
    if (parse_lines(out, text + first, end, sig, &signed_end) < 0)
        goto fail;
    if (sign_check(
            out->signer, REPO_CONTEXT, p, (size_t)(signed_end - text), sig) < 0)
        goto fail;
    if (out->server == NULL || out->n_recipients == 0) {
        err_set(ERR_VERIFY, "it names no server or no recipient");
        goto fail;
    }
    return 0;

fail:
    repo_file_free(out);
    return -1;
}

void
repo_file_free(struct repo_file *f)
{
    free(f->server);
    memset(f, 0, sizeof *f);
}
