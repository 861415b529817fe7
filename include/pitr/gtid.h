/*
 * gtid.h -- MariaDB GTIDs "domain-server-sequence" and positions made of them.
 *
 * A position has at most one GTID a domain: the last one of that domain that
 * is included.  Numbers of two domains are never compared.  Where a position
 * is a result, it has to be a valid one before (zeroed, or filled), whose
 * content is replaced; on error it stays.
 * Source of the rules: MariaDB sql/rpl_gtid.cc.
 */
#ifndef PITR_GTID_H
#define PITR_GTID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gtid {
    uint32_t domain, server;
    uint64_t seq;
};

struct gtid_pos { /* zero it to have an empty one */
    struct gtid *v; /* sorted by domain */
    size_t n, cap;
};

#define GTID_TEXT 48
const char *gtid_text(const struct gtid *g, char out[GTID_TEXT]);
/* Exactly "D-S-N".  0, or -1 (ERR_USAGE). */
int gtid_parse(const char *s, struct gtid *out);
bool gtid_equal(const struct gtid *a, const struct gtid *b);

void gtid_pos_free(struct gtid_pos *p);
void gtid_pos_copy(struct gtid_pos *to, const struct gtid_pos *from);
/* "0-1-5,1-1-7", spaces and newlines after commas allowed, "" is empty; a
 * domain twice is an error.  0, or -1 (ERR_USAGE). */
int gtid_pos_parse(const char *s, struct gtid_pos *out);
char *gtid_pos_text(const struct gtid_pos *p); /* caller owns */
/* Replace the domain's GTID. */
void gtid_pos_set(struct gtid_pos *p, const struct gtid *g);
void gtid_pos_drop(struct gtid_pos *p, uint32_t domain);
const struct gtid *gtid_pos_get(const struct gtid_pos *p, uint32_t domain);
bool gtid_pos_equal(const struct gtid_pos *a, const struct gtid_pos *b);
/*
 * Is everything that a includes included in b?  By sequence number in each
 * domain of a; an empty a is covered by all.
 */
bool gtid_pos_covered(const struct gtid_pos *a, const struct gtid_pos *b);
/* Is g at or before its domain's GTID in p? */
bool gtid_pos_includes(const struct gtid_pos *p, const struct gtid *g);

#endif
