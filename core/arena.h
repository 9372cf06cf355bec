/*
 * Memory that lives as long as one request: allocations are bumped from blocks and freed all at once.
 */
#ifndef KVS_ARENA_H
#define KVS_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *head; /* newest block; owned */
    size_t used;              /* bytes taken from head */
};

#define ARENA_INIT                                                                                                     \
    {                                                                                                                  \
        NULL, 0                                                                                                        \
    }

/* n bytes aligned for any type, uninitialised; NULL when out of memory.  n may be 0 (a valid, unique pointer). */
void *arena_alloc(struct arena *a, size_t n);
/* As arena_alloc for count items of size bytes, zeroed; NULL also on overflow. */
void *arena_zalloc(struct arena *a, size_t count, size_t size);
/* A copy of n bytes with a NUL behind them. */
char *arena_dup(struct arena *a, const void *p, size_t n);
/* Frees everything but the first block, which is kept for the next request unless its first allocation made it large. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
