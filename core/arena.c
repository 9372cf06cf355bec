#include "arena.h"

#include <stdint.h>
#include <string.h>

#include "mem.h"

/*
 * Sizes of blocks: the first, the most that doubling leads to (larger allocations get a block of their own size), and
 * the most that is kept over a reset.  With -DARENA_START=1 -DARENA_MOST=1 every allocation is a block of exactly its
 * size, which lets the address sanitizer see the smallest overrun.
 */
#ifndef ARENA_START
#define ARENA_START 8192
#endif
#ifndef ARENA_MOST
#define ARENA_MOST 65536
#endif
#define ARENA_KEEP 65536

void *arena_grow(struct arena *a, size_t n)
{
    size_t size = a->head ? a->head->size * 2 : ARENA_START;
    if (size > ARENA_MOST)
        size = ARENA_MOST;
    if (size < n)
        size = n;
    if (size > SIZE_MAX - sizeof(struct arena_block))
        return NULL;
    struct arena_block *block = mem_alloc(sizeof(*block) + size);
    if (!block)
        return NULL;
    block->next = a->head;
    block->size = size;
    a->head = block;
    a->used = n;
    return block->data;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size)
        return NULL;
    void *p = arena_alloc(a, count * size);
    if (p)
        memset(p, 0, count * size);
    return p;
}

char *arena_dup(struct arena *a, const void *p, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(a, n + 1);
    if (!copy)
        return NULL;
    if (n > 0)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

void arena_reset(struct arena *a)
{
    struct arena_block *block = a->head;
    while (block && (block->next || block->size > ARENA_KEEP)) {
        struct arena_block *older = block->next;
        mem_free(block);
        block = older;
    }
    a->head = block;
    a->used = 0;
}

void arena_free(struct arena *a)
{
    while (a->head) {
        struct arena_block *older = a->head->next;
        mem_free(a->head);
        a->head = older;
    }
    a->used = 0;
}
