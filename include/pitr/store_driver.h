/*
 * store_driver.h -- what a store driver implements (store.h is for users).
 */
#ifndef PITR_STORE_DRIVER_H
#define PITR_STORE_DRIVER_H

#include "pitr/store.h"

struct store_ops {
    struct sink *(*put)(void *impl, const char *name, enum store_put how);
    struct source *(*get)(void *impl, const char *name, uint64_t offset);
    /* NULL where objects are not gone on with */
    struct sink *(*append)(void *impl, const char *name, uint64_t offset);
    int (*stat)(void *impl, const char *name, uint64_t *size);
    int (*written)(void *impl, const char *name, uint64_t *us);
    int (*remove)(void *impl, const char *name);
    int (*list)(void *impl, const char *prefix, bool flat,
        struct store_list *out); /* need not sort */
    void (*prefetch)(void *impl, const char *const *name,
        size_t n); /* NULL: nothing to gain */
    void (*warm)(void *impl, unsigned threads); /* NULL: nothing to gain */
    int (*room)(void *impl, struct store_room *out);
    int (*may_remove)(void *impl); /* NULL: nobody asks */
    void (*close)(void *impl);
};

/* Takes impl; where is copied. */
struct store *store_new(const struct store_ops *ops, void *impl,
    const char *where);
/* The first n bytes of name, below folder, which is "" or ends with "/". */
void store_list_add(struct store_list *l, const char *folder, const char *name,
    size_t n, uint64_t size);

#endif
