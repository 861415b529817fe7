/*
 * secret.h -- bytes that must not leak: locked memory, wiped when freed, never
 * in a core file.
 */
#ifndef PITR_SECRET_H
#define PITR_SECRET_H

#include <stddef.h>

struct secret {
    char *p; /* NUL-terminated for convenience; the NUL is not counted */
    size_t len;
};

struct secret *secret_new(const void *p, size_t n); /* copies p */
void secret_free(struct secret *s);                 /* wipes; NULL is fine */
/* A file's first line without its end of line; its mode is checked
 * (ERR_KEY). */
struct secret *secret_from_file(const char *path);
/* Ask on the terminal without echo; twice where confirm is set.  NULL with
 * ERR_KEY where there is no terminal. */
struct secret *secret_ask(const char *prompt, int confirm);
/* Wipe a buffer of the caller's. */
void secret_wipe(void *p, size_t n);

#endif
