#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

_Static_assert((POOL_SLOTS & (POOL_SLOTS - 1)) == 0, "a power of two, so that going round is cheap");

/* Where a thread looks first.  Only ever a hint, so that two threads may well share it. */
static size_t own_slot(void)
{
    uint64_t mixed = (uint64_t)(uintptr_t)pthread_self() * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 40);
}

void *pool_take(struct pool *pool)
{
    size_t at = own_slot();

    for (size_t i = 0; i < POOL_SLOTS; i++) {
        _Atomic(void *) *slot = &pool->slots[(at + i) % POOL_SLOTS];
        void *object = atomic_load_explicit(slot, memory_order_relaxed);
        if (object && (object = atomic_exchange_explicit(slot, NULL, memory_order_acquire)))
            return object;
    }
    return NULL;
}

bool pool_give(struct pool *pool, void *object)
{
    size_t at = own_slot();

    for (size_t i = 0; i < POOL_SLOTS; i++) {
        _Atomic(void *) *slot = &pool->slots[(at + i) % POOL_SLOTS];
        void *none = NULL;
        if (!atomic_load_explicit(slot, memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(slot, &none, object, memory_order_release, memory_order_relaxed))
            return true;
    }
    return false;
}
