#include "mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What mem_fail_after asked for.  No handle reaches every allocation, so this is the process's. */
static atomic_long fail_after = -1; /* allocations still to succeed; below 0: off */
static atomic_int fail_forever;

/* Whether the allocation at hand is one that a test wants to fail.  One relaxed load where none does. */
static bool fails(void)
{
    long n = atomic_load_explicit(&fail_after, memory_order_relaxed);
    while (n >= 0) {
        if (n == 0 && atomic_load(&fail_forever))
            return true;
        if (atomic_compare_exchange_weak(&fail_after, &n, n - 1))
            return n == 0;
    }
    return false;
}

void mem_free(void *p)
{
    free(p);
}

void *mem_alloc(size_t n)
{
    /* malloc(0) may be NULL, which would read as a failure. */
    return fails() ? NULL : malloc(n > 0 ? n : 1);
}

void *mem_zalloc(size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size)
        return NULL;
    size_t n = count * size;
    return fails() ? NULL : calloc(n > 0 ? n : 1, 1);
}

void *mem_realloc(void *p, size_t n)
{
    return fails() ? NULL : realloc(p, n > 0 ? n : 1);
}

char *mem_dup(const void *p, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = mem_alloc(n + 1);
    if (!copy)
        return NULL;
    if (n > 0)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

void mem_fail_after(long after, int forever)
{
    atomic_store(&fail_forever, forever);
    atomic_store(&fail_after, after < 0 ? -1 : after);
}
