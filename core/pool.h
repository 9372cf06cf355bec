/*
 * A small pool of objects that are all alike, for any thread, without a lock.  Each thread mostly gets back what it gave
 * last, which its processor still has in its cache.
 */
#ifndef KVS_POOL_H
#define KVS_POOL_H

#include <stdbool.h>
#include <stddef.h>

enum { POOL_SLOTS = 32 };

struct pool {
    _Atomic(void *) slots[POOL_SLOTS]; /* all NULL: an empty pool */
};

/* An object, the caller's from then on; NULL where there is none. */
void *pool_take(struct pool *pool);

/* Keeps an object; false where there is no room for it, and it stays the caller's. */
bool pool_give(struct pool *pool, void *object);

#endif
