/*
 * repo_file.c -- formatting, parsing and checking the repository file.
 */
#include <stdlib.h>
#include <string.h>

#include "pitr/mem.h"
#include "pitr/segment.h"
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

/* What a later generation says of the one before, and of what was there. */
static void
put_later(struct buf *out, const struct repo_file *f)
{
    char *digest;

    buf_fmt(out, "generation: %lu\n", (unsigned long)f->generation);
    put_base32(out, "previous", f->previous, sizeof f->previous);
    if (f->log != NULL) {
        digest = base32_text(f->log_digest, sizeof f->log_digest);
        buf_fmt(out, "log: %s %llu %s\n", f->log,
            (unsigned long long)f->log_size, digest);
        free(digest);
    }
    for (size_t i = 0; i < f->n_listed; i++) {
        digest = base32_text(f->listed[i].digest, sizeof f->listed[i].digest);
        buf_fmt(out, "%s: %s %s\n",
            strchr(f->listed[i].id, '/') == NULL ? "backup" : "pin",
            f->listed[i].id, digest);
        free(digest);
    }
}

static void
put_handover(struct buf *out, const struct repo_file *f,
    const struct signing_key *old, const struct secret_key *recovery)
{
    uint8_t sig[64];

    if (f->by_recovery) {
        put_base32(
            out, "handed-over-by", secret_key_public(recovery)->identity, 32);
        sign_make_identity(
            recovery, REPO_HANDOVER_CONTEXT, out->data, out->len, sig);
    } else {
        sign_make(old, REPO_HANDOVER_CONTEXT, out->data, out->len, sig);
    }
    put_base32(out, "handover", sig, sizeof sig);
}

void
repo_file_format(const struct repo_file *f, const struct signing_key *signing,
    const struct signing_key *old, const struct secret_key *recovery,
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
    if (f->generation > 1)
        put_later(out, f);
    if (f->endorsed) {
        put_base32(out, "endorser", f->endorser, sizeof f->endorser);
        put_base32(out, "endorsement", f->endorsement, sizeof f->endorsement);
    }
    if (f->generation > 1)
        put_handover(out, f, old, recovery);
    sign_make(signing, REPO_CONTEXT, out->data, out->len, sig);
    put_base32(out, "signature", sig, sizeof sig);
}

/* One "key: value" of the text between *p and end: the key, owned, with the
 * value behind it.  NULL where there is none. */
static char *
next_line(const char **p, const char *end, char **value)
{
    const char *line = *p, *eol, *colon;
    char *key;

    if (line == end) {
        err_set(ERR_VERIFY, "it has no signature");
        return NULL;
    }
    eol = memchr(line, '\n', (size_t)(end - line));
    colon = eol == NULL ? NULL : memchr(line, ':', (size_t)(eol - line));
    if (colon == NULL || eol - colon < 3 || colon[1] != ' ') {
        err_set(ERR_VERIFY, "a line that is not \"key: value\"");
        return NULL;
    }
    key = xmemdup(line, (size_t)(eol - line) + 1);
    key[colon - line] = key[eol - line] = '\0';
    *value = key + (colon - line) + 2;
    *p = eol + 1;
    return key;
}

static int
parse_number(const char *s, uint64_t *out)
{
    char *end;

    *out = strtoull(s, &end, 10);
    return *s < '0' || *s > '9' || *end != '\0' ? -1 : 0;
}

/* The next word of a value, ended in place. */
static char *
next_word(char **at)
{
    char *word = *at, *blank = word == NULL ? NULL : strchr(word, ' ');

    if (blank != NULL)
        *blank = '\0';
    *at = blank == NULL ? NULL : blank + 1;
    return word;
}

static int
take_log(struct repo_file *f, char *value)
{
    char *name = next_word(&value), *size = next_word(&value);
    uint32_t epoch;
    uint64_t seq, us;

    if (f->log != NULL || size == NULL || value == NULL ||
        parse_number(size, &f->log_size) < 0 ||
        segment_name_parse(name, &epoch, &seq, &us) < 0)
        return -1;
    f->log = xstrdup(name);
    return base32_parse(value, f->log_digest, sizeof f->log_digest);
}

