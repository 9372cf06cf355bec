/*
 * Memory that lives as long as one request: allocations are bumped from blocks and freed all at once.
 */
#ifndef KVS_ARENA_H
#define KVS_ARENA_H

#include <stddef.h>

struct arena_block {
    struct arena_block *next; /* older; owned */
    size_t size;              /* bytes of data */
    _Alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct arena_block *head; /* newest block; owned */
    size_t used;              /* bytes taken from head */
};

#define ARENA_INIT                                                                                                     \
    {                                                                                                                  \
        NULL, 0                                                                                                        \
    }

/* As arena_alloc, in a block of its own. */
void *arena_grow(struct arena *a, size_t n);

/* n bytes aligned for any type, uninitialised; NULL when out of memory.  n may be 0 (a valid, unique pointer). */
static inline void *arena_alloc(struct arena *a, size_t n)
{
    const size_t align = _Alignof(max_align_t);
    size_t start = (a->used + align - 1) / align * align;

    if (n == 0)
        n = 1; /* a pointer of its own */
    if (!a->head || start > a->head->size || n > a->head->size - start)
        return arena_grow(a, n);
    a->used = start + n;
    return a->head->data + start;
}
/* As arena_alloc for count items of size bytes, zeroed; NULL also on overflow. */
void *arena_zalloc(struct arena *a, size_t count, size_t size);
/* A copy of n bytes with a NUL behind them. */
char *arena_dup(struct arena *a, const void *p, size_t n);
/* Frees everything but the first block, which is kept for the next request unless its first allocation made it large. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
