/*
 * recipients.c -- public keys from options: as texts, or as files that keygen
 * wrote.
 */
#include <string.h>

#include "cmd.h"
#include "pitr/err.h"

static int
add_text(struct recipients *r, const char *text)
{
    if (r->n == SEAL_RECIPIENTS_MAX)
        return err_set(ERR_USAGE, "there are more than %d recipients",
            SEAL_RECIPIENTS_MAX);
    if (public_key_parse(text, &r->v[r->n]) < 0)
        return err_wrap("recipient %s", text);
    for (size_t i = 0; i < r->n; i++)
        if (memcmp(&r->v[i], &r->v[r->n], sizeof r->v[0]) == 0)
            return err_set(ERR_USAGE, "%s is a recipient already", text);
    r->n++;
    return 0;
}

static int
add_file(struct recipients *r, const char *path)
{
    struct buf text = {0};
    int rc = file_read(path, 4096, &text);

    if (rc > 0)
        rc = err_set(ERR_KEY, "there is no file %s", path);
    if (rc == 0) {
        while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
            text.len--;
        if ((rc = add_text(r, buf_cstr(&text))) < 0)
            err_wrap("%s", path);
    }
    buf_free(&text);
    return rc;
}

int
recipients_add(struct recipients *r, const struct opt_list *texts,
    const struct opt_list *files)
{
    for (size_t i = 0; i < texts->n; i++)
        if (add_text(r, texts->v[i]) < 0)
            return -1;
    for (size_t i = 0; i < files->n; i++)
        if (add_file(r, files->v[i]) < 0)
            return -1;
    return 0;
}

int
recipients_remove(struct recipients *r, const char *which)
{
    struct public_key k;
    uint8_t id[KEY_ID_SIZE], is[KEY_ID_SIZE];

    if (base32_parse(which, id, sizeof id) < 0) {
        if (public_key_parse(which, &k) < 0)
            return err_wrap("recipient %s", which);
        public_key_id(&k, id);
    }
    for (size_t i = 0; i < r->n; i++) {
        public_key_id(&r->v[i], is);
        if (memcmp(is, id, sizeof id) != 0)
            continue;
        memmove(&r->v[i], &r->v[i + 1], (--r->n - i) * sizeof r->v[0]);
        return 0;
    }
    err_set(ERR_USAGE, "%s is no recipient", which);
    return err_hint("\"pitr list\" shows the recipients.");
}
