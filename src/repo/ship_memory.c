/*
 * ship_memory.c -- .shipped-HASH in the local repository: which backups have
 * been whole on a vault.
 *
 * So that what the vault's owner has let expire is not sent there again.  A
 * line a backup, appended; a line that was cut by a crash is no id and counts
 * as nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pitr/log.h"
#include "pitr/mem.h"
#include "ship_priv.h"

#define FIRST_LINE "pitr-shipped 1\n"
#define LINE "backup "
#define MEMORY_MAX (16u << 20)

char *
ship_file_path(const char *repository, const char *what, const char *vault)
{
    uint8_t d[DIGEST_SIZE];
    char hex[17] = "";

    digest_of(vault, strlen(vault), d);
    for (size_t i = 0; i < 8; i++) {
        static const char digit[] = "0123456789abcdef";

        hex[2 * i] = digit[d[i] >> 4];
        hex[2 * i + 1] = digit[d[i] & 15];
    }
    return xasprintf("%s/.%s-%s", repository, what, hex);
}

int
ship_memory_load(struct ship *s)
{
    struct buf text = {0};
    const char *p, *end, *eol;
    int rc = file_read(s->memory_path, MEMORY_MAX, &text);

    if (rc != 0)
        goto out;
    p = (const char *)text.data;
    end = p + text.len;
    if (text.len < strlen(FIRST_LINE) ||
        memcmp(p, FIRST_LINE, strlen(FIRST_LINE)) != 0) {
        log_warn("%s is not what pitr has written, and is left alone",
            s->memory_path);
        goto out;
    }
    for (; p < end && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL;
         p = eol + 1) {
        size_t n = strlen(LINE);
        char *id;

        if ((size_t)(eol - p) <= n || memcmp(p, LINE, n) != 0)
            continue;
        id = xstrndup(p + n, (size_t)(eol - p) - n);
        ship_table_learn(&s->table, id);
        free(id);
    }

out:
    buf_free(&text);
    return rc < 0 ? -1 : 0;
}

/* The file, or an empty text. */
static void
slurp(const char *repository, const char *file, struct buf *out)
{
    char *path = xasprintf("%s/%s", repository, file);

    buf_reset(out);
    if (file_read(path, MEMORY_MAX, out) < 0) {
        err_clear();
        buf_reset(out);
    }
    free(path);
}

bool
ship_was_shipped(const char *repository, const char *id)
{
    char *line = xasprintf("\n" LINE "%s\n", id);
    DIR *d = opendir(repository);
    struct buf text = {0};
    struct dirent *e;
    bool was = false;

    while (d != NULL && !was && (e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, ".shipped-", 9) != 0)
            continue;
        slurp(repository, e->d_name, &text);
        was = strstr(buf_cstr(&text), line) != NULL;
    }
    if (d != NULL)
        closedir(d);
    buf_free(&text);
    free(line);
    return was;
}

int
ship_memory_add(struct ship *s, const char *id)
{
    struct buf text = {0};
    ssize_t done = -1;
    int rc = 0,
        fd = open(s->memory_path,
            O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

    pthread_mutex_lock(&s->lock);
    ship_table_learn(&s->table, id);
    pthread_mutex_unlock(&s->lock);
    if (fd >= 0) {
        if (lseek(fd, 0, SEEK_END) == 0)
            buf_str(&text, FIRST_LINE);
        buf_fmt(&text, LINE "%s\n", id);
        done = write(fd, text.data, text.len);
    }
    if (done != (ssize_t)text.len || done < 0)
        rc = err_sys(ERR_FAILED, "cannot write %s", s->memory_path);
    if (fd >= 0)
        close(fd);
    buf_free(&text);
    return rc;
}

int
ship_memory_forget(struct ship *s)
{
    ship_table_forget(&s->table);
    if (confirmed_forget(s->confirmed) < 0)
        return -1;
    if (unlink(s->memory_path) < 0 && errno != ENOENT)
        return err_sys(ERR_FAILED, "cannot remove %s", s->memory_path);
    return 0;
}
