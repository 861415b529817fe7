/*
 * keyfile.c -- the text form that both kinds of key files share (FORMAT.md,
 * "Key files").
 */
#include <stdlib.h>
#include <string.h>
#include "keys_impl.h"
#include "pitr/file.h"

int
keyfile_read(struct keyfile *kf, const char *path)
{
    int rc;

    /* Reserved at once: a buffer that moved would leave a copy behind. */
    buf_reserve(&kf->text, KEYFILE_MAX + 2);
    rc = file_read(path, KEYFILE_MAX, &kf->text);
    if (rc == 1) {
        err_set(ERR_KEY, "there is no key file %s", path);
        return err_hint("give the path of the key file; on a machine that was "
                        "rebuilt, copy it there from where it is kept");
    }
    if (rc < 0)
        err_rekind(ERR_KEY);
    return rc;
}

void
buf_free_wiped(struct buf *b)
{
    if (b->data != NULL)
        secret_wipe(b->data, b->cap);
    buf_free(b);
}

void
keyfile_free(struct keyfile *kf)
{
    buf_free_wiped(&kf->text);
    memset(kf, 0, sizeof(*kf));
}

/*
 * The next line at *at that is neither empty nor a comment, ended with a NUL
 * in place and without blanks at its end.  1, 0 at the end of the text, -1.
 */
static int
line_next(struct buf *text, size_t *at, unsigned *number, char **out)
{
    while (*at < text->len) {
        char *line = (char *)text->data + *at;
        char *nl = memchr(line, '\n', text->len - *at);
        size_t n = nl != NULL ? (size_t)(nl - line) : text->len - *at;

        *at += n + (nl != NULL);
        ++*number;
        while (n > 0 && strchr("\r \t", line[n - 1]) != NULL &&
            line[n - 1] != '\0')
            n--;
        if (n == 0 || line[0] == '#')
            continue;
        for (size_t i = 0; i < n; i++)
            if ((line[i] < 0x20 && line[i] != '\t') || line[i] > 0x7e) {
                err_set(ERR_KEY,
                    "line %u holds a character that no key file has", *number);
                return -1;
            }
        line[n] = '\0';
        *out = line;
        return 1;
    }
    return 0;
}

static int
magic_check(const char *line, unsigned number, const char *magic)
{
    size_t word = strcspn(magic, " ") + 1;

    if (strcmp(line, magic) == 0)
        return 0;
    if (strncmp(line, magic, word) == 0) {
        err_set(ERR_KEY, "line %u: version \"%.20s\" of the file is not known",
            number, line + word);
        return err_hint("use the version of pitr that wrote the key file");
    }
    err_set(ERR_KEY, "line %u is not \"%s\"", number, magic);
    return err_hint(
        "this is another kind of file: a recovery key is what "
        "\"pitr keygen --out\" wrote, not its .pub; what was "
        "printed is made one again by \"pitr keygen --from-paper\"");
}

static int
field_parse(char *line, unsigned number, const char *name, const char **value)
{
    size_t n = strlen(name);

    if (strncmp(line, name, n) != 0 || line[n] != ':')
        return err_set(
            ERR_KEY, "line %u: \"%s:\" is expected there", number, name);
    *value = line + n + 1;
    *value += strspn(*value, " \t");
    if (**value == '\0')
        return err_set(ERR_KEY, "line %u: \"%s:\" has no value", number, name);
    return 0;
}

int
keyfile_parse(
    struct keyfile *kf, const char *magic, const char *const *names, size_t n)
{
    size_t at = 0;
    unsigned number = 0;
    char *line = NULL;
    int rc;

    /* Room for the NUL of a last line that has no end of line. */
    buf_reserve(&kf->text, 1);
    if ((rc = line_next(&kf->text, &at, &number, &line)) < 0)
        return -1;
    if (rc == 0)
        return err_set(ERR_KEY, "the key file is empty");
    if (magic_check(line, number, magic) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if ((rc = line_next(&kf->text, &at, &number, &line)) < 0)
            return -1;
        if (rc == 0)
            return err_set(ERR_KEY,
                "the key file ends after line %u, without \"%s:\"", number,
                names[i]);
        if (field_parse(line, number, names[i], &kf->value[i]) < 0)
            return -1;
        kf->line[i] = number;
    }
    if ((rc = line_next(&kf->text, &at, &number, &line)) < 0)
        return -1;
    if (rc > 0)
        return err_set(ERR_KEY, "line %u is not part of a key file", number);
    return 0;
}
