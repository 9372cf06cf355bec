/* arena: aligned, separate pieces of memory that go all at once. */
#include "arena.h"

#include <stdint.h>

#include "oom.h"
#include "tap.h"

static void test_pieces(void)
{
    enum { COUNT = 400 };
    struct arena a = ARENA_INIT;
    unsigned char *p[COUNT];
    bool aligned = true, whole = true;
    /* Sizes from 0 to some that no block has, each filled with its own byte. */
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = i % 50 == 49 ? i * 700 : i % 67;
        p[i] = arena_alloc(&a, n);
        if (!p[i])
            break;
        aligned = aligned && (uintptr_t)p[i] % _Alignof(max_align_t) == 0;
        memset(p[i], (int)(i & 0xff), n);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = i % 50 == 49 ? i * 700 : i % 67;
        for (size_t k = 0; k < n; k++)
            whole = whole && p[i][k] == (i & 0xff);
    }
    ok(aligned, "every piece is aligned for any type");
    ok(whole, "none runs into another");
    ok(p[0] != p[67] && p[67] != p[134], "pieces of no bytes are distinct");
    arena_free(&a);
    ok(!a.head && a.used == 0, "free makes it new");
    arena_free(&a);
}

static void test_kinds(void)
{
    struct arena a = ARENA_INIT;
    void *dirty = arena_alloc(&a, 64);
    memset(dirty, 0xff, 64);
    arena_reset(&a);
    static const unsigned char zeros[60];
    is_mem(arena_zalloc(&a, 4, 15), 60, zeros, 60, "zalloc zeroes memory used before");
    ok(!arena_zalloc(&a, SIZE_MAX / 2, 3), "zalloc sees a product that overflows");
    ok(!arena_alloc(&a, SIZE_MAX - 8), "so does alloc");
    ok(!arena_dup(&a, "", SIZE_MAX), "and dup");
    is_mem(arena_dup(&a, "a\0b", 3), 4, "a\0b", 4, "dup copies NULs and puts one behind");
    is_str(arena_dup(&a, NULL, 0), "", "dup of nothing");
    arena_free(&a);
}

static void test_reset(void)
{
    struct arena a = ARENA_INIT;
    void *first = arena_alloc(&a, 100);
    for (int i = 0; i < 50; i++)
        arena_alloc(&a, 5000);
    arena_reset(&a);
    mem_fail_after(0, 1);
    ok(arena_alloc(&a, 100) == first, "reset keeps the first block");
    ok(!arena_alloc(&a, 100000), "and no other");
    mem_fail_after(-1, 0);
    ok(arena_alloc(&a, 100000), "it goes on growing after a failure");
    arena_free(&a);

    ok(arena_alloc(&a, 1 << 20), "a first piece of a mebibyte");
    arena_reset(&a);
    ok(!a.head, "is too much to keep");
    arena_reset(&a);
    arena_free(&a);
}

static enum error_code use(void *context)
{
    struct arena *a = context;
    arena_reset(a);
    for (size_t i = 0; i < 40; i++) {
        char *s = arena_dup(a, "0123456789", i % 10);
        int *n = arena_zalloc(a, 1000, sizeof(*n));
        if (!s || !n)
            return ERR_NO_MEMORY;
        if (strlen(s) != i % 10 || n[999] != 0)
            return ERR_INTERNAL;
    }
    return ERR_OK;
}

int main(void)
{
    test_pieces();
    test_kinds();
    test_reset();
    struct arena a = ARENA_INIT;
    long failures;
    is_int(oom_each(use, &a, &failures), ERR_OK, "each allocation failing in turn");
    ok(failures > 2, "there were some (%ld)", failures);
    arena_free(&a);
    return done_testing();
}
