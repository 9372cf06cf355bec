/*
 * Allocations that fail under what begins from a scene: the program's (mem.h) and SQLite's.
 */
#ifndef KVS_TEST_OOM_SCENE_H
#define KVS_TEST_OOM_SCENE_H

#include "mem.h"
#include "scene.h"

/* --- SQLite's allocations --- */

static struct {
    sqlite3_mem_methods real;
    long after; /* as mem_fail_after's */
    int forever;
} engine;

static bool engine_fails(void)
{
    if (engine.after < 0)
        return false;
    if (engine.after > 0) {
        engine.after--;
        return false;
    }
    if (!engine.forever)
        engine.after = -1;
    return true;
}

static void *engine_malloc(int n)
{
    return engine_fails() ? NULL : engine.real.xMalloc(n);
}

static void *engine_realloc(void *p, int n)
{
    return engine_fails() ? NULL : engine.real.xRealloc(p, n);
}

static void engine_fail_after(long after, int forever)
{
    engine.after = after;
    engine.forever = forever;
}

/* To be called before anything else of SQLite's.  Without its look-aside memory every allocation can be made to fail. */
static void engine_wrap(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &engine.real);
    sqlite3_mem_methods wrapped = engine.real;
    wrapped.xMalloc = engine_malloc;
    wrapped.xRealloc = engine_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &wrapped);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
}

/* --- Failing --- */

/* SQLite allocates up to two thousand times a request, all the same to us: one in `small` fails, but for KVS_LONG. */
static long engine_stride(long small)
{
    const char *wide = getenv("KVS_LONG");
    return wide && wide[0] ? 1 : small;
}

static void fail_after(bool in_engine, long after, int forever)
{
    mem_fail_after(in_engine ? -1 : after, forever);
    engine_fail_after(in_engine ? after : -1, forever);
}

/* Whether the next allocation is one that fails; it is used up where only one was to. */
static bool fails_now(void)
{
    void *ours = mem_alloc(1), *theirs = sqlite3_malloc(1);
    bool fails = !ours || !theirs;
    mem_free(ours);
    sqlite3_free(theirs);
    return fails;
}

#endif
