/*
 * Allocation for the request path.  Everything that the core allocates goes through here, so that a test can make the
 * n-th allocation fail; out of memory is an error code like any other, never a crash.
 */
#ifndef KVS_MEM_H
#define KVS_MEM_H

#include <stddef.h>

/* gcc then warns where such memory meets another deallocator; clang knows only the plain attribute. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#define MEM_OWNED __attribute__((malloc, malloc(mem_free, 1)))
#else
#define MEM_OWNED __attribute__((malloc))
#endif

void mem_free(void *p);

/* Returns n bytes, or NULL when there are none.  The caller frees with mem_free. */
MEM_OWNED void *mem_alloc(size_t n);

/* As mem_alloc, zeroed, for count items of size bytes; NULL also where the product overflows. */
MEM_OWNED void *mem_zalloc(size_t count, size_t size);

/* Grows or shrinks p (NULL allocates); on failure returns NULL and leaves p as it was. */
void *mem_realloc(void *p, size_t n);

/* A copy of n bytes with a NUL behind them, or NULL. */
MEM_OWNED char *mem_dup(const void *p, size_t n);

/*
 * For tests: the allocation after `after` further successful ones fails, and with `forever` all that follow it too.
 * after < 0 turns failing off.  Not thread safe with respect to itself.
 */
void mem_fail_after(long after, int forever);

#endif
