/*
 * utf8.h -- text that may come from anybody.
 */
#ifndef PITR_UTF8_H
#define PITR_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed sequence at p, or 0; left is not 0. */
size_t utf8_len(const uint8_t *p, size_t left);

/* Is all of it UTF-8? */
bool utf8_valid(const char *text);
/*
 * Names and messages of a server or a vault may hold what would drive a
 * terminal, or what a log does not take for text: each such byte becomes a "?".
 * Newlines and tabs stay.
 */
void utf8_harmless(void *text, size_t n);

#endif
