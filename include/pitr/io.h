/*
 * io.h -- chains of bytes: a sink is pushed to, a source is pulled from.
 *
 * Each stage owns the next, so that freeing the first frees the chain.  One
 * thread per chain.  A failing call sets err; after a failure only
 * sink_free() or source_free() is allowed.
 */
#ifndef PITR_IO_H
#define PITR_IO_H

#include <stddef.h>
#include <stdint.h>
#include "pitr/buf.h"

struct sink;
struct source;

/* What a kind of sink implements; impl is its own state.  -1 sets err. */
struct sink_ops {
    int (*write)(void *impl, const void *p, size_t n);
    int (*flush)(void *impl);  /* includes flushing the next stage */
    int (*finish)(void *impl); /* includes finishing the next stage */
    void (*free)(void *impl);  /* includes freeing the next stage */
};

struct source_ops {
    /* 1..n bytes, 0 at the end, -1 on error. */
    long (*read)(void *impl, void *p, size_t n);
    void (*free)(void *impl);
};

struct sink *sink_new(const struct sink_ops *ops, void *impl); /* takes impl */
struct source *source_new(const struct source_ops *ops, void *impl);
void *sink_impl(struct sink *s);     /* borrowed, for the stage's own calls */
void *source_impl(struct source *s);

/* Write all n bytes.  Returns 0, or -1; there are no short writes. */
int sink_write(struct sink *s, const void *p, size_t n);

/*
 * Push what was written so far through every stage and make it durable where
 * it is.  Only growing objects can be flushed; may be called any number of
 * times.
 */
int sink_flush(struct sink *s);

/*
 * Flush every stage, make the result durable and visible under its final
 * name.  Call once, after the last write.
 */
int sink_finish(struct sink *s);

/* Frees the chain.  Without sink_finish() before, leaves nothing behind of an
 * atomic object, and a growing one as far as it was written.  NULL is fine. */
void sink_free(struct sink *s);

/* Returns 1..n bytes, 0 at the end, -1 on error. */
long source_read(struct source *s, void *p, size_t n);

/* Read exactly n bytes.  Returns 1; 0 if the source was at its end; -1 on
 * error or where it ended inside (ERR_VERIFY). */
int source_read_full(struct source *s, void *p, size_t n);
/* The same where the end is an error: 0, or -1 ("WHAT ends too early"). */
int source_read_exact(struct source *s, void *p, size_t n, const char *what);
/* Nothing may follow: 0, or -1 ("WHAT goes on after its end").  Reading past
 * the end also lets the source check that it is the end. */
int source_read_end(struct source *s, const char *what);

/* Read all, at most max bytes (more is ERR_VERIFY), appended to out. */
int source_slurp(struct source *s, size_t max, struct buf *out);

void source_free(struct source *s);

/* A source over memory, borrowed until the source is freed (tests, small
 * objects). */
struct source *source_of_memory(const void *p, size_t n);
/* A sink that appends to out, borrowed. */
struct sink *sink_to_buf(struct buf *out);

#endif