static int
take_listed(struct repo_file *f, char *value, bool is_pin)
{
    char *id = next_word(&value);
    struct repo_listed *p;

    if (value == NULL || *id == '\0' || (strncmp(id, "pin/", 4) == 0) != is_pin)
        return -1;
    f->listed =
        xgrow(f->listed, f->n_listed, &f->cap_listed, sizeof *f->listed);
    p = &f->listed[f->n_listed++];
    p->id = xstrdup(id);
    return base32_parse(value, p->digest, sizeof p->digest);
}

/* What only later generations have. */
static int
take_later(struct repo_file *f, const char *key, char *value)
{
    uint64_t n;

    if (strcmp(key, "generation") == 0) {
        if (parse_number(value, &n) < 0 || n < 2 || n > REPO_GENERATION_MAX)
            return -1;
        f->generation = (uint32_t)n;
        return 0;
    }
    if (strcmp(key, "previous") == 0)
        return base32_parse(value, f->previous, sizeof f->previous);
    if (strcmp(key, "log") == 0)
        return take_log(f, value);
    if (strcmp(key, "backup") == 0 || strcmp(key, "pin") == 0)
        return take_listed(f, value, key[0] == 'p');
    if (strcmp(key, "handed-over-by") == 0) {
        f->by_recovery = true;
        return base32_parse(value, f->by, sizeof f->by);
    }
    if (strcmp(key, "handover") == 0)
        return base32_parse(value, f->handover, sizeof f->handover);
    return -1;
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
    return take_later(f, key, value);
}

/* The line at *p; that of the signature sets *signed_end. */
static int
parse_line(struct repo_file *f, const char *text, const char **p,
    const char *end, uint8_t *sig, const char **signed_end)
{
    const char *line = *p;
    char *value = NULL, *key = next_line(p, end, &value);
    int rc;

    if (key == NULL)
        return -1;
    if (strcmp(key, "signature") == 0) {
        rc = base32_parse(value, sig, 64);
        *signed_end = line;
        if (*p != end)
            rc = -1;
    } else if (f->handover_len > 0) {
        rc = -1; /* it would be in a text that was not handed over */
    } else {
        rc = take_value(f, key, value);
        if (strcmp(key, "handover") == 0)
            f->handover_len = (size_t)(line - text);
    }
    if (rc < 0)
        err_set(ERR_VERIFY, "its line \"%s\" is not valid", key);
    free(key);
    return rc;
}

static int
parse_lines(struct repo_file *f, const char *text, const char *p,
    const char *end, uint8_t *sig, const char **signed_end)
{
    int rc = 0;

    while (rc >= 0 && *signed_end == NULL)
        rc = parse_line(f, text, &p, end, sig, signed_end);
    return rc;
}

int
repo_file_parse(const void *p, size_t n, struct repo_file *out)
{
    const char *text = p, *end = text + n, *signed_end = NULL;
    size_t first = sizeof FIRST_LINE; /* with the end of line for the NUL */
    uint8_t sig[64];

    memset(out, 0, sizeof *out);
    out->generation = 1;
    if (n < first || memcmp(text, FIRST_LINE "\n", first) != 0)
        return err_set(ERR_VERIFY, "it does not start with \"%s\"", FIRST_LINE);
    if (parse_lines(out, text, text + first, end, sig, &signed_end) < 0)
        goto fail;
    if (sign_check(
            out->signer, REPO_CONTEXT, p, (size_t)(signed_end - text), sig) < 0)
        goto fail;
    if (out->server == NULL || out->n_recipients == 0) {
        err_set(ERR_VERIFY, "it names no server or no recipient");
        goto fail;
    }
    if ((out->generation > 1) != (out->handover_len > 0)) {
        err_set(ERR_VERIFY, "it is not said who hands it over");
        goto fail;
    }
    digest_of(p, n, out->digest);
    return 0;

fail:
    repo_file_free(out);
    return -1;
}

void
repo_file_free(struct repo_file *f)
{
    free(f->server);
    free(f->log);
    for (size_t i = 0; i < f->n_listed; i++)
        free(f->listed[i].id);
    free(f->listed);
    buf_free(&f->text);
    memset(f, 0, sizeof *f);
}
